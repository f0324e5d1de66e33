//! A dying owner: its locks go to those who wait, who find `FUTEX_OWNER_DIED` in the word.

use super::Awaited;
use super::word::{FUTEX_OWNER_DIED, FUTEX_WAITERS};
use crate::futex::table::bucket;
use crate::process::Process;
use crate::thread::Thread;
use alloc::sync::Arc;
use machine::paging::CopyFault;
use memory::Space;
use task::Task;
use task::turnstile::{self, Label};

/// The thread ends: it lets go of all locks that are waited for, and is never again the owner of one.
pub fn leave(thread: &Thread) {
    let Some(task) = thread.core().task() else {
        return;
    };
    while !turnstile::close(task) {
        release(thread);
    }
}

/// The thread loses its memory: it lets go of all locks that are waited for.
pub fn release(thread: &Thread) {
    let Some(task) = thread.core().task() else {
        return;
    };
    while let Some(label) = turnstile::any_held(task) {
        let mut last = false;
        while let Err((space, fault)) = hand_over(task, label, last) {
            // Not with the bucket locked. If the page cannot be had, the next owner is told so.
            last = space.resolve_fault(fault).is_err();
        }
    }
}

/// Hands a lock of `task` over, unless the word of its next owner is on a page that is missed: in whose memory, and
/// where. `last`: it cannot be had.
fn hand_over(
    task: &Arc<Task>,
    label: Label,
    mut last: bool,
) -> Result<(), (Arc<Space>, CopyFault)> {
    let mut bucket = bucket(label).lock();
    let at = bucket.find_lock(label);
    let Some(at) = at.filter(|_| turnstile::any_held(task) == Some(label)) else {
        // The last waiter has given up meanwhile.
        return Ok(());
    };
    let lock = &mut bucket.locks[at];
    while let Some(next) = lock.turnstile.first() {
        let next = next as u32;
        let word = next | FUTEX_WAITERS | FUTEX_OWNER_DIED;
        let written = with_awaited(next, |awaited| {
            let written = awaited.space.root().update_u32(awaited.address, |_| word);
            awaited.unwritable = written.is_err() && last;
            written.map_err(|fault| (awaited.space.clone(), fault))
        });
        match written {
            Some(Err(fault)) if !last => return Err(fault),
            _ => lock.owner = next,
        }
        lock.turnstile.pass();
        if let Some(Ok(_)) = written {
            break;
        }
        // It gets an error, and with that the lock is the next one's.
        last = false;
    }
    bucket.settle(at);
    Ok(())
}

/// What the thread with this number tells of its wait.
fn with_awaited<R>(number: u32, f: impl FnOnce(&mut Awaited) -> R) -> Option<R> {
    let core = process::find_thread(number)?;
    let thread = Process::of(core.process())?.find_thread(number)?;
    thread.awaited_lock.lock().as_mut().map(f)
}
