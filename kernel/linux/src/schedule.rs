//! The scheduler's calls: yielding, nice values, policies as far as there are any, affinity on the processors that run.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::jobs::Group;
use crate::process::Process;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// With nobody to yield to, there is no turn to take.
pub fn sched_yield_now(_: &mut Call<'_>, _: Args) -> Option<Answer> {
    (!task::others_wait()).then_some(Ok(0))
}

pub async fn sched_yield(_: &mut Call<'_>, _: Args) -> Answer {
    task::yield_now().await;
    Ok(0)
}

/// Answers 20 - nice, as the bare call does; of several, the most favoured.
pub fn getpriority(call: &mut Call<'_>, [which, who, ..]: Args) -> Answer {
    let nice = targets(call, which, who)?.iter().map(nice).min();
    Ok((20 - i32::from(nice.ok_or(Errno::ESRCH)?)) as usize)
}

pub fn setpriority(call: &mut Call<'_>, [which, who, wanted, ..]: Args) -> Answer {
    let wanted = (wanted as i32).clamp(-20, 19) as i8;
    let targets = targets(call, which, who)?;
    if targets.is_empty() {
        return Err(Errno::ESRCH);
    }
    let mut outcome = Ok(0);
    for thread in &targets {
        match may_set(call, thread, wanted) {
            Ok(()) => set_nice(thread, wanted),
            Err(errno) => outcome = Err(errno),
        }
    }
    outcome
}

fn nice(thread: &Arc<process::Thread>) -> i8 {
    thread.task().map_or(0, |task| task.nice())
}

fn set_nice(thread: &process::Thread, nice: i8) {
    if let Some(task) = thread.task() {
        task.set_nice(nice);
    }
}

/// A new thread is as nice as the one that made it.
pub fn inherit(parent: &Arc<process::Thread>, child: &process::Thread) {
    match nice(parent) {
        0 => {}
        nice => set_nice(child, nice),
    }
}

/// Only its owner may make a thread nicer, and only root less nice than `RLIMIT_NICE` says.
fn may_set(call: &Call<'_>, thread: &Arc<process::Thread>, wanted: i8) -> Result<(), Errno> {
    let caller = call.process().identity();
    if caller.effective.uid == 0 {
        return Ok(());
    }
    let owner = Process::of(thread.process()).map(|process| process.identity());
    let mine = owner.is_some_and(|owner| {
        let uid = caller.effective.uid;
        uid == owner.real_uid || uid == owner.effective.uid
    });
    let allowed = call.process().limits.lock().nice();
    if !mine {
        Err(Errno::EPERM)
    } else if wanted < nice(thread) && i64::from(20 - wanted) > allowed as i64 {
        Err(Errno::EACCES)
    } else {
        Ok(())
    }
}

/// The threads that `which` and `who` mean: one thread, or all of a group's or a user's processes.
fn targets(call: &Call<'_>, which: u64, who: u64) -> Result<Vec<Arc<process::Thread>>, Errno> {
    const PRIO_PROCESS: u64 = 0;
    const PRIO_PGRP: u64 = 1;
    const PRIO_USER: u64 = 2;
    let who = who as u32;
    let chosen: Vec<Arc<Process>> = match which {
        PRIO_PROCESS => {
            let own = (who == 0).then(|| call.thread.core().clone());
            return Ok(own
                .or_else(|| process::find_thread(who))
                .into_iter()
                .collect());
        }
        PRIO_PGRP if who == 0 => call.process().group().members(),
        PRIO_PGRP => Group::find(who).map_or_else(Vec::new, |group| group.members()),
        PRIO_USER => {
            let user = if who == 0 {
                call.process().identity().real_uid
            } else {
                who
            };
            let all = process::all()
                .into_iter()
                .filter_map(|core| Process::of(&core));
            all.filter(|process| process.identity().real_uid == user)
                .collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    let threads = chosen.iter().flat_map(|process| process.threads());
    Ok(threads.map(|thread| thread.core().clone()).collect())
}

const SCHED_OTHER: u64 = 0;
const SCHED_FIFO: u64 = 1;
const SCHED_RR: u64 = 2;
const SCHED_BATCH: u64 = 3;
const SCHED_IDLE: u64 = 5;

/// The priorities that a policy has.
fn priorities(policy: u64) -> Result<core::ops::RangeInclusive<i32>, Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(1..=99),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE => Ok(0..=0),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sched_get_priority_max(_: &mut Call<'_>, [policy, ..]: Args) -> Answer {
    Ok(*priorities(policy)?.end() as usize)
}

pub fn sched_get_priority_min(_: &mut Call<'_>, [policy, ..]: Args) -> Answer {
    Ok(*priorities(policy)?.start() as usize)
}

fn check_target(call: &Call<'_>, pid: u64) -> Result<(), Errno> {
    if (pid as i32) < 0 {
        Err(Errno::EINVAL)
    } else {
        find(call, pid)
    }
}

/// Every thread has the ordinary policy.
pub fn sched_getscheduler(call: &mut Call<'_>, [pid, ..]: Args) -> Answer {
    check_target(call, pid)?;
    Ok(SCHED_OTHER as usize)
}

pub async fn sched_getparam(call: &mut Call<'_>, [pid, to, ..]: Args) -> Answer {
    if to == 0 {
        return Err(Errno::EINVAL);
    }
    check_target(call, pid)?;
    call.write(to, &0i32).await?;
    Ok(0)
}

/// The other policies exist, but nobody has the privilege: `EPERM`.
pub async fn sched_setscheduler(call: &mut Call<'_>, [pid, policy, from, ..]: Args) -> Answer {
    if from == 0 {
        return Err(Errno::EINVAL);
    }
    let priority = call.read::<i32>(from).await?;
    check_target(call, pid)?;
    if !priorities(policy)?.contains(&priority) {
        return Err(Errno::EINVAL);
    }
    if policy == SCHED_OTHER {
        Ok(0)
    } else {
        Err(Errno::EPERM)
    }
}

pub async fn sched_setparam(call: &mut Call<'_>, [pid, from, ..]: Args) -> Answer {
    sched_setscheduler(call, [pid, SCHED_OTHER, from, 0, 0, 0]).await
}

/// Accepts any set that names a processor that runs: with one processor there is nothing to move.
pub async fn sched_setaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    find(call, pid)?;
    let mut bytes: Vec<u8> = alloc::vec![0; (size as usize).min(128)];
    crate::user::read_bytes(call.space, mask as usize, &mut bytes).await?;
    let named = (0..machine::cpu::count()).any(|cpu| {
        bytes
            .get(cpu / 8)
            .is_some_and(|byte| byte >> (cpu % 8) & 1 != 0)
    });
    if named { Ok(0) } else { Err(Errno::EINVAL) }
}

pub async fn sched_getaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    find(call, pid)?;
    let count = machine::cpu::count();
    if size < 8 || size % 8 != 0 {
        return Err(Errno::EINVAL);
    }
    let all = if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    };
    call.write(mask, &all).await?;
    Ok(8)
}

fn find(call: &Call<'_>, pid: u64) -> Result<(), Errno> {
    if pid == 0 || pid as u32 == call.thread.id() || process::find_thread(pid as u32).is_some() {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

pub async fn getcpu(call: &mut Call<'_>, [cpu, node, ..]: Args) -> Answer {
    call.write_if(cpu, &(machine::cpu::index() as u32)).await?;
    call.write_if(node, &0u32).await?;
    Ok(0)
}
