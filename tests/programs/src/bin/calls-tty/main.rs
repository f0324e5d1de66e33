//! The terminal by direct calls: line editing, raw input, output processing, signals from keys, job control.
//!
//! The program runs on the terminal that is its standard input, and needs somebody to type. It asks for that in its
//! output: a line `type: BYTES show: BYTES` (escaped as in C) means: type the first, and the terminal must then show
//! exactly the second before anything else. A typist that sees something else says so by ending the session.
//! Where standard input is no terminal but pseudo-terminals exist, the program is its own typist.

mod canonical;
mod control;
mod jobs;
mod keys;
mod raw;
mod typist;

use libc::{O_RDWR, SIGINT};
use std::process::ExitCode;
use test_programs::child;
use test_programs::harness::Suite;
use test_programs::{ok, sys};

const SUITE: Suite = Suite {
    groups: &[
        ("control", control::TESTS),
        ("canonical", canonical::TESTS),
        ("raw", raw::TESTS),
        ("keys", keys::TESTS),
        ("jobs", jobs::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    let listing = std::env::args().nth(1).is_some_and(|a| a == "--list");
    if listing {
        return SUITE.main();
    }
    let mut settings = [0u8; 64];
    if sys!(SYS_ioctl, 0, libc::TCGETS, &mut settings).is_err() {
        return typist::run_on_a_pseudo_terminal();
    }
    if sys!(SYS_openat, libc::AT_FDCWD, c"/dev/tty", O_RDWR, 0).is_err() {
        // The terminal is open but not ours: a session of our own takes it.
        test_programs::signal::dispose(SIGINT, libc::SIG_IGN);
        let status = child::fork(|| {
            test_programs::signal::dispose(SIGINT, libc::SIG_DFL);
            ok!(SYS_setsid);
            ok!(SYS_ioctl, 0, libc::TIOCSCTTY, 0);
            if SUITE.main() == ExitCode::SUCCESS {
                0
            } else {
                1
            }
        });
        return if status.wait() == child::Status::Exited(0) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    SUITE.main()
}
