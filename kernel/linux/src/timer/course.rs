//! The course of a timer that sends signals: set, gone off, signal queued, signal taken, and on.
//!
//! The one idea: there is one signal at most, and while it waits to be taken nothing is counted. Who takes it is told
//! how often the timer went off besides; from then on the timer is watched again. So a signal that nobody takes, or that
//! is ignored, costs nothing however short the interval is. Pure: the time is an argument.

use super::schedule::{Schedule, Setting};

/// The most that an overrun count can say (`DELAYTIMER_MAX`).
const MOST: u64 = i32::MAX as u64;

/// Whether somebody should be told, or the timer be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It went off: send the signal, which counts as queued from now on.
    Send,
    /// It will go off at this time on its clock: look again then.
    Watch(u64),
    /// Nothing, until somebody takes the signal or sets the timer.
    Rest,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    schedule: Schedule,
    /// How often it went off and nobody was told, as far as that was counted.
    ticks: u64,
    /// The signal is in a queue, perhaps from before the last setting.
    queued: bool,
    /// It went off and the signal was ignored: it is sent again when it is ignored no more.
    unheard: bool,
    /// How often it went off besides, said with the last signal.
    overrun: i32,
}

impl Course {
    /// Begins anew. A signal that is queued means nothing any more.
    pub fn set(&mut self, schedule: Schedule) {
        *self = Course {
            schedule,
            queued: self.queued,
            ..Course::default()
        };
    }

    /// What is left, and the interval. What is set does not show 0, unless it sends no signal (`silent`).
    pub fn setting(&self, now: u64, silent: bool) -> Setting {
        let mut schedule = self.schedule;
        if silent || schedule.repeats() {
            schedule.take(now);
        }
        let mut setting = schedule.setting(now);
        if schedule.next().is_some() {
            setting.value = setting.value.max(1);
        }
        setting
    }

    /// How often it went off besides when the last signal was taken.
    pub fn overrun(&self) -> i32 {
        self.overrun
    }

    /// What is to be done now that it was set, or that it may have gone off.
    pub fn look(&mut self, now: u64) -> Next {
        if self.unheard {
            return Next::Rest;
        }
        if self.ticks == 0 {
            self.ticks = self.schedule.take(now);
        }
        match (self.ticks, self.schedule.next()) {
            (0, Some(next)) => Next::Watch(next),
            (0, None) => Next::Rest,
            _ if self.queued => Next::Rest,
            _ => {
                self.queued = true;
                Next::Send
            }
        }
    }

    /// The signal was taken. With it goes how often the timer went off besides; `None`: it means nothing any more.
    pub fn taken(&mut self, now: u64) -> Option<i32> {
        self.queued = false;
        if self.ticks == 0 {
            return None;
        }
        let ticks = self.ticks.saturating_add(self.schedule.take(now));
        self.ticks = 0;
        self.overrun = (ticks - 1).min(MOST) as i32;
        Some(self.overrun)
    }

    /// The signal was ignored, or forgotten because it is now. Only what repeats is worth keeping until that changes.
    pub fn not_heard(&mut self) {
        self.queued = false;
        if self.ticks == 0 {
            return;
        }
        if self.schedule.repeats() {
            self.unheard = true;
        } else {
            self.ticks = 0;
        }
    }

    /// The signal is ignored no more.
    pub fn heard_again(&mut self, now: u64) -> Next {
        if !core::mem::take(&mut self.unheard) {
            return Next::Rest;
        }
        self.look(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every(next: u64, interval: u64) -> Course {
        let mut course = Course::default();
        course.set(Schedule::new(Some(next), interval));
        course
    }

    #[test]
    fn once() {
        let mut course = every(100, 0);
        assert_eq!(course.look(99), Next::Watch(100));
        assert_eq!(course.setting(100, false).value, 1);
        assert_eq!(course.setting(100, true).value, 0);
        assert_eq!(course.look(100), Next::Send);
        assert_eq!(course.setting(100, false).value, 0);
        assert_eq!(course.look(5000), Next::Rest);
        assert_eq!((course.taken(6000), course.overrun()), (Some(0), 0));
        assert_eq!((course.taken(6000), course.look(6000)), (None, Next::Rest));
    }

    #[test]
    fn a_queued_signal_of_an_older_setting_is_not_sent_twice() {
        let mut course = every(10, 10);
        assert_eq!(course.look(10), Next::Send);
        course.set(Schedule::new(Some(1000), 0));
        assert_eq!(course.taken(20), None);
        assert_eq!(course.look(20), Next::Watch(1000));
        course.set(Schedule::new(Some(30), 0));
        assert_eq!(course.look(30), Next::Send);
        course.set(Schedule::new(Some(40), 10));
        // The old one is still queued and serves for the new one.
        assert_eq!(course.look(40), Next::Rest);
        assert_eq!(course.taken(75), Some(3));
    }

    #[test]
    fn what_is_ignored_rests_until_it_is_heard() {
        let mut course = every(10, 10);
        assert_eq!(course.look(10), Next::Send);
        course.not_heard();
        assert_eq!(course.look(1000), Next::Rest);
        assert_eq!(
            course.setting(1003, false),
            Setting {
                value: 7,
                interval: 10
            }
        );
        assert_eq!(course.heard_again(1003), Next::Send);
        assert_eq!(course.taken(1003), Some(99));
        let mut once = every(10, 0);
        assert_eq!(once.look(10), Next::Send);
        once.not_heard();
        assert_eq!(once.heard_again(20), Next::Rest);
        assert_eq!(once.taken(20), None);
    }

    #[test]
    fn the_count_ends_somewhere() {
        let mut course = every(0, 1);
        assert_eq!(course.look(0), Next::Send);
        assert_eq!(course.taken(u64::MAX / 2), Some(i32::MAX));
    }

    proptest! {
        /// Whenever the signal is taken, late or at once, ignored for a while or not: together they tell every time.
        #[test]
        fn nothing_is_lost(
            first in 1u64..100,
            interval in 1u64..50,
            steps in prop::collection::vec((0u64..120, 0u8..4), 1..60),
        ) {
            let mut course = every(first, interval);
            let (mut now, mut told, mut queued, mut ignored) = (0, 0, false, false);
            for (step, what) in steps {
                now += step;
                let next = match (what, ignored) {
                    (0, true) => {
                        ignored = false;
                        course.heard_again(now)
                    }
                    _ => course.look(now),
                };
                if next == Next::Send {
                    prop_assert!(!queued);
                    queued = true;
                }
                if let Next::Watch(time) = next {
                    prop_assert!(time > now && (time - first).is_multiple_of(interval));
                }
                match what {
                    1 if queued => {
                        told += 1 + course.taken(now).unwrap() as u64;
                        queued = false;
                        let expected = if now < first { 0 } else { (now - first) / interval + 1 };
                        prop_assert_eq!(told, expected);
                    }
                    2 if queued => {
                        course.not_heard();
                        (queued, ignored) = (false, true);
                    }
                    _ => {}
                }
            }
        }
    }
}
