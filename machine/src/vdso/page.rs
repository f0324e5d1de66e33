//! The page that user mode reads the clocks from.

use crate::sync::Spin;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// The time stamp counter may be read instead of asking the kernel.
pub const MODE_COUNTER: u64 = 1;
/// `rdtscp` says on which CPU the program runs.
pub const MODE_CPU: u64 = 2;

/// What stands where, in words of 8 bytes.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Word {
    /// Odd while the kernel writes.
    Sequence,
    /// `MODE_*`.
    Mode,
    /// The counter at `Base`.
    BaseStamp,
    /// Nanoseconds since boot.
    Base,
    /// Nanoseconds for each tick of the counter, times 2^32.
    Factor,
    /// Nanoseconds since 1970 (UTC) at boot, modulo 2^64.
    Wall,
    /// What atomic time is ahead of UTC, in nanoseconds.
    Tai,
}

/// The words of a page.
pub type Words = [AtomicU64; Word::Tai as usize + 1];

impl Word {
    pub const fn offset(self) -> usize {
        self as usize * size_of::<u64>()
    }
}

/// How the counter becomes time: `base + (stamp - base_stamp) * factor >> 32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    pub base_stamp: u64,
    pub base: u64,
    pub factor: u64,
}

/// What time is counted from, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wall {
    /// Since 1970 (UTC) at boot, modulo 2^64.
    pub at_boot: u64,
    /// What atomic time is ahead of UTC.
    pub tai: u64,
}

/// All that the page says.
#[derive(Clone, Copy, Default)]
pub struct Contents {
    pub mode: u64,
    pub scale: Scale,
    pub wall: Wall,
}

/// The words of one page, which programs read at any moment.
pub struct ClockPage {
    words: &'static Words,
    /// Who writes.
    writer: Spin<Contents>,
}

impl ClockPage {
    /// A page whose words are zero until it is written.
    pub fn new(words: &'static Words) -> ClockPage {
        ClockPage {
            words,
            writer: Spin::new(Contents::default()),
        }
    }

    /// Changes what the page says. Whoever reads meanwhile reads again.
    pub fn change(&self, change: impl FnOnce(&mut Contents)) {
        let mut contents = self.writer.lock();
        change(&mut contents);
        let word = |word: Word| &self.words[word as usize];
        let sequence = word(Word::Sequence).load(Ordering::Relaxed);
        word(Word::Sequence).store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let Contents { mode, scale, wall } = *contents;
        for (place, value) in [
            (Word::Mode, mode),
            (Word::BaseStamp, scale.base_stamp),
            (Word::Base, scale.base),
            (Word::Factor, scale.factor),
            (Word::Wall, wall.at_boot),
            (Word::Tai, wall.tai),
        ] {
            word(place).store(value, Ordering::Relaxed);
        }
        word(Word::Sequence).store(sequence.wrapping_add(2), Ordering::Release);
    }
}
