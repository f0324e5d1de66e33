//! Address spaces as objects: `map`, `unmap`, `protect`.

use crate::arena::Arena;
use crate::call::Arguments;
use crate::caller::Caller;
use abi::{Error, Kind, Mapping, Number, Rights};
use alloc::sync::Arc;
use machine::PAGE;
use memory::{Access, Backing, MapRequest, Placement, Space};
use object::{Handle, Object};
use value::Builder;
use vfs::Description;

/// An address space behind a handle.
pub struct SpaceObject(pub Arc<Space>);

impl Object for SpaceObject {
    fn kind(&self) -> Kind {
        Kind::Space
    }

    fn describe(&self, into: &mut Builder) {
        let (mut bytes, mut mappings) = (0usize, 0u32);
        for mapping in self.0.mappings() {
            bytes += mapping.range.len();
            mappings += 1;
        }
        into.put("mapped", bytes)
            .put("mappings", mappings)
            .put("resident", self.0.resident() * PAGE);
    }
}

/// The space behind a register's handle.
fn space(caller: &Caller<'_>, number: u64) -> Result<Arc<SpaceObject>, Error> {
    let handle = caller.handle(number)?;
    handle.check(Rights::MAP)?;
    handle.downcast().ok_or(Error::WrongKind)
}

fn mapping(register: u64) -> Result<(Mapping, Access), Error> {
    let mapping = u32::try_from(register)
        .ok()
        .and_then(Mapping::from_bits)
        .ok_or(Error::Invalid)?;
    if mapping.contains(Mapping::WRITE | Mapping::EXECUTE) {
        return Err(Error::Denied);
    }
    let mut access = Access::empty();
    access.set(Access::READ, mapping.contains(Mapping::READ));
    access.set(Access::WRITE, mapping.contains(Mapping::WRITE));
    access.set(Access::EXECUTE, mapping.contains(Mapping::EXECUTE));
    Ok((mapping, access))
}

pub fn map(
    caller: &Caller<'_>,
    [target, memory, address, length, bits, offset]: Arguments,
) -> Result<u64, Error> {
    let target = space(caller, target)?;
    let (mapping, access) = mapping(bits)?;
    let shared = mapping.contains(Mapping::SHARED);
    let (backing, max_access) = if memory == u64::from(Number::NONE.0) {
        let backing = if shared {
            Backing::SharedAnonymous
        } else {
            Backing::Anonymous
        };
        (backing, Access::READ | Access::WRITE | Access::EXECUTE)
    } else {
        of_object(&caller.handle(memory)?, access, shared, offset)?
    };
    let address = address as usize;
    let request = MapRequest {
        at: match mapping.contains(Mapping::FIXED) {
            true => Placement::FixedNoReplace(address),
            false => Placement::Anywhere { hint: address },
        },
        len: length as usize,
        access,
        backing,
        kind: memory::Kind::Plain,
        max_access,
    };
    target.0.map(request).map(|address| address as u64)
}

/// Memory that others have too, or the pages of a file: what its handle lets the caller see of it.
fn of_object(
    handle: &Handle,
    access: Access,
    shared: bool,
    offset: u64,
) -> Result<(Backing, Access), Error> {
    let rights = handle.rights();
    let mut max_access = Access::READ;
    // Private copies may be written whatever the file says.
    max_access.set(Access::WRITE, !shared || rights.contains(Rights::WRITE));
    max_access.set(Access::EXECUTE, rights.contains(Rights::EXECUTE));
    handle.check(Rights::MAP | Rights::READ)?;
    if !max_access.contains(access) {
        return Err(Error::Denied);
    }
    let object = match (
        handle.downcast_ref::<Arena>(),
        handle.downcast_ref::<Description>(),
    ) {
        (Some(arena), _) => arena.0.clone(),
        (None, Some(file)) => file.pages().ok_or(Error::WrongKind)?,
        (None, None) => return Err(Error::WrongKind),
    };
    Ok((
        Backing::Object {
            object,
            offset,
            shared,
        },
        max_access,
    ))
}

pub fn unmap(caller: &Caller<'_>, [target, address, length, ..]: Arguments) -> Result<u64, Error> {
    let range = range(address, length)?;
    space(caller, target)?.0.unmap(range).map(|()| 0)
}

pub fn protect(
    caller: &Caller<'_>,
    [target, address, length, bits, ..]: Arguments,
) -> Result<u64, Error> {
    let (_, access) = mapping(bits)?;
    let range = range(address, length)?;
    space(caller, target)?.0.protect(range, access).map(|()| 0)
}

fn range(address: u64, length: u64) -> Result<core::ops::Range<usize>, Error> {
    let end = address.checked_add(length).ok_or(Error::Invalid)?;
    Ok(address as usize..end as usize)
}
