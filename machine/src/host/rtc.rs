//! The simulated real-time clock. It goes on with the simulated clock, and whole seconds only.

use super::current;
use super::irq::{self, Handler, IrqGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much later it is than where it began, modulo 2^64.
#[derive(Default)]
pub(super) struct Rtc(AtomicU64);

const LINE: u8 = 8;

fn unset() -> u64 {
    (super::time::wall_at_boot() + super::clock::now()) / 1_000_000_000
}

/// Seconds since 1970 (UTC).
pub fn seconds() -> u64 {
    unset().wrapping_add(current().0.rtc.0.load(Ordering::SeqCst))
}

/// Sets the clock to seconds since 1970 (UTC); `false`: it cannot show them.
pub fn set(seconds: u64) -> bool {
    let rtc = &current().0.rtc.0;
    rtc.store(seconds.wrapping_sub(unset()), Ordering::SeqCst);
    (946_684_800..4_102_444_800).contains(&seconds)
}

/// While it is kept the clock interrupts each second: a test raises line 8.
pub struct Updates(#[expect(dead_code, reason = "kept, not looked at")] IrqGuard);

impl Updates {
    /// Calls `handler` after each second.
    pub fn start(handler: Handler) -> Updates {
        let handler: Handler = Arc::new(move || handler());
        Updates(irq::legacy(LINE, "rtc", handler))
    }
}
