//! The dentry cache of a volume: which names are known, and which are known to be missing.
//!
//! The one idea: a hash table keyed by (directory, name) answers a step of a path with one lock, one probe and one
//! reference count. The table is bounded: when a shard is full, what nobody uses and nobody asked for since the last
//! sweep leaves. What is in use is never forgotten, or there would be two dentries for one name.

use crate::dentry::Dentry;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use machine::sync::Spin;

/// Names that one shard keeps before it sweeps, unless more are in use.
const SHARD_NAMES: usize = 1024;
const SHARDS: usize = 8;

/// What the cache knows about a name.
pub(crate) enum Known {
    /// It leads here.
    Here(Arc<Dentry>),
    /// There is no such name.
    Missing,
    /// Ask the directory.
    Unknown,
}

struct Name {
    hash: u64,
    directory: Arc<Dentry>,
    name: Arc<[u8]>,
    /// `None`: known to be missing.
    dentry: Option<Arc<Dentry>>,
    /// Asked for since the last sweep.
    referenced: bool,
}

impl Name {
    fn is(&self, hash: u64, directory: &Arc<Dentry>, name: &[u8]) -> bool {
        self.hash == hash && Arc::ptr_eq(&self.directory, directory) && *self.name == *name
    }

    /// Whether only the cache knows it. Names below it count as users: they hold it as their directory.
    fn unused(&self) -> bool {
        self.dentry
            .as_ref()
            .is_none_or(|dentry| Arc::strong_count(dentry) == 1)
    }
}

struct Shard {
    names: HashTable<Name>,
    /// The length at which the next sweep is due.
    full: usize,
}

/// The names of one volume.
pub(crate) struct Names {
    hasher: FixedState,
    shards: [Spin<Shard>; SHARDS],
}

impl Names {
    pub fn new(seed: u64) -> Names {
        Names {
            hasher: FixedState::with_seed(seed),
            shards: core::array::from_fn(|_| {
                Spin::new(Shard {
                    names: HashTable::new(),
                    full: SHARD_NAMES,
                })
            }),
        }
    }

    #[inline]
    fn hash(&self, directory: &Arc<Dentry>, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(Arc::as_ptr(directory).addr());
        hasher.write(name);
        hasher.finish()
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Spin<Shard> {
        // The table inside uses the low and the topmost bits.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    /// What is known about a name.
    #[inline]
    pub fn get(&self, directory: &Arc<Dentry>, name: &[u8]) -> Known {
        let hash = self.hash(directory, name);
        let mut shard = self.shard(hash).lock();
        match shard
            .names
            .find_mut(hash, |known| known.is(hash, directory, name))
        {
            Some(known) => {
                known.referenced = true;
                match &known.dentry {
                    Some(dentry) => Known::Here(dentry.clone()),
                    None => Known::Missing,
                }
            }
            None => Known::Unknown,
        }
    }

    /// Remembers that a name leads to `dentry`, or (`None`) that it is missing. The caller holds the directory's gate.
    pub fn set(&self, directory: &Arc<Dentry>, name: &Arc<[u8]>, dentry: Option<Arc<Dentry>>) {
        let hash = self.hash(directory, name);
        let mut shard = self.shard(hash).lock();
        let old = match shard.names.entry(
            hash,
            |known| known.is(hash, directory, name),
            |known| known.hash,
        ) {
            Entry::Occupied(mut known) => core::mem::replace(&mut known.get_mut().dentry, dentry),
            Entry::Vacant(space) => {
                space.insert(Name {
                    hash,
                    directory: directory.clone(),
                    name: name.clone(),
                    dentry,
                    referenced: true,
                });
                None
            }
        };
        let leaving = if shard.names.len() > shard.full {
            shard.sweep()
        } else {
            Vec::new()
        };
        drop(shard);
        // Only now: the last reference to an inode may take its whole content with it.
        drop((old, leaving));
    }

    /// Forgets a name; returns the dentry it led to. The caller holds the directory's gate.
    pub fn remove(&self, directory: &Arc<Dentry>, name: &[u8]) -> Option<Arc<Dentry>> {
        let hash = self.hash(directory, name);
        let mut shard = self.shard(hash).lock();
        let known = shard
            .names
            .find_entry(hash, |known| known.is(hash, directory, name))
            .ok()
            .map(|known| known.remove().0);
        drop(shard);
        known.and_then(|known| known.dentry)
    }

    /// Forgets what is missing in a directory that was removed, so that the memory of the directory can go.
    pub fn forget_below(&self, directory: &Arc<Dentry>) {
        for shard in &self.shards {
            let leaving: Vec<Name> = shard
                .lock()
                .names
                .extract_if(|known| Arc::ptr_eq(&known.directory, directory))
                .collect();
            drop(leaving);
        }
    }

    /// Forgets everything that nobody uses. Returns how many names are left.
    pub fn shrink(&self) -> usize {
        for shard in &self.shards {
            let leaving: Vec<Name> = {
                let mut shard = shard.lock();
                shard.names.extract_if(|known| known.unused()).collect()
            };
            for name in leaving {
                let directory = name.directory.clone();
                drop(name);
                self.forget_upwards(directory);
            }
        }
        let mut left = 0;
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.names.shrink_to_fit(|known| known.hash);
            shard.full = SHARD_NAMES.max(shard.names.len());
            left += shard.names.len();
        }
        left
    }

    /// Forgets a directory whose last name in the cache went, if nobody uses it; then the one above, and so on.
    fn forget_upwards(&self, mut directory: Arc<Dentry>) {
        while let Some(above) = directory.parent() {
            let name = directory.name();
            let hash = self.hash(&above, &name);
            let mut shard = self.shard(hash).lock();
            let found = shard
                .names
                .find_entry(hash, |known| known.is(hash, &above, &name));
            let forgotten = match found {
                // One reference is the cache's, one is ours.
                Ok(known) if Arc::strong_count(&directory) == 2 => Some(known.remove().0),
                _ => None,
            };
            drop(shard);
            if forgotten.is_none() {
                return;
            }
            drop(forgotten);
            directory = above;
        }
    }

    /// Forgets everything, used or not.
    pub fn clear(&self) {
        for shard in &self.shards {
            let leaving = core::mem::take(&mut shard.lock().names);
            drop(leaving);
        }
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().names.len())
            .sum()
    }
}

impl Shard {
    /// Takes out what nobody uses and nobody asked for since the last time. If too much is in use, the next sweep is
    /// put off by a quarter, so that sweeping costs a constant per name.
    fn sweep(&mut self) -> Vec<Name> {
        let leaving = self
            .names
            .extract_if(|known| !core::mem::take(&mut known.referenced) && known.unused())
            .collect();
        self.full = SHARD_NAMES.max(self.names.len() + self.names.len() / 4);
        leaving
    }
}
