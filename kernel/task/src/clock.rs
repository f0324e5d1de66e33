//! What time it is.
//!
//! Two scales, both in nanoseconds: [`now`] counts from boot and never goes back; [`wall`] counts from 1970 (UTC) and can
//! be set. A [`crate::Deadline`] is on either. Logic takes time as an argument; only the doors and this crate read it.

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
    changes: Readiness,
    /// Who sets the clock.
    setter: Spin<()>,
}

static SETTING: Shared<Setting> = Shared::new(|| Setting {
    correction: AtomicU64::new(0),
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

/// The time since boot at which the wall clock shows `wall`, unless it is set before; 0 if it showed that before boot.
pub fn boot_time(wall: u64) -> u64 {
    wall.saturating_sub(wall_at_boot())
}

/// Sets the wall clock to `nanoseconds` since 1970 (UTC). Deadlines on it move, those since boot do not. Costs a look at
/// each CPU, and what those do who hear of it.
///
/// # Errors
/// [`abi::Error::Invalid`]: the machine would have booted before 1970, or the time is [`WALL_END`] or later.
pub fn set_wall(nanoseconds: u64) -> Result<(), abi::Error> {
    let setting = SETTING.get();
    {
        let _setter = setting.setter.lock();
        let booted = nanoseconds.checked_sub(now());
        let booted = booted.filter(|_| nanoseconds < WALL_END);
        let booted = booted.ok_or(abi::Error::Invalid)?;
        let correction = booted.wrapping_sub(machine::time::wall_at_boot());
        setting.correction.store(correction, Ordering::Relaxed);
        machine::clock_page::set_wall(wall_base());
    }
    for cpu in placement::cpus() {
        cpu.wall_was_set();
    }
    setting.changes.set(Ready::READ);
    Ok(())
}

/// Tells its observers each time that the wall clock was set.
pub fn changes() -> &'static Readiness {
    &SETTING.get().changes
}

/// What the clocks of programs count from.
fn wall_base() -> Wall {
    Wall {
        at_boot: wall_at_boot(),
        tai: 0,
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
