//! Who writes an object and who runs it: not both at once.
//!
//! A program's pages are mapped from its file while it runs, so a file that runs cannot be opened for writing, and one
//! that is open for writing cannot be run. Each side holds a guard; `TextBusy` tells the other.

use crate::Object;
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, Ordering};

/// How many write (above 0) or run it (below).
#[derive(Debug, Default)]
pub(crate) struct Writers(AtomicI32);

impl Writers {
    fn join(&self, side: i32) -> Result<(), Error> {
        let step = |count: i32| {
            if count * side < 0 {
                None
            } else {
                count.checked_add(side)
            }
        };
        let joined = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        joined.map(drop).map_err(|_| Error::TextBusy)
    }

    /// How many write it.
    pub(crate) fn writing(&self) -> usize {
        usize::try_from(self.0.load(Ordering::Acquire)).unwrap_or(0)
    }

    fn leave(&self, side: i32) {
        self.0.fetch_sub(side, Ordering::AcqRel);
    }
}

/// The object is open for writing for as long as this lives.
pub struct Writing(Arc<Object>);

/// The object is a program that runs for as long as this lives.
pub struct Running(Arc<Object>);

impl Object {
    /// Says that somebody is going to write it.
    ///
    /// # Errors
    /// [`Error::TextBusy`] while it runs.
    pub fn begin_writing(self: &Arc<Object>) -> Result<Writing, Error> {
        self.writers().join(1)?;
        Ok(Writing(self.clone()))
    }

    /// Says that somebody is going to run it.
    ///
    /// # Errors
    /// [`Error::TextBusy`] while somebody may write it.
    pub fn begin_running(self: &Arc<Object>) -> Result<Running, Error> {
        self.writers().join(-1)?;
        Ok(Running(self.clone()))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writers().leave(1);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.writers().leave(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_and_running_exclude_each_other() {
        let object = Object::new_anonymous(1);
        let writing = [
            object.begin_writing().unwrap(),
            object.begin_writing().unwrap(),
        ];
        assert_eq!(object.begin_running().err(), Some(Error::TextBusy));
        drop(writing);
        let running = [
            object.begin_running().unwrap(),
            object.begin_running().unwrap(),
        ];
        assert_eq!(object.begin_writing().err(), Some(Error::TextBusy));
        drop(running);
        object.begin_writing().unwrap();
    }
}
