use super::*;
use crate::flight::FILES;
use abi::Error;
use object::SliceSink;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec;
use std::vec::Vec;
use task::{Ready, WaitQueue, block_on};
use vfs::{Description, File, OpenFlags, Time};

/// The table of files in flight is one for all, and every socket that is closed may have it looked through, which holds
/// references for a moment: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const MAKER: Maker = Maker {
    credentials: Credentials {
        pid: 7,
        uid: 1,
        gid: 2,
    },
    now: Time::from_nanoseconds(0),
};

fn pair(kind: Kind) -> [Arc<Socket>; 2] {
    Socket::pair(kind, &MAKER).unwrap()
}

fn send(socket: &Socket, bytes: &[u8]) -> Result<usize, Error> {
    let mut source = bytes;
    socket.try_send(&mut source, &mut Cargo::default(), None)
}

fn send_files(socket: &Socket, bytes: &[u8], files: &[&Arc<Description>]) -> Result<usize, Error> {
    let mut source = bytes;
    let mut cargo = Cargo {
        files: files
            .iter()
            .map(|file| Sent {
                file: (*file).clone(),
                rights: abi::Rights::READ,
                tenure: object::Tenure::FOREVER,
            })
            .collect(),
        ..Cargo::default()
    };
    socket.try_send(&mut source, &mut cargo, None)
}

fn receive_with(socket: &Socket, room: usize, peek: bool) -> Result<(Vec<u8>, Received), Error> {
    let mut bytes = std::vec![0; room];
    let look = Look {
        peek,
        by_sender: false,
    };
    let received = socket.try_receive(&mut SliceSink::new(&mut bytes), look)?;
    bytes.truncate(received.count);
    Ok((bytes, received))
}

fn receive(socket: &Socket, room: usize) -> Result<Vec<u8>, Error> {
    receive_with(socket, room, false).map(|(bytes, _)| bytes)
}

fn ready(socket: &Socket) -> Ready {
    socket.readiness().unwrap().get()
}

fn open(socket: &Arc<Socket>) -> Arc<Description> {
    socket.clone().describe(OpenFlags::empty())
}

#[test]
fn a_stream_is_bytes_both_ways() {
    let _alone = alone();
    let [a, b] = pair(Kind::Stream);
    assert_eq!(ready(&a), Ready::WRITE);
    assert_eq!(receive(&a, 1), Err(Error::WouldBlock));
    assert_eq!(send(&a, b"hello"), Ok(5));
    assert_eq!(send(&a, b" you"), Ok(4));
    assert_eq!(ready(&b), Ready::READ | Ready::WRITE);
    assert_eq!((b.receivable(), a.unreceived()), (Ok(9), 9));
    assert_eq!(receive_with(&b, 4, true).unwrap().0, b"hell");
    assert_eq!(receive(&b, 7).unwrap(), b"hello y");
    assert_eq!(receive(&b, 7).unwrap(), b"ou");
    assert_eq!(ready(&b), Ready::WRITE);
    assert_eq!(send(&b, b"x"), Ok(1));
    assert_eq!(receive(&a, 7).unwrap(), b"x");
    assert_eq!(send(&a, b""), Ok(0));
    assert_eq!(receive(&b, 7), Err(Error::WouldBlock));
}

#[test]
fn messages_stay_apart() {
    let _alone = alone();
    for kind in [Kind::Records, Kind::Datagram] {
        let [a, b] = pair(kind);
        for message in [&b"first"[..], b"", b"third"] {
            assert_eq!(send(&a, message), Ok(message.len()));
        }
        assert_eq!(receive_with(&b, 3, true).unwrap().0, b"fir");
        let (bytes, received) = receive_with(&b, 3, false).unwrap();
        assert_eq!((&bytes[..], received.length), (&b"fir"[..], 5));
        assert_eq!(receive(&b, 10).unwrap(), b"");
        assert_eq!(receive(&b, 10).unwrap(), b"third");
        assert_eq!(receive(&b, 10), Err(Error::WouldBlock));
        let long = std::vec![0; a.send_limit()];
        assert_eq!(send(&a, &long), Err(Error::MessageTooLong));
    }
}

#[test]
fn a_full_receiver_holds_the_sender_back() {
    let _alone = alone();
    for kind in [Kind::Stream, Kind::Records, Kind::Datagram] {
        let [a, b] = pair(kind);
        let mut sent = 0;
        while let Ok(count) = send(&a, &[0; 4000]) {
            sent += count;
        }
        assert!((100_000..500_000).contains(&sent), "{kind:?} {sent}");
        assert_eq!(send(&a, &[0]), Err(Error::WouldBlock));
        assert_eq!(ready(&a), Ready::empty());
        // Empty messages count too.
        assert_eq!(
            send(&a, &[]),
            if kind == Kind::Stream {
                Ok(0)
            } else {
                Err(Error::WouldBlock)
            }
        );
        let mut received = 0;
        while let Ok(bytes) = receive(&b, 4000) {
            received += bytes.len();
        }
        assert_eq!(received, sent);
        assert_eq!(ready(&a), Ready::WRITE);
        assert_eq!(send(&a, &[0]), Ok(1));
    }
    let [a, _b] = pair(Kind::Records);
    a.set_send_limit(0);
    assert_eq!(a.send_limit(), 4608);
    assert_eq!(send(&a, &[0; 4500]), Ok(4500));
    assert_eq!(send(&a, &[]), Err(Error::WouldBlock));
    a.set_send_limit(100_000);
    assert_eq!(send(&a, &[]), Ok(0));
}

#[test]
fn half_of_a_connection_ends() {
    let _alone = alone();
    for kind in [Kind::Stream, Kind::Records] {
        let [a, b] = pair(kind);
        send(&a, b"last").unwrap();
        a.shutdown(Shutdown::Sending);
        assert_eq!(send(&a, b"x"), Err(Error::Closed));
        assert_eq!(ready(&b), Ready::READ | Ready::WRITE);
        assert_eq!(receive(&b, 10).unwrap(), b"last");
        assert_eq!(receive(&b, 10).unwrap(), b"");
        assert_eq!(ready(&b), Ready::READ | Ready::WRITE);
        assert_eq!(send(&b, b"still"), Ok(5));
        assert_eq!(receive(&a, 10).unwrap(), b"still");
        b.shutdown(Shutdown::Sending);
        assert!(ready(&a).contains(Ready::HANGUP) && ready(&b).contains(Ready::HANGUP));
        let [a, b] = pair(kind);
        a.shutdown(Shutdown::Receiving);
        assert_eq!(send(&b, b"x"), Err(Error::Closed));
        assert_eq!(receive(&a, 10).unwrap(), b"");
    }
}

#[test]
fn the_other_side_goes() {
    let _alone = alone();
    for kind in [Kind::Stream, Kind::Records] {
        let [a, b] = pair(kind);
        send(&b, b"last").unwrap();
        drop(b);
        assert_eq!(ready(&a), Ready::READ | Ready::WRITE | Ready::HANGUP);
        assert_eq!(receive(&a, 10).unwrap(), b"last");
        assert_eq!(receive(&a, 10).unwrap(), b"");
        assert_eq!(send(&a, b"x"), Err(Error::Closed));
        // What was not read is told once.
        let [a, b] = pair(kind);
        send(&a, b"unread").unwrap();
        drop(b);
        assert!(ready(&a).contains(Ready::ERROR));
        assert_eq!(receive(&a, 10), Err(Error::Reset));
        assert_eq!(receive(&a, 10).unwrap(), b"");
        assert!(!ready(&a).contains(Ready::ERROR));
    }
    let [a, b] = pair(Kind::Datagram);
    drop(b);
    assert_eq!(receive(&a, 1), Err(Error::WouldBlock));
    assert_eq!(send(&a, b"x"), Err(Error::Refused));
    assert_eq!(send(&a, b"x"), Err(Error::NotConnected));
}

#[test]
fn files_travel_with_their_bytes() {
    let _alone = alone();
    let before = FILES.pieces();
    let [a, b] = pair(Kind::Stream);
    let [c, d] = pair(Kind::Stream);
    let file = open(&c);
    drop(c);
    send(&a, b"before ").unwrap();
    assert_eq!(send_files(&a, b"with", &[&file, &file]), Ok(4));
    send(&a, b" after").unwrap();
    assert_eq!(FILES.pieces(), before + 2);
    // Looking copies them.
    let (bytes, received) = receive_with(&b, 100, true).unwrap();
    assert_eq!((&bytes[..], received.files.len()), (&b"before with"[..], 2));
    drop(received);
    // Bytes before them come together with them, bytes after them do not.
    assert_eq!(receive(&b, 3).unwrap(), b"bef");
    let (bytes, received) = receive_with(&b, 6, false).unwrap();
    assert_eq!((&bytes[..], received.files.len()), (&b"ore wi"[..], 2));
    assert!(Arc::ptr_eq(&received.files[0].file, &file));
    assert_eq!(received.files[0].rights, abi::Rights::READ);
    assert_eq!(FILES.pieces(), before);
    let (bytes, rest) = receive_with(&b, 100, false).unwrap();
    assert_eq!((&bytes[..], rest.files.len()), (&b"th after"[..], 0));
    // The last copy that is closed is the end.
    drop(file);
    assert_eq!(receive(&d, 1), Err(Error::WouldBlock));
    drop(received);
    assert_eq!(receive(&d, 1).unwrap(), b"");
    // Nothing to send: the files stay.
    let file = open(&d);
    assert_eq!(send_files(&a, b"", &[&file]), Ok(0));
    assert_eq!(FILES.pieces(), before);
    // A receiver that goes takes with it what it did not receive.
    drop(d);
    let witness = Arc::downgrade(&file);
    send_files(&a, b"x", &[&file]).unwrap();
    drop(file);
    assert!(witness.upgrade().is_some());
    drop(b);
    assert!(witness.upgrade().is_none());
    assert_eq!(FILES.pieces(), before);
}

#[test]
fn messages_carry_who_sent_them() {
    let _alone = alone();
    let sent_by = |socket: &Socket, bytes: &[u8], pid| {
        let mut source = bytes;
        let credentials = Credentials {
            pid,
            uid: 0,
            gid: 0,
        };
        let mut cargo = Cargo {
            credentials,
            ..Cargo::default()
        };
        socket.try_send(&mut source, &mut cargo, None).unwrap();
    };
    let [a, b] = pair(Kind::Stream);
    sent_by(&a, b"one", 1);
    sent_by(&a, b"two", 2);
    assert_eq!(receive_with(&b, 100, true).unwrap().0, b"onetwo");
    b.set_passes_credentials(true);
    let (bytes, received) = receive_with(&b, 100, false).unwrap();
    assert_eq!((&bytes[..], received.credentials.pid), (&b"one"[..], 1));
    let (bytes, received) = receive_with(&b, 100, false).unwrap();
    assert_eq!((&bytes[..], received.credentials.pid), (&b"two"[..], 2));
    assert_eq!(b.peer().unwrap().maker(), MAKER.credentials);
}

#[test]
fn sockets_that_only_sockets_hold_end() {
    let _alone = alone();
    let before = FILES.pieces();
    // Into itself.
    let [a, b] = pair(Kind::Stream);
    let file = open(&a);
    drop(a);
    let witness = Arc::downgrade(&file);
    send_files(&b, b"x", &[&file]).unwrap();
    drop(file);
    assert!(witness.upgrade().is_some());
    drop(b);
    assert!(witness.upgrade().is_none());
    // A ring of several, with one that can still be reached from outside.
    let pairs: Vec<_> = (0..10)
        .map(|_| pair(Kind::Records).map(|end| open(&end)))
        .collect();
    for (index, [_, sender]) in pairs.iter().enumerate() {
        let next = &pairs[(index + 1) % pairs.len()];
        let socket = sender.file_as::<Socket>().unwrap();
        send_files(socket, b"", &[&next[0], &next[1]]).unwrap();
    }
    let witnesses: Vec<_> = pairs.iter().flatten().map(Arc::downgrade).collect();
    let outside = pairs[3][0].clone();
    drop(pairs);
    drop(pair(Kind::Stream));
    assert!(witnesses.iter().all(|witness| witness.upgrade().is_some()));
    drop(outside);
    drop(pair(Kind::Stream));
    for _ in 0..10 {
        drop(pair(Kind::Stream));
    }
    assert!(witnesses.iter().all(|witness| witness.upgrade().is_none()));
    // In a connection that nobody accepted, to the socket that does not accept it.
    let listener = Socket::new(Kind::Stream, &MAKER).unwrap();
    listener.bind_abstract(1, b"ring").unwrap();
    listener.listen(5, &MAKER).unwrap();
    let client = Socket::new(Kind::Stream, &MAKER).unwrap();
    client.try_connect(listener.endpoint(), &MAKER).unwrap();
    let file = open(&listener);
    drop(listener);
    let witness = Arc::downgrade(&file);
    send_files(&client, b"x", &[&file]).unwrap();
    drop(file);
    drop(client);
    assert!(witness.upgrade().is_none());
    assert_eq!(FILES.pieces(), before);
}

#[test]
fn a_long_chain_ends_on_a_short_stack() {
    let _alone = alone();
    let before = FILES.pieces();
    let [_, last] = pair(Kind::Stream);
    let mut carried = open(&last);
    drop(last);
    for _ in 0..20_000 {
        let [a, b] = pair(Kind::Stream);
        send_files(&a, b"x", &[&carried]).unwrap();
        carried = open(&b);
    }
    std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(move || drop(carried))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(FILES.pieces(), before);
}

#[test]
fn a_listener_gives_connections_in_order() {
    let _alone = alone();
    let server = Socket::new(Kind::Stream, &MAKER).unwrap();
    assert_eq!(ready(&server), Ready::WRITE | Ready::HANGUP);
    assert_eq!(server.listen(1, &MAKER), Err(Error::Invalid));
    server.bind_abstract(1, b"order").unwrap();
    assert_eq!(server.bind_abstract(1, b"more"), Err(Error::Invalid));
    let target = name::find_abstract(1, b"order").unwrap();
    assert_eq!(name::find_abstract(2, b"order").err(), Some(Error::Refused));
    let client = || Socket::new(Kind::Stream, &MAKER).unwrap();
    let first = client();
    assert_eq!(first.try_connect(&target, &MAKER), Err(Error::Refused));
    assert_eq!(send(&first, b"x"), Err(Error::NotConnected));
    server.listen(1, &MAKER).unwrap();
    assert_eq!(server.try_accept().err(), Some(Error::WouldBlock));
    first.try_connect(&target, &MAKER).unwrap();
    assert_eq!(first.try_connect(&target, &MAKER), Err(Error::Connected));
    let (second, third) = (client(), client());
    second.try_connect(&target, &MAKER).unwrap();
    assert_eq!(third.try_connect(&target, &MAKER), Err(Error::WouldBlock));
    assert_eq!(target.room().get(), Ready::empty());
    assert_eq!(ready(&server), Ready::READ);
    send(&first, b"before accept").unwrap();
    server.put_back(server.try_accept().unwrap());
    let accepted = server.try_accept().unwrap();
    assert_eq!(receive(&accepted, 100).unwrap(), b"before accept");
    assert_eq!(accepted.endpoint().name(), target.name());
    assert_eq!(target.room().get(), Ready::WRITE);
    send(&accepted, b"answer").unwrap();
    assert_eq!(receive(&first, 100).unwrap(), b"answer");
    let other = Socket::new(Kind::Records, &MAKER).unwrap();
    assert_eq!(
        other.try_connect(&target, &MAKER),
        Err(Error::WrongProtocol)
    );
    drop(server);
    // Who waited is told; who was accepted goes on; the name is free.
    assert_eq!(receive(&second, 1), Err(Error::Reset));
    assert_eq!(third.try_connect(&target, &MAKER), Err(Error::Refused));
    assert_eq!(send(&first, b"x"), Ok(1));
    assert_eq!(name::find_abstract(1, b"order").err(), Some(Error::Refused));
    client().bind_abstract(1, b"order").unwrap();
}

#[test]
fn datagrams_find_their_receiver() {
    let _alone = alone();
    let socket = || Socket::new(Kind::Datagram, &MAKER).unwrap();
    let (server, client, other) = (socket(), socket(), socket());
    server.bind_abstract(1, b"server").unwrap();
    assert_eq!(other.bind_abstract(1, b"server"), Err(Error::AddressInUse));
    client.bind_any(1).unwrap();
    let target = name::find_abstract(1, b"server").unwrap();
    let mut cargo = Cargo::default();
    client
        .try_send(&mut &b"hi"[..], &mut cargo, Some(&target))
        .unwrap();
    let (bytes, received) = receive_with(&server, 10, false).unwrap();
    assert_eq!(bytes, b"hi");
    assert_eq!(received.from.as_ref(), client.endpoint().name());
    assert_eq!(send(&client, b"x"), Err(Error::NotConnected));
    client.aim(Some(&target)).unwrap();
    assert_eq!(send(&client, b"x"), Ok(1));
    // Once aimed, it hears from nobody else.
    let refused = other.try_send(&mut &b"x"[..], &mut cargo, Some(client.endpoint()));
    assert_eq!(refused, Err(Error::Forbidden));
    client.aim(None).unwrap();
    assert_eq!(send(&client, b"x"), Err(Error::NotConnected));
    // Many senders share the room.
    other.aim(Some(&target)).unwrap();
    while send(&other, &[0; 1000]).is_ok() {}
    assert_eq!(ready(&other), Ready::empty());
    assert_eq!(
        client.try_send(&mut &b"x"[..], &mut cargo, Some(&target)),
        Err(Error::WouldBlock)
    );
    assert_eq!(target.room().get(), Ready::empty());
    while receive(&server, 1).is_ok() {}
    assert_eq!(
        (ready(&other), target.room().get()),
        (Ready::WRITE, Ready::WRITE)
    );
}

#[test]
fn what_waits_in_an_open_socket_can_be_received() {
    let _alone = alone();
    let before = FILES.pieces();
    let [sender, receiver] = pair(Kind::Records);
    let [inner, carrier] = pair(Kind::Records).map(|end| open(&end));
    let file = open(&pair(Kind::Stream)[0]);
    // The file waits in a socket that waits in one that is open, and was never sent itself.
    send_files(inner.file_as::<Socket>().unwrap(), b"x", &[&file]).unwrap();
    send_files(&sender, b"x", &[&carrier]).unwrap();
    drop((inner, carrier, file));
    for _ in 0..8 {
        drop(pair(Kind::Stream));
    }
    let (_, mut received) = receive_with(&receiver, 1, false).unwrap();
    let carrier = received.files.pop().unwrap().file;
    let (_, received) = receive_with(carrier.file_as::<Socket>().unwrap(), 1, false).unwrap();
    assert_eq!(received.files.len(), 1, "lost");
    drop((received, carrier));
    assert_eq!(FILES.pieces(), before);
}

/// Bytes between tasks that wait for each other, both ways: none lost, none twice, in order.
#[test]
fn nothing_is_lost_between_waiting_tasks() {
    let _alone = alone();
    const MESSAGES: u32 = 4000;
    for kind in [Kind::Stream, Kind::Records, Kind::Datagram] {
        let [a, b] = pair(kind);
        a.set_send_limit(2400);
        b.set_receive_limit(2400);
        let received = Arc::new(machine::sync::Spin::new(0u32));
        let done = Arc::new(WaitQueue::new());
        let sender = async move {
            for number in 0..MESSAGES {
                let bytes = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
                let mut at = 0;
                while at < bytes.len() {
                    match send(&a, &bytes[at..]) {
                        Ok(count) => at += count,
                        Err(Error::WouldBlock) => {
                            let ready = a.readiness().unwrap();
                            ready.wait(Ready::WRITE, None).await.unwrap();
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            // Stays open until everything is received.
            while a.unreceived() > 0 {
                task::yield_now().await;
            }
        };
        task::spawn("sender", sender).unwrap();
        {
            let (received, done) = (received.clone(), done.clone());
            let receiver = async move {
                let mut rest = Vec::new();
                while *received.lock() < MESSAGES {
                    match receive(&b, 8) {
                        Ok(bytes) => rest.extend(bytes),
                        Err(Error::WouldBlock) => {
                            let ready = b.readiness().unwrap();
                            ready.wait(Ready::READ, None).await.unwrap();
                        }
                        Err(error) => panic!("{error}"),
                    }
                    while rest.len() >= 8 {
                        let mut count = received.lock();
                        assert_eq!(rest[..4], count.to_le_bytes());
                        assert_eq!(rest[4..8], (!*count).to_le_bytes());
                        *count += 1;
                        rest.drain(..8);
                    }
                }
                done.wake_all();
            };
            task::spawn("receiver", receiver).unwrap();
        }
        let all = || (*received.lock() == MESSAGES).then_some(());
        block_on(done.wait_until(all)).unwrap();
        task::run_until_idle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever is sent where, everything ends when nobody holds it, and nothing that is held does.
    #[test]
    fn references_decide(steps in proptest::collection::vec((0..12usize, 0..12usize, 0..4u8), 1..80)) {
        let _alone = alone();
        let before = FILES.pieces();
        let mut held: Vec<Option<Arc<Description>>> = (0..6)
            .flat_map(|_| pair(Kind::Records).map(|end| Some(open(&end))))
            .collect();
        let witnesses: Vec<_> = held.iter().flatten().map(Arc::downgrade).collect();
        let mut waits: Vec<VecDeque<usize>> = vec![VecDeque::new(); held.len()];
        for (from, what, action) in steps {
            match action {
                0 | 1 => if let (Some(from_file), Some(file)) = (&held[from], &held[what]) {
                    let sent = send_files(from_file.file_as::<Socket>().unwrap(), b"x", &[file]);
                    if sent.is_ok() {
                        // The ends of a pair are beside each other.
                        waits[from ^ 1].push_back(what);
                    }
                },
                2 => if let Some(at) = &held[from]
                    && let Some(expected) = waits[from].pop_front() {
                    let (_, received) = receive_with(at.file_as::<Socket>().unwrap(), 1, false).unwrap();
                    let file = received.files.into_iter().next().map(|sent| sent.file);
                    prop_assert!(file.as_ref().is_some_and(|file| std::ptr::eq(witnesses[expected].as_ptr(), Arc::as_ptr(file))), "lost");
                    held[expected] = file;
                },
                _ => drop(held[from].take()),
            }
            for (file, witness) in held.iter().zip(&witnesses) {
                prop_assert!(file.is_none() || witness.strong_count() > 0);
            }
        }
        drop(held);
        for _ in 0..witnesses.len() {
            drop(pair(Kind::Stream));
        }
        prop_assert!(witnesses.iter().all(|witness| witness.strong_count() == 0));
        prop_assert_eq!(FILES.pieces(), before);
    }
}
