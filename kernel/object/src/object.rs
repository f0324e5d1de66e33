//! What everything that a handle can name answers to.
//!
//! The one idea: a method that can wait does not exist. `try_*` answers [`Error::WouldBlock`], the caller waits on the
//! object's [`Readiness`] and tries again. So the trait is object-safe, nothing is boxed, and one object serves blocking
//! calls, polling and submission queues alike.

use crate::{Handle, Holder, Sink, Source, Verb};
use abi::{Error, Kind, OpenFlags, Rights};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use task::Readiness;
use value::{Builder, Document, Value};

/// Something that a [`Handle`] can name.
///
/// The object does not check rights: whoever holds a `&dyn Object` has passed [`Handle::check`]. Each method says which
/// right the doors ask for. The defaults are honest: [`Error::WrongKind`] for what this kind of object has no notion of.
pub trait Object: Any + Send + Sync {
    /// What it is; never changes.
    fn kind(&self) -> Kind;

    /// The object at `path` inside this one, as a handle with `rights` (or fewer); or what is on the way there, if
    /// that has an order of its own.
    ///
    /// Asked of registries and directories; needs [`Rights::LIST`], and [`Rights::CREATE`] with [`OpenFlags::CREATE`].
    /// `path` is this object's own business; the door has only checked that it is UTF-8 and of reasonable length.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`] when the thing has not all these rights to give, [`Error::Exists`] with
    /// [`OpenFlags::EXCLUSIVE`].
    fn open<'p>(
        &self,
        path: &'p str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        let _ = (path, rights, flags);
        Err(Error::WrongKind)
    }

    /// Puts bytes from `offset` on into `sink`; how many. 0 is the end (or a full or faulted sink). Needs
    /// [`Rights::READ`].
    ///
    /// `offset` may be [`abi::NEXT`]: the object's own position. Streams have no other.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: wait for [`task::Ready::READ`]. [`Error::NotSeekable`] for an offset in a stream.
    fn try_read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let _ = (offset, sink);
        Err(Error::WrongKind)
    }

    /// Takes bytes from `source` to `offset` on; how many, which may be fewer than there are. Needs [`Rights::WRITE`].
    ///
    /// `offset` may be [`abi::NEXT`] (the object's own position) or [`abi::END`].
    ///
    /// # Errors
    /// [`Error::WouldBlock`]: wait for [`task::Ready::WRITE`]. [`Error::Closed`]: nobody will ever read it.
    fn try_write(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        let _ = (offset, source);
        Err(Error::WrongKind)
    }

    /// Takes bytes from `source` into the middle; what follows moves up. Needs [`Rights::WRITE`].
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write); [`Error::Unsupported`] where bytes cannot move.
    fn try_insert(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        let _ = (offset, source);
        Err(Error::Unsupported)
    }

    /// Takes `len` bytes out of the middle; what follows moves down. How many there were. Needs [`Rights::WRITE`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] where bytes cannot move.
    fn erase(&self, offset: u64, len: u64) -> Result<u64, Error> {
        let _ = (offset, len);
        Err(Error::Unsupported)
    }

    /// Does what `verb` says. It is one of [`verbs`](Self::verbs), its caller has the rights that it needs, and the
    /// argument is what it [`takes`](Verb::takes): [`Handle::request`] has seen to that.
    ///
    /// # Errors
    /// Each verb's own; [`Error::Invalid`] for an argument that makes no sense to it all the same.
    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        let _ = (verb, argument);
        Err(Error::NotFound)
    }

    /// As [`request`](Self::request), for objects with verbs that also take or give handles. Doors call this one.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn request_with_handles(
        &self,
        verb: &str,
        argument: Document<'_>,
        given: &Given,
    ) -> Result<Reply, Error> {
        let _ = given;
        self.request(verb, argument).map(Reply::from)
    }

    /// What can be done without waiting; `None`: everything, always.
    fn readiness(&self) -> Option<&Readiness> {
        None
    }

    /// Tells about itself, for `inspect`: a few short fields.
    fn describe(&self, into: &mut Builder) {
        let _ = into;
    }

    /// The verbs that [`request`](Self::request) understands.
    fn verbs(&self) -> &'static [Verb] {
        &[]
    }

    /// Itself, if it holds handles that can be reached through it.
    fn holder(&self) -> Option<&dyn Holder> {
        None
    }
}

/// Where a path has led.
#[derive(Debug)]
pub enum Opened<'p> {
    /// To its end: what was asked for.
    Object(Handle),
    /// To something in which the rest of it goes on. So nobody recurses, however many registries a path leads through.
    Beyond(Handle, &'p str),
}

impl From<Handle> for Opened<'_> {
    fn from(handle: Handle) -> Self {
        Opened::Object(handle)
    }
}

/// The handles that come with a request, each with the rights that its caller gave with it.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<(String, Handle)>);

impl Given {
    /// Under these names.
    pub fn new(handles: Vec<(String, Handle)>) -> Given {
        Given(handles)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Handle)> {
        self.0.iter().map(|(name, handle)| (name.as_str(), handle))
    }

    /// The object that was given under this name, as what it is to be. It came with the rights that the verb declares.
    ///
    /// # Errors
    /// [`Error::Invalid`]: there is none. [`Error::WrongKind`].
    pub fn get<T: Object>(&self, name: &str) -> Result<Arc<T>, Error> {
        let (_, handle) = self
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or(Error::Invalid)?;
        handle.downcast().ok_or(Error::WrongKind)
    }
}

/// What a verb gives back.
#[derive(Clone, Default)]
pub struct Reply {
    /// The value.
    pub value: Value,
    /// Handles that go into the caller's table; their numbers are added to the value under these keys.
    pub handles: Vec<(&'static str, Handle)>,
}

impl<const N: usize> From<[(&'static str, Handle); N]> for Reply {
    fn from(handles: [(&'static str, Handle); N]) -> Self {
        Reply {
            value: Value::default(),
            handles: Vec::from(handles),
        }
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Reply {
            value,
            handles: Vec::new(),
        }
    }
}
