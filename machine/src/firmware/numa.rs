//! Which processors and which memory belong together, and how far apart they are: SRAT and SLIT (ACPI 6.5, sections 5.2.16
//! and 5.2.17).
//!
//! The one idea: this is what the tables say, no more; whether it makes sense is decided in [`crate::topology`]. What does
//! not fit is noted, so that a machine that is too large for these lists is taken for one without nodes.

use super::acpi::MOST_CPUS;
use super::{u32_at, u64_at};

/// The most ranges of memory that are kept.
pub const MOST_RANGES: usize = 32;
/// The most domains between which distances are kept.
pub const MOST_DOMAINS: usize = 32;

/// A range of memory, and the proximity domain that it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryRange {
    /// Physical address.
    pub start: u64,
    /// In bytes.
    pub length: u64,
    pub domain: u32,
}

/// A processor, by the number of its APIC, and its proximity domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    pub apic: u32,
    pub domain: u32,
}

/// What both tables say.
#[derive(Clone, Debug)]
pub struct Affinity {
    ranges: [MemoryRange; MOST_RANGES],
    range_count: usize,
    processors: [Processor; MOST_CPUS],
    processor_count: usize,
    /// Something was left out.
    pub is_cut: bool,
    distances: [[u8; MOST_DOMAINS]; MOST_DOMAINS],
    /// How many domains have distances.
    localities: usize,
}

impl Default for Affinity {
    fn default() -> Affinity {
        Affinity {
            ranges: [MemoryRange::default(); MOST_RANGES],
            range_count: 0,
            processors: [Processor::default(); MOST_CPUS],
            processor_count: 0,
            is_cut: false,
            distances: [[0; MOST_DOMAINS]; MOST_DOMAINS],
            localities: 0,
        }
    }
}

impl Affinity {
    pub fn ranges(&self) -> &[MemoryRange] {
        &self.ranges[..self.range_count]
    }

    pub fn processors(&self) -> &[Processor] {
        &self.processors[..self.processor_count]
    }

    /// How far it is from one domain to another, as the table has it; `None`: it does not say.
    pub fn distance(&self, from: u32, to: u32) -> Option<u8> {
        let (from, to) = (from as usize, to as usize);
        let is_known = from < self.localities && to < self.localities;
        is_known.then(|| self.distances[from][to])
    }

    /// System resource affinity table, with its header.
    pub(super) fn read_srat(&mut self, table: &[u8]) {
        const ENABLED: u32 = 1;
        // Before revision 2 a domain had 8 bits, and what follows them was not defined.
        let is_wide = table.get(8).is_some_and(|revision| *revision >= 2);
        let narrow = |domain: u32| if is_wide { domain } else { domain & 0xff };
        let mut rest = table.get(48..).unwrap_or(&[]);
        while rest.len() >= 2 {
            let len = usize::from(rest[1]);
            if len < 2 || len > rest.len() {
                // Who lies about lengths is not believed about the rest either.
                self.is_cut = true;
                break;
            }
            let entry = &rest[..len];
            rest = &rest[len..];
            match (entry[0], len) {
                (0, 16..) if u32_at(entry, 4) & ENABLED != 0 => {
                    let high = u32_at(entry, 9) & 0xff_ffff;
                    self.add_processor(Processor {
                        apic: u32::from(entry[3]),
                        domain: narrow(u32::from(entry[2]) | high << 8),
                    });
                }
                (2, 24..) if u32_at(entry, 12) & ENABLED != 0 => self.add_processor(Processor {
                    apic: u32_at(entry, 8),
                    domain: u32_at(entry, 4),
                }),
                (1, 40..) if u32_at(entry, 28) & ENABLED != 0 => self.add_range(MemoryRange {
                    start: u64_at(entry, 8),
                    length: u64_at(entry, 16),
                    domain: narrow(u32_at(entry, 2)),
                }),
                _ => {}
            }
        }
    }

    fn add_processor(&mut self, processor: Processor) {
        match self.processors.get_mut(self.processor_count) {
            Some(slot) => {
                *slot = processor;
                self.processor_count += 1;
            }
            None => self.is_cut = true,
        }
    }

    fn add_range(&mut self, range: MemoryRange) {
        if range.length == 0 {
            return;
        }
        match self.ranges.get_mut(self.range_count) {
            Some(slot) => {
                *slot = range;
                self.range_count += 1;
            }
            None => self.is_cut = true,
        }
    }

    /// System locality distance information table, with its header.
    pub(super) fn read_slit(&mut self, table: &[u8]) {
        const MATRIX: usize = 44;
        let count = u64_at(table, 36);
        let Some(count) = usize::try_from(count)
            .ok()
            .filter(|count| *count <= MOST_DOMAINS)
        else {
            return;
        };
        let Some(matrix) = table.get(MATRIX..MATRIX + count * count) else {
            return;
        };
        for (row, values) in self
            .distances
            .iter_mut()
            .zip(matrix.chunks_exact(count.max(1)))
        {
            row[..count].copy_from_slice(values);
        }
        self.localities = count;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::image::words;
    use super::*;
    use proptest::prelude::*;

    /// A processor's entry in an SRAT.
    pub fn processor(apic: u32, domain: u32) -> Vec<u8> {
        if apic < 255 {
            let [low, high @ ..] = domain.to_le_bytes().map(u64::from);
            let mut entry = words(&[(1, 0), (1, 16), (1, low), (1, apic.into()), (4, 1), (1, 0)]);
            entry.extend(words(&high.map(|byte| (1, byte))));
            entry.extend([0; 4]);
            return entry;
        }
        words(&[
            (1, 2),
            (1, 24),
            (2, 0),
            (4, domain.into()),
            (4, apic.into()),
            (4, 1),
            (8, 0),
        ])
    }

    /// A memory entry.
    pub fn memory(start: u64, length: u64, domain: u32) -> Vec<u8> {
        let head = words(&[
            (1, 1),
            (1, 40),
            (4, domain.into()),
            (2, 0),
            (8, start),
            (8, length),
        ]);
        [head, words(&[(4, 0), (4, 1), (8, 0)])].concat()
    }

    /// An SRAT with these entries; header and checksum are seen to elsewhere.
    pub fn srat(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut table = b"SRAT".to_vec();
        table.resize(48, 0);
        table[8] = 3;
        table.extend(entries.concat());
        table
    }

    pub fn slit(rows: &[&[u8]]) -> Vec<u8> {
        let mut table = b"SLIT".to_vec();
        table.resize(36, 0);
        table.extend((rows.len() as u64).to_le_bytes());
        table.extend(rows.concat());
        table
    }

    pub fn read(srat: &[u8], slit: &[u8]) -> Affinity {
        let mut affinity = Affinity::default();
        affinity.read_srat(srat);
        affinity.read_slit(slit);
        affinity
    }

    #[test]
    fn both_tables_are_read() {
        let entries = [
            processor(3, 0),
            processor(300, 1),
            memory(0, 0xa_0000, 0),
            memory(1 << 32, 1 << 30, 0x102),
            memory(1 << 40, 0, 9),
            // Somebody else's: a generic initiator.
            words(&[(1, 5), (1, 4), (2, 0)]),
        ];
        let affinity = read(&srat(&entries), &slit(&[&[10, 21], &[22, 10]]));
        let two = [(3, 0), (300, 1)].map(|(apic, domain)| Processor { apic, domain });
        assert_eq!(affinity.processors(), two);
        assert_eq!(affinity.ranges().len(), 2);
        assert_eq!(affinity.ranges()[1].domain, 0x102);
        assert_eq!(affinity.distance(0, 1), Some(21));
        assert_eq!(affinity.distance(1, 0), Some(22));
        assert_eq!(affinity.distance(0, 2), None);
        assert!(!affinity.is_cut);
    }

    #[test]
    fn what_is_not_enabled_is_not_there() {
        let mut entries = [processor(3, 0), processor(300, 1), memory(0, 4096, 0)];
        entries[0][4] = 0;
        entries[1][12] = 0;
        entries[2][28] = 2;
        let affinity = read(&srat(&entries), &[]);
        assert!(affinity.processors().is_empty() && affinity.ranges().is_empty());
    }

    #[test]
    fn old_tables_have_narrow_domains() {
        let mut table = srat(&[processor(1, 0xaabb_cc02), memory(0, 4096, 0xaabb_cc03)]);
        table[8] = 1;
        let affinity = read(&table, &[]);
        assert_eq!(affinity.processors()[0].domain, 2);
        assert_eq!(affinity.ranges()[0].domain, 3);
    }

    #[test]
    fn what_does_not_fit_is_noted() {
        let many: Vec<_> = (0..MOST_RANGES as u64 + 1)
            .map(|at| memory(at << 30, 4096, 0))
            .collect();
        assert!(read(&srat(&many), &[]).is_cut);
        let mut lies = srat(&[memory(0, 4096, 0)]);
        lies[49] = 41;
        assert!(read(&lies, &[]).is_cut);
        // A matrix that is not all there says nothing.
        let mut short = slit(&[&[10, 20], &[20, 10]]);
        short.pop();
        assert_eq!(read(&[], &short).distance(0, 0), None);
        short[36] = 200;
        assert_eq!(read(&[], &short).distance(0, 0), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            srat in prop::collection::vec(any::<u8>(), 0..400),
            slit in prop::collection::vec(any::<u8>(), 0..100),
            from in any::<u32>(),
        ) {
            let affinity = read(&srat, &slit);
            prop_assert!(affinity.ranges().iter().all(|range| range.length > 0));
            let _ = affinity.distance(from, from);
        }
    }
}
