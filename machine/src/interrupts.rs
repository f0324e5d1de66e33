//! Where interrupts come from, and how many of them each CPU has taken.
//!
//! The one idea: a CPU writes only its own counters, without a lock, and anybody may read them.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// A non-maskable interrupt (Intel SDM volume 3, 6.3.1).
pub(crate) const NON_MASKABLE: u8 = 2;
/// The 8259s' lines, when they are used; else they are masked, but may still send spurious ones.
pub(crate) const PIC: u8 = 0x20;
/// ISA lines through the I/O APIC.
pub(crate) const LINES: u8 = 0x30;
/// Messages of devices.
pub(crate) const MESSAGES: u8 = 0x40;
pub(crate) const LAST_MESSAGE: u8 = 0xef;
pub(crate) const TIMER: u8 = 0xf0;
pub(crate) const KICK: u8 = 0xf1;
pub(crate) const SPURIOUS: u8 = 0xff;

/// Where an interrupt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An ISA line, 0 to 15.
    Line(u8),
    /// A message of a device: MSI, MSI-X.
    Message(u8),
    /// The CPU's own timer.
    Timer,
    /// Another CPU, which wants this one to look.
    Kick,
    /// Another CPU that cannot wait, a watchdog, a button.
    NonMaskable,
    /// None: it went away before it was looked at.
    Spurious,
}

impl Source {
    /// Those that every machine has, whatever its devices are.
    pub const OWN: [Source; 4] = [
        Source::Timer,
        Source::Kick,
        Source::NonMaskable,
        Source::Spurious,
    ];

    pub(crate) fn of(vector: u8) -> Source {
        match vector {
            PIC..LINES => Source::Line(vector - PIC),
            LINES..MESSAGES => Source::Line(vector - LINES),
            MESSAGES..=LAST_MESSAGE => Source::Message(vector - MESSAGES),
            TIMER => Source::Timer,
            KICK => Source::Kick,
            NON_MASKABLE => Source::NonMaskable,
            _ => Source::Spurious,
        }
    }

    /// The place of its counter.
    const fn index(self) -> usize {
        match self {
            Source::Timer => 0,
            Source::Kick => 1,
            Source::NonMaskable => 2,
            Source::Spurious => 3,
            Source::Line(line) => 4 + (line & 15) as usize,
            Source::Message(number) => {
                20 + if (number as usize) < MOST_MESSAGES {
                    number as usize
                } else {
                    0
                }
            }
        }
    }

    /// The number that Linux programs know it by; none for those that are not a device's.
    pub fn number(self) -> Option<u32> {
        match self {
            Source::Line(line) => Some(u32::from(line)),
            Source::Message(number) => Some(16 + u32::from(number)),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Line(line) => write!(f, "line {line}"),
            Source::Message(number) => write!(f, "message {number}"),
            Source::Timer => f.write_str("timer"),
            Source::Kick => f.write_str("kick"),
            Source::NonMaskable => f.write_str("non-maskable"),
            Source::Spurious => f.write_str("spurious"),
        }
    }
}

const MOST_MESSAGES: usize = (LAST_MESSAGE - MESSAGES) as usize + 1;
const COUNTERS: usize = 20 + MOST_MESSAGES;

/// What one CPU has taken. Times are in whatever unit the back end measures with.
pub(crate) struct Counts {
    counts: [AtomicU64; COUNTERS],
    /// The time that handlers took, all together.
    handling: AtomicU64,
    /// The longest time that one took, and the vector.
    longest: AtomicU64,
    longest_vector: AtomicU8,
    /// The last interrupt: when it came, and the vector.
    taken: AtomicU64,
    taken_vector: AtomicU8,
}

/// Adds to a counter that has only one writer.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

impl Counts {
    pub const fn new() -> Counts {
        Counts {
            counts: [const { AtomicU64::new(0) }; COUNTERS],
            handling: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            longest_vector: AtomicU8::new(SPURIOUS),
            taken: AtomicU64::new(0),
            taken_vector: AtomicU8::new(SPURIOUS),
        }
    }

    /// An interrupt has come.
    #[inline]
    pub fn begin(&self, vector: u8, now: u64) {
        add(&self.counts[Source::of(vector).index()], 1);
        self.taken.store(now, Relaxed);
        self.taken_vector.store(vector, Relaxed);
    }

    /// It was served.
    #[inline]
    pub fn end(&self, vector: u8, took: u64) {
        add(&self.handling, took);
        if took > self.longest.load(Relaxed) {
            self.longest.store(took, Relaxed);
            self.longest_vector.store(vector, Relaxed);
        }
    }

    pub fn count(&self, source: Source) -> u64 {
        self.counts[source.index()].load(Relaxed)
    }

    /// Of all sources together.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub fn handling(&self) -> u64 {
        self.handling.load(Relaxed)
    }

    pub fn longest(&self) -> (u64, Source) {
        let source = Source::of(self.longest_vector.load(Relaxed));
        (self.longest.load(Relaxed), source)
    }

    pub fn forget_longest(&self) {
        self.longest.store(0, Relaxed);
    }

    pub fn taken(&self) -> (u64, Source) {
        let source = Source::of(self.taken_vector.load(Relaxed));
        (self.taken.load(Relaxed), source)
    }
}

/// Which CPUs an interrupt may go to, one bit each, and which of them it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub allowed: u64,
    pub cpu: usize,
}

/// There is no such interrupt, it cannot go elsewhere, or none of the CPUs runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoute;

/// What a device is to do with a message interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Write it there from now on.
    To { address: u64, data: u32 },
    /// Keep it to itself.
    Silent,
}

/// How a device is told.
pub type Steer = Arc<dyn Fn(Steering) + Send + Sync>;

/// What a CPU's interrupts have come to, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handling {
    /// How many there were.
    pub interrupts: u64,
    /// The time that their handlers took.
    pub total: u64,
    /// The longest time that one took, and whose it was.
    pub longest: u64,
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_has_a_source_and_every_source_a_counter_of_its_own() {
        let mut seen = std::collections::HashMap::new();
        for vector in 0..=255 {
            let source = Source::of(vector);
            assert!(source.index() < COUNTERS);
            let first = *seen.entry(source.index()).or_insert(source);
            assert_eq!(first, source, "vector {vector}");
        }
        assert_eq!(seen.len(), COUNTERS);
        assert_eq!(Source::of(LINES + 4).number(), Some(4));
        assert_eq!(Source::of(MESSAGES).number(), Some(16));
        assert_eq!(Source::Timer.number(), None);
    }

    #[test]
    fn counts_and_the_longest() {
        let counts = Counts::new();
        for (vector, now, took) in [(TIMER, 10, 3), (LINES + 1, 20, 9), (TIMER, 40, 4)] {
            counts.begin(vector, now);
            counts.end(vector, took);
        }
        assert_eq!(counts.count(Source::Timer), 2);
        assert_eq!(counts.count(Source::Line(1)), 1);
        assert_eq!((counts.total(), counts.handling()), (3, 16));
        assert_eq!(counts.longest(), (9, Source::Line(1)));
        assert_eq!(counts.taken(), (40, Source::Timer));
        counts.forget_longest();
        assert_eq!(counts.longest().0, 0);
    }
}
