//! An inode of the file system: attributes, and what depends on its kind.
//!
//! The one idea: an inode lives as long as a name, an open file or a walk refers to it; dropping the last reference is
//! deleting it.

use crate::content::Content;
use crate::directory::Directory;
use crate::space::Space;
use abi::Error;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use machine::sync::Spin;
use object::{Sink, Source};
use vfs::pipe::Fifo;
use vfs::{
    Change, Create, DeviceNumber, Entry, File, FileKind, Inode, Metadata, NewKind, OpenRequest,
    Permissions, RenameFlags, Time,
};

/// What Linux counts for a name, so that a directory has a size.
const NAME_SIZE: u64 = 20;

pub struct Node {
    pub(crate) space: Arc<Space>,
    number: u64,
    kind: FileKind,
    mode: AtomicU32,
    /// uid in the upper half, gid in the lower.
    owner: AtomicU64,
    pub(crate) times: Spin<Times>,
    pub(crate) body: Body,
}

/// What changes together with the times.
pub(crate) struct Times {
    /// How many names lead here.
    pub links: u32,
    /// Made without a name, and may get one.
    pub nameless: bool,
    pub accessed: Time,
    pub modified: Time,
    pub changed: Time,
    created: Time,
}

pub(crate) enum Body {
    File(Content),
    Directory(Spin<Directory>),
    Symlink(Box<[u8]>),
    Fifo(Fifo),
    Socket,
    Device(DeviceNumber),
}

impl Node {
    /// A new inode with one name, or (a directory) with its own two.
    pub fn new(space: &Arc<Space>, new: &Create<'_>) -> Result<Arc<Node>, Error> {
        let number = space.add_inode()?;
        let body = match new.kind {
            NewKind::File => Body::File(Content::new(&[])),
            NewKind::Content(bytes) => Body::File(Content::new(bytes)),
            NewKind::Directory => Body::Directory(Spin::new(Directory::new(space.seed ^ number))),
            NewKind::Symlink(target) => Body::Symlink(Box::from(target)),
            NewKind::Fifo => Body::Fifo(Fifo::new()),
            NewKind::Socket => Body::Socket,
            NewKind::CharacterDevice(device) | NewKind::BlockDevice(device) => Body::Device(device),
        };
        Ok(Arc::new(Node {
            space: space.clone(),
            number,
            kind: new.kind.kind(),
            mode: AtomicU32::new(u32::from(new.mode)),
            owner: AtomicU64::new(u64::from(new.uid) << 32 | u64::from(new.gid)),
            times: Spin::new(Times {
                links: if matches!(new.kind, NewKind::Directory) {
                    2
                } else {
                    1
                },
                nameless: false,
                accessed: new.now,
                modified: new.now,
                changed: new.now,
                created: new.now,
            }),
            body,
        }))
    }

    pub(crate) fn directory(&self) -> Result<&Spin<Directory>, Error> {
        match &self.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Error::NotDirectory),
        }
    }

    fn content(&self) -> Result<&Content, Error> {
        match &self.body {
            Body::File(content) => Ok(content),
            Body::Directory(_) => Err(Error::IsDirectory),
            _ => Err(Error::Invalid),
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    fn read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let (count, first) = self.content()?.read(offset, sink);
        if first {
            self.times.lock().accessed = (self.space.clock)();
        }
        Ok(count)
    }

    fn write(
        &self,
        offset: u64,
        source: &mut dyn Source,
        append: bool,
    ) -> Result<(usize, u64), Error> {
        let (count, end) = self.content()?.write(&self.space, offset, source, append)?;
        if count != 0 {
            let now = (self.space.clock)();
            let mut times = self.times.lock();
            times.modified = now;
            times.changed = now;
        }
        Ok((count, end))
    }
}

impl Inode for Node {
    fn kind(&self) -> FileKind {
        self.kind
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn permissions(&self) -> Permissions {
        let owner = self.owner.load(Ordering::Relaxed);
        Permissions {
            mode: self.mode.load(Ordering::Relaxed) as u16,
            uid: (owner >> 32) as u32,
            gid: owner as u32,
        }
    }

    fn metadata(&self) -> Metadata {
        let (size, blocks, device) = match &self.body {
            Body::File(content) => (content.len(), content.blocks(), DeviceNumber::default()),
            Body::Directory(directory) => {
                let names = directory.lock().names.len() as u64;
                (names * NAME_SIZE, 0, DeviceNumber::default())
            }
            Body::Symlink(target) => (target.len() as u64, 0, DeviceNumber::default()),
            Body::Device(device) => (0, 0, *device),
            Body::Fifo(_) | Body::Socket => (0, 0, DeviceNumber::default()),
        };
        let Permissions { mode, uid, gid } = self.permissions();
        let times = self.times.lock();
        Metadata {
            volume: 0,
            inode: self.number,
            kind: self.kind,
            mode,
            links: times.links,
            uid,
            gid,
            device,
            size,
            blocks,
            block_size: machine::PAGE as u32,
            accessed: times.accessed,
            modified: times.modified,
            changed: times.changed,
            created: times.created,
        }
    }

    fn change(&self, change: &Change) -> Result<(), Error> {
        if let Some(size) = change.size {
            self.content()?.set_len(&self.space, size)?;
        }
        let mut times = self.times.lock();
        if let Some(mode) = change.mode {
            self.mode.store(u32::from(mode), Ordering::Relaxed);
        }
        let Permissions { uid, gid, .. } = self.permissions();
        let (uid, gid) = (change.uid.unwrap_or(uid), change.gid.unwrap_or(gid));
        self.owner
            .store(u64::from(uid) << 32 | u64::from(gid), Ordering::Relaxed);
        if change.size.is_some() {
            times.modified = change.now;
        }
        times.accessed = change.accessed.unwrap_or(times.accessed);
        times.modified = change.modified.unwrap_or(times.modified);
        times.changed = change.now;
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Error> {
        let directory = self.directory()?.lock();
        let node = directory.names.get(name).ok_or(Error::NotFound)?;
        Ok(node.clone())
    }

    fn create(&self, name: &[u8], new: &Create<'_>) -> Result<Arc<dyn Inode>, Error> {
        Ok(self.add_new(name, new)?)
    }

    fn create_nameless(&self, new: &Create<'_>) -> Result<Arc<dyn Inode>, Error> {
        self.directory()?;
        let node = Node::new(&self.space, new)?;
        let mut times = node.times.lock();
        times.links = 0;
        times.nameless = true;
        drop(times);
        Ok(node)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>, now: Time) -> Result<(), Error> {
        let target: Arc<dyn core::any::Any + Send + Sync> = target.clone();
        let target = target.downcast::<Node>().map_err(|_| Error::CrossDevice)?;
        self.add_link(name, target, now)
    }

    fn unlink(&self, name: &[u8], now: Time) -> Result<(), Error> {
        self.remove_name(name, now)
    }

    fn rmdir(&self, name: &[u8], now: Time) -> Result<(), Error> {
        self.remove_directory(name, now)
    }

    fn rename(
        &self,
        old: &[u8],
        to: &dyn Inode,
        new: &[u8],
        flags: RenameFlags,
        now: Time,
    ) -> Result<(), Error> {
        let to = (to as &dyn core::any::Any)
            .downcast_ref::<Node>()
            .ok_or(Error::CrossDevice)?;
        self.move_name(old, to, new, flags, now)
    }

    fn list(&self, cookie: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<u64, Error> {
        let directory = self.directory()?.lock();
        let mut cookie = cookie;
        for (name, node, next) in directory.names.from(cookie) {
            let entry = Entry {
                name,
                inode: node.number,
                kind: node.kind,
                next,
            };
            if !visit(&entry) {
                break;
            }
            cookie = next;
        }
        Ok(cookie)
    }

    fn read_link(&self) -> Result<Vec<u8>, Error> {
        match &self.body {
            Body::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Error::Invalid),
        }
    }

    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        match &self.body {
            Body::File(_) | Body::Directory(_) => Ok(self),
            Body::Fifo(fifo) => fifo.open(request),
            Body::Symlink(_) => Err(Error::Loop),
            Body::Socket | Body::Device(_) => Err(Error::NoDevice),
        }
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        self.read(offset, sink)
    }

    fn write_at(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        Ok(self.write(offset, source, false)?.0)
    }

    fn pages(&self) -> Option<Arc<memory::Object>> {
        Some(self.content().ok()?.object().clone())
    }
}

impl File for Node {
    #[inline]
    fn try_read(&self, position: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        self.read(position, sink)
    }

    #[inline]
    fn try_write(
        &self,
        position: u64,
        source: &mut dyn Source,
        append: bool,
    ) -> Result<(usize, u64), Error> {
        self.write(position, source, append)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn metadata(&self) -> Metadata {
        Inode::metadata(self)
    }

    fn size(&self) -> Option<u64> {
        Some(self.content().ok()?.len())
    }

    fn pages(&self) -> Option<Arc<memory::Object>> {
        Inode::pages(self)
    }
}

impl Drop for Node {
    /// Counts itself out, and takes a directory apart without recursion: it may be deeper than the stack.
    fn drop(&mut self) {
        self.space.remove_inode();
        match &mut self.body {
            Body::File(content) => content.release(&self.space),
            Body::Directory(directory) => {
                let mut pending: Vec<Arc<Node>> = directory.get_mut().names.drain().collect();
                while let Some(node) = pending.pop() {
                    if let Some(mut node) = Arc::into_inner(node)
                        && let Body::Directory(directory) = &mut node.body
                    {
                        pending.extend(directory.get_mut().names.drain());
                    }
                }
            }
            _ => {}
        }
    }
}
