//! clock_gettime, clock_getres, gettimeofday, time, clock_settime.

use libc::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_THREAD_CPUTIME_ID,
    timeval,
};
use test_programs::child::{become_nobody, passes, until};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    monotonic_never_goes_back,
    monotonic_is_the_same_in_all_processes,
    clocks_run_at_one_rate,
    wall_clock_is_plausible,
    three_calls_for_the_wall_clock_agree,
    coarse_clocks_lag_a_little,
    raw_and_boot_clocks,
    processor_time_grows_with_work_only,
    processor_time_of_a_thread,
    processor_time_of_another_process,
    resolution,
    errors,
    the_library_and_the_kernel_agree,
    setting_needs_root,
    adjusting_needs_root,
    nanoseconds_are_in_range,
    reading_is_quick_enough,
);

fn monotonic_never_goes_back() {
    let mut last = 0;
    for _ in 0..20_000 {
        let now = monotonic();
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
}

fn monotonic_is_the_same_in_all_processes() {
    for _ in 0..30 {
        let before = monotonic();
        let (reader, writer) = pipe();
        passes(|| {
            write(writer, &monotonic().to_le_bytes());
        });
        let inside = u64::from_le_bytes(read(reader, 8).try_into().unwrap());
        assert!(before <= inside && inside <= monotonic());
        close(reader);
        close(writer);
    }
}

fn clocks_run_at_one_rate() {
    let start = [
        CLOCK_MONOTONIC,
        CLOCK_REALTIME,
        CLOCK_BOOTTIME,
        CLOCK_MONOTONIC_RAW,
    ]
    .map(clock);
    let _ = sys!(SYS_nanosleep, &timespec(200_000_000), 0);
    let end = [
        CLOCK_MONOTONIC,
        CLOCK_REALTIME,
        CLOCK_BOOTTIME,
        CLOCK_MONOTONIC_RAW,
    ]
    .map(clock);
    let first = (end[0] - start[0]) as f64;
    for i in 1..4 {
        let ratio = (end[i] - start[i]) as f64 / first;
        assert!((0.9..1.1).contains(&ratio), "clock {i}: {ratio}");
    }
}

fn wall_clock_is_plausible() {
    let seconds = clock(CLOCK_REALTIME) / 1_000_000_000;
    assert!(
        (1_700_000_000..10_000_000_000).contains(&seconds),
        "{seconds}"
    );
}

fn three_calls_for_the_wall_clock_agree() {
    for _ in 0..50 {
        let first = clock(CLOCK_REALTIME);
        let mut now = timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        gives!(0, SYS_gettimeofday, &mut now, 0);
        let mut stored = 0i64;
        let seconds = ok!(SYS_time, &mut stored);
        assert_eq!(seconds as i64, stored);
        let last = clock(CLOCK_REALTIME);
        let micros = now.tv_sec as u64 * 1_000_000 + now.tv_usec as u64;
        assert!((first / 1000..=last / 1000).contains(&micros));
        // The whole seconds may come from a coarse clock.
        assert!((first / 1_000_000_000 - 1..=last / 1_000_000_000).contains(&(seconds as u64)));
    }
}

fn coarse_clocks_lag_a_little() {
    for (coarse, fine) in [
        (CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC),
        (CLOCK_REALTIME_COARSE, CLOCK_REALTIME),
    ] {
        let before = clock(fine);
        let value = clock(coarse);
        assert!(
            value <= clock(fine) && value + 1_000_000_000 > before,
            "{coarse}"
        );
        until(|| clock(coarse) > value);
    }
}

fn raw_and_boot_clocks() {
    let (raw, boot) = (clock(CLOCK_MONOTONIC_RAW), clock(CLOCK_BOOTTIME));
    assert!(raw > 0 && boot + 1_000_000_000 > monotonic());
    assert!(clock(CLOCK_MONOTONIC_RAW) >= raw && clock(CLOCK_BOOTTIME) >= boot);
}

fn processor_time_grows_with_work_only() {
    let start = clock(CLOCK_PROCESS_CPUTIME_ID);
    let _ = sys!(SYS_nanosleep, &timespec(100_000_000), 0);
    let slept = clock(CLOCK_PROCESS_CPUTIME_ID) - start;
    assert!(slept < 80_000_000, "{slept} ns for a sleep of 100 ms");
    until_used(CLOCK_PROCESS_CPUTIME_ID, 20_000_000);
}

fn until_used(which: i32, ns: u64) {
    let start = clock(which);
    while clock(which) - start < ns {
        std::hint::spin_loop();
    }
}

fn processor_time_of_a_thread() {
    until_used(CLOCK_THREAD_CPUTIME_ID, 120_000_000);
    let process = clock(CLOCK_PROCESS_CPUTIME_ID);
    let inside = std::thread::spawn(|| {
        let fresh = clock(CLOCK_THREAD_CPUTIME_ID);
        until_used(CLOCK_THREAD_CPUTIME_ID, 10_000_000);
        fresh
    })
    .join()
    .unwrap();
    assert!(inside < 100_000_000, "a new thread had used {inside} ns");
    assert!(clock(CLOCK_PROCESS_CPUTIME_ID) >= process + 10_000_000);
}

/// A process's clock has a number made of its own.
fn processor_time_of_another_process() {
    let gate = test_programs::child::Gate::new();
    let child = test_programs::child::spawn(|| {
        until_used(CLOCK_PROCESS_CPUTIME_ID, 10_000_000);
        gate.wait();
    });
    let clock_of = |pid: i32| (!pid << 3) | 2;
    until(|| clock(clock_of(child.pid)) >= 10_000_000);
    gate.open();
    child.passes();
    fails!(
        EINVAL,
        SYS_clock_gettime,
        clock_of(9_999_999),
        &mut timespec(0)
    );
}

fn resolution() {
    for which in [
        CLOCK_MONOTONIC,
        CLOCK_REALTIME,
        CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID,
        CLOCK_BOOTTIME,
    ] {
        let mut step = timespec(0);
        gives!(0, SYS_clock_getres, which, &mut step);
        assert!(step.tv_sec == 0 && (1..=10_000_000).contains(&step.tv_nsec));
        gives!(0, SYS_clock_getres, which, 0);
    }
    fails!(EINVAL, SYS_clock_getres, 77, 0);
    fails!(EFAULT, SYS_clock_getres, CLOCK_MONOTONIC, bad::<u8>());
}

fn errors() {
    let mut time = timespec(0);
    for which in [77, 1000, 16, i32::MAX] {
        fails!(EINVAL, SYS_clock_gettime, which, &mut time);
    }
    fails!(EFAULT, SYS_clock_gettime, CLOCK_MONOTONIC, bad::<u8>());
    fails!(EFAULT, SYS_gettimeofday, bad::<u8>(), 0);
    fails!(EFAULT, SYS_time, bad::<u8>());
    gives!(0, SYS_gettimeofday, 0, 0);
}

/// The library may read the clock without a call.
fn the_library_and_the_kernel_agree() {
    for which in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME] {
        for _ in 0..100 {
            let before = clock(which);
            let mut time = timespec(0);
            // SAFETY: a valid place for the time.
            assert_eq!(unsafe { libc::clock_gettime(which, &mut time) }, 0);
            let inside = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
            let after = clock(which);
            assert!(
                before <= inside && inside <= after,
                "clock {which}: {before} {inside} {after}"
            );
        }
    }
}

fn setting_needs_root() {
    let now = timespec(clock(CLOCK_REALTIME));
    fails!(EINVAL, SYS_clock_settime, CLOCK_MONOTONIC, &now);
    fails!(EINVAL, SYS_clock_settime, CLOCK_REALTIME, &[0i64, -1]);
    fails!(EFAULT, SYS_clock_settime, CLOCK_REALTIME, bad::<u8>());
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_clock_settime, CLOCK_REALTIME, &now);
        fails!(
            EPERM,
            SYS_settimeofday,
            &timeval {
                tv_sec: now.tv_sec,
                tv_usec: 0
            },
            0
        );
    });
}

/// Asking how well the clock is kept is for everybody, changing it is not.
fn adjusting_needs_root() {
    // SAFETY: zeros are a valid `timex`.
    let empty = || unsafe { std::mem::zeroed::<libc::timex>() };
    passes(|| {
        become_nobody();
        let mut known = empty();
        let state = ok!(SYS_adjtimex, &mut known);
        assert!(state <= 5 && (9000..=11_000).contains(&known.tick));
        assert_eq!((known.tolerance, known.precision), (32_768_000, 1));
        assert_eq!(ok!(SYS_clock_adjtime, CLOCK_REALTIME, &mut empty()), state);
        known.modes = libc::ADJ_TICK;
        fails!(EPERM, SYS_adjtimex, &mut known);
        known.modes = libc::ADJ_SETOFFSET;
        fails!(EPERM, SYS_clock_adjtime, CLOCK_REALTIME, &mut known);
        known.modes = libc::ADJ_OFFSET_SINGLESHOT;
        fails!(EPERM, SYS_adjtimex, &mut known);
        known.modes = libc::ADJ_OFFSET_SS_READ;
        ok!(SYS_adjtimex, &mut known);
    });
    fails!(EFAULT, SYS_adjtimex, bad::<u8>());
    fails!(EOPNOTSUPP, SYS_clock_adjtime, CLOCK_MONOTONIC, &mut empty());
    fails!(
        EOPNOTSUPP,
        SYS_clock_adjtime,
        CLOCK_PROCESS_CPUTIME_ID,
        &mut empty()
    );
    fails!(EINVAL, SYS_clock_adjtime, 77, &mut empty());
    // Time that was used cannot be set.
    fails!(EPERM, SYS_clock_settime, (!0 << 3) | 2, &timespec(1));
    fails!(
        EINVAL,
        SYS_clock_settime,
        CLOCK_PROCESS_CPUTIME_ID,
        &timespec(1)
    );
}

fn nanoseconds_are_in_range() {
    for _ in 0..1000 {
        let mut time = timespec(0);
        ok!(SYS_clock_gettime, CLOCK_REALTIME, &mut time);
        assert!((0..1_000_000_000).contains(&time.tv_nsec));
    }
}

/// The smallest step that the clock shows is far below a tick.
fn reading_is_quick_enough() {
    let mut smallest = u64::MAX;
    for _ in 0..1000 {
        let (a, b) = (monotonic(), monotonic());
        if b > a {
            smallest = smallest.min(b - a);
        }
    }
    assert!(smallest < 1_000_000, "{smallest} ns");
}
