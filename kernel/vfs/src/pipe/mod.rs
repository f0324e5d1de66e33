//! Pipes: bytes from writers to readers, in order, each once.
//!
//! - `bytes`: the queue;
//! - [`Pipe`]: the queue with its counts of ends and what they may do now;
//! - [`End`]: one open end, a [`File`];
//! - [`Fifo`]: a pipe behind a name.
//!
//! The one idea: what a reader or writer may do is recomputed under the pipe's lock after every change, so readiness
//! never lies. Rules: pipe(7), fifo(7).

mod bytes;
mod end;
mod fifo;
#[cfg(test)]
mod tests;

pub use bytes::{Bytes, shrink};
pub use end::End;
pub use fifo::Fifo;

use crate::credentials::Access;
use crate::description::Description;
use crate::file::{File, OpenFlags, OpenRequest};
use crate::inode::Inode;
use crate::metadata::{Change, FileKind, Metadata, Permissions, Time};
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;
use object::{Sink, Source};
use task::{Readiness, Ready, WaitQueue};

/// Writes up to this size go in as a whole or not at all.
pub const PIPE_BUF: usize = 4096;
/// Bytes that a new pipe holds.
pub const CAPACITY: usize = 65_536;
/// Bytes that a pipe can be made to hold.
pub const CAPACITY_MAX: usize = 1 << 20;

/// A pipe. Made by [`Pipe::pair`] or [`Fifo`], reached through [`End`]s; as an inode it can be opened again.
pub struct Pipe {
    number: u64,
    state: Spin<State>,
    /// For ends that read, that write, that do both.
    readers: Readiness,
    writers: Readiness,
    both: Readiness,
    /// Woken when an end of either side is opened.
    arrivals: WaitQueue,
}

struct State {
    bytes: Bytes,
    capacity: usize,
    readers: u32,
    writers: u32,
    /// How many were ever opened, so that one that came and went is noticed.
    reader_opens: u64,
    writer_opens: u64,
    permissions: Permissions,
    accessed: Time,
    modified: Time,
    changed: Time,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A new pipe as two open file descriptions: the reading end and the writing end. Its inode belongs to uid 0.
pub fn open(flags: OpenFlags, now: Time) -> Result<(Arc<Description>, Arc<Description>), Error> {
    let (reader, writer) = Pipe::pair(0, 0, now)?;
    let pipe = reader.pipe().clone();
    let reader = Description::nameless(reader, Some(pipe.clone()), Access::READ, flags);
    let writer = Description::nameless(writer, Some(pipe), Access::WRITE, flags);
    Ok((reader, writer))
}

impl Pipe {
    /// A pipe with one end that reads and one that writes. `NoMemory` if memory is short.
    pub fn pair(uid: u32, gid: u32, now: Time) -> Result<(Arc<End>, Arc<End>), Error> {
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let pipe = Pipe::new(uid, gid, now);
        let reader = End::new(&pipe, Access::READ, false)?;
        let writer = End::new(&pipe, Access::WRITE, false)?;
        Ok((reader, writer))
    }

    fn new(uid: u32, gid: u32, now: Time) -> Arc<Pipe> {
        Arc::new(Pipe {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            state: Spin::new(State {
                bytes: Bytes::new(),
                capacity: CAPACITY,
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
                permissions: Permissions {
                    mode: 0o600,
                    uid,
                    gid,
                },
                accessed: now,
                modified: now,
                changed: now,
            }),
            readers: Readiness::new(Ready::empty()),
            writers: Readiness::new(Ready::WRITE),
            both: Readiness::new(Ready::WRITE),
            arrivals: WaitQueue::new(),
        })
    }

    fn read(&self, sink: &mut dyn Sink) -> Result<usize, Error> {
        let mut state = self.state.lock();
        if state.bytes.is_empty() {
            return if state.writers == 0 || sink.room() == 0 {
                Ok(0)
            } else {
                Err(Error::WouldBlock)
            };
        }
        let count = state.bytes.pop(sink);
        if state.bytes.is_empty() {
            self.readers.clear(Ready::READ);
            self.both.clear(Ready::READ);
        }
        // Only the step from full to not full is news to writers.
        if !self.writers.get().contains(Ready::WRITE) && state.room() >= PIPE_BUF {
            self.writers.set(Ready::WRITE);
            self.both.set(Ready::WRITE);
        }
        Ok(count)
    }

    fn write(&self, source: &mut dyn Source) -> Result<usize, Error> {
        let mut state = self.state.lock();
        let wanted = source.left();
        if wanted == 0 {
            return Ok(0);
        }
        if state.readers == 0 {
            return Err(Error::Closed);
        }
        let room = state.room();
        if room < wanted.min(PIPE_BUF) && (wanted <= PIPE_BUF || room == 0) {
            self.writers.clear(Ready::WRITE);
            self.both.clear(Ready::WRITE);
            return Err(Error::WouldBlock);
        }
        let count = state.bytes.push(source, wanted.min(room))?;
        if state.room() < PIPE_BUF {
            self.writers.clear(Ready::WRITE);
            self.both.clear(Ready::WRITE);
        }
        if count != 0 {
            self.readers.set(Ready::READ);
            self.both.set(Ready::READ);
        }
        Ok(count)
    }

    /// Counts an end in.
    fn arrive(&self, access: Access) {
        let mut state = self.state.lock();
        if access.contains(Access::READ) {
            state.readers += 1;
            state.reader_opens += 1;
            self.writers.clear(Ready::ERROR);
            if state.writers == 0 {
                // The end of an earlier life of the pipe is not this reader's business.
                self.readers.clear(Ready::HANGUP);
            }
        }
        if access.contains(Access::WRITE) {
            state.writers += 1;
            state.writer_opens += 1;
            self.readers.clear(Ready::HANGUP);
            if state.readers == 0 {
                self.writers.clear(Ready::ERROR);
            }
        }
        drop(state);
        self.arrivals.wake_all();
    }

    /// Counts an end out.
    fn leave(&self, access: Access) {
        let mut state = self.state.lock();
        if access.contains(Access::READ) {
            state.readers -= 1;
            if state.readers == 0 {
                self.writers.set(Ready::ERROR);
            }
        }
        if access.contains(Access::WRITE) {
            state.writers -= 1;
            if state.writers == 0 {
                self.readers.set(Ready::HANGUP);
            }
        }
        if state.readers == 0 && state.writers == 0 {
            state.bytes.clear();
            self.readers.clear(Ready::READ);
            self.writers.set(Ready::WRITE);
            self.both.replace(Ready::WRITE);
        }
    }
}

impl State {
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }
}

impl Inode for Pipe {
    fn kind(&self) -> FileKind {
        FileKind::Fifo
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn metadata(&self) -> Metadata {
        let state = self.state.lock();
        Metadata {
            inode: self.number,
            mode: state.permissions.mode,
            uid: state.permissions.uid,
            gid: state.permissions.gid,
            accessed: state.accessed,
            modified: state.modified,
            changed: state.changed,
            created: state.changed,
            ..Metadata::nameless(FileKind::Fifo)
        }
    }

    fn change(&self, change: &Change) -> Result<(), Error> {
        if change.size.is_some() {
            return Err(Error::Invalid);
        }
        let state = &mut *self.state.lock();
        state.permissions.mode = change.mode.unwrap_or(state.permissions.mode);
        state.permissions.uid = change.uid.unwrap_or(state.permissions.uid);
        state.permissions.gid = change.gid.unwrap_or(state.permissions.gid);
        state.accessed = change.accessed.unwrap_or(state.accessed);
        state.modified = change.modified.unwrap_or(state.modified);
        state.changed = change.now;
        Ok(())
    }

    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        let waits = !request.flags.contains(OpenFlags::NON_BLOCKING);
        let end = End::new(
            &self,
            request.access & (Access::READ | Access::WRITE),
            waits,
        )?;
        Ok(end)
    }
}
