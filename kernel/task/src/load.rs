//! Load averages: how many tasks ran or waited for a CPU, over the last one, five and fifteen minutes.
//!
//! The one idea: nobody ticks for it. How long tasks ran and how long they waited is counted anyway, and the sum of
//! both, divided by the time, is how many there were on average. So the averages are brought up to date when somebody
//! asks. What happened since the last time is taken as spread evenly over that time.

use crate::{clock, stats_of};
use machine::sync::Spin;

/// The averages have so many bits behind the point, as Linux's have.
pub const FRACTION: u32 = 11;
const ONE: u64 = 1 << FRACTION;
/// They move in steps of so many nanoseconds.
const STEP: u64 = 5_000_000_000;
/// What of an average is left after a step: e^(−5 s / 1, 5 and 15 min).
const KEPT: [u64; 3] = [1884, 2014, 2037];

#[derive(Debug, Default)]
struct Averages {
    values: [u64; 3],
    /// Up to when they are brought, in nanoseconds since boot,
    until: u64,
    /// and how long tasks had run and waited then.
    spent: u64,
}

impl Averages {
    /// Until now tasks have run and waited for `spent` nanoseconds in all.
    fn advance(&mut self, now: u64, spent: u64) {
        let elapsed = now.saturating_sub(self.until);
        let steps = elapsed / STEP;
        if steps == 0 {
            return;
        }
        let more = u128::from(spent.saturating_sub(self.spent));
        let active = (more * u128::from(ONE) / u128::from(elapsed)) as u64;
        for (value, kept) in self.values.iter_mut().zip(KEPT) {
            let kept = power(kept, steps);
            let sum = *value * kept + active * (ONE - kept);
            // Rounded up while it grows, so that it arrives.
            let up = if active >= *value { ONE - 1 } else { 0 };
            *value = (sum + up) >> FRACTION;
        }
        let whole = steps * STEP;
        self.until += whole;
        self.spent += (more * u128::from(whole) / u128::from(elapsed)) as u64;
    }
}

/// A fraction to the power of `exponent`.
fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = ONE;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = (result * base + ONE / 2) >> FRACTION;
        }
        base = (base * base + ONE / 2) >> FRACTION;
        exponent >>= 1;
    }
    result
}

static AVERAGES: Spin<Averages> = Spin::new(Averages {
    values: [0; 3],
    until: 0,
    spent: 0,
});

/// The load averages of the last one, five and fifteen minutes, with [`FRACTION`] bits behind the point.
pub fn averages() -> [u64; 3] {
    let spent = (0..machine::cpu::count()).map(|cpu| {
        let stats = stats_of(cpu);
        stats.busy.saturating_add(stats.delay)
    });
    let spent = spent.sum();
    let mut averages = AVERAGES.lock();
    averages.advance(clock::now(), spent);
    averages.values
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn hundredths(averages: &Averages) -> [u64; 3] {
        averages
            .values
            .map(|value| (value * 100 + ONE / 2) >> FRACTION)
    }

    /// However often somebody asks, the averages of a steady load go the same way: 1 − 1/e after their own time.
    #[test]
    fn steady_load() {
        for pause in [STEP, 3 * STEP + 77, MINUTE] {
            let mut averages = Averages::default();
            let mut now = 0;
            while now < MINUTE {
                now += pause;
                averages.advance(now, 2 * now);
            }
            let [one, five, fifteen] = hundredths(&averages);
            assert!((123..=133).contains(&one), "{one} with {pause}");
            assert!((34..=42).contains(&five), "{five} with {pause}");
            assert!((12..=17).contains(&fifteen), "{fifteen} with {pause}");
            for _ in 0..200 {
                now += MINUTE;
                averages.advance(now, 2 * now);
            }
            assert_eq!(hundredths(&averages), [200; 3]);
            // And it is forgotten.
            let spent = 2 * now;
            for _ in 0..200 {
                now += MINUTE;
                averages.advance(now, spent);
            }
            assert_eq!(hundredths(&averages), [0; 3]);
        }
    }

    #[test]
    fn less_than_a_step_changes_nothing_and_is_not_lost() {
        let mut averages = Averages::default();
        averages.advance(STEP - 1, STEP - 1);
        assert_eq!(averages.values, [0; 3]);
        averages.advance(STEP + STEP / 2, STEP + STEP / 2);
        assert_eq!((averages.until, averages.spent), (STEP, STEP));
        // A clock or a count that goes back changes nothing either.
        averages.advance(0, 0);
        assert_eq!(averages.until, STEP);
    }
}
