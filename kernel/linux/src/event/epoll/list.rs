//! Entries with numbers, some of which stand in a line.
//!
//! The one idea: the line runs through the entries themselves, so that joining it, leaving it and asking who is first
//! cost the same however many there are, and joining needs no memory: whoever is told that a file is ready must not
//! fail.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// No entry.
const NOBODY: usize = usize::MAX;

pub struct List<T> {
    slots: Vec<Slot<T>>,
    /// The first unused slot; the others follow by `next`.
    free: usize,
    first: usize,
    last: usize,
    waiting: usize,
}

struct Slot<T> {
    entry: Option<T>,
    in_line: bool,
    previous: usize,
    next: usize,
}

impl<T> List<T> {
    pub const fn new() -> List<T> {
        List {
            slots: Vec::new(),
            free: NOBODY,
            first: NOBODY,
            last: NOBODY,
            waiting: 0,
        }
    }

    /// Adds an entry that does not stand in the line; returns its number, the same until it is removed.
    pub fn insert(&mut self, entry: T) -> Result<usize, TryReserveError> {
        if self.free == NOBODY {
            self.slots.try_reserve(1)?;
            self.free = self.slots.len();
            self.slots.push(Slot {
                entry: None,
                in_line: false,
                previous: NOBODY,
                next: NOBODY,
            });
        }
        let at = self.free;
        if let Some(slot) = self.slots.get_mut(at) {
            self.free = slot.next;
            slot.next = NOBODY;
            slot.entry = Some(entry);
        }
        Ok(at)
    }

    pub fn get(&mut self, at: usize) -> Option<&mut T> {
        self.slots.get_mut(at)?.entry.as_mut()
    }

    /// Takes an entry out, of the line too.
    pub fn remove(&mut self, at: usize) -> Option<T> {
        self.leave(at);
        let free = self.free;
        let slot = self.slots.get_mut(at)?;
        let entry = slot.entry.take()?;
        slot.next = free;
        self.free = at;
        Some(entry)
    }

    /// How many stand in the line.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts an entry at the end of the line, unless it stands there already.
    pub fn join(&mut self, at: usize) {
        let last = self.last;
        match self.slots.get_mut(at) {
            Some(slot) if slot.entry.is_some() && !slot.in_line => {
                slot.in_line = true;
                slot.previous = last;
                slot.next = NOBODY;
            }
            _ => return,
        }
        match self.slots.get_mut(last) {
            Some(before) => before.next = at,
            None => self.first = at,
        }
        self.last = at;
        self.waiting += 1;
    }

    /// Takes the first out of the line.
    pub fn next(&mut self) -> Option<(usize, &mut T)> {
        let at = self.first;
        self.leave(at);
        let entry = self.slots.get_mut(at)?.entry.as_mut()?;
        Some((at, entry))
    }

    fn leave(&mut self, at: usize) {
        let (previous, next) = match self.slots.get_mut(at) {
            Some(slot) if slot.in_line => {
                slot.in_line = false;
                (slot.previous, core::mem::replace(&mut slot.next, NOBODY))
            }
            _ => return,
        };
        match self.slots.get_mut(previous) {
            Some(before) => before.next = next,
            None => self.first = next,
        }
        match self.slots.get_mut(next) {
            Some(after) => after.previous = previous,
            None => self.last = previous,
        }
        self.waiting -= 1;
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let all = core::mem::replace(self, List::new());
        all.slots.into_iter().filter_map(|slot| slot.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, VecDeque};

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32),
        Remove(usize),
        Join(usize),
        Next,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<u32>().prop_map(Step::Insert),
            (0..12usize).prop_map(Step::Remove),
            (0..12usize).prop_map(Step::Join),
            Just(Step::Next),
        ]
    }

    proptest! {
        #[test]
        fn as_a_map_and_a_queue(steps in prop::collection::vec(step(), 0..200)) {
            let mut list = List::new();
            let mut entries = BTreeMap::new();
            let mut line = VecDeque::new();
            for step in steps {
                match step {
                    Step::Insert(entry) => {
                        let at = list.insert(entry).unwrap();
                        prop_assert_eq!(entries.insert(at, entry), None);
                    }
                    Step::Remove(at) => {
                        line.retain(|&other| other != at);
                        prop_assert_eq!(list.remove(at), entries.remove(&at));
                    }
                    Step::Join(at) => {
                        list.join(at);
                        if entries.contains_key(&at) && !line.contains(&at) {
                            line.push_back(at);
                        }
                    }
                    Step::Next => {
                        let expected = line.pop_front().map(|at: usize| (at, entries[&at]));
                        prop_assert_eq!(list.next().map(|(at, entry)| (at, *entry)), expected);
                    }
                }
                prop_assert_eq!(list.waiting(), line.len());
                for at in 0..14 {
                    prop_assert_eq!(list.get(at).copied(), entries.get(&at).copied());
                }
            }
            let mut rest: Vec<_> = list.drain().collect();
            let mut expected: Vec<_> = entries.into_values().collect();
            rest.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(rest, expected);
        }
    }
}
