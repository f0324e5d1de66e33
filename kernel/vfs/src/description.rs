//! An open file description: a file, the place it was opened at, a position, and how it was opened.
//!
//! The one idea: this is what handles and Linux descriptors refer to. Copies of a handle, `dup` and `fork` share one
//! description, and so its position and its status flags; opening again makes another.

use crate::attributes::{checked_size, without_set_id};
use crate::credentials::{Access, Credentials};
use crate::file::{File, OpenFlags, OpenRequest};
use crate::inode::{Entry, Inode};
use crate::metadata::{Change, FileKind, Metadata, SIZE_MAX, Time, end_of};
use crate::mount::Location;
use abi::Error;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU16, Ordering};
use machine::sync::{Once, Spin};
use object::{Sink, Source};
use task::{Readiness, WaitQueue};

/// Where a description came from.
enum Origin {
    /// A path.
    Location(Location),
    /// An inode that never had a name: a pipe.
    Nameless(Arc<dyn Inode>),
    /// Nothing that could be opened again.
    Nothing,
}

/// From where a new position is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The start.
    Start(u64),
    /// The position now.
    Here(i64),
    /// The end of the file.
    End(i64),
}

/// An open file description.
pub struct Description {
    file: Arc<dyn File>,
    origin: Origin,
    /// The directory through which a native program opened it, as far as its paths reach.
    root: Option<Location>,
    kind: FileKind,
    access: Access,
    seekable: bool,
    /// Opened by somebody whose writes take set-uid bits away.
    strips: bool,
    path_only: bool,
    flags: AtomicU16,
    position: Spin<u64>,
    kept: Once<Arc<dyn Any + Send + Sync>>,
    /// While it may be written, nobody runs it.
    _writing: Option<memory::Writing>,
}

/// The flags that can be changed while it is open.
const STATUS: OpenFlags = OpenFlags::APPEND
    .union(OpenFlags::NON_BLOCKING)
    .union(OpenFlags::NO_ACCESS_TIME);

impl Description {
    pub(crate) fn at(
        file: Arc<dyn File>,
        location: Location,
        request: &OpenRequest<'_>,
        who: &Credentials,
        writing: Option<memory::Writing>,
    ) -> Description {
        Description {
            root: None,
            kind: location.kind(),
            access: request.access,
            seekable: file.seekable(),
            strips: who.uid != 0,
            path_only: request.flags.contains(OpenFlags::PATH_ONLY),
            flags: AtomicU16::new((request.flags & STATUS).bits()),
            position: Spin::new(0),
            kept: Once::new(),
            _writing: writing,
            origin: Origin::Location(location),
            file,
        }
    }

    /// For a file that was not opened by path: a pipe end (with its inode), an event, a socket.
    pub fn nameless(
        file: Arc<dyn File>,
        inode: Option<Arc<dyn Inode>>,
        access: Access,
        flags: OpenFlags,
    ) -> Arc<Description> {
        let kind = match &inode {
            Some(inode) => inode.kind(),
            None => file.metadata().kind,
        };
        Arc::new(Description {
            kind,
            access,
            seekable: file.seekable(),
            strips: false,
            root: None,
            path_only: false,
            flags: AtomicU16::new((flags & STATUS).bits()),
            position: Spin::new(0),
            kept: Once::new(),
            _writing: None,
            origin: inode.map_or(Origin::Nothing, Origin::Nameless),
            file,
        })
    }

    /// The file itself, for whoever knows what it is (a terminal, a pipe).
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// The file as a `T`, if it is one.
    pub fn file_as<T: File>(&self) -> Option<&T> {
        (&*self.file as &dyn core::any::Any).downcast_ref()
    }

    /// As far as paths reach that are given to it.
    pub(crate) fn root(&self) -> Option<&Location> {
        self.root.as_ref()
    }

    /// Paths that are given to it reach as far as `root`.
    pub(crate) fn below(mut self, root: &Location) -> Arc<Description> {
        self.root = Some(root.clone());
        Arc::new(self)
    }

    /// Where it was opened, if at a path.
    pub fn location(&self) -> Option<&Location> {
        match &self.origin {
            Origin::Location(location) => Some(location),
            _ => None,
        }
    }

    /// A place that leads to it: where it was opened, or a nameless place for a pipe. None if it cannot be opened
    /// again.
    pub fn place(&self) -> Option<Location> {
        match &self.origin {
            Origin::Location(location) => Some(location.clone()),
            Origin::Nameless(inode) => {
                Some(crate::nameless::place(inode.clone(), &self.file.title()))
            }
            Origin::Nothing => None,
        }
    }

    /// The inode behind it, if there is one.
    pub fn inode(&self) -> Option<&Arc<dyn Inode>> {
        match &self.origin {
            Origin::Location(location) => Some(location.inode()),
            Origin::Nameless(inode) => Some(inode),
            Origin::Nothing => None,
        }
    }

    /// Something that lives as long as the description, made by `make` the first time: what a door keeps for an open
    /// file beyond what all doors know (locks). It is dropped with the last copy of the description.
    pub fn keep(
        &self,
        make: impl FnOnce() -> Arc<dyn Any + Send + Sync>,
    ) -> &Arc<dyn Any + Send + Sync> {
        self.kept.get_or_init(make)
    }

    /// What [`Description::keep`] has made, if it has.
    pub fn kept(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.kept.get()
    }

    /// What it is.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// What it was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether it is only a place (`O_PATH`).
    pub fn is_path_only(&self) -> bool {
        self.path_only
    }

    /// The status flags: `APPEND`, `NON_BLOCKING`, `NO_ACCESS_TIME`.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Sets the status flags, for all who share it; other bits are ignored.
    pub fn set_flags(&self, flags: OpenFlags) {
        self.flags.store((flags & STATUS).bits(), Ordering::Relaxed);
    }

    /// Whether calls on it must not wait.
    #[inline]
    pub fn is_non_blocking(&self) -> bool {
        self.flags().contains(OpenFlags::NON_BLOCKING)
    }

    /// Everything `stat` tells.
    pub fn metadata(&self) -> Metadata {
        match &self.origin {
            Origin::Location(location) => location.metadata(),
            Origin::Nameless(inode) => inode.metadata(),
            Origin::Nothing => self.file.metadata(),
        }
    }

    /// Reads at the position, and moves it. 0 is the end.
    #[inline]
    pub fn read(&self, sink: &mut dyn Sink) -> Result<usize, Error> {
        self.check_readable()?;
        if !self.seekable {
            return self.file.try_read(0, sink);
        }
        let mut position = self.position.lock();
        let count = self.file.try_read(*position, sink)?;
        *position += count as u64;
        Ok(count)
    }

    /// Writes at the position, or at the end if opened so, and moves the position behind it.
    #[inline]
    pub fn write(&self, source: &mut dyn Source) -> Result<usize, Error> {
        self.check_writable()?;
        if !self.seekable {
            return Ok(self.file.try_write(0, source, false)?.0);
        }
        let append = self.flags().contains(OpenFlags::APPEND);
        let mut position = self.position.lock();
        if !append {
            end_of(*position, 0)?;
        }
        let (count, end) = self.file.try_write(*position, source, append)?;
        if count != 0 {
            *position = end;
        }
        Ok(count)
    }

    /// Reads at `offset`; the position stays.
    pub fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        self.check_readable()?;
        self.check_seekable()?;
        end_of(offset, 0).map_err(|_| Error::Invalid)?;
        self.file.try_read(offset, sink)
    }

    /// Writes at `offset` (at the end if opened so, as Linux does); the position stays.
    pub fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        self.check_writable()?;
        self.check_seekable()?;
        end_of(offset, 0).map_err(|_| Error::Invalid)?;
        let append = self.flags().contains(OpenFlags::APPEND);
        Ok(self.file.try_write(offset, source, append)?.0)
    }

    /// Writes at the end, wherever the position is; the position stays.
    pub fn append(&self, source: &mut dyn Source) -> Result<usize, Error> {
        self.check_writable()?;
        Ok(self.file.try_write(0, source, self.seekable)?.0)
    }

    /// The position.
    pub fn position(&self) -> u64 {
        *self.position.lock()
    }

    /// Moves the position, and returns it. It may lie behind the end, not before the start. For a directory it is a
    /// cookie of [`Description::list`].
    pub fn seek(&self, to: Seek) -> Result<u64, Error> {
        if self.path_only {
            return Err(Error::BadHandle);
        }
        let directory = self.kind == FileKind::Directory;
        if !directory {
            self.check_seekable()?;
        }
        let mut position = self.position.lock();
        let (base, offset) = match to {
            Seek::Start(start) => (start, 0),
            Seek::Here(offset) => (*position, offset),
            Seek::End(offset) => (self.size(), offset),
        };
        let new = base.checked_add_signed(offset).ok_or(Error::Invalid)?;
        if new > SIZE_MAX {
            return Err(Error::Invalid);
        }
        *position = new;
        Ok(new)
    }

    fn size(&self) -> u64 {
        self.file.size().unwrap_or_else(|| self.metadata().size)
    }

    /// Shows the entries of a directory from the position on, beginning with `.` and `..`, until `visit` answers
    /// false; moves the position behind what was taken. Returns whether anything was shown at all (if not, the
    /// listing is over).
    pub fn list(&self, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<bool, Error> {
        let Some(location) = self.location().filter(|_| !self.path_only) else {
            return Err(if self.path_only {
                Error::BadHandle
            } else {
                Error::NotDirectory
            });
        };
        let inode = location.inode();
        if self.kind != FileKind::Directory {
            return Err(Error::NotDirectory);
        }
        if location.dentry.is_deleted() {
            return Err(Error::NotFound);
        }
        let mut position = self.position.lock();
        let mut shown = false;
        for (place, name) in [&b"."[..], b".."].into_iter().enumerate() {
            if *position != place as u64 {
                continue;
            }
            let above = if place == 1 {
                location.dentry.parent()
            } else {
                None
            };
            let number = above.map_or(inode.number(), |above| above.inode().number());
            shown = true;
            let taken = visit(&Entry {
                name,
                inode: number,
                kind: FileKind::Directory,
                next: place as u64 + 1,
            });
            if !taken {
                return Ok(shown);
            }
            *position += 1;
        }
        let next = inode.list(*position - DOTS, &mut |entry| {
            shown = true;
            visit(&Entry {
                next: entry.next.saturating_add(DOTS),
                ..*entry
            })
        })?;
        *position = next.saturating_add(DOTS);
        Ok(shown)
    }

    /// Cuts the file, or fills it with zeros, to `size`. It must have been opened for writing.
    pub fn set_size(&self, size: u64, now: Time) -> Result<(), Error> {
        self.check_writable().map_err(|error| match error {
            Error::BadHandle if !self.path_only => Error::Invalid,
            other => other,
        })?;
        let inode = self
            .inode()
            .filter(|_| self.kind == FileKind::File)
            .ok_or(Error::Invalid)?;
        self.strip(inode);
        inode.change(&Change {
            size: Some(checked_size(size)?),
            now,
            ..Change::default()
        })
    }

    /// When reading and writing make sense. `None`: always.
    #[inline]
    pub fn readiness(&self) -> Option<&Readiness> {
        self.file.readiness()
    }

    /// While opening is not complete (a named pipe without its other side): where to wait until this is `None`.
    pub fn opening(&self) -> Option<&WaitQueue> {
        self.file.opening()
    }

    /// Waits until opening is complete; at once for everything but named pipes. To give up, drop the description.
    pub async fn opened(&self) -> Result<(), Error> {
        let Some(arrivals) = self.opening() else {
            return Ok(());
        };
        arrivals
            .wait_until(|| self.opening().is_none().then_some(()))
            .await
            .map_err(|_| Error::Interrupted)
    }

    /// The pages, if it can be mapped.
    pub fn pages(&self) -> Option<Arc<memory::Object>> {
        self.file.pages()
    }

    /// Brings everything written to where it survives.
    pub fn sync(&self) -> Result<(), Error> {
        if self.path_only {
            return Err(Error::BadHandle);
        }
        self.file.sync()
    }

    #[inline]
    fn check_readable(&self) -> Result<(), Error> {
        if self.access.contains(Access::READ) {
            Ok(())
        } else {
            Err(Error::BadHandle)
        }
    }

    #[inline]
    fn check_writable(&self) -> Result<(), Error> {
        if !self.access.contains(Access::WRITE) {
            return Err(Error::BadHandle);
        }
        if self.strips
            && let Some(inode) = self.inode()
        {
            self.strip(inode);
        }
        Ok(())
    }

    fn check_seekable(&self) -> Result<(), Error> {
        match self.seekable || self.kind == FileKind::Directory {
            true => Ok(()),
            false => Err(Error::NotSeekable),
        }
    }

    /// Takes set-uid bits from a file whose content is changed by others than uid 0.
    #[inline]
    fn strip(&self, inode: &Arc<dyn Inode>) {
        if !self.strips || self.kind != FileKind::File {
            return;
        }
        let old = inode.permissions();
        let mode = without_set_id(old);
        if mode != old.mode {
            // A file system that cannot change modes has no such bits to take.
            let _ = inode.change(&Change {
                mode: Some(mode),
                now: inode.metadata().changed,
                ..Change::default()
            });
        }
    }
}

/// Positions in a directory that stand for `.` and `..`.
const DOTS: u64 = 2;
