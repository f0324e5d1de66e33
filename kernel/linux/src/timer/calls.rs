//! timer_create(2) and its kin.

use super::posix::{Notify, Order, Timer};
use super::schedule::{IntervalSpec, Setting};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::signal::queue::Place;
use crate::signal::set::{NSIG, SIGALRM, Signal};
use crate::thread::Thread;
use crate::time::{CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, TIMER_ABSTIME, clock};
use alloc::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD: i32 = 2;
const SIGEV_THREAD_ID: i32 = 4;

/// `struct sigevent`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Event {
    value: u64,
    signal: i32,
    notify: i32,
    thread: i32,
    unused: [i32; 11],
}

fn notify(call: &Call<'_>, event: &Event) -> Result<Notify, Errno> {
    let signal = || match event.signal {
        signal @ 1.. if (signal as usize) < NSIG => Ok(signal as Signal),
        _ => Err(Errno::EINVAL),
    };
    match event.notify {
        SIGEV_NONE => Ok(Notify::Nobody),
        SIGEV_SIGNAL => Ok(Notify::Process(signal()?)),
        SIGEV_THREAD => Ok(Notify::ProcessForThread(signal()?)),
        SIGEV_THREAD_ID => {
            let id = event.thread as u32;
            let thread: Arc<Thread> = call.process().find_thread(id).ok_or(Errno::EINVAL)?;
            Ok(Notify::Thread(signal()?, id, Arc::downgrade(&thread)))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The number by which `/proc/PID/timers` names a clock: the caller's own CPU clocks as clock_getcpuclockid(3) does.
fn shown(number: u64) -> i32 {
    match number {
        CLOCK_PROCESS_CPUTIME_ID => -6,
        CLOCK_THREAD_CPUTIME_ID => -2,
        number => number as i32,
    }
}

pub async fn timer_create(call: &mut Call<'_>, [number, event, to, ..]: Args) -> Answer {
    let clock = clock::to_wait_for(call, number)?;
    let event = match event {
        0 => None,
        event => Some(call.read::<Event>(event).await?),
    };
    let process = call.process();
    let user = process.identity().real_uid;
    let limit = process.limits.lock().pending_signals();
    let order = Order {
        clock,
        number: shown(u64::from(number as u32)),
        notify: match &event {
            None => Notify::Process(SIGALRM),
            Some(event) => notify(call, event)?,
        },
        value: event.map(|event| event.value),
        place: Place::take(user, limit).ok_or(Errno::EAGAIN)?,
    };
    let id = process.posix_timers.create(process, order)?;
    if let Err(errno) = call.write(to, &id).await {
        // Another thread may have been quicker.
        let _ = call.process().posix_timers.delete(id);
        return Err(errno);
    }
    Ok(0)
}

fn find(call: &Call<'_>, id: u64) -> Result<Arc<Timer>, Errno> {
    call.process().posix_timers.find(id as i32)
}

pub async fn timer_settime(call: &mut Call<'_>, [id, flags, from, to, ..]: Args) -> Answer {
    if from == 0 {
        return Err(Errno::EINVAL);
    }
    let wanted: Setting = call.read::<IntervalSpec>(from).await?.nanoseconds()?;
    let before = find(call, id)?.set(wanted, flags & TIMER_ABSTIME != 0)?;
    call.write_if(to, &IntervalSpec::from(before)).await?;
    Ok(0)
}

pub async fn timer_gettime(call: &mut Call<'_>, [id, to, ..]: Args) -> Answer {
    let setting = find(call, id)?.get();
    call.write(to, &IntervalSpec::from(setting)).await?;
    Ok(0)
}

pub fn timer_getoverrun(call: &mut Call<'_>, [id, ..]: Args) -> Answer {
    Ok(find(call, id)?.overrun() as usize)
}

pub fn timer_delete(call: &mut Call<'_>, [id, ..]: Args) -> Answer {
    call.process().posix_timers.delete(id as i32)?;
    Ok(0)
}
