//! The three timers of a process: alarm(2), getitimer(2), setitimer(2), and the limit of CPU time (`RLIMIT_CPU`).
//!
//! The one idea: each is an alarm on its clock that sends its signal and is set again. The profiling timer counts the CPU
//! time of all threads, the virtual timer what of it was user mode.

use super::MOMENT;
use super::schedule::{Schedule, Setting};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::limits::INFINITY;
use crate::process::Process;
use crate::signal::queue::Info;
use crate::signal::send;
use crate::signal::set::{SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU, Signal};
use crate::time::clock::{Alarm, Clock};
use crate::time::{SECOND, Timeval};
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;
use machine::sync::{Once, Spin};
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

    fn clock(self, process: &Process) -> Clock {
        match self {
            Which::Real => Clock::Boot,
            Which::Virtual => Clock::User(process.weak_core()),
            Which::Profiling => used(process),
        }
    }
}

/// The CPU time of the process.
fn used(process: &Process) -> Clock {
    Clock::Process(process.weak_core())
}

/// `struct itimerval`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Interval {
    interval: Timeval,
    value: Timeval,
}

impl From<Setting> for Interval {
    fn from(setting: Setting) -> Interval {
        Interval {
            interval: Timeval::from_nanoseconds(setting.interval),
            value: Timeval::from_nanoseconds(setting.value),
        }
    }
}

/// The timers of a process.
#[derive(Default)]
pub struct IntervalTimers {
    timers: [Once<Arc<Timer>>; 3],
    /// Watches the limit of CPU time.
    limit: Once<Arc<Limit>>,
}

struct Timer {
    which: Which,
    process: Weak<Process>,
    clock: Clock,
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    alarm: Option<Alarm>,
}

impl Timer {
    fn now(&self) -> u64 {
        self.clock.now().unwrap_or(0)
    }

    fn setting(&self, state: &State) -> Setting {
        let mut setting = state.schedule.setting(self.now());
        if state.schedule.next().is_some() {
            // What is armed does not show 0.
            setting.value = setting.value.max(1000);
        }
        setting
    }

    fn get(&self) -> Setting {
        self.setting(&self.state.lock())
    }

    /// Sets it, whatever it was; gives what it was.
    ///
    /// # Errors
    /// `ENOMEM`: it is not set at all then.
    fn set(self: &Arc<Timer>, wanted: Setting) -> Result<Setting, Errno> {
        let mut state = self.state.lock();
        let before = self.setting(&state);
        let old = state.alarm.take();
        let next = (wanted.value != 0).then(|| self.now().saturating_add(wanted.value));
        state.schedule = Schedule::new(next, wanted.interval);
        let armed = next.map_or(Ok(()), |next| self.watch(&mut state, next));
        if armed.is_err() {
            state.schedule = Schedule::default();
        }
        drop(state);
        drop(old);
        armed?;
        Ok(before)
    }

    fn watch(self: &Arc<Timer>, state: &mut State, next: u64) -> Result<(), Errno> {
        let waker = Waker::from(self.clone());
        state.alarm = Some(self.clock.alarm(next, waker)?);
        Ok(())
    }
}

impl Wake for Timer {
    /// Its alarm rings.
    fn wake(self: Arc<Timer>) {
        let mut state = self.state.lock();
        let now = self.now();
        // What was missed is not made up for: its signal would have been merged with the one before.
        let went_off = state.schedule.take(now) > 0;
        let alarm = state.alarm.take();
        if let Some(next) = state.schedule.next() {
            let next = match went_off {
                true => next.max(now.saturating_add(MOMENT)),
                // The alarm of an older setting.
                false => next,
            };
            // There is room: that of the alarm that rang.
            let _ = self.watch(&mut state, next);
        }
        drop(state);
        drop(alarm);
        if went_off && let Some(process) = self.process.upgrade() {
            // A standard signal never overflows the queue.
            let _ = send::to_process(&process, Info::kernel(self.which.signal()));
        }
    }
}

impl IntervalTimers {
    fn of(&self, which: Which) -> &Once<Arc<Timer>> {
        let [real, virtual_time, profiling] = &self.timers;
        match which {
            Which::Real => real,
            Which::Virtual => virtual_time,
            Which::Profiling => profiling,
        }
    }

    /// Disarms everything.
    pub fn stop(&self) {
        for timer in self.timers.iter().filter_map(Once::get) {
            // To nothing: that needs no memory.
            let _ = timer.set(Setting::default());
        }
        if let Some(limit) = self.limit.get() {
            drop(limit.alarm.lock().take());
        }
    }

    fn get(&self, which: Which) -> Setting {
        let timer = self.of(which).get();
        timer.map_or(Setting::default(), |timer| timer.get())
    }

    fn set(&self, process: &Arc<Process>, which: Which, wanted: Setting) -> Result<Setting, Errno> {
        let timer = self.of(which).get_or_init(|| {
            Arc::new(Timer {
                which,
                process: Arc::downgrade(process),
                clock: which.clock(process),
                state: Spin::default(),
            })
        });
        timer.set(wanted)
    }
}

/// Watches the limit of CPU time of a process.
struct Limit {
    process: Weak<Process>,
    alarm: Spin<Option<Alarm>>,
}

/// Begins to watch the limit of CPU time, if the process has one.
///
/// # Errors
/// `ENOMEM`.
pub fn watch_cpu_limit(process: &Arc<Process>) -> Result<(), Errno> {
    if process.limits.lock().cpu().soft == INFINITY {
        return Ok(());
    }
    let limit = process.timers.limit.get_or_init(|| {
        Arc::new(Limit {
            process: Arc::downgrade(process),
            alarm: Spin::default(),
        })
    });
    limit.watch(process)
}

impl Limit {
    /// Looks when as much was used as is allowed: all of it, or the soft limit.
    fn watch(self: &Arc<Limit>, process: &Process) -> Result<(), Errno> {
        let limit = process.limits.lock().cpu();
        let next = limit.soft.min(limit.hard);
        let alarm = match next {
            INFINITY => None,
            next => {
                let waker = Waker::from(self.clone());
                Some(used(process).alarm(next.saturating_mul(SECOND), waker)?)
            }
        };
        let old = core::mem::replace(&mut *self.alarm.lock(), alarm);
        drop(old);
        Ok(())
    }
}

impl Wake for Limit {
    /// At the soft limit, which moves on by a second each time, the process is told; at the hard limit it ends
    /// (setrlimit(2)).
    fn wake(self: Arc<Limit>) {
        let Some(process) = self.process.upgrade() else {
            return;
        };
        let seconds = used(&process).now().unwrap_or(0) / SECOND;
        let mut limits = process.limits.lock();
        let limit = limits.cpu();
        let signal = if seconds >= limit.hard {
            Some(SIGKILL)
        } else if seconds >= limit.soft {
            limits.allow_another_second();
            Some(SIGXCPU)
        } else {
            None
        };
        drop(limits);
        if let Some(signal) = signal {
            // A standard signal never overflows the queue.
            let _ = send::to_process(&process, Info::kernel(signal));
        }
        if signal != Some(SIGKILL) {
            // There is room: that of the alarm that rang.
            let _ = self.watch(&process);
        }
    }
}

pub fn alarm(call: &mut Call<'_>, [seconds, ..]: Args) -> Answer {
    let process = call.process();
    let value = u64::from(seconds as u32) * SECOND;
    let wanted = Setting { value, interval: 0 };
    let left = process.timers.set(process, Which::Real, wanted)?.value;
    // Rounded to the nearest second, but never to 0 while there is time left.
    Ok(if left == 0 {
        0
    } else {
        ((left + SECOND / 2) / SECOND).max(1) as usize
    })
}

pub async fn getitimer(call: &mut Call<'_>, [which, to, ..]: Args) -> Answer {
    let which = Which::new(which)?;
    let setting = call.process().timers.get(which);
    call.write(to, &Interval::from(setting)).await?;
    Ok(0)
}

pub async fn setitimer(call: &mut Call<'_>, [which, from, to, ..]: Args) -> Answer {
    let which = Which::new(which)?;
    let wanted = if from == 0 {
        Interval::default()
    } else {
        call.read::<Interval>(from).await?
    };
    let wanted = Setting {
        value: wanted.value.nanoseconds()?,
        interval: wanted.interval.nanoseconds()?,
    };
    let process = call.process();
    let before = process.timers.set(process, which, wanted)?;
    call.write_if(to, &Interval::from(before)).await?;
    Ok(0)
}
