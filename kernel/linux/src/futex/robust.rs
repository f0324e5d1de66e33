//! Robust futexes: locks that are let go when their owner dies (get_robust_list(2)).
//!
//! The list lies in user memory, and whatever is there is an allegation: the walk is bounded, and a fault ends it.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::thread::Thread;
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use memory::Space;

use super::pi::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use super::wait::wake_at;

const LIST_LIMIT: usize = 2048;
const HEAD_SIZE: u64 = 24;

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

/// What a thread that dies has locked, as its list says.
struct Walk<'a> {
    thread: &'a Thread,
    space: &'a Arc<Space>,
    /// From an entry to its word.
    offset: u64,
}

/// Lets go of the locks in the thread's list: marks their words and wakes one waiter of each.
pub fn release(thread: &Thread, space: &Arc<Space>) {
    let head = thread.robust_list.swap(0, Ordering::Relaxed);
    if head == 0 {
        return;
    }
    let load = |address: u64| memory::load_user::<u64>(space, address as usize).ok();
    let (Some(mut entry), Some(offset), Some(pending)) = (
        load(head),
        load(head.wrapping_add(8)),
        load(head.wrapping_add(16)),
    ) else {
        return;
    };
    let walk = Walk {
        thread,
        space,
        offset,
    };
    for _ in 0..LIST_LIMIT {
        if address_of(entry) == head {
            break;
        }
        // Read first: who is woken may take the entry out.
        let next = load(address_of(entry));
        if address_of(entry) != address_of(pending) && walk.let_go(entry, false).is_err() {
            return;
        }
        match next {
            Some(next) => entry = next,
            None => return,
        }
    }
    if address_of(pending) != 0 {
        // Nothing comes after it.
        let _ = walk.let_go(pending, true);
    }
}

/// An entry is an address; bit 0 says that the lock has an owner who inherits.
fn address_of(entry: u64) -> u64 {
    entry & !1
}

impl Walk<'_> {
    /// `pending`: the thread was about to lock or to unlock it.
    fn let_go(&self, entry: u64, pending: bool) -> Result<(), Error> {
        let inherits = entry & 1 != 0;
        let address = address_of(entry).wrapping_add(self.offset) as usize;
        if !address.is_multiple_of(4) {
            return Err(Error::Fault);
        }
        let word = memory::load_user::<u32>(self.space, address)?;
        if pending && !inherits && word & FUTEX_TID_MASK == 0 {
            // It was unlocked, but nobody was woken yet; or whoever was woken died before it had the lock.
            wake_at(self.space, address);
            return Ok(());
        }
        let held = |word: u32| word & FUTEX_TID_MASK == self.thread.id();
        if !held(word) {
            return Ok(());
        }
        let before = self.space.with_resolve(|root| {
            root.update_u32(address, |word| {
                if held(word) {
                    word & FUTEX_WAITERS | FUTEX_OWNER_DIED
                } else {
                    word
                }
            })
        })?;
        // Who waits for an owner gets the lock from the kernel: see `pi::leave`.
        if held(before) && before & FUTEX_WAITERS != 0 && !inherits {
            wake_at(self.space, address);
        }
        Ok(())
    }
}
