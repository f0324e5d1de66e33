//! Arguments split into options and operands.

use crate::Misuse;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Options that are single letters, some with a value, and everything that is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    letters: String,
    values: Vec<(char, &'a str)>,
    pub operands: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// Splits arguments; `known` are the letters that may be given, with a colon after those that take a value
    /// (`-n 3` or `-n3`). `--` ends the options, `-` is an operand.
    ///
    /// # Errors
    /// A letter that is not known, or a value that is not there.
    pub fn new(arguments: &'a [String], known: &str) -> Result<Options<'a>, Misuse> {
        let mut options = Options::default();
        let mut ended = false;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix('-') {
                Some("-") if !ended => ended = true,
                Some(letters) if !ended && !letters.is_empty() => {
                    let next = || arguments.next().map(String::as_str);
                    options.add(letters, known, next)?;
                }
                _ => options.operands.push(argument),
            }
        }
        Ok(options)
    }

    /// Takes the letters of one argument; what follows one that takes a value is the value, or else `next` is.
    fn add(
        &mut self,
        letters: &'a str,
        known: &str,
        next: impl FnOnce() -> Option<&'a str>,
    ) -> Result<(), Misuse> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let at = known.find(letter).filter(|_| letter != ':');
            let after = at.and_then(|at| known.get(at + letter.len_utf8()..));
            let after = after.ok_or_else(|| Misuse(format!("unknown option -{letter}")))?;
            if after.starts_with(':') {
                let value = match rest.as_str() {
                    "" => next().ok_or_else(|| Misuse(format!("-{letter} needs a value")))?,
                    attached => attached,
                };
                self.values.push((letter, value));
                return Ok(());
            }
            self.letters.push(letter);
        }
        Ok(())
    }

    /// Whether the option was given.
    pub fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }

    /// The value of an option as `read` understands it; the last one counts.
    ///
    /// # Errors
    /// `read` gives `None` for it; `what` says what it should be.
    pub fn value<T>(
        &self,
        letter: char,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Misuse> {
        let mut given = self.values.iter().rev();
        let Some((_, text)) = given.find(|(option, _)| *option == letter) else {
            return Ok(None);
        };
        let read = read(text).ok_or_else(|| Misuse(format!("-{letter} {text}: not {what}")));
        read.map(Some)
    }

    /// Refuses operands.
    ///
    /// # Errors
    /// There are some.
    pub fn no_operands(&self) -> Result<(), Misuse> {
        match self.operands.first() {
            Some(extra) => Err(Misuse(format!("unexpected argument {extra}"))),
            None => Ok(()),
        }
    }

    /// Wants at least one operand.
    ///
    /// # Errors
    /// There is none.
    pub fn some_operands(&self) -> Result<(), Misuse> {
        if self.operands.is_empty() {
            Err(Misuse("an argument is missing".into()))
        } else {
            Ok(())
        }
    }
}

/// A number greater than 0.
pub fn positive(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(arguments: &[String]) -> Result<(String, Vec<&str>), Misuse> {
        Options::new(arguments, "aln:r").map(|options| (options.letters, options.operands))
    }

    #[test]
    fn letters_and_operands() {
        let arguments = ["-la", "x", "-r", "-", "--", "-z"].map(String::from);
        assert_eq!(
            split(&arguments),
            Ok(("lar".into(), ["x", "-", "-z"].into()))
        );
        for wrong in ["-lx", "-:"] {
            let last = wrong.chars().next_back().unwrap();
            assert_eq!(
                split(&[wrong.into()]),
                Err(Misuse(format!("unknown option -{last}")))
            );
        }
        assert_eq!(split(&[]), Ok((String::new(), Vec::new())));
    }

    #[test]
    fn values() {
        let read = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).into()).collect();
            let options = Options::new(&arguments, "aln:r")?;
            options.value('n', "a number", positive)
        };
        assert_eq!(read(&["-a", "x"]), Ok(None));
        assert_eq!(read(&["-n", "3"]), Ok(Some(3)));
        assert_eq!(read(&["-n1", "-aln5"]), Ok(Some(5)));
        let misuse = |text: &str| Err(Misuse(text.into()));
        assert_eq!(read(&["-n"]), misuse("-n needs a value"));
        assert_eq!(read(&["-n", "0"]), misuse("-n 0: not a number"));
    }
}
