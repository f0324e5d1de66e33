//! The I/O APICs: which ISA line becomes which vector (82093AA data sheet).

use super::boot::acpi;
use super::kernel_map;
use super::{apic, irq};
use crate::PAGE;
use crate::sync::Spin;

const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

#[derive(Clone, Copy)]
struct Chip {
    registers: usize,
    first: u32,
    entries: u32,
}

static CHIPS: Spin<[Option<Chip>; 8]> = Spin::new([None; 8]);

impl Chip {
    fn read(self, register: u32) -> u32 {
        // SAFETY: the mapped register page: select, then read the window. The lock around the
        // chips keeps others out.
        unsafe {
            (self.registers as *mut u32).write_volatile(register);
            ((self.registers + 0x10) as *const u32).read_volatile()
        }
    }

    fn write(self, register: u32, value: u32) {
        // SAFETY: as in `read`.
        unsafe {
            (self.registers as *mut u32).write_volatile(register);
            ((self.registers + 0x10) as *mut u32).write_volatile(value);
        }
    }
}

/// Finds them and masks everything. False when there is none.
pub fn init() -> bool {
    let Some(acpi) = acpi() else {
        return false;
    };
    let mut chips = CHIPS.lock();
    let mut found = false;
    for (slot, described) in chips.iter_mut().zip(&acpi.io_apics[..acpi.io_apic_count]) {
        let address = described.address as usize;
        let page = address & !(PAGE - 1);
        let Ok(window) = kernel_map::map_window(page, PAGE) else {
            continue;
        };
        let mut chip = Chip {
            registers: window + address % PAGE,
            first: described.first,
            entries: 0,
        };
        chip.entries = (chip.read(VERSION) >> 16 & 0xff) + 1;
        for entry in 0..chip.entries {
            chip.write(REDIRECTION + 2 * entry, MASKED);
        }
        *slot = Some(chip);
        found = true;
    }
    found
}

/// Masks or opens an ISA line, towards a CPU. False when no I/O APIC has it, or messages cannot reach the CPU.
pub fn set(line: u8, masked: bool, cpu: usize) -> bool {
    let Some(route) = acpi().and_then(|acpi| acpi.isa.get(usize::from(line))) else {
        return false;
    };
    let chips = CHIPS.lock();
    let chip = chips
        .iter()
        .flatten()
        .find(|chip| (chip.first..chip.first + chip.entries).contains(&route.global));
    let (Some(chip), Some(destination)) = (chip, apic::message_destination(cpu)) else {
        return false;
    };
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    let entry = REDIRECTION + 2 * (route.global - chip.first);
    chip.write(entry + 1, u32::from(destination) << 24);
    chip.write(
        entry,
        u32::from(irq::LINES + line)
            | flag(route.active_low, ACTIVE_LOW)
            | flag(route.level, LEVEL)
            | flag(masked, MASKED),
    );
    true
}
