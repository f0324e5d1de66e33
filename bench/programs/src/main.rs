//! Measures the system it runs on, from inside: one line `bench NAME VALUE UNIT` for each figure.
//!
//! It runs as an ordinary program or as the first one (`/init`): then it turns the machine off at its end. The first
//! line is the clock, so whoever watches the console knows when user mode began. Arguments choose benchmarks by a part
//! of their names; for the first program they are words `only=PART` on the kernel's command line. Times are medians over several batches, each long against the clock's own cost.

mod calls;
mod files;
mod measure;
mod memory;
mod pipes;
mod processes;
mod system;
mod threads;

use measure::Report;

/// A benchmark: its name and what reports its figure.
pub type Benchmark = (&'static str, fn(&mut Report));

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == processes::NOTHING) {
        return;
    }
    let first = std::process::id() == 1;
    let wanted = if first {
        system::open_console();
        // Linux hands its first program every word of the command line that it does not know itself.
        let named = arguments.iter().filter_map(|word| word.strip_prefix("only="));
        named.map(String::from).collect()
    } else {
        arguments
    };
    let mut report = Report::new(wanted);
    report.clock();
    system::memory(&mut report);
    report.run(&[("control", measure::control)]);
    for group in [
        calls::ALL,
        files::ALL,
        pipes::ALL,
        memory::ALL,
        processes::ALL,
        threads::ALL,
    ] {
        report.run(group);
    }
    report.clock();
    if first {
        system::power_off();
    }
}
