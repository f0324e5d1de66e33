//! The text of the files in `/proc` itself, as proc(5) describes it.

use super::cpus;
use super::process::state;
use crate::system;
use crate::time::SECOND;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use machine::PAGE;

/// Nanoseconds in a clock tick: 100 ticks a second.
pub const TICK: u64 = 10_000_000;

type OfSystem = fn() -> Vec<u8>;

/// Files in `/proc` itself.
pub const SYSTEM: &[(&str, OfSystem)] = &[
    ("cgroups", crate::cgroup::controllers),
    ("cmdline", command_line),
    ("cpuinfo", cpus::information),
    ("filesystems", file_systems),
    ("interrupts", cpus::interrupts),
    ("loadavg", load_average),
    ("lock_stat", locks),
    ("meminfo", memory_info),
    ("schedstat", cpus::schedule_statistics),
    ("stat", cpus::statistics),
    ("uptime", uptime),
    ("version", version),
];

fn command_line() -> Vec<u8> {
    format!("{}\n", machine::boot::info().command_line).into_bytes()
}

fn file_systems() -> Vec<u8> {
    b"nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup2\nnodev\tdevtmpfs\n".to_vec()
}

/// `/proc/lock_stat`. Linux counts by kinds of locks, here it is by places that wait; what it calls holdtime-max is known in
/// debug builds only. Times are in nanoseconds.
fn locks() -> Vec<u8> {
    let mut text = String::from(
        "lock_stat version helve-1\n place                                                   contentions waittime-total   waittime-max   holdtime-max\n",
    );
    for counted in machine::sync::contention() {
        let place = counted.place.map_or_else(
            || String::from("elsewhere"),
            |place| format!("{}:{}", place.file(), place.line()),
        );
        let _ = writeln!(
            text,
            " {place:<55} {:>11} {:>14} {:>14} {:>14}",
            counted.waits, counted.waited, counted.longest, counted.held
        );
    }
    text.into_bytes()
}

fn load_average() -> Vec<u8> {
    let processes = process::all();
    let running = processes
        .iter()
        .filter(|process| state(process) == 'R')
        .count();
    let last = processes.last().map_or(0, |process| process.id());
    let averages = task::load::averages().map(|load| {
        let hundredths = (load * 100) >> task::load::FRACTION;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    let averages = averages.join(" ");
    format!("{averages} {running}/{} {last}\n", processes.len()).into_bytes()
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

fn uptime() -> Vec<u8> {
    let now = machine::time::now();
    let idle: u64 = (0..machine::cpu::count())
        .map(|cpu| task::stats_of(cpu).idle)
        .sum();
    let seconds = |time: u64| format!("{}.{:02}", time / SECOND, time % SECOND / TICK);
    format!("{} {}\n", seconds(now), seconds(idle)).into_bytes()
}

fn version() -> Vec<u8> {
    format!("Linux version {} (Helve)\n", system::RELEASE).into_bytes()
}
