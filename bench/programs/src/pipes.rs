//! Pipes, and switching between two processes.

use crate::measure::{Bench, Plan, ignore};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::memory::Shared;
use test_programs::raw::short::{close, pipe};
use test_programs::{child, sys};

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "pipe 1 B in one process",
        run: |plan, name| {
            let (reader, writer) = pipe();
            let mut byte = 0u8;
            plan.each(name, |n| {
                for _ in 0..n {
                    let _ = sys!(SYS_write, writer, &byte, 1);
                    let _ = sys!(SYS_read, reader, &mut byte, 1);
                }
            });
            close(reader);
            close(writer);
        },
    },
    Bench {
        name: "pipe round trip",
        run: round_trip,
    },
    Bench {
        name: "pipe bandwidth",
        run: |plan, name| {
            with_reader(|writer| {
                let block = vec![1u8; 65536];
                plan.bandwidth(name, block.len(), |n| write_blocks(writer, &block, n));
            });
        },
    },
    Bench {
        name: "pipe 4 KiB to another process",
        run: |plan, name| {
            with_reader(|writer| plan.each(name, |n| write_blocks(writer, &[1; 4096], n)))
        },
    },
    Bench {
        name: "process switch",
        run: turns,
    },
    Bench {
        name: "poll of 10 pipes",
        run: |plan, name| {
            let ends: Vec<(usize, usize)> = (0..10).map(|_| pipe()).collect();
            let mut list: Vec<libc::pollfd> = ends
                .iter()
                .map(|(reader, _)| libc::pollfd {
                    fd: *reader as i32,
                    events: libc::POLLIN,
                    revents: 0,
                })
                .collect();
            plan.each(name, |n| {
                (0..n).for_each(|_| ignore(sys!(SYS_poll, list.as_mut_ptr(), 10, 0)))
            });
            ends.into_iter().for_each(|(reader, writer)| {
                close(reader);
                close(writer);
            });
        },
    },
];

/// One byte there and one byte back, between two processes.
pub fn round_trip(plan: &Plan, name: &str) {
    let (there, back) = (pipe(), pipe());
    let peer = child::fork(|| {
        close(there.1);
        close(back.0);
        child::relay(there.0, back.1);
        0
    });
    close(there.0);
    close(back.1);
    let mut byte = 0u8;
    plan.each(name, |n| {
        for _ in 0..n {
            let _ = sys!(SYS_write, there.1, &byte, 1);
            let _ = sys!(SYS_read, back.0, &mut byte, 1);
        }
    });
    close(there.1);
    peer.wait();
    close(back.0);
}

/// Hands over a writer whose other end a process reads as fast as it can.
fn with_reader(act: impl FnOnce(usize)) {
    let (reader, writer) = pipe();
    let peer = child::fork(|| {
        close(writer);
        let mut buffer = vec![0u8; 65536];
        while matches!(sys!(SYS_read, reader, buffer.as_mut_ptr(), 65536), Ok(n) if n > 0) {}
        0
    });
    close(reader);
    act(writer);
    close(writer);
    peer.wait();
}

fn write_blocks(writer: usize, block: &[u8], count: u64) {
    for _ in 0..count {
        ignore(sys!(SYS_write, writer, block.as_ptr(), block.len()));
    }
}

/// Two processes give each other the processor: a word in shared memory says whose turn it is. Nanoseconds per switch.
fn turns(plan: &Plan, name: &str) {
    let turn = Shared::<AtomicU32>::new();
    let peer = child::fork(|| {
        loop {
            match turn.load(Ordering::Acquire) {
                1 => turn.store(0, Ordering::Release),
                2 => return 0,
                _ => ignore(sys!(SYS_sched_yield)),
            }
        }
    });
    plan.each(name, |n| {
        for _ in 0..n.div_ceil(2) {
            turn.store(1, Ordering::Release);
            while turn.load(Ordering::Acquire) != 0 {
                let _ = sys!(SYS_sched_yield);
            }
        }
    });
    turn.store(2, Ordering::Release);
    peer.wait();
}
