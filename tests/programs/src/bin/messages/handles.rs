//! Handles on their way from process to process: none is lost, doubled, or kept by nobody.

use abi::{Error, NEVER, Passed, Rights};
use test_programs::child;
use test_programs::native::{
    EMPTY, call, channel, close, is_linux, memory, native, number, pass, receive, registry, send,
};
use test_programs::pattern::Numbers;

test_programs::tests!(
    ends_travel,
    rights_shrink_on_the_way,
    an_answer_brings_handles,
    a_receiver_in_itself_is_given_up,
    nonsense_is_refused,
    threads_send_a_handle_once,
);

const END: Rights = Rights::TRANSFER.union(Rights::INSPECT);

fn ends_travel() {
    if is_linux() {
        return;
    }
    // A service hands every client a channel of its own.
    let (front, visitors) = channel().expect("a channel");
    let service = child::fork(|| {
        close(front).expect("a sender");
        while let Ok(visitor) = receive(visitors, NEVER) {
            let (sender, receiver) = channel().expect("a channel");
            let answer = pass(sender, END | Rights::WRITE, Passed::MOVE);
            send(visitor.reply(), &EMPTY, &answer, 0).expect("somebody waits");
            super::calls::double(receiver);
            close(receiver).expect("a receiver");
        }
        0
    });
    close(visitors).expect("a receiver");
    for round in 0..200 {
        let welcome = call(front, &EMPTY, &[]).expect("an answer");
        let own = welcome.handles[0].number.0.into();
        assert_eq!(
            call(own, &number(round), &[]).expect("an answer").number(),
            2 * round
        );
        close(own).expect("a sender");
    }
    close(front).expect("a sender");
    service.passes();
}

fn rights_shrink_on_the_way() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let thing = memory(4096).expect("memory");
    let few = Rights::READ | Rights::TRANSFER;
    send(sender, &EMPTY, &pass(thing, few, Passed::COPY), 0).expect("room");
    let copy = receive(receiver, 0).expect("a message").handles[0];
    assert_eq!(copy.rights, few);
    let copy = copy.number.0.into();
    for (rights, what) in [(few | Rights::WRITE, Passed::MOVE), (few, Passed::COPY)] {
        let refused = send(sender, &EMPTY, &pass(copy, rights, what), 0);
        assert_eq!(refused, Err(Error::Denied));
    }
    send(sender, &EMPTY, &pass(copy, Rights::READ, Passed::MOVE), 0).expect("room");
    assert_eq!(close(copy), Err(Error::BadHandle));
    let last = receive(receiver, 0).expect("a message").handles[0]
        .number
        .0
        .into();
    let refused = send(sender, &EMPTY, &pass(last, Rights::READ, Passed::MOVE), 0);
    assert_eq!(refused, Err(Error::Denied));
}

fn an_answer_brings_handles() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let server = child::fork(|| {
        close(sender).expect("a sender");
        while let Ok(message) = receive(receiver, NEVER) {
            let back: Vec<u8> = message.handles[..message.handles.len() - 1]
                .iter()
                .rev()
                .flat_map(|it| pass(it.number.0.into(), it.rights, Passed::MOVE))
                .collect();
            send(message.reply(), &EMPTY, &back, 0).expect("somebody waits");
        }
        0
    });
    close(receiver).expect("a receiver");
    let mut things: Vec<u64> = (0..64).map(|_| memory(4096).expect("memory")).collect();
    for _ in 0..50 {
        let there: Vec<u8> = things
            .iter()
            .flat_map(|thing| pass(*thing, END, Passed::MOVE))
            .collect();
        let answer = call(sender, &EMPTY, &there).expect("an answer");
        assert!(
            things
                .iter()
                .all(|thing| close(*thing) == Err(Error::BadHandle))
        );
        things = answer.handles.iter().map(|it| it.number.0.into()).collect();
        assert_eq!(things.len(), 64);
    }
    close(sender).expect("a sender");
    server.passes();
}

fn a_receiver_in_itself_is_given_up() {
    if is_linux() {
        return;
    }
    // Each would keep a whole MiB for ever.
    for _ in 0..2_000 {
        let (sender, receiver) = channel().expect("a channel");
        let mut value = vec![0; 512 << 10];
        let length = value.len() as u32;
        value[..4].copy_from_slice(&length.to_le_bytes());
        value[4..8].copy_from_slice(b"\x05b\0\0");
        value[7..11].copy_from_slice(&(length - 13).to_le_bytes());
        send(sender, &value, &[], 0).expect("room");
        let own = pass(receiver, END, Passed::MOVE);
        send(sender, &EMPTY, &own, 0).expect("room");
        close(sender).expect("a sender");
    }
}

fn nonsense_is_refused() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let mut numbers = Numbers::new(4);
    let mut word = move || numbers.word();
    for _ in 0..20_000 {
        let mut record = word().to_le_bytes();
        if word() % 2 == 0 {
            record[..4].copy_from_slice(&(sender as u32).to_le_bytes());
            record[5] &= 0x0f;
            record[6] = (word() % 4) as u8;
            record[7] = 0;
        }
        let address = match word() % 4 {
            0 => 0,
            1 => EMPTY.as_ptr() as u64,
            2 => record.as_ptr() as u64,
            _ => word(),
        };
        let count = if word() % 4 == 0 { word() } else { 1 };
        let arguments = [sender, address, record.as_ptr() as u64, count, 0];
        let _ = native(abi::Call::Send, &arguments);
        let arguments = [receiver, word(), word() % 64, word(), word() % 4, 0];
        let _ = native(abi::Call::Receive, &arguments);
        if close(sender) != Err(Error::BadHandle) {
            break;
        }
    }
    let _ = registry("channel").map(close);
}

fn threads_send_a_handle_once() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    for _ in 0..200 {
        let thing = memory(4096).expect("memory");
        let own = pass(thing, END, Passed::MOVE);
        let threads: Vec<_> = (0..3)
            .map(|_| std::thread::spawn(move || send(sender, &EMPTY, &own, 0)))
            .collect();
        let results = threads.into_iter().map(|it| it.join().expect("it sends"));
        let sent = results.filter(|result| match result {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(*error, Error::BadHandle);
                false
            }
        });
        assert_eq!(sent.count(), 1);
        let got = receive(receiver, 0).expect("a message").handles[0];
        close(got.number.0.into()).expect("it is here");
        assert_eq!(receive(receiver, 0).err(), Some(Error::WouldBlock));
    }
}
