//! A search tree by deadline that knows the earliest virtual time below each node.
//!
//! The one idea: "the first by deadline among those not after a given time" is one walk down, because each node says
//! whether anybody below it qualifies. A treap: random priorities keep it balanced, expected depth O(log n). Nodes lie
//! in one vector and are reused; after `reserve` no operation allocates.

use super::before;
use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// The order in the tree: deadline first (on the circle of virtual time), then arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub deadline: i64,
    pub arrival: u64,
}

impl Key {
    fn precedes(&self, other: &Key) -> bool {
        if self.deadline == other.deadline {
            self.arrival < other.arrival
        } else {
            before(self.deadline, other.deadline)
        }
    }
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node<T> {
    key: Key,
    time: i64,
    /// The earliest time in this subtree.
    earliest: i64,
    weight: u32,
    priority: u32,
    left: u32,
    /// In a free node: the next free one.
    right: u32,
    item: Option<T>,
}

#[derive(Debug)]
pub(super) struct Tree<T> {
    nodes: Vec<Node<T>>,
    root: u32,
    free: u32,
    len: usize,
}

/// Below this many nodes memory is never given back.
const KEPT: usize = 64;

impl<T> Tree<T> {
    pub const fn new() -> Self {
        Tree {
            nodes: Vec::new(),
            root: NONE,
            free: NONE,
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn reserve(&mut self, entities: usize) -> Result<(), TryReserveError> {
        self.nodes
            .try_reserve(entities.saturating_sub(self.nodes.len()))
    }

    /// Shrinks, if nobody is in the tree and it is much larger than needed.
    pub fn release(&mut self, entities: usize) {
        if self.len == 0 && self.nodes.capacity() > KEPT && self.nodes.capacity() / 4 > entities {
            self.nodes.clear();
            self.free = NONE;
            self.nodes.shrink_to(entities.max(KEPT));
        }
    }

    pub fn insert(&mut self, key: Key, time: i64, weight: u32, item: T) {
        let node = Node {
            key,
            time,
            earliest: time,
            weight,
            priority: scatter(key.arrival),
            left: NONE,
            right: NONE,
            item: Some(item),
        };
        let index = self.free;
        let index = if index == NONE {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            self.free = self.nodes[index as usize].right;
            self.nodes[index as usize] = node;
            index
        };
        self.len += 1;
        self.root = if self.root == NONE {
            index
        } else {
            self.place(self.root, index)
        };
    }

    /// Takes the first by key among those whose time is not after `limit`. A single one is always taken.
    pub fn take_first_not_after(&mut self, limit: i64) -> Option<(Key, i64, u32, T)> {
        if self.root == NONE {
            return None;
        }
        let (root, taken) = if self.len == 1 {
            (NONE, self.root)
        } else {
            self.detach(self.root, limit)
        };
        self.root = root;
        let key = self.nodes[taken as usize].key;
        let (time, weight, item) = self.give_up(taken)?;
        Some((key, time, weight, item))
    }

    /// The first key.
    pub fn first(&self) -> Option<Key> {
        let mut first = None;
        let mut at = self.root;
        while at != NONE {
            let node = &self.nodes[at as usize];
            first = Some(node.key);
            at = node.left;
        }
        first
    }

    /// Takes the node with this very key, with its time and weight.
    pub fn remove(&mut self, key: &Key) -> Option<(i64, u32, T)> {
        let mut at = self.root;
        while at != NONE {
            let node = &self.nodes[at as usize];
            if node.key == *key {
                self.root = self.cut(self.root, key);
                return self.give_up(at);
            }
            at = if key.precedes(&node.key) {
                node.left
            } else {
                node.right
            };
        }
        None
    }

    /// Takes the last by key that `allowed` accepts; asks about at most `looks` of them. With its time and weight.
    pub fn take_last(
        &mut self,
        mut looks: usize,
        mut allowed: impl FnMut(&T) -> bool,
    ) -> Option<(i64, u32, T)> {
        let mut next = self.last(self.root);
        while next != NONE && looks > 0 {
            let node = &self.nodes[next as usize];
            let key = node.key;
            if node.item.as_ref().is_some_and(&mut allowed) {
                self.root = self.cut(self.root, &key);
                return self.give_up(next);
            }
            next = self.previous(&key);
            looks -= 1;
        }
        None
    }

    fn last(&self, root: u32) -> u32 {
        let mut last = NONE;
        let mut at = root;
        while at != NONE {
            last = at;
            at = self.nodes[at as usize].right;
        }
        last
    }

    /// The last node before `key`.
    fn previous(&self, key: &Key) -> u32 {
        let mut found = NONE;
        let mut at = self.root;
        while at != NONE {
            let node = &self.nodes[at as usize];
            if node.key.precedes(key) {
                found = at;
                at = node.right;
            } else {
                at = node.left;
            }
        }
        found
    }

    /// Detaches the node with this very key, which is below `root`; the new root.
    fn cut(&mut self, root: u32, key: &Key) -> u32 {
        if root == NONE {
            return NONE;
        }
        let top = &self.nodes[root as usize];
        let (left, right) = (top.left, top.right);
        if top.key == *key {
            return self.merge(left, right);
        }
        if key.precedes(&top.key) {
            self.nodes[root as usize].left = self.cut(left, key);
        } else {
            self.nodes[root as usize].right = self.cut(right, key);
        }
        self.update(root);
        root
    }

    /// Frees a detached node; its time, weight and item.
    fn give_up(&mut self, taken: u32) -> Option<(i64, u32, T)> {
        self.len -= 1;
        let free = self.free;
        let node = &mut self.nodes[taken as usize];
        node.right = free;
        self.free = taken;
        let item = node.item.take()?;
        Some((node.time, node.weight, item))
    }

    /// Puts a lone node into the subtree at `root`; returns the new root.
    fn place(&mut self, root: u32, index: u32) -> u32 {
        if root == NONE {
            return index;
        }
        let key = self.nodes[index as usize].key;
        let top = &self.nodes[root as usize];
        let goes_left = key.precedes(&top.key);
        let (left, right) = (top.left, top.right);
        if self.nodes[index as usize].priority > top.priority {
            let (left, right) = self.split(root, &key);
            self.nodes[index as usize].left = left;
            self.nodes[index as usize].right = right;
            self.update(index);
            return index;
        }
        if goes_left {
            self.nodes[root as usize].left = self.place(left, index);
        } else {
            self.nodes[root as usize].right = self.place(right, index);
        }
        self.update(root);
        root
    }

    /// Splits the subtree at `root` into what precedes `key` and the rest.
    fn split(&mut self, root: u32, key: &Key) -> (u32, u32) {
        if root == NONE {
            return (NONE, NONE);
        }
        let top = &self.nodes[root as usize];
        if top.key.precedes(key) {
            let (middle, right) = self.split(top.right, key);
            self.nodes[root as usize].right = middle;
            self.update(root);
            (root, right)
        } else {
            let (left, middle) = self.split(top.left, key);
            self.nodes[root as usize].left = middle;
            self.update(root);
            (left, root)
        }
    }

    /// Joins two subtrees; everything in `left` precedes everything in `right`.
    fn merge(&mut self, left: u32, right: u32) -> u32 {
        if left == NONE {
            return right;
        }
        if right == NONE {
            return left;
        }
        if self.nodes[left as usize].priority > self.nodes[right as usize].priority {
            let below = self.nodes[left as usize].right;
            self.nodes[left as usize].right = self.merge(below, right);
            self.update(left);
            left
        } else {
            let below = self.nodes[right as usize].left;
            self.nodes[right as usize].left = self.merge(left, below);
            self.update(right);
            right
        }
    }

    /// Detaches the first node by key whose time is not after `limit`, or the very last node if there is none.
    fn detach(&mut self, root: u32, limit: i64) -> (u32, u32) {
        let top = &self.nodes[root as usize];
        let (left, right) = (top.left, top.right);
        if left != NONE && !before(limit, self.nodes[left as usize].earliest) {
            let (left, taken) = self.detach(left, limit);
            self.nodes[root as usize].left = left;
            self.update(root);
            (root, taken)
        } else if !before(limit, top.time) || right == NONE {
            (self.merge(left, right), root)
        } else {
            let (right, taken) = self.detach(right, limit);
            self.nodes[root as usize].right = right;
            self.update(root);
            (root, taken)
        }
    }

    fn update(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let mut earliest = node.time;
        for child in [node.left, node.right] {
            if child != NONE && before(self.nodes[child as usize].earliest, earliest) {
                earliest = self.nodes[child as usize].earliest;
            }
        }
        self.nodes[index as usize].earliest = earliest;
    }
}

/// Any numbers do for priorities that deadlines do not follow (the finaliser of MurmurHash3 by A. Appleby).
#[inline]
fn scatter(arrival: u64) -> u32 {
    let mut mixed = arrival as u32;
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain list, with times all around the wrap of virtual time.
        #[test]
        fn it_finds_what_a_search_of_everything_finds(
            base in any::<i64>(),
            steps in proptest::collection::vec((0u8..5, 0i64..50, 0i64..50), 1..200),
        ) {
            let mut tree = Tree::new();
            let mut model: Vec<(i64, u64, i64)> = Vec::new();
            for (arrival, (step, deadline, time)) in steps.into_iter().enumerate() {
                if step == 4 {
                    // The last one that a predicate allows, within a number of looks.
                    let looks = time as usize / 5;
                    let allowed = |item: usize| !item.is_multiple_of(3);
                    model.sort_unstable();
                    let expected = model
                        .iter()
                        .rev()
                        .take(looks)
                        .find(|entry| allowed(entry.1 as usize))
                        .copied();
                    let taken = tree.take_last(looks, |&item| allowed(item));
                    let taken = taken.map(|(time, weight, item)| (time.wrapping_sub(base), weight, item as u64));
                    prop_assert_eq!(taken, expected.map(|entry| (entry.2, 7, entry.1)));
                    model.retain(|entry| Some(*entry) != expected);
                } else if step < 2 {
                    let key = Key { deadline: base.wrapping_add(deadline), arrival: arrival as u64 };
                    tree.insert(key, base.wrapping_add(time), 7, arrival);
                    model.push((deadline, arrival as u64, time));
                } else {
                    let limit = time;
                    let expected = model
                        .iter()
                        .filter(|entry| model.len() == 1 || entry.2 <= limit)
                        .min()
                        .copied();
                    if let Some(expected) = expected {
                        let taken = tree.take_first_not_after(base.wrapping_add(limit));
                        let (key, time, weight, item) = taken.expect("the model has one");
                        prop_assert_eq!(key.deadline, base.wrapping_add(expected.0));
                        prop_assert_eq!(time, base.wrapping_add(expected.2));
                        prop_assert_eq!((weight, item as u64), (7, expected.1));
                        model.retain(|entry| *entry != expected);
                    }
                }
                prop_assert_eq!(tree.len(), model.len());
            }
            let nodes = tree.nodes.len();
            while tree.take_first_not_after(base).is_some() {}
            prop_assert_eq!(tree.len(), 0);
            prop_assert!(nodes <= 200);
        }
    }

    #[test]
    fn many_nodes_stay_shallow_and_are_given_back() {
        let mut tree = Tree::new();
        tree.reserve(10_000).unwrap();
        for deadline in 0..10_000 {
            let key = Key {
                deadline,
                arrival: deadline as u64,
            };
            tree.insert(key, 0, 1, ());
        }
        fn depth(tree: &Tree<()>, root: u32) -> usize {
            if root == NONE {
                return 0;
            }
            let node = &tree.nodes[root as usize];
            1 + depth(tree, node.left).max(depth(tree, node.right))
        }
        assert!(depth(&tree, tree.root) < 64);
        while tree.take_first_not_after(0).is_some() {}
        tree.release(10);
        assert!(tree.nodes.capacity() < 1000);
    }
}
