//! Files and directories of the `file:` registry, by path.

use crate::handle::Handle;
use crate::registry;
use abi::{Error, Kind, NEXT, OpenFlags, Rights};
use alloc::string::String;
use alloc::vec::Vec;
use value::{Document, Value};

/// An open file.
#[derive(Debug)]
pub struct File(Handle);

/// What is known about a file or directory without opening its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, as `chmod` writes them.
    pub mode: u32,
    pub links: u64,
    pub owner: u32,
    pub group: u32,
    /// Of the last change of the contents: nanoseconds since 1970.
    pub modified: u64,
    /// Where a symbolic link leads.
    pub target: Option<String>,
}

impl File {
    /// Opens a file to read it, and to wait for it if that is allowed, too.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `NotDirectory` on the way.
    pub fn open(path: &str) -> Result<File, Error> {
        match File::with(path, Rights::LOOK | Rights::SIGNAL, OpenFlags::empty()) {
            Err(Error::Denied) => File::with(path, Rights::LOOK, OpenFlags::empty()),
            other => other,
        }
    }

    /// Opens an empty file to write it; it is made if it is not there.
    ///
    /// # Errors
    /// As [`File::open`]; `IsDirectory`.
    pub fn create(path: &str) -> Result<File, Error> {
        File::with(
            path,
            Rights::STREAM,
            OpenFlags::CREATE | OpenFlags::TRUNCATE,
        )
    }

    /// Opens a file to write at its end; it is made if it is not there.
    ///
    /// # Errors
    /// As [`File::create`].
    pub fn append(path: &str) -> Result<File, Error> {
        File::with(path, Rights::STREAM, OpenFlags::CREATE | OpenFlags::APPEND)
    }

    /// Opens a program to start it.
    ///
    /// # Errors
    /// As [`File::open`].
    pub fn program(path: &str) -> Result<File, Error> {
        File::with(
            path,
            Rights::READ | Rights::EXECUTE | Rights::INSPECT,
            OpenFlags::empty(),
        )
    }

    /// Opens a file with exactly these rights and flags.
    ///
    /// # Errors
    /// As [`File::open`] and [`File::create`].
    pub fn with(path: &str, rights: Rights, flags: OpenFlags) -> Result<File, Error> {
        registry::open(path, rights, flags).map(File)
    }

    /// The handle, for all that it can do.
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// Gives up the handle.
    pub fn into_handle(self) -> Handle {
        self.0
    }

    /// Reads on from where the last read ended. 0 is the end.
    ///
    /// # Errors
    /// `IsDirectory`, `Io`.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.0.read(buffer)
    }

    /// What is known about the file.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn metadata(&self) -> Result<Metadata, Error> {
        Metadata::of(&self.0)
    }
}

impl Metadata {
    /// What is known about an open handle.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn of(handle: &Handle) -> Result<Metadata, Error> {
        Metadata::from_document(handle.inspect()?.as_document())
    }

    fn from_document(document: Document<'_>) -> Result<Metadata, Error> {
        let kind = document
            .string("kind")
            .and_then(Kind::from_name)
            .ok_or(Error::BadValue)?;
        let about = document.document("object").unwrap_or(Document::EMPTY);
        let number = |key| about.unsigned(key).unwrap_or(0);
        Ok(Metadata {
            kind,
            size: number("size"),
            mode: number("mode") as u32,
            links: number("links"),
            owner: number("owner") as u32,
            group: number("group") as u32,
            modified: number("modified"),
            target: about.string("target").map(String::from),
        })
    }
}

/// What is at a path. A symbolic link is described itself when `follow` is false.
///
/// # Errors
/// As [`File::open`].
pub fn metadata(path: &str, follow: bool) -> Result<Metadata, Error> {
    let flags = if follow {
        OpenFlags::empty()
    } else {
        OpenFlags::NO_FOLLOW
    };
    Metadata::of(&registry::open(path, Rights::INSPECT, flags)?)
}

/// Reads a whole file.
///
/// # Errors
/// As [`File::open`] and [`File::read`].
pub fn read(path: &str) -> Result<Vec<u8>, Error> {
    File::open(path)?.0.read_to_end()
}

/// Removes a file, a link, or an empty directory.
///
/// # Errors
/// `NotFound`, `NotEmpty`, `Denied`.
pub fn remove(path: &str) -> Result<(), Error> {
    registry::open(path, Rights::DELETE, OpenFlags::NO_FOLLOW)?
        .ask("remove")
        .map(drop)
}

/// Gives a file or directory another path in the same file system.
///
/// # Errors
/// `NotFound`, `CrossDevice`, `NotEmpty`, `Denied`.
pub fn rename(path: &str, target: &str) -> Result<(), Error> {
    let target = crate::path::join(&crate::environment::current_directory(), target);
    let argument = Value::build(|builder| {
        builder.put("to", &target);
    })?;
    registry::open(path, Rights::DELETE, OpenFlags::NO_FOLLOW)?
        .request("rename", argument.as_document())
        .map(drop)
}

/// An open directory.
#[derive(Debug)]
pub struct Directory(Handle);

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
}

impl Directory {
    /// Opens a directory to list it and what is below it.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`, `Denied`.
    pub fn open(path: &str) -> Result<Directory, Error> {
        registry::open(path, Rights::LOOK, OpenFlags::DIRECTORY).map(Directory)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// `Exists`, `NotFound` on the way, `Denied`.
    pub fn create(path: &str) -> Result<Directory, Error> {
        let flags = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::DIRECTORY;
        registry::open(path, Rights::LOOK, flags).map(Directory)
    }

    /// The handle, for all that it can do.
    pub fn handle(&self) -> &Handle {
        &self.0
    }

    /// All entries but `.` and `..`, in the order of the file system.
    ///
    /// # Errors
    /// `Io`.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        records(&self.0, |record| {
            let name = record.string("name").unwrap_or_default();
            let kind = record
                .string("kind")
                .and_then(Kind::from_name)
                .unwrap_or(Kind::File);
            if !matches!(name, "." | "..") {
                entries.push(Entry {
                    name: name.into(),
                    kind,
                });
            }
        })?;
        Ok(entries)
    }
}

/// Reads an object that gives records (a directory, a registry) from its start to its end.
///
/// # Errors
/// What the object says; `BadValue` when a record is none.
pub fn records(handle: &Handle, mut visit: impl FnMut(Document<'_>)) -> Result<(), Error> {
    let mut buffer = alloc::vec![0; 8192];
    let mut offset = 0;
    loop {
        let count = handle.read_at(offset, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            let (record, after) = Document::parse_front(rest)?;
            rest = after;
            // The place after this record: where the next read begins.
            offset = record
                .unsigned("next")
                .filter(|&next| next != NEXT)
                .ok_or(Error::BadValue)?;
            visit(record);
        }
    }
}
