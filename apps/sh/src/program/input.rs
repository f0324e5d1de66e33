//! Lines from a file, a pipe, or a terminal that edits them itself.

use alloc::string::String;
use alloc::vec::Vec;
use helve::{Error, Events, Handle};
use shell::syntax::{self, Script};
use shell::word;

/// Reads lines, and puts together those that belong together.
pub struct Lines<'h> {
    handle: &'h Handle,
    /// Nobody else reads from it, so it is read in large pieces. Otherwise not one byte more is taken than the line
    /// has: the rest belongs to the programs that the line starts.
    exclusive: bool,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

/// Longest line that is read, in bytes.
const LONGEST: usize = 1 << 20;

impl<'h> Lines<'h> {
    /// Lines from `handle`.
    pub fn new(handle: &'h Handle, exclusive: bool) -> Lines<'h> {
        Lines {
            handle,
            exclusive,
            buffer: Vec::new(),
            start: 0,
            ended: false,
        }
    }

    /// The next commands: one line, or as many as it takes to be complete. `None` at the end.
    ///
    /// # Errors
    /// What is wrong with them; the next call goes on after them.
    pub fn script(&mut self) -> Result<Option<Script>, word::Error> {
        let mut text = String::new();
        loop {
            let Some(line) = self.line() else {
                return if text.is_empty() {
                    Ok(None)
                } else {
                    Err(word::Error::Incomplete)
                };
            };
            text.push_str(&line);
            text.push('\n');
            match syntax::parse(&text) {
                Err(word::Error::Incomplete) if text.len() < LONGEST => {}
                other => return other.map(Some),
            }
        }
    }

    /// The next line without its end. An error is an end.
    fn line(&mut self) -> Option<String> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            if end.is_some() || self.ended || rest.len() > LONGEST {
                let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                let found = end.is_some() || !line.is_empty();
                let text = String::from_utf8_lossy(line).into_owned();
                self.start += end.map_or(rest.len(), |end| end + 1);
                if self.start >= self.buffer.len() {
                    self.buffer.clear();
                    self.start = 0;
                }
                return found.then_some(text);
            }
            self.ended = matches!(self.fill(), Ok(0) | Err(_));
        }
    }

    fn fill(&mut self) -> Result<usize, Error> {
        let mut piece = [0; 4096];
        let room = if self.exclusive { piece.len() } else { 1 };
        let place = piece.get_mut(..room).unwrap_or_default();
        let count = loop {
            match self.handle.read(place) {
                // Somebody made the stream one that does not wait.
                Err(Error::WouldBlock) => self.handle.wait(Events::READ).map(drop)?,
                other => break other?,
            }
        };
        self.buffer
            .extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count)
    }
}
