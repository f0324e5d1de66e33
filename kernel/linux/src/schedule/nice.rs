//! Niceness: getpriority(2), setpriority(2).

use super::{find, has_privilege, nice, owns};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::jobs::Group;
use crate::process::Process;
use crate::realm;
use abi::Rights;
use alloc::sync::Arc;
use alloc::vec::Vec;

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
            Ok(()) => {
                if let Some(task) = thread.task() {
                    task.set_nice(wanted);
                }
            }
            Err(errno) => outcome = Err(errno),
        }
    }
    outcome
}

/// Only its owner may make a thread nicer, and only root less nice than the thread's `RLIMIT_NICE` says.
fn may_set(call: &Call<'_>, thread: &Arc<process::Thread>, wanted: i8) -> Result<(), Errno> {
    if !realm::knows(
        call.thread.core().process(),
        thread.process(),
        Rights::SIGNAL,
    ) {
        Err(Errno::EPERM)
    } else if has_privilege(call) {
        Ok(())
    } else if !owns(call, thread) {
        Err(Errno::EPERM)
    } else if wanted < nice(thread) && !may_be(thread, wanted) {
        Err(Errno::EACCES)
    } else {
        Ok(())
    }
}

/// Whether the limit of a thread allows this niceness.
pub(super) fn may_be(thread: &process::Thread, nice: i8) -> bool {
    let limit = Process::of(thread.process()).map_or(0, |process| process.limits.lock().nice());
    u64::from((20 - i32::from(nice)) as u32) <= limit
}

/// The threads that `which` and `who` mean: one thread, or all of a group's or a user's processes.
fn targets(call: &Call<'_>, which: u64, who: u64) -> Result<Vec<Arc<process::Thread>>, Errno> {
    const PRIO_PROCESS: u64 = 0;
    const PRIO_PGRP: u64 = 1;
    const PRIO_USER: u64 = 2;
    let who = who as u32;
    let chosen: Vec<Arc<Process>> = match which {
        PRIO_PROCESS => {
            return Ok(find(call, u64::from(who), Rights::LIST)
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
    let caller = call.thread.core().process();
    let threads = chosen.iter().flat_map(|process| process.threads());
    let cores = threads.map(|thread| thread.core().clone());
    Ok(cores
        .filter(|core| realm::knows(caller, core.process(), Rights::LIST))
        .collect())
}
