//! A channel: the queue and its ends.
//!
//! The one idea: an end is an object, and its handles count. When the last handle to the sender is gone, the receiver
//! gets what is left and then learns it; when those to the receiver are gone, what is in the queue goes with it.
//!
//! Lock order: what is in flight ([`IN_FLIGHT`]), the queue, the table of handles that a message's come from. Handles are
//! dropped without any of them.

use crate::message::{Message, Room, Shape};
use abi::{Error, Kind, Rights};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::sync::{Spin, SpinGuard};
use object::flight::Flight;
use object::{Handle, Holder, IN_FLIGHT, Object};
use task::{Readiness, Ready};
use value::{Builder, Value};

/// How much waits in a channel before senders wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages.
    pub messages: usize,
    /// Bytes of their values together.
    pub bytes: usize,
}

impl Limits {
    /// The most that there can be.
    pub const MOST: Limits = Limits {
        messages: 4096,
        bytes: 16 << 20,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            messages: 64,
            bytes: 1 << 20,
        }
    }
}

struct Queue {
    state: Spin<State>,
    limits: Limits,
    /// For the receiver: `READ` while there are messages, `HANGUP` when no more can come.
    readable: Readiness,
    /// For senders: `WRITE` unless somebody found no room since something was taken out, `HANGUP` without a receiver.
    writable: Readiness,
}

struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Places in `messages` that farewells will need.
    kept: usize,
    has_sender: bool,
    has_receiver: bool,
}

/// Makes a channel.
///
/// # Errors
/// [`Error::Invalid`] for limits of nothing or beyond [`Limits::MOST`], [`Error::NoMemory`].
pub fn channel(limits: Limits) -> Result<(Arc<Sender>, Arc<Receiver>), Error> {
    let possible = (1..=Limits::MOST.messages).contains(&limits.messages)
        && (1..=Limits::MOST.bytes).contains(&limits.bytes);
    if !possible {
        return Err(Error::Invalid);
    }
    if !machine::frame::heap_room() {
        return Err(Error::NoMemory);
    }
    let queue = Arc::new(Queue {
        state: Spin::new(State {
            messages: VecDeque::new(),
            bytes: 0,
            kept: 0,
            has_sender: true,
            has_receiver: true,
        }),
        limits,
        readable: Readiness::new(Ready::empty()),
        writable: Readiness::new(Ready::WRITE),
    });
    Ok((Arc::new(Sender(queue.clone())), Arc::new(Receiver(queue))))
}

impl Queue {
    fn describe(&self, end: &str, into: &mut Builder) {
        let state = self.state.lock();
        let (messages, bytes) = (state.messages.len(), state.bytes);
        drop(state);
        into.put("end", end)
            .put("messages", messages)
            .put("bytes", bytes)
            .put("most-messages", self.limits.messages)
            .put("most-bytes", self.limits.bytes);
    }

    /// Locks the queue, and before it the table of what is in flight if a message of `which` carries handles.
    fn lock_for(
        &self,
        which: impl Fn(&State) -> bool,
    ) -> (Option<Flight<Handle>>, SpinGuard<'_, State>) {
        let mut flight = None;
        loop {
            let state = self.state.lock();
            if flight.is_some() || !which(&state) {
                return (flight, state);
            }
            drop(state);
            flight = Some(IN_FLIGHT.enter());
        }
    }

    /// Whether a message with a value of so many bytes could ever have room.
    fn takes(&self, bytes: usize) -> Result<(), Error> {
        if bytes > self.limits.bytes {
            return Err(Error::TooLarge);
        }
        Ok(())
    }

    /// Whether it has room now; if not, senders are told when to try again.
    fn admits(&self, state: &State, bytes: usize) -> Result<(), Error> {
        if !state.has_receiver {
            return Err(Error::Closed);
        }
        let full =
            state.messages.len() >= self.limits.messages || state.bytes + bytes > self.limits.bytes;
        if full {
            self.writable.clear(Ready::WRITE);
            return Err(Error::WouldBlock);
        }
        Ok(())
    }

    /// Makes a place for one more message.
    fn reserve(&self, state: &mut State) -> Result<(), Error> {
        let reserved = state.messages.try_reserve(state.kept + 1);
        reserved.map_err(|_| Error::NoMemory)
    }

    /// Puts a message behind the others; there is a place for it.
    fn push(&self, state: &mut State, message: Message) {
        state.bytes += message.value.as_bytes().len();
        state.messages.push_back(message);
        self.readable.set(Ready::READ);
    }

    /// After something was taken out, with the lock held.
    fn has_room(&self, state: &State) {
        if state.messages.is_empty() {
            self.readable.clear(Ready::READ);
        }
        self.writable.set(Ready::WRITE);
    }
}

fn carries(message: &Message) -> bool {
    !message.handles.is_empty()
}

/// The end that messages are sent to. Dropping the last handle to it tells the receiver.
pub struct Sender(Arc<Queue>);

impl Sender {
    /// Puts a message into the queue, if there is room for one with a value of `bytes` and as many handles as it says.
    /// It is made only then, by `make`, in the instant in which it is in the queue; that must not wait, nor come back
    /// here.
    ///
    /// # Errors
    /// [`Error::Closed`] without a receiver; [`Error::TooLarge`] when it could never have room; [`Error::WouldBlock`]: wait
    /// for [`Ready::WRITE`]; [`Error::Limit`] when too many handles are in flight; [`Error::NoMemory`]; what `make` says.
    /// In all these cases there is no message.
    pub fn try_send(
        &self,
        bytes: usize,
        handles: usize,
        make: impl FnOnce() -> Result<Message, Error>,
    ) -> Result<(), Error> {
        let queue = &*self.0;
        queue.takes(bytes)?;
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let mut flight = None;
        if handles > 0 {
            IN_FLIGHT.before_sending();
            flight = Some(IN_FLIGHT.enter());
        }
        let mut state = queue.state.lock();
        queue.admits(&state, bytes)?;
        if let Some(flight) = &flight {
            flight.admit(handles)?;
        }
        queue.reserve(&mut state)?;
        let message = make()?;
        if let Some(flight) = &mut flight {
            flight.depart(&message.handles);
        }
        queue.push(&mut state, message);
        Ok(())
    }

    /// Keeps a place in the queue for a last word, which then needs neither memory nor room.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::Closed`].
    pub fn farewell(&self) -> Result<Farewell, Error> {
        let mut state = self.0.state.lock();
        if !state.has_receiver {
            return Err(Error::Closed);
        }
        self.0.reserve(&mut state)?;
        state.kept += 1;
        let queue = self.0.clone();
        let value = None;
        Ok(Farewell { queue, value })
    }

    /// Whether nobody will ever receive what is sent.
    pub fn is_closed(&self) -> bool {
        self.0.writable.get().contains(Ready::HANGUP)
    }

    /// Lets its readiness have `READ` as well, always: for objects that stand for it, and never make readers wait.
    pub fn set_readable(&self) {
        self.0.writable.set(Ready::READ);
    }

    /// Whether a message with a value of `bytes` would have room now; if not, it is told by [`Ready::WRITE`].
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn has_room(&self, bytes: usize) -> Result<(), Error> {
        self.0.takes(bytes)?;
        self.0.admits(&self.0.state.lock(), bytes)
    }
}

impl Object for Sender {
    fn kind(&self) -> Kind {
        Kind::Channel
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.writable)
    }

    fn describe(&self, into: &mut Builder) {
        self.0.describe("sender", into);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state.lock().has_sender = false;
        self.0.readable.set(Ready::HANGUP);
        IN_FLIGHT.after_closing();
    }
}

/// Something that is sent, without fail, when this is dropped; limits do not hold for it.
pub struct Farewell {
    queue: Arc<Queue>,
    value: Option<Value>,
}

impl Farewell {
    /// What it says. Without that, nothing is sent.
    pub fn say(&mut self, value: Value) {
        self.value = Some(value);
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.kept -= 1;
        if state.has_receiver
            && let Some(value) = self.value.take()
        {
            self.queue.push(&mut state, Message::of(value));
        }
    }
}

/// What a look into the queue came to.
pub enum Received {
    /// A message, which is in the queue no longer.
    Message(Message),
    /// The first message needs more room than there is; it stays.
    Larger(Shape),
}

/// The end that messages come out of, in the order in which they were sent. Dropping the last handle to it drops what is
/// in the queue, and tells the senders.
pub struct Receiver(Arc<Queue>);

impl Receiver {
    /// Takes the first message out, if there is `room` for it.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: wait for [`Ready::READ`]; [`Error::Closed`] when there is none and nobody can send one.
    pub fn try_receive(&self, room: Room) -> Result<Received, Error> {
        let queue = &*self.0;
        let (mut flight, mut state) =
            queue.lock_for(|state| state.messages.front().is_some_and(carries));
        let Some(first) = state.messages.front() else {
            return Err(match state.has_sender {
                true => Error::WouldBlock,
                false => Error::Closed,
            });
        };
        let shape = first.shape();
        if !room.holds(&shape) {
            return Ok(Received::Larger(shape));
        }
        let Some(message) = state.messages.pop_front() else {
            return Err(Error::WouldBlock);
        };
        state.bytes -= shape.bytes;
        if let Some(flight) = &mut flight {
            flight.arrive(&message.handles);
        }
        queue.has_room(&state);
        Ok(Received::Message(message))
    }

    /// Whether it is worth while to look: there is a message, or no more can come.
    #[inline]
    pub fn is_ready(&self) -> bool {
        !self.0.readable.get().is_empty()
    }

    /// Puts a message back that could not be delivered: it is the first again.
    pub fn put_back(&self, message: Message) {
        let queue = &*self.0;
        let mut flight = carries(&message).then(|| IN_FLIGHT.enter());
        let mut state = queue.state.lock();
        if let Some(flight) = &mut flight {
            flight.depart(&message.handles);
        }
        // It had a place before; if another has it now and there is no memory, the heap's reserve is for this.
        let _ = queue.reserve(&mut state);
        state.bytes += message.value.as_bytes().len();
        state.messages.push_front(message);
        queue.readable.set(Ready::READ);
    }

    /// Takes everything out: messages as the handles that they hold.
    fn empty(
        &self,
        state: &mut State,
        mut flight: Option<&mut Flight<Handle>>,
        into: &mut Vec<Handle>,
    ) {
        state.bytes = 0;
        for mut message in state.messages.drain(..) {
            if let Some(flight) = &mut flight {
                flight.arrive(&message.handles);
            }
            into.append(&mut message.handles);
            // Telling those who wait for an answer can take as long as they are many.
            let reply = message.reply.take();
            into.extend(reply.map(|reply| Handle::new(reply, Rights::empty())));
        }
        self.0.has_room(state);
    }
}

impl Holder for Receiver {
    fn visit(&self, visit: &mut dyn FnMut(&Handle)) {
        let state = self.0.state.lock();
        let handles = state.messages.iter().flat_map(|message| &message.handles);
        handles.for_each(visit);
    }

    fn unload(&self, flight: &mut Flight<Handle>, into: &mut Vec<Handle>) {
        let mut state = self.0.state.lock();
        self.empty(&mut state, Some(flight), into);
    }
}

impl Object for Receiver {
    fn kind(&self) -> Kind {
        Kind::Channel
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.readable)
    }

    fn describe(&self, into: &mut Builder) {
        self.0.describe("receiver", into);
    }

    fn holder(&self) -> Option<&dyn Holder> {
        Some(self)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut left = Vec::new();
        let (mut flight, mut state) = self.0.lock_for(|state| state.messages.iter().any(carries));
        state.has_receiver = false;
        self.empty(&mut state, flight.as_mut(), &mut left);
        self.0.writable.set(Ready::HANGUP);
        drop(state);
        drop(flight);
        IN_FLIGHT.bury(left);
        IN_FLIGHT.after_closing();
    }
}
