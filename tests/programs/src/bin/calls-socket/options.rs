//! getsockopt(2), setsockopt(2).

use crate::message::*;
use libc::{
    AF_UNIX, EAGAIN, IPPROTO_TCP, SO_ACCEPTCONN, SO_DOMAIN, SO_ERROR, SO_PASSCRED, SO_PROTOCOL,
    SO_RCVBUF, SO_RCVTIMEO, SO_SNDBUF, SO_SNDTIMEO, SO_TYPE, SOCK_DGRAM, SOCK_SEQPACKET,
    SOCK_STREAM, SOL_SOCKET, timeval,
};
use test_programs::raw::short::*;
use test_programs::{fails, ok, sys};

test_programs::tests!(what_it_is, buffers, time_limits, lengths, wrong_options);

fn get(fd: usize, option: i32) -> i32 {
    let (mut value, mut length) = (-1i32, 4u32);
    ok!(
        SYS_getsockopt,
        fd,
        SOL_SOCKET,
        option,
        &mut value,
        &mut length
    );
    assert_eq!(length, 4);
    value
}

fn set(fd: usize, option: i32, value: i32) {
    ok!(SYS_setsockopt, fd, SOL_SOCKET, option, &value, 4);
}

fn what_it_is() {
    for kind in [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM] {
        for fd in [pair(kind).0, socket(kind)] {
            assert_eq!(get(fd, SO_TYPE), kind);
            assert_eq!(get(fd, SO_DOMAIN), AF_UNIX);
            assert_eq!(get(fd, SO_PROTOCOL), 0);
            assert_eq!(get(fd, SO_ERROR), 0);
            assert_eq!(get(fd, SO_ACCEPTCONN), 0);
            assert_eq!(get(fd, SO_PASSCRED), 0);
            set(fd, SO_PASSCRED, 5);
            assert_eq!(get(fd, SO_PASSCRED), 1);
            set(fd, SO_PASSCRED, 0);
            assert_eq!(get(fd, SO_PASSCRED), 0);
        }
    }
}

fn buffers() {
    let (a, _b) = pair(SOCK_STREAM);
    for option in [SO_SNDBUF, SO_RCVBUF] {
        assert!(get(a, option) >= 65_536);
        // Doubled, for what the kernel needs itself.
        set(a, option, 50_000);
        assert_eq!(get(a, option), 100_000);
        set(a, option, 0);
        assert!((2000..5000).contains(&get(a, option)), "{}", get(a, option));
    }
    never_wait(a);
    let mut sent = 0;
    while let Ok(count) = sys!(SYS_write, a, &[0u8; 100], 100) {
        sent += count;
    }
    assert!((100..10_000).contains(&sent), "{sent}");
}

fn time_limits() {
    let (a, b) = pair(SOCK_STREAM);
    let limit = timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    let mut read_back = timeval {
        tv_sec: 9,
        tv_usec: 9,
    };
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        let mut length = 16u32;
        ok!(
            SYS_getsockopt,
            a,
            SOL_SOCKET,
            option,
            &mut read_back,
            &mut length
        );
        assert_eq!((read_back.tv_sec, read_back.tv_usec, length), (0, 0, 16));
        ok!(SYS_setsockopt, a, SOL_SOCKET, option, &limit, 16);
        ok!(
            SYS_getsockopt,
            a,
            SOL_SOCKET,
            option,
            &mut read_back,
            &mut length
        );
        assert_eq!((read_back.tv_sec, read_back.tv_usec), (0, 20_000));
    }
    let start = monotonic();
    fails!(EAGAIN, SYS_read, a, &mut [0u8; 1], 1);
    assert!(monotonic() - start >= 15_000_000);
    loop {
        match sys!(SYS_write, a, &[0u8; 10_000], 10_000) {
            Ok(_) => {}
            Err(errno) => {
                assert_eq!(errno, EAGAIN);
                break;
            }
        }
    }
    write(b, b"x");
    assert_eq!(read(a, 1), b"x");
    let wrong = timeval {
        tv_sec: 0,
        tv_usec: 1_000_000,
    };
    fails!(EDOM, SYS_setsockopt, a, SOL_SOCKET, SO_RCVTIMEO, &wrong, 16);
    fails!(
        EINVAL,
        SYS_setsockopt,
        a,
        SOL_SOCKET,
        SO_RCVTIMEO,
        &limit,
        8
    );
}

fn lengths() {
    let (a, _b) = pair(SOCK_STREAM);
    let mut value = [0xffu8; 8];
    let mut length = 2u32;
    ok!(
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        SO_TYPE,
        &mut value,
        &mut length
    );
    assert_eq!((&value[..3], length), (&[1, 0, 0xff][..], 2));
    length = 8;
    ok!(
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        SO_TYPE,
        &mut value,
        &mut length
    );
    assert_eq!(length, 4);
    fails!(
        EINVAL,
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        SO_TYPE,
        &mut value,
        &mut -1i32
    );
    fails!(
        EFAULT,
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        SO_TYPE,
        &mut value,
        bad::<u32>()
    );
    fails!(
        EFAULT,
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        SO_TYPE,
        bad::<u8>(),
        &mut 4u32
    );
    fails!(
        EINVAL,
        SYS_setsockopt,
        a,
        SOL_SOCKET,
        SO_PASSCRED,
        &value,
        3
    );
    fails!(
        EINVAL,
        SYS_setsockopt,
        a,
        SOL_SOCKET,
        SO_PASSCRED,
        &value,
        -1
    );
    fails!(
        EFAULT,
        SYS_setsockopt,
        a,
        SOL_SOCKET,
        SO_PASSCRED,
        bad::<u8>(),
        4
    );
}

fn wrong_options() {
    let (a, _b) = pair(SOCK_STREAM);
    for option in [SO_TYPE, SO_ERROR, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN] {
        fails!(ENOPROTOOPT, SYS_setsockopt, a, SOL_SOCKET, option, &1i32, 4);
    }
    fails!(
        ENOPROTOOPT,
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        9999,
        &mut 0i32,
        &mut 4u32
    );
    fails!(ENOPROTOOPT, SYS_setsockopt, a, SOL_SOCKET, 9999, &1i32, 4);
    fails!(
        EOPNOTSUPP,
        SYS_getsockopt,
        a,
        IPPROTO_TCP,
        1,
        &mut 0i32,
        &mut 4u32
    );
    fails!(EOPNOTSUPP, SYS_setsockopt, a, IPPROTO_TCP, 1, &1i32, 4);
}
