//! A line cut into words and operators.

use crate::word::{Error, Reader, Word};
use alloc::vec::Vec;
use core::fmt;

/// One of the three standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    In,
    Out,
    Err,
}

impl Stream {
    /// The name of the handle that a native program gets it as.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::In => "in",
            Stream::Out => "out",
            Stream::Err => "err",
        }
    }
}

/// A word or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(Word),
    /// The end of a command: `;` or the end of a line.
    End,
    /// `&`
    Background,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `|`
    Pipe,
    /// `<`
    Input,
    /// `>`, `2>`
    Output(Stream),
    /// `>>`, `2>>`
    Append(Stream),
    /// `>&2`, `2>&1`: the first goes where the second goes.
    Join(Stream, Stream),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Token::Word(_) => "word",
            Token::End => "end of command",
            Token::Background => "&",
            Token::And => "&&",
            Token::Or => "||",
            Token::Pipe => "|",
            Token::Input => "<",
            Token::Output(_) => ">",
            Token::Append(_) => ">>",
            Token::Join(..) => ">&",
        })
    }
}

/// Cuts text into tokens. Comments begin with `#` where a word could begin, and end with the line.
///
/// # Errors
/// As [`Reader::word`]; `Unsupported` for operators that this shell has not.
pub fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut reader = Reader::new(text);
    let mut tokens = Vec::new();
    while let Some(character) = reader.peek() {
        let token = match character {
            ' ' | '\t' | '\r' => {
                reader.take();
                continue;
            }
            '#' => {
                reader.take_while(|character| character != '\n');
                continue;
            }
            '\\' if reader.rest().starts_with("\\\n") => {
                reader.take();
                reader.take();
                continue;
            }
            '\n' | ';' => {
                reader.take();
                if character == ';' && reader.peek() == Some(';') {
                    return Err(Error::Unexpected(";;".into()));
                }
                Token::End
            }
            '&' => {
                reader.take();
                match reader.peek() {
                    Some('&') => second(&mut reader, Token::And),
                    Some('>') => return Err(Error::Unsupported("&>")),
                    _ => Token::Background,
                }
            }
            '|' => {
                reader.take();
                match reader.peek() {
                    Some('|') => second(&mut reader, Token::Or),
                    _ => Token::Pipe,
                }
            }
            '(' | ')' => return Err(Error::Unsupported("( )")),
            '<' | '>' => redirection(&mut reader, None)?,
            '0' | '1' | '2' if matches!(reader.rest().as_bytes(), [_, b'<' | b'>', ..]) => {
                reader.take();
                let stream = match character {
                    '0' => Stream::In,
                    '1' => Stream::Out,
                    _ => Stream::Err,
                };
                redirection(&mut reader, Some(stream))?
            }
            _ => Token::Word(reader.word()?),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn second(reader: &mut Reader<'_>, token: Token) -> Token {
    reader.take();
    token
}

/// `<`, `>`, `>>`, `>&n`, with the stream that was written in front.
fn redirection(reader: &mut Reader<'_>, stream: Option<Stream>) -> Result<Token, Error> {
    if reader.accept('<') {
        return match (stream.unwrap_or(Stream::In), reader.peek()) {
            (_, Some('<')) => Err(Error::Unsupported("<<")),
            (_, Some('>' | '&')) => Err(Error::Unsupported("<> and <&")),
            (Stream::In, _) => Ok(Token::Input),
            _ => Err(Error::Unexpected("<".into())),
        };
    }
    reader.accept('>');
    let stream = stream.unwrap_or(Stream::Out);
    if stream == Stream::In {
        return Err(Error::Unexpected(">".into()));
    }
    if reader.accept('>') {
        return Ok(Token::Append(stream));
    }
    if !reader.accept('&') {
        return Ok(Token::Output(stream));
    }
    match reader.take() {
        Some('1') => Ok(Token::Join(stream, Stream::Out)),
        Some('2') => Ok(Token::Join(stream, Stream::Err)),
        None => Err(Error::Incomplete),
        Some(_) => Err(Error::Unsupported(">& to anything but 1 and 2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word::plain;
    use alloc::string::{String, ToString};

    fn shown(text: &str) -> String {
        match tokens(text) {
            Ok(tokens) => tokens
                .iter()
                .map(|token| match token {
                    Token::Word(word) => plain(word).unwrap_or("*").to_string(),
                    other => format!("<{other}>"),
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn operators() {
        assert_eq!(
            shown("a&&b||c|d;e&f"),
            "a <&&> b <||> c <|> d <end of command> e <&> f"
        );
        assert_eq!(
            shown("a>b 2>>c <d 2>&1 >&2"),
            "a <>> b <>>> c <<> d <>&> <>&>"
        );
        assert_eq!(shown("a2>b"), "a2 <>> b");
        assert_eq!(shown("a # b ; c\nd#e"), "a <end of command> d#e");
        assert_eq!(shown("a \\\nb"), "a b");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn refusals() {
        assert_eq!(shown("(a)"), "error: ( ): not supported by this shell");
        assert_eq!(shown("a <<EOF"), "error: <<: not supported by this shell");
        assert_eq!(shown("a;;b"), "error: unexpected ;;");
        assert_eq!(shown("a 0>b"), "error: unexpected >");
        assert_eq!(shown("a 'b"), "error: unexpected end of input");
    }
}
