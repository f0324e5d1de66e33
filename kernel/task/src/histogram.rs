//! How often something took how long, in steps of two.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many steps there are. Step `n` counts what took at least 2ⁿ nanoseconds and less than twice that; the first one
/// also counts 0, and the last one everything above it, from two seconds on.
pub const STEPS: usize = 32;

/// Written by one CPU, and read by anybody.
#[derive(Default)]
pub(crate) struct Histogram([AtomicU64; STEPS]);

impl Histogram {
    /// Counts one.
    #[inline]
    pub fn add(&self, nanoseconds: u64) {
        let step = &self.0[step(nanoseconds)];
        step.store(step.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub fn read(&self) -> [u64; STEPS] {
        core::array::from_fn(|step| self.0[step].load(Relaxed))
    }
}

/// Where a time is counted.
#[inline]
fn step(nanoseconds: u64) -> usize {
    ((nanoseconds | 1).ilog2() as usize).min(STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends() {
        assert_eq!(
            (step(0), step(1), step(2), step(3), step(4)),
            (0, 0, 1, 1, 2)
        );
        assert_eq!(step((1 << 31) - 1), 30);
        assert_eq!((step(1 << 31), step(u64::MAX)), (31, 31));
        let histogram = Histogram::default();
        for nanoseconds in [0, 3, 3, u64::MAX] {
            histogram.add(nanoseconds);
        }
        let read = histogram.read();
        assert_eq!((read[0], read[1], read[31]), (1, 2, 1));
        assert_eq!(read.iter().sum::<u64>(), 4);
    }

    proptest! {
        #[test]
        fn each_step_is_twice_the_one_before(nanoseconds in 1u64..1 << 31) {
            let low = 1u64 << step(nanoseconds);
            prop_assert!((low..2 * low).contains(&nanoseconds));
        }
    }
}
