//! The ordered map of an address space: what is promised where. Pure logic; the page table is not
//! touched here.
//!
//! The one idea: mappings never overlap and never lie needlessly beside an equal neighbour.
//! Removing a range cuts the mappings at its ends; inserting one joins it with neighbours that
//! continue it.

use crate::object::Object;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use machine::paging::Access;
use machine::{PAGE, USER_END};

/// Lowest address that can be mapped (Linux's `mmap_min_addr`): a null pointer with an offset
/// faults.
pub const MIN_ADDRESS: usize = 64 * 1024;
/// Below it, mappings are placed downwards: as on Linux without randomisation, 128 MiB below the
/// end.
pub const MMAP_BASE: usize = USER_END - (128 << 20);
/// What stays free below a stack that grows (Linux's `stack_guard_gap`).
pub const STACK_GUARD: usize = 256 * PAGE;

/// What a mapping is for, where that changes how it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// A stack. A fault below its start makes it grow, by at most `grows` bytes in all.
    Stack {
        grows: usize,
    },
    /// The heap of `brk`.
    Heap,
}

/// What a fork makes of a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtFork {
    /// The child has it as well.
    #[default]
    Copied,
    /// The child does not have it (`MADV_DONTFORK`).
    Left,
    /// The child has zeros in its place (`MADV_WIPEONFORK`).
    Wiped,
}

/// What the pages of a mapping come from.
#[derive(Clone)]
pub enum Content {
    /// Zeros, private.
    Anonymous,
    /// An object's pages, from the byte `offset` on at the mapping's start.
    Object {
        object: Arc<Object>,
        offset: u64,
        shared: bool,
    },
}

impl Content {
    /// Whether writes stay in this address space.
    pub const fn is_private(&self) -> bool {
        !matches!(self, Content::Object { shared: true, .. })
    }
}

/// One mapping; its start is its key in the map.
#[derive(Clone)]
pub struct Mapping {
    pub end: usize,
    pub access: Access,
    pub max_access: Access,
    pub kind: Kind,
    pub content: Content,
    pub at_fork: AtFork,
}

impl Mapping {
    /// The part of a mapping at `start` that covers `range`, which lies inside it.
    pub fn part(&self, start: usize, range: Range<usize>) -> Mapping {
        let skipped = range.start - start;
        let mut part = Mapping {
            end: range.end,
            ..self.clone()
        };
        if let Content::Object { offset, .. } = &mut part.content {
            *offset += skipped as u64;
        }
        if let Kind::Stack { grows } = &mut part.kind {
            *grows += skipped;
        }
        part
    }

    /// Where a mapping placed below this one has to end: a growing stack keeps its guard.
    fn lowest_neighbour(&self, start: usize) -> usize {
        match self.kind {
            Kind::Stack { grows } if grows > 0 => start.saturating_sub(STACK_GUARD),
            _ => start,
        }
    }

    /// Whether `next`, which begins at this one's end, goes on as this one would. `start` is where
    /// this one starts.
    fn continues_in(&self, start: usize, next: &Mapping) -> bool {
        let skipped = self.end - start;
        self.access == next.access
            && self.max_access == next.max_access
            && self.at_fork == next.at_fork
            && match (self.kind, next.kind) {
                (Kind::Stack { grows }, Kind::Stack { grows: further }) => {
                    grows.checked_add(skipped) == Some(further)
                }
                (here, there) => here == there,
            }
            && match (&self.content, &next.content) {
                (Content::Anonymous, Content::Anonymous) => true,
                (
                    Content::Object {
                        object,
                        offset,
                        shared,
                    },
                    Content::Object {
                        object: other,
                        offset: further,
                        shared: too,
                    },
                ) => {
                    Arc::ptr_eq(object, other)
                        && shared == too
                        && offset + skipped as u64 == *further
                }
                _ => false,
            }
    }
}

/// What there is to know about one mapping.
#[derive(Clone)]
pub struct MappingInfo {
    pub range: Range<usize>,
    pub access: Access,
    pub max_access: Access,
    pub kind: Kind,
    /// Whether writes reach the object.
    pub shared: bool,
    /// The object behind it, unless it is private and anonymous.
    pub object: Option<Arc<Object>>,
    /// Where in the object it starts, in bytes.
    pub offset: u64,
}

impl MappingInfo {
    pub fn new(start: usize, mapping: &Mapping) -> Self {
        let (object, offset, shared) = match &mapping.content {
            Content::Anonymous => (None, 0, false),
            Content::Object {
                object,
                offset,
                shared,
            } => (Some(object.clone()), *offset, *shared),
        };
        MappingInfo {
            range: start..mapping.end,
            access: mapping.access,
            max_access: mapping.max_access,
            kind: mapping.kind,
            shared,
            object,
            offset,
        }
    }
}

/// All mappings of an address space.
pub struct Mappings {
    by_start: BTreeMap<usize, Mapping>,
    /// Bytes mapped.
    size: usize,
    /// Placing goes down from here.
    base: usize,
    /// No hole between here and `base` is larger than `widest`: the search for a larger one begins
    /// here.
    search_from: usize,
    widest: usize,
}

impl Mappings {
    pub const fn new() -> Self {
        Mappings {
            by_start: BTreeMap::new(),
            size: 0,
            base: MMAP_BASE,
            search_from: MMAP_BASE,
            widest: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.by_start.len()
    }

    pub const fn size(&self) -> usize {
        self.size
    }

    pub const fn base(&self) -> usize {
        self.base
    }

    pub const fn set_base(&mut self, base: usize) {
        self.base = base;
        self.search_from = base;
        self.widest = 0;
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, &Mapping)> {
        self.by_start
            .iter()
            .map(|(&start, mapping)| (start, mapping))
    }

    /// The mapping that holds `address`.
    pub fn find(&self, address: usize) -> Option<(usize, &Mapping)> {
        let (&start, mapping) = self.by_start.range(..=address).next_back()?;
        (address < mapping.end).then_some((start, mapping))
    }

    /// The mapping that holds `address`, or the first after it.
    pub fn find_from(&self, address: usize) -> Option<(usize, &Mapping)> {
        self.find(address).or_else(|| {
            self.by_start
                .range(address..)
                .next()
                .map(|(&start, mapping)| (start, mapping))
        })
    }

    /// The last mapping that starts before `address`.
    pub fn before(&self, address: usize) -> Option<(usize, &Mapping)> {
        self.by_start
            .range(..address)
            .next_back()
            .map(|(&start, mapping)| (start, mapping))
    }

    /// The mappings that have a part in the range, in order.
    pub fn within(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &Mapping)> {
        let first = self
            .find(range.start)
            .map_or(range.start, |(start, _)| start);
        // An empty range after a first that lies before it would be a backward range.
        self.by_start
            .range(first..range.end.max(first))
            .map(|(&start, mapping)| (start, mapping))
    }

    /// Bytes of the range that are mapped.
    pub fn mapped_in(&self, range: Range<usize>) -> usize {
        self.within(range.clone())
            .map(|(start, mapping)| mapping.end.min(range.end) - start.max(range.start))
            .sum()
    }

    pub fn is_free(&self, range: Range<usize>) -> bool {
        self.within(range).next().is_none()
    }

    /// How many more mappings there are when the range is cut out of what is there: at most one.
    pub fn splits(&self, range: &Range<usize>) -> usize {
        let inside = self
            .find(range.start)
            .is_some_and(|(start, mapping)| start < range.start && range.end < mapping.end);
        usize::from(inside)
    }

    /// Adds a mapping in free space, and joins it with its neighbours.
    pub fn insert(&mut self, mut start: usize, mut mapping: Mapping) {
        self.size += mapping.end - start;
        if let Some((&before, left)) = self.by_start.range(..start).next_back()
            && left.end == start
            && left.continues_in(before, &mapping)
        {
            let end = mapping.end;
            // The left one goes on: its kind and offset are the right ones for the whole.
            if let Some(left) = self.by_start.remove(&before) {
                mapping = Mapping { end, ..left };
                start = before;
            }
        }
        if let Some(right) = self.by_start.get(&mapping.end)
            && mapping.continues_in(start, right)
            && let Some(right) = self.by_start.remove(&mapping.end)
        {
            mapping.end = right.end;
        }
        self.by_start.insert(start, mapping);
    }

    /// Takes the range out of the map; returns what was there, piece by piece.
    pub fn remove(&mut self, range: Range<usize>) -> Vec<(usize, Mapping)> {
        let mut removed = Vec::new();
        if range.is_empty() {
            return removed;
        }
        let mut next = self
            .find(range.start)
            .map_or(range.start, |(start, _)| start);
        while let Some((&start, _)) = self.by_start.range(next..range.end).next() {
            let Some(mapping) = self.by_start.remove(&start) else {
                break;
            };
            next = mapping.end.min(range.end);
            let part = start.max(range.start)..mapping.end.min(range.end);
            if start < part.start {
                self.by_start
                    .insert(start, mapping.part(start, start..part.start));
            }
            if part.end < mapping.end {
                self.by_start
                    .insert(part.end, mapping.part(start, part.end..mapping.end));
            }
            self.size -= part.len();
            let whole = start == part.start && mapping.end == part.end;
            let piece = if whole {
                mapping
            } else {
                mapping.part(start, part.clone())
            };
            removed.push((part.start, piece));
        }
        if !removed.is_empty() && range.end > self.search_from {
            // The hole that this made reaches up to the next mapping.
            let hole_end = self
                .by_start
                .range(range.end..)
                .next()
                .map_or(self.base, |(&start, _)| start);
            self.search_from = hole_end.min(self.base).max(self.search_from);
        }
        removed
    }

    /// How far from the start of the range everything is mapped and may be given `access`; and why not farther.
    pub fn reach(&self, range: Range<usize>, access: Access) -> (usize, Result<(), Error>) {
        let mut end = range.start;
        for (start, mapping) in self.within(range.clone()) {
            if start > end {
                return (end, Err(Error::NoMemory));
            }
            if !mapping.max_access.contains(access) {
                return (end, Err(Error::Denied));
            }
            end = mapping.end.min(range.end);
        }
        let whole = end == range.end;
        (end, if whole { Ok(()) } else { Err(Error::NoMemory) })
    }

    /// Moves the start of a growing stack down to `to`.
    pub fn grow_stack(&mut self, start: usize, to: usize) {
        if let Some(mut mapping) = self.by_start.remove(&start) {
            let more = start - to;
            if let Kind::Stack { grows } = &mut mapping.kind {
                *grows = grows.saturating_sub(more);
            }
            self.size += more;
            self.by_start.insert(to, mapping);
        }
    }

    /// The highest free place for `len` bytes below the base. Costs a few steps as long as there is
    /// room below what was placed last.
    pub fn find_free(&mut self, len: usize) -> Option<usize> {
        if len <= self.widest {
            self.search_from = self.base;
            self.widest = 0;
        }
        let mut top = self.search_from;
        if let Some((&start, above)) = self.by_start.range(top..).next() {
            top = top.min(above.lowest_neighbour(start));
        }
        for (&start, mapping) in self.by_start.range(..top).rev() {
            let hole = top.saturating_sub(mapping.end);
            if hole >= len {
                break;
            }
            self.widest = self.widest.max(hole);
            top = top.min(mapping.lowest_neighbour(start));
        }
        let place = top.checked_sub(len).filter(|&place| place >= MIN_ADDRESS);
        if place.is_some() {
            self.search_from = top;
        }
        place
    }

    /// Everything, for the end. Dropping it gives objects back.
    pub fn take_all(&mut self) -> BTreeMap<usize, Mapping> {
        self.size = 0;
        self.set_base(self.base);
        core::mem::take(&mut self.by_start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(end: usize) -> Mapping {
        Mapping {
            end,
            access: Access::READ,
            max_access: Access::all(),
            kind: Kind::Plain,
            content: Content::Anonymous,
            at_fork: AtFork::Copied,
        }
    }

    fn ranges(mappings: &Mappings) -> Vec<Range<usize>> {
        mappings
            .iter()
            .map(|(start, mapping)| start..mapping.end)
            .collect()
    }

    const A: usize = 0x10_0000;

    #[test]
    fn neighbours_join_and_ranges_cut() {
        let mut mappings = Mappings::new();
        mappings.insert(A, plain(A + PAGE));
        mappings.insert(A + 2 * PAGE, plain(A + 3 * PAGE));
        assert_eq!(mappings.len(), 2);
        mappings.insert(A + PAGE, plain(A + 2 * PAGE));
        assert_eq!(ranges(&mappings), vec![A..A + 3 * PAGE; 1]);
        assert_eq!(mappings.splits(&(A + PAGE..A + 2 * PAGE)), 1);
        assert_eq!(mappings.splits(&(A..A + 2 * PAGE)), 0);
        assert_eq!(mappings.remove(A + PAGE..A + 2 * PAGE).len(), 1);
        assert_eq!(ranges(&mappings), [A..A + PAGE, A + 2 * PAGE..A + 3 * PAGE]);
        assert_eq!(mappings.mapped_in(A..A + 10 * PAGE), 2 * PAGE);
        assert_eq!(mappings.remove(0..USER_END).len(), 2);
        assert_eq!((mappings.len(), mappings.size()), (0, 0));
    }

    #[test]
    fn object_mappings_join_only_where_the_offset_goes_on() {
        let object = Object::new_anonymous(1 << 20);
        let at = |offset, end| Mapping {
            content: Content::Object {
                object: object.clone(),
                offset,
                shared: true,
            },
            ..plain(end)
        };
        let mut mappings = Mappings::new();
        mappings.insert(A, at(0, A + PAGE));
        mappings.insert(A + PAGE, at(0x1000, A + 2 * PAGE));
        mappings.insert(A + 2 * PAGE, at(0x1000, A + 3 * PAGE));
        assert_eq!(
            ranges(&mappings),
            [A..A + 2 * PAGE, A + 2 * PAGE..A + 3 * PAGE]
        );
        mappings.remove(A..A + PAGE);
        let (_, rest) = mappings.find(A + PAGE).unwrap();
        assert!(matches!(
            rest.content,
            Content::Object { offset: 0x1000, .. }
        ));
    }

    #[test]
    fn a_stack_keeps_its_limit_when_it_is_cut() {
        let mut mappings = Mappings::new();
        let stack = Mapping {
            kind: Kind::Stack { grows: 0x8000 },
            ..plain(A + 4 * PAGE)
        };
        mappings.insert(A, stack);
        let removed = mappings.remove(A..A + PAGE);
        let (_, rest) = mappings.find(A + PAGE).unwrap();
        assert_eq!(rest.kind, Kind::Stack { grows: 0x9000 });
        for (start, mapping) in removed {
            mappings.insert(start, mapping);
        }
        assert_eq!(mappings.len(), 1);
        mappings.grow_stack(A, A - PAGE);
        assert_eq!(
            mappings.find(A - 1).unwrap().1.kind,
            Kind::Stack { grows: 0x7000 }
        );
        assert_eq!(mappings.size(), 5 * PAGE);
    }

    #[test]
    fn places_are_found_downwards_and_holes_are_used_again() {
        let mut mappings = Mappings::new();
        let place = |mappings: &mut Mappings, pages: usize| {
            let at = mappings.find_free(pages * PAGE).unwrap();
            let access = if pages.is_multiple_of(2) {
                Access::READ
            } else {
                Access::WRITE
            };
            mappings.insert(
                at,
                Mapping {
                    access,
                    ..plain(at + pages * PAGE)
                },
            );
            at
        };
        let first = place(&mut mappings, 1);
        assert_eq!(first, MMAP_BASE - PAGE);
        let second = place(&mut mappings, 4);
        assert_eq!(second, first - 4 * PAGE);
        let third = place(&mut mappings, 3);
        mappings.remove(second..second + 4 * PAGE);
        assert_eq!(place(&mut mappings, 5), third - 5 * PAGE);
        assert_eq!(place(&mut mappings, 2), second + 2 * PAGE);
        assert_eq!(place(&mut mappings, 2), second);
        mappings.remove(first..first + PAGE);
        assert_eq!(place(&mut mappings, 1), first);
        assert_eq!(mappings.find_free(USER_END), None);
        assert!(mappings.find_free(PAGE).is_some());
    }

    #[test]
    fn the_guard_of_a_growing_stack_stays_free() {
        let mut mappings = Mappings::new();
        mappings.insert(
            MMAP_BASE - PAGE,
            Mapping {
                kind: Kind::Stack { grows: PAGE },
                ..plain(MMAP_BASE)
            },
        );
        assert_eq!(
            mappings.find_free(PAGE),
            Some(MMAP_BASE - 2 * PAGE - STACK_GUARD)
        );
    }
}
