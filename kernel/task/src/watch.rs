//! Whether each CPU gets on, as another one sees it.
//!
//! The one idea: a CPU that gets on leaves signs without meaning to: turns, halts, interrupts in user mode, which it
//! counts anyway. Who watches it looks at them now and then, and asks for a sign (an interrupt) before it complains: one
//! that stays in user mode alone gives none by itself. A CPU that halts owes none, unless its alarm is long overdue.
//!
//! [`Watch`] is pure: it is told what was seen, and when.

use crate::cpu::{Cpu, NEVER};
use crate::{clock, placement};
use core::sync::atomic::Ordering::Relaxed;

/// What a CPU shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Changes whenever it gets on.
    pub beat: u64,
    /// It halts, or is about to.
    pub halts: bool,
    /// Since when its alarm should have rung; `None`: it is not due.
    pub overdue: Option<u64>,
    /// The tag of the task that it runs or ran last: the process it belongs to, or 0.
    pub tag: u64,
}

/// What CPU number `cpu` shows now. Takes no lock.
pub fn sign(cpu: usize) -> Sign {
    placement::cpu(cpu).sign(clock::now())
}

impl Cpu {
    fn sign(&self, now: u64) -> Sign {
        let counters = &self.counters;
        let counts = [&counters.polls, &counters.halts, &counters.entries];
        let armed = self.alarm();
        Sign {
            beat: counts
                .iter()
                .fold(0, |sum, count| sum.wrapping_add(count.load(Relaxed))),
            halts: counters.idle.goes_on(),
            overdue: (armed != NEVER && armed < now).then_some(armed),
            tag: self.tag.load(Relaxed),
        }
    }
}

/// What is to be done about a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// It has given no sign lately: it is to be interrupted, so that it can.
    Ask,
    /// It does not get on, and has not since this time. Said once.
    Stalled(u64),
    /// The same, later.
    StillStalled(u64),
    /// It gets on again; it did not since this time.
    GoesOn(u64),
}

/// What is known about one CPU by one that watches it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    beat: u64,
    /// When it last showed that it gets on; 0: never looked.
    since: u64,
    /// Looks in a row without a sign: a machine that was stopped as a whole has had none of them.
    misses: u32,
    stalled: bool,
}

/// How many looks a limit has.
pub const LOOKS: u32 = 4;

impl Watch {
    /// It shows `sign` at `now`. To be called [`LOOKS`] times in each `limit` nanoseconds.
    pub fn look(&mut self, sign: Sign, now: u64, limit: u64) -> Verdict {
        let owes = match sign.overdue {
            Some(since) => !sign.halts || now.saturating_sub(since) >= limit,
            None => !sign.halts,
        };
        if sign.beat != self.beat || !owes || self.since == 0 {
            let before = self.since;
            self.beat = sign.beat;
            self.since = now;
            self.misses = 0;
            if core::mem::take(&mut self.stalled) {
                return Verdict::GoesOn(before);
            }
            return Verdict::Fine;
        }
        self.misses += 1;
        if self.stalled {
            return Verdict::StillStalled(self.since);
        }
        if self.misses >= LOOKS && now.saturating_sub(self.since) >= limit {
            self.stalled = true;
            return Verdict::Stalled(self.since);
        }
        match self.misses {
            ..LOOKS_BEFORE_ASKING => Verdict::Fine,
            _ => Verdict::Ask,
        }
    }
}

/// One look without a sign is nothing: many CPUs have nobody to give way to.
const LOOKS_BEFORE_ASKING: u32 = LOOKS / 2;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 400;

    fn busy(beat: u64) -> Sign {
        Sign {
            beat,
            halts: false,
            overdue: None,
            tag: 0,
        }
    }

    fn verdicts(signs: impl IntoIterator<Item = Sign>) -> Vec<Verdict> {
        let mut watch = Watch::default();
        let looks = (1..).map(|look| look * LIMIT / u64::from(LOOKS));
        let looked = signs.into_iter().zip(looks);
        looked
            .map(|(sign, now)| watch.look(sign, now, LIMIT))
            .collect()
    }

    #[test]
    fn who_gets_on_is_let_alone() {
        assert!(
            verdicts((0..50).map(busy))
                .iter()
                .all(|verdict| *verdict == Verdict::Fine)
        );
        // One that stays in user mode answers when it is asked.
        let mut watch = Watch::default();
        let (mut beat, mut asked) = (7, 0);
        for look in 1..100 {
            match watch.look(busy(beat), look * 100, LIMIT) {
                Verdict::Fine => {}
                Verdict::Ask => {
                    beat += 1;
                    asked += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(asked > 10);
    }

    #[test]
    fn a_stall_is_said_once_and_its_end_too() {
        let signs = [1, 2, 2, 2, 2, 2, 2, 2, 3, 3].map(busy);
        use Verdict::*;
        assert_eq!(
            verdicts(signs),
            [
                Fine,
                Fine,
                Fine,
                Ask,
                Ask,
                Stalled(200),
                StillStalled(200),
                StillStalled(200),
                GoesOn(200),
                Fine
            ]
        );
    }

    #[test]
    fn who_halts_owes_nothing_unless_its_alarm_is_lost() {
        let halting = |overdue| Sign {
            halts: true,
            overdue,
            ..busy(1)
        };
        let fine = verdicts([halting(None); 20]);
        assert!(fine.iter().all(|verdict| *verdict == Verdict::Fine));
        let lost = verdicts([halting(Some(50)); 12]);
        assert!(lost.contains(&Verdict::Ask));
        assert_eq!(
            lost.iter()
                .filter(|verdict| matches!(verdict, Verdict::Stalled(_)))
                .count(),
            1
        );
    }

    #[test]
    fn a_machine_that_stood_still_is_not_to_blame() {
        let mut watch = Watch::default();
        watch.look(busy(1), 100, LIMIT);
        assert_eq!(watch.look(busy(1), 1_000_000, LIMIT), Verdict::Fine);
        assert_eq!(watch.look(busy(2), 1_000_100, LIMIT), Verdict::Fine);
    }
}
