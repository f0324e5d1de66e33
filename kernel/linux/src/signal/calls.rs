//! The signal calls.

use super::action::Action;
use super::frame::{self, SS_AUTODISARM, SS_DISABLE, Stack};
use super::queue::{Fields, Info, SI_TKILL, SI_USER};
use super::send;
use super::set::{NSIG, Set, Signal, valid};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::jobs::Group;
use crate::process::Process;
use crate::realm;
use crate::thread::{Restart, Thread};
use crate::time::{Timespec, sleeping};
use crate::{futex, poll};
use abi::Rights;
use alloc::sync::Arc;
use task::{WaitError, WaitQueue};

const SIGSET_SIZE: u64 = 8;
const SIG_BLOCK: u64 = 0;
const SIG_UNBLOCK: u64 = 1;
const SIG_SETMASK: u64 = 2;
const MINSIGSTKSZ: u64 = 2048;

fn check_size(size: u64) -> Result<(), Errno> {
    if size == SIGSET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

pub fn rt_sigaction(call: &mut Call<'_>, [signal, new, old, size, ..]: Args) -> Answer {
    check_size(size)?;
    let signal = valid(signal).ok_or(Errno::EINVAL)?;
    let action = if new == 0 {
        None
    } else {
        Some(call.load::<Action>(new)?)
    };
    if action.is_some() && Set::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    let actions = call.process().actions();
    let before = match action {
        Some(mut action) => {
            action.mask = Set(action.mask).without(Set::UNBLOCKABLE).0;
            let before = actions.set(signal, action);
            if action.ignores(signal) {
                forget(call.process(), signal);
            } else if before.ignores(signal) {
                call.process().posix_timers.heard(signal);
            }
            before
        }
        None => actions.get(signal),
    };
    call.store_if(old, &before)?;
    Ok(0)
}

/// Ignoring a signal discards it where it is pending.
fn forget(process: &Arc<Process>, signal: Signal) {
    process.pending.lock().discard(Set::of(signal));
    for thread in process.threads() {
        thread.pending.lock().discard(Set::of(signal));
    }
}

pub fn rt_sigprocmask(call: &mut Call<'_>, [how, new, old, size, ..]: Args) -> Answer {
    check_size(size)?;
    let before = call.thread.mask();
    if new != 0 {
        let given = Set(call.load::<u64>(new)?);
        let mask = match how {
            SIG_BLOCK => before.with(given),
            SIG_UNBLOCK => before.without(given),
            SIG_SETMASK => given,
            _ => return Err(Errno::EINVAL),
        };
        call.thread.set_mask(mask);
    }
    call.store_if(old, &before.0)?;
    Ok(0)
}

pub async fn rt_sigpending(call: &mut Call<'_>, [to, size, ..]: Args) -> Answer {
    if size > SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let pending = call
        .thread
        .pending
        .lock()
        .set()
        .with(call.process().pending_set());
    let pending = pending.and(call.thread.mask());
    call.write(to, &pending.0).await?;
    Ok(0)
}

pub async fn rt_sigsuspend(call: &mut Call<'_>, [mask, size, ..]: Args) -> Answer {
    check_size(size)?;
    let mask = Set(call.read::<u64>(mask).await?);
    call.thread.replace_mask_for_call(mask);
    sleep_until_signal().await
}

pub async fn pause(_: &mut Call<'_>, _: Args) -> Answer {
    sleep_until_signal().await
}

/// Waits for nothing but a signal.
async fn sleep_until_signal() -> Answer {
    let nothing = WaitQueue::new();
    // The condition never holds, so the only way out is the interruption.
    match nothing.wait_until(|| None::<()>).await {
        Ok(()) => Ok(0),
        Err(_) => Err(Errno::ERESTARTNOHAND),
    }
}

pub async fn rt_sigtimedwait(
    call: &mut Call<'_>,
    [wanted, info, timeout, size, ..]: Args,
) -> Answer {
    check_size(size)?;
    let wanted = Set(call.read::<u64>(wanted).await?).without(Set::UNBLOCKABLE);
    let until = match timeout {
        0 => None,
        timeout => {
            let length = call.read::<Timespec>(timeout).await?.nanoseconds()?;
            Some(machine::time::now().saturating_add(length).into())
        }
    };
    let thread = call.thread.clone();
    let take = || {
        let own = thread.pending.lock().take(wanted);
        own.or_else(|| thread.process().pending.lock().take(wanted))
    };
    let found = match take() {
        Some(found) => Some(found),
        None => {
            let nothing = WaitQueue::new();
            thread.set_awaited(wanted);
            let outcome = nothing.wait_until_by(until, take).await;
            thread.set_awaited(Set::EMPTY);
            match outcome {
                Ok(found) => Some(found),
                Err(WaitError::TimedOut) => None,
                // The interruption may be the awaited signal itself.
                Err(_) => Some(take().ok_or(Errno::EINTR)?),
            }
        }
    };
    let found = found.ok_or(Errno::EAGAIN)?;
    if info != 0 {
        crate::user::write_bytes(call.space, info as usize, &found.to_bytes()).await?;
    }
    Ok(usize::from(found.signal))
}

pub async fn sigaltstack(call: &mut Call<'_>, [new, old, ..]: Args) -> Answer {
    let pointer = call.user.registers.rsp;
    let current = call.thread.alternate_stack();
    let given = if new == 0 {
        None
    } else {
        Some(call.read::<Stack>(new).await?)
    };
    if let Some(stack) = given {
        if frame::on_stack(&current, pointer) {
            return Err(Errno::EPERM);
        }
        let flags = stack.flags & !SS_AUTODISARM;
        if flags & !(SS_DISABLE | frame::SS_ONSTACK) != 0 {
            return Err(Errno::EINVAL);
        }
        if flags & SS_DISABLE == 0 && stack.size < MINSIGSTKSZ {
            return Err(Errno::ENOMEM);
        }
        let kept = stack.flags & (SS_DISABLE | SS_AUTODISARM);
        let stack = if kept & SS_DISABLE == 0 {
            Stack {
                flags: kept,
                ..stack
            }
        } else {
            Stack {
                flags: kept,
                ..Stack::default()
            }
        };
        call.thread.set_alternate_stack(stack);
    }
    let report = Stack {
        flags: frame::stack_flags(&current, pointer),
        ..current
    };
    call.write_if(old, &report).await?;
    Ok(0)
}

pub fn rt_sigreturn(call: &mut Call<'_>, _: Args) -> Answer {
    match frame::pop(call.thread, call.space, call.user) {
        Ok(value) => {
            call.user.registers.rax = value as u64;
            call.registers_set = true;
        }
        Err(_) => {
            send::force(call.thread, Info::kernel(super::set::SIGSEGV));
            call.registers_set = true;
        }
    }
    Ok(0)
}

pub async fn restart_syscall(call: &mut Call<'_>, _: Args) -> Answer {
    match call.thread.take_restart() {
        Some(Restart::Sleep { until, remaining }) => sleeping::sleep(call, until, remaining).await,
        Some(Restart::SleepWhileUsed {
            clock,
            until,
            remaining,
        }) => sleeping::resume_while_used(call, clock, until, remaining).await,
        Some(Restart::Poll {
            descriptors,
            count,
            until,
        }) => poll::resume(call, descriptors, count, until).await,
        Some(Restart::Futex {
            address,
            value,
            flags,
            until,
            bits,
        }) => futex::wait(call, address, value, flags, until, bits).await,
        None => Err(Errno::EINTR),
    }
}

/// A signal number that may also be 0, "is it there?".
fn valid_or_zero(number: u64) -> Result<Option<Signal>, Errno> {
    match number as u32 as usize {
        0 => Ok(None),
        number if number < NSIG => Ok(Some(number as Signal)),
        _ => Err(Errno::EINVAL),
    }
}

pub fn kill(call: &mut Call<'_>, [pid, signal, ..]: Args) -> Answer {
    let signal = valid_or_zero(signal)?;
    let caller = call.process().clone();
    match pid as u32 as i32 {
        pid if pid > 0 => {
            let core = process::find(pid as u32).ok_or(Errno::ESRCH)?;
            match Process::of(&core) {
                Some(target) => one(&caller, &target, signal)?,
                None if !realm::knows(call.thread.core().process(), &core, Rights::LIST) => {
                    return Err(Errno::ESRCH);
                }
                // A native process is reached by handles only.
                None => return Err(Errno::EPERM),
            }
        }
        i32::MIN => return Err(Errno::ESRCH),
        0 => many(&caller, caller.group().members(), signal)?,
        -1 => {
            let others = process::all();
            let others = others
                .iter()
                .filter(|core| core.id() != 1 && core.id() != caller.id());
            many(
                &caller,
                others.filter_map(|core| Process::of(core)).collect(),
                signal,
            )?;
        }
        group => {
            let group = Group::find(group.unsigned_abs()).ok_or(Errno::ESRCH)?;
            many(&caller, group.members(), signal)?;
        }
    }
    Ok(0)
}

fn one(caller: &Arc<Process>, target: &Arc<Process>, signal: Option<Signal>) -> Result<(), Errno> {
    caller.may_signal(target, signal.unwrap_or(0))?;
    match signal {
        Some(signal) => send::to_process(target, sent_by(caller, signal, SI_USER)),
        None => Ok(()),
    }
}

/// Succeeds if one of the targets could be signalled.
fn many(
    caller: &Arc<Process>,
    targets: alloc::vec::Vec<Arc<Process>>,
    signal: Option<Signal>,
) -> Result<(), Errno> {
    let mut outcome = Err(Errno::ESRCH);
    for target in targets {
        match one(caller, &target, signal) {
            Ok(()) => outcome = Ok(()),
            Err(errno) if outcome.is_err() => outcome = Err(errno),
            Err(_) => {}
        }
    }
    outcome
}

fn sent_by(caller: &Process, signal: Signal, code: i32) -> Info {
    Info::from_process(signal, code, caller.id(), caller.identity().real_uid)
}

pub fn tkill(call: &mut Call<'_>, [tid, signal, ..]: Args) -> Answer {
    to_thread(call, None, tid, signal)
}

pub fn tgkill(call: &mut Call<'_>, [pid, tid, signal, ..]: Args) -> Answer {
    if (pid as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    to_thread(call, Some(pid as u32), tid, signal)
}

fn to_thread(call: &mut Call<'_>, pid: Option<u32>, tid: u64, signal: u64) -> Answer {
    if (tid as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    let signal = valid_or_zero(signal)?;
    let caller = call.process();
    let target = find_thread(call, tid as u32).ok_or(Errno::ESRCH)?;
    if pid.is_some_and(|pid| pid != target.process().id()) {
        return Err(Errno::ESRCH);
    }
    caller.may_signal(target.process(), signal.unwrap_or(0))?;
    if let Some(signal) = signal {
        send::to_thread(&target, sent_by(caller, signal, SI_TKILL))?;
    }
    Ok(0)
}

fn find_thread(call: &Call<'_>, tid: u32) -> Option<Arc<Thread>> {
    if tid == call.thread.id() {
        return Some(call.thread.clone());
    }
    Thread::of(&*process::find_thread(tid)?)
}

/// `siginfo_t` as a program gives it, for a signal that it queues.
struct Given {
    code: i32,
    fields: Fields,
}

async fn given_info(call: &Call<'_>, address: u64) -> Result<Given, Errno> {
    let words: [u32; 32] = call.read(address).await?;
    let value = u64::from(words[6]) | u64::from(words[7]) << 32;
    Ok(Given {
        code: words[2] as i32,
        fields: Fields::Sender {
            pid: words[4],
            uid: words[5],
            value,
        },
    })
}

/// Nobody may pretend that the kernel, or kill, has sent it to somebody else.
fn may_pretend(caller: &Arc<Process>, target: &Arc<Process>, code: i32) -> Result<(), Errno> {
    let claims = code >= 0 || code == SI_TKILL;
    if claims && !Arc::ptr_eq(target, caller) {
        Err(Errno::EPERM)
    } else {
        Ok(())
    }
}

pub async fn rt_sigqueueinfo(call: &mut Call<'_>, [pid, signal, info, ..]: Args) -> Answer {
    let Given { code, fields } = given_info(call, info).await?;
    let signal = valid_or_zero(signal)?;
    let caller = call.process();
    let target = call.process().find(pid as u32).ok_or(Errno::ESRCH)?;
    may_pretend(caller, &target, code)?;
    caller.may_signal(&target, signal.unwrap_or(0))?;
    if let Some(signal) = signal {
        send::to_process(
            &target,
            Info {
                signal,
                code,
                fields,
            },
        )?;
    }
    Ok(0)
}

pub async fn rt_tgsigqueueinfo(call: &mut Call<'_>, [pid, tid, signal, info, ..]: Args) -> Answer {
    let Given { code, fields } = given_info(call, info).await?;
    if (pid as i32) <= 0 || (tid as i32) <= 0 {
        return Err(Errno::EINVAL);
    }
    let signal = valid_or_zero(signal)?;
    let caller = call.process();
    let target = find_thread(call, tid as u32).ok_or(Errno::ESRCH)?;
    if target.process().id() != pid as u32 {
        return Err(Errno::ESRCH);
    }
    may_pretend(caller, target.process(), code)?;
    caller.may_signal(target.process(), signal.unwrap_or(0))?;
    if let Some(signal) = signal {
        send::to_thread(
            &target,
            Info {
                signal,
                code,
                fields,
            },
        )?;
    }
    Ok(0)
}
