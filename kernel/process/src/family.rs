//! Parents and children: who is told of an end, who takes orphans over, and when a number is free again.
//!
//! An ended process goes through its stages once, whoever asks and however many at a time: it is *here* until its
//! parent has decided whether to wait for it, then a *zombie* or *gone*; of several who reap a zombie one wins.
//!
//! A child may end while its parent does. Each of the two first leaves its mark (the child its stage, the parent the
//! heir's name in the child) and then looks for the other's, so at least one of them sees that both happened. If both
//! do, the heir is told twice, which does no harm.

use crate::process::{Process, Status};
use crate::table;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use machine::sync::Spin;
use task::Times;

/// Whether the number of an ended child stays taken until its parent has asked for the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zombie {
    Keep,
    Forget,
}

/// Alive, or ended and its parent has not decided yet.
const HERE: u8 = 0;
/// Ended; the parent may ask for the status.
const ZOMBIE: u8 = 1;
/// The number was given back.
const GONE: u8 = 2;

/// A process's place among the others.
pub(crate) struct Family {
    parent: Spin<Weak<Process>>,
    /// The parent's number again, so that asking for it takes no lock.
    parent_id: AtomicU32,
    /// `None` once the process has handed its children on: it gets no more.
    children: Spin<Option<BTreeMap<u32, Arc<Process>>>>,
    stage: AtomicU8,
    /// CPU time of children that were waited for.
    past_children: Spin<Times>,
}

impl Family {
    pub(crate) fn new() -> Family {
        Family {
            parent: Spin::new(Weak::new()),
            parent_id: AtomicU32::new(0),
            children: Spin::new(Some(BTreeMap::new())),
            stage: AtomicU8::new(HERE),
            past_children: Spin::default(),
        }
    }

    /// Enters the stage `to`; false if another did, or if the process is not in the stage `from`.
    fn advance(&self, from: u8, to: u8) -> bool {
        self.stage
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    fn is(&self, stage: u8) -> bool {
        self.stage.load(Ordering::SeqCst) == stage
    }

    fn take_child(&self, id: u32) -> Option<Arc<Process>> {
        self.children.lock().as_mut()?.remove(&id)
    }
}

impl Process {
    pub fn parent(&self) -> Option<Arc<Process>> {
        self.family().parent.lock().upgrade()
    }

    /// The parent's number; 0 for the first process.
    pub fn parent_id(&self) -> u32 {
        self.family().parent_id.load(Ordering::Relaxed)
    }

    fn set_parent(&self, parent: Option<&Arc<Process>>) {
        let mut place = self.family().parent.lock();
        *place = parent.map_or_else(Weak::new, Arc::downgrade);
        self.family()
            .parent_id
            .store(parent.map_or(0, |parent| parent.id()), Ordering::Relaxed);
    }

    pub fn children(&self) -> Vec<Arc<Process>> {
        let children = self.family().children.lock();
        children.iter().flatten().map(|(_, c)| c.clone()).collect()
    }

    pub fn has_children(&self) -> bool {
        let children = self.family().children.lock();
        children
            .as_ref()
            .is_some_and(|children| !children.is_empty())
    }

    /// The first child for which `wanted` gives something; one that is being reaped is a child no more.
    pub fn find_child<T>(&self, wanted: impl FnMut(&Arc<Process>) -> Option<T>) -> Option<T> {
        let children = self.family().children.lock();
        let children = children.iter().flatten().map(|(_, child)| child);
        let mut there = children.filter(|child| !child.family().is(GONE));
        there.find_map(wanted)
    }

    /// CPU time of the ended children that were waited for.
    pub fn children_times(&self) -> Times {
        *self.family().past_children.lock()
    }

    /// True from the parent's decision to keep the ended process until it is reaped.
    pub fn is_zombie(&self) -> bool {
        self.family().is(ZOMBIE)
    }

    /// Gives the number of a zombie back because its parent has the status; the parent gets its CPU time.
    /// False if it was no zombie: somebody else was faster.
    pub fn reap(&self) -> bool {
        if !self.family().advance(ZOMBIE, GONE) {
            return false;
        }
        if let Some(parent) = self.forget() {
            let times = self.times() + self.children_times();
            let mut past = parent.family().past_children.lock();
            *past = *past + times;
        }
        true
    }

    /// Makes the new process a child of `parent`, or of its heir if `parent` has ended meanwhile.
    pub(crate) fn enter_family(self: &Arc<Self>, parent: Option<&Arc<Process>>) {
        if let Some(parent) = parent
            && !parent.adopt(self)
        {
            parent.bequeath(core::slice::from_ref(self));
        }
    }

    /// Takes `child` among the children, unless the own end has gone past that point.
    fn adopt(self: &Arc<Self>, child: &Arc<Process>) -> bool {
        let mut children = self.family().children.lock();
        let Some(map) = &mut *children else {
            return false;
        };
        map.insert(child.id(), child.clone());
        child.set_parent(Some(self));
        drop(children);
        // Whoever forgot it just now may have looked for it at its former parent.
        if child.family().is(GONE) {
            self.family().take_child(child.id());
        }
        true
    }

    /// Gives `children` to the heir; without one, they have no parent.
    fn bequeath(self: &Arc<Self>, children: &[Arc<Process>]) {
        let mut heir = self.heir();
        for child in children {
            while let Some(candidate) = &heir
                && !candidate.adopt(child)
            {
                heir = self.heir();
            }
            if heir.is_none() {
                child.set_parent(None);
            }
        }
    }

    /// Who takes the children over: the next process above that adopts orphans, or the first process.
    fn heir(self: &Arc<Self>) -> Option<Arc<Process>> {
        let mut above = self.parent();
        while let Some(process) = above {
            let adopts = process
                .personality()
                .is_some_and(|personality| personality.adopts());
            if adopts && !process.is_ending() {
                return Some(process);
            }
            above = process.parent();
        }
        table::init().filter(|init| !Arc::ptr_eq(init, self) && !init.is_ending())
    }

    /// Hands the children to their heir, which reaps them; an ended child is forgotten if that one does not wait.
    pub(crate) fn leave_children(self: &Arc<Self>) {
        let children = self.family().children.lock().take();
        let children: Vec<Arc<Process>> = children.into_iter().flatten().map(|(_, c)| c).collect();
        if children.is_empty() {
            return;
        }
        self.bequeath(&children);
        if let Some(personality) = self.personality() {
            personality.children_left(self, &children);
        }
        for child in children.iter().filter(|child| child.is_zombie()) {
            child.tell(child.parent().as_ref());
        }
    }

    /// The process has ended: its parent decides whether it stays as a zombie, and is told.
    pub(crate) fn tell_parent(self: &Arc<Self>) {
        let mut parent = self.parent();
        loop {
            self.tell(parent.as_ref());
            let now = self.parent();
            if !self.is_zombie()
                || now.as_ref().map(Arc::as_ptr) == parent.as_ref().map(Arc::as_ptr)
            {
                return;
            }
            // The parent ended while it was told.
            parent = now;
        }
    }

    /// Asks `parent` first, and tells it when what it will find is true.
    fn tell(self: &Arc<Self>, parent: Option<&Arc<Process>>) {
        let listener = parent.and_then(|parent| Some((parent, parent.personality()?)));
        let wanted = listener.map_or(Zombie::Forget, |(parent, personality)| {
            personality.wants_status(parent, self)
        });
        match wanted {
            Zombie::Keep => {
                self.family().advance(HERE, ZOMBIE);
            }
            Zombie::Forget => {
                if self.family().advance(HERE, GONE) || self.family().advance(ZOMBIE, GONE) {
                    self.forget();
                }
            }
        }
        if let Some((parent, personality)) = listener {
            personality.child_ended(parent, self);
        }
    }

    /// Undoes the making of a process that never ran: nobody is told.
    pub fn abandon(self: &Arc<Self>) {
        if let Some(parent) = self.parent() {
            parent.family().take_child(self.id());
        }
        self.set_parent(None);
        self.finish(Status::Signaled(9));
    }

    /// Gives the number back; the parent whose child it was until now.
    fn forget(&self) -> Option<Arc<Process>> {
        let parent = self.parent();
        if let Some(parent) = &parent {
            parent.family().take_child(self.id());
        }
        table::leave(self.id());
        if let Some(personality) = self.personality() {
            personality.forgotten(self);
        }
        parent
    }
}
