//! The scheduler's calls (sched(7)): yielding, niceness, policies, processors.
//!
//! uid 0 has the privilege (`CAP_SYS_NICE`) among the processes that it knows of. What a policy means is the policy's
//! business (`task::policy`); here it gets its Linux name.

pub mod affinity;
pub mod attributes;
pub mod nice;
pub mod policy;

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::process::Process;
use crate::realm;
use crate::thread::Thread;
use abi::Rights;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use task::Terms;
use task::policy::{Class, Manner, NORMAL_WEIGHT, weight_of_nice};

/// With nobody to yield to, there is no turn to take.
pub fn sched_yield_now(_: &mut Call<'_>, _: Args) -> Option<Answer> {
    (!task::others_wait()).then_some(Ok(0))
}

pub async fn sched_yield(_: &mut Call<'_>, _: Args) -> Answer {
    task::yield_now().await;
    Ok(0)
}

/// The thread with this number, or the caller for 0, if the caller knows of it.
fn find(call: &Call<'_>, id: u64, rights: Rights) -> Result<Arc<process::Thread>, Errno> {
    let id = id as u32;
    if id == 0 || id == call.thread.id() {
        return Ok(call.thread.core().clone());
    }
    let found = process::find_thread(id).ok_or(Errno::ESRCH)?;
    let caller = call.thread.core().process();
    if realm::knows(caller, found.process(), rights) {
        Ok(found)
    } else {
        Err(Errno::ESRCH)
    }
}

/// Whether the caller is the user of that thread.
fn owns(call: &Call<'_>, thread: &process::Thread) -> bool {
    let uid = call.process().identity().effective.uid;
    Process::of(thread.process()).is_some_and(|process| {
        let owner = process.identity();
        uid == owner.real_uid || uid == owner.effective.uid
    })
}

/// `CAP_SYS_NICE`.
fn has_privilege(call: &Call<'_>) -> bool {
    call.process().identity().effective.uid == 0
}

/// The Linux side of a thread; native ones have none.
fn side(thread: &process::Thread) -> Option<Arc<Thread>> {
    Thread::of(thread)
}

/// The niceness of a thread; 0 for one that does not run yet.
fn nice(thread: &Arc<process::Thread>) -> i8 {
    thread.task().map_or(0, |task| task.nice())
}

/// How a thread competes.
fn class(thread: &process::Thread) -> Class {
    thread.task().map_or(Class::NORMAL, |task| task.class())
}

/// Whether the calling thread may have children: a reservation is not inherited (sched(7)).
///
/// # Errors
/// `EAGAIN`.
pub fn may_fork(call: &Call<'_>) -> Result<(), Errno> {
    let resets = call.thread.reset_on_fork.load(Ordering::Relaxed);
    if !resets && matches!(class(call.thread.core()), Class::Deadline(_)) {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

/// On what terms a new thread competes: as the one that makes it, unless that one said it should not.
pub fn inherited(parent: &Thread) -> Terms {
    let mut terms = Terms::ordinary();
    let Some(task) = parent.core().task() else {
        return terms;
    };
    (terms.class, terms.nice) = (task.class(), task.nice());
    if parent.reset_on_fork.load(Ordering::Relaxed) {
        terms.nice = terms.nice.max(0);
        match terms.class {
            Class::Fair { manner, .. } if manner != Manner::Idle => {
                terms.class = fair(terms.nice, manner);
            }
            Class::Fair { .. } => {}
            Class::Realtime { .. } | Class::Deadline(_) => {
                (terms.class, terms.nice) = (Class::NORMAL, 0);
            }
        }
    }
    terms
}

/// `priority`, `nice`, `rt_priority` and `policy` of `/proc/PID/stat` (proc(5)).
pub fn as_statistics(task: &task::Task) -> (i32, i8, u8, u64) {
    let (policy, own) = policy::number(&task.class());
    let priority = match task.effective_class() {
        Class::Deadline(_) => -101,
        Class::Realtime { priority, .. } => -1 - i32::from(priority),
        Class::Fair { .. } => 20 + i32::from(task.nice()),
    };
    (priority, task.nice(), own, policy)
}

/// An ordinary class of this niceness.
fn fair(nice: i8, manner: Manner) -> Class {
    let weight = match nice {
        0 => NORMAL_WEIGHT,
        nice => weight_of_nice(nice),
    };
    Class::Fair { weight, manner }
}
