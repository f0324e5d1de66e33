//! What keys do to the line being typed.
//!
//! The editor changes text and says what has to happen; it draws nothing and reads nothing. The keys are those of
//! Emacs, as in most shells.

use crate::complete::Completion;
use crate::history::History;
use crate::keys::Key;
use crate::line::Line;
use alloc::string::String;

/// What has to happen after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing has changed.
    Nothing,
    /// The line has to be drawn again.
    Draw,
    /// The line is complete.
    Submit(String),
    /// The user gave the line up (^C).
    Cancel,
    /// The user wants to leave (^D on an empty line).
    Leave,
    /// The screen has to be cleared and the line drawn.
    Clear,
    /// The word before the cursor has to be completed: see [`Editor::complete`].
    Complete,
}

/// The line being typed, and what the editor remembers from key to key.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    line: Line,
    /// What was cut last.
    cut: String,
    /// The last key was a tab that could not decide.
    undecided: bool,
    search: Option<Search>,
}

/// A search through the history (^R).
#[derive(Clone, Debug, Default)]
struct Search {
    text: String,
    /// Lines to pass over, counted from the newest.
    skip: usize,
    failed: bool,
}

impl Editor {
    /// The line.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What to show in place of the prompt, during a search.
    pub fn prompt(&self) -> Option<String> {
        let search = self.search.as_ref()?;
        let failed = if search.failed { "failed " } else { "" };
        Some(alloc::format!("({failed}search)'{}': ", search.text))
    }

    /// Begins another line.
    pub fn reset(&mut self) {
        self.line = Line::default();
        self.undecided = false;
        self.search = None;
    }

    /// Does what a key means.
    pub fn key(&mut self, key: Key, history: &mut History) -> Action {
        if self.search.is_some() {
            return self.searching(key, history);
        }
        if key != Key::Tab {
            self.undecided = false;
        }
        let (cursor, length) = (self.line.cursor(), self.line.characters().len());
        match key {
            Key::Character(character) => self.line.insert(character.encode_utf8(&mut [0; 4])),
            Key::Enter => {
                let line = self.line.text();
                history.add(&line);
                self.reset();
                return Action::Submit(line);
            }
            Key::Tab => return Action::Complete,
            Key::Control('c') => {
                history.leave();
                self.reset();
                return Action::Cancel;
            }
            Key::Control('d') if self.line.is_empty() => return Action::Leave,
            Key::Control('l') => return Action::Clear,
            Key::Control('r') => self.search = Some(Search::default()),
            Key::Control('y') => self.line.insert(&self.cut),
            Key::Backspace => drop(self.line.cut_to(cursor.saturating_sub(1))),
            Key::Delete | Key::Control('d') => drop(self.line.cut_to(cursor + 1)),
            Key::Control('k') => self.cut = self.line.cut_to(length),
            Key::Control('u') => self.cut = self.line.cut_to(0),
            Key::Control('w') => {
                self.cut = self
                    .line
                    .cut_to(self.line.word_start(|character| character != ' '))
            }
            Key::Alt('\x7f') => {
                self.cut = self
                    .line
                    .cut_to(self.line.word_start(char::is_alphanumeric))
            }
            Key::Alt('d') => self.cut = self.line.cut_to(self.line.word_end(char::is_alphanumeric)),
            Key::Left | Key::Control('b') => self.line.go_to(cursor.saturating_sub(1)),
            Key::Right | Key::Control('f') => self.line.go_to(cursor + 1),
            Key::Home | Key::Control('a') => self.line.go_to(0),
            Key::End | Key::Control('e') => self.line.go_to(length),
            Key::WordLeft | Key::Alt('b') => {
                self.line.go_to(self.line.word_start(char::is_alphanumeric))
            }
            Key::WordRight | Key::Alt('f') => {
                self.line.go_to(self.line.word_end(char::is_alphanumeric))
            }
            Key::Up | Key::Control('p') => return self.show(history.older(&self.line)),
            Key::Down | Key::Control('n') => return self.show(history.newer()),
            Key::Control(_) | Key::Alt(_) | Key::Unknown => return Action::Nothing,
        }
        Action::Draw
    }

    fn show(&mut self, line: Option<Line>) -> Action {
        match line {
            Some(line) => {
                self.line = line;
                Action::Draw
            }
            None => Action::Nothing,
        }
    }

    /// Keys during a search: text narrows it, ^R goes on, ^C and ^G end it; any other key takes the line and works on it.
    fn searching(&mut self, key: Key, history: &mut History) -> Action {
        let Some(mut search) = self.search.take() else {
            return Action::Nothing;
        };
        match key {
            Key::Character(character) => {
                search.text.push(character);
                search.skip = 0;
            }
            Key::Backspace => {
                search.text.pop();
                search.skip = 0;
            }
            Key::Control('r') => search.skip += 1,
            Key::Control('c' | 'g') => {
                self.line = Line::default();
                return Action::Draw;
            }
            other => {
                return match self.key(other, history) {
                    // The prompt is another one now, at least.
                    Action::Nothing => Action::Draw,
                    action => action,
                };
            }
        }
        match history.search(&search.text, search.skip) {
            Some((back, line)) => {
                search.failed = false;
                search.skip = back;
                self.line = Line::new(line);
            }
            None => {
                search.failed = true;
                search.skip = search.skip.saturating_sub(1);
            }
        }
        self.search = Some(search);
        Action::Draw
    }

    /// Inserts what the candidates have in common. True when they should be listed: at the second tab that could not
    /// decide.
    pub fn complete(&mut self, completion: &Completion) -> bool {
        let insertion = completion.insertion();
        if !insertion.is_empty() {
            self.line.insert(&insertion);
            self.undecided = completion.candidates.len() > 1;
            return false;
        }
        core::mem::replace(&mut self.undecided, true) && completion.candidates.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Decoder;
    use proptest::prelude::*;

    fn feed(editor: &mut Editor, history: &mut History, bytes: &[u8]) -> Action {
        let mut decoder = Decoder::default();
        let keys: Vec<Key> = bytes
            .iter()
            .filter_map(|byte| decoder.feed(*byte))
            .collect();
        keys.into_iter()
            .map(|key| editor.key(key, history))
            .last()
            .unwrap_or(Action::Nothing)
    }

    /// What the line is after these bytes.
    fn typed(bytes: &[u8]) -> (String, usize) {
        let (mut editor, mut history) = (Editor::default(), History::default());
        feed(&mut editor, &mut history, bytes);
        (editor.line().text(), editor.line().cursor())
    }

    #[test]
    fn editing() {
        assert_eq!(typed(b"abc"), ("abc".into(), 3));
        assert_eq!(typed(b"abc\x1b[D\x1b[DX"), ("aXbc".into(), 2));
        assert_eq!(typed(b"abc\x01X\x05Y"), ("XabcY".into(), 5));
        assert_eq!(typed(b"abc\x1b[HX\x1b[FY\x1b[1~Z"), ("ZXabcY".into(), 1));
        assert_eq!(typed(b"abc\x7f\x7fd"), ("ad".into(), 2));
        assert_eq!(typed(b"\x7fabc\x01\x04\x1b[3~"), ("c".into(), 0));
        assert_eq!(typed(b"one two three\x17\x17x"), ("one x".into(), 5));
        assert_eq!(
            typed(b"one two\x01\x0b\x19\x19"),
            ("one twoone two".into(), 14)
        );
        assert_eq!(typed(b"one two\x1b[D\x15"), ("o".into(), 0));
        assert_eq!(
            typed(b"/usr/local/bin\x1bb\x1bb\x1bd"),
            ("/usr//bin".into(), 5)
        );
        assert_eq!(
            typed(b"a b\x1b[1;5D\x1b[1;5D\x1b[1;5C!"),
            ("a! b".into(), 2)
        );
        assert_eq!(typed("é€\x1b[D😀".as_bytes()), ("é😀€".into(), 2));
    }

    #[test]
    fn leaving() {
        let (mut editor, mut history) = (Editor::default(), History::default());
        assert_eq!(
            feed(&mut editor, &mut history, b"ls\r"),
            Action::Submit("ls".into())
        );
        assert!(editor.line().is_empty());
        assert_eq!(feed(&mut editor, &mut history, b"xy\x03"), Action::Cancel);
        assert_eq!(feed(&mut editor, &mut history, b"\x04"), Action::Leave);
        assert_eq!(feed(&mut editor, &mut history, b"\x0c"), Action::Clear);
        assert_eq!(feed(&mut editor, &mut history, b"\x1b[A"), Action::Draw);
        assert_eq!(editor.line().text(), "ls");
        assert_eq!(feed(&mut editor, &mut history, b"\x1b[A"), Action::Nothing);
        assert_eq!(feed(&mut editor, &mut history, b"\x1b[B"), Action::Draw);
        assert!(editor.line().is_empty());
    }

    #[test]
    fn searching() {
        let (mut editor, mut history) = (Editor::default(), History::default());
        for line in ["ls /bin", "cat x", "ls /dev"] {
            history.add(line);
        }
        feed(&mut editor, &mut history, b"\x12ls");
        assert_eq!(
            (editor.line().text(), editor.prompt()),
            ("ls /dev".into(), Some("(search)'ls': ".into()))
        );
        feed(&mut editor, &mut history, b"\x12");
        assert_eq!(editor.line().text(), "ls /bin");
        feed(&mut editor, &mut history, b"\x12");
        assert_eq!(editor.prompt(), Some("(failed search)'ls': ".into()));
        assert_eq!(
            feed(&mut editor, &mut history, b"\r"),
            Action::Submit("ls /bin".into())
        );
    }

    proptest! {
        #[test]
        fn no_keys_break_it(bytes in any::<Vec<u8>>()) {
            let (mut editor, mut history) = (Editor::default(), History::default());
            let mut decoder = Decoder::default();
            for byte in bytes {
                if let Some(key) = decoder.feed(byte) {
                    editor.key(key, &mut history);
                    prop_assert!(editor.line().cursor() <= editor.line().characters().len());
                }
            }
        }
    }
}
