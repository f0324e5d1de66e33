//! Processes and threads by direct calls: how they begin, become other programs, end, and are waited for.

mod dynamic;
mod exec;
mod fork;
mod groups;
mod identity;
mod inheritance;
mod limits;
mod scripts;
mod threads;
mod times;
mod wait;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("fork", fork::TESTS),
        ("wait", wait::TESTS),
        ("exec", exec::TESTS),
        ("dynamic", dynamic::TESTS),
        ("inheritance", inheritance::TESTS),
        ("scripts", scripts::TESTS),
        ("groups", groups::TESTS),
        ("threads", threads::TESTS),
        ("identity", identity::TESTS),
        ("limits", limits::TESTS),
        ("times", times::TESTS),
    ],
    helpers: exec::HELPERS,
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
