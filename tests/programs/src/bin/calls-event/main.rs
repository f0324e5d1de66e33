//! Event files by direct calls: epoll, eventfd, signalfd, timerfd.

mod counter;
mod epoll;
mod files;
mod nested;
mod signals;
mod timer;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("epoll", epoll::TESTS),
        ("nested", nested::TESTS),
        ("counter", counter::TESTS),
        ("signals", signals::TESTS),
        ("files", files::TESTS),
        ("timer", timer::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
