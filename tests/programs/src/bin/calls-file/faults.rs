//! Buffers that begin well and end in a closed page: what was moved before the fault counts.

use libc::{CLOCK_MONOTONIC, CLOCK_REALTIME, EFAULT, MAP_PRIVATE, O_RDONLY, PROT_READ, SEEK_CUR};
use test_programs::memory::{Cliff, Mapping, PAGE};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    write_from_a_cliff,
    read_to_a_cliff,
    position_counts_what_was_moved,
    read_into_read_only_memory,
    read_into_untouched_memory,
    write_from_untouched_memory,
    read_into_copy_on_write_memory,
    kernel_addresses,
    non_canonical_addresses,
    addresses_that_wrap,
    structures_across_the_edge,
    paths_across_the_edge,
    results_are_not_written_on_failure,
);

const KERNEL: usize = 0xffff_8000_0000_0000;

fn write_from_a_cliff() {
    let cliff = Cliff::new();
    let fd = create(c"f");
    let start = cliff.put(b"0123456789");
    gives!(10, SYS_write, fd, start, 10);
    fails!(EFAULT, SYS_write, fd, cliff.edge(), 10);
    let part = sys!(SYS_write, fd, start, 20);
    // Linux copies page by page: the first ten bytes may be refused together with the rest, or taken.
    assert!(matches!(part, Ok(10) | Err(EFAULT)), "{part:?}");
}

fn read_to_a_cliff() {
    let cliff = Cliff::new();
    let fd = file_with(c"f", &[7; 10_000]);
    gives!(100, SYS_read, fd, cliff.ending(100), 100);
    gives!(100, SYS_read, fd, cliff.ending(100), 5000);
    fails!(EFAULT, SYS_read, fd, cliff.edge(), 100);
    assert_eq!(test_programs::memory::peek(cliff.edge() - 1), 7);
}

fn position_counts_what_was_moved() {
    let cliff = Cliff::new();
    let fd = file_with(c"f", &[7; 10_000]);
    gives!(33, SYS_read, fd, cliff.ending(33), 5000);
    gives!(33, SYS_lseek, fd, 0, SEEK_CUR);
    fails!(EFAULT, SYS_read, fd, cliff.edge(), 1);
    gives!(33, SYS_lseek, fd, 0, SEEK_CUR);
}

fn read_into_read_only_memory() {
    let page = Mapping::new(PAGE, PROT_READ, MAP_PRIVATE);
    let fd = file_with(c"f", b"abc");
    fails!(EFAULT, SYS_read, fd, page.address, 3);
    assert_eq!(page.get(0), 0);
    gives!(3, SYS_write, fd, page.address, 3);
}

fn read_into_untouched_memory() {
    let pages = Mapping::private(64 * PAGE);
    let fd = file_with(c"f", &[9; 64 * PAGE]);
    gives!(64 * PAGE, SYS_read, fd, pages.address, 64 * PAGE);
    assert!((0..64 * PAGE).step_by(1000).all(|at| pages.get(at) == 9));
}

fn write_from_untouched_memory() {
    let pages = Mapping::private(64 * PAGE);
    let fd = create(c"f");
    gives!(64 * PAGE, SYS_write, fd, pages.address, 64 * PAGE);
    assert_eq!(fstat(fd).st_size, 64 * PAGE as i64);
}

fn read_into_copy_on_write_memory() {
    let pages = Mapping::private(4 * PAGE);
    (0..4).for_each(|p| pages.set(p * PAGE, 1));
    let fd = file_with(c"f", &[5; 4 * PAGE]);
    test_programs::child::passes(|| {
        gives!(4 * PAGE, SYS_read, fd, pages.address, 4 * PAGE);
        assert_eq!(pages.get(3 * PAGE), 5);
    });
    assert!((0..4).all(|p| pages.get(p * PAGE) == 1));
}

fn refuses(address: usize) {
    let fd = file_with(c"f", b"abc");
    fails!(EFAULT, SYS_read, fd, address, 3);
    fails!(EFAULT, SYS_write, fd, address, 3);
    fails!(EFAULT, SYS_open, address, O_RDONLY, 0);
    fails!(EFAULT, SYS_fstat, fd, address);
    fails!(EFAULT, SYS_pipe2, address, 0);
    fails!(EFAULT, SYS_getcwd, address, 4096);
    fails!(EFAULT, SYS_clock_gettime, CLOCK_MONOTONIC, address);
    fails!(EFAULT, SYS_uname, address);
    gives!(0, SYS_lseek, fd, 0, SEEK_CUR);
    close(fd);
}

fn kernel_addresses() {
    for address in [
        KERNEL,
        KERNEL + PAGE,
        0xffff_ffff_8000_0000,
        0xffff_ffff_8010_0000,
        usize::MAX - 4095,
        usize::MAX,
    ] {
        refuses(address);
    }
}

fn non_canonical_addresses() {
    for address in [
        0x7fff_ffff_ffff,
        0x8000_0000_0000,
        0x1234_5678_9abc_def0,
        KERNEL - 1,
        KERNEL - PAGE,
    ] {
        refuses(address);
    }
}

fn addresses_that_wrap() {
    let fd = file_with(c"f", b"abc");
    fails!(EFAULT, SYS_read, fd, usize::MAX - 1, 100);
    fails!(EFAULT, SYS_write, fd, 0x7fff_ffff_f000usize, 5000);
}

fn structures_across_the_edge() {
    let cliff = Cliff::new();
    let fd = create(c"f");
    fails!(EFAULT, SYS_fstat, fd, cliff.ending(143));
    ok!(SYS_fstat, fd, cliff.ending(144));
    fails!(EFAULT, SYS_clock_gettime, CLOCK_REALTIME, cliff.ending(15));
    ok!(SYS_clock_gettime, CLOCK_REALTIME, cliff.ending(16));
    fails!(EFAULT, SYS_pipe2, cliff.ending(7), 0);
    ok!(SYS_pipe2, cliff.ending(8), 0);
    fails!(EFAULT, SYS_uname, cliff.ending(389));
    ok!(SYS_uname, cliff.ending(390));
}

fn paths_across_the_edge() {
    let cliff = Cliff::new();
    fails!(EFAULT, SYS_mkdir, cliff.put(b"name"), 0o755);
    gives!(0, SYS_mkdir, cliff.put(b"name\0"), 0o755);
    assert!(exists(c"name"));
}

fn results_are_not_written_on_failure() {
    let mut ends = [-7i32; 2];
    fails!(EINVAL, SYS_pipe2, &mut ends, 0x1);
    assert_eq!(ends, [-7; 2]);
    let mut text = [b'#'; 16];
    fails!(ENOENT, SYS_readlink, c"none", &mut text, 16);
    assert_eq!(text, [b'#'; 16]);
}
