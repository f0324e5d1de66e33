//! The buddy allocator: which frames are free, in blocks of powers of two.
//!
//! The one idea (Knuth, The Art of Computer Programming, volume 1, 2.5): a block of order *k*
//! starts at a multiple of 2^k, and its *buddy* is the block whose number differs only in bit *k*.
//! When both are free they become one block of order *k* + 1.
//!
//! Pure logic over a slice with one [`Node`] for each frame: no memory is touched, so it is tested
//! on any machine. Each allocator has a range of frames of its own, and blocks never join across its
//! ends. Allocating and freeing take at most [`ORDERS`] steps.

/// Orders of blocks: 0 (one frame, 4 KiB) to 18 (1 GiB).
pub const ORDERS: usize = 19;

/// The end of a list.
const NONE: u32 = u32::MAX;
/// The state of a frame that is not the first of a free block.
const TAKEN: u8 = u8::MAX;

/// What the allocator knows of one frame: the links of a free list, if a free block starts there.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    next: u32,
    previous: u32,
    /// The order of the free block that starts here, or [`TAKEN`].
    order: u8,
}

impl Node {
    /// A frame that is in use.
    pub const TAKEN: Node = Node {
        next: NONE,
        previous: NONE,
        order: TAKEN,
    };
}

/// The allocator. At first every frame is taken; [`Buddy::add`] gives it what is free.
pub struct Buddy<'a> {
    nodes: &'a mut [Node],
    /// The number of the first frame.
    first: usize,
    /// The first block of each order's list.
    heads: [u32; ORDERS],
    free: usize,
}

impl<'a> Buddy<'a> {
    /// An allocator without free frames, for those from number `first` on. Every node must be [`Node::TAKEN`]. Panics
    /// beyond 2^32 - 1 frames (16 TiB).
    pub const fn new(first: usize, nodes: &'a mut [Node]) -> Self {
        assert!(
            first < NONE as usize && nodes.len() < NONE as usize - first,
            "frame numbers have 32 bits"
        );
        Buddy {
            nodes,
            first,
            heads: [NONE; ORDERS],
            free: 0,
        }
    }

    /// How many frames are free.
    pub const fn free_frames(&self) -> usize {
        self.free
    }

    /// Frees any range of taken frames, in the largest blocks that fit: the memory map at boot, or
    /// what is left over of a block that was larger than needed.
    pub fn add(&mut self, frames: core::ops::Range<usize>) {
        let mut at = frames.start;
        while at < frames.end {
            let aligned = at.trailing_zeros();
            let fits = (frames.end - at).ilog2();
            let order = aligned.min(fits).min(ORDERS as u32 - 1) as usize;
            self.free(at, order);
            at += 1 << order;
        }
    }

    /// Takes a block of 2^`order` frames and returns the number of its first, or `None` when no
    /// block is large enough.
    pub fn allocate(&mut self, order: usize) -> Option<usize> {
        let found = (order..ORDERS).find(|&order| self.heads[order] != NONE)?;
        let block = self.heads[found] as usize;
        self.unlink(block, found);
        // The upper halves go back, one of each order between.
        for order in (order..found).rev() {
            self.link(block + (1 << order), order);
        }
        self.free -= 1 << order;
        Some(block)
    }

    /// Gives back a block of 2^`order` frames, joining it with its buddies as far as they are free.
    ///
    /// Panics when the block is not aligned, not inside the slice, or starts where a free block
    /// starts: a double free is a bug of the kernel that must not go on.
    pub fn free(&mut self, block: usize, order: usize) {
        assert!(
            order < ORDERS && block.is_multiple_of(1 << order),
            "a block is aligned"
        );
        assert!(
            block >= self.first && block + (1 << order) <= self.first + self.nodes.len(),
            "a block lies inside memory"
        );
        assert!(
            self.nodes[block - self.first].order == TAKEN,
            "a block is freed once"
        );
        debug_assert!(!self.lies_in_free_block(block), "a block is freed once");
        self.free += 1 << order;
        let (mut block, mut order) = (block, order);
        while order + 1 < ORDERS {
            let buddy = block ^ (1 << order);
            // A buddy beyond the ends has no node; a smaller free block there has a smaller order.
            if self.order_at(buddy) != Some(order) {
                break;
            }
            self.unlink(buddy, order);
            block = block.min(buddy);
            order += 1;
        }
        self.link(block, order);
    }

    fn lies_in_free_block(&self, frame: usize) -> bool {
        (0..ORDERS).any(|order| {
            let start = frame & !((1 << order) - 1);
            self.order_at(start).is_some_and(|found| found >= order)
        })
    }

    /// The order of the free block that starts with this frame, if one does.
    fn order_at(&self, frame: usize) -> Option<usize> {
        let node = self.nodes.get(frame.checked_sub(self.first)?)?;
        (node.order != TAKEN).then_some(node.order.into())
    }

    fn link(&mut self, block: usize, order: usize) {
        let next = self.heads[order];
        self.nodes[block - self.first] = Node {
            next,
            previous: NONE,
            order: order as u8,
        };
        if next != NONE {
            self.nodes[next as usize - self.first].previous = block as u32;
        }
        self.heads[order] = block as u32;
    }

    fn unlink(&mut self, block: usize, order: usize) {
        let Node { next, previous, .. } = self.nodes[block - self.first];
        self.nodes[block - self.first] = Node::TAKEN;
        if next != NONE {
            self.nodes[next as usize - self.first].previous = previous;
        }
        if previous == NONE {
            self.heads[order] = next;
        } else {
            self.nodes[previous as usize - self.first].next = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xorshift64: enough disorder, the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    #[test]
    fn blocks_do_not_join_across_the_ends() {
        let mut nodes = [Node::TAKEN; 24];
        let (low, high) = nodes.split_at_mut(12);
        let (mut low, mut high) = (Buddy::new(8, low), Buddy::new(20, high));
        low.add(8..20);
        high.add(20..32);
        assert_eq!(low.allocate(4), None);
        assert_eq!(low.allocate(3), Some(8));
        assert_eq!(low.allocate(2), Some(16));
        assert_eq!(low.allocate(0), None);
        assert_eq!(high.allocate(3), Some(24));
        assert_eq!(high.allocate(2), Some(20));
        high.free(20, 2);
        low.free(16, 2);
        assert_eq!((low.free_frames(), high.free_frames()), (4, 4));
        assert_eq!(high.allocate(3), None);
    }

    #[test]
    fn blocks_split_and_join() {
        let mut nodes = [Node::TAKEN; 64];
        let mut buddy = Buddy::new(0, &mut nodes);
        assert_eq!(buddy.allocate(0), None);
        buddy.add(0..64);
        assert_eq!(buddy.free_frames(), 64);
        assert_eq!(buddy.allocate(6), Some(0));
        assert_eq!(buddy.allocate(0), None);
        buddy.free(0, 6);
        let one = buddy.allocate(0).unwrap();
        assert_eq!(buddy.allocate(6), None);
        let half = buddy.allocate(5).unwrap();
        assert_ne!(one & 32, half);
        buddy.free(one, 0);
        buddy.free(half, 5);
        assert_eq!(buddy.allocate(6), Some(0));
    }

    #[test]
    fn odd_ranges_are_added_and_taken_whole() {
        let mut nodes = [Node::TAKEN; 1000];
        let mut buddy = Buddy::new(0, &mut nodes);
        buddy.add(3..501);
        buddy.add(700..1000);
        assert_eq!(buddy.free_frames(), 498 + 300);
        let mut seen = [false; 1000];
        while let Some(frame) = buddy.allocate(0) {
            assert!(!std::mem::replace(&mut seen[frame], true));
        }
        assert_eq!(buddy.free_frames(), 0);
        assert!((0..1000).all(
            |frame| seen[frame] == ((3..501).contains(&frame) || (700..1000).contains(&frame))
        ));
    }

    #[test]
    #[should_panic(expected = "freed once")]
    fn a_double_free_stops() {
        let mut nodes = [Node::TAKEN; 8];
        let mut buddy = Buddy::new(0, &mut nodes);
        buddy.add(0..8);
        buddy.free(5, 0);
    }

    #[test]
    fn random_use_never_gives_a_frame_twice_and_all_comes_back() {
        const FRAMES: usize = 5000;
        let mut nodes = vec![Node::TAKEN; FRAMES];
        let mut buddy = Buddy::new(0, &mut nodes);
        buddy.add(1..FRAMES);
        let mut used = vec![false; FRAMES];
        let mut held = Vec::new();
        let mut dice = Dice(0x1234_5678_9abc_def1);
        for _ in 0..5_000 {
            if dice.below(2) == 0 || held.is_empty() {
                let order = dice.below(8);
                let Some(block) = buddy.allocate(order) else {
                    continue;
                };
                assert!(block.is_multiple_of(1 << order));
                for frame in &mut used[block..block + (1 << order)] {
                    assert!(!std::mem::replace(frame, true));
                }
                held.push((block, order));
            } else {
                let (block, order) = held.swap_remove(dice.below(held.len()));
                used[block..block + (1 << order)].fill(false);
                // Whole, or in pieces.
                if dice.below(2) == 0 {
                    buddy.free(block, order);
                } else {
                    let cut = block + dice.below(1 << order);
                    buddy.add(cut..block + (1 << order));
                    buddy.add(block..cut);
                }
            }
            let taken: usize = held.iter().map(|&(_, order)| 1 << order).sum();
            assert_eq!(buddy.free_frames(), FRAMES - 1 - taken);
        }
        for (block, order) in held {
            buddy.free(block, order);
        }
        assert_eq!(buddy.free_frames(), FRAMES - 1);
        assert!(buddy.allocate(11).is_some(), "everything has joined again");
    }
}
