//! What several processors are good for: how much more work is done by as many processes as there are processors than by
//! one, in the same time, and what it costs to hand something around between them.

use crate::clock::ticks;
use crate::measure::{Bench, Plan, compute};
use libc::{MAP_ANONYMOUS, MAP_PRIVATE, O_RDONLY, PROT_READ, PROT_WRITE};
use std::mem::{size_of, zeroed};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{self, Child, exit, fork};
use test_programs::memory::Shared;
use test_programs::raw::short::{close, pipe};
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "gain in computing",
        run: |plan, name| gain(plan, name, compute),
    },
    Bench {
        name: "gain in calls",
        run: |plan, name| gain(plan, name, calls),
    },
    Bench {
        name: "gain in opening files",
        run: |plan, name| gain(plan, name, files),
    },
    Bench {
        name: "gain in page faults",
        run: |plan, name| gain(plan, name, faults),
    },
    Bench {
        name: "gain in processes",
        run: |plan, name| gain(plan, name, || ended(vec![fork(|| 0)])),
    },
    Bench {
        name: "sched_yield alone",
        run: |plan, name| {
            plan.each(name, |n| {
                (0..n).for_each(|_| {
                    let _ = sys!(SYS_sched_yield);
                })
            })
        },
    },
    Bench {
        name: "pipe ring of 2",
        run: |plan, name| ring(plan, name, 2),
    },
    Bench {
        name: "pipe ring of 8",
        run: |plan, name| ring(plan, name, 8),
    },
    Bench {
        name: "pipe ring of 16",
        run: |plan, name| ring(plan, name, 16),
    },
    Bench {
        name: "messages of 20 to 20 processes",
        run: messages,
    },
];

/// How many processors this process may use.
fn processors() -> u32 {
    // SAFETY: all-zero bytes are a valid set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    match sys!(SYS_sched_getaffinity, 0, size, &mut set) {
        // SAFETY: the set is one, and filled in.
        Ok(_) => unsafe { libc::CPU_COUNT(&set) as u32 },
        Err(_) => 1,
    }
}

/// Prints how many times as much `work` one process for each processor does as one alone does. With one processor there is
/// nothing to say.
fn gain(plan: &Plan, name: &str, work: fn()) {
    let count = processors();
    if count < 2 {
        return;
    }
    let mut amount = 1;
    while together(1, amount, work) < plan.batch_ticks() * 4.0 {
        amount *= 2;
    }
    plan.median(name, "times", || {
        together(1, amount, work) / together(count, amount, work) * f64::from(count)
    });
}

/// The ticks that `count` processes take for `amount` of work each, from the signal to begin until the last is done.
fn together(count: u32, amount: u64, work: fn()) -> f64 {
    let begin = Shared::<AtomicU32>::new();
    let ready = Shared::<AtomicU32>::new();
    let workers: Vec<Child> = (0..count)
        .map(|_| {
            fork(|| {
                work();
                ready.fetch_add(1, Ordering::Release);
                while begin.load(Ordering::Acquire) == 0 {
                    let _ = sys!(SYS_sched_yield);
                }
                (0..amount).for_each(|_| work());
                0
            })
        })
        .collect();
    child::until(|| ready.load(Ordering::Acquire) == count);
    let start = ticks();
    begin.store(1, Ordering::Release);
    ended(workers);
    (ticks() - start) as f64
}

/// Waits for all of them.
fn ended(children: Vec<Child>) {
    for child in children {
        child.wait();
    }
}

/// Some calls of different kinds that have nothing to do with other processes.
fn calls() {
    let mut info = [0u8; 1024];
    let (reader, writer) = pipe();
    for _ in 0..10 {
        let _ = sys!(SYS_getppid);
        let _ = sys!(SYS_write, writer, info.as_ptr(), 100);
        let _ = sys!(SYS_read, reader, info.as_mut_ptr(), 100);
        let _ = sys!(SYS_uname, info.as_mut_ptr());
        let _ = sys!(SYS_fstat, reader, info.as_mut_ptr());
    }
    close(reader);
    close(writer);
}

fn files() {
    if let Ok(file) = sys!(SYS_open, c"/dev/zero", O_RDONLY) {
        close(file);
    }
}

fn faults() {
    const LENGTH: usize = 64 * 4096;
    let (protection, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    let Ok(start) = sys!(SYS_mmap, 0, LENGTH, protection, flags, -1, 0) else {
        return;
    };
    for page in (start..start + LENGTH).step_by(4096) {
        // SAFETY: the page was just mapped for writing.
        unsafe { (page as *mut u8).write_volatile(1) };
    }
    let _ = sys!(SYS_munmap, start, LENGTH);
}

/// Prints nanoseconds for a byte to go from one process to the next in a ring of `count`.
fn ring(plan: &Plan, name: &str, count: usize) {
    let pipes: Vec<_> = (0..count).map(|_| pipe()).collect();
    let relays: Vec<Child> = (1..count)
        .map(|n| {
            let (from, to) = (pipes[n - 1].0, pipes[n].1);
            fork(|| {
                for (index, (reader, writer)) in pipes.iter().enumerate() {
                    if index != n - 1 {
                        close(*reader);
                    }
                    if index != n {
                        close(*writer);
                    }
                }
                child::relay(from, to);
                0
            })
        })
        .collect();
    let (first, last) = (pipes[0].1, pipes[count - 1].0);
    let mut byte = 1u8;
    plan.each(name, |n| {
        for _ in 0..n.div_ceil(count as u64) {
            let _ = sys!(SYS_write, first, &byte, 1);
            let _ = sys!(SYS_read, last, &mut byte, 1);
        }
    });
    for (reader, writer) in pipes {
        close(reader);
        close(writer);
    }
    ended(relays);
}

/// As hackbench does: each of 20 processes sends 100-byte messages to each of 20 others. Prints nanoseconds per message.
fn messages(plan: &Plan, name: &str) {
    const SIDE: usize = 20;
    plan.timed(name, |n| {
        let rounds = n.div_ceil((SIDE * SIDE) as u64);
        let pipes: Vec<_> = (0..SIDE).map(|_| pipe()).collect();
        let begin = Shared::<AtomicU32>::new();
        let readers: Vec<Child> = (0..SIDE)
            .map(|me| {
                fork(|| {
                    let mut message = [0u8; 100];
                    for (index, (reader, writer)) in pipes.iter().enumerate() {
                        close(*writer);
                        if index != me {
                            close(*reader);
                        }
                    }
                    while sys!(SYS_read, pipes[me].0, message.as_mut_ptr(), 100)
                        .is_ok_and(|n| n > 0)
                    {}
                    exit(0)
                })
            })
            .collect();
        let writers: Vec<Child> = (0..SIDE)
            .map(|_| {
                fork(|| {
                    while begin.load(Ordering::Acquire) == 0 {
                        let _ = sys!(SYS_sched_yield);
                    }
                    let message = [1u8; 100];
                    for _ in 0..rounds {
                        for (_, writer) in &pipes {
                            let _ = sys!(SYS_write, *writer, message.as_ptr(), 100);
                        }
                    }
                    exit(0)
                })
            })
            .collect();
        for (reader, writer) in pipes {
            close(reader);
            close(writer);
        }
        let start = ticks();
        begin.store(1, Ordering::Release);
        ended(writers);
        ended(readers);
        // As many as were asked for, not as were sent.
        (ticks() - start) * n / (rounds * (SIDE * SIDE) as u64)
    });
}
