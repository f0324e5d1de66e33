//! A volume: one file system that is in use, with the names known of it.
//!
//! The one idea: everything that must be one per file system instance (the root, the dentry cache, the number that
//! `stat` shows, the lock under which directories move) is here; where it is mounted is not.

use crate::dentry::Dentry;
use crate::inode::Inode;
use crate::names::Names;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;

/// What a file system says about its space, for `statfs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The number by which Linux programs know this kind (`/usr/include/linux/magic.h`).
    pub magic: u64,
    /// Bytes per block.
    pub block_size: u32,
    /// Blocks in all; 0: it does not count.
    pub blocks: u64,
    /// Blocks that are free.
    pub free_blocks: u64,
    /// Inodes in all; 0: it does not count.
    pub inodes: u64,
    /// Inodes that are free.
    pub free_inodes: u64,
}

/// A file system instance.
pub trait FileSystem: Send + Sync {
    /// The name of its type, as in `mount -t`.
    fn name(&self) -> &str;

    /// Its root directory; always the same.
    fn root(&self) -> Arc<dyn Inode>;

    /// Space and inodes.
    fn statistics(&self) -> Statistics;

    /// Brings everything to where it survives.
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A file system in use.
pub struct Volume {
    file_system: Arc<dyn FileSystem>,
    number: u64,
    root: Arc<Dentry>,
    pub(crate) names: Names,
    /// Held while a directory may change its parent, and while a path is read upwards.
    pub(crate) moves: Spin<()>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Volume {
    /// Brings a file system into use. `seed` makes the hashing of names unpredictable to programs.
    pub fn new(file_system: Arc<dyn FileSystem>, seed: u64) -> Arc<Volume> {
        Arc::new(Volume {
            root: Dentry::root(file_system.root(), Arc::from(*b"/")),
            file_system,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            names: Names::new(seed),
            moves: Spin::new(()),
        })
    }

    /// The file system behind it.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.file_system
    }

    /// The number that `stat` shows as the device.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// How many names are cached.
    pub fn cached_names(&self) -> usize {
        self.names.len()
    }

    /// Forgets cached names that nobody uses; returns how many are left. For when memory is short.
    pub fn shrink(&self) -> usize {
        self.names.shrink()
    }
}

impl Drop for Volume {
    /// The names hold each other; take them apart from here and not by recursion.
    fn drop(&mut self) {
        self.names.clear();
    }
}

/// Makes a file system of some type from a source (a device path, or anything) and its options.
pub type Constructor = dyn Fn(&[u8], &[u8]) -> Result<Arc<Volume>, Error> + Send + Sync;

/// The types of file systems that `mount` knows, by name.
pub struct FileSystems {
    types: Spin<BTreeMap<String, Arc<Constructor>>>,
}

impl FileSystems {
    /// None yet.
    pub const fn new() -> FileSystems {
        FileSystems {
            types: Spin::new(BTreeMap::new()),
        }
    }

    /// Adds a type. `Exists` if the name is taken.
    pub fn register(&self, name: &str, constructor: Arc<Constructor>) -> Result<(), Error> {
        let mut types = self.types.lock();
        if types.contains_key(name) {
            return Err(Error::Exists);
        }
        types.insert(String::from(name), constructor);
        Ok(())
    }

    /// Makes a volume of that type. `NoDevice` if there is no such type, as mount says.
    pub fn make(&self, name: &[u8], source: &[u8], options: &[u8]) -> Result<Arc<Volume>, Error> {
        let constructor = core::str::from_utf8(name)
            .ok()
            .and_then(|name| self.types.lock().get(name).cloned())
            .ok_or(Error::NoDevice)?;
        constructor(source, options)
    }

    /// The names of all types, sorted.
    pub fn list(&self) -> Vec<String> {
        self.types.lock().keys().cloned().collect()
    }
}

impl Default for FileSystems {
    fn default() -> Self {
        FileSystems::new()
    }
}
