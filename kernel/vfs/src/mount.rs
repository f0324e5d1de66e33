//! Mounts, and locations: a place in the tree that somebody sees.
//!
//! The one idea: a [`Location`] is a dentry seen through a mount. The same directory may be seen through several mounts;
//! only the pair says what `..` means, whether writing is allowed, and which devices its nodes lead to. A mount tree
//! has no owner: it lives as long as somebody holds a location in its topmost mount.

use crate::dentry::Dentry;
use crate::device::Devices;
use crate::inode::Inode;
use crate::metadata::{FileKind, Metadata};
use crate::volume::Volume;
use abi::Error;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;

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
    devices: Option<Arc<Devices>>,
    number: u64,
    /// What it covers; `None` for the top of a tree and after unmounting.
    covers: Spin<Option<(Weak<Mount>, Arc<Dentry>)>>,
    children: Spin<Vec<(Arc<Dentry>, Arc<Mount>)>>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Mount {
    fn new(
        volume: Arc<Volume>,
        root: Arc<Dentry>,
        flags: MountFlags,
        devices: Option<Arc<Devices>>,
    ) -> Arc<Mount> {
        Arc::new(Mount {
            volume,
            root,
            flags,
            devices,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            covers: Spin::new(None),
            children: Spin::new(Vec::new()),
        })
    }

    /// Starts a tree with the root of `volume`. Device nodes lead to `devices`, or nowhere.
    pub fn tree(volume: Arc<Volume>, flags: MountFlags, devices: Option<Arc<Devices>>) -> Location {
        let root = volume.root().clone();
        Location {
            dentry: root.clone(),
            mount: Mount::new(volume, root, flags, devices),
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
        let children = self.children.lock();
        children.iter().map(|(_, mount)| mount.clone()).collect()
    }

    /// `ReadOnly` if it forbids changes.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        if self.flags.contains(MountFlags::READ_ONLY) {
            Err(Error::ReadOnly)
        } else {
            Ok(())
        }
    }

    pub(crate) fn is_root(&self, dentry: &Arc<Dentry>) -> bool {
        Arc::ptr_eq(&self.root, dentry)
    }

    /// The mount that covers `dentry` here.
    pub(crate) fn child_on(&self, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        let children = self.children.lock();
        children
            .iter()
            .find(|(place, _)| Arc::ptr_eq(place, dentry))
            .map(|(_, mount)| mount.clone())
    }

    fn detach(self: &Arc<Mount>) {
        let covers = self.covers.lock().take();
        if let Some((parent, dentry)) = covers {
            dentry.discount_mount();
            if let Some(parent) = parent.upgrade() {
                let mut children = parent.children.lock();
                let place = children
                    .iter()
                    .position(|(_, mount)| Arc::ptr_eq(mount, self));
                let removed = place.map(|place| children.remove(place));
                drop(children);
                drop(removed);
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
        self.put_on(Mount::new(volume, root, flags, devices))
    }

    /// Makes the part of a tree that starts at `source` visible here as well; returns its root here.
    pub fn bind(&self, source: &Location, flags: MountFlags) -> Result<Location, Error> {
        self.put_on(Mount::new(
            source.mount.volume.clone(),
            source.dentry.clone(),
            flags | source.mount.flags,
            source.mount.devices.clone(),
        ))
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
        let mut children = here.mount.children.lock();
        if children
            .iter()
            .any(|(place, _)| Arc::ptr_eq(place, &here.dentry))
        {
            return Err(Error::Busy);
        }
        here.dentry.count_mount();
        *mount.covers.lock() = Some((Arc::downgrade(&here.mount), here.dentry.clone()));
        children.push((here.dentry.clone(), mount.clone()));
        drop(children);
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
        if !lazy && (Arc::strong_count(&mount) > 2 || !mount.children.lock().is_empty()) {
            return Err(Error::Busy);
        }
        mount.detach();
        Ok(())
    }
}
