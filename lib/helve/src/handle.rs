//! A handle that is closed when it is dropped, and the calls that every handle has.

use crate::sys;
use abi::{END, Error, Event, Events, Kind, NEVER, NEXT, Number, OpenFlags, Rights, request};
use alloc::vec::Vec;
use value::{Document, Value};

/// The largest reply to `inspect` and `request` that is accepted, in bytes.
const LARGEST_REPLY: usize = value::MAX_SIZE;

/// An open handle of this process. Dropping it closes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Handle {
    number: Number,
}

impl Handle {
    /// Takes over a number, which will be closed with the handle.
    pub const fn from_number(number: Number) -> Handle {
        Handle { number }
    }

    /// The handle that a verb's reply names under `key`.
    ///
    /// # Errors
    /// `BadValue` when it names none.
    pub fn in_reply(reply: &Value, key: &str) -> Result<Handle, Error> {
        let number = reply.as_document().unsigned(key);
        let number = number.and_then(|number| u32::try_from(number).ok());
        number
            .map(|number| Handle::from_number(Number(number)))
            .ok_or(Error::BadValue)
    }

    /// The number, still owned by the handle.
    pub const fn number(&self) -> Number {
        self.number
    }

    /// Gives up the number without closing it.
    pub fn into_number(self) -> Number {
        let number = self.number;
        core::mem::forget(self);
        number
    }

    /// What is at `path` below this object.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Exists` and whatever else the object says.
    pub fn open(&self, path: &str, rights: Rights, flags: OpenFlags) -> Result<Handle, Error> {
        sys::open(self.number, path, rights, flags).map(Handle::from_number)
    }

    /// A second handle with no more than these rights.
    ///
    /// # Errors
    /// `Denied` when the rights are no subset, or the handle may not be duplicated.
    pub fn duplicate(&self, rights: Rights) -> Result<Handle, Error> {
        sys::duplicate(self.number, rights).map(Handle::from_number)
    }

    /// A second handle with the same rights.
    ///
    /// # Errors
    /// As [`Handle::duplicate`].
    pub fn copy(&self) -> Result<Handle, Error> {
        self.duplicate(self.rights()?)
    }

    /// The rights that it carries.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn rights(&self) -> Result<Rights, Error> {
        let about = self.inspect()?;
        let names = about.as_document().array("rights").ok_or(Error::BadValue)?;
        Ok(names
            .iter()
            .filter_map(|name| Rights::from_name(name.as_str()?))
            .collect())
    }

    /// What it is a handle to.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn kind(&self) -> Result<Kind, Error> {
        let about = self.inspect()?;
        let name = about.as_document().string("kind").ok_or(Error::BadValue)?;
        Kind::from_name(name).ok_or(Error::BadValue)
    }

    /// What the object says about itself.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn inspect(&self) -> Result<Value, Error> {
        grow(|reply| sys::inspect(self.number, reply))
    }

    /// Asks for a verb. The object's page in the native ABI says which there are.
    ///
    /// # Errors
    /// `NotFound` for a verb it has not; what the verb says otherwise.
    pub fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        grow(|reply| sys::request(self.number, verb, argument, reply))
    }

    /// Asks for a verb that takes handles: each under its name, with these rights.
    ///
    /// # Errors
    /// As [`Handle::request`]; `Denied` for one that has not these rights, or may not be given.
    pub fn request_with(
        &self,
        verb: &str,
        argument: Document<'_>,
        handles: &[(&str, &Handle, Rights)],
    ) -> Result<Value, Error> {
        let whole = Value::build(|builder| {
            for (key, element) in argument {
                builder.put(key, element);
            }
            builder.document(request::HANDLES, |list| {
                for (name, handle, rights) in handles {
                    list.document(name, |entry| {
                        entry
                            .put(request::HANDLE, handle.number.0)
                            .put(request::RIGHTS, rights.bits());
                    });
                }
            });
        })?;
        self.request(verb, whole.as_document())
    }

    /// Asks for a verb that takes no argument.
    ///
    /// # Errors
    /// As [`Handle::request`].
    pub fn ask(&self, verb: &str) -> Result<Value, Error> {
        self.request(verb, Document::EMPTY)
    }

    /// The same, to be given to somebody, and the lease with which it can be taken back: with every copy of it, with what
    /// was opened through it, and what it was lent on as.
    ///
    /// # Errors
    /// `Denied` when the handle may not be duplicated; `Revoked`; `NoMemory`.
    pub fn lend(&self) -> Result<(Handle, Lease), Error> {
        self.lend_for(false)
    }

    /// As [`lend`](Self::lend); it is taken back when the lease is dropped, also when this process ends.
    ///
    /// # Errors
    /// As [`lend`](Self::lend).
    pub fn lend_bound(&self) -> Result<(Handle, Lease), Error> {
        self.lend_for(true)
    }

    fn lend_for(&self, bound: bool) -> Result<(Handle, Lease), Error> {
        let argument = Value::build(|argument| {
            argument.put("bound", bound);
        })?;
        let reply = self.request("lend", argument.as_document())?;
        let handle = Handle::in_reply(&reply, "handle")?;
        let lease = Handle::in_reply(&reply, "lease")?;
        Ok((handle, Lease { handle: lease }))
    }

    /// Reads at the object's own position. 0 is the end.
    ///
    /// # Errors
    /// What the object says.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        sys::read(self.number, NEXT, buffer)
    }

    /// Reads at `offset`.
    ///
    /// # Errors
    /// What the object says; `NotSeekable` for a stream.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        sys::read(self.number, offset, buffer)
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// What the object says.
    pub fn read_to_end(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut filled = 0;
        loop {
            if bytes.len() - filled < 512 {
                bytes.resize((bytes.len() * 2).max(4096), 0);
            }
            match self.read(bytes.get_mut(filled..).unwrap_or_default())? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Writes at the object's own position; returns how much was taken.
    ///
    /// # Errors
    /// What the object says; `Closed` when nobody reads any more.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        sys::write(self.number, NEXT, bytes)
    }

    /// Writes at `offset`.
    ///
    /// # Errors
    /// What the object says.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        sys::write(self.number, offset, bytes)
    }

    /// Writes at the end.
    ///
    /// # Errors
    /// What the object says.
    pub fn append(&self, bytes: &[u8]) -> Result<usize, Error> {
        sys::write(self.number, END, bytes)
    }

    /// Puts bytes into the middle; what follows moves up.
    ///
    /// # Errors
    /// `Unsupported` where the object cannot.
    pub fn insert(&self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        sys::insert(self.number, offset, bytes)
    }

    /// Takes bytes out of the middle; what follows moves down.
    ///
    /// # Errors
    /// `Unsupported` where the object cannot.
    pub fn erase(&self, offset: u64, length: u64) -> Result<u64, Error> {
        sys::erase(self.number, offset, length)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// What the object says; part of it may have been written.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            match self.write(bytes)? {
                0 => return Err(Error::Io),
                count => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Waits until the object is ready for one of `interest`, or until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// `TimedOut` when the deadline passes first.
    pub fn wait_until(&self, interest: Events, deadline: u64) -> Result<Events, Error> {
        let mut events = [Event::default()];
        match sys::wait(self.number, deadline, &mut events, interest)? {
            0 => Err(Error::TimedOut),
            _ => Ok(events[0].events),
        }
    }

    /// Waits until the object is ready for one of `interest`.
    ///
    /// # Errors
    /// `WrongKind` when the object is nothing to wait for.
    pub fn wait(&self, interest: Events) -> Result<Events, Error> {
        self.wait_until(interest, NEVER)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A handle that is open is always closed; there is nobody to tell about anything else.
        let _ = sys::close(self.number);
    }
}

/// Waits for many objects at once.
#[derive(Debug)]
pub struct Port(Handle);

impl Port {
    /// A port of its own.
    ///
    /// # Errors
    /// `NotFound` when the process was given no `event:` registry.
    pub fn new() -> Result<Port, Error> {
        let registry = crate::registry::get("event")?;
        registry
            .open("port", Rights::STREAM, OpenFlags::CREATE)
            .map(Port)
    }

    /// Reports `handle` with `key` whenever it is ready for `interest`. No interest ends it.
    ///
    /// # Errors
    /// `WrongKind` when the object is nothing to wait for.
    pub fn watch(&self, handle: &Handle, interest: Events, key: u64) -> Result<(), Error> {
        sys::watch(self.0.number, handle.number, interest, key)
    }

    /// Waits until something that is watched is ready, or `deadline`; returns the reports, none at the deadline.
    ///
    /// # Errors
    /// `Interrupted` when the program is asked to end.
    pub fn wait<'e>(&self, events: &'e mut [Event], deadline: u64) -> Result<&'e [Event], Error> {
        let count = sys::wait(self.0.number, deadline, events, Events::empty())?;
        Ok(events.get(..count).unwrap_or_default())
    }
}

/// Asks, and asks again with more room until the reply fits.
fn grow(mut ask: impl FnMut(&mut [u8]) -> Result<usize, Error>) -> Result<Value, Error> {
    let mut reply = alloc::vec![0; 4096];
    loop {
        let length = ask(&mut reply)?;
        if length <= reply.len() {
            reply.truncate(length);
            return Ok(Value::from_bytes(reply)?);
        }
        if length > LARGEST_REPLY {
            return Err(Error::TooLarge);
        }
        reply.resize(length, 0);
    }
}

/// With what was lent by [`Handle::lend`] is taken back.
#[derive(Debug)]
pub struct Lease {
    handle: Handle,
}

impl Lease {
    /// Takes it back, at once. Again: nothing.
    ///
    /// # Errors
    /// `Denied` when the handle to the lease has no `SIGNAL`; `Revoked` when the lease itself was lent and taken back.
    pub fn revoke(&self) -> Result<(), Error> {
        self.handle.ask("revoke").map(drop)
    }

    /// Its handle, to be waited for (`READ` when it has ended) or given to somebody who may end it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl From<Handle> for Lease {
    fn from(handle: Handle) -> Lease {
        Lease { handle }
    }
}
