//! What travels beside the bytes: files (`SCM_RIGHTS`) and credentials (`SCM_CREDENTIALS`).

use crate::message::*;
use libc::{
    AF_UNIX, EBADF, EINVAL, EPERM, ESRCH, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_PEEK,
    O_RDONLY, RLIMIT_NOFILE, SCM_RIGHTS, SO_PASSCRED, SO_PEERCRED, SOCK_DGRAM, SOCK_SEQPACKET,
    SOCK_STREAM, SOL_SOCKET, rlimit,
};
use test_programs::child::{self, become_nobody, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, ok, sys};

test_programs::tests!(
    a_file_arrives,
    several_files,
    to_another_process,
    close_on_exec_if_asked,
    the_description_is_shared,
    in_the_order_of_the_bytes,
    bytes_before_come_along,
    read_loses_them,
    peek_copies_them,
    small_control_buffers,
    no_descriptor_left,
    wrong_control,
    open_while_in_flight,
    a_closed_receiver_lets_go,
    cycles_end,
    a_path_only_file,
    credentials_are_told,
    claimed_credentials,
    senders_are_not_mixed,
    peer_credentials,
    room_is_rounded,
);

const KINDS: [i32; 3] = [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM];

fn a_file_arrives() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let (reader, writer) = pipe();
        send(a, b"x", &rights(&[writer]));
        let received = receive(b, 10);
        assert_eq!((&received.bytes[..], received.flags), (&b"x"[..], 0));
        let [copy] = received.files[..] else {
            panic!("{received:?}")
        };
        assert!(copy != writer && same(copy, writer) && !close_on_exec(copy));
        assert_eq!(received.control_length, 24);
        close(writer);
        write(copy, b"through");
        assert_eq!(read(reader, 10), b"through");
    }
}

fn several_files() {
    let (a, b) = pair(SOCK_STREAM);
    let (reader, writer) = pipe();
    let twice = [rights(&[reader, writer]), rights(&[reader])].concat();
    send(a, b"x", &twice);
    let files = receive(b, 10).files;
    assert_eq!(files.len(), 3);
    assert!(same(files[0], reader) && same(files[1], writer) && same(files[2], reader));
    let many: Vec<usize> = vec![reader; 253];
    send(a, b"x", &rights(&many));
    let received = try_receive(b, 10, 16 + 4 * 253, 0).unwrap();
    assert_eq!((received.files.len(), received.flags), (253, 0));
    for file in received.files {
        close(file);
    }
    let more: Vec<usize> = vec![reader; 254];
    assert_eq!(try_send(a, b"x", &rights(&more), 0), Err(EINVAL));
}

fn to_another_process() {
    let (a, b) = pair(SOCK_SEQPACKET);
    let (reader, writer) = pipe();
    close(reader);
    let receiver = spawn(|| {
        close(writer);
        let received = receive(b, 10);
        write(received.files[0], b"from the child");
    });
    let (reader, writer) = pipe();
    send(a, b"", &rights(&[writer]));
    close(writer);
    assert_eq!(read(reader, 100), b"from the child");
    receiver.passes();
    assert_eq!(read(reader, 100), b"");
}

fn close_on_exec_if_asked() {
    let (a, b) = pair(SOCK_STREAM);
    send(a, b"x", &rights(&[0]));
    let received = try_receive(b, 10, 64, MSG_CMSG_CLOEXEC).unwrap();
    assert!(close_on_exec(received.files[0]));
}

fn the_description_is_shared() {
    let (a, b) = pair(SOCK_STREAM);
    let file = file_with(c"file", b"0123456789");
    send(a, b"x", &rights(&[file]));
    let copy = receive(b, 10).files[0];
    assert_eq!(read(copy, 4), b"0123");
    assert_eq!(read(file, 4), b"4567");
}

fn in_the_order_of_the_bytes() {
    let (a, b) = pair(SOCK_STREAM);
    let (reader, writer) = pipe();
    send(a, b"one", &rights(&[reader]));
    send(a, b"two", &rights(&[writer]));
    write(a, b"three");
    // No read goes over what carried files.
    let first = receive(b, 100);
    assert_eq!(first.bytes, b"one");
    assert!(same(first.files[0], reader));
    let second = receive(b, 1);
    assert_eq!(second.bytes, b"t");
    assert!(same(second.files[0], writer));
    let third = receive(b, 100);
    assert_eq!((&third.bytes[..], third.files.len()), (&b"wothree"[..], 0));
}

fn bytes_before_come_along() {
    let (a, b) = pair(SOCK_STREAM);
    write(a, b"before ");
    send(a, b"with", &rights(&[0]));
    write(a, b" after");
    let received = receive(b, 100);
    assert_eq!(received.bytes, b"before with");
    assert_eq!(received.files.len(), 1);
    assert_eq!(receive(b, 100).bytes, b" after");
}

/// The number of free descriptors before the next one.
fn next_descriptor() -> usize {
    let next = ok!(SYS_dup, 0);
    close(next);
    next
}

fn read_loses_them() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let (reader, writer) = pipe();
        let next = next_descriptor();
        send(a, b"x", &rights(&[writer]));
        close(writer);
        assert_eq!(read(b, 10), b"x");
        assert_eq!(read(reader, 10), b"");
        assert_eq!(next_descriptor(), writer.min(next));
    }
}

fn peek_copies_them() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let (reader, writer) = pipe();
        send(a, b"x", &rights(&[writer]));
        let looked = try_receive(b, 10, 64, MSG_PEEK).unwrap();
        assert!(same(looked.files[0], writer));
        let received = receive(b, 10);
        assert!(same(received.files[0], writer) && received.files[0] != looked.files[0]);
        close(looked.files[0]);
        close(received.files[0]);
        close(writer);
        assert_eq!(read(reader, 1), b"");
    }
}

fn small_control_buffers() {
    let (a, b) = pair(SOCK_SEQPACKET);
    let (reader, writer) = pipe();
    for (room, expected) in [(0, 0), (15, 0), (16, 0), (19, 0), (20, 1), (23, 1), (24, 2)] {
        send(a, b"x", &rights(&[writer, reader]));
        let received = try_receive(b, 10, room, 0).unwrap();
        assert_eq!(received.files.len(), expected, "room {room}");
        let cut = if expected < 2 { MSG_CTRUNC } else { 0 };
        assert_eq!(received.flags, cut, "room {room}");
        for file in received.files {
            close(file);
        }
    }
    // None of those that did not fit is open anywhere.
    close(writer);
    assert_eq!(read(reader, 1), b"");
}

fn no_descriptor_left() {
    let (a, b) = pair(SOCK_SEQPACKET);
    send(a, b"x", &rights(&[0, 0, 0]));
    let next = next_descriptor();
    let limit = rlimit {
        rlim_cur: next as u64 + 2,
        rlim_max: next as u64 + 2,
    };
    ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    let received = receive(b, 10);
    assert_eq!(received.files, [next, next + 1]);
    assert_eq!(received.flags, MSG_CTRUNC);
}

fn wrong_control() {
    let (a, b) = pair(SOCK_STREAM);
    let refused = |control: &[u8], errno| assert_eq!(try_send(a, b"x", control, 0), Err(errno));
    refused(&rights(&[9999]), EBADF);
    refused(&rights(&[0, 9999]), EBADF);
    refused(&control(77, &[0; 4]), EINVAL);
    let mut bad = rights(&[0]);
    bad[0] = 15;
    refused(&bad, EINVAL);
    bad[0] = 25;
    refused(&bad, EINVAL);
    refused(&control(libc::SCM_CREDENTIALS, &[0; 8]), EINVAL);
    // Too short for a header: as if there were none. Another level: another's business. No files: none.
    send(a, b"x", &[1; 15]);
    let mut other = control(1, &[0; 4]);
    other[8] = 41;
    send(a, b"x", &other);
    send(a, b"x", &control(SCM_RIGHTS, &[]));
    let received = receive(b, 10);
    assert_eq!(
        (&received.bytes[..], received.files.len()),
        (&b"xxx"[..], 0)
    );
}

fn open_while_in_flight() {
    let (a, b) = pair(SOCK_STREAM);
    let (reader, writer) = pipe();
    send(a, b"x", &rights(&[writer]));
    close(writer);
    ok!(SYS_fcntl, reader, libc::F_SETFL, libc::O_NONBLOCK);
    fails!(EAGAIN, SYS_read, reader, &mut [0u8; 1], 1);
    // The sender may go.
    close(a);
    let copy = receive(b, 10).files[0];
    write(copy, b"late");
    assert_eq!(read(reader, 10), b"late");
}

fn a_closed_receiver_lets_go() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        let (reader, writer) = pipe();
        send(a, b"x", &rights(&[writer]));
        close(writer);
        close(b);
        assert_eq!(read(reader, 1), b"");
    }
}

/// Sockets that are only in each other: nothing shows them, but nothing may run out either.
fn cycles_end() {
    for round in 0..3000 {
        let (a, b) = pair(SOCK_STREAM);
        let (c, d) = pair(SOCK_DGRAM);
        send(a, b"x", &rights(&[a, b]));
        send(b, b"x", &rights(&[a]));
        send(c, b"x", &rights(&[a, d]));
        send(a, b"x", &rights(&[d]));
        for fd in [a, b, c, d] {
            assert!(sys!(SYS_close, fd).is_ok(), "round {round}");
        }
    }
    // A ring that can still be reached keeps what is in it.
    let (a, b) = pair(SOCK_STREAM);
    let (reader, writer) = pipe();
    send(b, b"1", &rights(&[b]));
    send(b, b"2", &rights(&[writer]));
    close(b);
    close(writer);
    for _ in 0..10 {
        let (c, d) = pair(SOCK_STREAM);
        close(c);
        close(d);
    }
    let again = receive(a, 1).files[0];
    let writer = receive(a, 1).files[0];
    write(writer, b"alive");
    assert_eq!(read(reader, 10), b"alive");
    write(again, b"too");
    assert_eq!(read(a, 10), b"too");
}

fn a_path_only_file() {
    let (a, b) = pair(SOCK_STREAM);
    let place = open(c"/", libc::O_PATH);
    send(a, b"x", &rights(&[place]));
    let copy = receive(b, 10).files[0];
    assert_ne!(status_flags(copy) & libc::O_PATH, 0);
    ok!(SYS_openat, copy, c"tmp", O_RDONLY, 0);
}

fn pass_credentials(fd: usize) {
    ok!(SYS_setsockopt, fd, SOL_SOCKET, SO_PASSCRED, &1i32, 4);
}

fn credentials_are_told() {
    for kind in KINDS {
        let (a, b) = pair(kind);
        write(a, b"x");
        assert_eq!(receive(b, 10).credentials, None);
        pass_credentials(b);
        let sender = spawn(|| {
            ok!(SYS_setresgid, 0, 5, 0);
            ok!(SYS_setresuid, 7, 0, 0);
            write(a, b"x");
        });
        let pid = sender.pid;
        let received = receive(b, 10);
        // The real user and group.
        assert_eq!(received.credentials, Some([pid as u32, 7, 0]));
        assert_eq!(received.control_length, 32);
        sender.passes();
        // Together with files, and before them.
        send(a, b"x", &rights(&[0]));
        let received = receive(b, 10);
        assert_eq!(received.credentials, Some([pid_of_this(), 0, 0]));
        assert_eq!(received.files.len(), 1);
        close(received.files[0]);
        // No room for them.
        write(a, b"x");
        let received = try_receive(b, 10, 0, 0).unwrap();
        assert_eq!(received.flags, MSG_CTRUNC);
    }
}

fn pid_of_this() -> u32 {
    pid() as u32
}

fn claimed_credentials() {
    let (a, b) = pair(SOCK_DGRAM);
    pass_credentials(b);
    send(a, b"x", &credentials(pid(), 12, 34));
    assert_eq!(receive(b, 10).credentials, Some([pid_of_this(), 12, 34]));
    assert_eq!(
        try_send(a, b"x", &credentials(0x3fff_fff0, 0, 0), 0),
        Err(ESRCH)
    );
    child::passes(|| {
        become_nobody();
        let claim = |pid, uid, gid| try_send(a, b"x", &credentials(pid, uid, gid), 0);
        assert_eq!(claim(pid(), 65534, 65534), Ok(1));
        assert_eq!(claim(pid(), 0, 65534), Err(EPERM));
        assert_eq!(claim(pid(), 65534, 0), Err(EPERM));
        assert_eq!(claim(1, 65534, 65534), Err(EPERM));
    });
}

fn senders_are_not_mixed() {
    let (a, b) = pair(SOCK_STREAM);
    pass_credentials(b);
    write(a, b"mine ");
    write(a, b"mine");
    spawn(|| {
        write(a, b"the child's");
    })
    .passes();
    let received = receive(b, 100);
    assert_eq!(received.bytes, b"mine mine");
    assert_eq!(received.credentials, Some([pid_of_this(), 0, 0]));
    assert_eq!(receive(b, 100).bytes, b"the child's");
}

fn peer_credentials() {
    let (a, _b) = pair(SOCK_STREAM);
    let peer = || {
        let (mut ucred, mut length) = ([0u32; 3], 12u32);
        ok!(
            SYS_getsockopt,
            a,
            SOL_SOCKET,
            SO_PEERCRED,
            &mut ucred,
            &mut length
        );
        assert_eq!(length, 12);
        ucred
    };
    assert_eq!(peer(), [pid_of_this(), 0, 0]);
    let expected = pid_of_this();
    // Whoever asks, and whoever has the other end now.
    child::passes(|| {
        become_nobody();
        assert_eq!(peer(), [expected, 0, 0]);
    });
    let lonely = ok!(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    let (mut ucred, mut length) = ([7u32; 3], 12u32);
    ok!(
        SYS_getsockopt,
        lonely,
        SOL_SOCKET,
        SO_PEERCRED,
        &mut ucred,
        &mut length
    );
    assert_eq!(ucred, [0, u32::MAX, u32::MAX]);
}

fn room_is_rounded() {
    let (a, b) = pair(SOCK_SEQPACKET);
    pass_credentials(b);
    // Cut in the middle.
    write(a, b"x");
    let received = try_receive(b, 10, 20, MSG_DONTWAIT).unwrap();
    assert_eq!((received.flags, received.control_length), (MSG_CTRUNC, 20));
    assert_eq!(received.credentials, None);
    // Without the padding after it.
    write(a, b"x");
    let received = try_receive(b, 10, 28, MSG_DONTWAIT).unwrap();
    assert_eq!((received.flags, received.control_length), (0, 28));
    assert!(received.credentials.is_some());
}
