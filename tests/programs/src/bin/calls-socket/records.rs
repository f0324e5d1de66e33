//! Sequenced packets and datagrams: messages that stay apart.

use crate::message::*;
use libc::{
    FIONREAD, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, POLLHUP, POLLIN, POLLOUT, SHUT_WR,
    SO_SNDBUF, SOCK_DGRAM, SOCK_SEQPACKET, SOL_SOCKET,
};
use test_programs::child::spawn;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    messages_stay_apart,
    the_rest_is_lost,
    empty_messages,
    gathered_and_scattered,
    too_long,
    full,
    a_blocked_sender_goes_on,
    bad_buffers_send_nothing,
    counts,
    end_of_packets,
    half_close,
    end_of_datagrams,
);

const KINDS: [i32; 2] = [SOCK_SEQPACKET, SOCK_DGRAM];

fn messages_stay_apart() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        for message in [&b"one"[..], b"second", b"3"] {
            assert_eq!(write(a, message), message.len());
        }
        assert_eq!(read(b, 100), b"one");
        assert_eq!(receive(b, 100).bytes, b"second");
        let mut bytes = [0u8; 10];
        gives!(1, SYS_recvfrom, b, &mut bytes, 10, 0, 0, 0);
        fails!(EAGAIN, SYS_recvfrom, b, &mut bytes, 10, MSG_DONTWAIT, 0, 0);
    }
}

fn the_rest_is_lost() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        for _ in 0..4 {
            write(a, b"message");
        }
        write(a, b"next");
        assert_eq!(read(b, 3), b"mes");
        let received = receive(b, 3);
        assert_eq!(
            (&received.bytes[..], received.flags & MSG_TRUNC),
            (&b"mes"[..], MSG_TRUNC)
        );
        let mut bytes = [0u8; 3];
        gives!(
            7,
            SYS_recvfrom,
            b,
            &mut bytes,
            3,
            MSG_TRUNC | MSG_PEEK,
            0,
            0
        );
        gives!(7, SYS_recvfrom, b, &mut bytes, 3, MSG_TRUNC, 0, 0);
        let received = receive(b, 7);
        assert_eq!((received.bytes.len(), received.flags & MSG_TRUNC), (7, 0));
        assert_eq!(read(b, 100), b"next");
    }
}

fn empty_messages() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        gives!(0, SYS_sendto, a, bad::<u8>(), 0, 0, 0, 0);
        write(a, b"");
        write(a, b"x");
        assert_eq!(polled(b, POLLIN), POLLIN);
        assert_eq!(read(b, 10), b"");
        assert_eq!(receive(b, 10).bytes, b"");
        assert_eq!(read(b, 10), b"x");
        assert_eq!(polled(b, POLLIN), 0);
    }
}

fn gathered_and_scattered() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let large = vec![b'x'; 20_000];
        let parts = [piece(b"one "), piece(b"two "), piece(&large)];
        gives!(20_008, SYS_writev, a, parts.as_ptr(), 3);
        write(a, b"next");
        let (first, second) = (vec![0u8; 6], vec![0u8; 20_000]);
        let parts = [piece(&first), piece(&second)];
        gives!(20_006, SYS_readv, b, parts.as_ptr(), 2);
        let (first, second) = std::hint::black_box((first, second));
        assert_eq!((&first[..], &second[..4]), (&b"one tw"[..], &b"o xx"[..]));
        assert_eq!(read(b, 100), b"next");
    }
}

fn too_long() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        ok!(SYS_setsockopt, a, SOL_SOCKET, SO_SNDBUF, &0i32, 4);
        let bytes = vec![0u8; 300_000];
        fails!(EMSGSIZE, SYS_write, a, bytes.as_ptr(), 5000);
        fails!(EMSGSIZE, SYS_sendto, a, bytes.as_ptr(), 300_000, 0, 0, 0);
        let parts = [piece(&bytes[..3000]), piece(&bytes[..3000])];
        fails!(EMSGSIZE, SYS_writev, a, parts.as_ptr(), 2);
        write(a, b"short");
        assert_eq!(read(b, 100), b"short");
    }
}

fn full() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let mut sent = 0;
        while sys!(SYS_sendto, a, &[0u8; 1000], 1000, MSG_DONTWAIT, 0, 0).is_ok() {
            sent += 1;
        }
        assert!((8..1000).contains(&sent), "{sent}");
        fails!(EAGAIN, SYS_sendto, a, &[0u8; 1], 1, MSG_DONTWAIT, 0, 0);
        assert_eq!(polled(a, POLLOUT), 0);
        for _ in 0..sent {
            assert_eq!(read(b, 2000).len(), 1000);
        }
        assert_eq!(polled(a, POLLOUT), POLLOUT);
    }
}

fn a_blocked_sender_goes_on() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let sender = spawn(|| {
            for number in 0..2000u32 {
                let mut message = vec![0u8; 1 + number as usize % 700];
                message[0] = number as u8;
                write(a, &message);
            }
        });
        for number in 0..2000u32 {
            let message = read(b, 1000);
            assert_eq!(message.len(), 1 + number as usize % 700);
            assert_eq!(message[0], number as u8);
        }
        sender.passes();
    }
}

fn bad_buffers_send_nothing() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let cliff = test_programs::memory::Cliff::new();
        fails!(EFAULT, SYS_write, a, cliff.ending(10), 11);
        let parts = [
            piece(b"good"),
            libc::iovec {
                iov_base: bad(),
                iov_len: 4,
            },
        ];
        fails!(EFAULT, SYS_writev, a, parts.as_ptr(), 2);
        fails!(
            EAGAIN,
            SYS_recvfrom,
            b,
            &mut [0u8; 9],
            9,
            MSG_DONTWAIT,
            0,
            0
        );
        write(a, b"message");
        fails!(EFAULT, SYS_read, b, cliff.ending(3), 7);
    }
}

fn counts() {
    let mut count = -1i32;
    for (kind, expected) in [(SOCK_SEQPACKET, 7), (SOCK_DGRAM, 3)] {
        let (a, b) = pair(kind);
        write(a, b"one");
        write(a, b"next");
        ok!(SYS_ioctl, b, FIONREAD, &mut count);
        assert_eq!(count, expected);
    }
}

fn end_of_packets() {
    let (a, b) = pair(SOCK_SEQPACKET);
    write(a, b"last");
    close(a);
    assert_eq!(read(b, 10), b"last");
    assert_eq!(read(b, 10), b"");
    assert_eq!(polled(b, POLLIN | POLLOUT), POLLIN | POLLOUT | POLLHUP);
    fails!(EPIPE, SYS_sendto, b, b"x", 1, MSG_NOSIGNAL, 0, 0);
    fails!(ENOTCONN, SYS_read, socket(SOCK_SEQPACKET), &mut [0u8; 1], 1);
    fails!(
        ENOTCONN,
        SYS_sendto,
        socket(SOCK_SEQPACKET),
        b"x",
        1,
        MSG_NOSIGNAL,
        0,
        0
    );
}

fn half_close() {
    let (a, b) = pair(SOCK_SEQPACKET);
    write(a, b"last");
    ok!(SYS_shutdown, a, SHUT_WR);
    fails!(EPIPE, SYS_sendto, a, b"x", 1, MSG_NOSIGNAL, 0, 0);
    assert_eq!(read(b, 10), b"last");
    assert_eq!(read(b, 10), b"");
    write(b, b"answer");
    assert_eq!(read(a, 10), b"answer");
}

fn end_of_datagrams() {
    let (a, b) = pair(SOCK_DGRAM);
    write(b, b"last");
    close(b);
    assert_eq!(read(a, 10), b"last");
    fails!(
        EAGAIN,
        SYS_recvfrom,
        a,
        &mut [0u8; 1],
        1,
        MSG_DONTWAIT,
        0,
        0
    );
    fails!(ECONNREFUSED, SYS_write, a, b"x", 1);
    fails!(ENOTCONN, SYS_write, a, b"x", 1);
}
