//! Resource limits and usage (getrlimit(2), getrusage(2), times(2)).

use crate::call::{Args, Call};
use crate::descriptors::{CEILING, DEFAULT_LIMIT};
use crate::errno::{Answer, Errno};
use crate::process::Process;
use crate::time::Timeval;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use task::Times;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const INFINITY: u64 = u64::MAX;
const COUNT: usize = 16;

const RLIMIT_CPU: usize = 0;
const RLIMIT_FSIZE: usize = 1;
const RLIMIT_DATA: usize = 2;
const RLIMIT_STACK: usize = 3;
const RLIMIT_NPROC: usize = 6;
const RLIMIT_NOFILE: usize = 7;
const RLIMIT_AS: usize = 9;
const RLIMIT_SIGPENDING: usize = 11;
const RLIMIT_NICE: usize = 13;
const RLIMIT_RTPRIO: usize = 14;
const RLIMIT_RTTIME: usize = 15;
/// Nanoseconds in a clock tick of times(2): 100 ticks a second.
const TICK: u64 = 10_000_000;

/// `struct rlimit64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

/// The limits of a process. Those of CPU time, priorities, memory, files, processes, descriptors and signals are enforced;
/// the others are remembered.
#[derive(Clone, Debug)]
pub struct Limits([Limit; COUNT]);

impl Default for Limits {
    fn default() -> Limits {
        let mut limits = [Limit {
            soft: INFINITY,
            hard: INFINITY,
        }; COUNT];
        limits[RLIMIT_STACK] = Limit {
            soft: 8 << 20,
            hard: INFINITY,
        };
        limits[4] = Limit {
            soft: 0,
            hard: INFINITY,
        };
        limits[RLIMIT_NPROC] = Limit {
            soft: 8192,
            hard: 8192,
        };
        limits[RLIMIT_NOFILE] = Limit {
            soft: DEFAULT_LIMIT as u64,
            hard: CEILING as u64,
        };
        limits[8] = Limit {
            soft: 8 << 20,
            hard: 8 << 20,
        };
        limits[RLIMIT_SIGPENDING] = Limit {
            soft: 1024,
            hard: 1024,
        };
        limits[12] = Limit {
            soft: 819_200,
            hard: 819_200,
        };
        limits[RLIMIT_NICE] = Limit { soft: 0, hard: 0 };
        limits[RLIMIT_RTPRIO] = Limit { soft: 0, hard: 0 };
        Limits(limits)
    }
}

impl Limits {
    fn get(&self, resource: u64) -> Result<Limit, Errno> {
        self.0.get(resource as usize).copied().ok_or(Errno::EINVAL)
    }

    /// CPU time, in seconds.
    pub fn cpu(&self) -> Limit {
        self.0[RLIMIT_CPU]
    }

    /// The soft limit of CPU time was reached, and the process was told: the next time in a second.
    pub fn allow_another_second(&mut self) {
        let limit = &mut self.0[RLIMIT_CPU];
        limit.soft = limit.soft.saturating_add(1).min(limit.hard);
    }

    /// What a real-time thread may use without waiting, in microseconds.
    pub fn realtime(&self) -> Limit {
        self.0[RLIMIT_RTTIME]
    }

    /// The soft limit of that was reached, and the process was told: the next time in a second.
    pub fn allow_another_realtime_second(&mut self) {
        let limit = &mut self.0[RLIMIT_RTTIME];
        limit.soft = limit.soft.saturating_add(1_000_000).min(limit.hard);
    }

    /// How little nice a thread may be made: 20 - nice at most.
    pub fn nice(&self) -> u64 {
        self.0[RLIMIT_NICE].soft
    }

    /// The highest real-time priority that a thread may be given.
    pub fn realtime_priority(&self) -> u64 {
        self.0[RLIMIT_RTPRIO].soft
    }

    /// How long a file may be made, in bytes.
    pub fn file_size(&self) -> u64 {
        self.0[RLIMIT_FSIZE].soft
    }

    /// What an address space may use.
    pub fn space(&self) -> memory::Limits {
        let bytes = |resource: usize| usize::try_from(self.0[resource].soft).unwrap_or(usize::MAX);
        memory::Limits {
            bytes: bytes(RLIMIT_AS),
            heap: bytes(RLIMIT_DATA),
            stack: bytes(RLIMIT_STACK),
            ..memory::Limits::default()
        }
    }

    /// How far a stack may grow, in bytes, page-aligned.
    pub fn stack(&self) -> usize {
        const LARGEST: u64 = 1 << 30;
        (self.0[RLIMIT_STACK].soft.clamp(128 << 10, LARGEST) as usize) & !(machine::PAGE - 1)
    }

    /// How many real-time signals may wait for the processes of this one's user.
    pub fn pending_signals(&self) -> u64 {
        self.0[RLIMIT_SIGPENDING].soft
    }

    /// `EAGAIN` when the user has as many processes as allowed.
    pub fn check_processes(&self, uid: u32) -> Result<(), Errno> {
        let limit = self.0[RLIMIT_NPROC].soft;
        // Counting is only needed when the whole system has more than the limit.
        if limit == INFINITY || (process::count() as u64) < limit {
            return Ok(());
        }
        let mine = |core: &Arc<process::Process>| {
            Process::of(core).is_some_and(|side| side.identity().real_uid == uid)
        };
        let count = process::all().iter().filter(|core| mine(core)).count() as u64;
        if count < limit {
            Ok(())
        } else {
            Err(Errno::EAGAIN)
        }
    }

    /// As `/proc/PID/limits` shows them.
    pub fn describe(&self) -> String {
        const NAMES: [(&str, &str); COUNT] = [
            ("Max cpu time", "seconds"),
            ("Max file size", "bytes"),
            ("Max data size", "bytes"),
            ("Max stack size", "bytes"),
            ("Max core file size", "bytes"),
            ("Max resident set", "bytes"),
            ("Max processes", "processes"),
            ("Max open files", "files"),
            ("Max locked memory", "bytes"),
            ("Max address space", "bytes"),
            ("Max file locks", "locks"),
            ("Max pending signals", "signals"),
            ("Max msgqueue size", "bytes"),
            ("Max nice priority", ""),
            ("Max realtime priority", ""),
            ("Max realtime timeout", "us"),
        ];
        let show = |limit: u64| {
            if limit == INFINITY {
                String::from("unlimited")
            } else {
                format!("{limit}")
            }
        };
        let mut text = format!(
            "{:<26}{:<21}{:<21}{:<10}\n",
            "Limit", "Soft Limit", "Hard Limit", "Units"
        );
        for (limit, (name, unit)) in self.0.iter().zip(NAMES) {
            text += &format!(
                "{name:<26}{:<21}{:<21}{unit:<10}\n",
                show(limit.soft),
                show(limit.hard)
            );
        }
        text
    }

    fn set(&mut self, resource: u64, new: Limit, privileged: bool) -> Result<(), Errno> {
        let slot = self.0.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
        if new.soft > new.hard {
            return Err(Errno::EINVAL);
        }
        if new.hard > slot.hard && !privileged {
            return Err(Errno::EPERM);
        }
        if resource as usize == RLIMIT_NOFILE && new.hard > CEILING as u64 {
            return Err(Errno::EPERM);
        }
        *slot = new;
        Ok(())
    }
}

pub async fn getrlimit(call: &mut Call<'_>, [resource, to, ..]: Args) -> Answer {
    let limit = call.process().limits.lock().get(resource)?;
    call.write(to, &limit).await?;
    Ok(0)
}

pub async fn setrlimit(call: &mut Call<'_>, [resource, from, ..]: Args) -> Answer {
    let new = call.read::<Limit>(from).await?;
    apply(call.process(), call.process(), resource, new)
}

pub async fn prlimit64(call: &mut Call<'_>, [pid, resource, from, to, ..]: Args) -> Answer {
    let caller = call.process();
    let target = if pid == 0 {
        caller.clone()
    } else {
        caller.find(pid as u32).ok_or(Errno::ESRCH)?
    };
    if !Arc::ptr_eq(caller, &target) {
        caller.may_signal(&target, 0)?;
    }
    let new = if from == 0 {
        None
    } else {
        Some(call.read::<Limit>(from).await?)
    };
    let before = target.limits.lock().get(resource)?;
    if let Some(new) = new {
        apply(caller, &target, resource, new)?;
    }
    call.write_if(to, &before).await?;
    Ok(0)
}

fn apply(caller: &Process, target: &Arc<Process>, resource: u64, new: Limit) -> Answer {
    let privileged = caller.identity().effective.uid == 0;
    target.limits.lock().set(resource, new, privileged)?;
    match resource as usize {
        RLIMIT_CPU => crate::timer::watch_cpu_limit(target)?,
        RLIMIT_RTTIME => crate::timer::realtime::watch_process(target)?,
        RLIMIT_NOFILE => target.descriptors().set_limit(new.soft as usize),
        RLIMIT_FSIZE => target.file_size_limit.store(new.soft, Ordering::Relaxed),
        RLIMIT_AS | RLIMIT_DATA | RLIMIT_STACK => {
            let limits = target.limits.lock().space();
            if let Some(space) = target.core().and_then(|core| core.space()) {
                space.set_limits(limits);
            }
        }
        _ => {}
    }
    Ok(0)
}

/// `struct rusage`: times and the greatest resident size; the counters that no system keeps are zero.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Usage {
    user: Timeval,
    system: Timeval,
    /// In KiB.
    resident: u64,
    others: [u64; 3],
    /// Faults that needed no device.
    faults: u64,
    more: [u64; 9],
}

impl Usage {
    fn of(times: Times, resident_pages: usize, faults: u64) -> Usage {
        Usage {
            user: Timeval::from_nanoseconds(times.user),
            system: Timeval::from_nanoseconds(times.system),
            faults,
            resident: resident_pages as u64 * (machine::PAGE as u64 / 1024),
            ..Usage::default()
        }
    }

    /// What an ended child used, with its own children.
    pub fn of_child(child: &process::Process) -> Usage {
        Usage::of(child.times() + child.children_times(), 0, 0)
    }
}

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;

pub async fn getrusage(call: &mut Call<'_>, [who, to, ..]: Args) -> Answer {
    let core = call.thread.core().process();
    let usage = match who as i32 {
        RUSAGE_SELF => Usage::of(core.times(), call.space.resident(), call.space.faults()),
        RUSAGE_THREAD => Usage::of(
            call.thread.core().times(),
            call.space.resident(),
            call.space.faults(),
        ),
        RUSAGE_CHILDREN => Usage::of(core.children_times(), 0, 0),
        _ => return Err(Errno::EINVAL),
    };
    call.write(to, &usage).await?;
    Ok(0)
}

pub async fn times(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    let core = call.thread.core().process();
    let (own, children) = (core.times(), core.children_times());
    let ticks = [own.user, own.system, children.user, children.system].map(|time| time / TICK);
    call.write_if(to, &ticks).await?;
    Ok((machine::time::now() / TICK) as usize)
}
