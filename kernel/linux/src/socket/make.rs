//! socket(2), socketpair(2).

use super::maker;
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::{O_CLOEXEC, O_NONBLOCK};
use local::{Kind, Socket};
use vfs::OpenFlags;

pub const AF_UNIX: u64 = 1;
pub const SOCK_STREAM: u64 = 1;
pub const SOCK_DGRAM: u64 = 2;
const SOCK_RAW: u64 = 3;
pub const SOCK_SEQPACKET: u64 = 5;
const SOCK_MAX: u64 = 11;
const SOCK_TYPE_MASK: u64 = 0xf;
/// The flags have the values of those of open(2).
pub const SOCK_CLOEXEC: u64 = O_CLOEXEC;
pub const SOCK_NONBLOCK: u64 = O_NONBLOCK;

/// What kind of socket is asked for.
fn kind(domain: u64, kind: u64, protocol: u64) -> Result<Kind, Errno> {
    let kind = kind & u64::from(u32::MAX);
    if kind & !(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if domain as u32 != AF_UNIX as u32 {
        return Err(Errno::EAFNOSUPPORT);
    }
    if kind & SOCK_TYPE_MASK >= SOCK_MAX {
        return Err(Errno::EINVAL);
    }
    if protocol as u32 != 0 && protocol as u32 != AF_UNIX as u32 {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind & SOCK_TYPE_MASK {
        SOCK_STREAM => Ok(Kind::Stream),
        SOCK_DGRAM | SOCK_RAW => Ok(Kind::Datagram),
        SOCK_SEQPACKET => Ok(Kind::Records),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// The flags of an open socket that `SOCK_NONBLOCK` means.
pub fn status(flags: u64) -> OpenFlags {
    if flags & SOCK_NONBLOCK != 0 {
        OpenFlags::NON_BLOCKING
    } else {
        OpenFlags::empty()
    }
}

pub fn socket(call: &mut Call<'_>, [domain, flags, protocol, ..]: Args) -> Answer {
    let socket = Socket::new(kind(domain, flags, protocol)?, &maker(call))?;
    let file = socket.describe(status(flags));
    call.process()
        .descriptors()
        .insert(file, flags & SOCK_CLOEXEC != 0, 0)
}

pub async fn socketpair(call: &mut Call<'_>, [domain, flags, protocol, to, ..]: Args) -> Answer {
    let pair = Socket::pair(kind(domain, flags, protocol)?, &maker(call))?;
    let [first, second] = pair.map(|socket| socket.describe(status(flags)));
    let close_on_exec = flags & SOCK_CLOEXEC != 0;
    let descriptors = call.process().descriptors();
    let first = descriptors.insert(first, close_on_exec, 0)?;
    let written = match descriptors.insert(second, close_on_exec, 0) {
        Ok(second) => {
            let written = call.write(to, &[first as u32, second as u32]).await;
            if written.is_err() {
                descriptors.close(second as u32)?;
            }
            written
        }
        Err(errno) => Err(errno),
    };
    if let Err(errno) = written {
        descriptors.close(first as u32)?;
        return Err(errno);
    }
    Ok(0)
}
