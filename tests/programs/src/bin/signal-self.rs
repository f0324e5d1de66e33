//! `signal-self N`: sends itself that signal, with the default action. Ends with status 3 if it survives.

use test_programs::{child, signal, sys};

fn main() {
    let number = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .unwrap_or(libc::SIGTERM);
    if ![libc::SIGKILL, libc::SIGSTOP].contains(&number) {
        signal::dispose(number, libc::SIG_DFL);
    }
    let _ = sys!(SYS_kill, sys!(SYS_getpid).unwrap_or(0), number);
    child::exit(3);
}
