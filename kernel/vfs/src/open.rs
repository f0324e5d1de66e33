//! Opening: from a path to a [`Description`].
//!
//! The one idea: a walk ends at a place; whether it may be opened is checked there, once, whatever led to it. Making a
//! file that is not there happens in between, under the gate of its directory. Rules: open(2).

use crate::confine::file_rights;
use crate::credentials::Access;
use crate::dentry::Dentry;
use crate::description::Description;
use crate::device::DeviceKind;
use crate::file::{File, OpenFlags, OpenRequest};
use crate::inode::NewKind;
use crate::metadata::{Change, FileKind};
use crate::mount::{Location, MountFlags};
use crate::view::{View, check_access};
use crate::walk::{Last, Walker, look_up_gated};
use abi::Error;
use alloc::format;
use alloc::sync::Arc;
use object::{Sink, Source};

impl View<'_> {
    /// Opens what `path` names.
    ///
    /// Opening a named pipe may be incomplete: see [`Description::opening`].
    pub fn open(&self, path: &[u8], request: &OpenRequest<'_>) -> Result<Arc<Description>, Error> {
        self.describe(path, request).map(Arc::new)
    }

    /// As [`View::open`], before it is shared.
    pub(crate) fn describe(
        &self,
        path: &[u8],
        request: &OpenRequest<'_>,
    ) -> Result<Description, Error> {
        let request = &normal(request)?;
        if request.flags.contains(OpenFlags::NAMELESS) {
            return self.open_nameless(path, request);
        }
        let creates = request.flags.contains(OpenFlags::CREATE);
        let mut walk = Walker::new(self, path)?;
        let mut made = false;
        loop {
            match walk.reach_last()? {
                Last::Name => {
                    let child = if creates {
                        if walk.slash() {
                            return Err(Error::IsDirectory);
                        }
                        let (child, new) = self.find_or_make(&walk, request)?;
                        made = new;
                        child
                    } else {
                        walk.child()?.ok_or(Error::NotFound)?
                    };
                    if child.kind() == FileKind::Symlink
                        && (walk.slash() || !request.flags.contains(OpenFlags::NO_FOLLOW))
                    {
                        walk.follow(child)?;
                        continue;
                    }
                    walk.enter(child);
                }
                Last::DotDot => walk.up(),
                Last::Dot | Last::Here => {}
            }
            break;
        }
        if creates && !made && request.flags.contains(OpenFlags::EXCLUSIVE) {
            return Err(Error::Exists);
        }
        let directory = walk.directory().kind() == FileKind::Directory;
        if creates && directory {
            return Err(Error::IsDirectory);
        }
        if walk.slash() && !directory {
            return Err(Error::NotDirectory);
        }
        self.open_checked(walk.here(), request, made)
    }

    /// Opens a place that is already known, as if a path had led there.
    pub fn open_location(
        &self,
        location: Location,
        request: &OpenRequest<'_>,
    ) -> Result<Arc<Description>, Error> {
        self.describe_location(location, request).map(Arc::new)
    }

    /// As [`View::open_location`], before it is shared.
    pub(crate) fn describe_location(
        &self,
        location: Location,
        request: &OpenRequest<'_>,
    ) -> Result<Description, Error> {
        self.open_checked(location, &normal(request)?, false)
    }

    /// What the last name leads to, made if it is missing; and whether it was made.
    fn find_or_make(
        &self,
        walk: &Walker<'_>,
        request: &OpenRequest<'_>,
    ) -> Result<(Arc<Dentry>, bool), Error> {
        let exclusive = request.flags.contains(OpenFlags::EXCLUSIVE);
        let found = |child| {
            if exclusive {
                Err(Error::Exists)
            } else {
                Ok((child, false))
            }
        };
        // The usual case, without the gate.
        if let Some(child) = walk.child()? {
            return found(child);
        }
        let _gate = walk.directory().gate.lock();
        if let Some(child) = look_up_gated(walk.mount(), walk.directory(), walk.name())? {
            return found(child);
        }
        // Its maker need not be allowed what its mode says, but no more than the mount grants.
        walk.mount().check_rights(file_rights(request.access))?;
        let child = self.make_gated(walk, NewKind::File, request.mode, request.now)?;
        Ok((child, true))
    }

    /// A file without a name, in the directory that `path` names.
    fn open_nameless(&self, path: &[u8], request: &OpenRequest<'_>) -> Result<Description, Error> {
        if !request.access.contains(Access::WRITE) {
            return Err(Error::Invalid);
        }
        let directory = self.locate(path, true)?;
        if directory.kind() != FileKind::Directory {
            return Err(Error::NotDirectory);
        }
        self.check_new_name(&directory.mount, &directory.dentry)?;
        directory.mount.check_rights(file_rights(request.access))?;
        let new = self.new_inode(directory.inode(), NewKind::File, request.mode, request.now)?;
        let inode = directory.inode().create_nameless(&new)?;
        let title = format!("#{}", inode.number()).into_bytes();
        let dentry = Dentry::below(directory.dentry, Arc::from(title), inode);
        dentry.mark_deleted();
        let location = Location {
            mount: directory.mount,
            dentry,
        };
        self.open_checked(location, request, true)
    }

    fn open_checked(
        &self,
        location: Location,
        request: &OpenRequest<'_>,
        made: bool,
    ) -> Result<Description, Error> {
        let OpenRequest { access, flags, .. } = *request;
        let kind = location.kind();
        if flags.contains(OpenFlags::DIRECTORY) && kind != FileKind::Directory {
            return Err(Error::NotDirectory);
        }
        if flags.contains(OpenFlags::PATH_ONLY) {
            return Ok(Description::at(
                Arc::new(PathOnly),
                location,
                request,
                self.credentials,
                None,
            ));
        }
        let cuts = flags.contains(OpenFlags::TRUNCATE);
        match kind {
            FileKind::Symlink => return Err(Error::Loop),
            FileKind::Directory if cuts || access.contains(Access::WRITE) => {
                return Err(Error::IsDirectory);
            }
            FileKind::Socket => return Err(Error::NoDevice),
            _ => {}
        }
        if !made {
            let wanted = if cuts { access | Access::WRITE } else { access };
            check_access(self.credentials, &location.mount, location.inode(), wanted)?;
        }
        let no_access_time = flags.contains(OpenFlags::NO_ACCESS_TIME);
        if no_access_time && !self.credentials.owns(location.inode().permissions().uid) {
            return Err(Error::Forbidden);
        }
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let writes = kind == FileKind::File && (cuts || access.contains(Access::WRITE));
        let writing = match location.inode().pages().filter(|_| writes) {
            Some(pages) => Some(pages.begin_writing()?),
            None => None,
        };
        if cuts && !made && kind == FileKind::File {
            location.inode().change(&Change {
                size: Some(0),
                now: request.now,
                ..Change::default()
            })?;
        }
        let file = open_file(&location, request)?;
        Ok(Description::at(
            file,
            location,
            request,
            self.credentials,
            writing,
        ))
    }
}

/// The request as it is meant: of a path-only request nothing but the place counts.
fn normal<'a>(request: &OpenRequest<'a>) -> Result<OpenRequest<'a>, Error> {
    let mut request = *request;
    if request.flags.contains(OpenFlags::PATH_ONLY) {
        request.flags &= OpenFlags::PATH_ONLY | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW;
        request.access = Access::empty();
    }
    let creates = request.flags.contains(OpenFlags::CREATE);
    if creates && request.flags.contains(OpenFlags::DIRECTORY) {
        return Err(Error::Invalid);
    }
    if creates && request.flags.contains(OpenFlags::EXCLUSIVE) {
        request.flags |= OpenFlags::NO_FOLLOW;
    }
    Ok(request)
}

/// The file behind an inode, or behind the device that its node leads to.
fn open_file(location: &Location, request: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
    let inode = location.inode();
    let kind = match location.kind() {
        FileKind::CharacterDevice => DeviceKind::Character,
        FileKind::BlockDevice => DeviceKind::Block,
        _ => return inode.clone().open(request),
    };
    let devices = location.mount.devices().ok_or(Error::Denied)?;
    devices.open(kind, inode.metadata().device, request)
}

/// The file of a path-only description: a place and nothing else.
struct PathOnly;

impl File for PathOnly {
    fn try_read(&self, _: u64, _: &mut dyn Sink) -> Result<usize, Error> {
        Err(Error::BadHandle)
    }

    fn try_write(&self, _: u64, _: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        Err(Error::BadHandle)
    }
}

/// Whether programs may be run from here, and with which identities: for whoever executes it.
pub fn honours_set_id(location: &Location) -> bool {
    !location.mount.flags().contains(MountFlags::NO_SET_ID)
}
