//! The kernel command line: words, some of them `name=value`, as Linux has them.

/// A command line.
#[derive(Clone, Copy, Debug)]
pub struct CommandLine<'a>(pub &'a str);

impl<'a> CommandLine<'a> {
    /// Whether the bare word is there.
    pub fn has(self, word: &str) -> bool {
        self.words().any(|candidate| candidate == word)
    }

    /// The value of `name=value`; the last one counts.
    pub fn value(self, name: &str) -> Option<&'a str> {
        self.words()
            .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='))
            .last()
    }

    fn words(self) -> impl Iterator<Item = &'a str> {
        // What follows `--` is for the first program.
        self.0
            .split_ascii_whitespace()
            .take_while(|&word| word != "--")
    }

    /// The words behind `--`.
    pub fn for_program(self) -> impl Iterator<Item = &'a str> {
        self.0
            .split_ascii_whitespace()
            .skip_while(|&word| word != "--")
            .skip(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_values_and_the_rest() {
        let line = CommandLine("quiet init=/a console=ttyS0 init=/b initx=1 -- quietly init=/c");
        assert!(line.has("quiet") && !line.has("quietly") && !line.has("init"));
        assert_eq!(line.value("init"), Some("/b"));
        assert_eq!(line.value("root"), None);
        assert!(line.for_program().eq(["quietly", "init=/c"]));
    }
}
