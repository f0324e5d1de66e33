//! Calls that change what paths name: links, directories, renaming, attributes.
//!
//! Every call has two forms, with and without a directory to start from; the plain one is the other with `AT_FDCWD`.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::{AT_FDCWD, At};
use crate::stat::{AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW};
use crate::time::{Timespec, Timeval};
use vfs::{Access, DeviceNumber, Location, NewKind, NewTime, RenameFlags, Time};

const HERE: u64 = AT_FDCWD as u64;
const AT_REMOVEDIR: u64 = 0x200;
const AT_EACCESS: u64 = 0x200;
const AT_SYMLINK_FOLLOW: u64 = 0x400;

pub async fn mkdir(call: &mut Call<'_>, [path, mode, ..]: Args) -> Answer {
    mkdirat(call, [HERE, path, mode, 0, 0, 0]).await
}

pub async fn mkdirat(call: &mut Call<'_>, [directory, path, mode, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let at = At::directory(call, directory, &path)?;
    at.view()
        .make_directory(&path, at.masked(mode & 0o1777), call.now())?;
    Ok(0)
}

pub async fn mknod(call: &mut Call<'_>, [path, mode, device, ..]: Args) -> Answer {
    mknodat(call, [HERE, path, mode, device, 0, 0]).await
}

pub async fn mknodat(call: &mut Call<'_>, [directory, path, mode, device, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let at = At::directory(call, directory, &path)?;
    let number = DeviceNumber::new(
        (device >> 8 & 0xfff | device >> 32 & !0xfff) as u32,
        (device & 0xff | device >> 12 & !0xff) as u32,
    );
    let kind = match mode & 0o170_000 {
        0 | 0o100_000 => NewKind::File,
        0o010_000 => NewKind::Fifo,
        0o140_000 => NewKind::Socket,
        0o020_000 => NewKind::CharacterDevice(number),
        0o060_000 => NewKind::BlockDevice(number),
        0o040_000 => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let is_device = matches!(kind, NewKind::CharacterDevice(_) | NewKind::BlockDevice(_));
    if is_device && at.credentials().uid != 0 {
        return Err(Errno::EPERM);
    }
    at.view().make(&path, kind, at.masked(mode), call.now())?;
    Ok(0)
}

pub async fn unlink(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    unlinkat(call, [HERE, path, 0, 0, 0, 0]).await
}

pub async fn rmdir(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    unlinkat(call, [HERE, path, AT_REMOVEDIR, 0, 0, 0]).await
}

pub async fn unlinkat(call: &mut Call<'_>, [directory, path, flags, ..]: Args) -> Answer {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(path).await?;
    let at = At::directory(call, directory, &path)?;
    if flags & AT_REMOVEDIR != 0 {
        at.view().remove_directory(&path, call.now())?;
    } else {
        at.view().unlink(&path, call.now())?;
    }
    Ok(0)
}

pub async fn rename(call: &mut Call<'_>, [old, new, ..]: Args) -> Answer {
    renameat2(call, [HERE, old, HERE, new, 0, 0]).await
}

pub async fn renameat(call: &mut Call<'_>, [old_at, old, new_at, new, ..]: Args) -> Answer {
    renameat2(call, [old_at, old, new_at, new, 0, 0]).await
}

pub async fn renameat2(call: &mut Call<'_>, [old_at, old, new_at, new, flags, _]: Args) -> Answer {
    const RENAME_NOREPLACE: u64 = 1;
    const RENAME_EXCHANGE: u64 = 2;
    if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut wanted = RenameFlags::empty();
    wanted.set(RenameFlags::NO_REPLACE, flags & RENAME_NOREPLACE != 0);
    wanted.set(RenameFlags::EXCHANGE, flags & RENAME_EXCHANGE != 0);
    let (old, new) = (call.path(old).await?, call.path(new).await?);
    let from = At::directory(call, old_at, &old)?;
    let to = At::directory(call, new_at, &new)?;
    from.view()
        .rename(&old, &to.view(), &new, wanted, call.now())?;
    Ok(0)
}

pub async fn link(call: &mut Call<'_>, [old, new, ..]: Args) -> Answer {
    linkat(call, [HERE, old, HERE, new, 0, 0]).await
}

pub async fn linkat(call: &mut Call<'_>, [old_at, old, new_at, new, flags, _]: Args) -> Answer {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let (old, new) = (call.path(old).await?, call.path(new).await?);
    let target = locate(call, old_at, &old, flags & AT_SYMLINK_FOLLOW != 0, flags)?;
    let at = At::directory(call, new_at, &new)?;
    at.view().link(&target, &new, call.now())?;
    Ok(0)
}

/// The place that a path names; with `AT_EMPTY_PATH` and no path, that of the descriptor.
fn locate(
    call: &Call<'_>,
    directory: u64,
    path: &[u8],
    follow: bool,
    flags: u64,
) -> Result<Location, Errno> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        if directory as i32 == AT_FDCWD {
            return Ok(call.standing().directory.clone());
        }
        return call.place(directory)?.ok_or(Errno::ENOENT);
    }
    Ok(At::directory(call, directory, path)?
        .view()
        .locate(path, follow)?)
}

pub async fn symlink(call: &mut Call<'_>, [target, path, ..]: Args) -> Answer {
    symlinkat(call, [target, HERE, path, 0, 0, 0]).await
}

pub async fn symlinkat(call: &mut Call<'_>, [target, directory, path, ..]: Args) -> Answer {
    let (target, path) = (call.path(target).await?, call.path(path).await?);
    let at = At::directory(call, directory, &path)?;
    at.view().make_symlink(&target, &path, call.now())?;
    Ok(0)
}

pub async fn readlink(call: &mut Call<'_>, [path, buffer, size, ..]: Args) -> Answer {
    readlinkat(call, [HERE, path, buffer, size, 0, 0]).await
}

pub async fn readlinkat(call: &mut Call<'_>, [directory, path, buffer, size, ..]: Args) -> Answer {
    if (size as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(path).await?;
    let target = if path.is_empty() && directory as i32 != AT_FDCWD {
        // A descriptor of a link itself, opened with O_PATH.
        call.file(directory)?
            .inode()
            .ok_or(Errno::ENOENT)?
            .read_link()
            .map_err(|_| Errno::ENOENT)?
    } else {
        At::directory(call, directory, &path)?
            .view()
            .read_link(&path)?
    };
    let length = target.len().min(size as u32 as usize);
    crate::user::write_bytes(call.space, buffer as usize, &target[..length]).await?;
    Ok(length)
}

pub async fn chmod(call: &mut Call<'_>, [path, mode, ..]: Args) -> Answer {
    fchmodat2(call, [HERE, path, mode, 0, 0, 0]).await
}

pub async fn fchmodat(call: &mut Call<'_>, [directory, path, mode, ..]: Args) -> Answer {
    fchmodat2(call, [directory, path, mode, 0, 0, 0]).await
}

pub async fn fchmodat2(call: &mut Call<'_>, [directory, path, mode, flags, ..]: Args) -> Answer {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(path).await?;
    let location = locate(
        call,
        directory,
        &path,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        flags,
    )?;
    if location.kind() == vfs::FileKind::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    location.set_mode(
        At::working(call).credentials(),
        mode as u16 & 0o7777,
        call.now(),
    )?;
    Ok(0)
}

pub fn fchmod(call: &mut Call<'_>, [descriptor, mode, ..]: Args) -> Answer {
    let location = open_place(call, descriptor)?;
    location.set_mode(
        At::working(call).credentials(),
        mode as u16 & 0o7777,
        call.now(),
    )?;
    Ok(0)
}

/// The place of an open file that was not opened for its path only.
fn open_place(call: &Call<'_>, descriptor: u64) -> Result<Location, Errno> {
    if call.file(descriptor)?.is_path_only() {
        return Err(Errno::EBADF);
    }
    call.place(descriptor)?.ok_or(Errno::EINVAL)
}

pub async fn chown(call: &mut Call<'_>, [path, uid, gid, ..]: Args) -> Answer {
    fchownat(call, [HERE, path, uid, gid, 0, 0]).await
}

pub async fn lchown(call: &mut Call<'_>, [path, uid, gid, ..]: Args) -> Answer {
    fchownat(call, [HERE, path, uid, gid, AT_SYMLINK_NOFOLLOW, 0]).await
}

pub async fn fchownat(call: &mut Call<'_>, [directory, path, uid, gid, flags, _]: Args) -> Answer {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(path).await?;
    let location = locate(
        call,
        directory,
        &path,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        flags,
    )?;
    set_owner(call, &location, uid, gid)
}

pub fn fchown(call: &mut Call<'_>, [descriptor, uid, gid, ..]: Args) -> Answer {
    let location = open_place(call, descriptor)?;
    set_owner(call, &location, uid, gid)
}

fn set_owner(call: &Call<'_>, location: &Location, uid: u64, gid: u64) -> Answer {
    let given = |id: u64| (id as u32 != u32::MAX).then_some(id as u32);
    location.set_owner(
        At::working(call).credentials(),
        given(uid),
        given(gid),
        call.now(),
    )?;
    Ok(0)
}

pub async fn truncate(call: &mut Call<'_>, [path, size, ..]: Args) -> Answer {
    if (size as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(path).await?;
    crate::io::check_file_size(call, size)?;
    let at = At::working(call);
    let place = at.view().locate(&path, true)?;
    place.set_size(at.credentials(), size, call.now())?;
    crate::io::shortened(place.inode().pages());
    Ok(0)
}

pub async fn access(call: &mut Call<'_>, [path, mode, ..]: Args) -> Answer {
    faccessat2(call, [HERE, path, mode, 0, 0, 0]).await
}

pub async fn faccessat(call: &mut Call<'_>, [directory, path, mode, ..]: Args) -> Answer {
    faccessat2(call, [directory, path, mode, 0, 0, 0]).await
}

pub async fn faccessat2(call: &mut Call<'_>, [directory, path, mode, flags, ..]: Args) -> Answer {
    if mode & !7 != 0 || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(path).await?;
    let wanted = Access::from_bits_truncate(mode as u8);
    let at = At::directory(call, directory, &path)?;
    // The question is about the real identity, not the one that calls go by.
    let identity = call.process().identity();
    let mut credentials = identity.effective.clone();
    if flags & AT_EACCESS == 0 {
        (credentials.uid, credentials.gid) = (identity.real_uid, identity.real_gid);
    }
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        let inode = locate(call, directory, &path, true, flags)?;
        let directory = inode.kind() == vfs::FileKind::Directory;
        credentials.check(inode.inode().permissions(), wanted, directory)?;
        return Ok(0);
    }
    let view = vfs::View {
        credentials: &credentials,
        ..at.view()
    };
    view.check(&path, wanted, flags & AT_SYMLINK_NOFOLLOW == 0)?;
    Ok(0)
}

const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

pub async fn utimensat(call: &mut Call<'_>, [directory, path, times, flags, ..]: Args) -> Answer {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut new = [NewTime::Now; 2];
    if times != 0 {
        let given: [u64; 4] = call.read(times).await?;
        new = [new_time(given[0], given[1])?, new_time(given[2], given[3])?];
    }
    let location = if path == 0 {
        open_place(call, directory)?
    } else {
        let path = call.path(path).await?;
        locate(
            call,
            directory,
            &path,
            flags & AT_SYMLINK_NOFOLLOW == 0,
            flags,
        )?
    };
    set_times(call, &location, new)
}

fn new_time(seconds: u64, nanoseconds: u64) -> Result<NewTime, Errno> {
    let time = Timespec {
        seconds: seconds as i64,
        nanoseconds: nanoseconds as i64,
    };
    match time.nanoseconds {
        UTIME_NOW => Ok(NewTime::Now),
        UTIME_OMIT => Ok(NewTime::Keep),
        0..=999_999_999 => Ok(NewTime::At(Time {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds as u32,
        })),
        _ => Err(Errno::EINVAL),
    }
}

fn set_times(call: &Call<'_>, location: &Location, [accessed, modified]: [NewTime; 2]) -> Answer {
    location.set_times(
        At::working(call).credentials(),
        accessed,
        modified,
        call.now(),
    )?;
    Ok(0)
}

pub async fn utime(call: &mut Call<'_>, [path, times, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let mut new = [NewTime::Now; 2];
    if times != 0 {
        let given: [i64; 2] = call.read(times).await?;
        new = given.map(|seconds| {
            NewTime::At(Time {
                seconds,
                nanoseconds: 0,
            })
        });
    }
    let location = locate(call, HERE, &path, true, 0)?;
    set_times(call, &location, new)
}

pub async fn utimes(call: &mut Call<'_>, [path, times, ..]: Args) -> Answer {
    futimesat(call, [HERE, path, times, 0, 0, 0]).await
}

pub async fn futimesat(call: &mut Call<'_>, [directory, path, times, ..]: Args) -> Answer {
    let mut new = [NewTime::Now; 2];
    if times != 0 {
        let given: [Timeval; 2] = [
            call.read(times).await?,
            call.read(times.wrapping_add(16)).await?,
        ];
        for (slot, time) in new.iter_mut().zip(given) {
            if !(0..1_000_000).contains(&time.microseconds) {
                return Err(Errno::EINVAL);
            }
            let nanoseconds = time.microseconds as u32 * 1000;
            *slot = NewTime::At(Time {
                seconds: time.seconds,
                nanoseconds,
            });
        }
    }
    let path = call.path(path).await?;
    let location = locate(call, directory, &path, true, 0)?;
    set_times(call, &location, new)
}
