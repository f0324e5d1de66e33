//! What ends, limits and time do to who waits.

use abi::{Call, Error, Events, NEVER};
use test_programs::child;
use test_programs::native::{
    EMPTY, call, channel, close, is_linux, native, number, receive, registry, send,
};

test_programs::tests!(
    a_full_channel_says_so,
    who_waits_for_room_goes_on,
    who_waits_is_told_of_the_end,
    time_passes,
    ready_for_a_port,
    who_waits_can_be_killed,
);

fn a_full_channel_says_so() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let mut count = 0;
    while send(sender, &number(count), &[], 0).is_ok() {
        count += 1;
    }
    assert_eq!(count, 64);
    assert_eq!(send(sender, &EMPTY, &[], 0), Err(Error::WouldBlock));
    assert_eq!(send(sender, &EMPTY, &[], 1), Err(Error::TimedOut));
    for round in 0..64 {
        assert_eq!(receive(receiver, 0).expect("a message").number(), round);
    }
    assert_eq!(receive(receiver, 0).err(), Some(Error::WouldBlock));
    assert_eq!(receive(receiver, 1).err(), Some(Error::TimedOut));
}

fn who_waits_for_room_goes_on() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    // Values of a quarter of the room in bytes each: they fill it long before 64 of them.
    let mut value = vec![0; 256 << 10];
    let length = value.len() as u32;
    value[..4].copy_from_slice(&length.to_le_bytes());
    value[4..8].copy_from_slice(b"\x05b\0\0");
    let payload = length - 13;
    value[7..11].copy_from_slice(&payload.to_le_bytes());
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let value = value.clone();
            child::fork(move || {
                (0..10).for_each(|_| send(sender, &value, &[], NEVER).expect("room"));
                0
            })
        })
        .collect();
    close(sender).expect("a sender");
    let mut buffer = vec![0; value.len()];
    let mut count = 0;
    let arguments = [
        receiver,
        buffer.as_mut_ptr() as u64,
        buffer.len() as u64,
        0,
        0,
        NEVER,
    ];
    while native(Call::Receive, &arguments).is_ok() {
        assert!(buffer == value, "it came as it went");
        count += 1;
    }
    assert_eq!(count, 40);
    writers.into_iter().for_each(|writer| writer.passes());
}

fn who_waits_is_told_of_the_end() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let reader = child::fork(|| {
        close(sender).expect("a sender");
        assert_eq!(receive(receiver, NEVER).err(), Some(Error::Closed));
        0
    });
    close(receiver).expect("a receiver");
    close(sender).expect("a sender");
    reader.passes();
    let (sender, receiver) = channel().expect("a channel");
    let writer = child::fork(|| {
        close(receiver).expect("a receiver");
        while send(sender, &EMPTY, &[], NEVER).is_ok() {}
        assert_eq!(send(sender, &EMPTY, &[], NEVER), Err(Error::Closed));
        0
    });
    for _ in 0..100 {
        receive(receiver, NEVER).expect("a message");
    }
    close(receiver).expect("a receiver");
    writer.passes();
}

fn time_passes() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes one record.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    let soon = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64 + 20_000_000;
    assert_eq!(receive(receiver, soon).err(), Some(Error::TimedOut));
    let arguments = [sender, EMPTY.as_ptr() as u64, 0, 0, 0, soon];
    assert_eq!(native(Call::Call, &arguments), Err(Error::TimedOut));
    let late = receive(receiver, 0).expect("the question");
    assert_eq!(send(late.reply(), &EMPTY, &[], 0), Err(Error::Closed));
}

fn ready_for_a_port() {
    if is_linux() {
        return;
    }
    let events = registry("event").expect("a registry");
    let port = native(Call::Open, &[events, c"port".as_ptr() as u64, 4, 0x603, 1]);
    let port = port.expect("a port");
    let (sender, receiver) = channel().expect("a channel");
    for (handle, interest, key) in [(receiver, Events::READ, 7), (sender, Events::HANGUP, 8)] {
        let arguments = [port, handle, interest.bits().into(), key];
        native(Call::Watch, &arguments).expect("something to watch");
    }
    let mut records = [0u64; 8];
    let wait = |records: &mut [u64; 8], deadline| {
        let arguments = [port, deadline, records.as_mut_ptr() as u64, 4, 0];
        native(Call::Wait, &arguments).map(|count| (count, records[0]))
    };
    assert_eq!(wait(&mut records, 0), Ok((0, 0)));
    let asker = child::fork(|| {
        assert_eq!(
            call(sender, &number(21), &[]).expect("an answer").number(),
            42
        );
        0
    });
    assert_eq!(wait(&mut records, NEVER), Ok((1, 7)));
    let question = receive(receiver, 0).expect("a question");
    send(question.reply(), &number(2 * question.number()), &[], 0).expect("somebody waits");
    asker.passes();
    // The port keeps what it watches until it is told otherwise.
    native(Call::Watch, &[port, receiver, 0, 0]).expect("it was watched");
    close(receiver).expect("a receiver");
    assert_eq!(wait(&mut records, NEVER), Ok((1, 8)));
}

fn who_waits_can_be_killed() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let asker = child::fork(|| {
        close(receiver).expect("a receiver");
        let _ = call(sender, &number(1), &[]);
        0
    });
    let question = receive(receiver, NEVER).expect("a question");
    test_programs::ok!(SYS_kill, asker.pid, libc::SIGKILL);
    assert_eq!(asker.wait_with(0), child::Status::Killed(libc::SIGKILL));
    assert_eq!(send(question.reply(), &EMPTY, &[], 0), Err(Error::Closed));
}
