//! Values that are mostly read: without a lock, and without counting a reference (read, copy, update).
//!
//! The one idea: whoever changes the value replaces it by a changed copy, and the old one is dropped when nobody can be
//! reading it any more ([`Grace`]). Readers are given the value in a function of theirs and cannot keep it; that they do
//! not wait in there either is sure, because a future cannot.

use super::Spin;
use super::grace::Grace;
use crate::cpu::{self, Shared};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// See the module. Reading costs a load and two steps of a counter of this CPU; changing costs a copy and an interrupt
/// of every other CPU.
#[derive(Debug)]
pub struct Rcu<T: Send + Sync + 'static> {
    /// From a box; never null.
    current: AtomicPtr<T>,
    changing: Spin<()>,
}

/// What was replaced, in the order of moments.
struct Waiting {
    /// Whether there is any; for CPUs to know whether to say that they pass.
    any: AtomicBool,
    grace: Grace<{ cpu::MAX }>,
    old: Spin<VecDeque<(u64, Box<dyn Send>)>>,
}

static WAITING: Shared<Waiting> = Shared::new(|| Waiting {
    any: AtomicBool::new(false),
    grace: Grace::new(),
    old: Spin::new(VecDeque::new()),
});

/// In how many values this CPU reads now, one inside the other.
#[cfg(target_os = "none")]
static READING: crate::cpu::PerCpu<core::cell::Cell<usize>> =
    crate::cpu::PerCpu::new(|| core::cell::Cell::new(0));
/// The same of all threads of a simulated machine: several may be the same CPU there.
#[cfg(not(target_os = "none"))]
static READING: Shared<core::sync::atomic::AtomicUsize> = Shared::new(Default::default);

impl<T: Send + Sync + 'static> Rcu<T> {
    /// With this value.
    pub fn new(value: T) -> Self {
        Rcu {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            changing: Spin::new(()),
        }
    }

    /// Looks at the value as it is now. What `look` calls may read and change values, this one too.
    #[inline]
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        let _reading = Reading::begin();
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: it is from a box, and whoever replaces it drops it only after every CPU has passed a moment since.
        // This one does not as long as `_reading` lives.
        look(unsafe { &*current })
    }

    /// Replaces the value by what `change` makes of it, or leaves it if that fails. Changes come one after the other.
    ///
    /// # Errors
    /// Those of `change`.
    #[track_caller]
    pub fn change<R, E>(&self, change: impl FnOnce(&T) -> Result<(T, R), E>) -> Result<R, E> {
        let changing = self.changing.lock();
        let (new, result) = self.read(change)?;
        let new = Box::into_raw(Box::new(new));
        let old = self.current.swap(new, Ordering::AcqRel);
        drop(changing);
        // SAFETY: it was made by `into_raw`, and nobody else swapped it out.
        let old: Box<dyn Send> = unsafe { Box::from_raw(old) };
        let waiting = WAITING.get();
        {
            let mut all = waiting.old.lock();
            all.push_back((waiting.grace.moment(), old));
        }
        waiting.any.store(true, Ordering::Release);
        let me = cpu::index();
        (0..cpu::count())
            .filter(|other| *other != me)
            .for_each(cpu::kick);
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

/// This CPU reads; as long as it lives the CPU passes no moment. It stays where it is: it is not `Send`.
struct Reading(PhantomData<*const ()>);

impl Reading {
    #[inline]
    fn begin() -> Self {
        #[cfg(target_os = "none")]
        READING.with(|reading| reading.set(reading.get() + 1));
        #[cfg(not(target_os = "none"))]
        READING.get().fetch_add(1, Ordering::SeqCst);
        Reading(PhantomData)
    }

    /// Whether nobody reads here.
    fn is_over() -> bool {
        #[cfg(target_os = "none")]
        return READING.with(core::cell::Cell::get) == 0;
        #[cfg(not(target_os = "none"))]
        return READING.get().load(Ordering::SeqCst) == 0;
    }
}

impl Drop for Reading {
    #[inline]
    fn drop(&mut self) {
        #[cfg(target_os = "none")]
        READING.with(|reading| reading.set(reading.get() - 1));
        #[cfg(not(target_os = "none"))]
        READING.get().fetch_sub(1, Ordering::SeqCst);
    }
}

/// This CPU begins another turn, or was in user mode: it has finished whatever it read. Costs a load as long as nothing
/// was replaced. Drops what nobody reads any more.
#[inline]
pub fn passes() {
    let waiting = WAITING.get();
    if waiting.any.load(Ordering::Relaxed) {
        pass(waiting);
    }
}

#[cold]
fn pass(waiting: &Waiting) {
    if !Reading::is_over() {
        return;
    }
    waiting.grace.passes(cpu::index());
    let passed = waiting.grace.passed(0..cpu::count());
    loop {
        let mut all = waiting.old.lock();
        match all.front() {
            Some((moment, _)) if *moment <= passed => {
                let old = all.pop_front();
                // Dropping may do anything.
                drop(all);
                drop(old);
            }
            Some(_) => return,
            None => {
                waiting.any.store(false, Ordering::Relaxed);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
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
    fn what_was_replaced_goes_when_every_cpu_has_passed() {
        cpu::set_index(1);
        cpu::set_index(0);
        let alive = Arc::new(AtomicUsize::new(0));
        let value = Rcu::new(Counted::new(5, &alive));
        let kicks = cpu::kicks(1);
        value.read(|old| {
            assert_eq!(value.change(next), Ok(5));
            assert_eq!(value.read(|new| new.0), 6);
            passes();
            // It is still there for who reads it.
            assert_eq!((old.0, alive.load(Ordering::Relaxed)), (5, 2));
        });
        assert_eq!(cpu::kicks(1), kicks + 1);
        passes();
        assert_eq!(alive.load(Ordering::Relaxed), 2, "another CPU may read it");
        cpu::set_index(1);
        passes();
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        cpu::set_index(0);
        assert_eq!(value.change(|_| Err::<(Counted, ()), _>("no")), Err("no"));
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        drop(value);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }

    /// Threads that read and change at once, and pass now and then; in the end nothing is left over.
    #[test]
    fn nobody_reads_what_is_gone() {
        let machine = crate::host::fresh();
        let alive = Arc::new(AtomicUsize::new(0));
        let value = Arc::new(Rcu::new(Counted::new(0, &alive)));
        let threads: Vec<_> = (0..3)
            .map(|me| {
                let (machine, value) = (machine.clone(), value.clone());
                std::thread::spawn(move || {
                    machine.enter(me);
                    for step in 0..300 {
                        if step % 3 == me {
                            value.change(next).unwrap();
                        }
                        value.read(|now| assert!(now.1.load(Ordering::Relaxed) > 0));
                        passes();
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(value.read(|now| now.0), 300);
    }
}
