//! Messages between programs.
//!
//! A channel has two ends: the [`Channel`] that messages are sent to, of which there may be many handles in many programs, and the
//! [`Inbox`] that they come out of. Who wants an answer calls ([`Channel::call`]); who serves receives and answers:
//!
//! ```no_run
//! # fn main() -> Result<(), helve::Error> {
//! use helve::{Channel, Message, Value};
//!
//! let (channel, inbox) = Channel::new()?;
//! helve::Command::new("/bin/client").give("service", channel.handle()).start()?;
//! drop(channel);
//! while let Ok(mut question) = inbox.receive() {
//!     let number = question.value().int("number").unwrap_or(0);
//!     let answer = Value::build(|answer| {
//!         answer.put("twice", 2 * number);
//!     })?;
//!     question.answer(&mut answer.into())?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! and in the client:
//!
//! ```no_run
//! # fn main() -> Result<(), helve::Error> {
//! let service = helve::Channel::given("service")?;
//! let question = helve::Value::build(|question| {
//!     question.put("number", 21);
//! })?;
//! let answer = service.call(&mut question.into())?;
//! assert_eq!(answer.value().int("twice"), Some(42));
//! # Ok(())
//! # }
//! ```

use crate::handle::Handle;
use crate::message::Message;
use crate::{environment, registry, sys};
use abi::{Error, MOST_HANDLES, NEVER, Passed, Received, Rights};
use alloc::vec::Vec;
use value::Value;

/// Room for the value of an answer, in bytes, if nothing else is said.
const ANSWER: usize = 4096;
/// Room for the value of a message at first, in bytes.
const FIRST: usize = 1024;
/// At once: do not wait.
const NOW: u64 = 0;

/// The end that messages are sent to. When the last one is dropped, in all programs, the inbox learns it.
#[derive(Debug)]
pub struct Channel(Handle);

impl Channel {
    /// A new channel: for 64 messages of a MiB together, before senders have to wait.
    ///
    /// # Errors
    /// `NotFound` when the process was given no `channel:` registry; `TooMany`, `NoMemory`.
    pub fn new() -> Result<(Channel, Inbox), Error> {
        Channel::of(Value::default())
    }

    /// A new channel for so many messages (1 to 4096), with so many bytes of values together (1 to 16 MiB).
    ///
    /// # Errors
    /// As [`new`](Self::new); `Invalid` for other numbers.
    pub fn with_limits(messages: usize, bytes: usize) -> Result<(Channel, Inbox), Error> {
        Channel::of(Value::build(|limits| {
            limits.put("messages", messages).put("bytes", bytes);
        })?)
    }

    fn of(limits: Value) -> Result<(Channel, Inbox), Error> {
        let reply = registry::get("channel")?.request("new", limits.as_document())?;
        let end = |key| Handle::in_reply(&reply, key);
        Ok((Channel(end("sender")?), Inbox(end("receiver")?)))
    }

    /// The end behind a handle that is one.
    pub const fn from_handle(handle: Handle) -> Channel {
        Channel(handle)
    }

    /// A copy of the one that this program was given under this name.
    ///
    /// # Errors
    /// `NotFound`; `Denied` when it may not be duplicated.
    pub fn given(name: &str) -> Result<Channel, Error> {
        environment::copy_of_handle(name).map(Channel)
    }

    /// The handle.
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// The handle, to be given away.
    pub fn into_handle(self) -> Handle {
        self.0
    }

    /// Sends a message; waits for room. What was in the message is gone afterwards, or all of it is still there.
    ///
    /// # Errors
    /// `Closed` without an inbox; `TooLarge`; `Denied` for a handle without the rights; `Limit` for more than 64 of them;
    /// `Invalid` for a port, which cannot travel; `Interrupted`.
    pub fn send(&self, message: &mut Message) -> Result<(), Error> {
        self.send_until(message, NEVER)
    }

    /// The same, but does not wait.
    ///
    /// # Errors
    /// As [`send`](Self::send); `WouldBlock` when there is no room.
    pub fn try_send(&self, message: &mut Message) -> Result<(), Error> {
        self.send_until(message, NOW)
    }

    /// The same, and waits until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`send`](Self::send); `TimedOut`.
    pub fn send_until(&self, message: &mut Message, deadline: u64) -> Result<(), Error> {
        send(&self.0, message, deadline)
    }

    /// Sends a message and waits for the answer, whose value may have up to 4 KiB.
    ///
    /// # Errors
    /// As [`send`](Self::send); `Unanswered` when whoever received it let it go.
    pub fn call(&self, message: &mut Message) -> Result<Message, Error> {
        self.call_until(message, ANSWER, NEVER)
    }

    /// The same, with so much room for the answer's value, and until `deadline` (nanoseconds since boot). A larger answer is
    /// refused, which who answers is told.
    ///
    /// # Errors
    /// As [`call`](Self::call); `TimedOut`.
    pub fn call_until(
        &self,
        message: &mut Message,
        room: usize,
        deadline: u64,
    ) -> Result<Message, Error> {
        let mut value = alloc::vec![0; room];
        let mut records = sys::Records::new(&message.records())?;
        let received = sys::call_channel(
            self.0.number(),
            message.value(),
            &mut value,
            &mut records,
            deadline,
        );
        match received {
            // It was sent, and what it had is gone.
            Ok(_) | Err(Error::Unanswered) => message.sent(),
            Err(_) => {}
        }
        message_of(received?, value, &records)
    }
}

/// The end that messages come out of, in order. When it is dropped, those who send learn it.
#[derive(Debug)]
pub struct Inbox(Handle);

impl Inbox {
    /// The end behind a handle that is one.
    pub const fn from_handle(handle: Handle) -> Inbox {
        Inbox(handle)
    }

    /// The handle, for instance to [watch](crate::Port::watch) it for `READ`.
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// The handle, to be given away.
    pub fn into_handle(self) -> Handle {
        self.0
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// `Closed` when there is none and nobody can send one; `TooMany` when the process may not hold its handles: it stays;
    /// `Interrupted`.
    pub fn receive(&self) -> Result<Message, Error> {
        self.receive_until(NEVER)
    }

    /// The same, but does not wait.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); `WouldBlock` when there is none.
    pub fn try_receive(&self) -> Result<Message, Error> {
        self.receive_until(NOW)
    }

    /// The same, and waits until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`receive`](Self::receive); `TimedOut`.
    pub fn receive_until(&self, deadline: u64) -> Result<Message, Error> {
        let mut value = alloc::vec![0; FIRST];
        let mut records = sys::Records::new(&[])?;
        loop {
            let received = sys::receive(self.0.number(), &mut value, &mut records, deadline)?;
            if received.fits(value.len(), MOST_HANDLES + 1) {
                return message_of(received, value, &records);
            }
            value.resize(received.length as usize, 0);
        }
    }
}

/// The way back to who made a call.
#[derive(Debug)]
pub struct Reply(Option<Handle>);

impl Reply {
    /// The one behind a handle that is one.
    pub const fn from_handle(handle: Handle) -> Reply {
        Reply(Some(handle))
    }

    /// Answers, once.
    ///
    /// # Errors
    /// `Closed` when nobody waits any more, or it was answered; `TooLarge` when there is no room for it where it would go: another
    /// answer can be given; those of [`Channel::send`] about handles.
    pub fn answer(&mut self, message: &mut Message) -> Result<(), Error> {
        let handle = self.0.as_ref().ok_or(Error::Closed)?;
        send(handle, message, NOW)?;
        // The kernel has closed it.
        if let Some(used) = self.0.take() {
            used.into_number();
        }
        Ok(())
    }

    /// The handle, to be given to somebody else who answers.
    pub fn into_handle(self) -> Option<Handle> {
        self.0
    }
}

/// What a handle to an end must have to be given to another program.
pub const END: Rights = Rights::TRANSFER
    .union(Rights::SIGNAL)
    .union(Rights::INSPECT);

fn send(handle: &Handle, message: &mut Message, deadline: u64) -> Result<(), Error> {
    let records = sys::Records::new(&message.records())?;
    sys::send(handle.number(), message.value(), &records, deadline)?;
    message.sent();
    Ok(())
}

fn message_of(
    received: Received,
    mut value: Vec<u8>,
    records: &sys::Records,
) -> Result<Message, Error> {
    value.truncate(received.length as usize);
    let handles: Vec<Passed> = records.first(received.handles.into());
    // First the handles, so that none is lost if the value should be none.
    let message = Message::received(Value::default(), &handles, received.asks);
    Ok(message.with(Value::from_bytes(value)?))
}
