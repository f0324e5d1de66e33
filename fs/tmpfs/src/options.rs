//! How a file system in memory is made: sizes, owner, clock. Options of `mount -t tmpfs -o`, tmpfs(5).

use abi::Error;
use machine::PAGE;
use vfs::{Time, mode};

/// Everything there is to choose.
#[derive(Clone, Copy)]
pub struct Options {
    /// Pages of content that it may hold.
    pub pages: u64,
    /// Inodes that it may hold.
    pub inodes: u64,
    /// Permission bits of its root.
    pub mode: u16,
    /// Owner of its root.
    pub uid: u32,
    /// Group of its root.
    pub gid: u32,
    /// Makes hash collisions unpredictable.
    pub seed: u64,
    /// What time it is when content is read or written.
    pub clock: fn() -> Time,
}

impl Options {
    /// Half of the memory, an inode for every two pages, a root that everybody may use and that is sticky, as Linux has
    /// it.
    pub fn new(seed: u64, clock: fn() -> Time) -> Options {
        let memory = machine::frame::stats().total as u64;
        Options {
            pages: memory / 2,
            inodes: memory / 2,
            mode: mode::STICKY | 0o777,
            uid: 0,
            gid: 0,
            seed,
            clock,
        }
    }

    /// Changes what `text` says, separated by commas: `size=64m`, `size=25%`, `nr_blocks=`, `nr_inodes=`, `mode=`, `uid=`,
    /// `gid=`. A size of 0 means no limit. `Invalid` for anything else.
    pub fn with(mut self, text: &[u8]) -> Result<Options, Error> {
        let text = core::str::from_utf8(text).map_err(|_| Error::Invalid)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or(Error::Invalid)?;
            let unlimited = |count: u64| if count == 0 { u64::MAX } else { count };
            match name {
                "size" => {
                    let bytes = match value.strip_suffix('%') {
                        Some(percent) => {
                            let percent: u64 = percent.parse().map_err(|_| Error::Invalid)?;
                            let memory = machine::frame::stats().total as u64;
                            memory.saturating_mul(PAGE as u64).saturating_mul(percent) / 100
                        }
                        None => number(value)?,
                    };
                    self.pages = unlimited(bytes.div_ceil(PAGE as u64));
                }
                "nr_blocks" => self.pages = unlimited(number(value)?),
                "nr_inodes" => self.inodes = unlimited(number(value)?),
                "mode" => {
                    let bits = u16::from_str_radix(value, 8).map_err(|_| Error::Invalid)?;
                    self.mode = bits & mode::ALL;
                }
                "uid" => self.uid = value.parse().map_err(|_| Error::Invalid)?,
                "gid" => self.gid = value.parse().map_err(|_| Error::Invalid)?,
                _ => return Err(Error::Invalid),
            }
        }
        Ok(self)
    }
}

/// A number with `k`, `m`, `g` or `t` behind it, or nothing.
fn number(text: &str) -> Result<u64, Error> {
    let (digits, shift) = match text.bytes().last().map(|last| last.to_ascii_lowercase()) {
        Some(b'k') => (&text[..text.len() - 1], 10),
        Some(b'm') => (&text[..text.len() - 1], 20),
        Some(b'g') => (&text[..text.len() - 1], 30),
        Some(b't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| Error::Invalid)?;
    number.checked_mul(1 << shift).ok_or(Error::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> Time {
        Time::default()
    }

    #[test]
    fn options_are_read_as_mount_writes_them() {
        let options = Options::new(1, epoch);
        let with = options
            .with(b"size=64m,mode=1770,uid=5,gid=6,nr_inodes=2k")
            .unwrap();
        assert_eq!((with.pages, with.inodes), ((64 << 20) / PAGE as u64, 2048));
        assert_eq!((with.mode, with.uid, with.gid), (0o1770, 5, 6));
        assert_eq!(options.with(b"size=0").unwrap().pages, u64::MAX);
        assert_eq!(options.with(b"").unwrap().pages, options.pages);
        let percent = options.with(b"size=50%").unwrap().pages;
        assert_eq!(percent, options.pages);
        for bad in [
            &b"size"[..],
            b"size=x",
            b"size=99999999999t",
            b"sized=1",
            b"mode=9",
            b"\xff",
        ] {
            assert!(options.with(bad).is_err());
        }
    }
}
