//! The contract of something open: bytes in, bytes out, and when.
//!
//! The one idea: nothing here waits. What cannot be done now answers `WouldBlock`, and the [`Readiness`] tells when to
//! try again; so one implementation serves blocking calls, poll and native waits.

use crate::credentials::Access;
use crate::metadata::{FileKind, Metadata, Time};
use abi::Error;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use object::{Sink, Source, Verb};
use task::{Readiness, WaitQueue};
use value::{Document, Value};

bitflags::bitflags! {
    /// How a path is opened.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct OpenFlags: u16 {
        /// Make a file if there is none.
        const CREATE = 1 << 0;
        /// With `CREATE`: `Exists` if there is one; a link at the end is not followed.
        const EXCLUSIVE = 1 << 1;
        /// Cut it to size 0.
        const TRUNCATE = 1 << 2;
        /// Every write goes to the end.
        const APPEND = 1 << 3;
        /// It must be a directory.
        const DIRECTORY = 1 << 4;
        /// `Loop` if the last name is a symbolic link (with `PATH_ONLY`: the link itself).
        const NO_FOLLOW = 1 << 5;
        /// Only the place, not the content: no permission on the file is needed.
        const PATH_ONLY = 1 << 6;
        /// Do not wait, neither for opening nor later.
        const NON_BLOCKING = 1 << 7;
        /// Do not count reads as accesses.
        const NO_ACCESS_TIME = 1 << 8;
        /// A file without a name in the directory that the path names.
        const NAMELESS = 1 << 9;
    }
}

/// A request to open something. `OpenRequest::default()` asks for nothing: set what is wanted.
#[derive(Clone, Copy, Default)]
pub struct OpenRequest<'a> {
    /// Reading, writing, or both; `EXECUTE` is checked but needs nothing else.
    pub access: Access,
    /// How.
    pub flags: OpenFlags,
    /// Permission bits of a file that is created, with the creator's mask applied.
    pub mode: u16,
    /// The time of creation or truncation.
    pub now: Time,
    /// Where the caller's controlling terminal can be had; `/dev/tty` asks.
    pub terminal: Option<&'a dyn Fn() -> Option<Arc<dyn File>>>,
}

/// Something open.
pub trait File: Any + Send + Sync {
    /// Reads at `position` (ignored where there are none). 0 is the end; `WouldBlock`: not now.
    fn try_read(&self, position: u64, sink: &mut dyn Sink) -> Result<usize, Error>;

    /// Writes at `position`, or at the end if `append`. Returns how many bytes were taken and the position behind
    /// them. `Closed`: nobody will ever read it.
    fn try_write(
        &self,
        position: u64,
        source: &mut dyn Source,
        append: bool,
    ) -> Result<(usize, u64), Error>;

    /// Whether positions mean anything.
    fn seekable(&self) -> bool {
        false
    }

    /// When reading and writing make sense. `None`: always.
    fn readiness(&self) -> Option<&Readiness> {
        None
    }

    /// How long a read waits for its first byte before it ends with none, in nanoseconds. `None`: as long as it takes.
    fn read_timeout(&self) -> Option<u64> {
        None
    }

    /// While opening is not complete (a named pipe without its other side): where to wait until this is `None`.
    fn opening(&self) -> Option<&WaitQueue> {
        None
    }

    /// What shows in place of a path for a file that has none: `pipe:[7]`.
    fn title(&self) -> String {
        String::from("anon_inode:[file]")
    }

    /// For files that were opened without an inode.
    fn metadata(&self) -> Metadata {
        Metadata::nameless(FileKind::File)
    }

    /// The size, for positions counted from the end. Devices of blocks know it although their inode does not.
    fn size(&self) -> Option<u64> {
        None
    }

    /// The pages, if it can be mapped.
    fn pages(&self) -> Option<Arc<memory::Object>> {
        None
    }

    /// What it can be asked beyond reading and writing, by native programs: see [`object::Object::verbs`].
    fn verbs(&self) -> &'static [Verb] {
        &[]
    }

    /// Does what one of its verbs says.
    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        let _ = (verb, argument);
        Err(Error::NotFound)
    }

    /// Brings everything written to where it survives.
    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }
}
