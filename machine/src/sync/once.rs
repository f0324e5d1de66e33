//! A cell that is set once.

use core::cell::UnsafeCell;
use core::fmt;
use core::hint::spin_loop;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

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
