//! What is known about a file besides its bytes: kind, permissions, owner, sizes, times.
//!
//! The one idea: times are arguments. Nothing here reads a clock; whoever changes a file says when.

use abi::Error;

/// What an inode is. Never changes during its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Bytes with positions.
    File,
    /// Names of other inodes.
    Directory,
    /// A path that stands for another.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A device of bytes.
    CharacterDevice,
    /// A device of blocks.
    BlockDevice,
    /// The name of a local socket.
    Socket,
}

/// Permission bits of a mode, as POSIX numbers them.
pub mod mode {
    /// Run with the owner's identity.
    pub const SET_UID: u16 = 0o4000;
    /// Run with the group's identity; on a directory: new entries inherit the group.
    pub const SET_GID: u16 = 0o2000;
    /// On a directory: only owners remove entries.
    pub const STICKY: u16 = 0o1000;
    /// The bit that makes `SET_GID` effective on files.
    pub const GROUP_EXECUTE: u16 = 0o010;
    /// Somebody may execute.
    pub const ANY_EXECUTE: u16 = 0o111;
    /// All bits a file can have.
    pub const ALL: u16 = 0o7777;
}

/// A point in time, counted from 1970-01-01 00:00 UTC. `nanoseconds` is below 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// The part of the second that has passed.
    pub nanoseconds: u32,
}

impl Time {
    /// The time that many nanoseconds after the epoch.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Time {
        Time {
            seconds: (nanoseconds / 1_000_000_000) as i64,
            nanoseconds: (nanoseconds % 1_000_000_000) as u32,
        }
    }
}

/// The number under which a driver answers for a device node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// The driver, or the family of devices.
    pub major: u32,
    /// Which of them.
    pub minor: u32,
}

impl DeviceNumber {
    /// Shorthand for a literal.
    pub const fn new(major: u32, minor: u32) -> DeviceNumber {
        DeviceNumber { major, minor }
    }
}

/// What a permission check needs, and no more: read at every directory of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The bits of [`mode`].
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
}

/// Everything `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Number of the volume. An inode leaves 0; [`crate::Location::metadata`] fills it in.
    pub volume: u64,
    /// Unique among the inodes of one volume.
    pub inode: u64,
    /// What it is.
    pub kind: FileKind,
    /// The bits of [`mode`], without the kind.
    pub mode: u16,
    /// How many names lead here (a directory: 2 + its subdirectories).
    pub links: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// Of a device node.
    pub device: DeviceNumber,
    /// Bytes; a symbolic link: bytes of its target.
    pub size: u64,
    /// Storage in use, in units of 512 bytes.
    pub blocks: u64,
    /// The size of an efficient read.
    pub block_size: u32,
    /// The last read.
    pub accessed: Time,
    /// The last change of the content.
    pub modified: Time,
    /// The last change of the content or of what is written here.
    pub changed: Time,
    /// When it was made.
    pub created: Time,
}

impl Metadata {
    /// A thing of that kind without a name anywhere (a pipe end, an event): mode 0600, all else zero.
    pub const fn nameless(kind: FileKind) -> Metadata {
        let epoch = Time {
            seconds: 0,
            nanoseconds: 0,
        };
        Metadata {
            volume: 0,
            inode: 0,
            kind,
            mode: 0o600,
            links: 1,
            uid: 0,
            gid: 0,
            device: DeviceNumber::new(0, 0),
            size: 0,
            blocks: 0,
            block_size: machine::PAGE as u32,
            accessed: epoch,
            modified: epoch,
            changed: epoch,
            created: epoch,
        }
    }

    /// The part that permission checks look at.
    pub const fn permissions(&self) -> Permissions {
        Permissions {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
        }
    }
}

/// A change of metadata; what is `None` stays. `changed` becomes `now` in every case.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// The new permission bits.
    pub mode: Option<u16>,
    /// The new owner.
    pub uid: Option<u32>,
    /// The new group.
    pub gid: Option<u32>,
    /// The new size: cut, or filled with zeros. Also sets `modified` to `now`.
    pub size: Option<u64>,
    /// The new time of the last read.
    pub accessed: Option<Time>,
    /// The new time of the last change of content.
    pub modified: Option<Time>,
    /// When this happens.
    pub now: Time,
}

/// The largest size or position of a file.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// `offset + count` where both come from outside; `TooLarge` beyond [`SIZE_MAX`].
pub fn end_of(offset: u64, count: usize) -> Result<u64, Error> {
    match offset.checked_add(count as u64) {
        Some(end) if end <= SIZE_MAX => Ok(end),
        _ => Err(Error::TooLarge),
    }
}
