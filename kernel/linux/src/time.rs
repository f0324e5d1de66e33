//! Clocks and sleeping (clock_gettime(2), nanosleep(2), gettimeofday(2)).

use crate::call::{Args, Call};
use crate::door::no_restart;
use crate::errno::{Answer, Errno};
use crate::realm;
use crate::thread::Restart;
use abi::Rights;
use alloc::sync::Arc;
use task::Deadline;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const SECOND: u64 = 1_000_000_000;

pub const CLOCK_REALTIME: u64 = 0;
pub const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_PROCESS_CPUTIME_ID: u64 = 2;
const CLOCK_THREAD_CPUTIME_ID: u64 = 3;
const CLOCK_MONOTONIC_RAW: u64 = 4;
const CLOCK_REALTIME_COARSE: u64 = 5;
const CLOCK_MONOTONIC_COARSE: u64 = 6;
pub const CLOCK_BOOTTIME: u64 = 7;
/// These two would wake a machine that sleeps. This one never does, so they are as the others.
pub const CLOCK_REALTIME_ALARM: u64 = 8;
pub const CLOCK_BOOTTIME_ALARM: u64 = 9;
const CLOCK_TAI: u64 = 11;
const TIMER_ABSTIME: u64 = 1;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timeval {
    pub seconds: i64,
    pub microseconds: i64,
}

impl Timespec {
    pub const fn from_nanoseconds(time: u64) -> Timespec {
        Timespec {
            seconds: (time / SECOND) as i64,
            nanoseconds: (time % SECOND) as i64,
        }
    }

    /// As nanoseconds; times beyond what fits are "for ever".
    ///
    /// # Errors
    /// `EINVAL` for a negative time or nanoseconds out of range.
    pub fn nanoseconds(self) -> Result<u64, Errno> {
        if self.seconds < 0 || !(0..SECOND as i64).contains(&self.nanoseconds) {
            return Err(Errno::EINVAL);
        }
        Ok((self.seconds as u64)
            .saturating_mul(SECOND)
            .saturating_add(self.nanoseconds as u64))
    }
}

impl Timeval {
    pub const fn from_nanoseconds(time: u64) -> Timeval {
        Timeval {
            seconds: (time / SECOND) as i64,
            microseconds: (time % SECOND / 1000) as i64,
        }
    }

    /// As nanoseconds.
    ///
    /// # Errors
    /// `EINVAL` for a negative time or microseconds out of range.
    pub fn nanoseconds(self) -> Result<u64, Errno> {
        if self.seconds < 0 || !(0..1_000_000).contains(&self.microseconds) {
            return Err(Errno::EINVAL);
        }
        Ok((self.seconds as u64)
            .saturating_mul(SECOND)
            .saturating_add(self.microseconds as u64 * 1000))
    }
}

/// Wall-clock time in nanoseconds since 1970.
pub fn real() -> u64 {
    task::clock::wall()
}

fn read_clock(call: &Call<'_>, clock: u64) -> Result<u64, Errno> {
    match clock as u32 as u64 {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_REALTIME_ALARM | CLOCK_TAI => Ok(real()),
        CLOCK_MONOTONIC
        | CLOCK_MONOTONIC_RAW
        | CLOCK_MONOTONIC_COARSE
        | CLOCK_BOOTTIME
        | CLOCK_BOOTTIME_ALARM => Ok(machine::time::now()),
        CLOCK_PROCESS_CPUTIME_ID => Ok(call.thread.core().process().cpu_time()),
        CLOCK_THREAD_CPUTIME_ID => Ok(call.thread.core().cpu_time()),
        _ if (clock as i32) < 0 => cpu_clock(call, clock as i32),
        _ => Err(Errno::EINVAL),
    }
}

/// The CPU time of another process, or of a thread of the caller's own: the number says whose
/// (clock_getcpuclockid(3)): `!id << 3`, 4 for a thread, and which time in the lowest two bits.
fn cpu_clock(call: &Call<'_>, clock: i32) -> Result<u64, Errno> {
    const OF_THREAD: i32 = 4;
    const OF_DEVICE: i32 = 3;
    let id = !(clock >> 3) as u32;
    if clock & 3 == OF_DEVICE {
        return Err(Errno::EINVAL);
    }
    if clock & OF_THREAD == 0 {
        let own = call.thread.core().process();
        let process = if id == 0 {
            Some(own.clone())
        } else {
            process::find(id).filter(|other| realm::knows(own, other, Rights::LIST))
        };
        return Ok(process.ok_or(Errno::EINVAL)?.cpu_time());
    }
    let own = call.thread.core();
    let thread = if id == 0 {
        Some(own.clone())
    } else {
        process::find_thread(id)
    };
    let mine = thread.filter(|thread| Arc::ptr_eq(thread.process(), own.process()));
    Ok(mine.ok_or(Errno::EINVAL)?.cpu_time())
}

pub fn clock_gettime(call: &mut Call<'_>, [clock, to, ..]: Args) -> Answer {
    let time = read_clock(call, clock)?;
    call.store(to, &Timespec::from_nanoseconds(time))?;
    Ok(0)
}

pub async fn clock_settime(call: &mut Call<'_>, [clock, from, ..]: Args) -> Answer {
    if clock != CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    let time = call.read::<Timespec>(from).await?.nanoseconds()?;
    if call.process().identity().effective.uid != 0 {
        return Err(Errno::EPERM);
    }
    set_real(time)?;
    Ok(0)
}

/// settimeofday(2). The time zone, which is the library's business, is accepted and forgotten.
pub async fn settimeofday(call: &mut Call<'_>, [from, zone, ..]: Args) -> Answer {
    let time = match from {
        0 => None,
        from => Some(call.read::<Timeval>(from).await?.nanoseconds()?),
    };
    if zone != 0 {
        call.read::<[i32; 2]>(zone).await?;
    }
    if call.process().identity().effective.uid != 0 {
        return Err(Errno::EPERM);
    }
    if let Some(time) = time {
        set_real(time)?;
    }
    Ok(0)
}

fn set_real(time: u64) -> Result<(), Errno> {
    Ok(task::clock::set_wall(time)?)
}

pub fn clock_getres(call: &mut Call<'_>, [clock, to, ..]: Args) -> Answer {
    read_clock(call, clock)?;
    call.store_if(
        to,
        &Timespec {
            seconds: 0,
            nanoseconds: 1,
        },
    )?;
    Ok(0)
}

pub fn gettimeofday(call: &mut Call<'_>, [to, zone, ..]: Args) -> Answer {
    call.store_if(to, &Timeval::from_nanoseconds(real()))?;
    call.store_if(zone, &[0i32; 2])?;
    Ok(0)
}

pub async fn time(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    let seconds = real() / SECOND;
    call.write_if(to, &seconds).await?;
    Ok(seconds as usize)
}

pub async fn nanosleep(call: &mut Call<'_>, [request, remaining, ..]: Args) -> Answer {
    let length = call.read::<Timespec>(request).await?.nanoseconds()?;
    sleep(
        call,
        machine::time::now().saturating_add(length),
        remaining as usize,
    )
    .await
}

pub async fn clock_nanosleep(
    call: &mut Call<'_>,
    [clock, flags, request, remaining, ..]: Args,
) -> Answer {
    let time = call.read::<Timespec>(request).await?.nanoseconds()?;
    let real = match clock {
        CLOCK_REALTIME | CLOCK_TAI => true,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME => false,
        CLOCK_PROCESS_CPUTIME_ID => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    };
    if flags & TIMER_ABSTIME == 0 {
        return sleep(
            call,
            machine::time::now().saturating_add(time),
            remaining as usize,
        )
        .await;
    }
    let until = if real {
        Deadline::Wall(time)
    } else {
        Deadline::Boot(time)
    };
    // An absolute sleep needs no record of what remains: the call is simply made again.
    match task::sleep_until(until).await {
        Ok(()) => Ok(0),
        Err(_) => Err(Errno::ERESTARTNOHAND),
    }
}

/// Sleeps until `until`; if interrupted, writes what remains.
pub async fn sleep(call: &mut Call<'_>, until: u64, remaining: usize) -> Answer {
    if task::sleep_until(until).await.is_ok() {
        return Ok(0);
    }
    let rest = until.saturating_sub(machine::time::now());
    call.write_if(remaining as u64, &Timespec::from_nanoseconds(rest))
        .await
        .map_err(no_restart)?;
    call.thread.set_restart(Restart::Sleep { until, remaining });
    Err(Errno::ERESTARTBLOCK)
}
