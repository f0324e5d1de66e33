//! Forking an address space: the child sees what the parent saw, and pages are copied only when one
//! of them writes.
//!
//! The one idea: page after page of the parent is shared into the child's page table, read-only in
//! both if it is private. The next write fault sorts out who gets the copy.

use crate::mappings::{AtFork, Content, Mapping};
use crate::space::{Space, heap_room, pages_of, step_end};
use abi::Error;
use alloc::sync::Arc;
use core::ops::Range;

impl Space {
    /// A copy of the space. Private pages are shared until somebody writes; shared mappings stay
    /// shared. Other threads of the parent may change it meanwhile: the child then has the old or
    /// the new state of each part.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; the parent is as it was.
    pub fn fork(&self) -> Result<Arc<Space>, Error> {
        let (child, mut at) = self.begin_fork()?;
        while self.fork_step(&child, &mut at)? {
            task::window();
        }
        Ok(child)
    }

    /// As [`Space::fork`], letting other programs run between steps.
    ///
    /// # Errors
    /// As [`Space::fork`].
    pub async fn fork_yielding(&self) -> Result<Arc<Space>, Error> {
        let (child, mut at) = self.begin_fork()?;
        while self.fork_step(&child, &mut at)? {
            task::rest().await;
        }
        Ok(child)
    }

    fn begin_fork(&self) -> Result<(Arc<Space>, usize), Error> {
        let child = Space::new()?;
        let parent = self.lock();
        let mut copy = child.lock_second(&parent);
        copy.limits = parent.limits;
        copy.heap = parent.heap.clone();
        copy.mappings.set_base(parent.mappings.base());
        drop((parent, copy));
        Ok((child, 0))
    }

    /// Copies what is mapped from `at` on, up to a step; false when all is done. Parent before
    /// child is the order of the locks.
    fn fork_step(&self, child: &Space, at: &mut usize) -> Result<bool, Error> {
        let mut parent = self.lock();
        let mut child = child.lock_second(&parent);
        let parent = &mut *parent;
        while let Some((start, mapping)) = parent.mappings.find_from(*at) {
            heap_room()?;
            let (from, mapping_end) = (start.max(*at), mapping.end);
            let end = step_end(&parent.table, from, mapping.end);
            let part = mapping.part(start, from..end);
            let private = part.content.is_private();
            if part.at_fork == AtFork::Copied {
                parent
                    .table
                    .share_into(&mut child.table, from..end, private)
                    .map_err(|_| Error::NoMemory)?;
            }
            if part.at_fork != AtFork::Left {
                child.mappings.insert(from, part);
            }
            *at = end;
            if end < mapping_end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says what a fork makes of a range.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a misaligned range, and to wipe what is not private memory; [`Error::NoMemory`] when part
    /// of it is not mapped (the rest was changed), or a limit is reached.
    pub fn set_at_fork(&self, range: Range<usize>, at_fork: AtFork) -> Result<(), Error> {
        let range = pages_of(range)?;
        heap_room()?;
        let mut inner = self.lock();
        let wipes = at_fork == AtFork::Wiped;
        let anonymous = |content: &Content| matches!(content, Content::Anonymous);
        if wipes
            && inner
                .mappings
                .within(range.clone())
                .any(|(_, one)| !anonymous(&one.content))
        {
            return Err(Error::Invalid);
        }
        if inner.mappings.len() + 2 > inner.limits.mappings {
            return Err(Error::NoMemory);
        }
        let whole = inner.mappings.mapped_in(range.clone()) == range.len();
        for (start, mapping) in inner.mappings.remove(range) {
            inner.mappings.insert(start, Mapping { at_fork, ..mapping });
        }
        if whole { Ok(()) } else { Err(Error::NoMemory) }
    }
}
