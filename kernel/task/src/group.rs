//! Groups of tasks: a weight, a quota and a set of CPUs for all that are in one, together.
//!
//! The one idea: a group is what the policy needs of it ([`policy::Group`](crate::policy::Group)) and the list of its
//! members. Tasks start in the group of whoever spawned them. A member that runs changes to another group at the end of
//! its turn, which is asked to end; one that waits or sleeps, at once.
//!
//! Quotas are of shares. So whoever has a priority or a reservation cannot be in a group with a quota, and no member of
//! one can ask for them.

use crate::policy::{self, Class, Quota, Usage};
use crate::seats::Seats;
use crate::task::narrowed;
use crate::{Task, placement};
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;

/// See the module.
#[derive(Debug)]
pub struct Group {
    share: Arc<policy::Group>,
    parent: Option<Arc<Group>>,
    /// The CPUs that were asked for.
    cpus: AtomicU64,
    inside: Spin<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// By their address.
    members: BTreeMap<usize, Weak<Task>>,
    groups: BTreeMap<u32, Weak<Group>>,
}

/// Held while it is decided who may compete how: quotas, priorities and memberships are changed one after the other.
static RULES: Spin<()> = Spin::new(());

impl Group {
    /// A group in `parent`, or a topmost one: of normal weight, without a quota, for all CPUs.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::Limit`]: more than [`policy::DEPTH`] in each other.
    pub fn new(parent: Option<Arc<Group>>) -> Result<Arc<Group>, Error> {
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let above = parent.as_ref().map(|parent| parent.share.clone());
        let share = policy::Group::new(Number::take(), above).ok_or(Error::Limit)?;
        let group = Arc::new(Group {
            share: Arc::new(share),
            parent,
            cpus: AtomicU64::new(u64::MAX),
            inside: Spin::new(Inside::default()),
        });
        if let Some(parent) = &group.parent {
            let mut inside = parent.inside.lock();
            inside.groups.insert(group.number(), Arc::downgrade(&group));
        }
        Ok(group)
    }

    /// A number that no other group has as long as this one lives.
    pub fn number(&self) -> u32 {
        self.share.number()
    }

    /// The group that it is in.
    pub fn parent(&self) -> Option<&Arc<Group>> {
        self.parent.as_ref()
    }

    pub(crate) fn share(&self) -> &Arc<policy::Group> {
        &self.share
    }

    /// Its weight among its siblings, and among tasks beside it; [`policy::NORMAL_WEIGHT`] is normal.
    pub fn weight(&self) -> u32 {
        self.share.weight()
    }

    /// Gives it another weight, from 1 to [`policy::LARGEST_WEIGHT`].
    ///
    /// # Errors
    /// [`Error::Invalid`]: another one.
    pub fn set_weight(&self, weight: u32) -> Result<(), Error> {
        if !(1..=policy::LARGEST_WEIGHT).contains(&weight) {
            return Err(Error::Invalid);
        }
        self.share.set_weight(weight);
        Ok(())
    }

    /// What all its members together may use at most.
    pub fn quota(&self) -> Option<Quota> {
        self.share.quota()
    }

    /// Sets that, or takes it away.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the numbers make no sense. [`Error::Busy`]: somebody in it has a priority or a reservation.
    pub fn set_quota(&self, quota: Option<Quota>) -> Result<(), Error> {
        if quota.is_some_and(|quota| !quota.is_valid()) {
            return Err(Error::Invalid);
        }
        let _rules = RULES.lock();
        if quota.is_some() {
            let mut tasks = Vec::new();
            self.collect(&mut tasks);
            if tasks
                .iter()
                .any(|task| !matches!(task.class(), Class::Fair { .. }))
            {
                return Err(Error::Busy);
            }
        }
        self.share.set_quota(quota);
        Ok(())
    }

    /// What was counted of it, and of the groups in it.
    pub fn usage(&self) -> Usage {
        self.share.usage()
    }

    /// The CPUs that were asked for, one bit each.
    pub fn cpus(&self) -> u64 {
        self.cpus.load(Ordering::Relaxed)
    }

    /// The CPUs on which its members may run: of those that were asked for, the ones that the group it is in may use, or
    /// if there are none of these, all of them.
    pub fn allowed(&self) -> u64 {
        let above = self.parent.as_ref().map_or(u64::MAX, |it| it.allowed());
        placement::narrow(above, self.cpus())
    }

    /// Sets these. Members move there at the end of their turn, and their reservations with them.
    ///
    /// # Errors
    /// [`Error::Busy`]: there is no room for a reservation; nothing has changed. Not if there is a quota, as nobody has
    /// one then.
    pub fn set_cpus(&self, cpus: u64) -> Result<(), Error> {
        let _rules = RULES.lock();
        let mut seats = Seats::lock();
        let before = self.cpus.swap(cpus, Ordering::Relaxed);
        let mut tasks = Vec::new();
        self.collect(&mut tasks);
        let moved = seats.move_all(&tasks, Task::confined);
        if moved.is_err() {
            self.cpus.store(before, Ordering::Relaxed);
        }
        // Also if not: somebody may have come in between.
        for task in tasks {
            task.confine(&mut seats);
        }
        moved
    }

    /// The tasks in it, without those of groups in it. O(n).
    pub fn members(&self) -> Vec<Arc<Task>> {
        let inside = self.inside.lock();
        inside.members.values().filter_map(Weak::upgrade).collect()
    }

    /// Whether nobody is in it, and no group.
    pub fn is_empty(&self) -> bool {
        let inside = self.inside.lock();
        inside.members.is_empty() && inside.groups.is_empty()
    }

    /// The groups in it. O(n).
    pub fn groups(&self) -> Vec<Arc<Group>> {
        let inside = self.inside.lock();
        inside.groups.values().filter_map(Weak::upgrade).collect()
    }

    /// Adds all tasks in it and in the groups in it.
    fn collect(&self, tasks: &mut Vec<Arc<Task>>) {
        tasks.extend(self.members());
        for group in self.groups() {
            group.collect(tasks);
        }
    }

    /// Whether it, or a group that it is in, has a quota.
    fn is_limited(&self) -> bool {
        self.quota().is_some() || self.parent.as_ref().is_some_and(|it| it.is_limited())
    }

    pub(crate) fn enter(&self, task: &Arc<Task>) {
        let mut inside = self.inside.lock();
        inside.members.insert(key(task), Arc::downgrade(task));
    }

    pub(crate) fn leave(&self, task: &Task) {
        self.inside.lock().members.remove(&key(task));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.inside.lock().groups.remove(&self.number());
        }
    }
}

fn key(task: &Task) -> usize {
    core::ptr::from_ref(task).addr()
}

/// Makes these tasks members of `group`, or of none: all of them or, if it fails, none. Who is done is left out.
///
/// # Errors
/// [`Error::Forbidden`]: one has a priority or a reservation, and there is a quota. [`Error::Busy`]: one has a reservation
/// for which the group's CPUs have no room. [`Error::NoMemory`].
pub fn gather(tasks: &[Arc<Task>], group: Option<&Arc<Group>>) -> Result<(), Error> {
    let _rules = RULES.lock();
    let limited = group.is_some_and(|group| group.is_limited());
    let above = |task: &Arc<Task>| !matches!(task.class(), Class::Fair { .. }) && !task.is_done();
    if limited && tasks.iter().any(above) {
        return Err(Error::Forbidden);
    }
    let mut seats = Seats::lock();
    let within = group.map(|group| &**group);
    seats.move_all(tasks, |task| narrowed(within, task.asked_affinity()))?;
    let mut moved = Vec::new();
    for task in tasks {
        match task.change_group(&mut seats, group) {
            Ok(before) => moved.push((task, before)),
            Err(error) => {
                for (task, before) in moved {
                    // It comes from there; without memory for the way back it stays.
                    let _ = task.change_group(&mut seats, before.as_ref());
                }
                tasks.iter().for_each(|task| task.confine(&mut seats));
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Whether a member of `group` may compete in `class`; `act` makes it so before anything changes.
///
/// # Errors
/// [`Error::Forbidden`]: not beside a quota. Whatever `act` gives.
pub(crate) fn by_the_rules<R>(
    group: impl FnOnce() -> Option<Arc<Group>>,
    class: impl FnOnce() -> Class,
    act: impl FnOnce() -> Result<R, Error>,
) -> Result<R, Error> {
    let _rules = RULES.lock();
    let limited = group().is_some_and(|group| group.is_limited());
    if limited && !matches!(class(), Class::Fair { .. }) {
        return Err(Error::Forbidden);
    }
    act()
}

/// The number of a group; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Number(u32);

struct Numbers {
    /// All from 1 to this were given away.
    last: u32,
    free: Vec<u32>,
}

static NUMBERS: Spin<Numbers> = Spin::new(Numbers {
    last: 0,
    free: Vec::new(),
});

impl Number {
    /// One that nobody has; not 0.
    pub fn take() -> Number {
        let mut numbers = NUMBERS.lock();
        Number(numbers.free.pop().unwrap_or_else(|| {
            numbers.last += 1;
            numbers.last
        }))
    }

    pub fn get(&self) -> u32 {
        self.0
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        NUMBERS.lock().free.push(self.0);
    }
}
