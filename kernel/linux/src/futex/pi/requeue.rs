//! Waiting for a word and then for a lock: FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI, for condition variables whose
//! mutex inherits.
//!
//! The one idea: who waits for the first word says beforehand which lock it wants after that, and whoever moves it there
//! acts in its name: takes the lock for it, or puts it in the line. So it wakes once, as the owner.

use super::claim::{Claim, Seen, Seized, refused};
use super::{FUTEX_WAITERS, withdraw};
use crate::call::Call;
use crate::errno::{Answer, Errno};
use crate::futex::attempt::{Trouble, attempts, pause};
use crate::futex::place::Place;
use crate::futex::requeue::Words;
use crate::futex::table::{self, Pair, Waiter, bucket};
use crate::user;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use task::turnstile::Turnstile;
use task::{Deadline, WaitError};

/// FUTEX_WAIT_REQUEUE_PI: waits at the first word, while that is `value`, to own the lock at the second.
pub async fn wait(
    call: &mut Call<'_>,
    words: Words,
    value: u32,
    until: Option<Deadline>,
) -> Answer {
    if words.first == words.second {
        return Err(Errno::EINVAL);
    }
    let (from, to) = words.places(call)?;
    user::read::<u32>(call.space, words.first).await?;
    let waiter = Waiter::claiming(&from, &to, Claim::of(call, words.second));
    {
        let mut bucket = bucket(from.key()).lock();
        match call.space.root().load_u32(words.first) {
            Ok(now) if now != value => return Err(Errno::EAGAIN),
            // Two addresses may be one place.
            Ok(_) if from == to => return Err(Errno::EINVAL),
            Ok(_) => bucket.enter(waiter.clone()),
            Err(_) => return Err(Errno::EFAULT),
        }
    }
    let Some(task) = call.thread.core().task() else {
        return Err(Errno::ESRCH);
    };
    let owns = || (waiter.woken.load(Ordering::Acquire) && !task.is_blocked()).then_some(());
    let outcome = waiter.queue.wait_until_by(until, owns).await;
    if outcome.is_err() && table::withdraw(&waiter) {
        return Err(match outcome {
            Err(WaitError::TimedOut) => Errno::ETIMEDOUT,
            _ => Errno::ERESTARTNOINTR,
        });
    }
    let gave_up = outcome.is_err() && withdraw(&to, task);
    let was_written = waiter.claim().map_or(Ok(0), Claim::end);
    match outcome {
        Err(WaitError::TimedOut) if gave_up => Err(Errno::ETIMEDOUT),
        // Beginning again is no use: the first word has changed.
        Err(_) if gave_up => Err(Errno::EAGAIN),
        _ => was_written,
    }
}

/// FUTEX_CMP_REQUEUE_PI: the first of those at the first word gets the lock at the second, or waits for it; up to
/// `words.more` others wait for it.
pub async fn requeue(call: &mut Call<'_>, words: Words, expected: u32) -> Answer {
    // Only one could own the lock.
    if words.wake != 1 || words.more < 0 || words.first == words.second {
        return Err(Errno::EINVAL);
    }
    let (from, to) = words.places(call)?;
    if from == to {
        return Err(Errno::EINVAL);
    }
    let more = words.more as usize;
    loop {
        let seen = Seen::read(call, words.second).await?;
        // Dropped after the locks: each may be the last reference to a thread.
        let mut moved = Vec::new();
        let attempt = || {
            let mut buckets = Pair::lock(&from, &to);
            if call.space.root().load_u32(words.first)? != expected {
                return Err(Errno::EAGAIN.into());
            }
            buckets.claim(&from, &to, &seen, more, &mut moved)
        };
        if let Some(count) = attempts(call.space, attempt).await? {
            return Ok(count);
        }
        pause().await?;
    }
}

impl Pair {
    /// Moves those who wait at `from` to the lock at `to`; how many there were, or `None` if `seen` is stale.
    fn claim(
        &mut self,
        from: &Place,
        to: &Place,
        seen: &Seen<'_>,
        more: usize,
        moved: &mut Vec<Arc<Waiter>>,
    ) -> Result<Option<usize>, Trouble> {
        if self.source().find_lock(from.key()).is_some() {
            return Err(Errno::EINVAL.into());
        }
        let Some(mut at) = self.source().find(from, 0) else {
            return Ok(Some(0));
        };
        let who = self.source().claimant(at, to)?.thread.id();
        let bits = if more > 0 { FUTEX_WAITERS } else { 0 };
        let mut lock = match seen.seize(self.target(), to, who, bits)? {
            Seized::Stale => return Ok(None),
            Seized::Lock(lock) => Some(lock),
            Seized::Taken => None,
        };
        let mut done = 0;
        let mut owner = None;
        if lock.is_none() {
            owner = self.source().take(at);
            if let Some(owner) = &owner {
                owner.wake();
                done = 1;
            }
        }
        let mut outcome = Ok(());
        while done < more.saturating_add(1) && outcome.is_ok() {
            match self.source().find(from, at) {
                Some(next) => at = next,
                None => break,
            }
            outcome = self.join(at, to, owner.as_deref(), &mut lock, moved);
            if outcome.is_ok() {
                done += 1;
            }
        }
        moved.extend(owner);
        if let Some(lock) = lock {
            self.target().settle(lock);
        }
        outcome?;
        Ok(Some(done))
    }

    /// Puts the waiter at `at` into the line of `lock`, which is made if its owner has just come by it.
    fn join(
        &mut self,
        at: usize,
        to: &Place,
        owner: Option<&Waiter>,
        lock: &mut Option<usize>,
        moved: &mut Vec<Arc<Waiter>>,
    ) -> Result<(), Errno> {
        self.source().claimant(at, to)?;
        if let (None, Some(owner)) = (*lock, owner.and_then(Waiter::claim)) {
            let turnstile = Turnstile::new(owner.task()?, to.key()).map_err(refused)?;
            *lock = Some(self.target().add(to, owner.thread.id(), turnstile));
        }
        let Some(lock) = *lock else {
            return Err(Errno::EINVAL);
        };
        let waiter = self.source().take(at).ok_or(Errno::EINVAL)?;
        let blocked = match waiter.claim() {
            Some(claim) => claim.block(&self.target().locks[lock].turnstile),
            None => Err(Errno::EINVAL),
        };
        match blocked {
            Ok(()) => {
                // It does not run: from now on it waits for the lock.
                waiter.woken.store(true, Ordering::Release);
                moved.push(waiter);
            }
            // It would wait for itself: it waits where it was.
            Err(_) => self.source().put_back(at, waiter),
        }
        blocked
    }
}
