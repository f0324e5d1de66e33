//! Rights that a place in the tree is seen with.
//!
//! The one idea: a mount says not only what lies at a place but also what may be done with what is seen through it, and
//! every step of a path stays in the mounts it began in. So whoever gets a location in mounts that grant little can do
//! little, whatever the paths: `..` and links end at the top of those mounts, descriptors and their links in `/proc`
//! carry the mount with them, and a hard link never leads from one mount to another.

use crate::credentials::Access;
use crate::dentry::Dentry;
use crate::device::DeviceKind;
use crate::inode::Inode;
use crate::metadata::FileKind;
use crate::mount::{Location, Mount, MountFlags};
use abi::{Error, Rights};
use alloc::sync::Arc;
use object::Tenure;

/// All that a mount can grant.
pub const FILES: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::EXECUTE)
    .union(Rights::LIST)
    .union(Rights::CREATE)
    .union(Rights::DELETE);

/// What changes the tree or its files.
pub(crate) const CHANGES: Rights = Rights::WRITE.union(Rights::CREATE).union(Rights::DELETE);

/// The rights that opening a file's bytes takes.
pub(crate) fn file_rights(wanted: Access) -> Rights {
    let mut needed = Rights::empty();
    needed.set(Rights::READ, wanted.contains(Access::READ));
    needed.set(Rights::WRITE, wanted.contains(Access::WRITE));
    needed
}

impl Mount {
    /// Whether it grants all of `rights`, of which those that do not concern files do not count. `ReadOnly` if it
    /// forbids every change and `rights` are for one, else `Denied`.
    #[inline]
    pub fn check_rights(&self, rights: Rights) -> Result<(), Error> {
        self.holds()?;
        if rights.intersects(CHANGES) && self.flags().contains(MountFlags::READ_ONLY) {
            return Err(Error::ReadOnly);
        }
        let runs = !self.flags().contains(MountFlags::NO_EXECUTE);
        if self.rights().contains(rights & FILES) && (runs || !rights.contains(Rights::EXECUTE)) {
            Ok(())
        } else {
            Err(Error::Denied)
        }
    }

    /// Whether what it shows may be opened for `wanted`. Devices whose bytes concern nobody else may always be.
    #[inline]
    pub(crate) fn check_open(&self, inode: &Arc<dyn Inode>, wanted: Access) -> Result<(), Error> {
        self.holds()?;
        if self.rights() == FILES && self.flags().is_empty() {
            return Ok(());
        }
        let kind = inode.kind();
        let directory = kind == FileKind::Directory;
        // Devices, pipes and sockets are no part of the storage that a read-only mount protects.
        let stored = directory || matches!(kind, FileKind::File | FileKind::Symlink);
        let flags = self.flags();
        if stored && wanted.contains(Access::WRITE) && flags.contains(MountFlags::READ_ONLY) {
            return Err(Error::ReadOnly);
        }
        let runs = kind == FileKind::File && wanted.contains(Access::EXECUTE);
        if runs && flags.contains(MountFlags::NO_EXECUTE) {
            return Err(Error::Denied);
        }
        let mut needed = Rights::empty();
        if directory {
            needed.set(Rights::LIST, true);
            // Which of the two is checked again where it is done.
            let changes = Rights::CREATE | Rights::DELETE;
            if wanted.contains(Access::WRITE) && !self.rights().intersects(changes) {
                needed |= changes;
            }
        } else {
            needed = file_rights(wanted);
        }
        let harmless = || kind == FileKind::CharacterDevice && self.is_harmless(inode);
        if self.rights().contains(needed) || harmless() {
            Ok(())
        } else {
            Err(Error::Denied)
        }
    }

    fn is_harmless(&self, inode: &Arc<dyn Inode>) -> bool {
        self.devices().is_some_and(|devices| {
            devices.is_harmless(DeviceKind::Character, inode.metadata().device)
        })
    }
}

impl Location {
    /// Whether the mount through which it is seen grants these rights.
    pub fn grants(&self, rights: Rights) -> bool {
        self.mount.check_rights(rights).is_ok()
    }

    /// The same place with everything below it, through mounts of their own that grant no more than `rights`, no longer
    /// than `tenure`: what is mounted there later is not seen. Nothing is above it. Cost: the number of mounts below.
    ///
    /// # Errors
    /// As [`Tenure::and`].
    pub fn confined(&self, rights: Rights, tenure: &Tenure) -> Result<Location, Error> {
        let through = |mount: &Arc<Mount>, root: &Arc<Dentry>| -> Result<Location, Error> {
            Ok(Location {
                mount: Arc::new(mount.with_rights(root.clone(), rights, tenure)?),
                dentry: root.clone(),
            })
        };
        let top = through(&self.mount, &self.dentry)?;
        let mut todo = alloc::vec![(self.mount.clone(), top.clone())];
        while let Some((original, copy)) = todo.pop() {
            for (place, child) in original.places() {
                if Dentry::is_above(&copy.dentry, &place) {
                    let child_copy = through(&child, child.root().dentry())?;
                    let covered = child_copy.mount.cover(&Location {
                        mount: copy.mount.clone(),
                        dentry: place,
                    });
                    debug_assert!(
                        covered.is_ok(),
                        "the copies of one tree are in nobody's way"
                    );
                    todo.push((child, child_copy));
                }
            }
        }
        Ok(top)
    }

    /// The same place, through which no more than `rights` can be done, no longer than `tenure`: for a single file or
    /// directory of which a handle is held. Itself, if it grants no more anyhow.
    ///
    /// # Errors
    /// As [`Tenure::and`].
    pub fn narrowed(&self, rights: Rights, tenure: &Tenure) -> Result<Location, Error> {
        let same = tenure.is_forever() || tenure == self.mount.tenure();
        if same && rights.contains(self.mount.rights()) {
            return Ok(self.clone());
        }
        let mount = self
            .mount
            .with_rights(self.dentry.clone(), rights, tenure)?;
        Ok(Location {
            mount: Arc::new(mount),
            dentry: self.dentry.clone(),
        })
    }
}
