//! Controllers: what of a cgroup's children can be limited.

use abi::Error;
use alloc::string::String;
use core::sync::atomic::{AtomicU8, Ordering};

/// Their names, in the order of their bits, which is Linux's.
pub const NAMES: [&str; 2] = ["cpuset", "cpu"];
pub const CPUSET: u8 = 1;
pub const CPU: u8 = 2;
pub const ALL: u8 = CPUSET | CPU;

/// Those that are on. Changed under the gate of the hierarchy.
#[derive(Debug, Default)]
pub struct Controllers(AtomicU8);

impl Controllers {
    pub fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, controllers: u8) {
        self.0.store(controllers, Ordering::Relaxed);
    }

    pub fn any(&self) -> bool {
        self.get() != 0
    }
}

/// Their names in one line.
pub fn names(controllers: u8) -> String {
    let on = NAMES.iter().enumerate();
    let on = on.filter(|(bit, _)| controllers >> bit & 1 != 0);
    let names: alloc::vec::Vec<&str> = on.map(|(_, name)| *name).collect();
    names.join(" ") + "\n"
}

/// What `+cpu -cpuset` switches on and off. Of two words about one, the last counts.
///
/// # Errors
/// [`Error::Invalid`]: a word is none of these.
pub fn parse(text: &str) -> Result<(u8, u8), Error> {
    let (mut on, mut off) = (0, 0);
    for word in text.split_ascii_whitespace() {
        let bit = |name: &str| {
            let place = NAMES.iter().position(|known| *known == name);
            place.map(|place| 1 << place).ok_or(Error::Invalid)
        };
        match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(name), _) => {
                let bit: u8 = bit(name)?;
                (on, off) = (on | bit, off & !bit);
            }
            (_, Some(name)) => {
                let bit: u8 = bit(name)?;
                (on, off) = (on & !bit, off | bit);
            }
            _ => return Err(Error::Invalid),
        }
    }
    Ok((on, off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_switch() {
        assert_eq!(parse("+cpu"), Ok((CPU, 0)));
        assert_eq!(parse("+cpu -cpuset\n"), Ok((CPU, CPUSET)));
        assert_eq!(parse("+cpu -cpu"), Ok((0, CPU)));
        assert_eq!(parse(""), Ok((0, 0)));
        for wrong in ["cpu", "+memory", "+", "+cpu,-cpuset"] {
            assert_eq!(parse(wrong), Err(Error::Invalid), "{wrong}");
        }
        assert_eq!(
            (names(ALL).as_str(), names(0).as_str()),
            ("cpuset cpu\n", "\n")
        );
    }
}
