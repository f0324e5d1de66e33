//! Where [`super::grace`] gets its atomics from, so that a concurrency checker can put its own in their place
//! (`tests/interleavings.rs`).

pub(crate) use core::sync::atomic::{AtomicU64, Ordering, fence};
