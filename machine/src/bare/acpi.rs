//! The ACPI tables that the machine itself needs: interrupt controllers (MADT), power (FADT and the
//! `_S5_` package), PCI configuration space (MCFG).
//!
//! The one idea: they come from firmware, so every length is checked and every table's checksum
//! must fit; a machine whose tables do not parse runs with the legacy devices.

use super::loader::bytes;
use super::{boot, layout};
use crate::sync::Once;

pub const MOST_CPUS: usize = super::cpu::MAX;
const MOST_IO_APICS: usize = 8;

/// One I/O APIC and the first interrupt that it serves.
#[derive(Clone, Copy, Debug, Default)]
pub struct IoApic {
    pub address: u32,
    pub first: u32,
}

/// How ISA interrupt lines reach the I/O APICs.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub global: u32,
    pub active_low: bool,
    pub level: bool,
}

/// A register of the ACPI hardware, in I/O ports or memory (ACPI 6.5, section 5.2.3.2).
#[derive(Clone, Copy, Debug)]
pub struct Register {
    pub in_memory: bool,
    pub address: u64,
}

/// What the tables say.
#[derive(Clone, Debug)]
pub struct Acpi {
    pub local_apic: u64,
    pub cpus: [u32; MOST_CPUS],
    pub cpu_count: usize,
    pub io_apics: [IoApic; MOST_IO_APICS],
    pub io_apic_count: usize,
    pub isa: [Route; 16],
    /// PM1a and PM1b control ports (0: not there), and the sleep types that switch off.
    pub power_control: [u16; 2],
    pub power_off: Option<[u16; 2]>,
    /// The sleep control register of machines without PM1 (ACPI 6.5, section 4.8.3.7).
    pub sleep_control: Option<Register>,
    pub reset: Option<(Register, u8)>,
    /// PCI configuration space: physical address, first and last bus of segment 0.
    pub pci: Option<(u64, u8, u8)>,
}

static ACPI: Once<Option<Acpi>> = Once::new();

/// The tables, if the firmware has them.
pub fn acpi() -> Option<&'static Acpi> {
    ACPI.get()?.as_ref()
}

/// Reads the tables. Runs on the bootstrap page tables.
pub fn read() {
    let _ = ACPI.set(find_root().and_then(parse));
}

fn u16_at(table: &[u8], at: usize) -> u16 {
    table
        .get(at..at + 2)
        .map_or(0, |word| u16::from_le_bytes([word[0], word[1]]))
}

fn u32_at(table: &[u8], at: usize) -> u32 {
    u32::from(u16_at(table, at)) | u32::from(u16_at(table, at + 2)) << 16
}

fn u64_at(table: &[u8], at: usize) -> u64 {
    u64::from(u32_at(table, at)) | u64::from(u32_at(table, at + 4)) << 32
}

fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// The root pointer: from the loader, or in the BIOS area (ACPI 6.5, section 5.2.5.1).
fn find_root() -> Option<&'static [u8]> {
    let valid = |at: usize| {
        let root = bytes(at, 36);
        (root.starts_with(b"RSD PTR ") && sum(&root[..20]) == 0).then_some(root)
    };
    boot::rsdp().and_then(valid).or_else(|| {
        let ebda = usize::from(u16_at(bytes(0x40e, 2), 0)) << 4;
        let low = (ebda..ebda + 1024).step_by(16).filter(|_| ebda >= 0x8_0000);
        low.chain((0xe_0000..0x10_0000).step_by(16)).find_map(valid)
    })
}

/// The table at a physical address, if its length and checksum are right.
fn table(at: usize) -> Option<&'static [u8]> {
    const HEADER: usize = 36;
    let len = u32_at(bytes(at, HEADER), 4) as usize;
    if !(HEADER..1 << 20).contains(&len) {
        return None;
    }
    let table = bytes(at, len);
    (!table.is_empty() && sum(table) == 0).then_some(table)
}

fn parse(root: &'static [u8]) -> Option<Acpi> {
    let extended = root[15] >= 2 && u64_at(root, 24) != 0;
    let (at, width) = if extended {
        (u64_at(root, 24), 8)
    } else {
        (u64::from(u32_at(root, 16)), 4)
    };
    let list = table(at as usize)?;
    let mut acpi = Acpi {
        local_apic: 0xfee0_0000,
        cpus: [0; MOST_CPUS],
        cpu_count: 0,
        io_apics: [IoApic::default(); MOST_IO_APICS],
        io_apic_count: 0,
        isa: core::array::from_fn(|line| Route {
            global: line as u32,
            active_low: false,
            level: false,
        }),
        power_control: [0; 2],
        power_off: None,
        sleep_control: None,
        reset: None,
        pci: None,
    };
    for entry in list[36..].chunks_exact(width) {
        let at = if width == 8 {
            u64_at(entry, 0)
        } else {
            u64::from(u32_at(entry, 0))
        };
        let Some(table) = table(at as usize) else {
            continue;
        };
        match &table[..4] {
            b"APIC" => read_madt(&mut acpi, table),
            b"FACP" => read_fadt(&mut acpi, table),
            b"MCFG" if table.len() >= 60 && u16_at(table, 52) == 0 => {
                acpi.pci = Some((u64_at(table, 44), table[54], table[55]));
            }
            _ => {}
        }
    }
    Some(acpi)
}

/// Multiple APIC description table (ACPI 6.5, section 5.2.12).
fn read_madt(acpi: &mut Acpi, table: &[u8]) {
    const USABLE: u32 = 3;
    acpi.local_apic = u64::from(u32_at(table, 36));
    let mut rest = table.get(44..).unwrap_or(&[]);
    while rest.len() >= 2 {
        let len = usize::from(rest[1]);
        if len < 2 || len > rest.len() {
            break;
        }
        let entry = &rest[..len];
        match entry[0] {
            0 if u32_at(entry, 4) & USABLE != 0 => add_cpu(acpi, u32::from(entry[3])),
            9 if u32_at(entry, 8) & USABLE != 0 => add_cpu(acpi, u32_at(entry, 4)),
            1 => {
                if let Some(slot) = acpi.io_apics.get_mut(acpi.io_apic_count) {
                    *slot = IoApic {
                        address: u32_at(entry, 4),
                        first: u32_at(entry, 8),
                    };
                    acpi.io_apic_count += 1;
                }
            }
            2 if len >= 10 => {
                if let Some(route) = acpi.isa.get_mut(usize::from(entry[3])) {
                    let flags = u16_at(entry, 8);
                    *route = Route {
                        global: u32_at(entry, 4),
                        active_low: flags & 3 == 3,
                        level: flags >> 2 & 3 == 3,
                    };
                }
            }
            5 => acpi.local_apic = u64_at(entry, 4),
            _ => {}
        }
        rest = &rest[len..];
    }
}

fn add_cpu(acpi: &mut Acpi, id: u32) {
    if let Some(slot) = acpi.cpus.get_mut(acpi.cpu_count) {
        *slot = id;
        acpi.cpu_count += 1;
    }
}

/// Fixed ACPI description table (ACPI 6.5, section 5.2.9).
fn read_fadt(acpi: &mut Acpi, fadt: &[u8]) {
    const RESET_SUPPORTED: u32 = 1 << 10;
    acpi.power_control = [u32_at(fadt, 64) as u16, u32_at(fadt, 68) as u16];
    if u32_at(fadt, 112) & RESET_SUPPORTED != 0 && fadt.len() >= 129 {
        acpi.reset = register(fadt, 116).map(|register| (register, fadt[128]));
    }
    acpi.sleep_control = register(fadt, 244);
    let wide = u64_at(fadt, 140) as usize;
    let dsdt = if wide != 0 {
        wide
    } else {
        u32_at(fadt, 40) as usize
    };
    acpi.power_off = table(dsdt).and_then(sleep_types);
}

/// A generic address structure (ACPI 6.5, section 5.2.3.2); `None` when it is empty or of a kind
/// that is not reached by a plain access.
fn register(table: &[u8], at: usize) -> Option<Register> {
    const MEMORY: u8 = 0;
    const PORTS: u8 = 1;
    let (space, address) = (*table.get(at)?, u64_at(table, at + 4));
    (address != 0 && matches!(space, MEMORY | PORTS)).then_some(Register {
        in_memory: space == MEMORY,
        address,
    })
}

/// Finds `Name (_S5_, Package { a, b, ... })` in the byte code without interpreting it: the way of
/// systems without an AML interpreter (ACPI 6.5, sections 7.4.2 and 20.2).
fn sleep_types(dsdt: &[u8]) -> Option<[u16; 2]> {
    const NAME: u8 = 0x08;
    const PACKAGE: u8 = 0x12;
    const BYTE: u8 = 0x0a;
    const ZERO: u8 = 0x00;
    const ONE: u8 = 0x01;
    let at = dsdt.windows(4).position(|four| four == b"_S5_")?;
    let named = dsdt[at.checked_sub(2)?..at].contains(&NAME);
    let mut code = dsdt.get(at + 4..)?.iter().copied();
    if !named || code.next()? != PACKAGE {
        return None;
    }
    // The package's length takes one byte more for each count in its top two bits.
    for _ in 0..code.next()? >> 6 {
        code.next()?;
    }
    let elements = code.next()?;
    let mut number = || match code.next()? {
        BYTE => code.next().map(u16::from),
        small @ (ZERO | ONE) => Some(u16::from(small)),
        _ => None,
    };
    let first = number()?;
    let second = if elements > 1 {
        number().unwrap_or(0)
    } else {
        0
    };
    Some([first & 7, second & 7])
}

/// Whether a physical range lies in the kernel image: device windows may not.
pub fn in_image(start: u64, end: u64) -> bool {
    start < layout::physical(layout::end_of_image()) as u64
        && end > layout::physical(layout::start_of_image()) as u64
}
