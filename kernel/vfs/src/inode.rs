//! The contract of a file system: one [`Inode`] per file, directory, link or device node.
//!
//! The one idea: an inode knows content and names below it, never its own path, who asks, or what is mounted on it.
//! Checks of permissions, sticky bits, read-only mounts and path syntax are done above, once for all file systems; an
//! inode is called with one plain name (1 to 255 bytes, no `/`, not `.` or `..`) and by one change of a directory at
//! a time.

use crate::file::{File, OpenRequest};
use crate::metadata::{Change, DeviceNumber, FileKind, Metadata, Permissions, Time};
use crate::mount::Location;
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use object::{Sink, Source};

/// What [`Inode::create`] makes.
#[derive(Clone, Copy, Debug)]
pub enum NewKind<'a> {
    /// An empty file.
    File,
    /// A file with this content, which the file system may keep by reference until it is written to.
    Content(&'static [u8]),
    /// An empty directory.
    Directory,
    /// A symbolic link to this path (1 to 4095 bytes).
    Symlink(&'a [u8]),
    /// A named pipe.
    Fifo,
    /// The name of a local socket.
    Socket,
    /// A node for a device of bytes.
    CharacterDevice(DeviceNumber),
    /// A node for a device of blocks.
    BlockDevice(DeviceNumber),
}

impl NewKind<'_> {
    /// The kind of inode that comes of it.
    pub const fn kind(&self) -> FileKind {
        match self {
            NewKind::File | NewKind::Content(_) => FileKind::File,
            NewKind::Directory => FileKind::Directory,
            NewKind::Symlink(_) => FileKind::Symlink,
            NewKind::Fifo => FileKind::Fifo,
            NewKind::Socket => FileKind::Socket,
            NewKind::CharacterDevice(_) => FileKind::CharacterDevice,
            NewKind::BlockDevice(_) => FileKind::BlockDevice,
        }
    }
}

/// A new inode.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// What it is.
    pub kind: NewKind<'a>,
    /// Permission bits, with the creator's mask already applied.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// All its times.
    pub now: Time,
}

bitflags::bitflags! {
    /// How [`Inode::rename`] treats the new name.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RenameFlags: u8 {
        /// `Exists` if the new name is taken.
        const NO_REPLACE = 1;
        /// Both names must be there; they swap what they name.
        const EXCHANGE = 2;
    }
}

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Without path.
    pub name: &'a [u8],
    /// The number of the inode it names.
    pub inode: u64,
    /// The kind of the inode it names.
    pub kind: FileKind,
    /// The cookie from which a listing goes on after this entry.
    pub next: u64,
}

/// A file, directory, link or node of a file system.
///
/// Methods never wait. The defaults are the honest answer of something that is not a directory, not a link and
/// cannot be changed.
pub trait Inode: Any + Send + Sync {
    /// What it is. Constant.
    fn kind(&self) -> FileKind;

    /// Its number, unique in the volume. Constant.
    fn number(&self) -> u64 {
        self.metadata().inode
    }

    /// Mode and owners. Called at every step of a path: keep it to a few loads.
    fn permissions(&self) -> Permissions {
        self.metadata().permissions()
    }

    /// Everything `stat` tells, but the volume.
    fn metadata(&self) -> Metadata;

    /// Changes metadata; all of it or nothing.
    fn change(&self, change: &Change) -> Result<(), Error> {
        let _ = change;
        Err(Error::Forbidden)
    }

    /// The inode that `name` names here. `NotFound` if there is none.
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Error> {
        let _ = name;
        Err(Error::NotDirectory)
    }

    /// Whether what `lookup` said stays true until somebody changes it through the vfs. Where names come and go by
    /// themselves (processes), nothing is remembered, and nothing can be mounted.
    fn remembers_names(&self) -> bool {
        true
    }

    /// Makes a new inode under a free name. `Exists` if it is taken.
    fn create(&self, name: &[u8], new: &Create<'_>) -> Result<Arc<dyn Inode>, Error> {
        let _ = (name, new);
        Err(Error::Forbidden)
    }

    /// Makes a new file without a name, which [`Inode::link`] may give one later.
    fn create_nameless(&self, new: &Create<'_>) -> Result<Arc<dyn Inode>, Error> {
        let _ = new;
        Err(Error::Unsupported)
    }

    /// Makes another name for `target`, which is no directory and of the same volume.
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>, now: Time) -> Result<(), Error> {
        let _ = (name, target, now);
        Err(Error::Forbidden)
    }

    /// Removes the name of something that is no directory. Its content stays until the last user lets go.
    fn unlink(&self, name: &[u8], now: Time) -> Result<(), Error> {
        let _ = (name, now);
        Err(Error::Forbidden)
    }

    /// Removes an empty directory; `NotEmpty` otherwise. Nothing can be created in it afterwards.
    fn rmdir(&self, name: &[u8], now: Time) -> Result<(), Error> {
        let _ = (name, now);
        Err(Error::Forbidden)
    }

    /// Moves `old` to `new` in the directory `to` (which may be `self`), replacing what is there in one step. The
    /// caller has checked that kinds fit and that no directory goes below itself.
    fn rename(
        &self,
        old: &[u8],
        to: &dyn Inode,
        new: &[u8],
        flags: RenameFlags,
        now: Time,
    ) -> Result<(), Error> {
        let _ = (old, to, new, flags, now);
        Err(Error::Forbidden)
    }

    /// Shows the entries from `cookie` on (0: from the start; otherwise an [`Entry::next`]), without `.` and `..`,
    /// until `visit` answers false (that entry is not consumed) or none is left. Returns the cookie to go on from.
    ///
    /// An entry that is there during the whole listing is shown exactly once, whatever happens around it. `visit`
    /// must not call back into the directory.
    fn list(&self, cookie: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<u64, Error> {
        let _ = (cookie, visit);
        Err(Error::NotDirectory)
    }

    /// The path that a symbolic link stands for.
    fn read_link(&self) -> Result<Vec<u8>, Error> {
        Err(Error::Invalid)
    }

    /// Where following this link leads, if that is not the path it shows (`/proc/self/fd/3`, `/proc/self/exe`).
    fn jump(&self) -> Result<Option<Location>, Error> {
        Ok(None)
    }

    /// Makes a file for reading and writing the content. Permissions have been checked, and truncation is done by
    /// the caller. Device nodes are opened through their drivers and not through this.
    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error>;

    /// Reads content at `offset` without opening; 0 is the end.
    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let _ = (offset, sink);
        Err(Error::Invalid)
    }

    /// Writes content at `offset` without opening.
    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        let _ = (offset, source);
        Err(Error::Invalid)
    }

    /// The pages of a file that can be mapped.
    fn pages(&self) -> Option<Arc<memory::Object>> {
        None
    }
}
