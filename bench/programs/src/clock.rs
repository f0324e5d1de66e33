//! Two clocks. One idea: the processor's counter is cheap and the same under every kernel, the kernel's clock is what it
//! is paid for; each is checked against the other over the whole run, so that a wrong one shows instead of flattering.

use crate::console;
use std::arch::x86_64::{_mm_lfence, _rdtsc};
use std::sync::OnceLock;
use test_programs::raw::short::monotonic;

/// The processor's counter, not before earlier instructions are done.
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has both instructions.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// Ticks per nanosecond, measured once against the kernel's clock.
fn rate() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| measured_rate(100_000_000))
}

fn measured_rate(ns: u64) -> f64 {
    let (clock, counter) = both();
    while monotonic() - clock < ns {
        std::hint::spin_loop();
    }
    let (clock_end, counter_end) = both();
    (counter_end - counter) as f64 / (clock_end - clock) as f64
}

/// Both clocks at one moment: the closest of several tries.
fn both() -> (u64, u64) {
    (0..10)
        .map(|_| {
            let before = ticks();
            let clock = monotonic();
            let after = ticks();
            (after - before, (clock, before + (after - before) / 2))
        })
        .min()
        .map_or((0, 0), |(_, pair)| pair)
}

pub fn nanoseconds(ticks: u64) -> f64 {
    ticks as f64 / rate()
}

pub fn in_ticks(nanoseconds: f64) -> f64 {
    nanoseconds * rate()
}

/// Compares the clocks over the run.
pub struct Check {
    clock: u64,
    counter: u64,
}

impl Check {
    pub fn start() -> Check {
        console::line(&format!(
            "# the processor's counter runs at {:.0} MHz",
            rate() * 1000.0
        ));
        let (clock, counter) = both();
        Check { clock, counter }
    }

    /// Says how far the kernel's clock has drifted from the counter at its first rate, and what the clock shows.
    pub fn report(self) {
        let (clock, counter) = both();
        let by_clock = (clock - self.clock) as f64;
        let drift = by_clock / nanoseconds(counter - self.counter) - 1.0;
        console::line(&format!(
            "# the clock drifted from it by {:.3} %",
            drift * 100.0
        ));
        console::line(&now());
    }
}

/// The line with the kernel's clock, for whoever compares it with another machine's.
pub fn now() -> String {
    format!("bench clock {} ns", monotonic())
}
