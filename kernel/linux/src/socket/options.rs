//! getsockopt(2), setsockopt(2): socket(7), unix(7).

use super::Open;
use super::make::{AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::time::Timeval;
use core::sync::atomic::Ordering;
use local::{Credentials, Kind};
use zerocopy::IntoBytes;

const SOL_SOCKET: u32 = 1;
const SO_TYPE: u32 = 3;
const SO_ERROR: u32 = 4;
const SO_SNDBUF: u32 = 7;
const SO_RCVBUF: u32 = 8;
const SO_PASSCRED: u32 = 16;
const SO_PEERCRED: u32 = 17;
const SO_RCVTIMEO: u32 = 20;
const SO_SNDTIMEO: u32 = 21;
const SO_ACCEPTCONN: u32 = 30;
const SO_PROTOCOL: u32 = 38;
const SO_DOMAIN: u32 = 39;

/// `struct ucred`.
pub fn ucred(credentials: Credentials) -> [u32; 3] {
    [credentials.pid, credentials.uid, credentials.gid]
}

pub async fn getsockopt(
    call: &mut Call<'_>,
    [descriptor, level, option, value, length_at, _]: Args,
) -> Answer {
    let open = Open::get(call, descriptor)?;
    let room = call.read::<i32>(length_at).await?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    if level as u32 != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let socket = open.socket()?;
    let number = match option as u32 {
        SO_TYPE => match socket.endpoint().kind() {
            Kind::Stream => SOCK_STREAM,
            Kind::Records => SOCK_SEQPACKET,
            Kind::Datagram => SOCK_DGRAM,
        },
        SO_ERROR => match socket.endpoint().take_error() {
            Some(error) => u64::from(Errno::from(error).number()),
            None => 0,
        },
        SO_SNDBUF => socket.send_limit() as u64,
        SO_RCVBUF => socket.receive_limit() as u64,
        SO_PASSCRED => u64::from(socket.passes_credentials()),
        SO_ACCEPTCONN => u64::from(socket.listens()),
        SO_PROTOCOL => 0,
        SO_DOMAIN => AF_UNIX,
        SO_PEERCRED => {
            let peer = socket
                .peer()
                .map_or(Credentials::NOBODY, |peer| peer.maker());
            return put(call, ucred(peer).as_bytes(), room, value, length_at).await;
        }
        SO_RCVTIMEO | SO_SNDTIMEO => {
            let length = if option as u32 == SO_RCVTIMEO {
                socket.receive_timeout()
            } else {
                socket.send_timeout()
            };
            let time = Timeval::from_nanoseconds(length.load(Ordering::Relaxed));
            return put(call, time.as_bytes(), room, value, length_at).await;
        }
        _ => return Err(Errno::ENOPROTOOPT),
    };
    put(call, (number as u32).as_bytes(), room, value, length_at).await
}

/// Writes a value, cut to the room there is, and how long it is now.
async fn put(call: &Call<'_>, bytes: &[u8], room: usize, value: u64, length_at: u64) -> Answer {
    let cut = bytes.get(..room).unwrap_or(bytes);
    crate::user::write_bytes(call.space, value as usize, cut).await?;
    call.write(length_at, &(cut.len() as u32)).await?;
    Ok(0)
}

pub async fn setsockopt(
    call: &mut Call<'_>,
    [descriptor, level, option, value, length, _]: Args,
) -> Answer {
    let open = Open::get(call, descriptor)?;
    if (length as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    if level as u32 != SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let option = option as u32;
    let timed = matches!(option, SO_RCVTIMEO | SO_SNDTIMEO);
    let least = if timed { size_of::<Timeval>() } else { 4 };
    if (length as u32 as usize) < least {
        return Err(Errno::EINVAL);
    }
    let socket = open.socket()?;
    if timed {
        let time = call.read::<Timeval>(value).await?;
        if !(0..1_000_000).contains(&time.microseconds) {
            return Err(Errno::EDOM);
        }
        // A time before now is over at once, but 0 is for ever.
        let length = match time.seconds {
            ..0 => 1,
            _ => time.nanoseconds()?,
        };
        match option {
            SO_RCVTIMEO => socket.receive_timeout(),
            _ => socket.send_timeout(),
        }
        .store(length, Ordering::Relaxed);
        return Ok(0);
    }
    let number = call.read::<u32>(value).await?;
    match option {
        SO_SNDBUF => socket.set_send_limit(number as usize),
        SO_RCVBUF => socket.set_receive_limit(number as usize),
        SO_PASSCRED => socket.set_passes_credentials(number != 0),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(0)
}
