//! A dentry: one name in one directory, and the inode it names.
//!
//! The one idea: for each (directory, name) of a volume there is at most one live dentry, so that a rename moves it and
//! everybody below it with it, and what is mounted on it stays on it. A dentry keeps its parents alive, never its
//! children.

use crate::inode::Inode;
use crate::metadata::FileKind;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use machine::sync::Spin;

/// A name that leads to an inode.
pub struct Dentry {
    inode: Arc<dyn Inode>,
    kind: FileKind,
    place: Spin<Place>,
    deleted: AtomicBool,
    /// How many mounts sit on it, in any mount tree. Zero spares the walk the search.
    mounts: AtomicU32,
    /// Held while names in this directory change, or a missing one is looked up and remembered.
    pub(crate) gate: Spin<()>,
}

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

impl Dentry {
    /// The root of a volume, or a nameless thing that shows this text instead of a path.
    pub(crate) fn root(inode: Arc<dyn Inode>, name: Arc<[u8]>) -> Arc<Dentry> {
        Dentry::new(inode, None, name)
    }

    pub(crate) fn below(
        parent: Arc<Dentry>,
        name: Arc<[u8]>,
        inode: Arc<dyn Inode>,
    ) -> Arc<Dentry> {
        Dentry::new(inode, Some(parent), name)
    }

    fn new(inode: Arc<dyn Inode>, parent: Option<Arc<Dentry>>, name: Arc<[u8]>) -> Arc<Dentry> {
        Arc::new(Dentry {
            kind: inode.kind(),
            inode,
            place: Spin::new(Place { parent, name }),
            deleted: AtomicBool::new(false),
            mounts: AtomicU32::new(0),
            gate: Spin::new(()),
        })
    }

    /// What the name leads to.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// The kind of the inode, without asking it.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// The directory that holds the name; none for the root of a volume.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.lock().parent.clone()
    }

    /// The name itself.
    pub fn name(&self) -> Arc<[u8]> {
        self.place.lock().name.clone()
    }

    /// Whether the name is gone and only its users keep the inode.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    pub(crate) fn is_mounted_on(&self) -> bool {
        self.mounts.load(Ordering::Acquire) != 0
    }

    /// Whether `above` is a directory and `below` is it or lies somewhere in it.
    pub(crate) fn is_above(above: &Arc<Dentry>, below: &Arc<Dentry>) -> bool {
        if above.kind() != FileKind::Directory {
            return false;
        }
        let mut here = Some(below.clone());
        while let Some(dentry) = here {
            if Arc::ptr_eq(&dentry, above) {
                return true;
            }
            here = dentry.parent();
        }
        false
    }

    pub(crate) fn count_mount(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn discount_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }

    /// Gives it another place. The caller holds the gates of both directories, and the volume's lock of moves if
    /// they differ.
    pub(crate) fn relocate(&self, parent: Arc<Dentry>, name: Arc<[u8]>) {
        let old = core::mem::replace(
            &mut *self.place.lock(),
            Place {
                parent: Some(parent),
                name,
            },
        );
        drop(old);
    }
}

impl Drop for Dentry {
    /// Lets go of the parents one after the other: a chain of directories may be deeper than the stack.
    fn drop(&mut self) {
        let mut next = self.place.get_mut().parent.take();
        while let Some(parent) = next {
            next =
                Arc::into_inner(parent).and_then(|mut parent| parent.place.get_mut().parent.take());
        }
    }
}
