//! Timers as files when the wall clock is set.

use crate::setting::{HOUR, Moved, SECOND};
use libc::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, POLLIN, TFD_NONBLOCK, TFD_TIMER_ABSTIME,
    TFD_TIMER_CANCEL_ON_SET, pollfd,
};
use test_programs::child::{spawn, until};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    an_absolute_one_goes_off,
    an_absolute_one_waits_longer,
    a_relative_one_does_not_notice,
    cancelled_while_somebody_reads,
    cancelled_once,
    set_again_before_it_was_read,
    who_did_not_ask_is_not_cancelled,
);

const CANCEL: i32 = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;

fn create(which: i32) -> usize {
    ok!(SYS_timerfd_create, which, TFD_NONBLOCK)
}

fn set(fd: usize, flags: i32, value: u64) {
    gives!(0, SYS_timerfd_settime, fd, flags, &itimerspec(value, 0), 0);
}

/// Seconds that are left, rounded up.
fn left(fd: usize) -> u64 {
    let mut now = itimerspec(0, 0);
    gives!(0, SYS_timerfd_gettime, fd, &mut now);
    now.it_value.tv_sec as u64 + u64::from(now.it_value.tv_nsec > 0)
}

fn ready(fd: usize) -> bool {
    let mut entry = pollfd {
        fd: fd as i32,
        events: POLLIN,
        revents: 0,
    };
    ok!(SYS_poll, &mut entry, 1, 0) == 1
}

fn in_an_hour() -> u64 {
    clock(CLOCK_REALTIME) + HOUR
}

fn read_fails(fd: usize, errno: i32) {
    let mut count = 0u64;
    let result = test_programs::sys!(SYS_read, fd, &mut count, 8);
    assert_eq!(result, Err(errno));
}

fn an_absolute_one_goes_off() {
    let fd = create(CLOCK_REALTIME);
    set(fd, TFD_TIMER_ABSTIME, in_an_hour());
    let _moved = Moved::by(HOUR as i64 + 1);
    until(|| ready(fd));
    assert_eq!(left(fd), 0);
    assert_eq!(read(fd, 8), 1u64.to_le_bytes());
}

fn an_absolute_one_waits_longer() {
    let fd = create(CLOCK_REALTIME);
    set(fd, TFD_TIMER_ABSTIME, clock(CLOCK_REALTIME) + SECOND);
    let moved = Moved::by(-(HOUR as i64));
    assert!((3590..=3601).contains(&left(fd)), "{}", left(fd));
    ok!(SYS_nanosleep, &timespec(2 * SECOND), 0);
    assert!(!ready(fd));
    drop(moved);
    until(|| ready(fd));
}

fn a_relative_one_does_not_notice() {
    for which in [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME] {
        let fd = create(which);
        set(fd, 0, HOUR);
        let _moved = Moved::by(2 * HOUR as i64);
        assert!(!ready(fd) && (3590..=3600).contains(&left(fd)));
        read_fails(fd, libc::EAGAIN);
    }
    // Nor does one until a time on a clock that cannot be set.
    let fd = create(CLOCK_MONOTONIC);
    set(fd, CANCEL, monotonic() + HOUR);
    let _moved = Moved::by(2 * HOUR as i64);
    assert!(!ready(fd) && (3590..=3600).contains(&left(fd)));
}

fn cancelled_while_somebody_reads() {
    let fd = ok!(SYS_timerfd_create, CLOCK_REALTIME, 0);
    set(fd, CANCEL, in_an_hour());
    let reader = spawn(|| read_fails(fd, libc::ECANCELED));
    let file = format!("/proc/{}/stat", reader.pid);
    until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(") S ")));
    let _moved = Moved::by(-(SECOND as i64));
    reader.passes();
}

fn cancelled_once() {
    let fd = create(CLOCK_REALTIME);
    set(fd, CANCEL, in_an_hour());
    let moved = Moved::by(SECOND as i64);
    assert!(ready(fd));
    read_fails(fd, libc::ECANCELED);
    assert!(!ready(fd));
    read_fails(fd, libc::EAGAIN);
    // It goes on.
    assert!(left(fd) > 3500);
    drop(moved);
    read_fails(fd, libc::ECANCELED);
}

fn set_again_before_it_was_read() {
    let fd = create(CLOCK_REALTIME);
    set(fd, CANCEL, in_an_hour());
    let _moved = Moved::by(SECOND as i64);
    let again = itimerspec(in_an_hour(), 0);
    fails!(ECANCELED, SYS_timerfd_settime, fd, CANCEL, &again, 0);
    // It was set nevertheless.
    assert!(!ready(fd) && left(fd) > 3500);
    read_fails(fd, libc::EAGAIN);
}

fn who_did_not_ask_is_not_cancelled() {
    let fd = create(CLOCK_REALTIME);
    set(fd, CANCEL, in_an_hour());
    set(fd, TFD_TIMER_ABSTIME, in_an_hour());
    let _moved = Moved::by(SECOND as i64);
    assert!(!ready(fd));
    read_fails(fd, libc::EAGAIN);
}
