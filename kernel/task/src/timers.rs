//! One CPU's timers.
//!
//! The one idea: a heap for each scale of a [`Deadline`], and one number, the earliest of all as time since boot.
//! Setting the wall clock changes that number and nothing else, however many timers there are.

use crate::timer_heap::{self, Heap};
use crate::waiters::Batch;
use crate::{Deadline, clock};
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;
use machine::sync::Spin;

pub(crate) use crate::policy::NEVER;

pub(crate) struct Timers {
    heaps: Spin<Heaps>,
    /// The earliest deadline; written under the lock.
    next: AtomicU64,
}

/// Wakers by deadline, a heap for each scale.
#[derive(Default)]
struct Heaps {
    boot: Heap<Waker>,
    wall: Heap<Waker>,
    tai: Heap<Waker>,
}

/// Names a timer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// In the heap of this deadline's scale.
    In(Deadline, timer_heap::Key),
    /// None at all.
    Nowhere,
}

impl Timers {
    pub fn new() -> Self {
        Timers {
            heaps: Spin::default(),
            next: AtomicU64::new(NEVER),
        }
    }

    /// When the earliest is due, in nanoseconds since boot; [`NEVER`]: there is none.
    #[inline]
    pub fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Adds one. The waker comes back when the heap memory is exhausted.
    pub fn add(&self, deadline: Deadline, waker: Waker) -> Result<Key, Waker> {
        let mut heaps = self.heaps.lock();
        let key = heaps.of(deadline).insert(deadline.time(), waker)?;
        self.note_next(&heaps);
        Ok(Key::In(deadline, key))
    }

    /// Takes one out before its time.
    pub fn cancel(&self, key: Key) {
        let mut heaps = self.heaps.lock();
        let waker = match key {
            Key::In(deadline, key) => heaps.of(deadline).cancel(key),
            Key::Nowhere => None,
        };
        self.note_next(&heaps);
        drop(heaps);
        drop(waker);
    }

    /// Whether it has yet to ring.
    pub fn has(&self, key: Key) -> bool {
        self.heaps.lock().waker(key).is_some()
    }

    /// Makes a timer wake `waker`; `false` if it has rung.
    pub fn renew(&self, key: Key, waker: &Waker) -> bool {
        match self.heaps.lock().waker(key) {
            Some(old) => {
                old.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Wakes what is due at `now`, in nanoseconds since boot; tells `rang` how late each is.
    pub fn expire(&self, now: u64, rang: impl Fn(u64)) {
        while self.next() <= now {
            let mut batch = Batch::new();
            let mut heaps = self.heaps.lock();
            // Under the lock, as in `note_next`: what is next by one is due by the other.
            let wall = clock::wall_at_boot().saturating_add(now);
            let tai = clock::tai_at_boot().wrapping_add(now);
            let mut due = || {
                let (heap, time) = match &mut *heaps {
                    Heaps { boot, .. } if boot.next().is_some_and(|next| next <= now) => {
                        (boot, now)
                    }
                    Heaps { tai: heap, .. } if heap.next().is_some_and(|next| next <= tai) => {
                        (heap, tai)
                    }
                    Heaps { wall: heap, .. } => (heap, wall),
                };
                let (deadline, waker) = heap.pop_due(time)?;
                Some((time - deadline, waker))
            };
            while !batch.is_full()
                && let Some((late, waker)) = due()
            {
                rang(late);
                batch.push(waker);
            }
            self.note_next(&heaps);
            drop(heaps);
            batch.wake();
        }
    }

    /// The wall clock was set, or how atomic time follows it: whether a timer is on either.
    pub fn wall_was_set(&self) -> bool {
        let heaps = self.heaps.lock();
        self.note_next(&heaps);
        heaps.wall.next().or(heaps.tai.next()).is_some()
    }

    fn note_next(&self, heaps: &Heaps) {
        let Heaps { boot, wall, tai } = heaps;
        let next = [
            boot.next().map(Deadline::Boot),
            wall.next().map(Deadline::Wall),
            tai.next().map(Deadline::Tai),
        ];
        let next = next.into_iter().flatten().map(Deadline::since_boot);
        self.next
            .store(next.min().unwrap_or(NEVER), Ordering::Relaxed);
    }
}

impl Heaps {
    fn of(&mut self, deadline: Deadline) -> &mut Heap<Waker> {
        match deadline {
            Deadline::Boot(_) => &mut self.boot,
            Deadline::Wall(_) => &mut self.wall,
            Deadline::Tai(_) => &mut self.tai,
        }
    }

    fn waker(&mut self, key: Key) -> Option<&mut Waker> {
        match key {
            Key::In(deadline, key) => self.of(deadline).get_mut(key),
            Key::Nowhere => None,
        }
    }
}
