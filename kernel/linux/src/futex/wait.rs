//! Waiting and waking: FUTEX_WAIT, FUTEX_WAKE and their forms with bitsets.

use super::place::Place;
use super::table::{Waiter, bucket, withdraw};
use super::{ALL_BITS, FUTEX_PRIVATE_FLAG};
use crate::call::Call;
use crate::errno::{Answer, Errno};
use crate::thread::Restart;
use crate::user;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use memory::Space;
use task::{Deadline, WaitError};

/// Waits at the word, unless it has another value. Goes on likewise after a signal without handler.
pub async fn wait(
    call: &mut Call<'_>,
    address: usize,
    value: u32,
    flags: u32,
    until: Option<Deadline>,
    bits: u32,
) -> Answer {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    // The page must be there first: below, the word is read with the bucket locked, and nothing may fault then.
    let place = {
        let place = Place::of(call.space, address, flags & FUTEX_PRIVATE_FLAG != 0)?;
        user::read::<u32>(call.space, address).await?;
        place
    };
    let waiter = Waiter::new(&place, bits);
    {
        let mut bucket = bucket(place.key()).lock();
        match call.space.root().load_u32(address) {
            Ok(now) if now == value => bucket.enter(waiter.clone()),
            Ok(_) => return Err(Errno::EAGAIN),
            Err(_) => return Err(Errno::EFAULT),
        }
    }
    let woken = || waiter.woken.load(Ordering::Acquire).then_some(());
    let outcome = waiter.queue.wait_until_by(until, woken).await;
    // A wake that came together with the interruption counts: it was given to this waiter and must not be lost.
    if outcome.is_ok() || !withdraw(&waiter) {
        return Ok(0);
    }
    match outcome {
        Err(WaitError::TimedOut) => Err(Errno::ETIMEDOUT),
        _ if until.is_none() => Err(Errno::ERESTARTSYS),
        _ => {
            call.thread.set_restart(Restart::Futex {
                address,
                value,
                flags,
                until,
                bits,
            });
            Err(Errno::ERESTARTBLOCK)
        }
    }
}

pub fn wake(space: &Arc<Space>, address: usize, count: i32, private: bool, bits: u32) -> Answer {
    let place = Place::of(space, address, private)?;
    bucket(place.key()).lock().wake(&place, count, bits)
}

/// Wakes from inside the kernel: a thread's end. Both kinds of waiters are meant, since nobody said which.
pub fn wake_at(space: &Arc<Space>, address: usize) {
    // An address that is not mapped has no waiters.
    if wake(space, address, 1, true, ALL_BITS).unwrap_or(0) == 0 {
        let _ = wake(space, address, 1, false, ALL_BITS);
    }
}
