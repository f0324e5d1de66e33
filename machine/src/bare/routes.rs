//! Which CPU a device's interrupt goes to, and silencing one that interrupts all the time.
//!
//! The one idea: an ISA line is redirected in the I/O APIC, a message at its device, which was asked how it wants to be
//! told. Where neither can be done (the 8259s, a device that cannot be told) an interrupt stays where it is.

use super::irq::{SLOTS, TABLE};
use super::{apic, cpu, ioapic, pic};
use crate::interrupts::{MESSAGES, NoRoute, Route, Source, Steering};
use crate::storm::{MOST_MESSAGES, MOST_OF_LINE, Storm};
use crate::sync::Once;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where interrupts may go that are connected from now on.
static ALLOWED: AtomicU64 = AtomicU64::new(u64::MAX);
static STORMS: [Storm; SLOTS] = [const { Storm::new() }; SLOTS];
static ON_STORM: Once<fn(Source)> = Once::new();

/// The source of a slot of the handler table.
pub(super) fn source(slot: usize) -> Source {
    match slot {
        ..16 => Source::Line(slot as u8),
        _ => Source::Message((slot - 16) as u8),
    }
}

/// The slot of a device's source.
fn slot_of(source: Source) -> Option<usize> {
    let slot = match source {
        Source::Line(line) => usize::from(line),
        Source::Message(number) => 16 + usize::from(number),
        _ => return None,
    };
    (slot < SLOTS).then_some(slot)
}

/// The running CPUs, one bit each.
fn running() -> u64 {
    u64::MAX >> (cpu::MAX - cpu::count().min(cpu::MAX))
}

/// The first that runs of some CPUs; `now` if it is among them.
fn choose(allowed: u64, now: usize) -> Option<usize> {
    let possible = allowed & running();
    match possible {
        0 => None,
        _ if possible >> now & 1 != 0 => Some(now),
        _ => Some(possible.trailing_zeros() as usize),
    }
}

/// Where a new interrupt goes.
pub(super) fn default() -> Route {
    let allowed = ALLOWED.load(Ordering::Relaxed);
    // If none of them runs yet, the boot CPU takes it.
    let cpu = choose(allowed, 0).unwrap_or(0);
    Route { allowed, cpu }
}

/// Interrupts that are connected from now on go to the first of these CPUs that runs. Those that there are stay.
pub fn set_default_route(cpus: u64) {
    ALLOWED.store(cpus, Ordering::Relaxed);
}

/// The CPUs that were said last.
pub fn default_route() -> u64 {
    ALLOWED.load(Ordering::Relaxed)
}

/// The address of messages to an APIC: fixed delivery, edge, to one CPU (Intel SDM volume 3, section 11.11).
pub(super) fn address(destination: u8) -> u64 {
    0xfee0_0000 | u64::from(destination) << 12
}

/// What a message writes there.
pub(super) fn data(slot: usize) -> u32 {
    u32::from(MESSAGES) + slot as u32 - 16
}

/// Masks or opens an ISA line, towards a CPU.
pub(super) fn mask_line(line: u8, masked: bool, cpu: usize) {
    if !ioapic::set(line, masked, cpu) {
        pic::set(line, masked);
    }
}

/// Where an interrupt of a device goes.
pub fn route(source: Source) -> Option<Route> {
    let slot = TABLE[slot_of(source)?].lock();
    slot.taken.then_some(slot.route)
}

/// Makes an interrupt go to one of these CPUs, the one that it goes to now if that is among them. The last one from the
/// old CPU may still be served when this returns, also while the first one comes to the new.
///
/// # Errors
/// [`NoRoute`].
pub fn set_route(source: Source, cpus: u64) -> Result<(), NoRoute> {
    let at = slot_of(source).ok_or(NoRoute)?;
    let mut slot = TABLE[at].lock();
    if !slot.taken {
        return Err(NoRoute);
    }
    let cpu = choose(cpus, slot.route.cpu).ok_or(NoRoute)?;
    let destination = apic::message_destination(cpu).ok_or(NoRoute)?;
    let silenced = STORMS[at].is_silenced();
    let steer = match at {
        ..16 if ioapic::set(at as u8, silenced, cpu) => None,
        ..16 => return Err(NoRoute),
        _ => Some(slot.steer.clone().ok_or(NoRoute)?),
    };
    slot.route = Route { allowed: cpus, cpu };
    drop(slot);
    if let Some(steer) = steer.filter(|_| !silenced) {
        steer(Steering::To {
            address: address(destination),
            data: data(at),
        });
    }
    Ok(())
}

/// Says who is told of a source that interrupts all the time. It is silenced then, if it can be, until [`resume`]. Only
/// the first call counts.
pub fn on_storm(hook: fn(Source)) {
    let _ = ON_STORM.set(hook);
}

/// A device has interrupted.
#[inline]
pub(super) fn note(slot: usize, now: u64) {
    let most = if slot < 16 {
        MOST_OF_LINE
    } else {
        MOST_MESSAGES
    };
    if STORMS[slot].note(now, most) {
        silence(slot);
    }
}

#[cold]
fn silence(at: usize) {
    let slot = TABLE[at].lock();
    let (route, steer) = (slot.route, slot.steer.clone());
    drop(slot);
    match at {
        ..16 => mask_line(at as u8, true, route.cpu),
        _ => {
            if let Some(steer) = steer {
                steer(Steering::Silent);
            }
        }
    }
    if let Some(hook) = ON_STORM.get() {
        hook(source(at));
    }
}

/// Hears a silenced source again.
pub fn resume(source: Source) {
    let Some(at) = slot_of(source) else {
        return;
    };
    let slot = TABLE[at].lock();
    if !STORMS[at].is_over() || !slot.taken {
        return;
    }
    let (cpu, steer) = (slot.route.cpu, slot.steer.clone());
    if at < 16 {
        mask_line(at as u8, false, cpu);
    }
    drop(slot);
    if let Some((steer, destination)) = steer.zip(apic::message_destination(cpu)) {
        steer(Steering::To {
            address: address(destination),
            data: data(at),
        });
    }
}

/// Whether a source is silenced now.
pub(super) fn is_silenced(source: Source) -> bool {
    slot_of(source).is_some_and(|slot| STORMS[slot].is_silenced())
}

/// How often a source had to be silenced.
pub fn storms(source: Source) -> u32 {
    slot_of(source).map_or(0, |slot| STORMS[slot].storms())
}
