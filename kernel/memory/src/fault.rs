//! Pages on demand: what happens when a program (or a copy by the kernel) touches a page that is not there, or not so.
//!
//! The one idea: a fault asks the mapping what should be there and puts exactly that into the page table.
//! - Nothing there yet: zeros, the object's page, or a private copy of it.
//! - There, but read-only, and a write is allowed: the page is shared copy-on-write. If nobody else holds the frame any
//!   more it becomes writable as it is; else this space gets a copy.
//!
//! Two cheap guesses save faults: neighbours of a file page that are in memory already are mapped along with it, and memory that is touched in
//! order gets more and more fresh pages at a time.

use crate::mappings::{Content, Kind, Mapping, STACK_GUARD};
use crate::object::Object;
use crate::space::Inner;
use abi::Error;
use alloc::sync::Arc;
use machine::frame::Frame;
use machine::paging::{Access, OutOfFrames};
use machine::{PAGE, USER_END};

/// What a fault wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Read,
    Write,
    Execute,
}

impl Need {
    /// Whether the processor would allow it. On x86 every page that is there at all can be read.
    fn is_met_by(self, access: Access) -> bool {
        match self {
            Need::Read => !access.is_empty(),
            Need::Write => access.contains(Access::WRITE),
            Need::Execute => access.contains(Access::EXECUTE),
        }
    }
}

/// How many pages around a file page are mapped along with it, in an aligned window.
const AROUND: usize = 16;
/// The most fresh pages that one fault brings.
const AHEAD: usize = 16;

impl From<NoFrame> for Error {
    fn from(_: NoFrame) -> Self {
        Error::NoMemory
    }
}

/// Running out of frames, on its way to becoming [`Error::NoMemory`].
pub(crate) struct NoFrame;

impl From<OutOfFrames> for NoFrame {
    fn from(_: OutOfFrames) -> Self {
        NoFrame
    }
}

impl Inner {
    /// See [`crate::Space::try_resolve`].
    pub(crate) fn resolve(&mut self, address: usize, need: Need) -> Result<(), Error> {
        if address >= USER_END {
            return Err(Error::Fault);
        }
        if self.mappings.find(address).is_none() {
            self.grow_stack(address)?;
        }
        let (start, mapping) = self.mappings.find(address).ok_or(Error::Fault)?;
        if !need.is_met_by(mapping.access) {
            return Err(Error::Denied);
        }
        let page = address & !(PAGE - 1);
        let (access, end) = (mapping.access, mapping.end);
        self.faults += 1;
        if let Some(present) = self.table.access(page) {
            if need.is_met_by(present) {
                // Another thread was faster.
                return Ok(());
            }
            let private = mapping.content.is_private();
            return Ok(self.upgrade(page, need, access, private)?);
        }
        match &mapping.content {
            Content::Anonymous => Ok(self.add_zeros(page, end, access)?),
            Content::Object {
                object,
                offset,
                shared,
            } => {
                let object = object.clone();
                let index = (offset + (page - start) as u64) / PAGE as u64;
                self.add_object_page(&object, index, page, need, *shared, start, end, access)
            }
        }
    }

    /// A fault just below a stack makes it longer, if its limit and the guard below allow that.
    fn grow_stack(&mut self, address: usize) -> Result<(), Error> {
        let (start, stack) = self.mappings.find_from(address).ok_or(Error::Fault)?;
        let Kind::Stack { grows } = stack.kind else {
            return Err(Error::Fault);
        };
        let to = address & !(PAGE - 1);
        if start - to > grows || stack.access.is_empty() {
            return Err(Error::Fault);
        }
        let blocked = self.mappings.before(start).is_some_and(|(_, below)| {
            !below.access.is_empty()
                && !matches!(below.kind, Kind::Stack { .. })
                && below.end + STACK_GUARD > to
                || below.end > to
        });
        let too_much = self.mappings.size() + (start - to) > self.limits.bytes;
        if blocked || too_much {
            return Err(Error::Fault);
        }
        self.mappings.grow_stack(start, to);
        Ok(())
    }

    /// Makes a page that is there fit for what its mapping allows.
    fn upgrade(
        &mut self,
        page: usize,
        need: Need,
        access: Access,
        private: bool,
    ) -> Result<(), NoFrame> {
        if need != Need::Write {
            // Whether the page may be written is decided when somebody writes.
            let write = self.table.access(page).unwrap_or_default() & Access::WRITE;
            self.table
                .set_access(page, (access - Access::WRITE) | (write & access));
            return Ok(());
        }
        if !private {
            self.table.set_access(page, access);
            return Ok(());
        }
        if self.table.make_writable_if_unique(page) {
            return Ok(());
        }
        let Some((shared, _)) = self.table.get(page) else {
            return Ok(());
        };
        let copy = Frame::dirty()?;
        copy.copy_from(&shared);
        let replaced = self.table.map(page, copy, access)?;
        drop((shared, replaced));
        Ok(())
    }

    /// Puts zeros at a page, and at the pages after it if memory is being touched in order.
    fn add_zeros(&mut self, page: usize, end: usize, access: Access) -> Result<(), NoFrame> {
        self.table.map(page, Frame::zeroed()?, access)?;
        self.window = if page == self.next_fault {
            (self.window * 2).min(AHEAD)
        } else {
            1
        };
        let mut next = page + PAGE;
        let stop = end.min(page + self.window * PAGE);
        while next < stop && self.table.access(next).is_none() {
            // The first page is there: running out of memory for the others is no error.
            let Ok(frame) = Frame::zeroed() else { break };
            if self.table.map(next, frame, access).is_err() {
                break;
            }
            next += PAGE;
        }
        self.next_fault = next;
        Ok(())
    }

    /// Puts an object's page at a page: itself, or a private copy if it is about to be written privately.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one mapping, taken out while the map is locked with the table"
    )]
    fn add_object_page(
        &mut self,
        object: &Arc<Object>,
        index: u64,
        page: usize,
        need: Need,
        shared: bool,
        start: usize,
        end: usize,
        access: Access,
    ) -> Result<(), Error> {
        if !shared && need == Need::Write {
            let copy = object.copy_of_page(index)?;
            self.table.map(page, copy, access).map_err(NoFrame::from)?;
            return Ok(());
        }
        // A private page that is the object's own must fault when it is written.
        let access = if shared {
            access
        } else {
            access - Access::WRITE
        };
        let frame = object.page(index)?;
        self.table.map(page, frame, access).map_err(NoFrame::from)?;
        let window = page & !(AROUND * PAGE - 1);
        let first = window.max(start);
        let last = end.min(window + AROUND * PAGE);
        let first_index = index - ((page - first) / PAGE) as u64;
        let table = &mut self.table;
        object.visit_present(
            first_index..first_index + ((last - first) / PAGE) as u64,
            |index, frame| {
                let page = first + (index - first_index) as usize * PAGE;
                table.access(page).is_some() || table.map(page, frame.clone(), access).is_ok()
            },
        );
        Ok(())
    }

    /// Brings one page in ahead of its use.
    pub(crate) fn populate(&mut self, page: usize) -> Result<(), Error> {
        let (
            _,
            Mapping {
                access, content, ..
            },
        ) = self.mappings.find(page).ok_or(Error::Fault)?;
        let write = access.contains(Access::WRITE) && content.is_private();
        self.resolve(page, if write { Need::Write } else { Need::Read })
    }
}
