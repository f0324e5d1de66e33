//! What travels through a channel.

use crate::arena::{self, Arena};
use crate::channel::Reply;
use crate::handle::Handle;
use abi::{Error, Kind, Passed, Rights};
use alloc::vec::Vec;
use value::{Document, Value};

/// A value, and with it handles and arenas. The same type goes out and comes in.
///
/// What is sent leaves the message: it is empty afterwards. If sending fails, everything is still in it.
#[derive(Debug, Default)]
pub struct Message {
    value: Value,
    handles: Vec<Option<Item>>,
    reply: Option<Reply>,
}

#[derive(Debug)]
struct Item {
    handle: Handle,
    rights: Rights,
    /// `None`: it goes out, nobody has asked for its kind.
    kind: Option<Kind>,
    surrendered: bool,
}

impl From<Value> for Message {
    fn from(value: Value) -> Message {
        Message {
            value,
            ..Message::default()
        }
    }
}

impl Message {
    /// The value.
    pub fn value(&self) -> Document<'_> {
        self.value.as_document()
    }

    /// Adds a handle that the receiver gets with these rights, a subset of those that it has. It must have `TRANSFER`. To
    /// keep one as well, add a [duplicate](Handle::duplicate).
    pub fn add_handle(&mut self, handle: Handle, rights: Rights) -> &mut Message {
        self.handles.push(Some(Item {
            handle,
            rights,
            kind: None,
            surrendered: false,
        }));
        self
    }

    /// Adds an arena. Its bytes are not mapped here any more.
    pub fn add_arena(&mut self, arena: Arena) -> &mut Message {
        self.handles.push(Some(Item {
            handle: arena.into_memory(),
            rights: arena::RIGHTS,
            kind: Some(Kind::Memory),
            surrendered: true,
        }));
        self
    }

    /// How many handles and arenas came or go with it, those that were taken included.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether there is neither handle nor arena.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// What the handle at this place is, if it came with the message and is still there.
    pub fn kind(&self, place: usize) -> Option<Kind> {
        self.handles.get(place)?.as_ref()?.kind
    }

    /// Takes the handle at this place.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it was taken.
    pub fn take_handle(&mut self, place: usize) -> Result<Handle, Error> {
        let item = self.handles.get_mut(place).and_then(Option::take);
        item.map(|item| item.handle).ok_or(Error::NotFound)
    }

    /// Takes the arena at this place, and maps it.
    ///
    /// # Errors
    /// `NotFound` when there is none; `WrongKind` for what is no arena, or memory that somebody else has too: it stays;
    /// `NoMemory` when it cannot be mapped: it is lost.
    pub fn take_arena(&mut self, place: usize) -> Result<Arena, Error> {
        let item = self.handles.get(place).and_then(Option::as_ref);
        if !item.ok_or(Error::NotFound)?.surrendered {
            return Err(Error::WrongKind);
        }
        Arena::of(self.take_handle(place)?)
    }

    /// The way back to who asks, if somebody does. Dropping it tells that one that there will be no answer.
    pub fn take_reply(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    /// Answers who asks.
    ///
    /// # Errors
    /// `NotFound` when nobody does; those of [`Reply::answer`].
    pub fn answer(&mut self, answer: &mut Message) -> Result<(), Error> {
        let reply = self.reply.as_mut().ok_or(Error::NotFound)?;
        reply.answer(answer)?;
        self.reply = None;
        Ok(())
    }

    /// The same with this value.
    pub(crate) fn with(self, value: Value) -> Message {
        Message { value, ..self }
    }

    /// What is sent: the value, and a record for each handle that is still here.
    pub(crate) fn records(&self) -> Vec<Passed> {
        let items = self.handles.iter().flatten();
        let record = |item: &Item| Passed {
            number: item.handle.number(),
            rights: item.rights,
            what: match item.surrendered {
                true => Passed::SURRENDER,
                false => Passed::MOVE,
            },
        };
        items.map(record).collect()
    }

    /// It was sent: the handles are somebody else's.
    pub(crate) fn sent(&mut self) {
        self.value = Value::default();
        for item in self.handles.drain(..).flatten() {
            item.handle.into_number();
        }
    }

    /// What was received.
    pub(crate) fn received(value: Value, mut records: &[Passed], asks: bool) -> Message {
        let mut reply = None;
        if let Some((last, others)) = records.split_last().filter(|_| asks) {
            reply = Some(Reply::from_handle(Handle::from_number(last.number)));
            records = others;
        }
        let item = |record: &Passed| {
            Some(Item {
                handle: Handle::from_number(record.number),
                rights: record.rights,
                kind: record.kind(),
                surrendered: record.is_surrendered(),
            })
        };
        Message {
            value,
            handles: records.iter().map(item).collect(),
            reply,
        }
    }
}
