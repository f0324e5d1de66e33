//! What `latency` measures, counted and shown: everything about it that has nothing to do with the system.
//!
//! - [`plan`]: what the arguments ask for
//! - [`sample`]: what measuring processes report
//! - [`tally`]: samples counted by steps
//! - [`picture`]: the result for people; [`value`]: for programs
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod picture;
pub mod plan;
pub mod sample;
pub mod tally;
pub mod value;
