//! Locks whose owner inherits the priority of those who wait: FUTEX_LOCK_PI and its kin (futex(2), "Priority-inheritance
//! futexes").
//!
//! The one idea: the word says who owns the lock, and the kernel knows of it only while somebody waits. Then a [`Lock`]
//! stands in the bucket of the place, and the word has `FUTEX_WAITERS`, so that its owner comes here to unlock it. Who
//! unlocks it hands it over: the word names the next owner before that one wakes, and nobody can come between.
//!
//! What the word says is an allegation. Where it does not fit what the kernel knows, the call is refused (`EINVAL`).

mod claim;
mod exit;
mod requeue;
mod word;

pub use claim::Claim;
pub use exit::{leave, release};
pub use requeue::{requeue, wait};

use super::attempt::{attempts, pause};
use super::place::Place;
use super::table::{Bucket, bucket};
use crate::call::Call;
use crate::errno::{Answer, Errno};
use crate::user;
use alloc::sync::Arc;
use claim::{Seen, Seized};
use memory::Space;
use task::turnstile::{self, Turnstile};
use task::{Deadline, Task, WaitError, WaitQueue};
pub use word::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};

/// A lock that somebody waits for.
pub struct Lock {
    pub place: Place,
    /// The number of the thread that owns it.
    pub owner: u32,
    /// Its waiters are known by the numbers of their threads.
    pub turnstile: Turnstile,
}

/// What a thread tells of its wait for a lock, for whoever hands it over.
pub struct Awaited {
    space: Arc<Space>,
    address: usize,
    /// It is the owner, but its word could not be written.
    unwritable: bool,
}

impl Bucket {
    /// Forgets a lock that nobody waits for any more.
    fn settle(&mut self, at: usize) {
        if self.locks[at].turnstile.first().is_none() {
            self.locks.swap_remove(at);
        }
    }
}

/// FUTEX_LOCK_PI, FUTEX_LOCK_PI2.
pub async fn lock(
    call: &mut Call<'_>,
    address: usize,
    private: bool,
    until: Option<Deadline>,
) -> Answer {
    let place = Place::of(call.space, address, private)?;
    let claim = Claim::of(call, address);
    if take(call, &place, &claim, true).await? {
        return Ok(0);
    }
    let queue = WaitQueue::new();
    let Some(task) = call.thread.core().task() else {
        return Err(Errno::ESRCH);
    };
    let owns = || (!task.is_blocked()).then_some(());
    let outcome = queue.wait_until_by(until, owns).await;
    let gave_up = outcome.is_err() && withdraw(&place, task);
    let was_written = claim.end();
    match outcome {
        Err(WaitError::TimedOut) if gave_up => Err(Errno::ETIMEDOUT),
        Err(_) if gave_up => Err(Errno::ERESTARTNOINTR),
        _ => was_written,
    }
}

/// FUTEX_TRYLOCK_PI: for a word with bits that a program does not understand.
pub async fn try_lock(call: &mut Call<'_>, address: usize, private: bool) -> Answer {
    let place = Place::of(call.space, address, private)?;
    match take(call, &place, &Claim::of(call, address), false).await? {
        true => Ok(0),
        false => Err(Errno::EAGAIN),
    }
}

/// Makes the caller the owner if nobody is. `false`: somebody is; with `waits`, the caller waits from now on.
async fn take(call: &Call<'_>, place: &Place, claim: &Claim, waits: bool) -> Result<bool, Errno> {
    loop {
        let seen = Seen::read(call, claim.address).await?;
        let attempt = || {
            let mut bucket = bucket(place.key()).lock();
            let at = match seen.seize(&mut bucket, place, claim.thread.id(), 0)? {
                Seized::Stale => return Ok(None),
                Seized::Taken => return Ok(Some(true)),
                Seized::Lock(at) => at,
            };
            let blocked = waits.then(|| claim.block(&bucket.locks[at].turnstile));
            bucket.settle(at);
            blocked.transpose()?;
            Ok(Some(false))
        };
        if let Some(taken) = attempts(call.space, attempt).await? {
            return Ok(taken);
        }
        pause().await?;
    }
}

/// `task` waits no more. `false`: it is the owner.
fn withdraw(place: &Place, task: &Arc<Task>) -> bool {
    let mut bucket = bucket(place.key()).lock();
    let gave_up = turnstile::give_up(task);
    if gave_up && let Some(at) = bucket.find_lock(place.key()) {
        bucket.settle(at);
    }
    gave_up
}

/// FUTEX_UNLOCK_PI: the first of those who wait is the owner.
pub async fn unlock(call: &mut Call<'_>, address: usize, private: bool) -> Answer {
    let me = call.thread.id();
    loop {
        let seen = user::read::<u32>(call.space, address).await?;
        if seen & FUTEX_TID_MASK != me {
            return Err(Errno::EPERM);
        }
        let place = Place::of(call.space, address, private)?;
        let attempt = || {
            let mut bucket = bucket(place.key()).lock();
            let swap = |new| call.space.root().compare_exchange_u32(address, seen, new);
            let Some(at) = bucket.find_lock(place.key()) else {
                if bucket.is_awaited(&place) {
                    return Err(Errno::EINVAL.into());
                }
                // Of waiters that gave up the bit may be left; nobody else needs it.
                return match swap(0)? {
                    Ok(_) => Ok(Some(0)),
                    Err(_) => Err(Errno::EAGAIN.into()),
                };
            };
            let lock = &mut bucket.locks[at];
            let next = lock.turnstile.first().unwrap_or(0) as u32;
            if lock.owner != me || next == 0 {
                return Err(Errno::EINVAL.into());
            }
            if let Err(now) = swap(next | FUTEX_WAITERS)? {
                // Somebody came to wait since the word was read.
                return match now & FUTEX_TID_MASK == seen {
                    true => Ok(None),
                    false => Err(Errno::EINVAL.into()),
                };
            }
            lock.owner = next;
            lock.turnstile.pass();
            bucket.settle(at);
            Ok(Some(0))
        };
        if let Some(answer) = attempts(call.space, attempt).await? {
            return Ok(answer);
        }
        pause().await?;
    }
}
