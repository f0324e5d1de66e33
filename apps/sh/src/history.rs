//! Lines typed before, and a place among them.

use crate::line::Line;
use alloc::collections::VecDeque;
use alloc::string::String;

/// Lines that are kept.
pub const MOST_LINES: usize = 500;

/// The oldest line is first.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    /// How many lines back from the newest the user has gone; 0 is the line being typed.
    back: usize,
    /// The line being typed, while an older one is shown.
    draft: Line,
}

impl History {
    /// Keeps a line, unless it is blank or the same as the last.
    pub fn add(&mut self, line: &str) {
        self.back = 0;
        self.draft = Line::default();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.into());
    }

    /// The lines, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// The line before the one that is shown. `current` is what is shown now.
    pub fn older(&mut self, current: &Line) -> Option<Line> {
        let place = self.lines.len().checked_sub(self.back + 1)?;
        let line = Line::new(self.lines.get(place)?);
        if self.back == 0 {
            self.draft = current.clone();
        }
        self.back += 1;
        Some(line)
    }

    /// The line after the one that is shown; at the end, what was being typed.
    pub fn newer(&mut self) -> Option<Line> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            return Some(core::mem::take(&mut self.draft));
        }
        self.lines
            .get(self.lines.len().checked_sub(self.back)?)
            .map(|line| Line::new(line))
    }

    /// The user has left the older lines.
    pub fn leave(&mut self) {
        self.back = 0;
        self.draft = Line::default();
    }

    /// The newest line that contains `text`, at least `skip` lines back from the newest, and how far back it is.
    pub fn search(&self, text: &str, skip: usize) -> Option<(usize, &str)> {
        let found = self
            .lines
            .iter()
            .rev()
            .enumerate()
            .skip(skip)
            .find(|(_, line)| line.contains(text))?;
        Some((found.0, found.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_and_down() {
        let mut history = History::default();
        assert_eq!(history.older(&Line::default()), None);
        for line in ["one", "two", "two", "  ", "three"] {
            history.add(line);
        }
        assert_eq!(history.lines().collect::<Vec<_>>(), ["one", "two", "three"]);
        let draft = Line::new("dra");
        assert_eq!(history.older(&draft), Some(Line::new("three")));
        assert_eq!(history.older(&Line::new("three")), Some(Line::new("two")));
        assert_eq!(history.older(&Line::new("two")), Some(Line::new("one")));
        assert_eq!(history.older(&Line::new("one")), None);
        assert_eq!(history.newer(), Some(Line::new("two")));
        assert_eq!(history.newer(), Some(Line::new("three")));
        assert_eq!(history.newer(), Some(draft));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn it_forgets_the_oldest() {
        let mut history = History::default();
        (0..MOST_LINES + 5).for_each(|number| history.add(&number.to_string()));
        assert_eq!(history.lines().count(), MOST_LINES);
        assert_eq!(history.lines().next(), Some("5"));
    }

    #[test]
    fn searching() {
        let mut history = History::default();
        ["ls /bin", "cat x", "ls /dev"]
            .iter()
            .for_each(|line| history.add(line));
        assert_eq!(history.search("ls", 0), Some((0, "ls /dev")));
        assert_eq!(history.search("ls", 1), Some((2, "ls /bin")));
        assert_eq!(history.search("nothing", 0), None);
    }
}
