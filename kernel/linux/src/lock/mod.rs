//! Advisory locks: flock(2), and the record locks of fcntl(2).
//!
//! Locks are about a file, whoever opened it by whatever name; so they are found by the file's number in a table of
//! all files that somebody locks or waits for. A lock has an owner: an open file description (flock, `F_OFD_SETLK`)
//! or the descriptors of a process (`F_SETLK`). Both let go of everything when they end, so no lock outlives its owner.
//!
//! - [`record`]: who has which bytes of one file
//! - [`calls`]: the calls
//! - here: the table, waiting, and letting go

pub mod calls;
mod record;

use crate::errno::Errno;
use crate::extras::Extras;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;
use record::{Record, Records};
use task::WaitQueue;
use vfs::Description;

/// Who holds a lock: a number that is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(u64);

impl Owner {
    pub fn new() -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Owner(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Which file: its volume and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    volume: u64,
    inode: u64,
}

impl Key {
    pub fn of(file: &Description) -> Key {
        match file.inode() {
            Some(_) => {
                let metadata = file.metadata();
                Key {
                    volume: metadata.volume,
                    inode: metadata.inode,
                }
            }
            // Nothing that can be opened a second time: the description is the file.
            None => Key {
                volume: u64::MAX,
                inode: core::ptr::from_ref(file) as u64,
            },
        }
    }
}

/// The locks of one file.
struct Locks {
    state: Spin<State>,
    /// Woken when something may have become free.
    released: WaitQueue,
}

#[derive(Default)]
struct State {
    records: Records,
    /// Who holds the whole file by flock, and whether alone.
    holders: Vec<(Owner, bool)>,
}

static FILES: Spin<BTreeMap<Key, Arc<Locks>>> = Spin::new(BTreeMap::new());

/// Process-owned record locks that wait: who, for whom. Looked through for circles.
static WAITING: Spin<Vec<(Owner, Owner)>> = Spin::new(Vec::new());

/// The locks of a file for as long as a call needs them; the last user of a file without locks takes it out of the table.
struct File {
    key: Key,
    locks: Option<Arc<Locks>>,
}

impl File {
    fn find(key: Key) -> Option<File> {
        let locks = FILES.lock().get(&key)?.clone();
        Some(File {
            key,
            locks: Some(locks),
        })
    }

    /// # Errors
    /// `ENOLCK` when there is no room.
    fn enter(key: Key) -> Result<File, Errno> {
        if !machine::frame::heap_room() {
            return Err(Errno::ENOLCK);
        }
        let mut files = FILES.lock();
        let fresh = || {
            Arc::new(Locks {
                state: Spin::new(State::default()),
                released: WaitQueue::new(),
            })
        };
        let locks = files.entry(key).or_insert_with(fresh).clone();
        Ok(File {
            key,
            locks: Some(locks),
        })
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.locks
            .as_ref()
            .map(|locks| change(&mut locks.state.lock()))
    }

    fn wake(&self) {
        if let Some(locks) = &self.locks {
            locks.released.wake_all();
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let mut files = FILES.lock();
        let Some(locks) = self.locks.take() else {
            return;
        };
        // One reference here and one in the table: nobody else can come by while the table is locked.
        let idle = Arc::strong_count(&locks) == 2 && {
            let state = locks.state.lock();
            state.holders.is_empty() && state.records.is_empty()
        };
        let gone = if idle { files.remove(&self.key) } else { None };
        drop(files);
        drop(gone);
    }
}

/// What an open file description owns; it ends with the description.
pub struct Held {
    owner: Owner,
    key: Key,
}

impl Held {
    pub fn new(file: &Description) -> Held {
        Held {
            owner: Owner::new(),
            key: Key::of(file),
        }
    }

    /// The owner that a description is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    fn of(file: &Description) -> Result<Owner, Errno> {
        let extras = Extras::of(file).ok_or(Errno::EINVAL)?;
        Ok(extras.lock_owner(file))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        release(self.key, self.owner);
    }
}

/// Lets go of everything that an owner has of a file.
pub fn release(key: Key, owner: Owner) {
    let Some(file) = File::find(key) else { return };
    file.with(|state| {
        state.records.clear_owner(owner);
        state.holders.retain(|(holder, _)| *holder != owner);
    });
    file.wake();
}

impl State {
    /// Takes the whole file, or answers false.
    fn try_hold(&mut self, owner: Owner, alone: bool) -> bool {
        let hindered = self
            .holders
            .iter()
            .any(|&(other, exclusive)| other != owner && (alone || exclusive));
        if !hindered {
            self.holders.retain(|(holder, _)| *holder != owner);
            self.holders.push((owner, alone));
        }
        !hindered
    }

    /// Takes a record, or answers who hinders.
    fn try_record(&mut self, wanted: Record) -> Result<(), Owner> {
        match self.records.conflict(&wanted) {
            Some(other) => Err(other.owner),
            None => {
                self.records.set(wanted);
                Ok(())
            }
        }
    }
}

/// A process that waits for another; for as long as this lives.
struct Waiting {
    owner: Owner,
    edge: Option<Owner>,
}

impl Waiting {
    /// Notes for whom the owner waits now; false if that one waits, however far on, for this one.
    fn waits_for(&mut self, blocker: Owner) -> bool {
        let mut waiting = WAITING.lock();
        if self.edge == Some(blocker) {
            return true;
        }
        self.take_out(&mut waiting);
        let mut reached = alloc::vec![blocker];
        let mut at = 0;
        while let Some(&next) = reached.get(at) {
            if next == self.owner {
                return false;
            }
            for &(from, to) in waiting.iter() {
                if from == next && !reached.contains(&to) {
                    reached.push(to);
                }
            }
            at += 1;
        }
        waiting.push((self.owner, blocker));
        self.edge = Some(blocker);
        true
    }

    fn take_out(&mut self, waiting: &mut Vec<(Owner, Owner)>) {
        if let Some(edge) = self.edge.take()
            && let Some(at) = waiting.iter().position(|&pair| pair == (self.owner, edge))
        {
            waiting.swap_remove(at);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.edge.is_some() {
            self.take_out(&mut WAITING.lock());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_of_waiters_is_noticed() {
        let [a, b, c] = [Owner::new(), Owner::new(), Owner::new()];
        let waiting = |owner| Waiting { owner, edge: None };
        let (mut of_a, mut of_b, mut of_c) = (waiting(a), waiting(b), waiting(c));
        assert!(of_a.waits_for(b));
        assert!(of_b.waits_for(c));
        assert!(!of_c.waits_for(a));
        drop(of_b);
        assert!(of_c.waits_for(a));
        assert!(of_c.waits_for(b));
    }

    #[test]
    fn shared_holders_stand_together_and_one_alone() {
        let [a, b] = [Owner::new(), Owner::new()];
        let mut state = State::default();
        assert!(state.try_hold(a, false) && state.try_hold(b, false));
        assert!(!state.try_hold(a, true));
        state.holders.retain(|(holder, _)| *holder != b);
        assert!(state.try_hold(a, true) && !state.try_hold(b, false));
    }

    #[test]
    fn a_file_without_locks_is_forgotten() {
        let (key, owner) = (
            Key {
                volume: u64::MAX,
                inode: 7,
            },
            Owner::new(),
        );
        let file = File::enter(key).unwrap();
        assert_eq!(file.with(|state| state.try_hold(owner, true)), Some(true));
        drop(file);
        assert!(File::find(key).is_some());
        release(key, owner);
        assert!(File::find(key).is_none());
    }
}
