//! When a timer goes off.
//!
//! The one idea: nobody counts ticks. A timer knows the next time and its interval; how often it went off since is one
//! division, whenever somebody asks.

use crate::errno::Errno;
use crate::time::Timespec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IntervalSpec {
    pub interval: Timespec,
    pub value: Timespec,
}

impl IntervalSpec {
    /// # Errors
    /// `EINVAL` for a time that is none.
    pub fn nanoseconds(self) -> Result<Setting, Errno> {
        Ok(Setting {
            value: self.value.nanoseconds()?,
            interval: self.interval.nanoseconds()?,
        })
    }
}

/// What a timer is set to, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Until it goes off, or when; 0: never.
    pub value: u64,
    /// From then on; 0: once only.
    pub interval: u64,
}

impl From<Setting> for IntervalSpec {
    fn from(setting: Setting) -> IntervalSpec {
        IntervalSpec {
            interval: Timespec::from_nanoseconds(setting.interval),
            value: Timespec::from_nanoseconds(setting.value),
        }
    }
}

/// When a timer goes off, in nanoseconds on its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    next: Option<u64>,
    interval: u64,
}

impl Schedule {
    /// From `next` on, and again at every `interval`, if that is not 0.
    pub fn new(next: Option<u64>, interval: u64) -> Schedule {
        Schedule { next, interval }
    }

    /// When it goes off next: the first time that [`Schedule::take`] has not counted. `None`: never.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Whether it has an interval.
    pub fn repeats(&self) -> bool {
        self.interval != 0
    }

    /// How often it has gone off until `now`, not counting what was taken before. The cost is the same for all.
    pub fn take(&mut self, now: u64) -> u64 {
        let Some(next) = self.next.filter(|&next| next <= now) else {
            return 0;
        };
        let missed = (now - next).checked_div(self.interval);
        // Beyond the end of time it does not go off any more.
        self.next = missed.and_then(|missed| {
            next.checked_add(self.interval * missed)?
                .checked_add(self.interval)
        });
        missed.map_or(1, |missed| missed + 1)
    }

    /// How long until it goes off, 0 if it is due or never will, and the interval.
    pub fn setting(&self, now: u64) -> Setting {
        Setting {
            value: self.next.map_or(0, |next| next.saturating_sub(now)),
            interval: self.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn once() {
        let mut once = Schedule::new(Some(100), 0);
        assert_eq!((once.take(99), once.setting(90).value), (0, 10));
        assert_eq!((once.take(500), once.take(600)), (1, 0));
        assert_eq!((once.next(), once.setting(600).value), (None, 0));
    }

    #[test]
    fn never() {
        let mut never = Schedule::default();
        assert_eq!((never.take(u64::MAX), never.next()), (0, None));
    }

    #[test]
    fn at_the_end_of_time() {
        let mut late = Schedule::new(Some(u64::MAX - 1), 10);
        assert_eq!((late.take(u64::MAX), late.next()), (1, None));
        let mut slow = Schedule::new(Some(0), u64::MAX);
        assert_eq!((slow.take(u64::MAX - 1), slow.next()), (1, Some(u64::MAX)));
        assert_eq!((slow.take(u64::MAX), slow.next()), (1, None));
        let mut quick = Schedule::new(Some(0), 1);
        assert_eq!(quick.take(u64::MAX - 1), u64::MAX);
        assert_eq!(quick.next(), Some(u64::MAX));
    }

    proptest! {
        /// Whenever it is looked at, it has gone off as often as if it had been watched.
        #[test]
        fn as_if_watched(first in 0u64..50, interval in 0u64..20, steps in prop::collection::vec(0u64..60, 0..30)) {
            let mut schedule = Schedule::new(Some(first), interval);
            let (mut now, mut counted) = (0, 0);
            for step in steps {
                now += step;
                let went_off = (0..=now)
                    .filter(|&time| time == first || interval > 0 && time > first && (time - first) % interval == 0)
                    .count() as u64;
                counted += schedule.take(now);
                prop_assert_eq!(counted, went_off);
                let left = schedule.setting(now).value;
                prop_assert_eq!(schedule.next(), (left > 0).then_some(now + left));
            }
        }
    }
}
