//! The dentry cache of a volume: which names are known, and which are known to be missing.
//!
//! The one idea: a hash table keyed by (directory, name) answers a step of a path with one probe and one reference count,
//! without a lock: buckets are small lists that are replaced as a whole ([`Rcu`]). The table is bounded: when a shard is
//! full, what nobody uses and nobody asked for since the last sweep leaves. What is in use is never forgotten, or there
//! would be two dentries for one name. So what shall leave is marked first; when all have finished who did not see the
//! mark, it is known whether it is in use, and who sees the mark asks again under the shard's lock.

use crate::dentry::Dentry;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::{AtomicBool, Ordering};
use foldhash::fast::FixedState;
use machine::sync::{Rcu, Spin, reading, wait_for_readers};

/// Names that one shard keeps before it sweeps, unless more are in use.
const SHARD_NAMES: usize = 1024;
const SHARDS: usize = 8;
/// Buckets of a shard at first; twice as many whenever there are two names for each.
const BUCKETS: usize = 4;

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
    referenced: AtomicBool,
    /// Perhaps about to leave; only while the shard is locked.
    leaving: AtomicBool,
}

impl Name {
    fn is(&self, hash: u64, directory: &Arc<Dentry>, name: &[u8]) -> bool {
        self.hash == hash && Arc::ptr_eq(&self.directory, directory) && *self.name == *name
    }

    /// Whether only the cache, and `others`, know it. Names below it count as users: they hold it as their directory.
    fn unused(&self, others: usize) -> bool {
        self.dentry
            .as_ref()
            .is_none_or(|dentry| Arc::strong_count(dentry) == 1 + others)
    }

    fn known(&self) -> Known {
        if !self.referenced.load(Ordering::Relaxed) {
            self.referenced.store(true, Ordering::Relaxed);
        }
        match &self.dentry {
            Some(dentry) => Known::Here(dentry.clone()),
            None => Known::Missing,
        }
    }
}

type Bucket = Rcu<Vec<Arc<Name>>>;

/// Where in so many buckets a name belongs.
#[inline]
fn place(hash: u64, buckets: &[Bucket]) -> usize {
    hash as usize & (buckets.len() - 1)
}

/// Replaces a bucket by one that was changed.
fn change<R>(bucket: &Bucket, act: impl FnOnce(&mut Vec<Arc<Name>>) -> R) -> R {
    let changed = bucket.change(|names| {
        let mut new = Vec::with_capacity(names.len() + 1);
        new.extend_from_slice(names);
        let result = act(&mut new);
        Ok::<_, Infallible>((new, result))
    });
    let Ok(result) = changed;
    result
}

struct Shard {
    /// A power of two of them.
    buckets: Rcu<Arc<[Bucket]>>,
    /// Held while anything changes.
    state: Spin<State>,
}

struct State {
    /// How many names there are.
    len: usize,
    /// The length at which the next sweep is due.
    full: usize,
}

/// The names of one volume.
pub(crate) struct Names {
    hasher: FixedState,
    shards: [Shard; SHARDS],
}

impl Names {
    pub fn new(seed: u64) -> Names {
        Names {
            hasher: FixedState::with_seed(seed),
            shards: core::array::from_fn(|_| Shard {
                buckets: Rcu::new((0..BUCKETS).map(|_| Bucket::default()).collect()),
                state: Spin::new(State {
                    len: 0,
                    full: SHARD_NAMES,
                }),
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
    fn shard(&self, hash: u64) -> &Shard {
        // The buckets inside use the low bits.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    /// What is known about a name.
    #[inline]
    pub fn get(&self, directory: &Arc<Dentry>, name: &[u8]) -> Known {
        let hash = self.hash(directory, name);
        let shard = self.shard(hash);
        let known = shard.find(hash, directory, name, |known| {
            (!known.leaving.load(Ordering::SeqCst)).then(|| known.known())
        });
        match known {
            Some(Some(known)) => known,
            Some(None) => shard.get_for_sure(hash, directory, name),
            None => Known::Unknown,
        }
    }

    /// Remembers that a name leads to `dentry`, or (`None`) that it is missing. The caller holds the directory's gate.
    pub fn set(&self, directory: &Arc<Dentry>, name: &Arc<[u8]>, dentry: Option<Arc<Dentry>>) {
        let hash = self.hash(directory, name);
        let new = Arc::new(Name {
            hash,
            directory: directory.clone(),
            name: name.clone(),
            dentry,
            referenced: AtomicBool::new(true),
            leaving: AtomicBool::new(false),
        });
        let shard = self.shard(hash);
        let mut state = shard.state.lock();
        let old = shard.replace(hash, directory, name, Some(new));
        let mut leaving = Vec::new();
        if old.is_none() {
            state.len += 1;
            if state.len > state.full {
                leaving = shard.sweep(&mut state);
            }
            shard.grow(&state);
        }
        drop(state);
        // Only now: the last reference to an inode may take its whole content with it.
        drop((old, leaving));
    }

    /// Forgets a name; returns the dentry it led to. The caller holds the directory's gate.
    pub fn remove(&self, directory: &Arc<Dentry>, name: &[u8]) -> Option<Arc<Dentry>> {
        let hash = self.hash(directory, name);
        let shard = self.shard(hash);
        let mut state = shard.state.lock();
        let known = shard.replace(hash, directory, name, None);
        state.len -= usize::from(known.is_some());
        drop(state);
        known.and_then(|known| known.dentry.clone())
    }

    /// Forgets what is missing in a directory that was removed, so that the memory of the directory can go.
    pub fn forget_below(&self, directory: &Arc<Dentry>) {
        for shard in &self.shards {
            let mut state = shard.state.lock();
            let leaving =
                shard.extract(&mut state, |known| Arc::ptr_eq(&known.directory, directory));
            drop(state);
            drop(leaving);
        }
    }

    /// Forgets everything that nobody uses. Returns how many names are left.
    pub fn shrink(&self) -> usize {
        for shard in &self.shards {
            let leaving = {
                let mut state = shard.state.lock();
                shard.extract_unused(&mut state, |_| true)
            };
            for name in leaving {
                let directory = name.directory.clone();
                drop(name);
                self.forget_upwards(directory);
            }
        }
        let mut left = 0;
        for shard in &self.shards {
            let mut state = shard.state.lock();
            shard.resize((state.len / 2).next_power_of_two().max(BUCKETS));
            state.full = SHARD_NAMES.max(state.len);
            left += state.len;
        }
        left
    }

    /// Forgets a directory whose last name in the cache went, if nobody uses it; then the one above, and so on.
    fn forget_upwards(&self, mut directory: Arc<Dentry>) {
        while let Some(above) = directory.parent() {
            let name = directory.name();
            let hash = self.hash(&above, &name);
            let shard = self.shard(hash);
            let mut state = shard.state.lock();
            // One reference is ours.
            let known = shard.find(hash, &above, &name, |known| known.clone());
            let Some(known) =
                known.filter(|known| shard.may_leave(core::slice::from_ref(known), 1) == 1)
            else {
                return;
            };
            let forgotten = shard.replace(hash, &above, &name, None);
            state.len -= usize::from(forgotten.is_some());
            drop(state);
            drop((known, forgotten));
            directory = above;
        }
    }

    /// Forgets everything, used or not.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut state = shard.state.lock();
            let leaving = shard.extract(&mut state, |_| true);
            drop(state);
            drop(leaving);
        }
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.state.lock().len).sum()
    }
}

/// What changes anything is called with the state locked.
impl Shard {
    /// What `look` makes of a name, if it is known.
    #[inline]
    fn find<R>(
        &self,
        hash: u64,
        directory: &Arc<Dentry>,
        name: &[u8],
        look: impl FnOnce(&Arc<Name>) -> R,
    ) -> Option<R> {
        reading(|reading| {
            let buckets = self.buckets.get(reading);
            let bucket = buckets[place(hash, buckets)].get(reading);
            let known = bucket.iter().find(|known| known.is(hash, directory, name));
            known.map(look)
        })
    }

    /// Waits for whoever wants to know whether the name may leave.
    #[cold]
    fn get_for_sure(&self, hash: u64, directory: &Arc<Dentry>, name: &[u8]) -> Known {
        let _state = self.state.lock();
        let known = self.find(hash, directory, name, |known| known.known());
        known.unwrap_or(Known::Unknown)
    }

    /// Puts a name in place of what was known about it; what that was.
    fn replace(
        &self,
        hash: u64,
        directory: &Arc<Dentry>,
        name: &[u8],
        new: Option<Arc<Name>>,
    ) -> Option<Arc<Name>> {
        let buckets = self.buckets.read(Arc::clone);
        change(&buckets[place(hash, &buckets)], |bucket| {
            let at = bucket
                .iter()
                .position(|known| known.is(hash, directory, name));
            let old = at.map(|at| bucket.swap_remove(at));
            bucket.extend(new);
            old
        })
    }

    /// Takes names out.
    fn extract(&self, state: &mut State, leaves: impl Fn(&Name) -> bool) -> Vec<Arc<Name>> {
        let buckets = self.buckets.read(Arc::clone);
        let mut leaving = Vec::new();
        for bucket in buckets.iter() {
            if bucket.read(|names| names.iter().any(|known| leaves(known))) {
                change(bucket, |names| {
                    leaving.extend(names.extract_if(.., |known| leaves(known)));
                });
            }
        }
        state.len -= leaving.len();
        leaving
    }

    /// Takes out those that nobody uses, of those for which `chosen` holds.
    fn extract_unused(&self, state: &mut State, chosen: impl Fn(&Name) -> bool) -> Vec<Arc<Name>> {
        let buckets = self.buckets.read(Arc::clone);
        let mut candidates = Vec::new();
        for bucket in buckets.iter() {
            bucket.read(|names| {
                let some = names
                    .iter()
                    .filter(|known| chosen(known) && known.unused(0));
                candidates.extend(some.cloned());
            });
        }
        match self.may_leave(&candidates, 0) {
            0 => Vec::new(),
            _ => self.extract(state, |known| known.leaving.load(Ordering::Relaxed)),
        }
    }

    /// Finds out which of these names nobody uses but the cache and `others`: they stay marked. How many that are.
    fn may_leave(&self, names: &[Arc<Name>], others: usize) -> usize {
        let mark = |known: &Name, leaving| known.leaving.store(leaving, Ordering::SeqCst);
        names.iter().for_each(|known| mark(known, true));
        // Afterwards everybody has their reference who has not seen the mark.
        let sure = wait_for_readers();
        let used = names.iter().filter(|known| !sure || !known.unused(others));
        let used = used.inspect(|known| mark(known, false)).count();
        names.len() - used
    }

    /// Takes out what nobody uses and nobody asked for since the last time. If too much is in use, the next sweep is
    /// put off by a quarter, so that sweeping costs a constant per name.
    fn sweep(&self, state: &mut State) -> Vec<Arc<Name>> {
        let leaving = self.extract_unused(state, |known| {
            !known.referenced.swap(false, Ordering::Relaxed)
        });
        state.full = SHARD_NAMES.max(state.len + state.len / 4);
        leaving
    }

    /// Makes more buckets if there are too many names for them.
    fn grow(&self, state: &State) {
        let count = self.buckets.read(|buckets| buckets.len());
        if state.len > 2 * count {
            self.resize(2 * count);
        }
    }

    /// Makes so many buckets, a power of two.
    fn resize(&self, count: usize) {
        let old = self.buckets.read(Arc::clone);
        if old.len() == count {
            return;
        }
        let mut lists = alloc::vec![Vec::new(); count];
        for bucket in old.iter() {
            bucket.read(|names| {
                for known in names {
                    lists[known.hash as usize & (count - 1)].push(known.clone());
                }
            });
        }
        let new: Arc<[Bucket]> = lists.into_iter().map(Bucket::new).collect();
        let Ok(()) = self.buckets.change(|_| Ok::<_, Infallible>((new, ())));
    }
}
