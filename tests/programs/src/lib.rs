//! What the test programs share. They are ordinary Linux programs: each runs on Linux and inside Helve, and must say the
//! same there.
//!
//! - [`harness`]: a program is a list of named tests; each runs in a forked child with a directory and a time limit of its own.
//! - [`raw`]: calls straight to the kernel, without the C library's opinion in between, and the macros that check results.
//! - [`crowd`]: very many threads that sleep.
//! - [`child`]: forked children, how they ended, and gates and shared cells to order them without sleeping.
//! - [`elf`]: program files made by hand.
//! - [`memory`]: mappings, and places in memory that fault in a known way.
//! - [`native`]: native calls.
//! - [`signal`]: handlers that record what the kernel told them.
//! - [`pattern`]: a seeded byte stream that a reader can check.

#[macro_use]
pub mod raw;

pub mod child;
pub mod crowd;
pub mod elf;
pub mod harness;
pub mod memory;
pub mod native;
pub mod pattern;
pub mod signal;

pub use libc;
