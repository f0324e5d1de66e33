//! What the CPUs have done and how late they were, as values: verbs of `process:`.

use abi::{CpuSet, Error, Kind, Rights};
use alloc::string::ToString;
use machine::topology::Topology;
use machine::{PAGE, irq};
use object::{Field, Object, Type, Verb};
use task::policy::WHOLE;
use task::{Exact, Late, Longest, STEPS};
use value::{Builder, Document, Value};

pub const CPUS: Verb = Verb::new(
    "cpus",
    Rights::INSPECT,
    "tells what each processor has done since boot, and how late it was",
)
.gives(&[
    Field::new("clock", Type::Text).about("what time is counted with"),
    Field::new("cpus", Type::List(&Type::Document(CPU))),
    Field::new("nodes", Type::List(&Type::Document(NODE))),
]);

const CPU: &[Field] = &[
    Field::new("number", Type::NUMBER),
    Field::new("tasks", Type::NUMBER).about("now"),
    Field::new("waiting", Type::NUMBER).about("those of them that wait for it now"),
    Field::new("turns", Type::NUMBER),
    Field::new("switches", Type::NUMBER),
    Field::new("wakes", Type::NUMBER),
    Field::new("yields", Type::NUMBER),
    Field::new("halts", Type::NUMBER),
    Field::new("moved", Type::NUMBER),
    Field::new("stolen", Type::NUMBER),
    Field::new("busy", Type::Nanoseconds).about("of which user, nice and system are parts"),
    Field::new("user", Type::Nanoseconds),
    Field::new("nice", Type::Nanoseconds),
    Field::new("system", Type::Nanoseconds),
    Field::new("idle", Type::Nanoseconds),
    Field::new("delay", Type::Nanoseconds).about("what tasks have waited for it"),
    Field::new("longest-delay", Type::Nanoseconds),
    Field::new("reserved", Type::Percent),
    Field::optional("interrupts", Type::NUMBER),
    Field::optional("handling", Type::Nanoseconds).about("in interrupt handlers"),
    Field::optional("longest-handler", Type::Document(HANDLER)),
    Field::optional("longest-turn", Type::Document(LONGEST)),
    Field::optional("longest-stretch", Type::Document(LONGEST)),
    Field::new("late", Type::Document(LATE)).about("step n counts what took up to 2^n ns"),
    Field::optional("node", Type::NUMBER),
    Field::optional("package", Type::NUMBER),
    Field::optional("core", Type::NUMBER),
    Field::optional("near", Type::List(&Type::Cpus)).about("the others, nearest first"),
];

const HANDLER: &[Field] = &[
    Field::new("nanoseconds", Type::Nanoseconds),
    Field::new("source", Type::Text),
];

const LONGEST: &[Field] = &[
    Field::new("nanoseconds", Type::Nanoseconds),
    Field::new("ended", Type::Nanoseconds).about("since boot"),
    Field::new("cause", Type::Text),
    Field::new("task", Type::Text),
    Field::new("process", Type::NUMBER).about("0 for the kernel's own"),
    Field::new("work", Type::Text).about("the type of the task's future"),
];

const LATE: &[Field] = &[
    Field::new("timer", Type::List(&Type::NUMBER)),
    Field::new("deadline", Type::List(&Type::NUMBER)),
    Field::new("realtime", Type::List(&Type::NUMBER)),
    Field::new("fair", Type::List(&Type::NUMBER)),
    Field::new("idle", Type::List(&Type::NUMBER)),
];

const NODE: &[Field] = &[
    Field::new("number", Type::NUMBER),
    Field::new("cpus", Type::Cpus),
    Field::new("total", Type::Bytes),
    Field::new("free", Type::Bytes),
    Field::new("distances", Type::List(&Type::NUMBER)).about("to all nodes; 10 is here"),
];

pub const INTERRUPTS: Verb = Verb::new(
    "interrupts",
    Rights::INSPECT,
    "tells how often each source has interrupted which processor",
)
.gives(&[Field::new(
    "interrupts",
    Type::List(&Type::Document(SOURCE)),
)]);

const SOURCE: &[Field] = &[
    Field::new("source", Type::Text),
    Field::optional("number", Type::NUMBER).about("of a device's"),
    Field::optional("cpus", Type::Cpus).about("where it may go"),
    Field::optional("cpu", Type::NUMBER).about("where it goes"),
    Field::optional("storms", Type::NUMBER).about("how often it was silenced"),
    Field::new("handlers", Type::List(&Type::Text)),
    Field::new("counts", Type::List(&Type::NUMBER)).about("for each processor"),
];

pub const LOCKS: Verb = Verb::new(
    "locks",
    Rights::INSPECT,
    "tells where in the kernel a lock was waited for, most waiting first",
)
.gives(&[Field::new("locks", Type::List(&Type::Document(LOCK)))]);

const LOCK: &[Field] = &[
    Field::optional("file", Type::Text),
    Field::optional("line", Type::NUMBER),
    Field::new("waits", Type::NUMBER),
    Field::new("waited", Type::Nanoseconds),
    Field::new("longest", Type::Nanoseconds),
    Field::optional("held", Type::Nanoseconds).about("the longest time, in debug builds"),
];

pub const ROUTE: Verb = Verb::new(
    "route",
    Rights::ADMINISTER,
    "makes a device's interrupt go to one of these processors",
)
.takes(&[
    Field::new("number", Type::NUMBER).about("of the interrupt"),
    Field::new("cpus", Type::Cpus),
]);

pub const MEASURE: Verb = Verb::new(
    "measure",
    Rights::ADMINISTER,
    "forgets what was longest so far; every call is timed as long as the measurement is open",
)
.gives(&[Field::new(
    "measurement",
    Type::Handle(Some(Kind::Measurement), Rights::all()),
)]);

/// All CPUs.
pub fn all() -> Result<Value, value::Error> {
    let topology = machine::node::topology();
    Value::build(|reply| {
        reply.put("clock", machine::time::source());
        reply.array(CPUS.name, |list| {
            for cpu in 0..machine::cpu::count() {
                list.document(|entry| {
                    describe(cpu, entry);
                    place(cpu, &topology, entry);
                });
            }
        });
        reply.array("nodes", |list| {
            let nodes = machine::node::all();
            for node in 0..nodes.count() {
                let memory = machine::node::stats(node);
                list.document(|entry| {
                    entry
                        .put("number", node)
                        .put("cpus", CpuSet(topology.node(node)).to_string().as_str())
                        .put("total", memory.total * PAGE)
                        .put("free", memory.free * PAGE);
                    entry.array("distances", |list| {
                        for other in 0..nodes.count() {
                            list.push(u32::from(nodes.distance(node, other)));
                        }
                    });
                });
            }
        });
    })
}

/// Where it is, and which of them are how near.
fn place(cpu: usize, topology: &Topology, entry: &mut Builder) {
    let Some(place) = topology.processor(cpu) else {
        return;
    };
    entry
        .put("node", place.node)
        .put("package", place.package())
        .put("core", place.core());
    entry.array("near", |list| {
        for ring in topology.rings(cpu) {
            list.push(CpuSet(*ring).to_string().as_str());
        }
    });
}

fn describe(cpu: usize, entry: &mut Builder) {
    let stats = task::stats_of(cpu);
    entry
        .put("number", cpu)
        .put("tasks", stats.tasks)
        .put("waiting", stats.waiting)
        .put("turns", stats.polls)
        .put("switches", stats.switches)
        .put("wakes", stats.wakes)
        .put("yields", stats.yields)
        .put("halts", stats.halts)
        .put("moved", stats.moved)
        .put("stolen", stats.stolen)
        .put("busy", stats.busy)
        .put("user", stats.times.user)
        .put("nice", stats.nice)
        .put("system", stats.times.system)
        .put("idle", stats.idle)
        .put("delay", stats.delay)
        .put("longest-delay", stats.longest_delay)
        .put("reserved", stats.reserved * 100 / WHOLE);
    if let Some(handling) = irq::handling(cpu) {
        entry
            .put("interrupts", handling.interrupts)
            .put("handling", handling.total);
        if handling.longest > 0 {
            entry.document("longest-handler", |longest| {
                longest
                    .put("nanoseconds", handling.longest)
                    .put("source", &*alloc::format!("{}", handling.source));
            });
        }
    }
    put_longest(entry, "longest-turn", task::longest_poll(cpu));
    put_longest(entry, "longest-stretch", task::longest_stretch(cpu));
    entry.document("late", |late| {
        for who in Late::ALL {
            let steps = task::lateness(cpu, who);
            // What nobody has reached is left out.
            let end = STEPS - steps.iter().rev().take_while(|count| **count == 0).count();
            late.array(who.name(), |list| {
                for count in steps.iter().take(end) {
                    list.push(*count);
                }
            });
        }
    });
}

fn put_longest(entry: &mut Builder, key: &str, longest: Option<Longest>) {
    let Some(longest) = longest else { return };
    entry.document(key, |into| {
        into.put("nanoseconds", longest.nanoseconds)
            .put("ended", longest.ended)
            .put("cause", &*alloc::format!("{}", longest.cause))
            .put("task", longest.task())
            .put("process", longest.tag)
            .put("work", longest.work);
    });
}

/// All sources of interrupts.
pub fn interrupts() -> Result<Value, value::Error> {
    Value::build(|reply| {
        reply.array(INTERRUPTS.name, |list| {
            for (source, names) in irq::sources() {
                list.document(|entry| {
                    entry.put("source", &*alloc::format!("{source}"));
                    if let Some(number) = source.number() {
                        entry.put("number", number);
                    }
                    if let Some(route) = irq::route(source) {
                        entry
                            .put("cpus", &*running(route.allowed).to_string())
                            .put("cpu", route.cpu)
                            .put("storms", irq::storms(source));
                    }
                    entry.array("handlers", |list| {
                        for name in names {
                            list.push(name);
                        }
                    });
                    entry.array("counts", |list| {
                        for cpu in 0..machine::cpu::count() {
                            list.push(irq::count(cpu, source));
                        }
                    });
                });
            }
        });
    })
}

/// All places where locks were waited for.
pub fn locks() -> Result<Value, value::Error> {
    Value::build(|reply| {
        reply.array(LOCKS.name, |list| {
            for counted in machine::sync::contention() {
                list.document(|entry| {
                    if let Some(place) = counted.place {
                        entry.put("file", place.file()).put("line", place.line());
                    }
                    entry
                        .put("waits", counted.waits)
                        .put("waited", counted.waited)
                        .put("longest", counted.longest);
                    if counted.held > 0 {
                        entry.put("held", counted.held);
                    }
                });
            }
        });
    })
}

/// Makes an interrupt go elsewhere.
///
/// # Errors
/// [`Error::Invalid`]: no set of processors, none of which runs, or no number. [`Error::NotFound`]: no such interrupt.
/// [`Error::Unsupported`]: it cannot go elsewhere.
pub fn route(argument: Document<'_>) -> Result<(), Error> {
    let number = argument.int("number").ok_or(Error::Invalid)?;
    let CpuSet(cpus) = read_set(argument)?.ok_or(Error::Invalid)?;
    if running(cpus) == CpuSet(0) {
        return Err(Error::Invalid);
    }
    let mut sources = irq::sources().into_iter().map(|(source, _)| source);
    let source = sources.find(|source| source.number().map(i64::from) == Some(number));
    irq::set_route(source.ok_or(Error::NotFound)?, cpus).map_err(|_| Error::Unsupported)
}

/// Those of these processors, one bit each, that run.
pub fn running(cpus: u64) -> CpuSet {
    CpuSet(cpus & CpuSet::first(machine::cpu::count()).0)
}

/// The set of processors under `cpus`: text like `0-2,5`, or the number of one.
///
/// # Errors
/// [`Error::Invalid`].
pub fn read_set(argument: Document<'_>) -> Result<Option<CpuSet>, Error> {
    let one = argument.int("cpus").map(|cpu| alloc::format!("{cpu}"));
    let text = one.or(argument.string("cpus").map(ToString::to_string));
    let set = text.map(|text| text.parse().map_err(|_| Error::Invalid));
    set.transpose()
}

/// While somebody has it, every call is timed.
pub struct Measurement(Exact);

impl Measurement {
    /// Begins, with nothing that was longest before.
    pub fn begin() -> Measurement {
        task::forget_longest();
        Measurement(Exact::new())
    }
}

impl Object for Measurement {
    fn kind(&self) -> Kind {
        Kind::Measurement
    }
}
