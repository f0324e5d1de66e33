//! The names of local sockets as programs write them: `struct sockaddr_un`.

use super::Open;
use super::make::AF_UNIX;
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::At;
use alloc::sync::Arc;
use alloc::vec::Vec;
use local::name::{self, NAME_MAX};
use local::{Endpoint, Name, Scope};
use vfs::{Access, FileKind};

/// `offsetof(struct sockaddr_un, sun_path)`: the bytes of the family.
const FAMILY: usize = 2;
/// The longest address of any family (`sizeof(struct sockaddr_storage)`).
pub const ADDRESS_MAX: usize = 128;
const AF_UNSPEC: u16 = 0;

/// An address that a program gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// Of no family: to end a connection of datagrams.
    Nothing,
    /// Only the family: any free name.
    Any,
    /// After a zero byte.
    Abstract(&'a [u8]),
    /// Up to a zero byte.
    Path(&'a [u8]),
}

impl<'a> Address<'a> {
    /// # Errors
    /// `EINVAL` for anything that is not an address of a local socket.
    pub fn parse(bytes: &'a [u8]) -> Result<Address<'a>, Errno> {
        let (family, name) = bytes.split_at_checked(FAMILY).ok_or(Errno::EINVAL)?;
        match family {
            [low, high] if u16::from_le_bytes([*low, *high]) == AF_UNSPEC => Ok(Address::Nothing),
            [low, high] if u64::from(u16::from_le_bytes([*low, *high])) == AF_UNIX => match name {
                [] => Ok(Address::Any),
                name if name.len() > NAME_MAX => Err(Errno::EINVAL),
                [0, name @ ..] => Ok(Address::Abstract(name)),
                name => Ok(Address::Path(
                    name.split(|byte| *byte == 0).next().unwrap_or(name),
                )),
            },
            _ => Err(Errno::EINVAL),
        }
    }
}

/// The bytes of an address; `None` is a socket without a name.
pub fn encode(name: Option<&Name>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FAMILY + NAME_MAX + 1);
    bytes.extend_from_slice(&(AF_UNIX as u16).to_le_bytes());
    match name {
        None => {}
        Some(Name::Abstract(name)) => {
            bytes.push(0);
            bytes.extend_from_slice(name);
        }
        Some(Name::Path(path)) => {
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
    }
    bytes
}

/// Reads the bytes of an address.
///
/// # Errors
/// `EINVAL` if it is longer than any; `EFAULT`.
pub async fn read(call: &Call<'_>, address: u64, length: u64) -> Result<Vec<u8>, Errno> {
    let length = length as u32 as usize;
    if length > ADDRESS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut bytes = alloc::vec![0; length];
    crate::user::read_bytes(call.space, address as usize, &mut bytes).await?;
    Ok(bytes)
}

/// Writes an address, cut to the length that lies at `length_at`; the true length goes there.
pub async fn write(
    call: &Call<'_>,
    bytes: &[u8],
    address: u64,
    length_at: u64,
) -> Result<(), Errno> {
    let room = call.read::<i32>(length_at).await?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let cut = bytes.get(..room).unwrap_or(bytes);
    crate::user::write_bytes(call.space, address as usize, cut).await?;
    call.write(length_at, &(bytes.len() as u32)).await
}

/// Within which abstract names mean something to the caller: the mount that its root is in.
pub fn scope(call: &Call<'_>) -> Scope {
    call.standing().root.mount().number()
}

/// The socket that an address names.
///
/// # Errors
/// `EINVAL`, `ECONNREFUSED`, `EACCES`, and those of walking a path.
pub fn find(call: &Call<'_>, address: &Address<'_>) -> Result<Arc<Endpoint>, Errno> {
    match address {
        Address::Nothing | Address::Any => Err(Errno::EINVAL),
        Address::Abstract(name) => Ok(name::find_abstract(scope(call), name)?),
        Address::Path(path) => {
            let at = At::working(call);
            let location = at.view().locate(path, true)?;
            let inode = location.inode();
            at.credentials()
                .check(inode.permissions(), Access::WRITE, false)?;
            if inode.kind() != FileKind::Socket {
                return Err(Errno::ECONNREFUSED);
            }
            Ok(name::find_inode(inode)?)
        }
    }
}

pub async fn getsockname(
    call: &mut Call<'_>,
    [descriptor, address, length_at, ..]: Args,
) -> Answer {
    let open = Open::get(call, descriptor)?;
    let name = encode(open.socket()?.endpoint().name().map(|name| &**name));
    write(call, &name, address, length_at).await?;
    Ok(0)
}

pub async fn getpeername(
    call: &mut Call<'_>,
    [descriptor, address, length_at, ..]: Args,
) -> Answer {
    let open = Open::get(call, descriptor)?;
    let peer = open.socket()?.peer().ok_or(Errno::ENOTCONN)?;
    let name = encode(peer.name().map(|name| &**name));
    write(call, &name, address, length_at).await?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(bytes: &[u8]) -> Vec<u8> {
        [&[1, 0], bytes].concat()
    }

    #[test]
    fn addresses_are_what_the_manual_says() {
        assert_eq!(Address::parse(b""), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[1]), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[2, 0, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(Address::parse(&[0, 0]), Ok(Address::Nothing));
        assert_eq!(Address::parse(&name(b"")), Ok(Address::Any));
        assert_eq!(Address::parse(&name(b"\0")), Ok(Address::Abstract(b"")));
        assert_eq!(
            Address::parse(&name(b"\0a\0b")),
            Ok(Address::Abstract(b"a\0b"))
        );
        assert_eq!(Address::parse(&name(b"/a\0b")), Ok(Address::Path(b"/a")));
        assert_eq!(
            Address::parse(&name(&[b'x'; 108])),
            Ok(Address::Path(&[b'x'; 108]))
        );
        assert_eq!(Address::parse(&name(&[b'x'; 109])), Err(Errno::EINVAL));
    }

    proptest! {
        #[test]
        fn an_address_survives(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
            let encoded = match Address::parse(&bytes) {
                Ok(Address::Abstract(name)) => encode(Some(&Name::Abstract(name.into()))),
                Ok(Address::Path(path)) => encode(Some(&Name::Path(path.into()))),
                Ok(Address::Any) => encode(None),
                _ => return Ok(()),
            };
            if encoded.len() - FAMILY <= NAME_MAX {
                prop_assert_eq!(Address::parse(&encoded), Address::parse(&bytes));
            }
        }
    }
}
