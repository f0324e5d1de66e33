//! Streams: bytes in order, back-pressure, half close, the other side's end.

use crate::message::*;
use libc::{
    ECONNRESET, EPIPE, FIONREAD, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_WAITALL, POLLERR,
    POLLHUP, POLLIN, POLLOUT, POLLRDHUP, SHUT_RD, SHUT_RDWR, SHUT_WR, SIGALRM, SIGPIPE, SO_ERROR,
    SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, TIOCOUTQ,
};
use test_programs::child::{dies_of, spawn};
use test_programs::raw::short::*;
use test_programs::signal;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    bytes_run_together,
    peek_leaves_them,
    wait_for_all,
    vectors,
    nothing_to_read_or_write,
    full,
    a_blocked_writer_goes_on,
    much_data,
    counts,
    half_close,
    no_more_receiving,
    end_of_stream,
    broken_pipe,
    unread_bytes_reset,
    a_signal_ends_a_wait,
    readiness,
    wakes_poll,
);

fn bytes_run_together() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"one");
    write(a, b"two");
    assert_eq!(read(b, 4), b"onet");
    assert_eq!(read(b, 10), b"wo");
}

fn peek_leaves_them() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"one");
    write(a, b"two");
    let mut bytes = [0u8; 10];
    gives!(5, SYS_recvfrom, b, &mut bytes, 5, MSG_PEEK, 0, 0);
    assert_eq!(&bytes[..5], b"onetw");
    gives!(6, SYS_recvfrom, b, &mut bytes, 10, MSG_PEEK, 0, 0);
    assert_eq!(read(b, 10), b"onetwo");
    fails!(
        EAGAIN,
        SYS_recvfrom,
        b,
        &mut bytes,
        10,
        MSG_PEEK | MSG_DONTWAIT,
        0,
        0
    );
}

fn wait_for_all() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"12");
    let writer = spawn(|| {
        write(a, b"34");
        write(a, b"5678");
    });
    let mut bytes = [0u8; 6];
    gives!(6, SYS_recvfrom, b, &mut bytes, 6, MSG_WAITALL, 0, 0);
    assert_eq!(&bytes, b"123456");
    writer.passes();
    close(a);
    // Not more than there will ever be.
    gives!(2, SYS_recvfrom, b, &mut bytes, 6, MSG_WAITALL, 0, 0);
}

fn vectors() {
    let (a, b) = pair(SOCK_STREAM);
    let parts = [piece(b"one "), piece(b""), piece(b"two")];
    gives!(7, SYS_writev, a, parts.as_ptr(), 3);
    let (mut first, mut second) = ([0u8; 3], [0u8; 10]);
    let parts = [piece(&first), piece(&second)];
    gives!(7, SYS_readv, b, parts.as_ptr(), 2);
    (first, second) = std::hint::black_box((first, second));
    assert_eq!((&first, &second[..4]), (b"one", &b" two"[..]));
}

fn nothing_to_read_or_write() {
    let (a, b) = pair(SOCK_STREAM | SOCK_NONBLOCK);
    gives!(0, SYS_write, a, bad::<u8>(), 0);
    gives!(0, SYS_read, b, bad::<u8>(), 0);
    fails!(EAGAIN, SYS_read, b, &mut [0u8; 1], 1);
    gives!(0, SYS_sendto, a, bad::<u8>(), 0, 0, 0, 0);
    fails!(EAGAIN, SYS_recvfrom, b, bad::<u8>(), 0, 0, 0, 0);
}

fn fill(fd: usize) -> usize {
    let mut sent = 0;
    while let Ok(count) = sys!(SYS_sendto, fd, &[0u8; 1000], 1000, MSG_DONTWAIT, 0, 0) {
        sent += count;
    }
    sent
}

fn full() {
    let (a, b) = pair(SOCK_STREAM);
    let sent = fill(a);
    assert!(sent >= 64 << 10, "{sent}");
    fails!(EAGAIN, SYS_sendto, a, &[0u8; 1], 1, MSG_DONTWAIT, 0, 0);
    assert_eq!(polled(a, POLLOUT), 0);
    let mut left = sent;
    while left > 0 {
        left -= read(b, 5000).len();
    }
    assert_eq!(polled(a, POLLOUT), POLLOUT);
    gives!(1, SYS_sendto, a, &[0u8; 1], 1, MSG_DONTWAIT, 0, 0);
}

fn a_blocked_writer_goes_on() {
    let (a, b) = pair(SOCK_STREAM);
    let sent = fill(a);
    let writer = spawn(|| {
        assert_eq!(write(a, &[1; 100_000]), 100_000);
    });
    let mut left = sent + 100_000;
    while left > 0 {
        left -= read(b, 3000).len();
    }
    writer.passes();
}

fn much_data() {
    const SIZE: usize = 4 << 20;
    let (a, b) = pair(SOCK_STREAM);
    let writer = spawn(|| {
        let bytes: Vec<u8> = (0..SIZE).map(|at| (at / 251) as u8).collect();
        assert_eq!(write(a, &bytes), SIZE);
    });
    close(a);
    let mut at = 0;
    loop {
        let part = read(b, 77_777);
        if part.is_empty() {
            break;
        }
        for byte in part {
            assert_eq!(byte, (at / 251) as u8, "at {at}");
            at += 1;
        }
    }
    assert_eq!(at, SIZE);
    writer.passes();
}

fn counts() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"12345");
    write(a, b"678");
    let mut count = -1i32;
    ok!(SYS_ioctl, b, FIONREAD, &mut count);
    assert_eq!(count, 8);
    ok!(SYS_ioctl, a, TIOCOUTQ, &mut count);
    assert!(count >= 8);
    read(b, 8);
    ok!(SYS_ioctl, a, TIOCOUTQ, &mut count);
    assert_eq!(count, 0);
}

fn half_close() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"last");
    ok!(SYS_shutdown, a, SHUT_WR);
    fails!(EPIPE, SYS_sendto, a, b"x", 1, MSG_NOSIGNAL, 0, 0);
    assert_eq!(polled(b, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    assert_eq!(read(b, 10), b"last");
    assert_eq!(read(b, 10), b"");
    assert_eq!(read(b, 10), b"");
    write(b, b"answer");
    assert_eq!(read(a, 10), b"answer");
    assert_eq!(polled(b, POLLIN | POLLOUT), POLLIN | POLLOUT);
    ok!(SYS_shutdown, b, SHUT_WR);
    assert_eq!(polled(a, POLLIN) & (POLLIN | POLLHUP), POLLIN | POLLHUP);
}

fn no_more_receiving() {
    let (a, b) = pair(SOCK_STREAM);
    write(b, b"before");
    ok!(SYS_shutdown, a, SHUT_RD);
    fails!(EPIPE, SYS_sendto, b, b"x", 1, MSG_NOSIGNAL, 0, 0);
    assert_eq!(read(a, 10), b"before");
    assert_eq!(read(a, 10), b"");
    write(a, b"still");
    assert_eq!(read(b, 10), b"still");
    ok!(SYS_shutdown, b, SHUT_RDWR);
    fails!(EINVAL, SYS_shutdown, b, 3);
}

fn end_of_stream() {
    let (a, b) = pair(SOCK_STREAM);
    let reader = spawn(|| {
        close(a);
        assert_eq!(read(b, 10), b"last");
        assert_eq!(read(b, 10), b"");
    });
    write(a, b"last");
    close(a);
    reader.passes();
    assert_eq!(polled(b, POLLIN | POLLOUT), POLLIN | POLLOUT | POLLHUP);
}

fn broken_pipe() {
    dies_of(SIGPIPE, || {
        let (a, b) = pair(SOCK_STREAM);
        close(b);
        write(a, b"x");
    });
    dies_of(SIGPIPE, || {
        let (a, b) = pair(SOCK_STREAM);
        close(b);
        let _ = try_send(a, b"x", &[], 0);
    });
    let (a, b) = pair(SOCK_STREAM);
    close(b);
    fails!(EPIPE, SYS_sendto, a, b"x", 1, MSG_NOSIGNAL, 0, 0);
    assert_eq!(try_send(a, b"x", &[], MSG_NOSIGNAL), Err(EPIPE));
    signal::catch(SIGPIPE);
    fails!(EPIPE, SYS_write, a, b"x", 1);
    assert_eq!(signal::RECORD.count(), 1);
}

fn unread_bytes_reset() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"unread");
    close(b);
    assert_ne!(polled(a, 0) & POLLERR, 0);
    fails!(ECONNRESET, SYS_read, a, &mut [0u8; 1], 1);
    assert_eq!(read(a, 1), b"");
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"unread");
    close(b);
    let (mut error, mut length) = (0i32, 4u32);
    for expected in [ECONNRESET, 0] {
        ok!(
            SYS_getsockopt,
            a,
            SOL_SOCKET,
            SO_ERROR,
            &mut error,
            &mut length
        );
        assert_eq!((error, length), (expected, 4));
    }
}

fn a_signal_ends_a_wait() {
    let (a, _b) = pair(SOCK_STREAM);
    signal::catch(SIGALRM);
    signal::tick(2000);
    fails!(EINTR, SYS_read, a, &mut [0u8; 1], 1);
    fails!(EINTR, SYS_recvfrom, a, &mut [0u8; 1], 1, 0, 0, 0);
    fill(a);
    fails!(EINTR, SYS_write, a, &[0u8; 1000], 1000);
    // What was sent before counts.
    let (a, _b) = pair(SOCK_STREAM);
    let sent = write(a, &[0; 1 << 20]);
    assert!((1..1 << 20).contains(&sent), "{sent}");
}

fn readiness() {
    let all = POLLIN | POLLOUT | POLLRDHUP;
    let (a, b) = pair(SOCK_STREAM);
    assert_eq!(polled(a, all), POLLOUT);
    write(b, b"x");
    assert_eq!(polled(a, all), POLLIN | POLLOUT);
    read(a, 1);
    assert_eq!(polled(a, all), POLLOUT);
    close(b);
    assert_eq!(polled(a, all), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    let lonely = socket(SOCK_STREAM);
    assert_eq!(polled(lonely, all), POLLOUT | POLLHUP);
}

fn wakes_poll() {
    let (a, b) = pair(SOCK_STREAM);
    let mut list = [libc::pollfd {
        fd: a as i32,
        events: POLLIN,
        revents: 0,
    }];
    let writer = spawn(|| {
        write(b, b"x");
    });
    gives!(1, SYS_poll, &mut list, 1, -1);
    assert_eq!(list[0].revents, POLLIN);
    read(a, 1);
    writer.passes();
    let closer = spawn(|| {
        ok!(SYS_shutdown, b, SHUT_RDWR);
    });
    gives!(1, SYS_poll, &mut list, 1, -1);
    assert_eq!(list[0].revents, POLLIN | POLLHUP);
    closer.passes();
}
