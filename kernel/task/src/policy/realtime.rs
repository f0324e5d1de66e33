//! Lists by priority: a bit for each priority that has somebody, a list for each.
//!
//! Every operation is O(1). Nodes lie in one vector and are reused; after `reserve` no operation allocates.

use super::INHERITED_PRIORITY;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;

const NONE: u32 = u32::MAX;
const LISTS: usize = INHERITED_PRIORITY as usize + 1;

#[derive(Debug)]
struct Node<T> {
    before: u32,
    /// In a free node: the next free one.
    after: u32,
    place: Place,
    item: Option<T>,
}

/// The claim of one that waits or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub priority: u8,
    pub rotates: bool,
    /// Of its quantum, in nanoseconds.
    pub left: u64,
}

#[derive(Debug)]
pub(super) struct Lists<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    len: usize,
    /// Bit `n`: the list of priority `n` is not empty.
    taken: u128,
    first: [u32; LISTS],
    last: [u32; LISTS],
}

impl<T> Lists<T> {
    pub const fn new() -> Self {
        Lists {
            nodes: Vec::new(),
            free: NONE,
            len: 0,
            taken: 0,
            first: [NONE; LISTS],
            last: [NONE; LISTS],
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Room for one more.
    pub fn reserve(&mut self) -> Result<(), TryReserveError> {
        if self.len < self.nodes.len() {
            return Ok(());
        }
        self.nodes.try_reserve(1)
    }

    /// The node that the next insertion takes.
    pub fn next_node(&self) -> u64 {
        match self.free {
            NONE => self.nodes.len() as u64,
            free => u64::from(free),
        }
    }

    /// The highest priority that has somebody; 0: nobody.
    pub fn highest(&self) -> u8 {
        127u32.saturating_sub(self.taken.leading_zeros()) as u8
    }

    /// Puts it at an end of its list, in the node that [`next_node`](Self::next_node) named.
    pub fn insert(&mut self, place: Place, front: bool, item: T) {
        let list = list(place.priority);
        let node = Node {
            before: NONE,
            after: NONE,
            place,
            item: Some(item),
        };
        let index = if self.free == NONE {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.nodes[index as usize].after;
            self.nodes[index as usize] = node;
            index
        };
        if self.taken >> list & 1 == 0 {
            self.taken |= 1 << list;
            self.first[list] = index;
            self.last[list] = index;
        } else if front {
            let second = self.first[list];
            self.nodes[index as usize].after = second;
            self.nodes[second as usize].before = index;
            self.first[list] = index;
        } else {
            let previous = self.last[list];
            self.nodes[index as usize].before = previous;
            self.nodes[previous as usize].after = index;
            self.last[list] = index;
        }
        self.len += 1;
    }

    /// Takes the first one of the highest priority.
    pub fn take_first(&mut self) -> Option<(Place, T)> {
        if self.taken == 0 {
            return None;
        }
        self.remove(u64::from(self.first[list(self.highest())]))
    }

    /// Takes out the node with this number.
    pub fn remove(&mut self, node: u64) -> Option<(Place, T)> {
        let index = node as u32;
        let node = self.nodes.get_mut(index as usize)?;
        let item = node.item.take()?;
        let (before, after, place) = (node.before, node.after, node.place);
        node.after = self.free;
        self.free = index;
        self.len -= 1;
        let list = list(place.priority);
        match before {
            NONE => self.first[list] = after,
            _ => self.nodes[before as usize].after = after,
        }
        match after {
            NONE => self.last[list] = before,
            _ => self.nodes[after as usize].before = before,
        }
        if self.first[list] == NONE {
            self.taken &= !(1 << list);
        }
        Some((place, item))
    }
}

fn list(priority: u8) -> usize {
    usize::from(priority).clamp(1, LISTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain list that is searched.
        #[test]
        fn they_are_what_a_search_finds(
            steps in proptest::collection::vec((0u8..4, 1u8..=100, any::<u16>()), 1..300),
        ) {
            let mut lists = Lists::new();
            let mut model: Vec<(u8, usize, u64)> = Vec::new();
            for (number, (step, priority, which)) in steps.into_iter().enumerate() {
                let priority = if which & 1 == 0 { priority } else { priority % 4 + 1 };
                let place = Place { priority, rotates: false, left: 0 };
                match step {
                    0 => {
                        lists.reserve().unwrap();
                        model.push((priority, number, lists.next_node()));
                        lists.insert(place, false, number);
                    }
                    1 => {
                        model.insert(0, (priority, number, lists.next_node()));
                        lists.insert(place, true, number);
                    }
                    2 if !model.is_empty() => {
                        let gone = model.remove(usize::from(which) % model.len());
                        prop_assert_eq!(lists.remove(gone.2).map(|found| found.1), Some(gone.1));
                        prop_assert!(lists.remove(gone.2).is_none());
                    }
                    _ => {
                        let highest = model.iter().map(|entry| entry.0).max();
                        prop_assert_eq!(highest.unwrap_or(0), lists.highest());
                        let at = model.iter().position(|entry| Some(entry.0) == highest);
                        let expected = at.map(|at| model.remove(at));
                        let taken = lists.take_first();
                        prop_assert_eq!(
                            taken.map(|(place, item)| (place.priority, item)),
                            expected.map(|entry| (entry.0, entry.1))
                        );
                    }
                }
                prop_assert_eq!(lists.len(), model.len());
            }
        }
    }
}
