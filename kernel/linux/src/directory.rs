//! Directories: listing, the working directory, the root (getdents(2), chdir(2), chroot(2)).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::At;
use alloc::vec::Vec;
use vfs::{Access, Entry, FileKind, Location};

/// The most bytes put together for one call.
const BUFFER_LIMIT: usize = 64 << 10;

/// The kinds as `d_type` has them.
fn type_number(kind: FileKind) -> u8 {
    match kind {
        FileKind::Fifo => 1,
        FileKind::CharacterDevice => 2,
        FileKind::Directory => 4,
        FileKind::BlockDevice => 6,
        FileKind::File => 8,
        FileKind::Symlink => 10,
        FileKind::Socket => 12,
    }
}

pub async fn getdents64(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Answer {
    list(call, descriptor, buffer, count, |entry, into| {
        let length = (19 + entry.name.len() + 1).next_multiple_of(8);
        into.extend_from_slice(&entry.inode.to_le_bytes());
        into.extend_from_slice(&entry.next.to_le_bytes());
        into.extend_from_slice(&(length as u16).to_le_bytes());
        into.push(type_number(entry.kind));
        into.extend_from_slice(entry.name);
        into.resize(into.len() + length - 19 - entry.name.len(), 0);
    })
    .await
}

pub async fn getdents(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Answer {
    list(call, descriptor, buffer, count, |entry, into| {
        let length = (18 + entry.name.len() + 2).next_multiple_of(8);
        into.extend_from_slice(&entry.inode.to_le_bytes());
        into.extend_from_slice(&entry.next.to_le_bytes());
        into.extend_from_slice(&(length as u16).to_le_bytes());
        into.extend_from_slice(entry.name);
        into.resize(into.len() + length - 18 - entry.name.len() - 1, 0);
        into.push(type_number(entry.kind));
    })
    .await
}

async fn list(
    call: &mut Call<'_>,
    descriptor: u64,
    buffer: u64,
    count: u64,
    encode: fn(&Entry<'_>, &mut Vec<u8>),
) -> Answer {
    let file = call.file(descriptor)?;
    let limit = (count as u32 as usize).min(BUFFER_LIMIT);
    let mut bytes: Vec<u8> = Vec::new();
    let before = file.position();
    let shown = file.list(&mut |entry| {
        let start = bytes.len();
        encode(entry, &mut bytes);
        let fits = bytes.len() <= limit;
        if !fits {
            bytes.truncate(start);
        }
        fits
    })?;
    if bytes.is_empty() {
        // Nothing left, or not even one entry fits.
        return if shown { Err(Errno::EINVAL) } else { Ok(0) };
    }
    if let Err(errno) = crate::user::write_bytes(call.space, buffer as usize, &bytes).await {
        file.seek(vfs::Seek::Start(before))?;
        return Err(errno);
    }
    Ok(bytes.len())
}

pub async fn getcwd(call: &mut Call<'_>, [buffer, size, ..]: Args) -> Answer {
    let standing = call.standing();
    let mut path = standing.directory.path(&standing.root);
    if path.ends_with(vfs::path::DELETED) {
        return Err(Errno::ENOENT);
    }
    path.push(0);
    if path.len() > size as usize {
        return Err(Errno::ERANGE);
    }
    crate::user::write_bytes(call.space, buffer as usize, &path).await?;
    Ok(path.len())
}

pub async fn chdir(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let at = At::working(call);
    let directory = at.view().locate(&path, true)?;
    check(&directory, &at)?;
    call.process()
        .ground
        .lock()
        .clone()
        .update(|standing| standing.directory = directory);
    Ok(0)
}

pub fn fchdir(call: &mut Call<'_>, [descriptor, ..]: Args) -> Answer {
    let directory = call.place(descriptor)?.ok_or(Errno::ENOTDIR)?;
    check(&directory, &At::working(call))?;
    call.process()
        .ground
        .lock()
        .clone()
        .update(|standing| standing.directory = directory);
    Ok(0)
}

pub async fn chroot(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let at = At::working(call);
    let root = at.view().locate(&path, true)?;
    check(&root, &at)?;
    if at.credentials().uid != 0 {
        return Err(Errno::EPERM);
    }
    call.process()
        .ground
        .lock()
        .clone()
        .update(|standing| standing.root = root);
    Ok(0)
}

/// A directory that the caller may go through.
fn check(location: &Location, at: &At) -> Result<(), Errno> {
    if location.kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR);
    }
    at.credentials()
        .check(location.inode().permissions(), Access::EXECUTE, true)?;
    Ok(())
}

pub fn umask(call: &mut Call<'_>, [mask, ..]: Args) -> Answer {
    let before = call.standing().mask;
    call.process()
        .ground
        .lock()
        .clone()
        .update(|standing| standing.mask = mask as u16 & 0o777);
    Ok(usize::from(before))
}
