//! `kill`: asks processes to end.

use crate::{Misuse, failed};
use alloc::format;
use alloc::string::String;
use helve::process::Child;

/// Names and numbers as on Linux for x86-64 (signal(7)).
const SIGNALS: [(&str, u8); 20] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("WINCH", 28),
];

/// The name of a signal, if it has one.
pub fn signal_name(signal: u8) -> Option<&'static str> {
    SIGNALS
        .iter()
        .find(|(_, number)| *number == signal)
        .map(|(name, _)| *name)
}

/// A signal by name, with or without `SIG`, or by number.
fn signal(text: &str) -> Option<u8> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let named = SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number);
    named.or_else(|| text.parse().ok().filter(|number| *number <= 64))
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let (number, processes) = match arguments {
        [only] if only == "-l" => {
            SIGNALS
                .iter()
                .for_each(|(name, number)| helve::println!("{number:>2} {name}"));
            return Ok(0);
        }
        [dash, name, processes @ ..] if dash == "-s" => (name.as_str(), processes),
        [first, processes @ ..] if first.starts_with('-') => {
            (first.trim_start_matches('-'), processes)
        }
        processes => ("TERM", processes),
    };
    let number = signal(number).ok_or_else(|| Misuse(format!("{number}: no such signal")))?;
    if processes.is_empty() {
        return Err(Misuse("an argument is missing".into()));
    }
    let mut status = 0;
    for text in processes {
        let id = text
            .parse()
            .map_err(|_| Misuse(format!("{text}: not a process number")))?;
        if let Err(error) = Child::find(id).and_then(|process| process.kill(number)) {
            status = failed("kill", text, error);
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals() {
        assert_eq!(
            (
                signal("TERM"),
                signal("SIGKILL"),
                signal("2"),
                signal("XX"),
                signal("65")
            ),
            (Some(15), Some(9), Some(2), None, None)
        );
        assert_eq!((signal_name(11), signal_name(60)), (Some("SEGV"), None));
    }
}
