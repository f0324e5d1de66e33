//! Large data that changes hands without being copied.

use crate::handle::Handle;
use crate::registry;
use crate::sys::Region;
use abi::{Error, Rights};
use core::ops::{Deref, DerefMut};
use value::Value;

/// Memory of its own handle, which only this program has: bytes, zeros at first, in whole pages of 4 KiB. Sent with a
/// message ([`crate::Message::add_arena`]), it is the receiver's.
///
/// ```no_run
/// # fn main() -> Result<(), helve::Error> {
/// let (channel, inbox) = helve::Channel::new()?;
/// let mut picture = helve::Arena::new(16 << 20)?;
/// picture[..5].copy_from_slice(b"pixel");
/// let mut message = helve::Message::default();
/// message.add_arena(picture);
/// channel.send(&mut message)?;
/// let picture = inbox.receive()?.take_arena(0)?;
/// assert_eq!(&picture[..5], b"pixel");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Arena {
    // In this order: memory that is mapped no longer is closed.
    region: Region,
    memory: Handle,
}

/// What the holder of an arena does with it.
pub(crate) const RIGHTS: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::MAP)
    .union(Rights::INSPECT)
    .union(Rights::TRANSFER);

impl Arena {
    /// An arena of at least so many bytes. Pages that are never used cost nothing.
    ///
    /// # Errors
    /// `NotFound` when the process was given no `memory:` registry; `Invalid` for no bytes; `TooLarge`, `NoMemory`.
    pub fn new(bytes: usize) -> Result<Arena, Error> {
        let argument = Value::build(|builder| {
            builder.put("bytes", bytes);
        })?;
        let reply = registry::get("memory")?.request("new", argument.as_document())?;
        Arena::of(Handle::in_reply(&reply, "memory")?)
    }

    /// Maps memory whose only handle this is.
    pub(crate) fn of(memory: Handle) -> Result<Arena, Error> {
        let about = memory.inspect()?;
        let object = about.as_document().document("object");
        let length = object
            .and_then(|object| object.unsigned("bytes"))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or(Error::WrongKind)?;
        let region = Region::new(memory.number(), length)?;
        Ok(Arena { region, memory })
    }

    /// Gives up the mapping.
    pub(crate) fn into_memory(self) -> Handle {
        let Arena { region, memory } = self;
        drop(region);
        memory
    }
}

impl Deref for Arena {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.region.bytes()
    }
}

impl DerefMut for Arena {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.region.bytes_mut()
    }
}
