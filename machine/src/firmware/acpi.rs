//! The ACPI tables that the machine itself needs: interrupt controllers (MADT), power (FADT and the
//! `_S5_` package), PCI configuration space (MCFG), nodes of memory (SRAT, SLIT: see [`super::numa`]).
//!
//! The one idea: they come from firmware, so every length is checked and every table's checksum
//! must fit; a machine whose tables do not parse runs with the legacy devices.

use super::loader::Root;
use super::numa::Affinity;
use super::{Memory, u16_at, u32_at, u64_at};

/// The most CPUs that are kept.
pub const MOST_CPUS: usize = 64;
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
    /// The port of the power management timer, and whether it counts with 32 bits, not 24.
    pub pm_timer: Option<(u16, bool)>,
    /// The HPET's registers: physical address.
    pub hpet: Option<u64>,
    /// The real-time clock's register of the century; 0: it has none.
    pub century: u8,
    /// PCI configuration space: physical address, first and last bus of segment 0.
    pub pci: Option<(u64, u8, u8)>,
    /// Which processors and memory belong together.
    pub affinity: Affinity,
}

fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// Whether these bytes start with a valid root pointer.
fn is_root(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RSD PTR ") && bytes.len() >= 20 && sum(&bytes[..20]) == 0
}

/// Reads the tables behind the root pointer: the loader's, or the one in the BIOS area (ACPI 6.5,
/// section 5.2.5.1).
pub fn read<'a>(memory: &Memory<'a>, root: Root<'a>) -> Option<Acpi> {
    const SIZE: usize = 36;
    let given = match root {
        Root::Unknown => None,
        Root::At(address) => Some(memory(address, SIZE)),
        Root::Copy(bytes) => Some(bytes),
    };
    let scan = || {
        let ebda = usize::from(u16_at(memory(0x40e, 2), 0)) << 4;
        let low = (ebda..ebda + 1024).step_by(16).filter(|_| ebda >= 0x8_0000);
        low.chain((0xe_0000..0x10_0000).step_by(16))
            .map(|at| memory(at, SIZE))
            .find(|bytes| is_root(bytes))
    };
    let root = given.filter(|bytes| is_root(bytes)).or_else(scan)?;
    parse(memory, root)
}

/// The table at a physical address, if its length and checksum are right.
fn table<'a>(memory: &Memory<'a>, at: usize) -> Option<&'a [u8]> {
    const HEADER: usize = 36;
    let len = u32_at(memory(at, HEADER), 4) as usize;
    if !(HEADER..1 << 20).contains(&len) {
        return None;
    }
    let table = memory(at, len);
    (table.len() == len && sum(table) == 0).then_some(table)
}

fn parse(memory: &Memory<'_>, root: &[u8]) -> Option<Acpi> {
    let extended = root[15] >= 2 && u64_at(root, 24) != 0;
    let (at, width) = if extended {
        (u64_at(root, 24), 8)
    } else {
        (u64::from(u32_at(root, 16)), 4)
    };
    let list = table(memory, at as usize)?;
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
        pm_timer: None,
        hpet: None,
        century: 0,
        pci: None,
        affinity: Affinity::default(),
    };
    for entry in list[36..].chunks_exact(width) {
        let at = match width {
            8 => u64_at(entry, 0),
            _ => u64::from(u32_at(entry, 0)),
        };
        let Some(table) = table(memory, at as usize) else {
            continue;
        };
        match &table[..4] {
            b"APIC" => read_madt(&mut acpi, table),
            b"SRAT" => acpi.affinity.read_srat(table),
            b"SLIT" => acpi.affinity.read_slit(table),
            b"FACP" => read_fadt(memory, &mut acpi, table),
            // In memory, and where one can be reached (HPET specification 1.0a, section 3.2.4).
            b"HPET" if table.len() >= 56 && table[40] == 0 && u64_at(table, 44) >> 52 == 0 => {
                acpi.hpet =
                    Some(u64_at(table, 44)).filter(|address| address & 7 == 0 && *address != 0);
            }
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
    // Bit 1 alone marks sockets that a CPU may be plugged into later.
    const ENABLED: u32 = 1;
    acpi.local_apic = u64::from(u32_at(table, 36));
    let mut rest = table.get(44..).unwrap_or(&[]);
    while rest.len() >= 2 {
        let len = usize::from(rest[1]);
        if len < 2 || len > rest.len() {
            break;
        }
        let entry = &rest[..len];
        match entry[0] {
            0 if u32_at(entry, 4) & ENABLED != 0 => add_cpu(acpi, u32::from(entry[3])),
            9 if u32_at(entry, 8) & ENABLED != 0 => add_cpu(acpi, u32_at(entry, 4)),
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

/// Keeps a CPU's number, once: firmware may list a CPU in both kinds of entry. The numbers that mean
/// everybody are nobody's.
fn add_cpu(acpi: &mut Acpi, id: u32) {
    const EVERYBODY: [u32; 2] = [0xff, u32::MAX];
    if EVERYBODY.contains(&id) || acpi.cpus[..acpi.cpu_count].contains(&id) {
        return;
    }
    if let Some(slot) = acpi.cpus.get_mut(acpi.cpu_count) {
        *slot = id;
        acpi.cpu_count += 1;
    }
}

/// Fixed ACPI description table (ACPI 6.5, section 5.2.9).
fn read_fadt(memory: &Memory<'_>, acpi: &mut Acpi, fadt: &[u8]) {
    const RESET_SUPPORTED: u32 = 1 << 10;
    acpi.power_control = [u32_at(fadt, 64) as u16, u32_at(fadt, 68) as u16];
    if u32_at(fadt, 112) & RESET_SUPPORTED != 0 && fadt.len() >= 129 {
        acpi.reset = register(fadt, 116).map(|register| (register, fadt[128]));
    }
    const TIMER_IS_WIDE: u32 = 1 << 8;
    // A port that is there has 4 bytes.
    let port = u32_at(fadt, 76) as u16;
    let is_there = port != 0 && fadt.get(91) == Some(&4);
    let is_wide = u32_at(fadt, 112) & TIMER_IS_WIDE != 0;
    acpi.pm_timer = is_there.then_some((port, is_wide));
    acpi.century = fadt.get(108).copied().unwrap_or(0);
    acpi.sleep_control = register(fadt, 244);
    let wide = u64_at(fadt, 140) as usize;
    let dsdt = if wide != 0 {
        wide
    } else {
        u32_at(fadt, 40) as usize
    };
    acpi.power_off = table(memory, dsdt).and_then(sleep_types);
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

#[cfg(test)]
mod tests {
    use super::super::image::{Image, words};
    use super::super::numa::tests::{memory, processor, slit, srat};
    use super::*;
    use proptest::prelude::*;

    /// A table with header and right checksum.
    fn table(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = name.to_vec();
        table.extend(words(&[(4, 36 + body.len() as u64), (1, 1), (1, 0)]));
        table.resize(36, b' ');
        table.extend(body);
        table[9] = sum(&table).wrapping_neg();
        table
    }

    fn image() -> Image {
        let mut image = Image::default();
        let mut root = b"RSD PTR ".to_vec();
        root.extend(words(&[
            (1, 0),
            (6, 0),
            (1, 2),
            (4, 0),
            (4, 36),
            (8, 0x1000),
            (4, 0),
        ]));
        root[8] = sum(&root[..20]).wrapping_neg();
        image.put(0xf_5000, root);
        image.put(
            0x1000,
            table(
                b"XSDT",
                &words(&[
                    (8, 0x2000),
                    (8, 0x3000),
                    (8, 0x4000),
                    (8, 0x6000),
                    (8, 0x7000),
                    (8, 0x8000),
                    (8, 0x9999),
                ]),
            ),
        );
        let mut madt = words(&[(4, 0xfee0_0000), (4, 1)]);
        madt.extend(words(&[(1, 0), (1, 8), (1, 0), (1, 3), (4, 1)]));
        madt.extend(words(&[(1, 0), (1, 8), (1, 1), (1, 4), (4, 0)]));
        madt.extend(words(&[(1, 0), (1, 8), (1, 2), (1, 5), (4, 2)]));
        madt.extend(words(&[(1, 0), (1, 8), (1, 3), (1, 255), (4, 1)]));
        madt.extend(words(&[(1, 9), (1, 16), (2, 0), (4, 3), (4, 1), (4, 0)]));
        madt.extend(words(&[(1, 9), (1, 16), (2, 0), (4, 300), (4, 1), (4, 0)]));
        madt.extend(words(&[(1, 1), (1, 12), (2, 0), (4, 0xfec0_0000), (4, 24)]));
        madt.extend(words(&[(1, 2), (1, 10), (1, 0), (1, 0), (4, 2), (2, 0)]));
        madt.extend(words(&[(1, 2), (1, 10), (1, 0), (1, 9), (4, 9), (2, 0xf)]));
        image.put(0x2000, table(b"APIC", &madt));
        let mut fadt = vec![0; 256];
        fadt[40 - 36..44 - 36].copy_from_slice(&0x5000_u32.to_le_bytes());
        fadt[64 - 36..66 - 36].copy_from_slice(&0x604_u16.to_le_bytes());
        fadt[112 - 36..116 - 36].copy_from_slice(&(1_u32 << 10).to_le_bytes());
        fadt[76 - 36..80 - 36].copy_from_slice(&0x608_u32.to_le_bytes());
        fadt[91 - 36] = 4;
        fadt[108 - 36] = 0x32;
        fadt[116 - 36] = 1;
        fadt[120 - 36..122 - 36].copy_from_slice(&0xcf9_u16.to_le_bytes());
        fadt[128 - 36] = 0xf;
        image.put(0x3000, table(b"FACP", &fadt));
        let mcfg = words(&[(8, 0), (8, 0xb000_0000), (2, 0), (1, 0), (1, 255), (4, 0)]);
        image.put(0x4000, table(b"MCFG", &mcfg));
        let registers = [(1, 0), (1, 64), (1, 0), (1, 0), (8, 0xfed0_0000)];
        let hpet = [
            words(&[(4, 1)]),
            words(&registers),
            words(&[(1, 0), (2, 1), (1, 0)]),
        ]
        .concat();
        image.put(0x6000, table(b"HPET", &hpet));
        let entries = [processor(3, 0), processor(300, 1), memory(0, 1 << 30, 1)];
        image.put(0x7000, table(b"SRAT", &srat(&entries)[36..]));
        image.put(0x8000, table(b"SLIT", &slit(&[&[10, 21], &[21, 10]])[36..]));
        let code = b"\x08_S5_\x12\x06\x04\x0a\x05\x01\x00\x00";
        image.put(0x5000, table(b"DSDT", code));
        image
    }

    #[test]
    fn tables_are_read() {
        let image = image();
        let memory = |at, len| image.read(at, len);
        for root in [
            Root::Unknown,
            Root::At(0xf_5000),
            Root::At(7),
            Root::Copy(b"RSD PTR "),
        ] {
            let acpi = read(&memory, root).expect("the tables are right");
            assert_eq!(acpi.cpus[..acpi.cpu_count], [3, 300]);
            assert_eq!(
                (acpi.io_apic_count, acpi.io_apics[0].address),
                (1, 0xfec0_0000)
            );
            assert_eq!((acpi.io_apics[0].first, acpi.isa[0].global), (24, 2));
            assert!(acpi.isa[9].active_low && acpi.isa[9].level && !acpi.isa[4].level);
            assert_eq!(
                (acpi.power_control, acpi.power_off),
                ([0x604, 0], Some([5, 1]))
            );
            let (register, value) = acpi.reset.expect("it is described");
            assert_eq!(
                (register.in_memory, register.address, value),
                (false, 0xcf9, 0xf)
            );
            assert_eq!(acpi.pci, Some((0xb000_0000, 0, 255)));
            assert_eq!(acpi.affinity.processors().len(), 2);
            assert_eq!(acpi.affinity.ranges().len(), 1);
            assert_eq!(acpi.affinity.distance(0, 1), Some(21));
            assert_eq!(acpi.pm_timer, Some((0x608, false)));
            assert_eq!((acpi.hpet, acpi.century), (Some(0xfed0_0000), 0x32));
        }
    }

    #[test]
    fn cpus_that_are_not_there_and_doubles_are_left_out() {
        let image = image();
        let memory = |at, len| image.read(at, len);
        let acpi = read(&memory, Root::Unknown).expect("the tables are right");
        // Not enabled: 4; only a socket: 5; everybody: 255; listed twice: 3.
        assert_eq!(acpi.cpus[..acpi.cpu_count], [3, 300]);
    }

    #[test]
    fn a_wrong_checksum_hides_a_table() {
        let mut image = image();
        if let Some(madt) = image.0.get_mut(&0x2000) {
            madt[44] ^= 1;
        }
        let memory = |at, len| image.read(at, len);
        let acpi = read(&memory, Root::Unknown).expect("the others are right");
        assert_eq!((acpi.cpu_count, acpi.power_off), (0, Some([5, 1])));
    }

    proptest! {
        #[test]
        fn what_is_spoilt_is_survived(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
            mend in any::<bool>(),
        ) {
            let mut image = image();
            for (piece, at, value) in changes {
                let keys: Vec<usize> = image.0.keys().copied().collect();
                let key = *piece.get(&keys);
                if let Some(bytes) = image.0.get_mut(&key) {
                    *at.get_mut(bytes) = value;
                    if mend && key != 0xf_5000 {
                        bytes[9] = 0;
                        bytes[9] = sum(bytes).wrapping_neg();
                    }
                }
            }
            let memory = |at, len| image.read(at, len);
            if let Some(acpi) = read(&memory, Root::At(0xf_5000)) {
                prop_assert!(acpi.cpu_count <= MOST_CPUS && acpi.io_apic_count <= MOST_IO_APICS);
            }
        }

        #[test]
        fn any_byte_code_is_survived(code in prop::collection::vec(any::<u8>(), 0..40), tail in prop::collection::vec(any::<u8>(), 0..12)) {
            let code = [&code[..], b"\x08_S5_", &tail[..]].concat();
            if let Some(types) = sleep_types(&code) {
                prop_assert!(types.iter().all(|kind| *kind < 8));
            }
        }
    }
}
