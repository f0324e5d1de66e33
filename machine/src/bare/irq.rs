//! Interrupts: who is told when one arrives.
//!
//! The one idea: interrupts arrive only while user mode runs or a CPU idles, so a handler is an
//! ordinary function that interrupts no kernel code. Handlers should be short: wake somebody.

use super::instructions::rdtsc;
use super::{apic, cpu, ioapic, nmi, pic, time};
use crate::interrupts::{Counts, LAST_MESSAGE, MESSAGES};
use crate::sync::{Once, Spin};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

pub use crate::interrupts::{Handling, Source};
pub(super) use crate::interrupts::{KICK, LINES, PIC, SPURIOUS, TIMER};

/// What an interrupt runs. It must not block.
pub type Handler = Arc<dyn Fn() + Send + Sync>;

/// There is no interrupt vector left, or no controller that takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector;

/// Slots of the handler table: 16 lines, then the messages.
const SLOTS: usize = 16 + (LAST_MESSAGE - MESSAGES) as usize + 1;

struct Slot {
    handlers: Vec<Connected>,
    taken: bool,
}

struct Connected {
    serial: u64,
    name: &'static str,
    handler: Handler,
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
            .position(|connected| connected.serial == self.serial);
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

fn connect(slot: usize, name: &'static str, handler: Handler) -> IrqGuard {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut entry = TABLE[slot].lock();
    entry.taken = true;
    entry.handlers.push(Connected {
        serial,
        name,
        handler,
    });
    IrqGuard { slot, serial }
}

fn mask_line(line: u8, masked: bool) {
    if !ioapic::set(line, masked) {
        pic::set(line, masked);
    }
}

/// Connects a handler to an ISA interrupt line (0 to 15). Several may share one. `name` says whose it is.
pub fn legacy(line: u8, name: &'static str, handler: Handler) -> IrqGuard {
    let line = line & 15;
    let guard = connect(usize::from(line), name, handler);
    mask_line(line, false);
    guard
}

/// Connects a handler to a message interrupt of its own. `name` says whose it is.
pub fn message(name: &'static str, handler: Handler) -> Result<Message, NoVector> {
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
            guard: connect(slot, name, handler),
        });
    }
    Err(NoVector)
}

/// Lets pending interrupts in. For long work that has no better place to stop.
pub fn window() {
    // SAFETY: handlers run here as ordinary functions; the flags are as before afterwards.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Each CPU's counters, since it can be interrupted.
static COUNTS: [Once<Box<Counts>>; cpu::MAX] = [const { Once::new() }; cpu::MAX];

/// This CPU counts its interrupts from now on.
pub(super) fn init_cpu() {
    // Only the first one counts, and there is only one.
    let _ = COUNTS[cpu::index()].set(Box::new(Counts::new()));
}

/// What may interrupt, and whose handlers run then.
pub fn sources() -> Vec<(Source, Vec<&'static str>)> {
    let own = Source::OWN.into_iter().map(|source| (source, Vec::new()));
    let devices = TABLE.iter().enumerate().filter_map(|(slot, entry)| {
        let source = match slot {
            ..16 => Source::Line(slot as u8),
            _ => Source::Message((slot - 16) as u8),
        };
        let slot = entry.lock();
        let names = slot.handlers.iter().map(|connected| connected.name);
        slot.taken.then(|| (source, names.collect()))
    });
    devices.chain(own).collect()
}

/// How often CPU number `cpu` was interrupted from there.
pub fn count(cpu: usize, source: Source) -> u64 {
    match source {
        Source::NonMaskable => nmi::count(cpu),
        _ => counts(cpu).map_or(0, |counts| counts.count(source)),
    }
}

/// What all interrupts of a CPU have come to.
pub fn handling(cpu: usize) -> Option<Handling> {
    let counts = counts(cpu)?;
    let (longest, source) = counts.longest();
    Some(Handling {
        interrupts: counts.total() + nmi::count(cpu),
        total: time::nanoseconds(counts.handling()),
        longest: time::nanoseconds(longest),
        source,
    })
}

/// A CPU's longest handler is the longest from now on.
pub fn forget_longest(cpu: usize) {
    if let Some(counts) = counts(cpu) {
        counts.forget_longest();
    }
}

/// When this CPU was interrupted last, on the scale of [`time::now`], and from where.
pub fn last() -> (u64, Source) {
    let last = counts(cpu::index()).map(|counts| counts.taken());
    last.map_or((0, Source::Spurious), |(stamp, source)| {
        (time::of_stamp(stamp), source)
    })
}

fn counts(cpu: usize) -> Option<&'static Counts> {
    COUNTS.get(cpu)?.get().map(|counts| &**counts)
}

/// Counts an interrupt and runs what belongs to it. Called with interrupts off.
pub(super) fn dispatch(vector: u8) {
    let began = rdtsc();
    let counts = counts(cpu::index());
    if let Some(counts) = counts {
        counts.begin(vector, began);
    }
    serve(vector);
    if let Some(counts) = counts {
        counts.end(vector, rdtsc().saturating_sub(began));
    }
}

fn serve(vector: u8) {
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
        KICK => {
            apic::end();
            time::kicked();
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
            Some(connected) => connected.handler.clone(),
            None => return,
        };
        handler();
        at += 1;
    }
}
