//! A view: where somebody stands in a tree, how far up they may go, and who they are. All path operations start here.
//!
//! The one idea: there is no global root. A path means something only in a view, and `..` never leaves its root.
//! This file looks things up; [`crate::open`], [`crate::make`], [`crate::remove`] and [`crate::rename`] add the rest.

use crate::credentials::{Access, Credentials};
use crate::metadata::{FileKind, Metadata};
use crate::mount::{Location, Mount};
use crate::walk::{Last, Walker};
use abi::Error;
use alloc::vec::Vec;

/// From where, and by whom, a path is walked.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What `/` means.
    pub root: &'a Location,
    /// Where a path without a leading `/` starts.
    pub start: &'a Location,
    /// Who asks.
    pub credentials: &'a Credentials,
}

impl<'a> View<'a> {
    /// The place that a path names, which must be there. A symbolic link at the end is followed if `follow` says so,
    /// or if slashes come after it.
    pub fn locate(&self, path: &[u8], follow: bool) -> Result<Location, Error> {
        Ok(self.find(path, follow)?.here())
    }

    /// What `stat` (or, without `follow`, `lstat`) tells of a path.
    pub fn metadata(&self, path: &[u8], follow: bool) -> Result<Metadata, Error> {
        let found = self.find(path, follow)?;
        Ok(Metadata {
            volume: found.mount().volume().number(),
            ..found.directory().inode().metadata()
        })
    }

    /// Whether the caller may do all of `wanted` with what the path names. Nothing wanted: it is there.
    pub fn check(&self, path: &[u8], wanted: Access, follow: bool) -> Result<(), Error> {
        let found = self.find(path, follow)?;
        check_access(
            self.credentials,
            found.mount(),
            found.directory().inode(),
            wanted,
        )
    }

    /// The path that a symbolic link stands for. `Invalid` if it is none.
    pub fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        self.find(path, false)?.directory().inode().read_link()
    }

    /// A walk that has arrived at what `path` names.
    fn find<'w>(&'w self, path: &'w [u8], follow: bool) -> Result<Walker<'w>, Error> {
        let mut walk = Walker::new(self, path)?;
        loop {
            match walk.reach_last()? {
                Last::Name => {
                    let child = walk.child()?.ok_or(Error::NotFound)?;
                    if child.kind() == FileKind::Symlink && (follow || walk.slash()) {
                        walk.follow(child)?;
                        continue;
                    }
                    walk.enter(child);
                }
                Last::DotDot => walk.up(),
                Last::Dot | Last::Here => {}
            }
            if walk.slash() && walk.directory().kind() != FileKind::Directory {
                return Err(Error::NotDirectory);
            }
            return Ok(walk);
        }
    }
}

/// Whether mode bits and mount allow `wanted` on an inode.
pub(crate) fn check_access(
    credentials: &Credentials,
    mount: &Mount,
    inode: &alloc::sync::Arc<dyn crate::inode::Inode>,
    wanted: Access,
) -> Result<(), Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    mount.check_open(inode, wanted)?;
    let directory = inode.kind() == FileKind::Directory;
    credentials.check(inode.permissions(), wanted, directory)
}
