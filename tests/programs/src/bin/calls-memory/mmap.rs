//! mmap(2) of anonymous memory: placement, flags, errors.

use libc::{
    EEXIST, EINVAL, ENOMEM, EPERM, MAP_32BIT, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_STACK, PROT_EXEC,
    PROT_NONE, PROT_READ, PROT_WRITE, SIGSEGV,
};
use test_programs::child::{dies_of, passes};
use test_programs::memory::{Mapping, PAGE, peek, poke, readable, writable};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    zeroed_and_writable,
    length_is_rounded_up,
    errors,
    mappings_do_not_overlap,
    a_free_hint_is_taken,
    a_taken_hint_is_moved,
    an_unaligned_hint_is_rounded,
    fixed_takes_the_place,
    fixed_replaces_what_was_there,
    fixed_replaces_the_middle,
    noreplace_refuses,
    fixed_errors,
    below_the_lowest_address,
    beyond_the_highest_address,
    no_access,
    write_only_can_be_read,
    executable_memory_runs,
    not_executable_memory_does_not,
    untouched_memory_costs_nothing,
    everything_is_too_much,
    many_mappings,
    neighbours_of_one_kind,
    shared_anonymous_memory,
    noreserve_and_populate,
    grows_down,
    the_first_gigabytes,
    zero_page_reads_stay_apart,
    stack_flag_is_accepted,
    map_and_unmap_again_and_again,
);

const RW: i32 = PROT_READ | PROT_WRITE;
const ANON: i32 = MAP_PRIVATE | MAP_ANONYMOUS;

fn map(at: usize, len: usize, flags: i32) -> Result<usize, i32> {
    sys!(SYS_mmap, at, len, RW, ANON | flags, -1, 0)
}

/// A place of so many pages that nothing else uses.
fn free_place(pages: usize) -> usize {
    let mapping = Mapping::private(pages * PAGE);
    mapping.address
}

fn zeroed_and_writable() {
    let mapping = Mapping::private(100 * PAGE);
    assert!(mapping.address.is_multiple_of(PAGE));
    assert!((0..100 * PAGE).step_by(64).all(|at| mapping.get(at) == 0));
    (0..100).for_each(|p| mapping.set(p * PAGE + p, p as u8));
    (0..100).for_each(|p| assert_eq!(mapping.get(p * PAGE + p), p as u8));
}

fn length_is_rounded_up() {
    let mapping = Mapping::private(1);
    poke(mapping.address + PAGE - 1, 1);
    let mapping = Mapping::private(PAGE + 1);
    poke(mapping.address + 2 * PAGE - 1, 1);
}

fn errors() {
    fails!(EINVAL, SYS_mmap, 0, 0, RW, ANON, -1, 0);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, MAP_ANONYMOUS, -1, 0);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, MAP_ANONYMOUS | 0xf, -1, 0);
    fails!(EBADF, SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, -1, 0);
    fails!(EBADF, SYS_mmap, 0, PAGE, RW, MAP_SHARED, 500, 0);
    fails!(ENOMEM, SYS_mmap, 0, 1usize << 60, RW, ANON, -1, 0);
    fails!(ENOMEM, SYS_mmap, 0, usize::MAX, RW, ANON, -1, 0);
    fails!(
        ENOMEM,
        SYS_mmap,
        0,
        0x8000_0000_0000usize,
        PROT_NONE,
        ANON | MAP_NORESERVE,
        -1,
        0
    );
}

fn mappings_do_not_overlap() {
    let mappings: Vec<Mapping> = (1..50).map(|n| Mapping::private(n * PAGE)).collect();
    let mut ranges: Vec<(usize, usize)> = mappings
        .iter()
        .map(|m| (m.address, m.address + m.len))
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|w| w[0].1 <= w[1].0));
}

fn a_free_hint_is_taken() {
    let place = free_place(4);
    assert_eq!(map(place, PAGE, 0), Ok(place));
    assert_eq!(map(0x5000_0000_0000, PAGE, 0), Ok(0x5000_0000_0000));
}

fn a_taken_hint_is_moved() {
    let taken = Mapping::private(4 * PAGE);
    taken.set(0, 9);
    let other = map(taken.address, PAGE, 0).unwrap();
    assert!(!(taken.address..taken.address + taken.len).contains(&other));
    assert_eq!(taken.get(0), 9);
}

fn an_unaligned_hint_is_rounded() {
    let place = free_place(4);
    let got = map(place + 1, PAGE, 0).unwrap();
    assert!(
        got == place || got == place + PAGE,
        "{got:#x} for {place:#x}+1"
    );
}

fn fixed_takes_the_place() {
    let place = free_place(4);
    assert_eq!(map(place, 4 * PAGE, MAP_FIXED), Ok(place));
    assert!(writable(place + 4 * PAGE - 1));
}

fn fixed_replaces_what_was_there() {
    let old = Mapping::private(3 * PAGE);
    (0..3).for_each(|p| old.set(p * PAGE, 7));
    assert_eq!(map(old.address, 3 * PAGE, MAP_FIXED), Ok(old.address));
    assert!((0..3).all(|p| old.get(p * PAGE) == 0));
}

fn fixed_replaces_the_middle() {
    let old = Mapping::private(5 * PAGE);
    (0..5).for_each(|p| old.set(p * PAGE, p as u8 + 1));
    ok!(
        SYS_mmap,
        old.at(2 * PAGE),
        PAGE,
        PROT_READ,
        ANON | MAP_FIXED,
        -1,
        0
    );
    assert_eq!(
        (0..5).map(|p| old.get(p * PAGE)).collect::<Vec<_>>(),
        [1, 2, 0, 4, 5]
    );
    assert!(
        writable(old.address + PAGE)
            && !writable(old.address + 2 * PAGE)
            && writable(old.address + 3 * PAGE)
    );
}

fn noreplace_refuses() {
    let old = Mapping::private(4 * PAGE);
    for at in [0, PAGE, 3 * PAGE] {
        assert_eq!(
            map(old.address + at, 2 * PAGE, MAP_FIXED_NOREPLACE),
            Err(EEXIST)
        );
    }
    let place = free_place(2);
    assert_eq!(map(place, 2 * PAGE, MAP_FIXED_NOREPLACE), Ok(place));
}

fn fixed_errors() {
    assert_eq!(map(0x7000_0000_0001, PAGE, MAP_FIXED), Err(EINVAL));
    assert_eq!(map(0x7000_0000_0800, PAGE, MAP_FIXED), Err(EINVAL));
    assert_eq!(map(usize::MAX - PAGE + 1, PAGE, MAP_FIXED), Err(ENOMEM));
    assert_eq!(map(0xffff_8000_0000_0000, PAGE, MAP_FIXED), Err(ENOMEM));
}

/// Address zero is for root only, and then only where it is allowed at all; nobody else gets it.
fn below_the_lowest_address() {
    passes(|| {
        test_programs::child::become_nobody();
        assert_eq!(map(0, PAGE, MAP_FIXED), Err(EPERM));
        let got = map(0x1000, PAGE, 0).unwrap();
        assert!(got >= 0x1_0000);
    });
}

/// The last page below the hole between user and kernel addresses is not to be had, for a processor may stumble there.
/// With five levels of page tables the hole is higher up.
fn beyond_the_highest_address() {
    let short = 0x7fff_ffff_f000;
    let end = if map(short, PAGE, MAP_FIXED).is_ok() {
        0xff_ffff_ffff_f000
    } else {
        short
    };
    assert_eq!(map(end - PAGE, 2 * PAGE, MAP_FIXED), Err(ENOMEM));
    assert_eq!(map(end, PAGE, MAP_FIXED), Err(ENOMEM));
    assert_eq!(map(end - PAGE, PAGE, MAP_FIXED), Ok(end - PAGE));
    poke(end - 1, 1);
    // Reads that run over the end are refused.
    let (_reader, writer) = pipe();
    fails!(EFAULT, SYS_write, writer, end, 1);
    gives!(1, SYS_write, writer, end - 1, 1);
}

fn no_access() {
    let mapping = Mapping::new(PAGE, PROT_NONE, MAP_PRIVATE);
    assert!(!readable(mapping.address));
    dies_of(SIGSEGV, || poke(mapping.address, 1));
    dies_of(SIGSEGV, || assert_eq!(peek(mapping.address), 0));
}

/// The processor knows no memory that can be written but not read.
fn write_only_can_be_read() {
    let mapping = Mapping::new(PAGE, PROT_WRITE, MAP_PRIVATE);
    poke(mapping.address, 5);
    assert_eq!(peek(mapping.address), 5);
}

fn call(address: usize) -> u32 {
    // SAFETY: the test has put a function without arguments there.
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(address) };
    function()
}

fn put_function(at: usize, result: u8) {
    for (i, byte) in [0xb8, result, 0, 0, 0, 0xc3].into_iter().enumerate() {
        poke(at + i, byte);
    }
}

fn executable_memory_runs() {
    let mapping = Mapping::new(PAGE, RW | PROT_EXEC, MAP_PRIVATE);
    for result in 1..50 {
        put_function(mapping.address, result);
        assert_eq!(call(mapping.address), u32::from(result));
    }
}

fn not_executable_memory_does_not() {
    let mapping = Mapping::private(PAGE);
    put_function(mapping.address, 1);
    dies_of(SIGSEGV, || assert_eq!(call(mapping.address), 1));
}

fn untouched_memory_costs_nothing() {
    let mapping = Mapping::new(64 << 30, RW, MAP_PRIVATE | MAP_NORESERVE);
    for at in [0, 1 << 30, (64 << 30) - 1] {
        assert_eq!(mapping.get(at), 0);
        mapping.set(at, 1);
        assert_eq!(mapping.get(at), 1);
    }
}

fn everything_is_too_much() {
    assert_eq!(map(0, 0x7fff_ffff_f000, 0), Err(ENOMEM));
    drop(Mapping::private(PAGE));
}

fn many_mappings() {
    let mappings: Vec<Mapping> = (0..1000)
        .map(|n| Mapping::new(PAGE, if n % 2 == 0 { RW } else { PROT_READ }, MAP_PRIVATE))
        .collect();
    for mapping in mappings.iter().step_by(2) {
        mapping.set(0, 1);
    }
    assert!(
        mappings
            .iter()
            .enumerate()
            .all(|(n, m)| usize::from(m.get(0)) == (n + 1) % 2)
    );
}

/// Mappings that could be one must still be cut and protected one by one.
fn neighbours_of_one_kind() {
    let place = free_place(6);
    for p in 0..6 {
        assert_eq!(map(place + p * PAGE, PAGE, MAP_FIXED), Ok(place + p * PAGE));
        poke(place + p * PAGE, p as u8);
    }
    ok!(SYS_munmap, place + PAGE, 2 * PAGE);
    ok!(SYS_mprotect, place + 4 * PAGE, PAGE, PROT_READ);
    let readables: Vec<bool> = (0..6).map(|p| readable(place + p * PAGE)).collect();
    assert_eq!(readables, [true, false, false, true, true, true]);
    assert_eq!((peek(place + 3 * PAGE), peek(place + 5 * PAGE)), (3, 5));
    assert!(!writable(place + 4 * PAGE) && writable(place + 5 * PAGE));
}

fn shared_anonymous_memory() {
    let mapping = Mapping::shared(10 * PAGE);
    mapping.set(0, 1);
    passes(|| {
        assert_eq!(mapping.get(0), 1);
        (0..10).for_each(|p| mapping.set(p * PAGE, 2));
        passes(|| mapping.set(5 * PAGE, 3));
    });
    assert_eq!(
        (mapping.get(0), mapping.get(5 * PAGE), mapping.get(9 * PAGE)),
        (2, 3, 2)
    );
}

fn noreserve_and_populate() {
    let mapping = Mapping::new(20 * PAGE, RW, MAP_PRIVATE | MAP_POPULATE);
    assert!((0..20).all(|p| mapping.get(p * PAGE) == 0));
    let mapping = Mapping::new(20 * PAGE, RW, MAP_SHARED | MAP_NORESERVE);
    mapping.set(PAGE, 1);
}

/// The old flag for stacks: a touch just below extends it.
fn grows_down() {
    let place = free_place(600);
    let top = place + 599 * PAGE;
    assert_eq!(map(top, PAGE, MAP_FIXED | MAP_GROWSDOWN), Ok(top));
    for p in 1..20 {
        poke(top - p * PAGE, p as u8);
    }
    assert_eq!(peek(top - 19 * PAGE), 19);
}

fn the_first_gigabytes() {
    let got = ok!(SYS_mmap, 0, 16 * PAGE, RW, ANON | MAP_32BIT, -1, 0);
    assert!(got < 0x8000_0000, "{got:#x}");
    poke(got, 1);
}

/// Reading first must not make pages share what is written later.
fn zero_page_reads_stay_apart() {
    let mapping = Mapping::private(8 * PAGE);
    assert!((0..8).all(|p| mapping.get(p * PAGE) == 0));
    mapping.set(3 * PAGE, 1);
    let values: Vec<u8> = (0..8).map(|p| mapping.get(p * PAGE)).collect();
    assert_eq!(values, [0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(Mapping::private(PAGE).get(0), 0);
}

fn stack_flag_is_accepted() {
    let mapping = Mapping::new(16 * PAGE, RW, MAP_PRIVATE | MAP_STACK);
    mapping.set(15 * PAGE, 1);
}

fn map_and_unmap_again_and_again() {
    for round in 0..3000usize {
        let mapping = Mapping::private((round % 7 + 1) * PAGE);
        assert_eq!(mapping.get(0), 0, "round {round}");
        mapping.set(0, 0xff);
        mapping.set(mapping.len - 1, 0xff);
    }
}
