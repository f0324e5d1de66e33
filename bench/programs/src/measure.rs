//! How one number comes about. One idea: an operation is repeated in batches long enough for the clock, the first batches
//! only warm up, and of the others the median counts, so one disturbed batch does not.

use crate::clock::{in_ticks, nanoseconds, ticks};
use crate::console;
use std::hint::black_box;

/// A benchmark by name; it prints its own line.
pub struct Bench {
    pub name: &'static str,
    pub run: fn(&Plan, &str),
}

/// How long to measure.
pub struct Plan {
    /// The least length of a batch in nanoseconds.
    batch: f64,
    /// Batches that count.
    rounds: usize,
}

impl Plan {
    pub fn new(quick: bool) -> Plan {
        if quick {
            Plan {
                batch: 1e6,
                rounds: 3,
            }
        } else {
            Plan {
                batch: 10e6,
                rounds: 15,
            }
        }
    }

    /// The least length of a batch in ticks.
    pub fn batch_ticks(&self) -> f64 {
        in_ticks(self.batch)
    }

    /// The same with few batches, for what takes long by itself.
    pub fn few(&self) -> Plan {
        Plan {
            rounds: self.rounds.min(3),
            ..*self
        }
    }

    /// Prints the nanoseconds per operation. `run(n)` does the operation `n` times.
    pub fn each(&self, name: &str, mut run: impl FnMut(u64)) {
        self.timed(name, |n| {
            let start = ticks();
            run(n);
            ticks() - start
        });
    }

    /// The same for a `run(n)` that times itself, to leave its preparations out; it gives the ticks of its `n` operations.
    pub fn timed(&self, name: &str, mut run: impl FnMut(u64) -> u64) {
        let mut count = 1u64;
        let mut took = nanoseconds(run(count));
        while took < self.batch {
            // At most tenfold at a time: the first, cold runs say little.
            let factor = (self.batch / took.max(1.0) * 1.2).clamp(1.5, 10.0);
            count = ((count as f64 * factor) as u64).max(count + 1);
            took = nanoseconds(run(count));
        }
        self.median(name, "ns", || nanoseconds(run(count)) / count as f64);
    }

    /// Prints megabytes per second, for a `run(n)` that moves `bytes` for each of its `n`.
    pub fn bandwidth(&self, name: &str, bytes: usize, mut run: impl FnMut(u64)) {
        let mut rate = |count: u64| {
            let start = ticks();
            run(count);
            bytes as f64 * count as f64 * 1e3 / nanoseconds(ticks() - start)
        };
        let count = ((rate(64) * self.batch / 1e3 / bytes as f64) as u64).max(64);
        self.median(name, "MB/s", || rate(count));
    }

    /// Prints the median of as many results as there are batches that count.
    pub fn median(&self, name: &str, unit: &str, run: impl FnMut() -> f64) {
        let mut results: Vec<f64> = std::iter::repeat_with(run).take(self.rounds).collect();
        results.sort_by(f64::total_cmp);
        console::result(name, results[results.len() / 2], unit);
    }
}

/// For calls whose result does not matter.
pub fn ignore(_: Result<usize, i32>) {}

/// Work that never enters the kernel: its results must be equal under every kernel, or the run is worth nothing.
pub const CONTROLS: &[Bench] = &[
    Bench {
        name: "control",
        run: |plan, name| plan.each(name, |n| (0..n).for_each(|_| compute())),
    },
    Bench {
        name: "control memory",
        run: |plan, name| {
            let mut words = vec![1u64; 32 * 1024];
            plan.each(name, |n| (0..n).for_each(|_| walk(&mut words)));
        },
    },
];

/// A thousand steps of a shift-register generator.
#[inline(never)]
pub fn compute() {
    let mut x = black_box(0x2545_f491_4f6c_dd1du64);
    for _ in 0..1000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x);
}

/// A quarter of a mebibyte, read and written once.
#[inline(never)]
fn walk(words: &mut [u64]) {
    for word in words.iter_mut() {
        *word = word.wrapping_mul(3) + 1;
    }
    black_box(words);
}
