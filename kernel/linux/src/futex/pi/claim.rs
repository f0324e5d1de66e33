//! Taking a lock, or a place in the line of those who wait for it: for oneself, or for somebody who is moved here.

use super::word::{self, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use super::{Awaited, Lock};
use crate::call::Call;
use crate::errno::{Answer, Errno};
use crate::futex::attempt::Trouble;
use crate::futex::place::Place;
use crate::futex::table::Bucket;
use crate::process::Process;
use crate::realm;
use crate::thread::Thread;
use crate::user;
use abi::Rights;
use alloc::sync::Arc;
use memory::Space;
use task::Task;
use task::turnstile::{BlockError, Turnstile};

/// A thread that wants a lock, and where the word of it is to this thread.
pub struct Claim {
    pub thread: Arc<Thread>,
    pub address: usize,
    space: Arc<Space>,
}

impl Claim {
    /// Of the caller.
    pub fn of(call: &Call<'_>, address: usize) -> Claim {
        Claim {
            thread: call.thread.clone(),
            address,
            space: call.space.clone(),
        }
    }

    pub fn task(&self) -> Result<&Arc<Task>, Errno> {
        self.thread.core().task().ok_or(Errno::ESRCH)
    }

    /// The thread waits from now on.
    pub fn block(&self, turnstile: &Turnstile) -> Result<(), Errno> {
        turnstile
            .block(self.task()?, u64::from(self.thread.id()))
            .map_err(refused)?;
        *self.thread.awaited_lock.lock() = Some(Awaited {
            space: self.space.clone(),
            address: self.address,
            unwritable: false,
        });
        Ok(())
    }

    /// The wait is over: what the thread hears if it is the owner now.
    pub fn end(&self) -> Answer {
        let awaited = self.thread.awaited_lock.lock().take();
        match awaited {
            Some(awaited) if awaited.unwritable => Err(Errno::EFAULT),
            _ => Ok(0),
        }
    }
}

/// A word as it was before its bucket was locked.
pub struct Seen<'a> {
    call: &'a Call<'a>,
    address: usize,
    /// The number of the owner; 0: there is none.
    owner: u32,
    /// Looked for before anything is locked, since the last reference to it may end here. `None`: not found.
    task: Option<Arc<Task>>,
}

/// What came of it.
pub enum Seized {
    /// The thread is the owner.
    Taken,
    /// Somebody else is: it can wait for this lock of the bucket, which is to be [settled](Bucket::settle).
    Lock(usize),
    /// The word has another owner by now.
    Stale,
}

impl<'a> Seen<'a> {
    pub async fn read(call: &'a Call<'a>, address: usize) -> Result<Seen<'a>, Errno> {
        let owner = user::read::<u32>(call.space, address).await? & FUTEX_TID_MASK;
        let task = match owner {
            0 => None,
            owner if owner == call.thread.id() => call.thread.core().task().cloned(),
            owner => find_owner(call, owner)?,
        };
        Ok(Seen {
            call,
            address,
            owner,
            task,
        })
    }

    /// Makes the thread with the number `who` the owner if nobody is; the word gets these bits too.
    pub fn seize(
        &self,
        bucket: &mut Bucket,
        place: &Place,
        who: u32,
        bits: u32,
    ) -> Result<Seized, Trouble> {
        let root = self.call.space.root();
        let word = root.load_u32(self.address)?;
        if word & FUTEX_TID_MASK != self.owner {
            return Ok(Seized::Stale);
        }
        if self.owner == who {
            return Err(Errno::EDEADLK.into());
        }
        let swap = |new: u32| -> Result<(), Trouble> {
            let outcome = root.compare_exchange_u32(self.address, word, new)?;
            outcome.map(drop).map_err(|_| Trouble::Changed)
        };
        if let Some(at) = bucket.find_lock(place.key()) {
            word::check(word, bucket.locks[at].owner)?;
            return Ok(Seized::Lock(at));
        }
        if bucket.is_awaited(place) {
            return Err(Errno::EINVAL.into());
        }
        if self.owner == 0 {
            swap(word & FUTEX_OWNER_DIED | who | bits)?;
            return Ok(Seized::Taken);
        }
        swap(word | FUTEX_WAITERS)?;
        let task = self.task.as_ref().ok_or(Errno::ESRCH)?;
        let turnstile = match Turnstile::new(task, place.key()) {
            Err(BlockError::Gone) => return Err(self.gone(word)?),
            turnstile => turnstile.map_err(refused)?,
        };
        Ok(Seized::Lock(bucket.add(place, self.owner, turnstile)))
    }

    /// The alleged owner has ended: unless it let the lock go meanwhile, the word lies.
    fn gone(&self, word: u32) -> Result<Trouble, Trouble> {
        let now = self.call.space.root().load_u32(self.address)?;
        Ok(if now == word | FUTEX_WAITERS {
            Trouble::Refused(Errno::ESRCH)
        } else {
            Trouble::Changed
        })
    }
}

impl Bucket {
    /// A lock that nobody waits for yet; where it is.
    pub fn add(&mut self, place: &Place, owner: u32, turnstile: Turnstile) -> usize {
        self.locks.push(Lock {
            place: place.clone(),
            owner,
            turnstile,
        });
        self.locks.len() - 1
    }
}

pub fn refused(error: BlockError) -> Errno {
    match error {
        BlockError::Deadlock => Errno::EDEADLK,
        BlockError::NoMemory => Errno::ENOMEM,
        BlockError::Gone => Errno::ESRCH,
        BlockError::Blocked => Errno::EINVAL,
    }
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
