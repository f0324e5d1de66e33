//! Locks whose owner inherits the priority of those who wait: FUTEX_LOCK_PI and its kin (futex(2), "Priority-inheritance
//! futexes").
//!
//! The one idea: the word says who owns the lock, and the kernel knows of it only while somebody waits. Then a [`Lock`]
//! stands in the bucket of the place, and the word has `FUTEX_WAITERS`, so that its owner comes here to unlock it. Who
//! unlocks it hands it over: the word names the next owner before that one wakes, and nobody can come between.
//!
//! What the word says is an allegation. Where it does not fit what the kernel knows, the call is refused (`EINVAL`).

mod exit;
mod word;

pub use exit::{leave, release};

use super::attempt::{Trouble, attempts, pause};
use super::place::Place;
use super::table::{Bucket, bucket};
use crate::call::Call;
use crate::errno::{Answer, Errno};
use crate::process::Process;
use crate::realm;
use crate::user;
use abi::Rights;
use alloc::sync::Arc;
use memory::Space;
use task::turnstile::{self, BlockError, Turnstile};
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
    if take(call, address, &place, true).await? {
        return Ok(0);
    }
    let queue = WaitQueue::new();
    let Some(task) = call.thread.core().task() else {
        return Err(Errno::ESRCH);
    };
    let owns = || (!task.is_blocked()).then_some(());
    let outcome = queue.wait_until_by(until, owns).await;
    let gave_up = outcome.is_err() && withdraw(&place, task);
    let awaited = call.thread.awaited_lock.lock().take();
    match outcome {
        Err(WaitError::TimedOut) if gave_up => Err(Errno::ETIMEDOUT),
        Err(_) if gave_up => Err(Errno::ERESTARTNOINTR),
        _ if awaited.is_some_and(|awaited| awaited.unwritable) => Err(Errno::EFAULT),
        _ => Ok(0),
    }
}

/// FUTEX_TRYLOCK_PI: for a word with bits that a program does not understand.
pub async fn try_lock(call: &mut Call<'_>, address: usize, private: bool) -> Answer {
    let place = Place::of(call.space, address, private)?;
    match take(call, address, &place, false).await? {
        true => Ok(0),
        false => Err(Errno::EAGAIN),
    }
}

/// Makes the caller the owner if nobody is. `false`: somebody is; with `waits`, the caller waits from now on.
async fn take(call: &Call<'_>, address: usize, place: &Place, waits: bool) -> Result<bool, Errno> {
    loop {
        let owner = user::read::<u32>(call.space, address).await? & FUTEX_TID_MASK;
        let me = call.thread.id();
        if owner == me {
            return Err(Errno::EDEADLK);
        }
        // Looked for before the bucket is locked: the last reference to it may end here.
        let task = match owner {
            0 => None,
            owner => find_owner(call, owner)?,
        };
        let attempt = || {
            let mut bucket = bucket(place.key()).lock();
            let word = call.space.root().load_u32(address)?;
            if word & FUTEX_TID_MASK != owner {
                return Ok(None);
            }
            let swap = |new: u32| -> Result<(), Trouble> {
                let outcome = call.space.root().compare_exchange_u32(address, word, new)?;
                outcome.map(drop).map_err(|_| Trouble::Changed)
            };
            let at = match bucket.find_lock(place.key()) {
                Some(at) => {
                    word::check(word, bucket.locks[at].owner)?;
                    at
                }
                None if bucket.is_awaited(place) => return Err(Errno::EINVAL.into()),
                None if owner == 0 => {
                    swap(word & FUTEX_OWNER_DIED | me)?;
                    return Ok(Some(true));
                }
                None => {
                    swap(word | FUTEX_WAITERS)?;
                    let task = task.as_ref().ok_or(Errno::ESRCH)?;
                    let turnstile = match Turnstile::new(task, place.key()) {
                        Err(BlockError::Gone) => return Err(gone(call, address, word)?),
                        turnstile => turnstile.map_err(refused)?,
                    };
                    bucket.locks.push(Lock {
                        place: place.clone(),
                        owner,
                        turnstile,
                    });
                    bucket.locks.len() - 1
                }
            };
            let blocked = waits.then(|| block(call, &bucket.locks[at].turnstile, address));
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

/// The caller waits from now on.
fn block(call: &Call<'_>, turnstile: &Turnstile, address: usize) -> Result<(), Errno> {
    let task = call.thread.core().task().ok_or(Errno::ESRCH)?;
    turnstile
        .block(task, u64::from(call.thread.id()))
        .map_err(refused)?;
    *call.thread.awaited_lock.lock() = Some(Awaited {
        space: call.space.clone(),
        address,
        unwritable: false,
    });
    Ok(())
}

fn refused(error: BlockError) -> Errno {
    match error {
        BlockError::Deadlock => Errno::EDEADLK,
        BlockError::NoMemory => Errno::ENOMEM,
        BlockError::Gone => Errno::ESRCH,
        BlockError::Blocked => Errno::EINVAL,
    }
}

/// The alleged owner has ended: unless it let the lock go meanwhile, the word lies.
fn gone(call: &Call<'_>, address: usize, word: u32) -> Result<Trouble, Trouble> {
    let now = call.space.root().load_u32(address)?;
    Ok(if now == word | FUTEX_WAITERS {
        Trouble::Refused(Errno::ESRCH)
    } else {
        Trouble::Changed
    })
}

/// The task of the thread with this number. `None`: there is none.
fn find_owner(call: &Call<'_>, number: u32) -> Result<Option<Arc<Task>>, Errno> {
    let Some(thread) = process::find_thread(number) else {
        return Ok(None);
    };
    if !realm::knows(call.thread.core().process(), thread.process(), Rights::LIST) {
        return Ok(None);
    }
    if Process::of(thread.process()).is_none() {
        return Err(Errno::EPERM);
    }
    Ok(thread.task().cloned())
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
