//! Making a mapping longer, shorter, or moving it with its pages (`mremap`).
//!
//! The one idea: a move changes the map and the page table entries, never the bytes.

use crate::mappings::{Content, Kind, Mapping};
use crate::space::{Inner, Space, heap_room, page_range, pages_of};
use abi::Error;
use core::ops::Range;

/// Where a remapped range may end up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remap {
    /// Where it is.
    InPlace,
    /// Anywhere, if it cannot stay.
    Anywhere,
    /// Exactly here, in place of what is there.
    Fixed(usize),
}

impl Space {
    /// Gives the range `old`, a part of one mapping, the length `new_len` (rounded up to pages).
    /// Returns where it is then.
    ///
    /// # Errors
    /// [`Error::Invalid`] for misaligned or empty ranges and for a target that overlaps the old
    /// range; [`Error::Fault`] when `old` is not inside one mapping; [`Error::NoMemory`] when there
    /// is no room, a limit is reached or memory is short. On an error nothing has moved (a target
    /// range may have been unmapped).
    pub fn remap(&self, old: Range<usize>, new_len: usize, how: Remap) -> Result<usize, Error> {
        let old = pages_of(old)?;
        let new = page_range(old.start, new_len).ok_or(Error::Invalid)?;
        let target = match how {
            Remap::Fixed(start) => Some(page_range(start, new.len()).ok_or(Error::Invalid)?),
            _ => None,
        };
        if let Some(target) = &target {
            if target.start < crate::MIN_ADDRESS {
                return Err(Error::Forbidden);
            }
            if target.start < old.end && old.start < target.end {
                return Err(Error::Invalid);
            }
        }
        let mut inner = self.lock();
        let (start, mapping) = inner.mappings.find(old.start).ok_or(Error::Fault)?;
        if old.end > mapping.end {
            return Err(Error::Fault);
        }
        let at_end = old.end == mapping.end;
        let kept = old.start..old.end.min(new.end);
        let piece = mapping.part(start, kept.clone());
        let grown = new.end.saturating_sub(old.end);
        let Some(target) = target else {
            if grown == 0 {
                let removed = inner.shrink(new.end..old.end)?;
                drop(inner);
                drop(removed);
                return Ok(old.start);
            }
            heap_room()?;
            inner.check_growth(grown)?;
            if at_end && inner.mappings.is_free(old.end..new.end) {
                // Joins the mapping that it continues.
                let more = mapping_after(&piece, &old, new.end);
                inner.mappings.insert(old.end, more);
                return Ok(old.start);
            }
            if how == Remap::InPlace {
                return Err(Error::NoMemory);
            }
            let place = inner.mappings.find_free(new.len()).ok_or(Error::NoMemory)?;
            inner.move_mapping(piece, kept, place..place + new.len())?;
            return Ok(place);
        };
        heap_room()?;
        let replaced = inner.mappings.mapped_in(target.clone());
        inner.check_growth(grown.saturating_sub(replaced))?;
        let shrunk = inner.shrink(kept.end..old.end)?;
        let replaced = inner.take_out(target.clone());
        let moved = inner.move_mapping(piece, kept, target.clone());
        drop(inner);
        drop((shrunk, replaced));
        moved.map(|()| target.start)
    }
}

/// What continues the mapping `piece` at `old.end` up to `end`.
fn mapping_after(piece: &Mapping, old: &Range<usize>, end: usize) -> Mapping {
    let mut more = Mapping {
        end,
        ..piece.clone()
    };
    if let Content::Object { offset, .. } = &mut more.content {
        *offset += old.len() as u64;
    }
    if let Kind::Stack { grows } = &mut more.kind {
        *grows += old.len();
    }
    more
}

impl Inner {
    fn shrink(&mut self, gone: Range<usize>) -> Result<alloc::vec::Vec<(usize, Mapping)>, Error> {
        if self.mappings.len() + self.mappings.splits(&gone) > self.limits.mappings {
            return Err(Error::NoMemory);
        }
        Ok(self.take_out(gone))
    }

    /// Moving cuts the old mapping in up to three and adds one.
    fn check_growth(&self, more: usize) -> Result<(), Error> {
        let bytes = self
            .mappings
            .size()
            .checked_add(more)
            .ok_or(Error::NoMemory)?;
        if bytes > self.limits.bytes || self.mappings.len() + 2 > self.limits.mappings {
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// Moves the mapping `piece`, which is at `from`, to the free range `to`, which is at least as
    /// long.
    fn move_mapping(
        &mut self,
        piece: Mapping,
        from: Range<usize>,
        to: Range<usize>,
    ) -> Result<(), Error> {
        // The pages first: this is the only part that can fail, and it fails whole.
        self.table
            .move_pages(from.clone(), to.start)
            .map_err(|_| Error::NoMemory)?;
        drop(self.mappings.remove(from));
        let kind = if matches!(piece.kind, Kind::Stack { .. }) {
            Kind::Plain
        } else {
            piece.kind
        };
        self.mappings.insert(
            to.start,
            Mapping {
                end: to.end,
                kind,
                ..piece
            },
        );
        Ok(())
    }
}
