//! Robust futexes: locks that are let go when their owner dies (get_robust_list(2)).
//!
//! The list lies in user memory, and whatever is there is an allegation: the walk is bounded, and a fault ends it.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::futex;
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use memory::Space;

const LIST_LIMIT: usize = 2048;
const HEAD_SIZE: u64 = 24;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

pub fn set_robust_list(call: &mut Call<'_>, [head, length, ..]: Args) -> Answer {
    if length != HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    call.thread.robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

/// Answers for the caller itself only.
pub async fn get_robust_list(call: &mut Call<'_>, [pid, head, length, ..]: Args) -> Answer {
    if pid != 0 && pid as u32 != call.thread.id() {
        let found = process::find_thread(pid as u32);
        return Err(if found.is_some() {
            Errno::EPERM
        } else {
            Errno::ESRCH
        });
    }
    call.write(head, &call.thread.robust_list.load(Ordering::Relaxed))
        .await?;
    call.write(length, &HEAD_SIZE).await?;
    Ok(0)
}

/// Marks the futexes of a dying thread and wakes one waiter of each.
pub fn release(thread: &Arc<Thread>, space: &Arc<Space>) {
    let head = thread.robust_list.swap(0, Ordering::Relaxed);
    if head == 0 {
        return;
    }
    let root = space.root();
    let word = |address: u64| root.load_u64(address as usize).ok();
    let (Some(mut entry), Some(offset), Some(pending)) = (
        word(head),
        word(head.wrapping_add(8)),
        word(head.wrapping_add(16)),
    ) else {
        return;
    };
    for _ in 0..LIST_LIMIT {
        if entry & !1 == head {
            break;
        }
        if entry != pending {
            mark(thread, space, entry, offset);
        }
        match word(entry & !1) {
            Some(next) => entry = next,
            None => break,
        }
    }
    if pending != 0 {
        mark(thread, space, pending, offset);
    }
}

fn mark(thread: &Thread, space: &Arc<Space>, entry: u64, offset: u64) {
    let address = (entry & !1).wrapping_add(offset) as usize;
    let root = space.root();
    let held = |value: u32| value & FUTEX_TID_MASK == thread.id();
    let update = root.update_u32(address, |value| {
        if held(value) {
            value & FUTEX_WAITERS | FUTEX_OWNER_DIED
        } else {
            value
        }
    });
    if update.is_ok_and(|before| held(before) && before & FUTEX_WAITERS != 0) {
        futex::wake_at(space, address, 1, true);
    }
}
