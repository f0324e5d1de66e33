//! The life of a task, as a state machine.
//!
//! ```text
//!                 wake: push                start                     finish
//!        Idle ───────────────▶ Queued ───────────────▶ Running ───────────────▶ Done
//!         ▲                    ▲ wake ↺                 │  ▲  │                  ▲ wake ↺
//!         │                    │                        │  │  │ wake             │
//!         │ settle             │ settle: push back      │  │  ▼                  │
//!         └────────────────────┼────────────────────────┘  │ Notified ───────────┘
//!                              └───────────────────────────┼──┘ wake ↺     finish
//!                                                          │
//!                                   the executor polls ────┘
//! ```
//!
//! | transition | by | from → to | and then |
//! |---|---|---|---|
//! | `wake` | anybody | Idle → Queued | the waker **pushes** the task to its run queue |
//! | | | Running → Notified | nothing: the executor will see it at `settle` |
//! | | | Queued, Notified, Done → same | nothing |
//! | `start` | the executor that popped it | Queued → Running | polls the future |
//! | `settle` | the executor, after *pending* | Running → Idle | lets go of it |
//! | | | Notified → Queued | the executor **pushes** it back |
//! | `finish` | the executor, after *ready* | Running, Notified → Done | drops the future |
//!
//! The one idea: whoever moves the task into Queued pushes it, exactly once; so a task is in a run queue exactly when
//! it is Queued, and no wake is lost: a wake that comes before `start` is seen by that poll, and one that comes after
//! `start` is seen at `settle`.
//!
//! In memory the state is two bits, *wanted* and *running* (and *done*), so that each transition is one atomic
//! instruction: Idle = 0, Queued = wanted, Running = running, Notified = running + wanted.

use crate::atomic::{AtomicU8, Ordering};

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for a wake; in no queue.
    Idle,
    /// In a run queue.
    Queued,
    /// Being polled.
    Running,
    /// Being polled, and woken meanwhile.
    Notified,
    /// Its future is finished.
    Done,
}

impl State {
    /// Somebody wakes the task. The flag says whether the waker must push it.
    pub const fn wake(self) -> (State, bool) {
        match self {
            State::Idle => (State::Queued, true),
            State::Running | State::Notified => (State::Notified, false),
            State::Queued => (State::Queued, false),
            State::Done => (State::Done, false),
        }
    }

    /// The executor popped the task and is about to poll it. `None`: it was not in a queue.
    pub const fn start(self) -> Option<State> {
        match self {
            State::Queued => Some(State::Running),
            _ => None,
        }
    }

    /// The poll returned *pending*. The flag says whether the executor must push the task back.
    pub const fn settle(self) -> Option<(State, bool)> {
        match self {
            State::Running => Some((State::Idle, false)),
            State::Notified => Some((State::Queued, true)),
            _ => None,
        }
    }

    /// The poll returned *ready*.
    pub const fn finish(self) -> Option<State> {
        match self {
            State::Running | State::Notified => Some(State::Done),
            _ => None,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            State::Idle => 0,
            State::Queued => WANTED,
            State::Running => RUNNING,
            State::Notified => RUNNING | WANTED,
            State::Done => DONE,
        }
    }

    const fn from_bits(bits: u8) -> State {
        if bits & DONE != 0 {
            return State::Done;
        }
        match (bits & RUNNING != 0, bits & WANTED != 0) {
            (false, false) => State::Idle,
            (false, true) => State::Queued,
            (true, false) => State::Running,
            (true, true) => State::Notified,
        }
    }
}

const WANTED: u8 = 1;
const RUNNING: u8 = 2;
const DONE: u8 = 4;

/// A [`State`] that any CPU may move. Each transition is one atomic instruction.
#[derive(Debug)]
pub struct AtomicState(AtomicU8);

impl AtomicState {
    /// A task that is about to be pushed for the first time.
    pub fn queued() -> Self {
        AtomicState(AtomicU8::new(State::Queued.bits()))
    }

    /// The state at this moment.
    pub fn get(&self) -> State {
        State::from_bits(self.0.load(Ordering::Acquire))
    }

    /// Wakes; `true`: the caller must push the task.
    #[inline]
    pub fn wake(&self) -> bool {
        // Release: whoever polls next sees what the waker wrote. A done task keeps the bit; it changes nothing.
        let before = self.0.fetch_or(WANTED, Ordering::AcqRel);
        before == State::Idle.bits()
    }

    /// The executor popped the task.
    #[inline]
    pub fn start(&self) {
        let before = self.0.swap(State::Running.bits(), Ordering::AcqRel);
        debug_assert_eq!(before, State::Queued.bits());
    }

    /// The poll returned *pending*; `true`: the caller must push the task back.
    #[inline]
    pub fn settle(&self) -> bool {
        self.0.fetch_and(!RUNNING, Ordering::AcqRel) & WANTED != 0
    }

    /// The poll returned *ready*.
    pub fn finish(&self) {
        self.0.store(State::Done.bits(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const ALL: [State; 5] = [
        State::Idle,
        State::Queued,
        State::Running,
        State::Notified,
        State::Done,
    ];

    fn atomic(state: State) -> AtomicState {
        AtomicState(AtomicU8::new(state.bits()))
    }

    #[test]
    fn the_atomic_machine_is_the_drawn_one() {
        for state in ALL {
            assert_eq!(State::from_bits(state.bits()), state);
            let machine = atomic(state);
            let (after, push) = state.wake();
            assert_eq!((machine.wake(), machine.get()), (push, after));
            if let Some(after) = state.start() {
                let machine = atomic(state);
                machine.start();
                assert_eq!(machine.get(), after);
            }
            if let Some((after, push)) = state.settle() {
                let machine = atomic(state);
                assert_eq!((machine.settle(), machine.get()), (push, after));
            }
            if let Some(after) = state.finish() {
                let machine = atomic(state);
                machine.finish();
                assert_eq!(machine.get(), after);
            }
        }
    }

    /// Everything that matters of an executor with CPUs that pop from one queue, and of wakers that each bring one
    /// item: every step below is one atomic action of one actor, and every order of steps is tried.
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct World {
        state: State,
        queue: u8,
        /// Items that the wakers made available, and that the task has not consumed.
        items: u8,
        consumed: u8,
        cpus: Vec<Cpu>,
        wakers: Vec<Waker>,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    enum Cpu {
        Free,
        Popped,
        Polling,
        Pending,
        Ready,
        MustPush,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    enum Waker {
        Fresh,
        Provided,
        MustPush,
        Over,
    }

    fn explore(world: World, goal: u8, seen: &mut HashSet<World>) {
        if !seen.insert(world.clone()) {
            return;
        }
        assert!(world.queue <= 1, "in the queue twice");
        let polling = world.cpus.iter().filter(|cpu| {
            matches!(
                cpu,
                Cpu::Popped | Cpu::Polling | Cpu::Pending | Cpu::Ready | Cpu::MustPush
            )
        });
        assert!(polling.count() as u8 + world.queue <= 1 || world.state == State::Queued);
        let mut stuck = true;
        let mut go = |next: World| {
            stuck = false;
            explore(next, goal, seen);
        };
        for (index, &waker) in world.wakers.iter().enumerate() {
            let mut next = world.clone();
            next.wakers[index] = match waker {
                Waker::Fresh => {
                    next.items += 1;
                    Waker::Provided
                }
                Waker::Provided => {
                    let (after, push) = next.state.wake();
                    next.state = after;
                    if push { Waker::MustPush } else { Waker::Over }
                }
                Waker::MustPush => {
                    next.queue += 1;
                    Waker::Over
                }
                Waker::Over => continue,
            };
            go(next);
        }
        for (index, &cpu) in world.cpus.iter().enumerate() {
            let mut next = world.clone();
            next.cpus[index] = match cpu {
                Cpu::Free if next.queue > 0 => {
                    next.queue -= 1;
                    Cpu::Popped
                }
                Cpu::Free => continue,
                Cpu::Popped => {
                    next.state = next.state.start().expect("popped, so it was queued");
                    Cpu::Polling
                }
                Cpu::Polling => {
                    next.consumed += next.items;
                    next.items = 0;
                    if next.consumed == goal {
                        Cpu::Ready
                    } else {
                        Cpu::Pending
                    }
                }
                Cpu::Pending => {
                    let (after, push) = next.state.settle().expect("polled, so it ran");
                    next.state = after;
                    if push { Cpu::MustPush } else { Cpu::Free }
                }
                Cpu::Ready => {
                    next.state = next.state.finish().expect("polled, so it ran");
                    Cpu::Free
                }
                Cpu::MustPush => {
                    next.queue += 1;
                    Cpu::Free
                }
            };
            go(next);
        }
        if stuck {
            assert_eq!(world.consumed, goal, "a wake was lost");
            assert!(world.state == State::Done && world.queue == 0);
        }
    }

    #[test]
    fn no_order_of_steps_loses_a_wake_or_runs_a_task_twice() {
        for cpus in 1..=2 {
            for wakers in 1..=3 {
                let mut seen = HashSet::new();
                let world = World {
                    state: State::Queued,
                    queue: 1,
                    items: 0,
                    consumed: 0,
                    cpus: vec![Cpu::Free; cpus],
                    wakers: vec![Waker::Fresh; wakers],
                };
                explore(world, wakers as u8, &mut seen);
                assert!(seen.len() > 20);
            }
        }
    }
}
