//! mmap(2) of files, msync.

use libc::{
    ENOSYS, MAP_PRIVATE, MAP_SHARED, MFD_CLOEXEC, MS_ASYNC, MS_INVALIDATE, MS_SYNC, O_PATH,
    O_RDONLY, O_RDWR, O_WRONLY, PROT_EXEC, PROT_READ, PROT_WRITE, SIGBUS,
};
use test_programs::child::{dies_of, passes};
use test_programs::memory::{Mapping, PAGE, peek, poke};
use test_programs::pattern;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    contents_are_there,
    at_an_offset,
    private_writes_stay_private,
    shared_writes_reach_the_file,
    file_writes_reach_the_mapping,
    private_sees_the_file_until_written,
    two_mappings_of_one_file,
    processes_share_a_file,
    the_tail_is_zero,
    tail_writes_do_not_reach_the_file,
    truncation_takes_pages_away,
    growing_gives_pages,
    the_descriptor_may_be_closed,
    the_file_may_be_removed,
    permission_of_the_descriptor,
    errors,
    of_a_directory_or_pipe,
    msync_results,
    a_hole_is_filled,
    a_file_larger_than_the_window,
    reading_into_a_mapping_of_the_same_file,
    writing_from_a_mapping_of_the_same_file,
    fork_keeps_private_copies_apart,
    programs_can_be_mapped,
    memfd_or_enosys,
);

const RW: i32 = PROT_READ | PROT_WRITE;

fn map(fd: usize, pages: usize, flags: i32, offset: usize) -> usize {
    ok!(SYS_mmap, 0, pages * PAGE, RW, flags, fd, offset)
}

/// A file of so many pages, each full of its number plus one.
fn numbered(pages: usize) -> usize {
    let bytes: Vec<u8> = (0..pages * PAGE).map(|at| (at / PAGE) as u8 + 1).collect();
    file_with(c"f", &bytes)
}

fn byte(fd: usize, at: usize) -> u8 {
    let mut byte = [0u8];
    gives!(1, SYS_pread64, fd, &mut byte, 1, at);
    byte[0]
}

fn put(fd: usize, at: usize, value: u8) {
    gives!(1, SYS_pwrite64, fd, &[value], 1, at);
}

fn contents_are_there() {
    let mut bytes = vec![0; 50 * PAGE];
    pattern::fill(1, 0, &mut bytes);
    let fd = file_with(c"f", &bytes);
    for flags in [MAP_PRIVATE, MAP_SHARED] {
        let address = map(fd, 50, flags, 0);
        let got: Vec<u8> = (0..50 * PAGE).map(|at| peek(address + at)).collect();
        assert_eq!(pattern::mismatch(1, 0, &got), None);
    }
}

fn at_an_offset() {
    let fd = numbered(5);
    let address = map(fd, 2, MAP_PRIVATE, 3 * PAGE);
    assert_eq!((peek(address), peek(address + PAGE)), (4, 5));
}

fn private_writes_stay_private() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_PRIVATE, 0);
    poke(address, 99);
    assert_eq!((peek(address), peek(address + 1), byte(fd, 0)), (99, 1, 1));
}

fn shared_writes_reach_the_file() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_SHARED, 0);
    poke(address + PAGE + 7, 99);
    assert_eq!((byte(fd, PAGE + 7), byte(fd, PAGE + 6)), (99, 2));
    assert_eq!(byte(open(c"f", O_RDONLY), PAGE + 7), 99);
}

fn file_writes_reach_the_mapping() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_SHARED, 0);
    assert_eq!(peek(address + 5), 1);
    put(fd, 5, 77);
    assert_eq!(peek(address + 5), 77);
    put(fd, PAGE, 78);
    assert_eq!(peek(address + PAGE), 78);
}

fn private_sees_the_file_until_written() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_PRIVATE, 0);
    poke(address, 50);
    put(fd, 1, 60);
    assert_eq!((peek(address), peek(address + 1)), (50, 1));
}

fn two_mappings_of_one_file() {
    let fd = numbered(3);
    let (a, b) = (
        map(fd, 3, MAP_SHARED, 0),
        map(open(c"f", O_RDWR), 2, MAP_SHARED, PAGE),
    );
    assert_ne!(a, b);
    poke(a + PAGE, 10);
    poke(b + PAGE, 20);
    assert_eq!((peek(b), peek(a + 2 * PAGE)), (10, 20));
}

fn processes_share_a_file() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_SHARED, 0);
    passes(|| poke(address, 33));
    assert_eq!(peek(address), 33);
    passes(|| {
        let own = map(open(c"f", O_RDWR), 2, MAP_SHARED, 0);
        assert_eq!(peek(own), 33);
        poke(own + PAGE, 44);
    });
    assert_eq!(peek(address + PAGE), 44);
}

fn the_tail_is_zero() {
    let fd = file_with(c"f", &[5; 100]);
    for flags in [MAP_PRIVATE, MAP_SHARED] {
        let address = map(fd, 1, flags, 0);
        assert_eq!(peek(address + 99), 5);
        assert!((100..PAGE).all(|at| peek(address + at) == 0));
    }
}

fn tail_writes_do_not_reach_the_file() {
    let fd = file_with(c"f", &[5; 100]);
    let address = map(fd, 1, MAP_SHARED, 0);
    poke(address + 200, 9);
    assert_eq!(fstat(fd).st_size, 100);
    ok!(SYS_munmap, address, PAGE);
    ok!(SYS_ftruncate, fd, 300);
    assert_eq!(byte(fd, 99), 5);
    assert_eq!(byte(fd, 250), 0);
}

fn truncation_takes_pages_away() {
    let fd = numbered(3);
    let address = map(fd, 3, MAP_SHARED, 0);
    assert_eq!(peek(address + 2 * PAGE), 3);
    ok!(SYS_ftruncate, fd, PAGE);
    dies_of(SIGBUS, || assert_eq!(peek(address + 2 * PAGE), 3));
    dies_of(SIGBUS, || poke(address + PAGE, 3));
    assert_eq!(peek(address + PAGE - 1), 1);
    // A call gets an error instead of the signal.
    fails!(EFAULT, SYS_write, pipe().1, address + PAGE, 1);
}

fn growing_gives_pages() {
    let fd = numbered(1);
    let address = map(fd, 3, MAP_SHARED, 0);
    ok!(SYS_ftruncate, fd, 3 * PAGE);
    assert_eq!((peek(address), peek(address + 2 * PAGE)), (1, 0));
    poke(address + 2 * PAGE, 8);
    assert_eq!(byte(fd, 2 * PAGE), 8);
}

fn the_descriptor_may_be_closed() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_SHARED, 0);
    close(fd);
    assert_eq!(peek(address + PAGE), 2);
    poke(address, 9);
    assert_eq!(byte(open(c"f", O_RDONLY), 0), 9);
}

fn the_file_may_be_removed() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_SHARED, 0);
    close(fd);
    ok!(SYS_unlink, c"f");
    poke(address, 9);
    assert_eq!((peek(address), peek(address + PAGE)), (9, 2));
    ok!(SYS_munmap, address, 2 * PAGE);
}

fn permission_of_the_descriptor() {
    close(numbered(1));
    let (r, w) = (open(c"f", O_RDONLY), open(c"f", O_WRONLY));
    fails!(EACCES, SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, w, 0);
    fails!(EACCES, SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, w, 0);
    fails!(EACCES, SYS_mmap, 0, PAGE, PROT_WRITE, MAP_SHARED, r, 0);
    ok!(SYS_mmap, 0, PAGE, PROT_WRITE, MAP_PRIVATE, r, 0);
    ok!(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, r, 0);
    // A position alone is no file.
    fails!(
        EBADF,
        SYS_mmap,
        0,
        PAGE,
        PROT_READ,
        MAP_PRIVATE,
        open(c"f", O_PATH),
        0
    );
}

fn errors() {
    let fd = numbered(1);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, fd, 1);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, fd, 100);
    fails!(EINVAL, SYS_mmap, 0, 0, RW, MAP_PRIVATE, fd, 0);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, 0, fd, 0);
    fails!(
        EOVERFLOW,
        SYS_mmap,
        0,
        2 * PAGE,
        RW,
        MAP_PRIVATE,
        fd,
        usize::MAX - PAGE + 1
    );
    // Far beyond the end is allowed; only touching it is not.
    let far = map(fd, 1, MAP_PRIVATE, 100 * PAGE);
    dies_of(SIGBUS, || assert_eq!(peek(far), 0));
}

fn of_a_directory_or_pipe() {
    fails!(
        ENODEV,
        SYS_mmap,
        0,
        PAGE,
        PROT_READ,
        MAP_PRIVATE,
        open(c".", O_RDONLY),
        0
    );
    fails!(
        ENODEV,
        SYS_mmap,
        0,
        PAGE,
        PROT_READ,
        MAP_PRIVATE,
        pipe().0,
        0
    );
}

fn msync_results() {
    let fd = numbered(2);
    let address = map(fd, 2, MAP_SHARED, 0);
    poke(address, 9);
    gives!(0, SYS_msync, address, 2 * PAGE, MS_SYNC);
    gives!(0, SYS_msync, address, PAGE, MS_ASYNC);
    gives!(0, SYS_msync, address, 0, MS_SYNC);
    gives!(0, SYS_msync, address, PAGE, MS_INVALIDATE);
    fails!(EINVAL, SYS_msync, address, PAGE, MS_SYNC | MS_ASYNC);
    fails!(EINVAL, SYS_msync, address, PAGE, 0x80);
    fails!(EINVAL, SYS_msync, address + 1, PAGE, MS_SYNC);
    ok!(SYS_munmap, address + PAGE, PAGE);
    fails!(ENOMEM, SYS_msync, address, 2 * PAGE, MS_SYNC);
    gives!(0, SYS_msync, Mapping::private(PAGE).address, 0, MS_SYNC);
}

fn a_hole_is_filled() {
    let fd = create(c"f");
    ok!(SYS_ftruncate, fd, 10 * PAGE);
    let address = map(fd, 10, MAP_SHARED, 0);
    assert_eq!(peek(address + 5 * PAGE), 0);
    poke(address + 7 * PAGE + 1, 9);
    assert_eq!(
        (
            byte(fd, 7 * PAGE + 1),
            byte(fd, 7 * PAGE),
            byte(fd, 3 * PAGE)
        ),
        (9, 0, 0)
    );
}

fn a_file_larger_than_the_window() {
    let fd = create(c"f");
    let far = 5usize << 30;
    ok!(SYS_ftruncate, fd, far + PAGE);
    put(fd, far + 3, 42);
    let address = map(fd, 1, MAP_SHARED, far);
    assert_eq!(peek(address + 3), 42);
    poke(address, 43);
    assert_eq!(byte(fd, far), 43);
}

fn reading_into_a_mapping_of_the_same_file() {
    let fd = numbered(4);
    let address = map(fd, 4, MAP_SHARED, 0);
    gives!(PAGE, SYS_pread64, fd, address, PAGE, 3 * PAGE);
    assert_eq!((peek(address), byte(fd, 0), byte(fd, PAGE - 1)), (4, 4, 4));
}

fn writing_from_a_mapping_of_the_same_file() {
    let fd = numbered(4);
    let address = map(fd, 4, MAP_SHARED, 0);
    gives!(2 * PAGE, SYS_pwrite64, fd, address + 2 * PAGE, 2 * PAGE, 0);
    assert_eq!((peek(address), peek(address + PAGE)), (3, 4));
}

fn fork_keeps_private_copies_apart() {
    let fd = numbered(3);
    let address = map(fd, 3, MAP_PRIVATE, 0);
    poke(address, 50);
    passes(|| {
        assert_eq!((peek(address), peek(address + PAGE)), (50, 2));
        poke(address, 60);
        poke(address + PAGE, 61);
    });
    assert_eq!(
        (peek(address), peek(address + PAGE), byte(fd, 0)),
        (50, 2, 1)
    );
}

fn programs_can_be_mapped() {
    let own = std::ffi::CString::new(test_programs::harness::own_path().to_str().unwrap()).unwrap();
    let fd = open(&own, O_RDONLY);
    let address = ok!(SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_eq!(
        (0..4).map(|i| peek(address + i)).collect::<Vec<_>>(),
        b"\x7fELF"
    );
}

fn memfd_or_enosys() {
    match test_programs::sys!(SYS_memfd_create, c"name", MFD_CLOEXEC) {
        Err(errno) => assert_eq!(errno, ENOSYS),
        Ok(fd) => {
            ok!(SYS_ftruncate, fd, PAGE);
            let address = map(fd, 1, MAP_SHARED, 0);
            put(fd, 7, 7);
            assert_eq!(peek(address + 7), 7);
            assert!(close_on_exec(fd));
        }
    }
}
