//! FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: from a word to a lock whose owner inherits.

use super::lock::{DIED, Page, WAITERS, Waiting, asleep, lock, priority, unlock};
use libc::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_CMP_REQUEUE_PI,
    FUTEX_LOCK_PI, FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_UNLOCK_PI, FUTEX_WAIT,
    FUTEX_WAIT_REQUEUE_PI, FUTEX_WAKE, FUTEX_WAKE_OP, SIGKILL, SIGUSR1,
};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use test_programs::child::{spawn, until};
use test_programs::memory::{PAGE, Shared, file_page};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    nobody_waits,
    a_free_lock_goes_to_the_first,
    a_held_lock_is_waited_for,
    no_more_than_asked_for,
    the_owner_inherits,
    what_is_refused,
    two_names_of_one_place,
    another_value,
    timeouts,
    another_lock_than_the_one_that_was_named,
    waits_of_both_kinds_do_not_mix,
    who_owns_the_lock_cannot_wait_for_it,
    cycles_are_refused,
    a_signal_before_the_move,
    a_signal_after_the_move,
    a_timeout_after_the_move,
    the_owner_dies,
    a_killed_waiter_is_out,
    a_condition_of_threads,
);

/// Waits at `a` to own `b`.
fn wait(page: &Page) {
    gives!(0, SYS_futex, &page.a, FUTEX_WAIT_REQUEUE_PI, 0, 0, &page.b);
}

/// The same, which does not come to waiting, or ends before it owns `b`.
fn does_not_wait(page: &Page) {
    let (a, b) = (&page.a, &page.b);
    fails!(EAGAIN, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, 0, b);
}

/// Moves one and `more`; `a` is 0.
fn requeue(page: &Page, more: i32) -> Result<usize, i32> {
    sys!(
        SYS_futex,
        &page.a,
        FUTEX_CMP_REQUEUE_PI,
        1,
        more,
        &page.b,
        0
    )
}

/// Children of these priorities wait at `a` to own `b`. Who has it notes its number.
fn waiters<'a>(page: &'a Shared<Page>, priorities: &'a [i32]) -> Vec<Waiting> {
    (1..)
        .zip(priorities)
        .map(|(who, priority)| {
            Waiting::new(*priority, || {
                wait(page);
                assert_eq!(page.b.load(SeqCst) & !WAITERS, pid() as u32);
                page.note(who);
                unlock(&page.b);
            })
        })
        .collect()
}

fn nobody_waits() {
    let page = Shared::<Page>::new();
    assert_eq!(requeue(&page, 5), Ok(0));
    page.b.store(0x3fff_fff0, SeqCst);
    assert_eq!(requeue(&page, 5), Ok(0));
    assert_eq!(page.b.load(SeqCst), 0x3fff_fff0);
}

fn a_free_lock_goes_to_the_first() {
    for more in [0, 1, i32::MAX] {
        let page = Shared::<Page>::new();
        let child = waiters(&page, &[0]);
        assert_eq!(requeue(&page, more), Ok(1));
        child.into_iter().for_each(Waiting::passes);
        assert_eq!(page.b.load(SeqCst), 0);
    }
    // Those after it have it one after the other.
    let page = Shared::<Page>::new();
    let children = waiters(&page, &[0, 20, 10]);
    assert_eq!(requeue(&page, i32::MAX), Ok(3));
    children.into_iter().for_each(Waiting::passes);
    assert_eq!(page.seen(), [2, 3, 1]);
    assert_eq!(page.b.load(SeqCst), 0);
    // A dead owner's mark stays, for whoever has it next.
    page.b.store(DIED, SeqCst);
    let child = Waiting::new(0, || {
        wait(&page);
        assert_eq!(page.b.load(SeqCst), pid() as u32 | DIED);
    });
    assert_eq!(requeue(&page, 0), Ok(1));
    child.passes();
}

fn a_held_lock_is_waited_for() {
    let page = Shared::<Page>::new();
    lock(&page.b);
    let children = waiters(&page, &[5, 0, 15]);
    assert_eq!(requeue(&page, i32::MAX), Ok(3));
    assert_eq!(page.b.load(SeqCst), pid() as u32 | WAITERS);
    assert_eq!(requeue(&page, i32::MAX), Ok(0));
    assert!(page.seen().is_empty());
    unlock(&page.b);
    children.into_iter().for_each(Waiting::passes);
    assert_eq!(page.seen(), [3, 1, 2]);
    assert_eq!(page.b.load(SeqCst), 0);
}

fn no_more_than_asked_for() {
    let page = Shared::<Page>::new();
    lock(&page.b);
    let children = waiters(&page, &[0; 6]);
    assert_eq!(requeue(&page, 0), Ok(1));
    assert_eq!(requeue(&page, 2), Ok(3));
    unlock(&page.b);
    until(|| page.seen().len() == 4 && page.b.load(SeqCst) == 0);
    // The lock is free now.
    assert_eq!(requeue(&page, 0), Ok(1));
    until(|| page.seen().len() == 5 && page.b.load(SeqCst) == 0);
    assert_eq!(requeue(&page, 7), Ok(1));
    children.into_iter().for_each(Waiting::passes);
}

fn the_owner_inherits() {
    let page = Shared::<Page>::new();
    let own = priority(pid());
    lock(&page.b);
    let children = waiters(&page, &[40, 30]);
    // Who waits for a word lends nothing.
    assert_eq!(priority(pid()), own);
    assert_eq!(requeue(&page, 0), Ok(1));
    assert_eq!(priority(pid()), -41);
    assert_eq!(requeue(&page, 0), Ok(1));
    gives!(0, SYS_sched_setparam, children[0].pid, &20i32);
    assert_eq!(priority(pid()), -31);
    unlock(&page.b);
    assert_eq!(priority(pid()), own);
    children.into_iter().for_each(Waiting::passes);
}

fn what_is_refused() {
    let page = Shared::<Page>::new();
    let (a, b) = (&page.a, &page.b);
    for (wake, more) in [(0, 1), (2, 1), (-1, 1), (1, -1), (i32::MAX, 0)] {
        fails!(EINVAL, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, wake, more, b, 0);
    }
    fails!(EINVAL, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 1, a, 0);
    fails!(EINVAL, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, 0, a);
    let odd = std::ptr::from_ref(b).addr() + 1;
    fails!(EINVAL, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 1, odd, 0);
    fails!(EINVAL, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, 0, odd);
    fails!(EINVAL, SYS_futex, odd, FUTEX_WAIT_REQUEUE_PI, 0, 0, a);
    let none = bad::<u32>();
    fails!(EFAULT, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 1, none, 0);
    fails!(EFAULT, SYS_futex, none, FUTEX_CMP_REQUEUE_PI, 1, 1, a, 0);
    fails!(EFAULT, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, 0, none);
    fails!(EFAULT, SYS_futex, none, FUTEX_WAIT_REQUEUE_PI, 0, 0, a);
    let real = FUTEX_CMP_REQUEUE_PI | FUTEX_CLOCK_REALTIME;
    fails!(ENOSYS, SYS_futex, a, real, 1, 1, b, 0);
    let wrong = [0i64, 1_000_000_000];
    fails!(EINVAL, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, &wrong, b);
    fails!(EFAULT, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, none, b);
}

fn two_names_of_one_place() {
    let fd = file_with(c"page", &[0; PAGE]);
    let (one, two) = (file_page(fd, 0), file_page(fd, 0));
    fails!(EINVAL, SYS_futex, one, FUTEX_CMP_REQUEUE_PI, 1, 1, two, 0);
    fails!(EINVAL, SYS_futex, one, FUTEX_WAIT_REQUEUE_PI, 0, 0, two);
    // By address and process they are two.
    let private = FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG;
    gives!(0, SYS_futex, one, private, 1, 1, two, 0);
}

fn another_value() {
    let page = Shared::<Page>::new();
    let (a, b) = (&page.a, &page.b);
    fails!(EAGAIN, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 1, 0, b);
    fails!(EAGAIN, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 1, b, 1);
}

fn timeouts() {
    let page = Shared::<Page>::new();
    let (a, b) = (&page.a, &page.b);
    for (flag, clock_id) in [(0, CLOCK_MONOTONIC), (FUTEX_CLOCK_REALTIME, CLOCK_REALTIME)] {
        let operation = FUTEX_WAIT_REQUEUE_PI | flag;
        fails!(ETIMEDOUT, SYS_futex, a, operation, 0, &timespec(1), b);
        let goal = clock(clock_id) + 20_000_000;
        fails!(ETIMEDOUT, SYS_futex, a, operation, 0, &timespec(goal), b);
        assert!(clock(clock_id) >= goal);
    }
    // Nothing is left of them.
    assert_eq!(requeue(&page, 9), Ok(0));
    assert_eq!(b.load(SeqCst), 0);
}

fn another_lock_than_the_one_that_was_named() {
    let page = Shared::<Page>::new();
    let (a, c) = (&page.a, &page.c);
    let children = waiters(&page, &[0, 0]);
    fails!(EINVAL, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 1, c, 0);
    assert_eq!(c.load(SeqCst), 0);
    assert_eq!(requeue(&page, 9), Ok(2));
    children.into_iter().for_each(Waiting::passes);
    // The second one named another: the first has been moved by then.
    let first = waiters(&page, &[0]);
    let second = Waiting::new(0, || {
        gives!(0, SYS_futex, a, FUTEX_WAIT_REQUEUE_PI, 0, 0, c);
    });
    assert_eq!(requeue(&page, 9), Err(libc::EINVAL));
    first.into_iter().for_each(Waiting::passes);
    gives!(1, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 9, c, 0);
    second.passes();
}

fn waits_of_both_kinds_do_not_mix() {
    let page = Shared::<Page>::new();
    let (a, b) = (&page.a, &page.b);
    let plain = Waiting::new(0, || {
        gives!(0, SYS_futex, a, FUTEX_WAIT, 0, 0);
    });
    assert_eq!(requeue(&page, 1), Err(libc::EINVAL));
    gives!(1, SYS_futex, a, FUTEX_WAKE, 1);
    plain.passes();
    let children = waiters(&page, &[0]);
    fails!(EINVAL, SYS_futex, a, FUTEX_WAKE, 1);
    fails!(EINVAL, SYS_futex, a, FUTEX_REQUEUE, 1, 1, b);
    fails!(EINVAL, SYS_futex, a, FUTEX_CMP_REQUEUE, 0, 1, b, 0);
    fails!(EINVAL, SYS_futex, a, FUTEX_WAKE_OP, 1, 1, &page.c, 0);
    // A lock cannot be had where somebody waits for a word.
    fails!(EINVAL, SYS_futex, a, FUTEX_LOCK_PI, 0, 0);
    assert_eq!(requeue(&page, 1), Ok(1));
    children.into_iter().for_each(Waiting::passes);
    // Nor is one who waits for a lock moved to another.
    lock(a);
    let value = a.load(SeqCst) | WAITERS;
    let waiter = Waiting::new(0, || {
        lock(a);
        unlock(a);
    });
    fails!(EINVAL, SYS_futex, a, FUTEX_CMP_REQUEUE_PI, 1, 1, b, value);
    unlock(a);
    waiter.passes();
}

fn who_owns_the_lock_cannot_wait_for_it() {
    let page = Shared::<Page>::new();
    let child = Waiting::new(0, || {
        lock(&page.b);
        wait(&page);
    });
    assert_eq!(requeue(&page, 1), Err(libc::EDEADLK));
    assert_eq!(page.b.load(SeqCst), child.pid as u32);
    assert!(asleep(child.pid));
    child.child.signal(SIGKILL);
    child.child.wait();
}

fn cycles_are_refused() {
    let page = Shared::<Page>::new();
    lock(&page.b);
    let child = Waiting::new(0, || {
        lock(&page.c);
        wait(&page);
        unlock(&page.b);
        unlock(&page.c);
    });
    // It owns `c`, for which the owner of `b` waits.
    let mover = spawn(|| {
        until(|| page.c.load(SeqCst) & WAITERS != 0);
        assert_eq!(requeue(&page, 1), Err(libc::EDEADLK));
        // It waits where it was.
        assert!(asleep(child.pid));
        child.signal(SIGKILL);
    });
    lock(&page.c);
    assert_eq!(page.c.load(SeqCst), pid() as u32 | WAITERS | DIED);
    mover.passes();
    child.child.wait();
    assert_eq!(page.b.load(SeqCst), pid() as u32 | WAITERS);
    unlock(&page.b);
}

static PIPE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn tell(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let _ = sys!(SYS_write, PIPE.load(SeqCst), c"!".as_ptr(), 1);
}

/// A child with a handler that tells; the end to read from.
fn with_handler(page: &Shared<Page>, life: impl FnOnce()) -> (Waiting, usize) {
    let (reader, writer) = pipe();
    PIPE.store(writer, SeqCst);
    let child = Waiting::new(10, || {
        test_programs::signal::handle(SIGUSR1, tell, 0);
        life();
        page.note(1);
    });
    (child, reader)
}

fn a_signal_before_the_move() {
    let page = Shared::<Page>::new();
    // The call is made again, whatever the handler was set with.
    let (child, told) = with_handler(&page, || {
        wait(&page);
        unlock(&page.b);
    });
    for _ in 0..3 {
        child.signal(SIGUSR1);
        assert_eq!(read(told, 1), b"!");
    }
    until(|| asleep(child.pid));
    assert_eq!(requeue(&page, 0), Ok(1));
    child.passes();
    // And finds another value.
    let (child, told) = with_handler(&page, || {
        does_not_wait(&page);
    });
    page.a.store(1, SeqCst);
    child.signal(SIGUSR1);
    assert_eq!(read(told, 1), b"!");
    child.passes();
}

fn a_signal_after_the_move() {
    let page = Shared::<Page>::new();
    let own = priority(pid());
    lock(&page.b);
    let (child, told) = with_handler(&page, || {
        does_not_wait(&page);
    });
    assert_eq!(requeue(&page, 0), Ok(1));
    assert_eq!(priority(pid()), -11);
    child.signal(SIGUSR1);
    assert_eq!(read(told, 1), b"!");
    child.passes();
    assert_eq!(priority(pid()), own);
    unlock(&page.b);
    assert_eq!(page.b.load(SeqCst), 0);
}

fn a_timeout_after_the_move() {
    let page = Shared::<Page>::new();
    let own = priority(pid());
    lock(&page.b);
    let child = Waiting::new(10, || {
        let goal = timespec(monotonic() + 300_000_000);
        fails!(
            ETIMEDOUT,
            SYS_futex,
            &page.a,
            FUTEX_WAIT_REQUEUE_PI,
            0,
            &goal,
            &page.b
        );
    });
    // Before its time is over, or after that: then there is nobody to move.
    assert!(requeue(&page, 0).is_ok_and(|moved| moved <= 1));
    child.passes();
    assert_eq!(priority(pid()), own);
    unlock(&page.b);
    assert_eq!(page.b.load(SeqCst), 0);
}

fn the_owner_dies() {
    let page = Shared::<Page>::new();
    let owner = Waiting::new(0, || {
        lock(&page.b);
        gives!(0, SYS_futex, &page.c, FUTEX_WAIT, 0, 0);
    });
    let child = Waiting::new(0, || {
        wait(&page);
        assert_eq!(page.b.load(SeqCst), pid() as u32 | WAITERS | DIED);
        unlock(&page.b);
    });
    assert_eq!(requeue(&page, 0), Ok(1));
    owner.child.signal(SIGKILL);
    owner.child.wait();
    child.passes();
    assert_eq!(page.b.load(SeqCst), 0);
}

fn a_killed_waiter_is_out() {
    let page = Shared::<Page>::new();
    let own = priority(pid());
    lock(&page.b);
    let children = waiters(&page, &[10, 20, 30]);
    let [first, second, third] = <[Waiting; 3]>::try_from(children).ok().unwrap();
    third.child.signal(SIGKILL);
    third.child.wait();
    assert_eq!(requeue(&page, 9), Ok(2));
    assert_eq!(priority(pid()), -21);
    second.child.signal(SIGKILL);
    second.child.wait();
    assert_eq!(priority(pid()), -11);
    unlock(&page.b);
    assert_eq!(priority(pid()), own);
    first.passes();
}

/// A condition variable with its mutex, as a C library could make them: no broadcast is lost, and the mutex keeps out.
fn a_condition_of_threads() {
    const THREADS: u32 = 6;
    const ROUNDS: u32 = 100;
    const PRIVATE: i32 = FUTEX_PRIVATE_FLAG;
    let (sequence, mutex) = (AtomicU32::new(0), AtomicU32::new(0));
    let (round, done) = (AtomicU32::new(0), AtomicU32::new(0));
    let lock = || {
        let me = ok!(SYS_gettid) as u32;
        if mutex.compare_exchange(0, me, SeqCst, SeqCst).is_err() {
            gives!(0, SYS_futex, &mutex, FUTEX_LOCK_PI | PRIVATE, 0, 0);
        }
    };
    let unlock = || {
        let me = ok!(SYS_gettid) as u32;
        if mutex.compare_exchange(me, 0, SeqCst, SeqCst).is_err() {
            gives!(0, SYS_futex, &mutex, FUTEX_UNLOCK_PI | PRIVATE, 0, 0);
        }
    };
    let wait = || {
        let seen = sequence.load(SeqCst);
        unlock();
        let operation = FUTEX_WAIT_REQUEUE_PI | PRIVATE;
        match sys!(SYS_futex, &sequence, operation, seen, 0, &mutex) {
            Ok(0) => {}
            Err(libc::EAGAIN) => lock(),
            other => panic!("{other:?}"),
        }
        assert_eq!(mutex.load(SeqCst) & !WAITERS, ok!(SYS_gettid) as u32);
    };
    let broadcast = || {
        let next = sequence.fetch_add(1, SeqCst) + 1;
        let operation = FUTEX_CMP_REQUEUE_PI | PRIVATE;
        ok!(SYS_futex, &sequence, operation, 1, i32::MAX, &mutex, next);
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 1..=ROUNDS {
                    lock();
                    while round.load(SeqCst) < number {
                        wait();
                    }
                    let before = done.load(SeqCst);
                    ok!(SYS_sched_yield);
                    done.store(before + 1, SeqCst);
                    broadcast();
                    unlock();
                }
            });
        }
        for number in 1..=ROUNDS {
            lock();
            round.store(number, SeqCst);
            broadcast();
            while done.load(SeqCst) < number * THREADS {
                wait();
            }
            unlock();
        }
    });
    assert_eq!(mutex.load(SeqCst), 0);
}
