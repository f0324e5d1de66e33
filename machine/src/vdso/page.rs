//! The page that user mode reads the clocks from.

use crate::sync::Spin;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// The time stamp counter may be read instead of asking the kernel.
pub const MODE_COUNTER: u64 = 1;
/// `rdtscp` says on which CPU the program runs.
pub const MODE_CPU: u64 = 2;

/// The clocks of `clock_gettime(2)` up to `CLOCK_TAI`, whether they can be read here or not.
pub const CLOCKS: usize = 12;
/// Words of each clock: see [`Word::Base`] and those after it.
pub const CLOCK_WORDS: usize = 4;

/// What stands where, in words of 8 bytes.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Word {
    /// Odd while the kernel writes.
    Sequence,
    /// The counter at `Base`.
    BaseStamp,
    /// `MODE_*`.
    Mode,
    /// From here on for each clock, so that who reads one need not tell them apart: nanoseconds at `BaseStamp`,
    Base = 4,
    /// nanoseconds for each tick of the counter, times 2^32,
    Factor = 5,
    /// and whether the kernel is to be asked instead (1).
    Refused = 6,
}

/// The words of a page.
pub type Words = [AtomicU64; Word::Base as usize + CLOCKS * CLOCK_WORDS];

impl Word {
    pub const fn offset(self) -> usize {
        self as usize * size_of::<u64>()
    }

    /// Of this clock, the place of one that there is for each.
    const fn of(self, clock: usize) -> usize {
        self as usize + clock * CLOCK_WORDS
    }
}

/// How the counter becomes time: `base + (stamp - base_stamp) * factor >> 32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    pub base_stamp: u64,
    pub base: u64,
    pub factor: u64,
    /// The same for the clock that nobody adjusts, from the same stamp on.
    pub raw_base: u64,
    pub raw_factor: u64,
}

/// What time is counted from, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wall {
    /// Since 1970 (UTC) at boot, modulo 2^64.
    pub at_boot: u64,
    /// What atomic time is ahead of UTC, modulo 2^64.
    pub tai: u64,
}

/// All that the page says.
#[derive(Clone, Copy, Default)]
pub struct Contents {
    pub mode: u64,
    pub scale: Scale,
    pub wall: Wall,
}

impl Contents {
    /// Base and factor of a clock; `None`: the kernel is to be asked.
    fn clock(&self, clock: usize) -> Option<(u64, u64)> {
        let Contents { mode, scale, wall } = *self;
        let since = |start: u64| Some((scale.base.wrapping_add(start), scale.factor));
        match clock {
            _ if mode & MODE_COUNTER == 0 => None,
            // `CLOCK_REALTIME`, `CLOCK_REALTIME_COARSE`
            0 | 5 => since(wall.at_boot),
            // `CLOCK_MONOTONIC`, `CLOCK_MONOTONIC_COARSE`, `CLOCK_BOOTTIME`
            1 | 6 | 7 => since(0),
            // `CLOCK_MONOTONIC_RAW`
            4 => Some((scale.raw_base, scale.raw_factor)),
            // `CLOCK_TAI`
            11 => since(wall.at_boot.wrapping_add(wall.tai)),
            // Those of used time, and those that may wake the machine.
            _ => None,
        }
    }
}

/// The words of one page, which programs read at any moment.
pub struct ClockPage {
    words: &'static Words,
    /// Who writes.
    writer: Spin<Contents>,
}

impl ClockPage {
    /// A page that sends everybody to the kernel until it is changed.
    pub fn new(words: &'static Words) -> ClockPage {
        let page = ClockPage {
            words,
            writer: Spin::new(Contents::default()),
        };
        page.change(|_| {});
        page
    }

    /// Changes what the page says. Whoever reads meanwhile reads again.
    pub fn change(&self, change: impl FnOnce(&mut Contents)) {
        let mut contents = self.writer.lock();
        change(&mut contents);
        let put = |place: usize, value: u64| self.words[place].store(value, Ordering::Relaxed);
        let sequence = self.words[Word::Sequence as usize].load(Ordering::Relaxed);
        put(Word::Sequence as usize, sequence.wrapping_add(1));
        fence(Ordering::Release);
        put(Word::BaseStamp as usize, contents.scale.base_stamp);
        put(Word::Mode as usize, contents.mode);
        for clock in 0..CLOCKS {
            let (base, factor) = contents.clock(clock).unwrap_or_default();
            put(Word::Base.of(clock), base);
            put(Word::Factor.of(clock), factor);
            let refused = contents.clock(clock).is_none();
            put(Word::Refused.of(clock), u64::from(refused));
        }
        self.words[Word::Sequence as usize].store(sequence.wrapping_add(2), Ordering::Release);
    }
}
