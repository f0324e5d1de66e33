//! `std::time` and sleeping.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

test_programs::tests!(
    instants_never_go_back,
    instants_move_on,
    system_time_is_plausible,
    both_clocks_run_alike,
    sleep_lasts_at_least_as_long,
    zero_sleep_returns,
    sleeps_overlap,
    instants_agree_between_threads,
    arithmetic,
);

fn instants_never_go_back() {
    let mut last = Instant::now();
    for _ in 0..100_000 {
        let now = Instant::now();
        assert!(now >= last);
        last = now;
    }
}

fn instants_move_on() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2) {}
}

/// After the day this was written, and within the range of file time stamps.
fn system_time_is_plausible() {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(
        (1_700_000_000..10_000_000_000).contains(&seconds),
        "{seconds} s"
    );
}

fn both_clocks_run_alike() {
    let (wall, steady) = (SystemTime::now(), Instant::now());
    thread::sleep(Duration::from_millis(100));
    let steady = steady.elapsed().as_secs_f64();
    let wall = wall.elapsed().unwrap().as_secs_f64();
    assert!(
        (wall / steady - 1.0).abs() < 0.2,
        "wall {wall} s, steady {steady} s"
    );
}

fn sleep_lasts_at_least_as_long() {
    for ms in [1, 5, 20, 50] {
        let start = Instant::now();
        thread::sleep(Duration::from_millis(ms));
        assert!(start.elapsed() >= Duration::from_millis(ms));
    }
}

fn zero_sleep_returns() {
    thread::sleep(Duration::ZERO);
    thread::sleep(Duration::from_nanos(1));
}

/// Ten sleepers together take far less than one after another.
fn sleeps_overlap() {
    let start = Instant::now();
    thread::scope(|s| {
        for _ in 0..20 {
            s.spawn(|| thread::sleep(Duration::from_millis(200)));
        }
    });
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_millis(200) && elapsed < Duration::from_millis(3000),
        "{elapsed:?}"
    );
}

fn instants_agree_between_threads() {
    for _ in 0..50 {
        let before = Instant::now();
        let inside = thread::spawn(Instant::now).join().unwrap();
        assert!(before <= inside && inside <= Instant::now());
    }
}

fn arithmetic() {
    let now = Instant::now();
    assert_eq!((now + Duration::from_secs(5)) - now, Duration::from_secs(5));
    assert_eq!(
        now.checked_duration_since(now + Duration::from_secs(1)),
        None
    );
    assert!(SystemTime::now() > UNIX_EPOCH);
}
