//! The meters of CPU time of a process and of a thread (see [`task::Meter`]).

use crate::process::Process;
use crate::thread::Thread;
use abi::Error;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::Ordering;
use core::task::Waker;
use task::{Meter, Metered};

/// All threads of a process, and which time of theirs.
struct Threads(Weak<Process>, fn(&Process) -> u64);

impl Metered for Threads {
    fn used(&self) -> Option<u64> {
        let process = self.0.upgrade()?;
        process.status().is_none().then(|| self.1(&process))
    }

    fn run(&self) -> bool {
        let Some(process) = self.0.upgrade() else {
            return false;
        };
        let runs = |thread: &Arc<Thread>| has_turn(thread).then_some(());
        process.search_threads(runs).is_some()
    }

    fn at_once(&self) -> usize {
        let threads = self.0.upgrade().map_or(1, |process| process.thread_count());
        threads.min(machine::cpu::count())
    }

    fn wake_at_turn(&self, waker: &Waker) -> Result<(), Error> {
        let Some(process) = self.0.upgrade() else {
            return Ok(());
        };
        let fails = |thread: &Arc<Thread>| thread.task()?.wake_at_turn(waker).err();
        process.search_threads(fails).map_or(Ok(()), Err)
    }
}

/// One thread.
struct One(Weak<Thread>);

impl Metered for One {
    fn used(&self) -> Option<u64> {
        let thread = self.0.upgrade()?;
        let has_left = thread.has_left.load(Ordering::Acquire);
        (!has_left).then(|| thread.cpu_time())
    }

    fn run(&self) -> bool {
        self.0.upgrade().is_some_and(|thread| has_turn(&thread))
    }

    fn at_once(&self) -> usize {
        1
    }

    fn wake_at_turn(&self, waker: &Waker) -> Result<(), Error> {
        let thread = self.0.upgrade();
        let task = thread.as_ref().and_then(|thread| thread.task());
        task.map_or(Ok(()), |task| task.wake_at_turn(waker))
    }
}

/// A thread without a task is about to get one, and cannot be asked to tell before that.
fn has_turn(thread: &Thread) -> bool {
    thread.task().is_none_or(|task| task.is_running())
}

impl Process {
    /// Rings when the threads of the process, past and present, have used so much CPU time together.
    pub fn meter(self: &Arc<Self>) -> &Arc<Meter> {
        self.meter
            .get_or_init(|| Meter::new(Threads(Arc::downgrade(self), Process::cpu_time)))
    }

    /// Rings when they have been in user mode for so long.
    pub fn user_meter(self: &Arc<Self>) -> &Arc<Meter> {
        let user = |process: &Process| process.times().user;
        self.user_meter
            .get_or_init(|| Meter::new(Threads(Arc::downgrade(self), user)))
    }
}

impl Thread {
    /// Rings when the thread has used so much CPU time.
    pub fn meter(self: &Arc<Self>) -> &Arc<Meter> {
        self.meter
            .get_or_init(|| Meter::new(One(Arc::downgrade(self))))
    }
}
