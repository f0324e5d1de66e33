//! Somebody at a terminal: a pseudo-terminal on which a command runs, keys that are typed, and text that must appear.

use crate::children::Guarded;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command on a terminal of its own.
#[derive(Debug)]
pub struct Typist {
    terminal: OwnedFd,
    child: Guarded,
    shown: Vec<u8>,
    searched: usize,
    deadline: Instant,
}

impl Typist {
    /// Starts the command; all of its streams are the terminal.
    pub fn start(mut command: Command, columns: u16, rows: u16, limit: Duration) -> Result<Typist> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size)?;
        let name = ptsname(&terminal, Vec::new())?;
        let other = open(
            &*name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        command
            .stdin(Stdio::from(other.try_clone()?))
            .stdout(Stdio::from(other.try_clone()?))
            .stderr(Stdio::from(other));
        let child = Guarded::spawn_group(&mut command)?;
        // The command holds the other end now; ours must go so that its end can be seen.
        drop(command);
        Ok(Typist {
            terminal,
            child,
            shown: Vec::new(),
            searched: 0,
            deadline: Instant::now() + limit,
        })
    }

    /// Types keys.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        let mut rest = keys.as_bytes();
        while !rest.is_empty() {
            let count = rustix::io::write(&self.terminal, rest).context("the terminal is gone")?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Waits until `text` appears after what was found before.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        loop {
            let window = &self.shown[self.searched..];
            if let Some(at) = window
                .windows(text.len())
                .position(|part| part == text.as_bytes())
            {
                self.searched += at + text.len();
                return Ok(());
            }
            if !self.receive()? {
                bail!(
                    "waited for {text:?}; the terminal showed:\n{}",
                    self.shown()
                );
            }
        }
    }

    /// Waits for the end of the command; returns its status.
    pub fn finish(&mut self) -> Result<i32> {
        while self.receive()? {}
        let status = self.child.wait_until(Some(self.deadline))?;
        let status = status
            .with_context(|| format!("it does not end; the terminal showed:\n{}", self.shown()))?;
        status.code().with_context(|| format!("it ended: {status}"))
    }

    /// Everything that appeared.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Takes what appears next; `false` at the end or when time is up.
    fn receive(&mut self) -> Result<bool> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let ready = poll(
            &mut [PollFd::new(&self.terminal, PollFlags::IN)],
            Some(&limit),
        )?;
        if ready == 0 {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        // When the other end is closed by all, reading fails with EIO.
        let count = rustix::io::read(&self.terminal, &mut buffer).unwrap_or(0);
        self.shown.extend(&buffer[..count]);
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation() {
        let mut command = Command::new("sh");
        command.args(["-c", "stty size; read line; echo got $line; exit 3"]);
        let mut typist = Typist::start(command, 90, 20, Duration::from_secs(10)).unwrap();
        typist.expect("20 90").unwrap();
        typist.send("word\r").unwrap();
        typist.expect("got word").unwrap();
        assert_eq!(typist.finish().unwrap(), 3);
    }
}
