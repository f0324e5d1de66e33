//! Files as native programs see them: a [`Description`] behind a handle.
//!
//! The one idea: the object that a Linux descriptor refers to and the one that a native handle refers to are the same. A
//! directory opened by handle is the root of everything opened through it: paths, links and `..` never leave it. Who
//! holds the handle is its owner (uid 0 inside it); rights, not mode bits, say what they may do.

use crate::credentials::{Access, Credentials};
use crate::description::Description;
use crate::file::{OpenFlags, OpenRequest};
use crate::inode::RenameFlags;
use crate::metadata::{FileKind, Time};
use crate::mount::Location;
use crate::view::View;
use abi::{Error, Kind, Rights};
use alloc::sync::Arc;
use object::{Field, Handle, Object, Opened, Records, Sink, Source, Type, Verb};
use task::Readiness;
use value::{Builder, Document, Element, Value};

impl FileKind {
    /// The kind of the object that such a file is.
    pub const fn object_kind(self) -> Kind {
        match self {
            FileKind::File => Kind::File,
            FileKind::Directory => Kind::Directory,
            FileKind::Symlink => Kind::Link,
            FileKind::Fifo => Kind::Pipe,
            FileKind::CharacterDevice | FileKind::BlockDevice => Kind::Device,
            FileKind::Socket => Kind::Socket,
        }
    }
}

/// What can be asked of everything that was opened at a path.
const VERBS: &[Verb] = &[
    Verb::new(
        "remove",
        Rights::DELETE,
        "removes the file or empty directory",
    ),
    Verb::new("rename", Rights::DELETE, "gives it another path").takes(&[Field::new(
        "to",
        Type::Text,
    )
    .about("a path from the directory it was opened through")]),
];

/// A directory as the root of a `file:` registry.
pub fn directory(location: Location) -> Result<Arc<Description>, Error> {
    if location.kind() != FileKind::Directory {
        return Err(Error::NotDirectory);
    }
    Within::new(&location).open(b".", Rights::LIST, OpenFlags::DIRECTORY)
}

/// Everything below a directory, for whoever holds a handle to it.
struct Within<'a> {
    root: &'a Location,
    owner: Credentials,
    now: Time,
}

impl<'a> Within<'a> {
    fn new(root: &'a Location) -> Within<'a> {
        Within {
            root,
            owner: Credentials::root(),
            now: Time::from_nanoseconds(task::clock::wall()),
        }
    }

    fn view(&self) -> View<'_> {
        self.view_from(self.root)
    }

    fn view_from<'s>(&'s self, start: &'s Location) -> View<'s> {
        View {
            root: self.root,
            start,
            credentials: &self.owner,
        }
    }

    fn open(
        &self,
        path: &[u8],
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Arc<Description>, Error> {
        let mut request = OpenRequest {
            access: access_for(rights),
            flags,
            mode: 0o644,
            now: self.now,
            terminal: None,
        };
        let view = self.view();
        let creates = flags.contains(OpenFlags::CREATE);
        if flags.contains(OpenFlags::DIRECTORY) {
            if creates {
                match view.make_directory(path, 0o755, self.now) {
                    Err(Error::Exists) if !flags.contains(OpenFlags::EXCLUSIVE) => {}
                    made => drop(made?),
                }
            }
            request.flags = flags & OpenFlags::NO_FOLLOW | OpenFlags::DIRECTORY;
        }
        let follow = !flags.contains(OpenFlags::NO_FOLLOW);
        if !creates || flags.contains(OpenFlags::DIRECTORY) {
            let there = view.locate(path, follow)?;
            if there.kind() == FileKind::Directory {
                // What is done with a directory needs no access to the directory as a file.
                request.access = Access::READ;
            }
            let describes = request.access.is_empty() || there.kind() == FileKind::Symlink;
            request.flags.set(OpenFlags::PATH_ONLY, describes);
            return Ok(view.describe_location(there, &request)?.below(self.root));
        }
        Ok(view.describe(path, &request)?.below(self.root))
    }

    /// A view from the directory that holds the name of `place`, and the name.
    fn holder(&self, place: &Location) -> Result<(Location, Arc<[u8]>), Error> {
        if place.dentry.is_deleted() {
            return Err(Error::NotFound);
        }
        if place.is(self.root) || place.mount.is_root(&place.dentry) {
            return Err(Error::Busy);
        }
        let name = place.dentry.name();
        Ok((place.parent(self.root), name))
    }

    fn remove(&self, place: &Location) -> Result<(), Error> {
        let (holder, name) = self.holder(place)?;
        let view = self.view_from(&holder);
        if place.kind() == FileKind::Directory {
            view.remove_directory(&name, self.now)
        } else {
            view.unlink(&name, self.now)
        }
    }

    fn rename(&self, place: &Location, to: &str) -> Result<(), Error> {
        let (holder, name) = self.holder(place)?;
        let from = self.view_from(&holder);
        from.rename(
            &name,
            &self.view(),
            to.as_bytes(),
            RenameFlags::empty(),
            self.now,
        )
    }
}

/// The access to a file that rights stand for.
fn access_for(rights: Rights) -> Access {
    let mut access = Access::empty();
    access.set(Access::READ, rights.intersects(Rights::READ | Rights::MAP));
    access.set(Access::WRITE, rights.contains(Rights::WRITE));
    access.set(Access::EXECUTE, rights.contains(Rights::EXECUTE));
    access
}

impl Object for Description {
    fn kind(&self) -> Kind {
        Description::kind(self).object_kind()
    }

    fn open<'p>(
        &self,
        path: &'p str,
        rights: Rights,
        flags: abi::OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        if Description::kind(self) != FileKind::Directory {
            return Err(Error::NotDirectory);
        }
        let root = self.location().ok_or(Error::NotDirectory)?;
        let path = if path.is_empty() { "." } else { path };
        let opened = Within::new(root).open(path.as_bytes(), rights, flags_for(flags))?;
        Ok(Handle::new(opened, rights).into())
    }

    fn try_read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if Description::kind(self) == FileKind::Directory {
            return self.read_records(offset, sink);
        }
        match offset {
            abi::NEXT => self.read(sink),
            _ => self.read_at(offset, sink),
        }
    }

    fn try_write(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        match offset {
            abi::NEXT => self.write(source),
            abi::END => self.append(source),
            _ => self.write_at(offset, source),
        }
    }

    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        let own = self.file().verbs().iter().any(|known| known.name == verb);
        if own {
            return self.file().request(verb, argument);
        }
        let place = self.location().ok_or(Error::NotFound)?;
        // Opened by a Linux program: its root is not known here, and other paths mean nothing.
        let within = Within::new(self.root().ok_or(Error::Denied)?);
        match verb {
            "remove" => within.remove(place)?,
            "rename" => within.rename(place, argument.string("to").ok_or(Error::Invalid)?)?,
            _ => return Err(Error::NotFound),
        }
        Ok(Value::default())
    }

    fn readiness(&self) -> Option<&Readiness> {
        Description::readiness(self)
    }

    fn describe(&self, into: &mut Builder) {
        let about = self.metadata();
        let nanoseconds = i128::from(about.modified.seconds) * 1_000_000_000
            + i128::from(about.modified.nanoseconds);
        into.put("inode", about.inode)
            .put("size", about.size)
            .put("mode", u32::from(about.mode))
            .put("links", about.links)
            .put("owner", about.uid)
            .put("group", about.gid)
            .put("modified", u64::try_from(nanoseconds).unwrap_or(0));
        if Description::kind(self) == FileKind::Symlink
            && let Some(target) = self.inode().and_then(|inode| inode.read_link().ok())
        {
            into.put("target", Element::text_or_bytes(&target));
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        match self.file().verbs() {
            [] if self.location().is_some() => VERBS,
            own => own,
        }
    }
}

impl Description {
    /// The entries of a directory from `offset` on, each a value.
    fn read_records(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let place = self.location().ok_or(Error::NotDirectory)?;
        // Offsets are those of the inode, without `.` and `..`; a shared position would serve nobody.
        let cookie = if offset == abi::NEXT {
            return Err(Error::Invalid);
        } else {
            offset
        };
        let mut records = Records::new(sink);
        let mut failed = None;
        place.inode().list(cookie, &mut |entry| {
            let put = records.put(entry.next, |record| {
                record
                    .put("name", Element::text_or_bytes(entry.name))
                    .put("kind", entry.kind.object_kind().name())
                    .put("inode", entry.inode);
            });
            put.unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(records.done()),
        }
    }
}

/// The same flags by their names here.
fn flags_for(flags: abi::OpenFlags) -> OpenFlags {
    [
        (abi::OpenFlags::CREATE, OpenFlags::CREATE),
        (abi::OpenFlags::EXCLUSIVE, OpenFlags::EXCLUSIVE),
        (abi::OpenFlags::TRUNCATE, OpenFlags::TRUNCATE),
        (abi::OpenFlags::APPEND, OpenFlags::APPEND),
        (abi::OpenFlags::DIRECTORY, OpenFlags::DIRECTORY),
        (abi::OpenFlags::NO_FOLLOW, OpenFlags::NO_FOLLOW),
        (abi::OpenFlags::NON_BLOCKING, OpenFlags::NON_BLOCKING),
    ]
    .into_iter()
    .filter(|(theirs, _)| flags.contains(*theirs))
    .fold(OpenFlags::empty(), |all, (_, ours)| all | ours)
}
