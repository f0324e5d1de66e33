//! futex(2) by direct calls, in one process and between processes.

mod wait;
mod wake;

use std::process::ExitCode;

fn main() -> ExitCode {
    test_programs::harness::main(&[("wait", wait::TESTS), ("wake", wake::TESTS)], &[], 60)
}
