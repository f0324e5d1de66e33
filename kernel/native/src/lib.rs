//! The native door: what programs ask through handles.
//!
//! It translates, checks and calls down. A call is refused here for a wrong number, a missing right, a bad address or
//! a malformed value; everything else is the object's own business.
//!
//! - [`call`]: the native calls; [`door`]: native threads; `caller`: reading arguments
//! - `bytes`, `objects`, `messages`, `waiting`, `spaces`, `running`: the calls, by what they are about
//! - [`first`]: starting programs; `block`: what they start with; [`note`]: telling native programs from others
//! - [`processes`], [`spaces`], [`port`], [`power`], [`channel`], [`arena`]: objects and registries that no other room has
//! - `cpus`: what the CPUs have done, for those who may look; `compete`: how threads compete for them
//! - [`groups`]: what a terminal interrupts together
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod arena;
mod block;
mod bytes;
pub mod call;
mod caller;
pub mod channel;
mod compete;
mod cpus;
pub mod door;
pub mod first;
pub mod groups;
mod messages;
pub mod note;
mod objects;
pub mod port;
pub mod power;
pub mod processes;
mod running;
mod shares;
pub mod spaces;
#[cfg(test)]
mod tests;
mod waiting;

pub use call::call;
pub use first::{LinuxStart, LinuxStarter, Start};
pub use groups::Jobs;
