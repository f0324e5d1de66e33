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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, run_until_idle, spawn, yield_now};
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    #[test]
    fn only_one_at_a_time_and_in_order() {
        let mutex = Arc::new(Mutex::new(Vec::new()));
        for who in 0..5 {
            let mutex = mutex.clone();
            spawn("holder", async move {
                let mut list = mutex.lock().await.unwrap();
                list.push(who);
                for _ in 0..who {
                    yield_now().await;
                }
                list.push(who);
            })
            .unwrap();
        }
        run_until_idle();
        let list = mutex.try_lock().unwrap();
        assert_eq!(*list, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
        assert!(mutex.try_lock().is_none());
        drop(list);
        assert!(block_on(mutex.lock()).is_ok());
        assert_eq!(block_on(mutex.lock_uninterruptible("the test")).len(), 10);
    }

    #[test]
    fn nobody_overtakes() {
        let semaphore = Arc::new(Semaphore::new(1));
        let first = semaphore.try_acquire().unwrap();
        let theirs = semaphore.clone();
        let waiter = spawn("waiter", async move {
            theirs.acquire().await.unwrap().forget();
        })
        .unwrap();
        run_until_idle();
        drop(first);
        assert_eq!(semaphore.free(), 0, "it belongs to the waiter already");
        assert!(semaphore.try_acquire().is_none());
        run_until_idle();
        assert!(waiter.is_done());
        semaphore.release();
        assert_eq!(semaphore.free(), 1);
    }

    #[test]
    fn a_permit_that_is_not_taken_is_given_back() {
        let semaphore = Semaphore::new(0);
        let mut context = Context::from_waker(core::task::Waker::noop());
        let mut one = semaphore.acquire();
        let mut two = semaphore.acquire();
        assert!(Pin::new(&mut one).poll(&mut context).is_pending());
        assert!(Pin::new(&mut two).poll(&mut context).is_pending());
        semaphore.release();
        drop(one);
        assert!(Pin::new(&mut two).poll(&mut context).is_ready());
        drop(two);
        assert_eq!(semaphore.free(), 1);
    }

    #[test]
    fn an_interruption_ends_the_wait() {
        let mutex = Arc::new(Mutex::new(0));
        let held = mutex.try_lock().unwrap();
        let theirs = mutex.clone();
        let waiter = spawn("waiter", async move {
            assert!(theirs.lock().await.is_err());
        })
        .unwrap();
        run_until_idle();
        waiter.interrupt();
        run_until_idle();
        assert!(waiter.is_done());
        drop(held);
        assert!(mutex.try_lock().is_some());
    }
}
