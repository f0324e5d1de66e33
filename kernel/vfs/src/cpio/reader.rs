//! Reading cpio archives in the `newc` format, as Linux initramfs images are.
//!
//! The one idea: the archive is an allegation. Every number is checked against what is left before anything is sliced;
//! an entry only ever borrows from the archive. Format: cpio(5) "New ASCII Format", and the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst for several archives one after the other.

use crate::metadata::DeviceNumber;
use core::fmt;

/// Bytes of a header: a magic number and 13 numbers of 8 hexadecimal digits.
const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
/// The same with a sum of the data, which nobody checks.
const MAGIC_SUM: &[u8] = b"070702";
/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Kind and permissions in the mode field, as `stat.h` numbers them.
const KIND_MASK: u32 = 0o170_000;

/// What is wrong with an archive, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadArchive {
    /// Offset of the entry in the archive.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No `newc` header where one must be; perhaps it is compressed.
    NoHeader,
    /// A field of the header is no hexadecimal number.
    BadNumber,
    /// It ends in the middle of an entry.
    CutShort,
    /// It ends without a trailer.
    NoTrailer,
    /// A name that is empty, not ended by a zero, or has one inside.
    BadName,
    /// A name with `..` in it.
    Escapes,
    /// A kind of file that there is not.
    BadKind,
    /// The file could not be made.
    NotMade(abi::Error),
}

impl fmt::Display for BadArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.problem {
            Problem::NoHeader => "there is no newc header (a compressed archive?)",
            Problem::BadNumber => "the header has a field that is no number",
            Problem::CutShort => "the archive ends in the middle of an entry",
            Problem::NoTrailer => "the archive ends without a trailer",
            Problem::BadName => "the name is not a path",
            Problem::Escapes => "the name leads outside",
            Problem::BadKind => "the kind of file is unknown",
            Problem::NotMade(error) => {
                return write!(f, "cpio entry at byte {}: {error}", self.offset);
            }
        };
        write!(f, "cpio entry at byte {}: {text}", self.offset)
    }
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharacterDevice,
    BlockDevice,
}

/// One file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Offset of its header.
    pub offset: usize,
    /// Its path: not empty, no zero bytes; may start with `/` or `./`.
    pub name: &'a [u8],
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Entries with the same identity and more than one link are one file.
    pub identity: (u32, u32, u32),
    pub links: u32,
    /// Seconds since 1970.
    pub modified: u32,
    /// Of a device node.
    pub device: DeviceNumber,
    /// The content of a file, the target of a link.
    pub data: &'a [u8],
}

/// Reads the entries of one archive or of several, one after the other. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Inside of an archive, before its trailer.
    inside: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader {
            bytes,
            at: 0,
            inside: false,
        }
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, Problem> {
        loop {
            if !self.inside {
                // Archives may be followed by zeros, and by more archives.
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
                self.at += zeros;
                if zeros == rest.len() {
                    return Ok(None);
                }
            }
            if self.at >= self.bytes.len() {
                return Err(Problem::NoTrailer);
            }
            let offset = self.at;
            let rest = self.bytes.get(offset..).unwrap_or_default();
            let front = rest.get(..MAGIC.len()).unwrap_or(rest);
            let known = MAGIC.starts_with(front) || MAGIC_SUM.starts_with(front);
            if !known || !offset.is_multiple_of(4) {
                return Err(Problem::NoHeader);
            }
            let header = Header::parse(self.take(HEADER).ok_or(Problem::CutShort)?)?;
            self.inside = true;
            let name = self.take(header.name_size).ok_or(Problem::CutShort)?;
            let name = match name.split_last() {
                Some((0, name)) if !name.is_empty() && !name.contains(&0) => name,
                _ => return Err(Problem::BadName),
            };
            self.align();
            let data = self.take(header.file_size).ok_or(Problem::CutShort)?;
            self.align();
            if name == TRAILER {
                self.inside = false;
                continue;
            }
            return Ok(Some(Entry {
                offset,
                name,
                kind: header.kind()?,
                mode: (header.mode & !KIND_MASK) as u16,
                uid: header.uid,
                gid: header.gid,
                identity: header.identity,
                links: header.links,
                modified: header.modified,
                device: header.device,
                data,
            }));
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// Names and data are padded to 4 bytes; at the very end of the bytes the padding may be missing.
    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4).min(self.bytes.len());
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Entry<'a>, BadArchive>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.at;
        match self.entry() {
            Ok(entry) => entry.map(Ok),
            Err(problem) => {
                self.at = self.bytes.len();
                self.inside = false;
                Some(Err(BadArchive { offset, problem }))
            }
        }
    }
}

struct Header {
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    modified: u32,
    file_size: usize,
    identity: (u32, u32, u32),
    device: DeviceNumber,
    name_size: usize,
}

impl Header {
    /// Takes exactly [`HEADER`] bytes apart; the magic number has been checked.
    fn parse(bytes: &[u8]) -> Result<Header, Problem> {
        let fields = bytes.get(MAGIC.len()..).unwrap_or_default();
        let mut numbers = [0; 13];
        for (number, digits) in numbers.iter_mut().zip(fields.chunks(8)) {
            *number = hexadecimal(digits).ok_or(Problem::BadNumber)?;
        }
        let [
            inode,
            mode,
            uid,
            gid,
            links,
            modified,
            file_size,
            numbers @ ..,
        ] = numbers;
        let [major, minor, device_major, device_minor, name_size, _sum] = numbers;
        Ok(Header {
            mode,
            uid,
            gid,
            links,
            modified,
            file_size: file_size as usize,
            identity: (inode, major, minor),
            device: DeviceNumber::new(device_major, device_minor),
            name_size: name_size as usize,
        })
    }

    fn kind(&self) -> Result<Kind, Problem> {
        Ok(match self.mode & KIND_MASK {
            0o010_000 => Kind::Fifo,
            0o020_000 => Kind::CharacterDevice,
            0o040_000 => Kind::Directory,
            0o060_000 => Kind::BlockDevice,
            0o100_000 => Kind::File,
            0o120_000 => Kind::Symlink,
            0o140_000 => Kind::Socket,
            _ => return Err(Problem::BadKind),
        })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}
