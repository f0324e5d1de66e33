//! Waiting for many files by direct calls: poll, ppoll, select, pselect, and epoll and eventfd where they are there.

mod event;
mod poll;
mod select;

use std::process::ExitCode;

fn main() -> ExitCode {
    test_programs::harness::main(
        &[
            ("poll", poll::TESTS),
            ("select", select::TESTS),
            ("event", event::TESTS),
        ],
        &[],
        60,
    )
}
