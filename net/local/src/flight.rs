//! Open files that wait in sockets.
//!
//! The one idea: a socket that waits in a socket may be the only way to that socket; then nobody can ever receive it,
//! and counting references alone would keep both for ever. So all sockets in flight are known here, and how often each
//! is in flight. One whose references are all from flight is reachable only if one of its carriers is; those that are not
//! in flight, or have other references, are. What no reachable socket leads to is emptied. The table's lock is held whenever a file enters or leaves a queue, so a count is never half done.
//!
//! Lock order: this table, then a listening socket, then any other socket.

use crate::ancillary::{Files, Sent};
use crate::socket::Socket;
use abi::{Error, Rights};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use machine::sync::{Spin, SpinGuard};
use object::Tenure;
use vfs::Description;

/// Files of all kinds that may be in flight at a time.
pub const FILES_MAX: usize = 1 << 16;
/// Sockets in flight before senders look for unreachable ones.
const SOCKETS_FEW: usize = 64;

struct Table {
    files: usize,
    sockets: BTreeMap<usize, Entry>,
    /// Sockets in flight that make the next sender look for unreachable ones.
    due: usize,
    /// Sockets closed since somebody looked.
    closed: usize,
}

struct Entry {
    /// How often it is in flight.
    count: usize,
    description: Weak<Description>,
    /// In a sweep: of those times, how often in a socket that somebody holds.
    outside: usize,
}

static TABLE: Spin<Table> = Spin::new(Table {
    files: 0,
    sockets: BTreeMap::new(),
    due: SOCKETS_FEW,
    closed: 0,
});
/// Sockets in flight, to be looked at without the lock.
static SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// Leave to move files in and out of queues.
pub struct Flight(SpinGuard<'static, Table>);

/// Waits for leave. Taken before the lock of any socket.
pub fn enter() -> Flight {
    Flight(TABLE.lock())
}

/// Files in flight now, of all sockets together.
pub fn files() -> usize {
    TABLE.lock().files
}

fn key(file: &Arc<Description>) -> usize {
    Arc::as_ptr(file) as usize
}

impl Flight {
    /// Counts files in that enter a queue.
    ///
    /// # Errors
    /// `Limit` if too many are in flight.
    pub fn depart(&mut self, files: &Files) -> Result<(), Error> {
        if self.0.files + files.len() > FILES_MAX {
            return Err(Error::Limit);
        }
        self.0.files += files.len();
        for Sent { file, .. } in files {
            if file.file_as::<Socket>().is_some() {
                let entry = self.0.sockets.entry(key(file)).or_insert_with(|| Entry {
                    count: 0,
                    description: Arc::downgrade(file),
                    outside: 0,
                });
                entry.count += 1;
            }
        }
        SOCKETS.store(self.0.sockets.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Counts files out that left a queue.
    pub fn arrive(&mut self, files: &Files) {
        self.0.files = self.0.files.saturating_sub(files.len());
        for sent in files {
            let key = key(&sent.file);
            if let Some(entry) = self.0.sockets.get_mut(&key) {
                entry.count -= 1;
                if entry.count == 0 {
                    self.0.sockets.remove(&key);
                }
            }
        }
        SOCKETS.store(self.0.sockets.len(), Ordering::Relaxed);
    }

    /// Takes the files out of all sockets that nobody can reach.
    fn sweep(&mut self) -> Files {
        let table = &mut *self.0;
        let sockets = &mut table.sockets;
        // Those that nobody holds; each carrier among them is none that makes reachable.
        let mut lost = BTreeMap::new();
        for (&key, entry) in sockets.iter_mut() {
            entry.outside = entry.count;
            if entry.description.strong_count() <= entry.count
                && let Some(description) = entry.description.upgrade()
            {
                lost.insert(key, description);
            }
        }
        for carrier in lost.values() {
            visit(carrier, &mut |file| {
                if let Some(entry) = sockets.get_mut(&key(file)) {
                    entry.outside = entry.outside.saturating_sub(1);
                }
            });
        }
        let held = |key: &usize| sockets.get(key).is_some_and(|entry| entry.outside > 0);
        let mut reached: Vec<_> = lost.extract_if(.., |key, _| held(key)).collect();
        while let Some((_, carrier)) = reached.pop() {
            visit(&carrier, &mut |file| {
                reached.extend(lost.remove_entry(&key(file)));
            });
        }
        let mut files = Files::new();
        for description in lost.values() {
            if let Some(socket) = description.file_as::<Socket>() {
                socket.strip(&mut files);
            }
        }
        self.arrive(&files);
        let left = self.0.sockets.len();
        (self.0.due, self.0.closed) = (SOCKETS_FEW + 2 * left, 0);
        files.extend(lost.into_values().map(|file| Sent {
            file,
            rights: Rights::empty(),
            tenure: Tenure::FOREVER,
        }));
        files
    }
}

/// Shows what can be received from a socket.
fn visit(carrier: &Description, visit: &mut dyn FnMut(&Arc<Description>)) {
    if let Some(socket) = carrier.file_as::<Socket>() {
        socket.visit_files(visit);
    }
}

/// Called before sockets are sent.
pub fn before_sending() {
    if SOCKETS.load(Ordering::Relaxed) < SOCKETS_FEW {
        return;
    }
    let mut flight = enter();
    if flight.0.sockets.len() >= flight.0.due {
        let files = flight.sweep();
        drop(flight);
        bury(files);
    }
}

/// Called after a socket was closed.
pub fn after_closing() {
    if SOCKETS.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut flight = enter();
    flight.0.closed += 1;
    if flight.0.closed * 4 >= flight.0.sockets.len() {
        let files = flight.sweep();
        drop(flight);
        bury(files);
    }
}

struct Grave {
    files: Files,
    busy: bool,
}

static GRAVE: Spin<Grave> = Spin::new(Grave {
    files: Files::new(),
    busy: false,
});

/// Lets go of files that nobody received. One after another and never one inside the other: a socket in a socket in a
/// socket must not need a stack as deep.
pub fn bury(mut files: Files) {
    if files.is_empty() {
        return;
    }
    let mut grave = GRAVE.lock();
    grave.files.append(&mut files);
    if grave.busy {
        return;
    }
    grave.busy = true;
    while let Some(file) = grave.files.pop() {
        drop(grave);
        drop(file);
        grave = GRAVE.lock();
    }
    grave.busy = false;
    grave.files = Files::new();
}
