//! Simulated CPUs: every thread is one, with an index that it may choose.

use super::{clock, current, lock};
use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The most CPUs that a machine can have.
pub const MAX: usize = 64;

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
    static SLOTS: RefCell<HashMap<Slot, Rc<dyn Any>>> = RefCell::default();
}

pub(super) struct Kicks {
    count: AtomicUsize,
    received: [AtomicU64; MAX],
}

impl Default for Kicks {
    fn default() -> Self {
        Kicks {
            count: AtomicUsize::new(1),
            received: [const { AtomicU64::new(0) }; MAX],
        }
    }
}

/// The number of the CPU that runs this code.
pub fn index() -> usize {
    INDEX.get()
}

/// How many CPUs run.
pub fn count() -> usize {
    current().0.kicks.count.load(Ordering::Relaxed)
}

/// Makes the calling thread CPU number `index` of its machine.
pub fn set_index(index: usize) {
    assert!(index < MAX, "a machine has at most {MAX} CPUs");
    INDEX.set(index);
    current()
        .0
        .kicks
        .count
        .fetch_max(index + 1, Ordering::Relaxed);
}

/// Waits for an interrupt. Here: moves the clock to this CPU's alarm if it has one, else lets other
/// threads run.
pub fn idle() {
    if !clock::sleep_until_alarm() {
        std::thread::yield_now();
    }
}

/// Makes another CPU leave user mode or idle. Here it is only counted: see [`kicks`].
pub fn kick(cpu: usize) {
    if let Some(received) = current().0.kicks.received.get(cpu) {
        received.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts the other CPUs. Here a test starts threads, which [enter](super::Machine::enter) the machine.
pub fn start_others(run: fn() -> !) {
    let _ = run;
}

/// How far the counter of one CPU was behind that of another: here all have the same clock.
pub fn warp() -> u64 {
    0
}

/// Waits for them. Here there is nothing to wait for.
pub fn wait_for_others() -> Vec<u32> {
    Vec::new()
}

/// A value that all CPUs of the machine share, made on first use.
pub struct Shared<T> {
    init: fn() -> T,
}

/// The shared values of a machine, by the address of their [`Shared`].
#[derive(Default)]
pub(super) struct Values(Mutex<HashMap<(usize, TypeId), &'static (dyn Any + Send + Sync)>>);

impl<T: Send + Sync + 'static> Shared<T> {
    /// `init` makes the value.
    pub const fn new(init: fn() -> T) -> Self {
        Shared { init }
    }

    /// The value. It is never dropped, as on a real machine.
    pub fn get(&'static self) -> &'static T {
        let key = (std::ptr::from_ref(self).addr(), TypeId::of::<T>());
        let machine = current();
        let mut values = lock(&machine.0.values.0);
        let value = values
            .entry(key)
            .or_insert_with(|| Box::leak(Box::new((self.init)())));
        value.downcast_ref().expect("the key holds the type")
    }
}

/// How often CPU number `cpu` was kicked.
pub fn kicks(cpu: usize) -> u64 {
    current()
        .0
        .kicks
        .received
        .get(cpu)
        .map_or(0, |received| received.load(Ordering::Relaxed))
}

#[derive(PartialEq, Eq, Hash)]
struct Slot {
    owner: usize,
    kind: TypeId,
    machine: usize,
    cpu: usize,
}

/// A value of which every CPU has its own. Made on first use. Here it also belongs to the calling
/// thread, so `T` may be a `Cell`.
pub struct PerCpu<T> {
    init: fn() -> T,
}

impl<T: Send + 'static> PerCpu<T> {
    /// `init` makes each CPU's first value.
    pub const fn new(init: fn() -> T) -> Self {
        PerCpu { init }
    }

    /// Calls `f` with this CPU's value.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let slot = Slot {
            owner: std::ptr::from_ref(self).addr(),
            kind: TypeId::of::<T>(),
            machine: std::sync::Arc::as_ptr(&current().0).addr(),
            cpu: index(),
        };
        let found = SLOTS.with(|slots| slots.borrow().get(&slot).cloned());
        // `init` runs with the map unborrowed: it may use other per-CPU values.
        let value = found.unwrap_or_else(|| {
            let made: Rc<dyn Any> = Rc::new((self.init)());
            SLOTS.with(|slots| slots.borrow_mut().insert(slot, made.clone()));
            made
        });
        f(value.downcast_ref().expect("the slot's key holds the type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static COUNTER: PerCpu<Cell<u32>> = PerCpu::new(|| Cell::new(7));

    #[test]
    fn each_cpu_has_its_own_value() {
        COUNTER.with(|c| c.set(c.get() + 1));
        assert_eq!(COUNTER.with(Cell::get), 8);
        set_index(1);
        assert_eq!(COUNTER.with(Cell::get), 7);
        assert_eq!(count(), 2);
        set_index(0);
        assert_eq!(COUNTER.with(Cell::get), 8);
    }

    #[test]
    fn idle_moves_the_clock_to_the_alarm() {
        crate::time::set_alarm(Some(5_000_000_000));
        assert_eq!(clock::alarm(0), Some(5_000_000_000));
        idle();
        assert_eq!(crate::time::now(), 5_000_000_000);
        assert_eq!(clock::alarm(0), None);
    }
}
