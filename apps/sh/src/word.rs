//! Words as they are written: literal text, quoted or not, and variables.
//!
//! Quotes are gone after reading a word, but each part remembers whether it was quoted: quoted text is neither split
//! nor a pattern.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Text { text: String, quoted: bool },
    /// A variable's name (or `?`, `$`, `#`, `@`, `*`, a digit), without `$` and braces.
    Variable { name: String, quoted: bool },
}

/// A word: parts without space between them. A word without parts, or with empty ones, comes from `""`.
pub type Word = Vec<Part>;

/// Why text cannot be read as commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends within something that the next line could complete.
    Incomplete,
    /// Something that may not stand where it does.
    Unexpected(String),
    /// `${` without a name and `}`.
    BadVariable,
    /// A feature of other shells that this one has not.
    Unsupported(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Incomplete => f.write_str("unexpected end of input"),
            Error::Unexpected(what) => write!(f, "unexpected {what}"),
            Error::BadVariable => f.write_str("bad variable name after ${"),
            Error::Unsupported(what) => write!(f, "{what}: not supported by this shell"),
        }
    }
}

/// Whether a word ends before this character, if it is not quoted.
pub fn ends_word(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '<' | '>' | '(' | ')'
    )
}

/// Whether this is a variable's name as a user may set it.
pub fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first == '_' || first.is_ascii_alphabetic())
        && characters.all(|other| other == '_' || other.is_ascii_alphanumeric())
}

/// Reads characters one after another, with a look at the next.
#[derive(Clone, Debug)]
pub struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// A reader at the start of `text`.
    pub fn new(text: &'t str) -> Reader<'t> {
        Reader { rest: text }
    }

    /// The next character, which stays.
    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes the next character.
    pub fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    /// Takes the next character if it is this one.
    pub fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.take();
        }
        found
    }

    /// Takes what comes next as long as it fits.
    pub fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let end = self
            .rest
            .find(|character| !fits(character))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Everything that was not taken.
    pub fn rest(&self) -> &'t str {
        self.rest
    }

    /// Reads a word up to the first unquoted character that ends it.
    ///
    /// # Errors
    /// `Incomplete` within quotes and after a backslash at the end; `BadVariable`; `Unsupported`.
    pub fn word(&mut self) -> Result<Word, Error> {
        let mut word = Gather::default();
        while let Some(character) = self.peek() {
            if ends_word(character) {
                break;
            }
            self.take();
            match character {
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word)?,
                '\\' => match self.take() {
                    Some('\n') => {}
                    Some(next) => word.push(next, true),
                    None => return Err(Error::Incomplete),
                },
                '$' => self.dollar(&mut word, false)?,
                '`' => return Err(Error::Unsupported("command substitution")),
                plain => word.push(plain, false),
            }
        }
        Ok(word.parts)
    }

    fn single_quoted(&mut self, word: &mut Gather) -> Result<(), Error> {
        let text = self.take_while(|character| character != '\'');
        if !self.accept('\'') {
            return Err(Error::Incomplete);
        }
        word.push_text(text, true);
        Ok(())
    }

    fn double_quoted(&mut self, word: &mut Gather) -> Result<(), Error> {
        word.push_text("", true);
        loop {
            match self.take().ok_or(Error::Incomplete)? {
                '"' => return Ok(()),
                '\\' => match self.take().ok_or(Error::Incomplete)? {
                    '\n' => {}
                    special @ ('"' | '\\' | '$' | '`') => word.push(special, true),
                    other => {
                        word.push('\\', true);
                        word.push(other, true);
                    }
                },
                '$' => self.dollar(word, true)?,
                '`' => return Err(Error::Unsupported("command substitution")),
                plain => word.push(plain, true),
            }
        }
    }

    /// What follows a `$`: a variable, or the `$` itself.
    fn dollar(&mut self, word: &mut Gather, quoted: bool) -> Result<(), Error> {
        let name = match self.peek() {
            Some('(') => return Err(Error::Unsupported("command substitution")),
            Some('{') => {
                self.take();
                let name = self.take_while(|character| character != '}' && character != '\n');
                if self.peek().is_none() {
                    return Err(Error::Incomplete);
                }
                let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                let is_special = matches!(name, "?" | "$" | "!" | "#" | "@" | "*");
                if !self.accept('}') || !(is_name(name) || is_number || is_special) {
                    return Err(Error::BadVariable);
                }
                String::from(name)
            }
            Some(special @ ('?' | '$' | '!' | '#' | '@' | '*' | '0'..='9')) => {
                self.take();
                String::from(special)
            }
            Some(first) if first == '_' || first.is_ascii_alphabetic() => self
                .take_while(|other| other == '_' || other.is_ascii_alphanumeric())
                .into(),
            _ => {
                word.push('$', quoted);
                return Ok(());
            }
        };
        word.parts.push(Part::Variable { name, quoted });
        Ok(())
    }
}

/// Collects parts, joining text to text of the same kind.
#[derive(Default)]
struct Gather {
    parts: Word,
}

impl Gather {
    fn push(&mut self, character: char, quoted: bool) {
        let mut buffer = [0; 4];
        self.push_text(character.encode_utf8(&mut buffer), quoted);
    }

    fn push_text(&mut self, more: &str, more_quoted: bool) {
        match self.parts.last_mut() {
            Some(Part::Text { text, quoted }) if *quoted == more_quoted => text.push_str(more),
            _ => self.parts.push(Part::Text {
                text: more.into(),
                quoted: more_quoted,
            }),
        }
    }
}

/// The text of a word if nothing in it is quoted or a variable: how keywords are recognised.
pub fn plain(word: &Word) -> Option<&str> {
    match word.as_slice() {
        [
            Part::Text {
                text,
                quoted: false,
            },
        ] => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, quoted: bool) -> Part {
        Part::Text {
            text: text.into(),
            quoted,
        }
    }

    fn variable(name: &str, quoted: bool) -> Part {
        Part::Variable {
            name: name.into(),
            quoted,
        }
    }

    fn word(source: &str) -> Result<Word, Error> {
        Reader::new(source).word()
    }

    #[test]
    fn quotes() {
        assert_eq!(word("plain"), Ok(vec![text("plain", false)]));
        assert_eq!(
            word(r"'a $X \'b"),
            Ok(vec![text(r"a $X \", true), text("b", false)])
        );
        assert_eq!(
            word(r#""a \"$X\" \n""#),
            Ok(vec![
                text("a \"", true),
                variable("X", true),
                text(r#"" \n"#, true)
            ])
        );
        assert_eq!(
            word(r"a\ b\;c"),
            Ok(vec![
                text("a", false),
                text(" ", true),
                text("b", false),
                text(";", true),
                text("c", false)
            ])
        );
        assert_eq!(word("''"), Ok(vec![text("", true)]));
        assert_eq!(word("\"\""), Ok(vec![text("", true)]));
    }

    #[test]
    fn variables() {
        assert_eq!(
            word("$HOME/x"),
            Ok(vec![variable("HOME", false), text("/x", false)])
        );
        assert_eq!(
            word("${A}b$?$$"),
            Ok(vec![
                variable("A", false),
                text("b", false),
                variable("?", false),
                variable("$", false)
            ])
        );
        assert_eq!(word("$!"), Ok(vec![variable("!", false)]));
        assert_eq!(
            word("$10"),
            Ok(vec![variable("1", false), text("0", false)])
        );
        assert_eq!(word("a$"), Ok(vec![text("a$", false)]));
        assert_eq!(word("$."), Ok(vec![text("$.", false)]));
        assert_eq!(word("${}"), Err(Error::BadVariable));
        assert_eq!(word("${a-b}"), Err(Error::BadVariable));
    }

    #[test]
    fn open_ends() {
        for open in ["'a", "\"a", "\"a\\", "a\\", "${A"] {
            assert_eq!(word(open), Err(Error::Incomplete), "{open}");
        }
        assert_eq!(
            word("$(ls)"),
            Err(Error::Unsupported("command substitution"))
        );
        assert_eq!(
            word("`ls`"),
            Err(Error::Unsupported("command substitution"))
        );
    }
}
