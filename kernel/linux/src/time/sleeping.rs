//! Sleeping on a clock.

use super::clock::{self, Clock};
use super::{CLOCK_THREAD_CPUTIME_ID, TIMER_ABSTIME, Timespec};
use crate::call::{Args, Call};
use crate::door::no_restart;
use crate::errno::{Answer, Errno};
use crate::thread::Restart;
use abi::Error;
use alloc::sync::Arc;

pub async fn nanosleep(call: &mut Call<'_>, [request, remaining, ..]: Args) -> Answer {
    let length = call.read::<Timespec>(request).await?.nanoseconds()?;
    let until = task::clock::now().saturating_add(length);
    sleep(call, until, remaining as usize).await
}

pub async fn clock_nanosleep(
    call: &mut Call<'_>,
    [number, flags, request, remaining, ..]: Args,
) -> Answer {
    let clock = to_sleep_on(call, number)?;
    let time = call.read::<Timespec>(request).await?.nanoseconds()?;
    let absolute = flags & TIMER_ABSTIME != 0;
    let (clock, until) = match absolute {
        true => (clock, time),
        false => {
            let clock = clock.for_lengths();
            let until = clock.now().ok_or(Errno::EINVAL)?.saturating_add(time);
            (clock, until)
        }
    };
    match clock.deadline(until) {
        // An absolute sleep needs no record of what remains: the call is simply made again.
        Some(deadline) if absolute => match task::sleep_until(deadline).await {
            Ok(()) => Ok(0),
            Err(_) => Err(Errno::ERESTARTNOHAND),
        },
        Some(_) => sleep(call, until, remaining as usize).await,
        None => {
            let remaining = (!absolute).then_some(remaining as usize);
            sleep_while_used(call, number as i32, &clock, until, remaining).await
        }
    }
}

/// # Errors
/// `EINVAL`: no such clock, or the caller's own CPU time, which never moves while it sleeps. `EOPNOTSUPP`, `EPERM`.
fn to_sleep_on(call: &Call<'_>, number: u64) -> Result<Clock, Errno> {
    if u64::from(number as u32) == CLOCK_THREAD_CPUTIME_ID {
        return Err(Errno::EOPNOTSUPP);
    }
    let clock = clock::to_wait_for(call, number)?;
    match &clock {
        Clock::Thread(thread) if thread.as_ptr() == Arc::as_ptr(call.thread.core()) => {
            Err(Errno::EINVAL)
        }
        _ => Ok(clock),
    }
}

/// Sleeps until `until`, since boot; if interrupted, writes what remains.
pub async fn sleep(call: &mut Call<'_>, until: u64, remaining: usize) -> Answer {
    if task::sleep_until(until).await.is_ok() {
        return Ok(0);
    }
    let rest = until.saturating_sub(task::clock::now());
    write_rest(call, remaining, rest).await?;
    call.thread.set_restart(Restart::Sleep { until, remaining });
    Err(Errno::ERESTARTBLOCK)
}

async fn write_rest(call: &Call<'_>, remaining: usize, rest: u64) -> Result<(), Errno> {
    let rest = Timespec::from_nanoseconds(rest);
    let written = call.write_if(remaining as u64, &rest).await;
    written.map_err(no_restart)
}

/// Sleeps until the clock, which shows somebody's CPU time, shows `until`. With `remaining` it was a length of time: what
/// is left of it is written there, if there is a place, and the sleep can be gone on with.
async fn sleep_while_used(
    call: &mut Call<'_>,
    number: i32,
    clock: &Clock,
    until: u64,
    remaining: Option<usize>,
) -> Answer {
    let meter = clock.meter().ok_or(Errno::EINVAL)?;
    match meter.sleep_until(until).await {
        Ok(()) => return Ok(0),
        Err(Error::Interrupted) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(remaining) = remaining else {
        return Err(Errno::ERESTARTNOHAND);
    };
    let rest = until.saturating_sub(clock.now().unwrap_or(until));
    write_rest(call, remaining, rest).await?;
    call.thread.set_restart(Restart::SleepWhileUsed {
        clock: number,
        until,
        remaining,
    });
    Err(Errno::ERESTARTBLOCK)
}

/// Goes on with such a sleep.
pub async fn resume_while_used(
    call: &mut Call<'_>,
    number: i32,
    until: u64,
    remaining: usize,
) -> Answer {
    let clock = to_sleep_on(call, number as u64)?;
    sleep_while_used(call, number, &clock, until, Some(remaining)).await
}
