//! The machine as a whole: memory, power, the kernel's log.

use crate::handle::Handle;
use crate::registry;
use abi::{Error, OpenFlags, Rights};

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
