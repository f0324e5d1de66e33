//! Changing mode, owner, times and size, with the checks that belong to each.
//!
//! Rules: chmod(2), chown(2), utimensat(2), truncate(2).

use crate::credentials::{Access, Credentials};
use crate::metadata::{Change, FileKind, Permissions, SIZE_MAX, Time, mode};
use crate::mount::Location;
use crate::view::check_access;
use abi::{Error, Rights};

/// A new time of access or modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// Leave it.
    Keep,
    /// The time of the call.
    Now,
    /// This one.
    At(Time),
}

impl Location {
    /// Sets the permission bits. Only the owner may.
    pub fn set_mode(&self, who: &Credentials, bits: u16, now: Time) -> Result<(), Error> {
        self.mount.check_rights(Rights::WRITE)?;
        let old = self.inode().permissions();
        if !who.owns(old.uid) {
            return Err(Error::Forbidden);
        }
        let mut bits = bits & mode::ALL;
        if who.uid != 0 && !who.in_group(old.gid) {
            bits &= !mode::SET_GID;
        }
        self.inode().change(&Change {
            mode: Some(bits),
            now,
            ..Change::default()
        })
    }

    /// Sets owner and group, where given. Only uid 0 gives files away; an owner may choose among their own groups.
    /// Set-uid and set-gid bits of a file do not survive it.
    pub fn set_owner(
        &self,
        who: &Credentials,
        uid: Option<u32>,
        gid: Option<u32>,
        now: Time,
    ) -> Result<(), Error> {
        self.mount.check_rights(Rights::WRITE)?;
        let old = self.inode().permissions();
        let uid_allowed = who.uid == 0 || uid.is_none_or(|uid| uid == old.uid && who.uid == uid);
        let gid_allowed = who.uid == 0
            || gid.is_none_or(|gid| who.uid == old.uid && (gid == old.gid || who.in_group(gid)));
        if !uid_allowed || !gid_allowed {
            return Err(Error::Forbidden);
        }
        let strips = self.kind() != FileKind::Directory;
        self.inode().change(&Change {
            mode: strips.then(|| without_set_id(old)),
            uid,
            gid,
            now,
            ..Change::default()
        })
    }

    /// Sets the times of access and modification. Others than the owner may only set both to now, and only on what
    /// they may write to.
    pub fn set_times(
        &self,
        who: &Credentials,
        accessed: NewTime,
        modified: NewTime,
        now: Time,
    ) -> Result<(), Error> {
        if (accessed, modified) == (NewTime::Keep, NewTime::Keep) {
            return Ok(());
        }
        self.mount.check_rights(Rights::WRITE)?;
        if !who.owns(self.inode().permissions().uid) {
            if (accessed, modified) != (NewTime::Now, NewTime::Now) {
                return Err(Error::Forbidden);
            }
            check_access(who, &self.mount, self.inode(), Access::WRITE)?;
        }
        let time = |new| match new {
            NewTime::Keep => None,
            NewTime::Now => Some(now),
            NewTime::At(time) => Some(time),
        };
        self.inode().change(&Change {
            accessed: time(accessed),
            modified: time(modified),
            now,
            ..Change::default()
        })
    }

    /// Cuts the file, or fills it with zeros, to `size`. The caller must be allowed to write to it.
    pub fn set_size(&self, who: &Credentials, size: u64, now: Time) -> Result<(), Error> {
        match self.kind() {
            FileKind::File => {}
            FileKind::Directory => return Err(Error::IsDirectory),
            _ => return Err(Error::Invalid),
        }
        check_access(who, &self.mount, self.inode(), Access::WRITE)?;
        let pages = self.inode().pages();
        let _writing = pages.map(|pages| pages.begin_writing()).transpose()?;
        let old = self.inode().permissions();
        let stripped = without_set_id(old);
        self.inode().change(&Change {
            mode: (who.uid != 0 && stripped != old.mode).then_some(stripped),
            size: Some(checked_size(size)?),
            now,
            ..Change::default()
        })
    }
}

/// A size that a file can have; `TooLarge` otherwise.
pub(crate) fn checked_size(size: u64) -> Result<u64, Error> {
    if size > SIZE_MAX {
        Err(Error::TooLarge)
    } else {
        Ok(size)
    }
}

/// The mode after somebody changed the content or the owner: no set-uid bit, and no set-gid bit where that means
/// anything.
pub(crate) fn without_set_id(permissions: Permissions) -> u16 {
    let mut bits = permissions.mode & !mode::SET_UID;
    if bits & mode::GROUP_EXECUTE != 0 {
        bits &= !mode::SET_GID;
    }
    bits
}
