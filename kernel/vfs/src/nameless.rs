//! Places for things that never had a path, so that `/proc/self/fd` can lead to them.
//!
//! The one idea: they all lie in one mount that is mounted nowhere, each as its own root.

use crate::dentry::Dentry;
use crate::file::{File, OpenRequest};
use crate::inode::Inode;
use crate::metadata::{FileKind, Metadata};
use crate::mount::{Location, Mount, MountFlags};
use crate::volume::{FileSystem, Statistics, Volume};
use abi::Error;
use alloc::sync::Arc;
use machine::sync::Once;

/// A place for an inode without a name; its path reads `title`.
pub fn place(inode: Arc<dyn Inode>, title: &str) -> Location {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    let mount = MOUNT.get_or_init(|| {
        let volume = Volume::new(Arc::new(Nameless), 0);
        Mount::tree(volume, MountFlags::NO_EXECUTE, None).mount
    });
    Location {
        mount: mount.clone(),
        dentry: Dentry::root(inode, Arc::from(title.as_bytes())),
    }
}

struct Nameless;

impl FileSystem for Nameless {
    fn name(&self) -> &str {
        "anon_inodefs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(Empty)
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            magic: 0x0904_1934,
            block_size: machine::PAGE as u32,
            ..Statistics::default()
        }
    }
}

/// The root that nobody can reach.
struct Empty;

impl Inode for Empty {
    fn kind(&self) -> FileKind {
        FileKind::Directory
    }

    fn metadata(&self) -> Metadata {
        Metadata::nameless(FileKind::Directory)
    }

    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Err(Error::Denied)
    }
}
