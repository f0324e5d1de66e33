//! Scattered reading and gathered writing (readv(2), preadv2(2) and their relatives).

use crate::call::{Args, Call};
use crate::descriptors::Held;
use crate::errno::{Answer, Errno};
use crate::io::{
    COUNT_LIMIT, Where, read_into, valid_offset, within_limit, write_from, write_slice,
};
use crate::socket;
use abi::Rights;
use alloc::vec::Vec;
use vfs::{Description, FileKind};

pub const IOV_MAX: u64 = 1024;

/// One piece of a scattered buffer.
pub type Piece = (usize, usize);

pub async fn pieces(call: &Call<'_>, vector: u64, count: u64) -> Result<Vec<Piece>, Errno> {
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

/// The bytes of all pieces. What comes before a bad address is written to a file all the same; a stream takes all
/// or nothing.
async fn collect(call: &Call<'_>, file: &Description, pieces: &[Piece]) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    for &(base, length) in pieces {
        let start = bytes.len();
        bytes.resize(start + length, 0);
        let Err(errno) = crate::user::read_bytes(call.space, base, &mut bytes[start..]).await
        else {
            continue;
        };
        bytes.truncate(start);
        bytes.extend(memory::peek(call.space, base, length));
        if bytes.is_empty() || file.kind() != FileKind::File {
            return Err(errno);
        }
        break;
    }
    Ok(bytes)
}

pub async fn readv(call: &mut Call<'_>, [descriptor, vector, count, ..]: Args) -> Answer {
    let file = call.file_with(descriptor, Rights::READ)?;
    scatter(call, &file, vector, count, Where::Position).await
}

/// Where a call with an offset and flags reads or writes, and whether it may wait.
fn where_of(file: &Description, offset: u64, flags: u64) -> Result<Where, Errno> {
    const RWF_NOWAIT: u64 = 8;
    const RWF_APPEND: u64 = 0x10;
    // Priority and synchronous writing change nothing for files in memory.
    if flags & !0x1f != 0 || (flags & RWF_NOWAIT != 0 && file.kind() != FileKind::File) {
        return Err(Errno::EOPNOTSUPP);
    }
    match offset {
        _ if flags & RWF_APPEND != 0 => Ok(Where::End),
        u64::MAX => Ok(Where::Position),
        offset => Ok(Where::Offset(valid_offset(offset)?)),
    }
}

pub async fn preadv2(
    call: &mut Call<'_>,
    [descriptor, vector, count, offset, _, flags]: Args,
) -> Answer {
    let file = call.file_with(descriptor, Rights::READ)?;
    let place = where_of(&file, offset, flags)?;
    scatter(call, &file, vector, count, place).await
}

pub async fn pwritev2(
    call: &mut Call<'_>,
    [descriptor, vector, count, offset, _, flags]: Args,
) -> Answer {
    let file = call.file_with(descriptor, Rights::WRITE)?;
    let place = where_of(&file, offset, flags)?;
    gather(call, &file, vector, count, place).await
}

pub async fn preadv(call: &mut Call<'_>, [descriptor, vector, count, offset, ..]: Args) -> Answer {
    let offset = valid_offset(offset)?;
    let file = call.file_with(descriptor, Rights::READ)?;
    scatter(call, &file, vector, count, Where::Offset(offset)).await
}

async fn scatter(call: &Call<'_>, file: &Held, vector: u64, count: u64, place: Where) -> Answer {
    let pieces = pieces(call, vector, count).await?;
    if let (Some(socket), Where::Position) = (socket::of(file), place) {
        return socket::transfer::read(call, file, socket, &pieces).await;
    }
    let mut done = 0;
    for (base, length) in pieces {
        let here = match place {
            Where::Offset(offset) => Where::Offset(offset + done as u64),
            place => place,
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
async fn gather(call: &Call<'_>, file: &Held, vector: u64, count: u64, place: Where) -> Answer {
    const TOGETHER: usize = 16 << 10;
    let mut pieces = pieces(call, vector, count).await?;
    if let (Some(socket), Where::Position) = (socket::of(file), place) {
        return socket::transfer::write(call, file, socket, &pieces).await;
    }
    let total: usize = pieces.iter().map(|piece| piece.1).sum();
    let mut left = within_limit(call, file, place, total)?;
    for (_, length) in &mut pieces {
        *length = left.min(*length);
        left -= *length;
    }
    if total <= TOGETHER && pieces.len() > 1 {
        let bytes = collect(call, file, &pieces).await?;
        return write_slice(call, file, &bytes, place).await;
    }
    let mut done = 0;
    for (base, length) in pieces {
        let here = match place {
            Where::Offset(offset) => Where::Offset(offset + done as u64),
            place => place,
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
