//! A pipe behind a name.
//!
//! The one idea: a named pipe exists only while an end is open. The inode of a file system keeps a [`Fifo`], which finds
//! the pipe of the moment or makes a new one; what nobody read is gone with the last end.

use super::{End, Pipe};
use crate::credentials::Access;
use crate::file::{File, OpenFlags, OpenRequest};
use abi::Error;
use alloc::sync::{Arc, Weak};
use machine::sync::Spin;

/// What an inode of kind `Fifo` keeps.
pub struct Fifo {
    pipe: Spin<Weak<Pipe>>,
}

impl Fifo {
    /// With no end open.
    pub const fn new() -> Fifo {
        Fifo {
            pipe: Spin::new(Weak::new()),
        }
    }

    /// Opens an end. Reading without writers and writing without readers is incomplete until they come
    /// ([`File::opening`]); non-blocking, the reader is open at once and the writer is refused with `NoDevice`.
    pub fn open(&self, request: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        let access = request.access & (Access::READ | Access::WRITE);
        let waits = !request.flags.contains(OpenFlags::NON_BLOCKING);
        let mut known = self.pipe.lock();
        let pipe = match known.upgrade() {
            Some(pipe) => pipe,
            None => {
                let pipe = Pipe::new(0, 0, request.now);
                *known = Arc::downgrade(&pipe);
                pipe
            }
        };
        if access == Access::WRITE && !waits && pipe.state.lock().readers == 0 {
            return Err(Error::NoDevice);
        }
        let end = End::new(&pipe, access, waits)?;
        Ok(end)
    }
}

impl Default for Fifo {
    fn default() -> Self {
        Fifo::new()
    }
}
