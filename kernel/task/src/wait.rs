//! The wait primitive: wait until a condition gives something.
//!
//! ```text
//! let byte = queue.wait_until(|| fifo.lock().pop()).await?;      // the waiter
//! fifo.lock().push(byte); queue.wake_one();                      // the waker: first the condition, then the wake
//! ```
//!
//! The one idea: the condition is checked again *after* registering. A waker that changed the condition before that
//! check is seen by it; one that changed it later finds the registration. A wake whose condition turns out false
//! registers again, at the end of the line. A waiter that was chosen by `wake_one` and goes without having used the
//! wake (dropped, interrupted, timed out) hands it on.
//!
//! Cost: a condition that holds at once touches nothing of the queue. A wake with nobody waiting is a fence and a load.
//! The first waiter of a queue needs no memory; more share a vector that is reused.

use crate::waiters::{Batch, Phase, Ticket, Waiters};
use crate::{Deadline, Interrupted, TimerGuard, WaitError, timer, with_current};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use core::task::{Context, Poll};
use machine::sync::Spin;

/// Tasks that wait for a condition to become true.
pub struct WaitQueue {
    /// How many wait; written under the lock, read without it.
    waiting: AtomicU32,
    waiters: Spin<Waiters>,
}

impl WaitQueue {
    /// A queue in which nobody waits.
    pub const fn new() -> Self {
        WaitQueue {
            waiting: AtomicU32::new(0),
            waiters: Spin::new(Waiters::new()),
        }
    }

    /// Wakes the task that has waited longest; `true` if there was one. Call it after making the condition true.
    pub fn wake_one(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut waiters = self.waiters.lock();
        let waker = waiters.choose();
        self.waiting.store(waiters.waiting(), Ordering::Relaxed);
        drop(waiters);
        match waker {
            Some(waker) => {
                waker.wake();
                true
            }
            None => false,
        }
    }

    /// Wakes all tasks that wait now; how many there were. Call it after making the condition true.
    pub fn wake_all(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut batch = Batch::new();
        let mut count = 0;
        let mut waiters = self.waiters.lock();
        let round = waiters.begin();
        loop {
            let before = waiters.waiting();
            let more = waiters.woken(&round, u32::MAX, &mut batch);
            count += (before - waiters.waiting()) as usize;
            self.waiting.store(waiters.waiting(), Ordering::Relaxed);
            drop(waiters);
            batch.wake();
            if !more {
                return count;
            }
            waiters = self.waiters.lock();
        }
    }

    /// Whether nobody waits at this moment.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Orders the caller's change of the condition before the look for waiters; the other half is in `poll`.
        fence(Ordering::SeqCst);
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Waits until `condition` gives something. Ends early when the current task is interrupted.
    ///
    /// The condition is asked at every wake, so it must be cheap; it may take locks, but not across its return.
    pub fn wait_until<T, F: FnMut() -> Option<T>>(&self, condition: F) -> Interruptible<'_, F> {
        Interruptible(Wait::new(self, condition, None))
    }

    /// As [`wait_until`](Self::wait_until), and ends at `deadline` (`None`: never). A condition that
    /// holds wins over a deadline that has passed.
    pub fn wait_until_by<T, F: FnMut() -> Option<T>>(
        &self,
        deadline: Option<Deadline>,
        condition: F,
    ) -> Timed<'_, F> {
        Timed(Wait::new(self, condition, deadline))
    }

    /// Waits until `condition` gives something, whatever happens to the task meanwhile.
    ///
    /// `reason` says why this wait cannot be interrupted; it must be certain to end soon.
    pub fn wait_until_uninterruptible<T, F: FnMut() -> Option<T>>(
        &self,
        reason: &'static str,
        condition: F,
    ) -> Patient<'_, F> {
        Patient {
            wait: Wait::new(self, condition, None),
            reason,
        }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("waiting", &self.waiting.load(Ordering::Relaxed))
            .finish()
    }
}

struct Wait<'a, F> {
    queue: &'a WaitQueue,
    condition: F,
    ticket: Option<Ticket>,
    deadline: Option<Deadline>,
    timer: Option<TimerGuard>,
}

impl<'a, F> Wait<'a, F> {
    fn new(queue: &'a WaitQueue, condition: F, deadline: Option<Deadline>) -> Self {
        Wait {
            queue,
            condition,
            ticket: None,
            deadline,
            timer: None,
        }
    }

    fn poll<T>(&mut self, context: &Context<'_>, killable: bool) -> Poll<Result<T, WaitError>>
    where
        F: FnMut() -> Option<T>,
    {
        if let Some(value) = (self.condition)() {
            self.leave();
            return Poll::Ready(Ok(value));
        }
        if killable && with_current(|task| task.interrupted()).unwrap_or(false) {
            self.give_up();
            return Poll::Ready(Err(WaitError::Interrupted));
        }
        if self.deadline.is_some_and(Deadline::has_passed) {
            self.give_up();
            return Poll::Ready(Err(WaitError::TimedOut));
        }
        let registered = self.register(context);
        // Orders the registration before the second look; the other half is in `is_empty`.
        fence(Ordering::SeqCst);
        if let Some(value) = (self.condition)() {
            self.leave();
            return Poll::Ready(Ok(value));
        }
        if !registered {
            // No memory for a place in the line: ask again on the next turn.
            context.waker().wake_by_ref();
        }
        if self.deadline.is_some() {
            timer::keep(&mut self.timer, self.deadline, context.waker());
        }
        Poll::Pending
    }

    fn register(&mut self, context: &Context<'_>) -> bool {
        let mut waiters = self.queue.waiters.lock();
        match &self.ticket {
            Some(ticket) => waiters.renew(ticket, context.waker()),
            None => self.ticket = waiters.add(context.waker(), 1),
        }
        self.queue
            .waiting
            .store(waiters.waiting(), Ordering::Relaxed);
        self.ticket.is_some()
    }

    /// Takes the entry out of the line; a wake that came for it counts as used.
    #[inline]
    fn leave(&mut self) -> Option<Phase> {
        if self.deadline.is_some() {
            self.timer = None;
        }
        let ticket = self.ticket.take()?;
        let mut waiters = self.queue.waiters.lock();
        let phase = waiters.remove(ticket);
        self.queue
            .waiting
            .store(waiters.waiting(), Ordering::Relaxed);
        Some(phase)
    }

    /// Takes the entry out of the line; a wake that came for it alone goes to the next.
    fn give_up(&mut self) {
        if self.leave() == Some(Phase::Chosen) {
            self.queue.wake_one();
        }
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.give_up();
        }
    }
}

/// The future of [`WaitQueue::wait_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct Interruptible<'a, F>(Wait<'a, F>);

/// The future of [`WaitQueue::wait_until_by`].
#[must_use = "futures do nothing unless awaited"]
pub struct Timed<'a, F>(Wait<'a, F>);

/// The future of [`WaitQueue::wait_until_uninterruptible`].
#[must_use = "futures do nothing unless awaited"]
pub struct Patient<'a, F> {
    wait: Wait<'a, F>,
    reason: &'static str,
}

// The condition is never pinned: it is only called.
impl<F> Unpin for Interruptible<'_, F> {}
impl<F> Unpin for Timed<'_, F> {}
impl<F> Unpin for Patient<'_, F> {}

impl<T, F: FnMut() -> Option<T>> Future for Interruptible<'_, F> {
    type Output = Result<T, Interrupted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Without a deadline the only error is an interruption.
        self.0
            .poll(context, true)
            .map(|result| result.map_err(|_| Interrupted))
    }
}

impl<T, F: FnMut() -> Option<T>> Future for Timed<'_, F> {
    type Output = Result<T, WaitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(context, true)
    }
}

impl<T, F: FnMut() -> Option<T>> Future for Patient<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.wait.poll(context, false) {
            Poll::Ready(Ok(value)) => Poll::Ready(value),
            // Neither killable nor timed: only the condition ends it.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for Patient<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient")
            .field("reason", &self.reason)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Task, block_on, clock, run_until_idle, spawn, yield_now};
    use alloc::boxed::Box;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::AtomicBool;
    use core::task::Waker;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn take(items: &Spin<usize>) -> Option<()> {
        let mut items = items.lock();
        *items = items.checked_sub(1)?;
        Some(())
    }

    #[test]
    fn what_holds_needs_no_wait() {
        let queue = WaitQueue::new();
        assert_eq!(block_on(queue.wait_until(|| Some(3))), Ok(3));
        assert!(queue.is_empty() && !queue.wake_one() && queue.wake_all() == 0);
    }

    #[test]
    fn a_wake_with_a_false_condition_waits_again() {
        let shared = Arc::new((WaitQueue::new(), Spin::new(0)));
        let theirs = shared.clone();
        let task = spawn("waiter", async move {
            let (queue, items) = &*theirs;
            assert_eq!(queue.wait_until(|| take(items)).await, Ok(()));
        })
        .unwrap();
        run_until_idle();
        for _ in 0..3 {
            assert!(shared.0.wake_one());
            assert_eq!(run_until_idle(), 1);
            assert!(!task.is_done());
        }
        *shared.1.lock() = 1;
        shared.0.wake_one();
        run_until_idle();
        assert!(task.is_done());
    }

    #[test]
    fn an_interruption_ends_it_and_a_kill_stays() {
        let queue = Arc::new(WaitQueue::new());
        let seen = Arc::new(Spin::new(VecDeque::new()));
        let (theirs, results) = (queue.clone(), seen.clone());
        let task = spawn("waiter", async move {
            for _ in 0..4 {
                let result = theirs.wait_until(|| None::<()>).await;
                results.lock().push_back(result);
                crate::with_current(Task::clear_interrupt);
            }
            theirs
                .wait_until_uninterruptible("the test", || {
                    (results.lock().len() == 9).then_some(())
                })
                .await;
        })
        .unwrap();
        run_until_idle();
        assert_eq!(seen.lock().len(), 0);
        task.interrupt();
        run_until_idle();
        assert_eq!(seen.lock().len(), 1);
        task.kill();
        run_until_idle();
        assert_eq!(seen.lock().len(), 4);
        assert!(task.killed() && task.interrupted() && !task.is_done());
        seen.lock().resize(9, Ok(()));
        queue.wake_all();
        run_until_idle();
        assert!(task.is_done() && queue.is_empty());
    }

    #[test]
    fn a_deadline_ends_it_on_time() {
        let queue = WaitQueue::new();
        let deadline = clock::now() + 5_000;
        let result = block_on(queue.wait_until_by(Some(deadline.into()), || None::<()>));
        assert_eq!(result, Err(WaitError::TimedOut));
        assert_eq!(clock::now(), deadline);
        assert!(queue.is_empty());
        let result = block_on(queue.wait_until_by(Some(Deadline::Boot(0)), || Some(1)));
        assert_eq!(
            result,
            Ok(1),
            "what holds wins over a deadline that has passed"
        );
        let result = block_on(queue.wait_until_by(Some(Deadline::Boot(0)), || None::<()>));
        assert_eq!(result, Err(WaitError::TimedOut));
    }

    #[test]
    fn all_are_woken_once() {
        let shared = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let theirs = shared.clone();
                spawn("waiter", async move {
                    let open = || theirs.1.load(Ordering::Relaxed).then_some(());
                    theirs.0.wait_until(open).await.unwrap();
                })
                .unwrap()
            })
            .collect();
        run_until_idle();
        assert_eq!(shared.0.wake_all(), 50);
        assert_eq!(run_until_idle(), 50);
        shared.1.store(true, Ordering::Relaxed);
        assert_eq!(shared.0.wake_all(), 50);
        assert_eq!(run_until_idle(), 50);
        assert!(tasks.iter().all(|task| task.is_done()));
    }

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Produce,
        Start,
        /// Polls one that was woken.
        Run(usize),
        /// Polls one, woken or not.
        Disturb(usize),
        Drop(usize),
        WakeAll,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Produce),
            4 => Just(Step::Start),
            3 => any::<usize>().prop_map(Step::Run),
            1 => any::<usize>().prop_map(Step::Disturb),
            3 => any::<usize>().prop_map(Step::Drop),
            1 => Just(Step::WakeAll),
        ]
    }

    proptest! {
        /// Whatever is cancelled when: an item never lies there while somebody sleeps for it.
        #[test]
        fn a_wake_is_handed_on(steps in proptest::collection::vec(step(), 1..120)) {
            let queue = WaitQueue::new();
            let items = Spin::new(0);
            type Waiting<'a> = Box<dyn Future<Output = Result<(), Interrupted>> + Unpin + 'a>;
            let mut waiters: Vec<(Waiting<'_>, Arc<Flag>)> = Vec::new();
            let poll = |waiters: &mut Vec<(Waiting<'_>, Arc<Flag>)>, which: usize| {
                let (future, flag) = &mut waiters[which];
                flag.0.store(false, Ordering::SeqCst);
                let waker = Waker::from(flag.clone());
                if Pin::new(future).poll(&mut Context::from_waker(&waker)).is_ready() {
                    drop(waiters.swap_remove(which));
                }
            };
            for step in steps {
                match step {
                    Step::Produce => {
                        *items.lock() += 1;
                        queue.wake_one();
                    }
                    Step::Start => {
                        let future = queue.wait_until(|| take(&items));
                        let flag = Arc::new(Flag(AtomicBool::new(false)));
                        waiters.push((Box::new(future), flag));
                        let last = waiters.len() - 1;
                        poll(&mut waiters, last);
                    }
                    Step::Run(which) => {
                        let woken: Vec<_> = (0..waiters.len())
                            .filter(|&at| waiters[at].1.0.load(Ordering::SeqCst))
                            .collect();
                        if !woken.is_empty() {
                            poll(&mut waiters, woken[which % woken.len()]);
                        }
                    }
                    Step::Disturb(which) if !waiters.is_empty() => {
                        let which = which % waiters.len();
                        poll(&mut waiters, which);
                    }
                    Step::Drop(which) if !waiters.is_empty() => {
                        drop(waiters.swap_remove(which % waiters.len()));
                    }
                    Step::WakeAll => {
                        queue.wake_all();
                    }
                    Step::Disturb(_) | Step::Drop(_) => {}
                }
                let sleeping = waiters.iter().any(|(_, flag)| !flag.0.load(Ordering::SeqCst));
                let woken = waiters.iter().any(|(_, flag)| flag.0.load(Ordering::SeqCst));
                prop_assert!(*items.lock() == 0 || !sleeping || woken, "an item and only sleepers");
            }
            while let Some(which) =
                waiters.iter().position(|(_, flag)| flag.0.load(Ordering::SeqCst))
            {
                poll(&mut waiters, which);
            }
            prop_assert!(*items.lock() == 0 || waiters.is_empty(), "a wake was lost");
            drop(waiters);
            prop_assert!(queue.is_empty());
        }
    }

    /// Real threads, real memory: nothing is lost between CPUs.
    #[test]
    fn nothing_is_lost_between_threads() {
        const ITEMS: usize = 3_000;
        let shared = Arc::new((WaitQueue::new(), Spin::new(0usize)));
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    block_on(async {
                        for _ in 0..ITEMS {
                            shared.0.wait_until(|| take(&shared.1)).await.unwrap();
                        }
                    });
                })
            })
            .collect();
        block_on(async {
            for _ in 0..2 * ITEMS {
                *shared.1.lock() += 1;
                shared.0.wake_one();
            }
        });
        for consumer in consumers {
            consumer.join().unwrap();
        }
        assert_eq!(*shared.1.lock(), 0);
    }

    #[test]
    fn tasks_take_turns() {
        let shared = Arc::new((WaitQueue::new(), Spin::new(0usize)));
        for me in 0..2 {
            let shared = shared.clone();
            spawn("player", async move {
                for round in 0..100 {
                    let mine = || (*shared.1.lock() == 2 * round + me).then_some(());
                    shared.0.wait_until(mine).await.unwrap();
                    *shared.1.lock() += 1;
                    shared.0.wake_all();
                    yield_now().await;
                }
            })
            .unwrap();
        }
        run_until_idle();
        assert_eq!(*shared.1.lock(), 200);
    }
}
