//! Every call number with arguments that nobody in their right mind would pass.
//!
//! A child goes through the patterns of one number after another and keeps its place on a shared page. If it dies or gets
//! stuck, the next child goes on behind that place. The children are nobody, have nothing but `/dev/null` open, and little
//! of anything.

use super::ending::all_is_well;
use libc::{
    __WALL, AT_FDCWD, CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWUTS, ECHILD, FUTEX_REQUEUE, O_RDONLY,
    O_RDWR, PROT_NONE, RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE, SIGKILL, WNOHANG,
    rlimit,
};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{Child, exit, fork};
use test_programs::memory::{Mapping, PAGE, Shared};
use test_programs::pattern::Numbers;
use test_programs::raw::call;
use test_programs::raw::short::{monotonic, open, timespec};
use test_programs::{fails, ok, sys};

test_programs::tests!(
    the_first_hundred,
    the_second_hundred,
    the_third_hundred,
    the_fourth_hundred,
    the_rest,
    numbers_that_are_no_calls,
    numbers_of_another_interface,
    double_close,
    bad_pointers_in_structures,
);

const PATTERNS: u32 = 48;

/// What would reach beyond the child even as nobody, or only wait: signals to others, new processes that would go on with
/// the list, and `pause`.
const SKIPPED: [i64; 10] = [
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_pause,
    libc::SYS_reboot,
];

/// The values that arguments are made of: nothing, everything, edges of memory, and places that are nearly good.
fn values(good: &Mapping) -> [usize; 16] {
    [
        0,
        1,
        usize::MAX,
        0x10,
        0xfff,
        good.address,
        good.address + 1,
        // The last four bytes before a closed page.
        good.address + PAGE - 4,
        0x7fff_ffff_effc,
        0x7fff_ffff_f000,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        i32::MIN as usize,
        i64::MIN as usize,
        0x7fff_ffff,
    ]
}

fn arguments(pattern: u32, number: i64, good: &Mapping) -> [usize; 6] {
    let values = values(good);
    match pattern {
        0..16 => [values[pattern as usize]; 6],
        // A plausible first argument with bad ones behind it.
        16..20 => [1, values[pattern as usize - 13], PAGE, 0, values[3], 0],
        20..24 => [
            AT_FDCWD as usize,
            values[pattern as usize - 9],
            0o2102,
            0o644,
            values[11],
            0,
        ],
        24..28 => [
            good.address,
            values[pattern as usize - 17],
            PAGE,
            values[11],
            1,
            values[3],
        ],
        _ => {
            let mut numbers = Numbers::new(number as u64 * 1000 + u64::from(pattern));
            std::array::from_fn(|_| values[numbers.below(16) as usize])
        }
    }
}

/// The child's life from its place in the list on.
fn go_on(numbers: &[i64], place: &AtomicU32) -> ! {
    let _ = sys!(SYS_setsid);
    let _ = sys!(SYS_unshare, CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS);
    let null = open(c"/dev/null", O_RDWR);
    (0..3).for_each(|fd| {
        let _ = sys!(SYS_dup2, null, fd);
    });
    let _ = sys!(SYS_close_range, 3, u32::MAX, 0);
    for (resource, limit) in [
        (RLIMIT_AS, 256 << 20),
        (RLIMIT_FSIZE, 1 << 20),
        (RLIMIT_NOFILE, 64),
        (RLIMIT_MEMLOCK, 1 << 16),
    ] {
        let _ = sys!(
            SYS_prlimit64,
            0,
            resource,
            &rlimit {
                rlim_cur: limit,
                rlim_max: limit
            },
            0
        );
    }
    let _ = sys!(SYS_setresgid, 65534, 65534, 65534);
    let _ = sys!(SYS_setresuid, 65534, 65534, 65534);
    let good = Mapping::private(2 * PAGE);
    good.protect(PAGE, PAGE, PROT_NONE);
    loop {
        let at = place.load(Ordering::SeqCst);
        let Some(number) = numbers.get((at / PATTERNS) as usize) else {
            exit(0)
        };
        // The place is kept before the call: whatever it does, it is not made twice.
        place.store(at + 1, Ordering::SeqCst);
        let result = call(*number, &arguments(at % PATTERNS, *number, &good));
        // Calls that make a process give zero in the new one.
        if result == Ok(0) && [libc::SYS_clone, libc::SYS_clone3].contains(number) {
            exit(0);
        }
    }
}

fn torment(numbers: &[i64]) {
    let place = Shared::<AtomicU32>::new();
    let end = numbers.len() as u32 * PATTERNS;
    let _ = sys!(SYS_chmod, c".", 0o777);
    while place.load(Ordering::SeqCst) < end {
        let child = fork(|| go_on(numbers, &place));
        watch(&child, &place);
        let _ = sys!(SYS_kill, -child.pid, SIGKILL);
    }
    all_is_well();
}

/// Waits for the child's end, and ends it if its place does not move for a while.
fn watch(child: &Child, place: &AtomicU32) {
    let (mut last, mut since) = (u32::MAX, monotonic());
    let mut turns = 0;
    loop {
        let result = sys!(SYS_wait4, child.pid, 0, WNOHANG | __WALL, 0);
        if result != Ok(0) {
            return;
        }
        let now = place.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, monotonic());
        } else if monotonic() - since > 150_000_000 {
            child.signal(SIGKILL);
            // A child that traces itself stops first.
            while !matches!(
                sys!(SYS_wait4, child.pid, 0, __WALL, 0),
                Ok(_) | Err(ECHILD)
            ) {}
            return;
        }
        turns += 1;
        if turns < 50 {
            let _ = sys!(SYS_sched_yield);
        } else {
            let _ = sys!(SYS_nanosleep, &timespec(300_000), 0);
        }
    }
}

fn range(first: i64, last: i64) {
    let numbers: Vec<i64> = (first..=last).filter(|n| !SKIPPED.contains(n)).collect();
    torment(&numbers);
}

fn the_first_hundred() {
    range(0, 99);
}

fn the_second_hundred() {
    range(100, 199);
}

fn the_third_hundred() {
    range(200, 299);
}

fn the_fourth_hundred() {
    range(300, 399);
}

fn the_rest() {
    range(400, 470);
}

fn numbers_that_are_no_calls() {
    let mut numbers: Vec<i64> = vec![
        471,
        511,
        600,
        1023,
        4095,
        0x3fff_ffff,
        0x7fff_ffff,
        -1,
        i64::MIN,
        0x1_0000_0000,
        0xdead_beef_0000_0000u64 as i64,
    ];
    // The numbers of the 32-bit-pointer interface.
    numbers.extend((0..20).map(|n| 0x4000_0000 + n));
    torment(&numbers);
}

/// With the top bit of the number's word set, another interface may answer: it must be as careful.
fn numbers_of_another_interface() {
    let numbers: Vec<i64> = (0..64)
        .map(|n| 0x8000_0000 + n)
        .chain([0xffff_ffff, 0xc000_0000, 0x8000_ffff])
        .collect();
    torment(&numbers);
}

fn double_close() {
    for _ in 0..200 {
        let fd = open(c"/dev/null", O_RDWR);
        ok!(SYS_close, fd);
        fails!(EBADF, SYS_close, fd);
        fails!(EBADF, SYS_read, fd, 0x10, 10);
        let other = open(c"/dev/zero", O_RDONLY);
        // The number may be used again; the old one must not reach the new file by mistake of ours only.
        assert_eq!(other, fd);
        ok!(SYS_close, other);
    }
    // From many threads at once each number is closed once.
    let closed = AtomicU32::new(0);
    for _ in 0..50 {
        let fd = open(c"/dev/null", O_RDWR);
        closed.store(0, Ordering::SeqCst);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    if sys!(SYS_close, fd).is_ok() {
                        closed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(closed.load(Ordering::SeqCst), 1);
    }
}

/// Lists whose own memory is good and whose contents are not.
fn bad_pointers_in_structures() {
    for bad in [
        0x10usize,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        usize::MAX,
    ] {
        let (reader, writer) = test_programs::raw::short::pipe();
        fails!(EFAULT, SYS_writev, writer, &[[bad, 8], [bad, 8]], 2);
        test_programs::raw::short::write(writer, b"x");
        fails!(EFAULT, SYS_readv, reader, &[[bad, 8]], 1);
        assert!(sys!(SYS_execve, c"/proc/self/exe", &[bad, 0], &[0usize]).is_err());
        assert!(sys!(SYS_execve, c"/proc/self/exe", &[0usize], &[bad, 0]).is_err());
        fails!(EFAULT, SYS_pselect6, 0, 0, 0, 0, 0, &[bad, 8]);
        let _ = sys!(SYS_futex, &0u32, FUTEX_REQUEUE, 1, 1, bad);
        let _ = sys!(SYS_set_robust_list, bad, 24);
        test_programs::raw::short::close(reader);
        test_programs::raw::short::close(writer);
    }
    // A thread that dies with a list made of lies.
    for bad in [0x10usize, 0xffff_ffff_8000_0000, usize::MAX] {
        let child = fork(|| {
            let head = Box::leak(Box::new([bad, bad, bad]));
            let _ = sys!(SYS_set_robust_list, head.as_ptr(), 24);
            0
        });
        assert_eq!(child.wait(), test_programs::child::Status::Exited(0));
        let child = fork(|| {
            // A ring without end.
            let head = Box::leak(Box::new([0usize; 3]));
            head[0] = head.as_ptr() as usize + 8;
            head[1] = head.as_ptr() as usize + 8;
            let _ = sys!(SYS_set_robust_list, head.as_ptr(), 24);
            let _ = sys!(SYS_set_tid_address, bad);
            0
        });
        assert_eq!(child.wait(), test_programs::child::Status::Exited(0));
    }
    all_is_well();
}
