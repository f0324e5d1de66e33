//! The real-time clock (MC146818 data sheet): the date, while the machine is off as well.

use super::boot::acpi;
use super::instructions::{in_u8, out_u8, rdtsc};
use super::irq::{self, Handler, IrqGuard};
use crate::date::{self, Fields};
use crate::sync::Spin;
use alloc::sync::Arc;

const INDEX: u16 = 0x70;
const VALUE: u16 = 0x71;
const REGISTER_A: u8 = 0x0a;
const UPDATING: u8 = 0x80;
const REGISTER_B: u8 = 0x0b;
/// In register B: no updates while somebody writes, and an interrupt after each.
const SET: u8 = 0x80;
const UPDATE_INTERRUPT: u8 = 0x10;
const REGISTER_C: u8 = 0x0c;
const DAY_OF_WEEK: u8 = 6;
const LINE: u8 = 8;

/// Two accesses belong together: who reads or writes a register.
static LOCK: Spin<()> = Spin::new(());

fn register(number: u8) -> u8 {
    // SAFETY: the clock's two ports; reading has no side effect that anybody but this file relies
    // on. Bit 7 keeps the NMI gate open.
    unsafe {
        out_u8(INDEX, number);
        in_u8(VALUE)
    }
}

fn write(number: u8, value: u8) {
    // SAFETY: as above; what the clock shows and when it interrupts is this file's own business.
    unsafe {
        out_u8(INDEX, number);
        out_u8(VALUE, value);
    }
}

/// Where the century is, if anywhere. Below 14 there are other registers.
fn century() -> Option<u8> {
    let register = acpi().map_or(0, |acpi| acpi.century);
    (14..128).contains(&register).then_some(register)
}

/// The registers of the time, in the order of [`Fields`]; those that are there.
fn places() -> impl Iterator<Item = u8> {
    [0, 2, 4, 7, 8, 9].into_iter().chain(century())
}

fn fields() -> Fields {
    let mut fields = Fields::default();
    for (field, place) in fields.iter_mut().zip(places()) {
        *field = register(place);
    }
    fields
}

/// Seconds since 1970, taking the clock for UTC. Waits for the end of an update: two milliseconds at most.
pub fn seconds() -> u64 {
    let _lock = LOCK.lock();
    // Read twice the same without an update between: then the fields belong together.
    let mut now = fields();
    for _ in 0..1000 {
        if register(REGISTER_A) & UPDATING == 0 {
            let again = fields();
            if again == now && register(REGISTER_A) & UPDATING == 0 {
                break;
            }
            now = again;
        }
    }
    date::seconds(now, register(REGISTER_B), century().is_some())
}

/// Sets the clock to seconds since 1970 (UTC); `false`: it cannot show them.
pub fn set(seconds: u64) -> bool {
    let _lock = LOCK.lock();
    let status = register(REGISTER_B);
    let Some((fields, day)) = date::fields(seconds, status, century().is_some()) else {
        return false;
    };
    write(REGISTER_B, status | SET);
    for (value, place) in fields.into_iter().zip(places()) {
        write(place, value);
    }
    write(DAY_OF_WEEK, day);
    write(REGISTER_B, status);
    true
}

/// While it is kept the clock interrupts each second, when it has gone on.
pub struct Updates(IrqGuard);

impl Updates {
    /// Calls `handler`, which must not block, after each second.
    pub fn start(handler: Handler) -> Updates {
        let each = move || {
            // Reading it is what lets the next interrupt come.
            let lock = LOCK.lock();
            let cause = register(REGISTER_C);
            drop(lock);
            if cause & UPDATE_INTERRUPT != 0 {
                handler();
            }
        };
        let guard = irq::legacy(LINE, "rtc", Arc::new(each));
        let _lock = LOCK.lock();
        write(REGISTER_B, register(REGISTER_B) | UPDATE_INTERRUPT);
        register(REGISTER_C);
        Updates(guard)
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        let _lock = LOCK.lock();
        write(REGISTER_B, register(REGISTER_B) & !UPDATE_INTERRUPT);
        register(REGISTER_C);
        let Updates(_guard) = self;
    }
}

/// How far the time stamp counter goes from one second to the next: for machines that have nothing
/// better. Takes up to two seconds; `None` when the clock stands still.
pub(super) fn stamps_in_a_second() -> Option<u64> {
    const PATIENCE: u32 = 10_000_000;
    let next_second = || {
        let now = register(0);
        (0..PATIENCE).find(|_| register(0) != now).map(|_| rdtsc())
    };
    let first = next_second()?;
    Some(next_second()? - first)
}
