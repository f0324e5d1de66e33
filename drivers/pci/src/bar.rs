//! Base address registers (section 6.2.5.1): decoded, and sized by the all-ones probe.
//!
//! The one idea: while the probe's ones stand in the register, the function must not answer there, so its decoders are
//! off meanwhile; and the mask that it answers is believed only if it is a power of two of a possible size.

use crate::Config;
use crate::header::{COMMAND, Command};

const FIRST: u16 = 0x10;
const PORT_SPACE: u32 = 1;
const TYPE: u32 = 0b110;
const TYPE_64: u32 = 0b100;
const TYPE_32: u32 = 0b000;
const PREFETCHABLE: u32 = 1 << 3;
const MEMORY_MASK: u32 = !0xf;
const PORT_MASK: u32 = !3;

/// A range of addresses that a function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Memory.
    Memory {
        /// Where it is; 0 if the firmware gave it no place.
        address: u64,
        /// Bytes, a power of two of at least 16.
        size: u64,
        /// Reads have no side effects and writes may be merged.
        prefetchable: bool,
        /// It takes two slots and may lie above 4 GiB.
        wide: bool,
    },
    /// Ports.
    Ports {
        /// The first port; 0 if the firmware gave it no place.
        base: u16,
        /// Ports, a power of two of at least 4.
        size: u16,
    },
}

/// The register of `slot`.
fn register(slot: u8) -> u16 {
    FIRST + 4 * u16::from(slot)
}

/// The size that a probe's answer means: its lowest one, if all bits above it are ones too.
fn size_of(mask: u64, all: u64) -> Option<u64> {
    let size = mask & mask.wrapping_neg();
    let expected = all & !size.wrapping_sub(1);
    (mask != 0 && mask == expected).then_some(size)
}

/// Decodes all registers of a function with `slots` of them. Implausible ones and empty ones are `None`, as is the slot
/// after a wide one. The function's decoders are off while this runs and as before afterwards.
pub(crate) fn decode(config: Config<'_>, slots: u8) -> [Option<Bar>; 6] {
    let mut bars = [None; 6];
    let command = Command::from_bits_retain(config.half(COMMAND));
    let quiet = command - Command::PORTS - Command::MEMORY;
    config.set_half(COMMAND, quiet.bits());
    let mut slot = 0;
    while slot < slots.min(6) {
        let (bar, taken) = decode_one(config, slot, slots);
        if let Some(place) = bars.get_mut(usize::from(slot)) {
            *place = bar;
        }
        slot += taken;
    }
    config.set_half(COMMAND, command.bits());
    bars
}

/// Writes ones, reads what sticks, restores.
fn probe(config: Config<'_>, register: u16) -> (u32, u32) {
    let before = config.word(register);
    config.set_word(register, u32::MAX);
    let mask = config.word(register);
    config.set_word(register, before);
    (before, mask)
}

/// One register, and how many slots it takes.
fn decode_one(config: Config<'_>, slot: u8, slots: u8) -> (Option<Bar>, u8) {
    let (value, mask) = probe(config, register(slot));
    if mask == 0 {
        return (None, 1);
    }
    if value & PORT_SPACE != 0 {
        // A function may leave the upper half of a port register at zero: x86 has 64 Ki ports.
        let size = size_of(u64::from(mask & PORT_MASK & 0xffff), 0xffff);
        let base = value & PORT_MASK;
        let bar = size.filter(|_| base <= 0xffff).map(|size| Bar::Ports {
            base: base as u16,
            size: size as u16,
        });
        return (bar, 1);
    }
    let prefetchable = value & PREFETCHABLE != 0;
    match value & TYPE {
        TYPE_32 => {
            let size = size_of(u64::from(mask & MEMORY_MASK), u64::from(u32::MAX));
            let bar = size.map(|size| Bar::Memory {
                address: u64::from(value & MEMORY_MASK),
                size,
                prefetchable,
                wide: false,
            });
            (bar, 1)
        }
        TYPE_64 if slot + 1 < slots => {
            let (high, high_mask) = probe(config, register(slot + 1));
            let mask = u64::from(high_mask) << 32 | u64::from(mask & MEMORY_MASK);
            let bar = size_of(mask, u64::MAX).map(|size| Bar::Memory {
                address: u64::from(high) << 32 | u64::from(value & MEMORY_MASK),
                size,
                prefetchable,
                wide: true,
            });
            (bar, 2)
        }
        _ => (None, 1),
    }
}

/// Gives the memory register of `slot` the place `address`. The function's memory decoder must be off.
pub(crate) fn place(config: Config<'_>, slot: u8, address: u64, wide: bool) {
    config.set_word(register(slot), address as u32);
    if wide {
        config.set_word(register(slot + 1), (address >> 32) as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_contiguous_masks_have_a_size() {
        let all = u64::from(u32::MAX);
        assert_eq!(size_of(0xffff_f000, all), Some(0x1000));
        assert_eq!(size_of(0x8000_0000, all), Some(0x8000_0000));
        assert_eq!(size_of(0xfff0_f000, all), None);
        assert_eq!(size_of(0x0000_f000, all), None);
        assert_eq!(size_of(0, all), None);
        assert_eq!(size_of(1 << 63, u64::MAX), Some(1 << 63));
    }
}
