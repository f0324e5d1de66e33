//! What travels.

use crate::reply::Reply;
use abi::MOST_HANDLES;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::Handle;
use value::Value;

/// A value, and handles.
#[derive(Default)]
pub struct Message {
    /// The value.
    pub value: Value,
    /// The handles, at most [`MOST_HANDLES`].
    pub handles: Vec<Handle>,
    /// Which of the handles are memory that nobody else has, one bit each.
    pub surrendered: u64,
    /// The way back to who asks.
    pub reply: Option<Arc<Reply>>,
}

const _: () = assert!(MOST_HANDLES <= u64::BITS as usize);

impl Message {
    /// A message of this value alone.
    pub fn of(value: Value) -> Message {
        Message {
            value,
            ..Message::default()
        }
    }

    /// How large it is.
    pub fn shape(&self) -> Shape {
        Shape {
            bytes: self.value.as_bytes().len(),
            handles: self.handles.len() + usize::from(self.reply.is_some()),
            asks: self.reply.is_some(),
        }
    }
}

/// How large a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the value.
    pub bytes: usize,
    /// How many handles there are, the one to reply included.
    pub handles: usize,
    /// Whether it waits for an answer.
    pub asks: bool,
}

/// How large a message may be for whoever receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the value.
    pub bytes: usize,
    /// How many handles.
    pub handles: usize,
}

impl Room {
    /// For every message.
    pub const ANY: Room = Room {
        bytes: usize::MAX,
        handles: usize::MAX,
    };

    /// Whether there is room for it.
    pub fn holds(&self, shape: &Shape) -> bool {
        shape.bytes <= self.bytes && shape.handles <= self.handles
    }
}
