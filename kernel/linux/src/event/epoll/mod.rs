//! epoll(7): a set of files, each with what is wanted of it, and one wait for all.
//!
//! The one idea: a file that becomes ready puts its entry at the end of a line, and a wait looks only at the line. So a
//! wait costs as much as there is to report, however many files are in the set.
//!
//! What stands in the line was told to be ready; whether it still is, a wait finds out by looking. An entry that is
//! reported as long as it is true goes to the end of the line again; an edge-triggered one comes back when its file says
//! so.
//!
//! Order of locks: files tell their readiness under their own locks, so nothing here looks at a file while it holds the
//! lock of a set; and the set that is told may tell the sets that contain it, which [`nest`] keeps from being circular.

pub mod calls;
mod list;
mod nest;

use crate::errno::Errno;
use crate::extras::Extras;
use crate::poll;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Write;
use list::List;
use machine::sync::Spin;
use nest::Nest;
use object::{Sink, Source};
use task::{Observer, ObserverGuard, Readiness, Ready, WaitError};
use vfs::{Description, File};

/// What is wanted of a file beyond the bits of poll(2).
const EPOLLEXCLUSIVE: u32 = 1 << 28;
const EPOLLONESHOT: u32 = 1 << 30;
const EPOLLET: u32 = 1 << 31;

/// The open file that a program has of a set.
pub struct Epoll(Arc<Set>);

/// A set of files.
pub struct Set {
    /// `READ` while the line is not empty.
    readiness: Readiness,
    entries: Spin<Entries>,
    nest: Nest,
}

struct Entries {
    list: List<Entry>,
    by_key: BTreeMap<Key, usize>,
    /// Given to the entries in turn, so that a number that was used before is not taken for the old one.
    born: u64,
}

/// A file is in a set once for each descriptor that it was added by.
pub type Key = (u32, usize);

struct Entry {
    /// Not the file itself: closing its last descriptor takes it out of the set.
    file: Weak<Description>,
    birth: u64,
    events: u32,
    data: u64,
    /// Reported once and not wanted any more (`EPOLLONESHOT`).
    spent: bool,
    watch: Option<ObserverGuard>,
}

/// What tells the set that a file may be ready.
struct Watch {
    set: Weak<Set>,
    at: usize,
    birth: u64,
}

impl Observer for Watch {
    fn ready(&self, _: Ready) {
        if let Some(set) = self.set.upgrade() {
            set.mark(self.at, self.birth);
        }
    }
}

/// One file to report.
struct Found {
    at: usize,
    birth: u64,
    events: u32,
    data: u64,
}

fn key(descriptor: u32, file: &Description) -> Key {
    (descriptor, core::ptr::from_ref(file).addr())
}

/// The bits that poll(2) has as well.
fn wanted(events: u32) -> u16 {
    events as u16
}

impl Epoll {
    fn new() -> Epoll {
        Epoll(Arc::new(Set {
            readiness: Readiness::new(Ready::empty()),
            entries: Spin::new(Entries {
                list: List::new(),
                by_key: BTreeMap::new(),
                born: 0,
            }),
            nest: Nest::new(),
        }))
    }

    /// A line for each file in the set.
    pub fn describe(&self) -> String {
        let mut files = Vec::new();
        {
            let mut entries = self.0.entries.lock();
            let Entries { list, by_key, .. } = &mut *entries;
            if files.try_reserve(by_key.len()).is_err() {
                return String::new();
            }
            for (&(descriptor, _), &at) in by_key.iter() {
                if let Some(entry) = list.get(at) {
                    files.push((descriptor, entry.file.clone(), entry.events, entry.data));
                }
            }
        }
        let mut text = String::new();
        // What a file says is asked without the lock of the set.
        for (descriptor, file, events, data) in files {
            if let Some(file) = file.upgrade() {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "tfd: {descriptor:8} events: {events:8x} data: {data:16x}  pos:{} ino:{:x} sdev:{:x}",
                    file.position(),
                    file.metadata().inode,
                    file.place()
                        .map_or(0, |place| place.mount().volume().number()),
                );
            }
        }
        text
    }

    /// Takes those out of the line that are not ready any more.
    pub fn refresh(&self) {
        let set = &self.0;
        if !set.readiness.get().contains(Ready::READ) {
            return;
        }
        let line = set.entries.lock().list.waiting();
        for (next, file) in (0..line).map_while(|_| set.next()) {
            let file = file.upgrade();
            if file.is_some_and(|file| poll::state(&file, wanted(next.events)) != 0) {
                set.rejoin(next.at, next.birth);
            }
        }
        set.settle();
    }
}

impl Set {
    /// # Errors
    /// `EPERM` when the file is always ready, `EEXIST`, `ELOOP`, `ENOMEM`.
    fn add(
        self: &Arc<Set>,
        descriptor: u32,
        file: &Arc<Description>,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let readiness = file.readiness().ok_or(Errno::EPERM)?;
        if !machine::frame::heap_room() {
            return Err(Errno::ENOMEM);
        }
        let extras = Extras::of(file).ok_or(Errno::EPERM)?;
        let key = key(descriptor, file);
        let (at, birth) = self.insert(key, file, events, data)?;
        let undo = |errno| {
            self.remove(key);
            errno
        };
        if let Some(inner) = file.file_as::<Epoll>() {
            nest::put(self, &inner.0).map_err(undo)?;
        }
        let watch = Arc::new(Watch {
            set: Arc::downgrade(self),
            at,
            birth,
        });
        let watch = readiness
            .observe(poll::interest(wanted(events)), watch)
            .map_err(|error| undo(error.into()))?;
        extras.watched_by(Arc::downgrade(self), key);
        self.with(at, birth, |entry| entry.watch = Some(watch));
        // It may be ready already.
        self.mark(at, birth);
        Ok(())
    }

    fn insert(
        &self,
        key: Key,
        file: &Arc<Description>,
        events: u32,
        data: u64,
    ) -> Result<(usize, u64), Errno> {
        let mut entries = self.entries.lock();
        if entries.by_key.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        entries.born += 1;
        let birth = entries.born;
        let entry = Entry {
            file: Arc::downgrade(file),
            birth,
            events,
            data,
            spent: false,
            watch: None,
        };
        let at = entries.list.insert(entry).map_err(|_| Errno::ENOMEM)?;
        entries.by_key.insert(key, at);
        Ok((at, birth))
    }

    /// # Errors
    /// `ENOENT`; `EINVAL` for an entry that is `EPOLLEXCLUSIVE`.
    fn modify(&self, key: Key, events: u32, data: u64) -> Result<(), Errno> {
        let mut entries = self.entries.lock();
        let at = *entries.by_key.get(&key).ok_or(Errno::ENOENT)?;
        let entry = entries.list.get(at).ok_or(Errno::ENOENT)?;
        if entry.events & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        (entry.events, entry.data, entry.spent) = (events, data, false);
        if let Some(watch) = &entry.watch {
            watch.set_interest(poll::interest(wanted(events)));
        }
        let birth = entry.birth;
        drop(entries);
        self.mark(at, birth);
        Ok(())
    }

    /// Takes a file out; whether it was there.
    pub fn remove(&self, key: Key) -> bool {
        let mut entries = self.entries.lock();
        let gone = entries
            .by_key
            .remove(&key)
            .and_then(|at| entries.list.remove(at));
        drop(entries);
        // Without the lock: this lets go of the file's list of observers.
        gone.is_some()
    }

    /// Calls `change` with the entry, if it is still the one that was born then.
    fn with<R>(&self, at: usize, birth: u64, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let mut entries = self.entries.lock();
        let entry = entries.list.get(at)?;
        (entry.birth == birth).then(|| change(entry))
    }

    /// Puts an entry at the end of the line, and tells whoever waits for the set.
    fn mark(&self, at: usize, birth: u64) {
        self.join(at, birth, true);
    }

    fn join(&self, at: usize, birth: u64, tell: bool) {
        let mut entries = self.entries.lock();
        let is_wanted = entries
            .list
            .get(at)
            .is_some_and(|entry| entry.birth == birth && !entry.spent);
        if is_wanted {
            entries.list.join(at);
            // Under the lock, where `settle` clears it.
            if tell || !self.readiness.get().contains(Ready::READ) {
                self.readiness.set(Ready::READ);
            }
        }
    }

    /// Up to `most` files that are ready, each looked at once.
    fn collect(&self, most: usize) -> Vec<Found> {
        let mut found = Vec::new();
        let line = self.entries.lock().list.waiting();
        for _ in 0..line {
            if found.len() >= most || found.try_reserve(1).is_err() {
                break;
            }
            match self.next() {
                Some(next) => found.extend(self.look(next)),
                None => break,
            }
        }
        self.settle();
        found
    }

    /// The first of the line, which leaves it. [`Set::settle`] must follow.
    fn next(&self) -> Option<(Found, Weak<Description>)> {
        let mut entries = self.entries.lock();
        let (at, entry) = entries.list.next()?;
        let found = Found {
            at,
            birth: entry.birth,
            events: entry.events,
            data: entry.data,
        };
        Some((found, entry.file.clone()))
    }

    /// What is to be reported of an entry that has left the line, which it joins again if it is to be reported as long
    /// as it is true.
    fn look(&self, (next, file): (Found, Weak<Description>)) -> Option<Found> {
        let file = file.upgrade()?;
        let ready = u32::from(poll::state(&file, wanted(next.events)));
        // It may have been changed, or taken out, since it was looked at.
        let again = self.with(next.at, next.birth, |entry| {
            let same = (entry.events, entry.data) == (next.events, next.data);
            if entry.spent || !same || ready == 0 {
                return None;
            }
            entry.spent = next.events & EPOLLONESHOT != 0;
            Some(next.events & (EPOLLONESHOT | EPOLLET) == 0)
        })??;
        if again {
            self.rejoin(next.at, next.birth);
        }
        Some(Found {
            events: ready,
            ..next
        })
    }

    /// Puts an entry at the end of the line that was taken out to be looked at. Nobody is told, unless the line was
    /// found empty meanwhile.
    fn rejoin(&self, at: usize, birth: u64) {
        self.join(at, birth, false);
    }

    /// The set is ready as long as somebody stands in the line.
    fn settle(&self) {
        let entries = self.entries.lock();
        if entries.list.waiting() == 0 {
            self.readiness.clear(Ready::READ);
        }
    }

    /// They could not be reported: as if they had not been looked at.
    fn put_back(&self, found: &[Found]) {
        for found in found {
            self.with(found.at, found.birth, |entry| entry.spent = false);
            self.mark(found.at, found.birth);
        }
    }

    /// Up to `most` files that are ready; waits until there is one. `until` in nanoseconds since boot, 0: not at all.
    async fn wait(&self, most: usize, until: Option<u64>) -> Result<Vec<Found>, Errno> {
        loop {
            let found = self.collect(most);
            if !found.is_empty() || until == Some(0) {
                return Ok(found);
            }
            match self.readiness.wait(Ready::READ, until).await {
                Ok(_) => {}
                Err(WaitError::TimedOut) => return Ok(Vec::new()),
                Err(_) => return Err(Errno::EINTR),
            }
            // With many files that are told to be ready and are not, others have their turn.
            crate::io::rest().await;
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        for entry in self.entries.get_mut().list.drain() {
            if let Some(file) = entry.file.upgrade()
                && let Some(extras) = Extras::of(&file)
            {
                extras.forget_ended();
            }
        }
    }
}

impl File for Epoll {
    fn try_read(&self, _: u64, _: &mut dyn Sink) -> Result<usize, Error> {
        Err(Error::Invalid)
    }

    fn try_write(&self, _: u64, _: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        Err(Error::Invalid)
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.readiness)
    }

    fn title(&self) -> String {
        String::from("anon_inode:[eventpoll]")
    }
}
