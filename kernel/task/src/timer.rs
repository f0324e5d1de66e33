//! Wake-ups at a point in time.
//!
//! The one idea: a timer is a waker in the heap of the CPU that asked for it, and a guard that takes it out again. The
//! CPU's one alarm is set for the earliest of them; it may ring too early (an earlier timer was cancelled), never late.

use crate::cpu::{self, Cpu};
use crate::timers::Key;
use crate::{Deadline, Interrupted, with_current};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Wakes `waker` once when the clock reaches `deadline`, unless the guard is dropped before.
///
/// Any waker does: one of an own [`alloc::task::Wake`] type is a callback. It runs without locks held, with interrupts
/// off, and must not block. O(log n). If there is no memory for the timer, the waker is woken at once: whoever waits
/// must look at the clock anyway.
pub fn at(deadline: impl Into<Deadline>, waker: Waker) -> TimerGuard {
    add(deadline.into(), waker).unwrap_or_else(|(guard, waker)| {
        waker.wake();
        guard
    })
}

/// As [`at`], for whoever must not be woken from within.
///
/// # Errors
/// [`abi::Error::NoMemory`].
pub fn try_at(deadline: impl Into<Deadline>, waker: Waker) -> Result<TimerGuard, abi::Error> {
    add(deadline.into(), waker).map_err(|_| abi::Error::NoMemory)
}

/// Without memory the waker comes back, with a guard of nothing.
fn add(deadline: Deadline, waker: Waker) -> Result<TimerGuard, (TimerGuard, Waker)> {
    let cpu = cpu::this();
    let guard = |key| TimerGuard { cpu, key, deadline };
    match cpu.add_timer(deadline, waker) {
        Ok(key) => Ok(guard(key)),
        Err(waker) => Err((guard(Key::Nowhere), waker)),
    }
}

/// Makes sure that `timer` will wake `waker` at `deadline`; what a future does each time before it waits.
pub(crate) fn keep(timer: &mut Option<TimerGuard>, deadline: Option<Deadline>, waker: &Waker) {
    match (deadline, &timer) {
        (None, _) => *timer = None,
        (Some(_), Some(guard)) if guard.cpu.timers().renew(guard.key, waker) => {}
        (Some(deadline), _) => *timer = Some(at(deadline, waker.clone())),
    }
}

/// Keeps a timer; dropping it cancels the timer.
#[must_use = "a timer that is dropped does not ring"]
pub struct TimerGuard {
    cpu: &'static Cpu,
    key: Key,
    deadline: Deadline,
}

impl TimerGuard {
    /// When it rings, or rang.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Whether it has yet to ring.
    pub fn is_pending(&self) -> bool {
        self.cpu.timers().has(self.key)
    }
}

impl Drop for TimerGuard {
    fn drop(&mut self) {
        self.cpu.timers().cancel(self.key);
    }
}

impl fmt::Debug for TimerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerGuard")
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// Sleeps until the clock reaches `deadline`. Ends early when the current task is interrupted.
pub fn sleep_until(deadline: impl Into<Deadline>) -> Sleep {
    Sleep {
        deadline: deadline.into(),
        timer: None,
    }
}

/// The future of [`sleep_until`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Sleep {
    deadline: Deadline,
    timer: Option<TimerGuard>,
}

impl Future for Sleep {
    type Output = Result<(), Interrupted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let deadline = self.deadline;
        if deadline.has_passed() {
            self.timer = None;
            return Poll::Ready(Ok(()));
        }
        if with_current(|task| task.interrupted()).unwrap_or(false) {
            self.timer = None;
            return Poll::Ready(Err(Interrupted));
        }
        keep(&mut self.timer, Some(deadline), context.waker());
        Poll::Pending
    }
}
