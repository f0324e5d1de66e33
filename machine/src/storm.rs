//! Sources that interrupt all the time: so often that nothing else is done.
//!
//! The one idea: interrupts of one source are counted in windows; the count that no working device reaches is a storm.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// How long a window is, in ticks of the clock that [`Storm::note`] is given: about a tenth of a second for a time stamp
/// counter, and as much in nanoseconds.
const WINDOW: u64 = 1 << 28;
/// How many are too many in a window for a device with messages: one every two microseconds or so, all the time.
pub(crate) const MOST_MESSAGES: u32 = 50_000;
/// The same for an ISA line: those devices are slow, one every thirty microseconds is more than any of them has to say.
pub(crate) const MOST_OF_LINE: u32 = 3_000;

/// The count of one source.
pub(crate) struct Storm {
    began: AtomicU64,
    count: AtomicU32,
    /// It was silenced.
    silenced: AtomicBool,
    /// How often that was necessary.
    storms: AtomicU32,
}

impl Storm {
    pub const fn new() -> Storm {
        Storm {
            began: AtomicU64::new(0),
            count: AtomicU32::new(0),
            silenced: AtomicBool::new(false),
            storms: AtomicU32::new(0),
        }
    }

    /// One has come at `now`, and more than `most` in a window are too many. `true`: that is the one too many, and the source is to be silenced. Said once, until
    /// [`Storm::is_over`]. Counts of two CPUs at once may be lost.
    #[inline]
    pub fn note(&self, now: u64, most: u32) -> bool {
        let count = self.count.load(Relaxed) + 1;
        if now.wrapping_sub(self.began.load(Relaxed)) > WINDOW {
            self.began.store(now, Relaxed);
            self.count.store(1, Relaxed);
            return false;
        }
        self.count.store(count, Relaxed);
        count > most && self.begins()
    }

    #[cold]
    fn begins(&self) -> bool {
        let first = !self.silenced.swap(true, Relaxed);
        if first {
            self.storms.fetch_add(1, Relaxed);
        }
        first
    }

    /// Whether it is silenced.
    pub fn is_silenced(&self) -> bool {
        self.silenced.load(Relaxed)
    }

    /// It is heard again, and counted from the beginning. `false`: it was not silenced.
    pub fn is_over(&self) -> bool {
        self.count.store(0, Relaxed);
        self.silenced.swap(false, Relaxed)
    }

    /// How often it was silenced.
    pub fn storms(&self) -> u32 {
        self.storms.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = MOST_MESSAGES;

    /// So many interrupts, one every `step` ticks; how often a storm was seen.
    fn storms(storm: &Storm, from: u64, step: u64, count: u64) -> usize {
        let times = (0..count).map(|number| from + number * step);
        times.filter(|now| storm.note(*now, MOST)).count()
    }

    #[test]
    fn only_a_rate_that_lasts_is_a_storm() {
        let storm = Storm::new();
        let rate = WINDOW / u64::from(MOST);
        assert_eq!(storms(&storm, 1 << 40, rate + rate / 10, 500_000), 0);
        // Many at once, and then none for a while.
        for burst in 0..50 {
            assert_eq!(storms(&storm, (2000 + burst) * 2 * WINDOW, 1, 40_000), 0);
        }
        assert!(!storm.is_silenced() && storm.storms() == 0);
        assert_eq!(storms(&storm, 1 << 50, rate / 2, 500_000), 1);
        assert!(storm.is_silenced());
        assert!(storm.is_over() && !storm.is_over());
        assert_eq!(storms(&storm, 1 << 51, rate / 2, 500_000), 1);
        assert_eq!(storm.storms(), 2);
        // What a device with messages may do is a storm on a line.
        let line = Storm::new();
        let fast = (0..5_000).map(|number| (1 << 40) + number * 20_000);
        let seen = fast.filter(|now| line.note(*now, MOST_OF_LINE)).count();
        assert_eq!((seen, line.storms()), (1, 1));
    }
}
