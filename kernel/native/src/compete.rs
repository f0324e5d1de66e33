//! How the threads of a process compete for the processors: the verb `compete`, and what a process tells about it.
//!
//! The one idea: who may administer a process says how its threads compete, within what the scheduler admits.

use crate::cpus;
use abi::{CpuSet, Error, Rights};
use alloc::string::ToString;
use alloc::sync::Arc;
use object::{Field, Type, Verb};
use process::Process;
use task::Task;
use task::policy::{
    Class, HIGHEST_PRIORITY, IDLE_WEIGHT, Manner, NORMAL_WEIGHT, Reservation, weight_of_nice,
};
use value::{Builder, Document};

pub const COMPETE: Verb = Verb::new(
    "compete",
    Rights::ADMINISTER,
    "says how all its threads compete from now on; what is left out stays",
)
.takes(&[
    Field::optional("class", Type::Word(CLASSES)),
    Field::optional("nice", Type::Integer(-20, 19)),
    Field::optional("priority", Type::Integer(1, HIGHEST_PRIORITY as i64)).about("for realtime"),
    Field::optional("rotates", Type::Boolean).about("realtime: equals take turns"),
    Field::optional("runtime", Type::Nanoseconds).about("for deadline"),
    Field::optional("deadline", Type::Nanoseconds).about("or else the period"),
    Field::optional("period", Type::Nanoseconds).about("or else the deadline; from 100 us on"),
    Field::optional("cpus", Type::Cpus),
]);

const CLASSES: &[&str] = &["realtime", "deadline", "fair", "batch", "idle"];

/// What is asked for; what is not said stays.
struct Wanted {
    cpus: Option<CpuSet>,
    nice: Option<i8>,
    class: Option<Class>,
}

impl Wanted {
    fn read(argument: Document<'_>) -> Result<Wanted, Error> {
        let nice = argument.int("nice").map(i8::try_from).transpose();
        Ok(Wanted {
            cpus: cpus::read_set(argument)?,
            nice: nice.map_err(|_| Error::Invalid)?,
            class: argument
                .string("class")
                .map(|class| read_class(class, argument))
                .transpose()?,
        })
    }

    fn apply(&self, task: &Task) -> Result<(), Error> {
        if let Some(cpus) = self.cpus {
            task.set_affinity(cpus.0)?;
        }
        if let Some(nice) = self.nice {
            task.set_nice(nice);
        }
        match self.class {
            Some(Class::Fair { manner, .. }) if manner != Manner::Idle => {
                let weight = weight_of_nice(task.nice());
                task.set_class(Class::Fair { weight, manner })
            }
            Some(class) => task.set_class(class),
            None => Ok(()),
        }
    }
}

/// A share has the weight that the niceness of its task says.
fn read_class(name: &str, argument: Document<'_>) -> Result<Class, Error> {
    let share = |manner, weight| Class::Fair { weight, manner };
    match name {
        "fair" => Ok(share(Manner::Prompt, NORMAL_WEIGHT)),
        "batch" => Ok(share(Manner::Batch, NORMAL_WEIGHT)),
        "idle" => Ok(share(Manner::Idle, IDLE_WEIGHT)),
        "realtime" => {
            let priority = argument
                .int("priority")
                .and_then(|priority| u8::try_from(priority).ok())
                .ok_or(Error::Invalid)?;
            let rotates = argument.boolean("rotates").unwrap_or(false);
            Ok(Class::Realtime { priority, rotates })
        }
        "deadline" => {
            let time = |key| argument.unsigned(key);
            let deadline = time("deadline").or(time("period")).ok_or(Error::Invalid)?;
            let reservation = Reservation {
                runtime: time("runtime").ok_or(Error::Invalid)?,
                deadline,
                period: time("period").unwrap_or(deadline),
            };
            let valid = reservation.is_valid() && reservation.period >= SHORTEST_PERIOD;
            valid
                .then_some(Class::Deadline(reservation))
                .ok_or(Error::Invalid)
        }
        _ => Err(Error::Invalid),
    }
}

/// Of a reservation, in nanoseconds: a shorter one would be all switching.
const SHORTEST_PERIOD: u64 = 100_000;

/// Makes every thread of a process compete as the argument says.
///
/// # Errors
/// `Invalid`, `Busy`, `NoMemory` from the scheduler; the threads before the one that was refused keep what they got.
/// `NoProcess` when it has no thread.
pub fn set(process: &Arc<Process>, argument: Document<'_>) -> Result<(), Error> {
    let wanted = Wanted::read(argument)?;
    let mut found = false;
    for thread in process.threads() {
        let Some(task) = thread.task() else { continue };
        match wanted.apply(task) {
            // It ended just now.
            Err(Error::Closed) => {}
            other => {
                other?;
                found = true;
            }
        }
    }
    if found { Ok(()) } else { Err(Error::NoProcess) }
}

/// How a task competes, in the words that [`set`] reads.
pub fn describe(task: &Task, into: &mut Builder) {
    match task.class() {
        Class::Deadline(reservation) => into
            .put("class", "deadline")
            .put("runtime", reservation.runtime)
            .put("deadline", reservation.deadline)
            .put("period", reservation.period)
            .put("seat", task.seat().unwrap_or(task.cpu())),
        Class::Realtime { priority, rotates } => into
            .put("class", "realtime")
            .put("priority", u32::from(priority))
            .put("rotates", rotates),
        Class::Fair { manner, .. } => {
            let class = match manner {
                Manner::Prompt => "fair",
                Manner::Batch => "batch",
                Manner::Idle => "idle",
            };
            into.put("class", class).put("nice", i32::from(task.nice()))
        }
    };
    let cpus = cpus::running(task.affinity());
    into.put("cpus", &*cpus.to_string());
}
