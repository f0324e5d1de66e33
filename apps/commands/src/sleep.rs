//! `sleep`: waits.

use crate::{Misuse, failed};
use alloc::format;
use alloc::string::String;
use helve::time;

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    if arguments.is_empty() {
        return Err(Misuse("an argument is missing".into()));
    }
    let mut total: u64 = 0;
    for text in arguments {
        let length = duration(text).ok_or_else(|| Misuse(format!("{text}: not a time")))?;
        total = total.saturating_add(length);
    }
    Ok(time::sleep(total).map_or_else(|error| failed("sleep", "clock", error), |()| 0))
}

/// Nanoseconds from `1.5`, `2m`, `0.25h`, `1d`.
pub fn duration(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().last()? {
        (end, 's') => (text.get(..end)?, 1),
        (end, 'm') => (text.get(..end)?, 60),
        (end, 'h') => (text.get(..end)?, 3600),
        (end, 'd') => (text.get(..end)?, 86_400),
        _ => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    // Nine digits after the point are nanoseconds; more are too fine to matter.
    let fraction = fraction.get(..9).unwrap_or(fraction);
    let scale = 10u64.pow(9 - fraction.len() as u32);
    // Empty is zero; more than 64 bits is forever.
    let digits = |text: &str| {
        if text.is_empty() {
            0
        } else {
            text.parse().unwrap_or(u64::MAX)
        }
    };
    let nanoseconds = digits(whole)
        .saturating_mul(time::SECOND)
        .saturating_add(digits(fraction) * scale);
    Some(nanoseconds.saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let second = time::SECOND;
        for (text, expected) in [
            ("1", Some(second)),
            ("0.5", Some(second / 2)),
            (".25s", Some(second / 4)),
            ("1.m", Some(60 * second)),
            ("2h", Some(7200 * second)),
            ("1d", Some(86_400 * second)),
            ("0.0000000019", Some(1)),
            ("99999999999999999999", Some(u64::MAX)),
            ("", None),
            (".", None),
            ("s", None),
            ("-1", None),
            ("1x", None),
            ("1é", None),
            ("0.123456789é", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }
}
