//! Sets of processors, as people write them: `0-2,5`.

use core::fmt;
use core::str::FromStr;

/// Some of up to 64 processors: bit 0 for number 0, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSet(pub u64);

impl CpuSet {
    /// How many a set can hold.
    pub const MOST: u32 = u64::BITS;

    /// The first `count` of them.
    pub const fn first(count: usize) -> CpuSet {
        match count {
            0 => CpuSet(0),
            count if count >= Self::MOST as usize => CpuSet(u64::MAX),
            count => CpuSet(u64::MAX >> (Self::MOST as usize - count)),
        }
    }

    /// Whether it has this one.
    pub const fn contains(self, cpu: usize) -> bool {
        cpu < Self::MOST as usize && self.0 >> cpu & 1 != 0
    }

    /// Its numbers, from the lowest.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::MOST as usize).filter(move |cpu| self.contains(*cpu))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        while rest != 0 {
            let first = rest.trailing_zeros();
            let length = (rest >> first).trailing_ones();
            match length {
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{}", first + length - 1)?,
            }
            separator = ",";
            rest &= !(u64::MAX >> (Self::MOST - length) << first);
        }
        Ok(())
    }
}

/// The text is no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCpuSet;

impl FromStr for CpuSet {
    type Err = NoCpuSet;

    /// Numbers and ranges between commas, with space around them allowed; nothing at all is the empty set.
    fn from_str(text: &str) -> Result<CpuSet, NoCpuSet> {
        let number = |text: &str| match text.trim().parse::<u32>() {
            Ok(number) if number < Self::MOST && !text.trim().starts_with('+') => Ok(number),
            _ => Err(NoCpuSet),
        };
        let mut set = 0;
        if text.trim().is_empty() {
            return Ok(CpuSet(0));
        }
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(NoCpuSet);
            }
            set |= u64::MAX >> (Self::MOST - 1 - (last - first)) << first;
        }
        Ok(CpuSet(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_as_ranges_and_read_back() {
        for (set, text) in [
            (0, ""),
            (1, "0"),
            (0b10_0111, "0-2,5"),
            (1 << 63 | 1, "0,63"),
            (u64::MAX, "0-63"),
        ] {
            assert_eq!(CpuSet(set).to_string(), text);
            assert_eq!(text.parse(), Ok(CpuSet(set)));
        }
        assert_eq!(" 3 - 4 ,1\n".parse(), Ok(CpuSet(0b1_1010)));
        for wrong in ["64", "-1", "1-", "2-1", "1,,2", ",", "+1", "0x1", "a"] {
            assert_eq!(wrong.parse::<CpuSet>(), Err(NoCpuSet), "{wrong}");
        }
    }

    #[test]
    fn the_first_ones_and_their_numbers() {
        for (count, set) in [(0, 0), (1, 1), (2, 3), (64, u64::MAX), (100, u64::MAX)] {
            assert_eq!(CpuSet::first(count), CpuSet(set));
        }
        assert!(CpuSet(0b101).iter().eq([0, 2]));
        assert!(!CpuSet(u64::MAX).contains(64));
    }
}
