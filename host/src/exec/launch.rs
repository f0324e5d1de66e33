//! `/boot/exec`: how the guest starts the program. The format is described in docs/exec.md.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Working directory, arguments and environment of the guest's first program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// Absolute guest path.
    pub directory: String,
    /// `argv`, from `argv[0]` on.
    pub arguments: Vec<OsString>,
    /// `NAME=value` strings.
    pub environment: Vec<OsString>,
}

impl Launch {
    /// The file's bytes: directory, count, arguments, count, environment, each ended by NUL.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut add = |text: &[u8]| {
            bytes.extend(text);
            bytes.push(0);
        };
        add(self.directory.as_bytes());
        for list in [&self.arguments, &self.environment] {
            add(list.len().to_string().as_bytes());
            list.iter().for_each(|text| add(text.as_bytes()));
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn the_documented_example() {
        let launch = Launch {
            directory: "/".into(),
            arguments: vec!["busybox".into(), "echo".into(), "hi".into()],
            environment: vec!["PATH=/bin".into()],
        };
        assert_eq!(
            launch.bytes(),
            b"/\x003\x00busybox\x00echo\x00hi\x001\x00PATH=/bin\x00"
        );
    }

    #[test]
    fn any_bytes_and_no_environment() {
        let odd = OsString::from_vec(vec![0xff, b' ', b'\n']);
        let launch = Launch {
            directory: "/tmp".into(),
            arguments: vec![odd, "".into()],
            environment: vec![],
        };
        assert_eq!(launch.bytes(), b"/tmp\x002\x00\xff \n\x00\x000\x00");
    }
}
