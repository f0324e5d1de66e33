//! Timers that send signals.
//!
//! - [`interval`]: the three of every process: alarm(2), setitimer(2), and the limit of CPU time
//! - [`realtime`]: the limit of what a real-time thread may use without waiting
//! - [`posix`], [`calls`]: those that a process makes: timer_create(2)
//! - [`course`]: what becomes of one of these: set, gone off, queued, taken
//! - [`schedule`]: when a timer goes off, and how often it did

pub mod calls;
mod course;
pub mod interval;
mod posix;
pub mod realtime;
pub mod schedule;

pub use interval::{IntervalTimers, watch_cpu_limit};
pub use posix::PosixTimers;

/// What repeats leaves at least so long between two signals, in nanoseconds: others want the CPU too. Times that are
/// skipped are counted where somebody asks for the count.
const MOMENT: u64 = 50_000;
