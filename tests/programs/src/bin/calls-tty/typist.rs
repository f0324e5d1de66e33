//! The one who types: asks are lines of the program's output, answers are bytes into its terminal.

use libc::{O_NOCTTY, O_RDWR, TIOCGPTN, TIOCSPTLCK};
use std::process::ExitCode;
use test_programs::child::{self, Status, Strings};
use test_programs::raw::short;
use test_programs::{ok, sys};

/// Asks for bytes to be typed, and says what the terminal must show for them.
pub fn ask(typed: &[u8], shown: &[u8]) {
    let line = format!(
        "type: {} show: {}\n",
        typed.escape_ascii(),
        shown.escape_ascii()
    );
    short::write(1usize, line.as_bytes());
}

/// The bytes of an escaped text.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'x') => {
                let mut digit = || {
                    rest.next()
                        .and_then(|d| char::from(d).to_digit(16))
                        .unwrap_or(0) as u8
                };
                let high = digit();
                bytes.push(high << 4 | digit());
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    bytes
}

/// The terminal's other side, with what was read ahead.
struct Side {
    fd: usize,
    ahead: Vec<u8>,
}

impl Side {
    fn more(&mut self) -> bool {
        let mut buffer = [0u8; 4096];
        // The end of the session is an error here, not an end of file.
        match sys!(SYS_read, self.fd, &mut buffer, 4096) {
            Ok(n) if n > 0 => {
                self.ahead.extend(&buffer[..n]);
                true
            }
            _ => false,
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Some(
                    String::from_utf8_lossy(&line)
                        .trim_end_matches(['\r', '\n'])
                        .to_string(),
                );
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count && self.more() {}
        let count = count.min(self.ahead.len());
        self.ahead.drain(..count).collect()
    }
}

/// Starts this program again on a new pseudo-terminal and types for it. Its report goes to our standard output.
pub fn run_on_a_pseudo_terminal() -> ExitCode {
    let Ok(fd) = sys!(
        SYS_openat,
        libc::AT_FDCWD,
        c"/dev/ptmx",
        O_RDWR | O_NOCTTY,
        0
    ) else {
        println!("1..0\n# standard input is no terminal, and there are no pseudo-terminals");
        return ExitCode::SUCCESS;
    };
    let mut number = 0u32;
    ok!(SYS_ioctl, fd, TIOCSPTLCK, &0i32);
    ok!(SYS_ioctl, fd, TIOCGPTN, &mut number);
    let path = std::ffi::CString::new(format!("/dev/pts/{number}")).unwrap();
    let program = child::own_path();
    let arguments: Vec<String> = std::env::args().collect();
    let session = child::fork(|| {
        ok!(SYS_setsid);
        let terminal = short::open(&path, O_RDWR);
        (0..3).for_each(|fd| assert_eq!(ok!(SYS_dup2, terminal, fd), fd));
        let (argv, none) = (Strings::new(&arguments), Strings::new::<&str>(&[]));
        let _ = sys!(SYS_execve, program.as_c_str(), argv.as_ptr(), none.as_ptr());
        126
    });
    let mut side = Side {
        fd,
        ahead: Vec::new(),
    };
    while let Some(line) = side.line() {
        let Some((typed, shown)) = line
            .strip_prefix("type: ")
            .and_then(|l| l.split_once(" show: "))
        else {
            println!("{line}");
            continue;
        };
        let (typed, shown) = (unescape(typed), unescape(shown));
        short::write(fd, &typed);
        let seen = side.exactly(shown.len());
        if seen != shown {
            println!(
                "# asked for \"{}\": the terminal showed \"{}\"",
                line.escape_default(),
                seen.escape_ascii()
            );
            short::close(fd);
            session.wait();
            return ExitCode::FAILURE;
        }
    }
    if session.wait() == Status::Exited(0) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
