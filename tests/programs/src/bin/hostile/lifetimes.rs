//! Ten thousand processes, one after another, each leaving in its own way. Afterwards as much memory is free as before.

use super::ending::{all_is_well, free_memory, own_machine};
use libc::{
    LOCK_EX, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_NONBLOCK, O_RDWR, PROT_READ,
    PROT_WRITE, SIG_SETMASK, SIGKILL, SIGSEGV, SIGUSR1,
};
use test_programs::child::{Child, Status, exit, until};
use test_programs::crowd::Crowd;
use test_programs::memory::{PAGE, poke};
use test_programs::raw::short::*;
use test_programs::{ok, sys};

test_programs::tests!(
    two_thousand_forks,
    ten_thousand_lives,
    thousand_programs,
    thousand_threads,
    ten_thousand_threads_at_once,
    thousand_groups
);

/// How much the figures may differ: caches and per-processor stocks, not something per process.
const SLACK: u64 = 2 << 20;

fn repeated(times: u32, life: impl Fn(u32)) {
    // What is made once is made before the first look.
    (0..times / 20).for_each(&life);
    let before = free_memory();
    (0..times).for_each(&life);
    if own_machine() {
        let mut after = 0;
        let deadline = monotonic() + 20_000_000_000;
        until(|| {
            after = free_memory();
            after + SLACK >= before || monotonic() > deadline
        });
        assert!(
            after + SLACK >= before,
            "{before} bytes free before, {after} after {times} lives: {} each",
            (before - after) / u64::from(times)
        );
    }
    all_is_well();
}

/// A bare fork: no library in between, which has its own memory.
fn with_child(life: impl FnOnce()) -> Status {
    match ok!(SYS_fork) {
        0 => {
            life();
            exit(7)
        }
        pid => Child { pid: pid as i32 }.wait(),
    }
}

/// They sleep, answer when they are called, and end; what they held comes back.
fn ten_thousand_threads_at_once() {
    let count = if own_machine() { 10_000 } else { 200 };
    repeated(1, |_| {
        let mut crowd = Crowd::with_room(count);
        (0..count).for_each(|_| crowd.join().unwrap());
        (0..count).step_by(count / 100).for_each(|n| crowd.call(n));
    });
}

fn two_thousand_forks() {
    repeated(2000, |_| assert_eq!(with_child(|| ()), Status::Exited(7)));
}

/// Each with something that must be given back: memory, files, pipes, locks, timers, signals, children.
fn ten_thousand_lives() {
    close(file_with(c"f", &[1; 8192]));
    repeated(10_000, |n| {
        let status = with_child(|| match n % 10 {
            0 => {
                let address = sys!(
                    SYS_mmap,
                    0,
                    16 * PAGE,
                    PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS,
                    -1,
                    0
                )
                .unwrap_or(0);
                (0..16).for_each(|p| poke(address + p * PAGE, 1));
            }
            1 => {
                let address = sys!(
                    SYS_mmap,
                    0,
                    4 * PAGE,
                    PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS,
                    -1,
                    0
                )
                .unwrap_or(0);
                (0..4).for_each(|p| poke(address + p * PAGE, 1));
            }
            2 => {
                let mut ends = [0i32; 2];
                let _ = sys!(SYS_pipe2, &mut ends, O_NONBLOCK);
                let _ = sys!(SYS_write, ends[1], &[1u8; 5000], 5000);
            }
            3 => {
                let fd = sys!(SYS_open, c"f", O_RDWR, 0).unwrap_or(0);
                let address = sys!(
                    SYS_mmap,
                    0,
                    2 * PAGE,
                    PROT_READ | PROT_WRITE,
                    MAP_SHARED,
                    fd,
                    0
                )
                .unwrap_or(0);
                poke(address, n as u8);
                let _ = sys!(SYS_flock, fd, LOCK_EX);
            }
            4 => {
                let fd = sys!(SYS_open, c"gone", O_RDWR | O_CREAT, 0o600).unwrap_or(0);
                let _ = sys!(SYS_unlink, c"gone");
                let _ = sys!(SYS_write, fd, &[1u8; 5000], 5000);
            }
            5 => {
                test_programs::signal::mask(SIG_SETMASK, u64::MAX);
                let _ = sys!(SYS_kill, pid(), SIGUSR1);
                let _ = sys!(SYS_alarm, 1000);
            }
            6 => {
                let _ = sys!(SYS_setsid);
                let _ = sys!(SYS_brk, sys!(SYS_brk, 0).unwrap_or(0) + 8 * PAGE);
            }
            7 => {
                // A grandchild that somebody else buries.
                if let Ok(0) = sys!(SYS_fork) {
                    exit(0);
                }
            }
            8 => {
                let _ = sys!(SYS_kill, pid(), SIGKILL);
            }
            _ => poke(0x10, 1),
        });
        let expected = match n % 10 {
            8 => Status::Killed(SIGKILL),
            9 => Status::Killed(SIGSEGV),
            _ => Status::Exited(7),
        };
        assert_eq!(status, expected);
    });
}

fn thousand_programs() {
    let path = test_programs::child::own_path();
    let argv = test_programs::child::Strings::new(&["x", "--helper", "nothing"]);
    repeated(1000, |_| {
        let status = with_child(|| {
            let _ = sys!(SYS_execve, path.as_c_str(), argv.as_ptr(), 0);
        });
        assert_eq!(status, Status::Exited(23));
    });
}

fn thousand_threads() {
    repeated(1000, |_| {
        let threads: Vec<_> = (0..3).map(|n| std::thread::spawn(move || n)).collect();
        assert_eq!(
            threads.into_iter().map(|t| t.join().unwrap()).sum::<i32>(),
            3
        );
    });
}

fn thousand_groups() {
    repeated(1000, |n| {
        let status = with_child(|| {
            if n % 2 == 0 {
                let _ = sys!(SYS_setsid);
            } else {
                let _ = sys!(SYS_setpgid, 0, 0);
            }
        });
        assert_eq!(status, Status::Exited(7));
    });
}
