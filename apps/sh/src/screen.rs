//! What the terminal has to be told to show the line: as little as possible, over as many rows as it takes.

use crate::line::Line;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// What the terminal shows of the line.
#[derive(Clone, Debug)]
pub struct Screen {
    columns: usize,
    /// The row of the cursor, counted from the first row of the prompt.
    row: usize,
    /// What was drawn last, if the cursor was left at its end and not at the edge.
    drawn: Option<Vec<char>>,
}

/// A place on the screen, relative to the start of the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    row: usize,
    column: usize,
}

impl Screen {
    /// A screen of this width, with the cursor at the start of a row. Widths that make no sense become 80.
    pub fn new(columns: usize) -> Screen {
        Screen {
            columns: if (2..=1000).contains(&columns) {
                columns
            } else {
                80
            },
            row: 0,
            drawn: None,
        }
    }

    /// Shows prompt and line, the cursor at its place.
    pub fn draw(&mut self, prompt: &str, line: &Line) -> String {
        let shown: Vec<char> = prompt
            .chars()
            .chain(line.characters().iter().copied())
            .collect();
        let before = prompt.chars().count() + line.cursor();
        let (mut place, mut cursor) = (Place::default(), Place::default());
        for (number, character) in shown.iter().enumerate() {
            if number == before {
                cursor = place;
            }
            place = self.advance(place, *character);
        }
        let at_end = before >= shown.len();
        if at_end {
            cursor = place;
        }
        let mut out = match &self.drawn {
            Some(drawn) if at_end && shown.starts_with(drawn) => {
                shown.iter().skip(drawn.len()).collect()
            }
            _ => {
                let mut out = self.home();
                out.push_str("\x1b[J");
                out.extend(&shown);
                out
            }
        };
        // A terminal that has filled a row waits at its edge; this makes it go on.
        let wraps = place.column == 0 && place.row > 0;
        if wraps {
            out.push_str(" \r\x1b[K");
        }
        if !at_end {
            move_up(&mut out, place.row - cursor.row);
            out.push('\r');
            if cursor.column > 0 {
                // Writing to a string cannot fail.
                let _ = write!(out, "\x1b[{}C", cursor.column);
            }
        }
        self.row = cursor.row;
        self.drawn = (at_end && !wraps).then_some(shown);
        out
    }

    /// Shows the whole line with `mark` behind it, and goes to the row after it.
    pub fn leave(&mut self, prompt: &str, line: &Line, mark: &str) -> String {
        let mut end = line.clone();
        end.go_to(usize::MAX);
        let mut out = self.draw(prompt, &end);
        out.push_str(mark);
        out.push_str("\r\n");
        *self = Screen::new(self.columns);
        out
    }

    /// Empties the screen.
    pub fn clear(&mut self) -> String {
        *self = Screen::new(self.columns);
        "\x1b[H\x1b[2J".into()
    }

    fn home(&self) -> String {
        let mut out = String::new();
        move_up(&mut out, self.row);
        out.push('\r');
        out
    }

    /// Where the next character goes after this one.
    fn advance(&self, place: Place, character: char) -> Place {
        let width = width(character);
        let mut place = place;
        if place.column + width > self.columns {
            place = Place {
                row: place.row + 1,
                column: 0,
            };
        }
        place.column += width;
        if place.column == self.columns {
            place = Place {
                row: place.row + 1,
                column: 0,
            };
        }
        place
    }
}

fn move_up(out: &mut String, rows: usize) {
    if rows > 0 {
        // Writing to a string cannot fail.
        let _ = write!(out, "\x1b[{rows}A");
    }
}

/// Columns that a character takes: the blocks that terminals agree on (Unicode, UAX 11 and general category Mn).
fn width(character: char) -> usize {
    match character as u32 {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => {
            2
        }
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::editor::Editor;
    use crate::history::History;
    use crate::keys::Key;
    use proptest::prelude::*;

    /// A terminal with a few rows that understands what the screen sends.
    struct Terminal {
        columns: usize,
        cells: Vec<Vec<char>>,
        row: usize,
        column: usize,
        /// A row is full and the next character goes to the next one.
        waiting: bool,
    }

    impl Terminal {
        fn new(columns: usize) -> Terminal {
            Terminal {
                columns,
                cells: vec![vec![' '; columns]; 200],
                row: 0,
                column: 0,
                waiting: false,
            }
        }

        fn show(&mut self, text: &str) {
            let mut characters = text.chars();
            while let Some(character) = characters.next() {
                match character {
                    '\r' => (self.column, self.waiting) = (0, false),
                    '\n' => (self.row, self.waiting) = (self.row + 1, false),
                    '\x1b' => {
                        assert_eq!(characters.next(), Some('['));
                        let rest = characters.as_str();
                        let digits = rest.len()
                            - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                        let number = rest[..digits].parse().unwrap_or(1);
                        characters = rest[digits..].chars();
                        self.waiting = false;
                        match characters.next() {
                            Some('A') => self.row -= number,
                            Some('C') => self.column += number,
                            Some('J') => {
                                self.cells[self.row][self.column..].fill(' ');
                                self.cells[self.row + 1..]
                                    .iter_mut()
                                    .for_each(|row| row.fill(' '));
                            }
                            Some('K') => self.cells[self.row][self.column..].fill(' '),
                            other => panic!("sequence {other:?}"),
                        }
                    }
                    plain => {
                        if self.waiting {
                            (self.row, self.column, self.waiting) = (self.row + 1, 0, false);
                        }
                        self.cells[self.row][self.column] = plain;
                        self.waiting = self.column + 1 == self.columns;
                        self.column += usize::from(!self.waiting);
                    }
                }
            }
        }

        fn text(&self) -> String {
            let all: String = self.cells.iter().flatten().collect();
            all.trim_end().into()
        }
    }

    #[test]
    fn typing_at_the_end_sends_only_the_character() {
        let mut screen = Screen::new(80);
        assert_eq!(screen.draw("$ ", &Line::new("l")), "\r\x1b[J$ l");
        assert_eq!(screen.draw("$ ", &Line::new("ls")), "s");
        assert_eq!(screen.draw("$ ", &Line::new("l")), "\r\x1b[J$ l");
        assert_eq!(screen.leave("$ ", &Line::new("ls"), "^C"), "s^C\r\n");
    }

    #[test]
    fn wide_characters_do_not_break_the_edge() {
        let screen = Screen::new(3);
        let mut place = Place::default();
        for character in "a日本".chars() {
            place = screen.advance(place, character);
        }
        assert_eq!(place, Place { row: 1, column: 2 });
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            6 => prop::char::range('a', 'z').prop_map(Key::Character),
            1 => prop::sample::select(vec![
                Key::Left, Key::Right, Key::Home, Key::End, Key::Backspace, Key::Delete, Key::Up, Key::Down,
                Key::Control('k'), Key::Control('u'), Key::Control('w'), Key::Control('y'), Key::Control('r'),
            ]),
        ]
    }

    proptest! {
        /// Whatever is typed, the terminal shows the line, and the cursor where the next character will go.
        #[test]
        fn the_terminal_shows_the_line(keys in prop::collection::vec(key(), 0..120), columns in 2usize..30) {
            let mut history = History::default();
            history.add("a line of some length from the history");
            let mut editor = Editor::default();
            let mut screen = Screen::new(columns);
            let mut terminal = Terminal::new(columns);
            for key in keys {
                editor.key(key, &mut history);
                let prompt = editor.prompt().unwrap_or("$> ".into());
                terminal.show(&screen.draw(&prompt, editor.line()));
                let expected = prompt.clone() + &editor.line().text();
                prop_assert_eq!(terminal.text(), expected.trim_end());
                let cursor = prompt.chars().count() + editor.line().cursor();
                prop_assert_eq!(terminal.row * columns + terminal.column, cursor);
            }
            let prompt = editor.prompt().unwrap_or("$> ".into());
            terminal.show(&screen.leave(&prompt, editor.line(), "^C"));
            prop_assert_eq!(terminal.column, 0);
        }
    }
}
