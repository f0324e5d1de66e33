//! Messages between programs: channels, questions and answers, handles and memory on their way. A Linux kernel has none of it;
//! there the tests only see that it says so.

mod arenas;
mod calls;
mod ends;
mod handles;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("calls", calls::TESTS),
        ("ends", ends::TESTS),
        ("handles", handles::TESTS),
        ("arenas", arenas::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
