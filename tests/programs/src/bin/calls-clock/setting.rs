//! clock_settime, settimeofday, and who waits for the wall clock.

use libc::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI,
    FUTEX_CLOCK_REALTIME, FUTEX_WAIT_BITSET, TIMER_ABSTIME, timeval,
};
use test_programs::child::{Gate, passes, spawn, until};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    the_wall_clock_moves_and_the_others_do_not,
    by_the_older_call,
    the_library_sees_it,
    limits,
    files_have_the_new_time,
    a_sleeper_until_a_wall_time_wakes,
    a_sleeper_until_a_wall_time_waits_longer,
    a_sleeper_for_a_while_does_not_notice,
    a_futex_with_a_wall_time,
);

pub const SECOND: u64 = 1_000_000_000;
pub const HOUR: u64 = 3600 * SECOND;

/// Sets the wall clock, and puts it right when dropped.
pub struct Moved {
    wall: u64,
    monotonic: u64,
}

impl Moved {
    /// So many nanoseconds forward, or back.
    pub fn by(nanoseconds: i64) -> Moved {
        let before = Moved {
            wall: clock(CLOCK_REALTIME),
            monotonic: monotonic(),
        };
        set(before.wall.saturating_add_signed(nanoseconds));
        before
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        set(self.wall + (monotonic() - self.monotonic));
    }
}

pub fn set(time: u64) {
    gives!(0, SYS_clock_settime, CLOCK_REALTIME, &timespec(time));
}

fn the_wall_clock_moves_and_the_others_do_not() {
    let before = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME].map(clock);
    let moved = Moved::by(HOUR as i64);
    let after = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME].map(clock);
    let passed = after[1] - before[1];
    assert!(passed < HOUR && after[2] - before[2] < HOUR);
    assert!((HOUR..HOUR + 2 * passed).contains(&(after[0] - before[0])));
    until(|| clock(CLOCK_REALTIME_COARSE) >= after[0]);
    assert!(clock(CLOCK_TAI) >= after[0]);
    drop(moved);
    let end = clock(CLOCK_REALTIME);
    assert!(end >= before[0] && end < before[0] + HOUR);
}

fn by_the_older_call() {
    let before = clock(CLOCK_REALTIME);
    let _back = Moved::by(0);
    let time = timeval {
        tv_sec: (before / SECOND + 7200) as i64,
        tv_usec: 250_000,
    };
    gives!(0, SYS_settimeofday, &time, 0);
    let after = clock(CLOCK_REALTIME) - (time.tv_sec as u64 * SECOND + 250_000_000);
    assert!(after < HOUR, "{after}");
    // A time zone alone changes no clock.
    gives!(0, SYS_settimeofday, 0, &[0i32, 0]);
    assert!(clock(CLOCK_REALTIME) >= time.tv_sec as u64 * SECOND);
}

fn the_library_sees_it() {
    let _moved = Moved::by(HOUR as i64);
    let before = clock(CLOCK_REALTIME);
    let mut time = timespec(0);
    // SAFETY: a valid place for the time.
    assert_eq!(unsafe { libc::clock_gettime(CLOCK_REALTIME, &mut time) }, 0);
    let inside = time.tv_sec as u64 * SECOND + time.tv_nsec as u64;
    assert!((before..=clock(CLOCK_REALTIME)).contains(&inside));
}

fn limits() {
    let wrong = |seconds: i64, nanoseconds: i64| {
        fails!(
            EINVAL,
            SYS_clock_settime,
            CLOCK_REALTIME,
            &[seconds, nanoseconds]
        );
    };
    wrong(-1, 0);
    wrong(1_000_000_000, -1);
    wrong(1_000_000_000, 1_000_000_000);
    // Too far away to count on from there for as long as a machine may run.
    wrong(i64::MAX, 0);
    wrong(8_277_292_036, 0);
    // The machine cannot have booted before 1970.
    wrong(0, 0);
    fails!(
        EINVAL,
        SYS_settimeofday,
        &timeval {
            tv_sec: 1_000_000_000,
            tv_usec: 1_000_000
        },
        0
    );
    let _back = Moved::by(0);
    set(8_277_292_035 * SECOND);
    assert!(clock(CLOCK_REALTIME) >= 8_277_292_035 * SECOND);
}

fn files_have_the_new_time() {
    let _moved = Moved::by(48 * HOUR as i64);
    let before = clock(CLOCK_REALTIME) / SECOND;
    let file = create(c"new");
    let time = fstat(file).st_mtime as u64;
    assert!((before - 1..=before + 3600).contains(&time));
    close(file);
}

/// A child that sleeps until a wall time, and is asleep when this returns.
fn sleeper(until_then: u64) -> test_programs::child::Child {
    let gate = Gate::new();
    let child = spawn(|| {
        gate.open();
        let until = timespec(until_then);
        gives!(
            0,
            SYS_clock_nanosleep,
            CLOCK_REALTIME,
            TIMER_ABSTIME,
            &until,
            0
        );
        assert!(clock(CLOCK_REALTIME) >= until_then);
    });
    gate.wait();
    let file = format!("/proc/{}/stat", child.pid);
    until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(") S ")));
    child
}

fn a_sleeper_until_a_wall_time_wakes() {
    let start = monotonic();
    let child = sleeper(clock(CLOCK_REALTIME) + HOUR);
    let _moved = Moved::by(HOUR as i64 + 1);
    child.passes();
    assert!(monotonic() - start < HOUR);
}

fn a_sleeper_until_a_wall_time_waits_longer() {
    let start = monotonic();
    let child = sleeper(clock(CLOCK_REALTIME) + SECOND);
    let moved = Moved::by(-(HOUR as i64));
    ok!(SYS_nanosleep, &timespec(2 * SECOND), 0);
    let mut word = 0i32;
    gives!(0, SYS_wait4, child.pid, &mut word, libc::WNOHANG, 0);
    drop(moved);
    child.passes();
    assert!(monotonic() - start >= 2 * SECOND);
}

fn a_sleeper_for_a_while_does_not_notice() {
    for which in [CLOCK_REALTIME, CLOCK_MONOTONIC] {
        let gate = Gate::new();
        let child = spawn(|| {
            let start = monotonic();
            gate.open();
            gives!(0, SYS_clock_nanosleep, which, 0, &timespec(SECOND), 0);
            assert!(monotonic() - start >= SECOND);
        });
        gate.wait();
        let _moved = Moved::by(HOUR as i64);
        child.passes();
    }
}

fn a_futex_with_a_wall_time() {
    let goal = clock(CLOCK_REALTIME) + HOUR;
    let gate = Gate::new();
    let child = spawn(|| {
        let word = 0u32;
        gate.open();
        fails!(
            ETIMEDOUT,
            SYS_futex,
            &word,
            FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME,
            0,
            &timespec(goal),
            0,
            u32::MAX
        );
        assert!(clock(CLOCK_REALTIME) >= goal);
    });
    gate.wait();
    let start = monotonic();
    let _moved = Moved::by(HOUR as i64 + 1);
    child.passes();
    assert!(monotonic() - start < HOUR);
    passes(|| assert!(clock(CLOCK_REALTIME) >= goal));
}
