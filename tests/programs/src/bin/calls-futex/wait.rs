//! FUTEX_WAIT and FUTEX_WAIT_BITSET: when they return, and how.

use libc::{
    CLOCK_REALTIME, EAGAIN, FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, FUTEX_WAIT,
    FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET, MAP_PRIVATE, PROT_NONE, PROT_READ, SIGKILL,
};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::spawn;
use test_programs::memory::{Mapping, PAGE, Shared};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    another_value_returns_at_once,
    timeout_runs_out,
    timeout_zero,
    absolute_timeout_of_the_bitset_form,
    absolute_timeout_on_the_wall_clock,
    errors,
    unaligned_words,
    unmapped_words,
    read_only_words,
    kernel_words,
    unknown_operations,
    an_empty_bitset_is_refused,
    a_wake_before_the_wait_is_not_kept,
    the_word_is_compared_in_32_bits,
    private_and_shared_are_different_places,
    ping_pong_of_threads,
    ping_pong_of_processes,
    lock_by_hand,
    waiter_dies,
);

const PRIVATE: i32 = FUTEX_PRIVATE_FLAG;

fn another_value_returns_at_once() {
    let word = AtomicU32::new(5);
    for flag in [0, PRIVATE] {
        fails!(EAGAIN, SYS_futex, &word, FUTEX_WAIT | flag, 4, 0);
        fails!(
            EAGAIN,
            SYS_futex,
            &word,
            FUTEX_WAIT_BITSET | flag,
            4,
            0,
            0,
            1
        );
    }
}

fn timeout_runs_out() {
    let word = AtomicU32::new(5);
    for flag in [0, PRIVATE] {
        let start = monotonic();
        fails!(
            ETIMEDOUT,
            SYS_futex,
            &word,
            FUTEX_WAIT | flag,
            5,
            &timespec(20_000_000)
        );
        assert!(monotonic() - start >= 20_000_000);
    }
}

fn timeout_zero() {
    let word = AtomicU32::new(5);
    fails!(ETIMEDOUT, SYS_futex, &word, FUTEX_WAIT, 5, &timespec(0));
    fails!(EAGAIN, SYS_futex, &word, FUTEX_WAIT, 6, &timespec(0));
}

fn absolute_timeout_of_the_bitset_form() {
    let word = AtomicU32::new(5);
    let goal = monotonic() + 20_000_000;
    fails!(
        ETIMEDOUT,
        SYS_futex,
        &word,
        FUTEX_WAIT_BITSET | PRIVATE,
        5,
        &timespec(goal),
        0,
        u32::MAX
    );
    assert!(monotonic() >= goal);
    fails!(
        ETIMEDOUT,
        SYS_futex,
        &word,
        FUTEX_WAIT_BITSET | PRIVATE,
        5,
        &timespec(1),
        0,
        u32::MAX
    );
}

fn absolute_timeout_on_the_wall_clock() {
    let word = AtomicU32::new(5);
    let goal = clock(CLOCK_REALTIME) + 20_000_000;
    let operation = FUTEX_WAIT_BITSET | PRIVATE | FUTEX_CLOCK_REALTIME;
    fails!(
        ETIMEDOUT,
        SYS_futex,
        &word,
        operation,
        5,
        &timespec(goal),
        0,
        u32::MAX
    );
    assert!(clock(CLOCK_REALTIME) >= goal);
}

fn errors() {
    let word = AtomicU32::new(5);
    fails!(EINVAL, SYS_futex, &word, FUTEX_WAIT, 5, &[0i64, -1]);
    fails!(
        EINVAL,
        SYS_futex,
        &word,
        FUTEX_WAIT,
        5,
        &[0i64, 1_000_000_000]
    );
    fails!(EINVAL, SYS_futex, &word, FUTEX_WAIT, 5, &[-1i64, 0]);
    fails!(EFAULT, SYS_futex, &word, FUTEX_WAIT, 5, bad::<u8>());
}

fn unaligned_words() {
    let words = [0u64; 2];
    for offset in 1..4 {
        let place = words.as_ptr() as usize + offset;
        fails!(EINVAL, SYS_futex, place, FUTEX_WAIT, 0, &timespec(0));
        fails!(EINVAL, SYS_futex, place, FUTEX_WAKE, 1);
    }
}

fn unmapped_words() {
    let page = Mapping::private(PAGE);
    let address = page.address;
    drop(page);
    fails!(EFAULT, SYS_futex, address, FUTEX_WAIT, 0, 0);
    fails!(EFAULT, SYS_futex, address, FUTEX_WAIT | PRIVATE, 0, 0);
    fails!(EFAULT, SYS_futex, 0, FUTEX_WAIT, 0, 0);
    fails!(EFAULT, SYS_futex, address, FUTEX_WAKE, 1);
    let closed = Mapping::new(PAGE, PROT_NONE, MAP_PRIVATE);
    fails!(
        EFAULT,
        SYS_futex,
        closed.address,
        FUTEX_WAIT | PRIVATE,
        0,
        0
    );
}

fn read_only_words() {
    let page = Mapping::new(PAGE, PROT_READ, MAP_PRIVATE);
    fails!(
        ETIMEDOUT,
        SYS_futex,
        page.address,
        FUTEX_WAIT | PRIVATE,
        0,
        &timespec(1000)
    );
    fails!(
        EAGAIN,
        SYS_futex,
        page.address,
        FUTEX_WAIT | PRIVATE,
        1,
        &timespec(1000)
    );
}

fn kernel_words() {
    for address in [
        0xffff_8000_0000_0000usize,
        0xffff_ffff_8000_0000,
        0x7fff_ffff_f000,
        usize::MAX - 3,
    ] {
        fails!(EFAULT, SYS_futex, address, FUTEX_WAIT, 0, 0);
        fails!(EFAULT, SYS_futex, address, FUTEX_WAKE, 1);
        fails!(EFAULT, SYS_futex, address, FUTEX_WAIT | PRIVATE, 0, 0);
    }
}

fn unknown_operations() {
    let word = AtomicU32::new(5);
    fails!(ENOSYS, SYS_futex, &word, 77, 0, 0);
    fails!(
        ENOSYS,
        SYS_futex,
        &word,
        FUTEX_WAKE | FUTEX_CLOCK_REALTIME,
        1,
        0
    );
}

fn an_empty_bitset_is_refused() {
    let word = AtomicU32::new(5);
    fails!(EINVAL, SYS_futex, &word, FUTEX_WAIT_BITSET, 5, 0, 0, 0);
    fails!(EINVAL, SYS_futex, &word, FUTEX_WAKE_BITSET, 1, 0, 0, 0);
}

fn a_wake_before_the_wait_is_not_kept() {
    let word = AtomicU32::new(5);
    gives!(0, SYS_futex, &word, FUTEX_WAKE, 1);
    fails!(
        ETIMEDOUT,
        SYS_futex,
        &word,
        FUTEX_WAIT,
        5,
        &timespec(1_000_000)
    );
}

fn the_word_is_compared_in_32_bits() {
    let word = AtomicU32::new(u32::MAX);
    fails!(
        ETIMEDOUT,
        SYS_futex,
        &word,
        FUTEX_WAIT,
        u64::MAX,
        &timespec(1000)
    );
    fails!(
        ETIMEDOUT,
        SYS_futex,
        &word,
        FUTEX_WAIT,
        0xabcd_0000_ffff_ffffu64,
        &timespec(1000)
    );
}

fn private_and_shared_are_different_places() {
    let word = Shared::<AtomicU32>::new();
    let child = spawn(|| {
        // A private wait is not seen from another process.
        fails!(
            ETIMEDOUT,
            SYS_futex,
            &*word,
            FUTEX_WAIT | PRIVATE,
            0,
            &timespec(30_000_000)
        );
    });
    for _ in 0..50 {
        ok!(SYS_sched_yield);
        gives!(0, SYS_futex, &*word, FUTEX_WAKE, 1);
    }
    child.passes();
}

/// Waits until the word is `turn`, then makes it `next`.
fn pass(word: &AtomicU32, flag: i32, turn: u32, next: u32) {
    loop {
        let now = word.load(Ordering::SeqCst);
        if now == turn {
            break;
        }
        let result = sys!(SYS_futex, word, FUTEX_WAIT | flag, now, 0);
        assert!(matches!(result, Ok(0) | Err(EAGAIN)), "{result:?}");
    }
    word.store(next, Ordering::SeqCst);
    ok!(SYS_futex, word, FUTEX_WAKE | flag, 1);
}

fn ping_pong_of_threads() {
    let word = AtomicU32::new(0);
    std::thread::scope(|s| {
        s.spawn(|| (0..2000).for_each(|_| pass(&word, PRIVATE, 1, 0)));
        (0..2000).for_each(|_| pass(&word, PRIVATE, 0, 1));
    });
}

fn ping_pong_of_processes() {
    let word = Shared::<AtomicU32>::new();
    let child = spawn(|| (0..1000).for_each(|_| pass(&word, 0, 1, 0)));
    (0..1000).for_each(|_| pass(&word, 0, 0, 1));
    child.passes();
}

/// The classic three-state lock over processes: no increment may be lost.
fn lock_by_hand() {
    struct Both {
        lock: AtomicU32,
        value: AtomicU32,
    }
    let shared = Shared::<Both>::new();
    let children: Vec<_> = (0..4)
        .map(|_| {
            spawn(|| {
                for _ in 0..500 {
                    if shared
                        .lock
                        .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
                        .is_err()
                    {
                        while shared.lock.swap(2, Ordering::SeqCst) != 0 {
                            let _ = sys!(SYS_futex, &shared.lock, FUTEX_WAIT, 2, 0);
                        }
                    }
                    let value = shared.value.load(Ordering::Relaxed);
                    ok!(SYS_sched_yield);
                    shared.value.store(value + 1, Ordering::Relaxed);
                    if shared.lock.swap(0, Ordering::SeqCst) == 2 {
                        ok!(SYS_futex, &shared.lock, FUTEX_WAKE, 1);
                    }
                }
            })
        })
        .collect();
    children.into_iter().for_each(|c| c.passes());
    assert_eq!(shared.value.load(Ordering::SeqCst), 2000);
}

/// A dead waiter is out of the queue: the wake goes to the living one.
fn waiter_dies() {
    let word = Shared::<AtomicU32>::new();
    let doomed = test_programs::child::fork(|| {
        let _ = sys!(SYS_futex, &*word, FUTEX_WAIT, 0, 0);
        0
    });
    ok!(SYS_sched_yield);
    doomed.signal(SIGKILL);
    doomed.wait();
    let living = spawn(|| {
        gives!(0, SYS_futex, &*word, FUTEX_WAIT, 0, 0);
    });
    test_programs::child::until(|| ok!(SYS_futex, &*word, FUTEX_WAKE, 1) == 1);
    living.passes();
}
