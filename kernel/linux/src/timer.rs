//! Interval timers: alarm(2), getitimer(2), setitimer(2).
//!
//! The real timer is a kernel task that sleeps until the expiry; arming again replaces it. The virtual and
//! profiling timers count CPU time and are not there yet.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::process::Process;
use crate::signal::queue::Info;
use crate::signal::send;
use crate::signal::set::SIGALRM;
use crate::time::{SECOND, Timeval};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;
use task::Task;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const ITIMER_REAL: u64 = 0;

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
    /// Counts up at every arming, so that an older task knows that it is no longer meant.
    generation: AtomicU64,
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    /// Next expiry in nanoseconds since boot; 0: disarmed.
    next: u64,
    interval: u64,
    task: Option<Arc<Task>>,
}

impl IntervalTimers {
    /// Disarms everything.
    pub fn stop(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let mut state = self.state.lock();
        state.next = 0;
        if let Some(task) = state.task.take() {
            task.kill();
        }
    }

    fn get(&self) -> Interval {
        let state = self.state.lock();
        let left = if state.next == 0 {
            0
        } else {
            state.next.saturating_sub(machine::time::now()).max(1000)
        };
        Interval {
            interval: Timeval::from_nanoseconds(state.interval),
            value: Timeval::from_nanoseconds(left),
        }
    }

    fn set(&self, process: &Arc<Process>, value: u64, interval: u64) -> Result<Interval, Errno> {
        let before = self.get();
        self.stop();
        let mut state = self.state.lock();
        state.interval = interval;
        if value != 0 {
            let next = machine::time::now().saturating_add(value);
            let generation = self.generation.load(Ordering::Acquire);
            state.next = next;
            state.task = Some(task::spawn(
                "alarm",
                run(Arc::downgrade(process), generation, next),
            )?);
        }
        Ok(before)
    }
}

async fn run(process: Weak<Process>, generation: u64, mut next: u64) {
    loop {
        if task::sleep_until(next).await.is_err() {
            return;
        }
        let Some(process) = process.upgrade() else {
            return;
        };
        let timers = &process.timers;
        {
            let mut state = timers.state.lock();
            if timers.generation.load(Ordering::Acquire) != generation {
                return;
            }
            state.next = if state.interval == 0 {
                0
            } else {
                next.saturating_add(state.interval)
            };
            next = state.next;
            if next == 0 {
                state.task = None;
            }
        }
        // SIGALRM is a standard signal: it never overflows the queue.
        let _ = send::to_process(&process, Info::kernel(SIGALRM));
        if next == 0 {
            return;
        }
    }
}

pub fn alarm(call: &mut Call<'_>, [seconds, ..]: Args) -> Answer {
    let process = call.process();
    let before = process
        .timers
        .set(process, u64::from(seconds as u32) * SECOND, 0)?;
    let left = before.value.nanoseconds()?;
    // Rounded to the nearest second, but never to 0 while there is time left.
    Ok(if left == 0 {
        0
    } else {
        ((left + SECOND / 2) / SECOND).max(1) as usize
    })
}

pub async fn getitimer(call: &mut Call<'_>, [which, to, ..]: Args) -> Answer {
    check(which)?;
    call.write(to, &call.process().timers.get()).await?;
    Ok(0)
}

pub async fn setitimer(call: &mut Call<'_>, [which, from, to, ..]: Args) -> Answer {
    check(which)?;
    let wanted = if from == 0 {
        Interval::default()
    } else {
        call.read::<Interval>(from).await?
    };
    let (value, interval) = (wanted.value.nanoseconds()?, wanted.interval.nanoseconds()?);
    let process = call.process();
    let before = process.timers.set(process, value, interval)?;
    call.write_if(to, &before).await?;
    Ok(0)
}

fn check(which: u64) -> Result<(), Errno> {
    if which == ITIMER_REAL {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}
