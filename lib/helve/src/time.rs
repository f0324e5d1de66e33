//! Clocks, sleeping, and the calendar.

use crate::{environment, sys};
use abi::{Error, Events, Number};
use core::fmt;
use value::Value;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

fn clocks() -> Result<Value, Error> {
    environment::handle("process")?.ask("time")
}

/// Nanoseconds since boot. Never goes back.
///
/// # Errors
/// Only when the kernel cannot answer.
pub fn now() -> Result<u64, Error> {
    clocks()?
        .as_document()
        .unsigned("now")
        .ok_or(Error::BadValue)
}

/// Nanoseconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// Only when the kernel cannot answer.
pub fn unix() -> Result<u64, Error> {
    clocks()?
        .as_document()
        .unsigned("unix")
        .ok_or(Error::BadValue)
}

/// Waits until `deadline`, in nanoseconds since boot.
///
/// # Errors
/// `Interrupted` when the program is asked to end.
pub fn sleep_until(deadline: u64) -> Result<(), Error> {
    sys::wait(Number::NONE, deadline, &mut [], Events::empty()).map(drop)
}

/// Waits for this many nanoseconds.
///
/// # Errors
/// As [`sleep_until`].
pub fn sleep(nanoseconds: u64) -> Result<(), Error> {
    // One less than `NEVER` is far enough.
    sleep_until(now()?.saturating_add(nanoseconds).min(abi::NEVER - 1))
}

/// A moment in the Gregorian calendar, in UTC. `Display` writes `2026-11-21 03:17:05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

impl Date {
    /// The moment this many seconds after 1970 began (Howard Hinnant, "chrono-compatible low-level date algorithms").
    pub fn from_unix(seconds: u64) -> Date {
        let days = (seconds / 86_400) as i64;
        let rest = seconds % 86_400;
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Date {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }

    /// `Sun` to `Sat`.
    pub fn weekday_name(&self) -> &'static str {
        ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
            .get(usize::from(self.weekday))
            .copied()
            .unwrap_or("?")
    }

    /// `Jan` to `Dec`.
    pub fn month_name(&self) -> &'static str {
        let names = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        names
            .get(usize::from(self.month).wrapping_sub(1))
            .copied()
            .unwrap_or("?")
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn known_moments() {
        assert_eq!(Date::from_unix(0).to_string(), "1970-01-01 00:00:00");
        assert_eq!(Date::from_unix(0).weekday_name(), "Thu");
        assert_eq!(
            Date::from_unix(951_782_399).to_string(),
            "2000-02-28 23:59:59"
        );
        assert_eq!(
            Date::from_unix(951_782_400).to_string(),
            "2000-02-29 00:00:00"
        );
        assert_eq!(
            Date::from_unix(1_795_231_025).to_string(),
            "2026-11-21 03:17:05"
        );
        assert_eq!(Date::from_unix(1_795_231_025).weekday_name(), "Sat");
        assert_eq!(
            Date::from_unix(4_102_444_800).to_string(),
            "2100-01-01 00:00:00"
        );
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = Date::from_unix(0);
        for day in 1..200_000 {
            let date = Date::from_unix(day * 86_400);
            assert_eq!(date.weekday, (before.weekday + 1) % 7);
            let next_day = date.day == before.day + 1 && date.month == before.month;
            assert!(next_day || date.day == 1 && (date.month == before.month % 12 + 1));
            before = date;
        }
    }
}
