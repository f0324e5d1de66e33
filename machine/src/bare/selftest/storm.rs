//! A source that interrupts all the time.

use crate::bare::{apic, cpu, irq, routes};
use crate::interrupts::{LINES, Source};
use alloc::sync::Arc;
use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};

/// A line that no device of a PC with a PCI bus has.
const LINE: u8 = 5;

/// Begins: the handler interrupts its own CPU again, as often as it runs, until its line is silenced. Then `over` is set.
pub fn storm(over: &'static AtomicBool) {
    let handler = move || match routes::is_silenced(Source::Line(LINE)) {
        true => over.store(true, Ordering::Release),
        false => apic::interrupt(cpu::index(), LINES + LINE),
    };
    // It stays connected.
    mem::forget(irq::legacy(LINE, "storm", Arc::new(handler)));
    apic::interrupt(cpu::index(), LINES + LINE);
}
