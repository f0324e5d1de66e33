//! The Linux calls that a program made and Helve does not have.

use std::fmt;

/// As many lines as the guest may send; a call number has one line.
const LINES_MAX: usize = 1024;

/// What was asked for in vain, in the order of the numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing(Vec<(Option<u16>, u32)>);

impl Missing {
    /// Takes what follows the word `missing`: `N COUNT` or `other COUNT`. Whether it means anything.
    pub fn note(&mut self, rest: &str) -> bool {
        let Some((number, count)) = rest.split_once(' ') else {
            return false;
        };
        let number = match number {
            "other" => Some(None),
            number => number.parse().ok().map(Some),
        };
        let (Some(number), Ok(count), true) = (number, count.parse(), self.0.len() < LINES_MAX)
        else {
            return false;
        };
        self.0.push((number, count));
        true
    }

    /// Whether the program found every call that it made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Missing {
    /// One line for each call: number, name, and how often.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, count) in &self.0 {
            match number {
                Some(number) => {
                    let name = syscalls::x86_64::Sysno::new(usize::from(*number))
                        .map_or("(no call of Linux)", |call| call.name());
                    write!(f, "{number:>6}  {name}")?;
                }
                None => write!(f, " other  (no calls of Linux)")?,
            }
            match count {
                1 => writeln!(f, ", once")?,
                count => writeln!(f, ", {count} times")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_guest() {
        let mut missing = Missing::default();
        assert!(missing.is_empty());
        for good in ["41 1", "334 12", "other 2"] {
            assert!(missing.note(good), "{good}");
        }
        for bad in ["", "41", "x 1", "41 x", "41 -1", "70000 1", "41 1 1"] {
            assert!(!missing.note(bad), "{bad}");
        }
        let text =
            "    41  socket, once\n   334  rseq, 12 times\n other  (no calls of Linux), 2 times\n";
        assert_eq!(missing.to_string(), text);
    }
}
