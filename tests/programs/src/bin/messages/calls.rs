//! Questions and answers between processes.

use abi::{Error, NEVER};
use test_programs::child;
use test_programs::native::{call, channel, close, is_linux, number, receive, send};

test_programs::tests!(
    answers_come_back,
    many_ask_at_once,
    messages_come_in_order,
    who_ends_unanswered_is_noticed,
    threads_serve_together,
);

/// Doubles what it is asked until nobody can ask any more. For a process that has no sender itself.
pub fn double(receiver: u64) {
    loop {
        match receive(receiver, NEVER) {
            Ok(message) => {
                let answer = number(2 * message.number());
                send(message.reply(), &answer, &[], 0).expect("somebody waits");
            }
            Err(error) => return assert_eq!(error, Error::Closed),
        }
    }
}

fn answers_come_back() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let server = child::fork(|| {
        close(sender).expect("a sender");
        double(receiver);
        0
    });
    close(receiver).expect("a receiver");
    for round in 0..10_000 {
        let answer = call(sender, &number(round), &[]).expect("an answer");
        assert_eq!(answer.number(), 2 * round);
    }
    close(sender).expect("a sender");
    server.passes();
}

fn many_ask_at_once() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let server = child::fork(|| {
        close(sender).expect("a sender");
        double(receiver);
        0
    });
    close(receiver).expect("a receiver");
    let clients: Vec<_> = (0..8)
        .map(|client| {
            child::fork(move || {
                for round in 0..500 {
                    let question = client * 1000 + round;
                    let answer = call(sender, &number(question), &[]).expect("an answer");
                    assert_eq!(answer.number(), 2 * question);
                }
                0
            })
        })
        .collect();
    close(sender).expect("a sender");
    clients.into_iter().for_each(|client| client.passes());
    server.passes();
}

fn messages_come_in_order() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let writer = child::fork(|| {
        close(receiver).expect("a receiver");
        // Many more than there is room for: it waits for the reader.
        for round in 0..5_000 {
            send(sender, &number(round), &[], NEVER).expect("room");
        }
        0
    });
    close(sender).expect("a sender");
    for round in 0..5_000 {
        let message = receive(receiver, NEVER).expect("a message");
        assert_eq!((message.number(), message.asks), (round, false));
    }
    assert_eq!(receive(receiver, NEVER).err(), Some(Error::Closed));
    writer.passes();
}

fn who_ends_unanswered_is_noticed() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let server = child::fork(|| {
        close(sender).expect("a sender");
        receive(receiver, NEVER).expect("a question");
        0
    });
    close(receiver).expect("a receiver");
    let answer = call(sender, &number(1), &[]);
    assert_eq!(answer.err(), Some(Error::Unanswered));
    let answer = call(sender, &number(2), &[]);
    assert!(
        matches!(answer, Err(Error::Closed | Error::Unanswered)),
        "{answer:?}"
    );
    server.passes();
    assert_eq!(call(sender, &number(2), &[]).err(), Some(Error::Closed));
}

fn threads_serve_together() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let server = child::fork(|| {
        close(sender).expect("a sender");
        let threads: Vec<_> = (0..3)
            .map(|_| std::thread::spawn(move || double(receiver)))
            .collect();
        threads
            .into_iter()
            .for_each(|it| it.join().expect("it serves"));
        0
    });
    close(receiver).expect("a receiver");
    let threads: Vec<_> = (0..4)
        .map(|client| {
            std::thread::spawn(move || {
                for round in 0..500 {
                    let question = client * 1000 + round;
                    let answer = call(sender, &number(question), &[]).expect("an answer");
                    assert_eq!(answer.number(), 2 * question);
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|it| it.join().expect("it asks"));
    close(sender).expect("a sender");
    server.passes();
}
