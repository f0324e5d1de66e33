//! Locks of the kernel: a fair spin lock, a cell that is set once, values that are read without a lock, and who waits
//! for locks.

mod atomic;
mod contention;
mod once;
#[cfg(debug_assertions)]
mod order;
mod rcu;
mod readers;
mod spin;

pub use contention::{Contention, contention};
pub use once::Once;
pub use rcu::{Rcu, Reading, reading, wait_for_readers};
pub use spin::{Spin, SpinGuard, on_long_wait};
