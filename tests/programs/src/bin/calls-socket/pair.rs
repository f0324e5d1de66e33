//! socketpair(2): making pairs, and what calls on descriptors say about them.

use crate::message::*;
use libc::{
    AF_INET, AF_UNIX, EAFNOSUPPORT, F_GETFL, O_NONBLOCK, O_RDWR, RLIMIT_NOFILE, S_IFMT, S_IFSOCK,
    SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM, rlimit,
};
use test_programs::raw::short::*;
use test_programs::raw::text;
use test_programs::{child, fails, gives, ok, sys};

test_programs::tests!(
    both_ends_talk,
    flags,
    wrong_arguments,
    no_descriptor_left,
    what_stat_says,
    no_positions,
    copies_share,
    ends_with_the_last_copy,
    between_processes,
);

const KINDS: [i32; 3] = [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM];

fn both_ends_talk() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        assert_eq!(write(a, b"to b"), 4);
        assert_eq!(write(b, b"to a"), 4);
        assert_eq!(read(a, 10), b"to a");
        assert_eq!(read(b, 10), b"to b");
    }
}

fn flags() {
    let (a, b) = pair(SOCK_STREAM);
    for fd in [a, b] {
        assert!(!close_on_exec(fd));
        assert_eq!(status_flags(fd), O_RDWR);
    }
    let (a, b) = pair(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
    for fd in [a, b] {
        assert!(close_on_exec(fd));
        gives!(O_RDWR | O_NONBLOCK, SYS_fcntl, fd, F_GETFL);
    }
}

fn wrong_arguments() {
    let mut ends = [-1i32; 2];
    fails!(EAFNOSUPPORT, SYS_socketpair, 77, SOCK_STREAM, 0, &mut ends);
    fails!(
        ESOCKTNOSUPPORT,
        SYS_socketpair,
        AF_UNIX,
        SOCK_RDM,
        0,
        &mut ends
    );
    fails!(EINVAL, SYS_socketpair, AF_UNIX, 12, 0, &mut ends);
    fails!(
        EINVAL,
        SYS_socketpair,
        AF_UNIX,
        SOCK_STREAM | 0x100,
        0,
        &mut ends
    );
    fails!(
        EPROTONOSUPPORT,
        SYS_socketpair,
        AF_UNIX,
        SOCK_STREAM,
        7,
        &mut ends
    );
    fails!(
        EFAULT,
        SYS_socketpair,
        AF_UNIX,
        SOCK_STREAM,
        0,
        bad::<i32>()
    );
    fails!(EAFNOSUPPORT, SYS_socket, 77, SOCK_STREAM, 0);
    fails!(EINVAL, SYS_socket, AF_UNIX, 12, 0);
    // Protocol 1 is the family's own number.
    gives!(0, SYS_socketpair, AF_UNIX, SOCK_STREAM, AF_UNIX, &mut ends);
    // A kernel without a network says so.
    let inet = sys!(SYS_socket, AF_INET, SOCK_STREAM, 0);
    assert!(inet.is_ok() || inet == Err(EAFNOSUPPORT));
}

fn no_descriptor_left() {
    let free = ok!(SYS_dup, 0);
    close(free);
    let limit = rlimit {
        rlim_cur: free as u64 + 1,
        rlim_max: free as u64 + 1,
    };
    ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    let mut ends = [0i32; 2];
    fails!(EMFILE, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, &mut ends);
    gives!(free, SYS_dup, 0);
}

fn what_stat_says() {
    let (a, b) = pair(SOCK_STREAM);
    let (first, second) = (fstat(a), fstat(b));
    assert_eq!(first.st_mode, S_IFSOCK | 0o777);
    assert_eq!(second.st_mode & S_IFMT, S_IFSOCK);
    assert_ne!(first.st_ino, second.st_ino);
    assert_eq!(first.st_size, 0);
    let mut link = [0u8; 64];
    let path = std::ffi::CString::new(format!("/proc/self/fd/{a}")).unwrap();
    ok!(
        SYS_readlinkat,
        libc::AT_FDCWD,
        path.as_c_str(),
        link.as_mut_ptr(),
        63
    );
    assert_eq!(text(&link), format!("socket:[{}]", first.st_ino));
    fails!(ENXIO, SYS_openat, libc::AT_FDCWD, path.as_c_str(), O_RDWR);
}

fn no_positions() {
    let (a, _b) = pair(SOCK_STREAM);
    let mut byte = [0u8; 1];
    fails!(ESPIPE, SYS_lseek, a, 0, 0);
    fails!(ESPIPE, SYS_pread64, a, &mut byte, 1, 0);
    fails!(ESPIPE, SYS_pwrite64, a, &byte, 1, 0);
    fails!(EINVAL, SYS_ftruncate, a, 0);
    fails!(EINVAL, SYS_fsync, a);
}

fn copies_share() {
    let (a, b) = pair(SOCK_STREAM);
    let copy = ok!(SYS_dup, a);
    never_wait(copy);
    fails!(EAGAIN, SYS_read, a, &mut [0u8; 1], 1);
    close(a);
    write(copy, b"x");
    assert_eq!(read(b, 2), b"x");
}

fn ends_with_the_last_copy() {
    let (a, b) = pair(SOCK_STREAM);
    let copy = ok!(SYS_dup, b);
    close(b);
    never_wait(a);
    fails!(EAGAIN, SYS_read, a, &mut [0u8; 1], 1);
    close(copy);
    assert_eq!(read(a, 1), b"");
}

fn between_processes() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let echo = child::spawn(|| {
            for _ in 0..200 {
                let message = read(b, 100);
                write(b, &message);
            }
        });
        for number in 0..200u32 {
            write(a, &number.to_le_bytes());
            assert_eq!(read(a, 100), number.to_le_bytes());
        }
        echo.passes();
    }
}
