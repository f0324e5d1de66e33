//! Directories: making, linking, removing and moving names.
//!
//! The one idea: every operation first checks everything under the locks, then changes everything. Link counts: a file
//! has one per name; a directory has its name, its `.`, and the `..` of each directory in it.
//!
//! The vfs admits one change of a directory at a time, and one move between directories, so two locks of directories
//! are never wanted in both orders at once.

use crate::entries::Entries;
use crate::node::Node;
use abi::Error;
use alloc::sync::Arc;
use machine::sync::SpinGuard;
use vfs::{Create, FileKind, Inode, RenameFlags, Time};

pub(crate) struct Directory {
    pub names: Entries<Node>,
    /// Removed: nothing can be made in it.
    dead: bool,
}

impl Directory {
    pub fn new(seed: u64) -> Directory {
        Directory {
            names: Entries::new(seed),
            dead: false,
        }
    }

    fn check_new(&self, name: &[u8]) -> Result<(), Error> {
        if self.dead {
            Err(Error::NotFound)
        } else if self.names.get(name).is_some() {
            Err(Error::Exists)
        } else {
            Ok(())
        }
    }
}

impl Node {
    /// Makes a new inode under a free name.
    pub(crate) fn add_new(&self, name: &[u8], new: &Create<'_>) -> Result<Arc<Node>, Error> {
        let mut directory = self.directory()?.lock();
        directory.check_new(name)?;
        let node = Node::new(&self.space, new)?;
        directory.names.insert(name, node.clone());
        self.touch(i32::from(node.is_directory()), new.now);
        Ok(node)
    }

    /// Makes another name for a file.
    pub(crate) fn add_link(&self, name: &[u8], target: Arc<Node>, now: Time) -> Result<(), Error> {
        if target.is_directory() {
            return Err(Error::Forbidden);
        }
        if !Arc::ptr_eq(&self.space, &target.space) {
            return Err(Error::CrossDevice);
        }
        let mut directory = self.directory()?.lock();
        directory.check_new(name)?;
        let mut times = target.times.lock();
        if times.links == 0 && !times.nameless {
            return Err(Error::NotFound);
        }
        times.links = times.links.checked_add(1).ok_or(Error::TooManyLinks)?;
        times.nameless = false;
        times.changed = now;
        drop(times);
        directory.names.insert(name, target);
        self.touch(0, now);
        Ok(())
    }

    /// Removes a name of something that is no directory.
    pub(crate) fn remove_name(&self, name: &[u8], now: Time) -> Result<(), Error> {
        let mut directory = self.directory()?.lock();
        let node = directory.names.get(name).ok_or(Error::NotFound)?;
        if node.is_directory() {
            return Err(Error::IsDirectory);
        }
        let removed = directory.names.remove(name);
        self.touch(0, now);
        drop(directory);
        if let Some(node) = removed {
            node.lose_name(now);
        }
        Ok(())
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&self, name: &[u8], now: Time) -> Result<(), Error> {
        let mut directory = self.directory()?.lock();
        let node = directory.names.get(name).ok_or(Error::NotFound)?.clone();
        node.bury(&directory)?;
        let removed = directory.names.remove(name);
        self.touch(-1, now);
        drop((directory, removed));
        node.lose_name(now);
        Ok(())
    }

    /// Moves a name, or swaps two.
    pub(crate) fn move_name(
        &self,
        old: &[u8],
        to: &Node,
        new: &[u8],
        flags: RenameFlags,
        now: Time,
    ) -> Result<(), Error> {
        let mut both = Both::lock(self, to)?;
        if both.target().dead {
            return Err(Error::NotFound);
        }
        let moved = both.source.names.get(old).ok_or(Error::NotFound)?.clone();
        let there = both.target().names.get(new).cloned();
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let replaced = match there {
            Some(there) if exchange => {
                both.source.names.replace(old, there.clone());
                both.target().names.replace(new, moved.clone());
                there.times.lock().changed = now;
                self.touch(there.weight() - moved.weight(), now);
                to.touch(moved.weight() - there.weight(), now);
                None
            }
            None if exchange => return Err(Error::NotFound),
            Some(_) if flags.contains(RenameFlags::NO_REPLACE) => return Err(Error::Exists),
            Some(there) if Arc::ptr_eq(&there, &moved) => return Ok(()),
            Some(there) => {
                match (moved.is_directory(), there.is_directory()) {
                    (true, false) => return Err(Error::NotDirectory),
                    (false, true) => return Err(Error::IsDirectory),
                    (true, true) => there.bury(&both.source)?,
                    (false, false) => {}
                }
                both.source.names.remove(old);
                both.target().names.replace(new, moved.clone());
                self.touch(-moved.weight(), now);
                to.touch(moved.weight() - there.weight(), now);
                Some(there)
            }
            None => {
                both.source.names.remove(old);
                both.target().names.insert(new, moved.clone());
                self.touch(-moved.weight(), now);
                to.touch(moved.weight(), now);
                None
            }
        };
        drop(both);
        moved.times.lock().changed = now;
        if let Some(replaced) = replaced {
            replaced.lose_name(now);
        }
        Ok(())
    }

    /// What a name for this adds to the links of the directory that holds it.
    fn weight(&self) -> i32 {
        i32::from(self.kind() == FileKind::Directory)
    }

    /// A change of the names in this directory.
    fn touch(&self, links: i32, now: Time) {
        let mut times = self.times.lock();
        times.links = times.links.saturating_add_signed(links);
        times.modified = now;
        times.changed = now;
    }

    /// Marks an empty directory as removed, which is in one that is locked. `NotEmpty` or `NotDirectory` otherwise.
    /// Nobody locks the two the other way round: the VFS lets one at a time change names in the upper one.
    fn bury(&self, above: &SpinGuard<'_, Directory>) -> Result<(), Error> {
        let mut directory = self.directory()?.lock_second(above);
        if directory.names.len() != 0 {
            return Err(Error::NotEmpty);
        }
        directory.dead = true;
        Ok(())
    }

    fn lose_name(&self, now: Time) {
        let mut times = self.times.lock();
        times.links = if self.is_directory() {
            0
        } else {
            times.links.saturating_sub(1)
        };
        times.changed = now;
    }
}

/// The locks of two directories that may be one.
struct Both<'a> {
    source: SpinGuard<'a, Directory>,
    target: Option<SpinGuard<'a, Directory>>,
}

impl<'a> Both<'a> {
    fn lock(source: &'a Node, target: &'a Node) -> Result<Both<'a>, Error> {
        if !Arc::ptr_eq(&source.space, &target.space) {
            return Err(Error::CrossDevice);
        }
        let (one, other) = (source.directory()?, target.directory()?);
        Ok(match source.number().cmp(&target.number()) {
            core::cmp::Ordering::Equal => Both {
                source: one.lock(),
                target: None,
            },
            core::cmp::Ordering::Less => {
                let source = one.lock();
                let target = other.lock_second(&source);
                Both {
                    source,
                    target: Some(target),
                }
            }
            core::cmp::Ordering::Greater => {
                let target = other.lock();
                let source = one.lock_second(&target);
                Both {
                    source,
                    target: Some(target),
                }
            }
        })
    }

    fn target(&mut self) -> &mut Directory {
        self.target.as_mut().unwrap_or(&mut self.source)
    }
}
