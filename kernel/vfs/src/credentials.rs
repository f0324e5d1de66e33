//! Who asks, and whether the mode bits let them.
//!
//! The one idea: these are the rules inside a tree that a program was handed. They never reach outside it: uid 0 is
//! the owner of what it was given and of nothing else.

use crate::metadata::{Permissions, mode};
use abi::Error;
use alloc::sync::Arc;

bitflags::bitflags! {
    /// What somebody wants to do with a file. The values are those of one digit of a mode.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Access: u8 {
        /// Run a file; go through a directory.
        const EXECUTE = 1;
        /// Change the content; make, remove and rename entries.
        const WRITE = 2;
        /// Read the content; list entries.
        const READ = 4;
    }
}

/// The identity under which files are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user; 0 may do everything in its tree.
    pub uid: u32,
    /// The main group, and the group of new files.
    pub gid: u32,
    /// Further groups.
    pub groups: Arc<[u32]>,
}

impl Credentials {
    /// uid 0, gid 0: the owner of the tree.
    pub fn root() -> Credentials {
        Credentials {
            uid: 0,
            gid: 0,
            groups: Arc::from([]),
        }
    }

    /// Whether `gid` is one of the caller's groups.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether the caller may act as the owner of something (change its mode, its times, remove it from a sticky
    /// directory).
    pub fn owns(&self, uid: u32) -> bool {
        self.uid == 0 || self.uid == uid
    }

    /// `Denied` unless all of `wanted` is allowed. The first class that fits decides, as POSIX says: an owner without
    /// the bit is refused even where others have it.
    ///
    /// uid 0 reads and writes everything, searches every directory, and executes a file that anybody may execute.
    pub fn check(
        &self,
        permissions: Permissions,
        wanted: Access,
        directory: bool,
    ) -> Result<(), Error> {
        if self.uid == 0 {
            let runs = directory || permissions.mode & mode::ANY_EXECUTE != 0;
            return if runs || !wanted.contains(Access::EXECUTE) {
                Ok(())
            } else {
                Err(Error::Denied)
            };
        }
        let shift = if self.uid == permissions.uid {
            6
        } else if self.in_group(permissions.gid) {
            3
        } else {
            0
        };
        let allowed = Access::from_bits_truncate((permissions.mode >> shift) as u8 & 7);
        if allowed.contains(wanted) {
            Ok(())
        } else {
            Err(Error::Denied)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(uid: u32, gid: u32, groups: &[u32]) -> Credentials {
        Credentials {
            uid,
            gid,
            groups: Arc::from(groups),
        }
    }

    const fn file(mode: u16) -> Permissions {
        Permissions {
            mode,
            uid: 10,
            gid: 20,
        }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let read = Access::READ;
        assert!(who(10, 20, &[]).check(file(0o044), read, false).is_err());
        assert!(who(11, 20, &[]).check(file(0o404), read, false).is_err());
        assert!(who(11, 1, &[3, 20]).check(file(0o040), read, false).is_ok());
        assert!(who(11, 1, &[]).check(file(0o004), read, false).is_ok());
        assert!(who(11, 1, &[]).check(file(0o770), read, false).is_err());
        let both = Access::READ | Access::WRITE;
        assert!(who(10, 1, &[]).check(file(0o400), both, false).is_err());
        assert!(who(10, 1, &[]).check(file(0o600), both, false).is_ok());
    }

    #[test]
    fn the_owner_of_the_tree_is_not_stopped() {
        let root = Credentials::root();
        assert!(
            root.check(file(0), Access::READ | Access::WRITE, false)
                .is_ok()
        );
        assert!(root.check(file(0), Access::EXECUTE, true).is_ok());
        assert!(root.check(file(0o644), Access::EXECUTE, false).is_err());
        assert!(root.check(file(0o001), Access::EXECUTE, false).is_ok());
    }
}
