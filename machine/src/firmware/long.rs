//! Short counters made long.

/// What a counter shows that goes up and begins again after `mask` (a number of ones): `raw` now, after it was taken for
/// `before`, not longer ago than half of its range. One that is a little behind, as it was read before the other, is taken
/// for what it is.
pub fn longer(before: u64, raw: u64, mask: u64) -> u64 {
    let passed = raw.wrapping_sub(before) & mask;
    if passed <= mask / 2 {
        before.wrapping_add(passed)
    } else {
        before.saturating_sub(before.wrapping_sub(raw) & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever its width, and whoever is late, the long counter is the one that the short one is the end of.
        #[test]
        fn as_if_it_were_long(
            start in 0u64..1 << 40,
            width in 8u32..40,
            steps in prop::collection::vec(any::<u64>(), 1..50),
            late in any::<u64>(),
        ) {
            let mask = (1 << width) - 1;
            let (mut true_count, mut long) = (start, start);
            for step in steps {
                let before = true_count;
                true_count += step % (mask / 2);
                long = longer(long, true_count & mask, mask);
                prop_assert_eq!(long, true_count);
                // Somebody who looked before and comes to say so later.
                let earlier = true_count - late % (true_count - before + 1);
                prop_assert_eq!(longer(long, earlier & mask, mask), earlier);
            }
        }
    }
}
