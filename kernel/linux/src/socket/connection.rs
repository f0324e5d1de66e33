//! bind(2), listen(2), accept(2), connect(2), shutdown(2).

use super::address::{self, Address};
use super::make::{SOCK_CLOEXEC, SOCK_NONBLOCK, status};
use super::{Open, deadline, maker, wait};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::At;
use abi::Error;
use core::sync::atomic::Ordering;
use local::{Kind, Shutdown};
use task::Ready;
use vfs::NewKind;

pub async fn bind(call: &mut Call<'_>, [descriptor, name, length, ..]: Args) -> Answer {
    let open = Open::get(call, descriptor)?;
    let bytes = address::read(call, name, length).await?;
    let socket = open.socket()?;
    match Address::parse(&bytes)? {
        Address::Nothing => return Err(Errno::EINVAL),
        Address::Any => socket.bind_any(address::scope(call))?,
        Address::Abstract(name) => socket.bind_abstract(address::scope(call), name)?,
        Address::Path(path) => {
            let at = At::working(call);
            let mode = at.masked(0o777);
            let now = call.now();
            let make = || at.view().make(path, NewKind::Socket, mode, now);
            socket.bind_path(path, make).map_err(|error| match error {
                Error::Exists => Errno::EADDRINUSE,
                other => other.into(),
            })?;
        }
    }
    Ok(0)
}

pub fn listen(call: &mut Call<'_>, [descriptor, backlog, ..]: Args) -> Answer {
    let open = Open::get(call, descriptor)?;
    // A negative number is a very large one.
    open.socket()?
        .listen(backlog as u32 as usize, &maker(call))?;
    Ok(0)
}

pub async fn accept(call: &mut Call<'_>, [descriptor, name, length_at, ..]: Args) -> Answer {
    accept4(call, [descriptor, name, length_at, 0, 0, 0]).await
}

pub async fn accept4(
    call: &mut Call<'_>,
    [descriptor, name, length_at, flags, ..]: Args,
) -> Answer {
    if flags & !(SOCK_CLOEXEC | SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let open = Open::get(call, descriptor)?;
    let listener = open.socket()?;
    let until = deadline(listener.receive_timeout().load(Ordering::Relaxed));
    let accepted = loop {
        match listener.try_accept() {
            Err(Error::WouldBlock) if !open.0.is_non_blocking() => {
                wait(
                    &open.0,
                    listener.endpoint().own_readiness(),
                    Ready::READ,
                    until,
                )
                .await?;
            }
            other => break other?,
        }
    };
    let peer = accepted.peer();
    let descriptors = call.process().descriptors();
    let close_on_exec = flags & SOCK_CLOEXEC != 0;
    let file = accepted.clone().describe(status(flags));
    let new = match descriptors.insert(file, close_on_exec, 0) {
        Ok(new) => new,
        Err(errno) => {
            listener.put_back(accepted);
            return Err(errno);
        }
    };
    drop(accepted);
    if name != 0 {
        let bytes = address::encode(peer.as_ref().and_then(|peer| Some(&**peer.name()?)));
        if let Err(errno) = address::write(call, &bytes, name, length_at).await {
            descriptors.close(new as u32)?;
            return Err(errno);
        }
    }
    Ok(new)
}

pub async fn connect(call: &mut Call<'_>, [descriptor, name, length, ..]: Args) -> Answer {
    let open = Open::get(call, descriptor)?;
    let bytes = address::read(call, name, length).await?;
    let socket = open.socket()?;
    let address = Address::parse(&bytes)?;
    if socket.endpoint().kind() == Kind::Datagram {
        let target = match address {
            Address::Nothing => None,
            named => Some(address::find(call, &named)?),
        };
        if target.is_some() {
            named_for_replies(call, &open)?;
        }
        socket.aim(target.as_ref())?;
        return Ok(0);
    }
    named_for_replies(call, &open)?;
    let until = deadline(socket.send_timeout().load(Ordering::Relaxed));
    loop {
        let target = address::find(call, &address)?;
        match socket.try_connect(&target, &maker(call)) {
            Err(Error::WouldBlock) if !open.0.is_non_blocking() => {
                wait(&open.0, target.room(), Ready::WRITE, until).await?;
            }
            other => {
                other?;
                return Ok(0);
            }
        }
    }
}

/// Who tells who it is gets a name, if it has none, so that it can be answered.
pub fn named_for_replies(call: &Call<'_>, open: &Open) -> Result<(), Errno> {
    let socket = open.socket()?;
    if socket.passes_credentials() && socket.endpoint().name().is_none() {
        socket.bind_any(address::scope(call))?;
    }
    Ok(())
}

pub fn shutdown(call: &mut Call<'_>, [descriptor, how, ..]: Args) -> Answer {
    let open = Open::get(call, descriptor)?;
    open.socket()?.shutdown(match how as u32 {
        0 => Shutdown::Receiving,
        1 => Shutdown::Sending,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    });
    Ok(0)
}
