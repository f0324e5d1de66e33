//! Locks whose owner inherits: FUTEX_LOCK_PI, LOCK_PI2, TRYLOCK_PI, UNLOCK_PI.

use super::lock::{DIED, Page, WAITERS, Waiting, asleep, become_fifo, lock, priority, unlock};
use libc::{
    CLOCK_REALTIME, FUTEX_CLOCK_REALTIME, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_PRIVATE_FLAG,
    FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAKE, MAP_PRIVATE, PROT_READ, SIGKILL,
};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use test_programs::child::{spawn, until};
use test_programs::memory::{Mapping, PAGE, Shared};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    a_free_word_gets_the_number_of_its_owner,
    the_owner_would_wait_for_itself,
    only_the_owner_unlocks,
    nobody_has_that_number,
    trying_does_not_wait,
    a_word_with_bits_and_no_owner_is_taken,
    unlocking_hands_over,
    the_highest_waiter_is_next,
    another_priority_is_another_place,
    the_owner_inherits,
    what_is_inherited_goes_along_a_chain,
    cycles_are_refused,
    threads_of_one_process,
    in_any_order_with_timeouts,
    timeouts,
    wrong_timeouts,
    a_signal_does_not_end_the_wait,
    a_killed_waiter_is_out,
    words_that_do_not_fit_are_refused,
    waits_of_both_kinds_do_not_mix,
    wrong_words,
);

const PRIVATE: i32 = FUTEX_PRIVATE_FLAG;

fn a_free_word_gets_the_number_of_its_owner() {
    let word = AtomicU32::new(0);
    for flag in [0, PRIVATE] {
        for operation in [FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI] {
            gives!(0, SYS_futex, &word, operation | flag, 77, 0);
            assert_eq!(word.load(SeqCst), pid() as u32);
            gives!(0, SYS_futex, &word, FUTEX_UNLOCK_PI | flag, 0, 0);
            assert_eq!(word.load(SeqCst), 0);
        }
    }
}

fn the_owner_would_wait_for_itself() {
    let word = AtomicU32::new(pid() as u32);
    for bits in [0, WAITERS, DIED, WAITERS | DIED] {
        word.store(pid() as u32 | bits, SeqCst);
        for operation in [FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI] {
            fails!(EDEADLK, SYS_futex, &word, operation, 0, 0);
        }
        assert_eq!(word.load(SeqCst), pid() as u32 | bits);
    }
}

fn only_the_owner_unlocks() {
    let word = AtomicU32::new(0);
    for other in [0, 1, WAITERS, pid() as u32 + 1] {
        word.store(other, SeqCst);
        fails!(EPERM, SYS_futex, &word, FUTEX_UNLOCK_PI, 0, 0);
        assert_eq!(word.load(SeqCst), other);
    }
    // Both bits go with the lock.
    word.store(pid() as u32 | WAITERS | DIED, SeqCst);
    unlock(&word);
    assert_eq!(word.load(SeqCst), 0);
}

fn nobody_has_that_number() {
    let word = AtomicU32::new(0);
    for operation in [FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI] {
        word.store(0x3fff_fff0, SeqCst);
        fails!(ESRCH, SYS_futex, &word, operation, 0, 0);
        assert_eq!(word.load(SeqCst), 0x3fff_fff0 | WAITERS);
    }
    // One who has ended and was not waited for yet.
    let child = spawn(|| {});
    until(|| super::lock::state(child.pid) == 'Z');
    word.store(child.pid as u32, SeqCst);
    fails!(ESRCH, SYS_futex, &word, FUTEX_LOCK_PI, 0, 0);
    child.passes();
}

fn trying_does_not_wait() {
    let page = Shared::<Page>::new();
    lock(&page.a);
    spawn(|| {
        let owner = page.a.load(SeqCst);
        fails!(EAGAIN, SYS_futex, &page.a, FUTEX_TRYLOCK_PI, 0, 0);
        // The owner shall come to the kernel.
        assert_eq!(page.a.load(SeqCst), owner | WAITERS);
        fails!(EAGAIN, SYS_futex, &page.a, FUTEX_TRYLOCK_PI, 0, 0);
        // A timeout has no meaning.
        fails!(EAGAIN, SYS_futex, &page.a, FUTEX_TRYLOCK_PI, 0, bad::<u8>());
    })
    .passes();
    unlock(&page.a);
    assert_eq!(page.a.load(SeqCst), 0);
}

fn a_word_with_bits_and_no_owner_is_taken() {
    let word = AtomicU32::new(0);
    for (before, after) in [(WAITERS, 0), (DIED, DIED), (WAITERS | DIED, DIED)] {
        word.store(before, SeqCst);
        lock(&word);
        assert_eq!(word.load(SeqCst), pid() as u32 | after);
        unlock(&word);
        assert_eq!(word.load(SeqCst), 0);
    }
}

fn unlocking_hands_over() {
    let page = Shared::<Page>::new();
    lock(&page.a);
    let child = Waiting::new(0, || {
        lock(&page.a);
        page.note(1);
        assert_eq!(page.a.load(SeqCst), pid() as u32 | WAITERS);
        unlock(&page.a);
        assert_eq!(page.a.load(SeqCst), 0);
    });
    assert_eq!(page.a.load(SeqCst), pid() as u32 | WAITERS);
    assert!(page.seen().is_empty());
    unlock(&page.a);
    // It was the child's before this call returned.
    assert_ne!(page.a.load(SeqCst) & !WAITERS, pid() as u32);
    child.passes();
    assert_eq!(page.seen(), [1]);
}

/// Children of these priorities wait, in this order, for a lock; who has it notes its number.
fn order_of(priorities: &[i32], before_unlock: impl FnOnce(&[Waiting])) -> Vec<u32> {
    let page = Shared::<Page>::new();
    lock(&page.a);
    let children: Vec<_> = (1..)
        .zip(priorities)
        .map(|(who, priority)| {
            Waiting::new(*priority, || {
                lock(&page.a);
                page.note(who);
                unlock(&page.a);
            })
        })
        .collect();
    before_unlock(&children);
    unlock(&page.a);
    children.into_iter().for_each(Waiting::passes);
    page.seen()
}

fn the_highest_waiter_is_next() {
    assert_eq!(order_of(&[0, 0, 0, 0], |_| ()), [1, 2, 3, 4]);
    assert_eq!(order_of(&[10, 30, 0, 20, 40], |_| ()), [5, 2, 4, 1, 3]);
    assert_eq!(order_of(&[7, 9, 7, 9], |_| ()), [2, 4, 1, 3]);
}

fn another_priority_is_another_place() {
    let order = order_of(&[10, 20, 30], |children| {
        gives!(0, SYS_sched_setparam, children[0].pid, &25i32);
        gives!(0, SYS_sched_setparam, children[2].pid, &5i32);
    });
    assert_eq!(order, [1, 2, 3]);
    let order = order_of(&[0, 0, 0], |children| {
        gives!(0, SYS_sched_setscheduler, children[2].pid, 1, &1i32);
    });
    assert_eq!(order, [3, 1, 2]);
}

fn the_owner_inherits() {
    let page = Shared::<Page>::new();
    let me = pid();
    let own = priority(me);
    lock(&page.a);
    lock(&page.b);
    let low = Waiting::new(10, || {
        lock(&page.a);
        unlock(&page.a);
    });
    assert_eq!(priority(me), -11);
    let high = Waiting::new(30, || {
        lock(&page.b);
        unlock(&page.b);
    });
    assert_eq!(priority(me), -31);
    // What was asked for is something else.
    gives!(0, SYS_sched_getscheduler, 0);
    gives!(0, SYS_sched_setparam, low.pid, &40i32);
    assert_eq!(priority(me), -41);
    gives!(0, SYS_sched_setparam, low.pid, &20i32);
    assert_eq!(priority(me), -31);
    unlock(&page.b);
    assert_eq!(priority(me), -21);
    unlock(&page.a);
    assert_eq!(priority(me), own);
    low.passes();
    high.passes();
    // Who is higher inherits nothing.
    become_fifo(50);
    lock(&page.a);
    let low = Waiting::new(10, || lock(&page.a));
    assert_eq!(priority(me), -51);
    unlock(&page.a);
    low.passes();
}

fn what_is_inherited_goes_along_a_chain() {
    let page = Shared::<Page>::new();
    let me = pid();
    let own = priority(me);
    lock(&page.a);
    let middle = Waiting::new(5, || {
        lock(&page.b);
        lock(&page.a);
        unlock(&page.b);
        unlock(&page.a);
    });
    let third = Waiting::new(6, || {
        lock(&page.c);
        lock(&page.b);
        unlock(&page.c);
        unlock(&page.b);
    });
    assert_eq!((priority(me), priority(middle.pid)), (-7, -7));
    let last = Waiting::new(40, || {
        lock(&page.c);
        unlock(&page.c);
    });
    let chain = || [me, middle.pid, third.pid].map(priority);
    assert_eq!(chain(), [-41; 3]);
    gives!(0, SYS_sched_setparam, last.pid, &50i32);
    assert_eq!(chain(), [-51; 3]);
    // Without the last one each is as high as the one behind it.
    last.child.signal(SIGKILL);
    last.child.wait();
    until(|| chain() == [-7, -7, -7]);
    unlock(&page.a);
    assert_eq!(priority(me), own);
    middle.passes();
    third.passes();
}

fn cycles_are_refused() {
    let page = Shared::<Page>::new();
    lock(&page.a);
    let second = Waiting::new(0, || {
        lock(&page.b);
        lock(&page.a);
        unlock(&page.a);
        unlock(&page.b);
    });
    fails!(EDEADLK, SYS_futex, &page.b, FUTEX_LOCK_PI, 0, 0);
    fails!(EDEADLK, SYS_futex, &page.b, FUTEX_LOCK_PI2, 0, &timespec(1));
    // Trying is no waiting.
    fails!(EAGAIN, SYS_futex, &page.b, FUTEX_TRYLOCK_PI, 0, 0);
    let third = Waiting::new(0, || {
        lock(&page.c);
        lock(&page.b);
        unlock(&page.b);
        unlock(&page.c);
    });
    fails!(EDEADLK, SYS_futex, &page.c, FUTEX_LOCK_PI, 0, 0);
    unlock(&page.a);
    second.passes();
    third.passes();
    for word in [&page.a, &page.b, &page.c] {
        assert_eq!(word.load(SeqCst), 0);
    }
}

/// No increment is lost, and the word is free at the end.
fn threads_of_one_process() {
    const PRIVATE_LOCK: i32 = FUTEX_LOCK_PI | PRIVATE;
    const PRIVATE_UNLOCK: i32 = FUTEX_UNLOCK_PI | PRIVATE;
    let (word, value) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let me = ok!(SYS_gettid) as u32;
                for _ in 0..500 {
                    if word.compare_exchange(0, me, SeqCst, SeqCst).is_err() {
                        gives!(0, SYS_futex, &word, PRIVATE_LOCK, 0, 0);
                    }
                    let seen = value.load(SeqCst);
                    ok!(SYS_sched_yield);
                    value.store(seen + 1, SeqCst);
                    if word.compare_exchange(me, 0, SeqCst, SeqCst).is_err() {
                        gives!(0, SYS_futex, &word, PRIVATE_UNLOCK, 0, 0);
                    }
                }
            });
        }
    });
    assert_eq!((value.load(SeqCst), word.load(SeqCst)), (2000, 0));
}

/// Pairs of locks, taken in any order, given up when there is a cycle or the time is over: they keep others out, and
/// are free at the end.
fn in_any_order_with_timeouts() {
    let page = Shared::<Page>::new();
    let inside = Shared::<[AtomicU32; 3]>::new();
    let words = [&page.a, &page.b, &page.c];
    let take = |at: usize| {
        let soon = timespec(monotonic() + 2_000_000);
        match sys!(SYS_futex, words[at], FUTEX_LOCK_PI2, 0, &soon) {
            Ok(0) => {
                assert_eq!(inside[at].fetch_add(1, SeqCst), 0);
                true
            }
            Err(libc::EDEADLK | libc::ETIMEDOUT) => false,
            other => panic!("{other:?}"),
        }
    };
    let give = |at: usize| {
        inside[at].fetch_sub(1, SeqCst);
        unlock(words[at]);
    };
    let children = [1u32, 2, 3, 4].map(|who| {
        spawn(move || {
            if who > 2 {
                become_fifo(who as i32);
            }
            let mut random = who;
            for _ in 0..300 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let first = (random >> 16) as usize % 3;
                let second = (first + 1 + (random >> 24) as usize % 2) % 3;
                if take(first) {
                    ok!(SYS_sched_yield);
                    if take(second) {
                        give(second);
                    }
                    give(first);
                }
            }
        })
    });
    children.into_iter().for_each(|child| child.passes());
    assert_eq!(words.map(|word| word.load(SeqCst)), [0; 3]);
}

fn timeouts() {
    let page = Shared::<Page>::new();
    lock(&page.a);
    spawn(|| {
        // Long past, but the lock is tried first.
        lock(&page.b);
        unlock(&page.b);
        gives!(0, SYS_futex, &page.b, FUTEX_LOCK_PI, 0, &timespec(1));
        for (operation, clock_id) in [
            (FUTEX_LOCK_PI, CLOCK_REALTIME),
            (FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, CLOCK_REALTIME),
            (FUTEX_LOCK_PI2, libc::CLOCK_MONOTONIC),
        ] {
            fails!(ETIMEDOUT, SYS_futex, &page.a, operation, 0, &timespec(1));
            let goal = clock(clock_id) + 20_000_000;
            fails!(ETIMEDOUT, SYS_futex, &page.a, operation, 0, &timespec(goal));
            assert!(clock(clock_id) >= goal);
        }
    })
    .passes();
    assert_eq!(page.a.load(SeqCst), pid() as u32 | WAITERS);
    unlock(&page.a);
    assert_eq!(page.a.load(SeqCst), 0);
}

fn wrong_timeouts() {
    let word = AtomicU32::new(0);
    for operation in [FUTEX_LOCK_PI, FUTEX_LOCK_PI2] {
        fails!(EINVAL, SYS_futex, &word, operation, 0, &[0i64, -1]);
        fails!(
            EINVAL,
            SYS_futex,
            &word,
            operation,
            0,
            &[0i64, 1_000_000_000]
        );
        fails!(EINVAL, SYS_futex, &word, operation, 0, &[-1i64, 0]);
        fails!(EFAULT, SYS_futex, &word, operation, 0, bad::<u8>());
    }
    for operation in [FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI] {
        let operation = operation | FUTEX_CLOCK_REALTIME;
        fails!(ENOSYS, SYS_futex, &word, operation, 0, 0);
    }
    assert_eq!(word.load(SeqCst), 0);
}

static PIPE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn tell(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let _ = sys!(SYS_write, PIPE.load(SeqCst), c"!".as_ptr(), 1);
}

fn a_signal_does_not_end_the_wait() {
    let page = Shared::<Page>::new();
    let (reader, writer) = pipe();
    PIPE.store(writer, SeqCst);
    lock(&page.a);
    let child = Waiting::new(0, || {
        // Without SA_RESTART: this call always goes on.
        test_programs::signal::handle(libc::SIGUSR1, tell, 0);
        gives!(0, SYS_futex, &page.a, FUTEX_LOCK_PI, 0, 0);
        unlock(&page.a);
    });
    for _ in 0..3 {
        child.child.signal(libc::SIGUSR1);
        assert_eq!(read(reader, 1), b"!");
    }
    until(|| asleep(child.pid));
    unlock(&page.a);
    child.passes();
}

fn a_killed_waiter_is_out() {
    let page = Shared::<Page>::new();
    let own = priority(pid());
    lock(&page.a);
    let killed = Waiting::new(20, || lock(&page.a));
    let stays = Waiting::new(10, || {
        lock(&page.a);
        unlock(&page.a);
    });
    assert_eq!(priority(pid()), -21);
    killed.child.signal(SIGKILL);
    killed.child.wait();
    assert_eq!(priority(pid()), -11);
    unlock(&page.a);
    assert_eq!(priority(pid()), own);
    stays.passes();
    assert_eq!(page.a.load(SeqCst), 0);
}

/// What the kernel knows of a lock that is waited for, and what the word says.
fn words_that_do_not_fit_are_refused() {
    let page = Shared::<Page>::new();
    lock(&page.a);
    let child = Waiting::new(0, || {
        lock(&page.a);
        unlock(&page.a);
    });
    let right = page.a.load(SeqCst);
    let other = spawn(|| {
        for wrong in [0, WAITERS, 1, WAITERS | 1] {
            page.a.store(wrong, SeqCst);
            fails!(EINVAL, SYS_futex, &page.a, FUTEX_LOCK_PI, 0, 0);
            fails!(EINVAL, SYS_futex, &page.a, FUTEX_TRYLOCK_PI, 0, 0);
            assert_eq!(page.a.load(SeqCst), wrong);
        }
        page.a.store(pid() as u32, SeqCst);
        fails!(EINVAL, SYS_futex, &page.a, FUTEX_UNLOCK_PI, 0, 0);
        page.a.store(right, SeqCst);
        fails!(EAGAIN, SYS_futex, &page.a, FUTEX_TRYLOCK_PI, 0, 0);
    });
    other.passes();
    unlock(&page.a);
    child.passes();
}

fn waits_of_both_kinds_do_not_mix() {
    let page = Shared::<Page>::new();
    let me = pid() as u32;
    page.a.store(me | WAITERS, SeqCst);
    let plain = Waiting::new(0, || {
        let _ = sys!(SYS_futex, &page.a, FUTEX_WAIT, me | WAITERS, 0);
    });
    fails!(EINVAL, SYS_futex, &page.a, FUTEX_UNLOCK_PI, 0, 0);
    spawn(|| {
        fails!(EINVAL, SYS_futex, &page.a, FUTEX_LOCK_PI, 0, 0);
        fails!(EINVAL, SYS_futex, &page.a, FUTEX_TRYLOCK_PI, 0, 0);
    })
    .passes();
    gives!(1, SYS_futex, &page.a, FUTEX_WAKE, 1);
    plain.passes();

    let child = Waiting::new(0, || {
        lock(&page.a);
        unlock(&page.a);
    });
    fails!(EINVAL, SYS_futex, &page.a, FUTEX_WAKE, 1);
    fails!(
        EINVAL,
        SYS_futex,
        &page.a,
        libc::FUTEX_WAKE_BITSET,
        1,
        0,
        0,
        1
    );
    fails!(
        EINVAL,
        SYS_futex,
        &page.a,
        libc::FUTEX_REQUEUE,
        1,
        1,
        &page.b
    );
    let value = page.a.load(SeqCst);
    fails!(
        EINVAL,
        SYS_futex,
        &page.a,
        libc::FUTEX_CMP_REQUEUE,
        1,
        1,
        &page.b,
        value
    );
    fails!(
        EINVAL,
        SYS_futex,
        &page.a,
        libc::FUTEX_WAKE_OP,
        1,
        1,
        &page.b,
        0
    );
    unlock(&page.a);
    child.passes();
}

fn wrong_words() {
    let words = [0u64; 2];
    for offset in 1..4 {
        let place = words.as_ptr() as usize + offset;
        for operation in [FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI] {
            fails!(EINVAL, SYS_futex, place, operation, 0, 0);
        }
        fails!(EPERM, SYS_futex, place, FUTEX_UNLOCK_PI, 0, 0);
    }
    let read_only = Mapping::new(PAGE, PROT_READ, MAP_PRIVATE);
    let gone = Mapping::private(PAGE);
    let address = gone.address;
    drop(gone);
    for flag in [0, PRIVATE] {
        for operation in [FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_TRYLOCK_PI] {
            fails!(EFAULT, SYS_futex, read_only.address, operation | flag, 0, 0);
            fails!(EFAULT, SYS_futex, address, operation | flag, 0, 0);
            fails!(EFAULT, SYS_futex, 0, operation | flag, 0, 0);
            fails!(EFAULT, SYS_futex, usize::MAX - 3, operation | flag, 0, 0);
        }
        fails!(
            EPERM,
            SYS_futex,
            read_only.address,
            FUTEX_UNLOCK_PI | flag,
            0,
            0
        );
        fails!(EFAULT, SYS_futex, address, FUTEX_UNLOCK_PI | flag, 0, 0);
    }
    read_only.protect(0, PAGE, PROT_READ | libc::PROT_WRITE);
    // SAFETY: the mapping lives on, and nobody else looks at it.
    let word = unsafe { AtomicU32::from_ptr(read_only.address as *mut u32) };
    lock(word);
    read_only.protect(0, PAGE, PROT_READ);
    fails!(EFAULT, SYS_futex, word, FUTEX_UNLOCK_PI, 0, 0);
}
