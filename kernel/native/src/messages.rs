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
use object::{Handle, Pass, Tenure};
use task::Ready;
use value::{Document, Value};

/// What the holder of a reply handle may do besides answering: there is one of it, so no `DUPLICATE`.
const REPLY: Rights = Rights::WRITE
    .union(Rights::SIGNAL)
    .union(Rights::INSPECT)
    .union(Rights::TRANSFER);

/// Deadline 0: not to wait at all.
const NOW: u64 = 0;

pub async fn send(caller: &Caller<'_>, arguments: Arguments) -> Result<u64, Error> {
    let [register, value, handles, count, deadline, _] = arguments;
    let handle = caller.handle(register)?;
    let target = Target::of(&handle)?;
    let value = value_at(caller, value).await?;
    let list = passed(caller, handles, count)?;
    let mut outgoing = Outgoing::new(caller, value, list);
    match target {
        Target::Reply(reply) => outgoing.answer(reply, register),
        Target::Sender(sender) => outgoing.send(&handle, sender, deadline).await,
    }
}

/// The same if it need not wait. `None`: nothing has happened.
pub fn send_now(caller: &Caller<'_>, arguments: Arguments) -> Option<Result<u64, Error>> {
    let [register, value, handles, count, deadline, _] = arguments;
    let now = || {
        let handle = caller.handle(register)?;
        let target = Target::of(&handle)?;
        let Some(value) = small_value(caller, value)? else {
            return Ok(None);
        };
        let list = passed(caller, handles, count)?;
        let mut outgoing = Outgoing::new(caller, value, list);
        match target {
            Target::Reply(reply) => outgoing.answer(reply, register),
            Target::Sender(sender) => outgoing.try_send(sender).map(|()| 0),
        }
        .map(Some)
    };
    match now() {
        Err(Error::WouldBlock) if deadline != NOW => None,
        result => result.transpose(),
    }
}

pub async fn receive(caller: &Caller<'_>, arguments: Arguments) -> Result<u64, Error> {
    let [register, .., deadline] = arguments;
    let handle = caller.handle(register)?;
    loop {
        match try_receive(caller, &handle, arguments) {
            Err(Error::WouldBlock) if deadline != NOW => {
                handle.wait(Ready::READ, until(deadline)).await?;
            }
            result => return result,
        }
    }
}

/// The same if there is a message. `None`: nothing has happened.
pub fn receive_now(caller: &Caller<'_>, arguments: Arguments) -> Option<Result<u64, Error>> {
    let [register, .., deadline] = arguments;
    let number = number(register).ok()?;
    let is_ready = |handle: &Handle| {
        let receiver = handle.downcast_ref::<Receiver>();
        receiver.is_some_and(Receiver::is_ready)
    };
    if !caller.handles.with(number, is_ready).ok()? {
        return None;
    }
    let handle = caller.handles.get(number).ok()?;
    match try_receive(caller, &handle, arguments) {
        Err(Error::WouldBlock) if deadline != NOW => None,
        result => Some(result),
    }
}

fn try_receive(
    caller: &Caller<'_>,
    handle: &Handle,
    [_, address, capacity, handles, count, _]: Arguments,
) -> Result<u64, Error> {
    let receiver = handle.downcast_ref::<Receiver>().ok_or(Error::WrongKind)?;
    handle.check(Rights::READ)?;
    let room = Room {
        bytes: capacity as usize,
        handles: count as usize,
    };
    match receiver.try_receive(room)? {
        Received::Larger(shape) => Ok(raw(&shape)),
        Received::Message(message) => {
            let delivered = deliver(caller, &message, address, handles, handle.tenure());
            if delivered.is_err() {
                receiver.put_back(message);
            }
            delivered
        }
    }
}

pub async fn call(
    caller: &Caller<'_>,
    [register, value, address, capacity, passing, deadline]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(register)?;
    let Target::Sender(sender) = Target::of(&handle)? else {
        return Err(Error::WrongKind);
    };
    let value = value_at(caller, value).await?;
    let passing = match passing {
        0 => Passing::default(),
        at => {
            let mut bytes = [0; Passing::SIZE];
            memory::load_bytes(caller.space, at as usize, &mut bytes)?;
            Passing::from_bytes(&bytes)
        }
    };
    let list = passed(caller, passing.handles, passing.count.into())?;
    let (question, reply) = Question::new(Room {
        bytes: capacity as usize,
        handles: passing.room as usize,
    });
    let mut outgoing = Outgoing::new(caller, value, list);
    outgoing.reply = Some(reply);
    outgoing.send(&handle, sender, deadline).await?;
    let answer = question.answer(handle.tenure(), until(deadline)).await?;
    deliver(caller, &answer, address, passing.handles, handle.tenure())
}

/// Values up to this many bytes are read without waiting, and with no future of their own.
const SMALL: usize = 256;

/// A message's value; address 0 is the empty one.
async fn value_at(caller: &Caller<'_>, address: u64) -> Result<Value, Error> {
    match small_value(caller, address)? {
        Some(value) => Ok(value),
        None => caller.value(address).await,
    }
}

/// The same if it is a small one.
fn small_value(caller: &Caller<'_>, address: u64) -> Result<Option<Value>, Error> {
    if address == 0 {
        return Ok(Some(Value::default()));
    }
    let mut front = [0; 4];
    memory::load_bytes(caller.space, address as usize, &mut front)?;
    let length = Document::announced(front).ok_or(Error::BadValue)?;
    if length > SMALL {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| Error::NoMemory)?;
    bytes.resize(length, 0);
    // The program may change it meanwhile: what was read is checked as a whole.
    memory::load_bytes(caller.space, address as usize, &mut bytes)?;
    Ok(Some(Value::from_bytes(bytes)?))
}

/// What a message can be sent to.
enum Target<'a> {
    Sender(&'a Sender),
    Reply(&'a Reply),
}

impl Target<'_> {
    fn of(handle: &Handle) -> Result<Target<'_>, Error> {
        let target = match handle.downcast_ref() {
            Some(sender) => Target::Sender(sender),
            None => Target::Reply(handle.downcast_ref().ok_or(Error::WrongKind)?),
        };
        handle.check(Rights::WRITE)?;
        Ok(target)
    }
}

/// A message on its way out.
struct Outgoing<'a> {
    caller: &'a Caller<'a>,
    /// Gone when it is sent.
    value: Option<Value>,
    bytes: usize,
    list: Vec<Pass>,
    reply: Option<Arc<Reply>>,
}

impl Outgoing<'_> {
    fn new<'a>(caller: &'a Caller<'a>, value: Value, list: Vec<Pass>) -> Outgoing<'a> {
        Outgoing {
            caller,
            bytes: value.as_bytes().len(),
            value: Some(value),
            list,
            reply: None,
        }
    }

    /// Sends it to what `handle` names.
    async fn send(
        &mut self,
        handle: &Handle,
        sender: &Sender,
        deadline: u64,
    ) -> Result<u64, Error> {
        loop {
            match self.try_send(sender) {
                Err(Error::WouldBlock) if deadline != NOW => {
                    handle.wait(Ready::WRITE, until(deadline)).await?;
                    handle.holds()?;
                }
                sent => return sent.map(|()| 0),
            }
        }
    }

    fn try_send(&mut self, sender: &Sender) -> Result<(), Error> {
        if !self.list.is_empty() {
            // Whoever has to wait for room keeps its memory meanwhile.
            sender.has_room(self.bytes)?;
            surrender(self.caller, &self.list)?;
        }
        let (bytes, handles) = (self.bytes, self.list.len());
        task::hand_over(|| sender.try_send(bytes, handles, || self.message()))
    }

    /// Answers through the reply handle of this number, which is used then.
    fn answer(&mut self, reply: &Reply, register: u64) -> Result<u64, Error> {
        surrender(self.caller, &self.list)?;
        let (bytes, handles) = (self.bytes, self.list.len());
        task::hand_over(|| reply.answer(bytes, handles, || self.message()))?;
        // If another thread has closed it meanwhile, or it went with the answer, it is gone already.
        drop(self.caller.handles.remove(number(register)?));
        Ok(0)
    }

    /// Makes the message, in the instant in which it is sent: the handles leave the caller's table.
    fn message(&mut self) -> Result<Message, Error> {
        let handles = match &self.list[..] {
            [] => Vec::new(),
            list => self.caller.handles.pass(list, may_pass)?,
        };
        let marks = self.list.iter().enumerate();
        let surrendered = marks.fold(0, |marks, (place, pass)| {
            marks | u64::from(pass.only) << place
        });
        Ok(Message {
            value: self.value.take().unwrap_or_default(),
            handles,
            surrendered,
            reply: self.reply.take(),
        })
    }
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

/// Writes the message to the receiver's memory and its handles to its table: all of it, or nothing. What comes through
/// something lent, used under `tenure`, is lent.
fn deliver(
    caller: &Caller<'_>,
    message: &Message,
    address: u64,
    handles: u64,
    tenure: &Tenure,
) -> Result<u64, Error> {
    let shape = message.shape();
    let bytes = message.value.as_bytes();
    memory::store_user(caller.space, address as usize, bytes)?;
    if shape.handles == 0 {
        return Ok(raw(&shape));
    }
    let mut numbers = Vec::new();
    let written = hand_out(caller, message, handles, tenure, &mut numbers);
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
    tenure: &Tenure,
    numbers: &mut Vec<Number>,
) -> Result<(), Error> {
    let count = message.shape().handles;
    numbers
        .try_reserve_exact(count)
        .map_err(|_| Error::NoMemory)?;
    let reply = message.reply.clone();
    let reply = reply.map(|reply| Handle::new(reply, REPLY));
    for (place, handle) in message.handles.iter().chain(&reply).enumerate() {
        let surrendered = place < MOST_HANDLES && message.surrendered >> place & 1 != 0;
        let number = caller.handles.insert(handle.clone().under(tenure)?)?;
        numbers.push(number);
        let record = Passed::received(number, handle.rights(), handle.kind(), surrendered);
        let at = (address as usize).wrapping_add(place * Passed::SIZE);
        memory::store_user(caller.space, at, &record.to_bytes())?;
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
