//! epoll_create(2), epoll_ctl(2), epoll_wait(2) and their later forms.

use super::{EPOLLET, EPOLLEXCLUSIVE, Epoll, Set, key};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::event::{check, open};
use crate::open::O_CLOEXEC;
use crate::poll;
use crate::time::Timespec;
use alloc::sync::Arc;
use vfs::{Access, Description};

const EPOLL_CTL_ADD: u64 = 1;
const EPOLL_CTL_DEL: u64 = 2;
const EPOLL_CTL_MOD: u64 = 3;

const EPOLLWAKEUP: u32 = 1 << 29;
/// What may stand beside `EPOLLEXCLUSIVE`.
const WITH_EXCLUSIVE: u32 =
    EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLET | 0x1 | 0x4 | 0x8 | 0x10 | 0x40 | 0x100;

/// `struct epoll_event`, which is packed on this machine.
const EVENT_SIZE: usize = 12;
const MOST_EVENTS: i32 = i32::MAX / EVENT_SIZE as i32;

pub fn epoll_create(call: &mut Call<'_>, [size, ..]: Args) -> Answer {
    // A hint once, which only must not be nonsense.
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(call, [0; 6])
}

pub fn epoll_create1(call: &mut Call<'_>, [flags, ..]: Args) -> Answer {
    let flags = check(flags, O_CLOEXEC)?;
    open(
        call,
        Arc::new(Epoll::new()),
        Access::READ | Access::WRITE,
        flags,
    )
}

/// The set behind an open file.
fn set(file: &Description) -> Result<&Arc<Set>, Errno> {
    let epoll = file.file_as::<Epoll>().ok_or(Errno::EINVAL)?;
    Ok(&epoll.0)
}

pub async fn epoll_ctl(
    call: &mut Call<'_>,
    [descriptor, operation, target, event, ..]: Args,
) -> Answer {
    let (mut events, mut data) = (0, 0);
    if operation as u32 != EPOLL_CTL_DEL as u32 {
        let bytes: [u8; EVENT_SIZE] = call.read(event).await?;
        let [e0, e1, e2, e3, rest @ ..] = bytes;
        events = u32::from_le_bytes([e0, e1, e2, e3]);
        data = u64::from_le_bytes(rest);
    }
    let outer = call.file(descriptor)?;
    let file = call.file(target)?;
    if file.is_path_only() || outer.is_path_only() {
        return Err(Errno::EBADF);
    }
    if file.readiness().is_none() {
        return Err(Errno::EPERM);
    }
    if Arc::ptr_eq(&outer, &file) {
        return Err(Errno::EINVAL);
    }
    let set = set(&outer)?;
    let exclusive = events & EPOLLEXCLUSIVE != 0;
    let key = key(target as u32, &file);
    match u64::from(operation as u32) {
        EPOLL_CTL_ADD => {
            if exclusive && (events & !WITH_EXCLUSIVE != 0 || file.file_as::<Epoll>().is_some()) {
                return Err(Errno::EINVAL);
            }
            set.add(target as u32, &file, events, data)?;
        }
        EPOLL_CTL_MOD if exclusive => return Err(Errno::EINVAL),
        EPOLL_CTL_MOD => set.modify(key, events, data)?,
        EPOLL_CTL_DEL => {
            if !set.remove(key) {
                return Err(Errno::ENOENT);
            }
            if let Some(extras) = crate::extras::Extras::of(&file) {
                extras.not_watched_by(set, key);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub async fn epoll_wait(
    call: &mut Call<'_>,
    [descriptor, events, most, timeout, ..]: Args,
) -> Answer {
    let until = until_milliseconds(timeout);
    wait(call, descriptor, events, most, until).await
}

pub async fn epoll_pwait(
    call: &mut Call<'_>,
    [descriptor, events, most, timeout, mask, size]: Args,
) -> Answer {
    poll::replace_mask(call, mask, size).await?;
    let until = until_milliseconds(timeout);
    let answer = wait(call, descriptor, events, most, until).await;
    masked(call, answer)
}

pub async fn epoll_pwait2(
    call: &mut Call<'_>,
    [descriptor, events, most, timeout, mask, size]: Args,
) -> Answer {
    let until = match timeout {
        0 => None,
        timeout => match call.read::<Timespec>(timeout).await?.nanoseconds()? {
            0 => Some(0),
            length => Some(machine::time::now().saturating_add(length)),
        },
    };
    poll::replace_mask(call, mask, size).await?;
    let answer = wait(call, descriptor, events, most, until).await;
    masked(call, answer)
}

/// The mask is put back here, or by the handler that interrupted the wait (which is never made again).
fn masked(call: &Call<'_>, answer: Answer) -> Answer {
    if answer != Err(Errno::EINTR) {
        call.thread.restore_saved_mask();
    }
    answer
}

fn until_milliseconds(timeout: u64) -> Option<u64> {
    match timeout as i32 {
        0 => Some(0),
        length if length < 0 => None,
        length => Some(machine::time::now() + length as u64 * 1_000_000),
    }
}

async fn wait(
    call: &mut Call<'_>,
    descriptor: u64,
    events: u64,
    most: u64,
    until: Option<u64>,
) -> Answer {
    let most = most as i32;
    if most <= 0 || most > MOST_EVENTS {
        return Err(Errno::EINVAL);
    }
    let most = most as usize;
    crate::io::check_buffer(events as usize, most * EVENT_SIZE)?;
    let file = call.file(descriptor)?;
    let set = set(&file)?;
    let found = set.wait(most, until).await?;
    for (index, event) in found.iter().enumerate() {
        let mut bytes = [0; EVENT_SIZE];
        bytes[..4].copy_from_slice(&event.events.to_le_bytes());
        bytes[4..].copy_from_slice(&event.data.to_le_bytes());
        let to = events + (index * EVENT_SIZE) as u64;
        if let Err(errno) = call.write(to, &bytes).await {
            set.put_back(found.get(index..).unwrap_or_default());
            return if index == 0 { Err(errno) } else { Ok(index) };
        }
    }
    Ok(found.len())
}
