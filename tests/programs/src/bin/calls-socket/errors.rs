//! Calls on what is no socket, bad pointers, and messages that are none.

use crate::message::*;
use libc::{
    EBADF, EFAULT, EINVAL, EMSGSIZE, ENOTSOCK, MSG_DONTWAIT, O_PATH, SOCK_SEQPACKET, SOCK_STREAM,
    SOL_SOCKET,
};
use test_programs::raw::call;
use test_programs::raw::short::*;
use test_programs::{fails, ok};

test_programs::tests!(
    not_a_socket,
    bad_pointers,
    bad_messages,
    a_fault_in_the_middle,
    results_that_cannot_be_written,
);

const CALLS: [i64; 13] = [
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
];

fn not_a_socket() {
    let (reader, _writer) = pipe();
    let place = open(c"/", O_PATH);
    let closed = ok!(SYS_dup, 0);
    close(closed);
    // Pointers that are good for any of them.
    let space = [0u64; 64];
    let at = space.as_ptr() as usize;
    for number in CALLS {
        for (fd, expected) in [(reader, ENOTSOCK), (place, EBADF), (closed, EBADF)] {
            let words = [fd, at, 0, 0, at + 256, at + 264];
            let words = match number {
                libc::SYS_accept | libc::SYS_getsockname | libc::SYS_getpeername => {
                    [fd, at, at + 256, 0, 0, 0]
                }
                libc::SYS_setsockopt | libc::SYS_getsockopt => [fd, 1, 3, at, at + 256, 0],
                _ => words,
            };
            assert_eq!(call(number, &words), Err(expected), "call {number} of {fd}");
        }
    }
}

fn bad_pointers() {
    let (a, b) = pair(SOCK_STREAM);
    fails!(EFAULT, SYS_write, a, bad::<u8>(), 1);
    fails!(EFAULT, SYS_sendto, a, bad::<u8>(), 1, 0, 0, 0);
    fails!(EFAULT, SYS_sendto, a, b"x", 1, 0, bad::<u8>(), 10);
    fails!(EFAULT, SYS_sendmsg, a, bad::<u8>(), 0);
    fails!(EFAULT, SYS_recvmsg, a, bad::<u8>(), MSG_DONTWAIT);
    fails!(EFAULT, SYS_getsockname, a, bad::<u8>(), &mut 16u32);
    fails!(EFAULT, SYS_getsockname, a, &mut [0u8; 16], bad::<u32>());
    // Beyond any program's memory, and around the end.
    fails!(EFAULT, SYS_write, a, usize::MAX - 10, 100);
    fails!(
        EFAULT,
        SYS_sendto,
        a,
        0xffff_8000_0000_0000usize,
        100,
        0,
        0,
        0
    );
    write(a, b"still there");
    fails!(EFAULT, SYS_read, b, bad::<u8>(), 100);
    assert_eq!(read(b, 100), b"still there");
}

fn bad_messages() {
    let (a, b) = pair(SOCK_STREAM);
    write(b, b"x");
    let mut vector = [piece(b"x")];
    let good = header(&mut vector, std::ptr::null_mut(), 0, &mut []);
    let both = |change: &dyn Fn(&mut libc::msghdr), errno: i32| {
        let mut message = good;
        change(&mut message);
        let at = (&raw mut message) as usize;
        assert_eq!(call(libc::SYS_sendmsg, &[a, at, 0]), Err(errno));
        assert_eq!(
            call(libc::SYS_recvmsg, &[a, at, MSG_DONTWAIT as usize]),
            Err(errno)
        );
    };
    both(&|message| message.msg_iovlen = 1025, EMSGSIZE);
    both(&|message| message.msg_iovlen = usize::MAX, EMSGSIZE);
    both(&|message| message.msg_iov = bad(), EFAULT);
    both(
        &|message| {
            message.msg_name = (&raw const *message) as *mut _;
            message.msg_namelen = u32::MAX;
        },
        EINVAL,
    );
    let mut negative = [libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: usize::MAX,
    }];
    let at = negative.as_mut_ptr() as usize;
    both(&|message| message.msg_iov = at as *mut _, EINVAL);
    let mut message = good;
    message.msg_control = bad();
    message.msg_controllen = 24;
    fails!(EFAULT, SYS_sendmsg, a, &message, 0);
    message.msg_controllen = usize::MAX;
    fails!(ENOBUFS, SYS_sendmsg, a, &message, 0);
    assert_eq!(read(a, 10), b"x");
}

fn a_fault_in_the_middle() {
    let cliff = test_programs::memory::Cliff::new();
    let (a, b) = pair(SOCK_SEQPACKET);
    fails!(EFAULT, SYS_sendto, a, cliff.ending(5), 6, 0, 0, 0);
    assert_eq!(try_send(a, b"x", &rights(&[0]), 0), Ok(1));
    // Nothing of the first message, and nothing less of the second.
    let received = receive(b, 10);
    assert_eq!((&received.bytes[..], received.files.len()), (&b"x"[..], 1));
}

fn results_that_cannot_be_written() {
    let (a, _b) = pair(SOCK_STREAM);
    fails!(
        EFAULT,
        SYS_getsockopt,
        a,
        SOL_SOCKET,
        libc::SO_PEERCRED,
        bad::<u8>(),
        &mut 12u32
    );
    // A listener's client is not lost for others, but no descriptor stays open.
    let listener = socket(SOCK_STREAM);
    assert_eq!(bind(listener, b"name"), Ok(0));
    ok!(SYS_listen, listener, 5);
    let client = socket(SOCK_STREAM);
    assert_eq!(connect(client, b"name"), Ok(0));
    let next = ok!(SYS_dup, 0);
    close(next);
    fails!(EFAULT, SYS_accept, listener, &mut [0u8; 16], bad::<u32>());
    assert_eq!(ok!(SYS_dup, 0), next);
}
