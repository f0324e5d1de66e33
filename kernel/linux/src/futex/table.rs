//! The table of those who wait. Each waits for its own token to be taken out, so a wake touches only those it wakes.

use super::pi::Lock;
use super::place::Place;
use crate::errno::{Answer, Errno};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
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
}

impl Waiter {
    /// The current task, that waits for a wake with one of these bits.
    pub fn new(place: &Place, bits: u32) -> Arc<Waiter> {
        Arc::new(Waiter {
            woken: AtomicBool::new(false),
            queue: WaitQueue::new(),
            bits,
            priority: task::with_current(Task::class).map_or(0, |class| class.priority()),
            place: Spin::new(place.clone()),
        })
    }

    fn is_at(&self, place: &Place) -> bool {
        *self.place.lock() == *place
    }
}

/// Those of several places, whose keys have one hash.
#[derive(Default)]
pub struct Bucket {
    /// By priority, then by arrival.
    waiters: VecDeque<Arc<Waiter>>,
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
        let after = |other: &Arc<Waiter>| other.priority >= waiter.priority;
        // From the end: nearly all have no priority.
        let at = self.waiters.iter().rposition(after).map_or(0, |at| at + 1);
        self.waiters.insert(at, waiter);
    }

    /// Whether somebody waits at `place` for a wake.
    pub fn is_awaited(&self, place: &Place) -> bool {
        self.waiters.iter().any(|waiter| waiter.is_at(place))
    }

    /// The lock that is waited for at a place with this key.
    pub fn find_lock(&self, key: Label) -> Option<usize> {
        self.locks.iter().position(|lock| lock.place.key() == key)
    }

    /// Takes out the first waiter at `place`, from `from` on, with one of these bits.
    fn take(&mut self, place: &Place, bits: u32, from: &mut usize) -> Option<Arc<Waiter>> {
        while let Some(waiter) = self.waiters.get(*from) {
            if waiter.bits & bits != 0 && waiter.is_at(place) {
                return self.waiters.remove(*from);
            }
            *from += 1;
        }
        None
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
        while let Some(waiter) = self.take(place, bits, &mut from) {
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
    fn wake(&self) {
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
        let before = bucket.waiters.len();
        bucket.waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        if bucket.waiters.len() < before {
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
        while done < wake.saturating_add(more)
            && let Some(waiter) = self.source().take(from, u32::MAX, &mut at)
        {
            if done < wake {
                waiter.wake();
            } else {
                moving.push(waiter);
            }
            done += 1;
        }
        for waiter in moving {
            *waiter.place.lock() = to.clone();
            self.target().enter(waiter);
        }
        Ok(done)
    }
}
