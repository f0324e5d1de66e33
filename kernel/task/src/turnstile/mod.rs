//! Locks whose owner inherits the priority of those who wait for them (L. Sha, R. Rajkumar and J. Lehoczky, "Priority
//! Inheritance Protocols", 1990).
//!
//! The one idea: a lock costs nothing here until somebody must wait for it. Whoever comes first makes a [`Turnstile`]
//! for it, naming the owner; it is dropped when nobody waits any more. The lock itself, a word in a program's memory or
//! a flag in the kernel, is not known here.
//!
//! All turnstiles are under one lock: chains lead from one to the next, and a cycle must be seen by the one who closes
//! it. Whoever finds its lock free never comes here. Order of locks: whatever guards the lock's own word, then the
//! graph, then a run queue.

mod graph;
#[cfg(test)]
mod model;
mod slab;
#[cfg(test)]
mod tests;

use crate::task::Task;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use graph::{Graph, Member, NOBODY, Refusal};
use machine::cpu::Shared;
use machine::sync::Spin;

pub use graph::LONGEST_CHAIN;

static GRAPH: Shared<Spin<Graph<Arc<Task>, Label, u64>>> = Shared::new(|| Spin::new(Graph::new()));

/// What [`Task`] remembers of the locks that it holds or waits for. Written under the lock of the graph.
pub(crate) struct Holding {
    /// Its number in the graph.
    number: AtomicU32,
    blocked: AtomicBool,
    closed: AtomicBool,
}

impl Holding {
    pub fn new() -> Self {
        Holding {
            number: AtomicU32::new(NOBODY),
            blocked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }
}

impl Task {
    /// Whether it waits for a lock: since [`Turnstile::block`], and until it is the owner or gave up.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.holding.blocked.load(Ordering::Acquire)
    }

    fn number(&self) -> u32 {
        self.holding.number.load(Ordering::Relaxed)
    }
}

/// What a lock is known by to whoever made it.
pub type Label = [u64; 2];

/// Those who wait for a lock, highest priority first, and its owner.
#[derive(Debug)]
#[must_use = "dropping it ends the inheritance"]
pub struct Turnstile {
    number: u32,
}

/// Why a task cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// It would wait for itself, directly or through others, or be the end of a chain of more than [`LONGEST_CHAIN`].
    Deadlock,
    /// It waits for a lock already.
    Blocked,
    /// The heap is exhausted.
    NoMemory,
    /// The owner has let go of all its locks for good.
    Gone,
}

impl From<Refusal> for BlockError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Deadlock => BlockError::Deadlock,
            Refusal::Blocked => BlockError::Blocked,
            Refusal::NoMemory => BlockError::NoMemory,
        }
    }
}

impl Turnstile {
    /// For a lock that `owner` holds, with nobody waiting yet.
    ///
    /// # Errors
    /// [`BlockError::NoMemory`]; [`BlockError::Gone`] after [`close`].
    pub fn new(owner: &Arc<Task>, label: Label) -> Result<Turnstile, BlockError> {
        if !machine::frame::heap_room() {
            return Err(BlockError::NoMemory);
        }
        let mut graph = GRAPH.get().lock();
        if owner.holding.closed.load(Ordering::Relaxed) {
            return Err(BlockError::Gone);
        }
        let number = graph.add(owner, label)?;
        Ok(Turnstile { number })
    }

    /// `task` waits from now on, until [`pass`](Self::pass) makes it the owner or it [gives up](give_up):
    /// [`Task::is_blocked`] says so. `label` is what the caller knows it by.
    ///
    /// # Errors
    /// See [`BlockError`]; nothing has changed.
    pub fn block(&self, task: &Arc<Task>, label: u64) -> Result<(), BlockError> {
        if !machine::frame::heap_room() {
            return Err(BlockError::NoMemory);
        }
        Ok(GRAPH.get().lock().block(self.number, task, label)?)
    }

    /// The label of the one who would be the owner next.
    pub fn first(&self) -> Option<u64> {
        GRAPH.get().lock().first(self.number)
    }

    /// Makes the first waiter the owner and wakes it; its label. `None`: nobody waits, and nothing has changed.
    pub fn pass(&self) -> Option<u64> {
        let (task, label) = GRAPH.get().lock().pass(self.number)?;
        task.wake();
        Some(label)
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        GRAPH.get().lock().remove(self.number);
    }
}

/// `task` waits no more. `false`: it did not wait any more, it is the owner.
pub fn give_up(task: &Arc<Task>) -> bool {
    GRAPH.get().lock().unblock(task)
}

/// The label of a lock that `task` holds and others wait for, if there is one.
pub fn any_held(task: &Arc<Task>) -> Option<Label> {
    GRAPH.get().lock().any_held(task)
}

/// `task` is never again the owner of a lock that others wait for. `false`: it is one.
pub fn close(task: &Arc<Task>) -> bool {
    let graph = GRAPH.get().lock();
    if graph.any_held(task).is_some() {
        return false;
    }
    task.holding.closed.store(true, Ordering::Relaxed);
    true
}

/// The class of `task` has changed.
pub(crate) fn reclassed(task: &Task) {
    // Who is not in the graph yet comes into it with the class that it has then.
    if task.number() != NOBODY {
        GRAPH.get().lock().changed(task.number());
    }
}

/// `task` has ended.
pub(crate) fn ended(task: &Task) {
    if task.number() != NOBODY {
        GRAPH.get().lock().forget(task.number());
    }
}

impl Member for Arc<Task> {
    fn own(&self) -> u8 {
        self.class().priority()
    }

    fn inherit(&self, priority: u8) {
        Task::inherit(self, priority);
    }

    fn set_blocked(&self, blocked: bool) {
        self.holding.blocked.store(blocked, Ordering::Release);
    }

    fn number(&self) -> u32 {
        Task::number(self)
    }

    fn set_number(&self, number: u32) {
        self.holding.number.store(number, Ordering::Relaxed);
    }
}
