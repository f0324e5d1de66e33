//! Bytes from a terminal into keys: UTF-8 and the escape sequences of ECMA-48 (what xterm and its kin send).

/// A key, or a combination of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A printable character.
    Character(char),
    /// Control and a letter, in lower case, or one of `[ \ ] ^ _ @`.
    Control(char),
    /// Alt and a character.
    Alt(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    /// A sequence that means nothing here.
    Unknown,
}

/// Longest sequence of parameters that is kept; longer ones mean nothing.
const MOST_PARAMETERS: usize = 8;

/// Gathers bytes until they are a key.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC O.
    Single,
    /// After ESC [, with the parameters so far.
    Sequence {
        parameters: [u8; MOST_PARAMETERS],
        count: usize,
    },
    /// Within a UTF-8 character: its bits so far, and how many bytes are missing.
    Character { bits: u32, missing: u8, alt: bool },
}

impl Decoder {
    /// Takes a byte; gives a key when it is complete. Bytes that are no UTF-8 give `Unknown`.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(&mut self.state) {
            State::Ground => self.ground(byte, false),
            State::Escape => match byte {
                b'[' => self.become_state(State::Sequence {
                    parameters: [0; MOST_PARAMETERS],
                    count: 0,
                }),
                b'O' => self.become_state(State::Single),
                0x1b => self.become_state(State::Escape),
                _ => self.ground(byte, true),
            },
            State::Single => Some(final_byte(byte, b"")),
            State::Sequence {
                mut parameters,
                count,
            } => match byte {
                0x20..=0x3f => {
                    if let Some(place) = parameters.get_mut(count) {
                        *place = byte;
                    }
                    self.become_state(State::Sequence {
                        parameters,
                        count: count.saturating_add(1),
                    })
                }
                0x40..=0x7e => Some(
                    parameters
                        .get(..count)
                        .map_or(Key::Unknown, |given| final_byte(byte, given)),
                ),
                // A control character breaks the sequence off and counts itself.
                _ => self.ground(byte, false),
            },
            State::Character { bits, missing, alt } => match byte {
                0x80..=0xbf => {
                    let bits = bits << 6 | u32::from(byte & 0x3f);
                    match missing {
                        1 => Some(
                            char::from_u32(bits)
                                .map_or(Key::Unknown, |character| typed(character, alt)),
                        ),
                        _ => self.become_state(State::Character {
                            bits,
                            missing: missing - 1,
                            alt,
                        }),
                    }
                }
                _ => self.ground(byte, false),
            },
        }
    }

    fn become_state(&mut self, state: State) -> Option<Key> {
        self.state = state;
        None
    }

    /// A byte that begins something. `alt` when an ESC was in front.
    fn ground(&mut self, byte: u8, alt: bool) -> Option<Key> {
        Some(match byte {
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x1b => return self.become_state(State::Escape),
            0x08 | 0x7f if alt => Key::Alt('\x7f'),
            0x08 | 0x7f => Key::Backspace,
            0x00..=0x1f => Key::Control(char::from(byte | 0x40).to_ascii_lowercase()),
            0x20..=0x7e => typed(char::from(byte), alt),
            0xc2..=0xdf => {
                return self.become_state(State::Character {
                    bits: (byte & 0x1f).into(),
                    missing: 1,
                    alt,
                });
            }
            0xe0..=0xef => {
                return self.become_state(State::Character {
                    bits: (byte & 0x0f).into(),
                    missing: 2,
                    alt,
                });
            }
            0xf0..=0xf4 => {
                return self.become_state(State::Character {
                    bits: (byte & 0x07).into(),
                    missing: 3,
                    alt,
                });
            }
            0x80..=0xc1 | 0xf5..=0xff => Key::Unknown,
        })
    }
}

fn typed(character: char, alt: bool) -> Key {
    match alt {
        true => Key::Alt(character),
        false if character.is_control() => Key::Unknown,
        false => Key::Character(character),
    }
}

/// The key of a control sequence by its last byte and its parameters.
fn final_byte(byte: u8, parameters: &[u8]) -> Key {
    // Modifier 5 is Control, 3 is Alt: both make words out of characters.
    let by_word = parameters.ends_with(b";5") || parameters.ends_with(b";3");
    match (byte, parameters) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if by_word => Key::WordRight,
        (b'D', _) if by_word => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        _ => Key::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes
            .iter()
            .filter_map(|byte| decoder.feed(*byte))
            .collect()
    }

    #[test]
    fn keys_of_a_terminal() {
        use Key::*;
        assert_eq!(
            keys("aé€😀".as_bytes()),
            ['a', 'é', '€', '😀'].map(Character)
        );
        assert_eq!(
            keys(b"\r\n\t\x7f\x08\x01\x03\x1f"),
            [
                Enter,
                Enter,
                Tab,
                Backspace,
                Backspace,
                Control('a'),
                Control('c'),
                Control('_')
            ]
        );
        assert_eq!(
            keys(b"\x1b[A\x1b[B\x1b[C\x1b[D\x1bOA\x1bOH"),
            [Up, Down, Right, Left, Up, Home]
        );
        assert_eq!(
            keys(b"\x1b[H\x1b[1~\x1b[7~\x1b[F\x1b[4~\x1b[3~"),
            [Home, Home, Home, End, End, Delete]
        );
        assert_eq!(
            keys(b"\x1b[1;5C\x1b[1;5D\x1bb\x1bf\x1b\x7f"),
            [WordRight, WordLeft, Alt('b'), Alt('f'), Alt('\x7f')]
        );
        assert_eq!(
            keys(b"\x1b[200~\x1b[99999999999999mx"),
            [Unknown, Unknown, Character('x')]
        );
    }

    #[test]
    fn broken_bytes_do_not_swallow_good_ones() {
        use Key::*;
        assert_eq!(
            keys(b"\xc3a\xffb\xe2\x82\x1b[A"),
            [Character('a'), Unknown, Character('b'), Up]
        );
        assert_eq!(keys(b"\x1b[1\x03x"), [Control('c'), Character('x')]);
        assert_eq!(keys(b"\xed\xa0\x80y"), [Unknown, Character('y')]);
    }

    proptest! {
        #[test]
        fn every_text_arrives(text in "[^\\p{Cc}]*") {
            let expected: Vec<Key> = text.chars().map(Key::Character).collect();
            prop_assert_eq!(keys(text.as_bytes()), expected);
        }

        #[test]
        fn never_panics(bytes in any::<Vec<u8>>()) {
            keys(&bytes);
        }
    }
}
