//! The directories of `/sys`, made of a list of paths.

use super::devices;
use crate::shown::{self, Shown, Text};
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use vfs::{Entry, File, FileKind, FileSystem, Inode, Metadata, OpenRequest, Statistics};

/// `SYSFS_MAGIC`.
const MAGIC: u64 = 0x6265_6572;

/// What is at the end of a path.
pub enum Leaf {
    /// A file, with the text that it has when it is read.
    Text(Box<dyn Fn() -> String + Send + Sync>),
    /// A symbolic link.
    Link(String),
}

/// What is in a directory.
#[derive(Default)]
pub struct Directory(BTreeMap<String, Arc<Node>>);

impl Directory {
    /// Puts something at a path below this directory; the directories on the way are made.
    pub fn put(&mut self, path: &str, leaf: Leaf) {
        self.put_node(path, Node::Leaf(leaf));
    }

    /// An empty directory: something else is mounted there.
    pub fn put_place(&mut self, path: &str) {
        self.put_node(path, Node::Directory(Directory::default()));
    }

    fn put_node(&mut self, path: &str, node: Node) {
        match path.split_once('/') {
            None => drop(self.0.insert(path.into(), Arc::new(node))),
            Some((name, rest)) => {
                let below = self
                    .0
                    .entry(name.into())
                    .or_insert_with(|| Arc::new(Node::Directory(Directory::default())));
                // While the tree is made nobody else has it.
                if let Some(Node::Directory(below)) = Arc::get_mut(below) {
                    below.put_node(rest, node);
                }
            }
        }
    }

    /// A file with a text that never changes.
    pub fn put_text(&mut self, path: &str, text: String) {
        self.put(path, Leaf::Text(Box::new(move || text.clone())));
    }
}

/// The file system.
pub struct SysFs {
    root: Arc<Node>,
}

impl SysFs {
    /// With what this machine has: to be made when all its processors have come up.
    pub fn new() -> Arc<SysFs> {
        let mut root = Directory::default();
        devices::fill(&mut root);
        root.put_place("fs/cgroup");
        Arc::new(SysFs {
            root: Arc::new(Node::Directory(root)),
        })
    }
}

impl FileSystem for SysFs {
    fn name(&self) -> &'static str {
        "sysfs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statistics(&self) -> Statistics {
        shown::statistics(MAGIC)
    }
}

/// A file, a link or a directory.
pub enum Node {
    Directory(Directory),
    Leaf(Leaf),
}

impl Node {
    /// Nodes live as long as the file system, so their addresses tell them apart.
    fn number(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }
}

impl Inode for Node {
    fn kind(&self) -> FileKind {
        match self {
            Node::Directory(_) => FileKind::Directory,
            Node::Leaf(Leaf::Text(_)) => FileKind::File,
            Node::Leaf(Leaf::Link(_)) => FileKind::Symlink,
        }
    }

    fn metadata(&self) -> Metadata {
        let kind = self.kind();
        let (mode, links) = match kind {
            FileKind::Directory => (0o555, 2),
            FileKind::Symlink => (0o777, 1),
            _ => (0o444, 1),
        };
        Metadata {
            inode: self.number(),
            mode,
            links,
            ..Metadata::nameless(kind)
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Error> {
        let Node::Directory(Directory(entries)) = self else {
            return Err(Error::NotDirectory);
        };
        let name = core::str::from_utf8(name).map_err(|_| Error::NotFound)?;
        let node = entries.get(name).ok_or(Error::NotFound)?;
        Ok(node.clone())
    }

    fn list(&self, cookie: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<u64, Error> {
        let Node::Directory(Directory(entries)) = self else {
            return Err(Error::NotDirectory);
        };
        // A cookie is the number of entries before it: they never change.
        let mut next = cookie;
        let skipped = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (name, node) in entries.iter().skip(skipped) {
            let entry = Entry {
                name: name.as_bytes(),
                inode: node.number(),
                kind: node.kind(),
                next: next + 1,
            };
            if !visit(&entry) {
                break;
            }
            next += 1;
        }
        Ok(next)
    }

    fn read_link(&self) -> Result<Vec<u8>, Error> {
        match self {
            Node::Leaf(Leaf::Link(target)) => Ok(target.clone().into_bytes()),
            _ => Err(Error::Invalid),
        }
    }

    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Ok(Text::new(self))
    }
}

impl Shown for Node {
    fn shown(&self) -> Result<Vec<u8>, Error> {
        match self {
            Node::Leaf(Leaf::Text(make)) => Ok(make().into_bytes()),
            Node::Leaf(Leaf::Link(_)) => Err(Error::Invalid),
            Node::Directory(_) => Err(Error::IsDirectory),
        }
    }
}
