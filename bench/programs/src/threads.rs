//! Threads: making and joining them, waking one another.

use crate::Benchmark;
use crate::measure::Report;
use std::sync::atomic::{AtomicU32, Ordering};

pub const ALL: &[Benchmark] = &[
    ("thread create+join", create),
    ("futex round trip", futex),
    ("sched_yield", give_way),
];

fn create(report: &mut Report) {
    report.time(|| std::thread::spawn(|| {}).join().expect("it does nothing that could fail"));
}

fn give_way(report: &mut Report) {
    report.time(|| {
        // SAFETY: takes no argument.
        unsafe { libc::sched_yield() };
    });
}

fn wait(word: &AtomicU32, value: u32) {
    while word.load(Ordering::Acquire) == value {
        // SAFETY: the word lives longer than the call.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, 0usize) };
    }
}

fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const END: u32 = 2;

/// Another thread is woken, and wakes this one.
fn futex(report: &mut Report) {
    let word = AtomicU32::new(IDLE);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                wait(&word, IDLE);
                if word.load(Ordering::Acquire) == END {
                    return;
                }
                set(&word, IDLE);
            }
        });
        report.time(|| {
            set(&word, ASKED);
            wait(&word, ASKED);
        });
        set(&word, END);
    });
}
