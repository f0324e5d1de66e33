//! What the CPUs have done and how late they were, as values: verbs of `process:`.

use abi::{Kind, Rights};
use machine::irq;
use object::{Object, Verb};
use task::{Exact, Late, Longest, STEPS};
use value::{Builder, Value};

pub const CPUS: Verb = Verb {
    name: "cpus",
    rights: Rights::INSPECT,
    summary: "gives cpus: for each what it has done, how late it was, and its longest stretches of kernel code",
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

pub const MEASURE: Verb = Verb {
    name: "measure",
    rights: Rights::ADMINISTER,
    summary: "gives measurement: what was longest so far is forgotten, and while it is open every call is timed",
};

/// All CPUs.
pub fn all() -> Result<Value, value::Error> {
    Value::build(|reply| {
        reply.array(CPUS.name, |list| {
            for cpu in 0..machine::cpu::count() {
                list.document(|entry| describe(cpu, entry));
            }
        });
    })
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
        .put("idle", stats.idle)
        .put("delay", stats.delay)
        .put("longest-delay", stats.longest_delay);
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
