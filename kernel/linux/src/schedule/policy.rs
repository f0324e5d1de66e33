//! Policies and their priorities: sched_setscheduler(2), sched_setparam(2) and the questions about them.

use super::affinity;
use super::nice::may_be;
use super::{class, fair, find, has_privilege, nice, owns, side};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::process::Process;
use crate::time::Timespec;
use crate::timer::realtime;
use abi::{Error, Rights};
use core::sync::atomic::Ordering;
use task::policy::{Class, HIGHEST_PRIORITY, IDLE_WEIGHT, Manner, QUANTUM, Reservation, SLICE};

const SCHED_OTHER: u64 = 0;
const SCHED_FIFO: u64 = 1;
const SCHED_RR: u64 = 2;
const SCHED_BATCH: u64 = 3;
const SCHED_IDLE: u64 = 5;
const SCHED_DEADLINE: u64 = 6;
const SCHED_RESET_ON_FORK: u64 = 0x4000_0000;

/// What a thread shall be, as the calls say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// `None`: as it is.
    pub policy: Option<u64>,
    pub resets: bool,
    pub nice: i8,
    pub priority: u32,
    pub reservation: Reservation,
}

impl Wanted {
    /// What a thread is now.
    pub fn of(thread: &process::Thread) -> Wanted {
        let class = class(thread);
        let (policy, priority) = number(&class);
        Wanted {
            policy: Some(policy),
            resets: side(thread).is_some_and(|side| side.reset_on_fork.load(Ordering::Relaxed)),
            nice: thread.task().map_or(0, |task| task.nice()),
            priority: u32::from(priority),
            reservation: match class {
                Class::Deadline(reservation) => reservation,
                _ => Reservation::default(),
            },
        }
    }
}

/// The policy's number, and its priority.
pub fn number(class: &Class) -> (u64, u8) {
    match *class {
        Class::Deadline(_) => (SCHED_DEADLINE, 0),
        Class::Realtime {
            priority,
            rotates: false,
        } => (SCHED_FIFO, priority),
        Class::Realtime { priority, .. } => (SCHED_RR, priority),
        Class::Fair { manner, .. } => match manner {
            Manner::Prompt => (SCHED_OTHER, 0),
            Manner::Batch => (SCHED_BATCH, 0),
            Manner::Idle => (SCHED_IDLE, 0),
        },
    }
}

/// The class that is asked for.
fn class_of(policy: u64, wanted: &Wanted) -> Result<Class, Errno> {
    let class = match policy {
        SCHED_OTHER => fair(wanted.nice, Manner::Prompt),
        SCHED_BATCH => fair(wanted.nice, Manner::Batch),
        SCHED_IDLE => Class::Fair {
            weight: IDLE_WEIGHT,
            manner: Manner::Idle,
        },
        SCHED_FIFO | SCHED_RR => {
            let priority = u8::try_from(wanted.priority).map_err(|_| Errno::EINVAL)?;
            if !(1..=HIGHEST_PRIORITY).contains(&priority) {
                return Err(Errno::EINVAL);
            }
            return Ok(Class::Realtime {
                priority,
                rotates: policy == SCHED_RR,
            });
        }
        SCHED_DEADLINE => Class::Deadline(reservation(wanted.reservation)?),
        _ => return Err(Errno::EINVAL),
    };
    if wanted.priority != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(class)
}

/// Linux's limits for periods: 100 us to about 4 s.
fn reservation(mut wanted: Reservation) -> Result<Reservation, Errno> {
    if wanted.period == 0 {
        wanted.period = wanted.deadline;
    }
    if wanted.is_valid() && (100_000..=1000 << 22).contains(&wanted.period) {
        Ok(wanted)
    } else {
        Err(Errno::EINVAL)
    }
}

/// Makes a thread what is wanted, if the caller may.
pub(super) fn set(call: &Call<'_>, thread: &process::Thread, wanted: &Wanted) -> Result<(), Errno> {
    let old = class(thread);
    let (old_policy, _) = number(&old);
    let policy = wanted.policy.unwrap_or(old_policy);
    let new = class_of(policy, wanted)?;
    if !has_privilege(call) && !may_without_privilege(call, thread, wanted, &old, &new) {
        return Err(Errno::EPERM);
    }
    let task = thread.task().ok_or(Errno::ESRCH)?;
    if matches!(new, Class::Deadline(_)) && !affinity::is_whole(task) {
        return Err(Errno::EPERM);
    }
    if policy == SCHED_OTHER || policy == SCHED_BATCH {
        task.set_nice(wanted.nice);
    }
    task.set_class(new).map_err(|error| match error {
        Error::Closed => Errno::ESRCH,
        other => other.into(),
    })?;
    if let Some(side) = side(thread) {
        side.reset_on_fork.store(wanted.resets, Ordering::Relaxed);
        realtime::watch(&side, &new)?;
    }
    Ok(())
}

/// What sched(7) allows to whoever has no privilege.
fn may_without_privilege(
    call: &Call<'_>,
    thread: &process::Thread,
    wanted: &Wanted,
    old: &Class,
    new: &Class,
) -> bool {
    let now = thread.task().map_or(0, |task| task.nice());
    let limit = Process::of(thread.process())
        .map_or(0, |process| process.limits.lock().realtime_priority());
    let allowed = match new {
        Class::Deadline(_) => false,
        Class::Realtime { priority, .. } => {
            let same = number(old).0 == number(new).0;
            (same || limit > 0) && (*priority <= old_priority(old) || u64::from(*priority) <= limit)
        }
        Class::Fair { manner, .. } => {
            let leaves_idle = matches!(
                old,
                Class::Fair {
                    manner: Manner::Idle,
                    ..
                }
            ) && *manner != Manner::Idle;
            let nicer =
                *manner == Manner::Idle || wanted.nice >= now || may_be(thread, wanted.nice);
            nicer && (!leaves_idle || may_be(thread, now))
        }
    };
    let resets = side(thread).is_some_and(|side| side.reset_on_fork.load(Ordering::Relaxed));
    allowed && owns(call, thread) && (wanted.resets || !resets)
}

fn old_priority(class: &Class) -> u8 {
    number(class).1
}

/// The priorities that a policy has.
pub(super) fn priorities(policy: u64) -> Result<core::ops::RangeInclusive<u8>, Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(1..=HIGHEST_PRIORITY),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok(0..=0),
        _ => Err(Errno::EINVAL),
    }
}

pub fn sched_get_priority_max(_: &mut Call<'_>, [policy, ..]: Args) -> Answer {
    Ok(usize::from(*priorities(policy)?.end()))
}

pub fn sched_get_priority_min(_: &mut Call<'_>, [policy, ..]: Args) -> Answer {
    Ok(usize::from(*priorities(policy)?.start()))
}

pub fn sched_getscheduler(call: &mut Call<'_>, [pid, ..]: Args) -> Answer {
    positive(pid)?;
    let now = Wanted::of(&*find(call, pid, Rights::LIST)?);
    let flag = if now.resets { SCHED_RESET_ON_FORK } else { 0 };
    Ok((now.policy.unwrap_or(SCHED_OTHER) | flag) as usize)
}

pub fn sched_getparam(call: &mut Call<'_>, [pid, to, ..]: Args) -> Answer {
    if to == 0 {
        return Err(Errno::EINVAL);
    }
    positive(pid)?;
    let now = Wanted::of(&*find(call, pid, Rights::LIST)?);
    call.store(to, &now.priority)?;
    Ok(0)
}

pub fn sched_setscheduler(call: &mut Call<'_>, [pid, policy, from, ..]: Args) -> Answer {
    if (policy as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    set_priority(call, pid, from, Some(u64::from(policy as u32)))
}

pub fn sched_setparam(call: &mut Call<'_>, [pid, from, ..]: Args) -> Answer {
    set_priority(call, pid, from, None)
}

fn set_priority(call: &Call<'_>, pid: u64, from: u64, policy: Option<u64>) -> Answer {
    if from == 0 {
        return Err(Errno::EINVAL);
    }
    positive(pid)?;
    let priority = call.load::<u32>(from)?;
    let thread = find(call, pid, Rights::SIGNAL)?;
    let now = Wanted::of(&thread);
    let wanted = Wanted {
        policy: policy.map(|policy| policy & !SCHED_RESET_ON_FORK),
        resets: policy.map_or(now.resets, |policy| policy & SCHED_RESET_ON_FORK != 0),
        nice: nice(&thread),
        priority,
        reservation: Reservation::default(),
    };
    set(call, &thread, &wanted)?;
    Ok(0)
}

/// How long a turn is: of a quantum, of a slice; 0 where there are no turns.
pub fn sched_rr_get_interval(call: &mut Call<'_>, [pid, to, ..]: Args) -> Answer {
    positive(pid)?;
    let thread = find(call, pid, Rights::LIST)?;
    let interval = match class(&thread) {
        Class::Realtime { rotates: true, .. } => QUANTUM,
        Class::Realtime { .. } | Class::Deadline(_) => 0,
        Class::Fair { .. } => SLICE,
    };
    call.store(to, &Timespec::from_nanoseconds(interval))?;
    Ok(0)
}

pub(super) fn positive(pid: u64) -> Result<(), Errno> {
    if (pid as i32) < 0 {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}
