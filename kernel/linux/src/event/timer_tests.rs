//! Timers as files, on a simulated clock.

use super::timer::{TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET, TimerFile};
use crate::errno::Errno;
use crate::time::{CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, SECOND};
use crate::timer::schedule::Setting;
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use object::SliceSink;
use task::{Observer, Ready, block_on, clock, sleep_until};
use vfs::File;

fn once(value: u64) -> Setting {
    Setting { value, interval: 0 }
}

fn every(interval: u64) -> Setting {
    Setting {
        value: interval,
        interval,
    }
}

fn read(file: &TimerFile) -> Result<u64, Error> {
    let mut bytes = [0; 8];
    assert_eq!(file.try_read(0, &mut SliceSink::new(&mut bytes))?, 8);
    Ok(u64::from_le_bytes(bytes))
}

fn ready(file: &TimerFile) -> bool {
    file.readiness().unwrap().get().contains(Ready::READ)
}

fn pass(nanoseconds: u64) {
    block_on(sleep_until(clock::now() + nanoseconds)).unwrap();
}

/// When the CPU is to be told of the time.
fn alarm() -> Option<u64> {
    machine::host::clock::alarm(0)
}

#[test]
fn it_goes_off_once() {
    let file = TimerFile::new(CLOCK_MONOTONIC);
    assert_eq!(file.0.set(once(1000), 0), Ok(Setting::default()));
    pass(999);
    assert!(!ready(&file) && read(&file) == Err(Error::WouldBlock));
    assert_eq!(file.0.get(), once(1));
    pass(1);
    assert!(ready(&file));
    assert_eq!(file.0.get(), Setting::default());
    assert_eq!(read(&file), Ok(1));
    assert!(!ready(&file) && read(&file) == Err(Error::WouldBlock));
    pass(SECOND);
    assert!(!ready(&file));
}

#[test]
fn nobody_counts_what_nobody_reads() {
    let file = TimerFile::new(CLOCK_BOOTTIME);
    file.0.set(every(10), 0).unwrap();
    pass(10);
    assert!(ready(&file));
    // It is not set again until somebody reads.
    pass(SECOND);
    assert_eq!(alarm(), None);
    assert_eq!(read(&file), Ok(SECOND / 10 + 1));
    assert!(!ready(&file));
    pass(10);
    assert!(ready(&file) && read(&file) == Ok(1));
}

#[test]
fn asking_counts_and_sets_it_again() {
    struct Times(AtomicUsize);
    impl Observer for Times {
        fn ready(&self, _: Ready) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let file = TimerFile::new(CLOCK_MONOTONIC);
    let times = Arc::new(Times(AtomicUsize::new(0)));
    let readiness = file.readiness().unwrap();
    let _guard = readiness.observe(Ready::READ, times.clone()).unwrap();
    file.0.set(every(100), 0).unwrap();
    pass(350);
    assert_eq!(times.0.load(Ordering::Relaxed), 1);
    assert_eq!(
        file.0.get(),
        Setting {
            value: 50,
            interval: 100
        }
    );
    assert!(ready(&file));
    pass(50);
    assert_eq!(times.0.load(Ordering::Relaxed), 2);
    assert_eq!(read(&file), Ok(4));
}

#[test]
fn what_has_passed_goes_off_at_once() {
    let file = TimerFile::new(CLOCK_MONOTONIC);
    let now = clock::now();
    file.0.set(once(now), TFD_TIMER_ABSTIME).unwrap();
    assert!(ready(&file) && read(&file) == Ok(1));
    let often = Setting {
        value: now - 50,
        interval: 20,
    };
    file.0.set(often, TFD_TIMER_ABSTIME).unwrap();
    assert_eq!(read(&file), Ok(3));
    assert_eq!(
        file.0.get(),
        Setting {
            value: 10,
            interval: 20
        }
    );
}

#[test]
fn setting_it_forgets_what_it_was() {
    let file = TimerFile::new(CLOCK_MONOTONIC);
    file.0.set(every(100), 0).unwrap();
    pass(250);
    assert!(ready(&file));
    let before = file.0.set(once(SECOND), 0);
    assert_eq!(
        before,
        Ok(Setting {
            value: 50,
            interval: 100
        })
    );
    assert!(!ready(&file) && read(&file) == Err(Error::WouldBlock));
    assert_eq!(file.0.set(once(0), 0), Ok(once(SECOND)));
    pass(2 * SECOND);
    assert!(!ready(&file) && alarm().is_none());
}

#[test]
fn a_file_that_is_gone_has_no_alarm() {
    let file = TimerFile::new(CLOCK_REALTIME);
    let timer = Arc::downgrade(&file.0);
    let then = clock::wall() + SECOND;
    file.0
        .set(once(then), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)
        .unwrap();
    drop(file);
    assert!(timer.upgrade().is_none());
    clock::set_wall(then).unwrap();
}

#[test]
fn a_wall_time_moves_with_the_clock() {
    let absolute = TimerFile::new(CLOCK_REALTIME);
    let relative = TimerFile::new(CLOCK_REALTIME);
    let start = clock::wall();
    absolute
        .0
        .set(once(start + 100 * SECOND), TFD_TIMER_ABSTIME)
        .unwrap();
    relative.0.set(once(100 * SECOND), 0).unwrap();
    clock::set_wall(clock::wall() - SECOND / 2).unwrap();
    clock::set_wall(clock::wall() + 99 * SECOND).unwrap();
    assert_eq!(relative.0.get().value, 100 * SECOND);
    let left = absolute.0.get().value;
    assert!((SECOND..=3 * SECOND / 2).contains(&left), "{left}");
    pass(left);
    assert!(ready(&absolute) && !ready(&relative));
    // It went off, and stays that way when the clock goes back.
    clock::set_wall(clock::wall() - 10 * SECOND).unwrap();
    assert_eq!(read(&absolute), Ok(1));
    pass(100 * SECOND);
    assert_eq!(read(&relative), Ok(1));
}

#[test]
fn a_setting_of_the_clock_cancels_who_asked_for_it() {
    let flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    let then = once(clock::wall() + 100 * SECOND);
    let file = TimerFile::new(CLOCK_REALTIME);
    let steady = TimerFile::new(CLOCK_REALTIME);
    let monotonic = TimerFile::new(CLOCK_MONOTONIC);
    file.0.set(then, flags).unwrap();
    steady.0.set(then, TFD_TIMER_ABSTIME).unwrap();
    monotonic.0.set(then, flags).unwrap();
    let set = || clock::set_wall(clock::wall() + SECOND).unwrap();
    set();
    assert!(ready(&file) && !ready(&steady) && !ready(&monotonic));
    assert_eq!(read(&file), Err(Error::Cancelled));
    // Once, and the timer goes on.
    assert!(!ready(&file) && read(&file) == Err(Error::WouldBlock));
    assert!(file.0.get().value > 0);
    set();
    assert_eq!(file.0.set(then, flags), Err(Errno::ECANCELED));
    assert!(!ready(&file) && file.0.get().value > 0);
    set();
    assert_eq!(file.0.set_ticks(5), Err(Errno::ECANCELED));
    assert!(file.0.set(then, TFD_TIMER_ABSTIME).is_ok());
    set();
    assert!(!ready(&file) && read(&file) == Err(Error::WouldBlock));
}

#[test]
fn ticks_can_be_set() {
    let file = TimerFile::new(CLOCK_MONOTONIC);
    assert_eq!(file.0.set_ticks(0), Err(Errno::EINVAL));
    assert_eq!(file.0.set_ticks(7), Ok(()));
    assert!(ready(&file) && read(&file) == Ok(7));
}

#[test]
fn too_little_room() {
    let file = TimerFile::new(CLOCK_MONOTONIC);
    file.0.set(once(1), 0).unwrap();
    pass(1);
    let mut bytes = [0; 7];
    let answer = file.try_read(0, &mut SliceSink::new(&mut bytes));
    assert_eq!(answer, Err(Error::Invalid));
    assert_eq!(read(&file), Ok(1));
}
