//! `/sys/devices/system/cpu` and `/sys/devices/system/node`.

use super::tree::{Directory, Leaf};
use crate::schedule::affinity::mask;
use abi::CpuSet;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use machine::PAGE;
use machine::topology::{CacheKind, Nodes, Processor, Topology};

/// Everything about processors and nodes.
pub fn fill(root: &mut Directory) {
    let topology = machine::node::topology();
    let nodes = machine::node::all();
    sets_of_processors(root, &topology);
    for cpu in 0..topology.count() {
        if let Some(place) = topology.processor(cpu) {
            processor(root, cpu, place, &topology);
            caches(root, cpu, place, &topology);
        }
    }
    sets_of_nodes(root, &topology, nodes);
    for number in 0..nodes.count() {
        node(root, number, topology.node(number), nodes);
    }
}

fn list(set: u64) -> String {
    format!("{}\n", CpuSet(set))
}

fn sets_of_processors(root: &mut Directory, topology: &Topology) {
    let all = list(CpuSet::first(topology.count()).0);
    for name in ["possible", "present", "online"] {
        root.put_text(&format!("devices/system/cpu/{name}"), all.clone());
    }
    root.put_text("devices/system/cpu/offline", "\n".into());
    let isolated = || list(task::isolated());
    root.put(
        "devices/system/cpu/isolated",
        Leaf::Text(Box::new(isolated)),
    );
    let last = machine::cpu::MAX - 1;
    root.put_text("devices/system/cpu/kernel_max", format!("{last}\n"));
}

fn processor(root: &mut Directory, cpu: usize, place: &Processor, topology: &Topology) {
    let at = format!("devices/system/cpu/cpu{cpu}");
    for (name, number) in [
        ("core_id", place.core()),
        ("die_id", place.die()),
        ("physical_package_id", place.package()),
    ] {
        root.put_text(&format!("{at}/topology/{name}"), format!("{number}\n"));
    }
    let (threads, package) = (topology.threads(cpu), topology.package(cpu));
    for (name, set) in [
        // Those of a core and of a package have an old name and a new one each.
        ("thread_siblings", threads),
        ("core_cpus", threads),
        ("core_siblings", package),
        ("package_cpus", package),
        ("die_cpus", topology.die(cpu)),
    ] {
        let path = format!("{at}/topology/{name}");
        root.put_text(&path, format!("{}\n", mask(set)));
        root.put_text(&format!("{path}_list"), list(set));
    }
    let node = place.node;
    let link = Leaf::Link(format!("../../node/node{node}"));
    root.put(&format!("{at}/node{node}"), link);
}

fn caches(root: &mut Directory, cpu: usize, place: &Processor, topology: &Topology) {
    for (index, cache) in place.levels.caches().iter().enumerate() {
        let kind = match cache.kind {
            CacheKind::Data => "Data",
            CacheKind::Instruction => "Instruction",
            CacheKind::Unified => "Unified",
        };
        let sharers = topology.sharers(cpu, cache);
        let id = place.apic.checked_shr(cache.shift).unwrap_or(0);
        for (name, text) in [
            ("coherency_line_size", format!("{}", cache.line)),
            ("id", format!("{id}")),
            ("level", format!("{}", cache.level)),
            ("number_of_sets", format!("{}", cache.sets)),
            ("physical_line_partition", format!("{}", cache.partitions)),
            ("shared_cpu_list", format!("{}", CpuSet(sharers))),
            ("shared_cpu_map", mask(sharers)),
            ("size", format!("{}K", cache.size() / 1024)),
            ("type", kind.into()),
            ("ways_of_associativity", format!("{}", cache.ways)),
        ] {
            let path = format!("devices/system/cpu/cpu{cpu}/cache/index{index}/{name}");
            root.put_text(&path, text + "\n");
        }
    }
}

fn sets_of_nodes(root: &mut Directory, topology: &Topology, nodes: &Nodes) {
    let set = |wanted: &dyn Fn(usize) -> bool| {
        let members = (0..nodes.count()).filter(|node| wanted(*node));
        list(members.fold(0, |set, node| set | 1 << node))
    };
    let has_memory = set(&|node| machine::node::stats(node).total > 0);
    for (name, text) in [
        ("possible", set(&|_| true)),
        ("online", set(&|_| true)),
        ("has_cpu", set(&|node| topology.node(node) != 0)),
        ("has_memory", has_memory.clone()),
        ("has_normal_memory", has_memory),
    ] {
        root.put_text(&format!("devices/system/node/{name}"), text);
    }
}

fn node(root: &mut Directory, node: usize, cpus: u64, nodes: &Nodes) {
    let at = format!("devices/system/node/node{node}");
    root.put_text(&format!("{at}/cpulist"), list(cpus));
    root.put_text(&format!("{at}/cpumap"), format!("{}\n", mask(cpus)));
    let distances: alloc::vec::Vec<String> = (0..nodes.count())
        .map(|other| format!("{}", nodes.distance(node, other)))
        .collect();
    root.put_text(&format!("{at}/distance"), distances.join(" ") + "\n");
    let memory = move || memory(node);
    root.put(&format!("{at}/meminfo"), Leaf::Text(Box::new(memory)));
    for cpu in (0..machine::cpu::MAX).filter(|cpu| cpus >> cpu & 1 != 0) {
        let link = Leaf::Link(format!("../../cpu/cpu{cpu}"));
        root.put(&format!("{at}/cpu{cpu}"), link);
    }
}

fn memory(node: usize) -> String {
    let stats = machine::node::stats(node);
    let kib = |frames: usize| frames * (PAGE / 1024);
    let mut text = String::new();
    for (name, frames) in [
        ("MemTotal:", stats.total),
        ("MemFree:", stats.free),
        ("MemUsed:", stats.total.saturating_sub(stats.free)),
    ] {
        text += &format!("Node {node} {name:<15}{:>8} kB\n", kib(frames));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tree::SysFs;
    use alloc::string::String;
    use alloc::vec::Vec;
    use vfs::{FileKind, FileSystem, Inode};

    fn names(inode: &dyn Inode) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = 0;
        // One at a time, as a small buffer would have it.
        loop {
            let mut seen = 0;
            let after = inode.list(next, &mut |entry| {
                seen += 1;
                if seen == 1 {
                    names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                }
                seen == 1
            });
            next = after.unwrap();
            if seen == 0 {
                return names;
            }
        }
    }

    #[test]
    fn there_are_directories_files_and_links() {
        let root = SysFs::new().root();
        assert_eq!(names(&*root), ["devices", "fs"]);
        let system = root.lookup(b"devices").unwrap().lookup(b"system").unwrap();
        assert_eq!(names(&*system), ["cpu", "node"]);
        let cpu = system.lookup(b"cpu").unwrap();
        assert!(names(&*cpu).contains(&"cpu0".into()));
        let first = cpu.lookup(b"cpu0").unwrap();
        let link = first.lookup(b"node0").unwrap();
        assert_eq!(link.kind(), FileKind::Symlink);
        assert_eq!(link.read_link().unwrap(), b"../../node/node0");
        assert!(link.lookup(b"x").is_err() && first.lookup(b"x").is_err());
        assert!(first.read_link().is_err());
    }
}
