//! Values that are mostly read: without a lock, and without counting a reference (read, copy, update).
//!
//! The one idea: whoever changes a value replaces it by a changed copy, waits until all who may be reading the old one
//! have finished, and drops it. Readers get the value only as long as a [`Reading`] lasts, which cannot be kept and
//! cannot be held over an await.
//!
//! Reading must be short, and nobody who reads may take a lock under which somebody changes values: that one waits for
//! the reader.

use super::Spin;
use super::readers::Readers;
use crate::cpu::{self, Shared};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};

/// See the module. To begin to read costs an atomic addition to a counter of this CPU, to look at a value then a load;
/// to change one, a copy and a look at every other CPU.
pub struct Rcu<T: Send + Sync + 'static> {
    /// From a box; never null.
    current: AtomicPtr<T>,
    changing: Spin<()>,
}

static READERS: Shared<Readers<{ cpu::MAX }>> = Shared::new(Readers::new);

/// What was replaced by somebody who was reading himself, and so could not wait.
static LATER: Shared<Spin<Vec<Box<dyn Send>>>> = Shared::new(Spin::default);

/// As long as it lasts, nothing goes that this CPU sees in a [`Rcu`].
#[derive(Debug)]
pub struct Reading(PhantomData<*const ()>);

/// Reads: what `look` sees in values it may use until it returns.
#[inline]
pub fn reading<R>(look: impl FnOnce(&Reading) -> R) -> R {
    look(&Reading::begin())
}

/// Waits until everybody who reads now has finished. `false`: this CPU reads itself, so it cannot wait.
pub fn wait_for_readers() -> bool {
    if Reading::depth() > 0 {
        return false;
    }
    let later = core::mem::take(&mut *LATER.get().lock());
    let count = cpu::count();
    // Threads of a simulated machine may be the same CPU.
    let me = if cfg!(target_os = "none") {
        cpu::index()
    } else {
        count
    };
    READERS.get().wait((0..count).filter(|cpu| *cpu != me));
    drop(later);
    true
}

impl<T: Send + Sync + 'static> Rcu<T> {
    /// With this value.
    pub fn new(value: T) -> Self {
        Rcu {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            changing: Spin::new(()),
        }
    }

    /// The value as it is now.
    #[inline]
    pub fn get<'r>(&'r self, _: &'r Reading) -> &'r T {
        // SAFETY: it is from a box. Whoever replaces it waits, before the box is dropped, for everybody who began to
        // read before that; this reading lasts as long as the reference. The value's own drop needs `self` unborrowed.
        unsafe { &*self.current.load(Ordering::SeqCst) }
    }

    /// Looks at the value as it is now.
    #[inline]
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        reading(|reading| look(self.get(reading)))
    }

    /// The value, for whoever has it alone.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: it is from a box, and nobody else can look at it: `self` is borrowed exclusively.
        unsafe { &mut **self.current.get_mut() }
    }

    /// Replaces the value by what `change` makes of it, or leaves it if that fails. Changes come one after the other.
    ///
    /// # Errors
    /// Those of `change`.
    #[track_caller]
    pub fn change<R, E>(&self, change: impl FnOnce(&T) -> Result<(T, R), E>) -> Result<R, E> {
        let changing = self.changing.lock();
        // SAFETY: only who holds the lock replaces it.
        let (new, result) = change(unsafe { &*self.current.load(Ordering::Acquire) })?;
        let new = Box::into_raw(Box::new(new));
        let old = self.current.swap(new, Ordering::SeqCst);
        drop(changing);
        // SAFETY: it was made by `into_raw`, and nobody else swapped it out.
        let old: Box<dyn Send> = unsafe { Box::from_raw(old) };
        if wait_for_readers() {
            drop(old);
        } else {
            LATER.get().lock().push(old);
        }
        Ok(result)
    }
}

impl<T: Send + Sync + 'static> Drop for Rcu<T> {
    fn drop(&mut self) {
        // SAFETY: it is from a box, and nobody else has this value any more.
        drop(unsafe { Box::from_raw(*self.current.get_mut()) });
    }
}

impl<T: Default + Send + Sync + 'static> Default for Rcu<T> {
    fn default() -> Self {
        Rcu::new(T::default())
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Rcu<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|value| f.debug_tuple("Rcu").field(value).finish())
    }
}

#[cfg(target_os = "none")]
impl Reading {
    #[inline]
    fn begin() -> Self {
        READERS.get().begin(cpu::index());
        Reading(PhantomData)
    }

    /// How deep this CPU is in reading.
    fn depth() -> u64 {
        READERS.get().depth(cpu::index())
    }
}

#[cfg(target_os = "none")]
impl Drop for Reading {
    #[inline]
    fn drop(&mut self) {
        READERS.get().end(cpu::index());
    }
}

#[cfg(not(target_os = "none"))]
std::thread_local! {
    /// How deep this thread is in reading, and as which CPU of which machine it began.
    static DEPTH: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}

#[cfg(not(target_os = "none"))]
impl Reading {
    fn begin() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        READERS.get().begin(cpu::index());
        Reading(PhantomData)
    }

    fn depth() -> u64 {
        DEPTH.get()
    }
}

#[cfg(not(target_os = "none"))]
impl Drop for Reading {
    fn drop(&mut self) {
        READERS.get().end_among_others(cpu::index());
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use core::sync::atomic::AtomicUsize;

    /// Counts how many of it there are.
    struct Counted(usize, Arc<AtomicUsize>);

    impl Counted {
        fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
            alive.fetch_add(1, Ordering::Relaxed);
            Counted(number, alive.clone())
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn next(value: &Counted) -> Result<(Counted, usize), ()> {
        Ok((Counted::new(value.0 + 1, &value.1), value.0))
    }

    #[test]
    fn what_was_replaced_is_there_as_long_as_it_is_read() {
        let alive = Arc::new(AtomicUsize::new(0));
        let count = || alive.load(Ordering::Relaxed);
        let value = Rcu::new(Counted::new(5, &alive));
        value.read(|old| {
            assert_eq!(value.change(next), Ok(5));
            assert_eq!(value.read(|new| new.0), 6);
            assert!(!wait_for_readers());
            assert_eq!((old.0, count()), (5, 2));
        });
        // Who comes next and can wait sees to it.
        assert_eq!(value.change(next), Ok(6));
        assert_eq!(count(), 1);
        assert_eq!(value.change(|_| Err::<(Counted, ()), _>("no")), Err("no"));
        assert_eq!((value.read(|now| now.0), count()), (7, 1));
        drop(value);
        assert_eq!(count(), 0);
    }

    /// Threads that read and change at once, as different CPUs or as the same one; in the end nothing is left over.
    #[test]
    fn nobody_reads_what_is_gone() {
        let machine = crate::host::fresh();
        let alive = Arc::new(AtomicUsize::new(0));
        let value = Arc::new(Rcu::new(Counted::new(0, &alive)));
        let threads: Vec<_> = (0..4)
            .map(|me| {
                let (machine, value) = (machine.clone(), value.clone());
                std::thread::spawn(move || {
                    machine.enter(me / 2);
                    for step in 0..400 {
                        if step % 4 == me {
                            value.change(next).unwrap();
                        }
                        value.read(|now| assert!(now.1.load(Ordering::Relaxed) > 0));
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(value.read(|now| now.0), 400);
        assert_eq!(alive.load(Ordering::Relaxed), 1);
    }
}
