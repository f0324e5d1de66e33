//! Threads and futexes.

use crate::measure::{Bench, Plan, ignore};
use libc::{FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "thread create+join",
        run: |plan, name| {
            plan.each(name, |n| {
                (0..n).for_each(|_| drop(thread::spawn(|| ()).join()))
            })
        },
    },
    Bench {
        name: "futex wake of nobody",
        run: |plan, name| {
            let word = AtomicU32::new(0);
            plan.each(name, |n| {
                (0..n).for_each(|_| {
                    ignore(sys!(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1))
                })
            });
        },
    },
    Bench {
        name: "futex round trip",
        run: round_trip,
    },
    Bench {
        name: "thread switch",
        run: turns,
    },
];

/// Waits for the word to be `turn`, sets it to `next` and wakes the other.
fn pass(word: &AtomicU32, turn: u32, next: u32) {
    while word.load(Ordering::Acquire) != turn {
        let _ = sys!(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, next, 0);
    }
    word.store(next, Ordering::Release);
    let _ = sys!(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

/// Two threads that wait for each other in the kernel; there and back.
fn round_trip(plan: &Plan, name: &str) {
    plan.each(name, |n| {
        let word = AtomicU32::new(0);
        thread::scope(|s| {
            s.spawn(|| (0..n).for_each(|_| pass(&word, 1, 0)));
            (0..n).for_each(|_| pass(&word, 0, 1));
        });
    });
}

/// Two threads of one process give each other the processor. Nanoseconds per switch.
fn turns(plan: &Plan, name: &str) {
    plan.each(name, |n| {
        let word = AtomicU32::new(0);
        let side = |turn: u32| {
            for _ in 0..n.div_ceil(2) {
                while word.load(Ordering::Acquire) != turn {
                    let _ = sys!(SYS_sched_yield);
                }
                word.store(1 - turn, Ordering::Release);
            }
        };
        thread::scope(|s| {
            s.spawn(|| side(1));
            side(0);
        });
    });
}
