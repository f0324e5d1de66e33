//! Event files by direct calls: epoll, eventfd, signalfd.

mod counter;
mod epoll;
mod nested;
mod signals;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("epoll", epoll::TESTS),
        ("nested", nested::TESTS),
        ("counter", counter::TESTS),
        ("signals", signals::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
