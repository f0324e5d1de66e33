//! madvise, mincore, mlock.

use libc::{
    EINVAL, MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_MERGEABLE,
    MADV_NOHUGEPAGE, MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_WIPEONFORK,
    MAP_PRIVATE, PROT_READ, PROT_WRITE,
};
use test_programs::memory::{Mapping, PAGE, peek, poke};
use test_programs::raw::short::*;
use test_programs::{child, fails, gives, ok, sys};

test_programs::tests!(
    dontneed_gives_zeros,
    dontneed_of_a_part,
    dontneed_of_shared_memory_keeps_it,
    dontneed_of_a_private_file_reads_it_again,
    free_may_give_zeros,
    hints_are_accepted,
    errors,
    dontfork_and_wipeonfork,
    mincore_tells_what_is_there,
    mincore_errors,
    locking,
    thousand_times_dontneed,
);

fn dontneed_gives_zeros() {
    let mapping = Mapping::private(10 * PAGE);
    (0..10).for_each(|p| mapping.set(p * PAGE, 9));
    gives!(0, SYS_madvise, mapping.address, 10 * PAGE, MADV_DONTNEED);
    assert!((0..10).all(|p| mapping.get(p * PAGE) == 0));
    mapping.set(PAGE, 1);
    assert_eq!(mapping.get(PAGE), 1);
}

fn dontneed_of_a_part() {
    let mapping = Mapping::private(5 * PAGE);
    (0..5).for_each(|p| mapping.set(p * PAGE, p as u8 + 1));
    gives!(
        0,
        SYS_madvise,
        mapping.at(2 * PAGE),
        2 * PAGE,
        MADV_DONTNEED
    );
    assert_eq!(
        (0..5).map(|p| mapping.get(p * PAGE)).collect::<Vec<_>>(),
        [1, 2, 0, 0, 5]
    );
}

fn dontneed_of_shared_memory_keeps_it() {
    let mapping = Mapping::shared(2 * PAGE);
    mapping.set(0, 5);
    gives!(0, SYS_madvise, mapping.address, 2 * PAGE, MADV_DONTNEED);
    assert_eq!(mapping.get(0), 5);
}

fn dontneed_of_a_private_file_reads_it_again() {
    let fd = file_with(c"f", &[3; PAGE]);
    let address = ok!(
        SYS_mmap,
        0,
        PAGE,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE,
        fd,
        0
    );
    poke(address, 9);
    gives!(0, SYS_madvise, address, PAGE, MADV_DONTNEED);
    assert_eq!(peek(address), 3);
}

fn free_may_give_zeros() {
    let mapping = Mapping::private(4 * PAGE);
    mapping.set(0, 9);
    gives!(0, SYS_madvise, mapping.address, 4 * PAGE, MADV_FREE);
    assert!([0, 9].contains(&mapping.get(0)));
    mapping.set(0, 7);
    assert_eq!(mapping.get(0), 7);
}

fn hints_are_accepted() {
    let mapping = Mapping::private(4 * PAGE);
    mapping.set(0, 9);
    for advice in [MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED] {
        gives!(0, SYS_madvise, mapping.address, 4 * PAGE, advice);
    }
    // Huge pages and merging may be unknown to a kernel without them.
    for advice in [MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE] {
        let result = sys!(SYS_madvise, mapping.address, 4 * PAGE, advice);
        assert!(matches!(result, Ok(0) | Err(EINVAL)), "{result:?}");
    }
    assert_eq!(mapping.get(0), 9);
}

fn errors() {
    let mapping = Mapping::private(4 * PAGE);
    fails!(EINVAL, SYS_madvise, mapping.address + 1, PAGE, MADV_NORMAL);
    fails!(EINVAL, SYS_madvise, mapping.address, PAGE, 9999);
    fails!(
        EINVAL,
        SYS_madvise,
        mapping.address,
        usize::MAX,
        MADV_DONTNEED
    );
    gives!(0, SYS_madvise, mapping.address, 0, MADV_DONTNEED);
    ok!(SYS_munmap, mapping.at(PAGE), PAGE);
    mapping.set(2 * PAGE, 5);
    fails!(
        ENOMEM,
        SYS_madvise,
        mapping.address,
        4 * PAGE,
        MADV_DONTNEED
    );
    // What is mapped was done all the same.
    assert_eq!(mapping.get(2 * PAGE), 0);
}

fn dontfork_and_wipeonfork() {
    let mapping = Mapping::private(3 * PAGE);
    (0..3).for_each(|p| mapping.set(p * PAGE, 5));
    ok!(SYS_madvise, mapping.address, PAGE, MADV_DONTFORK);
    ok!(SYS_madvise, mapping.at(PAGE), PAGE, MADV_WIPEONFORK);
    child::passes(|| {
        assert!(!test_programs::memory::readable(mapping.address));
        assert_eq!((mapping.get(PAGE), mapping.get(2 * PAGE)), (0, 5));
    });
    assert_eq!((mapping.get(0), mapping.get(PAGE)), (5, 5));
    ok!(SYS_madvise, mapping.address, PAGE, MADV_DOFORK);
    child::passes(|| assert_eq!(mapping.get(0), 5));
}

fn mincore_tells_what_is_there() {
    let mapping = Mapping::private(4 * PAGE);
    mapping.set(0, 1);
    mapping.set(2 * PAGE, 1);
    let mut there = [0xffu8; 4];
    gives!(0, SYS_mincore, mapping.address, 4 * PAGE, &mut there);
    assert_eq!(there.map(|b| b & 1), [1, 0, 1, 0]);
}

fn mincore_errors() {
    let mapping = Mapping::private(4 * PAGE);
    let mut there = [0u8; 4];
    fails!(EINVAL, SYS_mincore, mapping.address + 1, PAGE, &mut there);
    fails!(EFAULT, SYS_mincore, mapping.address, PAGE, bad::<u8>());
    ok!(SYS_munmap, mapping.at(PAGE), PAGE);
    fails!(ENOMEM, SYS_mincore, mapping.address, 4 * PAGE, &mut there);
}

fn locking() {
    let mapping = Mapping::private(4 * PAGE);
    gives!(0, SYS_mlock, mapping.address, 4 * PAGE);
    mapping.set(0, 1);
    gives!(0, SYS_munlock, mapping.address, 4 * PAGE);
    ok!(SYS_munmap, mapping.at(PAGE), PAGE);
    fails!(ENOMEM, SYS_mlock, mapping.address, 4 * PAGE);
    gives!(0, SYS_munlockall);
    fails!(EINVAL, SYS_mlockall, 0x100);
}

fn thousand_times_dontneed() {
    let mapping = Mapping::private(8 * PAGE);
    for round in 0..1000usize {
        let page = round % 8;
        assert_eq!(mapping.get(page * PAGE), 0);
        mapping.set(page * PAGE, 1);
        ok!(SYS_madvise, mapping.at(page * PAGE), PAGE, MADV_DONTNEED);
    }
}
