//! The directories of `/proc`.

use super::files::{OF_PROCESS, SYSTEM};
use crate::process::Process;
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::{Sink, Source};
use vfs::{Entry, File, FileKind, FileSystem, Inode, Location, Metadata, OpenRequest, Statistics};

/// `PROC_SUPER_MAGIC`.
const MAGIC: u64 = 0x9fa0;

/// The file system.
pub struct ProcFs {
    root: Arc<dyn Inode>,
}

impl ProcFs {
    pub fn new() -> Arc<ProcFs> {
        Arc::new(ProcFs {
            root: Arc::new(Node::Root),
        })
    }
}

impl FileSystem for ProcFs {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            magic: MAGIC,
            block_size: machine::PAGE as u32,
            blocks: 0,
            free_blocks: 0,
            inodes: 0,
            free_inodes: 0,
        }
    }
}

/// Everything that there is in `/proc`.
enum Node {
    Root,
    /// `/proc/self`: a link to the caller's directory.
    Myself,
    /// `/proc/PID`.
    Process(u32),
    /// `/proc/PID/fd`.
    Descriptors(u32),
    /// `/proc/PID/fd/N`, a link that leads to the open file.
    Descriptor(u32, u32),
    /// `/proc/PID/exe`, `cwd` and `root`: links that lead to the place.
    Place(u32, Place),
    /// A file with text that is made when it is opened.
    SystemFile(usize),
    ProcessFile(u32, usize),
}

#[derive(Clone, Copy)]
enum Place {
    Program,
    Directory,
    Root,
}

const PLACES: [(&str, Place); 3] = [
    ("cwd", Place::Directory),
    ("exe", Place::Program),
    ("root", Place::Root),
];

impl Node {
    /// Inode numbers: the process in the upper half, what it is in the lower.
    fn number(&self) -> u64 {
        let of = |process: u32, what: u64| u64::from(process) << 32 | what;
        match *self {
            Node::Root => 1,
            Node::Myself => 2,
            Node::SystemFile(index) => 0x100 + index as u64,
            Node::Process(id) => of(id, 1),
            Node::Descriptors(id) => of(id, 2),
            Node::Place(id, place) => of(id, 3 + place as u64),
            Node::ProcessFile(id, index) => of(id, 0x100 + index as u64),
            Node::Descriptor(id, descriptor) => of(id, 0x1_0000 + u64::from(descriptor)),
        }
    }

    fn process(&self) -> Result<Arc<process::Process>, Error> {
        match *self {
            Node::Process(id)
            | Node::Descriptors(id)
            | Node::Descriptor(id, _)
            | Node::Place(id, _)
            | Node::ProcessFile(id, _) => process::find(id).ok_or(Error::NotFound),
            _ => Err(Error::NotFound),
        }
    }

    fn linux(&self) -> Result<Arc<Process>, Error> {
        Process::of(&*self.process()?).ok_or(Error::NotFound)
    }

    fn target(&self) -> Result<Location, Error> {
        match *self {
            Node::Descriptor(_, descriptor) => {
                let file = self
                    .linux()?
                    .descriptors()
                    .get(descriptor, abi::Rights::empty());
                file.map_err(|_| Error::NotFound)?
                    .place()
                    .ok_or(Error::NotFound)
            }
            Node::Place(_, place) => {
                let process = self.linux()?;
                match place {
                    Place::Program => process.image.lock().location.clone().ok_or(Error::NotFound),
                    Place::Directory => Ok(process.standing().directory.clone()),
                    Place::Root => Ok(process.standing().root.clone()),
                }
            }
            _ => Err(Error::Invalid),
        }
    }
}

fn caller() -> Option<u32> {
    task::with_current(|task| task.tag())
        .map(|tag| tag as u32)
        .filter(|&id| id != 0)
}

fn number_of(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text == "0" || !text.starts_with(['0', '+']);
    if plain { text.parse().ok() } else { None }
}

impl Inode for Node {
    fn kind(&self) -> FileKind {
        match self {
            Node::Root | Node::Process(_) | Node::Descriptors(_) => FileKind::Directory,
            Node::Myself | Node::Descriptor(..) | Node::Place(..) => FileKind::Symlink,
            Node::SystemFile(_) | Node::ProcessFile(..) => FileKind::File,
        }
    }

    fn metadata(&self) -> Metadata {
        let kind = self.kind();
        let mode = match kind {
            FileKind::Directory => 0o555,
            FileKind::Symlink => 0o777,
            _ => 0o444,
        };
        let owner = self.linux().map(|process| process.identity());
        let (uid, gid) = owner.map_or((0, 0), |owner| (owner.effective.uid, owner.effective.gid));
        let links = if kind == FileKind::Directory { 2 } else { 1 };
        Metadata {
            inode: self.number(),
            mode,
            links,
            uid,
            gid,
            ..Metadata::nameless(kind)
        }
    }

    fn remembers_names(&self) -> bool {
        false
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Error> {
        let text = core::str::from_utf8(name).map_err(|_| Error::NotFound)?;
        let node = match *self {
            Node::Root => {
                let file = SYSTEM.iter().position(|(file, _)| *file == text);
                match (text, file, number_of(name)) {
                    ("self", ..) => Node::Myself,
                    (_, Some(index), _) => Node::SystemFile(index),
                    (_, _, Some(id)) => {
                        process::find(id).ok_or(Error::NotFound)?;
                        Node::Process(id)
                    }
                    _ => return Err(Error::NotFound),
                }
            }
            Node::Process(id) => {
                self.process()?;
                let file = OF_PROCESS.iter().position(|(file, _)| *file == text);
                let place = PLACES.iter().find(|(place, _)| *place == text);
                match (text, file, place) {
                    ("fd", ..) => Node::Descriptors(id),
                    (_, Some(index), _) => Node::ProcessFile(id, index),
                    (_, _, Some((_, place))) => Node::Place(id, *place),
                    _ => return Err(Error::NotFound),
                }
            }
            Node::Descriptors(id) => {
                let descriptor = number_of(name).ok_or(Error::NotFound)?;
                let open = self.linux()?.descriptors();
                open.handle(descriptor).map_err(|_| Error::NotFound)?;
                Node::Descriptor(id, descriptor)
            }
            _ => return Err(Error::NotDirectory),
        };
        Ok(Arc::new(node))
    }

    fn list(&self, cookie: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<u64, Error> {
        // A cookie is 1 + the place in this order: fixed names first, then numbers, which sort by themselves.
        let mut entries: Vec<(u64, String, Node)> = Vec::new();
        let mut add = |key: u64, name: String, node: Node| entries.push((key, name, node));
        match *self {
            Node::Root => {
                add(0, String::from("self"), Node::Myself);
                for (index, (name, _)) in SYSTEM.iter().enumerate() {
                    add(
                        1 + index as u64,
                        String::from(*name),
                        Node::SystemFile(index),
                    );
                }
                for process in process::all() {
                    let id = process.id();
                    add(0x100 + u64::from(id), format!("{id}"), Node::Process(id));
                }
            }
            Node::Process(id) => {
                self.process()?;
                add(0, String::from("fd"), Node::Descriptors(id));
                for (index, (name, place)) in PLACES.iter().enumerate() {
                    add(
                        1 + index as u64,
                        String::from(*name),
                        Node::Place(id, *place),
                    );
                }
                for (index, (name, _)) in OF_PROCESS.iter().enumerate() {
                    add(
                        0x10 + index as u64,
                        String::from(*name),
                        Node::ProcessFile(id, index),
                    );
                }
            }
            Node::Descriptors(id) => {
                for descriptor in self.linux()?.descriptors().open_descriptors() {
                    add(
                        u64::from(descriptor),
                        format!("{descriptor}"),
                        Node::Descriptor(id, descriptor),
                    );
                }
            }
            _ => return Err(Error::NotDirectory),
        }
        let mut next = cookie;
        for (key, name, node) in entries {
            if key < cookie {
                continue;
            }
            let entry = Entry {
                name: name.as_bytes(),
                inode: node.number(),
                kind: node.kind(),
                next: key + 1,
            };
            if !visit(&entry) {
                break;
            }
            next = key + 1;
        }
        Ok(next)
    }

    fn read_link(&self) -> Result<Vec<u8>, Error> {
        match self {
            Node::Myself => caller()
                .map(|id| format!("{id}").into_bytes())
                .ok_or(Error::NotFound),
            Node::Descriptor(..) | Node::Place(..) => {
                let root = self.linux()?.standing().root.clone();
                Ok(self.target()?.path(&root))
            }
            _ => Err(Error::Invalid),
        }
    }

    fn jump(&self) -> Result<Option<Location>, Error> {
        match self {
            Node::Descriptor(..) | Node::Place(..) => self.target().map(Some),
            _ => Ok(None),
        }
    }

    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        let text = match *self {
            Node::SystemFile(index) => SYSTEM
                .get(index)
                .map(|(_, make)| make())
                .ok_or(Error::NotFound)?,
            Node::ProcessFile(_, index) => {
                let process = self.process()?;
                OF_PROCESS
                    .get(index)
                    .map(|(_, make)| make(&process))
                    .ok_or(Error::NotFound)?
            }
            _ => Vec::new(),
        };
        Ok(Arc::new(Text(text)))
    }
}

/// A file's text as it was when it was opened.
struct Text(Vec<u8>);

impl File for Text {
    fn try_read(&self, position: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let rest = usize::try_from(position)
            .ok()
            .and_then(|position| self.0.get(position..));
        Ok(rest.map_or(0, |rest| sink.put(rest)))
    }

    fn try_write(&self, _: u64, _: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        Err(Error::Denied)
    }

    fn seekable(&self) -> bool {
        true
    }
}
