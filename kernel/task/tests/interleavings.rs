//! The state machine of a task under a concurrency checker: every order of its atomic instructions, with every
//! effect that the memory model allows.
//!
//! The file under test is compiled here a second time, over the checker's atomics.

mod atomic {
    pub use loom::sync::atomic::{AtomicU8, Ordering};
}

#[path = "../src/state.rs"]
#[expect(dead_code, reason = "the drawing of the machine is tested beside it")]
mod state;

use loom::cell::Cell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use state::AtomicState;

/// A task whose future waits for what its wakers leave for it.
struct Task {
    state: AtomicState,
    queued: Mutex<usize>,
    /// One place for each waker. Relaxed: that the poll sees it is up to the state machine.
    items: [AtomicUsize; 2],
    /// Only the executor that runs the task may touch it; the checker watches that.
    future: Cell<usize>,
}

impl Task {
    fn new() -> Arc<Task> {
        Arc::new(Task {
            state: AtomicState::queued(),
            queued: Mutex::new(1),
            items: [AtomicUsize::new(0), AtomicUsize::new(0)],
            future: Cell::new(0),
        })
    }

    fn push(&self) {
        let mut queued = self.queued.lock().unwrap();
        *queued += 1;
        assert_eq!(*queued, 1, "in the queue twice");
    }

    fn wake(&self, waker: usize) {
        self.items[waker].store(1, Ordering::Relaxed);
        if self.state.wake() {
            self.push();
        }
    }

    /// One turn of an executor; `false`: nothing was queued.
    fn turn(&self, goal: usize) -> bool {
        {
            let mut queued = self.queued.lock().unwrap();
            if *queued == 0 {
                return false;
            }
            *queued -= 1;
        }
        self.state.start();
        let seen = self
            .items
            .iter()
            .map(|item| item.load(Ordering::Relaxed))
            .sum();
        assert!(self.future.get() <= seen);
        self.future.set(seen);
        if seen == goal {
            self.state.finish();
        } else if self.state.settle() {
            self.push();
        }
        true
    }
}

/// Every order with at most three preemptions, which is where such bugs are found; all orders take a minute.
fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn one_executor_and_two_wakers() {
    check(|| {
        let task = Task::new();
        let wakers: Vec<_> = (0..2)
            .map(|waker| {
                let task = task.clone();
                thread::spawn(move || task.wake(waker))
            })
            .collect();
        task.turn(2);
        task.turn(2);
        for waker in wakers {
            waker.join().unwrap();
        }
        while task.turn(2) {}
        assert_eq!(task.state.get(), state::State::Done, "a wake was lost");
    });
}

#[test]
fn two_executors_and_a_waker() {
    check(|| {
        let task = Task::new();
        let waker = {
            let task = task.clone();
            thread::spawn(move || task.wake(0))
        };
        let other = {
            let task = task.clone();
            thread::spawn(move || task.turn(1))
        };
        task.turn(1);
        waker.join().unwrap();
        other.join().unwrap();
        while task.turn(1) {}
        assert_eq!(task.state.get(), state::State::Done, "a wake was lost");
    });
}
