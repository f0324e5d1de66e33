//! adjtimex and clock_adjtime, with a clock that is ours.

use crate::setting::{HOUR, Moved, SECOND, set};
use libc::{
    ADJ_ESTERROR, ADJ_FREQUENCY, ADJ_MAXERROR, ADJ_MICRO, ADJ_NANO, ADJ_OFFSET,
    ADJ_OFFSET_SINGLESHOT, ADJ_OFFSET_SS_READ, ADJ_SETOFFSET, ADJ_STATUS, ADJ_TAI, ADJ_TICK,
    ADJ_TIMECONST, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, CLOCK_TAI, STA_INS,
    STA_NANO, STA_PLL, STA_UNSYNC, TIME_ERROR, TIME_INS, TIME_OK, TIME_OOP, TIME_WAIT, timex,
};
use test_programs::child::{become_nobody, passes, until};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    what_is_known_at_first,
    each_mode_alone,
    a_tick_changes_the_rate,
    a_frequency_changes_the_rate,
    slewing_once,
    slewing_as_the_loop_says,
    a_jump,
    atomic_time,
    a_leap_second,
    setting_ends_it,
    a_sleeper_follows_the_rate,
    errors,
);

fn empty() -> timex {
    // SAFETY: zeros are a valid `timex`.
    unsafe { std::mem::zeroed() }
}

/// Changes what `modes` says; gives the state and what is answered.
fn adjust(modes: u32, fill: impl FnOnce(&mut timex)) -> (i32, timex) {
    let mut wanted = empty();
    fill(&mut wanted);
    wanted.modes = modes;
    let state = ok!(SYS_adjtimex, &mut wanted) as i32;
    (state, wanted)
}

fn read() -> (i32, timex) {
    adjust(0, |_| {})
}

/// As at the beginning.
fn reset() {
    let all = ADJ_FREQUENCY | ADJ_TICK | ADJ_TIMECONST | ADJ_MICRO;
    adjust(all, |t| t.tick = 10_000);
    adjust(ADJ_STATUS, |t| t.status = STA_UNSYNC);
    adjust(ADJ_OFFSET_SINGLESHOT, |_| {});
}

/// So many millionths faster than the counter does the clock run, measured over some time.
fn speed() -> i64 {
    let both = || {
        // The quickest of some pairs is the closest one.
        let pair = |_| {
            let raw = clock(CLOCK_MONOTONIC_RAW);
            let time = clock(CLOCK_MONOTONIC);
            (clock(CLOCK_MONOTONIC_RAW) - raw, raw, time)
        };
        (0..50).map(pair).min().unwrap()
    };
    let (_, raw, time) = both();
    ok!(SYS_nanosleep, &timespec(400_000_000), 0);
    let (_, raw_end, time_end) = both();
    let (raw, time) = ((raw_end - raw) as i64, (time_end - time) as i64);
    (time - raw) * 1_000_000 / raw
}

fn what_is_known_at_first() {
    let (state, known) = read();
    assert_eq!((state, known.status), (TIME_ERROR, STA_UNSYNC));
    assert_eq!((known.maxerror, known.esterror), (16_000_000, 16_000_000));
    assert_eq!(
        (known.tick, known.freq, known.offset, known.tai),
        (10_000, 0, 0, 0)
    );
    assert_eq!((known.tolerance, known.precision), (32_768_000, 1));
    let now = clock(CLOCK_REALTIME) / SECOND;
    assert!((now - 1..=now).contains(&(known.time.tv_sec as u64)));
    let mut known = empty();
    gives!(TIME_ERROR, SYS_clock_adjtime, CLOCK_REALTIME, &mut known);
    assert_eq!(known.tick, 10_000);
}

fn each_mode_alone() {
    reset();
    let (_, t) = adjust(ADJ_MAXERROR, |t| t.maxerror = 1234);
    assert!((1234..=1734).contains(&t.maxerror));
    let (_, t) = adjust(ADJ_ESTERROR, |t| t.esterror = 77);
    assert_eq!(t.esterror, 77);
    let (state, t) = adjust(ADJ_STATUS, |t| t.status = STA_PLL);
    assert_eq!((state, t.status), (TIME_OK, STA_PLL));
    let (_, t) = adjust(ADJ_NANO, |_| {});
    assert_eq!(t.status, STA_PLL | STA_NANO);
    let (_, t) = adjust(ADJ_TIMECONST, |t| t.constant = 6);
    assert_eq!(t.constant, 6);
    let (_, t) = adjust(ADJ_MICRO, |_| {});
    assert_eq!(t.status, STA_PLL);
    let (_, t) = adjust(ADJ_TIMECONST, |t| t.constant = 3);
    assert_eq!(t.constant, 7);
    let (_, t) = adjust(ADJ_FREQUENCY, |t| t.freq = -(123 << 16) - 45);
    assert_eq!(t.freq, -(123 << 16) - 45);
    let (_, t) = adjust(ADJ_FREQUENCY, |t| t.freq = 600 << 16);
    assert_eq!(t.freq, 500 << 16);
    let (_, t) = adjust(ADJ_TICK, |t| t.tick = 10_001);
    assert_eq!(t.tick, 10_001);
    // What it does not say stays.
    let (_, t) = read();
    assert_eq!(
        (t.freq, t.tick, t.constant, t.esterror),
        (500 << 16, 10_001, 7, 77)
    );
    reset();
}

fn a_tick_changes_the_rate() {
    reset();
    assert!(speed().abs() < 500);
    for (tick, expected) in [(11_000, 100_000), (9_000, -100_000)] {
        adjust(ADJ_TICK, |t| t.tick = tick);
        let measured = speed();
        assert!((measured - expected).abs() < 1000, "{measured} for {tick}");
        // The library reads the same clock.
        let before = clock(CLOCK_MONOTONIC);
        let mut time = timespec(0);
        // SAFETY: a valid place for the time.
        assert_eq!(
            // SAFETY: `time` is one.
            unsafe { libc::clock_gettime(CLOCK_MONOTONIC, &mut time) },
            0
        );
        let inside = time.tv_sec as u64 * SECOND + time.tv_nsec as u64;
        assert!((before..=clock(CLOCK_MONOTONIC)).contains(&inside));
    }
    reset();
    assert!(speed().abs() < 500);
}

fn a_frequency_changes_the_rate() {
    reset();
    adjust(ADJ_FREQUENCY, |t| t.freq = 500 << 16);
    let fast = speed();
    adjust(ADJ_FREQUENCY, |t| t.freq = -(500 << 16));
    let slow = speed();
    reset();
    assert!((500..1500).contains(&(fast - slow)), "{fast} {slow}");
}

fn slewing_once() {
    reset();
    let (_, t) = adjust(ADJ_OFFSET_SINGLESHOT, |t| t.offset = 1200);
    assert_eq!(t.offset, 0, "what was left before");
    let left = || adjust(ADJ_OFFSET_SS_READ, |_| {}).1.offset;
    assert!((700..=1200).contains(&left()));
    until(|| left() == 0);
    // It changes nothing else.
    assert_eq!(read().1.offset, 0);
    passes(|| {
        become_nobody();
        assert_eq!(left(), 0);
    });
}

fn slewing_as_the_loop_says() {
    reset();
    adjust(ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST, |t| {
        t.status = STA_PLL
    });
    let (_, t) = adjust(ADJ_OFFSET, |t| t.offset = 40_000_000);
    assert_eq!(t.offset, 40_000_000);
    // A quarter of what is left, each second.
    until(|| read().1.offset == 30_000_000);
    let fast = speed();
    assert!(fast > 4000, "{fast}");
    reset();
}

fn a_jump() {
    reset();
    let before = (clock(CLOCK_REALTIME), monotonic());
    let jump = |seconds: i64, fraction: i64, modes: u32| {
        adjust(ADJ_SETOFFSET | modes, |t| {
            t.time.tv_sec = seconds;
            t.time.tv_usec = fraction;
        })
    };
    let (state, _) = jump(3600, 250_000_000, ADJ_NANO);
    assert_eq!(state, TIME_ERROR);
    jump(-1, 750_000, ADJ_MICRO);
    let passed = monotonic() - before.1;
    let now = clock(CLOCK_REALTIME);
    let expected = before.0 + HOUR;
    assert!((expected..=expected + passed + 100_000_000).contains(&now));
    jump(-3600, 0, 0);
    reset();
}

fn atomic_time() {
    let (_, t) = adjust(ADJ_TAI, |t| t.constant = 37);
    assert_eq!(t.tai, 37);
    let before = clock(CLOCK_REALTIME) + 37 * SECOND;
    let between = clock(CLOCK_TAI);
    assert!((before..=clock(CLOCK_REALTIME) + 37 * SECOND).contains(&between));
    let mut time = timespec(0);
    // SAFETY: a valid place for the time.
    assert_eq!(unsafe { libc::clock_gettime(CLOCK_TAI, &mut time) }, 0);
    assert!(time.tv_sec as u64 >= between / SECOND);
    // Nonsense is not taken.
    let (_, t) = adjust(ADJ_TAI, |t| t.constant = -1);
    assert_eq!(t.tai, 37);
    adjust(ADJ_TAI, |_| {});
}

fn a_leap_second() {
    reset();
    let day = 86_400 * SECOND;
    let back = Moved::by(0);
    let now = clock(CLOCK_REALTIME);
    let midnight = now - now % day + day;
    set(midnight - 3 * SECOND);
    let start = monotonic();
    adjust(ADJ_STATUS | ADJ_MAXERROR, |t| t.status = STA_INS);
    let tai = clock(CLOCK_TAI);
    until(|| read().0 == TIME_INS);
    until(|| read().0 == TIME_OOP);
    // The last second of the day is there again.
    assert!(clock(CLOCK_REALTIME) < midnight);
    assert_eq!(read().1.tai, 1);
    until(|| read().0 == TIME_WAIT);
    let (wall, passed) = (clock(CLOCK_REALTIME), monotonic() - start);
    assert!(wall >= midnight && passed >= 4 * SECOND - 200_000_000);
    assert!(clock(CLOCK_TAI) - tai >= 3 * SECOND);
    adjust(ADJ_STATUS, |_| {});
    until(|| read().0 == TIME_OK);
    adjust(ADJ_TAI, |_| {});
    drop(back);
    reset();
}

fn setting_ends_it() {
    reset();
    adjust(ADJ_STATUS | ADJ_MAXERROR, |t| t.status = STA_PLL);
    adjust(ADJ_OFFSET, |t| t.offset = 100_000);
    adjust(ADJ_OFFSET_SINGLESHOT, |t| t.offset = 100_000);
    let (state, _) = read();
    assert_eq!(state, TIME_OK);
    drop(Moved::by(SECOND as i64));
    let (state, t) = read();
    assert_eq!((state, t.offset, t.maxerror), (TIME_ERROR, 0, 16_000_000));
    assert_eq!(adjust(ADJ_OFFSET_SS_READ, |_| {}).1.offset, 0);
    reset();
}

/// Who sleeps when the clock becomes faster wakes when the clock says so.
fn a_sleeper_follows_the_rate() {
    reset();
    adjust(ADJ_TICK, |t| t.tick = 9000);
    let sleeper = test_programs::child::spawn(|| {
        let goal = monotonic() + 2 * SECOND;
        let until = timespec(goal);
        gives!(
            0,
            SYS_clock_nanosleep,
            CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &until,
            0
        );
        // A late timer would be late by a fifth.
        let late = monotonic() - goal;
        assert!(late < 200_000_000, "{late} ns late");
    });
    let file = format!("/proc/{}/stat", sleeper.pid);
    until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(") S ")));
    adjust(ADJ_TICK, |t| t.tick = 11_000);
    sleeper.passes();
    reset();
}

fn errors() {
    fails!(EFAULT, SYS_adjtimex, bad::<u8>());
    for tick in [8999, 11_001, -10_000] {
        let mut wrong = empty();
        (wrong.modes, wrong.tick) = (ADJ_TICK, tick);
        fails!(EINVAL, SYS_adjtimex, &mut wrong);
    }
    let mut wrong = empty();
    (wrong.modes, wrong.freq) = (ADJ_FREQUENCY, i64::MAX);
    fails!(EINVAL, SYS_adjtimex, &mut wrong);
    let mut wrong = empty();
    wrong.modes = 0x8000;
    fails!(EINVAL, SYS_adjtimex, &mut wrong);
    for (modes, fraction) in [(0, -1), (0, 1_000_000), (ADJ_NANO, 1_000_000_000)] {
        let mut wrong = empty();
        (wrong.modes, wrong.time.tv_usec) = (ADJ_SETOFFSET | modes, fraction);
        fails!(EINVAL, SYS_adjtimex, &mut wrong);
    }
    let mut wrong = empty();
    (wrong.modes, wrong.time.tv_sec) = (ADJ_SETOFFSET, i64::MIN);
    fails!(EINVAL, SYS_adjtimex, &mut wrong);
}
