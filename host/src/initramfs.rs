//! Writes the initramfs: a cpio archive in the `newc` format, uncompressed, each directory before what is in it.
//!
//! Everything belongs to root. Names are absolute guest paths; parents are added by themselves.

use anyhow::{Context, Result, bail};
use cpio::newc::{Builder, ModeFileType, trailer};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// An archive being written.
#[derive(Debug)]
pub struct Initramfs<W: Write> {
    output: W,
    entries: u32,
    names: BTreeSet<String>,
}

impl Initramfs<BufWriter<File>> {
    /// Starts an archive in a new file.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Initramfs::new(BufWriter::with_capacity(1 << 20, file)))
    }
}

impl<W: Write> Initramfs<W> {
    /// Starts an archive.
    pub fn new(output: W) -> Self {
        Initramfs {
            output,
            entries: 0,
            names: BTreeSet::new(),
        }
    }

    /// Adds the directories and files that programs expect everywhere.
    pub fn base(&mut self) -> Result<()> {
        for (path, mode) in [
            ("/bin", 0o755),
            ("/boot", 0o755),
            ("/dev", 0o755),
            ("/etc", 0o755),
            ("/proc", 0o555),
        ] {
            self.directory(path, mode)?;
        }
        self.directory("/root", 0o700)?;
        self.directory("/tmp", 0o1777)?;
        self.file("/etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
        self.file("/etc/group", 0o644, b"root:x:0:\n")?;
        // Before it has mounted anything, Linux opens its first program's streams here.
        self.character_device("/dev/console", 0o600, 5, 1)
    }

    /// Adds a directory; one that is there already stays as it is.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        let name = relative(path)?;
        if name.is_empty() || self.names.contains(&name) {
            return Ok(());
        }
        self.entry(
            &name,
            ModeFileType::Directory,
            mode,
            |builder| builder.nlink(2),
            0,
            &mut io::empty(),
        )
    }

    /// Adds a file with the given contents.
    pub fn file(&mut self, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
        let name = relative(path)?;
        self.entry(
            &name,
            ModeFileType::Regular,
            mode,
            |builder| builder,
            contents.len() as u64,
            &mut &contents[..],
        )
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        let name = relative(path)?;
        let size = target.len() as u64;
        self.entry(
            &name,
            ModeFileType::Symlink,
            0o777,
            |builder| builder,
            size,
            &mut target.as_bytes(),
        )
    }

    /// Adds a character device node.
    pub fn character_device(
        &mut self,
        path: &str,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        let name = relative(path)?;
        let number = |builder: Builder| builder.rdev_major(major).rdev_minor(minor);
        self.entry(&name, ModeFileType::Char, mode, number, 0, &mut io::empty())
    }

    /// Copies a file, symbolic link or directory tree of the host to `path`, with its permissions and times.
    pub fn copy(&mut self, host: &Path, path: &str) -> Result<()> {
        // The top of what is copied may be a link to it; links inside the tree stay links.
        let metadata =
            fs::metadata(host).with_context(|| format!("cannot read {}", host.display()))?;
        self.copy_entry(host, &relative(path)?, &metadata)
    }

    fn copy_entry(&mut self, host: &Path, name: &str, metadata: &fs::Metadata) -> Result<()> {
        let context = || format!("cannot copy {}", host.display());
        let mode = metadata.permissions().mode() & 0o7777;
        let time =
            |builder: Builder| builder.mtime(metadata.mtime().clamp(0, i64::from(u32::MAX)) as u32);
        let kind = metadata.file_type();
        if kind.is_dir() {
            if !name.is_empty() && !self.names.contains(name) {
                self.entry(
                    name,
                    ModeFileType::Directory,
                    mode,
                    |b| time(b).nlink(2),
                    0,
                    &mut io::empty(),
                )?;
            }
            let mut children = fs::read_dir(host)
                .with_context(context)?
                .collect::<io::Result<Vec<_>>>()
                .with_context(context)?;
            children.sort_by_key(fs::DirEntry::file_name);
            for child in children {
                let file_name = child.file_name();
                let Some(last) = file_name.to_str() else {
                    bail!("{} is no UTF-8 name", child.path().display())
                };
                let below = if name.is_empty() {
                    last.to_string()
                } else {
                    format!("{name}/{last}")
                };
                let metadata = child
                    .metadata()
                    .with_context(|| format!("cannot read {}", child.path().display()))?;
                self.copy_entry(&child.path(), &below, &metadata)?;
            }
            Ok(())
        } else if kind.is_symlink() {
            let target = fs::read_link(host).with_context(context)?;
            let Some(target) = target.to_str() else {
                bail!("{} points to no UTF-8 name", host.display())
            };
            self.entry(
                name,
                ModeFileType::Symlink,
                0o777,
                time,
                target.len() as u64,
                &mut target.as_bytes(),
            )
        } else if kind.is_file() {
            let mut file = File::open(host).with_context(context)?;
            self.entry(
                name,
                ModeFileType::Regular,
                mode,
                time,
                metadata.len(),
                &mut file,
            )
            .with_context(context)
        } else if kind.is_fifo() {
            self.entry(name, ModeFileType::Fifo, mode, time, 0, &mut io::empty())
        } else {
            bail!(
                "cannot copy {}: only files, directories, links and FIFOs can be given",
                host.display()
            )
        }
    }

    fn entry(
        &mut self,
        name: &str,
        kind: ModeFileType,
        mode: u32,
        finish: impl FnOnce(Builder) -> Builder,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<()> {
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.directory(&format!("/{parent}"), 0o755)?;
        }
        if !self.names.insert(name.to_string()) {
            bail!("/{name} is given twice");
        }
        let size = u32::try_from(size)
            .ok()
            .with_context(|| format!("/{name} is too large for an initramfs (4 GiB)"))?;
        self.entries += 1;
        let builder = finish(
            Builder::new(name)
                .ino(self.entries)
                .mode(mode)
                .set_mode_file_type(kind),
        );
        let mut writer = builder.write(&mut self.output, size);
        let copied = io::copy(&mut contents.take(u64::from(size)), &mut writer)?;
        if copied != u64::from(size) {
            bail!("/{name} became shorter while it was read");
        }
        writer.finish()?;
        Ok(())
    }

    /// Ends the archive and gives back what it was written to.
    pub fn finish(mut self) -> Result<W> {
        trailer(&mut self.output)?;
        self.output.flush()?;
        Ok(self.output)
    }
}

/// A guest path as cpio names it: relative to the root, without `.`, `..`, or empty parts.
fn relative(path: &str) -> Result<String> {
    let Some(rest) = path.strip_prefix('/') else {
        bail!("guest path `{path}` is not absolute")
    };
    if path.contains('\0') {
        bail!("guest path has a NUL byte");
    }
    let mut parts = Vec::new();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpio::newc;

    /// Name, mode, device, contents.
    type Entry = (String, u32, (u32, u32), Vec<u8>);

    fn list(archive: &[u8]) -> Vec<Entry> {
        let mut rest = archive;
        let mut all = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return all;
            }
            let entry = reader.entry();
            let (name, mode) = (entry.name().to_string(), entry.mode());
            let device = (entry.rdev_major(), entry.rdev_minor());
            let mut contents = Vec::new();
            reader.read_to_end(&mut contents).unwrap();
            all.push((name, mode, device, contents));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn parents_come_first_and_once() {
        let mut archive = Initramfs::new(Vec::new());
        archive.file("/a/b/c", 0o644, b"hello").unwrap();
        archive.file("/a/b/d", 0o755, b"").unwrap();
        archive.symlink("/a/l", "b/c").unwrap();
        archive
            .character_device("/dev/console", 0o600, 5, 1)
            .unwrap();
        archive.directory("/", 0o755).unwrap();
        let entries = list(&archive.finish().unwrap());
        let names: Vec<&str> = entries.iter().map(|entry| entry.0.as_str()).collect();
        assert_eq!(
            names,
            ["a", "a/b", "a/b/c", "a/b/d", "a/l", "dev", "dev/console"]
        );
        assert_eq!(entries[0].1, 0o040755);
        assert_eq!(
            (entries[2].1, entries[2].3.as_slice()),
            (0o100644, &b"hello"[..])
        );
        assert_eq!(
            (entries[4].1, entries[4].3.as_slice()),
            (0o120777, &b"b/c"[..])
        );
        assert_eq!((entries[6].1, entries[6].2), (0o020600, (5, 1)));
    }

    #[test]
    fn names_are_normal_and_unique() {
        assert_eq!(relative("/a//./b/../c/").unwrap(), "a/c");
        assert_eq!(relative("/../..").unwrap(), "");
        assert!(relative("a").is_err());
        let mut archive = Initramfs::new(Vec::new());
        archive.file("/x", 0o644, b"1").unwrap();
        assert!(archive.file("//x", 0o644, b"2").is_err());
    }

    #[test]
    fn a_tree_keeps_modes_and_links() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("sub")).unwrap();
        fs::write(tree.path().join("sub/file"), "text").unwrap();
        fs::set_permissions(
            tree.path().join("sub/file"),
            fs::Permissions::from_mode(0o751),
        )
        .unwrap();
        std::os::unix::fs::symlink("file", tree.path().join("sub/link")).unwrap();
        let mut archive = Initramfs::new(Vec::new());
        archive.copy(tree.path(), "/given").unwrap();
        let entries = list(&archive.finish().unwrap());
        let brief: Vec<_> = entries
            .iter()
            .map(|e| (e.0.as_str(), e.1 & 0o170777))
            .collect();
        assert_eq!(
            brief[1..],
            [
                ("given/sub", 0o040755),
                ("given/sub/file", 0o100751),
                ("given/sub/link", 0o120777)
            ]
        );
        assert_eq!(entries[2].3, b"text");
    }
}
