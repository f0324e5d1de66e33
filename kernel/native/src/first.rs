//! Starting programs: by the kernel at boot, and by native programs.
//!
//! The one idea: whoever starts a program says everything it is given. A native program gets handles by name; for
//! others there is a [`LinuxStarter`], which is handed the part of it that a Linux program can understand.

use crate::block;
use crate::door::{Native, NativeDoor};
use crate::groups::{self, Group};
use crate::note::is_native;
use crate::processes::{ProcessObject, ThreadObject};
use crate::spaces::SpaceObject;
use abi::{Error, Number, Rights};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::future::Future;
use core::pin::Pin;
use machine::sync::Once;
use machine::user::UserContext;
use object::{Handle, Namespace, Object, SliceSink, Table, Tenure};
use process::{Birth, Process, Thread, image};
use task::Terms;
use tty::Tty;
use value::Value;
use vfs::confine::FILES;
use vfs::{Credentials, Description, FileKind, Location, View};

/// A program and everything it is given.
pub struct Start {
    /// The open program file.
    pub program: Arc<Description>,
    pub arguments: Vec<Vec<u8>>,
    pub environment: Vec<(String, Vec<u8>)>,
    /// Where relative paths start, in the `file:` registry.
    pub directory: String,
    /// Handles by the names under which the program finds them.
    pub handles: Vec<(String, Handle)>,
    /// The registries that it can name.
    pub namespace: Namespace,
    pub parent: Option<Arc<Process>>,
    pub group: Group,
    /// The share of the CPUs that it starts in; `None`: that of whoever starts it.
    pub share: Option<Arc<task::Group>>,
}

/// What a Linux program is handed. Field by field what `linux::first::Start` wants.
pub struct LinuxStart {
    pub root: Location,
    pub directory: Location,
    pub program: Location,
    /// Its path, as far as it has one below the root.
    pub path: Vec<u8>,
    pub arguments: Vec<Vec<u8>>,
    /// `NAME=content`.
    pub environment: Vec<Vec<u8>>,
    pub streams: [Option<Handle>; 3],
    pub namespace: Namespace,
    pub parent: Option<Arc<Process>>,
    /// The terminal it shall control, if it leads a group and reads from one.
    pub terminal: Option<Arc<Tty>>,
    pub leads_group: bool,
    /// The share of the CPUs that it starts in; `None`: that of whoever starts it.
    pub share: Option<Arc<task::Group>>,
}

/// The future of [`LinuxStarter::start`].
pub type Starting = Pin<Box<dyn Future<Output = Result<Arc<Process>, Error>> + Send>>;

/// Starts programs that are not native.
pub trait LinuxStarter: Send + Sync {
    /// Loads and starts a Linux program.
    ///
    /// # Errors
    /// `NotExecutable` and whatever else keeps a program from starting.
    fn start(&self, start: LinuxStart) -> Starting;
}

static LINUX: Once<Arc<dyn LinuxStarter>> = Once::new();

/// Says who starts programs that are not native. The first answer stays; without one they are refused.
pub fn set_linux_starter(starter: Arc<dyn LinuxStarter>) {
    // A second starter is not heard.
    let _ = LINUX.set(starter);
}

/// Loads and starts a program; it runs from now on.
///
/// # Errors
/// [`Error::NotExecutable`], [`Error::ArgumentsTooLong`], [`Error::NoMemory`], [`Error::Limit`].
pub async fn start(start: Start) -> Result<Arc<Process>, Error> {
    let pages = start.program.pages().ok_or(Error::Denied)?;
    let group = start.group;
    let parent = start.parent.clone();
    // Who interprets a script is the parent's business: it may be native or Linux, and whose rights apply is its choice.
    if is_script(&pages) {
        return Err(Error::NotExecutable);
    }
    let process = if is_native(&pages) {
        native(start, &pages).await?
    } else {
        linux(start).await?
    };
    groups::join(&process, parent.as_ref(), group);
    Ok(process)
}

async fn native(start: Start, pages: &Arc<memory::Object>) -> Result<Arc<Process>, Error> {
    let plan = image::inspect(pages)?;
    if plan.interpreter.is_some() {
        return Err(Error::NotExecutable);
    }
    let running = pages.begin_running()?;
    let space = memory::Space::new()?;
    let loaded = image::load(&space, pages, plan, image::PROGRAM_BASE).await?;
    let top = image::map_stack(&space, image::STACK_SIZE, false)?;
    let handles = Arc::new(Table::new());
    let birth = Birth {
        name: name_of(&start),
        parent: start.parent.clone(),
        space: space.clone(),
        handles: handles.clone(),
        namespace: start.namespace.clone(),
    };
    let personality = Native::new(&start.arguments, Some(running));
    let process = Process::new(birth, task::clock::now(), |_| personality)?;
    let thread = match Thread::new(&process) {
        Ok(thread) => thread,
        Err(error) => {
            process.abandon();
            return Err(error);
        }
    };
    match prepare(&thread, &start, &space, &handles, loaded.entry, top).await {
        Ok(user) => {
            let terms = Terms::within(start.share);
            process::launch(Arc::new(NativeDoor(thread)), user, terms).map(|()| process)
        }
        Err(error) => {
            thread.abandon();
            Err(error)
        }
    }
}

/// Gives the program its handles and its start block.
async fn prepare(
    thread: &Arc<Thread>,
    start: &Start,
    space: &Arc<memory::Space>,
    handles: &Table,
    entry: usize,
    top: usize,
) -> Result<UserContext, Error> {
    let mut numbers: Vec<(String, Number)> = Vec::new();
    for (name, handle) in &start.handles {
        numbers.push((name.clone(), handles.insert(handle.clone())?));
    }
    own_handles(thread, space, handles, &mut numbers)?;
    let block = block::build(
        &start.arguments,
        &start.environment,
        &start.directory,
        &numbers,
    )?;
    let (pointer, bytes) = block::stack(top, &block);
    memory::copy_out(space, pointer, &bytes).await?;
    UserContext::new(entry, pointer).map_err(|_| Error::NoMemory)
}

fn is_script(file: &memory::Object) -> bool {
    let mut front = [0; 2];
    file.read(0, &mut SliceSink::new(&mut front)) == front.len() && front == *b"#!"
}

/// What a program may do with itself.
const OWN: Rights = Rights::SIGNAL
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

/// The names of the standard streams.
const STREAMS: [&str; 3] = ["in", "out", "err"];

/// A native program that replaces another in its process (execve): what is known about it there.
pub struct Replacement<'a> {
    pub thread: &'a Arc<Thread>,
    /// The new address space.
    pub space: &'a Arc<memory::Space>,
    pub handles: &'a Table,
    /// The numbers of `in`, `out` and `err`, as far as they are open.
    pub streams: [Option<Number>; 3],
    pub arguments: &'a [Vec<u8>],
    /// `NAME=content`.
    pub environment: &'a [Vec<u8>],
    pub directory: &'a [u8],
}

/// The start block of a native program that replaces another. It has to lie on the stack, and the entry
/// [`abi::AUXILIARY`] of the auxiliary vector has to lead to it. The numbers of the handles that it is given to itself
/// are added to `given`, even if it fails.
///
/// # Errors
/// [`Error::ArgumentsTooLong`], [`Error::TooMany`], [`Error::NoMemory`].
pub fn replace(replacement: &Replacement<'_>, given: &mut Vec<Number>) -> Result<Value, Error> {
    let mut numbers: Vec<(String, Number)> = Vec::new();
    for (name, number) in STREAMS.into_iter().zip(replacement.streams) {
        numbers.extend(number.map(|number| (name.to_string(), number)));
    }
    own_handles(
        replacement.thread,
        replacement.space,
        replacement.handles,
        &mut numbers,
    )?;
    let own = numbers
        .iter()
        .filter(|(name, _)| !STREAMS.contains(&name.as_str()));
    given.extend(own.map(|(_, number)| *number));
    let environment: Vec<(String, Vec<u8>)> = replacement
        .environment
        .iter()
        .filter_map(|entry| {
            let end = entry.iter().position(|byte| *byte == b'=')?;
            let (name, content) = entry.split_at(end);
            Some((
                String::from_utf8_lossy(name).into_owned(),
                content.get(1..)?.into(),
            ))
        })
        .collect();
    let directory = String::from_utf8_lossy(replacement.directory);
    block::build(replacement.arguments, &environment, &directory, &numbers)
}

/// Adds a program's handles to itself, in place of what it was given under these names.
fn own_handles(
    thread: &Arc<Thread>,
    space: &Arc<memory::Space>,
    handles: &Table,
    numbers: &mut Vec<(String, Number)>,
) -> Result<(), Error> {
    let process = thread.process().clone();
    let own: [(&str, Arc<dyn Object>, Rights); 3] = [
        ("process", Arc::new(ProcessObject::of(process)), OWN),
        ("thread", Arc::new(ThreadObject(thread.clone())), OWN),
        (
            "space",
            Arc::new(SpaceObject(space.clone())),
            OWN | Rights::MAP,
        ),
    ];
    for (name, object, rights) in own {
        numbers.retain(|(given, _)| given != name);
        numbers.push((
            name.to_string(),
            handles.insert(Handle::new(object, rights))?,
        ));
    }
    Ok(())
}

/// The last name of the first argument.
fn name_of(start: &Start) -> String {
    let first = start
        .arguments
        .first()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let name = first
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

async fn linux(start: Start) -> Result<Arc<Process>, Error> {
    let starter = LINUX.get().ok_or(Error::NotExecutable)?;
    let program = start.program.location().ok_or(Error::Denied)?.clone();
    // A Linux program needs a root directory. Without one it gets one in which nothing can be found.
    let files = start.namespace.get("file").ok();
    let (whole, rights, tenure) = match &files {
        Some(files) => {
            files.holds()?;
            let opened = files.downcast_ref::<Description>();
            let place = opened.and_then(Description::location);
            let place = place.ok_or(Error::Denied)?.clone();
            (place, files.rights(), files.tenure())
        }
        None => (program.mount().root(), Rights::empty(), &Tenure::FOREVER),
    };
    // The program itself may come from somewhere else: it was given by a handle of its own.
    let path = match program.path(&whole) {
        path if path.starts_with(b"/") => path,
        _ => start.arguments.first().cloned().unwrap_or_default(),
    };
    // The same rights in the whole tree as through the handle. With all of them, the tree itself.
    let (root, program) = &if rights.contains(FILES) && tenure.is_forever() {
        (whole, program)
    } else {
        // It may read and run itself.
        let itself = Rights::READ | Rights::EXECUTE;
        (
            whole.confined(rights, tenure)?,
            program.narrowed(itself, &Tenure::FOREVER)?,
        )
    };
    let owner = Credentials::root();
    let view = View {
        root,
        start: root,
        credentials: &owner,
    };
    let directory = view.locate(start.directory.as_bytes(), true)?;
    let stream = |name| {
        let mut given = start.handles.iter();
        let given = given.find(|(given, _)| given == name);
        given.map(|(_, handle)| within(handle)).transpose()
    };
    let [input, output, errors] = STREAMS;
    let streams = [stream(input)?, stream(output)?, stream(errors)?];
    let leads_group = start.group != Group::Parent;
    let terminal = streams[0]
        .as_ref()
        .and_then(terminal_of)
        .filter(|_| start.group == Group::Own);
    let environment = start
        .environment
        .iter()
        .map(|(name, content)| [name.as_bytes(), b"=", content].concat());
    let environment = environment.collect();
    let start = LinuxStart {
        root: root.clone(),
        directory,
        program: program.clone(),
        path,
        arguments: start.arguments,
        environment,
        streams,
        share: start.share,
        namespace: start.namespace,
        parent: start.parent,
        terminal,
        leads_group,
    };
    starter.start(start).await
}

/// A stream that leads nowhere else: from a directory, Linux paths go up and down, so it becomes a tree of its own.
fn within(handle: &Handle) -> Result<Handle, Error> {
    let directory = handle
        .downcast_ref::<Description>()
        .and_then(Description::location)
        .filter(|place| place.kind() == FileKind::Directory);
    let Some(place) = directory else {
        return Ok(handle.clone());
    };
    let place = place.confined(handle.rights(), handle.tenure())?;
    let opened = vfs::handle::directory(place)?;
    Handle::new(opened, handle.rights()).under(handle.tenure())
}

/// The terminal behind a handle, if it is one.
fn terminal_of(handle: &Handle) -> Option<Arc<Tty>> {
    let file = handle.downcast_ref::<Description>()?.file().clone();
    let any: Arc<dyn Any + Send + Sync> = file;
    any.downcast().ok()
}
