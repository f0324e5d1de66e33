//! Processes and threads: what runs, what it holds, how it ends.
//!
//! A [`Process`] is an address space, a table of handles and some threads; a [`Thread`] is a future that goes to
//! user mode and comes back ([`live`]). What a process may ask the kernel for is not decided here but by its
//! [`Door`]: the native one or the Linux one.
//!
//! - [`elf`]: a program file, checked and planned
//! - [`image`]: a plan, mapped into an address space
//! - [`process`], [`thread`], [`table`]: the objects, and the numbers by which they are known
//! - [`family`]: parents, children, orphans, zombies
//! - [`live`]: the life of one user thread
//! - `meter`: rings when so much CPU time was used
//! - `shortage`: who ends when memory does
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod elf;
mod family;
pub mod image;
mod live;
mod meter;
mod process;
mod shortage;
mod table;
mod thread;

pub use family::Zombie;
pub use live::{Door, Flow, launch};
pub use process::{Birth, Personality, Process, Status};
pub use shortage::allows_another;
pub use table::{LIMIT, all, count, find, find_thread, init, made};
pub use thread::Thread;
