//! A simulated machine has one node, and its processors share nothing.

use super::{cpu, frame};
use crate::memory::NodeStats;
use crate::sync::Once;
use crate::topology::{Levels, Nodes, Processor, Topology};

static NODES: Once<Nodes> = Once::new();

/// All nodes.
pub fn all() -> &'static Nodes {
    NODES.get_or_init(|| Nodes::one(usize::MAX))
}

/// The node of a CPU.
pub fn of_cpu(_cpu: usize) -> usize {
    0
}

/// How the memory of one node is used.
pub fn stats(node: usize) -> NodeStats {
    if node > 0 {
        return NodeStats::default();
    }
    let stats = frame::stats();
    NodeStats {
        total: stats.total,
        free: stats.free,
    }
}

/// Where the CPUs are that run now.
pub fn topology() -> Topology {
    let processors = (0..cpu::count()).map(|cpu| Processor {
        apic: cpu as u32,
        node: 0,
        levels: Levels::default(),
    });
    Topology::new(processors.collect(), all())
}
