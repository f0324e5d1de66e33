//! Stopped by job control and continued again.
//!
//! A stop signal takes effect in two steps: a thread takes it from a queue, and later stops the process. SIGCONT that
//! comes in between has to undo it. So a stop that was taken is noted under the lock of the queue, SIGCONT takes the
//! note away under the same lock, and only who finds the note stops the process.

use crate::signal::set::Signal;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::sync::Spin;
use task::WaitQueue;

/// What wait4 has to report of a child that did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Stopped(Signal),
    Continued,
}

/// Whether a process is stopped, and what its parent has not yet been told of it.
pub struct Stop {
    is_stopped: AtomicBool,
    /// A thread has taken a stop signal, and no SIGCONT came since.
    is_taken: AtomicBool,
    /// The latest change, until the parent has waited for it. Its lock is that of every change.
    change: Spin<Option<Change>>,
    continued: WaitQueue,
}

impl Stop {
    pub fn new() -> Stop {
        Stop {
            is_stopped: AtomicBool::new(false),
            is_taken: AtomicBool::new(false),
            change: Spin::new(None),
            continued: WaitQueue::new(),
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// A thread has taken a stop signal; said under the lock of the queue that had it.
    pub fn taken(&self) {
        self.is_taken.store(true, Ordering::Release);
    }

    /// SIGCONT was sent; said under the lock of each queue, before [`Stop::resume`].
    pub fn cancel(&self) {
        self.is_taken.store(false, Ordering::Release);
    }

    /// The stop signal takes effect; false if SIGCONT has undone it.
    pub fn stop(&self, signal: Signal) -> bool {
        let mut change = self.change.lock();
        if !self.is_taken.swap(false, Ordering::AcqRel) {
            return false;
        }
        *change = Some(Change::Stopped(signal));
        self.is_stopped.store(true, Ordering::Release);
        true
    }

    /// The process goes on; false if it was not stopped.
    pub fn resume(&self) -> bool {
        let mut change = self.change.lock();
        if !self.is_stopped.swap(false, Ordering::AcqRel) {
            return false;
        }
        *change = Some(Change::Continued);
        drop(change);
        self.continued.wake_all();
        true
    }

    /// Lets stopped threads look whether they shall end.
    pub fn wake(&self) {
        self.continued.wake_all();
    }

    /// Waits until the process goes on, or `ending` holds. Signals other than SIGCONT and SIGKILL do not wake it.
    pub async fn wait(&self, ending: impl Fn() -> bool) {
        let wait = self.continued.wait_until_uninterruptible(
            "stopped by job control: only SIGCONT and SIGKILL end it",
            || (!self.is_stopped() || ending()).then_some(()),
        );
        wait.await;
    }

    /// The change that wait4 reports; `keep` leaves it there (`WNOWAIT`).
    pub fn take_change(&self, wanted: impl Fn(Change) -> bool, keep: bool) -> Option<Change> {
        let mut slot = self.change.lock();
        let change = slot.filter(|&change| wanted(change))?;
        if !keep {
            *slot = None;
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::queue::{Behind, Info, Pending};
    use crate::signal::set::{SIGSTOP, Set};
    use std::thread;

    #[test]
    fn a_continue_undoes_a_stop_that_was_taken() {
        let stop = Stop::new();
        stop.taken();
        stop.cancel();
        assert!(!stop.resume());
        assert!(!stop.stop(SIGSTOP));
        assert!(!stop.is_stopped());
        stop.taken();
        assert!(stop.stop(SIGSTOP));
        assert!(stop.resume());
        assert_eq!(stop.take_change(|_| true, false), Some(Change::Continued));
        assert_eq!(stop.take_change(|_| true, false), None);
    }

    /// Whatever the interleaving: after the last SIGCONT nothing is stopped, and nothing will be.
    #[test]
    fn who_was_continued_last_runs() {
        for _ in 0..2000 {
            let stop = Stop::new();
            let pending = Spin::new(Pending::default());
            pending
                .lock()
                .push(Info::kernel(SIGSTOP), Behind::Nothing)
                .unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut queue = pending.lock();
                    if queue.take(Set::STOPS).is_some() {
                        stop.taken();
                        drop(queue);
                        stop.stop(SIGSTOP);
                    }
                });
                scope.spawn(|| {
                    let mut queue = pending.lock();
                    queue.discard(Set::STOPS);
                    stop.cancel();
                    drop(queue);
                    stop.resume();
                });
            });
            assert!(!stop.is_stopped());
            assert!(pending.lock().set().is_empty());
        }
    }
}
