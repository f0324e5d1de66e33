//! futex(2) by direct calls, in one process and between processes.

mod death;
mod inherit;
mod lock;
mod requeue;
mod wait;
mod wake;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("wait", wait::TESTS),
        ("wake", wake::TESTS),
        ("inherit", inherit::TESTS),
        ("requeue", requeue::TESTS),
        ("death", death::TESTS),
    ],
    helpers: death::HELPERS,
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
