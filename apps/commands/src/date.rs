//! `date`: the date and time, in UTC.

use crate::{Misuse, failed};
use alloc::format;
use alloc::string::String;
use helve::time::{self, Date};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let form = match arguments {
        [] => "%a %b %d %H:%M:%S UTC %Y",
        [one] => one
            .strip_prefix('+')
            .ok_or_else(|| Misuse(format!("{one}: not a format")))?,
        [_, extra, ..] => return Err(Misuse(format!("unexpected argument {extra}"))),
    };
    match time::unix() {
        Ok(nanoseconds) => helve::println!("{}", formatted(form, nanoseconds)),
        Err(error) => return Ok(failed("date", "clock", error)),
    }
    Ok(0)
}

/// A moment by a format with some of the letters of POSIX `date`.
fn formatted(form: &str, unix: u64) -> String {
    let seconds = unix / time::SECOND;
    let date = Date::from_unix(seconds);
    let Date {
        year,
        month,
        day,
        hour,
        minute,
        second,
        weekday,
    } = date;
    let mut text = String::new();
    let mut characters = form.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        text += &match characters.next() {
            Some('Y') => format!("{year}"),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('H') => format!("{hour:02}"),
            Some('M') => format!("{minute:02}"),
            Some('S') => format!("{second:02}"),
            Some('N') => format!("{:09}", unix % time::SECOND),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('a') => date.weekday_name().into(),
            Some('b') => date.month_name().into(),
            Some('w') => format!("{weekday}"),
            Some('s') => format!("{seconds}"),
            Some('n') => "\n".into(),
            Some('%') => "%".into(),
            Some(other) => format!("%{other}"),
            None => "%".into(),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let moment = 1_795_231_025 * time::SECOND + 5;
        assert_eq!(
            formatted("%a %b %d %H:%M:%S UTC %Y", moment),
            "Sat Nov 21 03:17:05 UTC 2026"
        );
        assert_eq!(
            formatted("%F %T.%N %s %w%%%q%", moment),
            "2026-11-21 03:17:05.000000005 1795231025 6%%q%"
        );
    }
}
