//! Cgroups: a tree of names over groups of tasks.

use super::control::Controllers;
use crate::realm;
use abi::{CpuSet, Error, Rights};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::sync::{Once, Spin};
use task::Group;
use vfs::Permissions;

/// The cgroups of a realm.
pub struct Hierarchy {
    root: Arc<Cgroup>,
    /// Where new cgroups below the root lie if the root is no group: one for all of them, so that together they count no
    /// more than one thread does.
    umbrella: Once<Arc<Group>>,
    /// Whether they need no umbrella: the realm may administer all processes.
    may_stand_alone: bool,
    /// Held while the tree changes or somebody moves in it.
    gate: Spin<()>,
}

/// One cgroup.
pub struct Cgroup {
    name: Vec<u8>,
    /// The number of its directory; those of its files follow.
    number: u64,
    parent: Weak<Cgroup>,
    /// `None` only for a root: whoever is in no group.
    group: Option<Arc<Group>>,
    children: Spin<BTreeMap<Vec<u8>, Arc<Cgroup>>>,
    /// Who made it, and with what mode.
    made: Permissions,
    /// Of its directory (0) and its files (1 + their index) that were changed since.
    changed: Spin<BTreeMap<u64, Permissions>>,
    pub(super) enabled: Controllers,
    /// The period of `cpu.max`, in nanoseconds, also while there is no quota.
    pub(super) period: AtomicU64,
    /// The processors that were asked for; `None`: those of the parent.
    pub(super) cpus: Spin<Option<CpuSet>>,
    is_removed: AtomicBool,
}

/// Inode numbers from one cgroup to the next.
pub(super) const NUMBERS: u64 = 64;
/// The period of a quota that names none, in nanoseconds.
pub(super) const PERIOD: u64 = 100_000_000;

/// Of the root's directory.
const OF_ROOT: Permissions = Permissions {
    mode: 0o755,
    uid: 0,
    gid: 0,
};

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) * NUMBERS
}

impl Hierarchy {
    /// One over the tasks in `group`, or in none.
    pub fn new(group: Option<Arc<Group>>, may_stand_alone: bool) -> Arc<Hierarchy> {
        Arc::new(Hierarchy {
            root: Arc::new(Cgroup::new(Vec::new(), Weak::new(), group, OF_ROOT)),
            umbrella: Once::new(),
            may_stand_alone,
            gate: Spin::new(()),
        })
    }

    /// Its root.
    pub fn root(&self) -> &Arc<Cgroup> {
        &self.root
    }

    /// Makes a cgroup, whose directory gets this owner and mode.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NoDevice`]: the parent is gone; [`Error::Limit`]: too deep; [`Error::NoMemory`].
    pub fn create(
        &self,
        parent: &Arc<Cgroup>,
        name: &[u8],
        made: Permissions,
    ) -> Result<Arc<Cgroup>, Error> {
        let _gate = self.gate.lock();
        if parent.is_removed() {
            return Err(Error::NoDevice);
        }
        if parent.children.lock().contains_key(name) {
            return Err(Error::Exists);
        }
        let around = match &parent.group {
            Some(group) => Some(group.clone()),
            None if self.may_stand_alone => None,
            None => Some(self.umbrella()?),
        };
        let group = Group::new(around)?;
        let child = Cgroup::new(name.into(), Arc::downgrade(parent), Some(group), made);
        let child = Arc::new(child);
        parent.children.lock().insert(name.into(), child.clone());
        Ok(child)
    }

    fn umbrella(&self) -> Result<Arc<Group>, Error> {
        if let Some(umbrella) = self.umbrella.get() {
            return Ok(umbrella.clone());
        }
        // The gate is held: nobody else makes one.
        let umbrella = Group::new(None)?;
        let _ = self.umbrella.set(umbrella.clone());
        Ok(umbrella)
    }

    /// Removes a cgroup in which nobody is.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`]: somebody is in it, or there are cgroups in it.
    pub fn remove(&self, parent: &Cgroup, name: &[u8]) -> Result<(), Error> {
        let gate = self.gate.lock();
        let mut children = parent.children.lock();
        let child = children.get(name).ok_or(Error::NotFound)?;
        // From above to below, and the gate keeps everybody else away.
        if child.is_populated() || !child.children.lock_second(&children).is_empty() {
            return Err(Error::Busy);
        }
        child.is_removed.store(true, Ordering::Relaxed);
        let child = children.remove(name);
        drop((children, gate));
        drop(child);
        Ok(())
    }

    /// The cgroup that a process is in, if that is one of these.
    pub fn find(&self, process: &process::Process) -> Option<Arc<Cgroup>> {
        let number = number_of_group(process);
        self.root.search(&|cgroup| cgroup.group_number() == number)
    }

    /// Moves a process that the caller may signal, with all its threads. `may_write` says of a cgroup whether the caller
    /// may move processes there: besides in this one, in the one that contains both.
    ///
    /// # Errors
    /// [`Error::NoProcess`]; [`Error::Denied`]: it may not; [`Error::NotFound`]: it is in none of these cgroups, and only from there it can be fetched;
    /// [`Error::Unsupported`]: the cgroup lies below threads; [`Error::Busy`]: it is for cgroups, not for processes, or
    /// has no room for a reservation; [`Error::Invalid`]: it has a quota, and somebody a priority; [`Error::NoDevice`]: it
    /// is gone.
    pub fn admit(
        &self,
        cgroup: &Arc<Cgroup>,
        process: &process::Process,
        may_write: impl Fn(&Cgroup) -> bool,
    ) -> Result<(), Error> {
        let _gate = self.gate.lock();
        if cgroup.is_removed() {
            return Err(Error::NoDevice);
        }
        let source = self.find(process).ok_or(Error::NotFound)?;
        if !may_write(&source.common(cgroup)) {
            return Err(Error::Denied);
        }
        if !cgroup.is_valid_domain() {
            return Err(Error::Unsupported);
        }
        if !cgroup.can_be_thread_root() && cgroup.enabled.any() {
            return Err(Error::Busy);
        }
        match process.join(cgroup.group.as_ref()) {
            Err(Error::Forbidden) => Err(Error::Invalid),
            other => other,
        }
    }

    /// Switches controllers on and off for the children of a cgroup.
    ///
    /// # Errors
    /// [`Error::NotFound`]: it is not on in the parent. [`Error::Busy`]: it is on in a child, or somebody is in the cgroup.
    /// [`Error::Unsupported`]: the cgroup lies below threads. [`Error::NoDevice`]: it is gone.
    pub fn enable(&self, cgroup: &Cgroup, on: u8, off: u8) -> Result<(), Error> {
        let _gate = self.gate.lock();
        if cgroup.is_removed() {
            return Err(Error::NoDevice);
        }
        let (before, available) = (cgroup.enabled.get(), cgroup.available());
        let (on, off) = (on & !before, off & before);
        if on & !available != 0 {
            return Err(Error::NotFound);
        }
        let children: Vec<Arc<Cgroup>> = cgroup.children();
        if children.iter().any(|child| child.enabled.get() & off != 0) {
            return Err(Error::Busy);
        }
        if on != 0 {
            if !cgroup.is_valid_domain() {
                return Err(Error::Unsupported);
            }
            if !cgroup.can_be_thread_root() && cgroup.has_tasks() {
                return Err(Error::Busy);
            }
        }
        for child in children {
            child.reset(off)?;
        }
        cgroup.enabled.set(before & !off | on);
        Ok(())
    }
}

/// The number of the group that a process is in; `None`: in none. A thread that is about to end has left it already.
fn number_of_group(process: &process::Process) -> Option<u32> {
    let group = process.search_threads(|thread| thread.task()?.group());
    group.map(|group| group.number())
}

impl Cgroup {
    fn new(
        name: Vec<u8>,
        parent: Weak<Cgroup>,
        group: Option<Arc<Group>>,
        made: Permissions,
    ) -> Cgroup {
        Cgroup {
            name,
            number: next_number(),
            parent,
            group,
            children: Spin::new(BTreeMap::new()),
            made,
            changed: Spin::new(BTreeMap::new()),
            enabled: Controllers::default(),
            period: AtomicU64::new(PERIOD),
            cpus: Spin::new(None),
            is_removed: AtomicBool::new(false),
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn is_root(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether it was removed; whoever has it open finds nothing in it.
    pub fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Relaxed)
    }

    pub fn group(&self) -> Option<&Arc<Group>> {
        self.group.as_ref()
    }

    fn group_number(&self) -> Option<u32> {
        self.group.as_ref().map(|group| group.number())
    }

    pub fn child(&self, name: &[u8]) -> Option<Arc<Cgroup>> {
        self.children.lock().get(name).cloned()
    }

    pub fn children(&self) -> Vec<Arc<Cgroup>> {
        self.children.lock().values().cloned().collect()
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Owner and mode of its directory (0) or of a file (1 + its index), which has this mode if nobody changed it.
    pub fn permissions(&self, part: u64, mode: u16) -> Permissions {
        let unchanged = || Permissions {
            mode: if part == 0 { self.made.mode } else { mode },
            ..self.made
        };
        let changed = self.changed.lock().get(&part).copied();
        changed.unwrap_or_else(unchanged)
    }

    /// Changes these.
    pub fn set_permissions(&self, part: u64, permissions: Permissions) {
        self.changed.lock().insert(part, permissions);
    }

    /// The lowest cgroup that both are in.
    fn common(self: &Arc<Self>, other: &Arc<Cgroup>) -> Arc<Cgroup> {
        let mut at = self.clone();
        loop {
            let mut above = Some(other.clone());
            while let Some(cgroup) = above {
                if Arc::ptr_eq(&cgroup, &at) {
                    return at;
                }
                above = cgroup.parent.upgrade();
            }
            match at.parent.upgrade() {
                Some(parent) => at = parent,
                None => return at,
            }
        }
    }

    /// From the root.
    pub fn path(&self) -> Vec<u8> {
        let mut path = match self.parent.upgrade() {
            Some(parent) if !parent.is_root() => parent.path(),
            _ => Vec::new(),
        };
        path.push(b'/');
        path.extend_from_slice(&self.name);
        path
    }

    fn search(self: &Arc<Self>, wanted: &impl Fn(&Cgroup) -> bool) -> Option<Arc<Cgroup>> {
        if wanted(self) {
            return Some(self.clone());
        }
        self.children()
            .iter()
            .find_map(|child| child.search(wanted))
    }

    /// How many there are below it.
    pub fn descendants(&self) -> usize {
        let children = self.children();
        let below = children.iter().map(|child| 1 + child.descendants());
        below.sum()
    }

    /// The controllers that can be switched on for its children.
    pub fn available(&self) -> u8 {
        match self.parent.upgrade() {
            Some(parent) => parent.enabled.get(),
            None if self.is_root() => super::control::ALL,
            None => 0,
        }
    }

    /// Whether somebody is in it, other than in cgroups in it.
    pub fn has_tasks(&self) -> bool {
        match &self.group {
            Some(group) => !group.members().is_empty(),
            None => true,
        }
    }

    /// Whether somebody is in it, or in a group in it.
    pub fn is_populated(&self) -> bool {
        fn lives(group: &Group) -> bool {
            !group.members().is_empty() || group.groups().iter().any(|group| lives(group))
        }
        self.group.as_ref().is_none_or(|group| lives(group))
    }

    /// Whether it could hold threads beside cgroups (`cgroup_can_be_thread_root` of Linux's `kernel/cgroup/cgroup.c`).
    fn can_be_thread_root(&self) -> bool {
        self.is_root() || !self.children().iter().any(|child| child.is_populated())
    }

    /// Whether it holds threads, and controllers are on: what lies in it is no place for processes.
    pub fn is_thread_root(&self) -> bool {
        !self.is_root() && self.enabled.any() && self.has_tasks()
    }

    /// Whether processes can be in it as far as those above it are concerned.
    pub fn is_valid_domain(&self) -> bool {
        match self.parent.upgrade() {
            Some(parent) => !parent.is_thread_root() && parent.is_valid_domain(),
            None => true,
        }
    }

    /// The processes in it, of those that the caller knows. O(processes).
    pub fn processes(&self) -> Vec<Arc<process::Process>> {
        let caller = crate::procfs::calling_process();
        let mut all = process::all();
        all.retain(|process| {
            let known =
                |caller: &Arc<process::Process>| realm::knows(caller, process, Rights::LIST);
            process.status().is_none()
                && caller.as_ref().is_none_or(known)
                && number_of_group(process) == self.group_number()
        });
        all
    }

    /// Takes back what was set by the files of these controllers.
    fn reset(&self, controllers: u8) -> Result<(), Error> {
        let Some(group) = &self.group else {
            return Ok(());
        };
        if controllers & super::control::CPUSET != 0 {
            group.set_cpus(u64::MAX)?;
            *self.cpus.lock() = None;
        }
        if controllers & super::control::CPU != 0 {
            group.set_quota(None)?;
            group.set_weight(task::policy::NORMAL_WEIGHT)?;
            self.period.store(PERIOD, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::control::{ALL, CPU};
    use super::*;

    fn around(hierarchy: &Hierarchy, name: &str) -> Option<u32> {
        let made = hierarchy.create(hierarchy.root(), name.as_bytes(), OF_ROOT);
        let made = made.expect("the name is free");
        let group = made.group().expect("it is no root");
        group.parent().map(|around| around.number())
    }

    /// What is made lies in what the program has: its own group, or one that stands for the program.
    #[test]
    fn nothing_is_made_outside() {
        let own = Group::new(None).expect("there is memory");
        let confined = Hierarchy::new(Some(own.clone()), true);
        assert_eq!(around(&confined, "a"), Some(own.number()));
        let small = Hierarchy::new(None, false);
        let first = around(&small, "a");
        assert!(first.is_some());
        assert_eq!(around(&small, "b"), first);
        assert_ne!(around(&Hierarchy::new(None, false), "a"), first);
        assert_eq!(around(&Hierarchy::new(None, true), "a"), None);
    }

    #[test]
    fn names_come_and_go() {
        let hierarchy = Hierarchy::new(None, true);
        let root = hierarchy.root().clone();
        let a = hierarchy.create(&root, b"a", OF_ROOT).expect("it is free");
        assert_eq!(
            hierarchy.create(&root, b"a", OF_ROOT).err(),
            Some(Error::Exists)
        );
        let b = hierarchy.create(&a, b"b", OF_ROOT).expect("it is free");
        assert_eq!((a.path(), b.path()), (b"/a".to_vec(), b"/a/b".to_vec()));
        assert_eq!(root.descendants(), 2);
        assert_eq!(hierarchy.remove(&root, b"a"), Err(Error::Busy));
        assert_eq!(hierarchy.remove(&a, b"b"), Ok(()));
        assert_eq!(hierarchy.remove(&a, b"b"), Err(Error::NotFound));
        assert_eq!(
            hierarchy.create(&b, b"c", OF_ROOT).err(),
            Some(Error::NoDevice)
        );
        assert_eq!(hierarchy.enable(&b, CPU, 0), Err(Error::NoDevice));
        let group = Arc::downgrade(a.group().expect("it is no root"));
        assert_eq!(hierarchy.remove(&root, b"a"), Ok(()));
        drop((a, b));
        assert!(group.upgrade().is_none(), "nothing is left of it");
        // Not without end.
        let mut at = root;
        let error = loop {
            match hierarchy.create(&at, b"deeper", OF_ROOT) {
                Ok(next) => at = next,
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::Limit);
    }

    #[test]
    fn controllers_come_from_above() {
        let hierarchy = Hierarchy::new(None, true);
        let root = hierarchy.root().clone();
        let a = hierarchy.create(&root, b"a", OF_ROOT).expect("it is free");
        assert_eq!((root.available(), a.available()), (ALL, 0));
        assert_eq!(hierarchy.enable(&a, CPU, 0), Err(Error::NotFound));
        assert_eq!(hierarchy.enable(&root, CPU, 0), Ok(()));
        assert_eq!(hierarchy.enable(&a, CPU, 0), Ok(()));
        assert_eq!(hierarchy.enable(&root, 0, CPU), Err(Error::Busy));
        assert_eq!(hierarchy.enable(&a, 0, ALL), Ok(()));
        let group = a.group().expect("it is no root");
        group.set_weight(5).expect("it is valid");
        assert_eq!(hierarchy.enable(&root, 0, CPU), Ok(()));
        assert_eq!(group.weight(), task::policy::NORMAL_WEIGHT);
    }
}
