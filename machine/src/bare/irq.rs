//! Interrupts: who is told when one arrives.
//!
//! The one idea: interrupts arrive only while user mode runs or a CPU idles, so a handler is an
//! ordinary function that interrupts no kernel code. Handlers should be short: wake somebody.

use super::instructions::rdtsc;
use super::routes::{self, mask_line};
use super::{apic, cpu, nmi, pic, time};
use crate::interrupts::{Counts, LAST_MESSAGE, MESSAGES, Steer};
use crate::sync::{Once, Spin};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

pub use super::routes::{
    default_route, on_storm, resume, route, set_default_route, set_route, storms,
};
pub use crate::interrupts::{Handling, NoRoute, Route, Source, Steering};
pub(super) use crate::interrupts::{KICK, LINES, PIC, SPURIOUS, TIMER};

/// What an interrupt runs. It must not block.
pub type Handler = Arc<dyn Fn() + Send + Sync>;

/// There is no interrupt vector left, or no controller that takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector;

/// Slots of the handler table: 16 lines, then the messages.
pub(super) const SLOTS: usize = 16 + (LAST_MESSAGE - MESSAGES) as usize + 1;

pub(super) struct Slot {
    handlers: Vec<Connected>,
    pub taken: bool,
    /// Where it goes; of lines and messages that are taken.
    pub route: Route,
    /// How a message is sent elsewhere.
    pub steer: Option<Steer>,
}

struct Connected {
    serial: u64,
    name: &'static str,
    handler: Handler,
}

pub(super) static TABLE: [Spin<Slot>; SLOTS] = [const {
    Spin::new(Slot {
        handlers: Vec::new(),
        taken: false,
        route: Route {
            allowed: u64::MAX,
            cpu: 0,
        },
        steer: None,
    })
}; SLOTS];
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Keeps a handler connected; dropping it disconnects the handler.
pub struct IrqGuard {
    slot: usize,
    serial: u64,
}

impl IrqGuard {
    /// Says how the device of a message interrupt is told to send it elsewhere, or not at all. Without it the interrupt
    /// stays as it is.
    pub fn steer_with(&self, steer: Steer) {
        let old = TABLE[self.slot].lock().steer.replace(steer);
        drop(old);
    }
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
        let mut steer = None;
        if slot.handlers.is_empty() {
            slot.taken = false;
            steer = slot.steer.take();
            if self.slot < 16 {
                mask_line(self.slot as u8, true, slot.route.cpu);
            }
        }
        drop(slot);
        drop(steer);
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
    if entry.handlers.is_empty() {
        entry.route = routes::default();
    }
    entry.taken = true;
    entry.handlers.push(Connected {
        serial,
        name,
        handler,
    });
    if slot < 16 {
        mask_line(slot as u8, false, entry.route.cpu);
    }
    IrqGuard { slot, serial }
}

/// Connects a handler to an ISA interrupt line (0 to 15). Several may share one. `name` says whose it is.
pub fn legacy(line: u8, name: &'static str, handler: Handler) -> IrqGuard {
    connect(usize::from(line & 15), name, handler)
}

/// Connects a handler to a message interrupt of its own. `name` says whose it is.
pub fn message(name: &'static str, handler: Handler) -> Result<Message, NoVector> {
    let destination = apic::message_destination(routes::default().cpu).ok_or(NoVector)?;
    for (slot, entry) in TABLE.iter().enumerate().skip(16) {
        let mut entry = entry.lock();
        if entry.taken {
            continue;
        }
        entry.taken = true;
        drop(entry);
        return Ok(Message {
            address: routes::address(destination),
            data: routes::data(slot),
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
        let source = routes::source(slot);
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
    let slot = serve(vector);
    if let Some(slot) = slot {
        routes::note(slot, began);
    }
    if let Some(counts) = counts {
        counts.end(vector, rdtsc().saturating_sub(began));
    }
}

/// Gives the slot of a device's interrupt.
fn serve(vector: u8) -> Option<usize> {
    let slot = match vector {
        PIC..LINES => {
            let line = vector - PIC;
            if pic::is_spurious(line) {
                return None;
            }
            if line == 0 {
                time::alarm();
            }
            run(usize::from(line));
            pic::end(line);
            usize::from(line)
        }
        LINES..=LAST_MESSAGE => {
            let slot = match vector {
                ..MESSAGES => usize::from(vector - LINES),
                _ => usize::from(vector - MESSAGES) + 16,
            };
            run(slot);
            apic::end();
            slot
        }
        TIMER => {
            apic::end();
            time::alarm();
            return None;
        }
        KICK => {
            apic::end();
            time::kicked();
            return None;
        }
        SPURIOUS => return None,
        _ => {
            apic::end();
            return None;
        }
    };
    Some(slot)
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
