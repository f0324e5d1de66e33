//! The table of those who wait. Each waits for its own token to be taken out, so a wake touches only those it wakes.

use super::pi::{Claim, Lock};
use super::place::Place;
use crate::errno::{Answer, Errno};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::sync::{Spin, SpinGuard};
use task::turnstile::Label;
use task::{Task, WaitQueue};

pub struct Waiter {
    pub woken: AtomicBool,
    pub queue: WaitQueue,
    bits: u32,
    /// When it came, without what it inherited.
    priority: u8,
    /// Where it waits now: requeueing changes it.
    place: Spin<Place>,
    /// The lock that it wants to own when it wakes.
    claim: Option<(Place, Claim)>,
}

impl Waiter {
    /// The current task, that waits for a wake with one of these bits.
    pub fn new(place: &Place, bits: u32) -> Arc<Waiter> {
        Waiter::with(place, bits, None)
    }

    /// The current task, that waits to be moved to the lock at `to`.
    pub fn claiming(place: &Place, to: &Place, claim: Claim) -> Arc<Waiter> {
        Waiter::with(place, u32::MAX, Some((to.clone(), claim)))
    }

    fn with(place: &Place, bits: u32, claim: Option<(Place, Claim)>) -> Arc<Waiter> {
        Arc::new(Waiter {
            woken: AtomicBool::new(false),
            queue: WaitQueue::new(),
            bits,
            priority: task::with_current(Task::class).map_or(0, |class| class.priority()),
            place: Spin::new(place.clone()),
            claim,
        })
    }

    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref().map(|(_, claim)| claim)
    }

    fn key(&self) -> Label {
        self.place.lock().key()
    }
}

/// Those of several places, whose keys have one hash.
#[derive(Default)]
pub struct Bucket {
    /// By place, then by priority, then by arrival: what those at one place cost does not grow with the others.
    waiters: VecDeque<(Label, Arc<Waiter>)>,
    /// Locks with an owner, that somebody waits for.
    pub locks: Vec<Lock>,
}

const BUCKETS: usize = 256;

static TABLE: [Spin<Bucket>; BUCKETS] = [const {
    Spin::new(Bucket {
        waiters: VecDeque::new(),
        locks: Vec::new(),
    })
}; BUCKETS];

/// Where to look for a place with this key.
pub fn bucket([whose, offset]: Label) -> &'static Spin<Bucket> {
    // Fibonacci hashing: the upper bits of the product are well mixed.
    let hash = (whose ^ offset.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[(hash >> 56) as usize % BUCKETS]
}

impl Bucket {
    pub fn enter(&mut self, waiter: Arc<Waiter>) {
        let key = waiter.key();
        let order = (key, Reverse(waiter.priority));
        let before = |(key, other): &(Label, Arc<Waiter>)| (*key, Reverse(other.priority)) <= order;
        let at = self.waiters.partition_point(before);
        self.waiters.insert(at, (key, waiter));
    }

    /// Whether somebody waits at `place` for a wake.
    pub fn is_awaited(&self, place: &Place) -> bool {
        self.find(place, 0).is_some()
    }

    /// The lock that is waited for at a place with this key.
    pub fn find_lock(&self, key: Label) -> Option<usize> {
        self.locks.iter().position(|lock| lock.place.key() == key)
    }

    /// The first waiter at `place`, from `from` on. Cost: O(log n).
    pub fn find(&self, place: &Place, from: usize) -> Option<usize> {
        let key = place.key();
        let first = self.waiters.partition_point(|(other, _)| *other < key);
        let at = first.max(from);
        (self.waiters.get(at)?.0 == key).then_some(at)
    }

    /// What the waiter at `at` claims.
    ///
    /// # Errors
    /// `EINVAL`: no lock, or not the one at `to`.
    pub fn claimant(&self, at: usize, to: &Place) -> Result<&Claim, Errno> {
        match self
            .waiters
            .get(at)
            .and_then(|(_, waiter)| waiter.claim.as_ref())
        {
            Some((place, claim)) if place == to => Ok(claim),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Takes out the waiter at `at`.
    pub fn take(&mut self, at: usize) -> Option<Arc<Waiter>> {
        Some(self.waiters.remove(at)?.1)
    }

    /// The reverse.
    pub fn put_back(&mut self, at: usize, waiter: Arc<Waiter>) {
        let at = at.min(self.waiters.len());
        self.waiters.insert(at, (waiter.key(), waiter));
    }

    /// Takes out the first waiter at `place`, from `from` on, with one of these bits.
    ///
    /// # Errors
    /// `EINVAL`: it waits to be moved to a lock.
    fn take_plain(
        &mut self,
        place: &Place,
        bits: u32,
        from: &mut usize,
    ) -> Result<Option<Arc<Waiter>>, Errno> {
        while let Some(at) = self.find(place, *from) {
            *from = at;
            let waiter = &self.waiters[at].1;
            if waiter.claim.is_some() {
                return Err(Errno::EINVAL);
            }
            if waiter.bits & bits != 0 {
                return Ok(self.take(at));
            }
            *from += 1;
        }
        Ok(None)
    }

    /// Wakes up to `count` waiters, at least one; how many there were.
    ///
    /// # Errors
    /// `EINVAL`: they wait for a lock with an owner, who alone may let it go.
    pub fn wake(&mut self, place: &Place, count: i32, bits: u32) -> Answer {
        if self.find_lock(place.key()).is_some() {
            return Err(Errno::EINVAL);
        }
        let (mut woken, mut from) = (0, 0);
        while let Some(waiter) = self.take_plain(place, bits, &mut from)? {
            waiter.wake();
            woken += 1;
            if woken >= count {
                break;
            }
        }
        Ok(woken as usize)
    }
}

impl Waiter {
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.queue.wake_all();
    }
}

/// Takes a waiter out; false if it was woken before.
pub fn withdraw(waiter: &Arc<Waiter>) -> bool {
    loop {
        let key = waiter.place.lock().key();
        let mut bucket = bucket(key).lock();
        if waiter.woken.load(Ordering::Acquire) {
            return false;
        }
        let first = bucket.waiters.partition_point(|(other, _)| *other < key);
        let rest = bucket.waiters.range(first..);
        let mut here = rest.take_while(|(other, _)| *other == key);
        if let Some(at) = here.position(|(_, other)| Arc::ptr_eq(other, waiter)) {
            let gone = bucket.waiters.remove(first + at);
            drop(bucket);
            drop(gone);
            return true;
        }
        // It was requeued between the two locks: look at its new place.
    }
}

/// The buckets of two places, locked in the order in which they lie in the table.
pub struct Pair {
    source: SpinGuard<'static, Bucket>,
    /// `None`: they are the same.
    target: Option<SpinGuard<'static, Bucket>>,
}

impl Pair {
    pub fn lock(source: &Place, target: &Place) -> Pair {
        let (from, to) = (bucket(source.key()), bucket(target.key()));
        if ptr::eq(from, to) {
            return Pair {
                source: from.lock(),
                target: None,
            };
        }
        let (source, target) = if ptr::from_ref(from) < ptr::from_ref(to) {
            let source = from.lock();
            (source, to.lock())
        } else {
            let target = to.lock();
            (from.lock(), target)
        };
        Pair {
            source,
            target: Some(target),
        }
    }

    pub fn source(&mut self) -> &mut Bucket {
        &mut self.source
    }

    pub fn target(&mut self) -> &mut Bucket {
        self.target.as_mut().unwrap_or(&mut self.source)
    }

    /// Wakes `wake` of those at `from` and lets `more` others wait at `to`; how many these were together.
    ///
    /// # Errors
    /// `EINVAL`: they wait for a lock with an owner.
    pub fn requeue(&mut self, from: &Place, wake: usize, to: &Place, more: usize) -> Answer {
        if self.source().find_lock(from.key()).is_some() {
            return Err(Errno::EINVAL);
        }
        let (mut done, mut at) = (0, 0);
        let mut moving = Vec::new();
        let mut outcome = Ok(());
        while done < wake.saturating_add(more) {
            match self.source().take_plain(from, u32::MAX, &mut at) {
                Ok(Some(waiter)) if done < wake => waiter.wake(),
                Ok(Some(waiter)) => moving.push(waiter),
                Ok(None) => break,
                Err(errno) => {
                    outcome = Err(errno);
                    break;
                }
            }
            done += 1;
        }
        for waiter in moving {
            *waiter.place.lock() = to.clone();
            self.target().enter(waiter);
        }
        outcome.map(|()| done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(number: usize) -> Place {
        Place::Private {
            space: 1,
            address: number * 4,
        }
    }

    proptest! {
        /// Several places in one bucket: each wake takes those at its own place, in the order in which they came.
        #[test]
        fn places_do_not_disturb_each_other(steps in prop::collection::vec((0..5usize, 0..4i32), 0..80)) {
            let mut bucket = Bucket::default();
            let mut model: Vec<(usize, Arc<Waiter>)> = Vec::new();
            for (at, count) in steps {
                let here = place(at);
                if count == 0 {
                    let waiter = Waiter::new(&here, u32::MAX);
                    model.push((at, waiter.clone()));
                    bucket.enter(waiter);
                    continue;
                }
                let waiting = model.iter().filter(|(its, _)| *its == at).count();
                prop_assert_eq!(bucket.is_awaited(&here), waiting > 0);
                let woken = bucket.wake(&here, count, u32::MAX);
                prop_assert_eq!(woken, Ok(waiting.min(count as usize)));
                let mut left = count;
                model.retain(|(its, waiter)| {
                    let expected = *its == at && left > 0;
                    left -= i32::from(expected);
                    assert_eq!(waiter.woken.load(Ordering::Relaxed), expected);
                    !expected
                });
            }
            prop_assert_eq!(bucket.waiters.len(), model.len());
        }
    }
}
