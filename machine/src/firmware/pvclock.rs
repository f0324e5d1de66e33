//! The clock that KVM keeps for a guest: a page for each processor, and how it becomes time (Linux's `virt/kvm/x86/msr` and
//! `pvclock-abi.h`: `pvclock_vcpu_time_info`, `pvclock_wall_clock`).
//!
//! The one idea: the host changes a page while it is read, and says so by its version: it is odd while that happens, and
//! another one afterwards. What comes from outside is never trusted: whatever the words are, the answer is some time.

/// The words of a processor's page.
pub const WORDS: usize = 8;
/// Those of the page with the time of day.
pub const WALL_WORDS: usize = 3;

/// How often a page is read at most that changes all the time.
const PATIENCE: usize = 1000;

/// Reads `N` words that belong together, of which the first is the version; `read` gives one of them, in the order in which
/// they are asked for. `None`: it never comes to rest.
pub fn at_rest<const N: usize>(read: impl Fn(usize) -> u32) -> Option<[u32; N]> {
    (0..PATIENCE).find_map(|_| {
        let version = read(0);
        let words: [u32; N] = core::array::from_fn(|at| if at == 0 { version } else { read(at) });
        (version & 1 == 0 && read(0) == version).then_some(words)
    })
}

fn long(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Nanoseconds on the host's clock for this guest when the time stamp counter shows `stamp`.
pub fn nanoseconds(words: &[u32; WORDS], stamp: u64) -> u64 {
    let [
        _,
        _,
        stamp_low,
        stamp_high,
        time_low,
        time_high,
        factor,
        rest,
    ] = *words;
    // A processor whose counter is a little behind stands still for that while.
    let passed = stamp.saturating_sub(long(stamp_low, stamp_high));
    let shift = rest as i8;
    let bits = u32::from(shift.unsigned_abs());
    let passed = match shift {
        0.. => u128::from(passed).checked_shl(bits.min(63)).unwrap_or(0),
        _ => u128::from(passed).checked_shr(bits).unwrap_or(0),
    };
    let passed = passed.saturating_mul(factor.into()) >> 32;
    let passed = u64::try_from(passed).unwrap_or(u64::MAX);
    long(time_low, time_high).saturating_add(passed)
}

/// Nanoseconds since 1970 when that clock showed 0.
pub fn wall(words: &[u32; WALL_WORDS]) -> u64 {
    let [_, seconds, nanoseconds] = *words;
    u64::from(seconds) * 1_000_000_000 + u64::from(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;

    fn page(stamp: u64, time: u64, factor: u32, shift: i8) -> [u32; WORDS] {
        let halves = |word: u64| [word as u32, (word >> 32) as u32];
        let ([a, b], [c, d]) = (halves(stamp), halves(time));
        [2, 0, a, b, c, d, factor, u32::from(shift as u8) | 1 << 8]
    }

    #[test]
    fn stamps_become_time() {
        // 2 GHz: half a nanosecond a tick.
        let words = page(1_000, 5_000_000_000, 1 << 31, 0);
        assert_eq!(nanoseconds(&words, 1_000), 5_000_000_000);
        assert_eq!(nanoseconds(&words, 3_000), 5_000_001_000);
        assert_eq!(nanoseconds(&words, 0), 5_000_000_000);
        // 500 MHz, as KVM says it: twice, with a factor below one; and 4 GHz.
        assert_eq!(nanoseconds(&page(0, 0, 1 << 31, 2), 100), 200);
        assert_eq!(nanoseconds(&page(0, 0, 1 << 31, -1), 400), 100);
        // A year of ticks does not overflow.
        let year = 2_000_000_000 * 365 * 24 * 3600;
        assert_eq!(nanoseconds(&page(0, 7, 1 << 31, 0), year), year / 2 + 7);
    }

    #[test]
    fn the_time_of_day() {
        assert_eq!(wall(&[4, 1_700_000_000, 5]), 1_700_000_000_000_000_005);
    }

    #[test]
    fn a_page_that_changes_is_read_again() {
        let reads = Cell::new(0);
        let read = |at: usize| {
            let now = reads.replace(reads.get() + 1);
            match (at, now) {
                // It changes after the first words, is half written for a while, and then rests.
                (0, ..3) => 2,
                (0, 3..20) => 3,
                (0, _) => 4,
                (_, ..20) => 0xbad,
                (at, _) => at as u32,
            }
        };
        assert_eq!(at_rest::<4>(read), Some([4, 1, 2, 3]));
        assert_eq!(at_rest::<4>(|_| 1), None, "it is never finished");
        let versions = Cell::new(0);
        let read = |_| versions.replace(versions.get() + 2);
        assert_eq!(at_rest::<4>(read), None, "it never rests");
    }

    proptest! {
        /// Whatever a host writes there.
        #[test]
        fn any_page_gives_a_time(words in any::<[u32; WORDS]>(), stamp in any::<u64>(), later in 0u64..1 << 40) {
            let first = nanoseconds(&words, stamp);
            prop_assert!(first >= long(words[4], words[5]));
            // The clock of one page does not go back.
            prop_assert!(nanoseconds(&words, stamp.saturating_add(later)) >= first);
            let _ = wall(&[words[0], words[1], words[2]]);
        }
    }
}
