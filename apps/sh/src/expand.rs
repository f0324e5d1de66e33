//! Words into the arguments they stand for: variables, `~`, splitting at spaces, file name patterns.

use crate::pattern::{Pattern, escape};
use crate::word::{Part, Word};
use alloc::string::String;
use alloc::vec::Vec;

/// What words are expanded with.
pub trait Scope {
    /// The content of a variable, special ones (`?`, `$`, `#`, digits) included.
    fn variable(&self, name: &str) -> Option<String>;
    /// The arguments of the script: `$@`.
    fn arguments(&self) -> Vec<String>;
    /// The names in a directory (`.` for the current one), in any order. Nothing when there is no such directory.
    fn names(&self, directory: &str) -> Vec<Name>;
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub name: String,
    pub is_directory: bool,
}

/// Patterns give no more names than this.
const MOST_NAMES: usize = 10_000;

/// An argument being put together.
#[derive(Default)]
struct Field {
    text: String,
    /// The text as a pattern, in which everything that was quoted is escaped.
    pattern: String,
    /// Something unquoted in it has a meaning in patterns.
    is_pattern: bool,
    /// There is an argument even if the text is empty.
    present: bool,
}

impl Field {
    fn push(&mut self, text: &str, quoted: bool) {
        self.present |= quoted || !text.is_empty();
        self.text.push_str(text);
        if quoted {
            escape(text, &mut self.pattern);
        } else {
            self.is_pattern |= text.contains(['*', '?', '[']);
            self.pattern.push_str(text);
        }
    }
}

/// The arguments that words stand for. One word may become none, one or many.
pub fn fields(words: &[Word], scope: &dyn Scope) -> Vec<String> {
    let mut fields = Vec::new();
    for word in words {
        let mut gathered = Vec::new();
        let mut field = Field::default();
        for (place, part) in word.iter().enumerate() {
            match part {
                Part::Text { text, quoted } => {
                    let text = if place == 0 && !quoted {
                        home(text, word.len() == 1, scope, &mut field)
                    } else {
                        text
                    };
                    field.push(text, *quoted);
                }
                Part::Variable { name, quoted } if name == "@" || (name == "*" && !quoted) => {
                    for (number, argument) in scope.arguments().iter().enumerate() {
                        if number > 0 {
                            gathered.push(core::mem::take(&mut field));
                        }
                        field.push(argument, *quoted);
                    }
                }
                Part::Variable { name, quoted: true } => field.push(&variable(name, scope), true),
                Part::Variable {
                    name,
                    quoted: false,
                } => split(&variable(name, scope), &mut field, &mut gathered),
            }
        }
        gathered.push(field);
        for field in gathered.into_iter().filter(|field| field.present) {
            finish(field, scope, &mut fields);
        }
    }
    fields
}

/// The text that a word stands for where only one argument makes sense: assignments, targets of redirections. Nothing
/// is split and nothing is a pattern.
pub fn text(word: &Word, scope: &dyn Scope) -> String {
    let mut field = Field::default();
    for (place, part) in word.iter().enumerate() {
        match part {
            Part::Text { text, quoted } => {
                let text = if place == 0 && !quoted {
                    home(text, word.len() == 1, scope, &mut field)
                } else {
                    text
                };
                field.push(text, *quoted);
            }
            Part::Variable { name, quoted } => field.push(&variable(name, scope), *quoted),
        }
    }
    field.text
}

fn variable(name: &str, scope: &dyn Scope) -> String {
    match name {
        "@" | "*" => scope.arguments().join(" "),
        name => scope.variable(name).unwrap_or_default(),
    }
}

/// `~` and `~/...` at the front of a word are the home directory. Returns what is left of the text.
fn home<'t>(text: &'t str, whole: bool, scope: &dyn Scope, field: &mut Field) -> &'t str {
    match text.strip_prefix('~') {
        Some(rest) if rest.starts_with('/') || (rest.is_empty() && whole) => {
            match scope.variable("HOME") {
                Some(home) => {
                    field.push(&home, true);
                    rest
                }
                None => text,
            }
        }
        _ => text,
    }
}

/// The content of an unquoted variable: spaces end arguments.
fn split(content: &str, field: &mut Field, gathered: &mut Vec<Field>) {
    let is_space = |character: char| matches!(character, ' ' | '\t' | '\n');
    for (place, piece) in content.split(is_space).enumerate() {
        if place > 0 && field.present {
            gathered.push(core::mem::take(field));
        }
        field.push(piece, false);
    }
}

fn finish(field: Field, scope: &dyn Scope, fields: &mut Vec<String>) {
    if field.is_pattern {
        let mut names = matching(&field.pattern, scope);
        if !names.is_empty() {
            names.sort();
            fields.append(&mut names);
            return;
        }
    }
    fields.push(field.text);
}

/// The paths that a pattern matches, name by name.
fn matching(pattern: &str, scope: &dyn Scope) -> Vec<String> {
    let mut found = Vec::from([String::new()]);
    let mut rest = pattern;
    loop {
        let slashes = rest.len() - rest.trim_start_matches('/').len();
        let (separator, after) = rest.split_at_checked(slashes).unwrap_or((rest, ""));
        found.iter_mut().for_each(|path| path.push_str(separator));
        let end = after.find('/').unwrap_or(after.len());
        let (name, next) = after.split_at_checked(end).unwrap_or((after, ""));
        if !name.is_empty() {
            found = step(&found, name, !next.is_empty(), scope);
        }
        if next.is_empty() {
            return found;
        }
        rest = next;
    }
}

/// Every path, each longer by one name that matches.
fn step(paths: &[String], pattern: &str, directories: bool, scope: &dyn Scope) -> Vec<String> {
    let matcher = Pattern::new(pattern);
    let literal = literal(pattern);
    let mut longer = Vec::new();
    for path in paths {
        let directory = if path.is_empty() { "." } else { path };
        for name in scope.names(directory) {
            let fits = match &literal {
                Some(literal) => name.name == *literal,
                None => matcher.matches(&name.name),
            };
            if fits && (name.is_directory || !directories) && longer.len() < MOST_NAMES {
                let mut path = path.clone();
                path.push_str(&name.name);
                longer.push(path);
            }
        }
        // Names that are never listed can still be meant.
        if let Some(special @ ("." | "..")) = literal.as_deref() {
            let mut path = path.clone();
            path.push_str(special);
            longer.push(path);
        }
    }
    longer
}

/// The text of a pattern that has nothing special in it.
fn literal(pattern: &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return None,
            '\\' => text.push(characters.next().unwrap_or('\\')),
            plain => text.push(plain),
        }
    }
    Some(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::syntax::parse;
    use alloc::string::ToString;
    use proptest::prelude::*;

    /// A world with a few variables and files.
    pub struct World;

    impl Scope for World {
        fn variable(&self, name: &str) -> Option<String> {
            let content = match name {
                "HOME" => "/home/u",
                "TWO" => " a  b ",
                "STAR" => "*.rs",
                "EMPTY" => "",
                "?" => "3",
                "1" => "one",
                "#" => "2",
                _ => return None,
            };
            Some(content.to_string())
        }

        fn arguments(&self) -> Vec<String> {
            ["one", "t w o"].map(String::from).into()
        }

        fn names(&self, directory: &str) -> Vec<Name> {
            let (files, directories): (&[&str], &[&str]) = match directory {
                "." => (
                    &["b.rs", "a.rs", ".hidden", "with space.txt"],
                    &["src", "sub"],
                ),
                "src/" => (&["lib.rs", "main.rs"], &[]),
                "sub/" => (&["x*y", "main.rs"], &[]),
                "/" => (&["init"], &["bin", "boot"]),
                "/bin/" => (&["busybox", "sh"], &[]),
                _ => (&[], &[]),
            };
            let named = |is_directory| {
                move |name: &&str| Name {
                    name: name.to_string(),
                    is_directory,
                }
            };
            files
                .iter()
                .map(named(false))
                .chain(directories.iter().map(named(true)))
                .collect()
        }
    }

    fn expanded(text: &str) -> Vec<String> {
        let script = parse(text).expect("well formed");
        fields(&script[0].first.commands[0].words, &World)
    }

    #[test]
    fn variables_and_quotes() {
        assert_eq!(
            expanded("x $TWO \"$TWO\" a${TWO}b"),
            ["x", "a", "b", " a  b ", "a", "a", "b", "b"]
        );
        assert_eq!(expanded("$NONE $EMPTY x\"$NONE\" '' \"\""), ["x", "", ""]);
        assert_eq!(expanded("$?$1 '$?' \\$1 $#"), ["3one", "$?", "$1", "2"]);
        assert_eq!(expanded("\"$@\" <f"), ["one", "t w o"]);
        assert_eq!(expanded("a\"$@\"b"), ["aone", "t w ob"]);
        assert_eq!(expanded("\"$*\""), ["one t w o"]);
    }

    #[test]
    fn home_directories() {
        assert_eq!(
            expanded("~ ~/x '~' a~ ~x \"~\"/y"),
            ["/home/u", "/home/u/x", "~", "a~", "~x", "~/y"]
        );
    }

    #[test]
    fn patterns() {
        assert_eq!(expanded("*.rs"), ["a.rs", "b.rs"]);
        assert_eq!(
            expanded("'*.rs' \\*.rs $STAR \"$STAR\""),
            ["*.rs", "*.rs", "a.rs", "b.rs", "*.rs"]
        );
        assert_eq!(
            expanded("s*/*.rs"),
            ["src/lib.rs", "src/main.rs", "sub/main.rs"]
        );
        assert_eq!(
            expanded("/b*/b* /*"),
            ["/bin/busybox", "/bin", "/boot", "/init"]
        );
        assert_eq!(expanded("sub/x'*'*"), ["sub/x*y"]);
        assert_eq!(expanded("nothing*"), ["nothing*"]);
        assert_eq!(expanded(".h*"), [".hidden"]);
        assert_eq!(expanded("w*"), ["with space.txt"]);
    }

    #[test]
    fn single_texts() {
        let script = parse("X=$TWO$STAR").expect("well formed");
        assert_eq!(
            text(&script[0].first.commands[0].assignments[0].1, &World),
            " a  b *.rs"
        );
    }

    proptest! {
        #[test]
        fn never_panics(line in r#"[a-c$'"\\ *?\[\]/~.{}@=-]{0,30}"#) {
            if let Ok(script) = parse(&line) {
                for chain in script {
                    for command in chain.first.commands {
                        fields(&command.words, &World);
                    }
                }
            }
        }

        #[test]
        fn quoted_text_is_one_argument(content in "[^']*") {
            let line = format!("x '{content}'");
            prop_assert_eq!(expanded(&line), ["x".to_string(), content]);
        }
    }
}
