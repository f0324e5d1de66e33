//! Waiting for many files by direct calls: poll, ppoll, select, pselect.

mod poll;
mod select;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[("poll", poll::TESTS), ("select", select::TESTS)],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
