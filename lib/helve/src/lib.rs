//! The native runtime: what a program written for Helve stands on.
//!
//! A program holds handles and nothing else; this library gives each kind of handle a type, closes it on drop, and
//! turns the kernel's answers into [`Result`]s. A program says [`program!`] and writes a function:
//!
//! ```ignore
//! #![cfg_attr(panic = "abort", no_std, no_main)]
//! helve::program!(hello);
//!
//! fn hello() -> u8 {
//!     helve::println!("hello, {}", helve::environment::arguments().next().unwrap_or_default());
//!     0
//! }
//! ```
//!
//! All unsafe code of the runtime is in `sys`.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod channel;
pub mod console;
pub mod environment;
pub mod file;
pub mod handle;
pub mod io;
pub mod path;
pub mod process;
pub mod registry;
pub mod system;
pub mod terms;
pub mod time;
pub mod verb;

mod arena;
mod message;
mod share;
mod start;
pub mod sys;

pub use abi::{CpuSet, Error, Event, Events, Kind, Mapping, NEVER, OpenFlags, Rights};
pub use arena::Arena;
pub use channel::{Channel, Inbox, Reply};
pub use file::{Directory, File};
pub use handle::{Handle, Lease, Port};
pub use message::Message;
pub use process::{Child, Command, Status, exit};
pub use share::{Limits, Quota, Share};
pub use value::{Document, Element, Value, bvalue};
