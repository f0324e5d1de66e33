//! A machine with two nodes of memory, as programs see it: Debian's `lscpu` and `numactl`, and what stands in `/sys`.
//! Processors are numbered as they come up, so which numbers a node has is asked, but for that of the first.

use super::guest::{Output, Program};
use super::{Context, Test};
use crate::debian;
use crate::exec::session::How;
use crate::progress::Show;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("nodes/lscpu", lscpu),
        Test::new("nodes/numactl", numactl),
        Test::new("nodes/files", files),
        Test::new("nodes/memory", memory),
        Test::new("nodes/one", one),
    ]
}

/// Two packages of two processors, each with half of the memory.
const CPUS: u32 = 4;
const HARDWARE: [&str; 12] = [
    "-smp",
    "4,sockets=2,cores=2,threads=1",
    "-object",
    "memory-backend-ram,id=m0,size=128M",
    "-object",
    "memory-backend-ram,id=m1,size=128M",
    "-numa",
    "node,nodeid=0,cpus=0-1,memdev=m0",
    "-numa",
    "node,nodeid=1,cpus=2-3,memdev=m1",
    "-numa",
    "dist,src=0,dst=1,val=31",
];

fn run(
    context: &Context,
    program: &Path,
    roots: &[PathBuf],
    words: &[&str],
    hardware: Option<&[&str]>,
) -> Result<Output> {
    let mut program = Program::new(program, words).roots(roots);
    if let Some(hardware) = hardware {
        program = program.machine(CPUS, hardware);
    }
    let output = program.run(context, b"")?;
    ensure!(output.how == How::Exited(0), "{}", output.report());
    Ok(output)
}

/// There must be lines that begin with the first words and end with the others, blanks aside; `*` is anything.
fn says(output: &Output, lines: &[(&str, &str)]) -> Result<()> {
    let text = output.text();
    for (name, value) in lines {
        let is_it = |line: &str| {
            line.trim().strip_prefix(name).is_some_and(|rest| {
                *value == "*" || rest.split_whitespace().collect::<Vec<_>>().join(" ") == *value
            })
        };
        ensure!(
            text.lines().any(is_it),
            "no line `{name} {value}`: {}",
            output.report()
        );
    }
    Ok(())
}

fn lscpu(context: &Context) -> Result<()> {
    let (program, roots) = debian::lscpu(&context.workspace, Show::Progress)?;
    // QEMU describes caches in the way of this maker only.
    let hardware = [&HARDWARE[..], &["-cpu", "max,vendor=GenuineIntel"]].concat();
    let output = run(context, &program, &roots, &["lscpu"], Some(&hardware))?;
    says(
        &output,
        &[
            ("CPU op-mode(s):", "32-bit, 64-bit"),
            ("CPU(s):", "4"),
            ("On-line CPU(s) list:", "0-3"),
            ("Thread(s) per core:", "1"),
            ("Core(s) per socket:", "2"),
            ("Socket(s):", "2"),
            ("L1d cache:", "128 KiB (4 instances)"),
            ("L2 cache:", "*"),
            ("L3 cache:", "*"),
            ("NUMA node(s):", "2"),
            ("NUMA node0 CPU(s):", "*"),
            ("NUMA node1 CPU(s):", "*"),
        ],
    )
}

fn numactl(context: &Context) -> Result<()> {
    let (program, roots) = debian::numactl(&context.workspace, Show::Progress)?;
    let words = ["numactl", "--hardware"];
    let output = run(context, &program, &roots, &words, Some(&HARDWARE))?;
    says(
        &output,
        &[
            ("available:", "2 nodes (0-1)"),
            ("node 0 cpus:", "*"),
            ("node 1 cpus:", "*"),
            ("node 0 size:", "127 MB"),
            ("node 1 size:", "127 MB"),
            ("0:", "10 31"),
            ("1:", "31 10"),
        ],
    )
}

/// A machine without those tables has one node.
fn one(context: &Context) -> Result<()> {
    let (program, roots) = debian::numactl(&context.workspace, Show::Progress)?;
    let output = run(context, &program, &roots, &["numactl", "--hardware"], None)?;
    says(&output, &[("available:", "1 nodes (0)"), ("0:", "10")])
}

fn shell(context: &Context, script: &str) -> Result<Output> {
    let busybox = super::busybox::program(context)?;
    let words = ["busybox", "sh", "-c", script];
    run(context, &busybox, &[], &words, Some(&HARDWARE))
}

fn files(context: &Context) -> Result<()> {
    let script = "cd /sys/devices/system; \
        for f in cpu/online node/online node/has_cpu node/has_memory node/node1/distance node/node0/cpu0/topology/core_id; \
            do echo \"$f: $(cat $f)\"; done; \
        far=$(cat node/node1/cpulist); far=${far%%[-,]*}; \
        echo \"far: $(cat cpu/cpu$far/node1/distance)\"; \
        for cpu in 0 $far; do \
            [ $(cat cpu/cpu$cpu/topology/core_siblings) = $(cat cpu/cpu$cpu/node?/cpumap) ] && \
            [ $(cat cpu/cpu$cpu/topology/package_cpus_list) = $(cat cpu/cpu$cpu/node?/cpulist) ] && \
            [ $(cat cpu/cpu$cpu/topology/thread_siblings_list) = $cpu ] && \
            echo \"package: $(cat cpu/cpu$cpu/topology/physical_package_id)\"; \
        done; \
        grep Mems_allowed_list /proc/self/status";
    let output = shell(context, script)?;
    says(
        &output,
        &[
            ("cpu/online:", "0-3"),
            ("node/online:", "0-1"),
            ("node/has_cpu:", "0-1"),
            ("node/has_memory:", "0-1"),
            ("node/node1/distance:", "31 10"),
            ("node/node0/cpu0/topology/core_id:", "0"),
            ("far:", "31 10"),
            ("package:", "0"),
            ("package:", "1"),
            ("Mems_allowed_list:", "0-1"),
        ],
    )
}

/// Memory comes from the node of the processor that needs it: 40 MiB on each, in a file in memory, which stays.
fn memory(context: &Context) -> Result<()> {
    let script = "used() { sed -n 's/.*MemUsed: *\\([0-9]*\\) kB/\\1/p' /sys/devices/system/node/node$1/meminfo; }; \
        for node in 0 1; do \
            cpu=$(cat /sys/devices/system/node/node$node/cpulist); cpu=${cpu%%[-,]*}; \
            a=$(used 0); b=$(used 1); \
            taskset $((1 << cpu)) dd if=/dev/zero of=/tmp/f$node bs=1M count=40 2>/dev/null; \
            echo \"on $node: $((($(used 0) - a) / 1024 / 30)) $((($(used 1) - b) / 1024 / 30))\"; \
        done";
    let output = shell(context, script)?;
    says(&output, &[("on 0:", "1 0"), ("on 1:", "0 1")])
}
