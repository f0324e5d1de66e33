//! From one file to another, without a way through the program (sendfile(2), copy_file_range(2)).

use crate::call::{Args, Call};
use crate::descriptors::Held;
use crate::errno::{Answer, Errno};
use crate::io::{COUNT_LIMIT, Where, rest, valid_offset, within_limit, write_slice};
use abi::Rights;
use object::SliceSink;
use vfs::{FileKind, Seek};

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
    source: &Held,
    source_at: u64,
    target: &Held,
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
    let target_place = target_start.map_or(Where::Position, Where::Offset);
    let count = within_limit(call, target, target_place, count)?;
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
