//! A group of entities that competes as one: what all CPUs know of it.
//!
//! A group has a weight among its siblings, whatever it contains. On several CPUs the weight is divided by where those
//! are that it contains. With a quota it gets at most so much time in every period, counted over all CPUs: who
//! overdraws pays back from the next period's.
//!
//! Numbers in atomics; each CPU has the queues ([`Shares`](super::Shares)) for itself.

use super::{NEVER, NORMAL_WEIGHT};
use crate::group::Number;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The number of no group: that of whoever competes with the topmost groups.
pub const NO_GROUP: u32 = 0;
/// How many groups can lie in each other.
pub const DEPTH: usize = 16;
/// The largest weight of a group.
pub const LARGEST_WEIGHT: u32 = 1 << 20;
/// The least weight of a group's part on one CPU: it must not vanish.
const LEAST_PART: i64 = 2;

/// Time in every period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Nanoseconds that all its members on all CPUs may run in a period.
    pub runtime: u64,
    /// Nanoseconds.
    pub period: u64,
}

impl Quota {
    /// The shortest and the longest period, and the least runtime, in nanoseconds.
    pub const SHORTEST: u64 = 1_000_000;
    /// See [`SHORTEST`](Self::SHORTEST).
    pub const LONGEST: u64 = 1_000_000_000;

    /// Whether the numbers make sense.
    pub fn is_valid(&self) -> bool {
        (Self::SHORTEST..=Self::LONGEST).contains(&self.period)
            && (Self::SHORTEST..=i64::MAX as u64 / 4).contains(&self.runtime)
    }
}

/// What was counted of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds of CPU time.
    pub used: u64,
    /// Periods with a quota in which it ran,
    pub periods: u64,
    /// in how many of these the quota was used up,
    pub exhausted: u64,
    /// and for how many nanoseconds it waited on CPUs for the next period, summed over CPUs.
    pub paused: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Group {
    number: Number,
    depth: usize,
    parent: Option<Arc<Group>>,
    weight: AtomicU32,
    /// The weights of all that compete in it now, over all CPUs.
    load: AtomicI64,
    /// [`NEVER`]: it has no quota.
    runtime: AtomicU64,
    period: AtomicU64,
    /// What is left in this period, in nanoseconds; negative: overdrawn.
    left: AtomicI64,
    /// When this period ends.
    until: AtomicU64,
    used: AtomicU64,
    periods: AtomicU64,
    exhausted: AtomicU64,
    paused: AtomicU64,
}

impl Group {
    /// A group in `parent`, or a topmost one, of normal weight. `None`: too deep.
    pub(crate) fn new(number: Number, parent: Option<Arc<Group>>) -> Option<Self> {
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
        (depth < DEPTH).then(|| Group {
            number,
            depth,
            parent,
            weight: AtomicU32::new(NORMAL_WEIGHT),
            load: AtomicI64::new(0),
            runtime: AtomicU64::new(NEVER),
            period: AtomicU64::new(Quota::LONGEST),
            left: AtomicI64::new(0),
            until: AtomicU64::new(0),
            used: AtomicU64::new(0),
            periods: AtomicU64::new(0),
            exhausted: AtomicU64::new(0),
            paused: AtomicU64::new(0),
        })
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number.get()
    }

    /// The group that it is in.
    pub fn parent(&self) -> Option<&Arc<Group>> {
        self.parent.as_ref()
    }

    /// Its weight among its siblings.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Gives it another weight, from 1 to [`LARGEST_WEIGHT`]; it counts from its next turn on each CPU on.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight.clamp(1, LARGEST_WEIGHT), Relaxed);
    }

    /// Its weight on a CPU where those that compete in it weigh `here` together.
    pub(super) fn part(&self, here: i64) -> u32 {
        let (whole, load) = (i64::from(self.weight()), self.load.load(Relaxed));
        if load <= here {
            return whole as u32;
        }
        (whole * here / load).max(LEAST_PART.min(whole)) as u32
    }

    /// On some CPU those that compete in it weigh so much more, or less.
    pub(super) fn add_load(&self, more: i64) {
        self.load.fetch_add(more, Relaxed);
    }

    /// Its quota.
    pub fn quota(&self) -> Option<Quota> {
        let runtime = self.runtime.load(Relaxed);
        (runtime != NEVER).then(|| Quota {
            runtime,
            period: self.period.load(Relaxed),
        })
    }

    /// Sets a quota, or takes it away; a new one begins with a whole period. Those that wait for the old one's next
    /// period wait no longer than until that.
    pub fn set_quota(&self, quota: Option<Quota>) {
        match quota {
            Some(quota) => {
                self.period.store(quota.period, Relaxed);
                self.until.store(0, Relaxed);
                self.runtime.store(quota.runtime, Relaxed);
            }
            None => self.runtime.store(NEVER, Relaxed),
        }
    }

    /// What was counted so far.
    pub fn usage(&self) -> Usage {
        Usage {
            used: self.used.load(Relaxed),
            periods: self.periods.load(Relaxed),
            exhausted: self.exhausted.load(Relaxed),
            paused: self.paused.load(Relaxed),
        }
    }

    /// Somebody in it ran for so long.
    pub(super) fn charge(&self, now: u64, nanoseconds: u64) {
        self.used.fetch_add(nanoseconds, Relaxed);
        if self.runtime.load(Relaxed) != NEVER {
            self.refill(now);
            let spent = i64::try_from(nanoseconds).unwrap_or(i64::MAX);
            let before = self.left.fetch_sub(spent, Relaxed);
            if before > 0 && before <= spent {
                self.exhausted.fetch_add(1, Relaxed);
            }
        }
    }

    /// Whether its quota of this period is used up: until when. Neither it nor anybody in it runs before that.
    pub(super) fn pauses(&self, now: u64) -> Option<u64> {
        if self.runtime.load(Relaxed) == NEVER {
            return None;
        }
        self.refill(now);
        (self.left.load(Relaxed) <= 0).then(|| self.until.load(Relaxed))
    }

    /// On some CPU it waited for so long for its next period.
    pub(super) fn paused_for(&self, nanoseconds: u64) {
        self.paused.fetch_add(nanoseconds, Relaxed);
    }

    /// When its quota is used up if one of it runs on from now; [`NEVER`]: it has none.
    pub(super) fn lasts(&self, now: u64) -> u64 {
        if self.runtime.load(Relaxed) == NEVER {
            return NEVER;
        }
        now.saturating_add(self.left.load(Relaxed).max(0) as u64)
    }

    /// Begins the period that `now` is in, if it has not begun. Whoever comes first does it for all.
    fn refill(&self, now: u64) {
        let until = self.until.load(Relaxed);
        if now < until {
            return;
        }
        let (runtime, period) = (self.runtime.load(Relaxed), self.period.load(Relaxed));
        let (begun, next) = if until == 0 {
            (u64::MAX, now.saturating_add(period))
        } else {
            let begun = (now - until) / period + 1;
            (begun, until.saturating_add(begun.saturating_mul(period)))
        };
        let first = self.until.compare_exchange(until, next, Relaxed, Relaxed);
        if first.is_err() {
            return;
        }
        self.periods.fetch_add(1, Relaxed);
        let runtime = runtime.min(i64::MAX as u64);
        let more = i64::try_from(u128::from(runtime) * u128::from(begun)).unwrap_or(i64::MAX);
        // Nothing is saved up, and what was overdrawn is paid back.
        let paid = |left: i64| Some(left.saturating_add(more).min(runtime as i64));
        let _ = self.left.fetch_update(Relaxed, Relaxed, paid);
    }
}
