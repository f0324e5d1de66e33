//! Commands, pipelines and lists: what tokens mean together.
//!
//! ```text
//! script    = list of chains, each ended by ; or & or the line
//! chain     = pipeline { (&& or ||) pipeline }
//! pipeline  = [!] command { | command }
//! command   = { NAME=word } { word or redirection }
//! ```

use crate::token::{Stream, Token, tokens};
use crate::word::{Error, Part, Word, is_name, plain};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::iter::Peekable;

/// Chains in the order in which they run.
pub type Script = Vec<Chain>;

/// Pipelines that depend on each other's success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub first: Pipeline,
    pub rest: Vec<(Condition, Pipeline)>,
    /// The shell does not wait for it.
    pub background: bool,
}

/// When the next pipeline of a chain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `&&`
    Success,
    /// `||`
    Failure,
}

/// Commands whose output is the next one's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// At least one.
    pub commands: Vec<Command>,
    /// Success and failure are exchanged.
    pub negated: bool,
}

/// A program or builtin with what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
    pub redirections: Vec<Redirection>,
}

/// Where a stream leads instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirection {
    Read(Word),
    Write(Stream, Word),
    Append(Stream, Word),
    Join(Stream, Stream),
}

/// Words that begin constructs which this shell has not: an error is better than a search for such a program.
const KEYWORDS: [&str; 12] = [
    "if", "then", "else", "elif", "fi", "while", "until", "for", "do", "done", "case", "function",
];

/// Reads a script, be it one line or a file.
///
/// # Errors
/// `Incomplete` when another line could complete it; what is wrong with it otherwise.
pub fn parse(text: &str) -> Result<Script, Error> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let mut script = Script::new();
    loop {
        while tokens.next_if_eq(&Token::End).is_some() {}
        if tokens.peek().is_none() {
            return Ok(script);
        }
        script.push(chain(&mut tokens)?);
    }
}

fn chain<I: Iterator<Item = Token>>(tokens: &mut Peekable<I>) -> Result<Chain, Error> {
    let first = pipeline(tokens)?;
    let mut chain = Chain {
        first,
        rest: Vec::new(),
        background: false,
    };
    loop {
        let condition = match tokens.next() {
            None | Some(Token::End) => return Ok(chain),
            Some(Token::Background) => {
                chain.background = true;
                return Ok(chain);
            }
            Some(Token::And) => Condition::Success,
            Some(Token::Or) => Condition::Failure,
            Some(other) => return Err(Error::Unexpected(other.to_string())),
        };
        skip_lines(tokens);
        chain.rest.push((condition, pipeline(tokens)?));
    }
}

/// After an operator that needs something more, the line may end.
fn skip_lines<I: Iterator<Item = Token>>(tokens: &mut Peekable<I>) {
    while tokens.next_if_eq(&Token::End).is_some() {}
}

fn pipeline<I: Iterator<Item = Token>>(tokens: &mut Peekable<I>) -> Result<Pipeline, Error> {
    let is_not = |token: &Token| matches!(token, Token::Word(word) if plain(word) == Some("!"));
    let negated = tokens.next_if(is_not).is_some();
    let mut commands = Vec::new();
    loop {
        commands.push(command(tokens)?);
        if tokens.next_if_eq(&Token::Pipe).is_none() {
            return Ok(Pipeline { commands, negated });
        }
        skip_lines(tokens);
    }
}

fn command<I: Iterator<Item = Token>>(tokens: &mut Peekable<I>) -> Result<Command, Error> {
    let mut command = Command::default();
    let more = |token: &Token| {
        matches!(
            token,
            Token::Word(_) | Token::Input | Token::Output(_) | Token::Append(_) | Token::Join(..)
        )
    };
    while let Some(token) = tokens.next_if(more) {
        match token {
            Token::Word(word) => match assignment(&word) {
                Some(assignment) if command.words.is_empty() => {
                    command.assignments.push(assignment)
                }
                _ => command.words.push(word),
            },
            Token::Input => command
                .redirections
                .push(Redirection::Read(target(tokens)?)),
            Token::Output(stream) => command
                .redirections
                .push(Redirection::Write(stream, target(tokens)?)),
            Token::Append(stream) => command
                .redirections
                .push(Redirection::Append(stream, target(tokens)?)),
            Token::Join(from, to) => command.redirections.push(Redirection::Join(from, to)),
            Token::End | Token::Background | Token::And | Token::Or | Token::Pipe => {}
        }
    }
    if let Some(keyword) = command.words.first().and_then(plain)
        && let Some(keyword) = KEYWORDS.iter().find(|known| **known == keyword)
    {
        return Err(Error::Unsupported(keyword));
    }
    if command == Command::default() {
        return Err(match tokens.peek() {
            None => Error::Incomplete,
            Some(token) => Error::Unexpected(token.to_string()),
        });
    }
    Ok(command)
}

fn target<I: Iterator<Item = Token>>(tokens: &mut Peekable<I>) -> Result<Word, Error> {
    match tokens.next() {
        Some(Token::Word(word)) => Ok(word),
        Some(other) => Err(Error::Unexpected(other.to_string())),
        None => Err(Error::Incomplete),
    }
}

/// `NAME=...`: the name and the rest, if the word is of that form.
pub fn assignment(word: &Word) -> Option<(String, Word)> {
    let (
        Part::Text {
            text,
            quoted: false,
        },
        rest,
    ) = word.split_first()?
    else {
        return None;
    };
    let (name, content) = text.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut value = Word::new();
    if !content.is_empty() {
        value.push(Part::Text {
            text: content.into(),
            quoted: false,
        });
    }
    value.extend_from_slice(rest);
    Some((name.into(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(text: &str) -> Word {
        vec![Part::Text {
            text: text.into(),
            quoted: false,
        }]
    }

    #[test]
    fn a_whole_line() {
        let script = parse("A=1 B= x y | ! z >f; a && b || c & # end").expect("it is well formed");
        let [first, second] = script.as_slice() else {
            panic!("two chains: {script:?}")
        };
        let [x, not] = first.first.commands.as_slice() else {
            panic!("two commands")
        };
        assert_eq!(
            x.assignments,
            [("A".into(), word("1")), ("B".into(), Word::new())]
        );
        assert_eq!(x.words, [word("x"), word("y")]);
        assert_eq!(not.words, [word("!"), word("z")]);
        assert_eq!(
            not.redirections,
            [Redirection::Write(Stream::Out, word("f"))]
        );
        assert!(!first.background && second.background);
        let conditions: Vec<_> = second
            .rest
            .iter()
            .map(|(condition, _)| *condition)
            .collect();
        assert_eq!(conditions, [Condition::Success, Condition::Failure]);
    }

    #[test]
    fn negation() {
        assert!(parse("! true").is_ok_and(|script| script[0].first.negated));
        assert_eq!(parse("!"), Err(Error::Incomplete));
    }

    #[test]
    fn what_may_go_on_in_the_next_line() {
        for text in ["a &&", "a |", "a ||\n", "a >", "echo 'x", "a \\"] {
            assert_eq!(parse(text), Err(Error::Incomplete), "{text}");
        }
        assert!(parse("a &&\n\n b |\n c").is_ok_and(|script| script.len() == 1));
    }

    #[test]
    fn what_is_wrong() {
        for text in [
            "&& a",
            "a ; ; && b",
            "| a",
            "a > > b",
            "a && ; b & & c",
            "if true",
        ] {
            assert!(
                !matches!(parse(text), Ok(_) | Err(Error::Incomplete)),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn empty_scripts() {
        for text in ["", "\n\n", "# only this", ";"] {
            assert_eq!(parse(text), Ok(vec![]));
        }
    }

    #[test]
    fn assignments() {
        assert_eq!(assignment(&word("A=b=c")), Some(("A".into(), word("b=c"))));
        assert_eq!(assignment(&word("1A=b")), None);
        assert_eq!(assignment(&word("=b")), None);
        assert_eq!(assignment(&Word::new()), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_shell_like_text(text in r#"[a-c$'"\\ \n;&|<>{}()#=!?*12]{0,40}"#) {
            let _ = parse(&text);
        }
    }
}
