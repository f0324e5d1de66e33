//! The three timers of a process: alarm(2), getitimer(2), setitimer(2), and the limit of CPU time (`RLIMIT_CPU`).
//!
//! Each is a kernel task that sleeps until the earliest time at which it could go off, and looks again. Arming again
//! replaces it. The virtual timer and the profiling timer both count the CPU time of all threads, in user mode and in
//! the kernel: the two are not told apart.

use super::schedule::Schedule;
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::limits::INFINITY;
use crate::process::Process;
use crate::signal::queue::Info;
use crate::signal::send;
use crate::signal::set::{SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU, Signal};
use crate::time::{SECOND, Timeval};
use alloc::sync::{Arc, Weak};
use machine::sync::Spin;
use task::Task;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which clock a timer follows, and which signal it sends: `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Real,
    Virtual,
    Profiling,
}

impl Which {
    fn new(number: u64) -> Result<Which, Errno> {
        match number {
            0 => Ok(Which::Real),
            1 => Ok(Which::Virtual),
            2 => Ok(Which::Profiling),
            _ => Err(Errno::EINVAL),
        }
    }

    fn signal(self) -> Signal {
        match self {
            Which::Real => SIGALRM,
            Which::Virtual => SIGVTALRM,
            Which::Profiling => SIGPROF,
        }
    }

    /// The time on its clock, in nanoseconds.
    fn now(self, process: &Process) -> u64 {
        match self {
            Which::Real => machine::time::now(),
            Which::Virtual | Which::Profiling => cpu_time(process),
        }
    }

    /// The time since boot before which the clock cannot show `time`. At least a moment from now, so that a timer with a
    /// tiny interval leaves the CPU to others.
    fn earliest(self, process: &Process, time: u64) -> u64 {
        const MOMENT: u64 = 50_000;
        match self {
            Which::Real => time.max(machine::time::now().saturating_add(MOMENT)),
            Which::Virtual | Which::Profiling => cpu_earliest(process, time),
        }
    }
}

fn cpu_time(process: &Process) -> u64 {
    process.core().map_or(0, |core| core.cpu_time())
}

/// The time since boot before which the process cannot have used `time`, and a moment more: a look costs something.
fn cpu_earliest(process: &Process, time: u64) -> u64 {
    const MOMENT: u64 = 200_000;
    let left = time.saturating_sub(cpu_time(process));
    let at_once = machine::cpu::count().max(1) as u64;
    machine::time::now().saturating_add((left / at_once).max(MOMENT))
}

/// `struct itimerval`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Interval {
    interval: Timeval,
    value: Timeval,
}

/// The timers of a process.
#[derive(Default)]
pub struct IntervalTimers {
    timers: [Spin<State>; 3],
    /// Watches the limit of CPU time.
    limit: Spin<Option<Arc<Task>>>,
}

#[derive(Default)]
struct State {
    /// Counts up at every arming, so that an older task knows that it is no longer meant.
    generation: u64,
    /// On the timer's clock.
    schedule: Schedule,
    task: Option<Arc<Task>>,
}

impl State {
    fn disarm(&mut self) {
        self.generation += 1;
        self.schedule = Schedule::default();
        if let Some(task) = self.task.take() {
            task.kill();
        }
    }
}

impl IntervalTimers {
    fn of(&self, which: Which) -> &Spin<State> {
        let [real, virtual_time, profiling] = &self.timers;
        match which {
            Which::Real => real,
            Which::Virtual => virtual_time,
            Which::Profiling => profiling,
        }
    }

    /// Disarms everything.
    pub fn stop(&self) {
        for timer in &self.timers {
            timer.lock().disarm();
        }
        if let Some(task) = self.limit.lock().take() {
            task.kill();
        }
    }

    fn get(&self, process: &Process, which: Which) -> Interval {
        let state = self.of(which).lock();
        let setting = state.schedule.setting(which.now(process));
        // What is armed does not show 0.
        let left = state.schedule.next().map_or(0, |_| setting.value.max(1000));
        Interval {
            interval: Timeval::from_nanoseconds(setting.interval),
            value: Timeval::from_nanoseconds(left),
        }
    }

    fn set(
        &self,
        process: &Arc<Process>,
        which: Which,
        value: u64,
        interval: u64,
    ) -> Result<Interval, Errno> {
        let before = self.get(process, which);
        let mut state = self.of(which).lock();
        state.disarm();
        let next = (value != 0).then(|| which.now(process).saturating_add(value));
        state.schedule = Schedule::new(next, interval);
        if let Some(next) = next {
            let life = run(Arc::downgrade(process), which, state.generation, next);
            state.task = Some(task::spawn("timer", life)?);
        }
        Ok(before)
    }
}

/// The life of one armed timer.
async fn run(process: Weak<Process>, which: Which, generation: u64, mut next: u64) {
    let mut first = which == Which::Real;
    loop {
        let Some(earliest) = process
            .upgrade()
            .map(|process| which.earliest(&process, next))
        else {
            return;
        };
        // Only what repeats has to leave a pause.
        let until = if first { next } else { earliest };
        first = false;
        if task::sleep_until(until).await.is_err() {
            return;
        }
        let Some(process) = process.upgrade() else {
            return;
        };
        let now = which.now(&process);
        if now < next {
            continue;
        }
        let again = {
            let mut state = process.timers.of(which).lock();
            if state.generation != generation {
                return;
            }
            // What was missed is not made up for: its signal would have been merged with the one before.
            state.schedule.take(now);
            let again = state.schedule.next();
            if again.is_none() {
                state.task = None;
            }
            again
        };
        // A standard signal never overflows the queue.
        let _ = send::to_process(&process, Info::kernel(which.signal()));
        match again {
            Some(again) => next = again,
            None => return,
        }
    }
}

/// Begins to watch the limit of CPU time, if the process has one and nobody watches it yet.
///
/// # Errors
/// `ENOMEM`.
pub fn watch_cpu_limit(process: &Arc<Process>) -> Result<(), Errno> {
    if process.limits.lock().cpu().soft == INFINITY {
        return Ok(());
    }
    let mut watcher = process.timers.limit.lock();
    if let Some(task) = watcher.take() {
        task.kill();
    }
    *watcher = Some(task::spawn("cpu limit", watch(Arc::downgrade(process)))?);
    Ok(())
}

/// At the soft limit the process is told, and again every second; at the hard limit it ends (setrlimit(2)).
async fn watch(process: Weak<Process>) {
    let mut told = 0;
    loop {
        let Some(alive) = process.upgrade() else {
            return;
        };
        let limit = alive.limits.lock().cpu();
        if limit.soft == INFINITY {
            return;
        }
        let nanoseconds = |seconds: u64| seconds.saturating_mul(SECOND);
        let (soft, hard) = (
            nanoseconds(limit.soft).saturating_add(told),
            nanoseconds(limit.hard),
        );
        let used = cpu_time(&alive);
        if used >= hard {
            // Killing has no queue.
            let _ = send::to_process(&alive, Info::kernel(SIGKILL));
            return;
        }
        if used >= soft {
            // A standard signal never overflows the queue.
            let _ = send::to_process(&alive, Info::kernel(SIGXCPU));
            told += SECOND;
            continue;
        }
        let until = cpu_earliest(&alive, soft.min(hard));
        drop(alive);
        if task::sleep_until(until).await.is_err() {
            return;
        }
    }
}

pub fn alarm(call: &mut Call<'_>, [seconds, ..]: Args) -> Answer {
    let process = call.process();
    let value = u64::from(seconds as u32) * SECOND;
    let before = process.timers.set(process, Which::Real, value, 0)?;
    let left = before.value.nanoseconds()?;
    // Rounded to the nearest second, but never to 0 while there is time left.
    Ok(if left == 0 {
        0
    } else {
        ((left + SECOND / 2) / SECOND).max(1) as usize
    })
}

pub async fn getitimer(call: &mut Call<'_>, [which, to, ..]: Args) -> Answer {
    let which = Which::new(which)?;
    let process = call.process();
    call.write(to, &process.timers.get(process, which)).await?;
    Ok(0)
}

pub async fn setitimer(call: &mut Call<'_>, [which, from, to, ..]: Args) -> Answer {
    let which = Which::new(which)?;
    let wanted = if from == 0 {
        Interval::default()
    } else {
        call.read::<Interval>(from).await?
    };
    let (value, interval) = (wanted.value.nanoseconds()?, wanted.interval.nanoseconds()?);
    let process = call.process();
    let before = process.timers.set(process, which, value, interval)?;
    call.write_if(to, &before).await?;
    Ok(0)
}
