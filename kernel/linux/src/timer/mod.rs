//! Timers that send signals.
//!
//! - [`interval`]: the three of every process: alarm(2), setitimer(2), and the limit of CPU time
//! - [`schedule`]: when a timer goes off, and how often it did

pub mod interval;
pub mod schedule;

pub use interval::{IntervalTimers, watch_cpu_limit};
