//! Sending signals.
//!
//! A signal to a process waits in the process's queue and interrupts one thread that does not block it; a signal
//! to a thread waits in the thread's. Continuing takes effect at once, even if the signal is blocked or ignored.

use super::queue::{Info, Pending, Place};
use super::set::{SIGCONT, SIGKILL, SIGRTMIN, Set, Signal};
use crate::errno::Errno;
use crate::process::Process;
use crate::stop::Change;
use crate::thread::Thread;
use alloc::sync::Arc;
use machine::sync::Spin;
use process::Status;

/// Sends to a process.
///
/// # Errors
/// `EAGAIN` when its queue of real-time signals is full.
pub fn to_process(process: &Arc<Process>, info: Info) -> Result<(), Errno> {
    if info.signal == SIGKILL {
        end(process);
        return Ok(());
    }
    prepare(process, info.signal);
    if process.actions().get(info.signal).ignores(info.signal) {
        let hears = |thread: &Thread| !thread.mask().contains(info.signal);
        // Blocked by all, it is kept: what it means may be another thing when it is unblocked.
        let nobody = || process.search_threads(|_| true).is_none();
        if process.search_threads(hears).is_some() || nobody() {
            return Ok(());
        }
    }
    let place = place(process, info.signal);
    process
        .pending
        .lock()
        .push(info, place)
        .map_err(|_| Errno::EAGAIN)?;
    process.ears.tell(info.signal);
    // A thread that waits for it in sigtimedwait has it unblocked for the wait, so it is found here as well.
    if let Some(thread) = process.search_threads(|thread| thread.wants(info.signal)) {
        thread.interrupt();
    }
    Ok(())
}

/// A place for a real-time signal; standard signals need none.
fn place(process: &Process, signal: Signal) -> Option<Place> {
    if signal < SIGRTMIN {
        return None;
    }
    let limit = process.limits.lock().pending_signals();
    Place::take(process.identity().real_uid, limit)
}

/// Sends to one thread.
///
/// # Errors
/// `EAGAIN` when its queue of real-time signals is full.
pub fn to_thread(thread: &Arc<Thread>, info: Info) -> Result<(), Errno> {
    let process = thread.process();
    if info.signal == SIGKILL {
        end(process);
        return Ok(());
    }
    prepare(process, info.signal);
    let blocked = thread.mask().contains(info.signal);
    if !blocked && process.actions().get(info.signal).ignores(info.signal) {
        return Ok(());
    }
    let place = place(process, info.signal);
    thread
        .pending
        .lock()
        .push(info, place)
        .map_err(|_| Errno::EAGAIN)?;
    process.ears.tell(info.signal);
    if thread.wants(info.signal) {
        thread.interrupt();
    }
    Ok(())
}

/// A signal that an instruction of this thread caused: it cannot be blocked or ignored, only handled or deadly.
pub fn force(thread: &Thread, info: Info) {
    let actions = thread.process().actions();
    let action = actions.get(info.signal);
    if thread.mask().contains(info.signal) || !action.has_handler() {
        actions.set(info.signal, Default::default());
        thread.set_mask(thread.mask().without(Set::of(info.signal)));
    }
    // A standard signal never overflows the queue.
    let _ = thread.pending.lock().push(info, None);
    thread.interrupt();
}

/// Stopping and continuing cancel each other while pending; continuing starts the process again at once.
fn prepare(process: &Arc<Process>, signal: Signal) {
    if signal == SIGCONT {
        discard(process, Set::STOPS, || process.stop.cancel());
        if process.stop.resume() {
            process.report(Change::Continued);
        }
    } else if Set::STOPS.contains(signal) {
        discard(process, Set::of(SIGCONT), || {});
    }
}

/// Forgets the pending signals of `which` everywhere; `also` happens under the lock of each queue.
fn discard(process: &Process, which: Set, also: impl Fn()) {
    let discard = |queue: &Spin<Pending>| {
        let mut queue = queue.lock();
        queue.discard(which);
        also();
    };
    discard(&process.pending);
    for thread in process.threads() {
        discard(&thread.pending);
    }
}

fn end(process: &Arc<Process>) {
    if let Some(core) = process.core() {
        core.end(Status::Signaled(SIGKILL));
    }
    process.stop.wake();
}
