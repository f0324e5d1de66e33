//! The directories and files of `/sys/fs/cgroup`.

use super::files::{KINDS, Kind};
use super::hierarchy::{Cgroup, Hierarchy};
use super::own;
use crate::shown::{self, Shown, Text};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::Source;
use vfs::{
    Change, Create, Entry, File, FileKind, FileSystem, Inode, Metadata, NewKind, OpenRequest,
    Permissions, Statistics, Time,
};

/// `CGROUP2_SUPER_MAGIC`.
const MAGIC: u64 = 0x6367_7270;

/// The longest text that can be written at once, in bytes.
const LONGEST: usize = machine::PAGE;

/// The file system: whoever looks at its root sees its own.
pub struct CgroupFs {
    root: Arc<dyn Inode>,
}

impl CgroupFs {
    pub fn new() -> Arc<CgroupFs> {
        Arc::new(CgroupFs {
            root: Arc::new(Node::Root),
        })
    }
}

impl FileSystem for CgroupFs {
    fn name(&self) -> &'static str {
        "cgroup2"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statistics(&self) -> Statistics {
        shown::statistics(MAGIC)
    }
}

/// Everything that there is.
enum Node {
    /// The root of whoever asks.
    Root,
    Directory(Place),
    File(Place, &'static Kind, u64),
}

/// A cgroup in its hierarchy.
#[derive(Clone)]
struct Place {
    hierarchy: Arc<Hierarchy>,
    cgroup: Arc<Cgroup>,
}

impl Node {
    /// The cgroup of a directory.
    fn place(&self) -> Result<Place, Error> {
        match self {
            Node::Root => {
                let hierarchy = own().ok_or(Error::NotFound)?;
                let cgroup = hierarchy.root().clone();
                Ok(Place { hierarchy, cgroup })
            }
            Node::Directory(place) if place.cgroup.is_removed() => Err(Error::NotFound),
            Node::Directory(place) => Ok(place.clone()),
            Node::File(..) => Err(Error::NotDirectory),
        }
    }

    /// What has an owner and a mode: the cgroup, its part, and the mode that this has at first.
    fn part(&self) -> Result<(Arc<Cgroup>, u64, u16), Error> {
        match self {
            Node::File(place, kind, index) => Ok((place.cgroup.clone(), 1 + index, kind.mode())),
            _ => Ok((self.place()?.cgroup, 0, 0)),
        }
    }

    fn inode(&self) -> u64 {
        match self {
            Node::Root => 1,
            Node::Directory(place) => place.cgroup.number(),
            Node::File(place, _, index) => place.cgroup.number() + 1 + index,
        }
    }
}

/// The files that a cgroup has, with their indices.
fn files(cgroup: &Cgroup) -> impl Iterator<Item = (u64, &'static Kind)> {
    let all = (0..).zip(KINDS);
    all.filter(|(_, kind)| kind.belongs_to(cgroup))
}

impl Inode for Node {
    fn kind(&self) -> FileKind {
        match self {
            Node::Root | Node::Directory(_) => FileKind::Directory,
            Node::File(..) => FileKind::File,
        }
    }

    fn metadata(&self) -> Metadata {
        let mut metadata = Metadata {
            inode: self.inode(),
            mode: 0o555,
            ..Metadata::nameless(self.kind())
        };
        if let Ok((cgroup, part, mode)) = self.part() {
            let permissions = cgroup.permissions(part, mode);
            metadata.mode = permissions.mode;
            (metadata.uid, metadata.gid) = (permissions.uid, permissions.gid);
            if part == 0 {
                metadata.links = 2 + cgroup.children().len() as u32;
            }
        }
        metadata
    }

    /// Owners and modes, so that a part of the tree can be left to somebody. A file that is written is cut before, which
    /// means nothing, as it has no size.
    fn change(&self, change: &Change) -> Result<(), Error> {
        if change.size.is_some_and(|size| size != 0) {
            return Err(Error::Invalid);
        }
        if (change.mode, change.uid, change.gid) == (None, None, None) {
            return Ok(());
        }
        let (cgroup, part, mode) = self.part()?;
        let mut permissions = cgroup.permissions(part, mode);
        permissions.mode = change.mode.unwrap_or(permissions.mode);
        permissions.uid = change.uid.unwrap_or(permissions.uid);
        permissions.gid = change.gid.unwrap_or(permissions.gid);
        cgroup.set_permissions(part, permissions);
        Ok(())
    }

    /// The root is another one for whoever asks, and files come with controllers.
    fn remembers_names(&self) -> bool {
        false
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Error> {
        let place = self.place()?;
        if let Some(cgroup) = place.cgroup.child(name) {
            let hierarchy = place.hierarchy;
            return Ok(Arc::new(Node::Directory(Place { hierarchy, cgroup })));
        }
        let mut files = files(&place.cgroup);
        let (index, kind) = files
            .find(|(_, kind)| kind.name.as_bytes() == name)
            .ok_or(Error::NotFound)?;
        drop(files);
        Ok(Arc::new(Node::File(place, kind, index)))
    }

    /// Only cgroups are made.
    fn create(&self, name: &[u8], new: &Create<'_>) -> Result<Arc<dyn Inode>, Error> {
        match new.kind {
            NewKind::Directory => {}
            NewKind::File | NewKind::Content(_) => return Err(Error::Denied),
            _ => return Err(Error::Forbidden),
        }
        let Place { hierarchy, cgroup } = self.place()?;
        if name.contains(&b'\n') {
            return Err(Error::Invalid);
        }
        if KINDS.iter().any(|kind| kind.name.as_bytes() == name) {
            return Err(Error::Exists);
        }
        let made = Permissions {
            mode: new.mode,
            uid: new.uid,
            gid: new.gid,
        };
        let cgroup = hierarchy.create(&cgroup, name, made)?;
        Ok(Arc::new(Node::Directory(Place { hierarchy, cgroup })))
    }

    fn rmdir(&self, name: &[u8], _: Time) -> Result<(), Error> {
        let Place { hierarchy, cgroup } = self.place()?;
        hierarchy.remove(&cgroup, name)
    }

    fn list(&self, cookie: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<u64, Error> {
        // A cookie is 1 + a key: the inode number, of which files have lower ones than the next cgroup.
        let place = self.place()?;
        let mut entries: Vec<(u64, Vec<u8>, FileKind)> = files(&place.cgroup)
            .map(|(index, kind)| (index, kind.name.as_bytes().into(), FileKind::File))
            .collect();
        for child in place.cgroup.children() {
            entries.push((child.number(), child.name().into(), FileKind::Directory));
        }
        entries.sort_by_key(|entry| entry.0);
        let mut next = cookie;
        for (key, name, kind) in entries {
            if key < cookie {
                continue;
            }
            let inode = match kind {
                FileKind::File => place.cgroup.number() + 1 + key,
                _ => key,
            };
            let entry = Entry {
                name: &name,
                inode,
                kind,
                next: key + 1,
            };
            if !visit(&entry) {
                break;
            }
            next = key + 1;
        }
        Ok(next)
    }

    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Ok(Text::new(self))
    }
}

impl Shown for Node {
    fn shown(&self) -> Result<Vec<u8>, Error> {
        let Node::File(place, kind, _) = self else {
            return Err(Error::IsDirectory);
        };
        if place.cgroup.is_removed() {
            return Err(Error::NoDevice);
        }
        Ok((kind.read)(&place.cgroup).into_bytes())
    }

    fn take(&self, source: &mut dyn Source) -> Result<usize, Error> {
        let Node::File(place, kind, _) = self else {
            return Err(Error::IsDirectory);
        };
        let set = kind.write.ok_or(Error::Invalid)?;
        let mut bytes = alloc::vec![0; LONGEST + 1];
        let count = source.take(&mut bytes);
        if count > LONGEST {
            return Err(Error::ArgumentsTooLong);
        }
        let text = bytes.get(..count).unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|_| Error::Invalid)?;
        set(&place.hierarchy, &place.cgroup, text)?;
        Ok(count)
    }
}
