//! How long something takes.

use crate::Benchmark;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The shortest batch that counts.
const BATCH: Duration = Duration::from_millis(2);
/// Batches, of which the median is taken.
const BATCHES: usize = 9;

/// Prints figures, of the benchmarks that were asked for.
pub struct Report {
    wanted: Vec<String>,
    name: &'static str,
}

impl Report {
    pub fn new(wanted: Vec<String>) -> Report {
        Report { wanted, name: "" }
    }

    pub fn run(&mut self, benchmarks: &[Benchmark]) {
        for (name, benchmark) in benchmarks {
            let chosen = self.wanted.is_empty() || self.wanted.iter().any(|part| name.contains(part.as_str()));
            if chosen || *name == "control" {
                self.name = name;
                benchmark(self);
            }
        }
    }

    /// The guest's clock, for comparison with the host's.
    pub fn clock(&self) {
        println!("bench clock {} ns", now());
    }

    pub fn figure(&self, name: &str, value: f64, unit: &str) {
        println!("bench {name} {value:.1} {unit}");
    }

    /// Nanoseconds that one call of `operation` takes.
    pub fn time(&mut self, mut operation: impl FnMut()) {
        self.time_many(|count| {
            for _ in 0..count {
                operation();
            }
        });
    }

    /// Nanoseconds for one of `count` operations that `batch` does.
    pub fn time_many(&mut self, mut batch: impl FnMut(u32)) {
        let mut count = 1;
        loop {
            let start = Instant::now();
            batch(count);
            let took = start.elapsed();
            if took >= BATCH {
                break;
            }
            let missing = BATCH.as_nanos() as f64 / took.as_nanos().max(1) as f64;
            count = (f64::from(count) * missing.clamp(1.5, 50.0)).ceil() as u32;
        }
        let mut times: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let start = Instant::now();
                batch(count);
                start.elapsed().as_nanos() as f64 / f64::from(count)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("bench {} {:.1} ns", self.name, times[BATCHES / 2]);
    }

    /// Megabytes a second, of `bytes` that one call of `operation` moves.
    pub fn bandwidth(&mut self, bytes: usize, mut operation: impl FnMut()) {
        operation();
        let mut rates: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let start = Instant::now();
                operation();
                bytes as f64 / start.elapsed().as_secs_f64() / 1e6
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!("bench {} {:.1} MB/s", self.name, rates[BATCHES / 2]);
    }
}

/// The monotonic clock in nanoseconds.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A loop that no kernel has a part in: the same on both systems, or the comparison is void.
pub fn control(report: &mut Report) {
    let mut state = 1u64;
    report.time(|| {
        for _ in 0..1000 {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    });
}
