//! File descriptors: the Linux view of the handle table.
//!
//! A descriptor is an index into this view, and the view holds the number of a handle; the object and its rights
//! are in the process's one handle table. So a descriptor can do nothing that its handle does not allow.

use crate::errno::Errno;
use crate::lock::{self, Key, Owner};
use abi::Rights;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use machine::sync::{Spin, SpinGuard};
use object::{Handle, Number, Table, Tenure};
use vfs::Description;

/// The most descriptors that a process can ever be allowed (`RLIMIT_NOFILE`'s ceiling).
pub const CEILING: usize = 1 << 16;
/// The limit that a process starts with.
pub const DEFAULT_LIMIT: usize = 1024;

/// An open file while a call is about it, and how long it may be used.
#[derive(Clone)]
pub struct Held {
    file: Arc<Description>,
    tenure: Tenure,
}

impl Held {
    /// How long it may be used.
    #[inline]
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }
}

impl Deref for Held {
    type Target = Arc<Description>;

    #[inline]
    fn deref(&self) -> &Arc<Description> {
        &self.file
    }
}

#[derive(Clone, Copy)]
struct Slot {
    handle: Number,
    close_on_exec: bool,
}

#[derive(Default)]
struct View {
    slots: Vec<Option<Slot>>,
    /// No free slot lies below this index.
    lowest_free: usize,
}

/// The descriptors of a process, or of several that share them (`CLONE_FILES`).
pub struct Descriptors {
    table: Arc<Table>,
    view: Spin<View>,
    limit: AtomicUsize,
    /// The files of which record locks were taken through these descriptors; and whether there is any.
    locked: Spin<BTreeSet<Key>>,
    has_locked: AtomicBool,
    lock_owner: Owner,
}

impl Descriptors {
    pub fn new(table: Arc<Table>) -> Descriptors {
        Descriptors::with_view(table, View::default(), DEFAULT_LIMIT)
    }

    fn with_view(table: Arc<Table>, view: View, limit: usize) -> Descriptors {
        Descriptors {
            table,
            view: Spin::new(view),
            limit: AtomicUsize::new(limit),
            locked: Spin::new(BTreeSet::new()),
            has_locked: AtomicBool::new(false),
            lock_owner: Owner::new(),
        }
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The soft `RLIMIT_NOFILE`.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit.min(CEILING), Ordering::Relaxed);
    }

    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// The open file behind a descriptor, if its handle carries these rights.
    pub fn get(&self, descriptor: u32, rights: Rights) -> Result<Held, Errno> {
        let number = self.slot(descriptor)?.handle;
        let share = |handle: &Handle| {
            handle.check(rights)?;
            let file = handle.downcast::<Description>().ok_or(Errno::EBADF)?;
            let tenure = handle.tenure().clone();
            Ok(Held { file, tenure })
        };
        // One reference is counted, under the lock that keeps the handle where it is.
        self.table.with(number, share).unwrap_or(Err(Errno::EBADF))
    }

    /// Locks the tables for a few looks that count no references. They must be short, and lock nothing that is held by
    /// whoever opens and closes.
    pub fn look(&self) -> Look<'_> {
        Look {
            view: self.view.lock(),
            table: self.table.look(),
        }
    }

    /// The handle number behind a descriptor.
    pub fn handle(&self, descriptor: u32) -> Result<Number, Errno> {
        Ok(self.slot(descriptor)?.handle)
    }

    fn slot(&self, descriptor: u32) -> Result<Slot, Errno> {
        let view = self.view.lock();
        view.slots
            .get(descriptor as usize)
            .copied()
            .flatten()
            .ok_or(Errno::EBADF)
    }

    /// Opens the lowest free descriptor at or above `from`.
    ///
    /// # Errors
    /// `EMFILE` at the limit.
    pub fn insert(
        &self,
        file: Arc<Description>,
        close_on_exec: bool,
        from: usize,
    ) -> Result<usize, Errno> {
        // What lies in something lent is lent.
        let tenure = file
            .location()
            .map_or(Tenure::FOREVER, |place| place.mount().tenure().clone());
        let handle = Handle::new(file, Rights::all()).under(&tenure)?;
        self.insert_handle(handle, close_on_exec, from)
    }

    /// As [`Descriptors::insert`], for a handle that may carry fewer rights.
    pub fn insert_handle(
        &self,
        handle: Handle,
        close_on_exec: bool,
        from: usize,
    ) -> Result<usize, Errno> {
        let mut view = self.view.lock();
        let start = from.max(view.lowest_free);
        let free = view.slots.iter().skip(start).position(Option::is_none);
        let at = free.map_or_else(|| view.slots.len().max(start), |free| start + free);
        if at >= self.limit.load(Ordering::Relaxed) {
            return Err(Errno::EMFILE);
        }
        let number = self.table.insert(handle).map_err(Errno::from)?;
        view.put(
            at,
            Slot {
                handle: number,
                close_on_exec,
            },
        );
        if start == view.lowest_free {
            view.lowest_free = at + 1;
        }
        Ok(at)
    }

    /// Gives a handle this very number; for a process that has not begun.
    pub fn place(&self, at: usize, handle: Handle) -> Result<(), Errno> {
        let number = self.table.insert(handle).map_err(Errno::from)?;
        let before = self.view.lock().put(
            at,
            Slot {
                handle: number,
                close_on_exec: false,
            },
        );
        if let Some(before) = before {
            self.closed(before.handle);
        }
        Ok(())
    }

    /// Makes `to` name what `from` names (dup2, dup3); closes what `to` named.
    pub fn duplicate(&self, from: u32, to: u32, close_on_exec: bool) -> Result<usize, Errno> {
        let at = to as usize;
        let handle = self
            .table
            .get(self.slot(from)?.handle)
            .map_err(|_| Errno::EBADF)?;
        if at >= self.limit.load(Ordering::Relaxed) {
            return Err(Errno::EBADF);
        }
        let number = self.table.insert(handle).map_err(Errno::from)?;
        let before = self.view.lock().put(
            at,
            Slot {
                handle: number,
                close_on_exec,
            },
        );
        if let Some(before) = before {
            self.closed(before.handle);
        }
        Ok(at)
    }

    /// A copy of the handle behind a descriptor.
    pub fn copy_handle(&self, descriptor: u32) -> Result<Handle, Errno> {
        self.table
            .get(self.slot(descriptor)?.handle)
            .map_err(|_| Errno::EBADF)
    }

    /// Closes a descriptor.
    pub fn close(&self, descriptor: u32) -> Result<(), Errno> {
        let slot = {
            let mut view = self.view.lock();
            let slot = view
                .slots
                .get_mut(descriptor as usize)
                .and_then(Option::take)
                .ok_or(Errno::EBADF)?;
            view.lowest_free = view.lowest_free.min(descriptor as usize);
            slot
        };
        // The last copy of a pipe or file ends here, outside the lock.
        self.closed(slot.handle);
        Ok(())
    }

    /// Gives up a handle that no descriptor names any more. Closing any descriptor of a file takes away all record
    /// locks that the process has of it (fcntl(2)).
    fn closed(&self, handle: Number) {
        let Ok(handle) = self.table.remove(handle) else {
            return;
        };
        if self.has_locked.load(Ordering::Acquire)
            && let Some(file) = handle.downcast_ref::<Description>()
        {
            let key = Key::of(file);
            if self.locked.lock().remove(&key) {
                lock::release(key, self.lock_owner);
            }
        }
    }

    /// In whose name record locks are taken through these descriptors.
    pub fn lock_owner(&self) -> Owner {
        self.lock_owner
    }

    /// Remembers that there may be record locks of this file.
    pub fn note_lock(&self, key: Key) {
        self.locked.lock().insert(key);
        self.has_locked.store(true, Ordering::Release);
    }

    pub fn close_on_exec(&self, descriptor: u32) -> Result<bool, Errno> {
        Ok(self.slot(descriptor)?.close_on_exec)
    }

    pub fn set_close_on_exec(&self, descriptor: u32, set: bool) -> Result<(), Errno> {
        let mut view = self.view.lock();
        let slot = view
            .slots
            .get_mut(descriptor as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)?;
        slot.close_on_exec = set;
        Ok(())
    }

    /// Closes all descriptors in the range, or marks them close-on-exec.
    pub fn close_range(&self, first: u32, last: u32, mark_only: bool) {
        for descriptor in self.open_descriptors() {
            if (first..=last).contains(&descriptor) {
                // Somebody else may have closed it in between: then there is nothing to do.
                let _ = if mark_only {
                    self.set_close_on_exec(descriptor, true)
                } else {
                    self.close(descriptor)
                };
            }
        }
    }

    pub fn open_descriptors(&self) -> Vec<u32> {
        let view = self.view.lock();
        let open = view
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_some());
        open.map(|(descriptor, _)| descriptor as u32).collect()
    }

    /// A copy for a forked child: the same numbers, the same open files.
    pub fn fork(&self) -> Result<Descriptors, Errno> {
        let view = self.view.lock();
        let table = Arc::new(self.table.clone_all()?);
        let copy = View {
            slots: view.slots.clone(),
            lowest_free: view.lowest_free,
        };
        Ok(Descriptors::with_view(table, copy, self.limit()))
    }

    /// Closes what is marked close-on-exec.
    pub fn executed(&self) {
        let marked: Vec<u32> = {
            let view = self.view.lock();
            let slots = view.slots.iter().enumerate();
            slots
                .filter(|(_, slot)| slot.is_some_and(|slot| slot.close_on_exec))
                .map(|(at, _)| at as u32)
                .collect()
        };
        for descriptor in marked {
            let _ = self.close(descriptor);
        }
    }
}

/// Locked descriptors, to look at.
pub struct Look<'a> {
    view: SpinGuard<'a, View>,
    table: object::Look<'a>,
}

impl Look<'_> {
    #[inline]
    fn handle(&self, descriptor: u32) -> Option<&Handle> {
        let slot = self.view.slots.get(descriptor as usize)?.as_ref()?;
        self.table.get(slot.handle)
    }

    /// The open file behind a descriptor; none if it was lent and taken back.
    #[inline]
    pub fn file(&self, descriptor: u32) -> Option<&Description> {
        let handle = self.handle(descriptor)?;
        handle.holds().ok()?;
        handle.downcast_ref()
    }
}

impl View {
    fn put(&mut self, at: usize, slot: Slot) -> Option<Slot> {
        if at >= self.slots.len() {
            self.slots.resize(at + 1, None);
        }
        self.slots.get_mut(at).and_then(|place| place.replace(slot))
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        for key in core::mem::take(self.locked.get_mut()) {
            lock::release(key, self.lock_owner);
        }
    }
}
