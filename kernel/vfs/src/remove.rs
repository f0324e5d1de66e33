//! Removing names.
//!
//! The one idea: a name goes, its inode stays until nobody uses it. The dentry leaves the cache and is marked, so that
//! whoever still stands there sees that the place is gone.

use crate::credentials::{Access, Credentials};
use crate::dentry::Dentry;
use crate::metadata::{FileKind, Time, mode};
use crate::mount::Mount;
use crate::view::View;
use crate::walk::{Last, Walker, look_up_gated};
use abi::{Error, Rights};
use alloc::sync::Arc;

impl View<'_> {
    /// Removes the name of something that is no directory.
    pub fn unlink(&self, path: &[u8], now: Time) -> Result<(), Error> {
        let mut walk = Walker::new(self, path)?;
        if walk.reach_last()? != Last::Name {
            return Err(Error::IsDirectory);
        }
        let directory = walk.directory();
        let gate = directory.gate.lock();
        let child = existing(&walk)?;
        if walk.slash() {
            return Err(match child.kind() {
                FileKind::Directory => Error::IsDirectory,
                _ => Error::NotDirectory,
            });
        }
        check_removable(self.credentials, walk.mount(), directory, &child)?;
        if child.kind() == FileKind::Directory {
            return Err(Error::IsDirectory);
        }
        directory.inode().unlink(walk.name(), now)?;
        let known = walk.mount().volume().names.remove(directory, walk.name());
        child.mark_deleted();
        drop(gate);
        // The content may go with the last reference: not under the gate.
        drop((known, child));
        Ok(())
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, path: &[u8], now: Time) -> Result<(), Error> {
        let mut walk = Walker::new(self, path)?;
        match walk.reach_last()? {
            Last::Name => {}
            Last::Dot => return Err(Error::Invalid),
            Last::DotDot => return Err(Error::NotEmpty),
            Last::Here => return Err(Error::Busy),
        }
        let directory = walk.directory();
        let gate = directory.gate.lock();
        let child = existing(&walk)?;
        check_removable(self.credentials, walk.mount(), directory, &child)?;
        if child.kind() != FileKind::Directory {
            return Err(Error::NotDirectory);
        }
        directory.inode().rmdir(walk.name(), now)?;
        let names = &walk.mount().volume().names;
        let known = names.remove(directory, walk.name());
        child.mark_deleted();
        drop(gate);
        drop(known);
        if Arc::strong_count(&child) > 1 {
            names.forget_below(&child);
        }
        Ok(())
    }
}

/// What the last name of a walk leads to, which must be there. The caller holds the gate.
pub(crate) fn existing(walk: &Walker<'_>) -> Result<Arc<Dentry>, Error> {
    look_up_gated(walk.mount(), walk.directory(), walk.name())?.ok_or(Error::NotFound)
}

/// Whether the caller may take `child` out of `directory`: write permission there, the sticky bit, nothing mounted.
pub(crate) fn check_removable(
    credentials: &Credentials,
    mount: &Mount,
    directory: &Arc<Dentry>,
    child: &Arc<Dentry>,
) -> Result<(), Error> {
    mount.check_rights(Rights::DELETE)?;
    let above = directory.inode().permissions();
    credentials.check(above, Access::WRITE | Access::EXECUTE, true)?;
    if above.mode & mode::STICKY != 0
        && !credentials.owns(above.uid)
        && !credentials.owns(child.inode().permissions().uid)
    {
        return Err(Error::Forbidden);
    }
    if child.is_mounted_on() {
        return Err(Error::Busy);
    }
    Ok(())
}
