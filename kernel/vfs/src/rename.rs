//! Moving and swapping names.
//!
//! The one idea: a rename is one step for everybody else. Both directories' gates are held (in the order of their
//! addresses), and when they differ also the volume's lock of moves, under which no directory can come to lie below
//! itself while that is being checked.

use crate::credentials::Access;
use crate::dentry::Dentry;
use crate::inode::RenameFlags;
use crate::metadata::{FileKind, Time};
use crate::remove::{check_removable, existing};
use crate::view::View;
use crate::walk::{Last, Walker, look_up_gated};
use abi::Error;
use alloc::sync::Arc;
use machine::sync::{Spin, SpinGuard};

impl View<'_> {
    /// Renames `old` to `new`, which is walked in `new_view`. What `new` names is replaced, if kinds fit and a directory
    /// there is empty.
    pub fn rename(
        &self,
        old: &[u8],
        new_view: &View<'_>,
        new: &[u8],
        flags: RenameFlags,
        now: Time,
    ) -> Result<(), Error> {
        if flags.contains(RenameFlags::NO_REPLACE | RenameFlags::EXCHANGE) {
            return Err(Error::Invalid);
        }
        let mut from = Walker::new(self, old)?;
        let from_last = from.reach_last()?;
        let mut to = Walker::new(new_view, new)?;
        let to_last = to.reach_last()?;
        if !Arc::ptr_eq(from.mount(), to.mount()) {
            return Err(Error::CrossDevice);
        }
        if from_last != Last::Name {
            return Err(Error::Busy);
        }
        if to_last != Last::Name {
            let replaces = !flags.contains(RenameFlags::NO_REPLACE);
            return Err(if replaces { Error::Busy } else { Error::Exists });
        }
        // Dropped after the locks: a replaced file's content may go with it.
        let replaced;
        let mount = from.mount().clone();
        {
            let moves = !Arc::ptr_eq(from.directory(), to.directory());
            let _moves = moves.then(|| mount.volume().moves.lock());
            let _gates = gates(from.directory(), to.directory());
            replaced = self.rename_gated(&from, &to, flags, now)?;
        }
        if let Some(replaced) = replaced {
            let directory = replaced.kind() == FileKind::Directory;
            if directory && Arc::strong_count(&replaced) > 1 {
                mount.volume().names.forget_below(&replaced);
            }
        }
        Ok(())
    }

    /// Everything that happens under the locks. Returns what was replaced.
    fn rename_gated(
        &self,
        from: &Walker<'_>,
        to: &Walker<'_>,
        flags: RenameFlags,
        now: Time,
    ) -> Result<Option<Arc<Dentry>>, Error> {
        let mount = from.mount();
        let (source, target) = (from.directory(), to.directory());
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let moved = existing(from)?;
        let there = look_up_gated(mount, target, to.name())?;
        if there.is_some() && flags.contains(RenameFlags::NO_REPLACE) {
            return Err(Error::Exists);
        }
        if there.is_none() && exchange {
            return Err(Error::NotFound);
        }
        let is_directory = |dentry: &Arc<Dentry>| dentry.kind() == FileKind::Directory;
        if !is_directory(&moved) && (from.slash() || (to.slash() && !exchange)) {
            return Err(Error::NotDirectory);
        }
        if exchange && to.slash() && !there.as_ref().is_some_and(is_directory) {
            return Err(Error::NotDirectory);
        }
        if Dentry::is_above(&moved, target) {
            return Err(Error::Invalid);
        }
        if there
            .as_ref()
            .is_some_and(|there| Dentry::is_above(there, source))
        {
            return Err(if exchange {
                Error::Invalid
            } else {
                Error::NotEmpty
            });
        }
        if let Some(there) = &there
            && Arc::ptr_eq(moved.inode(), there.inode())
        {
            return Ok(None);
        }
        check_removable(self.credentials, mount, source, &moved)?;
        match &there {
            Some(there) => {
                check_removable(self.credentials, mount, target, there)?;
                match (is_directory(&moved), is_directory(there)) {
                    _ if exchange => {}
                    (true, false) => return Err(Error::NotDirectory),
                    (false, true) => return Err(Error::IsDirectory),
                    _ => {}
                }
            }
            None => self.check_new_name(mount, target)?,
        }
        if !Arc::ptr_eq(source, target) {
            // A directory that gets another parent is itself changed.
            for changed in [Some(&moved), there.as_ref().filter(|_| exchange)]
                .into_iter()
                .flatten()
            {
                if is_directory(changed) {
                    let permissions = changed.inode().permissions();
                    self.credentials.check(permissions, Access::WRITE, true)?;
                }
            }
        }
        let target_inode = &**target.inode();
        source
            .inode()
            .rename(from.name(), target_inode, to.name(), flags, now)?;

        let names = &mount.volume().names;
        let old_name: Arc<[u8]> = Arc::from(from.name());
        let new_name: Arc<[u8]> = Arc::from(to.name());
        let known = (
            names.remove(source, &old_name),
            names.remove(target, &new_name),
        );
        moved.relocate(target.clone(), new_name.clone());
        names.set(target, &new_name, Some(moved));
        drop(known);
        match there {
            Some(there) if exchange => {
                there.relocate(source.clone(), old_name.clone());
                names.set(source, &old_name, Some(there));
                Ok(None)
            }
            Some(there) => {
                there.mark_deleted();
                Ok(Some(there))
            }
            None => Ok(None),
        }
    }
}

/// Locks the gates of two directories, lower address first; one gate if they are the same.
fn gates<'a>(
    one: &'a Arc<Dentry>,
    other: &'a Arc<Dentry>,
) -> (SpinGuard<'a, ()>, Option<SpinGuard<'a, ()>>) {
    let gate = |dentry: &'a Arc<Dentry>| -> &'a Spin<()> { &dentry.gate };
    if Arc::ptr_eq(one, other) {
        (gate(one).lock(), None)
    } else if Arc::as_ptr(one).addr() < Arc::as_ptr(other).addr() {
        let first = gate(one).lock();
        let second = gate(other).lock_second(&first);
        (first, Some(second))
    } else {
        let first = gate(other).lock();
        let second = gate(one).lock_second(&first);
        (first, Some(second))
    }
}
