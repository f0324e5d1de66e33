//! Where [`super::readers`] gets its atomics from, so that a concurrency checker can put its own in their place
//! (`tests/interleavings.rs`).

pub(crate) use core::hint::spin_loop;
pub(crate) use core::sync::atomic::{AtomicU64, Ordering};

/// The checker believes in one order of all (`SeqCst`) only where there is a fence; a processor needs none.
#[inline(always)]
pub(crate) fn checker_fence() {}
