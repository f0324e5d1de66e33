//! mremap(2).

use libc::{
    EINVAL, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, MAP_SHARED, MREMAP_FIXED,
    MREMAP_MAYMOVE, PROT_NONE, PROT_READ, PROT_WRITE,
};
use test_programs::child::passes;
use test_programs::memory::{Mapping, PAGE, peek, poke, readable};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    shrinks_in_place,
    grows_in_place,
    grows_by_moving,
    cannot_grow_without_moving,
    contents_move_along,
    the_old_place_is_free,
    to_a_fixed_place,
    a_fixed_place_is_cleared_first,
    errors,
    a_hole_inside,
    part_of_a_mapping_moves,
    same_size_is_nothing,
    shared_memory_stays_shared,
    a_file_mapping_grows_over_the_file,
    protection_moves_along,
    copy_on_write_survives,
    old_size_zero_doubles_shared_memory,
    realloc_pattern,
    dontunmap_leaves_zeros,
);

const RW: i32 = PROT_READ | PROT_WRITE;

/// A mapping with the number of each page in its first byte, and a closed page behind it if wanted.
fn numbered(pages: usize, fenced: bool) -> usize {
    let mapping = Mapping::private((pages + 1) * PAGE);
    (0..pages).for_each(|p| mapping.set(p * PAGE, p as u8 + 1));
    if !fenced {
        ok!(SYS_munmap, mapping.at(pages * PAGE), PAGE);
    } else {
        mapping.protect(pages * PAGE, PAGE, PROT_NONE);
    }
    let address = mapping.address;
    std::mem::forget(mapping);
    address
}

fn has(address: usize, pages: usize) -> bool {
    (0..pages).all(|p| peek(address + p * PAGE) == p as u8 + 1)
}

fn shrinks_in_place() {
    let address = numbered(5, true);
    gives!(address, SYS_mremap, address, 5 * PAGE, 2 * PAGE, 0);
    assert!(has(address, 2) && !readable(address + 2 * PAGE));
}

fn grows_in_place() {
    let address = numbered(10, false);
    ok!(SYS_munmap, address + 2 * PAGE, 8 * PAGE);
    gives!(address, SYS_mremap, address, 2 * PAGE, 6 * PAGE, 0);
    assert!(has(address, 2) && peek(address + 5 * PAGE) == 0);
    poke(address + 6 * PAGE - 1, 1);
}

fn grows_by_moving() {
    let address = numbered(3, true);
    let moved = ok!(SYS_mremap, address, 3 * PAGE, 50 * PAGE, MREMAP_MAYMOVE);
    assert_ne!(moved, address);
    assert!(has(moved, 3) && peek(moved + 49 * PAGE) == 0);
    assert!(!readable(address));
}

fn cannot_grow_without_moving() {
    let address = numbered(3, true);
    fails!(ENOMEM, SYS_mremap, address, 3 * PAGE, 4 * PAGE, 0);
    assert!(has(address, 3));
}

fn contents_move_along() {
    let address = numbered(200, true);
    let moved = ok!(SYS_mremap, address, 200 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
    assert!(has(moved, 200));
    assert!((200..400).all(|p| peek(moved + p * PAGE) == 0));
}

fn the_old_place_is_free() {
    let address = numbered(3, true);
    ok!(SYS_mremap, address, 3 * PAGE, 30 * PAGE, MREMAP_MAYMOVE);
    gives!(
        address,
        SYS_mmap,
        address,
        3 * PAGE,
        RW,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
        -1,
        0
    );
    assert_eq!(peek(address), 0);
}

fn to_a_fixed_place() {
    let address = numbered(3, true);
    let place = Mapping::private(10 * PAGE).address;
    gives!(
        place,
        SYS_mremap,
        address,
        3 * PAGE,
        3 * PAGE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        place
    );
    assert!(has(place, 3) && !readable(address));
}

fn a_fixed_place_is_cleared_first() {
    let address = numbered(3, true);
    let taken = Mapping::private(5 * PAGE);
    (0..5).for_each(|p| taken.set(p * PAGE, 99));
    gives!(
        taken.address,
        SYS_mremap,
        address,
        3 * PAGE,
        4 * PAGE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        taken.address
    );
    assert!(has(taken.address, 3) && taken.get(3 * PAGE) == 0 && taken.get(4 * PAGE) == 99);
}

fn errors() {
    let address = numbered(4, true);
    fails!(
        EINVAL,
        SYS_mremap,
        address + 1,
        PAGE,
        2 * PAGE,
        MREMAP_MAYMOVE
    );
    fails!(EINVAL, SYS_mremap, address, PAGE, 0, MREMAP_MAYMOVE);
    fails!(EINVAL, SYS_mremap, address, PAGE, 2 * PAGE, 0x40);
    fails!(
        EINVAL,
        SYS_mremap,
        address,
        PAGE,
        2 * PAGE,
        MREMAP_FIXED,
        0x1000_0000
    );
    fails!(
        EINVAL,
        SYS_mremap,
        address,
        PAGE,
        2 * PAGE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        0x1000_0001
    );
    fails!(
        EINVAL,
        SYS_mremap,
        address,
        4 * PAGE,
        4 * PAGE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        address + PAGE
    );
    fails!(
        EFAULT,
        SYS_mremap,
        0x10_0000_0000usize,
        PAGE,
        2 * PAGE,
        MREMAP_MAYMOVE
    );
    fails!(
        EINVAL,
        SYS_mremap,
        address,
        PAGE,
        1usize << 60,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        0x1000_0000
    );
    fails!(
        ENOMEM,
        SYS_mremap,
        address,
        PAGE,
        0x7000_0000_0000usize,
        MREMAP_MAYMOVE
    );
    assert!(has(address, 4));
}

fn a_hole_inside() {
    let address = numbered(5, true);
    ok!(SYS_munmap, address + 2 * PAGE, PAGE);
    fails!(
        EFAULT,
        SYS_mremap,
        address,
        5 * PAGE,
        10 * PAGE,
        MREMAP_MAYMOVE
    );
    assert_eq!(peek(address + 3 * PAGE), 4);
}

fn part_of_a_mapping_moves() {
    let address = numbered(6, true);
    let moved = ok!(
        SYS_mremap,
        address + 2 * PAGE,
        2 * PAGE,
        3 * PAGE,
        MREMAP_MAYMOVE
    );
    assert_eq!(
        (peek(moved), peek(moved + PAGE), peek(moved + 2 * PAGE)),
        (3, 4, 0)
    );
    assert!(!readable(address + 2 * PAGE) && !readable(address + 3 * PAGE));
    assert_eq!((peek(address + PAGE), peek(address + 4 * PAGE)), (2, 5));
}

fn same_size_is_nothing() {
    let address = numbered(3, true);
    gives!(
        address,
        SYS_mremap,
        address,
        3 * PAGE,
        3 * PAGE,
        MREMAP_MAYMOVE
    );
    gives!(address, SYS_mremap, address, 3 * PAGE, 3 * PAGE, 0);
    // Sizes are rounded up first.
    gives!(address, SYS_mremap, address, 3 * PAGE, 3 * PAGE - 100, 0);
    assert!(has(address, 3));
}

fn shared_memory_stays_shared() {
    let shared = Mapping::shared(2 * PAGE);
    shared.set(0, 1);
    let moved = ok!(
        SYS_mremap,
        shared.address,
        2 * PAGE,
        2 * PAGE,
        MREMAP_MAYMOVE | MREMAP_FIXED,
        0x5000_0000_0000usize
    );
    passes(|| poke(moved, 2));
    assert_eq!(peek(moved), 2);
}

fn a_file_mapping_grows_over_the_file() {
    let bytes: Vec<u8> = (0..4 * PAGE).map(|at| (at / PAGE) as u8 + 1).collect();
    let fd = file_with(c"f", &bytes);
    let address = ok!(SYS_mmap, 0, PAGE, RW, MAP_SHARED, fd, PAGE);
    let grown = ok!(SYS_mremap, address, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    assert_eq!(
        (peek(grown), peek(grown + PAGE), peek(grown + 2 * PAGE)),
        (2, 3, 4)
    );
    poke(grown + 2 * PAGE, 77);
    let mut byte = [0u8];
    ok!(SYS_pread64, fd, &mut byte, 1, 3 * PAGE);
    assert_eq!(byte, [77]);
}

fn protection_moves_along() {
    let address = numbered(3, true);
    ok!(SYS_mprotect, address, 3 * PAGE, PROT_READ);
    let moved = ok!(SYS_mremap, address, 3 * PAGE, 9 * PAGE, MREMAP_MAYMOVE);
    assert!(
        has(moved, 3)
            && !test_programs::memory::writable(moved)
            && !test_programs::memory::writable(moved + 8 * PAGE)
    );
}

fn copy_on_write_survives() {
    let address = numbered(3, true);
    let gate = test_programs::child::Gate::new();
    let child = test_programs::child::spawn(|| {
        gate.wait();
        assert!(has(address, 3));
    });
    let moved = ok!(SYS_mremap, address, 3 * PAGE, 20 * PAGE, MREMAP_MAYMOVE);
    (0..3).for_each(|p| poke(moved + p * PAGE, 50));
    gate.open();
    child.passes();
    assert_eq!(peek(moved), 50);
}

fn old_size_zero_doubles_shared_memory() {
    let shared = Mapping::shared(PAGE);
    shared.set(0, 1);
    let twin = ok!(SYS_mremap, shared.address, 0, PAGE, MREMAP_MAYMOVE);
    assert_ne!(twin, shared.address);
    poke(twin, 9);
    assert_eq!(shared.get(0), 9);
    let private = Mapping::private(PAGE);
    fails!(EINVAL, SYS_mremap, private.address, 0, PAGE, MREMAP_MAYMOVE);
}

/// The C library's realloc of big blocks is this call.
fn realloc_pattern() {
    let mut block: Vec<u64> = Vec::new();
    for n in 0..3_000_000u64 {
        block.push(n);
    }
    assert!(block.iter().enumerate().all(|(i, n)| i as u64 == *n));
    block.truncate(100_000);
    block.shrink_to_fit();
    assert!(block.iter().enumerate().all(|(i, n)| i as u64 == *n));
}

fn dontunmap_leaves_zeros() {
    const MREMAP_DONTUNMAP: i32 = 4;
    let address = numbered(3, true);
    match test_programs::sys!(
        SYS_mremap,
        address,
        3 * PAGE,
        3 * PAGE,
        MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
        0
    ) {
        Err(errno) => assert_eq!(errno, EINVAL),
        Ok(moved) => {
            assert!(has(moved, 3));
            assert!((0..3).all(|p| peek(address + p * PAGE) == 0));
            poke(address, 1);
        }
    }
}
