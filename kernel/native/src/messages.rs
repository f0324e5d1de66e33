//! Messages: `send`, `receive`, `call`.
//!
//! The one idea: nothing leaves the sender before the message is in the queue, and nothing leaves the queue before the
//! receiver has it. What cannot be delivered (a bad address, a full table) is put back as the first message.

use crate::arena::Arena;
use crate::call::Arguments;
use crate::caller::{Caller, number};
use abi::{Error, Kind, MOST_HANDLES, NEVER, Number, Passed, Passing, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;
use channel::{Message, Question, Received, Receiver, Reply, Room, Sender, Shape};
use object::{Handle, Object, Pass};
use task::Ready;
use value::Value;

/// What the holder of a reply handle may do besides answering: there is one of it, so no `DUPLICATE`.
const REPLY: Rights = Rights::WRITE
    .union(Rights::SIGNAL)
    .union(Rights::INSPECT)
    .union(Rights::TRANSFER);

/// Deadline 0: not to wait at all.
const NOW: u64 = 0;

pub async fn send(
    caller: &Caller<'_>,
    [register, value, handles, count, deadline, _]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(register)?;
    let answers = handle.kind() == Kind::Reply;
    if !answers && handle.downcast_ref::<Sender>().is_none() {
        return Err(Error::WrongKind);
    }
    handle.check(Rights::WRITE)?;
    let value = caller.value(value).await?;
    let list = passed(caller, handles, count)?;
    let outgoing = Outgoing {
        caller,
        value,
        list,
    };
    if answers {
        let reply = handle.downcast_ref::<Reply>().ok_or(Error::WrongKind)?;
        outgoing.answer(reply)?;
        // Used. If the answer itself has moved or closed it, it is gone already.
        let used = caller.handles.remove(number(register)?);
        drop(used);
        return Ok(0);
    }
    let sender = handle.downcast_ref::<Sender>().ok_or(Error::WrongKind)?;
    outgoing.send(sender, deadline, None).await?;
    Ok(0)
}

pub async fn receive(
    caller: &Caller<'_>,
    [register, address, capacity, handles, count, deadline]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(register)?;
    let receiver = handle.downcast_ref::<Receiver>().ok_or(Error::WrongKind)?;
    handle.check(Rights::READ)?;
    let room = Room {
        bytes: capacity as usize,
        handles: count as usize,
    };
    loop {
        match receiver.try_receive(room) {
            Ok(Received::Larger(shape)) => return Ok(raw(&shape)),
            Ok(Received::Message(message)) => {
                let delivered = deliver(caller, &message, address, handles);
                if delivered.is_err() {
                    receiver.put_back(message);
                }
                return delivered;
            }
            Err(Error::WouldBlock) if deadline != NOW => {
                wait(receiver, Ready::READ, deadline).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

pub async fn call(
    caller: &Caller<'_>,
    [register, value, address, capacity, passing, deadline]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(register)?;
    let sender = handle.downcast_ref::<Sender>().ok_or(Error::WrongKind)?;
    handle.check(Rights::WRITE)?;
    let value = caller.value(value).await?;
    let passing = match passing {
        0 => Passing::default(),
        at => {
            let mut bytes = [0; Passing::SIZE];
            memory::load_bytes(caller.space, at as usize, &mut bytes)?;
            Passing::from_bytes(&bytes)
        }
    };
    let list = passed(caller, passing.handles, passing.count.into())?;
    let room = Room {
        bytes: capacity as usize,
        handles: passing.room as usize,
    };
    let (question, reply) = Question::new(room);
    let outgoing = Outgoing {
        caller,
        value,
        list,
    };
    outgoing.send(sender, deadline, Some(reply)).await?;
    let answer = question.answer(until(deadline)).await?;
    deliver(caller, &answer, address, passing.handles)
}

/// A message on its way out.
struct Outgoing<'a> {
    caller: &'a Caller<'a>,
    value: Value,
    list: Vec<Pass>,
}

impl Outgoing<'_> {
    async fn send(
        self,
        sender: &Sender,
        deadline: u64,
        mut reply: Option<Arc<Reply>>,
    ) -> Result<(), Error> {
        let Outgoing {
            caller,
            value,
            list,
        } = self;
        let (bytes, handles) = (value.as_bytes().len(), list.len());
        let mut value = Some(value);
        loop {
            let sent = match sender.has_room(bytes) {
                // Only now: whoever has to wait for room keeps its memory meanwhile.
                Ok(()) if handles > 0 => surrender(caller, &list),
                other => other,
            };
            let sent = sent.and_then(|()| {
                task::hand_over(|| {
                    sender.try_send(bytes, handles, || {
                        let mut message = message(caller, &list, &mut value)?;
                        message.reply = reply.take();
                        Ok(message)
                    })
                })
            });
            match sent {
                Err(Error::WouldBlock) if deadline != NOW => {
                    wait(sender, Ready::WRITE, deadline).await?;
                }
                sent => return sent,
            }
        }
    }

    fn answer(self, reply: &Reply) -> Result<(), Error> {
        let Outgoing {
            caller,
            value,
            list,
        } = self;
        let (bytes, handles) = (value.as_bytes().len(), list.len());
        surrender(caller, &list)?;
        let mut value = Some(value);
        task::hand_over(|| reply.answer(bytes, handles, || message(caller, &list, &mut value)))
    }
}

/// Makes the message, in the instant in which it is sent: the handles leave the caller's table.
fn message(
    caller: &Caller<'_>,
    list: &[Pass],
    value: &mut Option<Value>,
) -> Result<Message, Error> {
    let handles = match list {
        [] => Vec::new(),
        _ => caller.handles.pass(list, may_pass)?,
    };
    let marks = list.iter().enumerate();
    let surrendered = marks.fold(0, |marks, (place, pass)| {
        marks | u64::from(pass.only) << place
    });
    Ok(Message {
        value: value.take().unwrap_or_default(),
        handles,
        surrendered,
        reply: None,
    })
}

/// Whether a handle can go with a message.
fn may_pass(handle: &Handle, pass: &Pass) -> Result<(), Error> {
    match handle.kind() {
        // It holds handles: one in a queue that it watches would keep both for ever.
        Kind::Port => Err(Error::Invalid),
        _ if !pass.only => Ok(()),
        _ => match handle.downcast_ref::<Arena>() {
            Some(arena) if arena.is_only(handle) => Ok(()),
            Some(_) => Err(Error::Busy),
            None => Err(Error::WrongKind),
        },
    }
}

/// Takes the caller's mappings of the memory that it gives away.
fn surrender(caller: &Caller<'_>, list: &[Pass]) -> Result<(), Error> {
    for pass in list.iter().filter(|pass| pass.only) {
        let handle = caller.handles.get(pass.number)?;
        handle.check(pass.rights | Rights::TRANSFER)?;
        let arena = handle.downcast_ref::<Arena>().ok_or(Error::WrongKind)?;
        caller.space.surrender(&arena.0)?;
    }
    Ok(())
}

/// Reads the list of handles that are to be sent.
fn passed(caller: &Caller<'_>, address: u64, count: u64) -> Result<Vec<Pass>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if count > MOST_HANDLES as u64 {
        return Err(Error::Limit);
    }
    let length = count as usize * Passed::SIZE;
    let mut bytes = [0; MOST_HANDLES * Passed::SIZE];
    let bytes = bytes.get_mut(..length).ok_or(Error::Limit)?;
    memory::load_bytes(caller.space, address as usize, bytes)?;
    let (records, _) = bytes.as_chunks::<{ Passed::SIZE }>();
    let pass = |record: &[u8; Passed::SIZE]| {
        let passed = Passed::from_bytes(record).ok_or(Error::Invalid)?;
        if passed.what > Passed::SURRENDER {
            return Err(Error::Invalid);
        }
        Ok(Pass {
            number: passed.number,
            rights: passed.rights,
            copy: passed.what == Passed::COPY,
            only: passed.what == Passed::SURRENDER,
        })
    };
    records.iter().map(pass).collect()
}

/// Writes the message to the receiver's memory and its handles to its table: all of it, or nothing.
fn deliver(
    caller: &Caller<'_>,
    message: &Message,
    address: u64,
    handles: u64,
) -> Result<u64, Error> {
    let shape = message.shape();
    let bytes = message.value.as_bytes();
    memory::store_user(caller.space, address as usize, bytes)?;
    if shape.handles == 0 {
        return Ok(raw(&shape));
    }
    let mut numbers = Vec::new();
    let written = hand_out(caller, message, handles, &mut numbers);
    if written.is_err() {
        for number in numbers {
            // The program cannot know them; another thread of it may still have guessed and closed one.
            drop(caller.handles.remove(number));
        }
    }
    written.map(|()| raw(&shape))
}

fn hand_out(
    caller: &Caller<'_>,
    message: &Message,
    address: u64,
    numbers: &mut Vec<Number>,
) -> Result<(), Error> {
    let reply = message.reply.clone();
    let reply = reply.map(|reply| Handle::new(reply, REPLY));
    let mut bytes = [0; (MOST_HANDLES + 1) * Passed::SIZE];
    let (records, _) = bytes.as_chunks_mut::<{ Passed::SIZE }>();
    let all = message.handles.iter().chain(&reply).enumerate();
    for ((place, handle), record) in all.zip(records) {
        let surrendered = place < MOST_HANDLES && message.surrendered >> place & 1 != 0;
        let number = caller.handles.insert(handle.clone())?;
        numbers.push(number);
        *record = Passed::received(number, handle.rights(), handle.kind(), surrendered).to_bytes();
    }
    let length = numbers.len() * Passed::SIZE;
    let bytes = bytes.get(..length).unwrap_or_default();
    memory::store_user(caller.space, address as usize, bytes)
}

async fn wait(object: &dyn Object, interest: Ready, deadline: u64) -> Result<(), Error> {
    if let Some(readiness) = object.readiness() {
        readiness.wait(interest, until(deadline)).await?;
    }
    Ok(())
}

fn until(deadline: u64) -> Option<u64> {
    (deadline != NEVER).then_some(deadline)
}

fn raw(shape: &Shape) -> u64 {
    abi::Received {
        // A value and a list of handles have limits far below these.
        length: shape.bytes as u32,
        handles: shape.handles as u16,
        asks: shape.asks,
    }
    .to_raw()
}
