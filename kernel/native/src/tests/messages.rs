//! `send`, `receive` and `call`, between programs and against nonsense.

use super::*;
use crate::arena::Arena;
use abi::{Events, Kind, MOST_HANDLES, Mapping, NEVER, Passed, Passing, Received};
use proptest::prelude::*;
use task::{run_until_idle, spawn};

/// Where received values and handles go.
const BUFFER: u64 = REPLIES as u64;
const RECORDS: u64 = BUFFER + 2 * PAGE as u64;

fn text(text: &str) -> Value {
    Value::build(|builder| {
        builder.put("text", text);
    })
    .unwrap()
}

impl World {
    /// The ends of a new channel.
    fn channel(&mut self, limits: &Value) -> (u64, u64) {
        let registry = self.registry("channel").unwrap();
        let reply = self.request(registry, "new", limits).unwrap();
        let reply = reply.as_document();
        (number(reply, "sender"), number(reply, "receiver"))
    }

    fn memory(&mut self, bytes: u64) -> u64 {
        let registry = self.registry("memory").unwrap();
        let argument = Value::build(|builder| {
            builder.put("bytes", bytes);
        });
        let reply = self.request(registry, "new", &argument.unwrap()).unwrap();
        number(reply.as_document(), "memory")
    }

    fn pass(&mut self, list: &[(u64, Rights, u16)]) -> (u64, u64) {
        let records = list.iter().flat_map(|&(number, rights, what)| {
            let number = Number(number as u32);
            Passed {
                number,
                rights,
                what,
            }
            .to_bytes()
        });
        let bytes: Vec<u8> = records.collect();
        (self.put(&bytes), list.len() as u64)
    }

    fn send(&mut self, to: u64, value: &Value, list: &[(u64, Rights, u16)]) -> Result<u64, Error> {
        self.next = MEMORY;
        let value = self.put(value.as_bytes());
        let (handles, count) = self.pass(list);
        self.call(Call::Send, &[to, value, handles, count, 0])
    }

    /// The value, the handles, and whether it asks.
    fn receive(&mut self, from: u64) -> Result<(Value, Vec<Passed>, bool), Error> {
        let arguments = [from, BUFFER, PAGE as u64, RECORDS, 65, 0];
        let raw = self.call(Call::Receive, &arguments)?;
        Ok(self.received(raw))
    }

    fn received(&self, raw: u64) -> (Value, Vec<Passed>, bool) {
        let received = Received::from_raw(raw);
        assert!(received.fits(PAGE, 65));
        let value = self.get(BUFFER as usize, received.length as usize);
        let records = self.get(
            RECORDS as usize,
            usize::from(received.handles) * Passed::SIZE,
        );
        let (records, _) = records.as_chunks();
        let handles = records.iter().map(|it| Passed::from_bytes(it).unwrap());
        (
            Value::from_bytes(value).unwrap(),
            handles.collect(),
            received.asks,
        )
    }

    fn copy_to(&self, other: &World, number: u64) -> u64 {
        let handle = self.handles.get(Number(number as u32)).unwrap();
        other.handles.insert(handle).unwrap().0.into()
    }
}

#[test]
fn a_message_moves_handles_with_fewer_rights() {
    let mut giver = World::new();
    let mut taker = World::new();
    let (sender, receiver) = giver.channel(&Value::default());
    let receiver = giver.copy_to(&taker, receiver);
    let files = giver.registry("file").unwrap();
    let rights = Rights::READ | Rights::DUPLICATE | Rights::TRANSFER;
    let file = giver
        .open(files, "/etc/text", rights, OpenFlags::empty())
        .unwrap();
    let other = giver
        .open(files, "/etc/text", rights, OpenFlags::empty())
        .unwrap();
    let list = [
        (file, Rights::READ, Passed::MOVE),
        (other, Rights::READ | Rights::TRANSFER, Passed::COPY),
    ];
    assert_eq!(giver.send(sender, &text("hello"), &list), Ok(0));
    assert_eq!(giver.read(file, 0, 4), Err(Error::BadHandle));
    assert!(giver.read(other, 0, 4).is_ok());
    let (value, handles, asks) = taker.receive(receiver).unwrap();
    assert_eq!((value, asks), (text("hello"), false));
    assert_eq!(handles.len(), 2);
    for (passed, (_, rights, _)) in handles.iter().zip(&list) {
        assert_eq!((passed.rights, passed.kind()), (*rights, Some(Kind::File)));
        let number = passed.number.0.into();
        assert_eq!(taker.read(number, 0, 4).as_deref(), Ok(&b"some"[..]));
        assert_eq!(
            taker.call(Call::Duplicate, &[number, 1]),
            Err(Error::Denied)
        );
    }
    assert_eq!(taker.receive(receiver).err(), Some(Error::WouldBlock));
    giver.call(Call::Close, &[sender]).unwrap();
    assert_eq!(taker.receive(receiver).err(), Some(Error::Closed));
}

#[test]
fn what_comes_by_something_lent_is_lent() {
    let mut giver = World::new();
    let mut taker = World::new();
    let (sender, receiver) = giver.channel(&Value::default());
    let lent = giver.ask(receiver, "lend").unwrap();
    let inbox = giver.copy_to(&taker, number(lent.as_document(), "handle"));
    let inbox_lease = number(lent.as_document(), "lease");
    let files = giver.registry("file").unwrap();
    let open = |world: &mut World| {
        let rights = Rights::READ | Rights::DUPLICATE | Rights::TRANSFER;
        world.open(files, "/etc/text", rights, OpenFlags::empty())
    };
    let own = open(&mut giver).unwrap();
    let file = open(&mut giver).unwrap();
    let reply = giver.ask(file, "lend").unwrap();
    let (lent, file_lease) = (
        number(reply.as_document(), "handle"),
        number(reply.as_document(), "lease"),
    );
    let list = [
        (own, Rights::READ, Passed::MOVE),
        (lent, Rights::READ, Passed::MOVE),
    ];
    assert_eq!(giver.send(sender, &text("two"), &list), Ok(0));
    let (_, handles, _) = taker.receive(inbox).unwrap();
    let [own, lent] = [0, 1].map(|at: usize| u64::from(handles[at].number.0));
    assert!(taker.read(own, 0, 4).is_ok() && taker.read(lent, 0, 4).is_ok());
    // What was lent before it was sent.
    giver.ask(file_lease, "revoke").unwrap();
    assert!(taker.read(own, 0, 4).is_ok());
    assert_eq!(taker.read(lent, 0, 4), Err(Error::Revoked));
    // What was received by something lent; and nothing more is.
    giver.ask(inbox_lease, "revoke").unwrap();
    assert_eq!(taker.read(own, 0, 4), Err(Error::Revoked));
    assert_eq!(taker.receive(inbox).err(), Some(Error::Revoked));
    // What is not there any more cannot be sent on.
    let again = [(file, Rights::READ, Passed::MOVE)];
    assert_eq!(giver.send(sender, &text("one"), &again), Ok(0));
    let refused = taker.send(own, &text("x"), &[]);
    assert_eq!(refused, Err(Error::Revoked));
}

#[test]
fn what_is_refused_leaves_everything_where_it_was() {
    let mut world = World::new();
    let limits = Value::build(|builder| {
        builder.put("messages", 1).put("bytes", 100);
    });
    let (sender, receiver) = world.channel(&limits.unwrap());
    let event = world.registry("event").unwrap();
    let rights = Rights::all() - Rights::ADMINISTER;
    let port = world
        .open(event, "port", rights, OpenFlags::CREATE)
        .unwrap();
    let files = world.registry("file").unwrap();
    let few = Rights::READ | Rights::TRANSFER;
    let file = world
        .open(files, "/etc/text", few, OpenFlags::empty())
        .unwrap();
    let fixed = world
        .open(files, "/etc/text", Rights::READ, OpenFlags::empty())
        .unwrap();
    let before = world.handles.len();
    let move_ = |number, rights| (number, rights, Passed::MOVE);
    for (list, error) in [
        (
            vec![move_(file, Rights::READ), move_(NONE, Rights::READ)],
            Error::BadHandle,
        ),
        (
            vec![move_(file, Rights::READ), move_(0, Rights::READ)],
            Error::BadHandle,
        ),
        (
            vec![move_(file, Rights::READ), move_(file, Rights::READ)],
            Error::BadHandle,
        ),
        (vec![move_(file, Rights::WRITE)], Error::Denied),
        (vec![(file, Rights::READ, Passed::COPY)], Error::Denied),
        (vec![move_(fixed, Rights::READ)], Error::Denied),
        (
            vec![move_(file, Rights::READ), move_(port, Rights::READ)],
            Error::Invalid,
        ),
        (
            vec![(file, Rights::READ, Passed::SURRENDER)],
            Error::WrongKind,
        ),
        (vec![(file, Rights::READ, 3)], Error::Invalid),
        (
            vec![move_(file, Rights::READ); MOST_HANDLES + 1],
            Error::Limit,
        ),
    ] {
        assert_eq!(
            world.send(sender, &text("x"), &list),
            Err(error),
            "{list:?}"
        );
    }
    assert_eq!(
        world.send(sender, &text(&"x".repeat(100)), &[]),
        Err(Error::TooLarge)
    );
    assert_eq!(world.send(receiver, &text("x"), &[]), Err(Error::WrongKind));
    assert_eq!(world.send(file, &text("x"), &[]), Err(Error::WrongKind));
    let bad = world.put(b"\x09\0\0\0\x01abc\0");
    for (value, handles, count, error) in [
        (bad, 0, 0, Error::BadValue),
        (0x10, 0, 0, Error::Fault),
        (u64::MAX, 0, 0, Error::Fault),
        (0, 0x10, 1, Error::Fault),
        (0, 1 << 63, 64, Error::Fault),
        (0, 0, u64::MAX, Error::Limit),
    ] {
        let result = world.call(Call::Send, &[sender, value, handles, count, 0]);
        assert_eq!(result, Err(error));
        let passing = Passing {
            handles,
            count: count as u32,
            room: 0,
        };
        let passing = world.put(&passing.to_bytes());
        let result = world.call(Call::Call, &[sender, value, BUFFER, 100, passing, 0]);
        assert_eq!(result, Err(error));
    }
    assert_eq!(world.receive(receiver).err(), Some(Error::WouldBlock));
    assert_eq!(world.receive(sender).err(), Some(Error::WrongKind));
    assert_eq!(world.handles.len(), before);
    // Full: nothing has moved either.
    assert_eq!(world.send(sender, &text("1"), &[]), Ok(0));
    let list = [move_(file, Rights::READ)];
    assert_eq!(
        world.send(sender, &text("2"), &list),
        Err(Error::WouldBlock)
    );
    let result = world.call(Call::Send, &[sender, 0, 0, 0, 1]);
    assert_eq!(result, Err(Error::TimedOut));
    assert_eq!(world.handles.len(), before);
    // A handle to send without the right to, and one to receive.
    let rights = u64::from(Rights::INSPECT.bits());
    for (end, error) in [(sender, Error::Denied), (receiver, Error::Denied)] {
        let weak = world.call(Call::Duplicate, &[end, rights]).unwrap();
        let result = if end == sender {
            world.send(weak, &text("x"), &[]).map(drop)
        } else {
            world.receive(weak).map(drop)
        };
        assert_eq!(result, Err(error));
    }
}

#[test]
fn what_cannot_be_delivered_stays_the_first() {
    let mut world = World::new();
    let (sender, receiver) = world.channel(&Value::default());
    let files = world.registry("file").unwrap();
    let file = world.open(
        files,
        "/etc/text",
        Rights::READ | Rights::TRANSFER,
        OpenFlags::empty(),
    );
    let list = [(file.unwrap(), Rights::READ, Passed::MOVE)];
    world.send(sender, &text("first"), &list).unwrap();
    world.send(sender, &text("second"), &[]).unwrap();
    let length = text("first").as_bytes().len() as u64;
    let before = world.handles.len();
    for (arguments, expected) in [
        // No room: its shape.
        ([receiver, BUFFER, length - 1, RECORDS, 1, 0], Ok(())),
        ([receiver, BUFFER, length, RECORDS, 0, 0], Ok(())),
        // Room that is not there.
        ([receiver, 0x10, length, RECORDS, 1, 0], Err(Error::Fault)),
        ([receiver, BUFFER, length, 0x10, 1, 0], Err(Error::Fault)),
        (
            [receiver, u64::MAX - 3, length, RECORDS, u64::MAX, 0],
            Err(Error::Fault),
        ),
    ] {
        let result = world.call(Call::Receive, &arguments);
        let shape = result.map(|raw| {
            let received = Received::from_raw(raw);
            assert_eq!((u64::from(received.length), received.handles), (length, 1));
        });
        assert_eq!(shape, expected);
        assert_eq!(world.handles.len(), before);
    }
    world.handles.set_limit(before);
    let result = world.call(Call::Receive, &[receiver, BUFFER, length, RECORDS, 1, 0]);
    assert_eq!(result, Err(Error::TooMany));
    world.handles.set_limit(before + 1);
    assert_eq!(world.receive(receiver).unwrap().0, text("first"));
    assert_eq!(world.receive(receiver).unwrap().0, text("second"));
}

#[test]
fn a_call_is_answered_by_another_program() {
    let mut client = World::new();
    let mut server = World::new();
    let (sender, receiver) = client.channel(&Value::default());
    let receiver = client.copy_to(&server, receiver);
    let value = client.put(text("question").as_bytes());
    let passing = Passing {
        handles: RECORDS,
        count: 0,
        room: 2,
    };
    let passing = client.put(&passing.to_bytes());
    let arguments = [sender, value, BUFFER, PAGE as u64, passing, NEVER];
    let client = Arc::new(machine::sync::Spin::new(Some(client)));
    let place = client.clone();
    spawn("client", async move {
        let mut world = place.lock().take().unwrap();
        let registers = &mut world.user.registers;
        registers.rax = encode(Call::Call);
        let [a, b, c, d, e, f] = arguments;
        (registers.rdi, registers.rsi, registers.rdx) = (a, b, c);
        (registers.r10, registers.r8, registers.r9) = (d, e, f);
        crate::call(&world.thread, &world.space, &mut world.user).await;
        *place.lock() = Some(world);
    })
    .unwrap();
    run_until_idle();
    assert!(client.lock().is_none(), "it waits");
    let (value, handles, asks) = server.receive(receiver).unwrap();
    assert_eq!((value, asks), (text("question"), true));
    let [reply] = handles[..] else {
        panic!("{handles:?}")
    };
    assert_eq!(reply.kind(), Some(Kind::Reply));
    let reply = u64::from(reply.number.0);
    assert_eq!(
        server.call(Call::Duplicate, &[reply, 0]),
        Err(Error::Denied)
    );
    let files = server.registry("file").unwrap();
    let rights = Rights::READ | Rights::TRANSFER;
    let file = server
        .open(files, "/etc/text", rights, OpenFlags::empty())
        .unwrap();
    let long = text(&"x".repeat(2 * PAGE));
    assert_eq!(server.send(reply, &long, &[]), Err(Error::TooLarge));
    let many = [(file, Rights::READ, Passed::MOVE); 3];
    assert_eq!(
        server.send(reply, &text("answer"), &many),
        Err(Error::TooLarge)
    );
    assert_eq!(server.send(reply, &text("answer"), &many[..1]), Ok(0));
    assert_eq!(
        server.send(reply, &text("again"), &[]),
        Err(Error::BadHandle)
    );
    run_until_idle();
    let mut client = client.lock().take().expect("it goes on");
    let raw = Error::from_raw(client.user.registers.rax).unwrap();
    let (value, handles, asks) = client.received(raw);
    assert_eq!((value, asks), (text("answer"), false));
    let file = handles[0].number.0.into();
    assert_eq!(client.read(file, 0, 4).as_deref(), Ok(&b"some"[..]));
}

#[test]
fn a_reply_handle_that_is_dropped_ends_the_call() {
    let mut world = World::new();
    let (sender, receiver) = world.channel(&Value::default());
    // Nobody answers in time.
    let call = [sender, 0, BUFFER, 100, 0, 1];
    assert_eq!(world.call(Call::Call, &call), Err(Error::TimedOut));
    let (_, handles, asks) = world.receive(receiver).unwrap();
    assert!(asks);
    let reply = u64::from(handles[0].number.0);
    let gone = [reply, 0, BUFFER, 1, u64::from(Events::HANGUP.bits())];
    assert_eq!(world.call(Call::Wait, &gone), Ok(1));
    assert_eq!(world.send(reply, &text("late"), &[]), Err(Error::Closed));
    // The channel closes with the question in it.
    let mut other = World::new();
    let far = world.copy_to(&other, sender);
    let asked = Arc::new(machine::sync::Spin::new(None));
    let result = asked.clone();
    spawn("client", async move {
        let registers = &mut other.user.registers;
        registers.rax = encode(Call::Call);
        (registers.rdi, registers.r9) = (far, NEVER);
        crate::call(&other.thread, &other.space, &mut other.user).await;
        *result.lock() = Some(Error::from_raw(other.user.registers.rax));
    })
    .unwrap();
    run_until_idle();
    assert_eq!(*asked.lock(), None);
    world.call(Call::Close, &[receiver]).unwrap();
    run_until_idle();
    assert_eq!(*asked.lock(), Some(Err(Error::Unanswered)));
    assert_eq!(world.call(Call::Call, &call), Err(Error::Closed));
}

#[test]
fn memory_is_surrendered_and_not_copied() {
    const LENGTH: u64 = 4 * PAGE as u64;
    let mut giver = World::new();
    let mut taker = World::new();
    let (sender, receiver) = giver.channel(&Value::default());
    let receiver = giver.copy_to(&taker, receiver);
    let memory = giver.memory(LENGTH - 5);
    let access = u64::from((Mapping::READ | Mapping::WRITE | Mapping::SHARED).bits());
    let map = |world: &mut World, memory| {
        let space = world.own(2);
        world.call(Call::Map, &[space, memory, 0, LENGTH, access, 0])
    };
    let at = map(&mut giver, memory).unwrap() as usize;
    block_on(memory::copy_out(&giver.space, at + PAGE, b"large data")).unwrap();
    let rights = Rights::READ | Rights::WRITE | Rights::MAP | Rights::TRANSFER;
    let list = [(memory, rights, Passed::SURRENDER)];
    let copy = giver
        .call(Call::Duplicate, &[memory, rights.bits().into()])
        .unwrap();
    assert_eq!(giver.send(sender, &text("x"), &list), Err(Error::Busy));
    giver.call(Call::Close, &[copy]).unwrap();
    let at_first = map(&mut giver, memory).unwrap() as usize;
    assert_eq!(giver.send(sender, &text("x"), &list), Ok(0));
    for at in [at, at_first] {
        let read = block_on(memory::copy_in_vec(&giver.space, at + PAGE, 10));
        assert_eq!(read, Err(Error::Fault));
    }
    assert_eq!(map(&mut giver, memory), Err(Error::BadHandle));
    let (_, handles, _) = taker.receive(receiver).unwrap();
    assert!(handles[0].is_surrendered());
    assert_eq!(handles[0].kind(), Some(Kind::Memory));
    let at = map(&mut taker, handles[0].number.0.into()).unwrap() as usize;
    let read = block_on(memory::copy_in_vec(&taker.space, at + PAGE, 10));
    assert_eq!(read.as_deref(), Ok(&b"large data"[..]));
}

#[test]
fn a_process_that_ends_leaves_no_receiver_in_itself() {
    let mut world = World::new();
    let (sender, receiver) = world.channel(&Value::default());
    assert!(sender < receiver, "the sender is dropped first");
    let memory = world.memory(1);
    let handle = world.handles.get(Number(memory as u32)).unwrap();
    let witness = Arc::downgrade(&handle.downcast::<Arena>().unwrap());
    drop(handle);
    let list = [
        (memory, Rights::TRANSFER, Passed::MOVE),
        (receiver, Rights::TRANSFER, Passed::COPY),
    ];
    world.send(sender, &text("x"), &list).unwrap();
    let World {
        thread, handles, ..
    } = world;
    drop(handles);
    assert!(witness.upgrade().is_some());
    thread.end(process::Status::Exited(0));
    assert!(witness.upgrade().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Records full of nonsense between a few good ones: an answer always, and no handle more or less than it says.
    #[test]
    fn nonsense_in_messages_is_refused(
        records in prop::collection::vec((0u32..14, any::<u16>(), 0u16..5, any::<bool>()), 0..6),
        value in prop::collection::vec(any::<u8>(), 0..40),
        whole in any::<bool>(),
        call in any::<bool>(),
    ) {
        let mut world = World::new();
        let (sender, receiver) = world.channel(&Value::default());
        let memory = world.memory(1);
        let file = world.registry("file").unwrap();
        let good = [sender, receiver, memory, file];
        let bytes: Vec<u8> = records
            .iter()
            .flat_map(|&(number, rights, what, real)| {
                let number = match real {
                    true => good[number as usize % good.len()] as u32,
                    false => 0x10_0000 + number,
                };
                let rights = if real { rights & 0x0fff } else { rights };
                [number.to_le_bytes(), [rights as u8, (rights >> 8) as u8, what as u8, 0]].concat()
            })
            .collect();
        let before = world.handles.len();
        let handles = world.put(&bytes);
        let value = if whole { 0 } else { world.put(&value) };
        let count = records.len() as u64;
        let result = if call {
            let passing = Passing { handles, count: count as u32, room: 1 };
            let passing = world.put(&passing.to_bytes());
            world.call(Call::Call, &[sender, value, BUFFER, 100, passing, 1])
        } else {
            world.call(Call::Send, &[sender, value, handles, count, 0])
        };
        let sent = result.is_ok() || result == Err(Error::TimedOut);
        let kept = records.iter().filter(|record| record.2 == Passed::COPY).count();
        if sent {
            prop_assert_eq!(world.handles.len(), before - (records.len() - kept));
        } else {
            prop_assert_eq!(world.handles.len(), before);
        }
    }
}
