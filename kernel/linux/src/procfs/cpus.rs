//! The texts of `/proc` about processors: what each is, and what it has done (proc(5), and Linux's `sched-stats` document).

use super::files::TICK;
use crate::time::SECOND;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use machine::irq::{self, Source};
use task::Stats;

fn all() -> Vec<Stats> {
    (0..machine::cpu::count()).map(task::stats_of).collect()
}

/// `/proc/cpuinfo`: what each is called, where it is, and what it can do, as far as the kernel asks.
pub fn information() -> Vec<u8> {
    let topology = machine::node::topology();
    let flags = flags().join(" ");
    let mut text = String::new();
    for cpu in 0..topology.count() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "processor\t: {cpu}\nmodel name\t: {}",
            machine::cpu::brand()
        );
        if let Some(place) = topology.processor(cpu) {
            let package = topology.package(cpu);
            let threads = topology.threads(cpu).count_ones().max(1);
            let _ = writeln!(
                text,
                "physical id\t: {}\nsiblings\t: {}\ncore id\t\t: {}\ncpu cores\t: {}\napicid\t\t: {}",
                place.package(),
                package.count_ones(),
                place.core(),
                package.count_ones().div_ceil(threads),
                place.apic,
            );
        }
        let _ = writeln!(text, "flags\t\t: {flags}\n");
    }
    text.into_bytes()
}

/// The names of bits 0 to 31 of EDX in CPUID leaf 1 (Linux's `cpufeatures.h`); empty: the bit has none.
const LEAF_1_EDX: [&str; 32] = [
    "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr", "pge",
    "mca", "cmov", "pat", "pse36", "pn", "clflush", "", "dts", "acpi", "mmx", "fxsr", "sse",
    "sse2", "ss", "ht", "tm", "ia64", "pbe",
];

fn flags() -> Vec<&'static str> {
    let features = machine::cpu::features();
    let bits = LEAF_1_EDX.iter().enumerate();
    let bits = bits.filter(|(bit, name)| features.leaf1_edx >> bit & 1 != 0 && !name.is_empty());
    let others = [
        ("lm", true),
        ("syscall", true),
        ("nx", features.nx),
        ("pdpe1gb", features.gigabyte_pages),
        ("rdtscp", features.rdtscp),
        ("constant_tsc", features.invariant_tsc),
        ("nonstop_tsc", features.invariant_tsc),
        ("x2apic", features.x2apic),
        ("tsc_deadline_timer", features.tsc_deadline),
        ("xsave", features.xsave),
        ("xsaveopt", features.xsaveopt),
        ("avx", features.avx),
        ("avx512f", features.avx512),
        ("rdrand", features.rdrand),
        ("rdseed", features.rdseed),
        ("smep", features.smep),
        ("smap", features.smap),
        ("umip", features.umip),
        ("erms", features.erms),
        ("fsrm", features.fsrm),
        ("hypervisor", features.hypervisor),
    ];
    let others = others.into_iter().filter(|(_, is_there)| *is_there);
    bits.map(|(_, name)| *name)
        .chain(others.map(|(name, _)| name))
        .collect()
}

/// `/proc/stat`. What interrupts take is part of the system time, not apart from it.
pub fn statistics() -> Vec<u8> {
    let all = all();
    let mut text = String::new();
    let sum = |of: fn(&Stats) -> u64| all.iter().map(of).sum::<u64>();
    // Writing to a string cannot fail.
    let mut line = |name: &str, of: &dyn Fn(fn(&Stats) -> u64) -> u64| {
        let _ = writeln!(
            text,
            "{name} {} {} {} {} 0 0 0 0 0 0",
            of(|cpu| cpu.times.user) / TICK,
            of(|cpu| cpu.nice) / TICK,
            of(|cpu| cpu.times.system) / TICK,
            of(|cpu| cpu.idle) / TICK,
        );
    };
    line("cpu ", &sum);
    for (number, cpu) in all.iter().enumerate() {
        line(&format!("cpu{number}"), &|of| of(cpu));
    }
    interrupt_counts(&mut text);
    let runnable = sum(|cpu| cpu.waiting as u64 + u64::from(cpu.runs));
    let _ = write!(
        text,
        "ctxt {}\nbtime {}\nprocesses {}\nprocs_running {runnable}\nprocs_blocked 0\n",
        sum(|cpu| cpu.switches),
        task::clock::wall_at_boot() / SECOND,
        process::made(),
    );
    text.into_bytes()
}

/// The sum of all interrupts, and then of each number.
fn interrupt_counts(text: &mut String) {
    let cpus = machine::cpu::count();
    let total: u64 = (0..cpus)
        .filter_map(irq::handling)
        .map(|handling| handling.interrupts)
        .sum();
    let _ = write!(text, "intr {total}");
    let mut next = 0;
    for (source, _) in irq::sources() {
        let Some(number) = source.number() else {
            continue;
        };
        while next < number {
            text.push_str(" 0");
            next += 1;
        }
        let count: u64 = (0..cpus).map(|cpu| irq::count(cpu, source)).sum();
        let _ = write!(text, " {count}");
        next = number + 1;
    }
    text.push('\n');
}

/// `/proc/interrupts`: a row for each source, a column for each processor.
pub fn interrupts() -> Vec<u8> {
    let cpus = machine::cpu::count();
    let mut text = String::from("    ");
    for cpu in 0..cpus {
        let _ = write!(text, "       CPU{cpu:<1}");
    }
    text.push('\n');
    for (source, handlers) in irq::sources() {
        let (name, about) = match source {
            Source::Line(line) => (format!("{line:>3}"), format!("ISA {line}-edge")),
            Source::Message(number) => (
                format!("{:>3}", source.number().unwrap_or(0)),
                format!("PCI-MSI {number}-edge"),
            ),
            Source::Timer => ("LOC".into(), "Local timer interrupts".into()),
            Source::Kick => ("RES".into(), "Rescheduling interrupts".into()),
            Source::NonMaskable => ("NMI".into(), "Non-maskable interrupts".into()),
            Source::Spurious => ("SPU".into(), "Spurious interrupts".into()),
        };
        let _ = write!(text, "{name}:");
        for cpu in 0..cpus {
            let _ = write!(text, " {:>10}", irq::count(cpu, source));
        }
        let _ = write!(text, "   {about}");
        if !handlers.is_empty() {
            let _ = write!(text, "      {}", handlers.join(", "));
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// `/proc/schedstat`, version 15, without domains.
pub fn schedule_statistics() -> Vec<u8> {
    let mut text = String::new();
    let ticks = machine::time::now() / TICK;
    let _ = writeln!(text, "version 15\ntimestamp {ticks}");
    for (number, cpu) in all().iter().enumerate() {
        let _ = writeln!(
            text,
            "cpu{number} {} 0 {} {} {} {} {} {} {}",
            cpu.yields,
            cpu.polls + cpu.halts,
            cpu.halts,
            cpu.wakes,
            cpu.wakes_here,
            cpu.busy,
            cpu.delay,
            cpu.polls,
        );
    }
    text.into_bytes()
}
