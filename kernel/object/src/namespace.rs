//! The registries that a process can name.
//!
//! The one idea: the name is the process's own, the handle is what counts. A process that was given no registry can
//! open nothing.

use crate::{Handle, Rights};
use abi::Error;
use alloc::boxed::Box;
use alloc::vec::Vec;
use machine::sync::Spin;

/// Handles by name, in order of name. A process has a few, so finding one is a search of a short list.
#[derive(Debug, Default)]
pub struct Namespace {
    entries: Spin<Vec<(Box<str>, Handle)>>,
}

/// The longest name, in bytes.
const LONGEST: usize = 64;
/// The most names.
const MOST: usize = 256;

impl Namespace {
    /// With nothing in it.
    pub const fn new() -> Self {
        Namespace {
            entries: Spin::new(Vec::new()),
        }
    }

    /// The handle of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, name: &str) -> Result<Handle, Error> {
        let entries = self.entries.lock();
        let at = find(&entries, name).map_err(|_| Error::NotFound)?;
        Ok(entries[at].1.clone())
    }

    /// Adds a name, or gives it another handle; the one it had comes back.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name, one with `:` or `/`, or a very long one; [`Error::Limit`].
    pub fn insert(&self, name: &str, handle: Handle) -> Result<Option<Handle>, Error> {
        if name.is_empty() || name.len() > LONGEST || name.contains([':', '/', '\0']) {
            return Err(Error::Invalid);
        }
        let mut entries = self.entries.lock();
        match find(&entries, name) {
            Ok(at) => Ok(Some(core::mem::replace(&mut entries[at].1, handle))),
            Err(_) if entries.len() >= MOST => Err(Error::Limit),
            Err(at) => {
                entries.try_reserve(1).map_err(|_| Error::NoMemory)?;
                entries.insert(at, (name.into(), handle));
                Ok(None)
            }
        }
    }

    /// Takes a name out.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn remove(&self, name: &str) -> Result<Handle, Error> {
        let mut entries = self.entries.lock();
        let at = find(&entries, name).map_err(|_| Error::NotFound)?;
        Ok(entries.remove(at).1)
    }

    /// A copy in which every handle has at most these rights.
    #[must_use]
    pub fn restrict(&self, rights: Rights) -> Namespace {
        let copy = self.clone();
        for (_, handle) in &mut *copy.entries.lock() {
            *handle = handle.restrict(rights);
        }
        copy
    }

    /// All names and handles, in order of name.
    pub fn entries(&self) -> Vec<(Box<str>, Handle)> {
        self.entries.lock().clone()
    }
}

fn find(entries: &[(Box<str>, Handle)], name: &str) -> Result<usize, usize> {
    entries.binary_search_by(|entry| (*entry.0).cmp(name))
}

impl Clone for Namespace {
    fn clone(&self) -> Self {
        Namespace {
            entries: Spin::new(self.entries.lock().clone()),
        }
    }
}
