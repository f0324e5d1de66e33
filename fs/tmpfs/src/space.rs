//! How much a file system may hold, and how much it does.
//!
//! The one idea: pages are counted where they come and go, from what each file reports; so a page that a mapping brought
//! into a file counts from the next time the file itself is touched. The limit is checked before a write.

use abi::Error;
use core::sync::atomic::{AtomicU64, Ordering};
use vfs::{Statistics, Time};

/// The number by which programs know a tmpfs.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// What all inodes of one file system share.
pub struct Space {
    page_limit: u64,
    pages: AtomicU64,
    inode_limit: u64,
    inodes: AtomicU64,
    next_number: AtomicU64,
    /// For the hash tables of directories.
    pub seed: u64,
    /// What time it is when content is read or written.
    pub clock: fn() -> Time,
}

impl Space {
    pub fn new(page_limit: u64, inode_limit: u64, seed: u64, clock: fn() -> Time) -> Space {
        Space {
            page_limit,
            pages: AtomicU64::new(0),
            inode_limit,
            inodes: AtomicU64::new(0),
            next_number: AtomicU64::new(1),
            seed,
            clock,
        }
    }

    /// Counts an inode in; returns its number.
    pub fn add_inode(&self) -> Result<u64, Error> {
        let more = |count: u64| (count < self.inode_limit).then_some(count + 1);
        match self
            .inodes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        {
            Ok(_) => Ok(self.next_number.fetch_add(1, Ordering::Relaxed)),
            Err(_) => Err(Error::NoSpace),
        }
    }

    pub fn remove_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }

    /// Pages that may still come.
    pub fn free_pages(&self) -> u64 {
        self.page_limit
            .saturating_sub(self.pages.load(Ordering::Relaxed))
    }

    /// A file that was counted with `before` pages has `now`.
    pub fn recount(&self, before: u64, now: u64) {
        if now > before {
            self.pages.fetch_add(now - before, Ordering::Relaxed);
        } else if now < before {
            self.pages.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    pub fn statistics(&self) -> Statistics {
        Statistics {
            magic: TMPFS_MAGIC,
            block_size: machine::PAGE as u32,
            blocks: self.page_limit,
            free_blocks: self.free_pages(),
            inodes: self.inode_limit,
            free_inodes: self
                .inode_limit
                .saturating_sub(self.inodes.load(Ordering::Relaxed)),
        }
    }
}
