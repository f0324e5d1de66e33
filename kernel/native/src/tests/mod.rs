//! Native calls as a program makes them, on a simulated machine: registers in, registers out, memory in between.

mod calls;
mod fuzz;
mod messages;
mod shares;
mod starting;

use crate::arena::MemoryRegistry;
use crate::channel::ChannelRegistry;
use crate::door::Native;
use crate::port::EventRegistry;
use crate::power::Power;
use crate::processes::{ProcessObject, ProcessRegistry, ThreadObject};
use crate::spaces::SpaceObject;
use abi::{Call, Error, Number, OpenFlags, Rights, encode};
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::PAGE;
use machine::user::UserContext;
use memory::{Access, Backing, MapRequest, Placement, Space};
use object::{Handle, Namespace, Object, Registry, Table};
use process::{Birth, Flow, Process, Thread};
use task::block_on;
use tmpfs::Tmpfs;
use value::{Document, Value};
use vfs::{Credentials, Location, Mount, MountFlags, OpenRequest, Time, View};

/// Where the program's memory begins, and how long it is.
const MEMORY: usize = 0x10_0000;
const LENGTH: usize = 16 * PAGE;
/// Where arguments are put that the caller does not place.
const REPLIES: usize = MEMORY + 8 * PAGE;

/// A program that makes calls.
struct World {
    root: Location,
    process: Arc<Process>,
    thread: Arc<Thread>,
    space: Arc<Space>,
    handles: Arc<Table>,
    user: UserContext,
    /// The next free place for an argument.
    next: usize,
    /// What the last call said about going on.
    flow: Flow,
}

fn clock() -> Time {
    Time::from_nanoseconds(1_000_000_007)
}

impl World {
    /// With all registries, one file `/etc/text` and its own three handles.
    fn new() -> World {
        let volume = Tmpfs::volume(&tmpfs::Options::new(1, clock)).unwrap();
        let root = Mount::tree(volume, MountFlags::empty(), None);
        let world = World::of(root);
        world.file("/etc/text", b"some text");
        world
    }

    fn of(root: Location) -> World {
        let devices = Registry::new();
        devices
            .insert("power", Handle::new(Arc::new(Power), Rights::all()))
            .unwrap();
        let namespace = Namespace::new();
        let objects: [(&str, Arc<dyn Object>); 6] = [
            ("file", vfs::handle::directory(root.clone()).unwrap()),
            ("process", Arc::new(ProcessRegistry)),
            ("device", Arc::new(devices)),
            ("event", Arc::new(EventRegistry)),
            ("channel", Arc::new(ChannelRegistry)),
            ("memory", Arc::new(MemoryRegistry)),
        ];
        for (name, object) in objects {
            namespace
                .insert(name, Handle::new(object, Rights::all()))
                .unwrap();
        }
        let space = Space::new().unwrap();
        let request = MapRequest {
            at: Placement::Fixed(MEMORY),
            len: LENGTH,
            access: Access::READ | Access::WRITE,
            backing: Backing::Anonymous,
            kind: memory::Kind::Plain,
            max_access: Access::all(),
        };
        space.map(request).unwrap();
        let handles = Arc::new(Table::new());
        let birth = Birth {
            name: "test".into(),
            parent: None,
            space: space.clone(),
            handles: handles.clone(),
            namespace,
        };
        let process = Process::new(birth, 0, |_| Native::new(&[b"test".to_vec()], None)).unwrap();
        let thread = Thread::new(&process).unwrap();
        let own: [Arc<dyn Object>; 3] = [
            Arc::new(ProcessObject::of(process.clone())),
            Arc::new(ThreadObject(thread.clone())),
            Arc::new(SpaceObject(space.clone())),
        ];
        for object in own {
            handles.insert(Handle::new(object, Rights::all())).unwrap();
        }
        let user = UserContext::new(0, 0).unwrap();
        World {
            root,
            process,
            thread,
            space,
            handles,
            user,
            next: MEMORY,
            flow: Flow::Continue,
        }
    }

    /// The number of one of its own handles: process, thread, space.
    fn own(&self, place: usize) -> u64 {
        self.handles.entries()[place].0.0.into()
    }

    /// Makes a file, and the directory it is in.
    fn file(&self, path: &str, content: &[u8]) {
        let owner = Credentials::root();
        let view = View {
            root: &self.root,
            start: &self.root,
            credentials: &owner,
        };
        let parent = path.rsplit_once('/').unwrap().0;
        if !parent.is_empty() {
            let _ = view.make_directory(parent.as_bytes(), 0o755, clock());
        }
        let request = OpenRequest {
            access: vfs::Access::WRITE,
            flags: vfs::OpenFlags::CREATE,
            mode: 0o755,
            now: clock(),
            terminal: None,
        };
        let file = view.open(path.as_bytes(), &request).unwrap();
        file.write(&mut object::SliceSource::new(content)).unwrap();
    }

    /// Puts bytes into the program's memory.
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.next;
        self.next += bytes.len().next_multiple_of(16);
        assert!(self.next <= REPLIES);
        block_on(memory::copy_out(&self.space, at, bytes)).unwrap();
        at as u64
    }

    fn get(&self, at: usize, length: usize) -> Vec<u8> {
        block_on(memory::copy_in_vec(&self.space, at, length)).unwrap()
    }

    /// Makes a call; `rax` afterwards.
    fn call(&mut self, call: Call, arguments: &[u64]) -> Result<u64, Error> {
        self.raw(encode(call), arguments)
    }

    fn raw(&mut self, rax: u64, arguments: &[u64]) -> Result<u64, Error> {
        let mut six = [0; 6];
        six[..arguments.len()].copy_from_slice(arguments);
        let registers = &mut self.user.registers;
        registers.rax = rax;
        [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ] = six;
        self.flow = block_on(crate::call(&self.thread, &self.space, &mut self.user));
        Error::from_raw(self.user.registers.rax)
    }

    fn registry(&mut self, name: &str) -> Result<u64, Error> {
        let at = self.put(name.as_bytes());
        self.call(Call::Registry, &[at, name.len() as u64])
    }

    fn open(
        &mut self,
        from: u64,
        path: &str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<u64, Error> {
        let at = self.put(path.as_bytes());
        self.call(
            Call::Open,
            &[
                from,
                at,
                path.len() as u64,
                rights.bits().into(),
                flags.bits().into(),
            ],
        )
    }

    fn request(&mut self, handle: u64, verb: &str, argument: &Value) -> Result<Value, Error> {
        let name = self.put(verb.as_bytes());
        let value = self.put(argument.as_bytes());
        let arguments = [
            handle,
            name,
            verb.len() as u64,
            value,
            REPLIES as u64,
            PAGE as u64,
        ];
        let length = self.call(Call::Request, &arguments)?;
        Ok(Value::from_bytes(self.get(REPLIES, length as usize)).unwrap())
    }

    fn ask(&mut self, handle: u64, verb: &str) -> Result<Value, Error> {
        self.request(handle, verb, &Value::default())
    }

    fn read(&mut self, handle: u64, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let count = self.call(Call::Read, &[handle, offset, REPLIES as u64, length])?;
        Ok(self.get(REPLIES, count as usize))
    }

    fn write(&mut self, handle: u64, offset: u64, bytes: &[u8]) -> Result<u64, Error> {
        let at = self.put(bytes);
        self.call(Call::Write, &[handle, offset, at, bytes.len() as u64])
    }
}

/// The number behind a key of a reply.
fn number(document: Document<'_>, key: &str) -> u64 {
    document
        .unsigned(key)
        .unwrap_or_else(|| panic!("no {key} in {document}"))
}

const NONE: u64 = Number::NONE.0 as u64;
