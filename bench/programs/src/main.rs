//! `bench [--quick] [--list] [PART...]`: measures the kernel it runs on, from one static binary that is the same for every
//! kernel compared. Each result is a line `bench NAME VALUE UNIT`; `clock` is the kernel's own clock, at the beginning and at
//! the end. Arguments choose by parts of names.
//!
//! It runs as an ordinary program, or as process 1 of a kernel that has nothing but this file: then it makes the console
//! and the directory it needs, and powers the machine off at the end. `bench boot-marker` is the first thing it writes:
//! whoever started the machine takes the time of that line.
//!
//! There is no Rust start-up code: it would open and poll files before the marker.

#![no_main]

mod calls;
mod clock;
mod console;
mod files;
mod latency;
mod measure;
mod memory;
mod messages;
mod pipes;
mod processes;
mod processors;
mod signals;
mod threads;

use measure::{Bench, Plan};
use std::ffi::{CStr, c_char};
use test_programs::sys;

/// All benchmarks, in the order in which they run: the cheap ones first, on a machine that is still fresh.
const GROUPS: &[&[Bench]] = &[
    measure::CONTROLS,
    calls::BENCHES,
    files::BENCHES,
    memory::BENCHES,
    signals::BENCHES,
    pipes::BENCHES,
    threads::BENCHES,
    messages::BENCHES,
    processes::BENCHES,
    processors::BENCHES,
    latency::BENCHES,
];

#[unsafe(no_mangle)]
extern "C" fn main(count: i32, arguments: *const *const c_char) -> i32 {
    let argument = |n: i32| {
        // SAFETY: the C library hands `count` valid strings, for the life of the program.
        unsafe { CStr::from_ptr(*arguments.add(n as usize)) }
            .to_str()
            .unwrap_or("")
    };
    let arguments: Vec<&str> = (1..count).map(argument).collect();
    if let Some(status) = processes::second_life(&arguments) {
        return status;
    }
    if arguments.contains(&"--list") {
        all().for_each(|b| console::line(b.name));
        return 0;
    }
    let first = sys!(SYS_getpid) == Ok(1);
    console::open_if_missing();
    console::line(&format!("bench boot-marker\n{}", clock::now()));
    memory::report();
    enter_work_directory();
    let plan = Plan::new(arguments.contains(&"--quick"));
    let filters = filters(&arguments, first);
    let check = clock::Check::start();
    for bench in all() {
        let chosen = filters.is_empty() || filters.iter().any(|part| bench.name.contains(part));
        if chosen || bench.name == "control" {
            (bench.run)(&plan, bench.name);
        }
    }
    check.report();
    if first {
        power_off();
    }
    0
}

fn all() -> impl Iterator<Item = &'static Bench> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// The parts of names that were asked for. Linux hands its first program every word of the kernel's command line that it
/// does not know itself: there only words with a mark are meant.
fn filters<'a>(arguments: &[&'a str], first: bool) -> Vec<&'a str> {
    let marked = |word: &&'a str| word.strip_prefix("only=");
    let plain = |word: &&'a str| (!first && !word.starts_with('-')).then_some(*word);
    arguments
        .iter()
        .filter_map(|word| marked(word).or_else(|| plain(word)))
        .collect()
}

fn enter_work_directory() {
    let _ = sys!(SYS_mkdir, c"/tmp", 0o1777);
    let _ = sys!(SYS_chdir, c"/tmp");
}

fn power_off() {
    let _ = sys!(SYS_sync);
    let _ = sys!(
        SYS_reboot,
        libc::LINUX_REBOOT_MAGIC1,
        libc::LINUX_REBOOT_MAGIC2,
        libc::LINUX_REBOOT_CMD_POWER_OFF,
        0
    );
}
