//! A terminal as a screen: text that is shown over what was there, and keys.

use alloc::string::String;
use helve::console::{Console, Mode};
use helve::{Error, Events, Handle, io};

/// A terminal that gives keys and is given back as it was.
#[derive(Debug)]
pub struct Screen<'h> {
    input: &'h Handle,
    console: Console<'h>,
    mode: Mode,
}

impl<'h> Screen<'h> {
    /// The terminal behind `input`, which gives keys one by one from now on; there is none if the program's output
    /// does not go to a terminal.
    ///
    /// # Errors
    /// `NotTerminal`; what keeps the mode from being changed.
    pub fn new(input: &'h Handle) -> Result<Screen<'h>, Error> {
        Console::of(&io::output())?;
        let console = Console::of(input)?;
        let mode = console.mode()?;
        console.set_mode(Mode::KEYS)?;
        Ok(Screen {
            input,
            console,
            mode,
        })
    }

    /// Shows as much of the text as there is room for, in place of what was there.
    ///
    /// # Errors
    /// What the terminal says.
    pub fn show(&self, text: &str) -> Result<(), Error> {
        let (columns, rows) = self.console.size()?;
        io::output().write_all(fitted(text, columns, rows).as_bytes())
    }

    /// A key that is pressed before the deadline (nanoseconds since boot).
    ///
    /// # Errors
    /// What the terminal says.
    pub fn key(&self, deadline: u64) -> Result<Option<u8>, Error> {
        let mut key = [0];
        match self.input.wait_until(Events::READ, deadline) {
            Err(Error::TimedOut) => return Ok(None),
            other => other?,
        };
        match self.input.read(&mut key)? {
            // Nobody types any more: as if it were the key that leaves.
            0 => Ok(Some(b'q')),
            _ => Ok(key.first().copied()),
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to give back.
        let _ = self.console.set_mode(self.mode);
        helve::println!();
    }
}

/// The upper left of a text, with the sequences that put it on a terminal over what was there before.
fn fitted(text: &str, columns: usize, rows: usize) -> String {
    // A terminal that does not know its size.
    let columns = if columns == 0 { 80 } else { columns };
    let rows = if rows == 0 { 24 } else { rows };
    let mut screen = String::from("\x1b[H");
    for (row, line) in text.lines().take(rows).enumerate() {
        if row > 0 {
            screen.push_str("\r\n");
        }
        screen.extend(line.chars().take(columns));
        // What is left of the line before.
        screen.push_str("\x1b[K");
    }
    screen.push_str("\x1b[J");
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_terminal_has_room_for() {
        assert_eq!(
            fitted("abc\nd\nef", 2, 2),
            "\x1b[Hab\x1b[K\r\nd\x1b[K\x1b[J"
        );
        assert_eq!(fitted("a", 0, 0), "\x1b[Ha\x1b[K\x1b[J");
    }
}
