//! Bytes of objects: `read`, `write`, `insert`, `erase`.

use crate::call::Arguments;
use crate::caller::Caller;
use abi::{Error, Kind, Rights};
use memory::{UserSink, UserSource};
use object::{Handle, Object};
use task::Ready;
use vfs::Description;

/// The most that one call moves, in bytes: what it is cut to.
const MOST: u64 = 0x7fff_f000;

pub async fn read(
    caller: &Caller<'_>,
    [number, offset, address, length, ..]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(number)?;
    let lists = matches!(handle.kind(), Kind::Directory | Kind::Registry);
    let object = handle.check(if lists { Rights::LIST } else { Rights::READ })?;
    let length = length.min(MOST) as usize;
    let once = || {
        let mut sink = UserSink::new(caller.space, address as usize, length);
        match object.try_read(offset, &mut sink)? {
            0 => sink.error().map_or(Ok(0), Err),
            count => Ok(count as u64),
        }
    };
    repeat(&handle, object, Ready::READ, once).await
}

pub async fn write(
    caller: &Caller<'_>,
    [number, offset, address, length, ..]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(number)?;
    let object = handle.check(Rights::WRITE)?;
    let length = length.min(MOST) as usize;
    let once = || {
        let mut source = UserSource::new(caller.space, address as usize, length);
        match object.try_write(offset, &mut source)? {
            0 => source.error().map_or(Ok(0), Err),
            count => Ok(count as u64),
        }
    };
    repeat(&handle, object, Ready::WRITE, once).await
}

pub async fn insert(
    caller: &Caller<'_>,
    [number, offset, address, length, ..]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(number)?;
    let object = handle.check(Rights::WRITE)?;
    let length = length.min(MOST) as usize;
    let once = || {
        let mut source = UserSource::new(caller.space, address as usize, length);
        match object.try_insert(offset, &mut source)? {
            0 => source.error().map_or(Ok(0), Err),
            count => Ok(count as u64),
        }
    };
    repeat(&handle, object, Ready::WRITE, once).await
}

pub fn erase(caller: &Caller<'_>, [number, offset, length, ..]: Arguments) -> Result<u64, Error> {
    let handle = caller.handle(number)?;
    handle.check(Rights::WRITE)?.erase(offset, length)
}

/// Tries until the object can: between two tries it waits, unless it was opened by somebody who will not.
async fn repeat(
    handle: &Handle,
    object: &dyn Object,
    interest: Ready,
    once: impl Fn() -> Result<u64, Error>,
) -> Result<u64, Error> {
    loop {
        match once() {
            Err(Error::WouldBlock) if object.readiness().is_some() && !is_non_blocking(handle) => {
                handle.wait(interest, None).await?;
                handle.holds()?;
            }
            result => return result,
        }
    }
}

fn is_non_blocking(handle: &Handle) -> bool {
    handle
        .downcast_ref::<Description>()
        .is_some_and(Description::is_non_blocking)
}
