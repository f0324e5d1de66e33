//! Pages on demand: what happens when a program, or a copy by the kernel, touches a page that is
//! not there or not so.
//!
//! The one idea: a fault asks the mapping what should be there and puts exactly that into the page
//! table.
//! - Nothing there yet: zeros, the object's page, or a private copy of it.
//! - There, but read-only, and a write is allowed: the page is shared copy-on-write. If nobody else
//!   holds the frame any more it becomes writable as it is; else this space gets a copy.
//!
//! Two cheap guesses save faults: neighbours of a file page that are in memory already are mapped
//! along with it, and memory that is touched in order gets more and more fresh pages at a time.

use crate::mappings::{Content, Kind, Mapping, Mappings, STACK_GUARD};
use crate::object::Object;
use crate::space::{Inner, Limits};
use abi::Error;
use core::ops::Range;
use machine::frame::Frame;
use machine::paging::{Access, OutOfFrames, PageTable};
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

/// Pages in the aligned window around a file page that are mapped along with it.
const AROUND: usize = 16;
/// The most fresh pages that one fault brings.
const AHEAD: usize = 16;

/// Guesses whether anonymous memory is touched in order.
#[derive(Default)]
pub(crate) struct Ahead {
    /// Where the next fault will be if it is.
    next: usize,
    /// How many pages the last fault brought.
    window: usize,
}

impl Inner {
    /// See [`crate::Space::try_resolve`].
    pub(crate) fn resolve(&mut self, address: usize, need: Need) -> Result<(), Error> {
        if address >= USER_END {
            return Err(Error::Fault);
        }
        self.faults += 1;
        let Inner {
            mappings,
            table,
            ahead,
            limits,
            ..
        } = self;
        let (start, mapping) = match mappings.find(address) {
            Some(found) => found,
            None => {
                grow_stack(mappings, address, limits)?;
                mappings.find(address).ok_or(Error::Fault)?
            }
        };
        if !need.is_met_by(mapping.access) {
            return Err(Error::Denied);
        }
        let page = address & !(PAGE - 1);
        if let Some(present) = table.access(page) {
            // Otherwise another thread was faster.
            if !need.is_met_by(present) {
                upgrade(table, page, present, need, mapping).map_err(no_memory)?;
            }
            return Ok(());
        }
        match &mapping.content {
            Content::Anonymous => ahead
                .add_zeros(table, page, mapping.end, mapping.access)
                .map_err(no_memory),
            Content::Object {
                object,
                offset,
                shared,
            } => {
                let place = Place {
                    object,
                    page,
                    index: (offset + (page - start) as u64) / PAGE as u64,
                    mapping: start..mapping.end,
                };
                if *shared {
                    return place.map(table, mapping.access);
                }
                if need == Need::Write {
                    let copy = object.copy_of_page(place.index)?;
                    table.map(page, copy, mapping.access).map_err(no_memory)?;
                    return Ok(());
                }
                // The object's own page: writing it privately must fault first.
                place.map(table, mapping.access - Access::WRITE)
            }
        }
    }

    /// Brings one page in ahead of its use, ready to be written where writes stay private.
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

fn no_memory(_: OutOfFrames) -> Error {
    Error::NoMemory
}

/// A fault just below a stack makes it longer, if its limit and the guard below it allow that.
#[cold]
fn grow_stack(mappings: &mut Mappings, address: usize, limits: &Limits) -> Result<(), Error> {
    let (start, stack) = mappings.find_from(address).ok_or(Error::Fault)?;
    let Kind::Stack { grows } = stack.kind else {
        return Err(Error::Fault);
    };
    let to = address & !(PAGE - 1);
    let more = start - to;
    // As on Linux, what lies below only needs a gap if it can be touched and is no stack itself.
    let blocked = mappings.before(start).is_some_and(|(_, below)| {
        let needs_gap = !below.access.is_empty() && !matches!(below.kind, Kind::Stack { .. });
        below.end + if needs_gap { STACK_GUARD } else { 0 } > to
    });
    let too_much = more > grows
        || stack.end - to > limits.stack
        || mappings.size().saturating_add(more) > limits.bytes;
    if blocked || too_much || stack.access.is_empty() {
        return Err(Error::Fault);
    }
    mappings.grow_stack(start, to);
    Ok(())
}

/// Makes a page that is there fit for what its mapping allows.
fn upgrade(
    table: &mut PageTable,
    page: usize,
    present: Access,
    need: Need,
    mapping: &Mapping,
) -> Result<(), OutOfFrames> {
    let access = mapping.access;
    if need != Need::Write {
        // Whether the page may be written is decided when somebody writes.
        let write = present & access & Access::WRITE;
        table.set_access(page, (access - Access::WRITE) | write);
        return Ok(());
    }
    if !mapping.content.is_private() {
        table.set_access(page, access);
        return Ok(());
    }
    if table.make_writable_if_unique(page) {
        return Ok(());
    }
    if let Some((shared, _)) = table.get(page) {
        let copy = Frame::dirty()?;
        copy.copy_from(&shared);
        table.map(page, copy, access)?;
    }
    Ok(())
}

impl Ahead {
    /// Puts zeros at a page, and at the pages after it if memory is being touched in order.
    fn add_zeros(
        &mut self,
        table: &mut PageTable,
        page: usize,
        end: usize,
        access: Access,
    ) -> Result<(), OutOfFrames> {
        table.map(page, Frame::zeroed()?, access)?;
        self.window = if page == self.next {
            (self.window * 2).clamp(1, AHEAD)
        } else {
            1
        };
        let stop = end.min(page + self.window * PAGE);
        let mut next = page + PAGE;
        while next < stop && table.access(next).is_none() {
            // The first page is there: no memory for the others is no error.
            let Ok(frame) = Frame::zeroed() else { break };
            if table.map(next, frame, access).is_err() {
                break;
            }
            next += PAGE;
        }
        self.next = next;
        Ok(())
    }
}

/// A page of a mapping over an object.
struct Place<'a> {
    object: &'a Object,
    page: usize,
    /// Which page of the object it is.
    index: u64,
    /// Where the mapping begins and ends.
    mapping: Range<usize>,
}

impl Place<'_> {
    /// Maps the object's page, and its neighbours in the window that have frames already.
    fn map(&self, table: &mut PageTable, access: Access) -> Result<(), Error> {
        let frame = self.object.page(self.index)?;
        table.map(self.page, frame, access).map_err(no_memory)?;
        let window = self.page & !(AROUND * PAGE - 1);
        let first = window.max(self.mapping.start);
        let end = self.mapping.end.min(window + AROUND * PAGE);
        let first_index = self.index - ((self.page - first) / PAGE) as u64;
        let indices = first_index..first_index + ((end - first) / PAGE) as u64;
        self.object.visit_present(indices, |index, frame| {
            let page = first + (index - first_index) as usize * PAGE;
            table.access(page).is_some() || table.map(page, frame.clone(), access).is_ok()
        });
        Ok(())
    }
}
