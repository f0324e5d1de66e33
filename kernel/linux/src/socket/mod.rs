//! Sockets (socket(2), unix(7)): local ones. Other families are not there: `EAFNOSUPPORT`.
//!
//! - [`make`]: socket and socketpair
//! - [`address`]: names as programs write them
//! - [`connection`]: bind, listen, accept, connect, shutdown
//! - [`message`]: the records around a message, checked; [`transfer`]: sending and receiving
//! - [`options`]: getsockopt and setsockopt

pub mod address;
pub mod connection;
pub mod make;
mod message;
pub mod options;
pub mod transfer;

use crate::call::Call;
use crate::descriptors::Held;
use crate::errno::Errno;
use abi::Rights;
use local::{Credentials, Maker, Socket};
use vfs::{Description, FileKind};

/// The socket behind an open file, if it is one.
#[inline]
pub fn of(file: &Description) -> Option<&Socket> {
    if file.kind() == FileKind::Socket {
        file.file_as::<Socket>()
    } else {
        None
    }
}

/// An open file that is a socket.
pub struct Open(Held);

impl Open {
    /// # Errors
    /// `EBADF`, `ENOTSOCK`.
    fn get(call: &Call<'_>, descriptor: u64) -> Result<Open, Errno> {
        Open::with(call, descriptor, Rights::empty())
    }

    /// As [`Open::get`], if its handle carries these rights.
    ///
    /// # Errors
    /// `EACCES` besides.
    fn with(call: &Call<'_>, descriptor: u64, rights: Rights) -> Result<Open, Errno> {
        let file = call.file_with(descriptor, rights)?;
        if file.is_path_only() {
            return Err(Errno::EBADF);
        }
        match of(&file) {
            Some(_) => Ok(Open(file)),
            None => Err(Errno::ENOTSOCK),
        }
    }

    fn socket(&self) -> Result<&Socket, Errno> {
        of(&self.0).ok_or(Errno::ENOTSOCK)
    }
}

/// The caller, as whoever connects to it learns.
fn maker(call: &Call<'_>) -> Maker {
    let identity = call.process().identity();
    Maker {
        credentials: Credentials {
            pid: call.process().id(),
            uid: identity.effective.uid,
            gid: identity.effective.gid,
        },
        now: call.now(),
    }
}

/// When a wait of so many nanoseconds ends; 0 is no end.
fn deadline(length: u64) -> Option<u64> {
    (length != 0).then(|| machine::time::now().saturating_add(length))
}

/// Waits for what a call on the socket `file` needs, or until that will never be.
///
/// # Errors
/// `EAGAIN` when the time is over; a signal restarts the call, but not one with a time limit (signal(7)). `EACCES` once
/// the file is taken back.
async fn wait(
    file: &Held,
    readiness: &task::Readiness,
    interest: task::Ready,
    until: Option<u64>,
) -> Result<(), Errno> {
    match file.tenure().wait(readiness, interest, until).await {
        Ok(_) => Ok(file.tenure().check()?),
        Err(task::WaitError::TimedOut) => Err(Errno::EAGAIN),
        Err(_) if until.is_some() => Err(Errno::EINTR),
        Err(_) => Err(Errno::ERESTARTSYS),
    }
}
