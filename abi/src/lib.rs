//! What crosses the line between native programs and the kernel, and nothing else.
//!
//! Both sides compile against this crate: call numbers, error codes, rights, kinds, flags, and the few records that
//! are read and written in memory. Everything larger is a value (a BSON document, crate `value`). The meaning of each
//! call, argument by argument, is the documentation of [`Call`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod call;
mod cpus;
mod error;
mod events;
mod flags;
mod kind;
mod message;
pub mod request;
mod rights;
mod start;

pub use call::{Call, END, NATIVE, NEVER, NEXT, Number, decode, encode};
pub use cpus::{CpuSet, NoCpuSet};
pub use error::Error;
pub use events::{Event, Events};
pub use flags::{Mapping, OpenFlags};
pub use kind::Kind;
pub use message::{MOST_HANDLES, Passed, Passing, Received};
pub use rights::Rights;
pub use start::{AUXILIARY, field};
