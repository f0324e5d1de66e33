//! What a channel promises: order, limits, ends that are told, and nothing lost, doubled or left behind.

use super::*;
use abi::{Error, Kind, Number, Rights};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use machine::sync::Spin;
use object::{HANDLES_MAX, Handle, IN_FLIGHT, Object, Pass, Table, Tenure};
use proptest::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use task::{Ready, block_on, run_until_idle, spawn};
use value::Value;

/// What is in flight is counted for all channels together, and every end that is dropped may have it looked through, which
/// holds references for a moment: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn few(messages: usize, bytes: usize) -> (Arc<Sender>, Arc<Receiver>) {
    channel(Limits { messages, bytes }).unwrap()
}

fn value(number: i32) -> Value {
    Value::build(|builder| {
        builder.put("n", number);
    })
    .unwrap()
}

/// Bytes of [`value`].
const SIZE: usize = 12;

fn send(sender: &Sender, number: i32) -> Result<(), Error> {
    sender.try_send(SIZE, 0, || Ok(Message::of(value(number))))
}

fn send_handles(sender: &Sender, handles: Vec<Handle>) -> Result<(), Error> {
    sender.try_send(5, handles.len(), || {
        Ok(Message {
            handles,
            ..Message::default()
        })
    })
}

fn receive(receiver: &Receiver) -> Result<Message, Error> {
    match receiver.try_receive(Room::ANY)? {
        Received::Message(message) => Ok(message),
        Received::Larger(shape) => panic!("{shape:?}"),
    }
}

fn number(message: &Message) -> i64 {
    message.value.as_document().int("n").unwrap()
}

fn handle(object: Arc<dyn Object>) -> Handle {
    Handle::new(object, Rights::all())
}

struct Thing;

impl Object for Thing {
    fn kind(&self) -> Kind {
        Kind::Event
    }
}

#[test]
fn messages_come_in_order_and_limits_hold() {
    let _alone = alone();
    assert_eq!(value(1).as_bytes().len(), SIZE);
    let (sender, receiver) = few(3, 2 * SIZE + 1);
    let ready = |object: &dyn Object| object.readiness().unwrap().get();
    assert_eq!(ready(&*receiver), Ready::empty());
    assert_eq!(receive(&receiver).err(), Some(Error::WouldBlock));
    send(&sender, 1).unwrap();
    send(&sender, 2).unwrap();
    assert_eq!(ready(&*sender), Ready::WRITE);
    assert_eq!(send(&sender, 3), Err(Error::WouldBlock));
    assert_eq!(ready(&*sender), Ready::empty());
    assert_eq!(sender.has_room(SIZE), Err(Error::WouldBlock));
    assert_eq!(number(&receive(&receiver).unwrap()), 1);
    assert_eq!(ready(&*sender), Ready::WRITE);
    assert_eq!(sender.has_room(SIZE), Ok(()));
    send(&sender, 3).unwrap();
    assert_eq!(number(&receive(&receiver).unwrap()), 2);
    assert_eq!(number(&receive(&receiver).unwrap()), 3);
    assert_eq!(ready(&*receiver), Ready::empty());
    let large = sender.try_send(2 * SIZE + 2, 0, || panic!("it is never made"));
    assert_eq!(large, Err(Error::TooLarge));
    for (messages, bytes) in [(0, 1), (1, 0), (4097, 1), (1, (16 << 20) + 1)] {
        let limits = Limits { messages, bytes };
        assert_eq!(channel(limits).err(), Some(Error::Invalid));
    }
    let (sender, receiver) = few(1, 100);
    send(&sender, 1).unwrap();
    assert_eq!(send(&sender, 2), Err(Error::WouldBlock));
    drop((sender, receiver));
}

#[test]
fn a_message_that_needs_more_room_stays() {
    let _alone = alone();
    let (sender, receiver) = few(4, 100);
    let (question, reply) = Question::new(Room::ANY);
    let thing = Arc::new(Thing);
    sender
        .try_send(SIZE, 1, || {
            Ok(Message {
                value: value(7),
                handles: vec![handle(thing.clone())],
                surrendered: 0,
                reply: Some(reply),
            })
        })
        .unwrap();
    let whole = Shape {
        bytes: SIZE,
        handles: 2,
        asks: true,
    };
    for (bytes, handles) in [(0, 0), (SIZE - 1, 2), (SIZE, 1)] {
        match receiver.try_receive(Room { bytes, handles }) {
            Ok(Received::Larger(shape)) => assert_eq!(shape, whole),
            _ => panic!("it was received"),
        }
    }
    let message = receive(&receiver).unwrap();
    assert_eq!(IN_FLIGHT.pieces(), 0);
    receiver.put_back(message);
    assert_eq!(IN_FLIGHT.pieces(), 1);
    drop(receiver);
    assert_eq!(IN_FLIGHT.pieces(), 0);
    assert_eq!(Arc::strong_count(&thing), 1);
    let answer = block_on(question.answer(&Tenure::FOREVER, None));
    assert_eq!(answer.err(), Some(Error::Unanswered));
}

#[test]
fn ends_are_told() {
    let _alone = alone();
    let (sender, receiver) = few(4, 100);
    send(&sender, 1).unwrap();
    drop(sender);
    let readiness = receiver.readiness().unwrap();
    assert_eq!(readiness.get(), Ready::READ | Ready::HANGUP);
    receive(&receiver).unwrap();
    assert_eq!(receive(&receiver).err(), Some(Error::Closed));
    let (sender, receiver) = few(4, 100);
    drop(receiver);
    assert_eq!(send(&sender, 1), Err(Error::Closed));
    assert_eq!(sender.has_room(1), Err(Error::Closed));
    let readiness = sender.readiness().unwrap().get();
    assert!(readiness.contains(Ready::HANGUP));
}

#[test]
fn an_answer_goes_to_who_asks_once() {
    let _alone = alone();
    let (question, reply) = Question::new(Room {
        bytes: SIZE,
        handles: 0,
    });
    let answer = |reply: &Reply, number| reply.answer(SIZE, 0, || Ok(Message::of(value(number))));
    assert_eq!(
        reply.answer(SIZE + 1, 0, || panic!("too large")),
        Err(Error::TooLarge)
    );
    assert_eq!(
        reply.answer(SIZE, 1, || panic!("too many")),
        Err(Error::TooLarge)
    );
    assert_eq!(
        reply.answer(SIZE, 0, || Err(Error::Denied)),
        Err(Error::Denied)
    );
    assert_eq!(answer(&reply, 5), Ok(()));
    assert_eq!(answer(&reply, 6), Err(Error::Closed));
    assert_eq!(
        number(&block_on(question.answer(&Tenure::FOREVER, None)).unwrap()),
        5
    );
    let (question, reply) = Question::new(Room::ANY);
    let copy = reply.clone();
    drop(reply);
    assert_eq!(
        block_on(question.answer(&Tenure::FOREVER, Some(0))).err(),
        Some(Error::TimedOut)
    );
    assert_eq!(answer(&copy, 1), Err(Error::Closed));
    assert!(copy.readiness().unwrap().get().contains(Ready::HANGUP));
    let (question, reply) = Question::new(Room::ANY);
    drop(reply);
    assert_eq!(
        block_on(question.answer(&Tenure::FOREVER, None)).err(),
        Some(Error::Unanswered)
    );
}

#[test]
fn one_asks_and_the_other_answers() {
    let _alone = alone();
    let (sender, receiver) = few(1, 100);
    spawn("server", async move {
        loop {
            match receive(&receiver) {
                Ok(message) => {
                    let twice = 2 * number(&message) as i32;
                    let reply = message.reply.unwrap();
                    reply
                        .answer(SIZE, 0, || Ok(Message::of(value(twice))))
                        .unwrap();
                }
                Err(Error::WouldBlock) => {
                    receiver
                        .readiness()
                        .unwrap()
                        .wait(Ready::READ, None)
                        .await
                        .unwrap();
                }
                Err(error) => return assert_eq!(error, Error::Closed),
            }
        }
    })
    .unwrap();
    let done = Arc::new(Spin::new(0));
    for client in 0..3 {
        let (sender, done) = (sender.clone(), done.clone());
        spawn("client", async move {
            for round in 0..50 {
                let number = client * 100 + round;
                let (question, reply) = Question::new(Room::ANY);
                let mut reply = Some(reply);
                while let Err(error) = sender.try_send(SIZE, 0, || {
                    let reply = reply.take();
                    Ok(Message {
                        value: value(number),
                        reply,
                        ..Message::default()
                    })
                }) {
                    assert_eq!(error, Error::WouldBlock);
                    sender
                        .readiness()
                        .unwrap()
                        .wait(Ready::WRITE, None)
                        .await
                        .unwrap();
                }
                let answer = question.answer(&Tenure::FOREVER, None).await.unwrap();
                assert_eq!(super::tests::number(&answer), 2 * i64::from(number));
                *done.lock() += 1;
            }
        })
        .unwrap();
    }
    drop(sender);
    run_until_idle();
    assert_eq!(*done.lock(), 150);
}

#[test]
fn a_receiver_in_itself_is_collected() {
    let _alone = alone();
    let (sender, receiver) = few(4, 100);
    let witness = Arc::downgrade(&receiver);
    let thing = Arc::new(Thing);
    send_handles(&sender, vec![handle(thing.clone())]).unwrap();
    send_handles(&sender, vec![handle(receiver)]).unwrap();
    assert!(witness.upgrade().is_some());
    drop(sender);
    assert!(witness.upgrade().is_none());
    assert_eq!((IN_FLIGHT.pieces(), Arc::strong_count(&thing)), (0, 1));
}

#[test]
fn a_receiver_in_one_that_is_held_stays() {
    let _alone = alone();
    let (to_inner, inner) = few(4, 100);
    let (to_outer, outer) = few(4, 100);
    send(&to_inner, 7).unwrap();
    send_handles(&to_outer, vec![handle(inner)]).unwrap();
    for _ in 0..10 {
        IN_FLIGHT.after_closing();
    }
    let message = receive(&outer).unwrap();
    let inner = message.handles[0].downcast::<Receiver>().unwrap();
    assert_eq!(number(&receive(&inner).unwrap()), 7);
}

#[test]
fn a_long_chain_is_dropped_one_after_another() {
    let _alone = alone();
    let (sender, receiver) = few(1, 100);
    let mut chain = receiver;
    let mut senders = vec![sender];
    for _ in 0..20_000 {
        let (sender, receiver) = few(1, 100);
        send_handles(&sender, vec![handle(chain)]).unwrap();
        senders.push(sender);
        chain = receiver;
    }
    drop(chain);
    assert_eq!(IN_FLIGHT.pieces(), 0);
    assert!(
        senders
            .iter()
            .all(|sender| send(sender, 1) == Err(Error::Closed))
    );
}

#[test]
fn too_many_handles_in_flight_are_refused() {
    let _alone = alone();
    let (sender, receiver) = channel(Limits::MOST).unwrap();
    let thing = Arc::new(Thing);
    for _ in 0..HANDLES_MAX / 64 {
        send_handles(&sender, vec![handle(thing.clone()); 64]).unwrap();
    }
    let refused = sender.try_send(5, 1, || panic!("it is never made"));
    assert_eq!(refused, Err(Error::Limit));
    drop(receiver);
    assert_eq!((IN_FLIGHT.pieces(), Arc::strong_count(&thing)), (0, 1));
}

/// On real threads: senders, receivers and closers meet in every order that there is time for.
#[test]
fn sending_against_closing_leaves_nothing_behind() {
    let _alone = alone();
    for round in 0..50 {
        let (sender, receiver) = few(3, 100);
        let thing = Arc::new(Thing);
        let sent = Arc::new(Spin::new(0));
        let (senders, mut others) = (3, Vec::new());
        for _ in 0..senders {
            let (sender, thing, sent) = (sender.clone(), thing.clone(), sent.clone());
            others.push(std::thread::spawn(move || {
                loop {
                    match send_handles(&sender, vec![handle(thing.clone())]) {
                        Ok(()) => *sent.lock() += 1,
                        Err(Error::WouldBlock) => std::thread::yield_now(),
                        Err(error) => return assert_eq!(error, Error::Closed),
                    }
                }
            }));
        }
        drop(sender);
        let mut received = 0;
        while received < round % 20 {
            match receive(&receiver) {
                Ok(message) => received += message.handles.len(),
                Err(error) => {
                    assert_eq!(error, Error::WouldBlock);
                    std::thread::yield_now();
                }
            }
        }
        let other = receiver.clone();
        others.push(std::thread::spawn(move || drop(other)));
        drop(receiver);
        others.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(*sent.lock() >= received);
        assert_eq!((IN_FLIGHT.pieces(), Arc::strong_count(&thing)), (0, 1));
    }
}

const CHANNELS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// Sends through a channel what some numbers of the table stand for.
    Send {
        channel: usize,
        picks: Vec<(usize, bool)>,
    },
    Receive {
        channel: usize,
    },
    /// Receives and finds that it cannot be delivered.
    PutBack {
        channel: usize,
    },
    Close {
        pick: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let channel = 0..CHANNELS;
    let picks = prop::collection::vec((0usize..64, any::<bool>()), 0..4);
    prop_oneof![
        4 => (channel.clone(), picks).prop_map(|(channel, picks)| Step::Send { channel, picks }),
        3 => channel.clone().prop_map(|channel| Step::Receive { channel }),
        1 => channel.prop_map(|channel| Step::PutBack { channel }),
        2 => (0usize..64).prop_map(|pick| Step::Close { pick }),
    ]
}

/// Something whose life is watched.
#[derive(Clone)]
struct Witness {
    weak: Weak<dyn Object>,
    address: usize,
}

fn address(handle: &Handle) -> usize {
    let object = handle.share(Rights::empty()).unwrap();
    Arc::as_ptr(&object).addr()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn nothing_is_lost_doubled_or_left_behind(steps in prop::collection::vec(step(), 1..60)) {
        let _alone = alone();
        let table = Table::new();
        let mut witnesses: Vec<Witness> = Vec::new();
        let mut add = |object: Arc<dyn Object>| {
            witnesses.push(Witness {
                weak: Arc::downgrade(&object),
                address: Arc::as_ptr(&object).addr(),
            });
            table.insert(handle(object)).unwrap()
        };
        let mut numbers: Vec<Number> = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..CHANNELS {
            let (sender, receiver) = few(5, 1000);
            ends.push((sender.clone(), Arc::downgrade(&receiver)));
            numbers.extend([add(receiver), add(Arc::new(Thing))]);
        }
        // What each channel should hold: the objects of each message.
        let mut queues: Vec<VecDeque<(i32, Vec<usize>)>> = vec![VecDeque::new(); CHANNELS];
        let mut next = 0;
        for step in steps {
            match step {
                Step::Send { channel, picks } => {
                    let list: Vec<Pass> = picks
                        .iter()
                        .filter(|_| !numbers.is_empty())
                        .map(|(pick, copy)| Pass {
                            number: numbers[pick % numbers.len()],
                            rights: Rights::all(),
                            copy: *copy,
                            only: false,
                        })
                        .collect();
                    next += 1;
                    let before = table.len();
                    let mut sent = Vec::new();
                    let result = ends[channel].0.try_send(SIZE, list.len(), || {
                        let handles = table.pass(&list, |_, _| Ok(()))?;
                        sent = handles.iter().map(address).collect();
                        Ok(Message { value: value(next), handles, ..Message::default() })
                    });
                    match result {
                        Ok(()) => {
                            queues[channel].push_back((next, sent));
                            numbers.retain(|number| table.get(*number).is_ok());
                        }
                        Err(_) => prop_assert_eq!(table.len(), before),
                    }
                }
                Step::Receive { channel } | Step::PutBack { channel } => {
                    let Some(receiver) = ends[channel].1.upgrade() else { continue };
                    match (receive(&receiver), queues[channel].front()) {
                        (Ok(message), Some((number, objects))) => {
                            prop_assert_eq!(super::tests::number(&message), i64::from(*number));
                            let got: Vec<usize> = message.handles.iter().map(address).collect();
                            prop_assert_eq!(&got, objects);
                            if matches!(step, Step::PutBack { .. }) {
                                receiver.put_back(message);
                            } else {
                                queues[channel].pop_front();
                                numbers.extend(message.handles.into_iter().map(|it| table.insert(it).unwrap()));
                            }
                        }
                        (result, model) => {
                            prop_assert_eq!(result.err(), Some(Error::WouldBlock));
                            // What nobody could reach any more was collected.
                            prop_assert!(model.is_none());
                        }
                    }
                }
                Step::Close { pick } => {
                    if !numbers.is_empty() {
                        let number = numbers.swap_remove(pick % numbers.len());
                        drop(table.remove(number).unwrap());
                        IN_FLIGHT.after_closing();
                    }
                }
            }
            // Who holds what: the table, and the queues that can be reached from it.
            let mut alive: Vec<usize> = table.entries().iter().map(|(_, it)| address(it)).collect();
            let mut place = 0;
            let mut seen = [false; CHANNELS];
            while let Some(&object) = alive.get(place) {
                place += 1;
                for channel in 0..CHANNELS {
                    let here = ends[channel].1.as_ptr().addr() == object;
                    if here && !std::mem::replace(&mut seen[channel], true) {
                        alive.extend(queues[channel].iter().flat_map(|(_, objects)| objects));
                    }
                }
            }
            for channel in 0..CHANNELS {
                if !seen[channel] {
                    queues[channel].clear();
                }
            }
            IN_FLIGHT.after_closing();
            for witness in &witnesses {
                let expected = alive.iter().filter(|it| **it == witness.address).count();
                prop_assert_eq!(witness.weak.strong_count(), expected);
            }
        }
        table.clear();
        drop(ends);
        IN_FLIGHT.after_closing();
        prop_assert!(witnesses.iter().all(|it| it.weak.strong_count() == 0));
        prop_assert_eq!(IN_FLIGHT.pieces(), 0);
    }
}
