//! The line discipline: what is typed becomes lines, echo and signals.
//!
//! The one idea: this is a pure state machine. A byte goes in; the line being edited changes, echo goes to the
//! [`Output`], and an [`Effect`] says what the rest of the world should hear of. It knows no locks, no time and no
//! processes.
//!
//! Behaviour: POSIX chapter 11, termios(3); where they leave it open, what Linux's n_tty does.

use crate::editing::Line;
use crate::output::Output;
use crate::signal;
use crate::termios::{Input, Local, Termios, index};
use alloc::collections::VecDeque;
use object::Sink;

/// The longest line that can be edited, with its end.
pub const LINE_MAX: usize = 4096;
/// Finished bytes that may wait for a reader before more input is refused.
const WAITING_MAX: usize = 64 << 10;

/// What a byte does beyond the line and the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// This signal for the foreground group.
    Signal(u8),
}

/// The state between two bytes.
pub struct LineDiscipline {
    settings: Termios,
    /// The line being edited.
    line: Line,
    /// Finished input.
    waiting: VecDeque<u8>,
    /// How many bytes have been read since the beginning of time.
    consumed: u64,
    /// Where finished lines end, counted like `consumed`. An end with no bytes before it is an end of file.
    ends: VecDeque<u64>,
    /// The next byte has no special meaning.
    literal: bool,
}

impl LineDiscipline {
    pub fn new() -> LineDiscipline {
        LineDiscipline {
            settings: Termios::default(),
            line: Line::new(),
            waiting: VecDeque::new(),
            consumed: 0,
            ends: VecDeque::new(),
            literal: false,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Termios {
        &self.settings
    }

    /// Changes the settings. What was typed stays: a half line becomes readable when lines are switched off, and what
    /// waits becomes one line when they are switched on.
    pub fn set(&mut self, settings: Termios, output: &mut Output) {
        let before = core::mem::replace(&mut self.settings, settings);
        if before.canonical() && !settings.canonical() {
            self.waiting.extend(self.line.take());
            self.ends.clear();
        } else if !before.canonical() && settings.canonical() {
            self.ends.clear();
            if !self.waiting.is_empty() {
                self.ends.push_back(self.end());
            }
        }
        if !settings.input.contains(Input::IXON) {
            output.stopped = false;
        }
        self.literal = false;
    }

    fn end(&self) -> u64 {
        self.consumed + self.waiting.len() as u64
    }

    /// Whether another byte can be taken.
    pub fn takes_input(&self) -> bool {
        self.waiting.len() < WAITING_MAX && self.ends.len() < WAITING_MAX
    }

    /// Takes one byte that came in.
    pub fn input(&mut self, byte: u8, output: &mut Output) -> Effect {
        let settings = self.settings;
        let flags = settings.input;
        let mut byte = byte;
        if flags.contains(Input::ISTRIP) {
            byte &= 0x7f;
        }
        if flags.contains(Input::IUCLC) && settings.local.contains(Local::IEXTEN) {
            byte.make_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            self.keep(byte, output);
            return Effect::None;
        }
        if flags.contains(Input::IXON) {
            if settings.is(byte, index::VSTART) {
                output.stopped = false;
                return Effect::None;
            }
            if settings.is(byte, index::VSTOP) {
                output.stopped = true;
                return Effect::None;
            }
            if flags.contains(Input::IXANY) {
                output.stopped = false;
            }
        }
        if settings.local.contains(Local::ISIG)
            && let Some(signal) = self.signal_of(byte)
        {
            if !settings.local.contains(Local::NOFLSH) {
                self.flush();
                output.clear();
            }
            // A signal must be able to end what stopped the output.
            output.stopped = false;
            self.echo(byte, output);
            return Effect::Signal(signal);
        }
        match byte {
            b'\r' if flags.contains(Input::IGNCR) => return Effect::None,
            b'\r' if flags.contains(Input::ICRNL) => byte = b'\n',
            b'\n' if flags.contains(Input::INLCR) => byte = b'\r',
            _ => {}
        }
        if settings.canonical() {
            self.edit(byte, output);
        } else {
            self.keep(byte, output);
        }
        Effect::None
    }

    /// A break came in.
    pub fn line_break(&mut self, output: &mut Output) -> Effect {
        let flags = self.settings.input;
        if flags.contains(Input::IGNBRK) {
            return Effect::None;
        }
        if flags.contains(Input::BRKINT) {
            self.flush();
            output.clear();
            return Effect::Signal(signal::INTERRUPT);
        }
        self.keep(0, output);
        Effect::None
    }

    fn signal_of(&self, byte: u8) -> Option<u8> {
        [
            (index::VINTR, signal::INTERRUPT),
            (index::VQUIT, signal::QUIT),
            (index::VSUSP, signal::STOP),
        ]
        .into_iter()
        .find(|&(place, _)| self.settings.is(byte, place))
        .map(|(_, signal)| signal)
    }

    /// A byte while lines are edited.
    fn edit(&mut self, byte: u8, output: &mut Output) {
        let settings = self.settings;
        let extended = settings.local.contains(Local::IEXTEN);
        if settings.is(byte, index::VERASE) {
            self.line.erase(&settings, byte, output);
        } else if settings.is(byte, index::VKILL) {
            self.line.kill(&settings, byte, output);
        } else if extended && settings.is(byte, index::VWERASE) {
            self.line.erase_word(&settings, byte, output);
        } else if extended && settings.is(byte, index::VREPRINT) {
            if settings.local.contains(Local::ECHO) {
                self.line.reprint(&settings, byte, output);
            }
        } else if extended && settings.is(byte, index::VLNEXT) {
            self.literal = true;
            if settings.local.contains(Local::ECHO | Local::ECHOCTL) {
                output.write(&settings, b"^\x08");
            }
        } else if byte == b'\n' {
            if settings.local.intersects(Local::ECHO | Local::ECHONL) && output.takes_echo() {
                output.write(&settings, b"\n");
            }
            self.finish(Some(byte));
        } else if settings.is(byte, index::VEOF) {
            self.finish(None);
        } else if settings.is(byte, index::VEOL) || (extended && settings.is(byte, index::VEOL2)) {
            self.echo(byte, output);
            self.finish(Some(byte));
        } else {
            self.keep(byte, output);
        }
    }

    /// A byte that is input and nothing else.
    fn keep(&mut self, byte: u8, output: &mut Output) {
        let settings = self.settings;
        let doubled = byte == 0xff && settings.input.contains(Input::PARMRK);
        let count = 1 + usize::from(doubled);
        if settings.canonical() {
            // The last place is for the end of the line.
            if self.line.len() + count >= LINE_MAX {
                if settings.input.contains(Input::IMAXBEL) && output.takes_echo() {
                    output.write(&settings, b"\x07");
                }
                return;
            }
            if self.line.len() == 0 {
                self.line.begin(output.column());
            }
            for _ in 0..count {
                self.line.push(byte);
            }
        } else {
            self.waiting.extend(core::iter::repeat_n(byte, count));
        }
        self.echo(byte, output);
    }

    fn echo(&mut self, byte: u8, output: &mut Output) {
        if self.settings.local.contains(Local::ECHO) && output.takes_echo() {
            crate::editing::show(&self.settings, byte, output);
        }
    }

    /// The line ends, with this byte or without one.
    fn finish(&mut self, last: Option<u8>) {
        self.waiting.extend(self.line.take());
        self.waiting.extend(last);
        self.ends.push_back(self.end());
    }

    /// How many bytes a reader could have now (of all finished lines).
    pub fn available(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a read gives something: bytes, or an end of file. `least` is VMIN, or less if the reader wants less.
    pub fn is_readable(&self, least: usize) -> bool {
        if self.settings.canonical() {
            !self.ends.is_empty()
        } else {
            self.waiting.len() >= least.max(1)
        }
    }

    /// Gives a reader what there is: of lines, at most one. `None`: there is no finished line. An end of file is
    /// `Some(0)`, once.
    pub fn read(&mut self, sink: &mut dyn Sink) -> Option<usize> {
        let mut left = self.waiting.len();
        if self.settings.canonical() {
            let end = *self.ends.front()?;
            left = (end - self.consumed) as usize;
        }
        let mut done = 0;
        while done < left && sink.room() > 0 {
            let (front, _) = self.waiting.as_slices();
            let part = front.get(..(left - done).min(front.len())).unwrap_or(front);
            let put = sink.put(part);
            self.waiting.drain(..put);
            self.consumed += put as u64;
            done += put;
            if put == 0 {
                break;
            }
        }
        if self.ends.front() == Some(&self.consumed) {
            self.ends.pop_front();
        }
        if self.waiting.is_empty() && self.waiting.capacity() > 256 {
            self.waiting = VecDeque::new();
        }
        Some(done)
    }

    /// Drops all input, finished or not.
    pub fn flush(&mut self) {
        self.consumed += self.waiting.len() as u64;
        self.waiting.clear();
        self.ends.clear();
        self.line.take().for_each(drop);
        self.literal = false;
    }

    /// Whether so much waits that the other side should be told to stop (`true`) or may go on (`false`).
    pub fn is_nearly_full(&self) -> Option<bool> {
        let waiting = self.waiting.len() + self.line.len();
        if waiting > WAITING_MAX / 4 * 3 {
            Some(true)
        } else if waiting < WAITING_MAX / 4 {
            Some(false)
        } else {
            None
        }
    }
}

impl Default for LineDiscipline {
    fn default() -> Self {
        LineDiscipline::new()
    }
}
