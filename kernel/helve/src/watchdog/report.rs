//! What is said about CPUs that do not get on: first of all by a way that takes no lock.

use super::{Plan, SECOND};
use alloc::format;
use alloc::string::String;
use core::fmt;
use machine::serial::write_without_lock as say;
use machine::{cpu, snapshot};

/// Says that another CPU is stalled; `tag` is the process that it ran last, or 0.
pub fn stalled(plan: Plan, other: usize, tag: u64, length: u64) {
    let length = Seconds(length);
    let head = format_args!("watchdog: processor {other} has not got on for {length}");
    match tag {
        0 => say(format_args!("\n{head}, in a task of the kernel\n")),
        id => say(format_args!("\n{head}, in process {id}\n")),
    }
    let found = snapshot::take(other);
    match &found {
        Some(found) => say(format_args!("{found}\n")),
        None => say(format_args!("  it does not answer\n")),
    }
    if plan.reboots {
        start_again();
    }
    // From here on locks are taken, which may make this CPU the next one.
    let process = u32::try_from(tag).ok().and_then(process::find);
    let whose = process.map_or_else(String::new, |process| {
        format!(", in {}[{tag}]", process.name())
    });
    let trace = found.map_or_else(String::new, |found| format!("\n{found}"));
    ::log::error!(target: crate::log::SHOWN, "{head}{whose}{trace}");
}

/// Says that this CPU waits for a lock, and what it and all others do.
pub fn waits(plan: Plan, length: u64) {
    let me = cpu::index();
    let length = Seconds(length);
    let own = snapshot::own();
    say(format_args!(
        "\nwatchdog: processor {me} has waited for a lock for {length}\n{own}\n"
    ));
    for other in (0..cpu::count()).filter(|other| *other != me) {
        match snapshot::take(other) {
            Some(found) => say(format_args!(" processor {other}:\n{found}\n")),
            None => say(format_args!(" processor {other} does not answer\n")),
        }
    }
    if plan.reboots {
        start_again();
    }
}

fn start_again() -> ! {
    say(format_args!("watchdog: starting again\n"));
    machine::power::reset()
}

/// A length of time in nanoseconds, with a tenth of a second.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0 / SECOND, self.0 % SECOND * 10 / SECOND)
    }
}
