//! File name patterns: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`; a backslash takes the meaning from the next character.

use alloc::string::String;
use alloc::vec::Vec;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Exactly(char),
    AnyOne,
    AnyRun,
    OneOf {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
}

/// A pattern for one name (a path is matched name by name).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads a pattern. Every text is one: what is not well formed stands for itself.
    pub fn new(text: &str) -> Pattern {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
            let piece = match character {
                '*' => Piece::AnyRun,
                '?' => Piece::AnyOne,
                '\\' => {
                    let escaped = rest.chars().next().unwrap_or('\\');
                    rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                    Piece::Exactly(escaped)
                }
                '[' => match one_of(rest) {
                    Some((piece, after)) => {
                        rest = after;
                        piece
                    }
                    None => Piece::Exactly('['),
                },
                plain => Piece::Exactly(plain),
            };
            // Two runs are one.
            if !(piece == Piece::AnyRun && pieces.last() == Some(&Piece::AnyRun)) {
                pieces.push(piece);
            }
        }
        Pattern { pieces }
    }

    /// Whether the whole name matches. A dot in front of a name must be written out. Cost: length of the name times
    /// length of the pattern at worst.
    pub fn matches(&self, name: &str) -> bool {
        if name.starts_with('.') && self.pieces.first() != Some(&Piece::Exactly('.')) {
            return false;
        }
        let name: Vec<char> = name.chars().collect();
        let (mut piece, mut place) = (0, 0);
        // Where to go on when the latest run has to take one character more.
        let mut retry: Option<(usize, usize)> = None;
        while place < name.len() || piece < self.pieces.len() {
            match (self.pieces.get(piece), name.get(place)) {
                (Some(Piece::AnyRun), _) => {
                    retry = Some((piece + 1, place));
                    piece += 1;
                    continue;
                }
                (Some(wanted), Some(&character)) if fits(wanted, character) => {
                    piece += 1;
                    place += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((after_run, start)) if start < name.len() => {
                    retry = Some((after_run, start + 1));
                    (piece, place) = (after_run, start + 1);
                }
                _ => return false,
            }
        }
        true
    }
}

fn fits(piece: &Piece, character: char) -> bool {
    match piece {
        Piece::Exactly(wanted) => *wanted == character,
        Piece::AnyOne => true,
        Piece::AnyRun => false,
        Piece::OneOf { ranges, negated } => {
            ranges
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&character))
                != *negated
        }
    }
}

/// The inside of brackets, and what follows them. `None` without a closing bracket.
fn one_of(text: &str) -> Option<(Piece, &str)> {
    let negated = text.starts_with(['!', '^']);
    let mut ranges = Vec::new();
    let mut characters = text.get(usize::from(negated)..)?.chars().peekable();
    loop {
        let low = match characters.next()? {
            ']' if !ranges.is_empty() => break,
            '\\' => characters.next()?,
            plain => plain,
        };
        let mut ahead = characters.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                characters = ahead;
                high
            }
            _ => low,
        };
        ranges.push((low, high));
    }
    let rest: usize = characters.map(char::len_utf8).sum();
    let rest = text.get(text.len().checked_sub(rest)?..)?;
    Some((Piece::OneOf { ranges, negated }, rest))
}

/// Writes text so that a pattern made of it matches just this text.
pub fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            into.push('\\');
        }
        into.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples() {
        let cases = [
            ("*", "abc", true),
            ("*", ".abc", false),
            (".*", ".abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*.rs", "main.rs", true),
            ("?", "é", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("[a-]", "-", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn many_runs_do_not_take_forever() {
        assert!(
            !Pattern::new(&"*a".repeat(30)).matches(&"a".repeat(2000).replace("aaa", "aab")[..29])
        );
    }

    proptest! {
        #[test]
        fn escaped_text_matches_itself(text in "[^.]\\PC{0,20}") {
            let mut pattern = String::new();
            escape(&text, &mut pattern);
            prop_assert!(Pattern::new(&pattern).matches(&text));
        }

        #[test]
        fn never_panics(pattern in any::<String>(), name in any::<String>()) {
            let _ = Pattern::new(&pattern).matches(&name);
        }

        #[test]
        fn agrees_with_a_plain_matcher(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn plain(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern, name) {
                    ([], []) => true,
                    ([b'*', more @ ..], name) => {
                        plain(more, name) || matches!(name, [_, rest @ ..] if plain(pattern, rest))
                    }
                    ([b'?', more @ ..], [_, rest @ ..]) => plain(more, rest),
                    ([a, more @ ..], [b, rest @ ..]) if a == b => plain(more, rest),
                    _ => false,
                }
            }
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), plain(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
