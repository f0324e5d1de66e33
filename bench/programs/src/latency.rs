//! Debian's own measuring programs, unmodified, with its C library: hackbench and cyclictest. They are in `/bin` if whoever
//! started the machine put them there; else there is nothing to say.

use crate::console;
use crate::measure::{Bench, Plan};
use std::ffi::CString;
use test_programs::child::{Child, Status, Strings, fork, output};
use test_programs::raw::short::open;
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "hackbench, processes, pipes",
        run: |plan, name| hackbench(plan, name, &["-p"]),
    },
    Bench {
        name: "hackbench, processes, sockets",
        run: |plan, name| hackbench(plan, name, &[]),
    },
    Bench {
        name: "hackbench, threads, pipes",
        run: |plan, name| hackbench(plan, name, &["-T", "-p"]),
    },
    Bench {
        name: "hackbench, threads, sockets",
        run: |plan, name| hackbench(plan, name, &["-T"]),
    },
    Bench {
        name: "cyclictest",
        run: |_, name| cyclictest(name),
    },
    Bench {
        name: "cyclictest under load",
        run: |_, name| {
            // As long as it takes: it is ended.
            let load = fork(|| {
                let _ = sys!(SYS_setpgid, 0, 0);
                quiet();
                exec(&["hackbench", "-p", "-g", "2", "-l", "100000000"])
            });
            cyclictest(name);
            end(load);
        },
    },
];

/// Prints the milliseconds that two groups of 20 senders and 20 receivers need for 100 messages from each to each.
fn hackbench(plan: &Plan, name: &str, options: &[&str]) {
    let words = [&["hackbench", "-g", "2", "-l", "100"], options].concat();
    let time = || number(&said(&words)?, "Time:");
    if time().is_some() {
        // One that fails is slower than any other.
        plan.few().median(name, "ms", || {
            time().map_or(f64::INFINITY, |time| time * 1e3)
        });
    }
}

/// Prints how late a thread of priority 80 woke that slept for a millisecond, 3000 times: usually, and at worst.
fn cyclictest(name: &str) {
    // Where there are nodes of memory, it looks here for what is on which. Helve has neither the one nor the other.
    let _ = sys!(SYS_mkdir, c"/sys", 0o755);
    let _ = sys!(SYS_mount, c"sysfs", c"/sys", c"sysfs", 0, 0);
    let words = [
        "cyclictest",
        "-q",
        "-m",
        "-p",
        "80",
        "-i",
        "1000",
        "-l",
        "3000",
    ];
    let Some(text) = said(&words) else { return };
    for (what, word) in [("average", "Avg:"), ("most", "Max:")] {
        if let Some(microseconds) = number(&text, word) {
            console::result(&format!("{name}, {what}"), microseconds, "us");
        }
    }
}

/// What a program of `/bin` says; `None` if it is not there, or fails.
fn said(words: &[&str]) -> Option<String> {
    let (status, text) = output(|| exec(words));
    (status == Status::Exited(0)).then_some(text)
}

fn exec(words: &[&str]) -> i32 {
    let path = CString::new(format!("/bin/{}", words[0])).unwrap_or_default();
    let (argv, none) = (Strings::new(words), Strings::new::<&str>(&[]));
    let _ = sys!(SYS_execve, path.as_c_str(), argv.as_ptr(), none.as_ptr());
    127
}

/// Its words go nowhere.
fn quiet() {
    let file = sys!(SYS_open, c"/dev/null", libc::O_WRONLY).unwrap_or_else(|_| open(c"/", 0));
    let _ = sys!(SYS_dup2, file, 1);
}

/// Ends a program and all that it started.
fn end(load: Child) {
    let _ = sys!(SYS_kill, -load.pid, libc::SIGKILL);
    load.wait();
    // Orphans come to whoever is process 1, which may be this program.
    while sys!(SYS_wait4, -1, 0, 0, 0).is_ok() {}
}

/// The number behind a word.
fn number(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}
