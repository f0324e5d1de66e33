//! Unpacking a cpio archive into a tree: how the first files come in.
//!
//! The one idea: the whole archive is read once before the first file is made, so a bad one changes nothing; and files
//! keep referring to the archive's bytes until somebody writes to them, so unpacking copies no content.

mod reader;
#[cfg(test)]
mod tests;

pub use reader::{BadArchive, Entry, Kind, Problem, Reader};

use crate::credentials::Credentials;
use crate::inode::{Inode, NewKind};
use crate::metadata::{Change, FileKind, Time};
use crate::mount::Location;
use crate::view::View;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Unpacks `archive` below `root`; names in it never lead out of `root`. Returns how many entries there were.
///
/// Later entries replace earlier ones and what was there before; directories are merged. Directories that an archive
/// forgot are made.
pub fn unpack(archive: &'static [u8], root: &Location) -> Result<usize, BadArchive> {
    let mut shared: BTreeMap<_, &'static [u8]> = BTreeMap::new();
    for entry in Reader::new(archive) {
        let entry = entry?;
        if entry
            .name
            .split(|&byte| byte == b'/')
            .any(|name| name == b"..")
        {
            return Err(BadArchive {
                offset: entry.offset,
                problem: Problem::Escapes,
            });
        }
        // Of several names for one file, only one comes with the content, usually the last.
        if entry.kind == Kind::File && entry.links > 1 && !entry.data.is_empty() {
            shared.insert(entry.identity, entry.data);
        }
    }
    let credentials = Credentials::root();
    let mut unpacking = Unpacking {
        view: View {
            root,
            start: root,
            credentials: &credentials,
        },
        shared,
        linked: BTreeMap::new(),
        directories: Vec::new(),
    };
    let mut count = 0;
    for entry in Reader::new(archive) {
        let entry = entry?;
        unpacking.add(&entry).map_err(|error| BadArchive {
            offset: entry.offset,
            problem: Problem::NotMade(error),
        })?;
        count += 1;
    }
    for (directory, modified) in unpacking.directories {
        // Filling a directory changed its time. A file system without times keeps none.
        let _ = directory.change(&Change {
            accessed: Some(modified),
            modified: Some(modified),
            now: modified,
            ..Change::default()
        });
    }
    root.mount().volume().shrink();
    Ok(count)
}

struct Unpacking<'a> {
    view: View<'a>,
    /// The contents of files with several names.
    shared: BTreeMap<(u32, u32, u32), &'static [u8]>,
    /// Those of them that were made already.
    linked: BTreeMap<(u32, u32, u32), Location>,
    directories: Vec<(Arc<dyn Inode>, Time)>,
}

impl Unpacking<'_> {
    fn add(&mut self, entry: &Entry<'static>) -> Result<(), Error> {
        let now = Time {
            seconds: i64::from(entry.modified),
            nanoseconds: 0,
        };
        let path = without_slashes(entry.name);
        // A path that is all slashes and dots is the root itself.
        let path = if path.is_empty() { b"/" } else { path };
        match self.view.locate(path, false) {
            Ok(there) if entry.kind == Kind::Directory && there.kind() == FileKind::Directory => {
                self.describe(entry, &there, now)?;
                self.directories.push((there.inode().clone(), now));
                return Ok(());
            }
            Ok(there) if there.kind() == FileKind::Directory => {
                self.view.remove_directory(path, now)?;
            }
            Ok(_) => self.view.unlink(path, now)?,
            Err(Error::NotFound) => self.make_parents(path, now)?,
            Err(error) => return Err(error),
        }
        let several = entry.kind == Kind::File && entry.links > 1;
        if several && let Some(first) = self.linked.get(&entry.identity) {
            return self.view.link(first, path, now);
        }
        let kind = match entry.kind {
            Kind::File if several => {
                let content = self.shared.get(&entry.identity).copied();
                NewKind::Content(content.unwrap_or_default())
            }
            Kind::File => NewKind::Content(entry.data),
            Kind::Directory => NewKind::Directory,
            Kind::Symlink => NewKind::Symlink(entry.data),
            Kind::Fifo => NewKind::Fifo,
            Kind::Socket => NewKind::Socket,
            Kind::CharacterDevice => NewKind::CharacterDevice(entry.device),
            Kind::BlockDevice => NewKind::BlockDevice(entry.device),
        };
        let made = self.view.make(path, kind, entry.mode, now)?;
        if (entry.uid, entry.gid) != (0, 0) {
            self.describe(entry, &made, now)?;
        }
        match entry.kind {
            Kind::Directory => self.directories.push((made.inode().clone(), now)),
            _ if several => drop(self.linked.insert(entry.identity, made)),
            _ => {}
        }
        Ok(())
    }

    /// Gives what was made or merged the mode and owner of its entry.
    fn describe(&self, entry: &Entry<'_>, made: &Location, now: Time) -> Result<(), Error> {
        made.inode().change(&Change {
            mode: Some(entry.mode),
            uid: Some(entry.uid),
            gid: Some(entry.gid),
            now,
            ..Change::default()
        })
    }

    /// Makes the directories above `path` that are missing.
    fn make_parents(&self, path: &[u8], now: Time) -> Result<(), Error> {
        for (end, _) in path
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, byte)| **byte == b'/')
        {
            match self.view.make_directory(&path[..end], 0o755, now) {
                Ok(_) | Err(Error::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn without_slashes(path: &[u8]) -> &[u8] {
    let end = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |last| last + 1);
    &path[..end]
}
