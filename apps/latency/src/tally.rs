//! Samples counted by steps of two.

/// How many steps: step `n` counts what took at least 2ⁿ nanoseconds and less than twice that, as in the kernel; the
/// first also counts 0, the last everything above.
pub const STEPS: usize = 32;

/// What one processor's samples have come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub cpu: usize,
    pub count: u64,
    /// Times in nanoseconds; 0 while there is no sample.
    pub least: u64,
    pub most: u64,
    total: u64,
    /// Wake-ups that were due before the one before them had come.
    pub missed: u64,
    pub steps: [u64; STEPS],
}

impl Tally {
    pub fn new(cpu: usize) -> Tally {
        Tally {
            cpu,
            ..Tally::default()
        }
    }

    /// One wake-up was late by so many nanoseconds.
    pub fn add(&mut self, nanoseconds: u64, interval: u64) {
        self.least = match self.count {
            0 => nanoseconds,
            _ => self.least.min(nanoseconds),
        };
        self.most = self.most.max(nanoseconds);
        self.count += 1;
        self.total = self.total.saturating_add(nanoseconds);
        self.missed += nanoseconds / interval.max(1);
        let step = (nanoseconds | 1).ilog2() as usize;
        if let Some(step) = self.steps.get_mut(step.min(STEPS - 1)) {
            *step += 1;
        }
    }

    pub fn average(&self) -> u64 {
        self.total / self.count.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted() {
        let mut tally = Tally::new(2);
        assert_eq!((tally.least, tally.average(), tally.most), (0, 0, 0));
        for nanoseconds in [8, 3, 0, 2_500, u64::MAX / 2] {
            tally.add(nanoseconds, 1_000);
        }
        assert_eq!((tally.count, tally.least, tally.most), (5, 0, u64::MAX / 2));
        assert_eq!(tally.missed, 2 + u64::MAX / 2 / 1_000);
        let at = |step: usize| tally.steps[step];
        assert_eq!((at(0), at(1), at(3), at(11), at(31)), (1, 1, 1, 1, 1));
        assert_eq!(tally.average(), (u64::MAX / 2 + 2_511) / 5);
    }
}
