//! How a clock is disciplined: slewing, frequency, leap seconds.
//!
//! The one idea: everything happens at the turn of a second. What an adjustment is worth in the second that begins is
//! decided then, and nothing is looked at in between; without anything to do in the next second none is counted at all.
//! Pure: the second is an argument.
//!
//! Source: RFC 1589; D. Mills, "A Kernel Model for Precision Timekeeping"; adjtimex(2), and Linux `kernel/time/ntp.c` for
//! the constants, which programs rely on.

/// Modes of [`Timex`]: what is to be changed.
pub mod adj {
    pub const OFFSET: u32 = 0x1;
    pub const FREQUENCY: u32 = 0x2;
    pub const MAXERROR: u32 = 0x4;
    pub const ESTERROR: u32 = 0x8;
    pub const STATUS: u32 = 0x10;
    pub const TIMECONST: u32 = 0x20;
    pub const TAI: u32 = 0x80;
    pub const SETOFFSET: u32 = 0x100;
    pub const MICRO: u32 = 0x1000;
    pub const NANO: u32 = 0x2000;
    pub const TICK: u32 = 0x4000;
    /// An adjtime(3): `ADJ_OFFSET_SINGLESHOT` without the bit of `OFFSET`.
    pub const ADJTIME: u32 = 0x8000;
    /// With `ADJTIME`: only asked for.
    pub const READ_ONLY: u32 = 0x2000;
}

/// Bits of the status.
pub mod sta {
    pub const PLL: i32 = 0x1;
    pub const FLL: i32 = 0x8;
    pub const INS: i32 = 0x10;
    pub const DEL: i32 = 0x20;
    pub const UNSYNC: i32 = 0x40;
    pub const FREQHOLD: i32 = 0x80;
    pub const CLOCKERR: i32 = 0x1000;
    pub const NANO: i32 = 0x2000;
    pub const MODE: i32 = 0x4000;
    /// Those that nobody sets by `ADJ_STATUS`.
    pub const READ_ONLY: i32 = 0xff00;
}

/// What adjtimex(2) returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Ok = 0,
    /// A second will be inserted at the end of the day, or left out.
    Insert = 1,
    Delete = 2,
    /// The inserted second.
    InProgress = 3,
    /// It has been; the bit that asked for it has not been taken back.
    Over = 4,
    Error = 5,
}

/// What is asked for, and what is answered: the fields of `struct timex` that mean something here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timex {
    pub modes: u32,
    pub offset: i64,
    /// In parts per million, times 2^16.
    pub frequency: i64,
    pub max_error: i64,
    pub estimated_error: i64,
    pub status: i32,
    pub constant: i64,
    /// Microseconds of a tick, of which there are 100 a second.
    pub tick: i64,
}

/// Nanoseconds a second, times 2^32, of a part per million, times 2^16.
const PPM: i64 = 1000 << 16;
/// The greatest frequency, in nanoseconds a second, times 2^32: 500 parts per million.
const MAX_FREQUENCY: i64 = 500_000 << 32;
/// The greatest frequency that is told, in parts per million times 2^16.
pub const TOLERANCE: i64 = MAX_FREQUENCY / PPM;
/// The greatest phase, in nanoseconds.
const MAX_PHASE: i64 = 500_000_000;
/// The greatest error, in microseconds.
pub const MAX_ERROR: i64 = 16_000_000;
/// What the greatest error grows by in a second, in microseconds.
const ERROR_GROWTH: i64 = 500;
const PLL_SHIFT: i64 = 2;
const FLL_SHIFT: i64 = 2;
/// The greatest time constant.
pub const MAX_CONSTANT: i64 = 10;
/// Between two offsets, in seconds: less is no measure of frequency, more is one for certain.
const MIN_INTERVAL: i64 = 256;
const MAX_INTERVAL: i64 = 2048;
/// What adjtime(3) moves the clock by in a second, in microseconds.
const MAX_STEP: i64 = 500;
/// Microseconds of a tick that nobody has changed.
pub const TICK: i64 = 10_000;
/// Seconds.
pub const DAY: u64 = 86_400;

/// What happens at the turn of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// How much faster the clock runs from now on: nanoseconds a second, times 2^32.
    pub rate: i64,
    /// A leap second: 1 is inserted, -1 left out.
    pub leap: i32,
    /// The second at whose beginning it has to be asked again; `None`: not before something is changed.
    pub next: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Ntp {
    pub(super) state: State,
    status: i32,
    /// Nanoseconds a second, times 2^32.
    frequency: i64,
    tick: i64,
    /// What is left to slew: nanoseconds, times 2^32.
    offset: i64,
    /// What is left of an adjtime(3): microseconds.
    adjust: i64,
    /// What of both falls into this second: nanoseconds, times 2^32.
    slew: i64,
    constant: i64,
    max_error: i64,
    estimated_error: i64,
    /// When the last offset was given.
    reference: u64,
    /// At the beginning of which second the leap is.
    leap_at: u64,
    /// The last second that was counted.
    second: u64,
}

impl Ntp {
    /// Nothing is known of the clock yet.
    pub const fn new() -> Ntp {
        Ntp {
            state: State::Ok,
            status: sta::UNSYNC,
            frequency: 0,
            tick: TICK,
            offset: 0,
            adjust: 0,
            slew: 0,
            constant: 2,
            max_error: MAX_ERROR,
            estimated_error: MAX_ERROR,
            reference: 0,
            leap_at: u64::MAX,
            second: 0,
        }
    }

    /// The clock was set: what was known of its error is not true any more.
    pub fn clock_was_set(&mut self) {
        self.adjust = 0;
        self.offset = 0;
        self.slew = 0;
        self.status |= sta::UNSYNC;
        self.max_error = MAX_ERROR;
        self.estimated_error = MAX_ERROR;
        // If a leap second is still asked for, its day is found again.
        if matches!(self.state, State::Insert | State::Delete) {
            self.forget_leap();
        }
    }

    /// What the clock is.
    pub fn state(&self) -> State {
        match self.status & (sta::UNSYNC | sta::CLOCKERR) {
            0 => self.state,
            _ => State::Error,
        }
    }

    /// What is left of an adjtime(3), in microseconds.
    pub fn adjtime(&self) -> i64 {
        self.adjust
    }

    /// Begins an adjtime(3).
    pub fn set_adjtime(&mut self, microseconds: i64) {
        self.adjust = microseconds;
    }

    /// All that is known in second `now`.
    pub fn report(&mut self, now: u64) -> Timex {
        self.age(now);
        let nanoseconds = self.offset >> 32;
        let offset = match self.status & sta::NANO {
            0 => nanoseconds / 1000,
            _ => nanoseconds,
        };
        Timex {
            modes: 0,
            offset,
            frequency: (self.frequency + PPM / 2).div_euclid(PPM),
            max_error: self.max_error,
            estimated_error: self.estimated_error,
            status: self.status,
            constant: self.constant,
            tick: self.tick,
        }
    }

    /// The greatest error grows with time, whether somebody counts the seconds or not.
    fn age(&mut self, now: u64) {
        let passed = now.saturating_sub(self.second).min(1 << 32) as i64;
        self.second = self.second.max(now);
        self.max_error += passed * ERROR_GROWTH;
        if self.max_error > MAX_ERROR {
            self.max_error = MAX_ERROR;
            self.status |= sta::UNSYNC;
        }
    }

    /// Changes what `wanted.modes` names, in second `now`.
    pub fn change(&mut self, wanted: &Timex, now: u64) {
        self.age(now);
        let has = |mode| wanted.modes & mode != 0;
        if has(adj::STATUS) {
            self.set_status(wanted.status, now);
        }
        if has(adj::NANO) {
            self.status |= sta::NANO;
        }
        if has(adj::MICRO) {
            self.status &= !sta::NANO;
        }
        if has(adj::FREQUENCY) {
            let frequency = wanted.frequency.clamp(-TOLERANCE, TOLERANCE) * PPM;
            self.frequency = frequency;
        }
        if has(adj::MAXERROR) {
            self.max_error = wanted.max_error.clamp(0, MAX_ERROR);
        }
        if has(adj::ESTERROR) {
            self.estimated_error = wanted.estimated_error.clamp(0, MAX_ERROR);
        }
        if has(adj::TIMECONST) {
            let more = match self.status & sta::NANO {
                0 => 4,
                _ => 0,
            };
            let constant = wanted.constant.clamp(0, MAX_CONSTANT);
            self.constant = (constant + more).clamp(0, MAX_CONSTANT);
        }
        if has(adj::OFFSET) {
            self.set_offset(wanted.offset, now);
        }
        if has(adj::TICK) {
            self.tick = wanted.tick;
        }
    }

    fn set_status(&mut self, status: i32, now: u64) {
        if self.status & sta::PLL != 0 && status & sta::PLL == 0 {
            self.state = State::Ok;
            self.status = sta::UNSYNC;
            self.leap_at = u64::MAX;
        }
        if self.status & sta::PLL == 0 && status & sta::PLL != 0 {
            self.reference = now;
        }
        self.status = self.status & sta::READ_ONLY | status & !sta::READ_ONLY;
    }

    /// The clock is so far behind: it is slewed, and the frequency follows.
    fn set_offset(&mut self, offset: i64, now: u64) {
        if self.status & sta::PLL == 0 {
            return;
        }
        let nanoseconds = match self.status & sta::NANO {
            0 => offset.clamp(-1_000_000, 1_000_000) * 1000,
            _ => offset,
        };
        let offset = nanoseconds.clamp(-MAX_PHASE, MAX_PHASE);
        let mut interval = match self.status & sta::FREQHOLD {
            0 => now.saturating_sub(self.reference).min(1 << 32) as i64,
            _ => 0,
        };
        self.reference = now;
        let mut more = self.locked_frequency(offset, interval);
        interval = interval.min(1 << (PLL_SHIFT + 1 + self.constant));
        more += (offset * interval) << (32 - 2 * (PLL_SHIFT + 2 + self.constant));
        let frequency = self.frequency.saturating_add(more);
        self.frequency = frequency.clamp(-MAX_FREQUENCY, MAX_FREQUENCY);
        self.offset = offset << 32;
    }

    /// What an offset says of the frequency by itself, if so long passed that it says something.
    fn locked_frequency(&mut self, offset: i64, interval: i64) -> i64 {
        self.status &= !sta::MODE;
        let long = interval > MAX_INTERVAL || self.status & sta::FLL != 0;
        if interval < MIN_INTERVAL || !long {
            return 0;
        }
        self.status |= sta::MODE;
        (offset << (32 - FLL_SHIFT)) / interval
    }

    /// How much faster the clock runs, without anything that lasts for this second only.
    fn base_rate(&self) -> i64 {
        // A tick is a hundredth of a second: a microsecond more of it is 100 in a second.
        self.frequency + (((self.tick - TICK) * 100 * 1000) << 32)
    }

    /// What was changed, seen from within the second: only what lasts counts before the next one begins.
    pub fn now(&self, now: u64) -> Turn {
        Turn {
            rate: self.base_rate() + self.slew,
            leap: 0,
            next: self.next(now),
        }
    }

    /// Second `now` begins.
    pub fn turn(&mut self, now: u64) -> Turn {
        self.age(now);
        let leap = self.leap(now);
        let part = self.offset >> (PLL_SHIFT + self.constant);
        self.offset -= part;
        let step = self.adjust.clamp(-MAX_STEP, MAX_STEP);
        self.adjust -= step;
        self.slew = part + ((step * 1000) << 32);
        Turn {
            rate: self.base_rate() + self.slew,
            leap,
            // An inserted second is counted twice, one that was left out not at all.
            next: self.next(now.saturating_add_signed(-i64::from(leap))),
        }
    }

    fn leap(&mut self, now: u64) -> i32 {
        let asked = self.status & (sta::INS | sta::DEL);
        match self.state {
            State::Ok if asked & sta::INS != 0 => {
                self.state = State::Insert;
                self.leap_at = now + DAY - now % DAY;
            }
            State::Ok if asked & sta::DEL != 0 => {
                self.state = State::Delete;
                self.leap_at = now + DAY - (now + 1) % DAY;
            }
            State::Insert if asked & sta::INS == 0 => self.forget_leap(),
            State::Delete if asked & sta::DEL == 0 => self.forget_leap(),
            State::Insert if now == self.leap_at => {
                self.state = State::InProgress;
                return 1;
            }
            State::Delete if now == self.leap_at => {
                self.leap_at = u64::MAX;
                self.state = State::Over;
                return -1;
            }
            State::InProgress => {
                self.leap_at = u64::MAX;
                self.state = State::Over;
            }
            State::Over if asked == 0 => self.state = State::Ok,
            _ => {}
        }
        0
    }

    fn forget_leap(&mut self) {
        self.leap_at = u64::MAX;
        self.state = State::Ok;
    }

    /// The next second in which something changes.
    fn next(&self, now: u64) -> Option<u64> {
        // What is left becomes less than one unit in the end, and then stays.
        let slews = self.offset >> (PLL_SHIFT + self.constant) != 0 || self.adjust != 0;
        let asked = self.status & (sta::INS | sta::DEL);
        let leaps = match self.state {
            State::Ok => asked != 0,
            State::Insert => asked & sta::INS == 0,
            State::Delete => asked & sta::DEL == 0,
            State::InProgress => true,
            State::Over => asked == 0,
            State::Error => false,
        };
        if slews || self.slew != 0 || leaps {
            return Some(now + 1);
        }
        Some(self.leap_at).filter(|leap| *leap > now && *leap != u64::MAX)
    }
}
