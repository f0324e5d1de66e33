//! When everybody has finished reading what is replaced.
//!
//! The one idea: a CPU whose kernel code reads without a lock is not interrupted, and has finished when it begins
//! another turn, halts, or was in user mode. It says so ([`Grace::passes`]) only while somebody wants to know. What was
//! replaced at some moment may go when every CPU has said so since.
//!
//! Numbers only: the values themselves wait in [`super::rcu`]. Every order of steps is tried by
//! `machine/tests/interleavings.rs`.

use super::atomic::{AtomicU64, Ordering, fence};

/// The moments, and which of them each CPU has seen. For up to `CPUS` CPUs.
pub(crate) struct Grace<const CPUS: usize> {
    /// How many moments there were.
    now: AtomicU64,
    seen: [AtomicU64; CPUS],
}

impl<const CPUS: usize> Grace<CPUS> {
    /// None has passed yet.
    pub fn new() -> Self {
        Grace {
            now: AtomicU64::new(0),
            seen: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Something was replaced before this call: the moment that all CPUs must have passed.
    pub fn moment(&self) -> u64 {
        self.now.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// This CPU has finished all that it read without a lock.
    pub fn passes(&self, cpu: usize) {
        // What it reads from here on it reads after what was done before the moment that it sees.
        let now = self.now.load(Ordering::Acquire);
        self.seen[cpu].store(now, Ordering::Release);
    }

    /// The last moment that these CPUs have all passed.
    pub fn passed(&self, cpus: impl Iterator<Item = usize>) -> u64 {
        let seen = cpus.map(|cpu| self.seen[cpu].load(Ordering::Relaxed));
        let passed = seen.min().unwrap_or(u64::MAX);
        // What they read, they have read.
        fence(Ordering::Acquire);
        passed
    }
}
