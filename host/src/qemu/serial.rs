//! A machine whose COM1 comes to this program as a stream of timed lines: for the probe, boot tests and benchmarks.

use super::Machine;
use crate::children::Guarded;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A running machine with its serial line.
#[derive(Debug)]
pub struct SerialGuest {
    process: Guarded,
    input: Option<ChildStdin>,
    chunks: Receiver<(Instant, Vec<u8>)>,
    seen: Vec<u8>,
    /// Where each chunk of `seen` starts, and when it came.
    arrivals: Vec<(usize, Instant)>,
    searched: usize,
    started: Instant,
}

impl SerialGuest {
    /// Starts the machine with COM1 on pipes to this process.
    pub fn start(machine: &Machine) -> Result<SerialGuest> {
        SerialGuest::start_with(machine, Stdio::inherit())
    }

    /// The same, with QEMU's own complaints thrown away.
    pub fn start_silently(machine: &Machine) -> Result<SerialGuest> {
        SerialGuest::start_with(machine, Stdio::null())
    }

    fn start_with(machine: &Machine, complaints: Stdio) -> Result<SerialGuest> {
        let mut command = machine.command()?;
        command.args([
            "-chardev",
            "stdio,id=com1,signal=off",
            "-serial",
            "chardev:com1",
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints);
        let started = Instant::now();
        let mut process = Guarded::spawn(&mut command)?;
        let input = process.child().stdin.take();
        let mut output = process
            .child()
            .stdout
            .take()
            .context("QEMU has no output")?;
        let (send, chunks) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if send
                    .send((Instant::now(), buffer[..count].to_vec()))
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(SerialGuest {
            process,
            input,
            chunks,
            seen: Vec::new(),
            arrivals: Vec::new(),
            searched: 0,
            started,
        })
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Everything that the guest has written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// The same, with one character for each byte, so that positions fit [`SerialGuest::arrival`].
    pub fn ascii(&self) -> String {
        let plain = |&byte: &u8| if byte.is_ascii() { byte.into() } else { '?' };
        self.seen.iter().map(plain).collect()
    }

    /// Types into the guest's serial line.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        let Some(input) = &mut self.input else {
            bail!("the serial line is closed")
        };
        input
            .write_all(text.as_bytes())
            .context("the guest is gone")
    }

    /// Waits until the guest has written `text` after the last match; returns when its first byte came.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<Instant> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(at) = find(&self.seen[self.searched..], text.as_bytes()) {
                let position = self.searched + at;
                self.searched = position + text.len();
                return Ok(self.arrival(position));
            }
            self.receive(deadline)
                .with_context(|| format!("waiting for {text:?} from the guest"))?;
        }
    }

    /// Waits until QEMU has ended; everything that it wrote is in [`SerialGuest::output`] then.
    pub fn finish(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        while self.receive(deadline).is_ok() {}
        self.process
            .wait_until(Some(deadline))?
            .context("the machine did not end in time")
    }

    /// When the byte at `position` of the output came.
    pub fn arrival(&self, position: usize) -> Instant {
        let after = self
            .arrivals
            .partition_point(|(start, _)| *start <= position);
        self.arrivals[after.saturating_sub(1)].1
    }

    fn receive(&mut self, deadline: Instant) -> Result<()> {
        match self
            .chunks
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok((when, bytes)) => {
                self.arrivals.push((self.seen.len(), when));
                self.seen.extend(bytes);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => bail!("time is up"),
            Err(RecvTimeoutError::Disconnected) => bail!("the machine has ended"),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
