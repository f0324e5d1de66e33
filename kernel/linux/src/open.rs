//! Opening, duplicating, closing (open(2), dup(2), close(2)), and where the paths of all calls start.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::process::{Identity, Standing};
use abi::Error;
use alloc::sync::Arc;
use vfs::{
    Access, Credentials, Description, File, FileKind, Location, OpenFlags, OpenRequest, View,
};

pub const AT_FDCWD: i32 = -100;

const O_ACCMODE: u64 = 3;
const O_CREAT: u64 = 0o100;
const O_EXCL: u64 = 0o200;
const O_TRUNC: u64 = 0o1000;
pub const O_APPEND: u64 = 0o2000;
pub const O_NONBLOCK: u64 = 0o4000;
const O_NOCTTY: u64 = 0o400;
pub const O_DIRECT: u64 = 0o40000;
const O_LARGEFILE: u64 = 0o100000;
const O_DIRECTORY: u64 = 0o200000;
const O_NOFOLLOW: u64 = 0o400000;
pub const O_NOATIME: u64 = 0o1000000;
pub const O_CLOEXEC: u64 = 0o2000000;
const O_PATH: u64 = 0o10000000;
const O_TMPFILE: u64 = 0o20000000 | O_DIRECTORY;

/// A view through which a call sees paths: root and identity of the caller, and where relative paths begin.
pub struct At {
    standing: Arc<Standing>,
    identity: Arc<Identity>,
    /// Where relative paths begin, if not in the working directory.
    start: Option<Location>,
}

impl At {
    /// Relative paths begin in the working directory.
    pub fn working(call: &Call<'_>) -> At {
        At {
            standing: call.standing(),
            identity: call.process().identity(),
            start: None,
        }
    }

    /// Relative paths begin in the directory behind a descriptor, or in the working directory (`AT_FDCWD`).
    ///
    /// # Errors
    /// `EBADF`, `ENOTDIR`; not asked for an absolute path.
    pub fn directory(call: &Call<'_>, descriptor: u64, path: &[u8]) -> Result<At, Errno> {
        let mut at = At::working(call);
        if descriptor as i32 != AT_FDCWD && path.first() != Some(&b'/') {
            let place = call.place(descriptor)?.ok_or(Errno::ENOTDIR)?;
            // An empty path is the caller's own mistake; what it means is decided by the walk.
            if place.kind() != FileKind::Directory && !path.is_empty() {
                return Err(Errno::ENOTDIR);
            }
            at.start = Some(place);
        }
        Ok(at)
    }

    pub fn view(&self) -> View<'_> {
        View {
            root: &self.standing.root,
            start: self.start.as_ref().unwrap_or(&self.standing.directory),
            credentials: &self.identity.files,
        }
    }

    pub fn credentials(&self) -> &Credentials {
        &self.identity.files
    }

    /// Permission bits for something new, after the caller's mask.
    pub fn masked(&self, mode: u64) -> u16 {
        (mode as u16 & 0o7777) & !self.standing.mask
    }
}

/// The view of somebody who stands in the working directory.
pub fn view_of<'a>(standing: &'a Standing, credentials: &'a Credentials) -> View<'a> {
    View {
        root: &standing.root,
        start: &standing.directory,
        credentials,
    }
}

pub async fn open(call: &mut Call<'_>, [path, flags, mode, ..]: Args) -> Answer {
    openat(call, [AT_FDCWD as u64, path, flags, mode, 0, 0]).await
}

pub async fn creat(call: &mut Call<'_>, [path, mode, ..]: Args) -> Answer {
    openat(
        call,
        [AT_FDCWD as u64, path, O_CREAT | O_TRUNC | 1, mode, 0, 0],
    )
    .await
}

pub async fn openat(call: &mut Call<'_>, [directory, path, flags, mode, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let file = {
        let at = At::directory(call, directory, &path)?;
        let session = call.process().group().session().clone();
        let terminal = || session.terminal().map(|terminal| terminal as Arc<dyn File>);
        let request = OpenRequest {
            access: access_of(flags)?,
            flags: flags_of(flags),
            mode: at.masked(mode),
            now: call.now(),
            terminal: Some(&terminal),
        };
        at.view().open(&path, &request).map_err(failure)?
    };
    if flags & O_TRUNC != 0 {
        crate::io::shortened(file.pages());
    }
    file.opened().await.map_err(Errno::from)?;
    crate::terminal::adopt(call, &file, flags & O_NOCTTY != 0);
    call.process()
        .descriptors()
        .insert(file, flags & O_CLOEXEC != 0, 0)
}

/// Errors of opening as open(2) words them: a node that leads nowhere is `ENXIO` (a socket, a device that is not
/// there, `/dev/tty` without a terminal, a named pipe that nobody reads).
fn failure(error: Error) -> Errno {
    if error == Error::NoDevice {
        Errno::ENXIO
    } else {
        error.into()
    }
}

fn access_of(flags: u64) -> Result<Access, Errno> {
    if flags & O_PATH != 0 {
        return Ok(Access::empty());
    }
    match flags & O_ACCMODE {
        0 => Ok(Access::READ),
        1 => Ok(Access::WRITE),
        2 => Ok(Access::READ | Access::WRITE),
        // 3 asks for both permissions and gives neither: for ioctl only.
        _ => Err(Errno::EINVAL),
    }
}

fn flags_of(flags: u64) -> OpenFlags {
    let pairs = [
        (O_CREAT, OpenFlags::CREATE),
        (O_EXCL, OpenFlags::EXCLUSIVE),
        (O_TRUNC, OpenFlags::TRUNCATE),
        (O_APPEND, OpenFlags::APPEND),
        (O_DIRECTORY, OpenFlags::DIRECTORY),
        (O_NOFOLLOW, OpenFlags::NO_FOLLOW),
        (O_PATH, OpenFlags::PATH_ONLY),
        (O_NONBLOCK, OpenFlags::NON_BLOCKING),
        (O_NOATIME, OpenFlags::NO_ACCESS_TIME),
    ];
    let mut wanted = OpenFlags::empty();
    for (bit, flag) in pairs {
        wanted.set(flag, flags & bit == bit);
    }
    if flags & O_TMPFILE == O_TMPFILE {
        wanted.remove(OpenFlags::DIRECTORY);
        wanted.insert(OpenFlags::NAMELESS);
    }
    wanted
}

/// The flags as `F_GETFL` shows them.
pub fn status_flags(file: &Description) -> u64 {
    let mut flags = match (
        file.access().contains(Access::READ),
        file.access().contains(Access::WRITE),
    ) {
        (true, true) => 2,
        (false, true) => 1,
        _ => 0,
    };
    let status = file.flags();
    let pairs = [
        (O_APPEND, OpenFlags::APPEND),
        (O_NONBLOCK, OpenFlags::NON_BLOCKING),
        (O_NOATIME, OpenFlags::NO_ACCESS_TIME),
    ];
    for (bit, flag) in pairs {
        if status.contains(flag) {
            flags |= bit;
        }
    }
    // Only what was opened by its path shows how: neither pipes nor sockets.
    if file.is_path_only() {
        flags |= O_PATH;
    } else if file.location().is_some() {
        flags |= O_LARGEFILE;
    }
    flags
}

/// Sets what `F_SETFL` may change.
pub fn set_status_flags(file: &Description, flags: u64) {
    let mut status = OpenFlags::empty();
    status.set(OpenFlags::APPEND, flags & O_APPEND != 0);
    status.set(OpenFlags::NON_BLOCKING, flags & O_NONBLOCK != 0);
    status.set(OpenFlags::NO_ACCESS_TIME, flags & O_NOATIME != 0);
    file.set_flags(status);
}

pub fn close(call: &mut Call<'_>, [descriptor, ..]: Args) -> Answer {
    call.process().descriptors().close(descriptor as u32)?;
    Ok(0)
}

pub fn close_range(call: &mut Call<'_>, [first, last, flags, ..]: Args) -> Answer {
    const CLOSE_RANGE_UNSHARE: u64 = 2;
    const CLOSE_RANGE_CLOEXEC: u64 = 4;
    let (first, last) = (first as u32, last as u32);
    if first > last || flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let process = call.process();
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        let own = Arc::new(process.descriptors().fork()?);
        call.thread
            .core()
            .process()
            .set_handles(own.table().clone());
        process.set_descriptors(own);
    }
    process
        .descriptors()
        .close_range(first, last, flags & CLOSE_RANGE_CLOEXEC != 0);
    Ok(0)
}

pub fn dup(call: &mut Call<'_>, [descriptor, ..]: Args) -> Answer {
    let descriptors = call.process().descriptors();
    let handle = descriptors.copy_handle(descriptor as u32)?;
    descriptors.insert_handle(handle, false, 0)
}

pub fn dup2(call: &mut Call<'_>, [from, to, ..]: Args) -> Answer {
    let descriptors = call.process().descriptors();
    if from == to {
        descriptors.handle(from as u32)?;
        return Ok(to as usize);
    }
    descriptors.duplicate(from as u32, to as u32, false)
}

pub fn dup3(call: &mut Call<'_>, [from, to, flags, ..]: Args) -> Answer {
    if from == to || flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    call.process()
        .descriptors()
        .duplicate(from as u32, to as u32, flags & O_CLOEXEC != 0)
}
