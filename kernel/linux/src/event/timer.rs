//! timerfd_create(2): a timer as something to read.
//!
//! The one idea: going off sets the file readable and stops there. A timer with an interval is set again when somebody
//! reads, who is told how often it would have gone off: so one that nobody reads costs nothing.

use super::settings::Told;
use super::{check, open};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::{O_CLOEXEC, O_NONBLOCK};
use crate::time::clock::check_alarm;
use crate::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    Timespec,
};
use crate::timer::schedule::{IntervalSpec, Schedule, Setting};
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;
use machine::sync::Spin;
use object::{Sink, Source};
use task::{Deadline, Readiness, Ready, TimerGuard};
use vfs::{Access, File};

pub const TFD_TIMER_ABSTIME: u64 = 1;
pub const TFD_TIMER_CANCEL_ON_SET: u64 = 2;

/// The open file.
pub struct TimerFile(pub(super) Arc<Timer>);

pub struct Timer {
    clock: u64,
    state: Spin<State>,
    readiness: Readiness,
}

struct State {
    /// On the wall clock, or else on the clock since boot.
    on_wall: bool,
    schedule: Schedule,
    /// How often it went off since the last read, as far as that was counted.
    ticks: u64,
    alarm: Option<TimerGuard>,
    /// It was set to end when the wall clock is set.
    cancelable: Option<Told>,
    /// That happened, and nobody was told.
    cancelled: bool,
    /// Those of the last setting.
    flags: u64,
}

/// # Errors
/// `EBADF`; `EINVAL` for another kind of file.
fn with<R>(
    call: &Call<'_>,
    descriptor: u64,
    run: impl FnOnce(&Arc<Timer>) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let file = call.file(descriptor)?;
    let timer = file.file_as::<TimerFile>().ok_or(Errno::EINVAL)?;
    run(&timer.0)
}

pub fn timerfd_create(call: &mut Call<'_>, [clock, flags, ..]: Args) -> Answer {
    let flags = check(flags, O_CLOEXEC | O_NONBLOCK)?;
    let clock = u64::from(clock as u32);
    match clock {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME => {}
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => check_alarm(call, clock)?,
        _ => return Err(Errno::EINVAL),
    }
    // Writing is refused by the file, not for want of a right to it (as Linux has it).
    open(
        call,
        Arc::new(TimerFile::new(clock)),
        Access::READ | Access::WRITE,
        flags,
    )
}

pub async fn timerfd_settime(
    call: &mut Call<'_>,
    [descriptor, flags, from, to, ..]: Args,
) -> Answer {
    let wanted: IntervalSpec = call.read(from).await?;
    let flags = check(flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)?;
    let wanted = wanted.nanoseconds()?;
    let before = with(call, descriptor, |timer| {
        check_alarm(call, timer.clock)?;
        timer.set(wanted, flags)
    })?;
    call.write_if(to, &IntervalSpec::from(before)).await?;
    Ok(0)
}

pub async fn timerfd_gettime(call: &mut Call<'_>, [descriptor, to, ..]: Args) -> Answer {
    let setting = with(call, descriptor, |timer| Ok(timer.get()))?;
    call.write(to, &IntervalSpec::from(setting)).await?;
    Ok(0)
}

impl Timer {
    fn is_real(&self) -> bool {
        matches!(self.clock, CLOCK_REALTIME | CLOCK_REALTIME_ALARM)
    }

    /// Sets it, whatever it was; gives what it was.
    ///
    /// # Errors
    /// `ENOMEM`: it is not set at all then. `ECANCELED`: it is set, but before that the clock was set, and nobody was told.
    pub(super) fn set(self: &Arc<Timer>, wanted: Setting, flags: u64) -> Result<Setting, Errno> {
        let absolute = flags & TFD_TIMER_ABSTIME != 0;
        let cancelable = self.is_real() && absolute && flags & TFD_TIMER_CANCEL_ON_SET != 0;
        // Before the lock: who is told of the clock has it while it takes ours.
        let told = match cancelable {
            true => Some(Told::new(self)?),
            false => None,
        };
        let mut state = self.state.lock();
        let before = state.catch_up();
        let alarm = state.alarm.take();
        let told = core::mem::replace(&mut state.cancelable, told);
        // Only a relative time is the same on every clock, and stays that when the wall clock is set.
        state.on_wall = self.is_real() && absolute;
        let next = match (wanted.value, absolute) {
            (0, _) => None,
            (time, true) => Some(time),
            (length, false) => Some(state.now().saturating_add(length)),
        };
        (state.flags, state.ticks) = (flags, 0);
        state.schedule = Schedule::new(next, wanted.interval);
        self.readiness.clear(Ready::READ);
        let armed = self.arm(&mut state);
        if armed.is_err() {
            state.schedule = Schedule::default();
        }
        let cancelled = next.is_some() && state.take_cancelled();
        drop(state);
        drop((alarm, told));
        armed?;
        if cancelled {
            return Err(Errno::ECANCELED);
        }
        Ok(before)
    }

    pub(super) fn get(self: &Arc<Timer>) -> Setting {
        let mut state = self.state.lock();
        let setting = self.notice(&mut state);
        self.rearm(&mut state);
        setting
    }

    /// Makes sure that the alarm rings at the next time; if that has come, it has gone off.
    fn arm(self: &Arc<Timer>, state: &mut State) -> Result<(), Error> {
        let Some(next) = state.schedule.next() else {
            return Ok(());
        };
        let deadline = match state.on_wall {
            true => Deadline::Wall(next),
            false => Deadline::Boot(next),
        };
        if deadline.has_passed() {
            self.notice(state);
        } else if !state.alarm.as_ref().is_some_and(TimerGuard::is_pending) {
            state.alarm = Some(task::try_at(deadline, Waker::from(self.clone()))?);
        }
        Ok(())
    }

    /// As [`Timer::arm`], for one that was armed before. Without memory for an alarm, whoever waits is made to look.
    fn rearm(self: &Arc<Timer>, state: &mut State) {
        if self.arm(state).is_err() {
            self.readiness.set(Ready::READ);
        }
    }

    /// Sees whether it has gone off, and that whoever waits for that knows.
    fn notice(&self, state: &mut State) -> Setting {
        let setting = state.catch_up();
        if state.ticks > 0 && !self.readiness.get().contains(Ready::READ) {
            self.readiness.set(Ready::READ);
        }
        setting
    }

    /// The wall clock was set.
    pub fn cancel(&self) {
        let mut state = self.state.lock();
        if state.cancelable.is_some() {
            state.cancelled = true;
            self.readiness.set(Ready::READ);
        }
    }

    /// How often it went off since this was asked last; `None`: not at all.
    ///
    /// # Errors
    /// [`Error::Cancelled`], once.
    fn take(self: &Arc<Timer>) -> Result<Option<u64>, Error> {
        let mut state = self.state.lock();
        state.catch_up();
        let ticks = core::mem::take(&mut state.ticks);
        let cancelled = state.take_cancelled();
        self.readiness.clear(Ready::READ);
        self.rearm(&mut state);
        if cancelled {
            return Err(Error::Cancelled);
        }
        Ok((ticks > 0).then_some(ticks))
    }

    /// As if it had gone off so often since the last read (`TFD_IOC_SET_TICKS`).
    ///
    /// # Errors
    /// `EINVAL` for none; `ECANCELED`.
    pub(super) fn set_ticks(&self, ticks: u64) -> Result<(), Errno> {
        if ticks == 0 {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        if state.take_cancelled() {
            return Err(Errno::ECANCELED);
        }
        state.ticks = ticks;
        self.readiness.set(Ready::READ);
        Ok(())
    }
}

impl State {
    /// The time on its clock.
    fn now(&self) -> u64 {
        match self.on_wall {
            true => task::clock::wall(),
            false => task::clock::now(),
        }
    }

    /// Counts what has happened until now, and tells what is left.
    fn catch_up(&mut self) -> Setting {
        let now = self.now();
        self.ticks = self.ticks.saturating_add(self.schedule.take(now));
        self.schedule.setting(now)
    }

    fn take_cancelled(&mut self) -> bool {
        self.cancelable.is_some() && core::mem::take(&mut self.cancelled)
    }
}

impl Wake for Timer {
    fn wake(self: Arc<Timer>) {
        let mut state = self.state.lock();
        let before = state.ticks;
        state.catch_up();
        if state.ticks != before {
            self.readiness.set(Ready::READ);
        } else {
            // The clock was set back meanwhile, or this is the alarm of an older setting.
            self.rearm(&mut state);
        }
    }
}

impl TimerFile {
    pub fn new(clock: u64) -> TimerFile {
        TimerFile(Arc::new(Timer {
            clock,
            state: Spin::new(State {
                on_wall: false,
                schedule: Schedule::default(),
                ticks: 0,
                alarm: None,
                cancelable: None,
                cancelled: false,
                flags: 0,
            }),
            readiness: Readiness::default(),
        }))
    }

    pub fn set_ticks(&self, ticks: u64) -> Result<(), Errno> {
        self.0.set_ticks(ticks)
    }
}

impl TimerFile {
    pub fn describe(&self) -> String {
        let mut state = self.0.state.lock();
        let setting = self.0.notice(&mut state);
        let (ticks, flags) = (state.ticks, state.flags);
        drop(state);
        let pair = |time| {
            let time = Timespec::from_nanoseconds(time);
            format!("({}, {})", time.seconds, time.nanoseconds)
        };
        format!(
            "clockid: {}\nticks: {ticks}\nsettime flags: 0{flags:o}\nit_value: {}\nit_interval: {}\n",
            self.0.clock,
            pair(setting.value),
            pair(setting.interval),
        )
    }
}

impl Drop for TimerFile {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        let gone = (state.alarm.take(), state.cancelable.take());
        drop(state);
        drop(gone);
    }
}

impl File for TimerFile {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if sink.room() < 8 {
            return Err(Error::Invalid);
        }
        let ticks = self.0.take()?.ok_or(Error::WouldBlock)?;
        // What cannot be written is lost, as on Linux.
        match sink.put(&ticks.to_le_bytes()) {
            8 => Ok(8),
            _ => Err(Error::Fault),
        }
    }

    fn try_write(&self, _: u64, _: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        Err(Error::Invalid)
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.readiness)
    }

    fn title(&self) -> String {
        String::from("anon_inode:[timerfd]")
    }
}
