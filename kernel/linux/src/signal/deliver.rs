//! Delivery: what happens to pending signals before a thread returns to user mode.

use super::action::{self, Action};
use super::frame;
use super::queue::{Info, Pending};
use super::set::{self, Default, SIGKILL, SIGSEGV, SIGSTOP, Set};
use crate::errno::Errno;
use crate::stop::Change;
use crate::thread::Thread;
use alloc::sync::Arc;
use machine::sync::Spin;
use machine::user::UserContext;
use memory::Space;
use process::{Flow, Status};

/// The instruction that made the call is two bytes long (`syscall`).
const CALL_LENGTH: u64 = 2;
const RESTART_SYSCALL: u64 = 219;

/// Handles everything that came for the thread: its end, stopping, one handler after the other.
pub async fn checkpoint(thread: &Arc<Thread>, space: &Arc<Space>, user: &mut UserContext) -> Flow {
    let mut handled = false;
    loop {
        if let Some(flow) = ending(thread) {
            return flow;
        }
        thread.clear_interrupt();
        let job = &thread.process().stop;
        if job.is_stopped() {
            job.wait(|| is_ending(thread)).await;
            continue;
        }
        let Some((info, action)) = next(thread) else {
            break;
        };
        if action.has_handler() {
            settle_call(thread, user, Some(&action));
            if run_handler(thread, space, user, &info, &action).is_err() {
                return die(thread, SIGSEGV);
            }
            handled = true;
            continue;
        }
        match set::default(info.signal) {
            Default::Ignore | Default::Continue => {}
            Default::Stop => stop(thread, &info),
            Default::Terminate | Default::Core => return die(thread, info.signal),
        }
    }
    if !handled {
        settle_call(thread, user, None);
        thread.restore_saved_mask();
    }
    Flow::Continue
}

fn ending(thread: &Arc<Thread>) -> Option<Flow> {
    // The process knows the real status if it was decided; a thread killed alone (by exec) leaves none.
    is_ending(thread).then_some(Flow::Exit(Status::Signaled(SIGKILL)))
}

fn is_ending(thread: &Thread) -> bool {
    let core = thread.core();
    core.process().is_ending() || core.is_killed()
}

/// Takes the next signal that is not blocked, with the action it had when taken.
fn next(thread: &Arc<Thread>) -> Option<(Info, Action)> {
    let process = thread.process();
    loop {
        let wanted = Set(!thread.mask().0);
        let take = |queue: &Spin<Pending>| {
            let mut queue = queue.lock();
            let info = queue.take(wanted)?;
            if Set::STOPS.contains(info.signal) {
                process.stop.taken();
            }
            Some(info)
        };
        let info = take(&thread.pending).or_else(|| take(&process.pending))?;
        let actions = process.actions();
        let action = actions.get(info.signal);
        if action.ignores(info.signal) && info.signal != SIGKILL && info.signal != SIGSTOP {
            continue;
        }
        if action.has_handler() && action.flags & action::SA_RESETHAND != 0 {
            actions.set(info.signal, Action::default());
        }
        return Some((info, action));
    }
}

/// Decides what an interrupted call answers: again, or `EINTR`.
///
/// With a handler about to run, only calls that may restart do, and only if the action says so, or if they always do;
/// without one, every interrupted call goes on as if nothing had happened.
fn settle_call(thread: &Thread, user: &mut UserContext, action: Option<&Action>) {
    let Some((number, errno)) = thread.take_interrupted_call() else {
        return;
    };
    let registers = &mut user.registers;
    let restart = match action {
        Some(_) if errno == Errno::ERESTARTNOINTR => true,
        Some(action) => errno == Errno::ERESTARTSYS && action.flags & action::SA_RESTART != 0,
        None => true,
    };
    if !restart {
        registers.rax = Errno::EINTR.to_register();
        return;
    }
    registers.rip -= CALL_LENGTH;
    registers.rax = if errno == Errno::ERESTARTBLOCK {
        RESTART_SYSCALL
    } else {
        number
    };
}

fn run_handler(
    thread: &Arc<Thread>,
    space: &Arc<Space>,
    user: &mut UserContext,
    info: &Info,
    action: &Action,
) -> Result<(), Errno> {
    thread.rseq.interrupted(thread, space, user);
    let mask_after = thread.take_saved_mask();
    frame::push(thread, space, user, info, action, mask_after)?;
    let mut mask = thread.mask().with(Set(action.mask));
    if action.flags & action::SA_NODEFER == 0 {
        mask = mask.with(Set::of(info.signal));
    }
    thread.set_mask(mask);
    Ok(())
}

fn stop(thread: &Arc<Thread>, info: &Info) {
    let process = thread.process();
    // An orphaned group has nobody to continue it: the terminal's stop signals do nothing there (POSIX 2.4.3).
    if info.signal != SIGSTOP && process.group().is_orphaned() {
        return;
    }
    if !process.stop.stop(info.signal) {
        return;
    }
    process.report(Change::Stopped(info.signal));
    for other in process.threads() {
        if !Arc::ptr_eq(&other, thread) {
            other.interrupt();
        }
    }
}

fn die(thread: &Arc<Thread>, signal: u8) -> Flow {
    let status = Status::Signaled(signal);
    thread.core().process().end(status);
    Flow::Exit(status)
}
