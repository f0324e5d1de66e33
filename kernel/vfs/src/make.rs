//! New names: files, directories, links, nodes.
//!
//! The one idea: a name is made under the gate of its directory, so that looking it up and making it are one step; the
//! cache learns of it before anybody else can ask.

use crate::credentials::Access;
use crate::dentry::Dentry;
use crate::inode::{Create, Inode, NewKind};
use crate::metadata::{FileKind, Time, mode};
use crate::mount::{Location, Mount};
use crate::view::View;
use crate::walk::{Last, PATH_MAX, Walker, look_up_gated};
use abi::{Error, Rights};
use alloc::sync::Arc;

impl View<'_> {
    /// Makes something new at `path`. `Exists` if the name is taken, be it by a link that leads nowhere.
    ///
    /// `bits` are the permission bits with the creator's mask applied. The owner is the caller; the group is the
    /// caller's, or the directory's if that has the set-gid bit.
    pub fn make(
        &self,
        path: &[u8],
        kind: NewKind<'_>,
        bits: u16,
        now: Time,
    ) -> Result<Location, Error> {
        if let NewKind::Symlink(target) = kind {
            match target.len() {
                0 => return Err(Error::NotFound),
                PATH_MAX.. => return Err(Error::NameTooLong),
                _ => {}
            }
        }
        let mut walk = Walker::new(self, path)?;
        if walk.reach_last()? != Last::Name {
            return Err(Error::Exists);
        }
        let only_directories = walk.slash() && kind.kind() != FileKind::Directory;
        let child = self.make_at(&walk, kind, bits, now, only_directories)?;
        walk.enter(child);
        Ok(walk.here())
    }

    /// Makes a directory.
    pub fn make_directory(&self, path: &[u8], bits: u16, now: Time) -> Result<Location, Error> {
        self.make(path, NewKind::Directory, bits, now)
    }

    /// Makes a symbolic link at `path` to `target`.
    pub fn make_symlink(&self, target: &[u8], path: &[u8], now: Time) -> Result<Location, Error> {
        self.make(path, NewKind::Symlink(target), 0o777, now)
    }

    /// Makes `path` another name of `target`, which is no directory and in the same mount.
    pub fn link(&self, target: &Location, path: &[u8], now: Time) -> Result<(), Error> {
        let mut walk = Walker::new(self, path)?;
        if walk.reach_last()? != Last::Name {
            return Err(Error::Exists);
        }
        let directory = walk.directory();
        let _gate = directory.gate.lock();
        free_name(&walk, walk.slash())?;
        if !Arc::ptr_eq(walk.mount(), target.mount()) {
            return Err(Error::CrossDevice);
        }
        self.check_new_name(walk.mount(), directory)?;
        if target.kind() == FileKind::Directory {
            return Err(Error::Forbidden);
        }
        directory.inode().link(walk.name(), target.inode(), now)?;
        remember(walk.mount(), directory, walk.name(), target.inode().clone());
        Ok(())
    }

    /// Makes the last name of a walk. The gate is taken here.
    pub(crate) fn make_at(
        &self,
        walk: &Walker<'_>,
        kind: NewKind<'_>,
        bits: u16,
        now: Time,
        only_directories: bool,
    ) -> Result<Arc<Dentry>, Error> {
        let directory = walk.directory();
        let _gate = directory.gate.lock();
        free_name(walk, only_directories)?;
        self.make_gated(walk, kind, bits, now)
    }

    /// Makes the last name of a walk, which is known to be free, under the gate.
    pub(crate) fn make_gated(
        &self,
        walk: &Walker<'_>,
        kind: NewKind<'_>,
        bits: u16,
        now: Time,
    ) -> Result<Arc<Dentry>, Error> {
        let directory = walk.directory();
        self.check_new_name(walk.mount(), directory)?;
        let new = self.new_inode(directory.inode(), kind, bits, now)?;
        let inode = directory.inode().create(walk.name(), &new)?;
        Ok(remember(walk.mount(), directory, walk.name(), inode))
    }

    /// What a new inode below `directory` is like.
    pub(crate) fn new_inode<'k>(
        &self,
        directory: &Arc<dyn Inode>,
        kind: NewKind<'k>,
        bits: u16,
        now: Time,
    ) -> Result<Create<'k>, Error> {
        if matches!(kind, NewKind::CharacterDevice(_) | NewKind::BlockDevice(_))
            && self.credentials.uid != 0
        {
            return Err(Error::Forbidden);
        }
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let above = directory.permissions();
        let mut bits = bits & mode::ALL;
        let mut gid = self.credentials.gid;
        if above.mode & mode::SET_GID != 0 {
            gid = above.gid;
            if kind.kind() == FileKind::Directory {
                bits |= mode::SET_GID;
            } else if bits & mode::GROUP_EXECUTE != 0
                && self.credentials.uid != 0
                && !self.credentials.in_group(gid)
            {
                bits &= !mode::SET_GID;
            }
        }
        Ok(Create {
            kind,
            mode: bits,
            uid: self.credentials.uid,
            gid,
            now,
        })
    }

    /// Whether the caller may make a name here at all.
    pub(crate) fn check_new_name(
        &self,
        mount: &Mount,
        directory: &Arc<Dentry>,
    ) -> Result<(), Error> {
        mount.check_rights(Rights::CREATE)?;
        if directory.is_deleted() {
            return Err(Error::NotFound);
        }
        let wanted = Access::WRITE | Access::EXECUTE;
        self.credentials
            .check(directory.inode().permissions(), wanted, true)
    }
}

/// `Exists` unless the last name of the walk is free. Slashes after a new name are only for directories.
fn free_name(walk: &Walker<'_>, only_directories: bool) -> Result<(), Error> {
    match look_up_gated(walk.mount(), walk.directory(), walk.name())? {
        Some(_) => Err(Error::Exists),
        None if only_directories => Err(Error::NotFound),
        None => Ok(()),
    }
}

/// Gives a name that was just made its dentry. The caller holds the gate.
fn remember(
    mount: &Mount,
    directory: &Arc<Dentry>,
    name: &[u8],
    inode: Arc<dyn Inode>,
) -> Arc<Dentry> {
    let name: Arc<[u8]> = Arc::from(name);
    let dentry = Dentry::below(directory.clone(), name.clone(), inode);
    if directory.inode().remembers_names() {
        mount
            .volume()
            .names
            .set(directory, &name, Some(dentry.clone()));
    }
    dentry
}
