//! tmpfs: a file system in memory.
//!
//! - [`options`]: how large, whose, by which clock;
//! - `space`: what all inodes share, and the limits;
//! - `node`: an inode; `content`: the bytes of a file; `directory`: changing names; `entries`: the names themselves.
//!
//! The one idea: there is no storage below. Files are memory objects, directories are tables, and what nothing refers to
//! is gone.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod content;
mod directory;
mod entries;
mod node;
pub mod options;
mod space;

pub use options::Options;

use abi::Error;
use alloc::sync::Arc;
use node::Node;
use space::Space;
use vfs::{Create, FileSystem, Inode, NewKind, Statistics, Volume};

/// A file system in memory.
pub struct Tmpfs {
    name: &'static str,
    space: Arc<Space>,
    root: Arc<Node>,
}

impl Tmpfs {
    /// An empty one, which calls itself `tmpfs`.
    pub fn new(options: &Options) -> Result<Arc<Tmpfs>, Error> {
        Tmpfs::named("tmpfs", options)
    }

    /// An empty one by another name, for file systems that are built on it.
    pub fn named(name: &'static str, options: &Options) -> Result<Arc<Tmpfs>, Error> {
        let space = Arc::new(Space::new(
            options.pages,
            options.inodes,
            options.seed,
            options.clock,
        ));
        let root = Node::new(
            &space,
            &Create {
                kind: NewKind::Directory,
                mode: options.mode,
                uid: options.uid,
                gid: options.gid,
                now: (options.clock)(),
            },
        )?;
        Ok(Arc::new(Tmpfs { name, space, root }))
    }

    /// An empty one, in use as a volume.
    pub fn volume(options: &Options) -> Result<Arc<Volume>, Error> {
        Ok(Volume::new(Tmpfs::new(options)?, options.seed))
    }
}

impl FileSystem for Tmpfs {
    fn name(&self) -> &str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statistics(&self) -> Statistics {
        self.space.statistics()
    }
}
