//! Questions about an address space that change nothing.

use crate::mappings::{Content, MappingInfo};
use crate::object::Object;
use crate::space::Space;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use machine::{PAGE, USER_END};

impl Space {
    /// What is mapped, in order.
    pub fn mappings(&self) -> Vec<MappingInfo> {
        self.lock()
            .mappings
            .iter()
            .map(|(start, mapping)| MappingInfo::new(start, mapping))
            .collect()
    }

    /// The mapping that holds an address.
    pub fn mapping_at(&self, address: usize) -> Option<MappingInfo> {
        self.lock()
            .mappings
            .find(address)
            .map(|(start, mapping)| MappingInfo::new(start, mapping))
    }

    /// The object and the offset behind an address that is shared with other spaces: the name of a
    /// futex between processes. `None` where memory is private or nothing is mapped.
    pub fn shared_place(&self, address: usize) -> Option<(Arc<Object>, u64)> {
        let inner = self.lock();
        let (start, mapping) = inner.mappings.find(address)?;
        match &mapping.content {
            Content::Object {
                object,
                offset,
                shared: true,
            } => Some((object.clone(), offset + (address - start) as u64)),
            _ => None,
        }
    }

    /// Pages that are there.
    pub fn resident(&self) -> usize {
        self.lock().table.resident()
    }

    /// Bytes that are mapped.
    pub fn size(&self) -> usize {
        self.lock().mappings.size()
    }

    /// Faults that asked for a page so far.
    pub fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// How often somebody asked for memory that is writable and executable at once.
    pub fn writable_code(&self) -> u64 {
        self.lock().writable_code
    }

    /// Whether all of a range is mapped. An empty one is.
    pub fn is_mapped(&self, range: Range<usize>) -> bool {
        self.lock().mappings.mapped_in(range.clone()) == range.len()
    }

    /// Whether the page that holds an address is there already.
    pub fn is_present(&self, address: usize) -> bool {
        let page = address & !(PAGE - 1);
        page < USER_END && self.lock().table.access(page).is_some()
    }
}
