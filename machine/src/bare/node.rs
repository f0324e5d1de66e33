//! Nodes of this machine, and where its processors are.

use super::boot::{self, acpi};
use super::{apic, cpu, frame};
use crate::firmware::loader::MOST_REGIONS;
use crate::memory::NodeStats;
use crate::sync::Once;
use crate::topology::{Levels, Nodes, Processor, Topology, Zone};
use core::arch::x86_64::__cpuid_count;
use core::ops::Range;

static NODES: Once<Nodes> = Once::new();
/// What each processor said of itself.
static LEVELS: [Once<Levels>; cpu::MAX] = [const { Once::new() }; cpu::MAX];

/// Reads the tables, once, for a machine with usable memory in these frames, below `frames`. `numa=off` on the command line:
/// there is one node. Gives the zones.
pub(super) fn find(usable: impl Iterator<Item = Range<usize>>, frames: usize) -> &'static [Zone] {
    let mut regions = [const { 0..0 }; MOST_REGIONS];
    for (slot, region) in regions.iter_mut().zip(usable) {
        *slot = region;
    }
    let nodes = NODES.get_or_init(|| match acpi() {
        Some(acpi) if boot::option("numa") != Some("off") => {
            let apics = &acpi.cpus[..acpi.cpu_count];
            Nodes::of(&acpi.affinity, apics, &regions, frames)
        }
        _ => Nodes::one(frames),
    });
    nodes.zones()
}

/// This CPU, whose APIC is there, has a place from now on.
pub(super) fn init_cpu() {
    let ask = |leaf: u32, subleaf: u32| {
        let answer = __cpuid_count(leaf, subleaf);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    };
    // Only the first answer counts, and there is only one.
    let _ = LEVELS[cpu::index()].set(Levels::read(&ask));
    frame::init_cpu();
}

/// All nodes. Panics before the memory was found.
#[inline]
pub fn all() -> &'static Nodes {
    match NODES.get() {
        Some(nodes) => nodes,
        None => unreachable!("the memory comes before all that asks for its nodes"),
    }
}

/// The node of a CPU that runs.
pub fn of_cpu(cpu: usize) -> usize {
    acpi().map_or(0, |acpi| all().of_apic(&acpi.affinity, apic::id(cpu)))
}

/// How the memory of one node is used.
pub fn stats(node: usize) -> NodeStats {
    let (total, free) = frame::usage_of(node);
    NodeStats { total, free }
}

/// Where the CPUs are that run now.
pub fn topology() -> Topology {
    let processors = (0..cpu::count()).map(|cpu| Processor {
        apic: apic::id(cpu),
        node: of_cpu(cpu),
        levels: LEVELS[cpu].get().copied().unwrap_or_default(),
    });
    Topology::new(processors.collect(), all())
}
