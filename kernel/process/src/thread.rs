//! A thread of a process: a number and the task that runs it.

use crate::process::{Process, Status};
use crate::table;
use abi::Error;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use machine::sync::Once;
use task::{Meter, Task, Times};

pub struct Thread {
    id: AtomicU32,
    process: Arc<Process>,
    task: Once<Arc<Task>>,
    /// Set when the thread shall end; kept here as well because the task may not have begun.
    killed: AtomicBool,
    /// What its door knows of it.
    side: Once<Weak<dyn Any + Send + Sync>>,
    pub(crate) meter: Once<Arc<Meter>>,
    pub(crate) has_left: AtomicBool,
}

impl Thread {
    /// Makes the thread and adds it to its process; the first thread bears the process's number.
    ///
    /// # Errors
    /// [`Error::Limit`] when there is no room; [`Error::Interrupted`] when the process is ending.
    pub fn new(process: &Arc<Process>) -> Result<Arc<Thread>, Error> {
        if !machine::frame::heap_room() {
            return Err(Error::Limit);
        }
        let first = process.thread_count() == 0;
        let id = if first {
            process.id()
        } else {
            table::reserve()?
        };
        let thread = Arc::new(Thread {
            id: AtomicU32::new(id),
            process: process.clone(),
            task: Once::new(),
            killed: AtomicBool::new(false),
            side: Once::new(),
            meter: Once::new(),
            has_left: AtomicBool::new(false),
        });
        if let Err(error) = process.add_thread(thread.clone()) {
            if !first {
                table::leave(id);
            }
            return Err(error);
        }
        if !first {
            table::enter_thread(id, &thread);
        }
        Ok(thread)
    }

    pub fn id(&self) -> u32 {
        self.id.load(Ordering::Relaxed)
    }

    /// Replaces the number; gives the one before.
    pub(crate) fn take_number(&self, id: u32) -> u32 {
        self.id.swap(id, Ordering::Relaxed)
    }

    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Keeps where what its door knows of it is found; said once, when the thread is made.
    pub fn set_side<T: Any + Send + Sync>(&self, side: &Arc<T>) {
        let side = Arc::downgrade(side);
        let _ = self.side.set(side);
    }

    /// What its door knows of it, if that is a `T`.
    pub fn side<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.side.get()?.upgrade()?.downcast().ok()
    }

    /// The task that runs this thread, once it was launched.
    pub fn task(&self) -> Option<&Arc<Task>> {
        self.task.get()
    }

    pub(crate) fn set_task(&self, task: Arc<Task>) {
        // Both the launcher and the thread itself say it; the first is kept, they are the same.
        if self.task.set(task).is_ok() && self.is_killed() {
            self.kill();
        }
    }

    /// Ends the thread: whatever it waits for returns as interrupted, and it leaves at its next checkpoint.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.kill();
        }
    }

    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Makes the thread look at what came for it (a signal): its wait ends as interrupted.
    pub fn interrupt(&self) {
        if let Some(task) = self.task.get() {
            task.interrupt();
        }
    }

    /// Time on a CPU, in nanoseconds.
    pub fn cpu_time(&self) -> u64 {
        self.task.get().map_or(0, |task| task.cpu_time())
    }

    /// The same time, divided between user mode and the kernel ([`task::Task::times`]).
    pub fn times(&self) -> Times {
        self.task
            .get()
            .map_or(Times::default(), |task| task.times())
    }

    /// Undoes the making of a thread that never ran; a process without another thread ends with it, unseen.
    pub fn abandon(&self) {
        if self.leave() {
            self.process.abandon();
        }
    }

    /// The thread has run to its end; the last one ends its process with `status`, unless that was decided before.
    pub fn end(&self, status: Status) {
        if self.leave() {
            self.process.finish(status);
        }
    }

    /// Takes the thread out of its process; true when it was the last.
    fn leave(&self) -> bool {
        self.has_left.store(true, Ordering::Release);
        if let Some(meter) = self.meter.get() {
            meter.end();
        }
        let last = self.process.remove_thread(self);
        if self.id() != self.process.id() {
            table::leave(self.id());
        }
        last
    }
}
