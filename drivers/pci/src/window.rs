//! Address space for memory registers that the firmware left without a place.
//!
//! The one idea: a window is the part of a bus's address space that nobody was seen to use; every register that does
//! have a place is cut out of it before anything is handed out.

use alloc::vec::Vec;
use core::ops::Range;

/// Free address space, as disjoint ranges in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    free: Vec<Range<u64>>,
}

impl Window {
    /// A window over `range`, all of it free.
    pub fn new(range: Range<u64>) -> Window {
        let free = if range.is_empty() {
            Vec::new()
        } else {
            Vec::from([range])
        };
        Window { free }
    }

    /// A window without address space.
    pub const fn empty() -> Window {
        Window { free: Vec::new() }
    }

    /// Takes `used` out of the free space; what is not free anyway does not matter.
    pub fn reserve(&mut self, used: Range<u64>) {
        if used.is_empty() {
            return;
        }
        let mut left = Vec::with_capacity(self.free.len() + 1);
        for range in self.free.drain(..) {
            let before = range.start..range.end.min(used.start);
            let after = range.start.max(used.end)..range.end;
            left.extend([before, after].into_iter().filter(|part| !part.is_empty()));
        }
        self.free = left;
    }

    /// Takes `size` bytes (a power of two) aligned to their size: the lowest place that fits.
    pub fn allocate(&mut self, size: u64) -> Option<u64> {
        if !size.is_power_of_two() {
            return None;
        }
        let place = self.free.iter().find_map(|range| {
            let start = range.start.checked_next_multiple_of(size)?;
            (start.checked_add(size)? <= range.end).then_some(start)
        })?;
        self.reserve(place..place + size);
        Some(place)
    }

    /// Bytes that are free.
    pub fn room(&self) -> u64 {
        self.free.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_aligned_and_lowest_first() {
        let mut window = Window::new(0xe000_1000..0xe002_0000);
        assert_eq!(window.allocate(0x4000), Some(0xe000_4000));
        assert_eq!(window.allocate(0x1000), Some(0xe000_1000));
        assert_eq!(window.allocate(0x10000), Some(0xe001_0000));
        assert_eq!(window.allocate(0x10000), None);
        assert_eq!(window.allocate(3), None);
        assert_eq!(Window::empty().allocate(16), None);
    }

    proptest! {
        #[test]
        fn nothing_is_given_twice(
            steps in proptest::collection::vec((0u64..0x1000, 0u32..9, any::<bool>()), 0..40)
        ) {
            let mut window = Window::new(0x100..0x1000);
            let mut used = [false; 0x1000];
            for (at, order, reserve) in steps {
                let size = 1u64 << order;
                let place = if reserve {
                    window.reserve(at..at + size);
                    at
                } else {
                    let Some(place) = window.allocate(size) else { continue };
                    prop_assert!(place % size == 0 && place >= 0x100 && place + size <= 0x1000);
                    for byte in place..place + size {
                        prop_assert!(!used[byte as usize]);
                    }
                    place
                };
                for byte in place..(place + size).min(0x1000) {
                    used[byte as usize] = true;
                }
            }
            let free = (0x100..0x1000).filter(|&byte| !used[byte]).count();
            prop_assert_eq!(window.room(), free as u64);
        }
    }
}
