//! Scheduling by direct calls: policies, priorities, reservations, niceness, processors, and what they do.

mod attributes;
mod effect;
mod inherit;
mod nice;
mod policy;
mod processors;
mod rseq;
mod rttime;
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
        ("rseq", rseq::TESTS),
        ("effect", effect::TESTS),
        ("rttime", rttime::TESTS),
    ],
    helpers: rseq::HELPERS,
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
