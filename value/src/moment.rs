//! Moments as text: RFC 3339, in milliseconds since 1970.
//!
//! Days are counted by Howard Hinnant's "chrono-compatible low-level date algorithms".

use core::fmt::{self, Write};

const DAY: i64 = 86_400_000;

/// What is written as text: from 1970 to the end of 9999.
pub(crate) const WRITTEN: core::ops::RangeInclusive<i64> = 0..=253_402_300_799_999;

/// Writes a moment within [`WRITTEN`]; three digits of the second only if there are any.
pub(crate) fn write(f: &mut impl Write, moment: i64) -> fmt::Result {
    let (day, rest) = (moment.div_euclid(DAY), moment.rem_euclid(DAY));
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, milliseconds) = (rest / 1000, rest % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )?;
    if milliseconds > 0 {
        write!(f, ".{milliseconds:03}")?;
    }
    f.write_char('Z')
}

/// The moment that a text says. Less than a millisecond is dropped.
#[cfg(feature = "json")]
pub(crate) fn parse(text: &str) -> Option<i64> {
    let mut reader = Reader(text);
    let year = reader.number(4)?;
    reader.expect(&['-'])?;
    let month = reader.number(2).filter(|month| (1..=12).contains(month))?;
    reader.expect(&['-'])?;
    let day = reader.number(2)?;
    if !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    reader.expect(&['T', 't', ' '])?;
    let hour = reader.number(2).filter(|hour| *hour < 24)?;
    reader.expect(&[':'])?;
    let minute = reader.number(2).filter(|minute| *minute < 60)?;
    reader.expect(&[':'])?;
    let second = reader.number(2).filter(|second| *second < 60)?;
    let milliseconds = match reader.expect(&['.']) {
        Some(_) => reader.thousandths()?,
        None => 0,
    };
    let east = match reader.expect(&['Z', 'z', '+', '-'])? {
        sign @ ('+' | '-') => {
            let hours = reader.number(2).filter(|hours| *hours < 24)?;
            reader.expect(&[':'])?;
            let minutes = reader.number(2).filter(|minutes| *minutes < 60)?;
            let minutes = hours * 60 + minutes;
            if sign == '-' { -minutes } else { minutes }
        }
        _ => 0,
    };
    if !reader.0.is_empty() {
        return None;
    }
    let seconds = (hour * 60 + minute - east) * 60 + second;
    Some(days_from_1970(year, month, day) * DAY + seconds * 1000 + milliseconds)
}

#[cfg(feature = "json")]
struct Reader<'a>(&'a str);

#[cfg(feature = "json")]
impl Reader<'_> {
    /// A number of just so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (text, rest) = self.0.split_at_checked(digits)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        text.parse().ok()
    }

    fn expect(&mut self, characters: &[char]) -> Option<char> {
        let first = self.0.chars().next()?;
        self.0 = self.0.strip_prefix(characters)?;
        Some(first)
    }

    /// The digits behind a point, of which three count.
    fn thousandths(&mut self) -> Option<i64> {
        let end = self.0.find(|character: char| !character.is_ascii_digit());
        let (digits, rest) = self.0.split_at_checked(end.unwrap_or(self.0.len()))?;
        self.0 = rest;
        if digits.is_empty() {
            return None;
        }
        let places = digits.bytes().chain(core::iter::repeat(b'0')).take(3);
        Some(places.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }
}

#[cfg(feature = "json")]
fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(feature = "json")]
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
