//! Locks of the kernel: a fair spin lock and a cell that is set once.
//!
//! The one idea: the kernel runs with interrupts off, so a spin lock need not touch them, and its
//! guard is `!Send`, so the compiler refuses to hold it across an await of a spawned future.

use core::cell::UnsafeCell;
use core::fmt;
use core::hint::spin_loop;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// A fair (ticket) spin lock. Taking a free one costs one atomic addition.
pub struct Spin<T: ?Sized> {
    next: AtomicU32,
    serving: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one holder at a time; moving it between CPUs needs `T: Send`.
unsafe impl<T: ?Sized + Send> Send for Spin<T> {}
// SAFETY: as above; shared references to the lock only give exclusive access to the value.
unsafe impl<T: ?Sized + Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    pub const fn new(value: T) -> Self {
        Spin {
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
    pub fn lock(&self) -> SpinGuard<'_, T> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        while self.serving.load(Ordering::Acquire) != ticket {
            spin_loop();
        }
        SpinGuard {
            lock: self,
            not_send: PhantomData,
        }
    }

    /// Takes the lock if it is free now.
    #[inline]
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
        Some(SpinGuard {
            lock: self,
            not_send: PhantomData,
        })
    }

    /// The value, without locking: the exclusive reference proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for Spin<T> {
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
        // Only the holder writes `serving`, so a plain load and store do.
        let serving = self.lock.serving.load(Ordering::Relaxed);
        self.lock
            .serving
            .store(serving.wrapping_add(1), Ordering::Release);
    }
}

const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FULL: u8 = 2;

/// A cell that is set once and then only read. Reading costs one load.
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value moves in from one CPU and may be dropped on another.
unsafe impl<T: Send> Send for Once<T> {}
// SAFETY: after `FULL` only `&T` is handed out; before it nobody reads.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub const fn new() -> Self {
        Once {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Sets the value; gives it back if there is one already (or one is just being made).
    pub fn set(&self, value: T) -> Result<(), T> {
        if self
            .state
            .compare_exchange(EMPTY, FILLING, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return Err(value);
        }
        // SAFETY: whoever moved the state to `FILLING` is the only writer, and nobody reads yet.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(FULL, Ordering::Release);
        Ok(())
    }

    #[inline]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) == FULL {
            // SAFETY: `FULL` is stored after the value is written, and it never changes again.
            Some(unsafe { (*self.value.get()).assume_init_ref() })
        } else {
            None
        }
    }

    /// The value, made by `make` the first time. Others wait while it is being made; `make` must
    /// not call back into the same cell. If `make` unwinds, the cell is empty again.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        while self
            .state
            .compare_exchange(EMPTY, FILLING, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            if let Some(value) = self.get() {
                return value;
            }
            spin_loop();
        }
        let undo = Undo(&self.state);
        let value = make();
        core::mem::forget(undo);
        // SAFETY: as in `set`; the value stays where it is written.
        let value = unsafe { (*self.value.get()).write(value) };
        self.state.store(FULL, Ordering::Release);
        value
    }
}

/// Empties a cell whose maker unwound.
struct Undo<'a>(&'a AtomicU8);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.0.store(EMPTY, Ordering::Release);
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.get()).finish()
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: `FULL` means that the value is there, and nobody else can see the cell now.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
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

    #[test]
    fn once_is_set_once_and_dropped_once() {
        let value = Arc::new(5);
        let cell = Once::new();
        assert!(cell.get().is_none());
        assert!(cell.set(value.clone()).is_ok());
        assert!(cell.set(value.clone()).is_err());
        assert_eq!(**cell.get_or_init(|| unreachable!()), 5);
        drop(cell);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_maker_that_unwinds_leaves_the_cell_empty() {
        let cell: Once<u32> = Once::new();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cell.get_or_init(|| panic!("no"));
        }));
        assert!(caught.is_err());
        assert_eq!(*cell.get_or_init(|| 3), 3);
    }
}
