//! Arguments split into options and operands.

use crate::Misuse;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Options that are single letters, and everything that is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    letters: String,
    pub operands: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// Splits arguments; `known` are the letters that may be given. `--` ends the options, `-` is an operand.
    pub fn new(arguments: &'a [String], known: &str) -> Result<Options<'a>, Misuse> {
        let mut options = Options::default();
        let mut ended = false;
        for argument in arguments {
            match argument.strip_prefix('-') {
                Some("-") if !ended => ended = true,
                Some(letters) if !ended && !letters.is_empty() => {
                    if let Some(unknown) = letters.chars().find(|letter| !known.contains(*letter)) {
                        return Err(Misuse(format!("unknown option -{unknown}")));
                    }
                    options.letters.push_str(letters);
                }
                _ => options.operands.push(argument),
            }
        }
        Ok(options)
    }

    /// Whether the option was given.
    pub fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }

    /// Refuses operands.
    pub fn no_operands(&self) -> Result<(), Misuse> {
        match self.operands.first() {
            Some(extra) => Err(Misuse(format!("unexpected argument {extra}"))),
            None => Ok(()),
        }
    }

    /// Wants at least one operand.
    pub fn some_operands(&self) -> Result<(), Misuse> {
        if self.operands.is_empty() {
            Err(Misuse("an argument is missing".into()))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(arguments: &[String]) -> Result<(String, Vec<&str>), Misuse> {
        Options::new(arguments, "alr").map(|options| (options.letters, options.operands))
    }

    #[test]
    fn letters_and_operands() {
        let arguments = ["-la", "x", "-r", "-", "--", "-z"].map(String::from);
        assert_eq!(
            split(&arguments),
            Ok(("lar".into(), ["x", "-", "-z"].into()))
        );
        assert_eq!(
            split(&["-lx".into()]),
            Err(Misuse("unknown option -x".into()))
        );
        assert_eq!(split(&[]), Ok((String::new(), Vec::new())));
    }
}
