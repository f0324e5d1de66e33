//! Short counters made long.

/// What a counter shows that goes up and begins again after `mask` (a number of ones): `raw` now, which was read after it was
/// known to have come to `before`. If it has gone around meanwhile, that time is lost; it goes on from there, and
/// never waits for the counter to come to where it was.
pub fn longer(before: u64, raw: u64, mask: u64) -> u64 {
    before.wrapping_add(raw.wrapping_sub(before) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever its width, the long counter is the one that the short one is the end of, if somebody looks each time
        /// before it has gone around. If nobody did, it goes on all the same.
        #[test]
        fn as_if_it_were_long(
            start in 0u64..1 << 40,
            width in 8u32..40,
            steps in prop::collection::vec((any::<u64>(), prop::bool::weighted(0.1)), 1..50),
        ) {
            let mask = (1 << width) - 1;
            let (mut true_count, mut long, mut lost) = (start, start, 0);
            for (step, nobody_looked) in steps {
                let step = step % (mask + 1);
                true_count += step;
                if nobody_looked {
                    true_count += mask + 1;
                    lost += mask + 1;
                }
                let before = long;
                long = longer(long, true_count & mask, mask);
                prop_assert_eq!(long - before, step);
                prop_assert_eq!(long + lost, true_count);
            }
        }
    }
}
