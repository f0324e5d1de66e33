//! Memory: faults, mappings, protection; and how much of it is left after the boot.

use crate::clock::ticks;
use crate::console;
use crate::measure::{Bench, Plan};
use libc::{MADV_NOHUGEPAGE, MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use test_programs::memory::{PAGE, peek, poke, sysinfo};
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "page fault",
        run: |plan, name| faults(plan, name, poke_one),
    },
    Bench {
        name: "page fault, reading",
        run: |plan, name| {
            faults(plan, name, |address| {
                std::hint::black_box(peek(address));
            })
        },
    },
    Bench {
        name: "copy-on-write fault",
        run: copies,
    },
    Bench {
        name: "mmap+munmap",
        run: |plan, name| {
            plan.each(name, |n| {
                for _ in 0..n {
                    let address = map(4);
                    let _ = sys!(SYS_munmap, address, 4 * PAGE);
                }
            });
        },
    },
    Bench {
        name: "mmap+4 touches+munmap",
        run: |plan, name| {
            plan.each(name, |n| {
                for _ in 0..n {
                    let address = map(4);
                    (0..4).for_each(|p| poke(address + p * PAGE, 1));
                    let _ = sys!(SYS_munmap, address, 4 * PAGE);
                }
            });
        },
    },
    Bench {
        name: "mprotect",
        run: |plan, name| {
            let address = map(16);
            (0..16).for_each(|p| poke(address + p * PAGE, 1));
            plan.each(name, |n| {
                for i in 0..n {
                    let protection = if i % 2 == 0 {
                        PROT_READ
                    } else {
                        PROT_READ | PROT_WRITE
                    };
                    let _ = sys!(SYS_mprotect, address + 4 * PAGE, 4 * PAGE, protection);
                }
            });
            let _ = sys!(SYS_munmap, address, 16 * PAGE);
        },
    },
    Bench {
        name: "brk",
        run: |plan, name| {
            let end = sys!(SYS_brk, 0).unwrap_or(0);
            plan.each(name, |n| {
                for _ in 0..n {
                    let _ = sys!(SYS_brk, end + 4 * PAGE);
                    let _ = sys!(SYS_brk, end);
                }
            });
        },
    },
];

fn poke_one(address: usize) {
    poke(address, 1);
}

fn map(pages: usize) -> usize {
    sys!(
        SYS_mmap,
        0,
        pages * PAGE,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0
    )
    .unwrap_or(0)
}

/// Fresh memory touched page by page; only the touching is timed. Huge pages would hide the faults.
fn faults(plan: &Plan, name: &str, touch: fn(usize)) {
    plan.timed(name, |n| {
        let (mut left, mut took) = (n as usize, 0);
        while left > 0 {
            let pages = left.min(512);
            let address = map(pages);
            let _ = sys!(SYS_madvise, address, pages * PAGE, MADV_NOHUGEPAGE);
            let start = ticks();
            (0..pages).for_each(|p| touch(address + p * PAGE));
            took += ticks() - start;
            let _ = sys!(SYS_munmap, address, pages * PAGE);
            left -= pages;
        }
        took
    });
}

/// A child writes to pages that it shares with its parent, and tells how long that took.
fn copies(plan: &Plan, name: &str) {
    const PAGES: usize = 512;
    let address = map(PAGES);
    let _ = sys!(SYS_madvise, address, PAGES * PAGE, MADV_NOHUGEPAGE);
    (0..PAGES).for_each(|p| poke(address + p * PAGE, 1));
    let shared = test_programs::memory::Mapping::shared(PAGE);
    plan.timed(name, |n| {
        let (mut left, mut took) = (n as usize, 0);
        while left > 0 {
            let pages = left.min(PAGES);
            let child = sys!(SYS_fork).unwrap_or(1);
            if child == 0 {
                let start = ticks();
                (0..pages).for_each(|p| poke(address + p * PAGE, 2));
                let spent = ticks() - start;
                // SAFETY: the shared page is this program's.
                unsafe { shared.at(0).cast::<u64>().write_volatile(spent) };
                test_programs::child::exit(0);
            }
            let _ = sys!(SYS_wait4, child, 0, 0, 0);
            // SAFETY: as above; the child is gone.
            took += unsafe { shared.at(0).cast::<u64>().read_volatile() };
            left -= pages;
        }
        took
    });
    let _ = sys!(SYS_munmap, address, PAGES * PAGE);
}

/// What the kernel says of memory, before this program has used much. What lies outside its total (its own image and
/// tables, perhaps) only the one who gave the memory can add.
pub fn report() {
    let info = sysinfo();
    let kib = |amount: u64| (amount * u64::from(info.mem_unit.max(1)) / 1024) as f64;
    console::result("memory total after boot", kib(info.totalram), "KiB");
    console::result("memory free after boot", kib(info.freeram), "KiB");
    console::result(
        "memory used of it after boot",
        kib(info.totalram - info.freeram),
        "KiB",
    );
}
