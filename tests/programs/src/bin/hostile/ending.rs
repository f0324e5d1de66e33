//! How a hostile child may end: in any way but not never.

use libc::{SIGKILL, WNOHANG};
use test_programs::child::{Child, Status, fork};
use test_programs::raw::short::{monotonic, timespec};
use test_programs::{ok, sys};

/// Waits for the end, and brings it about after so many milliseconds without one.
pub fn within(child: Child, milliseconds: u64) -> Status {
    let deadline = monotonic() + milliseconds * 1_000_000;
    let mut word = 0i32;
    let mut turns = 0;
    loop {
        if ok!(SYS_wait4, child.pid, &mut word, WNOHANG, 0) != 0 {
            return Status::from_word(word);
        }
        if monotonic() > deadline {
            child.signal(SIGKILL);
            return child.wait();
        }
        turns += 1;
        if turns < 100 {
            let _ = sys!(SYS_sched_yield);
        } else {
            let _ = sys!(SYS_nanosleep, &timespec(200_000), 0);
        }
    }
}

/// Lets a child do something terrible, for at most a few seconds. Its status is 0 if it lived through it.
pub fn of(harm: impl FnOnce()) -> Status {
    of_patience(3, harm)
}

/// The same for harm that takes its time.
pub fn of_patience(seconds: u64, harm: impl FnOnce()) -> Status {
    let child = fork(|| {
        harm();
        0
    });
    within(child, seconds * 1000)
}

/// A machine of our own may be used to the last page; see the head of `main.rs`.
pub fn own_machine() -> bool {
    let info = test_programs::memory::sysinfo();
    info.totalram * u64::from(info.mem_unit) <= 1 << 30
}

/// Free memory in bytes, after those that just ended had time to give theirs back.
pub fn free_memory() -> u64 {
    let info = test_programs::memory::sysinfo();
    (info.freeram + info.bufferram) * u64::from(info.mem_unit)
}

/// The simplest signs of health.
pub fn all_is_well() {
    test_programs::child::passes(|| {
        let memory = std::hint::black_box(vec![7u8; 1 << 20]);
        assert!(memory.iter().all(|b| *b == 7));
        let (reader, writer) = test_programs::raw::short::pipe();
        test_programs::raw::short::write(writer, b"well");
        assert_eq!(test_programs::raw::short::read(reader, 9), b"well");
    });
}
