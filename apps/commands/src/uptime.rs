//! `uptime`: how long the system has been up.

use crate::options::Options;
use crate::{Misuse, failed};
use alloc::format;
use alloc::string::String;
use helve::time::{self, Date};
use helve::{Error, process};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    Options::new(arguments, "")?.no_operands()?;
    match look() {
        Ok(text) => helve::println!("{text}"),
        Err(error) => return Ok(failed("uptime", "clock", error)),
    }
    Ok(0)
}

fn look() -> Result<String, Error> {
    let date = Date::from_unix(time::unix()? / time::SECOND);
    let up = length(time::now()?);
    let processes = process::list()?.len();
    let Date {
        hour,
        minute,
        second,
        ..
    } = date;
    Ok(format!(
        "{hour:02}:{minute:02}:{second:02} up {up}, {processes} processes"
    ))
}

/// A length of time as people say it.
pub fn length(nanoseconds: u64) -> String {
    let seconds = nanoseconds / time::SECOND;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!(
            "{}.{:02} s",
            seconds,
            nanoseconds % time::SECOND / (time::SECOND / 100)
        ),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours}:{minutes:02}"),
        (1, hours, minutes) => format!("1 day, {hours}:{minutes:02}"),
        (days, hours, minutes) => format!("{days} days, {hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let second = time::SECOND;
        assert_eq!(length(1_234_567_890), "1.23 s");
        assert_eq!(length(119 * second), "1 min");
        assert_eq!(length(3660 * second), "1:01");
        assert_eq!(length(86_400 * second), "1 day, 0:00");
        assert_eq!(length(3 * 86_400 * second), "3 days, 0:00");
    }
}
