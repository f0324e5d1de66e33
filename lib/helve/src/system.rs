//! The machine as a whole: memory, power, the kernel's log.

use crate::handle::Handle;
use crate::registry;
use abi::{Error, OpenFlags, Rights};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use value::Document;

/// How the machine's memory is used, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub free: u64,
    /// Held by the kernel itself.
    pub kernel: u64,
    /// Held by processes and files.
    pub user: u64,
}

/// How the machine's memory is used.
///
/// # Errors
/// `NotFound` when the process was given no `process:` registry.
pub fn memory() -> Result<Memory, Error> {
    let reply = registry::get("process")?.ask("memory")?;
    let bytes = |key| reply.as_document().unsigned(key).unwrap_or(0);
    Ok(Memory {
        total: bytes("total"),
        free: bytes("free"),
        kernel: bytes("kernel"),
        user: bytes("user"),
    })
}

/// What a processor has done since boot. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub number: u32,
    /// Tasks that live there, and those of them that wait for it now.
    pub tasks: u64,
    pub waiting: u64,
    pub switches: u64,
    pub interrupts: u64,
    pub busy: u64,
    pub idle: u64,
    /// The time in interrupt handlers.
    pub handling: u64,
    /// The longest time that interrupts were kept out.
    pub longest_stretch: Option<Longest>,
}

/// The longest of something, and whose it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    pub nanoseconds: u64,
    /// What it began with: a call, a fault, an interrupt, a line of the kernel.
    pub cause: String,
    pub task: String,
    /// The process, or 0 for the kernel's own.
    pub process: u64,
}

impl fmt::Display for Longest {
    /// Where it was: `page fault, sh[2]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.cause, self.task)?;
        match self.process {
            0 => Ok(()),
            process => write!(f, "[{process}]"),
        }
    }
}

/// All processors, in the order of their numbers.
///
/// # Errors
/// `NotFound` when the process was given no `process:` registry.
pub fn cpus() -> Result<Vec<Cpu>, Error> {
    let reply = registry::get("process")?.ask("cpus")?;
    let list = reply.as_document().array("cpus").ok_or(Error::BadValue)?;
    Ok(list
        .iter()
        .filter_map(|item| item.as_document())
        .map(cpu)
        .collect())
}

fn cpu(entry: Document<'_>) -> Cpu {
    let number = |key| entry.unsigned(key).unwrap_or(0);
    Cpu {
        number: number("number") as u32,
        tasks: number("tasks"),
        waiting: number("waiting"),
        switches: number("switches"),
        interrupts: number("interrupts"),
        busy: number("busy"),
        idle: number("idle"),
        handling: number("handling"),
        longest_stretch: entry.document("longest-stretch").map(longest),
    }
}

fn longest(entry: Document<'_>) -> Longest {
    let text = |key| String::from(entry.string(key).unwrap_or_default());
    Longest {
        nanoseconds: entry.unsigned("nanoseconds").unwrap_or(0),
        cause: text("cause"),
        task: text("task"),
        process: entry.unsigned("process").unwrap_or(0),
    }
}

/// While it is open, the kernel times every call and every fault; what was longest before it was opened is forgotten.
///
/// # Errors
/// `Denied` when the process may not administer `process:`.
pub fn measure() -> Result<Handle, Error> {
    let reply = registry::get("process")?.ask("measure")?;
    Handle::in_reply(&reply, "measurement")
}

fn power() -> Result<Handle, Error> {
    registry::open("device:power", Rights::ADMINISTER, OpenFlags::empty())
}

/// Switches the machine off. Returns only with an error.
///
/// # Errors
/// `NotFound`, `Denied` when the process was not given that power.
pub fn power_off() -> Result<(), Error> {
    power()?.ask("off").map(drop)
}

/// Starts the machine again. Returns only with an error.
///
/// # Errors
/// As [`power_off`].
pub fn reboot() -> Result<(), Error> {
    power()?.ask("reboot").map(drop)
}

/// The kernel's log, to read and, with the right, to write.
///
/// # Errors
/// `NotFound` when the process was given no `log:` registry.
pub fn log() -> Result<alloc::sync::Arc<Handle>, Error> {
    registry::get("log")
}
