//! The text of the files in `/proc/PID/fdinfo`, as proc_pid_fdinfo(5) describes it.

use crate::event;
use crate::open::{self, O_CLOEXEC};
use crate::process::Process;
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use vfs::{Description, Location};

/// What there is to say of an open descriptor.
pub fn text(process: &Process, descriptor: u32) -> Result<Vec<u8>, Error> {
    let descriptors = process.descriptors();
    let handle = descriptors.copy_handle(descriptor);
    let handle = handle.map_err(|_| Error::NotFound)?;
    let file: &Description = handle.downcast_ref().ok_or(Error::NotFound)?;
    let closes = descriptors.close_on_exec(descriptor).unwrap_or(false);
    Ok(describe(file, closes).into_bytes())
}

fn describe(file: &Description, close_on_exec: bool) -> String {
    let flags = open::status_flags(file) | if close_on_exec { O_CLOEXEC } else { 0 };
    let place = file.place();
    let mount = place.as_ref().map(Location::mount);
    format!(
        "pos:\t{}\nflags:\t0{flags:o}\nmnt_id:\t{}\nino:\t{}\n{}",
        file.position(),
        mount.map_or(0, |mount| mount.number()),
        file.metadata().inode,
        event::describe(file),
    )
}
