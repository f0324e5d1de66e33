//! Signals by direct calls: sending, blocking, handling, faults, and what they interrupt.

mod action;
mod altstack;
mod context;
mod defaults;
mod fault;
mod interrupt;
mod mask;
mod queue;
mod send;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("action", action::TESTS),
        ("mask", mask::TESTS),
        ("send", send::TESTS),
        ("queue", queue::TESTS),
        ("defaults", defaults::TESTS),
        ("interrupt", interrupt::TESTS),
        ("fault", fault::TESTS),
        ("altstack", altstack::TESTS),
        ("context", context::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
