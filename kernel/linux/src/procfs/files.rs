//! The text of each file, as proc(5) describes it.

use crate::process::Process;
use crate::system;
use crate::time::SECOND;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use machine::PAGE;
use machine::paging::Access;

/// Nanoseconds in a clock tick: 100 ticks a second.
const TICK: u64 = 10_000_000;

type OfSystem = fn() -> Vec<u8>;

/// Files in `/proc` itself.
pub const SYSTEM: &[(&str, OfSystem)] = &[
    ("cmdline", command_line),
    ("cpuinfo", cpu_info),
    ("filesystems", file_systems),
    ("loadavg", load_average),
    ("meminfo", memory_info),
    ("stat", statistics),
    ("uptime", uptime),
    ("version", version),
];

type OfProcess = fn(&Arc<process::Process>) -> Vec<u8>;

/// Files in `/proc/PID`.
pub const OF_PROCESS: &[(&str, OfProcess)] = &[
    ("cmdline", process_command_line),
    ("comm", process_name),
    ("environ", process_environment),
    ("limits", process_limits),
    ("maps", process_maps),
    ("stat", process_statistics),
    ("statm", process_memory),
    ("status", process_status),
];

fn command_line() -> Vec<u8> {
    format!("{}\n", machine::boot::info().command_line).into_bytes()
}

fn cpu_info() -> Vec<u8> {
    let mut text = String::new();
    for cpu in 0..machine::cpu::count() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "processor\t: {cpu}\nmodel name\t: {}\n",
            machine::cpu::brand()
        );
    }
    text.into_bytes()
}

fn file_systems() -> Vec<u8> {
    b"nodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\n".to_vec()
}

fn load_average() -> Vec<u8> {
    let processes = process::all();
    let running = processes
        .iter()
        .filter(|process| state(process) == 'R')
        .count();
    let last = processes.last().map_or(0, |process| process.id());
    format!("0.00 0.00 0.00 {running}/{} {last}\n", processes.len()).into_bytes()
}

fn memory_info() -> Vec<u8> {
    let frames = machine::frame::stats();
    let kib = |frames: usize| frames * (PAGE / 1024);
    let mut text = String::new();
    for (name, value) in [
        ("MemTotal", kib(frames.total)),
        ("MemFree", kib(frames.free)),
        ("MemAvailable", kib(frames.free)),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Slab", kib(frames.kernel)),
    ] {
        let _ = writeln!(text, "{name}:{value:>16} kB");
    }
    text.into_bytes()
}

fn statistics() -> Vec<u8> {
    let busy: u64 = process::all()
        .iter()
        .map(|process| process.cpu_time())
        .sum();
    let now = machine::time::now();
    let idle = (now * machine::cpu::count() as u64).saturating_sub(busy) / TICK;
    let boot = machine::time::wall_at_boot() / SECOND;
    format!(
        "cpu  {} 0 0 {idle} 0 0 0 0 0 0\nctxt 0\nbtime {boot}\nprocesses {}\n",
        busy / TICK,
        process::count()
    )
    .into_bytes()
}

fn uptime() -> Vec<u8> {
    let now = machine::time::now();
    format!("{}.{:02} 0.00\n", now / SECOND, now % SECOND / TICK).into_bytes()
}

fn version() -> Vec<u8> {
    format!("Linux version {} (Helve)\n", system::RELEASE).into_bytes()
}

fn process_command_line(process: &Arc<process::Process>) -> Vec<u8> {
    process
        .personality()
        .map_or_else(Vec::new, |personality| personality.command_line(process))
}

fn process_name(process: &Arc<process::Process>) -> Vec<u8> {
    format!("{}\n", process.name()).into_bytes()
}

fn process_environment(process: &Arc<process::Process>) -> Vec<u8> {
    let Some(side) = Process::of(process) else {
        return Vec::new();
    };
    let range = side.image.lock().environment.clone();
    process.space().map_or_else(Vec::new, |space| {
        memory::peek(&space, range.start, range.len())
    })
}

fn process_limits(process: &Arc<process::Process>) -> Vec<u8> {
    Process::of(process).map_or_else(Vec::new, |side| side.limits.lock().describe().into_bytes())
}

fn process_maps(process: &Arc<process::Process>) -> Vec<u8> {
    let mut text = String::new();
    let Some(space) = process.space() else {
        return Vec::new();
    };
    let name = Process::of(process)
        .map(|side| side.image.lock().path.clone())
        .unwrap_or_default();
    let name = String::from_utf8_lossy(&name).into_owned();
    for mapping in space.mappings() {
        let flag = |access: Access, letter: char| {
            if mapping.access.contains(access) {
                letter
            } else {
                '-'
            }
        };
        let label = match mapping.kind {
            memory::Kind::Stack { .. } => "[stack]",
            memory::Kind::Heap => "[heap]",
            memory::Kind::Plain if mapping.object.is_some() => name.as_str(),
            memory::Kind::Plain => "",
        };
        let _ = writeln!(
            text,
            "{:08x}-{:08x} {}{}{}{} {:08x} 00:00 0{:width$}{label}",
            mapping.range.start,
            mapping.range.end,
            flag(Access::READ, 'r'),
            flag(Access::WRITE, 'w'),
            flag(Access::EXECUTE, 'x'),
            if mapping.shared { 's' } else { 'p' },
            mapping.offset,
            "",
            width = if label.is_empty() { 0 } else { 26 },
        );
    }
    text.into_bytes()
}

/// The state letter of ps(1).
pub fn state(process: &Arc<process::Process>) -> char {
    if process.status().is_some() {
        return 'Z';
    }
    if process
        .personality()
        .is_some_and(|personality| personality.stopped())
    {
        return 'T';
    }
    let runs = process
        .threads()
        .iter()
        .any(|thread| thread.task().is_some_and(|task| task.is_runnable()));
    if runs { 'R' } else { 'S' }
}

/// Size of the address space and of what is resident, in pages.
fn sizes(process: &process::Process) -> (usize, usize) {
    let Some(space) = process.space() else {
        return (0, 0);
    };
    let virtual_size: usize = space
        .mappings()
        .iter()
        .map(|mapping| mapping.range.len())
        .sum();
    (virtual_size / PAGE, space.resident())
}

fn process_memory(process: &Arc<process::Process>) -> Vec<u8> {
    let (size, resident) = sizes(process);
    format!("{size} {resident} 0 0 0 {size} 0\n").into_bytes()
}

fn process_statistics(process: &Arc<process::Process>) -> Vec<u8> {
    let (size, resident) = sizes(process);
    let side = Process::of(process);
    let (group, session, terminal, foreground) = side.as_ref().map_or((0, 0, 0, -1), |side| {
        let group = side.group();
        let terminal = group.session().terminal();
        let foreground = terminal
            .as_ref()
            .and_then(|terminal| terminal.foreground())
            .map_or(-1, |group| group as i32);
        (
            group.id(),
            group.session_id(),
            if terminal.is_some() { 0x0400 } else { 0 },
            foreground,
        )
    });
    format!(
        "{} ({}) {} {} {group} {session} {terminal} {foreground} 0 0 0 0 0 {} 0 {} 0 20 0 {} 0 {} {} {resident} \
         18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        process.id(),
        process.name(),
        state(process),
        process.parent_id(),
        process.cpu_time() / TICK,
        process.children_cpu_time() / TICK,
        process.thread_count().max(1),
        process.started() / TICK,
        size * PAGE,
    )
    .into_bytes()
}

fn process_status(process: &Arc<process::Process>) -> Vec<u8> {
    let (size, resident) = sizes(process);
    let mut text = String::new();
    let state = state(process);
    let word = match state {
        'R' => "running",
        'T' => "stopped",
        'Z' => "zombie",
        _ => "sleeping",
    };
    let id = process.id();
    let _ = writeln!(
        text,
        "Name:\t{}\nState:\t{state} ({word})\nTgid:\t{id}\nPid:\t{id}",
        process.name()
    );
    let _ = writeln!(text, "PPid:\t{}", process.parent_id());
    if let Some(side) = Process::of(process) {
        let identity = side.identity();
        let effective = &identity.effective;
        let (ruid, rgid) = (identity.real_uid, identity.real_gid);
        let (suid, sgid) = (identity.saved_uid, identity.saved_gid);
        let _ = writeln!(
            text,
            "Uid:\t{ruid}\t{}\t{suid}\t{}",
            effective.uid, identity.files.uid
        );
        let _ = writeln!(
            text,
            "Gid:\t{rgid}\t{}\t{sgid}\t{}",
            effective.gid, identity.files.gid
        );
        let blocked = side.threads().first().map_or(0, |thread| thread.mask().0);
        let (ignored, caught) = side.actions().sets();
        let _ = writeln!(
            text,
            "SigPnd:\t{:016x}\nSigBlk:\t{blocked:016x}",
            side.pending_set().0
        );
        let _ = writeln!(
            text,
            "SigIgn:\t{:016x}\nSigCgt:\t{:016x}",
            ignored.0, caught.0
        );
    }
    let kib = PAGE / 1024;
    let _ = writeln!(
        text,
        "VmSize:\t{:>8} kB\nVmRSS:\t{:>8} kB",
        size * kib,
        resident * kib
    );
    let _ = writeln!(text, "Threads:\t{}", process.thread_count());
    text.into_bytes()
}
