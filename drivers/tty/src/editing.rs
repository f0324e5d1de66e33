//! The line being edited, on the screen and in memory.
//!
//! The one idea: what one character looks like is decided in one place ([`show`] and `width_of`), so erasing takes back
//! exactly what showing put there.

use crate::output::Output;
use crate::termios::{Input, Local, Termios};
use alloc::vec::Vec;

const DELETE: u8 = 0x7f;

/// Bytes of a line that is not finished.
pub struct Line {
    bytes: Vec<u8>,
    /// The column in which it began, for the width of tabs.
    start: usize,
}

impl Line {
    pub const fn new() -> Line {
        Line {
            bytes: Vec::new(),
            start: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The line will begin in this column.
    pub fn begin(&mut self, column: usize) {
        self.start = column;
    }

    pub fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Takes the bytes out.
    pub fn take(&mut self) -> impl Iterator<Item = u8> + use<> {
        core::mem::take(&mut self.bytes).into_iter()
    }

    /// VERASE: the last character.
    pub fn erase(&mut self, settings: &Termios, byte: u8, output: &mut Output) {
        if self.bytes.is_empty() {
            return;
        }
        let removed = self.remove_last(settings);
        if !settings.local.contains(Local::ECHO) {
        } else if settings.local.contains(Local::ECHOE) {
            self.unshow(settings, &removed, output);
        } else {
            show(settings, byte, output);
        }
    }

    /// VWERASE: the last word, and what is between it and the end.
    pub fn erase_word(&mut self, settings: &Termios, byte: u8, output: &mut Output) {
        let mut in_word = false;
        while let Some(&last) = self.bytes.last() {
            // Bytes of characters beyond ASCII belong to words.
            let of_word = last.is_ascii_alphanumeric() || last == b'_' || last >= 0x80;
            if in_word && !of_word {
                break;
            }
            in_word |= of_word;
            self.erase(settings, byte, output);
        }
    }

    /// VKILL: all of it.
    pub fn kill(&mut self, settings: &Termios, byte: u8, output: &mut Output) {
        let local = settings.local;
        if local.contains(Local::ECHO | Local::ECHOK | Local::ECHOKE | Local::ECHOE) {
            while !self.bytes.is_empty() {
                let removed = self.remove_last(settings);
                self.unshow(settings, &removed, output);
            }
            return;
        }
        self.bytes.clear();
        if local.contains(Local::ECHO) {
            show(settings, byte, output);
            if local.contains(Local::ECHOK) {
                output.write(settings, b"\n");
            }
        }
    }

    /// VREPRINT: shows the line again, on a new line of the screen.
    pub fn reprint(&mut self, settings: &Termios, byte: u8, output: &mut Output) {
        show(settings, byte, output);
        output.write(settings, b"\n");
        self.start = output.column();
        for &byte in &self.bytes {
            show(settings, byte, output);
        }
    }

    fn remove_last(&mut self, settings: &Termios) -> Vec<u8> {
        let mut first = self.bytes.len().saturating_sub(1);
        if settings.input.contains(Input::IUTF8) {
            // A character has at most three continuation bytes; stray ones are characters of their own.
            let lead = self.bytes.iter().rposition(|&byte| !is_continuation(byte));
            if let Some(lead) = lead
                && self.bytes.len() - lead <= 4
                && (self.bytes.len() - lead == 1 || self.bytes.get(lead) >= Some(&0xc0))
            {
                first = lead;
            }
        }
        self.bytes.split_off(first)
    }

    /// Takes a character that was just removed from the end off the screen.
    fn unshow(&self, settings: &Termios, removed: &[u8], output: &mut Output) {
        let width = match removed {
            [b'\t'] => {
                let column = self.column_after(settings);
                8 - column % 8
            }
            [byte] => width_of(settings, *byte),
            // One character of several bytes; those that take two columns are not known here.
            _ => 1,
        };
        for _ in 0..width {
            if removed == b"\t" {
                output.write(settings, b"\x08");
            } else {
                output.write(settings, b"\x08 \x08");
            }
        }
    }

    /// The column behind the line.
    fn column_after(&self, settings: &Termios) -> usize {
        self.bytes
            .iter()
            .fold(self.start, |column, &byte| match byte {
                b'\t' => column + 8 - column % 8,
                byte if settings.input.contains(Input::IUTF8) && is_continuation(byte) => column,
                byte => column + width_of(settings, byte),
            })
    }
}

const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Columns that [`show`] fills with a byte that is no tab.
fn width_of(settings: &Termios, byte: u8) -> usize {
    match byte {
        0..0x20 | DELETE if settings.local.contains(Local::ECHOCTL) => 2,
        0..0x20 | DELETE => 0,
        _ => 1,
    }
}

/// Shows a byte of input: control characters as `^X` if they are to be seen, everything else as it is.
pub fn show(settings: &Termios, byte: u8, output: &mut Output) {
    let control = matches!(byte, 0..0x20 | DELETE) && byte != b'\t';
    if control && settings.local.contains(Local::ECHOCTL) {
        output.write(settings, &[b'^', byte ^ 0x40]);
    } else {
        output.write(settings, &[byte]);
    }
}
