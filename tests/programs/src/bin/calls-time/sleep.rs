//! nanosleep and clock_nanosleep.

use libc::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
    CLOCK_THREAD_CPUTIME_ID, EINVAL, EOPNOTSUPP, SIGALRM, SIGKILL, TIMER_ABSTIME,
};
use std::sync::atomic::{AtomicU64, Ordering};
use test_programs::child::{Child, Gate, spawn};
use test_programs::memory::Shared;
use test_programs::raw::short::*;
use test_programs::signal::{catch, tick};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    never_shorter_than_asked,
    not_absurdly_longer,
    zero_returns,
    errors,
    to_a_point_in_time,
    to_a_point_that_has_passed,
    on_the_wall_clock,
    on_the_boot_clock,
    clock_errors,
    while_another_works,
    interrupted_while_another_should_work,
    while_another_thread_works,
    remaining_is_left_alone_on_success,
    many_sleepers_wake_in_order,
    sleepers_do_not_use_the_processor,
    short_sleeps_add_up,
    sleep_while_another_works,
);

fn never_shorter_than_asked() {
    for ns in [1u64, 1000, 50_000, 1_000_000, 3_333_333, 20_000_000] {
        let start = monotonic();
        gives!(0, SYS_nanosleep, &timespec(ns), 0);
        assert!(monotonic() - start >= ns);
    }
}

/// A machine under load may be late, but not by whole seconds every time.
fn not_absurdly_longer() {
    let quickest = (0..10)
        .map(|_| {
            let start = monotonic();
            ok!(SYS_nanosleep, &timespec(1_000_000), 0);
            monotonic() - start
        })
        .min()
        .unwrap();
    assert!(quickest < 100_000_000, "{quickest} ns at best for 1 ms");
}

fn zero_returns() {
    gives!(0, SYS_nanosleep, &timespec(0), 0);
    gives!(0, SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &timespec(0), 0);
}

fn errors() {
    fails!(EINVAL, SYS_nanosleep, &[-1i64, 0], 0);
    fails!(EINVAL, SYS_nanosleep, &[0i64, -1], 0);
    fails!(EINVAL, SYS_nanosleep, &[0i64, 1_000_000_000], 0);
    fails!(EFAULT, SYS_nanosleep, bad::<u8>(), 0);
    fails!(EFAULT, SYS_nanosleep, 0, 0);
    // Where to put the rest matters only if there is one.
    gives!(0, SYS_nanosleep, &timespec(1), bad::<u8>());
}

fn to_a_point_in_time() {
    let goal = monotonic() + 20_000_000;
    gives!(
        0,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        TIMER_ABSTIME,
        &timespec(goal),
        0
    );
    assert!(monotonic() >= goal);
}

fn to_a_point_that_has_passed() {
    let start = monotonic();
    gives!(
        0,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        TIMER_ABSTIME,
        &timespec(start - 1),
        0
    );
    gives!(
        0,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        TIMER_ABSTIME,
        &timespec(0),
        0
    );
    assert!(monotonic() - start < 5_000_000_000);
}

fn on_the_wall_clock() {
    let start = clock(CLOCK_REALTIME);
    gives!(
        0,
        SYS_clock_nanosleep,
        CLOCK_REALTIME,
        TIMER_ABSTIME,
        &timespec(start + 15_000_000),
        0
    );
    assert!(clock(CLOCK_REALTIME) >= start + 15_000_000);
    let start = monotonic();
    gives!(
        0,
        SYS_clock_nanosleep,
        CLOCK_REALTIME,
        0,
        &timespec(10_000_000),
        0
    );
    assert!(monotonic() - start >= 9_900_000);
}

fn on_the_boot_clock() {
    let goal = clock(CLOCK_BOOTTIME) + 10_000_000;
    gives!(
        0,
        SYS_clock_nanosleep,
        CLOCK_BOOTTIME,
        TIMER_ABSTIME,
        &timespec(goal),
        0
    );
    assert!(clock(CLOCK_BOOTTIME) >= goal);
}

fn clock_errors() {
    fails!(EINVAL, SYS_clock_nanosleep, 77, 0, &timespec(1), 0);
    // The library makes the first error of the second.
    let own = sys!(
        SYS_clock_nanosleep,
        CLOCK_THREAD_CPUTIME_ID,
        0,
        &timespec(1),
        0
    );
    assert!(matches!(own, Err(EOPNOTSUPP | EINVAL)), "{own:?}");
    fails!(
        EINVAL,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        0,
        &[0i64, -1],
        0
    );
    fails!(
        EFAULT,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        0,
        bad::<u8>(),
        0
    );
}

/// A child that works from when the first gate opens until the second one does, and the number of its clock.
fn worker(start: &Gate, end: &Gate) -> (Child, i32) {
    let child = spawn(|| {
        start.wait();
        while !end.is_open() {
            std::hint::spin_loop();
        }
    });
    let which = (!child.pid << 3) | 2;
    (child, which)
}

fn while_another_works() {
    let (start, end) = (Gate::new(), Gate::new());
    let (child, which) = worker(&start, &end);
    let before = clock(which);
    start.open();
    gives!(0, SYS_clock_nanosleep, which, 0, &timespec(10_000_000), 0);
    assert!(clock(which) >= before + 10_000_000);
    let goal = clock(which) + 20_000_000;
    gives!(
        0,
        SYS_clock_nanosleep,
        which,
        TIMER_ABSTIME,
        &timespec(goal),
        0
    );
    assert!(clock(which) >= goal);
    end.open();
    child.passes();
    fails!(EINVAL, SYS_clock_nanosleep, which, 0, &timespec(1), 0);
}

fn interrupted_while_another_should_work() {
    catch(SIGALRM);
    let (start, end) = (Gate::new(), Gate::new());
    let (child, which) = worker(&start, &end);
    let mut left = timespec(0);
    tick(5000);
    let second = timespec(1_000_000_000);
    fails!(EINTR, SYS_clock_nanosleep, which, 0, &second, &mut left);
    assert!(left.tv_sec == 0 && left.tv_nsec > 900_000_000 || left.tv_sec == 1);
    let never = timespec(1 << 60);
    fails!(
        EINTR,
        SYS_clock_nanosleep,
        which,
        TIMER_ABSTIME,
        &never,
        &mut left
    );
    tick(0);
    start.open();
    end.open();
    child.passes();
}

/// One's own threads can be waited for; one's own time stands still meanwhile.
fn while_another_thread_works() {
    let own = ok!(SYS_gettid) as i32;
    fails!(
        EINVAL,
        SYS_clock_nanosleep,
        (!own << 3) | 6,
        0,
        &timespec(1),
        0
    );
    fails!(
        EINVAL,
        SYS_clock_nanosleep,
        (!0 << 3) | 6,
        0,
        &timespec(1),
        0
    );
    fails!(
        EOPNOTSUPP,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC_RAW,
        0,
        &timespec(1),
        0
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = clock(CLOCK_THREAD_CPUTIME_ID) + 30_000_000;
            while clock(CLOCK_THREAD_CPUTIME_ID) < end {
                std::hint::spin_loop();
            }
        });
        let before = clock(CLOCK_PROCESS_CPUTIME_ID);
        let length = timespec(10_000_000);
        gives!(
            0,
            SYS_clock_nanosleep,
            CLOCK_PROCESS_CPUTIME_ID,
            0,
            &length,
            0
        );
        assert!(clock(CLOCK_PROCESS_CPUTIME_ID) >= before + 10_000_000);
    });
}

fn remaining_is_left_alone_on_success() {
    let mut left = libc::timespec {
        tv_sec: 7,
        tv_nsec: 8,
    };
    gives!(0, SYS_nanosleep, &timespec(1000), &mut left);
    assert_eq!((left.tv_sec, left.tv_nsec), (7, 8));
}

fn many_sleepers_wake_in_order() {
    // On one processor: of several, each may be late by itself.
    let mut set = [0u64; 16];
    ok!(SYS_sched_getaffinity, 0, 128, &mut set);
    let first = set[0] & set[0].wrapping_neg();
    gives!(0, SYS_sched_setaffinity, 0, 8, &[first]);
    let (reader, writer) = pipe();
    let start = Shared::<AtomicU64>::new();
    let all_are_there = Gate::new();
    let children: Vec<Child> = (0..10u8)
        .rev()
        .map(|n| {
            spawn(|| {
                all_are_there.wait();
                // Far enough apart that one processor under load keeps them apart.
                let goal = start.load(Ordering::SeqCst) + u64::from(n) * 60_000_000;
                gives!(
                    0,
                    SYS_clock_nanosleep,
                    CLOCK_MONOTONIC,
                    TIMER_ABSTIME,
                    &timespec(goal),
                    0
                );
                assert!(monotonic() >= goal);
                write(writer, &[n]);
            })
        })
        .collect();
    start.store(monotonic() + 50_000_000, Ordering::SeqCst);
    all_are_there.open();
    children.into_iter().for_each(Child::passes);
    assert_eq!(read(reader, 20), (0..10).collect::<Vec<u8>>());
}

fn sleepers_do_not_use_the_processor() {
    let start = clock(CLOCK_PROCESS_CPUTIME_ID);
    for _ in 0..10 {
        ok!(SYS_nanosleep, &timespec(10_000_000), 0);
    }
    let used = clock(CLOCK_PROCESS_CPUTIME_ID) - start;
    assert!(used < 80_000_000, "{used} ns of 100 ms");
}

fn short_sleeps_add_up() {
    let start = monotonic();
    for _ in 0..100 {
        ok!(SYS_nanosleep, &timespec(100_000), 0);
    }
    let took = monotonic() - start;
    assert!((10_000_000..10_000_000_000).contains(&took), "{took} ns");
}

/// A busy process must not keep a sleeper from waking.
fn sleep_while_another_works() {
    let busy = test_programs::child::fork(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    let start = monotonic();
    for _ in 0..5 {
        ok!(SYS_nanosleep, &timespec(2_000_000), 0);
    }
    let took = monotonic() - start;
    busy.signal(SIGKILL);
    busy.wait();
    assert!(took < 5_000_000_000, "{took} ns for 10 ms of sleep");
}
