//! Reading and writing (read(2), write(2) and their relatives), positions, sizes.
//!
//! Bytes go between the file and the program's own pages without a stop in between. A page that is not there ends
//! the copy, is brought in, and the copy goes on where it ended.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::signal::queue::{Info, SI_USER};
use crate::signal::send;
use crate::signal::set::SIGPIPE;
use crate::terminal;
use abi::{Error, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;
use memory::{UserSink, UserSource};
use object::{SliceSink, SliceSource};
use task::{Ready, WaitError};
use vfs::{Description, FileKind, Seek};

/// The most bytes that one call moves (`MAX_RW_COUNT`).
const COUNT_LIMIT: usize = 0x7fff_f000;
/// Bytes moved between two looks at whether somebody else should run.
const STEP: usize = 256 << 10;
const IOV_MAX: u64 = 1024;

/// Where in the file: at its own position, or at a given one.
#[derive(Clone, Copy)]
enum Where {
    Position,
    Offset(u64),
}

pub async fn read(call: &mut Call<'_>, [descriptor, buffer, count, ..]: Args) -> Answer {
    let file = call.file_with(descriptor, Rights::READ)?;
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
    terminal::check_write(call, &file)?;
    write_from(
        call,
        &file,
        buffer as usize,
        count as usize,
        Where::Position,
    )
    .await
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
    let offset = valid_offset(offset)?;
    let file = call.file_with(descriptor, Rights::WRITE)?;
    write_from(
        call,
        &file,
        buffer as usize,
        count as usize,
        Where::Offset(offset),
    )
    .await
}

fn valid_offset(offset: u64) -> Result<u64, Errno> {
    if (offset as i64) < 0 {
        Err(Errno::EINVAL)
    } else {
        Ok(offset)
    }
}

fn check_buffer(address: usize, count: usize) -> Result<usize, Errno> {
    let count = count.min(COUNT_LIMIT);
    match address.checked_add(count) {
        Some(end) if end <= machine::USER_END => Ok(count),
        _ => Err(Errno::EFAULT),
    }
}

/// Reads until the buffer is full, the file ends, or waiting would be needed after the first bytes.
async fn read_into(
    call: &Call<'_>,
    file: &Arc<Description>,
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
            let outcome = match place {
                Where::Position => file.read(&mut sink),
                Where::Offset(offset) => file.read_at(offset + done as u64, &mut sink),
            };
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
async fn rest() {
    if task::should_yield() {
        task::yield_now().await;
    }
}

/// Writes everything, waiting where the file says so; a signal after the first bytes ends it early.
async fn write_from(
    call: &Call<'_>,
    file: &Arc<Description>,
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
                    Err(failure(error))
                };
            }
        }
    }
}

fn write_once(
    file: &Description,
    source: &mut dyn object::Source,
    place: Where,
    done: usize,
) -> Result<usize, Error> {
    match place {
        Where::Position => file.write(source),
        Where::Offset(offset) => file.write_at(offset + done as u64, source),
    }
}

/// Waits until the file is ready, or will never be.
async fn wait(file: &Description, interest: Ready, until: Option<u64>) -> Result<(), Errno> {
    let Some(readiness) = file.readiness() else {
        // Something that says "not now" and does not say when: let the others run and ask again.
        task::yield_now().await;
        return Ok(());
    };
    match readiness
        .wait(interest | Ready::HANGUP | Ready::ERROR, until)
        .await
    {
        Ok(_) => Ok(()),
        Err(WaitError::TimedOut) => Err(Errno::EAGAIN),
        Err(_) => Err(Errno::ERESTARTSYS),
    }
}

fn broken_pipe(call: &Call<'_>) {
    let process = call.process();
    let info = Info::from_process(SIGPIPE, SI_USER, process.id(), process.identity().real_uid);
    // SIGPIPE is a standard signal: it never overflows the queue.
    let _ = send::to_thread(call.thread, info);
}

/// Errors of reading and writing as read(2) and write(2) word them.
fn failure(error: Error) -> Errno {
    match error {
        // A file that is mapped beyond its end, as a buffer.
        Error::Range | Error::Denied => Errno::EFAULT,
        other => other.into(),
    }
}

/// One piece of a scattered buffer.
type Piece = (usize, usize);

async fn pieces(call: &Call<'_>, vector: u64, count: u64) -> Result<Vec<Piece>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut pieces = Vec::with_capacity(count as usize);
    let mut total = 0usize;
    for index in 0..count {
        let [base, length]: [u64; 2] = call.read(vector.wrapping_add(index * 16)).await?;
        if (length as i64) < 0 {
            return Err(Errno::EINVAL);
        }
        let length = (length as usize).min(COUNT_LIMIT - total);
        total += length;
        pieces.push((base as usize, length));
    }
    Ok(pieces)
}

pub async fn readv(call: &mut Call<'_>, [descriptor, vector, count, ..]: Args) -> Answer {
    let file = call.file_with(descriptor, Rights::READ)?;
    scatter(call, &file, vector, count, Where::Position).await
}

pub async fn preadv(call: &mut Call<'_>, [descriptor, vector, count, offset, ..]: Args) -> Answer {
    let offset = valid_offset(offset)?;
    let file = call.file_with(descriptor, Rights::READ)?;
    scatter(call, &file, vector, count, Where::Offset(offset)).await
}

async fn scatter(
    call: &Call<'_>,
    file: &Arc<Description>,
    vector: u64,
    count: u64,
    place: Where,
) -> Answer {
    let mut done = 0;
    for (base, length) in pieces(call, vector, count).await? {
        let here = match place {
            Where::Position => Where::Position,
            Where::Offset(offset) => Where::Offset(offset + done as u64),
        };
        match read_into(call, file, base, length, here, done == 0).await {
            Ok(read) => {
                done += read;
                if read < length {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

pub async fn writev(call: &mut Call<'_>, [descriptor, vector, count, ..]: Args) -> Answer {
    let file = call.file_with(descriptor, Rights::WRITE)?;
    gather(call, &file, vector, count, Where::Position).await
}

pub async fn pwritev(call: &mut Call<'_>, [descriptor, vector, count, offset, ..]: Args) -> Answer {
    let offset = valid_offset(offset)?;
    let file = call.file_with(descriptor, Rights::WRITE)?;
    gather(call, &file, vector, count, Where::Offset(offset)).await
}

/// A small scattered write is put together first, so that a pipe takes it in one piece; a large one goes piece by piece.
async fn gather(
    call: &Call<'_>,
    file: &Arc<Description>,
    vector: u64,
    count: u64,
    place: Where,
) -> Answer {
    const TOGETHER: usize = 16 << 10;
    let pieces = pieces(call, vector, count).await?;
    let total: usize = pieces.iter().map(|piece| piece.1).sum();
    if total <= TOGETHER && pieces.len() > 1 {
        let mut bytes = alloc::vec![0u8; total];
        let mut rest = bytes.as_mut_slice();
        for (base, length) in pieces {
            let (piece, after) = rest.split_at_mut(length);
            crate::user::read_bytes(call.space, base, piece).await?;
            rest = after;
        }
        return write_slice(call, file, &bytes, place).await;
    }
    let mut done = 0;
    for (base, length) in pieces {
        let here = match place {
            Where::Position => Where::Position,
            Where::Offset(offset) => Where::Offset(offset + done as u64),
        };
        match write_from(call, file, base, length, here).await {
            Ok(written) => {
                done += written;
                if written < length {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// Writes kernel bytes as [`write_from`] writes a program's.
async fn write_slice(
    call: &Call<'_>,
    file: &Arc<Description>,
    bytes: &[u8],
    place: Where,
) -> Answer {
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
                    Err(failure(error))
                };
            }
        }
    }
    Ok(done)
}

pub async fn sendfile(call: &mut Call<'_>, [to, from, offset_at, count, ..]: Args) -> Answer {
    let source = call.file_with(from, Rights::READ)?;
    let target = call.file_with(to, Rights::WRITE)?;
    if source.kind() != FileKind::File {
        return Err(Errno::EINVAL);
    }
    copy(call, &source, offset_at, &target, 0, count as usize).await
}

pub async fn copy_file_range(
    call: &mut Call<'_>,
    [from, from_at, to, to_at, count, flags]: Args,
) -> Answer {
    let source = call.file_with(from, Rights::READ)?;
    let target = call.file_with(to, Rights::WRITE)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    match (source.kind(), target.kind()) {
        (FileKind::Directory, _) | (_, FileKind::Directory) => return Err(Errno::EISDIR),
        (FileKind::File, FileKind::File) => {}
        _ => return Err(Errno::EINVAL),
    }
    if target.flags().contains(vfs::OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    copy(call, &source, from_at, &target, to_at, count as usize).await
}

/// Copies between two files; offsets are read from and written back to the program's memory where it gave an address.
async fn copy(
    call: &Call<'_>,
    source: &Arc<Description>,
    source_at: u64,
    target: &Arc<Description>,
    target_at: u64,
    count: usize,
) -> Answer {
    const CHUNK: usize = 64 << 10;
    let start = match source_at {
        0 => source.position(),
        address => valid_offset(call.read::<u64>(address).await?)?,
    };
    let target_start = match target_at {
        0 => None,
        address => Some(valid_offset(call.read::<u64>(address).await?)?),
    };
    let mut buffer = alloc::vec![0u8; CHUNK.min(count.max(1))];
    let mut done = 0;
    let mut outcome = Ok(());
    while done < count.min(COUNT_LIMIT) {
        let length = buffer.len().min(count - done);
        let read = source.read_at(
            start + done as u64,
            &mut SliceSink::new(&mut buffer[..length]),
        )?;
        if read == 0 {
            break;
        }
        let place = target_start.map_or(Where::Position, |offset| {
            Where::Offset(offset + done as u64)
        });
        match write_slice(call, target, &buffer[..read], place).await {
            Ok(written) => {
                done += written;
                if written < read {
                    break;
                }
            }
            Err(errno) => {
                outcome = Err(errno);
                break;
            }
        }
        rest().await;
    }
    match source_at {
        0 => {
            source.seek(Seek::Start(start + done as u64))?;
        }
        address => call.write(address, &(start + done as u64)).await?,
    }
    if let Some(offset) = target_start {
        call.write(target_at, &(offset + done as u64)).await?;
    }
    if done > 0 {
        Ok(done)
    } else {
        outcome.map(|()| 0)
    }
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
    file.set_size(size, call.now())
        .map_err(|error| match error {
            // "Not open for writing" is EINVAL for ftruncate(2).
            Error::BadHandle if !file.is_path_only() => Errno::EINVAL,
            other => other.into(),
        })?;
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
