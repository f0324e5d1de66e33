//! Setting the machine's clocks, by direct calls, and who notices.

mod adjust;
mod hardware;
mod setting;
mod timer;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("adjust", adjust::TESTS),
        ("hardware", hardware::TESTS),
        ("setting", setting::TESTS),
        ("timer", timer::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: true,
};

fn main() -> ExitCode {
    SUITE.main()
}
