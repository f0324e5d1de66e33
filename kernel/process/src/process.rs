//! A process: an address space, handles, threads, children, and one end.
//!
//! The one idea: ending is dropping. When the last thread has left, [`Process::finish`] drops the handles and
//! the address space, and with them everything that nobody else holds. What stays is the status, for as long
//! as somebody has a handle on the process or, under Linux rules, until the parent has waited for it.

use crate::table;
use crate::thread::Thread;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use machine::sync::{Once, Spin};
use memory::Space;
use object::{Namespace, Table};
use task::{Readiness, Ready, WaitQueue};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By its own will, with this status.
    Exited(i32),
    /// By this signal (Linux numbers: 9 when it was killed, 11 for a wrong address, ...).
    Signaled(u8),
}

/// Whether the number of an ended child stays taken until its parent has asked for the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zombie {
    Keep,
    Forget,
}

/// The part of a process that belongs to its door.
pub trait Personality: Any + Send + Sync {
    /// `"native"` or `"linux"`, as `ps` shows it.
    fn name(&self) -> &'static str;
    /// Asks the process to end with `signal`, from outside.
    fn signal(&self, process: &Arc<Process>, signal: u8);
    /// A child of this process has ended.
    fn child_ended(&self, process: &Arc<Process>, child: &Arc<Process>) -> Zombie;
    /// True if orphans among the descendants become children of this process, and not of the first one.
    fn adopts(&self) -> bool {
        false
    }
    /// The process is ending, and its children have been handed on.
    fn children_left(&self, process: &Arc<Process>, children: &[Arc<Process>]) {
        let _ = (process, children);
    }
    /// The number of the ended process was given back: nobody can ask for it any more.
    fn forgotten(&self, process: &Process) {
        let _ = process;
    }
    /// The process has ended: let go of everything that is not needed to report the status.
    fn ended(&self, process: &Arc<Process>);
    /// The process's argument list, NUL-terminated strings, for those who list processes.
    fn command_line(&self, process: &Process) -> Vec<u8>;
    /// `'R'`, `'S'`, `'T'`... is derived by the lister; this says whether the process is stopped by job control.
    fn stopped(&self) -> bool {
        false
    }
}

/// What a new process starts with.
pub struct Birth {
    pub name: String,
    pub parent: Option<Arc<Process>>,
    pub space: Arc<Space>,
    pub handles: Arc<Table>,
    pub namespace: Namespace,
}

pub struct Process {
    id: u32,
    name: Spin<String>,
    parent: Spin<Weak<Process>>,
    /// The parent's number again, so that asking for it takes no lock.
    parent_id: AtomicU32,
    children: Spin<BTreeMap<u32, Arc<Process>>>,
    threads: Spin<Vec<Arc<Thread>>>,
    space: Spin<Option<Arc<Space>>>,
    handles: Spin<Option<Arc<Table>>>,
    namespace: Namespace,
    personality: Once<Arc<dyn Personality>>,
    /// Set once somebody decided that all threads shall end; the status they will end with.
    ending: Spin<Option<Status>>,
    is_ending: AtomicBool,
    status: Once<Status>,
    /// READ is set when the process has ended.
    ended: Readiness,
    /// Woken when a thread has left.
    thread_left: WaitQueue,
    started: u64,
    /// CPU time of threads that have ended, in nanoseconds.
    past_threads: AtomicU64,
    /// CPU time of children that were waited for, in nanoseconds.
    past_children: AtomicU64,
}

impl Process {
    /// Makes a process without threads. Its number is taken until it has ended and nobody waits for it.
    ///
    /// # Errors
    /// [`Error::NoMemory`] when those that are there need what is left; [`Error::Limit`] when no number is free.
    pub fn new(
        birth: Birth,
        now: u64,
        personality: impl FnOnce(u32) -> Arc<dyn Personality>,
    ) -> Result<Arc<Process>, Error> {
        if !crate::shortage::allows_another() {
            return Err(Error::NoMemory);
        }
        let id = table::reserve()?;
        let process = Arc::new(Process {
            id,
            name: Spin::new(birth.name),
            parent: Spin::new(birth.parent.as_ref().map_or_else(Weak::new, Arc::downgrade)),
            parent_id: AtomicU32::new(birth.parent.as_ref().map_or(0, |parent| parent.id)),
            children: Spin::new(BTreeMap::new()),
            threads: Spin::new(Vec::new()),
            space: Spin::new(Some(birth.space)),
            handles: Spin::new(Some(birth.handles)),
            namespace: birth.namespace,
            personality: Once::new(),
            ending: Spin::new(None),
            is_ending: AtomicBool::new(false),
            status: Once::new(),
            ended: Readiness::new(Ready::empty()),
            thread_left: WaitQueue::new(),
            started: now,
            past_threads: AtomicU64::new(0),
            past_children: AtomicU64::new(0),
        });
        // The cell is new, so this is the first and only value.
        let _ = process.personality.set(personality(id));
        table::enter(id, &process);
        if let Some(parent) = birth.parent {
            parent.children.lock().insert(id, process.clone());
        }
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn name(&self) -> String {
        self.name.lock().clone()
    }

    pub fn set_name(&self, name: &str) {
        *self.name.lock() = name.into();
    }

    pub fn parent(&self) -> Option<Arc<Process>> {
        self.parent.lock().upgrade()
    }

    /// The parent's number; 0 for the first process.
    pub fn parent_id(&self) -> u32 {
        self.parent_id.load(Ordering::Relaxed)
    }

    fn set_parent(&self, parent: Option<&Arc<Process>>) {
        self.parent_id
            .store(parent.map_or(0, |parent| parent.id), Ordering::Relaxed);
        *self.parent.lock() = parent.map_or_else(Weak::new, Arc::downgrade);
    }

    pub fn children(&self) -> Vec<Arc<Process>> {
        self.children.lock().values().cloned().collect()
    }

    pub fn has_children(&self) -> bool {
        !self.children.lock().is_empty()
    }

    /// The first child for which `wanted` gives something.
    pub fn find_child<T>(&self, wanted: impl FnMut(&Arc<Process>) -> Option<T>) -> Option<T> {
        self.children.lock().values().find_map(wanted)
    }

    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().clone()
    }

    pub fn thread_count(&self) -> usize {
        self.threads.lock().len()
    }

    /// The address space, until the process has ended.
    pub fn space(&self) -> Option<Arc<Space>> {
        self.space.lock().clone()
    }

    /// Gives the process another address space (a program replacing itself).
    pub fn set_space(&self, space: Arc<Space>) {
        let old = self.space.lock().replace(space);
        drop(old);
    }

    /// The handle table, until the process has ended.
    pub fn handles(&self) -> Option<Arc<Table>> {
        self.handles.lock().clone()
    }

    pub fn set_handles(&self, handles: Arc<Table>) {
        let old = self.handles.lock().replace(handles);
        drop(old);
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub fn personality(&self) -> Option<&Arc<dyn Personality>> {
        self.personality.get()
    }

    /// When the process began, in nanoseconds since boot.
    pub fn started(&self) -> u64 {
        self.started
    }

    pub fn status(&self) -> Option<Status> {
        self.status.get().copied()
    }

    /// READ when the process has ended.
    pub fn ended(&self) -> &Readiness {
        &self.ended
    }

    /// CPU time of all threads, past and present, in nanoseconds.
    pub fn cpu_time(&self) -> u64 {
        let present: u64 = self
            .threads
            .lock()
            .iter()
            .map(|thread| thread.cpu_time())
            .sum();
        present + self.past_threads.load(Ordering::Relaxed)
    }

    /// CPU time of the ended children that were waited for, in nanoseconds.
    pub fn children_cpu_time(&self) -> u64 {
        self.past_children.load(Ordering::Relaxed)
    }

    /// Woken whenever a thread has left the process.
    pub fn thread_left(&self) -> &WaitQueue {
        &self.thread_left
    }

    /// Asks the process to end, as its door understands `signal` (9 cannot be refused).
    pub fn signal(self: &Arc<Self>, signal: u8) {
        if let Some(personality) = self.personality.get() {
            personality.signal(self, signal);
        }
    }

    /// Decides that the process ends with `status`, unless that was decided before, and tells all threads.
    pub fn end(&self, status: Status) {
        self.ending.lock().get_or_insert(status);
        self.is_ending.store(true, Ordering::Release);
        for thread in self.threads() {
            thread.kill();
        }
    }

    /// True once [`Process::end`] was called.
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Ends every thread but `survivor`.
    pub fn end_other_threads(&self, survivor: &Thread) {
        for thread in self.threads() {
            if thread.id() != survivor.id() {
                thread.kill();
            }
        }
    }

    /// Gives the process's own number to its last thread (a program that another than the first thread started).
    ///
    /// # Errors
    /// [`Error::Busy`] while there are other threads.
    pub fn lead(&self, thread: &Thread) -> Result<(), Error> {
        let threads = self.threads.lock();
        if threads.len() != 1 {
            return Err(Error::Busy);
        }
        let before = thread.take_number(self.id);
        drop(threads);
        if before != self.id {
            table::leave(before);
        }
        Ok(())
    }

    pub(crate) fn add_thread(&self, thread: Arc<Thread>) -> Result<(), Error> {
        let mut threads = self.threads.lock();
        if self.is_ending() {
            return Err(Error::Interrupted);
        }
        threads.push(thread);
        Ok(())
    }

    /// Takes a thread out; true when it was the last.
    pub(crate) fn remove_thread(&self, thread: &Thread) -> bool {
        let mut threads = self.threads.lock();
        threads.retain(|other| other.id() != thread.id());
        self.past_threads
            .fetch_add(thread.cpu_time(), Ordering::Relaxed);
        let last = threads.is_empty();
        drop(threads);
        self.thread_left.wake_all();
        last
    }

    /// The end, when no thread is left: drops what the process holds and tells the parent.
    pub(crate) fn finish(self: &Arc<Self>, status: Status) {
        let status = self.ending.lock().unwrap_or(status);
        self.is_ending.store(true, Ordering::Release);
        let handles = self.handles.lock().take();
        drop(handles);
        let space = self.space.lock().take();
        drop(space);
        self.leave_children();
        if let Some(personality) = self.personality.get() {
            personality.ended(self);
        }
        let _ = self.status.set(status);
        self.tell_parent();
        self.ended.set(Ready::READ);
    }

    /// Undoes the making of a process that never ran: nobody is told.
    pub fn abandon(self: &Arc<Self>) {
        let parent = self.parent();
        if let Some(parent) = &parent {
            parent.children.lock().remove(&self.id);
        }
        self.set_parent(None);
        self.finish(Status::Signaled(9));
    }

    /// Hands the children to their [`Process::heir`], which reaps them; an ended child is forgotten if that one does
    /// not wait.
    fn leave_children(self: &Arc<Self>) {
        let children = core::mem::take(&mut *self.children.lock());
        if children.is_empty() {
            return;
        }
        let heir = self.heir();
        for (&id, child) in &children {
            child.set_parent(heir.as_ref());
            if let Some(heir) = &heir {
                heir.children.lock().insert(id, child.clone());
            }
        }
        let children: Vec<Arc<Process>> = children.into_values().collect();
        if let Some(personality) = self.personality.get() {
            personality.children_left(self, &children);
        }
        for child in children {
            if child.status().is_some() {
                child.tell_parent();
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

    /// The parent decides whether the ended process stays as a zombie.
    fn tell_parent(self: &Arc<Self>) {
        let parent = self.parent();
        let zombie = match &parent {
            Some(parent) => match parent.personality() {
                Some(personality) => personality.child_ended(parent, self),
                None => Zombie::Forget,
            },
            None => Zombie::Forget,
        };
        if zombie == Zombie::Forget {
            self.forget();
        }
    }

    /// Gives the number back: the parent has the status, or does not want it.
    pub fn forget(self: &Arc<Self>) {
        if let Some(parent) = self.parent()
            && parent.children.lock().remove(&self.id).is_some()
        {
            let time = self.cpu_time() + self.children_cpu_time();
            parent.past_children.fetch_add(time, Ordering::Relaxed);
        }
        table::leave(self.id);
        if let Some(personality) = self.personality.get() {
            personality.forgotten(self);
        }
    }
}
