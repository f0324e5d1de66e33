//! Sending signals.
//!
//! A signal to a process waits in the process's queue and interrupts one thread that does not block it; a signal
//! to a thread waits in the thread's. Continuing takes effect at once, even if the signal is blocked or ignored.

use super::queue::{Behind, Info, Pending, Place, Teller};
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
    let behind = || place(process, info.signal);
    post_to_process(process, info, behind).map(|_| ())
}

/// Sends to one thread.
///
/// # Errors
/// `EAGAIN` when its queue of real-time signals is full.
pub fn to_thread(thread: &Arc<Thread>, info: Info) -> Result<(), Errno> {
    let behind = || place(thread.process(), info.signal);
    post_to_thread(thread, info, behind).map(|_| ())
}

/// Sends a timer's signal to a process; whether it waits in the queue now.
pub fn of_timer_to_process(process: &Arc<Process>, info: Info, timer: Arc<dyn Teller>) -> bool {
    post_to_process(process, info, || Behind::Timer(timer)) == Ok(true)
}

/// Sends a timer's signal to one thread; whether it waits in the queue now.
pub fn of_timer_to_thread(thread: &Arc<Thread>, info: Info, timer: Arc<dyn Teller>) -> bool {
    post_to_thread(thread, info, || Behind::Timer(timer)) == Ok(true)
}

/// Whether it waits in the queue now: it does not if nobody would notice.
fn post_to_process(
    process: &Arc<Process>,
    info: Info,
    behind: impl FnOnce() -> Behind,
) -> Result<bool, Errno> {
    if info.signal == SIGKILL {
        end(process);
        return Ok(false);
    }
    prepare(process, info.signal);
    if process.actions().get(info.signal).ignores(info.signal) {
        let hears = |thread: &Thread| !thread.mask().contains(info.signal);
        // Blocked by all, it is kept: what it means may be another thing when it is unblocked.
        let nobody = || process.search_threads(|_| true).is_none();
        if process.search_threads(hears).is_some() || nobody() {
            return Ok(false);
        }
    }
    queue(&process.pending, info, behind())?;
    process.ears.tell(info.signal);
    // A thread that waits for it in sigtimedwait has it unblocked for the wait, so it is found here as well.
    if let Some(thread) = process.search_threads(|thread| thread.wants(info.signal)) {
        thread.interrupt();
    }
    Ok(true)
}

/// The same for one thread.
fn post_to_thread(
    thread: &Arc<Thread>,
    info: Info,
    behind: impl FnOnce() -> Behind,
) -> Result<bool, Errno> {
    let process = thread.process();
    if info.signal == SIGKILL {
        end(process);
        return Ok(false);
    }
    prepare(process, info.signal);
    let blocked = thread.mask().contains(info.signal);
    if !blocked && process.actions().get(info.signal).ignores(info.signal) {
        return Ok(false);
    }
    queue(&thread.pending, info, behind())?;
    process.ears.tell(info.signal);
    if thread.wants(info.signal) {
        thread.interrupt();
    }
    Ok(true)
}

fn queue(pending: &Spin<Pending>, info: Info, behind: Behind) -> Result<(), Errno> {
    let queued = pending.lock().push(info, behind);
    queued.map_err(|_| Errno::EAGAIN)
}

/// A place for a real-time signal; standard signals need none.
fn place(process: &Process, signal: Signal) -> Behind {
    if signal < SIGRTMIN {
        return Behind::Nothing;
    }
    let limit = process.limits.lock().pending_signals();
    Place::take(process.identity().real_uid, limit).into()
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
    let _ = thread.pending.lock().push(info, Behind::Nothing);
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
