//! Running futures on the developer's machine: a single thread, simulated time, the same order every time.
//!
//! The one idea: when nothing is ready, the clock moves to the next timer. So a test that sleeps for an hour takes no
//! time, and one that waits for what never comes fails.

use crate::cpu::this;
use crate::{clock, poll_once};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long other threads are given to wake what nothing on this one can wake.
const PATIENCE: Duration = Duration::from_secs(10);

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `future` to its end, and the tasks of this thread's CPU beside it. Not a task itself: inside, but outside
/// spawned tasks, [`crate::current`] is `None`.
///
/// # Panics
/// When nothing is left that could wake the future: no task is ready, no timer is set, and no other thread wakes it
/// within ten seconds.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    let mut stuck: Option<Instant> = None;
    loop {
        if flag.0.swap(false, Ordering::AcqRel) {
            stuck = None;
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
        }
        if poll_once() {
            stuck = None;
        } else if !flag.0.load(Ordering::Acquire) {
            let since = stuck.get_or_insert_with(Instant::now);
            assert!(
                since.elapsed() < PATIENCE,
                "nothing can wake the future any more"
            );
            let alarm = this().has_alarm();
            this().idle(clock::now());
            if alarm {
                stuck = None;
            }
        }
    }
}

/// Polls tasks until none is ready; how many polls that took. The clock stands still.
pub fn run_until_idle() -> usize {
    let mut polls = 0;
    while poll_once() {
        polls += 1;
    }
    polls
}
