//! What a terminal does with keys, byte by byte.

use crate::discipline::{Effect, LINE_MAX, LineDiscipline};
use crate::output::Output;
use crate::signal;
use crate::termios::{Input, Local, Output as OutputFlags, Termios, index};
use object::SliceSink;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

/// A terminal without a line: what would be sent is kept.
struct Desk {
    discipline: LineDiscipline,
    output: Output,
    signals: Vec<u8>,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            discipline: LineDiscipline::new(),
            output: Output::new(),
            signals: Vec::new(),
        }
    }

    fn with(change: impl FnOnce(&mut Termios)) -> Desk {
        let mut desk = Desk::new();
        desk.set(change);
        desk
    }

    fn set(&mut self, change: impl FnOnce(&mut Termios)) {
        let mut settings = *self.discipline.settings();
        change(&mut settings);
        self.discipline.set(settings, &mut self.output);
    }

    fn type_in(&mut self, bytes: impl AsRef<[u8]>) {
        for &byte in bytes.as_ref() {
            if let Effect::Signal(signal) = self.discipline.input(byte, &mut self.output) {
                self.signals.push(signal);
            }
        }
    }

    /// What the screen got since the last look.
    fn shown(&mut self) -> String {
        let mut shown = Vec::new();
        self.output.drain(|bytes| {
            shown.extend_from_slice(bytes);
            bytes.len()
        });
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// One read of up to `count` bytes; `None` if it would wait.
    fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        if !self.discipline.is_readable(1) {
            return None;
        }
        let mut bytes = std::vec![0; count];
        let count = self.discipline.read(&mut SliceSink::new(&mut bytes))?;
        bytes.truncate(count);
        Some(bytes)
    }

    fn line(&mut self) -> Option<String> {
        Some(String::from_utf8(self.read(5000)?).unwrap())
    }
}

/// What the screen shows after these bytes, on one row: for checking that erasing takes back what was shown.
fn screen(bytes: &str) -> String {
    let mut row: Vec<char> = Vec::new();
    let mut column: usize = 0;
    for character in bytes.chars() {
        match character {
            '\x08' => column = column.saturating_sub(1),
            '\t' => column += 8 - column % 8,
            '\r' => column = 0,
            '\n' => {
                row.clear();
                column = 0;
            }
            character => {
                if row.len() <= column {
                    row.resize(column + 1, ' ');
                }
                row[column] = character;
                column += 1;
            }
        }
    }
    row.truncate(column);
    row.into_iter().collect()
}

#[test]
fn lines_come_whole() {
    let mut desk = Desk::new();
    desk.type_in("hel");
    assert_eq!(desk.line(), None);
    desk.type_in("lo\rsecond\n");
    assert_eq!(desk.shown(), "hello\r\nsecond\r\n");
    assert_eq!(desk.line().unwrap(), "hello\n");
    // A short read leaves the rest of the line for the next.
    assert_eq!(desk.read(3).unwrap(), b"sec");
    assert_eq!(desk.line().unwrap(), "ond\n");
    assert_eq!(desk.line(), None);
}

#[test]
fn the_end_of_file_ends_a_read() {
    let mut desk = Desk::new();
    desk.type_in("\x04");
    assert_eq!(desk.line().unwrap(), "");
    assert_eq!(desk.line(), None);
    // In the middle of a line it ends the line, and is no end of file, however much is read at once.
    desk.type_in("abc\x04");
    assert_eq!(desk.read(3).unwrap(), b"abc");
    assert_eq!(desk.line(), None);
    desk.type_in("x\x04\x04y\n");
    assert_eq!(desk.line().unwrap(), "x");
    assert_eq!(desk.line().unwrap(), "");
    assert_eq!(desk.line().unwrap(), "y\n");
    assert_eq!(desk.shown(), "abcxy\r\n");
}

#[test]
fn other_ends_of_lines() {
    let mut desk = Desk::with(|settings| {
        settings.characters[index::VEOL] = b';';
        settings.characters[index::VEOL2] = b'|';
    });
    desk.type_in("a;b|c\n");
    assert_eq!(desk.line().unwrap(), "a;");
    assert_eq!(desk.line().unwrap(), "b|");
    assert_eq!(desk.line().unwrap(), "c\n");
    assert_eq!(desk.shown(), "a;b|c\r\n");
}

#[test]
fn the_last_character_is_erased() {
    let mut desk = Desk::new();
    desk.type_in("ab\x7f");
    assert_eq!(desk.shown(), "ab\x08 \x08");
    // Control characters are shown as two and go as two; multi-byte characters go whole.
    desk.type_in("\x01\x7f");
    assert_eq!(desk.shown(), "^A\x08 \x08\x08 \x08");
    desk.type_in("ä€😀\x7f\x7f\x7f");
    assert_eq!(desk.shown(), "ä€😀\x08 \x08\x08 \x08\x08 \x08");
    desk.type_in("\x7f\x7f\x7f\n");
    assert_eq!(desk.line().unwrap(), "\n");
}

#[test]
fn tabs_are_erased_to_where_they_began() {
    let mut desk = Desk::new();
    desk.output.write(&Termios::default(), b"$ ");
    desk.type_in("ab\tc\x7f\x7fx\n");
    let shown = desk.shown();
    assert_eq!(screen(&shown[..shown.len() - 2]), "$ abx");
    assert_eq!(desk.line().unwrap(), "abx\n");
}

#[test]
fn words_and_lines_are_erased() {
    let mut desk = Desk::new();
    desk.type_in("one  two_3 --\x17");
    assert_eq!(screen(&desk.shown()), "one  ");
    desk.type_in("\x17four\x15five\n");
    assert_eq!(desk.line().unwrap(), "five\n");
    let mut plain = Desk::with(|settings| settings.local.remove(Local::ECHOKE | Local::ECHOE));
    plain.type_in("one\x7f\x15two\n");
    assert_eq!(plain.shown(), "one^?^U\r\ntwo\r\n");
    assert_eq!(plain.line().unwrap(), "two\n");
    let mut silent = Desk::with(|settings| settings.local.remove(Local::ECHO));
    silent.type_in("one\x7f\x17\x15two\n");
    assert_eq!(silent.shown(), "");
    assert_eq!(silent.line().unwrap(), "two\n");
    let mut newline = Desk::with(|settings| {
        settings.local.remove(Local::ECHO);
        settings.local.insert(Local::ECHONL);
    });
    newline.type_in("secret\n");
    assert_eq!(newline.shown(), "\r\n");
}

#[test]
fn a_line_can_be_shown_again() {
    let mut desk = Desk::new();
    desk.type_in("a\tb\x12");
    assert_eq!(desk.shown(), "a\tb^R\r\na\tb");
}

#[test]
fn the_next_character_can_be_literal() {
    let mut desk = Desk::new();
    desk.type_in("a\x16\x03\x16\x7f\x16\nb\n");
    assert_eq!(desk.line().unwrap(), "a\x03\x7f\nb\n");
    assert!(desk.signals.is_empty());
    assert_eq!(desk.shown(), "a^\x08^C^\x08^?^\x08^Jb\r\n");
}

#[test]
fn keys_send_signals_and_drop_what_was_typed() {
    let mut desk = Desk::new();
    desk.type_in("done\nhalf\x03\x1c\x1a");
    assert_eq!(
        desk.signals,
        [signal::INTERRUPT, signal::QUIT, signal::STOP]
    );
    assert_eq!(desk.line(), None);
    assert_eq!(desk.shown(), "^Z");
    let mut kept = Desk::with(|settings| settings.local.insert(Local::NOFLSH));
    kept.type_in("done\n\x03");
    assert_eq!(kept.line().unwrap(), "done\n");
    assert_eq!(kept.shown(), "done\r\n^C");
    let mut raw = Desk::with(|settings| settings.local.remove(Local::ISIG));
    raw.type_in("\x03\n");
    assert_eq!(raw.line().unwrap(), "\x03\n");
}

#[test]
fn output_stops_and_starts() {
    let mut desk = Desk::new();
    desk.type_in("a\x13b");
    assert_eq!(desk.shown(), "");
    desk.type_in("\x11");
    assert_eq!(desk.shown(), "ab");
    // An interrupt must be able to end what stopped it.
    desk.type_in("\x13\x03");
    assert_eq!(desk.shown(), "^C");
    desk.type_in("\x13x");
    desk.set(|settings| settings.input.insert(Input::IXANY));
    desk.type_in("y");
    assert_eq!(desk.shown(), "xy");
    desk.set(|settings| settings.input.remove(Input::IXON));
    desk.type_in("\x13\n");
    assert_eq!(desk.line().unwrap(), "xy\x13\n");
}

#[test]
fn input_is_translated() {
    let cases: [(Input, &[u8], &[u8]); 5] = [
        (Input::ICRNL, b"\r", b"\n"),
        (Input::empty(), b"\r", b"\r"),
        (Input::IGNCR | Input::ICRNL, b"a\rb", b"ab"),
        (Input::INLCR, b"\n", b"\r"),
        (Input::ISTRIP | Input::PARMRK, b"\xe1\xff", b"a\x7f"),
    ];
    for (flags, typed, expected) in cases {
        let mut desk = Desk::with(|settings| {
            settings.input = flags;
            settings.local = Local::empty();
        });
        desk.type_in(typed);
        assert_eq!(desk.read(10).unwrap(), expected);
    }
    let mut doubled = Desk::with(|settings| {
        settings.input = Input::PARMRK;
        settings.local = Local::empty();
    });
    doubled.type_in([0xff]);
    assert_eq!(doubled.read(10).unwrap(), [0xff, 0xff]);
}

#[test]
fn a_line_has_a_limit_but_always_an_end() {
    let mut desk = Desk::with(|settings| settings.input.insert(Input::IMAXBEL));
    desk.type_in(std::vec![b'x'; LINE_MAX + 100]);
    assert_eq!(desk.shown().matches('\x07').count(), 101);
    desk.type_in("\n");
    assert_eq!(desk.line().unwrap().len(), LINE_MAX);
}

#[test]
fn changing_between_lines_and_keys_loses_nothing() {
    let mut desk = Desk::new();
    desk.type_in("whole\nhalf");
    desk.set(|settings| settings.local.remove(Local::ICANON));
    assert_eq!(desk.line().unwrap(), "whole\nhalf");
    desk.type_in("keys");
    desk.set(|settings| settings.local.insert(Local::ICANON));
    desk.type_in("more\n");
    assert_eq!(desk.line().unwrap(), "keys");
    assert_eq!(desk.line().unwrap(), "more\n");
    desk.set(|settings| settings.local.remove(Local::ICANON | Local::ECHO));
    desk.shown();
    desk.type_in("\x04\x7f\x15");
    assert_eq!(
        (desk.read(10).unwrap(), desk.shown()),
        (std::vec![4, 0x7f, 0x15], String::new())
    );
    assert!(!desk.discipline.is_readable(0));
}

#[test]
fn a_break_interrupts_or_is_a_zero() {
    let mut desk = Desk::new();
    assert_eq!(desk.discipline.line_break(&mut desk.output), Effect::None);
    desk.type_in("\n");
    assert_eq!(desk.line().unwrap(), "\0\n");
    desk.set(|settings| settings.input.insert(Input::BRKINT));
    let effect = desk.discipline.line_break(&mut desk.output);
    assert_eq!(effect, Effect::Signal(signal::INTERRUPT));
    desk.set(|settings| settings.input.insert(Input::IGNBRK));
    assert_eq!(desk.discipline.line_break(&mut desk.output), Effect::None);
}

#[test]
fn output_is_processed() {
    let show = |flags: OutputFlags, bytes: &[u8]| {
        let mut output = Output::new();
        output.write(
            &Termios {
                output: OutputFlags::OPOST | flags,
                ..Termios::default()
            },
            bytes,
        );
        let mut sent = Vec::new();
        output.drain(|bytes| {
            sent.extend_from_slice(bytes);
            bytes.len()
        });
        (String::from_utf8(sent).unwrap(), output.column())
    };
    let shown = |text: &str, column| (String::from(text), column);
    assert_eq!(
        show(OutputFlags::ONLCR, b"ab\ncd\n\n"),
        shown("ab\r\ncd\r\n\r\n", 0)
    );
    assert_eq!(show(OutputFlags::empty(), b"ab\n"), shown("ab\n", 2));
    assert_eq!(show(OutputFlags::ONLRET, b"ab\n"), shown("ab\n", 0));
    assert_eq!(show(OutputFlags::OCRNL, b"ab\rc"), shown("ab\nc", 3));
    assert_eq!(show(OutputFlags::ONOCR, b"\rab\r\r"), shown("ab\r", 0));
    assert_eq!(
        show(OutputFlags::XTABS, b"a\tb\x08\t"),
        shown("a       b\x08        ", 16)
    );
    assert_eq!(show(OutputFlags::OLCUC, b"abC"), shown("ABC", 3));
    assert_eq!(
        show(OutputFlags::ONLCR, "ä€\x1b[1m".as_bytes()),
        shown("ä€\x1b[1m", 5)
    );
}

/// What a person would say the line is: characters, with erasing and killing done on them.
fn model(typed: &[char]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line: Vec<char> = Vec::new();
    for &key in typed {
        match key {
            '\n' => lines.push(line.drain(..).chain(['\n']).collect()),
            '\x04' => lines.push(line.drain(..).collect()),
            '\x7f' => drop(line.pop()),
            '\x15' => line.clear(),
            key => line.push(key),
        }
    }
    lines
}

fn keys() -> impl Strategy<Value = Vec<char>> {
    let key = proptest::sample::select(std::vec![
        'a', 'b', ' ', '_', '\t', 'ä', '€', '😀', '\x01', '\x7f', '\x7f', '\x15', '\n', '\x04',
    ]);
    proptest::collection::vec(key, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn editing_is_what_a_person_would_say(typed in keys(), size in 1..40usize) {
        let mut desk = Desk::new();
        desk.type_in(typed.iter().collect::<String>());
        for expected in model(&typed) {
            let mut line = Vec::new();
            while line.len() < expected.len() {
                line.extend(desk.read(size).unwrap());
            }
            if expected.is_empty() {
                prop_assert_eq!(desk.read(size).unwrap(), b"");
            }
            prop_assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
        prop_assert_eq!(desk.read(size), None);
    }

    /// After any editing, the screen shows exactly the line that is left.
    #[test]
    fn the_screen_shows_the_line(typed in keys(), prompt in 0..10usize) {
        let typed: Vec<char> = typed.into_iter().filter(|key| !matches!(key, '\n' | '\x04')).collect();
        let mut edited = Desk::new();
        let prompt = "$".repeat(prompt);
        edited.output.write(&Termios::default(), prompt.as_bytes());
        edited.type_in(typed.iter().collect::<String>());
        edited.type_in("\x04");
        let left = edited.line().unwrap();
        let mut fresh = Desk::new();
        fresh.output.write(&Termios::default(), prompt.as_bytes());
        fresh.type_in(&left);
        let (seen, expected) = (screen(&edited.shown()), screen(&fresh.shown()));
        prop_assert_eq!(seen.trim_end(), expected.trim_end());
    }

    /// Whatever bytes and settings, nothing panics, and what is kept stays bounded.
    #[test]
    fn any_bytes_under_any_settings(
        steps in proptest::collection::vec((any::<[u32; 3]>(), any::<[u8; 8]>(), proptest::collection::vec(any::<u8>(), 0..200)), 1..10),
    ) {
        let mut desk = Desk::new();
        for (flags, characters, bytes) in steps {
            desk.set(|settings| {
                settings.input = Input::from_bits_retain(flags[0]);
                settings.output = OutputFlags::from_bits_retain(flags[1]);
                settings.local = Local::from_bits_retain(flags[2]);
                for (place, character) in characters.into_iter().enumerate() {
                    settings.characters[place * 2] = character;
                }
            });
            desk.type_in(&bytes);
            desk.read(7);
            prop_assert!(desk.output.waiting() < 100_000);
        }
    }
}
