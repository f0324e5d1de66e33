//! How near processors and memory are to each other: cores and caches that are shared (CPUID), nodes and the distances
//! between them (SRAT and SLIT).
//!
//! The one idea: firmware and hypervisors say what they like, so what does not make sense as a whole is as if nothing had been
//! said: then there is one node with everything, and every processor is a core of its own. Pure: what the processor and the
//! tables say are arguments.
#![forbid(unsafe_code)]

use crate::PAGE;
use crate::firmware::numa::Affinity;
use alloc::vec::Vec;
use core::ops::Range;

/// The most nodes; a machine with more is taken for one without.
pub const MOST_NODES: usize = 8;
/// The most zones.
pub const MOST_ZONES: usize = 32;
/// Distances (ACPI 6.5, section 5.2.17): of a node to itself, and to another where the table does not say.
pub const NEAR: u8 = 10;
/// See [`NEAR`].
pub const FAR: u8 = 20;

/// Frames in a row that belong to one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    pub start: usize,
    pub end: usize,
    pub node: usize,
}

/// The nodes of a machine, and what belongs to each.
#[derive(Clone, Debug)]
pub struct Nodes {
    count: usize,
    domains: [u32; MOST_NODES],
    distances: [[u8; MOST_NODES]; MOST_NODES],
    zones: [Zone; MOST_ZONES],
    zone_count: usize,
}

impl Nodes {
    /// One node with all memory, which has so many frames.
    pub fn one(frames: usize) -> Nodes {
        let mut nodes = Nodes {
            count: 1,
            domains: [0; MOST_NODES],
            distances: [[FAR; MOST_NODES]; MOST_NODES],
            zones: [Zone::default(); MOST_ZONES],
            zone_count: 1,
        };
        for node in 0..MOST_NODES {
            nodes.distances[node][node] = NEAR;
        }
        nodes.zones[0].end = frames;
        nodes
    }

    /// What the tables say of a machine with these processors, by the numbers of their APICs, and with usable memory in these
    /// frames, below `frames`.
    pub fn of(affinity: &Affinity, apics: &[u32], usable: &[Range<usize>], frames: usize) -> Nodes {
        Nodes::read(affinity, apics, usable, frames).unwrap_or_else(|| Nodes::one(frames))
    }

    fn read(
        affinity: &Affinity,
        apics: &[u32],
        usable: &[Range<usize>],
        frames: usize,
    ) -> Option<Nodes> {
        if affinity.is_cut {
            return None;
        }
        let mut nodes = Nodes::one(frames);
        nodes.count = 0;
        let mut zones = nodes.zones;
        let mut zone_count = 0;
        for range in affinity.ranges() {
            let end = range.start.checked_add(range.length)?;
            let zone = Zone {
                start: usize::try_from(range.start).ok()? / PAGE,
                end: usize::try_from(end).ok()?.div_ceil(PAGE).min(frames),
                node: 0,
            };
            let overlaps = |other: &Range<usize>| zone.start < other.end && other.start < zone.end;
            if zone.start < zone.end && usable.iter().any(overlaps) {
                // The domain stands in for the node until all are known.
                let node = range.domain as usize;
                *zones.get_mut(zone_count)? = Zone { node, ..zone };
                zone_count += 1;
                nodes.add(range.domain)?;
            }
        }
        // Without memory there is nothing to be near to.
        if zone_count == 0 {
            return None;
        }
        for processor in affinity.processors() {
            if apics.contains(&processor.apic) {
                nodes.add(processor.domain)?;
            }
        }
        nodes.domains[..nodes.count].sort_unstable();
        let zones = &mut zones[..zone_count];
        zones.sort_unstable_by_key(|zone| zone.start);
        for zone in &mut *zones {
            zone.node = nodes.node_of_domain(zone.node as u32)?;
        }
        nodes.cover(zones, frames)?;
        nodes.measure(affinity);
        Some(nodes)
    }

    fn add(&mut self, domain: u32) -> Option<()> {
        if !self.domains[..self.count].contains(&domain) {
            *self.domains.get_mut(self.count)? = domain;
            self.count += 1;
        }
        Some(())
    }

    fn node_of_domain(&self, domain: u32) -> Option<usize> {
        self.domains[..self.count]
            .iter()
            .position(|it| *it == domain)
    }

    /// Makes zones without holes of these, which are in order. `None`: two of them are about the same memory.
    fn cover(&mut self, zones: &[Zone], frames: usize) -> Option<()> {
        self.zone_count = 0;
        let mut end = 0;
        for zone in zones {
            let last = self.zone_count.checked_sub(1).map(|at| &mut self.zones[at]);
            match last {
                Some(last) if last.node == zone.node => last.end = last.end.max(zone.end),
                Some(_) if zone.start < end => return None,
                last => {
                    // What nobody names goes with what comes before it.
                    let start = match last {
                        Some(last) => {
                            last.end = zone.start;
                            zone.start
                        }
                        None => 0,
                    };
                    self.zones[self.zone_count] = Zone { start, ..*zone };
                    self.zone_count += 1;
                }
            }
            end = end.max(zone.end);
        }
        let last = self.zone_count.checked_sub(1)?;
        self.zones[last].end = frames;
        Some(())
    }

    /// Takes the distances if they are all there and make sense: a node is nearest to itself.
    fn measure(&mut self, affinity: &Affinity) {
        let mut distances = self.distances;
        for (from, row) in distances[..self.count].iter_mut().enumerate() {
            for (to, distance) in row[..self.count].iter_mut().enumerate() {
                match affinity.distance(self.domains[from], self.domains[to]) {
                    Some(NEAR) if from == to => *distance = NEAR,
                    Some(said) if from != to && said > NEAR => *distance = said,
                    _ => return,
                }
            }
        }
        self.distances = distances;
    }

    /// How many there are: at least one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All memory in order, without holes.
    pub fn zones(&self) -> &[Zone] {
        &self.zones[..self.zone_count]
    }

    /// The node that a frame belongs to.
    #[inline]
    pub fn of_frame(&self, frame: usize) -> usize {
        let zone = self.zones().iter().find(|zone| frame < zone.end);
        zone.map_or(0, |zone| zone.node)
    }

    /// The node of the processor with this APIC number.
    pub fn of_apic(&self, affinity: &Affinity, apic: u32) -> usize {
        let processor = affinity.processors().iter().find(|it| it.apic == apic);
        processor
            .and_then(|processor| self.node_of_domain(processor.domain))
            .unwrap_or(0)
    }

    /// How far it is from one node to another: 10 is here.
    pub fn distance(&self, from: usize, to: usize) -> u8 {
        let row = self.distances.get(from);
        row.and_then(|row| row.get(to)).copied().unwrap_or(FAR)
    }

    /// The nodes in the order of their distance from one, which is the first.
    pub fn nearest(&self, from: usize) -> [u8; MOST_NODES] {
        let mut order = core::array::from_fn(|node| node as u8);
        let key = |node: &u8| {
            let node = usize::from(*node);
            (
                node >= self.count,
                node != from,
                self.distance(from, node),
                node,
            )
        };
        order.sort_unstable_by_key(key);
        order
    }
}

/// What a cache keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheKind {
    Data,
    Instruction,
    #[default]
    Unified,
}

/// A cache (Intel SDM volume 2A, CPUID leaf 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cache {
    pub level: u8,
    pub kind: CacheKind,
    pub line: u32,
    pub partitions: u32,
    pub ways: u32,
    pub sets: u32,
    /// Processors whose APIC numbers are the same but for so many low bits share it.
    pub shift: u32,
}

impl Cache {
    /// In bytes.
    pub fn size(&self) -> u64 {
        [self.line, self.partitions, self.ways, self.sets]
            .into_iter()
            .map(u64::from)
            .fold(1, u64::saturating_mul)
    }
}

/// The most caches that one processor uses.
pub const MOST_CACHES: usize = 8;

/// What a processor says of its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// The low bits of an APIC number that tell the threads of a core apart.
    pub thread_bits: u32,
    /// Those that tell the processors of a die apart, and those of a package.
    pub die_bits: u32,
    pub package_bits: u32,
    caches: [Cache; MOST_CACHES],
    cache_count: usize,
}

/// Asks CPUID: leaf and subleaf give eax, ebx, ecx, edx.
pub type Ask<'a> = dyn Fn(u32, u32) -> [u32; 4] + 'a;

impl Levels {
    /// What a processor says (Intel SDM volume 2A, CPUID leaves 1, 4, 0xB, 0x1F; AMD APM volume 3, appendix E, 0x8000_0008,
    /// 0x8000_001D).
    pub fn read(ask: &Ask<'_>) -> Levels {
        let basic = ask(0, 0)[0];
        let extended = ask(0x8000_0000, 0)[0];
        let by_leaf = [0x1f, 0xb]
            .into_iter()
            .filter(|leaf| basic >= *leaf)
            .find_map(|leaf| Levels::extended(ask, leaf));
        let mut levels = by_leaf.unwrap_or_else(|| Levels::legacy(ask, basic, extended));
        levels.read_caches(ask, basic, extended);
        levels
    }

    /// Extended topology: one subleaf for each level, from the threads upwards.
    fn extended(ask: &Ask<'_>, leaf: u32) -> Option<Levels> {
        const THREADS: u32 = 1;
        const DIE: u32 = 5;
        let mut levels = Levels::default();
        let mut below = 0;
        for level in 0..8 {
            let [eax, ebx, ecx, _] = ask(leaf, level);
            let kind = ecx >> 8 & 0xff;
            if kind == 0 || ebx & 0xffff == 0 {
                break;
            }
            let bits = eax & 31;
            if bits < below {
                return None;
            }
            if kind == THREADS {
                levels.thread_bits = bits;
            }
            // A die is what is below the level of dies, or all of the package.
            if kind < DIE {
                levels.die_bits = bits;
            }
            levels.package_bits = bits;
            below = bits;
        }
        (levels.package_bits > 0 || ask(leaf, 0)[1] & 0xffff != 0).then_some(levels)
    }

    /// Before there was that leaf.
    fn legacy(ask: &Ask<'_>, basic: u32, extended: u32) -> Levels {
        const SEVERAL: u32 = 1 << 28;
        let [_, ebx, _, edx] = ask(1, 0);
        let package_bits = match edx & SEVERAL {
            0 => 0,
            _ => bits_for(ebx >> 16 & 0xff),
        };
        let core_bits = if basic >= 4 && ask(4, 0)[0] & 0x1f != 0 {
            bits_for((ask(4, 0)[0] >> 26) + 1)
        } else if extended >= 0x8000_0008 {
            let ecx = ask(0x8000_0008, 0)[2];
            match ecx >> 12 & 0xf {
                0 => bits_for((ecx & 0xff) + 1),
                bits => bits,
            }
        } else {
            package_bits
        };
        let package_bits = package_bits.max(core_bits);
        Levels {
            thread_bits: package_bits - core_bits,
            die_bits: package_bits,
            package_bits,
            ..Levels::default()
        }
    }

    fn read_caches(&mut self, ask: &Ask<'_>, basic: u32, extended: u32) {
        let intel = (basic >= 4 && ask(4, 0)[0] & 0x1f != 0).then_some(4);
        let amd =
            (extended >= 0x8000_001d && ask(0x8000_001d, 0)[0] & 0x1f != 0).then_some(0x8000_001d);
        let Some(leaf) = intel.or(amd) else {
            return;
        };
        for index in 0..MOST_CACHES {
            let [eax, ebx, ecx, _] = ask(leaf, index as u32);
            let kind = match eax & 0x1f {
                1 => CacheKind::Data,
                2 => CacheKind::Instruction,
                3 => CacheKind::Unified,
                _ => return,
            };
            self.caches[self.cache_count] = Cache {
                level: (eax >> 5 & 7) as u8,
                kind,
                line: (ebx & 0xfff) + 1,
                partitions: (ebx >> 12 & 0x3ff) + 1,
                ways: (ebx >> 22) + 1,
                sets: ecx.saturating_add(1),
                shift: bits_for((eax >> 14 & 0xfff) + 1),
            };
            self.cache_count += 1;
        }
    }

    pub fn caches(&self) -> &[Cache] {
        &self.caches[..self.cache_count]
    }
}

/// How many bits it takes to tell so many apart.
fn bits_for(count: u32) -> u32 {
    count.max(1).next_power_of_two().trailing_zeros()
}

/// Where one processor is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processor {
    pub apic: u32,
    pub node: usize,
    pub levels: Levels,
}

impl Processor {
    fn above(&self, bits: u32) -> u32 {
        self.apic.checked_shr(bits).unwrap_or(0)
    }

    /// The number of its package.
    pub fn package(&self) -> u32 {
        self.above(self.levels.package_bits)
    }

    /// The number of its die within the package.
    pub fn die(&self) -> u32 {
        let bits = self
            .levels
            .package_bits
            .saturating_sub(self.levels.die_bits);
        self.above(self.levels.die_bits) & mask(bits)
    }

    /// The number of its core within the package.
    pub fn core(&self) -> u32 {
        let bits = self
            .levels
            .package_bits
            .saturating_sub(self.levels.thread_bits);
        self.above(self.levels.thread_bits) & mask(bits)
    }
}

fn mask(bits: u32) -> u32 {
    1u32.checked_shl(bits).map_or(u32::MAX, |bit| bit - 1)
}

/// The processors that run, by number, and how near they are. A set of processors has one bit for each.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    processors: Vec<Processor>,
    rings: Vec<Vec<u64>>,
}

impl Topology {
    /// Of at most 64.
    pub fn new(processors: Vec<Processor>, nodes: &Nodes) -> Topology {
        let mut topology = Topology {
            processors,
            rings: Vec::new(),
        };
        topology.rings = (0..topology.processors.len())
            .map(|cpu| topology.rings_around(cpu, nodes))
            .collect();
        topology
    }

    /// Where processor number `cpu` is; `None`: it does not run.
    pub fn processor(&self, cpu: usize) -> Option<&Processor> {
        self.processors.get(cpu)
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.processors.len()
    }

    fn like(&self, cpu: usize, is_alike: impl Fn(&Processor, &Processor) -> bool) -> u64 {
        let Some(own) = self.processors.get(cpu) else {
            return 0;
        };
        let alike = self.processors.iter().enumerate();
        alike
            .filter(|(at, other)| *at == cpu || is_alike(own, other))
            .fold(0, |set, (at, _)| set | 1 << at)
    }

    /// Those that are threads of the same core, itself included.
    pub fn threads(&self, cpu: usize) -> u64 {
        self.like(cpu, |own, other| {
            let bits = own.levels.thread_bits;
            own.package() == other.package() && own.above(bits) == other.above(bits)
        })
    }

    /// Those of the same package.
    pub fn package(&self, cpu: usize) -> u64 {
        self.like(cpu, |own, other| own.package() == other.package())
    }

    /// Those of the same die.
    pub fn die(&self, cpu: usize) -> u64 {
        self.like(cpu, |own, other| {
            own.package() == other.package() && own.die() == other.die()
        })
    }

    /// Those of a node.
    pub fn node(&self, node: usize) -> u64 {
        let members = self.processors.iter().enumerate();
        members
            .filter(|(_, it)| it.node == node)
            .fold(0, |set, (at, _)| set | 1 << at)
    }

    /// Those that share this cache of `cpu`'s.
    pub fn sharers(&self, cpu: usize, cache: &Cache) -> u64 {
        self.like(cpu, |own, other| {
            own.package() == other.package() && own.above(cache.shift) == other.above(cache.shift)
        })
    }

    /// The others in the order of their nearness to `cpu`, all that are equally near in one set: those of the same core, those
    /// that share the second-level cache, the last-level cache, the node, and then by the distance of their nodes.
    pub fn rings(&self, cpu: usize) -> &[u64] {
        self.rings.get(cpu).map_or(&[], |rings| rings)
    }

    fn rings_around(&self, cpu: usize, nodes: &Nodes) -> Vec<u64> {
        let own = &self.processors[cpu];
        let caches = own.levels.caches();
        let of_level = |level: Option<u8>| {
            let shared = caches.iter().filter(|cache| Some(cache.level) == level);
            shared.fold(0, |set, cache| set | self.sharers(cpu, cache))
        };
        let last = caches.iter().map(|cache| cache.level).max();
        let within = [
            self.threads(cpu),
            of_level(Some(2)),
            of_level(last),
            self.node(own.node),
        ];
        let beyond = nodes.nearest(own.node);
        let beyond = beyond[..nodes.count()].iter().map(|node| {
            // Nodes that are as far are as near.
            let far = nodes.distance(own.node, (*node).into());
            (0..nodes.count())
                .filter(|other| nodes.distance(own.node, *other) == far)
                .fold(0, |set, other| set | self.node(other))
        });
        let mut seen = 1u64 << cpu;
        let mut rings = Vec::new();
        for set in within.into_iter().chain(beyond) {
            let new = set & !seen;
            if new != 0 {
                rings.push(new);
                seen |= new;
            }
        }
        rings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::numa::tests::{memory, processor, read, slit, srat};
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;
    const FRAMES: usize = (5 * GIB) as usize / PAGE;

    fn frame(address: u64) -> usize {
        address as usize / PAGE
    }

    /// Memory as a PC has it: with a hole below 4 GiB.
    fn usable() -> [Range<usize>; 2] {
        [1..frame(3 * GIB), frame(4 * GIB)..FRAMES]
    }

    /// Two nodes of 2 GiB as QEMU describes them: the second one lies on both sides of the hole.
    fn two_nodes() -> Vec<Vec<u8>> {
        vec![
            processor(0, 0),
            processor(1, 0),
            processor(4, 1),
            processor(5, 1),
            memory(0, 0xa_0000, 0),
            memory(1 << 20, 2 * GIB - (1 << 20), 0),
            memory(2 * GIB, GIB, 1),
            memory(4 * GIB, GIB, 1),
        ]
    }

    const APICS: [u32; 4] = [0, 1, 4, 5];

    fn nodes(entries: &[Vec<u8>], rows: &[&[u8]]) -> Nodes {
        let affinity = read(&srat(entries), &slit(rows));
        Nodes::of(&affinity, &APICS, &usable(), FRAMES)
    }

    fn is_one(nodes: &Nodes) -> bool {
        let all = Zone {
            start: 0,
            end: FRAMES,
            node: 0,
        };
        nodes.count() == 1 && nodes.zones() == [all] && nodes.distance(0, 0) == NEAR
    }

    #[test]
    fn two_nodes_are_told_apart() {
        let affinity = read(&srat(&two_nodes()), &slit(&[&[10, 31], &[32, 10]]));
        let nodes = Nodes::of(&affinity, &APICS, &usable(), FRAMES);
        assert_eq!(nodes.count(), 2);
        let zones = nodes.zones();
        assert_eq!(zones.len(), 2, "{zones:?}");
        assert_eq!((zones[0].end, zones[1].end), (frame(2 * GIB), FRAMES));
        assert_eq!(nodes.of_frame(frame(2 * GIB) - 1), 0);
        assert_eq!(nodes.of_frame(frame(2 * GIB)), 1);
        assert_eq!(
            APICS.map(|apic| nodes.of_apic(&affinity, apic)),
            [0, 0, 1, 1]
        );
        assert_eq!((nodes.distance(0, 1), nodes.distance(1, 0)), (31, 32));
        assert_eq!(nodes.nearest(1)[..2], [1, 0]);
    }

    #[test]
    fn domains_may_have_any_numbers() {
        let entries = [
            processor(0, 0x8000_0007),
            processor(4, 40),
            memory(0, 2 * GIB, 40),
            memory(2 * GIB, 3 * GIB, 0x8000_0007),
        ];
        let affinity = read(&srat(&entries), &[]);
        let nodes = Nodes::of(&affinity, &APICS, &usable(), FRAMES);
        assert_eq!((nodes.count(), nodes.of_frame(0)), (2, 0));
        assert_eq!(
            (nodes.of_apic(&affinity, 0), nodes.of_apic(&affinity, 4)),
            (1, 0)
        );
        assert_eq!((nodes.distance(0, 1), nodes.distance(0, 0)), (FAR, NEAR));
        // Who is not mentioned is at home in the first one.
        assert_eq!(nodes.of_apic(&affinity, 5), 0);
    }

    #[test]
    fn a_node_may_have_only_memory_or_only_processors() {
        let entries = [
            processor(0, 0),
            processor(4, 2),
            memory(0, 2 * GIB, 0),
            memory(2 * GIB, 3 * GIB, 1),
        ];
        assert_eq!(nodes(&entries, &[]).count(), 3);
        // One whose memory is not there, and whose processors are not, is not there.
        let entries = [&entries[..], &[memory(100 * GIB, GIB, 7), processor(99, 8)]].concat();
        assert_eq!(nodes(&entries, &[]).count(), 3);
    }

    #[test]
    fn what_makes_no_sense_is_one_node() {
        assert!(is_one(&nodes(&[], &[])));
        let twice = memory(GIB, GIB, 1);
        assert!(is_one(&nodes(&[two_nodes(), vec![twice]].concat(), &[])));
        let endless = memory(u64::MAX - 5, 4096, 0);
        assert!(is_one(&nodes(&[two_nodes(), vec![endless]].concat(), &[])));
        assert!(is_one(&nodes(&[processor(0, 0), processor(4, 1)], &[])));
        let many: Vec<_> = (0..MOST_NODES as u64 + 1)
            .map(|at| memory(at << 28, 1 << 28, at as u32))
            .collect();
        assert!(is_one(&nodes(&many, &[])));
        assert_eq!(nodes(&many[..MOST_NODES], &[]).count(), MOST_NODES);
    }

    #[test]
    fn distances_that_make_no_sense_are_forgotten() {
        for rows in [
            [[10, 10], [20, 10]],
            [[11, 20], [20, 10]],
            [[10, 5], [20, 10]],
            [[10, 20], [20, 0]],
        ] {
            let nodes = nodes(&two_nodes(), &[&rows[0], &rows[1]]);
            let found = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(a, b)| nodes.distance(a, b));
            assert_eq!(found, [NEAR, FAR, FAR, NEAR], "{rows:?}");
        }
        assert_eq!(nodes(&two_nodes(), &[&[10]]).distance(0, 1), FAR);
    }

    /// CPUID as two packages of two dies of two cores of two threads have it, with a second-level cache for each core and a
    /// third-level one for each die.
    fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
        let cache = |kind: u32, level: u32, sharers: u32, sets: u32| {
            [
                kind | level << 5 | (sharers - 1) << 14,
                63 | 7 << 22,
                sets - 1,
                0,
            ]
        };
        match (leaf, subleaf) {
            (0, _) => [0x1f, 0, 0, 0],
            (4, 0) => cache(1, 1, 2, 64),
            (4, 1) => cache(2, 1, 2, 64),
            (4, 2) => cache(3, 2, 2, 1024),
            (4, 3) => cache(3, 3, 4, 8192),
            (0x1f, 0) => [1, 2, 1 << 8, 0],
            (0x1f, 1) => [2, 4, 2 << 8 | 1, 0],
            (0x1f, 2) => [3, 8, 5 << 8 | 2, 0],
            _ => [0; 4],
        }
    }

    fn sixteen() -> Topology {
        let levels = Levels::read(&cpuid);
        let affinity = read(
            &srat(&[
                memory(0, 2 * GIB, 0),
                memory(2 * GIB, 3 * GIB, 1),
                processor(0, 0),
                processor(8, 1),
            ]),
            &[],
        );
        let nodes = Nodes::of(&affinity, &[0, 8], &usable(), FRAMES);
        let processors = (0..16).map(|apic| Processor {
            apic,
            node: apic as usize / 8,
            levels,
        });
        Topology::new(processors.collect(), &nodes)
    }

    #[test]
    fn who_shares_what() {
        let levels = Levels::read(&cpuid);
        let bits = (levels.thread_bits, levels.die_bits, levels.package_bits);
        assert_eq!(bits, (1, 2, 3));
        let sizes: Vec<u64> = levels.caches().iter().map(Cache::size).collect();
        assert_eq!(sizes, [32 << 10, 32 << 10, 512 << 10, 4 << 20]);
        let topology = sixteen();
        assert_eq!(topology.threads(5), 0b11_0000);
        assert_eq!(topology.die(5), 0b1111_0000);
        assert_eq!(topology.package(5), 0xff);
        assert_eq!(topology.node(1), 0xff00);
        let at = topology.processor(13).unwrap();
        assert_eq!((at.package(), at.die(), at.core()), (1, 1, 2));
        assert_eq!(topology.sharers(5, &levels.caches()[3]), 0b1111_0000);
        assert_eq!(topology.rings(5), [0b01_0000, 0b1100_0000, 0b1111, 0xff00]);
        assert!(topology.processor(16).is_none() && topology.rings(16).is_empty());
        assert_eq!(topology.threads(16), 0);
    }

    #[test]
    fn older_processors_say_it_in_another_way() {
        // Four cores of two threads each.
        let intel = |leaf, subleaf| match (leaf, subleaf) {
            (0, _) => [4, 0, 0, 0],
            (1, _) => [0, 8 << 16, 0, 1 << 28],
            (4, 0) => [1 | 1 << 5 | 1 << 14 | 3 << 26, 63, 63, 0],
            _ => [0; 4],
        };
        let levels = Levels::read(&intel);
        assert_eq!((levels.thread_bits, levels.package_bits), (1, 3));
        assert_eq!(levels.caches().len(), 1);
        // Six cores, for which AMD says how many bits they take.
        let amd = |leaf, subleaf| match (leaf, subleaf) {
            (0, _) => [1, 0, 0, 0],
            (1, _) => [0, 6 << 16, 0, 1 << 28],
            (0x8000_0000, _) => [0x8000_001e, 0, 0, 0],
            (0x8000_0008, _) => [0, 0, 3 << 12 | 5, 0],
            (0x8000_001d, 0) => [3 | 3 << 5 | 7 << 14, 63, 1023, 0],
            _ => [0; 4],
        };
        let levels = Levels::read(&amd);
        assert_eq!((levels.thread_bits, levels.package_bits), (0, 3));
        assert_eq!((levels.caches()[0].level, levels.caches()[0].shift), (3, 3));
        // One that says nothing is alone.
        let levels = Levels::read(&|_, _| [0; 4]);
        assert_eq!(levels, Levels::default());
    }

    proptest! {
        /// Whatever the tables say, every frame and every processor belongs to a node that is there.
        #[test]
        fn everything_belongs_to_a_node(
            ranges in prop::collection::vec((0u64..6, 1u64..4, 0u32..4), 0..6),
            processors in prop::collection::vec((0u32..8, 0u32..12), 0..6),
            rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 4), 4),
            at in 0..FRAMES,
        ) {
            let entries: Vec<_> = ranges
                .iter()
                .map(|(start, length, domain)| memory(start * GIB, length * GIB, *domain))
                .chain(processors.iter().map(|(apic, domain)| processor(*apic, *domain)))
                .collect();
            let rows: Vec<&[u8]> = rows.iter().map(|row| &row[..]).collect();
            let affinity = read(&srat(&entries), &slit(&rows));
            let nodes = Nodes::of(&affinity, &APICS, &usable(), FRAMES);
            prop_assert!((1..=MOST_NODES).contains(&nodes.count()));
            prop_assert!(nodes.of_frame(at) < nodes.count());
            let zones = nodes.zones();
            prop_assert_eq!((zones[0].start, zones[zones.len() - 1].end), (0, FRAMES));
            for pair in zones.windows(2) {
                prop_assert!(pair[0].end == pair[1].start && pair[0].start < pair[0].end);
            }
            for apic in APICS {
                prop_assert!(nodes.of_apic(&affinity, apic) < nodes.count());
            }
            for node in 0..nodes.count() {
                prop_assert_eq!(usize::from(nodes.nearest(node)[0]), node);
                prop_assert_eq!(nodes.distance(node, node), NEAR);
            }
        }

        /// Whatever CPUID says, the rings hold all others, each once.
        #[test]
        fn everybody_is_in_one_ring(
            words in prop::collection::vec(any::<[u32; 4]>(), 16),
            largest in 0u32..0x20,
            apics in prop::collection::vec(any::<u32>(), 1..64),
        ) {
            let levels = Levels::read(&|leaf, subleaf| match leaf {
                0 => [largest, 0, 0, 0],
                0x8000_0000 => [0x8000_001e, 0, 0, 0],
                _ => words[(leaf.wrapping_mul(5).wrapping_add(subleaf) % 16) as usize],
            });
            let processors: Vec<_> = apics
                .iter()
                .map(|apic| Processor { apic: *apic, node: 0, levels })
                .collect();
            let count = processors.len();
            let topology = Topology::new(processors, &Nodes::one(FRAMES));
            for cpu in 0..count {
                let at = topology.processor(cpu).unwrap();
                let _ = (at.package(), at.die(), at.core());
                let all = topology.rings(cpu).iter().try_fold(1u64 << cpu, |seen, ring| {
                    (seen & ring == 0 && *ring != 0).then_some(seen | ring)
                });
                prop_assert_eq!(all, Some(u64::MAX >> (64 - count)));
                prop_assert!(topology.threads(cpu) >> cpu & 1 == 1);
            }
        }
    }
}
