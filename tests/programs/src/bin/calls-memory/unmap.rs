//! munmap(2).

use libc::{
    EINVAL, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE, SIGSEGV,
};
use test_programs::child::{dies_of, passes};
use test_programs::memory::{Mapping, PAGE, peek, readable};
use test_programs::pattern::Numbers;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    memory_is_gone,
    the_beginning,
    the_end,
    the_middle,
    over_several_mappings,
    what_is_not_mapped_is_fine,
    errors,
    length_is_rounded_up,
    pages_come_back_clean,
    of_a_neighbour_leaves_the_rest,
    while_a_child_has_it,
    random_cuts,
    ones_own_stack_page_stays,
);

fn memory_is_gone() {
    let mapping = Mapping::private(2 * PAGE);
    mapping.set(0, 1);
    gives!(0, SYS_munmap, mapping.address, 2 * PAGE);
    assert!(!readable(mapping.address) && !readable(mapping.address + PAGE));
    dies_of(SIGSEGV, || assert_eq!(peek(mapping.address), 1));
}

/// Which of the pages are there.
fn there(mapping: &Mapping) -> String {
    (0..mapping.len / PAGE)
        .map(|p| {
            if readable(mapping.address + p * PAGE) {
                'x'
            } else {
                '.'
            }
        })
        .collect()
}

fn the_beginning() {
    let mapping = Mapping::private(5 * PAGE);
    ok!(SYS_munmap, mapping.at(0), 2 * PAGE);
    assert_eq!(there(&mapping), "..xxx");
}

fn the_end() {
    let mapping = Mapping::private(5 * PAGE);
    ok!(SYS_munmap, mapping.at(3 * PAGE), 2 * PAGE);
    assert_eq!(there(&mapping), "xxx..");
}

fn the_middle() {
    let mapping = Mapping::private(5 * PAGE);
    (0..5).for_each(|p| mapping.set(p * PAGE, p as u8));
    ok!(SYS_munmap, mapping.at(2 * PAGE), PAGE);
    assert_eq!(there(&mapping), "xx.xx");
    assert_eq!((mapping.get(PAGE), mapping.get(3 * PAGE)), (1, 3));
}

fn over_several_mappings() {
    let mapping = Mapping::private(9 * PAGE);
    mapping.protect(2 * PAGE, PAGE, PROT_READ);
    ok!(SYS_munmap, mapping.at(4 * PAGE), PAGE);
    ok!(SYS_munmap, mapping.at(PAGE), 6 * PAGE);
    assert_eq!(there(&mapping), "x......xx");
}

fn what_is_not_mapped_is_fine() {
    let mapping = Mapping::private(3 * PAGE);
    for _ in 0..3 {
        gives!(0, SYS_munmap, mapping.address, 3 * PAGE);
    }
    gives!(0, SYS_munmap, 0x10_0000_0000usize, 1usize << 30);
}

fn errors() {
    let mapping = Mapping::private(PAGE);
    fails!(EINVAL, SYS_munmap, mapping.address + 1, PAGE);
    fails!(EINVAL, SYS_munmap, mapping.address, 0);
    fails!(EINVAL, SYS_munmap, 0xffff_8000_0000_0000usize, PAGE);
    fails!(EINVAL, SYS_munmap, mapping.address, usize::MAX);
    fails!(EINVAL, SYS_munmap, 1usize << 57, PAGE);
    assert!(readable(mapping.address));
}

fn length_is_rounded_up() {
    let mapping = Mapping::private(3 * PAGE);
    ok!(SYS_munmap, mapping.at(0), PAGE + 1);
    assert_eq!(there(&mapping), "..x");
}

fn pages_come_back_clean() {
    for _ in 0..20 {
        let mapping = Mapping::private(50 * PAGE);
        assert!((0..50 * PAGE).step_by(512).all(|at| mapping.get(at) == 0));
        (0..50 * PAGE)
            .step_by(512)
            .for_each(|at| mapping.set(at, 0xaa));
    }
}

fn of_a_neighbour_leaves_the_rest() {
    let (a, b) = (Mapping::private(2 * PAGE), Mapping::private(2 * PAGE));
    a.set(0, 1);
    b.set(PAGE, 2);
    let address = a.address;
    drop(a);
    assert!(!readable(address));
    assert_eq!(b.get(PAGE), 2);
}

fn while_a_child_has_it() {
    let mapping = Mapping::private(3 * PAGE);
    (0..3).for_each(|p| mapping.set(p * PAGE, 5));
    let gate = test_programs::child::Gate::new();
    let child = test_programs::child::spawn(|| {
        gate.wait();
        assert!((0..3).all(|p| mapping.get(p * PAGE) == 5));
    });
    ok!(SYS_munmap, mapping.address, 3 * PAGE);
    gate.open();
    child.passes();
    passes(|| assert!(!readable(mapping.address)));
}

fn random_cuts() {
    const PAGES: usize = 64;
    let mapping = Mapping::new(PAGES * PAGE, PROT_NONE, MAP_PRIVATE);
    let mut model = [None; PAGES];
    let mut numbers = Numbers::new(42);
    for round in 0..600u64 {
        let first = numbers.below(PAGES as u64) as usize;
        let count = (numbers.below(8) as usize + 1).min(PAGES - first);
        let at = mapping.at(first * PAGE);
        if numbers.below(2) == 0 {
            ok!(SYS_munmap, at, count * PAGE);
            model[first..first + count].fill(None);
        } else {
            let value = round as u8;
            ok!(
                SYS_mmap,
                at,
                count * PAGE,
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1,
                0
            );
            (first..first + count).for_each(|p| mapping.set(p * PAGE, value));
            model[first..first + count].fill(Some(value));
        }
    }
    for (p, expected) in model.iter().enumerate() {
        let touched = readable(mapping.address + p * PAGE).then(|| mapping.get(p * PAGE));
        assert_eq!(touched, *expected, "page {p}");
    }
}

fn ones_own_stack_page_stays() {
    let here = 0u8;
    assert!(readable(&raw const here as usize));
    assert_eq!(
        sys!(SYS_munmap, (&raw const here as usize) & !(PAGE - 1), 0),
        Err(EINVAL)
    );
}
