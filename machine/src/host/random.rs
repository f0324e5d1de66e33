//! Simulated entropy: a fixed sequence for each machine, so that tests repeat.

use super::current;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct State(AtomicU64);

/// 32 bytes that differ from call to call and are the same in every run (SplitMix64).
pub fn seed() -> [u8; 32] {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        let mut word = current()
            .0
            .seed
            .0
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_differ_and_repeat() {
        let first = super::seed();
        assert_ne!(first, super::seed());
        super::super::fresh();
        assert_eq!(first, super::seed());
    }
}
