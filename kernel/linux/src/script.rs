//! The first line of a script: `#!interpreter [argument]`.
//!
//! Only the first 256 bytes of the file count. A path that may go on behind them is refused; a long argument is cut.
//!
//! Source: execve(2), "Interpreter scripts"; Linux `fs/binfmt_script.c`.

use crate::errno::Errno;
use alloc::vec::Vec;

/// How much of a file is looked at (`BINPRM_BUF_SIZE`).
pub const LOOKED_AT: usize = 256;

/// The interpreter's path and its one argument; `None`: the file is no script.
pub type Line = Option<(Vec<u8>, Option<Vec<u8>>)>;

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn ends_name(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0)
}

/// Reads the front of a file, which is filled up with zeros if the file is shorter.
///
/// # Errors
/// `ENOEXEC` for a script without an interpreter, or with one whose name may be longer than what can be seen.
pub fn parse(front: &[u8; LOOKED_AT]) -> Result<Line, Errno> {
    let Some(line) = front.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let line = match line.iter().position(|&byte| byte == b'\n') {
        Some(end) => &line[..end],
        None => {
            // The name must end in sight, whatever happens to the argument.
            let name = line.iter().skip_while(|&byte| is_blank(byte));
            if !name.clone().any(ends_name) {
                return Err(Errno::ENOEXEC);
            }
            line
        }
    };
    let name_start = line
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(line.len());
    let rest = &line[name_start..];
    let name_end = rest.iter().position(ends_name).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(name_end);
    if name.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    // Strings end at a zero byte, and blanks around the argument are not part of it.
    let rest = rest.split(|&byte| byte == 0).next().unwrap_or_default();
    let start = rest.iter().position(|byte| !is_blank(byte));
    let argument = start.and_then(|start| {
        let end = rest.iter().rposition(|byte| !is_blank(byte))?;
        rest.get(start..=end)
    });
    Ok(Some((name.to_vec(), argument.map(<[u8]>::to_vec))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &[u8]) -> Result<Line, Errno> {
        let mut front = [0; LOOKED_AT];
        let count = text.len().min(LOOKED_AT);
        front[..count].copy_from_slice(&text[..count]);
        parse(&front)
    }

    fn found(name: &str, argument: Option<&str>) -> Result<Line, Errno> {
        Ok(Some((name.into(), argument.map(Into::into))))
    }

    #[test]
    fn name_and_one_argument() {
        assert_eq!(line(b"#!/bin/sh\n"), found("/bin/sh", None));
        assert_eq!(
            line(b"#! \t/bin/sh -e  -x \necho"),
            found("/bin/sh", Some("-e  -x"))
        );
        assert_eq!(line(b"#!/bin/sh"), found("/bin/sh", None));
        assert_eq!(line(b"#!/bin/sh\0 x\n"), found("/bin/sh", None));
        assert_eq!(line(b"# !/bin/sh\n"), Ok(None));
        assert_eq!(line(b""), Ok(None));
    }

    #[test]
    fn nothing_to_run() {
        for text in ["#!\n", "#!  \t \n", "#!", "#!  "] {
            assert_eq!(line(text.as_bytes()), Err(Errno::ENOEXEC), "{text:?}");
        }
        assert_eq!(
            line(&[b"#!".as_slice(), &[b' '; 300]].concat()),
            Err(Errno::ENOEXEC)
        );
    }

    #[test]
    fn a_cut_name_is_refused_and_a_cut_argument_is_not() {
        let long = |front: &str, byte: u8| [front.as_bytes(), &[byte; 300], b"\n"].concat();
        assert_eq!(line(&long("#!/", b'x')), Err(Errno::ENOEXEC));
        assert_eq!(
            line(&long("#!./run --helper", b' ')),
            found("./run", Some("--helper"))
        );
        let cut = "x".repeat(LOOKED_AT - "#!a ".len());
        assert_eq!(line(&long("#!a ", b'x')), found("a", Some(&cut)));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_name_that_is_in_them(bytes in prop::collection::vec(any::<u8>(), 0..300), mark: bool) {
            let bytes = if mark { [b"#!".as_slice(), &bytes].concat() } else { bytes };
            if let Ok(Some((name, argument))) = line(&bytes) {
                prop_assert!(!name.is_empty() && !name.iter().any(|b| ends_name(b) || *b == b'\n'));
                prop_assert!(bytes.windows(name.len()).any(|window| window == name));
                if let Some(argument) = argument {
                    prop_assert!(!argument.is_empty() && !argument.iter().any(|b| matches!(b, 0 | b'\n')));
                    prop_assert!(!is_blank(&argument[0]) && !is_blank(&argument[argument.len() - 1]));
                }
            }
        }
    }
}
