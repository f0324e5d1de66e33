//! Reading and writing (read(2), write(2) and their relatives), positions, sizes.
//!
//! Bytes go between the file and the program's own pages without a stop in between. A page that is not there ends
//! the copy, is brought in, and the copy goes on where it ended.

use crate::call::{Args, Call};
use crate::descriptors::Held;
use crate::errno::{Answer, Errno};
use crate::limits::INFINITY;
use crate::signal::queue::{Info, SI_USER};
use crate::signal::send;
use crate::signal::set::{SIGPIPE, SIGXFSZ};
use crate::socket;
use crate::terminal;
use abi::{Error, Rights};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use memory::{UserSink, UserSource};
use object::SliceSource;
use task::{Ready, WaitError};
use vfs::pipe::PIPE_BUF;
use vfs::{Description, FileKind, OpenFlags, Seek};

/// The most bytes that one call moves (`MAX_RW_COUNT`).
pub const COUNT_LIMIT: usize = 0x7fff_f000;
/// Bytes moved between two looks at whether somebody else should run.
const STEP: usize = 256 << 10;

/// Where in the file: at its own position, or at a given one.
#[derive(Clone, Copy)]
pub enum Where {
    Position,
    Offset(u64),
    /// At the end, whatever the file's flags say (`RWF_APPEND`).
    End,
}

/// Reads what is there now. `None`: it may have to wait, or is about something with rules of its own.
pub fn read_now(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Option<Answer> {
    let file = call.file_with(descriptor, Rights::READ);
    let read = |file: Held| read_at_once(call, &file, buffer, count, Where::Position);
    file.and_then(read).transpose()
}

/// Writes if all of it can be written now. `None`: as for [`read_now`].
pub fn write_now(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Option<Answer> {
    let file = call.file_with(descriptor, Rights::WRITE);
    let write = |file: Held| write_at_once(call, &file, buffer, count, Where::Position);
    file.and_then(write).transpose()
}

/// As [`read_now`].
pub fn pread_now(
    call: &mut Call<'_>,
    [descriptor, buffer, count, offset, ..]: Args,
) -> Option<Answer> {
    let read = |offset| {
        let file = call.file_with(descriptor, Rights::READ)?;
        read_at_once(call, &file, buffer, count, Where::Offset(offset))
    };
    valid_offset(offset).and_then(read).transpose()
}

/// As [`write_now`].
pub fn pwrite_now(
    call: &mut Call<'_>,
    [descriptor, buffer, count, offset, ..]: Args,
) -> Option<Answer> {
    let write = |offset| {
        let file = call.file_with(descriptor, Rights::WRITE)?;
        write_at_once(call, &file, buffer, count, Where::Offset(offset))
    };
    valid_offset(offset).and_then(write).transpose()
}

/// Files, devices that never wait, and pipes; terminals, sockets and events have more to say than their bytes.
#[inline]
fn is_plain(file: &Description) -> bool {
    matches!(file.kind(), FileKind::File | FileKind::Fifo) || file.readiness().is_none()
}

/// The first step of [`read_into`], which is nearly always the only one. `None`: nothing has happened.
fn read_at_once(
    call: &Call<'_>,
    file: &Description,
    buffer: u64,
    count: u64,
    place: Where,
) -> Result<Option<usize>, Errno> {
    let (address, count) = (buffer as usize, count as usize);
    if count > STEP || !is_plain(file) {
        return Ok(None);
    }
    check_buffer(address, count)?;
    let mut sink = UserSink::new(call.space, address, count);
    match (read_once(file, &mut sink, place, 0), sink.error()) {
        (Ok(0), Some(error)) => Err(failure(error)),
        (Ok(read), _) => Ok(Some(read)),
        (Err(Error::WouldBlock), _) => Ok(None),
        (Err(error), _) => Err(failure(error)),
    }
}

/// The first step of [`write_from`], where no second one can follow. `None`: nothing has happened.
fn write_at_once(
    call: &Call<'_>,
    file: &Description,
    buffer: u64,
    count: u64,
    place: Where,
) -> Result<Option<usize>, Errno> {
    let (address, count) = (buffer as usize, count as usize);
    // A pipe takes so much whole or not at all; a file always takes all, but for want of space.
    let most = if file.kind() == FileKind::Fifo {
        PIPE_BUF
    } else {
        STEP
    };
    if count > most || !is_plain(file) {
        return Ok(None);
    }
    let count = within_limit(call, file, place, count)?;
    check_buffer(address, count)?;
    let mut source = UserSource::new(call.space, address, count);
    match (write_once(file, &mut source, place, 0), source.error()) {
        (Ok(0), Some(error)) => Err(failure(error)),
        (Ok(written), _) => Ok(Some(written)),
        (Err(Error::WouldBlock), _) => Ok(None),
        (Err(error), bad) => {
            if error == Error::Closed {
                broken_pipe(call);
            }
            Err(bad.map_or_else(|| error.into(), failure))
        }
    }
}

pub async fn read(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Answer {
    let file = call.file_with(descriptor, Rights::READ)?;
    if let Some(socket) = socket::of(&file) {
        let piece = [(buffer as usize, count as usize)];
        return socket::transfer::read(call, &file, socket, &piece).await;
    }
    terminal::check_read(call, &file)?;
    read_into(
        call,
        &file,
        buffer as usize,
        count as usize,
        Where::Position,
        true,
    )
    .await
}

pub async fn write(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Answer {
    let file = call.file_with(descriptor, Rights::WRITE)?;
    if let Some(socket) = socket::of(&file) {
        let piece = [(buffer as usize, count as usize)];
        return socket::transfer::write(call, &file, socket, &piece).await;
    }
    terminal::check_write(call, &file)?;
    let count = within_limit(call, &file, Where::Position, count as usize)?;
    write_from(call, &file, buffer as usize, count, Where::Position).await
}

pub async fn pread(call: &mut Call<'_>, [descriptor, buffer, count, offset, ..]: Args) -> Answer {
    let offset = valid_offset(offset)?;
    let file = call.file_with(descriptor, Rights::READ)?;
    read_into(
        call,
        &file,
        buffer as usize,
        count as usize,
        Where::Offset(offset),
        true,
    )
    .await
}

pub async fn pwrite(call: &mut Call<'_>, [descriptor, buffer, count, offset, ..]: Args) -> Answer {
    let place = Where::Offset(valid_offset(offset)?);
    let file = call.file_with(descriptor, Rights::WRITE)?;
    let count = within_limit(call, &file, place, count as usize)?;
    write_from(call, &file, buffer as usize, count, place).await
}

/// How much of `count` may be written here before the file is longer than its writer may make files.
///
/// # Errors
/// `EFBIG` for nothing at all; SIGXFSZ comes with it.
#[inline]
pub fn within_limit(call: &Call<'_>, file: &Description, place: Where, count: usize) -> Answer {
    let limit = call.process().file_size_limit.load(Ordering::Relaxed);
    if limit == INFINITY || file.kind() != FileKind::File || count == 0 {
        return Ok(count);
    }
    let start = match place {
        _ if file.flags().contains(OpenFlags::APPEND) => file.metadata().size,
        Where::Position => file.position(),
        Where::Offset(offset) => offset,
        Where::End => file.metadata().size,
    };
    if start >= limit {
        exceeds_limit(call);
        return Err(Errno::EFBIG);
    }
    Ok(count.min(usize::try_from(limit - start).unwrap_or(usize::MAX)))
}

/// Checks a length that a file shall get.
///
/// # Errors
/// `EFBIG`, with SIGXFSZ, if it is more than the caller may make files.
pub fn check_file_size(call: &Call<'_>, size: u64) -> Result<(), Errno> {
    if size > call.process().file_size_limit.load(Ordering::Relaxed) {
        exceeds_limit(call);
        return Err(Errno::EFBIG);
    }
    Ok(())
}

/// A file has become shorter: whoever has it mapped loses what is not there any more.
pub fn shortened(pages: Option<Arc<memory::Object>>) {
    // The file itself has one reference, and this is another.
    let Some(pages) = pages.filter(|pages| pages.may_be_mapped(2)) else {
        return;
    };
    for space in process::all().iter().filter_map(|process| process.space()) {
        space.drop_beyond_end(&pages);
    }
}

fn exceeds_limit(call: &Call<'_>) {
    let process = call.process();
    let info = Info::from_process(SIGXFSZ, SI_USER, process.id(), process.identity().real_uid);
    // A standard signal never overflows the queue.
    let _ = send::to_thread(call.thread, info);
}

pub fn valid_offset(offset: u64) -> Result<u64, Errno> {
    if (offset as i64) < 0 {
        Err(Errno::EINVAL)
    } else {
        Ok(offset)
    }
}

pub fn check_buffer(address: usize, count: usize) -> Result<usize, Errno> {
    let count = count.min(COUNT_LIMIT);
    match address.checked_add(count) {
        Some(end) if end <= machine::USER_END => Ok(count),
        _ => Err(Errno::EFAULT),
    }
}

/// Reads until the buffer is full, the file ends, or waiting would be needed after the first bytes.
pub async fn read_into(
    call: &Call<'_>,
    file: &Held,
    address: usize,
    count: usize,
    place: Where,
    may_wait: bool,
) -> Answer {
    let count = check_buffer(address, count)?;
    let mut done = 0;
    loop {
        let step = (count - done).min(STEP);
        let (outcome, bad) = {
            let mut sink = UserSink::new(call.space, address + done, step);
            let outcome = read_once(file, &mut sink, place, done);
            (outcome, sink.error())
        };
        let error = match (outcome, bad) {
            (Ok(read), bad) => {
                done += read;
                if read == step && done < count && file.readiness().is_none() {
                    rest().await;
                    continue;
                }
                match bad {
                    Some(error) if done == 0 => return Err(failure(error)),
                    _ => return Ok(done),
                }
            }
            (Err(error), _) if done == 0 => error,
            (Err(_), _) => return Ok(done),
        };
        if error != Error::WouldBlock {
            return Err(failure(error));
        }
        if file.is_non_blocking() || !may_wait {
            return Err(Errno::EAGAIN);
        }
        // A terminal may say that a read without a byte ends some time.
        let until = file
            .file()
            .read_timeout()
            .map(|length| machine::time::now() + length);
        match wait(file, Ready::READ, until).await {
            Ok(()) => {}
            Err(Errno::EAGAIN) => return Ok(0),
            Err(errno) => return Err(errno),
        }
    }
}

/// Lets others run between two steps of a long transfer.
pub async fn rest() {
    if task::should_yield() {
        task::yield_now().await;
    }
}

/// Writes everything, waiting where the file says so; a signal after the first bytes ends it early.
pub async fn write_from(
    call: &Call<'_>,
    file: &Held,
    address: usize,
    count: usize,
    place: Where,
) -> Answer {
    let count = check_buffer(address, count)?;
    let mut done = 0;
    loop {
        let (outcome, bad) = {
            let mut source = UserSource::new(call.space, address + done, (count - done).min(STEP));
            (write_once(file, &mut source, place, done), source.error())
        };
        match outcome {
            Ok(written) => {
                done += written;
                match bad {
                    Some(error) if done == 0 => return Err(failure(error)),
                    None if done < count && written > 0 => rest().await,
                    _ => return Ok(done),
                }
            }
            Err(Error::WouldBlock) if !file.is_non_blocking() => {
                match wait(file, Ready::WRITE, None).await {
                    Ok(()) => {}
                    Err(_) if done > 0 => return Ok(done),
                    Err(errno) => return Err(errno),
                }
            }
            Err(error) => {
                if error == Error::Closed {
                    broken_pipe(call);
                }
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(bad.map_or_else(|| error.into(), failure))
                };
            }
        }
    }
}

#[inline]
fn read_once(
    file: &Description,
    sink: &mut dyn object::Sink,
    place: Where,
    done: usize,
) -> Result<usize, Error> {
    match place {
        Where::Position | Where::End => file.read(sink),
        Where::Offset(offset) => file.read_at(offset + done as u64, sink),
    }
}

#[inline]
fn write_once(
    file: &Description,
    source: &mut dyn object::Source,
    place: Where,
    done: usize,
) -> Result<usize, Error> {
    match place {
        Where::Position => file.write(source),
        Where::Offset(offset) => file.write_at(offset + done as u64, source),
        Where::End => file.append(source),
    }
}

/// Waits until the file is ready, or will never be. `EACCES` once it is taken back.
async fn wait(file: &Held, interest: Ready, until: Option<u64>) -> Result<(), Errno> {
    let Some(readiness) = file.readiness() else {
        // Something that says "not now" and does not say when: let the others run and ask again.
        task::yield_now().await;
        return Ok(());
    };
    let interest = interest | Ready::HANGUP | Ready::ERROR;
    match file.tenure().wait(readiness, interest, until).await {
        Ok(_) => Ok(file.tenure().check()?),
        Err(WaitError::TimedOut) => Err(Errno::EAGAIN),
        Err(_) => Err(Errno::ERESTARTSYS),
    }
}

pub fn broken_pipe(call: &Call<'_>) {
    let process = call.process();
    let info = Info::from_process(SIGPIPE, SI_USER, process.id(), process.identity().real_uid);
    // SIGPIPE is a standard signal: it never overflows the queue.
    let _ = send::to_thread(call.thread, info);
}

/// Errors of a program's buffer as read(2) and write(2) word them.
fn failure(error: Error) -> Errno {
    match error {
        // A file that is mapped beyond its end, as a buffer.
        Error::Range | Error::Denied => Errno::EFAULT,
        other => other.into(),
    }
}

/// Writes kernel bytes as [`write_from`] writes a program's.
pub async fn write_slice(call: &Call<'_>, file: &Held, bytes: &[u8], place: Where) -> Answer {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..) {
        match write_once(file, &mut SliceSource::new(rest), place, done) {
            Ok(written) => {
                done += written;
                if done >= bytes.len() || written == 0 {
                    break;
                }
            }
            Err(Error::WouldBlock) if !file.is_non_blocking() => {
                match wait(file, Ready::WRITE, None).await {
                    Ok(()) => {}
                    Err(_) if done > 0 => break,
                    Err(errno) => return Err(errno),
                }
            }
            Err(error) => {
                if error == Error::Closed {
                    broken_pipe(call);
                }
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(error.into())
                };
            }
        }
    }
    Ok(done)
}

pub fn lseek(call: &mut Call<'_>, [descriptor, offset, whence, ..]: Args) -> Answer {
    const SEEK_DATA: u64 = 3;
    const SEEK_HOLE: u64 = 4;
    let file = call.file(descriptor)?;
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    let signed = offset as i64;
    let to = match whence {
        0 if signed < 0 => return Err(Errno::EINVAL),
        0 => Seek::Start(offset),
        1 => Seek::Here(signed),
        2 => Seek::End(signed),
        // A file may always be seen as all data with a hole at its end.
        SEEK_DATA | SEEK_HOLE => {
            let size = file.metadata().size;
            file.seek(Seek::Here(0))?;
            if signed < 0 || offset >= size {
                return Err(Errno::ENXIO);
            }
            Seek::Start(if whence == SEEK_DATA { offset } else { size })
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok(file.seek(to)? as usize)
}

pub fn fsync(call: &mut Call<'_>, [descriptor, ..]: Args) -> Answer {
    let file = call.file(descriptor)?;
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    match file.kind() {
        FileKind::File | FileKind::Directory | FileKind::BlockDevice => {
            file.sync()?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Files live in memory: there is nothing behind them to bring up to date.
pub fn sync(_: &mut Call<'_>, _: Args) -> Answer {
    Ok(0)
}

pub fn ftruncate(call: &mut Call<'_>, [descriptor, size, ..]: Args) -> Answer {
    let size = valid_offset(size)?;
    let file = call.file_with(descriptor, Rights::WRITE)?;
    check_file_size(call, size)?;
    file.set_size(size, call.now())
        .map_err(|error| match error {
            // "Not open for writing" is EINVAL for ftruncate(2).
            Error::BadHandle if !file.is_path_only() => Errno::EINVAL,
            other => other.into(),
        })?;
    shortened(file.pages());
    Ok(0)
}

/// fallocate(2): extends the file; holes are filled when written, so reserving needs nothing more.
pub fn fallocate(call: &mut Call<'_>, [descriptor, mode, offset, length, ..]: Args) -> Answer {
    const FALLOC_FL_KEEP_SIZE: u64 = 1;
    let file = call.file_with(descriptor, Rights::WRITE)?;
    if (offset as i64) < 0 || (length as i64) <= 0 {
        return Err(Errno::EINVAL);
    }
    if mode & !FALLOC_FL_KEEP_SIZE != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    match file.kind() {
        FileKind::File => {}
        FileKind::Fifo => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    }
    if !file.access().contains(vfs::Access::WRITE) {
        return Err(Errno::EBADF);
    }
    let end = offset
        .checked_add(length)
        .filter(|&end| end as i64 >= 0)
        .ok_or(Errno::EFBIG)?;
    check_file_size(call, end)?;
    if mode & FALLOC_FL_KEEP_SIZE == 0 && end > file.metadata().size {
        file.set_size(end, call.now())?;
    }
    Ok(0)
}

/// fadvise64(2): advice about a cache that holds everything anyway.
pub fn fadvise(call: &mut Call<'_>, [descriptor, _, _, advice, ..]: Args) -> Answer {
    let file = call.file(descriptor)?;
    if file.kind() == FileKind::Fifo {
        return Err(Errno::ESPIPE);
    }
    if advice > 5 {
        Err(Errno::EINVAL)
    } else {
        Ok(0)
    }
}
