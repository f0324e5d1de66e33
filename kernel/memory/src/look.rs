//! Questions about an address space that change nothing.

use crate::space::Space;
use core::ops::Range;

impl Space {
    /// Whether every byte of the range is mapped.
    pub fn is_mapped(&self, range: Range<usize>) -> bool {
        self.lock().mappings.mapped_in(range.clone()) == range.len()
    }

    /// Whether the page at this address is in memory now (mincore(2)).
    pub fn is_present(&self, page: usize) -> bool {
        self.lock().table.access(page).is_some()
    }
}
