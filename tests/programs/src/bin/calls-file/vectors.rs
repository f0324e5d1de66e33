//! readv, writev, preadv, pwritev and their v2 forms.

use libc::{ENOSYS, SEEK_CUR, SEEK_SET, c_void, iovec};
use test_programs::memory::Cliff;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    gather,
    scatter,
    empty_parts,
    no_parts,
    too_many_parts,
    most_parts_allowed,
    lengths_that_overflow,
    stops_at_a_bad_part,
    bad_list,
    at_an_offset,
    version_two,
    short_read_into_many,
    on_a_pipe,
);

fn part(bytes: &[u8]) -> iovec {
    iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

fn part_mut(bytes: &mut [u8]) -> iovec {
    iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

fn gather() {
    let fd = create(c"f");
    let list = [part(b"one "), part(b"two "), part(b"three")];
    gives!(13, SYS_writev, fd, &list, 3);
    gives!(4, SYS_writev, fd, &list, 1);
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    assert_eq!(read(fd, 99), b"one two threeone ");
}

fn scatter() {
    let fd = file_with(c"f", b"abcdefgh");
    let (mut a, mut b, mut c) = ([0u8; 3], [0u8; 1], [0u8; 10]);
    let list = [part_mut(&mut a), part_mut(&mut b), part_mut(&mut c)];
    gives!(8, SYS_readv, fd, &list, 3);
    assert_eq!((&a, &b, &c), (b"abc", b"d", b"efgh\0\0\0\0\0\0"));
}

fn empty_parts() {
    let fd = create(c"f");
    let nowhere = iovec {
        iov_base: bad(),
        iov_len: 0,
    };
    gives!(
        2,
        SYS_writev,
        fd,
        &[nowhere, part(b"a"), nowhere, part(b"b"), nowhere],
        5
    );
    assert_eq!(fstat(fd).st_size, 2);
}

fn no_parts() {
    let fd = file_with(c"f", b"abc");
    gives!(0, SYS_readv, fd, 0, 0);
    gives!(0, SYS_writev, fd, 0, 0);
}

fn too_many_parts() {
    let fd = create(c"f");
    let list = vec![part(b"x"); 1025];
    fails!(EINVAL, SYS_writev, fd, list.as_ptr(), 1025);
    fails!(EINVAL, SYS_writev, fd, list.as_ptr(), -1);
    fails!(EINVAL, SYS_readv, fd, list.as_ptr(), 1025);
    assert_eq!(fstat(fd).st_size, 0);
}

fn most_parts_allowed() {
    let fd = create(c"f");
    let list = vec![part(b"xy"); 1024];
    gives!(2048, SYS_writev, fd, list.as_ptr(), 1024);
    assert_eq!(fstat(fd).st_size, 2048);
}

fn lengths_that_overflow() {
    let fd = create(c"f");
    let byte = [0u8];
    let long = iovec {
        iov_base: byte.as_ptr().cast_mut().cast(),
        iov_len: isize::MAX as usize + 1,
    };
    fails!(EINVAL, SYS_writev, fd, &[long], 1);
    fails!(EINVAL, SYS_writev, fd, &[part(b"a"), long], 2);
    assert_eq!(fstat(fd).st_size, 0);
}

fn stops_at_a_bad_part() {
    let cliff = Cliff::new();
    let fd = create(c"f");
    let wrong = iovec {
        iov_base: cliff.edge() as *mut c_void,
        iov_len: 5,
    };
    gives!(3, SYS_writev, fd, &[part(b"abc"), wrong], 2);
    fails!(EFAULT, SYS_writev, fd, &[wrong, part(b"abc")], 2);
    assert_eq!(fstat(fd).st_size, 3);
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    let mut two = [0u8; 2];
    gives!(2, SYS_readv, fd, &[part_mut(&mut two), wrong], 2);
    gives!(2, SYS_lseek, fd, 0, SEEK_CUR);
    fails!(EFAULT, SYS_readv, fd, &[wrong], 1);
    gives!(2, SYS_lseek, fd, 0, SEEK_CUR);
}

fn bad_list() {
    let fd = file_with(c"f", b"abc");
    fails!(EFAULT, SYS_readv, fd, bad::<iovec>(), 1);
    fails!(EFAULT, SYS_writev, fd, bad::<iovec>(), 1);
    let cliff = Cliff::new();
    fails!(EFAULT, SYS_writev, fd, cliff.ending(16), 2);
}

fn at_an_offset() {
    let fd = create(c"f");
    gives!(4, SYS_pwritev, fd, &[part(b"ab"), part(b"cd")], 2, 3, 0);
    let (mut a, mut b) = ([0u8; 2], [0u8; 4]);
    gives!(
        5,
        SYS_preadv,
        fd,
        &[part_mut(&mut a), part_mut(&mut b)],
        2,
        2,
        0
    );
    assert_eq!((&a, &b), (b"\0a", b"bcd\0"));
    gives!(0, SYS_lseek, fd, 0, SEEK_CUR);
    fails!(EINVAL, SYS_preadv, fd, &[part_mut(&mut a)], 1, -1, -1);
    fails!(ESPIPE, SYS_preadv, pipe().0, &[part_mut(&mut a)], 1, 0, 0);
}

/// Absent is allowed. Offset -1 means the file position.
fn version_two() {
    let fd = file_with(c"f", b"abcd");
    let mut two = [0u8; 2];
    match sys!(SYS_preadv2, fd, &[part_mut(&mut two)], 1, -1, -1, 0) {
        Err(ENOSYS) => return,
        result => assert_eq!(result, Ok(2)),
    }
    gives!(2, SYS_lseek, fd, 0, SEEK_CUR);
    fails!(
        EOPNOTSUPP,
        SYS_preadv2,
        fd,
        &[part_mut(&mut two)],
        1,
        0,
        0,
        1 << 20
    );
}

fn short_read_into_many() {
    let fd = file_with(c"f", b"abc");
    let (mut a, mut b) = ([9u8; 2], [9u8; 4]);
    gives!(3, SYS_readv, fd, &[part_mut(&mut a), part_mut(&mut b)], 2);
    assert_eq!((&a, &b), (b"ab", b"c\x09\x09\x09"));
    gives!(0, SYS_readv, fd, &[part_mut(&mut a), part_mut(&mut b)], 2);
}

fn on_a_pipe() {
    let (reader, writer) = pipe();
    gives!(5, SYS_writev, writer, &[part(b"ab"), part(b"cde")], 2);
    let (mut a, mut b) = ([0u8; 1], [0u8; 9]);
    gives!(
        5,
        SYS_readv,
        reader,
        &[part_mut(&mut a), part_mut(&mut b)],
        2
    );
    assert_eq!((&a, &b[..4]), (b"a", &b"bcde"[..]));
}
