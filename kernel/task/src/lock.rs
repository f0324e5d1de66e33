//! Locks that are awaited: for what must stay locked over a wait.
//!
//! The one idea: strictly first come, first served. A permit that is given back goes straight to the one that has
//! waited longest, so nobody overtakes and nobody starves. A waiter that was given a permit and does not take it (it
//! was dropped) gives it back.
//!
//! Most things want a spin lock and a [`crate::WaitQueue`] instead.

use crate::waiters::{Phase, Ticket, Waiters};
use crate::{Interrupted, with_current};
use core::fmt;
use core::future::Future;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll};
use machine::sync::Spin;

/// A number of permits that tasks take and give back.
pub struct Semaphore {
    inner: Spin<Inner>,
}

struct Inner {
    /// Permits that nobody holds. Not more than 0 while somebody waits.
    free: usize,
    waiters: Waiters,
}

impl Semaphore {
    /// With `permits` free.
    pub const fn new(permits: usize) -> Self {
        Semaphore {
            inner: Spin::new(Inner {
                free: permits,
                waiters: Waiters::new(),
            }),
        }
    }

    /// Takes a permit if one is free now.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let mut inner = self.inner.lock();
        inner.free = inner.free.checked_sub(1)?;
        Some(Permit { semaphore: self })
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// The current task was interrupted.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire(Turn::new(self, true))
    }

    /// Adds a permit: what whoever took one with [`Permit::forget`] does.
    pub fn release(&self) {
        let mut inner = self.inner.lock();
        let waker = inner.waiters.choose();
        if waker.is_none() {
            inner.free += 1;
        }
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Permits that are free now.
    pub fn free(&self) -> usize {
        self.inner.lock().free
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("free", &self.inner.try_lock().map(|inner| inner.free))
            .finish()
    }
}

/// A permit; dropping it gives it back.
#[must_use = "a permit that is dropped is given back"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Keeps the permit for good; [`Semaphore::release`] gives it back.
    pub fn forget(self) {
        core::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

/// A place in the line for a permit.
#[derive(Debug)]
struct Turn<'a> {
    semaphore: &'a Semaphore,
    ticket: Option<Ticket>,
    killable: bool,
}

impl<'a> Turn<'a> {
    fn new(semaphore: &'a Semaphore, killable: bool) -> Self {
        Turn {
            semaphore,
            ticket: None,
            killable,
        }
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Permit<'a>, Interrupted>> {
        let semaphore = self.semaphore;
        let mut inner = semaphore.inner.lock();
        let mine = match &self.ticket {
            Some(ticket) => inner.waiters.phase(ticket) == Phase::Chosen,
            None => match inner.free.checked_sub(1) {
                Some(free) => {
                    inner.free = free;
                    true
                }
                None => false,
            },
        };
        if mine {
            if let Some(ticket) = self.ticket.take() {
                inner.waiters.remove(ticket);
            }
            return Poll::Ready(Ok(Permit { semaphore }));
        }
        if self.killable && with_current(|task| task.interrupted()).unwrap_or(false) {
            if let Some(ticket) = self.ticket.take() {
                inner.waiters.remove(ticket);
            }
            return Poll::Ready(Err(Interrupted));
        }
        match &self.ticket {
            Some(ticket) => inner.waiters.renew(ticket, context.waker()),
            None => self.ticket = inner.waiters.add(context.waker(), 1),
        }
        drop(inner);
        if self.ticket.is_none() {
            // No memory for a place in the line: ask again on the next turn.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let phase = self.semaphore.inner.lock().waiters.remove(ticket);
            if phase == Phase::Chosen {
                self.semaphore.release();
            }
        }
    }
}

/// The future of [`Semaphore::acquire`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Acquire<'a>(Turn<'a>);

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Interrupted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context)
    }
}

/// A value that one task at a time uses, also over waits.
///
/// The value moves into the guard and back: keep it small, or in a box.
pub struct Mutex<T> {
    semaphore: Semaphore,
    /// `None` while a guard has it.
    value: Spin<Option<T>>,
}

impl<T> Mutex<T> {
    /// With this value, and nobody holding it.
    pub const fn new(value: T) -> Self {
        Mutex {
            semaphore: Semaphore::new(1),
            value: Spin::new(Some(value)),
        }
    }

    /// Locks it if it is free now.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.semaphore
            .try_acquire()
            .map(|permit| self.guard(permit))
    }

    /// Waits for its turn and locks it.
    ///
    /// # Errors
    /// The current task was interrupted.
    pub async fn lock(&self) -> Result<MutexGuard<'_, T>, Interrupted> {
        let permit = self.semaphore.acquire().await?;
        Ok(self.guard(permit))
    }

    /// Waits for its turn and locks it, whatever happens to the task meanwhile.
    ///
    /// `reason` says why this wait cannot be interrupted; whoever holds the lock must be certain to end soon.
    pub async fn lock_uninterruptible(&self, reason: &'static str) -> MutexGuard<'_, T> {
        let _written = reason;
        loop {
            if let Ok(permit) = Turn::new(&self.semaphore, false).await {
                return self.guard(permit);
            }
        }
    }

    fn guard<'a>(&'a self, permit: Permit<'a>) -> MutexGuard<'a, T> {
        MutexGuard {
            value: self.value.lock().take(),
            mutex: self,
            _permit: permit,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mutex").field(&self.value).finish()
    }
}

/// Holds a [`Mutex`], also over waits; dropping it unlocks.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    /// There until the drop: only the holder of the one permit takes it out of the mutex.
    value: Option<T>,
    mutex: &'a Mutex<T>,
    /// Given back after the value: fields drop last.
    _permit: Permit<'a>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("the guard has the value")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the guard has the value")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        *self.mutex.value.lock() = self.value.take();
    }
}

impl<'a> Future for Turn<'a> {
    type Output = Result<Permit<'a>, Interrupted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Turn::poll(&mut self, context)
    }
}
