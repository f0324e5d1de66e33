//! Scheduling by direct calls: policies, priorities, reservations, niceness, processors, and what they do.

mod attributes;
mod effect;
mod inherit;
mod nice;
mod policy;
mod processors;
mod show;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("policy", policy::TESTS),
        ("attributes", attributes::TESTS),
        ("nice", nice::TESTS),
        ("inherit", inherit::TESTS),
        ("processors", processors::TESTS),
        ("show", show::TESTS),
        ("effect", effect::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
