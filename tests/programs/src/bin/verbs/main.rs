//! Verbs keep what they declare: those of every object that the first program can name. A Linux kernel has none of it; there the
//! tests only see that it says so.

mod declared;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[("declared", declared::TESTS)],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
