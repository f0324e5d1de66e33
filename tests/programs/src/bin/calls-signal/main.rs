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

fn main() -> ExitCode {
    test_programs::harness::main(
        &[
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
        &[],
        60,
    )
}
