//! What the CPUs have done and how late they were, as values: verbs of `process:`.

use abi::{CpuSet, Error, Kind, Rights};
use alloc::string::ToString;
use machine::topology::Topology;
use machine::{PAGE, irq};
use object::{Object, Verb};
use task::policy::WHOLE;
use task::{Exact, Late, Longest, STEPS};
use value::{Builder, Document, Value};

pub const CPUS: Verb = Verb {
    name: "cpus",
    rights: Rights::INSPECT,
    summary: "gives cpus: for each what it has done, how late it was, and its longest stretches of kernel code; clock: what time is counted with; and nodes: the processors and the memory of each",
};

pub const INTERRUPTS: Verb = Verb {
    name: "interrupts",
    rights: Rights::INSPECT,
    summary: "gives interrupts: for each source its handlers, and how often it interrupted each CPU",
};

pub const LOCKS: Verb = Verb {
    name: "locks",
    rights: Rights::INSPECT,
    summary: "gives locks: where in the kernel a lock was waited for, how often and how long, most waiting first",
};

pub const ROUTE: Verb = Verb {
    name: "route",
    rights: Rights::ADMINISTER,
    summary: "number, cpus: the device's interrupt of this number goes to one of these processors",
};

pub const MEASURE: Verb = Verb {
    name: "measure",
    rights: Rights::ADMINISTER,
    summary: "gives measurement: what was longest so far is forgotten, and while it is open every call is timed",
};

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
