//! One open end of a pipe.
//!
//! The one idea: an end counts itself in when it is made and out when it is dropped. An end of a named pipe that came
//! first is open, but not *opened*: it waits until somebody came on the other side since.

use super::{CAPACITY_MAX, PIPE_BUF, Pipe};
use crate::credentials::Access;
use crate::file::File;
use crate::inode::Inode;
use crate::metadata::Metadata;
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use object::{Sink, Source};
use task::{Readiness, Ready, WaitQueue};

/// One open end: for reading, for writing, or (of a named pipe) for both.
pub struct End {
    pipe: Arc<Pipe>,
    access: Access,
    /// While opened and the other side has never been there: how often it had been opened before.
    awaited: Option<u64>,
}

impl End {
    /// Opens an end. If it does not wait, a writer without readers is refused with `NoDevice`.
    pub(super) fn new(pipe: &Arc<Pipe>, access: Access, waits: bool) -> Result<Arc<End>, Error> {
        let reads = access.contains(Access::READ);
        let writes = access.contains(Access::WRITE);
        let state = pipe.state.lock();
        let awaited = match (reads, writes) {
            (false, false) => return Err(Error::Invalid),
            (true, false) => (waits && state.writers == 0).then_some(state.writer_opens),
            (false, true) => (waits && state.readers == 0).then_some(state.reader_opens),
            (true, true) => None,
        };
        drop(state);
        pipe.arrive(access);
        Ok(Arc::new(End {
            pipe: pipe.clone(),
            access,
            awaited,
        }))
    }

    /// The pipe.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// How many bytes wait to be read.
    pub fn buffered(&self) -> usize {
        self.pipe.state.lock().bytes.len()
    }

    /// How many bytes the pipe holds when full.
    pub fn capacity(&self) -> usize {
        self.pipe.state.lock().capacity
    }

    /// Makes the pipe hold at least `bytes`; returns what it holds now, a power of two of at least a page. `Busy` if
    /// more than that is in it, `Forbidden` beyond [`CAPACITY_MAX`].
    pub fn set_capacity(&self, bytes: usize) -> Result<usize, Error> {
        if bytes > CAPACITY_MAX {
            return Err(Error::Forbidden);
        }
        let capacity = bytes.max(PIPE_BUF).next_power_of_two();
        let mut state = self.pipe.state.lock();
        if state.bytes.len() > capacity {
            return Err(Error::Busy);
        }
        state.capacity = capacity;
        if state.room() >= PIPE_BUF {
            self.pipe.writers.set(Ready::WRITE);
            self.pipe.both.set(Ready::WRITE);
        } else {
            self.pipe.writers.clear(Ready::WRITE);
            self.pipe.both.clear(Ready::WRITE);
        }
        Ok(capacity)
    }
}

impl File for End {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if !self.access.contains(Access::READ) {
            return Err(Error::BadHandle);
        }
        self.pipe.read(sink)
    }

    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        if !self.access.contains(Access::WRITE) {
            return Err(Error::BadHandle);
        }
        Ok((self.pipe.write(source)?, 0))
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(if self.access.contains(Access::READ | Access::WRITE) {
            &self.pipe.both
        } else if self.access.contains(Access::READ) {
            &self.pipe.readers
        } else {
            &self.pipe.writers
        })
    }

    fn opening(&self) -> Option<&WaitQueue> {
        let before = self.awaited?;
        let state = self.pipe.state.lock();
        let now = if self.access.contains(Access::READ) {
            state.writer_opens
        } else {
            state.reader_opens
        };
        (now == before).then_some(&self.pipe.arrivals)
    }

    fn metadata(&self) -> Metadata {
        Inode::metadata(&*self.pipe)
    }

    fn title(&self) -> String {
        format!("pipe:[{}]", self.pipe.number)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.pipe.leave(self.access);
    }
}
