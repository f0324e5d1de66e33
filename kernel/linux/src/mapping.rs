//! Memory calls: mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use abi::{Error, Rights};
use alloc::sync::Arc;
use core::ops::Range;
use machine::PAGE;
use machine::paging::Access;
use memory::{Advice, AtFork, Backing, Kind, MapRequest, Placement, Remap, Space};
use vfs::Description;

const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
const PROT_GROWSDOWN: u64 = 0x0100_0000;

const MAP_SHARED: u64 = 1;
const MAP_PRIVATE: u64 = 2;
const MAP_SHARED_VALIDATE: u64 = 3;
const MAP_TYPE: u64 = 0xf;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_32BIT: u64 = 0x40;
const MAP_GROWSDOWN: u64 = 0x100;
const MAP_POPULATE: u64 = 0x8000;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

const MREMAP_MAYMOVE: u64 = 1;
const MREMAP_FIXED: u64 = 2;

/// How far a mapping with `MAP_GROWSDOWN` may grow, if nothing is in its way.
const GROWS_DOWN: usize = 1 << 46;

/// `/dev/zero`.
const ZERO_DEVICE: vfs::DeviceNumber = vfs::DeviceNumber::new(1, 5);

fn access(protection: u64) -> Result<Access, Errno> {
    if protection & !(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut access = Access::empty();
    // x86 has no pages that can be written or executed but not read.
    access.set(
        Access::READ,
        protection & (PROT_READ | PROT_WRITE | PROT_EXEC) != 0,
    );
    access.set(Access::WRITE, protection & PROT_WRITE != 0);
    access.set(Access::EXECUTE, protection & PROT_EXEC != 0);
    Ok(access)
}

/// A range of whole pages from an aligned address and a length that is rounded up.
fn pages(address: u64, length: u64) -> Result<Range<usize>, Errno> {
    let address = address as usize;
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let length = (length as usize)
        .checked_next_multiple_of(PAGE)
        .ok_or(Errno::EINVAL)?;
    let end = address.checked_add(length).ok_or(Errno::EINVAL)?;
    Ok(address..end)
}

pub async fn mmap(
    call: &mut Call<'_>,
    [hint, length, protection, flags, descriptor, offset]: Args,
) -> Answer {
    if length == 0 || offset % PAGE as u64 != 0 {
        return Err(Errno::EINVAL);
    }
    let shared = match flags & MAP_TYPE {
        MAP_PRIVATE => false,
        MAP_SHARED | MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    let len = (length as usize)
        .checked_next_multiple_of(PAGE)
        .ok_or(Errno::ENOMEM)?;
    let access = access(protection & (PROT_READ | PROT_WRITE | PROT_EXEC))?;
    let at = if flags & MAP_FIXED_NOREPLACE != 0 {
        Placement::FixedNoReplace(fixed(hint)?)
    } else if flags & MAP_FIXED != 0 {
        Placement::Fixed(fixed(hint)?)
    } else {
        Placement::Anywhere {
            hint: hint as usize & !(PAGE - 1),
        }
    };
    let (backing, max_access) = if flags & MAP_ANONYMOUS != 0 {
        let backing = if shared {
            Backing::SharedAnonymous
        } else {
            Backing::Anonymous
        };
        (backing, Access::all())
    } else {
        let handle = call
            .process()
            .descriptors()
            .copy_handle(descriptor as u32)?;
        let file = handle.downcast::<Description>().ok_or(Errno::EBADF)?;
        let rights = handle.rights();
        handle.holds()?;
        if !rights.contains(Rights::MAP | Rights::READ) {
            return Err(Errno::EACCES);
        }
        if file.is_path_only() {
            return Err(Errno::EBADF);
        }
        if !file.access().contains(vfs::Access::READ) {
            return Err(Errno::EACCES);
        }
        let writable = file.access().contains(vfs::Access::WRITE)
            && rights.contains(Rights::WRITE)
            && !file.flags().contains(vfs::OpenFlags::APPEND);
        if shared && access.contains(Access::WRITE) && !writable {
            return Err(Errno::EACCES);
        }
        offset.checked_add(len as u64).ok_or(Errno::EOVERFLOW)?;
        let runs = rights.contains(Rights::EXECUTE)
            && file
                .location()
                .is_none_or(|place| place.grants(Rights::EXECUTE));
        if access.contains(Access::EXECUTE) && !runs {
            return Err(Errno::EPERM);
        }
        let mut max = Access::all();
        max.set(Access::WRITE, !shared || writable);
        max.set(Access::EXECUTE, runs);
        match file.pages() {
            Some(object) => (
                Backing::Object {
                    object,
                    offset,
                    shared,
                },
                max,
            ),
            // /dev/zero is the old way to ask for anonymous memory.
            None if file.metadata().device == ZERO_DEVICE => (
                if shared {
                    Backing::SharedAnonymous
                } else {
                    Backing::Anonymous
                },
                Access::all(),
            ),
            None => return Err(Errno::ENODEV),
        }
    };
    let kind = if flags & MAP_GROWSDOWN != 0 {
        Kind::Stack { grows: GROWS_DOWN }
    } else {
        Kind::Plain
    };
    let request = MapRequest {
        at,
        len,
        access,
        backing,
        kind,
        max_access,
    };
    let anywhere = matches!(request.at, Placement::Anywhere { hint: 0 });
    let address = if flags & MAP_32BIT != 0 && anywhere {
        map_low(call.space, request)
    } else {
        call.space.map(request)
    }
    .map_err(no_room)?;
    if flags & MAP_POPULATE != 0 && !access.is_empty() {
        // Populating is a wish: a page that cannot be had now comes, or fails, when it is touched.
        let mut budget = task::budget();
        call.space
            .populate(address..address + len, &mut budget)
            .await;
    }
    Ok(address)
}

/// Maps into the second gigabyte (`MAP_32BIT`), wherever there is room.
fn map_low(space: &Arc<Space>, request: MapRequest) -> Result<usize, Error> {
    const LOW: Range<usize> = 0x4000_0000..0x8000_0000;
    let mut from = LOW.start;
    let mappings = space.mappings();
    let behind = mappings
        .iter()
        .filter(|mapping| mapping.range.end > LOW.start);
    for start in behind
        .clone()
        .map(|mapping| mapping.range.start)
        .chain([LOW.end])
    {
        if from + request.len <= start.min(LOW.end) {
            return space.map(MapRequest {
                at: Placement::FixedNoReplace(from),
                ..request
            });
        }
        from = behind
            .clone()
            .find(|mapping| mapping.range.start == start)
            .map_or(from, |mapping| mapping.range.end.max(from));
    }
    Err(Error::NoMemory)
}

fn fixed(address: u64) -> Result<usize, Errno> {
    if address.is_multiple_of(PAGE as u64) {
        Ok(address as usize)
    } else {
        Err(Errno::EINVAL)
    }
}

/// The errors of mapping as mmap(2) words them.
fn no_room(error: Error) -> Errno {
    match error {
        Error::Limit | Error::NoMemory => Errno::ENOMEM,
        Error::Denied => Errno::EACCES,
        // Below the lowest address that may be mapped.
        Error::Forbidden => Errno::EPERM,
        other => other.into(),
    }
}

pub async fn munmap(call: &mut Call<'_>, [address, length, ..]: Args) -> Answer {
    let range = pages(address, length)?;
    if range.is_empty() || range.end > machine::USER_END {
        return Err(Errno::EINVAL);
    }
    call.space.unmap_yielding(range).await.map_err(no_room)?;
    Ok(0)
}

pub fn mprotect(call: &mut Call<'_>, [address, length, protection, ..]: Args) -> Answer {
    let access = access(protection)?;
    let range = pages(address, length).map_err(|errno| {
        if (address as usize).is_multiple_of(PAGE) {
            Errno::ENOMEM
        } else {
            errno
        }
    })?;
    if range.is_empty() {
        return Ok(0);
    }
    call.space
        .protect(range, access)
        .map_err(|error| match error {
            // Not everything in the range is mapped.
            Error::Fault | Error::Limit | Error::NoMemory | Error::Invalid => Errno::ENOMEM,
            Error::Denied => Errno::EACCES,
            other => other.into(),
        })?;
    Ok(0)
}

pub fn mremap(call: &mut Call<'_>, [address, old, new, flags, target, _]: Args) -> Answer {
    let range = pages(address, old)?;
    let new = (new as usize)
        .checked_next_multiple_of(PAGE)
        .ok_or(Errno::EINVAL)?;
    if new == 0 || flags & !(MREMAP_MAYMOVE | MREMAP_FIXED) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & MREMAP_FIXED != 0 && flags & MREMAP_MAYMOVE == 0 {
        return Err(Errno::EINVAL);
    }
    if range.is_empty() {
        return double(call, range.start, new, flags, target);
    }
    if flags & MREMAP_FIXED == 0 && new > machine::USER_END - range.start {
        return Err(Errno::ENOMEM);
    }
    let how = if flags & MREMAP_FIXED != 0 {
        Remap::Fixed(fixed(target)?)
    } else if flags & MREMAP_MAYMOVE != 0 {
        Remap::Anywhere
    } else {
        Remap::InPlace
    };
    call.space
        .remap(range, new, how)
        .map_err(|error| match error {
            Error::Limit => Errno::ENOMEM,
            other => other.into(),
        })
}

/// With an old size of 0, mremap(2) maps the same shared memory a second time.
fn double(call: &Call<'_>, address: usize, len: usize, flags: u64, target: u64) -> Answer {
    let known = call.space.mapping_at(address).ok_or(Errno::EFAULT)?;
    let (Some(object), true) = (known.object, known.shared && flags & MREMAP_MAYMOVE != 0) else {
        return Err(Errno::EINVAL);
    };
    let offset = known.offset + (address - known.range.start) as u64;
    let at = if flags & MREMAP_FIXED != 0 {
        Placement::Fixed(fixed(target)?)
    } else {
        Placement::Anywhere { hint: 0 }
    };
    let (access, max_access) = (known.access, known.max_access);
    let backing = Backing::Object {
        object,
        offset,
        shared: true,
    };
    let request = MapRequest {
        at,
        len,
        access,
        backing,
        kind: Kind::Plain,
        max_access,
    };
    call.space.map(request).map_err(no_room)
}

/// mlock(2): pages never leave memory, so all that is to do is to bring them in.
pub async fn mlock(call: &mut Call<'_>, [address, length, ..]: Args) -> Answer {
    let range = page_span(address, length)?;
    if !call.space.is_mapped(range.clone()) {
        return Err(Errno::ENOMEM);
    }
    call.space.populate(range, &mut task::budget()).await;
    Ok(0)
}

pub async fn mlock2(call: &mut Call<'_>, [address, length, flags, ..]: Args) -> Answer {
    const MLOCK_ONFAULT: u64 = 1;
    match flags {
        0 => mlock(call, [address, length, 0, 0, 0, 0]).await,
        MLOCK_ONFAULT => munlock(call, [address, length, 0, 0, 0, 0]),
        _ => Err(Errno::EINVAL),
    }
}

pub fn munlock(call: &mut Call<'_>, [address, length, ..]: Args) -> Answer {
    let range = page_span(address, length)?;
    if call.space.is_mapped(range) {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}

pub async fn mlockall(call: &mut Call<'_>, [flags, ..]: Args) -> Answer {
    const MCL_CURRENT: u64 = 1;
    const MCL_FUTURE: u64 = 2;
    const MCL_ONFAULT: u64 = 4;
    if flags & !(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || flags & !MCL_ONFAULT == 0 {
        return Err(Errno::EINVAL);
    }
    if flags & MCL_CURRENT != 0 && flags & MCL_ONFAULT == 0 {
        let mut budget = task::budget();
        for mapping in call.space.mappings() {
            call.space.populate(mapping.range, &mut budget).await;
        }
    }
    Ok(0)
}

pub fn munlockall(_: &mut Call<'_>, _: Args) -> Answer {
    Ok(0)
}

/// All pages that a range touches, wherever in a page it begins.
fn page_span(address: u64, length: u64) -> Result<Range<usize>, Errno> {
    let start = address as usize & !(PAGE - 1);
    let end = (address as usize)
        .checked_add(length as usize)
        .ok_or(Errno::EINVAL)?;
    let end = end.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
    Ok(start..end)
}

/// File contents live in memory until there are disks: nothing needs writing back.
pub fn msync(call: &mut Call<'_>, [address, length, flags, ..]: Args) -> Answer {
    const MS_ASYNC: u64 = 1;
    const MS_INVALIDATE: u64 = 2;
    const MS_SYNC: u64 = 4;
    if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
        || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
    {
        return Err(Errno::EINVAL);
    }
    let range = pages(address, length).map_err(|errno| {
        if (address as usize).is_multiple_of(PAGE) {
            Errno::ENOMEM
        } else {
            errno
        }
    })?;
    if call.space.is_mapped(range) {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}

pub async fn mincore(call: &mut Call<'_>, [address, length, to, ..]: Args) -> Answer {
    let range = pages(address, length)?;
    if range.end > machine::USER_END || !call.space.is_mapped(range.clone()) {
        return Err(Errno::ENOMEM);
    }
    for (index, page) in range.step_by(PAGE).enumerate() {
        let present = u8::from(call.space.is_present(page));
        call.write(to.wrapping_add(index as u64), &present).await?;
    }
    Ok(0)
}

pub fn madvise(call: &mut Call<'_>, [address, length, advice, ..]: Args) -> Answer {
    const MADV_DONTNEED: u64 = 4;
    const MADV_FREE: u64 = 8;
    const MADV_REMOVE: u64 = 9;
    const MADV_WILLNEED: u64 = 3;
    const MADV_DONTFORK: u64 = 10;
    const MADV_DOFORK: u64 = 11;
    const MADV_WIPEONFORK: u64 = 18;
    const MADV_KEEPONFORK: u64 = 19;
    let range = pages(address, length)?;
    if range.end > machine::USER_END {
        return Err(Errno::ENOMEM);
    }
    match advice {
        MADV_DONTNEED | MADV_FREE => {
            call.space.advise(range, Advice::DontNeed)?;
            Ok(0)
        }
        MADV_DONTFORK => at_fork(call, range, AtFork::Left),
        MADV_DOFORK | MADV_KEEPONFORK => at_fork(call, range, AtFork::Copied),
        MADV_WIPEONFORK => at_fork(call, range, AtFork::Wiped),
        // Wishes that change nothing a program can see: normal, random, sequential, merging, huge pages, dumping.
        0..=MADV_WILLNEED | 12..=17 | 20 | 21 => {
            if call.space.is_mapped(range) {
                Ok(0)
            } else {
                Err(Errno::ENOMEM)
            }
        }
        MADV_REMOVE => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EINVAL),
    }
}

fn at_fork(call: &Call<'_>, range: Range<usize>, at_fork: AtFork) -> Answer {
    call.space.set_at_fork(range, at_fork)?;
    Ok(0)
}

pub fn brk(call: &mut Call<'_>, [address, ..]: Args) -> Answer {
    Ok(call.space.brk(address as usize))
}
