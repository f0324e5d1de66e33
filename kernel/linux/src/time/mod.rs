//! Clocks and sleeping.
//!
//! - [`clock`]: the clocks that have a number, and waiting for them
//! - [`reading`]: clock_gettime(2), clock_getres(2), gettimeofday(2), time(2)
//! - [`setting`]: clock_settime(2), settimeofday(2)
//! - [`adjust`], [`ntp`]: adjtimex(2), clock_adjtime(2), and what a clock makes of it
//! - [`hardware`]: the real-time clock, rtc(4)
//! - [`sleeping`]: nanosleep(2), clock_nanosleep(2)

pub mod adjust;
pub mod clock;
pub mod hardware;
mod ntp;
#[cfg(test)]
mod ntp_tests;
pub mod reading;
pub mod setting;
pub mod sleeping;

use crate::errno::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const SECOND: u64 = 1_000_000_000;

pub const CLOCK_REALTIME: u64 = 0;
pub const CLOCK_MONOTONIC: u64 = 1;
pub const CLOCK_PROCESS_CPUTIME_ID: u64 = 2;
pub const CLOCK_THREAD_CPUTIME_ID: u64 = 3;
pub const CLOCK_MONOTONIC_RAW: u64 = 4;
pub const CLOCK_REALTIME_COARSE: u64 = 5;
pub const CLOCK_MONOTONIC_COARSE: u64 = 6;
pub const CLOCK_BOOTTIME: u64 = 7;
/// These two would wake a machine that sleeps. This one never does, so they are as the others.
pub const CLOCK_REALTIME_ALARM: u64 = 8;
pub const CLOCK_BOOTTIME_ALARM: u64 = 9;
pub const CLOCK_TAI: u64 = 11;
/// A time on the clock, not a length of time.
pub const TIMER_ABSTIME: u64 = 1;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Timeval {
    pub seconds: i64,
    pub microseconds: i64,
}

impl Timespec {
    pub const fn from_nanoseconds(time: u64) -> Timespec {
        Timespec {
            seconds: (time / SECOND) as i64,
            nanoseconds: (time % SECOND) as i64,
        }
    }

    /// As nanoseconds; times beyond what fits are "for ever".
    ///
    /// # Errors
    /// `EINVAL` for a negative time or nanoseconds out of range.
    pub fn nanoseconds(self) -> Result<u64, Errno> {
        if self.seconds < 0 || !(0..SECOND as i64).contains(&self.nanoseconds) {
            return Err(Errno::EINVAL);
        }
        Ok((self.seconds as u64)
            .saturating_mul(SECOND)
            .saturating_add(self.nanoseconds as u64))
    }
}

impl Timeval {
    pub const fn from_nanoseconds(time: u64) -> Timeval {
        Timeval {
            seconds: (time / SECOND) as i64,
            microseconds: (time % SECOND / 1000) as i64,
        }
    }

    /// As nanoseconds.
    ///
    /// # Errors
    /// `EINVAL` for a negative time or microseconds out of range.
    pub fn nanoseconds(self) -> Result<u64, Errno> {
        if self.seconds < 0 || !(0..1_000_000).contains(&self.microseconds) {
            return Err(Errno::EINVAL);
        }
        Ok((self.seconds as u64)
            .saturating_mul(SECOND)
            .saturating_add(self.microseconds as u64 * 1000))
    }
}

/// Wall-clock time in nanoseconds since 1970.
pub fn real() -> u64 {
    task::clock::wall()
}
