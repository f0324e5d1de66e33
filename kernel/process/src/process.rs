//! A process: an address space, handles, threads, children, and one end.
//!
//! The one idea: ending is dropping. When the last thread has left, [`Process::finish`] drops the handles and
//! the address space, and with them everything that nobody else holds. What stays is the status, for as long
//! as somebody has a handle on the process or, under Linux rules, until the parent has waited for it.

use crate::family::{Family, Zombie};
use crate::table;
use crate::thread::Thread;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::sync::{Once, Spin};
use memory::Space;
use object::{Namespace, Table};
use task::{Meter, Readiness, Ready, Times, WaitQueue};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By its own will, with this status.
    Exited(i32),
    /// By this signal (Linux numbers: 9 when it was killed, 11 for a wrong address, ...).
    Signaled(u8),
}

/// The part of a process that belongs to its door.
pub trait Personality: Any + Send + Sync {
    /// `"native"` or `"linux"`, as `ps` shows it.
    fn name(&self) -> &'static str;
    /// Asks the process to end with `signal`, from outside.
    fn signal(&self, process: &Arc<Process>, signal: u8);
    /// A child of this process has ended: shall it stay until the process has asked for its status? Also asked of
    /// who inherits a zombie.
    fn wants_status(&self, process: &Arc<Process>, child: &Arc<Process>) -> Zombie;
    /// A child of this process has ended, and is a zombie or forgotten, as was decided.
    fn child_ended(&self, process: &Arc<Process>, child: &Arc<Process>);
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

struct Threads {
    /// By number.
    list: BTreeMap<u32, Arc<Thread>>,
    /// One thread is about to be the only one: there will be no new ones until it is.
    taken_over: bool,
    /// CPU time of those that have left.
    past: Times,
}

pub struct Process {
    id: u32,
    name: Spin<String>,
    family: Family,
    threads: Spin<Threads>,
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
    pub(crate) meter: Once<Arc<Meter>>,
    pub(crate) user_meter: Once<Arc<Meter>>,
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
            family: Family::new(),
            threads: Spin::new(Threads {
                list: BTreeMap::new(),
                taken_over: false,
                past: Times::default(),
            }),
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
            meter: Once::new(),
            user_meter: Once::new(),
        });
        // The cell is new, so this is the first and only value.
        let _ = process.personality.set(personality(id));
        table::enter(id, &process);
        process.enter_family(birth.parent.as_ref());
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

    pub(crate) fn family(&self) -> &Family {
        &self.family
    }

    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().list.values().cloned().collect()
    }

    /// Moves all its threads into a group of tasks, or out of all: all of them or, if it fails, none. Threads that it makes
    /// meanwhile are moved too.
    ///
    /// # Errors
    /// [`Error::NoProcess`]: it has ended. As [`task::gather`].
    pub fn join(&self, group: Option<&Arc<task::Group>>) -> Result<(), Error> {
        let wanted = group.map(|group| group.number());
        loop {
            let threads = self.threads();
            if threads.is_empty() {
                return Err(Error::NoProcess);
            }
            let tasks = threads.iter().filter_map(|thread| thread.task().cloned());
            let strays: Vec<Arc<task::Task>> = tasks
                .filter(|task| !task.is_done())
                .filter(|task| task.group().map(|group| group.number()) != wanted)
                .collect();
            if strays.is_empty() {
                return Ok(());
            }
            task::gather(&strays, group)?;
        }
    }

    /// The thread with this number. Cost: O(log n).
    pub fn find_thread(&self, id: u32) -> Option<Arc<Thread>> {
        self.threads.lock().list.get(&id).cloned()
    }

    /// The first thread for which `wanted` gives something, the one that bears the process's number before the others.
    /// `wanted` is called under the lock of the list.
    pub fn search_threads<T>(&self, wanted: impl FnMut(&Arc<Thread>) -> Option<T>) -> Option<T> {
        let threads = self.threads.lock();
        let first = threads.list.get(&self.id);
        let others = threads.list.values().filter(|t| t.id() != self.id);
        first.into_iter().chain(others).find_map(wanted)
    }

    pub fn thread_count(&self) -> usize {
        self.threads.lock().list.len()
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
        let threads = self.threads.lock();
        let present = threads.list.values().map(|thread| thread.cpu_time());
        present.sum::<u64>() + threads.past.sum()
    }

    /// The same time, divided between user mode and the kernel ([`task::Task::times`]).
    pub fn times(&self) -> Times {
        let threads = self.threads.lock();
        let present = threads.list.values().map(|thread| thread.times());
        present.sum::<Times>() + threads.past
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

    /// As [`Process::end`], by the will of one of its threads: one that another is taking over from ends alone.
    pub fn end_by(&self, thread: &Thread, status: Status) {
        let threads = self.threads.lock();
        if threads.taken_over && thread.is_killed() {
            return;
        }
        drop(threads);
        self.end(status);
    }

    /// Ends every other thread, waits until they have left, and gives `thread` the process's own number (a program
    /// replaces itself). Of several threads that try, one succeeds.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when another thread was first, or the process is ending.
    pub async fn take_over(&self, thread: &Thread) -> Result<(), Error> {
        self.kill_others(thread)?;
        let alone = || (self.thread_count() == 1).then_some(());
        self.thread_left
            .wait_until_uninterruptible("the other threads were killed", alone)
            .await;
        let mut threads = self.threads.lock();
        threads.taken_over = false;
        let before = thread.take_number(self.id);
        if let Some(thread) = threads.list.remove(&before) {
            threads.list.insert(self.id, thread);
        }
        drop(threads);
        if before != self.id {
            table::leave(before);
        }
        Ok(())
    }

    fn kill_others(&self, survivor: &Thread) -> Result<(), Error> {
        let mut threads = self.threads.lock();
        // Who takes over kills the others under this lock: if it was another thread, this one knows by now.
        if survivor.is_killed() {
            return Err(Error::Interrupted);
        }
        threads.taken_over = true;
        for other in threads.list.values().filter(|t| t.id() != survivor.id()) {
            other.kill();
        }
        Ok(())
    }

    pub(crate) fn add_thread(&self, thread: Arc<Thread>) -> Result<(), Error> {
        let mut threads = self.threads.lock();
        if self.is_ending() || threads.taken_over {
            return Err(Error::Interrupted);
        }
        threads.list.insert(thread.id(), thread);
        Ok(())
    }

    /// Takes a thread out; true when it was the last.
    pub(crate) fn remove_thread(&self, thread: &Thread) -> bool {
        let mut threads = self.threads.lock();
        threads.list.remove(&thread.id());
        threads.past = threads.past + thread.times();
        let last = threads.list.is_empty();
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
        for meter in [&self.meter, &self.user_meter] {
            if let Some(meter) = meter.get() {
                meter.end();
            }
        }
        self.tell_parent();
        self.ended.set(Ready::READ);
    }
}
