//! Handles themselves: `registry`, `open`, `close`, `duplicate`, `inspect`, `request`.

use crate::call::Arguments;
use crate::caller::{Caller, number};
use abi::{Error, Kind, Number, OpenFlags, Rights, request};
use alloc::vec::Vec;
use object::{Given, Handle, Opened, Reply};
use value::{Document, Value};
use vfs::Description;

pub async fn registry(caller: &Caller<'_>, [address, length, ..]: Arguments) -> Result<u64, Error> {
    let name = caller.name(address, length).await?;
    let handle = caller.thread.process().namespace().get(&name)?;
    caller.handles.insert(handle).map(|number| number.0.into())
}

pub async fn open(
    caller: &Caller<'_>,
    [number, address, length, rights, flags, _]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(number)?;
    let path = caller.path(address, length).await?;
    let rights = all_known(rights, Rights::from_bits)?;
    let flags = all_known(flags, OpenFlags::from_bits)?;
    let mut needed = Rights::LIST;
    needed.set(Rights::CREATE, flags.contains(OpenFlags::CREATE));
    needed.set(Rights::WRITE, flags.contains(OpenFlags::TRUNCATE));
    if flags.contains(OpenFlags::TRUNCATE) && !rights.contains(Rights::WRITE) {
        return Err(Error::Invalid);
    }
    let opened = walk(handle, &path, needed, rights, flags)?;
    if let Some(file) = opened.downcast_ref::<Description>()
        && !file.is_non_blocking()
    {
        file.opened().await?;
    }
    caller.handles.insert(opened).map(|number| number.0.into())
}

/// So many registries may lead from one to the next.
const MOST_LINKS: usize = 40;

/// Follows a path from registry to registry. Nothing gives more than what leads there: rights only ever shrink.
fn walk(
    mut at: Handle,
    path: &str,
    needed: Rights,
    rights: Rights,
    flags: OpenFlags,
) -> Result<Handle, Error> {
    let mut rest = path;
    for _ in 0..=MOST_LINKS {
        match at.open(needed | rights, rest, rights, flags)? {
            Opened::Object(handle) => return Ok(handle),
            Opened::Beyond(next, on) => (at, rest) = (next, on),
        }
    }
    Err(Error::Loop)
}

/// A register of bits, all of which must have a meaning.
fn all_known<B>(register: u64, from_bits: impl Fn(u32) -> Option<B>) -> Result<B, Error> {
    u32::try_from(register)
        .ok()
        .and_then(from_bits)
        .ok_or(Error::Invalid)
}

pub fn close(caller: &Caller<'_>, [register, ..]: Arguments) -> Result<u64, Error> {
    let handle = caller.handles.remove(number(register)?)?;
    let may_hold = matches!(handle.kind(), Kind::Channel | Kind::Registry);
    drop(handle);
    if may_hold {
        object::IN_FLIGHT.after_closing();
    }
    Ok(0)
}

pub fn duplicate(caller: &Caller<'_>, [register, rights, ..]: Arguments) -> Result<u64, Error> {
    let rights = all_known(rights, Rights::from_bits)?;
    caller
        .handles
        .duplicate(number(register)?, rights)
        .map(|number| number.0.into())
}

pub async fn inspect(
    caller: &Caller<'_>,
    [number, address, capacity, ..]: Arguments,
) -> Result<u64, Error> {
    let about = caller.any_handle(number)?.inspect()?;
    caller.reply(&about, address, capacity).await
}

pub async fn request(
    caller: &Caller<'_>,
    [number, verb, length, argument, address, capacity]: Arguments,
) -> Result<u64, Error> {
    let handle = caller.handle(number)?;
    let verb = caller.name(verb, length).await?;
    let argument = caller.value(argument).await?;
    let given = given(caller, argument.as_document())?;
    let reply = handle.request_with(&verb, argument.as_document(), &given)?;
    if reply.handles.is_empty() {
        return caller.reply(&reply.value, address, capacity).await;
    }
    let mut numbers = Vec::new();
    let answered = with_handles(caller, reply, &mut numbers, address, capacity).await;
    if !matches!(answered, Ok(length) if length <= capacity) {
        // The program never learns the numbers.
        for number in numbers {
            caller.handles.remove(number)?;
        }
    }
    answered
}

/// The handles that the caller gives with a request.
fn given(caller: &Caller<'_>, argument: Document<'_>) -> Result<Given, Error> {
    let Some(list) = argument.get(request::HANDLES) else {
        return Ok(Given::default());
    };
    let list = list.as_document().ok_or(Error::Invalid)?;
    if list.iter().nth(request::MOST_HANDLES).is_some() {
        return Err(Error::TooLarge);
    }
    let handles = list.iter().map(|(name, element)| {
        let about = element.as_document().ok_or(Error::Invalid)?;
        let number = about.unsigned(request::HANDLE).ok_or(Error::Invalid)?;
        let rights = about.unsigned(request::RIGHTS).ok_or(Error::Invalid)?;
        let rights = all_known(rights, Rights::from_bits)?;
        let handle = caller.handle(number)?;
        handle.check(rights | Rights::TRANSFER)?;
        Ok((name.into(), handle.into_restricted(rights)))
    });
    handles.collect::<Result<_, Error>>().map(Given::new)
}

/// Puts a reply's handles into the caller's table and their numbers into the value.
async fn with_handles(
    caller: &Caller<'_>,
    reply: Reply,
    numbers: &mut Vec<Number>,
    address: u64,
    capacity: u64,
) -> Result<u64, Error> {
    let mut named = Vec::new();
    for (name, handle) in reply.handles {
        let number = caller.handles.insert(handle)?;
        numbers.push(number);
        named.push((name, number));
    }
    let value = Value::build(|builder| {
        for (key, element) in reply.value.as_document() {
            builder.put(key, element);
        }
        for (name, number) in named {
            builder.put(name, number.0);
        }
    })?;
    caller.reply(&value, address, capacity).await
}

/// Calls of a later stage: the handle is checked, and the answer is honest.
pub fn unsupported(caller: &Caller<'_>, [number, ..]: Arguments) -> Result<u64, Error> {
    caller.handle(number)?;
    Err(Error::Unsupported)
}
