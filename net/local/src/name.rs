//! What sockets are known by, so that others find them: unix(7), "Address format".
//!
//! The one idea: a name leads to the socket weakly and lasts as long as it. An abstract name is known in one
//! [`Scope`]: to those who were handed the same tree of files. A path leads to an inode, and the inode to the socket;
//! so whoever reaches the inode, by whatever path, reaches the socket.

use crate::endpoint::Endpoint;
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use machine::sync::Spin;
use vfs::{Inode, Location};

/// Within which abstract names mean something: the number of the mount that its members have as their root.
pub type Scope = u64;

/// The longest name (`sizeof sun_path`).
pub const NAME_MAX: usize = 108;

/// A name as it was given, for `getsockname`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Any bytes, known in a scope.
    Abstract(Box<[u8]>),
    /// A path, as whoever bound the socket saw it.
    Path(Box<[u8]>),
}

/// Who is found under which name.
enum Key {
    Abstract(Scope, Box<[u8]>),
    /// The inode, which is kept so that its address is not given to another.
    Inode(Location),
}

/// A socket's hold on its name; the name is free when this is dropped.
pub struct Hold {
    key: Key,
    name: Arc<Name>,
}

/// Who is known under what.
type Known<K> = Spin<BTreeMap<K, Weak<Endpoint>>>;

static ABSTRACT: Known<(Scope, Box<[u8]>)> = Spin::new(BTreeMap::new());
static INODES: Known<usize> = Spin::new(BTreeMap::new());

fn address(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

impl Hold {
    /// Makes an abstract name lead to `endpoint`.
    ///
    /// # Errors
    /// `AddressInUse`.
    pub fn abstract_name(
        scope: Scope,
        name: &[u8],
        endpoint: &Arc<Endpoint>,
    ) -> Result<Hold, Error> {
        let mut names = ABSTRACT.lock();
        let key = (scope, Box::from(name));
        if names.contains_key(&key) {
            return Err(Error::AddressInUse);
        }
        names.insert(key, Arc::downgrade(endpoint));
        Ok(Hold {
            key: Key::Abstract(scope, name.into()),
            name: Arc::new(Name::Abstract(name.into())),
        })
    }

    /// Makes a new inode of kind `Socket` lead to `endpoint`.
    pub fn path(location: Location, path: &[u8], endpoint: &Arc<Endpoint>) -> Hold {
        INODES
            .lock()
            .insert(address(location.inode()), Arc::downgrade(endpoint));
        Hold {
            key: Key::Inode(location),
            name: Arc::new(Name::Path(path.into())),
        }
    }

    /// The name.
    pub fn name(&self) -> &Arc<Name> {
        &self.name
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match &mut self.key {
            Key::Abstract(scope, name) => {
                let key = (*scope, core::mem::take(name));
                ABSTRACT.lock().remove(&key);
            }
            Key::Inode(location) => {
                INODES.lock().remove(&address(location.inode()));
            }
        }
    }
}

/// The socket that has this abstract name.
///
/// # Errors
/// `Refused` if there is none.
pub fn find_abstract(scope: Scope, name: &[u8]) -> Result<Arc<Endpoint>, Error> {
    let key = (scope, Box::from(name));
    let known = ABSTRACT.lock().get(&key).and_then(Weak::upgrade);
    known.ok_or(Error::Refused)
}

/// The socket behind an inode.
///
/// # Errors
/// `Refused` if there is none (any more), or it is no socket's inode.
pub fn find_inode(inode: &Arc<dyn Inode>) -> Result<Arc<Endpoint>, Error> {
    let known = INODES.lock().get(&address(inode)).and_then(Weak::upgrade);
    known.ok_or(Error::Refused)
}
