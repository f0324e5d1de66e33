//! Whether the time stamp counters of all CPUs agree.
//!
//! The one idea: whoever reads its counter after somebody else has published his must not read less. The CPUs that start
//! and the first one, which waits for them, publish for a while in turn; a counter that is behind shows, whichever it is.

use super::instructions::rdtsc;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The greatest counter that anybody has read.
static GREATEST: AtomicU64 = AtomicU64::new(0);
/// How far somebody was behind, at most.
static WARP: AtomicU64 = AtomicU64::new(0);
/// How often the first CPU has looked.
static LOOKS: AtomicUsize = AtomicUsize::new(0);

/// So often the first CPU shall have looked while a new one did.
const ENOUGH: usize = 2000;
/// Longer than this a new CPU does not wait for the first one: in ticks, some hundredths of a second.
const PATIENCE: u64 = 50_000_000;

fn look() -> u64 {
    let greatest = GREATEST.load(Ordering::SeqCst);
    // SAFETY: it orders the reading of the counter after the one of the other's, and changes nothing.
    unsafe { asm!("lfence", options(nostack, preserves_flags)) };
    let now = rdtsc();
    if now < greatest {
        WARP.fetch_max(greatest - now, Ordering::Relaxed);
    }
    GREATEST.fetch_max(now, Ordering::SeqCst);
    now
}

/// What the first CPU does while it waits for the others.
pub(super) fn watch() {
    look();
    LOOKS.fetch_add(1, Ordering::Relaxed);
}

/// What each of the others does before it says that it is ready.
pub(super) fn join() {
    let begin = look();
    let first = LOOKS.load(Ordering::Relaxed);
    while LOOKS.load(Ordering::Relaxed).wrapping_sub(first) < ENOUGH {
        if look().wrapping_sub(begin) > PATIENCE {
            return;
        }
    }
}

/// How far a counter was behind another, in ticks.
pub(super) fn worst() -> u64 {
    WARP.load(Ordering::Relaxed)
}
