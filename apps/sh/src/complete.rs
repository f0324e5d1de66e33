//! Completion of the word before the cursor: commands where a command stands, paths elsewhere.

use crate::expand::{Name, Scope};
use crate::word::ends_word;
use alloc::string::String;
use alloc::vec::Vec;

/// What completes a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The names that fit, sorted.
    pub candidates: Vec<Name>,
    /// How much of a candidate is typed already, in bytes.
    typed: usize,
    quote: Quote,
}

/// What quotes are open at the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quote {
    #[default]
    None,
    Single,
    Double,
}

/// The line in front of the cursor, read as far as completion needs it.
#[derive(Debug, Default)]
struct Context {
    /// The first word of this command.
    command: Option<String>,
    /// The word at the cursor, without quotes and with variables replaced.
    word: String,
    quote: Quote,
    /// A file name is due: the word follows `<` or `>`.
    target: bool,
    /// The line ends within an escape or a variable's name.
    unfinished: bool,
}

/// Finds what completes the word at the end of `before`. `commands` gives the names of all commands that begin with a
/// text.
pub fn complete(
    before: &str,
    scope: &dyn Scope,
    commands: &dyn Fn(&str) -> Vec<String>,
) -> Completion {
    let context = read(before, scope);
    if context.unfinished {
        return Completion::default();
    }
    let word = context.word.as_str();
    let (directory, prefix) = match word.rfind('/') {
        Some(end) => word.split_at_checked(end + 1).unwrap_or((word, "")),
        None => ("", word),
    };
    let mut candidates = if context.command.is_none() && !context.target && directory.is_empty() {
        commands(prefix)
            .into_iter()
            .map(|name| Name {
                name,
                is_directory: false,
            })
            .collect()
    } else {
        let only_directories = context.command.as_deref() == Some("cd");
        let mut names = scope.names(&home(directory, scope));
        names.retain(|name| {
            name.name.starts_with(prefix)
                && (!name.name.starts_with('.') || prefix.starts_with('.'))
                && (name.is_directory || !only_directories)
        });
        names
    };
    candidates.sort();
    candidates.dedup();
    Completion {
        candidates,
        typed: prefix.len(),
        quote: context.quote,
    }
}

fn home(directory: &str, scope: &dyn Scope) -> String {
    match (directory, directory.strip_prefix('~')) {
        ("", _) => ".".into(),
        (_, Some(rest)) if rest.starts_with('/') => {
            scope.variable("HOME").unwrap_or_default() + rest
        }
        _ => directory.into(),
    }
}

/// Goes through the line as the shell would, but forgives everything.
fn read(before: &str, scope: &dyn Scope) -> Context {
    let mut context = Context::default();
    let mut in_word = false;
    let mut characters = before.chars().peekable();
    while let Some(character) = characters.next() {
        match (context.quote, character) {
            (Quote::None, '\'') => context.quote = Quote::Single,
            (Quote::None, '"') => context.quote = Quote::Double,
            (Quote::Single, '\'') | (Quote::Double, '"') => context.quote = Quote::None,
            (Quote::None | Quote::Double, '\\') => match characters.next() {
                Some(next) => context.word.push(next),
                None => context.unfinished = true,
            },
            (Quote::None | Quote::Double, '$') => {
                let mut name = String::new();
                let braces = characters.next_if_eq(&'{').is_some();
                while let Some(next) =
                    characters.next_if(|next| *next == '_' || next.is_ascii_alphanumeric())
                {
                    name.push(next);
                }
                let closed = !braces || characters.next_if_eq(&'}').is_some();
                context.unfinished = !closed || characters.peek().is_none();
                context
                    .word
                    .push_str(&scope.variable(&name).unwrap_or_default());
            }
            (Quote::None, end) if ends_word(end) => {
                if in_word {
                    finish_word(&mut context);
                }
                in_word = false;
                match end {
                    '<' | '>' => context.target = true,
                    ' ' | '\t' => {}
                    _ => context = Context::default(),
                }
                continue;
            }
            (_, plain) => context.word.push(plain),
        }
        in_word = true;
    }
    context
}

fn finish_word(context: &mut Context) {
    let word = core::mem::take(&mut context.word);
    let is_assignment = word
        .split_once('=')
        .is_some_and(|(name, _)| crate::word::is_name(name));
    if !context.target && context.command.is_none() && !is_assignment && word != "!" {
        context.command = Some(word);
    }
    context.target = false;
}

impl Completion {
    /// What to insert at the cursor: what all candidates have in common, and the end of the word if there is just one.
    pub fn insertion(&self) -> String {
        let Some((first, others)) = self.candidates.split_first() else {
            return String::new();
        };
        let mut common = first.name.as_str();
        for other in others {
            let same = common
                .chars()
                .zip(other.name.chars())
                .take_while(|(a, b)| a == b);
            let length = same.map(|(a, _)| a.len_utf8()).sum();
            common = common.get(..length).unwrap_or_default();
        }
        let mut insertion = String::new();
        self.escape(common.get(self.typed..).unwrap_or_default(), &mut insertion);
        if others.is_empty() {
            if first.is_directory {
                insertion.push('/');
            } else {
                match self.quote {
                    Quote::None => {}
                    Quote::Single => insertion.push('\''),
                    Quote::Double => insertion.push('"'),
                }
                insertion.push(' ');
            }
        }
        insertion
    }

    /// Writes text so that it means itself where the cursor is.
    fn escape(&self, text: &str, into: &mut String) {
        for character in text.chars() {
            let special = match self.quote {
                Quote::None => ends_word(character) || "'\"\\$`*?[]#~!{}=".contains(character),
                Quote::Double => "\"\\$`".contains(character),
                Quote::Single => false,
            };
            match (self.quote, character) {
                (Quote::Single, '\'') => into.push_str("'\\''"),
                _ if special => into.extend(['\\', character]),
                _ => into.push(character),
            }
        }
    }
}

/// Lays names out in columns, filled downwards, for a terminal of this width.
pub fn columns(candidates: &[Name], width: usize) -> String {
    let shown: Vec<String> = candidates
        .iter()
        .map(|name| {
            let mut text: String = name
                .name
                .chars()
                .filter(|character| !character.is_control())
                .collect();
            if name.is_directory {
                text.push('/');
            }
            text
        })
        .collect();
    let widest = shown
        .iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0)
        + 2;
    let columns = (width / widest).max(1);
    let rows = shown.len().div_ceil(columns);
    let mut text = String::new();
    for row in 0..rows {
        let mut cells = shown.iter().skip(row).step_by(rows).peekable();
        while let Some(cell) = cells.next() {
            text.push_str(cell);
            if cells.peek().is_some() {
                (cell.chars().count()..widest).for_each(|_| text.push(' '));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::tests::World;
    use proptest::prelude::*;

    fn commands(prefix: &str) -> Vec<String> {
        ["cat", "cd", "clear", "echo"]
            .iter()
            .filter(|name| name.starts_with(prefix))
            .map(|name| name.to_string())
            .collect()
    }

    fn inserted(before: &str) -> String {
        complete(before, &World, &commands).insertion()
    }

    #[test]
    fn commands_and_paths() {
        assert_eq!(inserted("e"), "cho ");
        assert_eq!(inserted("ls; e"), "cho ");
        assert_eq!(inserted("A=b e"), "cho ");
        assert_eq!(inserted("ls | e"), "cho ");
        assert_eq!(inserted("ls e"), "");
        assert_eq!(inserted("ls sr"), "c/");
        assert_eq!(inserted("ls src/m"), "ain.rs ");
        assert_eq!(inserted("/bi"), "n/");
        assert_eq!(inserted("/bin/b"), "usybox ");
        assert_eq!(inserted("x > a"), ".rs ");
        assert_eq!(inserted("cd s"), "");
        assert_eq!(inserted("cd sr"), "c/");
        assert_eq!(inserted("cd a"), "");
        assert_eq!(inserted("ls .h"), "idden ");
        assert_eq!(complete("c", &World, &commands).candidates.len(), 3);
        assert_eq!(complete("ls s", &World, &commands).candidates.len(), 2);
    }

    #[test]
    fn quotes_are_kept() {
        assert_eq!(inserted("ls w"), "ith\\ space.txt ");
        assert_eq!(inserted("ls 'w"), "ith space.txt' ");
        assert_eq!(inserted("ls \"w"), "ith space.txt\" ");
        assert_eq!(inserted("ls with\\ s"), "pace.txt ");
        assert_eq!(inserted("ls sub/x"), "\\*y ");
        assert_eq!(inserted("ls 'a'.r"), "s ");
        assert_eq!(inserted("ls $HOM"), "");
    }

    #[test]
    fn lists() {
        let names: Vec<Name> = ["a", "bb", "c", "d"]
            .iter()
            .map(|name| Name {
                name: name.to_string(),
                is_directory: *name == "c",
            })
            .collect();
        assert_eq!(columns(&names, 8), "a   c/\nbb  d\n");
        assert_eq!(columns(&names, 1), "a\nbb\nc/\nd\n");
        assert_eq!(columns(&[], 10), "");
    }

    proptest! {
        #[test]
        fn never_panics(before in r#"[a-c$'"\\ |<>;/~.=&{}é]{0,30}"#) {
            let _ = inserted(&before);
        }

        /// A name that is completed is read by the shell as that name.
        #[test]
        fn completed_names_mean_themselves(name in "[^\\p{Cc}/]{1,12}", quote in prop::sample::select(vec!["", "'", "\""])) {
            struct One(String);
            impl Scope for One {
                fn variable(&self, _: &str) -> Option<String> { None }
                fn arguments(&self) -> Vec<String> { Vec::new() }
                fn names(&self, _: &str) -> Vec<Name> { vec![Name { name: self.0.clone(), is_directory: false }] }
            }
            let scope = One(name.clone());
            let before = format!("x {quote}");
            let completion = complete(&before, &scope, &commands);
            if !name.starts_with('.') {
                let line = before + &completion.insertion();
                let script = crate::syntax::parse(&line).expect("it can be read");
                let read = crate::expand::fields(&script[0].first.commands[0].words, &scope);
                prop_assert_eq!(read, ["x".to_string(), name]);
            }
        }
    }
}
