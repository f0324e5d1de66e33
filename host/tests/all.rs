//! `cargo test`: every crate's own tests, then the booted system's, one summary.
#![forbid(unsafe_code)]

use host::cli::TestOptions;
use host::progress::say;
use host::system::{self, Tally, crates};
use host::workspace::Workspace;
use host::{children, signals};
use std::process::ExitCode;

fn main() -> ExitCode {
    children::launch_if_asked();
    let mut filters = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // What cargo and editors ask of every test program.
            "--list" => return ExitCode::SUCCESS,
            option if option.starts_with('-') => {
                say(format!("{option} has no meaning for the system tests"))
            }
            _ => filters.push(argument),
        }
    }
    let mut tally = Tally::default();
    let result = run(&filters, &mut tally);
    if let Err(error) = result {
        tally.record("the tests themselves", Some(format!("{error:#}")), None);
    }
    ExitCode::from(tally.finish())
}

fn run(filters: &[String], tally: &mut Tally) -> anyhow::Result<()> {
    signals::clean_up_on_end()?;
    system::start_watchdog();
    if crates::wanted(filters) {
        crates::run(&Workspace::find()?, filters, tally)?;
    }
    let options = TestOptions {
        filters: filters.to_vec(),
        cpus: 1,
        ..TestOptions::default()
    };
    system::run_system(&options, env!("CARGO_BIN_EXE_helve").into(), tally)
}
