//! Copying on write: after a fork both sides see what was, and nobody sees the other's writes.

use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{Child, Gate, passes, spawn};
use test_programs::memory::{Mapping, PAGE, Shared};
use test_programs::pattern::{self, Numbers};
use test_programs::raw::short::*;
use test_programs::{gives, ok};

test_programs::tests!(
    writes_of_the_child_stay_there,
    writes_of_the_parent_stay_there,
    three_generations,
    siblings,
    when_the_parent_is_gone,
    when_the_child_is_gone_writing_is_cheap,
    the_kernel_writes_too,
    the_kernel_reads_the_right_copy,
    random_writes_of_many_processes,
    untouched_pages_stay_zero,
    read_before_and_after,
    big_memory_forks_quickly,
    heap_and_statics,
    threads_write_while_another_forks,
    a_page_written_on_both_sides,
    a_tree_of_processes,
);

fn filled(pages: usize, seed: u64) -> Mapping {
    let mapping = Mapping::private(pages * PAGE);
    let mut page = [0u8; PAGE];
    for p in 0..pages {
        pattern::fill(seed, (p * PAGE) as u64, &mut page);
        page.iter()
            .enumerate()
            .for_each(|(i, b)| mapping.set(p * PAGE + i, *b));
    }
    mapping
}

fn intact(mapping: &Mapping, seed: u64) -> bool {
    let bytes: Vec<u8> = (0..mapping.len).map(|at| mapping.get(at)).collect();
    pattern::mismatch(seed, 0, &bytes).is_none()
}

fn writes_of_the_child_stay_there() {
    let mapping = filled(64, 1);
    passes(|| {
        (0..mapping.len)
            .step_by(7)
            .for_each(|at| mapping.set(at, 0));
    });
    assert!(intact(&mapping, 1));
}

fn writes_of_the_parent_stay_there() {
    let mapping = filled(64, 2);
    let gate = Gate::new();
    let child = spawn(|| {
        gate.wait();
        assert!(intact(&mapping, 2));
    });
    (0..mapping.len)
        .step_by(7)
        .for_each(|at| mapping.set(at, 0));
    gate.open();
    child.passes();
}

fn three_generations() {
    let mapping = filled(16, 3);
    passes(|| {
        mapping.set(0, 1);
        let value = mapping.get(0);
        passes(|| {
            mapping.set(0, 2);
            mapping.set(5 * PAGE, 2);
            passes(|| {
                assert_eq!((mapping.get(0), mapping.get(5 * PAGE)), (2, 2));
                mapping.set(0, 3);
            });
            assert_eq!(mapping.get(0), 2);
        });
        assert_eq!(mapping.get(0), value);
    });
    assert!(intact(&mapping, 3));
}

fn siblings() {
    let mapping = filled(32, 4);
    let gate = Gate::new();
    let children: Vec<Child> = (0..6u8)
        .map(|n| {
            let (mapping, gate) = (&mapping, &gate);
            spawn(move || {
                gate.wait();
                (0..32).for_each(|p| mapping.set(p * PAGE + usize::from(n), n));
                (0..32).for_each(|p| assert_eq!(mapping.get(p * PAGE + usize::from(n)), n));
            })
        })
        .collect();
    gate.open();
    children.into_iter().for_each(Child::passes);
    assert!(intact(&mapping, 4));
}

fn when_the_parent_is_gone() {
    let (reader, writer) = pipe();
    let mapping = filled(32, 5);
    passes(|| {
        mapping.set(0, mapping.get(0) ^ 0xff);
        let _ = spawn(|| {
            mapping.set(0, mapping.get(0) ^ 0xff);
            write(writer, &[u8::from(intact(&mapping, 5))]);
        });
    });
    assert_eq!(read(reader, 1), [1]);
    assert!(intact(&mapping, 5));
}

fn when_the_child_is_gone_writing_is_cheap() {
    let mapping = filled(64, 6);
    for round in 0..20u8 {
        passes(|| ());
        (0..64).for_each(|p| mapping.set(p * PAGE, round));
    }
    assert!((0..64).all(|p| mapping.get(p * PAGE) == 19));
}

/// A read into memory that is still shared with the parent makes a copy first.
fn the_kernel_writes_too() {
    let mapping = filled(8, 7);
    let fd = file_with(c"f", &[9; 8 * PAGE]);
    passes(|| {
        gives!(8 * PAGE, SYS_read, fd, mapping.address, 8 * PAGE);
        assert!((0..8 * PAGE).all(|at| mapping.get(at) == 9));
        ok!(SYS_clock_gettime, 0, mapping.at(PAGE));
    });
    assert!(intact(&mapping, 7));
}

fn the_kernel_reads_the_right_copy() {
    let mapping = filled(2, 8);
    let gate = Gate::new();
    let (reader, writer) = pipe();
    let child = spawn(|| {
        gate.wait();
        gives!(1, SYS_write, writer, mapping.address, 1);
    });
    let value = mapping.get(0);
    mapping.set(0, !value);
    gate.open();
    child.passes();
    assert_eq!(read(reader, 1), [value]);
}

fn random_writes_of_many_processes() {
    const PAGES: usize = 40;
    let mapping = Mapping::private(PAGES * PAGE);
    fn work(mapping: &Mapping, mut model: Vec<u8>, seed: u64, depth: u32) {
        let mut numbers = Numbers::new(seed);
        for round in 0..120 {
            let page = numbers.below(PAGES as u64) as usize;
            let value = numbers.word() as u8;
            mapping.set(page * PAGE, value);
            model[page] = value;
            if round % 40 == 20 && depth > 0 {
                let copy = model.clone();
                let child = spawn(|| work(mapping, copy, seed * 31 + round, depth - 1));
                mapping.set(0, 1);
                model[0] = 1;
                child.passes();
            }
            let check = numbers.below(PAGES as u64) as usize;
            assert_eq!(mapping.get(check * PAGE), model[check]);
        }
        assert!((0..PAGES).all(|p| mapping.get(p * PAGE) == model[p]));
    }
    work(&mapping, vec![0; PAGES], 77, 3);
}

fn untouched_pages_stay_zero() {
    let mapping = Mapping::private(20 * PAGE);
    passes(|| {
        mapping.set(3 * PAGE, 1);
        passes(|| {
            assert_eq!((mapping.get(3 * PAGE), mapping.get(4 * PAGE)), (1, 0));
            mapping.set(4 * PAGE, 1);
        });
        assert_eq!(mapping.get(4 * PAGE), 0);
    });
    assert!((0..20).all(|p| mapping.get(p * PAGE) == 0));
}

fn read_before_and_after() {
    let mapping = Mapping::private(4 * PAGE);
    assert_eq!(mapping.get(0), 0);
    let gate = Gate::new();
    let child = spawn(|| {
        assert_eq!(mapping.get(0), 0);
        gate.wait();
        assert_eq!(mapping.get(0), 0);
        mapping.set(0, 1);
    });
    mapping.set(0, 2);
    gate.open();
    child.passes();
    assert_eq!(mapping.get(0), 2);
}

/// Forking copies tables, not memory: fifty forks of 32 MiB do not need 1.6 GiB.
fn big_memory_forks_quickly() {
    let mapping = Mapping::private(32 << 20);
    (0..mapping.len)
        .step_by(PAGE)
        .for_each(|at| mapping.set(at, 1));
    let gate = Gate::new();
    let children: Vec<Child> = (0..50).map(|_| spawn(|| gate.wait())).collect();
    gate.open();
    children.into_iter().for_each(Child::passes);
    assert!(
        (0..mapping.len)
            .step_by(PAGE)
            .all(|at| mapping.get(at) == 1)
    );
}

fn heap_and_statics() {
    static CELL: AtomicU32 = AtomicU32::new(1);
    let heap: Vec<u32> = (0..100_000).collect();
    passes(|| {
        CELL.store(2, Ordering::SeqCst);
        let mut mine = heap.clone();
        mine[5] = 0;
        assert_eq!((CELL.load(Ordering::SeqCst), mine[6]), (2, 6));
    });
    assert_eq!(CELL.load(Ordering::SeqCst), 1);
    assert!(heap.iter().enumerate().all(|(i, n)| i as u32 == *n));
}

fn threads_write_while_another_forks() {
    let mapping = Mapping::private(16 * PAGE);
    let stop = AtomicU32::new(0);
    std::thread::scope(|s| {
        for t in 0..3usize {
            let (mapping, stop) = (&mapping, &stop);
            s.spawn(move || {
                let mut n = 0u8;
                while stop.load(Ordering::SeqCst) == 0 {
                    n = n.wrapping_add(1);
                    for p in 0..16 {
                        mapping.set(p * PAGE + t, n);
                        assert_eq!(mapping.get(p * PAGE + t), n);
                    }
                }
            });
        }
        for _ in 0..30 {
            passes(|| {
                (0..16).for_each(|p| mapping.set(p * PAGE + 100, 7));
            });
        }
        stop.store(1, Ordering::SeqCst);
    });
    assert!((0..16).all(|p| mapping.get(p * PAGE + 100) == 0));
}

fn a_page_written_on_both_sides() {
    let mapping = Mapping::private(PAGE);
    let turn = Shared::<AtomicU32>::new();
    let child = spawn(|| {
        for n in 0..200u8 {
            mapping.set(1, n);
            turn.fetch_add(1, Ordering::SeqCst);
            assert_eq!((mapping.get(0), mapping.get(1)), (0, n));
        }
    });
    for n in 0..200u8 {
        mapping.set(0, n);
        assert_eq!((mapping.get(0), mapping.get(1)), (n, 0));
    }
    child.passes();
    assert_eq!(turn.load(Ordering::SeqCst), 200);
}

/// Every process forks twice down to depth five; every page ends with its owner's value.
fn a_tree_of_processes() {
    fn grow(mapping: &Mapping, depth: u8) {
        mapping.set(usize::from(depth) * PAGE, depth + 1);
        if depth == 5 {
            assert!((0..6).all(|d| mapping.get(usize::from(d) * PAGE) == d + 1));
            return;
        }
        let pair = [
            spawn(|| grow(mapping, depth + 1)),
            spawn(|| grow(mapping, depth + 1)),
        ];
        pair.into_iter().for_each(Child::passes);
        assert_eq!(mapping.get(usize::from(depth + 1) * PAGE), 0);
    }
    let mapping = Mapping::private(8 * PAGE);
    grow(&mapping, 0);
}
