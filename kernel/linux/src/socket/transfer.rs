//! send(2), recv(2) and their relatives; read(2) and write(2) of sockets.
//!
//! All of them become one [`Outgoing`] or one [`Incoming`] over pieces of the program's memory.

use super::address::{self, ADDRESS_MAX, Address};
use super::connection::named_for_replies;
use super::message::{
    Ancillary, CONTROL_LENGTH_AT, CONTROL_MAX, Control, FLAGS_AT, MSG_CMSG_CLOEXEC, MSG_CTRUNC,
    MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MessageHeader,
    NAME_LENGTH_AT, SCM_CREDENTIALS, SCM_RIGHTS,
};
use super::options::ucred;
use super::{Open, deadline, wait};
use crate::call::{Args, Call};
use crate::descriptors::Held;
use crate::errno::{Answer, Errno};
use crate::io;
use crate::vectors::{self, Piece};
use abi::{Error, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use local::{
    Cargo, Credentials, Endpoint, Files, Kind, Look, Received, Sent, Socket, flight::FILES,
};
use memory::{Segment, UserSink, UserSource};
use object::Handle;
use task::Ready;
use vfs::Description;
use zerocopy::IntoBytes;

/// A message to be sent.
struct Outgoing<'a> {
    segments: &'a mut [Segment],
    flags: u64,
    to: Option<Arc<Endpoint>>,
    files: Files,
    credentials: Credentials,
}

impl<'a> Outgoing<'a> {
    fn new(call: &Call<'_>, segments: &'a mut [Segment], flags: u64) -> Outgoing<'a> {
        let identity = call.process().identity();
        Outgoing {
            segments,
            flags,
            to: None,
            files: Files::new(),
            credentials: Credentials {
                pid: call.process().id(),
                uid: identity.real_uid,
                gid: identity.real_gid,
            },
        }
    }

    /// Sends it all, waiting where that is needed; a signal or an error after the first bytes of a stream ends it early.
    async fn send(self, call: &Call<'_>, file: &Held, socket: &Socket) -> Answer {
        if self.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let waits = !file.is_non_blocking() && self.flags & MSG_DONTWAIT == 0;
        let until = deadline(socket.send_timeout().load(Ordering::Relaxed));
        let stream = socket.endpoint().kind() == Kind::Stream;
        let mut segments = self.segments;
        let total: usize = segments.iter().map(|segment| segment.len).sum();
        let mut cargo = Cargo {
            files: self.files,
            ..Cargo::default()
        };
        let mut done = 0;
        loop {
            // What was sent took its cargo with it.
            cargo.credentials = self.credentials;
            let (outcome, bad) = {
                let mut source = UserSource::vectored(call.space, segments);
                let outcome = socket.try_send(&mut source, &mut cargo, self.to.as_ref());
                (outcome, source.error())
            };
            let errno = match outcome {
                Ok(_) if !stream => return Ok(total),
                Ok(count) => {
                    done += count;
                    if done >= total {
                        return Ok(done);
                    }
                    segments = advance(segments, count);
                    match bad {
                        None => continue,
                        Some(error) => error.into(),
                    }
                }
                Err(Error::WouldBlock) if waits => {
                    let readiness = match &self.to {
                        Some(to) => to.room(),
                        None => socket.endpoint().own_readiness(),
                    };
                    match wait(file, readiness, Ready::WRITE, until).await {
                        Ok(()) => continue,
                        Err(errno) => errno,
                    }
                }
                Err(Error::Closed) => {
                    if stream && done == 0 && self.flags & MSG_NOSIGNAL == 0 {
                        io::broken_pipe(call);
                    }
                    Errno::EPIPE
                }
                Err(Error::NoMemory) => Errno::ENOBUFS,
                Err(Error::Limit) => Errno::ETOOMANYREFS,
                Err(error) => error.into(),
            };
            return if done > 0 { Ok(done) } else { Err(errno) };
        }
    }
}

/// What is left of the segments behind `count` bytes.
fn advance(segments: &mut [Segment], mut count: usize) -> &mut [Segment] {
    let mut whole = 0;
    for segment in segments.iter_mut() {
        if count < segment.len {
            segment.address += count;
            segment.len -= count;
            break;
        }
        count -= segment.len;
        whole += 1;
    }
    segments.get_mut(whole..).unwrap_or_default()
}

/// A message to be received.
struct Incoming<'a> {
    segments: &'a mut [Segment],
    flags: u64,
}

impl Incoming<'_> {
    /// Receives what there is, waiting for it where that is needed; with `MSG_WAITALL` all that was asked for.
    async fn receive(
        self,
        call: &Call<'_>,
        file: &Held,
        socket: &Socket,
    ) -> Result<Received, Errno> {
        if self.flags & MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let waits = !file.is_non_blocking() && self.flags & MSG_DONTWAIT == 0;
        let until = deadline(socket.receive_timeout().load(Ordering::Relaxed));
        let stream = socket.endpoint().kind() == Kind::Stream;
        let look = Look {
            peek: self.flags & MSG_PEEK != 0,
            by_sender: false,
        };
        let all = stream && !look.peek && self.flags & MSG_WAITALL != 0;
        let mut segments = self.segments;
        let total: usize = segments.iter().map(|segment| segment.len).sum();
        let mut first: Option<Received> = None;
        loop {
            let (outcome, bad) = {
                let mut sink = UserSink::vectored(call.space, segments);
                (socket.try_receive(&mut sink, look), sink.error())
            };
            let errno = match outcome {
                Ok(received) => {
                    if bad.is_some() && (received.count == 0 || !stream) {
                        FILES.bury(received.files);
                        Errno::EFAULT
                    } else {
                        let ended = received.count == 0 || !received.files.is_empty();
                        segments = advance(segments, received.count);
                        match &mut first {
                            None => first = Some(received),
                            Some(first) => {
                                first.count += received.count;
                                first.length += received.length;
                                first.files = received.files;
                            }
                        }
                        let done = first.as_ref().map_or(0, |first| first.count);
                        if all && !ended && done < total && bad.is_none() {
                            continue;
                        }
                        return first.ok_or(Errno::EIO);
                    }
                }
                Err(Error::WouldBlock) if waits => {
                    match wait(file, socket.endpoint().own_readiness(), Ready::READ, until).await {
                        Ok(()) => continue,
                        Err(errno) => errno,
                    }
                }
                Err(error) => error.into(),
            };
            return first.ok_or(errno);
        }
    }
}

/// A buffer of the program as one piece.
fn piece(address: u64, length: u64) -> Result<Segment, Errno> {
    let len = io::check_buffer(address as usize, length as usize)?;
    Ok(Segment {
        address: address as usize,
        len,
    })
}

fn segments(pieces: &[Piece]) -> Result<Vec<Segment>, Errno> {
    let piece = |&(address, len): &Piece| piece(address as u64, len as u64);
    pieces.iter().map(piece).collect()
}

/// read(2).
pub async fn read(call: &Call<'_>, file: &Held, socket: &Socket, pieces: &[Piece]) -> Answer {
    let mut segments = segments(pieces)?;
    if segments.iter().all(|segment| segment.len == 0) {
        return Ok(0);
    }
    let incoming = Incoming {
        segments: &mut segments,
        flags: 0,
    };
    let received = incoming.receive(call, file, socket).await?;
    FILES.bury(received.files);
    Ok(received.count)
}

/// write(2).
pub async fn write(call: &Call<'_>, file: &Held, socket: &Socket, pieces: &[Piece]) -> Answer {
    let mut segments = segments(pieces)?;
    Outgoing::new(call, &mut segments, 0)
        .send(call, file, socket)
        .await
}

/// Where a datagram goes, or what is wrong with saying so.
async fn destination(
    call: &Call<'_>,
    open: &Open,
    name: u64,
    length: u64,
) -> Result<Option<Arc<Endpoint>>, Errno> {
    if name == 0 || length as u32 == 0 {
        return Ok(None);
    }
    let bytes = address::read(call, name, length).await?;
    let socket = open.socket()?;
    match socket.endpoint().kind() {
        Kind::Datagram => {
            let target = address::find(call, &Address::parse(&bytes)?)?;
            named_for_replies(call, open)?;
            Ok(Some(target))
        }
        Kind::Records => Ok(None),
        Kind::Stream if socket.peer().is_some() => Err(Errno::EISCONN),
        Kind::Stream => Err(Errno::EOPNOTSUPP),
    }
}

pub async fn sendto(
    call: &mut Call<'_>,
    [descriptor, buffer, count, flags, name, length]: Args,
) -> Answer {
    let open = Open::with(call, descriptor, Rights::WRITE)?;
    let mut segments = [piece(buffer, count)?];
    let to = destination(call, &open, name, length).await?;
    let outgoing = Outgoing {
        to,
        ..Outgoing::new(call, &mut segments, flags)
    };
    outgoing.send(call, &open.0, open.socket()?).await
}

pub async fn recvfrom(
    call: &mut Call<'_>,
    [descriptor, buffer, count, flags, name, length_at]: Args,
) -> Answer {
    let open = Open::with(call, descriptor, Rights::READ)?;
    let socket = open.socket()?;
    let mut segments = [piece(buffer, count)?];
    let incoming = Incoming {
        segments: &mut segments,
        flags,
    };
    let mut received = incoming.receive(call, &open.0, socket).await?;
    FILES.bury(core::mem::take(&mut received.files));
    if name != 0 {
        let bytes = sender(socket, &received);
        address::write(call, &bytes, name, length_at).await?;
    }
    Ok(answer(&received, flags))
}

/// The address of who sent it; nothing if it has none.
fn sender(socket: &Socket, received: &Received) -> Vec<u8> {
    let name = match socket.endpoint().kind() {
        Kind::Datagram => received.from.clone(),
        _ => socket.peer().and_then(|peer| peer.name().cloned()),
    };
    name.map_or(Vec::new(), |name| address::encode(Some(&name)))
}

fn answer(received: &Received, flags: u64) -> usize {
    if flags & MSG_TRUNC != 0 {
        received.length
    } else {
        received.count
    }
}

async fn header(call: &Call<'_>, at: u64) -> Result<(MessageHeader, Vec<Segment>), Errno> {
    let mut header: MessageHeader = call.read(at).await?;
    if header.name == 0 {
        header.name_length = 0;
    }
    if (header.name_length as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    header.name_length = header.name_length.min(ADDRESS_MAX as u32);
    if header.vector_length > vectors::IOV_MAX {
        return Err(Errno::EMSGSIZE);
    }
    let pieces = vectors::pieces(call, header.vector, header.vector_length).await?;
    Ok((header, segments(&pieces)?))
}

pub async fn sendmsg(call: &mut Call<'_>, [descriptor, message, flags, ..]: Args) -> Answer {
    let open = Open::with(call, descriptor, Rights::WRITE)?;
    let (header, mut segments) = header(call, message).await?;
    let mut outgoing = Outgoing::new(call, &mut segments, flags);
    if header.control_length > 0 && header.control != 0 {
        if header.control_length > CONTROL_MAX {
            return Err(Errno::ENOBUFS);
        }
        let mut control = alloc::vec![0; header.control_length as usize];
        crate::user::read_bytes(call.space, header.control as usize, &mut control).await?;
        let ancillary = Ancillary::parse(&control)?;
        if let Some(credentials) = ancillary.credentials {
            check_claim(call, credentials)?;
            outgoing.credentials = credentials;
        }
        for descriptor in ancillary.descriptors {
            outgoing.files.push(sent(call, descriptor)?);
        }
    }
    let length = u64::from(header.name_length);
    outgoing.to = destination(call, &open, header.name, length).await?;
    outgoing.send(call, &open.0, open.socket()?).await
}

/// The file behind a descriptor, with what the caller can do with it.
fn sent(call: &Call<'_>, descriptor: u32) -> Result<Sent, Errno> {
    let handle = call.process().descriptors().copy_handle(descriptor)?;
    handle.check(Rights::TRANSFER)?;
    let file = handle.downcast::<Description>().ok_or(Errno::EBADF)?;
    Ok(Sent {
        file,
        rights: handle.rights(),
        tenure: handle.tenure().clone(),
    })
}

/// Whether the caller may say that it is this: only what is true, unless it is uid 0 (unix(7)).
fn check_claim(call: &Call<'_>, claim: Credentials) -> Result<(), Errno> {
    let identity = call.process().identity();
    let mine = claim.pid == call.process().id();
    if identity.effective.uid == 0 {
        return if mine || call.process().find(claim.pid).is_some() {
            Ok(())
        } else {
            Err(Errno::ESRCH)
        };
    }
    let users = [
        identity.real_uid,
        identity.effective.uid,
        identity.saved_uid,
    ];
    let groups = [
        identity.real_gid,
        identity.effective.gid,
        identity.saved_gid,
    ];
    if mine && users.contains(&claim.uid) && groups.contains(&claim.gid) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

pub async fn recvmsg(call: &mut Call<'_>, [descriptor, message, flags, ..]: Args) -> Answer {
    let open = Open::with(call, descriptor, Rights::READ)?;
    let socket = open.socket()?;
    let (header, mut segments) = header(call, message).await?;
    let incoming = Incoming {
        segments: &mut segments,
        flags,
    };
    let mut received = incoming.receive(call, &open.0, socket).await?;
    let files = core::mem::take(&mut received.files);
    let mut out = flags & MSG_CMSG_CLOEXEC;
    if received.length > received.count {
        out |= MSG_TRUNC;
    }
    let room = if header.control == 0 {
        0
    } else {
        header.control_length
    };
    let mut control = Control::new(room);
    if socket.passes_credentials() {
        control.put(SCM_CREDENTIALS, ucred(received.credentials).as_bytes());
    }
    let new = hand_over(call, files, &mut control, flags & MSG_CMSG_CLOEXEC != 0);
    let written =
        crate::user::write_bytes(call.space, header.control as usize, control.bytes()).await;
    let mut control_length = control.bytes().len() as u64;
    if written.is_err() {
        // Descriptors that nobody was told of.
        for descriptor in new {
            let _ = call.process().descriptors().close(descriptor);
        }
        control_length = 0;
    }
    if written.is_err() || control.truncated {
        out |= MSG_CTRUNC;
    }
    if header.name != 0 {
        let name = sender(socket, &received);
        let cut = name.get(..header.name_length as usize).unwrap_or(&name);
        crate::user::write_bytes(call.space, header.name as usize, cut).await?;
        call.write(message.wrapping_add(NAME_LENGTH_AT), &(name.len() as u32))
            .await?;
    }
    call.write(message.wrapping_add(FLAGS_AT), &(out as u32))
        .await?;
    call.write(message.wrapping_add(CONTROL_LENGTH_AT), &control_length)
        .await?;
    Ok(answer(&received, flags))
}

/// Gives the caller descriptors of the files, as many as its buffer and its limit have room for.
fn hand_over(
    call: &Call<'_>,
    mut files: Files,
    control: &mut Control,
    close_on_exec: bool,
) -> Vec<u32> {
    if files.is_empty() {
        return Vec::new();
    }
    let lost = files.split_off(control.descriptors_room().min(files.len()));
    control.truncated |= !lost.is_empty();
    FILES.bury(lost);
    let descriptors = call.process().descriptors();
    let mut new = Vec::with_capacity(files.len());
    for file in files {
        let handle = Handle::new(file.file, file.rights).under(&file.tenure);
        let inserted = handle
            .map_err(Errno::from)
            .and_then(|handle| descriptors.insert_handle(handle, close_on_exec, 0));
        match inserted {
            Ok(descriptor) => new.push(descriptor as u32),
            Err(_) => {
                control.truncated = true;
                break;
            }
        }
    }
    if !new.is_empty() {
        control.put(SCM_RIGHTS, new.as_bytes());
    }
    new
}
