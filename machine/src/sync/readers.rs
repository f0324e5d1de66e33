//! Who reads now what may be replaced.
//!
//! The one idea: each CPU has a counter that it alone writes, so readers do not disturb each other; and reading is short,
//! because nothing interrupts kernel code, so whoever has replaced something can wait until everybody who was reading
//! then has finished. Every order of steps is tried by `machine/tests/interleavings.rs`.

use super::atomic::{AtomicU64, Ordering, checker_fence, spin_loop};

/// A counter on a cache line of its own: how deep the CPU is in reading, and above that, how often it finished.
#[repr(align(64))]
struct Counter(AtomicU64);

const ONCE_FINISHED: u64 = 1 << 16;
const DEPTH: u64 = ONCE_FINISHED - 1;

/// The counters of up to `CPUS` CPUs.
pub(crate) struct Readers<const CPUS: usize>([Counter; CPUS]);

impl<const CPUS: usize> Readers<CPUS> {
    /// Nobody reads.
    pub fn new() -> Self {
        Readers(core::array::from_fn(|_| Counter(AtomicU64::new(0))))
    }

    /// This CPU begins to read, perhaps while it does already.
    #[inline]
    pub fn begin(&self, cpu: usize) {
        // This and looking at a value, replacing one and the look at this counter have one order, in which everybody
        // sees them: either who waits sees that this CPU reads, or this CPU sees what was put in place before.
        self.0[cpu].0.fetch_add(1, Ordering::SeqCst);
        checker_fence();
    }

    /// It ends what it began last.
    #[inline]
    #[allow(
        dead_code,
        reason = "on a simulated machine several threads may be one CPU"
    )]
    pub fn end(&self, cpu: usize) {
        let counter = &self.0[cpu].0;
        // Only this CPU writes it.
        let now = counter.load(Ordering::Relaxed);
        counter.store(Self::less(now), Ordering::Release);
    }

    /// The same where several threads are one CPU.
    #[allow(dead_code, reason = "on a real machine one CPU is one CPU")]
    pub fn end_among_others(&self, cpu: usize) {
        let less = |now| Some(Self::less(now));
        let _ = self.0[cpu]
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, less);
    }

    fn less(now: u64) -> u64 {
        let finishes = now & DEPTH == 1;
        now - 1 + u64::from(finishes) * ONCE_FINISHED
    }

    /// How deep this CPU is in reading.
    #[allow(
        dead_code,
        reason = "on a simulated machine threads know it of themselves"
    )]
    pub fn depth(&self, cpu: usize) -> u64 {
        self.0[cpu].0.load(Ordering::Relaxed) & DEPTH
    }

    /// Waits until each of these CPUs has finished what it was reading when this was called.
    pub fn wait(&self, cpus: impl Iterator<Item = usize>) {
        checker_fence();
        for cpu in cpus {
            let counter = &self.0[cpu].0;
            let then = counter.load(Ordering::SeqCst);
            let mut now = then;
            while now & DEPTH != 0 && now / ONCE_FINISHED == then / ONCE_FINISHED {
                spin_loop();
                now = counter.load(Ordering::Acquire);
            }
        }
    }
}
