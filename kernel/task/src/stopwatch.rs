//! How long something has gone on, all together: also while it does.

use crate::clock;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// Nanoseconds; written by one CPU at a time, and read by anybody.
#[derive(Default)]
pub(crate) struct Stopwatch {
    total: AtomicU64,
    /// When it was started; 0: it is stopped; [`COUNTING`].
    since: AtomicU64,
}

/// In `since`, for a moment: it was stopped, and is being added to `total`.
const COUNTING: u64 = u64::MAX;

impl Stopwatch {
    pub const fn new() -> Self {
        Stopwatch {
            total: AtomicU64::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// It begins.
    pub fn start(&self, now: u64) {
        self.since.store(now.max(1), Ordering::Release);
    }

    /// It is over, after so long.
    pub fn stop(&self, nanoseconds: u64) {
        self.since.store(COUNTING, Ordering::Relaxed);
        // Who reads the sum and then still the old beginning would count it twice.
        fence(Ordering::Release);
        let total = self.total.load(Ordering::Relaxed);
        self.total
            .store(total.wrapping_add(nanoseconds), Ordering::Release);
        self.since.store(0, Ordering::Release);
    }

    /// The sum up to when it was stopped last.
    pub fn stopped_at(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether it was started and not stopped yet.
    pub fn goes_on(&self) -> bool {
        !matches!(self.since.load(Ordering::Relaxed), 0 | COUNTING)
    }

    /// The sum; if it goes on, up to now.
    pub fn read(&self) -> u64 {
        self.read_at(clock::now)
    }

    /// The sum; if it goes on, up to the time that `now` gives.
    pub fn read_at(&self, now: impl Fn() -> u64) -> u64 {
        loop {
            let since = self.since.load(Ordering::Acquire);
            let total = self.total.load(Ordering::Acquire);
            if since == COUNTING || self.since.load(Ordering::Relaxed) != since {
                core::hint::spin_loop();
                continue;
            }
            return match since {
                0 => total,
                since => total + now().saturating_sub(since),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::host::clock::advance;

    #[test]
    fn it_tells_the_sum_at_any_time() {
        let watch = Stopwatch::new();
        advance(5);
        assert_eq!(watch.read(), 0);
        assert!(!watch.goes_on());
        watch.start(clock::now());
        advance(7);
        assert_eq!(watch.read(), 7);
        assert!(watch.goes_on());
        advance(1);
        watch.stop(8);
        advance(100);
        assert_eq!(watch.read(), 8);
        assert!(!watch.goes_on());
        watch.start(clock::now());
        advance(2);
        assert_eq!(watch.read(), 10);
    }
}
