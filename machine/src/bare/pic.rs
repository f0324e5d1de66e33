//! The two 8259 interrupt controllers: moved out of the way and masked, or, on a machine without
//! I/O APIC, in use.

use super::instructions::{in_u8, out_u8};
use super::irq;
use crate::sync::Spin;

const COMMANDS: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
const CASCADE: u16 = 1 << 2;
const END_OF_INTERRUPT: u8 = 0x20;
const READ_IN_SERVICE: u8 = 0x0b;

/// Which lines are masked.
static MASK: Spin<u16> = Spin::new(0xffff);

/// Moves their vectors away from the exceptions and masks all lines (8259A data sheet, ICW1 to 4).
pub fn init() {
    let words = [[0x11, 0x11], [irq::PIC, irq::PIC + 8], [4, 2], [1, 1]];
    for (step, pair) in words.into_iter().enumerate() {
        for chip in 0..2 {
            let port = if step == 0 {
                COMMANDS[chip]
            } else {
                DATA[chip]
            };
            // SAFETY: the controllers' own ports; interrupts are off.
            unsafe { out_u8(port, pair[chip]) };
        }
    }
    apply(&mut MASK.lock());
}

fn apply(mask: &mut u16) {
    for (port, part) in DATA.into_iter().zip(mask.to_le_bytes()) {
        // SAFETY: the controllers' mask registers.
        unsafe { out_u8(port, part) };
    }
}

/// Masks or opens a line.
pub fn set(line: u8, masked: bool) {
    let mut mask = MASK.lock();
    let bit = 1 << line;
    *mask = if masked {
        *mask | bit
    } else {
        *mask & !bit & !CASCADE
    };
    apply(&mut mask);
}

/// Whether this interrupt of the lowest line of a chip is not one: nothing is in service.
pub fn is_spurious(line: u8) -> bool {
    if line & 7 != 7 {
        return false;
    }
    let chip = usize::from(line >> 3);
    // SAFETY: asks the controller for its in-service register.
    let in_service = unsafe {
        out_u8(COMMANDS[chip], READ_IN_SERVICE);
        in_u8(COMMANDS[chip])
    };
    if in_service & 0x80 != 0 {
        return false;
    }
    if chip == 1 {
        // The first chip did have an interrupt: the cascade.
        // SAFETY: ends it.
        unsafe { out_u8(COMMANDS[0], END_OF_INTERRUPT) };
    }
    true
}

/// Ends an interrupt.
pub fn end(line: u8) {
    // SAFETY: the interrupt was delivered, and its handlers have run.
    unsafe {
        if line >= 8 {
            out_u8(COMMANDS[1], END_OF_INTERRUPT);
        }
        out_u8(COMMANDS[0], END_OF_INTERRUPT);
    }
}
