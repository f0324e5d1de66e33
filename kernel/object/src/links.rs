//! A registry that programs fill: the entries of `link:`.
//!
//! The one idea: a link is a handle, which keeps alive what it names. So registries of links may be in each other, and in
//! messages, in a ring; [`IN_FLIGHT`] knows of all that are, and empties those that nobody can reach.
//!
//! Lock order: what is in flight, `holders`, the entries.

use crate::flight::Flight;
use crate::{
    Handle, Holder, IN_FLIGHT, Kind, Object, OpenFlags, Opened, Registry, Rights, Sink, registry,
};
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;
use machine::sync::{Spin, SpinGuard};
use value::Builder;

/// The most entries of one.
pub const MOST_LINKS: usize = 1 << 16;

/// Named handles that programs add and remove.
#[derive(Debug, Default)]
pub struct Links {
    entries: Registry,
    /// The names of those that are to holders. They come, go and are copied only with [`IN_FLIGHT`] locked: while it
    /// looks for what nobody can reach, nobody reaches anything. Whoever changes the entries has this locked.
    holders: Spin<BTreeSet<Box<str>>>,
}

impl Links {
    /// With nothing in it.
    pub fn new() -> Links {
        Links::default()
    }

    /// Adds an entry. The rights of `handle` are the most that anybody can open it with; among them is `DUPLICATE`, as it
    /// can be opened more than once.
    ///
    /// # Errors
    /// [`Error::Denied`] without that; [`Error::Invalid`] for a port, whose own handles nobody would find, and as
    /// [`Registry::insert`]; [`Error::Exists`]; [`Error::Limit`], [`Error::NoMemory`].
    pub fn add(&self, name: &str, handle: Handle) -> Result<(), Error> {
        handle.check(Rights::DUPLICATE)?;
        if handle.kind() == Kind::Port {
            return Err(Error::Invalid);
        }
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let is_holder = handle.object().holder().is_some();
        let mut flight = is_holder.then(|| {
            IN_FLIGHT.before_sending();
            IN_FLIGHT.enter()
        });
        let mut holders = self.holders.lock();
        if self.entries.len() >= MOST_LINKS {
            return Err(Error::Limit);
        }
        self.entries.insert(name, handle.clone())?;
        if let Some(flight) = &mut flight {
            flight.hold(&handle);
            holders.insert(name.into());
        }
        Ok(())
    }

    /// Takes an entry out. Whoever has opened it keeps it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, name: &str) -> Result<Handle, Error> {
        let (flight, mut holders) = self.lock_for(name);
        let removed = self.entries.remove(name)?;
        if let Some(mut flight) = flight
            && holders.remove(name)
        {
            flight.release(&removed);
        }
        Ok(removed)
    }

    /// Locks the entries, and before them the table of what is in flight if the one of this name is to a holder.
    fn lock_for(&self, name: &str) -> (Option<Flight<Handle>>, SpinGuard<'_, BTreeSet<Box<str>>>) {
        let mut flight = None;
        loop {
            let holders = self.holders.lock();
            if flight.is_some() || !holders.contains(name) {
                return (flight, holders);
            }
            drop(holders);
            flight = Some(IN_FLIGHT.enter());
        }
    }

    fn get(&self, name: &str) -> Result<Handle, Error> {
        let _locked = self.lock_for(name);
        self.entries.get(name)
    }
}

impl Holder for Links {
    fn visit(&self, visit: &mut dyn FnMut(&Handle)) {
        for name in &*self.holders.lock() {
            self.entries.with(name, &mut *visit);
        }
    }

    fn unload(&self, flight: &mut Flight<Handle>, into: &mut Vec<Handle>) {
        let mut holders = self.holders.lock();
        for name in mem::take(&mut *holders) {
            self.entries.with(&name, |handle| flight.release(handle));
        }
        self.entries.empty(into);
    }
}

impl Object for Links {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn open<'p>(
        &self,
        path: &'p str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        registry::open(path, rights, flags, |name| self.get(name))
    }

    fn try_read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        self.entries.try_read(offset, sink)
    }

    fn describe(&self, into: &mut Builder) {
        self.entries.describe(into);
    }

    fn holder(&self) -> Option<&dyn Holder> {
        Some(self)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        let mut left = Vec::new();
        match self.holders.get_mut().is_empty() {
            true => self.entries.empty(&mut left),
            false => self.unload(&mut IN_FLIGHT.enter(), &mut left),
        }
        IN_FLIGHT.bury(left);
        IN_FLIGHT.after_closing();
    }
}
