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

    pub(crate) const fn bits(self) -> u8 {
        match self {
            State::Idle => 0,
            State::Queued => WANTED,
            State::Running => RUNNING,
            State::Notified => RUNNING | WANTED,
            State::Done => DONE,
        }
    }

    pub(crate) const fn from_bits(bits: u8) -> State {
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
pub struct AtomicState(pub(crate) AtomicU8);

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
        // It is set, so subtracting clears it; unlike clearing, that is one instruction also where the old value counts.
        self.0.fetch_sub(RUNNING, Ordering::AcqRel) & WANTED != 0
    }

    /// The poll returned *ready*.
    pub fn finish(&self) {
        self.0.swap(State::Done.bits(), Ordering::AcqRel);
    }
}
