//! Tells the user what is going on, on standard error only.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How much a command says while it prepares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Every step, and cargo's own progress.
    Progress,
    /// Nothing that stays, unless something fails. On a terminal, a slow step shows a line that is erased again.
    OnFailure,
}

impl Show {
    /// Prints a line if steps are shown.
    pub fn say(self, text: impl AsRef<str>) {
        if self == Show::Progress {
            say(text);
        }
    }

    /// Marks a step as going on until the result is dropped.
    pub fn step(self, text: &str) -> Step {
        self.say(text);
        if self == Show::OnFailure && std::io::stderr().is_terminal() {
            Step::start(text)
        } else {
            Step { line: None }
        }
    }
}

/// Prints one line of the tool's own to standard error.
pub fn say(text: impl AsRef<str>) {
    // Nobody may be reading; that is no reason to fail. In this crate's own tests libtest keeps the line.
    if cfg!(test) {
        eprintln!("helve: {}", text.as_ref());
    } else {
        let _ = writeln!(std::io::stderr(), "helve: {}", text.as_ref());
    }
}

/// A step that is going on. See [`Show::step`].
#[derive(Debug)]
pub struct Step {
    line: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    fn start(text: &str) -> Step {
        let (done, wait) = channel();
        let text = text.to_string();
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let _ = write!(std::io::stderr(), "helve: {text} ...");
                let _ = wait.recv();
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
        });
        Step {
            line: Some((done, thread)),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.line.take() {
            drop(done);
            let _ = thread.join();
        }
    }
}
