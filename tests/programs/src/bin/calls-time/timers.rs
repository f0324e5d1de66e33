//! alarm, setitimer, getitimer.

use libc::{
    ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, SIGALRM, SIGPROF, SIGVTALRM, itimerval, timeval,
};
use std::sync::atomic::Ordering;
use test_programs::child::{dies_of, passes, until};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, block, catch};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    alarm_rings_once,
    alarm_tells_what_is_left,
    alarm_default_ends_the_process,
    alarm_can_be_stopped,
    interval_timer_repeats,
    interval_timer_rings_once,
    interval_timer_tells_what_is_left,
    interval_timer_is_told_back,
    alarm_and_interval_timer_are_one,
    interval_errors,
    virtual_timer_counts_work,
    virtual_timer_counts_user_mode_only,
    profiling_timer_counts_work,
    not_early,
    a_blocked_alarm_waits,
    children_have_none,
);

fn period(us: i64) -> timeval {
    timeval {
        tv_sec: us / 1_000_000,
        tv_usec: us % 1_000_000,
    }
}

fn start(which: i32, first: i64, again: i64) {
    ok!(
        SYS_setitimer,
        which,
        &itimerval {
            it_interval: period(again),
            it_value: period(first)
        },
        0
    );
}

fn current(which: i32) -> (i64, i64) {
    let mut now = itimerval {
        it_interval: period(1),
        it_value: period(1),
    };
    ok!(SYS_getitimer, which, &mut now);
    let us = |t: timeval| t.tv_sec * 1_000_000 + t.tv_usec;
    (us(now.it_value), us(now.it_interval))
}

fn alarm_rings_once() {
    catch(SIGALRM);
    let begin = monotonic();
    gives!(0, SYS_alarm, 1);
    until(|| RECORD.count() == 1);
    assert!(monotonic() - begin >= 999_000_000);
    assert_eq!(RECORD.signal.load(Ordering::SeqCst), SIGALRM);
    gives!(0, SYS_alarm, 0);
}

fn alarm_tells_what_is_left() {
    gives!(0, SYS_alarm, 1000);
    let left = ok!(SYS_alarm, 500);
    assert!((990..=1000).contains(&left), "{left}");
    let left = ok!(SYS_alarm, 0);
    assert!((490..=500).contains(&left), "{left}");
    gives!(0, SYS_alarm, 0);
}

fn alarm_default_ends_the_process() {
    dies_of(SIGALRM, || {
        start(ITIMER_REAL, 2000, 0);
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    // A loop without calls is reached too.
    dies_of(SIGALRM, || {
        start(ITIMER_REAL, 2000, 0);
        loop {
            std::hint::spin_loop();
        }
    });
}

fn alarm_can_be_stopped() {
    catch(SIGALRM);
    start(ITIMER_REAL, 1_000_000, 0);
    gives!(1, SYS_alarm, 0);
    ok!(SYS_nanosleep, &timespec(1_100_000_000), 0);
    assert_eq!(RECORD.count(), 0);
}

fn interval_timer_repeats() {
    catch(SIGALRM);
    let begin = monotonic();
    start(ITIMER_REAL, 5000, 5000);
    until(|| RECORD.count() >= 10);
    assert!(monotonic() - begin >= 49_000_000);
    start(ITIMER_REAL, 0, 0);
    let count = RECORD.count();
    ok!(SYS_nanosleep, &timespec(20_000_000), 0);
    assert_eq!(RECORD.count(), count);
}

fn interval_timer_rings_once() {
    catch(SIGALRM);
    start(ITIMER_REAL, 3000, 0);
    until(|| RECORD.count() == 1);
    assert_eq!(current(ITIMER_REAL), (0, 0));
}

fn interval_timer_tells_what_is_left() {
    start(ITIMER_REAL, 100_000_000, 7_000_000);
    let (left, again) = current(ITIMER_REAL);
    assert!(
        (90_000_000..=100_000_000).contains(&left) && again == 7_000_000,
        "{left} {again}"
    );
}

fn interval_timer_is_told_back() {
    start(ITIMER_REAL, 50_000_000, 3_000_000);
    let mut old = itimerval {
        it_interval: period(0),
        it_value: period(0),
    };
    let none = itimerval {
        it_interval: period(0),
        it_value: period(0),
    };
    gives!(0, SYS_setitimer, ITIMER_REAL, &none, &mut old);
    assert_eq!(old.it_interval.tv_sec, 3);
    assert!((40..=50).contains(&old.it_value.tv_sec));
    assert_eq!(current(ITIMER_REAL), (0, 0));
}

fn alarm_and_interval_timer_are_one() {
    start(ITIMER_REAL, 100_000_000, 0);
    let left = ok!(SYS_alarm, 200);
    assert!((99..=100).contains(&left));
    let (left, _) = current(ITIMER_REAL);
    assert!((190_000_000..=200_000_000).contains(&left));
}

fn interval_errors() {
    let good = itimerval {
        it_interval: period(0),
        it_value: period(0),
    };
    fails!(EINVAL, SYS_setitimer, 77, &good, 0);
    fails!(EINVAL, SYS_getitimer, 77, &[0u64; 4]);
    fails!(EFAULT, SYS_setitimer, ITIMER_REAL, bad::<u8>(), 0);
    fails!(EFAULT, SYS_getitimer, ITIMER_REAL, bad::<u8>());
    let wrong = itimerval {
        it_interval: period(0),
        it_value: timeval {
            tv_sec: 0,
            tv_usec: 1_000_000,
        },
    };
    fails!(EINVAL, SYS_setitimer, ITIMER_REAL, &wrong, 0);
    let wrong = itimerval {
        it_interval: period(0),
        it_value: timeval {
            tv_sec: -1,
            tv_usec: 0,
        },
    };
    fails!(EINVAL, SYS_setitimer, ITIMER_REAL, &wrong, 0);
}

fn virtual_timer_counts_work() {
    catch(SIGVTALRM);
    start(ITIMER_VIRTUAL, 20_000, 0);
    ok!(SYS_nanosleep, &timespec(40_000_000), 0);
    assert_eq!(RECORD.count(), 0, "it counted sleep");
    while RECORD.count() == 0 {
        std::hint::spin_loop();
    }
    assert_eq!(RECORD.signal.load(Ordering::SeqCst), SIGVTALRM);
}

fn virtual_timer_counts_user_mode_only() {
    catch(SIGVTALRM);
    start(ITIMER_VIRTUAL, 100_000, 0);
    let zero = open(c"/dev/zero", libc::O_RDONLY);
    let mut piece = vec![1u8; 1 << 20];
    let end = clock(libc::CLOCK_PROCESS_CPUTIME_ID) + 200_000_000;
    while clock(libc::CLOCK_PROCESS_CPUTIME_ID) < end {
        ok!(SYS_read, zero, piece.as_mut_ptr(), piece.len());
    }
    close(zero);
    assert_eq!(RECORD.count(), 0, "it counted the kernel's time");
    while RECORD.count() == 0 {
        std::hint::spin_loop();
    }
}

fn profiling_timer_counts_work() {
    catch(SIGPROF);
    start(ITIMER_PROF, 20_000, 20_000);
    while RECORD.count() < 3 {
        std::hint::spin_loop();
    }
    start(ITIMER_PROF, 0, 0);
}

fn not_early() {
    catch(SIGALRM);
    for us in [100i64, 1000, 7000, 33_333] {
        let (before, begin) = (RECORD.count(), monotonic());
        start(ITIMER_REAL, us, 0);
        while RECORD.count() == before {
            std::hint::spin_loop();
        }
        let took = monotonic() - begin;
        assert!(took >= us as u64 * 1000, "{took} ns for {us} us");
    }
}

fn a_blocked_alarm_waits() {
    catch(SIGALRM);
    block(SIGALRM);
    start(ITIMER_REAL, 1000, 0);
    until(|| test_programs::signal::pending() != 0);
    assert_eq!(RECORD.count(), 0);
    test_programs::signal::unblock(SIGALRM);
    assert_eq!(RECORD.count(), 1);
}

fn children_have_none() {
    start(ITIMER_REAL, 100_000_000, 1_000_000);
    passes(|| assert_eq!(current(ITIMER_REAL), (0, 0)));
    assert!(current(ITIMER_REAL).0 > 0);
}
