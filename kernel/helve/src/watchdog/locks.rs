//! CPUs that wait for a lock: if that takes too long, whoever holds it does not get on. The one that waits says so itself,
//! for it may be the guard that should have noticed.

use super::{Plan, report};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use machine::cpu;
use machine::sync::{Once, on_long_wait};

/// How long each CPU had waited when it was told so last. Only it writes its own.
static WAITED: [AtomicU64; cpu::MAX] = [const { AtomicU64::new(0) }; cpu::MAX];

/// The plan is not told with a wait.
static PLAN: Once<Plan> = Once::new();

/// From now on long waits are reported.
pub fn watch(plan: Plan) {
    if PLAN.set(plan).is_ok() {
        on_long_wait(waits);
    }
}

/// This CPU has waited for so long, and still does. It is told so again and again.
fn waits(nanoseconds: u64) {
    let Some(plan) = PLAN.get() else { return };
    let before = WAITED[cpu::index()].swap(nanoseconds, Relaxed);
    if is_too_long(before, nanoseconds, plan.limit) {
        report::waits(*plan, nanoseconds);
    }
}

/// Whether the limit lies between the two: said once for each wait. Who had waited for longer before waits anew.
fn is_too_long(before: u64, now: u64, limit: u64) -> bool {
    now >= limit && (before < limit || before > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_said_once() {
        let told = |waits: &[u64]| {
            let pairs = waits.windows(2);
            pairs
                .filter(|pair| is_too_long(pair[0], pair[1], 10))
                .count()
        };
        assert_eq!(told(&[0, 4, 9, 11, 13, 19, 500]), 1);
        assert_eq!(told(&[0, 9, 3, 9, 2, 8]), 0);
        // One wait after the other.
        assert_eq!(told(&[0, 9, 12, 30, 4, 9, 12, 30]), 2);
        // Another one that is told late.
        assert_eq!(told(&[0, 30, 12, 13]), 2);
    }
}
