//! What travels.

use crate::reply::Reply;
use abi::{Error, MOST_HANDLES};
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::Handle;
use value::{Document, Value};

/// Values up to this many bytes travel in the message itself: most questions and answers need no memory of their own.
pub const SMALL: usize = 120;

/// The bytes of a value, which were checked.
pub enum Body {
    /// So many of these.
    Small(u8, [u8; SMALL]),
    /// One with memory of its own.
    Large(Value),
}

impl Body {
    /// A value of these bytes, if they are one and not too many.
    ///
    /// # Errors
    /// [`Error::BadValue`]; [`Error::TooLarge`] beyond [`SMALL`].
    pub fn small(length: usize, bytes: [u8; SMALL]) -> Result<Body, Error> {
        let whole = bytes.get(..length).ok_or(Error::TooLarge)?;
        Document::parse(whole)?;
        Ok(Body::Small(length as u8, bytes))
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Body::Small(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Body::Large(value) => value.as_bytes(),
        }
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Body {
        Body::Large(value)
    }
}

/// The empty value.
impl Default for Body {
    fn default() -> Body {
        let mut bytes = [0; SMALL];
        let empty = Document::EMPTY.as_bytes();
        for (byte, of) in bytes.iter_mut().zip(empty) {
            *byte = *of;
        }
        Body::Small(empty.len() as u8, bytes)
    }
}

/// A value, and handles.
#[derive(Default)]
pub struct Message {
    /// The value.
    pub value: Body,
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
            value: value.into(),
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
