//! Helve's kernel: the order in which it starts.
//!
//! [`main`] reads like a table of contents; everything it calls lives in the rooms below.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod command_line;
mod console;
mod demo;
mod devices;
mod files;
mod interrupts;
mod launch;
mod log;
mod ports;
mod power;
mod probe;
mod registries;
mod session;
mod start;
mod symbols;
mod watchdog;

use command_line::CommandLine;

/// Called by the boot code on the first processor, with memory, interrupts and time ready.
pub fn main() -> ! {
    let line = CommandLine(machine::boot::info().command_line);
    log::init(line.has("quiet"));
    ::log::info!(
        "Helve {} on {}",
        env!("CARGO_PKG_VERSION"),
        machine::cpu::brand()
    );
    symbols::find();
    power::init();
    self_test(line);
    interrupts::isolate(line);
    interrupts::watch();
    // They come up while this goes on.
    machine::cpu::start_others(task::run);
    if line.has("probe") {
        probe::run();
    }
    if let Err(error) = task::spawn("boot", start::start(line)) {
        panic!("no memory for the first task: {error}");
    }
    task::run()
}

/// Tests that run before user mode, when the command line asks for them.
fn self_test(line: CommandLine<'_>) {
    #[cfg(target_os = "none")]
    if line.has("selftest") {
        machine::selftest::run();
    }
    let _ = line;
}
