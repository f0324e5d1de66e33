//! flock(2), and the locking commands of fcntl(2).

use super::record::{LAST, Record};
use super::{File, Held, Key, Waiting};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use alloc::sync::Arc;
use vfs::{Access, Description};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const LOCK_SH: u64 = 1;
const LOCK_EX: u64 = 2;
const LOCK_NB: u64 = 4;
const LOCK_UN: u64 = 8;

pub async fn flock(call: &mut Call<'_>, [descriptor, operation, ..]: Args) -> Answer {
    let alone = match operation & !LOCK_NB {
        LOCK_SH => Some(false),
        LOCK_EX => Some(true),
        LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let file = call.file(descriptor)?;
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    let owner = Held::of(&file)?;
    let locks = File::enter(Key::of(&file))?;
    // A lock of the other kind is let go first, so others may come in between (flock(2)).
    let before = locks.with(|state| {
        let held = state
            .holders
            .iter()
            .find(|(holder, _)| *holder == owner)
            .map(|&(_, alone)| alone);
        if held.is_some() && held != alone {
            state.holders.retain(|(holder, _)| *holder != owner);
        }
        held
    });
    if before.flatten().is_some() && before != Some(alone) {
        locks.wake();
    }
    let Some(alone) = alone else { return Ok(0) };
    let hold = || {
        locks
            .with(|state| state.try_hold(owner, alone))
            .unwrap_or(false)
    };
    if hold() {
        return Ok(0);
    }
    if operation & LOCK_NB != 0 {
        return Err(Errno::EAGAIN);
    }
    if let Some(locks) = &locks.locks {
        locks.released.wait_until(|| hold().then_some(())).await?;
    }
    Ok(0)
}

/// `struct flock`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Asked {
    kind: i16,
    whence: i16,
    padding: u32,
    start: i64,
    length: i64,
    process: i32,
    padding_end: u32,
}

const F_RDLCK: i16 = 0;
const F_WRLCK: i16 = 1;
const F_UNLCK: i16 = 2;

pub const F_GETLK: u64 = 5;
pub const F_SETLK: u64 = 6;
pub const F_SETLKW: u64 = 7;
pub const F_OFD_GETLK: u64 = 36;
pub const F_OFD_SETLK: u64 = 37;
pub const F_OFD_SETLKW: u64 = 38;

/// The commands of fcntl(2) that lock records.
pub async fn record(
    call: &Call<'_>,
    descriptor: u32,
    file: &Arc<Description>,
    command: u64,
    address: u64,
) -> Answer {
    let asked: Asked = call.read(address).await?;
    let of_description = matches!(command, F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW);
    if of_description && asked.process != 0 {
        return Err(Errno::EINVAL);
    }
    let base = match asked.whence {
        0 => 0,
        1 => file.position(),
        2 => file.metadata().size,
        _ => return Err(Errno::EINVAL),
    };
    let (first, last) = range(base, asked.start, asked.length)?;
    let descriptors = call.process().descriptors();
    let (owner, process) = if of_description {
        (Held::of(file)?, None)
    } else {
        (descriptors.lock_owner(), Some(call.process().id()))
    };
    let exclusive = asked.kind == F_WRLCK;
    let wanted = Record {
        owner,
        process,
        exclusive,
        first,
        last,
    };
    if matches!(command, F_GETLK | F_OFD_GETLK) {
        if !matches!(asked.kind, F_RDLCK | F_WRLCK) {
            return Err(Errno::EINVAL);
        }
        call.write(address, &conflict(file, &wanted, asked)).await?;
        return Ok(0);
    }
    let needed = match asked.kind {
        F_RDLCK => Access::READ,
        F_WRLCK => Access::WRITE,
        F_UNLCK => Access::empty(),
        _ => return Err(Errno::EINVAL),
    };
    if !file.access().contains(needed) {
        return Err(Errno::EBADF);
    }
    let key = Key::of(file);
    if asked.kind == F_UNLCK {
        unlock(key, &wanted);
        return Ok(0);
    }
    let waits = matches!(command, F_SETLKW | F_OFD_SETLKW);
    let locks = File::enter(key)?;
    if !of_description {
        descriptors.note_lock(key);
    }
    take(&locks, wanted, waits).await?;
    // Somebody closed the descriptor meanwhile: then there is nothing left that would let go of the lock.
    let still = descriptors.get(descriptor, abi::Rights::empty());
    if !of_description && !still.is_ok_and(|now| Arc::ptr_eq(&now, file)) {
        unlock(key, &wanted);
        return Err(Errno::EBADF);
    }
    Ok(0)
}

/// Takes the record, waiting for it if told to.
async fn take(locks: &File, wanted: Record, waits: bool) -> Result<(), Errno> {
    let attempt = || {
        locks
            .with(|state| state.try_record(wanted))
            .unwrap_or(Ok(()))
    };
    let Err(_) = attempt() else {
        // A lock that became weaker may be what others wait for.
        locks.wake();
        return Ok(());
    };
    if !waits {
        return Err(Errno::EAGAIN);
    }
    let Some(queue) = &locks.locks else {
        return Ok(());
    };
    let mut waiting = Waiting {
        owner: wanted.owner,
        edge: None,
    };
    let outcome = queue.released.wait_until(|| match attempt() {
        Ok(()) => Some(Ok(())),
        Err(blocker) if wanted.process.is_some() && !waiting.waits_for(blocker) => {
            Some(Err(Errno::EDEADLK))
        }
        Err(_) => None,
    });
    outcome.await?
}

fn unlock(key: Key, record: &Record) {
    if let Some(locks) = File::find(key) {
        locks.with(|state| state.records.clear(record.owner, record.first, record.last));
        locks.wake();
    }
}

/// What `F_GETLK` answers: a lock that hinders, or that there is none.
fn conflict(file: &Description, wanted: &Record, asked: Asked) -> Asked {
    let locks = File::find(Key::of(file));
    let found = locks.and_then(|locks| locks.with(|state| state.records.conflict(wanted).copied()));
    match found.flatten() {
        None => Asked {
            kind: F_UNLCK,
            ..asked
        },
        Some(other) => Asked {
            kind: if other.exclusive { F_WRLCK } else { F_RDLCK },
            whence: 0,
            start: other.first as i64,
            length: if other.last == LAST {
                0
            } else {
                (other.last - other.first + 1) as i64
            },
            process: other.process.map_or(-1, |process| process as i32),
            ..asked
        },
    }
}

/// The bytes that `struct flock` means, both ends included.
fn range(base: u64, start: i64, length: i64) -> Result<(u64, u64), Errno> {
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match length {
        0 => (start, i64::MAX),
        1.. => (
            start,
            start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?,
        ),
        _ => (
            start.checked_add(length).ok_or(Errno::EINVAL)?,
            start.wrapping_sub(1),
        ),
    };
    if start < 0 || first < 0 {
        return Err(Errno::EINVAL);
    }
    Ok((first as u64, last as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_manual() {
        assert_eq!(range(0, 10, 10), Ok((10, 19)));
        assert_eq!(range(100, -10, 0), Ok((90, LAST)));
        assert_eq!(range(0, 10, -4), Ok((6, 9)));
        assert_eq!(range(0, 10, -10), Ok((0, 9)));
        assert_eq!(range(0, 10, -11), Err(Errno::EINVAL));
        assert_eq!(range(0, -1, 5), Err(Errno::EINVAL));
        assert_eq!(range(0, i64::MAX, 1), Ok((LAST, LAST)));
        assert_eq!(range(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
        assert_eq!(range(1, i64::MAX, 1), Err(Errno::EOVERFLOW));
        assert_eq!(range(0, 0, i64::MIN), Err(Errno::EINVAL));
        assert_eq!(range(u64::MAX, 0, 1), Err(Errno::EOVERFLOW));
    }
}
