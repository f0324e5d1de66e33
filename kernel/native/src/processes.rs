//! Processes and threads as objects, and the `process:` registry.

use crate::compete;
use crate::cpus::{self, Measurement};
use crate::shares::{SHARE, Share};
use abi::{Error, Kind, OpenFlags, Rights};
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::PAGE;
use machine::sync::Once;
use object::{Field, Given, Handle, Object, Opened, Records, Reply, Sink, Type, Verb};
use process::{Process, Status, Thread};
use task::{Readiness, Ready};
use value::{Builder, Document, Value};

/// A process behind a handle: one that runs or has ended, or one that is still to be started.
pub struct ProcessObject {
    process: Once<Arc<Process>>,
    /// Somebody is starting it, or has.
    begun: AtomicBool,
}

/// Ready for nothing: what is not started has not ended.
static NOT_YET: Readiness = Readiness::new(Ready::empty());

impl ProcessObject {
    /// One that is to be started.
    pub fn new() -> ProcessObject {
        ProcessObject {
            process: Once::new(),
            begun: AtomicBool::new(false),
        }
    }

    /// One that was started.
    pub fn of(process: Arc<Process>) -> ProcessObject {
        let object = ProcessObject {
            process: Once::new(),
            begun: AtomicBool::new(true),
        };
        // The cell is new.
        let _ = object.process.set(process);
        object
    }

    /// The process, once it was started.
    pub fn get(&self) -> Option<&Arc<Process>> {
        self.process.get()
    }

    /// Reserves it for one start.
    pub(crate) fn begin(&self) -> Result<Begun<'_>, Error> {
        match self.begun.swap(true, Ordering::AcqRel) {
            true => Err(Error::Exists),
            false => Ok(Begun { object: self }),
        }
    }
}

impl Default for ProcessObject {
    fn default() -> ProcessObject {
        ProcessObject::new()
    }
}

/// A start under way; dropped without a process, another start is possible.
pub(crate) struct Begun<'a> {
    object: &'a ProcessObject,
}

impl Begun<'_> {
    pub(crate) fn set(self, process: Arc<Process>) {
        // Only one start is under way.
        let _ = self.object.process.set(process);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if self.object.process.get().is_none() {
            self.object.begun.store(false, Ordering::Release);
        }
    }
}

const PROCESS_VERBS: &[Verb] = &[
    Verb::new(
        "status",
        Rights::SIGNAL,
        "tells what it does, or how it ended",
    )
    .gives(&[
        Field::new("state", Type::Word(STATES)),
        Field::optional("status", Type::Integer(0, 255)).about("it ended by itself"),
        Field::optional("signal", SIGNAL).about("it was ended"),
    ]),
    Verb::new("kill", Rights::SIGNAL, "sends it a signal, to end it")
        .takes(&[Field::optional("signal", SIGNAL)
            .about("by Linux numbers; 9, the usual, cannot be refused")]),
    compete::COMPETE,
    JOIN,
    TIME,
];

const STATES: &[&str] = &["new", "running", "waiting", "stopped", "ended"];
const SIGNAL: Type = Type::Integer(0, 64);

const JOIN: Verb = Verb::new(
    "join",
    Rights::ADMINISTER,
    "puts all its threads, and what it starts from now on, into a share",
)
.takes(&[Field::new(
    "share",
    Type::Handle(Some(Kind::Share), Rights::ADMINISTER),
)]);

const TIME: Verb = Verb::new("time", Rights::INSPECT, "tells the time").gives(&[
    Field::new("now", Type::Nanoseconds).about("since boot"),
    Field::new("unix", Type::Time),
]);

fn time() -> Result<Value, Error> {
    Ok(Value::build(|reply| {
        reply
            .put("now", task::clock::now())
            .put("unix", task::clock::wall());
    })?)
}

impl Object for ProcessObject {
    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        match verb {
            "time" => time(),
            "compete" => {
                let process = self.get().ok_or(Error::NoProcess)?;
                compete::set(process, argument).map(|()| Value::default())
            }
            "status" => Ok(Value::build(|reply| {
                reply.put("state", self.get().map_or("new", state));
                match self.get().and_then(|process| process.status()) {
                    Some(Status::Exited(status)) => {
                        reply.put("status", status & 0xff);
                    }
                    Some(Status::Signaled(signal)) => {
                        reply.put("signal", i32::from(signal));
                    }
                    None => {}
                }
            })?),
            "kill" => {
                const KILL: i64 = 9;
                let signal = argument.int("signal").unwrap_or(KILL);
                let signal = u8::try_from(signal).map_err(|_| Error::Invalid)?;
                let process = self.get().ok_or(Error::NoProcess)?;
                if process.status().is_some() {
                    return Err(Error::NoProcess);
                }
                process.signal(signal);
                Ok(Value::default())
            }
            _ => Err(Error::NotFound),
        }
    }

    fn request_with_handles(
        &self,
        verb: &str,
        argument: Document<'_>,
        given: &Given,
    ) -> Result<Reply, Error> {
        match verb {
            "join" => {
                let share = given.get::<Share>(SHARE.name)?;
                let process = self.get().ok_or(Error::NoProcess)?;
                process.join(Some(share.group())).map(|()| Reply::default())
            }
            _ => self.request(verb, argument).map(Reply::from),
        }
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(self.get().map_or(&NOT_YET, |process| process.ended()))
    }

    fn describe(&self, into: &mut Builder) {
        match self.get() {
            Some(process) => describe(process, into),
            None => {
                into.put("state", "new");
            }
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        PROCESS_VERBS
    }
}

/// What a process is doing, in one word.
fn state(process: &Arc<Process>) -> &'static str {
    let is_stopped = process
        .personality()
        .is_some_and(|personality| personality.stopped());
    let runs = |thread: &Arc<Thread>| thread.task()?.is_runnable().then_some(());
    match process.status() {
        Some(_) => "ended",
        None if is_stopped => "stopped",
        None if process.search_threads(runs).is_some() => "running",
        None => "waiting",
    }
}

fn describe(process: &Arc<Process>, into: &mut Builder) {
    let personality = process.personality();
    let arguments = personality
        .map(|personality| personality.command_line(process))
        .unwrap_or_default();
    let command = arguments.strip_suffix(&[0]).unwrap_or(&arguments);
    let command: String = String::from_utf8_lossy(command).replace('\0', " ");
    let resident = process.space().map_or(0, |space| space.resident());
    let times = process.times();
    into.put("id", process.id())
        .put("parent", process.parent_id())
        .put("name", &process.name())
        .put("command", &command)
        .put("state", state(process))
        .put(
            "personality",
            personality.map_or("none", |personality| personality.name()),
        )
        .put("threads", process.thread_count())
        .put("memory", resident * PAGE)
        .put("time", times.sum())
        .put("user", times.user)
        .put("system", times.system)
        .put("started", process.started());
    let threads = process.threads();
    if let Some(task) = threads.first().and_then(|thread| thread.task()) {
        into.put("cpu", task.cpu());
        into.document("competes", |competes| compete::describe(task, competes));
    }
}

/// A thread behind a handle.
pub struct ThreadObject(pub Arc<Thread>);

impl Object for ThreadObject {
    fn kind(&self) -> Kind {
        Kind::Thread
    }

    fn describe(&self, into: &mut Builder) {
        let times = self.0.times();
        into.put("id", self.0.id())
            .put("process", self.0.process().id())
            .put("time", times.sum())
            .put("user", times.user)
            .put("system", times.system);
    }
}

/// The `process:` registry: all processes by number, and a place to make new ones.
pub struct ProcessRegistry;

impl Object for ProcessRegistry {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn open<'p>(
        &self,
        path: &'p str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        let object = match path {
            "new" if flags.contains(OpenFlags::CREATE) => ProcessObject::new(),
            number => {
                let id = number.parse().map_err(|_| Error::NotFound)?;
                ProcessObject::of(process::find(id).ok_or(Error::NoProcess)?)
            }
        };
        Ok(Handle::new(Arc::new(object), rights).into())
    }

    fn try_read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if offset == abi::NEXT {
            return Err(Error::Invalid);
        }
        let mut records = Records::new(sink);
        for process in process::all() {
            let id = u64::from(process.id());
            // An offset is the number of the process before.
            if id > offset && !records.put(id, |record| describe(&process, record))? {
                break;
            }
        }
        Ok(records.done())
    }

    fn request_with_handles(
        &self,
        verb: &str,
        argument: Document<'_>,
        _: &Given,
    ) -> Result<Reply, Error> {
        match verb {
            "share" => Share::begin(argument),
            "measure" => {
                let object = Arc::new(Measurement::begin());
                let handle = Handle::new(object, Rights::all());
                Ok(Reply::from([("measurement", handle)]))
            }
            _ => self.request(verb, argument).map(Reply::from),
        }
    }

    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        match verb {
            "time" => time(),
            "route" => cpus::route(argument).map(|()| Value::default()),
            "cpus" => Ok(cpus::all()?),
            "locks" => Ok(cpus::locks()?),
            "interrupts" => Ok(cpus::interrupts()?),
            "memory" => {
                let stats = machine::frame::stats();
                Ok(Value::build(|reply| {
                    reply
                        .put("total", stats.total * PAGE)
                        .put("free", stats.free * PAGE)
                        .put("kernel", stats.kernel * PAGE)
                        .put("user", stats.user * PAGE);
                })?)
            }
            _ => Err(Error::NotFound),
        }
    }

    fn describe(&self, into: &mut Builder) {
        into.put("processes", process::count());
    }

    fn verbs(&self) -> &'static [Verb] {
        REGISTRY_VERBS
    }
}

const REGISTRY_VERBS: &[Verb] = &[
    cpus::CPUS,
    cpus::INTERRUPTS,
    cpus::LOCKS,
    cpus::MEASURE,
    cpus::ROUTE,
    SHARE,
    Verb::new("memory", Rights::INSPECT, "tells how memory is used").gives(&[
        Field::new("total", Type::Bytes),
        Field::new("free", Type::Bytes),
        Field::new("kernel", Type::Bytes),
        Field::new("user", Type::Bytes),
    ]),
    TIME,
];
