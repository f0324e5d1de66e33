//! null(4), zero, full, random, urandom, tty and getrandom.

use libc::{
    GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM, MAP_PRIVATE, O_APPEND, O_CREAT, O_EXCL, O_RDONLY,
    O_RDWR, O_TRUNC, O_WRONLY, PROT_READ, PROT_WRITE, S_IFCHR, S_IFLNK, S_IFMT, SEEK_SET, iovec,
    makedev,
};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    null_swallows,
    zero_gives_zeros,
    full_is_full,
    random_and_urandom,
    getrandom_fills,
    getrandom_flags,
    seeking_devices,
    device_numbers,
    append_and_truncate_do_nothing,
    vectors_on_devices,
    zero_can_be_mapped,
    tty_without_a_terminal,
    bad_buffers,
    standard_links,
);

fn null_swallows() {
    let fd = open(c"/dev/null", O_RDWR);
    gives!(100_000, SYS_write, fd, vec![1u8; 100_000].as_ptr(), 100_000);
    assert_eq!(read(fd, 10), b"");
    assert_eq!(fstat(fd).st_size, 0);
    // It never looks at what it swallows.
    gives!(10, SYS_write, fd, bad::<u8>(), 10);
}

fn zero_gives_zeros() {
    let fd = open(c"/dev/zero", O_RDWR);
    let mut bytes = vec![7u8; 100_000];
    gives!(100_000, SYS_read, fd, bytes.as_mut_ptr(), 100_000);
    assert!(bytes.iter().all(|b| *b == 0));
    gives!(5, SYS_write, fd, c"abcde", 5);
    gives!(100, SYS_pread64, fd, bytes.as_mut_ptr(), 100, 1i64 << 40);
}

fn full_is_full() {
    let fd = open(c"/dev/full", O_RDWR);
    let mut bytes = [7u8; 100];
    fails!(ENOSPC, SYS_write, fd, &bytes, 1);
    gives!(100, SYS_read, fd, &mut bytes, 100);
    assert_eq!(bytes, [0; 100]);
}

fn random_and_urandom() {
    for path in [c"/dev/random", c"/dev/urandom"] {
        let fd = open(path, O_RDWR);
        let (a, b) = (read(fd, 64), read(fd, 64));
        assert_eq!((a.len(), b.len()), (64, 64));
        assert_ne!(a, b);
        assert!(a.iter().any(|x| *x != a[0]));
        assert_eq!(write(fd, b"some entropy"), 12);
        let mut big = vec![0u8; 300];
        gives!(300, SYS_read, fd, big.as_mut_ptr(), 300);
    }
}

fn getrandom_fills() {
    let (mut a, mut b) = ([0u8; 256], [0u8; 256]);
    gives!(256, SYS_getrandom, &mut a, 256, 0);
    gives!(256, SYS_getrandom, &mut b, 256, GRND_NONBLOCK);
    assert!(a != b);
    gives!(0, SYS_getrandom, &mut a, 0, 0);
    // About half of many bits are set.
    let mut many = vec![0u8; 10_000];
    gives!(10_000, SYS_getrandom, many.as_mut_ptr(), 10_000, 0);
    let ones: u32 = many.iter().map(|b| b.count_ones()).sum();
    assert!((39_000..41_000).contains(&ones), "{ones} of 80000 bits");
}

fn getrandom_flags() {
    let mut bytes = [0u8; 8];
    gives!(8, SYS_getrandom, &mut bytes, 8, GRND_RANDOM);
    fails!(EINVAL, SYS_getrandom, &mut bytes, 8, 0x80);
    fails!(
        EINVAL,
        SYS_getrandom,
        &mut bytes,
        8,
        GRND_INSECURE | GRND_RANDOM
    );
    fails!(EFAULT, SYS_getrandom, bad::<u8>(), 8, 0);
}

fn seeking_devices() {
    for path in [c"/dev/null", c"/dev/zero", c"/dev/full"] {
        let fd = open(path, O_RDONLY);
        assert!(sys!(SYS_lseek, fd, 100, SEEK_SET).is_ok());
    }
}

fn device_numbers() {
    for (path, minor) in [
        (c"/dev/null", 3),
        (c"/dev/zero", 5),
        (c"/dev/full", 7),
        (c"/dev/random", 8),
        (c"/dev/urandom", 9),
    ] {
        let s = fstat(open(path, O_RDONLY));
        assert_eq!(
            (s.st_mode & S_IFMT, s.st_rdev),
            (S_IFCHR, makedev(1, minor)),
            "{path:?}"
        );
        assert_eq!(s.st_mode & 0o666, 0o666);
    }
    assert_eq!(lstat(c"/dev/tty").unwrap().st_rdev, makedev(5, 0));
}

fn append_and_truncate_do_nothing() {
    let fd = open(c"/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
    write(fd, b"x");
    fails!(EINVAL, SYS_ftruncate, fd, 0);
    fails!(
        EEXIST,
        SYS_open,
        c"/dev/null",
        O_WRONLY | O_CREAT | O_EXCL,
        0o600
    );
    fails!(ENOTDIR, SYS_open, c"/dev/null/x", O_RDONLY, 0);
    assert_eq!(lstat(c"/dev/null").unwrap().st_mode & S_IFMT, S_IFCHR);
}

fn vectors_on_devices() {
    let (mut a, mut b) = ([1u8; 3], [1u8; 5]);
    let parts = [
        iovec {
            iov_base: a.as_mut_ptr().cast(),
            iov_len: 3,
        },
        iovec {
            iov_base: b.as_mut_ptr().cast(),
            iov_len: 5,
        },
    ];
    gives!(8, SYS_readv, open(c"/dev/zero", O_RDONLY), &parts, 2);
    assert_eq!((a, b), ([0; 3], [0; 5]));
    gives!(8, SYS_writev, open(c"/dev/null", O_WRONLY), &parts, 2);
}

fn zero_can_be_mapped() {
    let fd = open(c"/dev/zero", O_RDWR);
    let address = ok!(
        SYS_mmap,
        0,
        8192,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE,
        fd,
        0
    );
    assert_eq!(test_programs::memory::peek(address + 5000), 0);
    test_programs::memory::poke(address + 5000, 1);
    assert_eq!(test_programs::memory::peek(address + 5000), 1);
    ok!(SYS_munmap, address, 8192);
}

fn tty_without_a_terminal() {
    test_programs::child::passes(|| {
        ok!(SYS_setsid);
        fails!(ENXIO, SYS_open, c"/dev/tty", O_RDWR, 0);
    });
}

fn bad_buffers() {
    fails!(
        EFAULT,
        SYS_read,
        open(c"/dev/zero", O_RDONLY),
        bad::<u8>(),
        10
    );
    fails!(
        EFAULT,
        SYS_read,
        open(c"/dev/urandom", O_RDONLY),
        bad::<u8>(),
        10
    );
    let cliff = test_programs::memory::Cliff::new();
    gives!(
        100,
        SYS_read,
        open(c"/dev/zero", O_RDONLY),
        cliff.ending(100),
        4096
    );
}

fn standard_links() {
    for path in [c"/dev/stdin", c"/dev/stdout", c"/dev/stderr", c"/dev/fd"] {
        assert_eq!(
            lstat(path).map(|s| s.st_mode & S_IFMT),
            Ok(S_IFLNK),
            "{path:?}"
        );
    }
}
