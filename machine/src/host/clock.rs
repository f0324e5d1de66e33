//! The simulated clock. It moves only when a test moves it, or when an idle CPU waits for its
//! alarm.

use super::{current, lock};
use crate::cpu;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a fresh clock starts: a machine has always run for a moment before anybody asks.
const START: u64 = 1_000_000;

pub(super) struct Clock {
    now: AtomicU64,
    alarms: Mutex<BTreeMap<usize, u64>>,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            now: AtomicU64::new(START),
            alarms: Mutex::default(),
        }
    }
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    current().0.clock.now.load(Ordering::SeqCst)
}

/// Sets the clock. It never goes back: an earlier time is ignored, as `time::now` promises.
pub fn set(nanoseconds: u64) {
    current()
        .0
        .clock
        .now
        .fetch_max(nanoseconds, Ordering::SeqCst);
}

/// Moves the clock on.
pub fn advance(nanoseconds: u64) {
    current()
        .0
        .clock
        .now
        .fetch_add(nanoseconds, Ordering::SeqCst);
}

/// The alarm that CPU number `cpu` has set.
pub fn alarm(cpu: usize) -> Option<u64> {
    lock(&current().0.clock.alarms).get(&cpu).copied()
}

pub(super) fn set_alarm(deadline: Option<u64>) {
    let machine = current();
    let mut alarms = lock(&machine.0.clock.alarms);
    match deadline {
        Some(deadline) => alarms.insert(cpu::index(), deadline),
        None => alarms.remove(&cpu::index()),
    };
}

/// What an idle CPU does: sleeps until its alarm rings, which takes no real time here. The alarm is
/// one-shot.
pub(super) fn sleep_until_alarm() -> bool {
    let deadline = lock(&current().0.clock.alarms).remove(&cpu::index());
    deadline.map(set).is_some()
}
