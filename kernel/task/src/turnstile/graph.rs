//! Who holds what, who waits for it, and what is inherited along.
//!
//! The one idea: a lock lends its owner the priority of its first waiter, a task has the highest of its own priority
//! and those that are lent to it, and with that it stands in the line that it waits in itself. So a change runs along
//! one chain, from a line to its owner to the line where the owner waits, and ends at the first thing that stays as it
//! was.
//!
//! Pure: no clock, no locks. Cost: O(log n) for each link of a chain, where n are the waiters of a line or the locks of
//! an owner.

use super::slab::Slab;
use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;

/// The longest chain of tasks that wait for each other (what Linux has: `kernel.max_lock_depth`). Who would make it
/// longer is refused, and a change of priority runs no further.
pub const LONGEST_CHAIN: usize = 1024;

/// Whoever holds or waits.
pub trait Member {
    /// Its priority without what it inherits.
    fn own(&self) -> u8;
    /// It inherits this from now on; 0: nothing.
    fn inherit(&self, priority: u8);
    /// Whether it waits for a lock.
    fn set_blocked(&self, blocked: bool);
    /// The number that [`Graph`] knows it by: what was set last, at first [`NOBODY`].
    fn number(&self) -> u32;
    /// Sets it.
    fn set_number(&self, number: u32);
}

/// Not in the graph.
pub const NOBODY: u32 = u32::MAX;

/// Why nobody was put in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would wait for itself, or at the end of too long a chain.
    Deadlock,
    /// It waits already.
    Blocked,
    /// The heap is exhausted.
    NoMemory,
}

/// `L` is what a lock is known by, `W` a waiter.
pub struct Graph<T, L, W> {
    tasks: Slab<Node<T>>,
    locks: Slab<Lock<L, W>>,
    arrivals: u64,
}

struct Node<T> {
    task: T,
    inherited: u8,
    /// What its locks lend it, highest first; the lock's number.
    held: BTreeSet<(Reverse<u8>, u32)>,
    waits: Option<Wait>,
}

struct Wait {
    lock: u32,
    place: Place,
}

/// Where it stands in a line: by priority, then by arrival.
type Place = (Reverse<u8>, u64);

struct Lock<L, W> {
    label: L,
    owner: u32,
    /// What its owner has got of it.
    lent: u8,
    line: BTreeMap<Place, (u32, W)>,
}

impl<L, W> Lock<L, W> {
    fn highest(&self) -> u8 {
        self.line
            .first_key_value()
            .map_or(0, |(place, _)| place.0.0)
    }
}

impl<T: Member + Clone, L: Copy, W: Copy> Graph<T, L, W> {
    pub const fn new() -> Self {
        Graph {
            tasks: Slab::new(),
            locks: Slab::new(),
            arrivals: 0,
        }
    }

    /// A lock that `owner` holds; its number.
    pub fn add(&mut self, owner: &T, label: L) -> Result<u32, Refusal> {
        let owner = self.enter(owner)?;
        let lock = Lock {
            label,
            owner,
            lent: 0,
            line: BTreeMap::new(),
        };
        let Some(lock) = self.locks.insert(lock) else {
            self.leave_if_done(owner);
            return Err(Refusal::NoMemory);
        };
        self.give(owner, lock);
        Ok(lock)
    }

    /// Forgets a lock: its owner inherits nothing from it any more, and nobody waits for it.
    pub fn remove(&mut self, lock: u32) {
        let Some(gone) = self.locks.remove(lock) else {
            return;
        };
        for (waiter, _) in gone.line.values() {
            if let Some(node) = self.tasks.get_mut(*waiter) {
                node.waits = None;
                node.task.set_blocked(false);
            }
            self.leave_if_done(*waiter);
        }
        self.take_back(gone.owner, lock, gone.lent);
    }

    /// `task` waits for `lock` from now on.
    pub fn block(&mut self, lock: u32, task: &T, label: W) -> Result<(), Refusal> {
        if self.would_deadlock(lock, task.number()) {
            return Err(Refusal::Deadlock);
        }
        let number = self.enter(task)?;
        let arrival = self.arrive();
        if let Some(node) = self.tasks.get_mut(number)
            && let Some(there) = self.locks.get_mut(lock)
        {
            if node.waits.is_some() {
                return Err(Refusal::Blocked);
            }
            let place = (Reverse(node.task.own().max(node.inherited)), arrival);
            node.waits = Some(Wait { lock, place });
            node.task.set_blocked(true);
            there.line.insert(place, (number, label));
            self.spread(lock);
        }
        Ok(())
    }

    /// `task` gives up waiting. `false`: it does not wait (any more).
    pub fn unblock(&mut self, task: &T) -> bool {
        let number = task.number();
        let Some(wait) = self
            .tasks
            .get_mut(number)
            .and_then(|node| node.waits.take())
        else {
            return false;
        };
        task.set_blocked(false);
        if let Some(lock) = self.locks.get_mut(wait.lock) {
            lock.line.remove(&wait.place);
        }
        self.leave_if_done(number);
        self.spread(wait.lock);
        true
    }

    /// The first waiter of a lock holds it now, and waits no more.
    pub fn pass(&mut self, lock: u32) -> Option<(T, W)> {
        let there = self.locks.get_mut(lock)?;
        let (_, (next, label)) = there.line.pop_first()?;
        let (before, lent) = (there.owner, there.lent);
        (there.owner, there.lent) = (next, 0);
        let node = self.tasks.get_mut(next)?;
        node.waits = None;
        let task = node.task.clone();
        task.set_blocked(false);
        self.give(next, lock);
        // First the new owner: for no moment has nobody the priority of those who wait.
        self.spread(lock);
        self.take_back(before, lock, lent);
        Some((task, label))
    }

    /// What the first waiter of a lock is known by.
    pub fn first(&self, lock: u32) -> Option<W> {
        let (_, (_, label)) = self.locks.get(lock)?.line.first_key_value()?;
        Some(*label)
    }

    /// What a lock that `task` holds is known by, if there is one.
    pub fn any_held(&self, task: &T) -> Option<L> {
        let node = self.tasks.get(task.number())?;
        let (_, lock) = node.held.first()?;
        Some(self.locks.get(*lock)?.label)
    }

    /// The own priority of the task with this number may have changed.
    pub fn changed(&mut self, task: u32) {
        if let Some(lock) = self.settle(task) {
            self.spread(lock);
        }
    }

    /// The task with this number has ended: it waits for nothing, and what it held has no owner any more.
    pub fn forget(&mut self, task: u32) {
        let Some(node) = self.tasks.remove(task) else {
            return;
        };
        node.task.set_number(NOBODY);
        for (_, lock) in node.held {
            if let Some(lock) = self.locks.get_mut(lock) {
                lock.owner = NOBODY;
            }
        }
        if let Some(wait) = node.waits
            && let Some(there) = self.locks.get_mut(wait.lock)
        {
            there.line.remove(&wait.place);
            self.spread(wait.lock);
        }
    }

    fn enter(&mut self, task: &T) -> Result<u32, Refusal> {
        if task.number() != NOBODY {
            return Ok(task.number());
        }
        let node = Node {
            task: task.clone(),
            inherited: 0,
            held: BTreeSet::new(),
            waits: None,
        };
        let number = self.tasks.insert(node).ok_or(Refusal::NoMemory)?;
        task.set_number(number);
        Ok(number)
    }

    fn leave_if_done(&mut self, number: u32) {
        let done = |node: &Node<T>| node.held.is_empty() && node.waits.is_none();
        if self.tasks.get(number).is_some_and(done)
            && let Some(node) = self.tasks.remove(number)
        {
            node.task.set_number(NOBODY);
        }
    }

    fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn give(&mut self, owner: u32, lock: u32) {
        if let Some(node) = self.tasks.get_mut(owner) {
            node.held.insert((Reverse(0), lock));
        }
    }

    fn take_back(&mut self, owner: u32, lock: u32, lent: u8) {
        if let Some(node) = self.tasks.get_mut(owner) {
            node.held.remove(&(Reverse(lent), lock));
        }
        if let Some(next) = self.settle(owner) {
            self.spread(next);
        }
        self.leave_if_done(owner);
    }

    /// Whether `lock` is held by `task`, or by somebody who waits for it at the end of a chain.
    fn would_deadlock(&self, mut lock: u32, task: u32) -> bool {
        for _ in 0..LONGEST_CHAIN {
            let Some(owner) = self.locks.get(lock).map(|lock| lock.owner) else {
                return false;
            };
            if owner == task && owner != NOBODY {
                return true;
            }
            match self.tasks.get(owner).and_then(|node| node.waits.as_ref()) {
                Some(wait) => lock = wait.lock,
                None => return false,
            }
        }
        true
    }

    /// The line of `lock` has changed: lends its owner what it should have, and so on along the chain.
    fn spread(&mut self, mut lock: u32) {
        for _ in 0..LONGEST_CHAIN {
            let Some(there) = self.locks.get_mut(lock) else {
                return;
            };
            let (old, new) = (there.lent, there.highest());
            if old == new {
                return;
            }
            there.lent = new;
            let owner = there.owner;
            if let Some(node) = self.tasks.get_mut(owner) {
                node.held.remove(&(Reverse(old), lock));
                node.held.insert((Reverse(new), lock));
            }
            match self.settle(owner) {
                Some(next) => lock = next,
                None => return,
            }
        }
    }

    /// Gives a task what is lent to it, and its place in the line where it waits. The lock of that line, if it moved.
    fn settle(&mut self, number: u32) -> Option<u32> {
        let arrival = self.arrive();
        let node = self.tasks.get_mut(number)?;
        let inherited = node.held.first().map_or(0, |(lent, _)| lent.0);
        if inherited != node.inherited {
            node.inherited = inherited;
            node.task.inherit(inherited);
        }
        let priority = Reverse(node.task.own().max(inherited));
        let wait = node.waits.as_mut()?;
        if wait.place.0 == priority {
            return None;
        }
        let line = &mut self.locks.get_mut(wait.lock)?.line;
        let waiter = line.remove(&wait.place)?;
        wait.place = (priority, arrival);
        line.insert(wait.place, waiter);
        Some(wait.lock)
    }
}
