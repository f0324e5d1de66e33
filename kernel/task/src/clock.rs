//! What time it is.
//!
//! Three scales, all in nanoseconds: [`now`] counts from boot and never goes back; [`wall`] counts from 1970 (UTC) and can
//! be set; [`tai`] is ahead of it by so many seconds as somebody said. A [`crate::Deadline`] is on one of them. Logic takes time as an argument; only the doors and this crate read it.

use crate::{Readiness, Ready, placement};
use core::sync::atomic::{AtomicU64, Ordering};
use machine::cpu::Shared;
use machine::frame::{Frame, OutOfFrames};
use machine::sync::Spin;
use machine::vdso::Wall;

/// The wall clock ends here: before the year 2262, so that times fit into 63 bits whatever is added to them within a
/// generation.
pub const WALL_END: u64 = (i64::MAX as u64 / SECOND - 30 * 365 * 24 * 3600) * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds since boot; never goes back.
#[inline]
pub fn now() -> u64 {
    machine::time::now()
}

struct Setting {
    /// What was added to the real-time clock's word, modulo 2^64.
    correction: AtomicU64,
    /// The same for atomic time: by itself, so that who reads it is not disturbed by a leap second.
    tai_correction: AtomicU64,
    changes: Readiness,
    /// Who sets the clock.
    setter: Spin<()>,
}

static SETTING: Shared<Setting> = Shared::new(|| Setting {
    correction: AtomicU64::new(0),
    tai_correction: AtomicU64::new(0),
    changes: Readiness::new(Ready::empty()),
    setter: Spin::new(()),
});

/// Nanoseconds since 1970-01-01 00:00:00 UTC at boot time 0: `wall() == wall_at_boot() + now()`.
pub fn wall_at_boot() -> u64 {
    let correction = SETTING.get().correction.load(Ordering::Relaxed);
    machine::time::wall_at_boot().wrapping_add(correction)
}

/// Nanoseconds since 1970-01-01 00:00:00 UTC.
pub fn wall() -> u64 {
    wall_at_boot().saturating_add(now())
}

/// Nanoseconds of atomic time at boot time 0, modulo 2^64.
pub(crate) fn tai_at_boot() -> u64 {
    let correction = SETTING.get().tai_correction.load(Ordering::Relaxed);
    machine::time::wall_at_boot().wrapping_add(correction)
}

/// Atomic time, on the scale of [`wall`] but without leap seconds: ahead of it by [`tai_offset`].
pub fn tai() -> u64 {
    tai_at_boot().wrapping_add(now())
}

/// What atomic time is ahead of UTC, in seconds: 0 until somebody says.
pub fn tai_offset() -> i32 {
    let ahead = tai_at_boot().wrapping_sub(wall_at_boot()) as i64;
    (ahead / SECOND as i64) as i32
}

/// The time since boot at which the wall clock shows `wall`, unless it is set before; 0 if it showed that before boot.
pub fn boot_time(wall: u64) -> u64 {
    wall.saturating_sub(wall_at_boot())
}

/// The same for atomic time.
pub(crate) fn boot_time_of_tai(tai: u64) -> u64 {
    tai.saturating_sub(tai_at_boot())
}

/// Sets the wall clock to `nanoseconds` since 1970 (UTC). Deadlines on it move, those since boot do not. Costs a look at
/// each CPU, and what those do who hear of it.
///
/// # Errors
/// [`abi::Error::Invalid`]: the machine would have booted before 1970, or the time is [`WALL_END`] or later.
pub fn set_wall(nanoseconds: u64) -> Result<(), abi::Error> {
    change(|now, offset| Some((checked(nanoseconds, now)?, offset)))
}

/// Moves the wall clock by so many nanoseconds, as [`set_wall`] would.
///
/// # Errors
/// As [`set_wall`].
pub fn step_wall(nanoseconds: i64) -> Result<(), abi::Error> {
    change(|now, offset| {
        let wall = wall_at_boot().checked_add(now)?;
        let wall = wall.checked_add_signed(nanoseconds)?;
        Some((checked(wall, now)?, offset))
    })
}

/// Says what atomic time is ahead of UTC, in seconds. The wall clock stays as it is.
pub fn set_tai_offset(seconds: i32) {
    let changed = change(|_, _| Some((wall_at_boot(), seconds)));
    debug_assert!(changed.is_ok());
}

/// Inserts a leap second (1) or leaves one out (-1): the wall clock moves, atomic time does not.
///
/// # Errors
/// As [`set_wall`].
pub fn leap(seconds: i32) -> Result<(), abi::Error> {
    change(|now, offset| {
        let wall = wall_at_boot().checked_add(now)?;
        let wall = wall.checked_add_signed(-i64::from(seconds) * SECOND as i64)?;
        Some((checked(wall, now)?, offset.saturating_add(seconds)))
    })
}

/// The wall time at boot if it is `wall` at `now`, if that is a time.
fn checked(wall: u64, now: u64) -> Option<u64> {
    wall.checked_sub(now).filter(|_| wall < WALL_END)
}

/// Sets the wall time at boot, and the seconds that atomic time is ahead, to what comes of this time and what they were.
fn change(to: impl FnOnce(u64, i32) -> Option<(u64, i32)>) -> Result<(), abi::Error> {
    let setting = SETTING.get();
    {
        let _setter = setting.setter.lock();
        let (booted, offset) = to(now(), tai_offset()).ok_or(abi::Error::Invalid)?;
        let correction = booted.wrapping_sub(machine::time::wall_at_boot());
        let ahead = (i64::from(offset) * SECOND as i64) as u64;
        setting.correction.store(correction, Ordering::Relaxed);
        let tai = correction.wrapping_add(ahead);
        setting.tai_correction.store(tai, Ordering::Relaxed);
        machine::clock_page::set_wall(wall_base());
    }
    for cpu in placement::cpus() {
        cpu.wall_was_set();
    }
    setting.changes.set(Ready::READ);
    Ok(())
}

/// The clock that nobody adjusts: nanoseconds since boot as its counter says.
pub fn raw() -> u64 {
    machine::time::raw()
}

/// Makes [`now`] and [`wall`] run faster or slower than the counter says: by so many nanoseconds in a second, times 2^32; at
/// most by a tenth. Costs an interrupt of each other CPU, whose alarm was set for the old rate.
pub fn set_rate(rate: i64) {
    machine::time::set_rate(rate);
}

/// Tells its observers each time that the wall clock was set.
pub fn changes() -> &'static Readiness {
    &SETTING.get().changes
}

/// What the clocks of programs count from.
fn wall_base() -> Wall {
    Wall {
        at_boot: wall_at_boot(),
        tai: tai_at_boot().wrapping_sub(wall_at_boot()),
    }
}

/// The page from which programs read the clocks (see [`machine::vdso`]).
///
/// # Errors
/// The first time, when there is no frame.
pub fn page() -> Result<Frame, OutOfFrames> {
    machine::clock_page::frame(wall_base())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Deadline, Observer, block_on, run_until_idle, sleep_until, spawn};
    use alloc::sync::Arc;
    use core::sync::atomic::AtomicUsize;

    #[test]
    fn the_wall_clock_can_be_set() {
        let (before, since) = (wall(), now());
        assert_eq!(set_wall(before + 5 * SECOND), Ok(()));
        assert_eq!(wall() - (now() - since), before + 5 * SECOND);
        assert_eq!(boot_time(before + 5 * SECOND), since);
        assert_eq!(boot_time(0), 0);
        // It shows at least how long the machine has run.
        assert_eq!(set_wall(since - 1), Err(abi::Error::Invalid));
        assert_eq!(set_wall(WALL_END), Err(abi::Error::Invalid));
        assert_eq!(set_wall(since), Ok(()));
        assert_eq!(wall_at_boot(), 0);
    }

    #[test]
    fn atomic_time_is_ahead_and_does_not_leap() {
        assert_eq!((tai(), tai_offset()), (wall(), 0));
        set_tai_offset(37);
        assert_eq!((tai(), tai_offset()), (wall() + 37 * SECOND, 37));
        let (before, atomic) = (wall(), tai());
        leap(1).unwrap();
        assert_eq!((wall(), tai(), tai_offset()), (before - SECOND, atomic, 38));
        leap(-1).unwrap();
        assert_eq!((wall(), tai(), tai_offset()), (before, atomic, 37));
        step_wall(-5).unwrap();
        assert_eq!((wall(), tai(), tai_offset()), (before - 5, atomic - 5, 37));
        set_wall(before).unwrap();
        assert_eq!(tai(), atomic);
        set_tai_offset(-3);
        assert_eq!((tai(), tai_offset()), (before - 3 * SECOND, -3));
        assert_eq!(step_wall(i64::MIN), Err(abi::Error::Invalid));
    }

    #[test]
    fn sleepers_in_atomic_time_follow_both_settings() {
        let sleeper = |until| spawn("sleeper", async move { sleep_until(until).await.unwrap() });
        let start = tai();
        let first = sleeper(Deadline::Tai(start + 100 * SECOND)).unwrap();
        let second = sleeper(Deadline::Tai(start + 200 * SECOND)).unwrap();
        run_until_idle();
        leap(1).unwrap();
        run_until_idle();
        assert!(!first.is_done());
        set_tai_offset(101);
        run_until_idle();
        assert_eq!((first.is_done(), second.is_done()), (true, false));
        step_wall(100 * SECOND as i64).unwrap();
        run_until_idle();
        assert!(second.is_done());
    }

    #[test]
    fn sleepers_on_the_wall_clock_follow_it() {
        let start = (wall(), now());
        let tasks = [10, 20, 30].map(|seconds| {
            let until = Deadline::Wall(start.0 + seconds * SECOND);
            let sleeper = async move { sleep_until(until).await.unwrap() };
            spawn("sleeper", sleeper).unwrap()
        });
        let done = || tasks.each_ref().map(|task| task.is_done());
        block_on(sleep_until(start.1 + 11 * SECOND)).unwrap();
        assert_eq!(done(), [true, false, false]);
        // Forward: the second is due at once.
        set_wall(start.0 + 25 * SECOND).unwrap();
        run_until_idle();
        assert_eq!(done(), [true, true, false]);
        // Back: the third waits longer.
        set_wall(start.0 + 15 * SECOND).unwrap();
        block_on(sleep_until(start.1 + 25 * SECOND)).unwrap();
        assert_eq!(done(), [true, true, false]);
        block_on(sleep_until(start.1 + 26 * SECOND)).unwrap();
        assert_eq!(done(), [true, true, true]);
    }

    #[test]
    fn a_cpu_elsewhere_is_made_to_look() {
        let machine = machine::host::current();
        machine.enter(1);
        let until = Deadline::Wall(wall() + 10 * SECOND);
        let task = spawn("sleeper", async move { sleep_until(until).await.unwrap() }).unwrap();
        run_until_idle();
        machine.enter(0);
        let kicks = machine::host::cpu::kicks(1);
        set_wall(until.time()).unwrap();
        assert_eq!(machine::host::cpu::kicks(1), kicks + 1);
        machine.enter(1);
        // As a thread does on its way to user mode.
        crate::should_yield();
        run_until_idle();
        assert!(task.is_done());
    }

    struct Counter(AtomicUsize);

    impl Observer for Counter {
        fn ready(&self, _: Ready) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_observes_hears_of_every_setting() {
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let guard = changes().observe(Ready::READ, counter.clone()).unwrap();
        for count in 1..4 {
            set_wall(wall() + 1).unwrap();
            assert_eq!(counter.0.load(Ordering::Relaxed), count);
        }
        assert!(set_wall(0).is_err());
        drop(guard);
        set_wall(wall() + 1).unwrap();
        assert_eq!(counter.0.load(Ordering::Relaxed), 3);
    }
}
