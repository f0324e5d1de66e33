//! Clocks, sleeping and timers by direct calls.

mod clocks;
mod sleep;
mod timers;

use std::process::ExitCode;

fn main() -> ExitCode {
    test_programs::harness::main(
        &[
            ("clocks", clocks::TESTS),
            ("sleep", sleep::TESTS),
            ("timers", timers::TESTS),
        ],
        &[],
        60,
    )
}
