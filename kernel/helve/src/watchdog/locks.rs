//! CPUs that wait for a lock: if that takes too long, whoever holds it does not get on. The one that waits says so itself,
//! for it may be the guard that should have noticed.

use super::{Plan, SECOND, report};
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use machine::cpu;
use machine::sync::{Once, on_long_wait};

/// What a CPU knows about its own wait. Only it writes here.
struct Waiting {
    lock: AtomicUsize,
    since: AtomicU64,
    /// When it was told last that it still waits.
    last: AtomicU64,
}

static WAITING: [Waiting; cpu::MAX] = [const {
    Waiting {
        lock: AtomicUsize::new(0),
        since: AtomicU64::new(0),
        last: AtomicU64::new(0),
    }
}; cpu::MAX];

/// Of a wait that was reported: it began at the end of time.
const REPORTED: u64 = u64::MAX;

/// The plan is not told with a wait.
static PLAN: Once<Plan> = Once::new();

/// From now on long waits are reported.
pub fn watch(plan: Plan) {
    if PLAN.set(plan).is_ok() {
        on_long_wait(waits);
    }
}

/// This CPU still waits for a lock in this place. It is told so many times a second.
fn waits(place: &Location<'static>) {
    let Some(plan) = PLAN.get() else { return };
    let now = machine::time::now();
    if let Some(length) = WAITING[cpu::index()].note(ptr::from_ref(place).addr(), now, plan.limit) {
        report::waits(*plan, length);
    }
}

impl Waiting {
    /// How long it has waited, if that is too long; once for each wait.
    fn note(&self, lock: usize, now: u64, limit: u64) -> Option<u64> {
        let other = self.lock.load(Relaxed) != lock;
        let paused = now.saturating_sub(self.last.load(Relaxed)) > SECOND;
        self.last.store(now, Relaxed);
        if other || paused {
            self.lock.store(lock, Relaxed);
            self.since.store(now, Relaxed);
            return None;
        }
        let length = now.saturating_sub(self.since.load(Relaxed));
        (length >= limit).then(|| {
            self.since.store(REPORTED, Relaxed);
            length
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_said_once() {
        let waiting = &WAITING[0];
        let step = SECOND / 10;
        let told = |lock, from: u64, count: u64| {
            let times = (0..count).map(|number| from + number * step);
            let told = times.filter_map(|now| waiting.note(lock, now, 2 * SECOND));
            told.collect::<Vec<_>>()
        };
        let later = 100 * SECOND;
        assert_eq!(told(16, later, 50), [2 * SECOND]);
        // Short waits, however many, for the same lock or another.
        assert_eq!(told(16, 2 * later, 20), []);
        assert_eq!(told(24, 2 * later + 20 * step, 20), []);
        assert_eq!(told(24, 3 * later, 20), []);
        assert_eq!(told(24, 4 * later, 30), [2 * SECOND]);
    }
}
