//! `/boot/exec`: how the one program of `helve exec` is started (docs/exec.md).

use abi::Error;
use alloc::vec::Vec;

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub struct Launch {
    pub directory: Vec<u8>,
    pub arguments: Vec<Vec<u8>>,
    pub environment: Vec<Vec<u8>>,
}

/// Reads the file's NUL-terminated strings.
///
/// # Errors
/// [`Error::BadValue`] when it is not exactly as described.
pub fn parse(bytes: &[u8]) -> Result<Launch, Error> {
    let bytes = bytes.strip_suffix(&[0]).ok_or(Error::BadValue)?;
    let mut strings = bytes.split(|&byte| byte == 0);
    let directory = strings.next().ok_or(Error::BadValue)?.to_vec();
    let arguments = list(&mut strings)?;
    let environment = list(&mut strings)?;
    let whole =
        strings.next().is_none() && directory.first() == Some(&b'/') && !arguments.is_empty();
    if whole {
        Ok(Launch {
            directory,
            arguments,
            environment,
        })
    } else {
        Err(Error::BadValue)
    }
}

/// A decimal count, then that many strings.
fn list<'a>(strings: &mut impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, Error> {
    let count = strings
        .next()
        .and_then(|count| core::str::from_utf8(count).ok())
        .ok_or(Error::BadValue)?;
    let count: usize = count.parse().map_err(|_| Error::BadValue)?;
    (0..count)
        .map(|_| strings.next().map(<[u8]>::to_vec).ok_or(Error::BadValue))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_documentation_shows() {
        let launch = parse(b"/\x003\0busybox\0echo\0hi\x001\0PATH=/bin\0").unwrap();
        assert_eq!(launch.directory, b"/");
        assert_eq!(launch.arguments, [&b"busybox"[..], b"echo", b"hi"]);
        assert_eq!(launch.environment, [b"PATH=/bin"]);
    }

    #[test]
    fn refuses_everything_else() {
        let whole = b"/\x002\0a\0\x001\0X=\0";
        assert!(parse(whole).is_ok());
        for length in 0..whole.len() {
            assert_eq!(
                parse(&whole[..length]),
                Err(Error::BadValue),
                "cut at {length}"
            );
        }
        for wrong in [
            &b"/\x000\x000\0"[..],
            b"x\x001\0a\x000\0",
            b"/\0-1\0",
            b"/\x001\0a\x000\0more\0",
            b"",
        ] {
            assert_eq!(parse(wrong), Err(Error::BadValue));
        }
    }
}
