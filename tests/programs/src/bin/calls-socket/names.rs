//! Names and connections: bind, listen, accept, connect, and datagrams to names.

use crate::message::*;
use libc::{
    EACCES, EADDRINUSE, EAGAIN, ECONNREFUSED, EINVAL, EISCONN, ENOENT, EPERM, EPROTOTYPE,
    MSG_DONTWAIT, MSG_NOSIGNAL, POLLIN, POLLOUT, S_IFMT, S_IFSOCK, SHUT_RD, SO_ACCEPTCONN,
    SO_PASSCRED, SO_PEERCRED, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM,
    SOL_SOCKET,
};
use test_programs::child::{self, become_nobody, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    a_server_and_its_clients,
    abstract_names,
    names_of_both_sides,
    connected_before_accepted,
    the_backlog_is_bounded,
    a_blocked_connect_goes_on,
    accept_waits,
    accept_flags,
    accept_without_a_descriptor,
    a_closed_listener,
    a_listener_is_polled,
    a_path_is_an_inode,
    permissions_of_the_inode,
    a_removed_path,
    wrong_addresses,
    wrong_order,
    datagrams_to_names,
    datagrams_to_one,
    full_datagram_receiver,
    a_name_of_its_own,
    credentials_of_both_sides,
);

fn server(kind: i32, name: &[u8], backlog: i32) -> usize {
    let fd = socket(kind);
    assert_eq!(bind(fd, name), Ok(0));
    ok!(SYS_listen, fd, backlog);
    fd
}

fn accept(fd: usize) -> usize {
    ok!(SYS_accept, fd, 0, 0)
}

fn client(kind: i32, name: &[u8]) -> usize {
    let fd = socket(kind);
    assert_eq!(connect(fd, name), Ok(0));
    fd
}

/// An abstract name that no other run of this program uses.
fn unique(name: &str) -> Vec<u8> {
    format!("\0helve-test-{}-{name}", pid()).into_bytes()
}

fn a_server_and_its_clients() {
    for kind in [SOCK_STREAM, SOCK_SEQPACKET] {
        let name: &[u8] = if kind == SOCK_STREAM {
            b"stream"
        } else {
            b"seq"
        };
        let listener = server(kind, name, 5);
        let clients: Vec<child::Child> = (0..5u8)
            .map(|number| {
                spawn(move || {
                    let fd = client(kind, name);
                    write(fd, &[number]);
                    assert_eq!(read(fd, 10), [number + 1]);
                    assert_eq!(read(fd, 10), b"");
                })
            })
            .collect();
        for _ in 0..5 {
            let fd = accept(listener);
            let number = read(fd, 10);
            write(fd, &[number[0] + 1]);
            close(fd);
        }
        for client in clients {
            client.passes();
        }
        close(listener);
    }
}

fn abstract_names() {
    let name = unique("abstract");
    let listener = server(SOCK_STREAM, &name, 5);
    let a = client(SOCK_STREAM, &name);
    let b = accept(listener);
    write(a, b"x");
    assert_eq!(read(b, 1), b"x");
    // Every byte counts, zeros too; nothing of it is in the file system.
    let longer = [&name[..], b"\0"].concat();
    assert_eq!(connect(socket(SOCK_STREAM), &longer), Err(ECONNREFUSED));
    assert_eq!(bind(socket(SOCK_STREAM), &name), Err(EADDRINUSE));
    // Free again with its socket, though the connection goes on.
    close(listener);
    assert_eq!(connect(socket(SOCK_STREAM), &name), Err(ECONNREFUSED));
    assert_eq!(bind(socket(SOCK_STREAM), &name), Ok(0));
    write(b, b"y");
    assert_eq!(read(a, 1), b"y");
}

/// getsockname or getpeername.
fn name_of(call: i64, fd: usize) -> Vec<u8> {
    let (mut name, mut length) = ([0xffu8; 128], 128u32);
    let words = [fd, name.as_mut_ptr() as usize, (&raw mut length) as usize];
    assert_eq!(test_programs::raw::call(call, &words), Ok(0));
    name[..length as usize].to_vec()
}

fn names_of_both_sides() {
    let listener = server(SOCK_STREAM, b"path", 5);
    let a = client(SOCK_STREAM, b"path");
    let (mut name, mut length) = ([0xffu8; 128], 128u32);
    let b = ok!(SYS_accept, listener, &mut name, &mut length);
    // A client without a name: only the family.
    assert_eq!((&name[..2], length), (&[1u8, 0][..], 2));
    let named = address(b"path\0");
    let unnamed = address(b"");
    assert_eq!(name_of(libc::SYS_getsockname, listener), named);
    assert_eq!(name_of(libc::SYS_getsockname, b), named);
    assert_eq!(name_of(libc::SYS_getpeername, a), named);
    assert_eq!(name_of(libc::SYS_getsockname, a), unnamed);
    assert_eq!(name_of(libc::SYS_getpeername, b), unnamed);
    fails!(ENOTCONN, SYS_getpeername, listener, &mut name, &mut length);
    // A short buffer gets the front and the true length.
    let mut length = 4u32;
    name.fill(0xff);
    ok!(SYS_getpeername, a, &mut name, &mut length);
    assert_eq!((&name[..5], length), (&[1, 0, b'p', b'a', 0xff][..], 7));
    fails!(EINVAL, SYS_getsockname, a, &mut name, &mut -1i32);
    let (pair, _other) = pair(SOCK_STREAM);
    assert_eq!(name_of(libc::SYS_getpeername, pair), unnamed);
    // The whole of sun_path, without a zero at its end.
    let long = [b'x'; 108];
    let fd = socket(SOCK_STREAM);
    assert_eq!(bind(fd, &long), Ok(0));
    assert_eq!(
        name_of(libc::SYS_getsockname, fd),
        address(&[&long[..], b"\0"].concat())
    );
}

fn connected_before_accepted() {
    let listener = server(SOCK_STREAM, b"name", 5);
    let a = client(SOCK_STREAM, b"name");
    write(a, b"early");
    close(a);
    let b = accept(listener);
    assert_eq!(read(b, 10), b"early");
    assert_eq!(read(b, 10), b"");
}

fn the_backlog_is_bounded() {
    let listener = server(SOCK_STREAM, b"name", 1);
    client(SOCK_STREAM, b"name");
    client(SOCK_STREAM, b"name");
    let third = socket(SOCK_STREAM | SOCK_NONBLOCK);
    assert_eq!(connect(third, b"name"), Err(EAGAIN));
    accept(listener);
    assert_eq!(connect(third, b"name"), Ok(0));
    accept(listener);
    assert_eq!(connect(third, b"name"), Err(EISCONN));
    // It can be changed.
    ok!(SYS_listen, listener, 5);
    client(SOCK_STREAM, b"name");
}

fn a_blocked_connect_goes_on() {
    let listener = server(SOCK_STREAM, b"name", 0);
    client(SOCK_STREAM, b"name");
    let waiting = spawn(|| {
        let fd = client(SOCK_STREAM, b"name");
        write(fd, b"in");
        assert_eq!(read(fd, 10), b"");
    });
    accept(listener);
    let fd = accept(listener);
    assert_eq!(read(fd, 10), b"in");
    close(fd);
    waiting.passes();
}

fn accept_waits() {
    let listener = server(SOCK_STREAM, b"name", 5);
    let client = spawn(|| {
        client(SOCK_STREAM, b"name");
    });
    accept(listener);
    client.passes();
    never_wait(listener);
    fails!(EAGAIN, SYS_accept, listener, 0, 0);
}

fn accept_flags() {
    let listener = server(SOCK_STREAM | SOCK_NONBLOCK, b"name", 5);
    client(SOCK_STREAM, b"name");
    client(SOCK_STREAM, b"name");
    let plain = ok!(SYS_accept4, listener, 0, 0, 0);
    assert!(!close_on_exec(plain) && status_flags(plain) & libc::O_NONBLOCK == 0);
    let both = ok!(SYS_accept4, listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert!(close_on_exec(both) && status_flags(both) & libc::O_NONBLOCK != 0);
    fails!(EINVAL, SYS_accept4, listener, 0, 0, 1);
}

/// A connection that no descriptor is left for waits on.
fn accept_without_a_descriptor() {
    let listener = server(SOCK_STREAM, b"name", 5);
    let a = client(SOCK_STREAM, b"name");
    let limit = |soft: u64| {
        let limit = libc::rlimit {
            rlim_cur: soft,
            rlim_max: 1024,
        };
        ok!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &limit, 0);
    };
    limit(a as u64 + 1);
    fails!(EMFILE, SYS_accept, listener, 0, 0);
    limit(1024);
    let b = accept(listener);
    write(a, b"x");
    assert_eq!(read(b, 1), b"x");
}

fn a_closed_listener() {
    let listener = server(SOCK_STREAM, b"name", 5);
    let a = client(SOCK_STREAM, b"name");
    close(listener);
    fails!(ECONNRESET, SYS_read, a, &mut [0u8; 1], 1);
    assert_eq!(read(a, 1), b"");
    assert_eq!(connect(socket(SOCK_STREAM), b"name"), Err(ECONNREFUSED));
    // One that accepts no more.
    let listener = server(SOCK_STREAM, &unique("shut"), 5);
    ok!(SYS_shutdown, listener, SHUT_RD);
    assert_eq!(
        connect(socket(SOCK_STREAM), &unique("shut")),
        Err(ECONNREFUSED)
    );
    fails!(EINVAL, SYS_accept, listener, 0, 0);
}

fn a_listener_is_polled() {
    let listener = server(SOCK_STREAM, b"name", 5);
    assert_eq!(polled(listener, POLLIN | POLLOUT), 0);
    client(SOCK_STREAM, b"name");
    assert_eq!(polled(listener, POLLIN | POLLOUT), POLLIN);
    accept(listener);
    assert_eq!(polled(listener, POLLIN | POLLOUT), 0);
    let (mut value, mut length) = (0i32, 4u32);
    ok!(
        SYS_getsockopt,
        listener,
        SOL_SOCKET,
        SO_ACCEPTCONN,
        &mut value,
        &mut length
    );
    assert_eq!(value, 1);
}

fn a_path_is_an_inode() {
    ok!(SYS_umask, 0o027);
    let _listener = server(SOCK_STREAM, b"name", 5);
    let stat = lstat(c"name").unwrap();
    assert_eq!(stat.st_mode & S_IFMT, S_IFSOCK);
    assert_eq!(stat.st_mode & 0o777, 0o750);
    fails!(ENXIO, SYS_openat, libc::AT_FDCWD, c"name", libc::O_RDWR);
    assert_eq!(bind(socket(SOCK_STREAM), b"name"), Err(EADDRINUSE));
    // By another name of it, and through a link.
    ok!(
        SYS_linkat,
        libc::AT_FDCWD,
        c"name",
        libc::AT_FDCWD,
        c"other",
        0
    );
    ok!(SYS_symlinkat, c"other", libc::AT_FDCWD, c"link");
    client(SOCK_STREAM, b"other");
    client(SOCK_STREAM, b"./link");
    ok!(
        SYS_renameat,
        libc::AT_FDCWD,
        c"name",
        libc::AT_FDCWD,
        c"renamed"
    );
    client(SOCK_STREAM, b"renamed\0and more");
}

fn permissions_of_the_inode() {
    ok!(SYS_fchmodat, libc::AT_FDCWD, c".", 0o755);
    let _listener = server(SOCK_STREAM, b"name", 5);
    for (mode, expected) in [(0o777, Ok(0)), (0o775, Err(EACCES)), (0o002, Ok(0))] {
        ok!(SYS_fchmodat, libc::AT_FDCWD, c"name", mode);
        child::passes(|| {
            become_nobody();
            assert_eq!(connect(socket(SOCK_STREAM), b"name"), expected);
        });
    }
    child::passes(|| {
        become_nobody();
        assert_eq!(bind(socket(SOCK_STREAM), b"new"), Err(EACCES));
    });
}

fn a_removed_path() {
    let listener = server(SOCK_STREAM, b"name", 5);
    ok!(SYS_unlinkat, libc::AT_FDCWD, c"name", 0);
    assert_eq!(connect(socket(SOCK_STREAM), b"name"), Err(ENOENT));
    // The name can be had again, by another.
    let next = server(SOCK_STREAM, b"name", 5);
    client(SOCK_STREAM, b"name");
    accept(next);
    never_wait(listener);
    fails!(EAGAIN, SYS_accept, listener, 0, 0);
    // The inode stays when the socket goes.
    close(next);
    assert!(exists(c"name"));
    assert_eq!(connect(socket(SOCK_STREAM), b"name"), Err(ECONNREFUSED));
    create(c"file");
    assert_eq!(connect(socket(SOCK_STREAM), b"file"), Err(ECONNREFUSED));
    assert_eq!(connect(socket(SOCK_STREAM), b"none"), Err(ENOENT));
    assert_eq!(bind(socket(SOCK_STREAM), b"none/name"), Err(ENOENT));
}

fn wrong_addresses() {
    let fd = socket(SOCK_STREAM);
    let valid = address(b"name");
    for length in [0, 1, 111, 129, -1i32] {
        fails!(EINVAL, SYS_bind, fd, valid.as_ptr(), length);
        fails!(EINVAL, SYS_connect, fd, valid.as_ptr(), length);
    }
    fails!(EINVAL, SYS_connect, fd, valid.as_ptr(), 2);
    let foreign = [2u8, 0, b'x', 0];
    fails!(EINVAL, SYS_bind, fd, &foreign, 4);
    fails!(EINVAL, SYS_connect, fd, &foreign, 4);
    fails!(EFAULT, SYS_bind, fd, bad::<u8>(), 10);
    fails!(EFAULT, SYS_connect, fd, bad::<u8>(), 10);
    let _listener = server(SOCK_STREAM, b"name", 5);
    assert_eq!(connect(socket(SOCK_SEQPACKET), b"name"), Err(EPROTOTYPE));
    assert_eq!(connect(socket(SOCK_DGRAM), b"name"), Err(EPROTOTYPE));
}

fn wrong_order() {
    let fd = socket(SOCK_STREAM);
    fails!(EINVAL, SYS_listen, fd, 5);
    fails!(EINVAL, SYS_accept, fd, 0, 0);
    fails!(EINVAL, SYS_read, fd, &mut [0u8; 1], 1);
    fails!(ENOTCONN, SYS_write, fd, b"x", 1);
    fails!(ENOTCONN, SYS_getpeername, fd, &mut [0u8; 16], &mut 16u32);
    assert_eq!(bind(fd, b"one"), Ok(0));
    assert_eq!(bind(fd, b"two"), Err(EINVAL));
    assert_eq!(connect(socket(SOCK_STREAM), b"one"), Err(ECONNREFUSED));
    ok!(SYS_listen, fd, 5);
    assert_eq!(connect(fd, b"one"), Err(EINVAL));
    let connected = client(SOCK_STREAM, b"one");
    fails!(EINVAL, SYS_listen, connected, 5);
    fails!(EINVAL, SYS_accept, connected, 0, 0);
    let to = address(b"one");
    fails!(
        EISCONN,
        SYS_sendto,
        connected,
        b"x",
        1,
        0,
        to.as_ptr(),
        to.len()
    );
    fails!(
        EOPNOTSUPP,
        SYS_sendto,
        socket(SOCK_STREAM),
        b"x",
        1,
        MSG_NOSIGNAL,
        to.as_ptr(),
        to.len()
    );
    let datagram = socket(SOCK_DGRAM);
    fails!(EOPNOTSUPP, SYS_listen, datagram, 5);
    fails!(EOPNOTSUPP, SYS_accept, datagram, 0, 0);
}

fn send_to(fd: usize, bytes: &[u8], name: &[u8], flags: i32) -> Result<usize, i32> {
    let to = address(name);
    sys!(
        SYS_sendto,
        fd,
        bytes.as_ptr(),
        bytes.len(),
        flags,
        to.as_ptr(),
        to.len()
    )
}

fn datagrams_to_names() {
    let server = socket(SOCK_DGRAM);
    assert_eq!(bind(server, b"server"), Ok(0));
    let (named, unnamed) = (socket(SOCK_DGRAM), socket(SOCK_DGRAM));
    let name = unique("client");
    assert_eq!(bind(named, &name), Ok(0));
    assert_eq!(send_to(named, b"one", b"server", 0), Ok(3));
    assert_eq!(send_to(unnamed, b"two", b"server", 0), Ok(3));
    fails!(ENOTCONN, SYS_write, named, b"x", 1);
    let (mut bytes, mut from, mut length) = ([0u8; 10], [0u8; 128], 128u32);
    gives!(
        3,
        SYS_recvfrom,
        server,
        &mut bytes,
        10,
        0,
        &mut from,
        &mut length
    );
    assert_eq!(from[..length as usize], address(&name));
    // An answer.
    assert_eq!(send_to(server, b"back", &name, 0), Ok(4));
    let received = receive(named, 10);
    assert_eq!(
        (&received.bytes[..], received.name),
        (&b"back"[..], address(b"server\0"))
    );
    let received = receive(server, 10);
    assert_eq!(
        (&received.bytes[..], received.name),
        (&b"two"[..], Vec::new())
    );
    close(server);
    assert_eq!(send_to(named, b"x", b"server", 0), Err(ECONNREFUSED));
    assert_eq!(send_to(named, b"x", b"nobody", 0), Err(ENOENT));
    assert_eq!(
        send_to(named, b"x", &unique("nobody"), 0),
        Err(ECONNREFUSED)
    );
}

fn datagrams_to_one() {
    let (server, client, other) = (socket(SOCK_DGRAM), socket(SOCK_DGRAM), socket(SOCK_DGRAM));
    assert_eq!(bind(server, b"server"), Ok(0));
    assert_eq!(bind(client, b"client"), Ok(0));
    assert_eq!(connect(client, b"server"), Ok(0));
    write(client, b"x");
    assert_eq!(read(server, 10), b"x");
    assert_eq!(send_to(server, b"y", b"client", 0), Ok(1));
    assert_eq!(read(client, 10), b"y");
    // Only from the one it is connected to.
    assert_eq!(send_to(other, b"z", b"client", 0), Err(EPERM));
    assert_eq!(connect(other, b"client"), Err(EPERM));
    assert_eq!(bind(other, b"other"), Ok(0));
    assert_eq!(connect(client, b"other"), Ok(0));
    assert_eq!(send_to(other, b"z", b"client", 0), Ok(1));
    // To nobody again.
    ok!(SYS_connect, client, &[0u8, 0], 2);
    fails!(ENOTCONN, SYS_write, client, b"x", 1);
    fails!(
        ENOTCONN,
        SYS_getpeername,
        client,
        &mut [0u8; 16],
        &mut 16u32
    );
}

fn full_datagram_receiver() {
    let (server, client) = (socket(SOCK_DGRAM), socket(SOCK_DGRAM));
    assert_eq!(bind(server, b"server"), Ok(0));
    let mut sent = 0;
    while send_to(client, &[0; 3000], b"server", MSG_DONTWAIT).is_ok() {
        sent += 1;
    }
    assert!(sent >= 8);
    let waiting = spawn(|| {
        assert_eq!(send_to(client, b"last", b"server", 0), Ok(4));
    });
    for _ in 0..sent {
        assert_eq!(read(server, 5000).len(), 3000);
    }
    assert_eq!(read(server, 100), b"last");
    waiting.passes();
    // Connected to it, poll tells.
    assert_eq!(connect(client, b"server"), Ok(0));
    while sys!(SYS_sendto, client, &[0u8; 3000], 3000, MSG_DONTWAIT, 0, 0).is_ok() {}
    assert_eq!(polled(client, POLLOUT), 0);
    while sys!(SYS_recvfrom, server, &mut [0u8; 1], 1, MSG_DONTWAIT, 0, 0).is_ok() {}
    assert_eq!(polled(client, POLLOUT), POLLOUT);
}

fn a_name_of_its_own() {
    let fd = socket(SOCK_DGRAM);
    assert_eq!(bind(fd, b""), Ok(0));
    let name = name_of(libc::SYS_getsockname, fd);
    assert_eq!((name.len(), &name[..3]), (8, &[1u8, 0, 0][..]));
    assert!(name[3..].iter().all(u8::is_ascii_hexdigit));
    let next = socket(SOCK_DGRAM);
    assert_eq!(bind(next, b""), Ok(0));
    assert_ne!(name_of(libc::SYS_getsockname, next), name);
    assert_eq!(send_to(next, b"x", &name[2..], 0), Ok(1));
    assert_eq!(read(fd, 10), b"x");
    // Who wants credentials gets one when it connects.
    let shown = socket(SOCK_DGRAM);
    ok!(SYS_setsockopt, shown, SOL_SOCKET, SO_PASSCRED, &1i32, 4);
    assert_eq!(connect(shown, &name[2..]), Ok(0));
    assert_eq!(name_of(libc::SYS_getsockname, shown).len(), 8);
}

fn credentials_of_both_sides() {
    let peer = |fd: usize| {
        let (mut ucred, mut length) = ([0u32; 3], 12u32);
        ok!(
            SYS_getsockopt,
            fd,
            SOL_SOCKET,
            SO_PEERCRED,
            &mut ucred,
            &mut length
        );
        ucred
    };
    let listener = server(SOCK_STREAM, b"name", 5);
    ok!(SYS_fchmodat, libc::AT_FDCWD, c"name", 0o777);
    ok!(SYS_fchmodat, libc::AT_FDCWD, c".", 0o755);
    let server = pid() as u32;
    let client = spawn(|| {
        ok!(SYS_setresgid, 5, 5, 5);
        ok!(SYS_setresuid, 7, 7, 7);
        let fd = client(SOCK_STREAM, b"name");
        assert_eq!(peer(fd), [server, 0, 0]);
        read(fd, 1);
    });
    let fd = accept(listener);
    assert_eq!(peer(fd), [client.pid as u32, 7, 5]);
    close(fd);
    client.passes();
}
