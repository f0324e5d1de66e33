//! Clocks, sleeping and timers by direct calls.

mod clocks;
mod posix;
mod sleep;
mod timers;
mod vdso;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("clocks", clocks::TESTS),
        ("posix", posix::TESTS),
        ("sleep", sleep::TESTS),
        ("timers", timers::TESTS),
        ("vdso", vdso::TESTS),
    ],
    helpers: &[("no-timers", posix::no_timers)],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
