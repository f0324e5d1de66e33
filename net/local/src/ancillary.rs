//! What travels beside the bytes of a message: open files, and who sent it.

use abi::Rights;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::Tenure;
use vfs::Description;

/// An open file on its way: a handle without a table.
#[derive(Clone)]
pub struct Sent {
    /// The file.
    pub file: Arc<Description>,
    /// What the sender could do with it: the receiver can do no more.
    pub rights: Rights,
    /// How long.
    pub tenure: Tenure,
}

/// Open files on their way.
pub type Files = Vec<Sent>;

/// The most files that one message carries (`SCM_MAX_FD`).
pub const FILES_MAX: usize = 253;

/// Who sent a message, or made a connection (`struct ucred`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process; 0: not known.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Credentials {
    /// Nobody that is known.
    pub const NOBODY: Credentials = Credentials {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
}

impl Default for Credentials {
    fn default() -> Credentials {
        Credentials::NOBODY
    }
}
