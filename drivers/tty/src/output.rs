//! The way out: from what programs write and what is echoed to what the line gets.
//!
//! The one idea: this is a pure queue. Bytes are processed as they enter it, so the column is known at every moment, and
//! the line takes from it when it can.

use crate::termios::{Input, Output as Flags, Termios};
use alloc::collections::VecDeque;

/// Bytes that the queue takes from writers. Echo may go a little beyond.
pub const LIMIT: usize = 16 << 10;
/// The most bytes that one byte becomes: a tab.
const WIDEST: usize = 8;
const TAB: usize = 8;

/// Bytes on their way to the line.
#[derive(Default)]
pub struct Output {
    bytes: VecDeque<u8>,
    column: usize,
    /// VSTOP was typed, or a program asked for it.
    pub stopped: bool,
}

impl Output {
    pub const fn new() -> Output {
        Output {
            bytes: VecDeque::new(),
            column: 0,
            stopped: false,
        }
    }

    /// Bytes that wait for the line.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// The column in which the next byte appears.
    pub fn column(&self) -> usize {
        self.column
    }

    /// How many bytes a writer may bring now, whatever they become.
    pub fn room(&self) -> usize {
        LIMIT.saturating_sub(self.bytes.len()) / WIDEST
    }

    /// Whether another byte of echo fits. What does not fit is not shown.
    pub fn takes_echo(&self) -> bool {
        self.bytes.len() < LIMIT + LIMIT / 4
    }

    /// Queues bytes as the settings want them.
    pub fn write(&mut self, settings: &Termios, mut bytes: &[u8]) {
        if !settings.output.contains(Flags::OPOST) {
            self.bytes.extend(bytes);
            return;
        }
        while !bytes.is_empty() {
            // Most bytes are plain: take them in runs.
            let plain = bytes.iter().position(|&byte| byte < 0x20 || byte == 0x7f);
            let (run, rest) = bytes.split_at(plain.unwrap_or(bytes.len()));
            self.run(settings, run);
            match rest.split_first() {
                Some((&byte, rest)) => {
                    self.control(settings, byte);
                    bytes = rest;
                }
                None => break,
            }
        }
    }

    fn run(&mut self, settings: &Termios, run: &[u8]) {
        if settings.output.contains(Flags::OLCUC) {
            self.bytes.extend(run.iter().map(u8::to_ascii_uppercase));
        } else {
            self.bytes.extend(run);
        }
        let utf8 = settings.input.contains(Input::IUTF8);
        self.column += if utf8 {
            run.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
        } else {
            run.len()
        };
    }

    fn control(&mut self, settings: &Termios, byte: u8) {
        let flags = settings.output;
        match byte {
            b'\n' => {
                if flags.contains(Flags::ONLCR) {
                    self.bytes.push_back(b'\r');
                    self.column = 0;
                } else if flags.contains(Flags::ONLRET) {
                    self.column = 0;
                }
                self.bytes.push_back(b'\n');
            }
            b'\r' if flags.contains(Flags::ONOCR) && self.column == 0 => {}
            b'\r' if flags.contains(Flags::OCRNL) => {
                if flags.contains(Flags::ONLRET) {
                    self.column = 0;
                }
                self.bytes.push_back(b'\n');
            }
            b'\r' => {
                self.column = 0;
                self.bytes.push_back(b'\r');
            }
            b'\t' => {
                let width = TAB - self.column % TAB;
                self.column += width;
                if flags.contains(Flags::XTABS) {
                    self.bytes.extend(core::iter::repeat_n(b' ', width));
                } else {
                    self.bytes.push_back(b'\t');
                }
            }
            b'\x08' => {
                self.column = self.column.saturating_sub(1);
                self.bytes.push_back(b'\x08');
            }
            _ => self.bytes.push_back(byte),
        }
    }

    /// Queues a byte as it is, for the line and not for the screen (VSTOP, VSTART).
    pub fn send(&mut self, byte: u8) {
        self.bytes.push_back(byte);
    }

    /// Gives the queue to `take` until that takes no more.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8]) -> usize) {
        while !self.stopped && !self.bytes.is_empty() {
            let (front, _) = self.bytes.as_slices();
            let offered = front.len();
            let taken = take(front).min(offered);
            self.bytes.drain(..taken);
            if taken < offered {
                return;
            }
        }
        if self.bytes.is_empty() && self.bytes.capacity() > 1024 {
            self.bytes = VecDeque::new();
        }
    }

    /// Drops what waits.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}
