//! What an ordinary std Rust program does: threads, channels, locks, files, processes, time. No unsafe, no direct calls:
//! if this passes, the standard library works on the kernel below.

mod channels;
mod files;
mod folders;
mod locks;
mod process;
mod surroundings;
mod threads;
mod time;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("threads", threads::TESTS),
        ("channels", channels::TESTS),
        ("locks", locks::TESTS),
        ("files", files::TESTS),
        ("folders", folders::TESTS),
        ("process", process::TESTS),
        ("time", time::TESTS),
        ("surroundings", surroundings::TESTS),
    ],
    helpers: process::HELPERS,
    limit: 120,
    root: false,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
