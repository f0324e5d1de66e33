//! Signals: who gets one, what it does, and how a handler runs.
//!
//! - [`set`], [`queue`], [`action`]: numbers, what is pending, what a process does with it
//! - [`send`]: from a sender to a process or thread
//! - [`deliver`]: at the checkpoint before user mode: stop, end, or run a handler
//! - [`frame`]: what a handler finds on its stack, and sigreturn
//! - [`calls`]: the calls

pub mod action;
pub mod calls;
pub mod deliver;
pub mod frame;
pub mod queue;
pub mod send;
pub mod set;

pub use set::Set;
