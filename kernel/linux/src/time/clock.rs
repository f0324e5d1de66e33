//! The clocks that have a number: what each shows, and who may wait for it.
//!
//! The one idea: a number is looked up once; what comes of it is read and waited for in one way, whoever asked.

use super::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID,
};
use crate::call::Call;
use crate::errno::Errno;
use crate::realm;
use abi::{Error, Rights};
use alloc::sync::{Arc, Weak};
use core::task::Waker;
use task::{Deadline, Meter, MeterGuard, TimerGuard};

/// A clock, and whose.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Since boot.
    Boot,
    /// The same, but nobody adjusts it: only to be read.
    Raw,
    /// Since 1970 (UTC).
    Wall,
    /// Atomic time.
    Tai,
    /// The CPU time of a process.
    Process(Weak<process::Process>),
    /// How much of it was user mode. No number finds it.
    User(Weak<process::Process>),
    /// The CPU time of a thread.
    Thread(Weak<process::Thread>),
}

/// What rings when a clock shows a time. Dropping it takes that back.
#[derive(Debug)]
pub enum Alarm {
    Time(TimerGuard),
    Used(MeterGuard),
}

/// The kind of a CPU clock (clock_getcpuclockid(3)): `!id << 3`, this, and which time in the lowest two bits.
const OF_THREAD: i32 = 4;
/// "Which time": this is no CPU clock at all but an open device.
const OF_DEVICE: i32 = 3;

/// Whether the number is that of a device's clock.
fn is_of_device(number: u64) -> bool {
    (number as i32) < 0 && number as i32 & 3 == OF_DEVICE
}

/// Whether a timer on this clock would wake a machine that sleeps, which not everybody may have.
pub fn is_alarm(number: u64) -> bool {
    matches!(number, CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM)
}

/// # Errors
/// `EPERM` for one that would wake the machine, if the caller may not do that.
pub fn check_alarm(call: &Call<'_>, number: u64) -> Result<(), Errno> {
    if is_alarm(number) && call.process().identity().effective.uid != 0 {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// The clock with this number, to read.
///
/// # Errors
/// `EINVAL`: there is none, or not for the caller.
pub fn find(call: &Call<'_>, number: u64) -> Result<Clock, Errno> {
    let thread = call.thread.core();
    match u64::from(number as u32) {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_REALTIME_ALARM => Ok(Clock::Wall),
        CLOCK_TAI => Ok(Clock::Tai),
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_COARSE | CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => {
            Ok(Clock::Boot)
        }
        CLOCK_MONOTONIC_RAW => Ok(Clock::Raw),
        CLOCK_PROCESS_CPUTIME_ID => Ok(Clock::Process(Arc::downgrade(thread.process()))),
        CLOCK_THREAD_CPUTIME_ID => Ok(Clock::Thread(Arc::downgrade(thread))),
        _ if (number as i32) < 0 && !is_of_device(number) => used_by(call, number as i32),
        _ => Err(Errno::EINVAL),
    }
}

/// The clock with this number, to wait for.
///
/// # Errors
/// `EINVAL`: as above. `EOPNOTSUPP`: one cannot wait for this one. `EPERM`: this caller cannot.
pub fn to_wait_for(call: &Call<'_>, number: u64) -> Result<Clock, Errno> {
    let number = u64::from(number as u32);
    match number {
        CLOCK_MONOTONIC_RAW | CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE => {
            return Err(Errno::EOPNOTSUPP);
        }
        _ if is_of_device(number) => return Err(Errno::EOPNOTSUPP),
        _ => check_alarm(call, number)?,
    }
    find(call, number)
}

/// The CPU time of another process, or of a thread of the caller's own.
fn used_by(call: &Call<'_>, number: i32) -> Result<Clock, Errno> {
    let id = !(number >> 3) as u32;
    let own = call.thread.core();
    if number & OF_THREAD != 0 {
        let thread = match id {
            0 => Some(own.clone()),
            id => process::find_thread(id),
        };
        let mine = thread.filter(|thread| Arc::ptr_eq(thread.process(), own.process()));
        return Ok(Clock::Thread(Arc::downgrade(&mine.ok_or(Errno::EINVAL)?)));
    }
    let known = |other: &Arc<process::Process>| realm::knows(own.process(), other, Rights::LIST);
    let process = match id {
        0 => Some(own.process().clone()),
        id if id == own.id() => Some(own.process().clone()),
        id => process::find(id).filter(known),
    };
    let process = process.ok_or(Errno::EINVAL)?;
    Ok(Clock::Process(Arc::downgrade(&process)))
}

impl Clock {
    /// What it shows, in nanoseconds; `None`: whose time it shows is gone.
    pub fn now(&self) -> Option<u64> {
        match self {
            Clock::Boot => Some(task::clock::now()),
            Clock::Raw => Some(task::clock::raw()),
            Clock::Wall => Some(task::clock::wall()),
            Clock::Tai => Some(task::clock::tai()),
            Clock::Process(process) => Some(process.upgrade()?.cpu_time()),
            Clock::User(process) => Some(process.upgrade()?.times().user),
            Clock::Thread(thread) => Some(thread.upgrade()?.cpu_time()),
        }
    }

    /// The clock on which a length of time from now on is counted: it does not change when somebody sets this one.
    pub fn for_lengths(&self) -> Clock {
        match self {
            Clock::Wall | Clock::Tai => Clock::Boot,
            other => other.clone(),
        }
    }

    /// The deadline at which it shows `time`; `None`: it does not run by itself.
    pub fn deadline(&self, time: u64) -> Option<Deadline> {
        match self {
            Clock::Boot => Some(Deadline::Boot(time)),
            Clock::Wall => Some(Deadline::Wall(time)),
            Clock::Tai => Some(Deadline::Tai(time)),
            Clock::Raw | Clock::Process(_) | Clock::User(_) | Clock::Thread(_) => None,
        }
    }

    /// What rings for a clock that does not run by itself; `None` for the others, or if whose time it shows is gone.
    pub fn meter(&self) -> Option<Arc<Meter>> {
        match self {
            Clock::Process(process) => Some(process.upgrade()?.meter().clone()),
            Clock::User(process) => Some(process.upgrade()?.user_meter().clone()),
            Clock::Thread(thread) => Some(thread.upgrade()?.meter().clone()),
            Clock::Boot | Clock::Raw | Clock::Wall | Clock::Tai => None,
        }
    }

    /// Wakes `waker` once when it shows `time`; at once, or nearly, if it did before. Never within this call.
    ///
    /// # Errors
    /// `NoMemory`; `NoProcess`: whose time it shows is gone.
    pub fn alarm(&self, time: u64, waker: Waker) -> Result<Alarm, Error> {
        if let Some(deadline) = self.deadline(time) {
            return Ok(Alarm::Time(task::try_at(deadline, waker)?));
        }
        let meter = self.meter().ok_or(Error::NoProcess)?;
        Ok(Alarm::Used(meter.at(time, waker)?))
    }
}
