//! The fair spin lock.
//!
//! The one idea: the kernel runs with interrupts off, so a spin lock need not touch them, and its
//! guard is `!Send`, so the compiler refuses to hold it across an await of a spawned future.

#[cfg(debug_assertions)]
use super::order::{self, Turn};
use super::{Once, contention};
use core::cell::UnsafeCell;
use core::fmt;
use core::hint::spin_loop;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::panic::Location;
use core::sync::atomic::{AtomicU32, Ordering};

/// How many looks at a lock are a long wait: as long as no holder should take, about a millisecond.
const LONG: u32 = 1 << 14;

static ON_LONG_WAIT: Once<fn(u64)> = Once::new();

/// Says who is told, again and again, for how many nanoseconds this CPU has waited for a lock. It must take no lock that
/// may be held, and so not look at the clock either. Only the first call counts.
pub fn on_long_wait(hook: fn(u64)) {
    let _ = ON_LONG_WAIT.set(hook);
}

/// A fair (ticket) spin lock. Taking a free one costs one atomic addition; who must wait is counted
/// ([`contention`](super::contention())). Debug builds check the order in which locks are taken: those that are made at
/// one place are of one class, and no two classes may be taken in both orders.
pub struct Spin<T: ?Sized> {
    #[cfg(debug_assertions)]
    class: order::Class,
    next: AtomicU32,
    serving: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one holder at a time; moving it between CPUs needs `T: Send`.
unsafe impl<T: ?Sized + Send> Send for Spin<T> {}
// SAFETY: as above; shared references to the lock only give exclusive access to the value.
unsafe impl<T: ?Sized + Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    #[track_caller]
    pub const fn new(value: T) -> Self {
        Spin {
            #[cfg(debug_assertions)]
            class: order::Class::here(),
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
            value: UnsafeCell::new(value),
        }
    }

    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Spin<T> {
    /// Waits for its turn and takes the lock.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> SpinGuard<'_, T> {
        #[cfg(debug_assertions)]
        order::before(&self.class, Turn::First);
        self.take()
    }

    /// As [`lock`](Self::lock), while another lock of the same class is held: there is an order among them, and `_first`
    /// comes before this one.
    #[inline]
    #[track_caller]
    pub fn lock_second<U: ?Sized>(&self, _first: &SpinGuard<'_, U>) -> SpinGuard<'_, T> {
        #[cfg(debug_assertions)]
        order::before(&self.class, Turn::Second);
        self.take()
    }

    #[inline(always)]
    #[track_caller]
    fn take(&self) -> SpinGuard<'_, T> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        if self.serving.load(Ordering::Acquire) != ticket {
            self.wait(ticket, Location::caller());
        }
        self.taken()
    }

    #[cold]
    #[inline(never)]
    fn wait(&self, ticket: u32, place: &'static Location<'static>) {
        let begin = contention::moment();
        let mut spins: u32 = 0;
        while self.serving.load(Ordering::Acquire) != ticket {
            spin_loop();
            spins = spins.wrapping_add(1);
            if spins.is_multiple_of(LONG)
                && let Some(hook) = ON_LONG_WAIT.get()
            {
                hook(contention::since(begin));
            }
        }
        contention::waited(place, contention::since(begin));
    }

    #[inline(always)]
    #[track_caller]
    fn taken(&self) -> SpinGuard<'_, T> {
        #[cfg(debug_assertions)]
        order::taken(&self.class);
        SpinGuard {
            lock: self,
            not_send: PhantomData,
            #[cfg(all(debug_assertions, target_os = "none"))]
            since: (contention::moment(), Location::caller()),
        }
    }

    /// Takes the lock if it is free now.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        let serving = self.serving.load(Ordering::Acquire);
        self.next
            .compare_exchange(
                serving,
                serving.wrapping_add(1),
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .ok()?;
        Some(self.taken())
    }

    /// The value, without locking: the exclusive reference proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for Spin<T> {
    #[track_caller]
    fn default() -> Self {
        Spin::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Spin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Spin").field(&&*guard).finish(),
            None => f.write_str("Spin(locked)"),
        }
    }
}

/// Holds a [`Spin`]; dropping it unlocks. Stays on the CPU (and in the poll) that took it.
pub struct SpinGuard<'a, T: ?Sized> {
    lock: &'a Spin<T>,
    not_send: PhantomData<*const ()>,
    /// When and where it was taken.
    #[cfg(all(debug_assertions, target_os = "none"))]
    since: (u64, &'static Location<'static>),
}

// SAFETY: a shared guard only gives `&T`.
unsafe impl<T: ?Sized + Sync> Sync for SpinGuard<'_, T> {}

impl<T: ?Sized> Deref for SpinGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only holder of the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only holder of the lock, and it is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(all(debug_assertions, target_os = "none"))]
        contention::held(self.since.1, contention::since(self.since.0));
        #[cfg(debug_assertions)]
        order::released(&self.lock.class);
        // Only the holder writes `serving`, so a plain load and store do.
        let serving = self.lock.serving.load(Ordering::Relaxed);
        self.lock
            .serving
            .store(serving.wrapping_add(1), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn only_one_holder_at_a_time() {
        let lock = Arc::new(Spin::new(0u64));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = lock.clone();
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        let mut value = lock.lock();
                        let seen = *value;
                        *value = seen + 1;
                        drop(value);
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*lock.lock(), 2000);
    }

    #[test]
    fn try_lock_fails_while_held() {
        let lock = Spin::new(1);
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert_eq!(lock.try_lock().map(|value| *value), Some(1));
        assert_eq!(*lock.lock(), 1);
    }

    /// How often somebody waited on this line of this file.
    fn waits_on(line: u32) -> u64 {
        super::super::contention()
            .iter()
            .filter(|counted| {
                let place = counted.place;
                place.is_some_and(|place| place.file() == file!() && place.line() == line)
            })
            .map(|counted| counted.waits)
            .sum()
    }

    #[test]
    fn who_waits_is_counted_where_it_waits() {
        let lock = Arc::new(Spin::new(()));
        drop(lock.lock());
        let line = line!() + 7;
        // It may come just when the lock is free again; then it does not wait.
        for tried in 0.. {
            assert!(tried < 10_000, "nobody ever waits");
            let held = lock.lock();
            let next = lock.next.load(Ordering::Relaxed) + 1;
            let other = lock.clone();
            let waiter = std::thread::spawn(move || drop(other.lock()));
            while lock.next.load(Ordering::Relaxed) != next {
                std::thread::yield_now();
            }
            drop(held);
            waiter.join().unwrap();
            if waits_on(line) > 0 {
                break;
            }
        }
    }
}
