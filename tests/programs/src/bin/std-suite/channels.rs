//! `std::sync::mpsc`.

use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

test_programs::tests!(
    values_arrive_in_order,
    many_senders,
    bounded_channel_blocks_the_sender,
    rendezvous,
    receiver_gone_is_an_error,
    sender_gone_ends_the_iterator,
    try_recv_does_not_block,
    try_send_on_a_full_channel,
    recv_timeout_runs_out,
    recv_timeout_is_cut_short,
    boxes_pass_through,
    ring_of_threads,
    a_blocked_receiver_wakes_when_the_sender_drops,
);

fn values_arrive_in_order() {
    let (send, receive) = mpsc::channel();
    let thread = thread::spawn(move || (0..10_000).for_each(|i| send.send(i).unwrap()));
    assert!(receive.iter().eq(0..10_000));
    thread.join().unwrap();
}

fn many_senders() {
    let (send, receive) = mpsc::channel();
    for t in 0..10u64 {
        let send = send.clone();
        thread::spawn(move || (0..500).for_each(|i| send.send(t * 1000 + i).unwrap()));
    }
    drop(send);
    let mut got: Vec<u64> = receive.iter().collect();
    got.sort_unstable();
    assert!(
        got.into_iter()
            .eq((0..10).flat_map(|t| (0..500).map(move |i| t * 1000 + i)))
    );
}

fn bounded_channel_blocks_the_sender() {
    let (send, receive) = mpsc::sync_channel(3);
    let thread = thread::spawn(move || (0..1000).for_each(|i| send.send(i).unwrap()));
    assert!(receive.iter().eq(0..1000));
    thread.join().unwrap();
}

fn rendezvous() {
    let (send, receive) = mpsc::sync_channel(0);
    let thread = thread::spawn(move || (0..500).for_each(|i| send.send(i).unwrap()));
    (0..500).for_each(|i| assert_eq!(receive.recv(), Ok(i)));
    thread.join().unwrap();
    assert!(receive.recv().is_err());
}

fn receiver_gone_is_an_error() {
    let (send, receive) = mpsc::channel();
    drop(receive);
    assert_eq!(send.send(7).unwrap_err().0, 7);
}

fn sender_gone_ends_the_iterator() {
    let (send, receive) = mpsc::channel();
    send.send(1).unwrap();
    drop(send);
    assert_eq!(receive.iter().collect::<Vec<_>>(), [1]);
}

fn try_recv_does_not_block() {
    let (send, receive) = mpsc::channel();
    assert_eq!(receive.try_recv(), Err(TryRecvError::Empty));
    send.send('x').unwrap();
    assert_eq!(receive.try_recv(), Ok('x'));
    drop(send);
    assert_eq!(receive.try_recv(), Err(TryRecvError::Disconnected));
}

fn try_send_on_a_full_channel() {
    let (send, receive) = mpsc::sync_channel(1);
    send.try_send(1).unwrap();
    assert_eq!(send.try_send(2), Err(TrySendError::Full(2)));
    drop(receive);
    assert_eq!(send.try_send(3), Err(TrySendError::Disconnected(3)));
}

fn recv_timeout_runs_out() {
    let (_send, receive) = mpsc::channel::<()>();
    let start = Instant::now();
    assert_eq!(
        receive.recv_timeout(Duration::from_millis(30)),
        Err(RecvTimeoutError::Timeout)
    );
    assert!(start.elapsed() >= Duration::from_millis(30));
}

fn recv_timeout_is_cut_short() {
    let (send, receive) = mpsc::channel();
    let thread = thread::spawn(move || send.send(9).unwrap());
    assert_eq!(receive.recv_timeout(Duration::from_secs(100)), Ok(9));
    thread.join().unwrap();
}

fn boxes_pass_through() {
    let (send, receive) = mpsc::channel::<Box<dyn FnOnce() -> usize + Send>>();
    let thread = thread::spawn(move || receive.iter().map(|job| job()).sum::<usize>());
    for i in 0..100 {
        let text = "x".repeat(i);
        send.send(Box::new(move || text.len())).unwrap();
    }
    drop(send);
    assert_eq!(thread.join().unwrap(), 4950);
}

fn ring_of_threads() {
    let (first, mut previous) = mpsc::channel::<u32>();
    for _ in 0..20 {
        let (send, receive) = mpsc::channel();
        thread::spawn(move || previous.iter().for_each(|v| send.send(v + 1).unwrap()));
        previous = receive;
    }
    for lap in 0..50 {
        first.send(lap).unwrap();
        assert_eq!(previous.recv(), Ok(lap + 20));
    }
}

fn a_blocked_receiver_wakes_when_the_sender_drops() {
    for _ in 0..100 {
        let (send, receive) = mpsc::channel::<()>();
        let thread = thread::spawn(move || receive.recv());
        thread::yield_now();
        drop(send);
        assert!(thread.join().unwrap().is_err());
    }
}
