//! Mounts, and locations: a place in the tree that somebody sees.
//!
//! The one idea: a [`Location`] is a dentry seen through a mount. The same directory may be seen through several mounts;
//! only the pair says what `..` means, whether writing is allowed, and which devices its nodes lead to. A mount tree
//! has no owner: it lives as long as somebody holds a location in its topmost mount.

use crate::confine::{CHANGES, FILES};
use crate::dentry::Dentry;
use crate::device::Devices;
use crate::inode::Inode;
use crate::metadata::{FileKind, Metadata};
use crate::volume::Volume;
use abi::{Error, Rights};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::{Rcu, Spin};
use object::Tenure;

bitflags::bitflags! {
    /// What a mount forbids.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u8 {
        /// No changes of any kind.
        const READ_ONLY = 1;
        /// Nothing is run from it.
        const NO_EXECUTE = 2;
        /// Set-uid and set-gid bits mean nothing.
        const NO_SET_ID = 4;
    }
}

/// A volume, or a part of one, at a place in a tree.
pub struct Mount {
    volume: Arc<Volume>,
    root: Arc<Dentry>,
    flags: MountFlags,
    /// What may be done with what is seen through it, and how long.
    rights: Rights,
    tenure: Tenure,
    devices: Option<Arc<Devices>>,
    number: u64,
    /// What it covers; `None` for the top of a tree and after unmounting.
    covers: Spin<Option<(Weak<Mount>, Arc<Dentry>)>>,
    /// Oldest first, with the places that they cover.
    children: Rcu<Vec<(Arc<Dentry>, Arc<Mount>)>>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Mount {
    fn new(
        volume: Arc<Volume>,
        root: Arc<Dentry>,
        flags: MountFlags,
        devices: Option<Arc<Devices>>,
    ) -> Mount {
        Mount {
            volume,
            root,
            flags,
            rights: FILES,
            tenure: Tenure::FOREVER,
            devices,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            covers: Spin::new(None),
            children: Rcu::default(),
        }
    }

    /// A part of the same volume from `root` on, at no place yet, that grants no more than `rights`, no longer than
    /// `tenure`.
    pub(crate) fn with_rights(
        &self,
        root: Arc<Dentry>,
        rights: Rights,
        tenure: &Tenure,
    ) -> Result<Mount, Error> {
        let rights = self.rights & rights;
        let mut flags = self.flags;
        flags.set(
            MountFlags::READ_ONLY,
            flags.contains(MountFlags::READ_ONLY) || !rights.intersects(CHANGES),
        );
        flags.set(
            MountFlags::NO_EXECUTE,
            flags.contains(MountFlags::NO_EXECUTE) || !rights.contains(Rights::EXECUTE),
        );
        let mut mount = Mount::new(self.volume.clone(), root, flags, self.devices.clone());
        mount.rights = rights;
        mount.tenure = self.tenure.and(tenure)?;
        Ok(mount)
    }

    /// Starts a tree with the root of `volume`. Device nodes lead to `devices`, or nowhere.
    pub fn tree(volume: Arc<Volume>, flags: MountFlags, devices: Option<Arc<Devices>>) -> Location {
        let root = volume.root().clone();
        Location {
            dentry: root.clone(),
            mount: Arc::new(Mount::new(volume, root, flags, devices)),
        }
    }

    /// The volume that is seen through it.
    pub fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    /// What it forbids.
    pub fn flags(&self) -> MountFlags {
        self.flags
    }

    /// What may be done with what is seen through it, of [`FILES`].
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// How long what is seen through it may be used.
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Nothing, or [`Error::Revoked`]: what is seen through it was lent, and taken back.
    ///
    /// # Errors
    /// That one.
    #[inline]
    pub fn holds(&self) -> Result<(), Error> {
        self.tenure.check()
    }

    /// The devices that its nodes lead to.
    pub fn devices(&self) -> Option<&Arc<Devices>> {
        self.devices.as_ref()
    }

    /// Unique among all mounts since boot.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The mount's own root.
    pub fn root(self: &Arc<Mount>) -> Location {
        Location {
            mount: self.clone(),
            dentry: self.root.clone(),
        }
    }

    /// The place that it covers, if it is mounted somewhere.
    pub fn covers(&self) -> Option<Location> {
        let covers = self.covers.lock();
        let (mount, dentry) = covers.as_ref()?;
        Some(Location {
            mount: mount.upgrade()?,
            dentry: dentry.clone(),
        })
    }

    /// The mounts that sit directly on it, oldest first.
    pub fn children(&self) -> Vec<Arc<Mount>> {
        self.children
            .read(|children| children.iter().map(|(_, mount)| mount.clone()).collect())
    }

    /// The mounts that sit directly on it, with the places that they cover.
    pub(crate) fn places(&self) -> Vec<(Arc<Dentry>, Arc<Mount>)> {
        self.children.read(Vec::clone)
    }

    pub(crate) fn is_root(&self, dentry: &Arc<Dentry>) -> bool {
        Arc::ptr_eq(&self.root, dentry)
    }

    /// The mount that covers `dentry` here.
    pub(crate) fn child_on(&self, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        self.children.read(|children| {
            let mut children = children.iter();
            let child = children.find(|(place, _)| Arc::ptr_eq(place, dentry));
            child.map(|(_, mount)| mount.clone())
        })
    }

    /// Puts it at a place. `Busy` if something covers that.
    pub(crate) fn cover(self: &Arc<Mount>, at: &Location) -> Result<(), Error> {
        at.mount.children.change(|children| {
            let mut places = children.iter();
            if places.any(|(place, _)| Arc::ptr_eq(place, &at.dentry)) {
                return Err(Error::Busy);
            }
            at.dentry.count_mount();
            *self.covers.lock() = Some((Arc::downgrade(&at.mount), at.dentry.clone()));
            let mut children = children.clone();
            children.push((at.dentry.clone(), self.clone()));
            Ok((children, ()))
        })
    }

    fn detach(self: &Arc<Mount>) {
        let covers = self.covers.lock().take();
        if let Some((parent, dentry)) = covers {
            dentry.discount_mount();
            if let Some(parent) = parent.upgrade() {
                let Ok(()) = parent.children.change(|children| {
                    let mut children = children.clone();
                    children.retain(|(_, mount)| !Arc::ptr_eq(mount, self));
                    Ok::<_, Infallible>((children, ()))
                });
            }
        }
    }
}

impl Drop for Mount {
    /// What is still mounted on it is not mounted any more, level by level and not by recursion.
    fn drop(&mut self) {
        let mut level = core::mem::take(self.children.get_mut());
        while let Some((dentry, mount)) = level.pop() {
            dentry.discount_mount();
            *mount.covers.lock() = None;
            if let Some(mut mount) = Arc::into_inner(mount) {
                level.append(mount.children.get_mut());
            }
        }
    }
}

/// A place in a tree: a dentry seen through a mount.
#[derive(Clone)]
pub struct Location {
    pub(crate) mount: Arc<Mount>,
    pub(crate) dentry: Arc<Dentry>,
}

impl Location {
    /// What is there.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// The kind of what is there.
    pub fn kind(&self) -> FileKind {
        self.dentry.kind()
    }

    /// The mount through which it is seen.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// The name under which it is known.
    pub fn dentry(&self) -> &Arc<Dentry> {
        &self.dentry
    }

    /// Whether both are the same place (not only the same inode).
    pub fn is(&self, other: &Location) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// Everything `stat` tells, with the number of the volume.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            volume: self.mount.volume.number(),
            ..self.inode().metadata()
        }
    }

    /// The place above, not higher than `root`; the topmost place is above itself. Goes through mounts.
    pub fn parent(&self, root: &Location) -> Location {
        let mut here = self.clone();
        loop {
            if here.is(root) {
                return here;
            }
            if !here.mount.is_root(&here.dentry) {
                break;
            }
            match here.mount.covers() {
                Some(below) => here = below,
                None => return here,
            }
        }
        if let Some(parent) = here.dentry.parent() {
            here.dentry = parent;
        }
        here.topmost()
    }

    /// What is seen at this place: the root of the topmost mount on it.
    pub(crate) fn topmost(mut self) -> Location {
        while self.dentry.is_mounted_on() {
            match self.mount.child_on(&self.dentry) {
                Some(mount) => {
                    self.dentry = mount.root.clone();
                    self.mount = mount;
                }
                None => break,
            }
        }
        self
    }

    /// Mounts a volume here; returns its root. Directories take directories; names that are not remembered take none.
    pub fn attach(
        &self,
        volume: Arc<Volume>,
        flags: MountFlags,
        devices: Option<Arc<Devices>>,
    ) -> Result<Location, Error> {
        let root = volume.root().clone();
        self.put_on(Arc::new(Mount::new(volume, root, flags, devices)))
    }

    /// Makes the part of a tree that starts at `source` visible here as well; returns its root here.
    pub fn bind(&self, source: &Location, flags: MountFlags) -> Result<Location, Error> {
        let mut mount = source.mount.with_rights(
            source.dentry.clone(),
            source.mount.rights,
            &Tenure::FOREVER,
        )?;
        mount.flags |= flags;
        self.put_on(Arc::new(mount))
    }

    fn put_on(&self, mount: Arc<Mount>) -> Result<Location, Error> {
        let here = self.clone().topmost();
        let directory = FileKind::Directory;
        match (here.kind() == directory, mount.root.kind() == directory) {
            (true, true) | (false, false) => {}
            _ => return Err(Error::NotDirectory),
        }
        if here.dentry.is_deleted() {
            return Err(Error::NotFound);
        }
        let remembered = here
            .dentry
            .parent()
            .is_none_or(|parent| parent.inode().remembers_names());
        if !remembered {
            return Err(Error::Busy);
        }
        mount.cover(&here)?;
        Ok(mount.root())
    }

    /// Takes away the mount whose root this is. `Invalid` if it is no root of a mount, or the top of the tree. `Busy`
    /// while anything in it is used or mounted on, unless `lazy`: then it disappears, and ends with its last user.
    pub fn detach(self, lazy: bool) -> Result<(), Error> {
        let Location { mount, dentry } = self;
        if !mount.is_root(&dentry) || mount.covers.lock().is_none() {
            return Err(Error::Invalid);
        }
        drop(dentry);
        // One reference here and one in the list of the mount below.
        if !lazy && (Arc::strong_count(&mount) > 2 || !mount.children.read(Vec::is_empty)) {
            return Err(Error::Busy);
        }
        mount.detach();
        Ok(())
    }
}
