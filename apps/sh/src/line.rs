//! The line being typed: characters and a cursor among them.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest line, in characters. Keys beyond it are ignored.
pub const LONGEST: usize = 16 << 10;

/// Text with a cursor, which is a number of characters from 0 to the length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    characters: Vec<char>,
    cursor: usize,
}

impl Line {
    /// A line with the cursor at its end.
    pub fn new(text: &str) -> Line {
        let characters: Vec<char> = text.chars().take(LONGEST).collect();
        Line {
            cursor: characters.len(),
            characters,
        }
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.characters.iter().collect()
    }

    /// What is in front of the cursor.
    pub fn before(&self) -> String {
        self.characters.iter().take(self.cursor).collect()
    }

    /// The characters.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// How many characters are in front of the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// Puts text in front of the cursor. Control characters and what is too long are left out.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.characters.len());
        let printable: Vec<char> = text
            .chars()
            .filter(|character| !character.is_control())
            .take(room)
            .collect();
        let count = printable.len();
        self.characters.splice(self.cursor..self.cursor, printable);
        self.cursor += count;
    }

    /// Moves the cursor, no further than the ends.
    pub fn go_to(&mut self, place: usize) {
        self.cursor = place.min(self.characters.len());
    }

    /// Takes out what is between the cursor and `place`, and leaves the cursor there.
    pub fn cut_to(&mut self, place: usize) -> String {
        let place = place.min(self.characters.len());
        let (start, end) = (self.cursor.min(place), self.cursor.max(place));
        self.cursor = start;
        self.characters.drain(start..end).collect()
    }

    /// Where the word before the cursor begins, as `is_word` sees words.
    pub fn word_start(&self, is_word: impl Fn(char) -> bool) -> usize {
        let front = self.characters.get(..self.cursor).unwrap_or_default();
        let gap = front
            .iter()
            .rev()
            .take_while(|character| !is_word(**character))
            .count();
        let word = front
            .iter()
            .rev()
            .skip(gap)
            .take_while(|character| is_word(**character))
            .count();
        self.cursor - gap - word
    }

    /// Where the word after the cursor ends, as `is_word` sees words.
    pub fn word_end(&self, is_word: impl Fn(char) -> bool) -> usize {
        let back = self.characters.get(self.cursor..).unwrap_or_default();
        let gap = back
            .iter()
            .take_while(|character| !is_word(**character))
            .count();
        let word = back
            .iter()
            .skip(gap)
            .take_while(|character| is_word(**character))
            .count();
        self.cursor + gap + word
    }
}
