//! Waiting for many files by direct calls: poll, ppoll, select, pselect, and epoll and eventfd where they are there.

mod event;
mod poll;
mod select;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("poll", poll::TESTS),
        ("select", select::TESTS),
        ("event", event::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
};

fn main() -> ExitCode {
    SUITE.main()
}
