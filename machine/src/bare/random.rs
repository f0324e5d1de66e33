//! Entropy for the kernel's random number generator to start from.

use super::instructions::rdtsc;
use crate::features::features;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Changes with every call, so that two seeds differ whatever the sources say.
static COUNTER: AtomicU64 = AtomicU64::new(0);

macro_rules! hardware {
    ($name:ident, $instruction:tt) => {
        /// A word of the processor's generator; it may be out for a moment.
        fn $name() -> Option<u64> {
            for _ in 0..32 {
                let (value, good): (u64, u8);
                // SAFETY: the caller has asked CPUID for the instruction.
                unsafe {
                    asm!(concat!($instruction, " {}"), "setc {}", out(reg) value,
                        out(reg_byte) good, options(nomem, nostack));
                }
                if good != 0 {
                    return Some(value);
                }
            }
            None
        }
    };
}

hardware!(rdseed, "rdseed");
hardware!(rdrand, "rdrand");

/// 32 bytes, from the processor's generators where it has them, mixed with the time stamp counter
/// and its jitter. Without them this is a weak start: callers should go on mixing.
pub fn seed() -> [u8; 32] {
    let features = features();
    let mut state = [0x6a09_e667_f3bc_c908_u64, 0xbb67_ae85_84ca_a73b];
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        let mut take = |word: u64| {
            // The mixing step of SplitMix64, chained.
            let mut mixed = (state[0] ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state[0] = mixed ^ (mixed >> 31);
            state[1] = state[1].rotate_left(23) ^ state[0];
        };
        take(COUNTER.fetch_add(1, Ordering::Relaxed));
        for _ in 0..8 {
            take(rdtsc());
        }
        if features.rdseed {
            take(rdseed().unwrap_or(0));
        }
        if features.rdrand {
            take(rdrand().unwrap_or(0));
        }
        chunk.copy_from_slice(&(state[0] ^ state[1]).to_le_bytes());
    }
    bytes
}
