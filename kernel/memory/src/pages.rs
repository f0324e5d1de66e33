//! A sparse array of frames: which page of a memory object is in which frame.
//!
//! The one idea: a radix tree that is only as high as its largest index needs. One page needs no
//! node at all, which is what most files are; 32 pages need one node, 4 MiB need two levels.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::array;
use machine::frame::{self, Frame};
use machine::paging::OutOfFrames;

/// Index bits that one level of the tree resolves.
const BITS: u32 = 5;
const FANOUT: usize = 1 << BITS;

/// A part of the tree. Dropping it frees its frames: do that outside of locks.
pub enum Slot {
    Empty,
    Page(Frame),
    Node(Box<Node>),
}

pub struct Node([Slot; FANOUT]);

impl Node {
    fn empty() -> Result<Box<Node>, OutOfFrames> {
        if !frame::heap_room() {
            return Err(OutOfFrames);
        }
        Ok(Box::new(Node(array::from_fn(|_| Slot::Empty))))
    }
}

impl Slot {
    fn pages(&self) -> usize {
        match self {
            Slot::Empty => 0,
            Slot::Page(_) => 1,
            Slot::Node(node) => node.0.iter().map(Slot::pages).sum(),
        }
    }

    fn take(&mut self) -> Slot {
        core::mem::replace(self, Slot::Empty)
    }
}

pub struct Pages {
    root: Slot,
    /// Levels of nodes. At 0 the root is page 0 itself.
    height: u32,
    count: usize,
}

/// Which slot of a node at `level` (1 is the lowest) leads to `index`.
const fn slot_of(index: u64, level: u32) -> usize {
    (index >> (BITS * (level - 1))) as usize % FANOUT
}

impl Pages {
    pub const fn new() -> Self {
        Pages {
            root: Slot::Empty,
            height: 0,
            count: 0,
        }
    }

    /// How many pages are there.
    pub const fn count(&self) -> usize {
        self.count
    }

    fn reaches(&self, index: u64) -> bool {
        let bits = BITS * self.height;
        bits >= u64::BITS || index >> bits == 0
    }

    pub fn get(&self, index: u64) -> Option<&Frame> {
        if !self.reaches(index) {
            return None;
        }
        let mut slot = &self.root;
        let mut level = self.height;
        loop {
            match slot {
                Slot::Empty => return None,
                Slot::Page(frame) => return Some(frame),
                Slot::Node(node) => {
                    slot = &node.0[slot_of(index, level)];
                    level -= 1;
                }
            }
        }
    }

    /// Puts a frame where there is none. (One that is there is replaced.) On an error nothing
    /// visible has changed.
    pub fn insert(&mut self, index: u64, frame: Frame) -> Result<(), OutOfFrames> {
        while !self.reaches(index) {
            if !matches!(self.root, Slot::Empty) {
                let mut node = Node::empty()?;
                node.0[0] = self.root.take();
                self.root = Slot::Node(node);
            }
            self.height += 1;
        }
        let mut slot = &mut self.root;
        for level in (1..=self.height).rev() {
            if matches!(slot, Slot::Empty) {
                *slot = Slot::Node(Node::empty()?);
            }
            match slot {
                Slot::Node(node) => slot = &mut node.0[slot_of(index, level)],
                Slot::Empty | Slot::Page(_) => unreachable!("pages are at level 0 only"),
            }
        }
        if matches!(slot, Slot::Empty) {
            self.count += 1;
        }
        *slot = Slot::Page(frame);
        Ok(())
    }

    /// Takes away all pages from `first` on, in as few pieces as there are. The caller drops them
    /// outside of its lock.
    #[must_use]
    pub fn cut(&mut self, first: u64) -> Vec<Slot> {
        let mut gone = Vec::new();
        if first == 0 {
            gone.push(self.root.take());
            *self = Pages::new();
            return gone;
        }
        if self.reaches(first) {
            cut(&mut self.root, self.height, first, &mut gone);
            self.count -= gone.iter().map(Slot::pages).sum::<usize>();
        }
        gone
    }
}

/// Cuts `slot`, whose nodes have `level` levels, so that only pages before `first` (not 0, relative
/// to the slot) stay.
fn cut(slot: &mut Slot, level: u32, first: u64, gone: &mut Vec<Slot>) {
    let Slot::Node(node) = slot else { return };
    let edge = slot_of(first, level);
    let inner = first & ((1 << (BITS * (level - 1))) - 1);
    let whole = if inner == 0 { edge } else { edge + 1 };
    for slot in &mut node.0[whole..] {
        if !matches!(slot, Slot::Empty) {
            gone.push(slot.take());
        }
    }
    if inner != 0 {
        cut(&mut node.0[edge], level - 1, inner, gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_tree_grows_and_shrinks_like_a_map() {
        let before = frame::stats();
        let mut pages = Pages::new();
        let mut model = BTreeMap::new();
        let indices = [
            0,
            31,
            5,
            32,
            1023,
            1024,
            40_000,
            1 << 30,
            (1 << 51) - 1,
            1 << 45,
        ];
        for index in indices {
            let frame = Frame::zeroed().unwrap();
            model.insert(index, frame.number());
            pages.insert(index, frame).unwrap();
        }
        let same = |pages: &Pages, model: &BTreeMap<u64, usize>| {
            assert_eq!(pages.count(), model.len());
            for index in indices
                .iter()
                .flat_map(|&index| [index, index + 1, index ^ 64])
            {
                assert_eq!(
                    pages.get(index).map(Frame::number),
                    model.get(&index).copied(),
                    "{index}"
                );
            }
        };
        same(&pages, &model);
        for first in [
            u64::MAX,
            (1 << 51) - 1,
            1 << 31,
            40_001,
            1024,
            1023,
            33,
            32,
            6,
            1,
            0,
        ] {
            drop(pages.cut(first));
            model.retain(|&index, _| index < first);
            same(&pages, &model);
        }
        assert_eq!(frame::stats(), before);
    }

    #[test]
    fn without_room_nothing_changes() {
        let mut pages = Pages::new();
        pages.insert(0, Frame::zeroed().unwrap()).unwrap();
        let frame = Frame::zeroed().unwrap();
        machine::host::frame::fail_after(0);
        assert!(pages.insert(5000, frame.clone()).is_err());
        assert_eq!(pages.count(), 1);
        assert!(pages.get(0).is_some());
        machine::host::frame::fail_never();
        pages.insert(5000, frame).unwrap();
        assert_eq!(pages.count(), 2);
    }
}
