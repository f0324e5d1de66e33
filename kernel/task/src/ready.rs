//! Readiness: what can be done with an object without waiting, as cached bits.
//!
//! One [`Readiness`] per waitable object serves blocking calls, `poll`, `select`, `epoll` and the native `wait` alike.
//! Waiters ([`Readiness::wait`], [`wait_any`]) are woken once; observers ([`Readiness::observe`]) are told each time.
//!
//! The one idea: bits and "somebody listens" are one atomic word. Setting a bit and looking for listeners, and
//! registering and looking at the bits, are each one instruction on that word, so one of the two sees the other.
//! Setting bits with nobody listening is that one instruction, or none if they are set already.
//!
//! For the owner: change the bits while holding the lock that guards what they describe. Then a bit never says what the
//! object does not know, and a waiter that saw `READ` and got `WouldBlock` will find the bit cleared and wait.

use crate::observers::{Observer, ObserverGuard, Observers};
use crate::waiters::{Batch, Round, Ticket, Waiters};
use crate::{Deadline, TimerGuard, WaitError, clock, timer, with_current};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll, Waker};
use machine::sync::{Once, Spin};

bitflags::bitflags! {
    /// What can be done without waiting. The same bits as `abi::Events`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Ready: u32 {
        /// A read gives bytes, or the end.
        const READ = abi::Events::READ.bits();
        /// A write accepts bytes, or fails at once.
        const WRITE = abi::Events::WRITE.bits();
        /// The other side is gone. Every interest includes it.
        const HANGUP = abi::Events::HANGUP.bits();
        /// Something failed. Every interest includes it.
        const ERROR = abi::Events::ERROR.bits();
        /// Something urgent is to be read.
        const PRIORITY = abi::Events::PRIORITY.bits();
    }
}

/// There are waiters in the list, and they have not been woken.
pub(crate) const WAITED: u32 = 1 << 30;
/// There is a list of observers.
pub(crate) const OBSERVED: u32 = 1 << 31;
pub(crate) const LISTENED: u32 = WAITED | OBSERVED;

/// See the module.
pub struct Readiness {
    pub(crate) word: AtomicU32,
    pub(crate) waiters: Spin<Waiters>,
    /// Shared with the guards, so that they can take themselves out. Made for the first observer.
    observers: Once<Arc<Observers>>,
}

impl Readiness {
    /// With these bits set.
    pub const fn new(bits: Ready) -> Self {
        Readiness {
            word: AtomicU32::new(bits.bits()),
            waiters: Spin::new(Waiters::new()),
            observers: Once::new(),
        }
    }

    /// The bits now.
    #[inline]
    pub fn get(&self) -> Ready {
        Ready::from_bits_truncate(self.word.load(Ordering::Acquire))
    }

    /// Sets bits, and tells whoever is interested. Observers hear of it even if the bits were set already: something
    /// new happened (that is what edge-triggered `epoll` reports).
    #[inline]
    pub fn set(&self, bits: Ready) {
        let bits = bits.bits();
        if self.word.load(Ordering::Acquire) & (bits | LISTENED) == bits {
            return;
        }
        let before = self.word.fetch_or(bits, Ordering::AcqRel);
        if before & LISTENED != 0 {
            self.tell(bits, before);
        }
    }

    /// Clears bits. Nobody waits for that.
    #[inline]
    pub fn clear(&self, bits: Ready) {
        if self.word.load(Ordering::Acquire) & bits.bits() != 0 {
            self.word.fetch_and(!bits.bits(), Ordering::AcqRel);
        }
    }

    /// Makes the bits exactly these, and tells whoever is interested in one that was not set before.
    pub fn replace(&self, bits: Ready) {
        let bits = bits.bits();
        let mut before = self.word.load(Ordering::Acquire);
        while before & !LISTENED != bits {
            let after = before & LISTENED | bits;
            match self.word.compare_exchange_weak(
                before,
                after,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    let rising = bits & !before;
                    if rising != 0 && before & LISTENED != 0 {
                        self.tell(rising, before);
                    }
                    return;
                }
                Err(now) => before = now,
            }
        }
    }

    /// Waits until at least one bit of `interest` (or `HANGUP` or `ERROR`) is set; gives those that are.
    ///
    /// # Errors
    /// The current task was interrupted, or `deadline` (ns since boot, `None`: never) passed first.
    pub fn wait(&self, interest: Ready, deadline: Option<u64>) -> Wait<'_> {
        Wait {
            readiness: self,
            mask: mask(interest),
            ticket: None,
            deadline,
            timer: None,
        }
    }

    /// Calls `observer` each time a bit of `interest` (or `HANGUP` or `ERROR`) is set, until the guard is dropped; a
    /// call that has begun on another CPU may still end after that. Bits that are set already are not reported: look
    /// at [`get`](Self::get) afterwards.
    ///
    /// # Errors
    /// [`abi::Error::NoMemory`].
    pub fn observe(
        &self,
        interest: Ready,
        observer: Arc<dyn Observer>,
    ) -> Result<ObserverGuard, abi::Error> {
        let observers = self.observers.get_or_init(Arc::default);
        let guard = observers.add(mask(interest), observer)?;
        self.word.fetch_or(OBSERVED, Ordering::AcqRel);
        Ok(guard)
    }

    #[cold]
    #[inline(never)]
    fn tell(&self, bits: u32, before: u32) {
        if before & WAITED != 0 {
            let mut waiters = self.waiters.lock();
            if let Some(waker) = waiters.only(bits) {
                self.word.fetch_and(!WAITED, Ordering::AcqRel);
                drop(waiters);
                waker.wake();
            } else {
                let round = waiters.begin();
                drop(waiters);
                self.tell_many(bits, &round);
            }
        }
        if before & OBSERVED != 0
            && let Some(observers) = self.observers.get()
        {
            observers.tell(bits, &self.word);
        }
    }

    fn tell_many(&self, bits: u32, round: &Round) {
        let mut batch = Batch::new();
        loop {
            let mut waiters = self.waiters.lock();
            let more = waiters.woken(round, bits, &mut batch);
            if waiters.waiting() == 0 {
                self.word.fetch_and(!WAITED, Ordering::AcqRel);
            }
            drop(waiters);
            batch.wake();
            if !more {
                return;
            }
        }
    }

    /// Registers for `mask`, or finds that it need not: the bits that are set.
    fn register(
        &self,
        ticket: &mut Option<Ticket>,
        mask: u32,
        waker: &Waker,
    ) -> Result<Ready, NoRoom> {
        let mut waiters = self.waiters.lock();
        match ticket {
            Some(ticket) => waiters.renew(ticket, waker),
            None => *ticket = Some(waiters.add(waker, mask).ok_or(NoRoom)?),
        }
        // Under the lock, so that a teller that sees the flag also finds the entry.
        let word = self.word.fetch_or(WAITED, Ordering::AcqRel);
        Ok(Ready::from_bits_truncate(word & mask))
    }

    fn forget(&self, ticket: &mut Option<Ticket>) {
        if let Some(ticket) = ticket.take() {
            let mut waiters = self.waiters.lock();
            waiters.remove(ticket);
            if waiters.waiting() == 0 && self.word.load(Ordering::Relaxed) & WAITED != 0 {
                self.word.fetch_and(!WAITED, Ordering::AcqRel);
            }
        }
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new(Ready::empty())
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.get()).finish()
    }
}

/// No memory for another waiter.
struct NoRoom;

pub(crate) fn mask(interest: Ready) -> u32 {
    (interest | Ready::HANGUP | Ready::ERROR).bits()
}

/// Why the wait must end now, if it must.
fn ended(deadline: Option<u64>) -> Option<WaitError> {
    if with_current(|task| task.interrupted()).unwrap_or(false) {
        Some(WaitError::Interrupted)
    } else if deadline.is_some_and(|at| clock::now() >= at) {
        Some(WaitError::TimedOut)
    } else {
        None
    }
}

/// The future of [`Readiness::wait`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Wait<'a> {
    readiness: &'a Readiness,
    mask: u32,
    ticket: Option<Ticket>,
    deadline: Option<u64>,
    timer: Option<TimerGuard>,
}

impl Future for Wait<'_> {
    type Output = Result<Ready, WaitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut bits = this.readiness.get().bits() & this.mask;
        if bits == 0 {
            if let Some(error) = ended(this.deadline) {
                return Poll::Ready(Err(error));
            }
            match this
                .readiness
                .register(&mut this.ticket, this.mask, context.waker())
            {
                Ok(found) => bits = found.bits(),
                // No memory for a place in the list: ask again on the next turn.
                Err(NoRoom) => context.waker().wake_by_ref(),
            }
        }
        if bits != 0 {
            this.readiness.forget(&mut this.ticket);
            if this.deadline.is_some() {
                this.timer = None;
            }
            return Poll::Ready(Ok(Ready::from_bits_truncate(bits)));
        }
        if this.deadline.is_some() {
            timer::keep(
                &mut this.timer,
                this.deadline.map(Deadline::Boot),
                context.waker(),
            );
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.readiness.forget(&mut self.ticket);
    }
}

/// Waits until one of `objects` is ready for its interest (or `HANGUP` or `ERROR`); gives the index of the first one
/// that is. With no objects it waits for the deadline.
///
/// Allocates one vector when it really has to wait.
///
/// # Errors
/// The current task was interrupted, or `deadline` (ns since boot, `None`: never) passed first.
pub fn wait_any<'a>(objects: &'a [(&'a Readiness, Ready)], deadline: Option<u64>) -> WaitAny<'a> {
    WaitAny {
        objects,
        tickets: Vec::new(),
        deadline,
        timer: None,
    }
}

/// The future of [`wait_any`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct WaitAny<'a> {
    objects: &'a [(&'a Readiness, Ready)],
    /// One for each object, once it waits.
    tickets: Vec<Option<Ticket>>,
    deadline: Option<u64>,
    timer: Option<TimerGuard>,
}

impl WaitAny<'_> {
    fn register(&mut self, waker: &Waker) -> Result<Option<usize>, NoRoom> {
        if self.tickets.is_empty() {
            let missing = self.objects.len();
            self.tickets
                .try_reserve_exact(missing)
                .map_err(|_| NoRoom)?;
            self.tickets.resize_with(missing, || None);
        }
        for (index, (object, ticket)) in self.objects.iter().zip(&mut self.tickets).enumerate() {
            let (readiness, interest) = *object;
            if !readiness
                .register(ticket, mask(interest), waker)?
                .is_empty()
            {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn forget(&mut self) {
        for (object, ticket) in self.objects.iter().zip(&mut self.tickets) {
            object.0.forget(ticket);
        }
    }
}

impl Future for WaitAny<'_> {
    type Output = Result<usize, WaitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut found = this
            .objects
            .iter()
            .position(|(readiness, interest)| readiness.get().bits() & mask(*interest) != 0);
        if found.is_none() {
            if let Some(error) = ended(this.deadline) {
                return Poll::Ready(Err(error));
            }
            match this.register(context.waker()) {
                Ok(index) => found = index,
                // No memory for a place in every list: ask again on the next turn.
                Err(NoRoom) => context.waker().wake_by_ref(),
            }
        }
        if let Some(index) = found {
            this.forget();
            this.timer = None;
            return Poll::Ready(Ok(index));
        }
        timer::keep(
            &mut this.timer,
            this.deadline.map(Deadline::Boot),
            context.waker(),
        );
        Poll::Pending
    }
}

impl Drop for WaitAny<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}
