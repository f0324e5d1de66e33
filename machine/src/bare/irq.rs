//! Interrupts: who is told when one arrives.
//!
//! The one idea: interrupts arrive only while user mode runs or a CPU idles, so a handler is an
//! ordinary function that interrupts no kernel code. Handlers should be short: wake somebody.

use super::{apic, ioapic, pic, time};
use crate::sync::Spin;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// What an interrupt runs. It must not block.
pub type Handler = Arc<dyn Fn() + Send + Sync>;

/// There is no interrupt vector left, or no controller that takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector;

/// The 8259s' lines, when they are used; else they are masked, but may still send spurious ones.
pub(super) const PIC: u8 = 0x20;
/// ISA lines through the I/O APIC.
pub(super) const LINES: u8 = 0x30;
/// Messages of devices.
const MESSAGES: u8 = 0x40;
const LAST_MESSAGE: u8 = 0xef;
pub(super) const TIMER: u8 = 0xf0;
pub(super) const KICK: u8 = 0xf1;
pub(super) const SPURIOUS: u8 = 0xff;

/// Slots of the handler table: 16 lines, then the messages.
const SLOTS: usize = 16 + (LAST_MESSAGE - MESSAGES) as usize + 1;

struct Slot {
    handlers: Vec<(u64, Handler)>,
    taken: bool,
}

static TABLE: [Spin<Slot>; SLOTS] = [const {
    Spin::new(Slot {
        handlers: Vec::new(),
        taken: false,
    })
}; SLOTS];
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Keeps a handler connected; dropping it disconnects the handler.
pub struct IrqGuard {
    slot: usize,
    serial: u64,
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        let mut slot = TABLE[self.slot].lock();
        let at = slot
            .handlers
            .iter()
            .position(|(serial, _)| *serial == self.serial);
        // The handler itself is dropped after the lock: what it holds may have guards of its own.
        let _handler = at.map(|at| slot.handlers.swap_remove(at));
        if slot.handlers.is_empty() {
            slot.taken = false;
            if self.slot < 16 {
                mask_line(self.slot as u8, true);
            }
        }
        drop(slot);
    }
}

/// A message interrupt (MSI, MSI-X): a device that writes `data` to `address` runs the handler.
pub struct Message {
    pub address: u64,
    pub data: u32,
    pub guard: IrqGuard,
}

fn connect(slot: usize, handler: Handler) -> IrqGuard {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut entry = TABLE[slot].lock();
    entry.taken = true;
    entry.handlers.push((serial, handler));
    IrqGuard { slot, serial }
}

fn mask_line(line: u8, masked: bool) {
    if !ioapic::set(line, masked) {
        pic::set(line, masked);
    }
}

/// Connects a handler to an ISA interrupt line (0 to 15). Several may share one.
pub fn legacy(line: u8, handler: Handler) -> IrqGuard {
    let line = line & 15;
    let guard = connect(usize::from(line), handler);
    mask_line(line, false);
    guard
}

/// Connects a handler to a message interrupt of its own.
pub fn message(handler: Handler) -> Result<Message, NoVector> {
    let destination = apic::message_destination().ok_or(NoVector)?;
    for (slot, entry) in TABLE.iter().enumerate().skip(16) {
        let mut entry = entry.lock();
        if entry.taken {
            continue;
        }
        entry.taken = true;
        drop(entry);
        let vector = MESSAGES + (slot - 16) as u8;
        return Ok(Message {
            // Fixed delivery, edge, to one CPU (Intel SDM volume 3, section 11.11).
            address: 0xfee0_0000 | u64::from(destination) << 12,
            data: u32::from(vector),
            guard: connect(slot, handler),
        });
    }
    Err(NoVector)
}

/// Lets pending interrupts in. For long work that has no better place to stop.
pub fn window() {
    // SAFETY: handlers run here as ordinary functions; the flags are as before afterwards.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Runs what belongs to a vector. Called with interrupts off.
pub(super) fn dispatch(vector: u8) {
    match vector {
        PIC..LINES => {
            let line = vector - PIC;
            if pic::is_spurious(line) {
                return;
            }
            if line == 0 {
                time::alarm();
            }
            run(usize::from(line));
            pic::end(line);
        }
        LINES..MESSAGES => {
            run(usize::from(vector - LINES));
            apic::end();
        }
        MESSAGES..=LAST_MESSAGE => {
            run(usize::from(vector - MESSAGES) + 16);
            apic::end();
        }
        TIMER => {
            apic::end();
            time::alarm();
        }
        SPURIOUS => {}
        _ => apic::end(),
    }
}

fn run(slot: usize) {
    let mut at = 0;
    loop {
        // The lock is free while the handler runs: it may connect or disconnect handlers.
        let handler = match TABLE[slot].lock().handlers.get(at) {
            Some((_, handler)) => handler.clone(),
            None => return,
        };
        handler();
        at += 1;
    }
}
