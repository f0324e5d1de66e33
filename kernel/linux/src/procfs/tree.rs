//! The directories of `/proc`.

use super::descriptor;
use super::files::SYSTEM;
use super::irq;
use super::process::{self as of_process, Subject};
use super::sysctl;
use crate::process::Process;
use crate::realm;
use crate::shown::{self, Shown, Text};
use abi::{Error, Rights};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::Source;
use vfs::{
    Change, Description, Entry, File, FileKind, FileSystem, Inode, Location, Metadata, OpenRequest,
    Statistics,
};

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
        shown::statistics(MAGIC)
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
    /// `/proc/PID/fdinfo`, and a file for each descriptor.
    DescriptorFiles(u32),
    DescriptorFile(u32, u32),
    /// `/proc/PID/exe`, `cwd` and `root`: links that lead to the place.
    Place(u32, Place),
    /// A file with text that is made when it is opened.
    SystemFile(usize),
    ProcessFile(u32, usize),
    /// `/proc/PID/task`: its threads.
    Tasks(u32),
    /// `/proc/PID/task/TID`, and what is in it.
    Task(u32, u32),
    TaskFile(u32, u32, usize),
    /// `/proc/mounts`, a link to the caller's own.
    MyMounts,
    /// A directory of `/proc/sys`, by its path there.
    Settings(&'static str),
    Setting(usize),
    /// `/proc/irq`, a directory for each interrupt, and what is in it.
    Interrupts,
    DefaultRoute,
    Interrupt(u32),
    InterruptFile(u32, usize),
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
            Node::MyMounts => 4,
            Node::SystemFile(index) => 0x100 + index as u64,
            // Every directory has its first file's place as its number.
            Node::Settings(path) => {
                let first = sysctl::FILES
                    .iter()
                    .position(|(file, _)| file.starts_with(path));
                0x1000 + path.len() as u64 + first.unwrap_or(0) as u64 * 0x40
            }
            Node::Setting(index) => 0x8000 + index as u64,
            Node::Interrupts => 5,
            Node::DefaultRoute => 6,
            Node::Interrupt(number) => 0x1_0000 + u64::from(number) * 8,
            Node::InterruptFile(number, index) => 0x1_0001 + u64::from(number) * 8 + index as u64,
            Node::Tasks(id) => of(id, 7),
            Node::Task(id, thread) => of(id, 0x8000_0000 | u64::from(thread) << 8),
            Node::TaskFile(id, thread, index) => of(
                id,
                0x8000_0000 | u64::from(thread) << 8 | (1 + index as u64),
            ),
            Node::Process(id) => of(id, 1),
            Node::Descriptors(id) => of(id, 2),
            Node::Place(id, place) => of(id, 3 + place as u64),
            Node::ProcessFile(id, index) => of(id, 0x100 + index as u64),
            Node::Descriptor(id, descriptor) => of(id, 0x1_0000 + u64::from(descriptor)),
            Node::DescriptorFiles(id) => of(id, 6),
            Node::DescriptorFile(id, descriptor) => of(id, 0x4000_0000 + u64::from(descriptor)),
        }
    }

    fn process(&self) -> Result<Arc<process::Process>, Error> {
        match *self {
            Node::Process(id)
            | Node::Descriptors(id)
            | Node::Descriptor(id, _)
            | Node::DescriptorFiles(id)
            | Node::DescriptorFile(id, _)
            | Node::Place(id, _)
            | Node::ProcessFile(id, _)
            | Node::Tasks(id)
            | Node::Task(id, _)
            | Node::TaskFile(id, ..) => find(id),
            _ => Err(Error::NotFound),
        }
    }

    /// A thread of a process.
    fn thread(&self, id: u32) -> Result<Arc<process::Thread>, Error> {
        self.process()?.find_thread(id).ok_or(Error::NotFound)
    }

    /// The node for a descriptor in one of the two directories of them.
    fn entry(&self, process: u32, descriptor: u32) -> Node {
        match self {
            Node::DescriptorFiles(_) => Node::DescriptorFile(process, descriptor),
            _ => Node::Descriptor(process, descriptor),
        }
    }

    fn linux(&self) -> Result<Arc<Process>, Error> {
        Process::of(&*self.process()?).ok_or(Error::NotFound)
    }

    /// Whether it can be written.
    fn is_setting(&self) -> bool {
        matches!(*self, Node::InterruptFile(_, index) if irq::is_setting(index))
    }

    /// Whether only those may read it who may look inside the process.
    fn is_private(&self) -> bool {
        let (Node::ProcessFile(_, index) | Node::TaskFile(_, _, index)) = *self else {
            return false;
        };
        let name = of_process::FILES.get(index).map(|(name, _)| *name);
        matches!(name, Some("auxv" | "environ" | "maps"))
    }

    /// To know of a process gives nothing of what is in it: `Denied` to those who may not look inside.
    fn check_inside(&self) -> Result<(), Error> {
        let process = self.process()?;
        match calling_process() {
            Some(caller) if !realm::looks_into(&caller, &process) => Err(Error::Denied),
            _ => Ok(()),
        }
    }

    /// Where a link leads, with what the caller may do there.
    fn target(&self) -> Result<Location, Error> {
        self.check_inside()?;
        match *self {
            Node::Descriptor(_, descriptor) => {
                let handle = self.linux()?.descriptors().copy_handle(descriptor);
                let handle = handle.map_err(|_| Error::NotFound)?;
                let file = handle.downcast_ref::<Description>();
                let place = file.and_then(Description::place).ok_or(Error::NotFound)?;
                handle.holds()?;
                place.narrowed(handle.rights(), handle.tenure())
            }
            Node::Place(_, place) => {
                let process = self.linux()?;
                let location = match place {
                    Place::Program => process.image.lock().location.clone(),
                    Place::Directory => Some(process.standing().directory.clone()),
                    Place::Root => Some(process.standing().root.clone()),
                };
                location.ok_or(Error::NotFound)
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

/// The process that is in a call; the kernel's own tasks are none.
pub(crate) fn calling_process() -> Option<Arc<process::Process>> {
    process::find(caller()?)
}

/// Whether the caller knows of a process; the kernel itself knows all.
fn known(caller: Option<&Arc<process::Process>>, other: &Arc<process::Process>) -> bool {
    caller.is_none_or(|caller| realm::knows(caller, other, Rights::LIST))
}

/// A process that the caller knows of.
fn find(id: u32) -> Result<Arc<process::Process>, Error> {
    process::find(id)
        .filter(|process| known(calling_process().as_ref(), process))
        .ok_or(Error::NotFound)
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
            Node::Tasks(_) | Node::Task(..) | Node::Settings(_) => FileKind::Directory,
            Node::DescriptorFiles(_) => FileKind::Directory,
            Node::Interrupts | Node::Interrupt(_) => FileKind::Directory,
            Node::InterruptFile(..) | Node::DefaultRoute => FileKind::File,
            Node::DescriptorFile(..) => FileKind::File,
            Node::MyMounts => FileKind::Symlink,
            Node::TaskFile(..) | Node::Setting(_) => FileKind::File,
            Node::Myself | Node::Descriptor(..) | Node::Place(..) => FileKind::Symlink,
            Node::SystemFile(_) | Node::ProcessFile(..) => FileKind::File,
        }
    }

    fn metadata(&self) -> Metadata {
        let kind = self.kind();
        let mode = match kind {
            _ if matches!(self, Node::Descriptors(_)) => 0o500,
            _ if self.is_private() => 0o400,
            _ if self.is_setting() => 0o644,
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

    /// A file that can be written is cut before: it has no size, so there is nothing to do.
    fn change(&self, change: &Change) -> Result<(), Error> {
        let Change {
            mode: None,
            uid: None,
            gid: None,
            size: Some(0),
            ..
        } = change
        else {
            return Err(Error::Forbidden);
        };
        match self.is_setting() {
            true => Ok(()),
            false => Err(Error::Forbidden),
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
                    ("mounts", ..) => Node::MyMounts,
                    ("sys", ..) => Node::Settings(""),
                    ("irq", ..) => Node::Interrupts,
                    (_, Some(index), _) => Node::SystemFile(index),
                    (_, _, Some(id)) => {
                        find(id)?;
                        Node::Process(id)
                    }
                    _ => return Err(Error::NotFound),
                }
            }
            Node::Process(id) => {
                self.process()?;
                let file = of_process::FILES.iter().position(|(file, _)| *file == text);
                let place = PLACES.iter().find(|(place, _)| *place == text);
                match (text, file, place) {
                    ("fd", ..) => Node::Descriptors(id),
                    ("fdinfo", ..) => Node::DescriptorFiles(id),
                    ("task", ..) => Node::Tasks(id),
                    (_, Some(index), _) => Node::ProcessFile(id, index),
                    (_, _, Some((_, place))) => Node::Place(id, *place),
                    _ => return Err(Error::NotFound),
                }
            }
            Node::Descriptors(id) | Node::DescriptorFiles(id) => {
                self.check_inside()?;
                let descriptor = number_of(name).ok_or(Error::NotFound)?;
                let open = self.linux()?.descriptors();
                open.handle(descriptor).map_err(|_| Error::NotFound)?;
                self.entry(id, descriptor)
            }
            Node::Tasks(id) => {
                let thread = number_of(name).ok_or(Error::NotFound)?;
                self.thread(thread)?;
                Node::Task(id, thread)
            }
            Node::Task(id, thread) => {
                self.thread(thread)?;
                let file = of_process::FILES.iter().position(|(file, _)| *file == text);
                Node::TaskFile(id, thread, file.ok_or(Error::NotFound)?)
            }
            Node::Interrupts if text == irq::DEFAULT => Node::DefaultRoute,
            Node::Interrupts => {
                let number = number_of(name).ok_or(Error::NotFound)?;
                irq::check(number)?;
                Node::Interrupt(number)
            }
            Node::Interrupt(number) => {
                let file = irq::FILES.iter().position(|file| *file == text);
                Node::InterruptFile(number, file.ok_or(Error::NotFound)?)
            }
            Node::Settings(path) => match sysctl::find(path, text).ok_or(Error::NotFound)? {
                sysctl::Found::File(index) => Node::Setting(index),
                sysctl::Found::Directory(path) => Node::Settings(path),
            },
            _ => return Err(Error::NotDirectory),
        };
        Ok(Arc::new(node))
    }

    fn list(&self, cookie: u64, visit: &mut dyn FnMut(&Entry<'_>) -> bool) -> Result<u64, Error> {
        // A cookie is 1 + a key, and entries come in the order of the keys.
        let mut entries: Vec<(u64, String, Node)> = Vec::new();
        let mut add = |key: u64, name: &str, node: Node| entries.push((key, name.into(), node));
        match *self {
            Node::Root => {
                add(0, "self", Node::Myself);
                add(1, "mounts", Node::MyMounts);
                add(2, "sys", Node::Settings(""));
                add(3, "irq", Node::Interrupts);
                for (index, (name, _)) in SYSTEM.iter().enumerate() {
                    add(0x10 + index as u64, name, Node::SystemFile(index));
                }
                let caller = calling_process();
                for process in process::all() {
                    if !known(caller.as_ref(), &process) {
                        continue;
                    }
                    let id = process.id();
                    add(0x100 + u64::from(id), &format!("{id}"), Node::Process(id));
                }
            }
            Node::Process(id) => {
                self.process()?;
                add(0, "fd", Node::Descriptors(id));
                add(8, "fdinfo", Node::DescriptorFiles(id));
                add(1, "task", Node::Tasks(id));
                for (index, (name, place)) in PLACES.iter().enumerate() {
                    add(2 + index as u64, name, Node::Place(id, *place));
                }
                for (index, (name, _)) in of_process::FILES.iter().enumerate() {
                    add(0x10 + index as u64, name, Node::ProcessFile(id, index));
                }
            }
            Node::Descriptors(id) | Node::DescriptorFiles(id) => {
                self.check_inside()?;
                for number in self.linux()?.descriptors().open_descriptors() {
                    let entry = self.entry(id, number);
                    add(u64::from(number), &format!("{number}"), entry);
                }
            }
            Node::Tasks(id) => {
                for thread in self.process()?.threads() {
                    let number = thread.id();
                    add(
                        u64::from(number),
                        &format!("{number}"),
                        Node::Task(id, number),
                    );
                }
            }
            Node::Task(id, thread) => {
                self.thread(thread)?;
                for (index, (name, _)) in of_process::FILES.iter().enumerate() {
                    add(index as u64, name, Node::TaskFile(id, thread, index));
                }
            }
            Node::Interrupts => {
                add(0, irq::DEFAULT, Node::DefaultRoute);
                for number in irq::numbers() {
                    let name = format!("{number}");
                    add(1 + u64::from(number), &name, Node::Interrupt(number));
                }
            }
            Node::Interrupt(number) => {
                irq::check(number)?;
                for (index, name) in irq::FILES.iter().enumerate() {
                    add(index as u64, name, Node::InterruptFile(number, index));
                }
            }
            Node::Settings(path) => {
                for (index, (name, found)) in sysctl::entries(path).enumerate() {
                    let node = match found {
                        sysctl::Found::File(index) => Node::Setting(index),
                        sysctl::Found::Directory(path) => Node::Settings(path),
                    };
                    add(index as u64, name, node);
                }
            }
            _ => return Err(Error::NotDirectory),
        }
        entries.sort_by_key(|entry| entry.0);
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
            Node::MyMounts => Ok(b"self/mounts".to_vec()),
            Node::Place(_, Place::Program) => {
                self.check_inside()?;
                Ok(self.linux()?.image.lock().path.clone())
            }
            Node::Descriptor(_, descriptor) => {
                self.check_inside()?;
                let process = self.linux()?;
                let handle = process.descriptors().copy_handle(*descriptor);
                let handle = handle.map_err(|_| Error::NotFound)?;
                let file: &Description = handle.downcast_ref().ok_or(Error::NotFound)?;
                match file.place() {
                    Some(place) => Ok(place.path(&process.standing().root)),
                    // What cannot be opened again has a name nevertheless.
                    None => Ok(file.file().title().into_bytes()),
                }
            }
            Node::Place(..) => {
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
        if matches!(*self, Node::Descriptors(_) | Node::DescriptorFiles(_)) {
            self.check_inside()?;
        }
        // What cannot be shown cannot be opened.
        self.text()?;
        Ok(Text::new(self))
    }
}

impl Node {
    /// What a file says now.
    fn text(&self) -> Result<Vec<u8>, Error> {
        if self.is_private() {
            self.check_inside()?;
        }
        let of = |index: usize, thread: Option<u32>| {
            let (_, make) = of_process::FILES.get(index).ok_or(Error::NotFound)?;
            let thread = thread.map(|id| self.thread(id)).transpose()?;
            Ok(make(&Subject {
                process: self.process()?,
                thread,
            }))
        };
        match *self {
            Node::SystemFile(index) => SYSTEM
                .get(index)
                .map(|(_, make)| make())
                .ok_or(Error::NotFound),
            Node::Setting(index) => sysctl::FILES
                .get(index)
                .map(|(_, make)| make())
                .ok_or(Error::NotFound),
            Node::DefaultRoute => Ok(irq::default_text()),
            Node::InterruptFile(number, index) => irq::text(number, index),
            Node::DescriptorFile(_, descriptor) => {
                self.check_inside()?;
                descriptor::text(&*self.linux()?, descriptor)
            }
            Node::ProcessFile(_, index) => of(index, None),
            Node::TaskFile(_, thread, index) => of(index, Some(thread)),
            _ => Ok(Vec::new()),
        }
    }
}

impl Shown for Node {
    fn shown(&self) -> Result<Vec<u8>, Error> {
        if self.kind() == FileKind::Directory {
            return Err(Error::IsDirectory);
        }
        self.text().map_err(|_| Error::NoProcess)
    }

    fn take(&self, source: &mut dyn Source) -> Result<usize, Error> {
        let Node::InterruptFile(number, index) = *self else {
            return Err(Error::Denied);
        };
        if !irq::is_setting(index) {
            return Err(Error::Denied);
        }
        let mut bytes = [0; irq::LONGEST];
        let count = source.take(&mut bytes);
        irq::set(number, index, bytes.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}
