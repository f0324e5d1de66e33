//! Tasks: what runs when, and how it waits.
//!
//! A task is a future with a state machine around it. User threads and kernel work alike are tasks; every wait is an
//! await; nothing here has a stack of its own.
//!
//! - [`state`]: the life of a task as a state machine, drawn and checked exhaustively
//! - [`task`](Task): a future with its state, flags and accounts
//! - [`policy`]: who runs next (pure: reservations, priorities, fair shares)
//! - `cpu`: one CPU's run queue and alarm
//! - [`Group`]: tasks with a weight, a quota and a set of CPUs together
//! - `placement`: which CPU a task runs on, and how it moves
//! - `executor`: [`spawn`], [`run`], the current task, yielding
//! - `waiters`: the list of wakers that the wait primitives share
//! - [`wait`](WaitQueue): the wait primitive
//! - [`ready`](Readiness): cached readiness bits, with waiters
//! - [`observers`](Observer): who is told each time
//! - [`Deadline`]: a point in time, on the clock since boot or on the wall clock
//! - `timer`, `timers`: wake-ups then
//! - `meter`: wake-ups when so much CPU time has been used
//! - [`clock`]: what time it is
//! - [`turnstile`]: locks whose owner inherits the priority of those who wait
//! - `lock`: an async [`Mutex`] and a fair [`Semaphore`]
//! - [`stats`]: what each CPU has done, and how late
//! - [`load`]: load averages
//! - `stretch`: how long interrupts are off, and where
//! - [`watch`](Watch): whether each CPU gets on, as others see it
//! - `stopwatch`, `histogram`: what these count with
//! - [`threaded`]: interrupt handlers that are tasks
//! - `budget`: long loops that stay polite
//! - `host`: running futures in tests on the developer's machine
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(all(not(target_os = "none"), not(test)))]
extern crate std;

mod atomic;
mod budget;
pub mod clock;
mod cpu;
mod deadline;
mod error;
mod executor;
#[cfg(test)]
mod executor_tests;
mod group;
#[cfg(test)]
mod group_tests;
mod handler;
mod histogram;
#[cfg(not(target_os = "none"))]
mod host;
pub mod load;
mod lock;
mod meter;
mod observers;
mod placement;
#[cfg(test)]
mod placement_tests;
pub mod policy;
mod ready;
#[cfg(test)]
mod ready_tests;
mod seats;
#[cfg(test)]
mod seats_tests;
mod split;
mod standing;
pub mod state;
#[cfg(test)]
mod state_tests;
mod stats;
#[cfg(test)]
mod stats_tests;
mod stopwatch;
mod stretch;
mod task;
mod timer;
mod timer_heap;
mod timers;
pub mod turnstile;
mod wait;
mod waiters;
mod watch;

pub use budget::{Budget, budget, rest};
pub use deadline::Deadline;
pub use error::{Interrupted, WaitError};
#[cfg(not(target_os = "none"))]
pub use executor::poll_once;
pub use executor::{
    Terms, YieldNow, current, hand_over, others_wait, run, should_yield, spawn, spawn_with,
    with_current, yield_now,
};
pub use group::{Group, gather};
pub use handler::{HANDLER_PRIORITY, threaded};
pub use histogram::STEPS;
#[cfg(not(target_os = "none"))]
pub use host::{block_on, run_until_idle};
pub use lock::{Mutex, MutexGuard, Permit, Semaphore};
pub use meter::{Meter, MeterGuard, MeterSleep, Metered};
pub use observers::{Observer, ObserverGuard};
pub use placement::{arrange, isolate, isolated};
pub use ready::{Readiness, Ready, Wait, WaitAny, wait_any};
pub use split::Times;
pub use stats::{
    Late, Stats, forget_longest, lateness, longest_poll, longest_stretch, stats, stats_of,
};
pub use stretch::{Cause, Exact, Here, Longest, here, is_exact, window};
pub use task::Task;
pub use timer::{Sleep, TimerGuard, at, sleep_until, try_at};
pub use wait::{Interruptible, Patient, Timed, WaitQueue};
pub use watch::{LOOKS, Sign, Verdict, Watch, sign};
