//! Mapping a program into an address space.
//!
//! Nothing is read but the headers: text and data are mapped from the file's pages and come in when touched.

use crate::elf::{self, Plan};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::paging::Access;
use machine::{PAGE, USER_END};
use memory::{Backing, Kind, MapRequest, Object, Placement, Space};
use object::SliceSink;

/// Where a position-independent program goes: the place that Linux uses without randomisation.
pub const PROGRAM_BASE: usize = 0x5555_5555_4000;
/// The stack ends here.
pub const STACK_TOP: usize = USER_END - PAGE;
/// Size up to which a stack may grow, in bytes, unless the caller says otherwise.
pub const STACK_SIZE: usize = 8 << 20;

/// A program in its place.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub plan: Plan,
    /// What was added to the program's own addresses.
    pub base: usize,
    /// Where the program begins.
    pub entry: usize,
    /// First page after the program: its heap begins here.
    pub end: usize,
    /// Address of the program headers in the image, 0 if they are not in it.
    pub headers: usize,
}

/// Reads the headers of a program file.
///
/// # Errors
/// [`Error::NotExecutable`] when it is not a well-formed x86-64 program.
pub fn inspect(file: &Arc<Object>) -> Result<Plan, Error> {
    elf::plan(file.len(), &mut reader(file))
}

/// The path of the interpreter that a program file names; `None` if it needs none.
///
/// # Errors
/// [`Error::NotExecutable`] when that is no path.
pub fn interpreter(file: &Arc<Object>, plan: &Plan) -> Result<Option<Vec<u8>>, Error> {
    elf::interpreter(plan, file.len(), &mut reader(file))
}

fn reader(file: &Arc<Object>) -> impl FnMut(u64, &mut [u8]) -> Result<(), Error> {
    |offset, into| {
        let wanted = into.len();
        match file.read(offset, &mut SliceSink::new(into)) {
            count if count == wanted => Ok(()),
            _ => Err(Error::NotExecutable),
        }
    }
}

/// Maps a planned program. If it is position-independent, its first page is at or above `base`, aligned as it asks.
///
/// # Errors
/// [`Error::NotExecutable`] when its segments do not fit at the base; [`Error::NoMemory`].
pub async fn load(
    space: &Arc<Space>,
    file: &Arc<Object>,
    plan: Plan,
    base: usize,
) -> Result<Loaded, Error> {
    let base = if plan.relocatable {
        place(&plan, base)?
    } else {
        0
    };
    for segment in &plan.segments {
        let pages = shift(segment.pages.start, base)?..shift(segment.pages.end, base)?;
        let file_pages = segment.file_pages.start + base..segment.file_pages.end + base;
        if !file_pages.is_empty() {
            space.map(MapRequest {
                at: Placement::FixedNoReplace(file_pages.start),
                len: file_pages.len(),
                access: segment.access,
                backing: Backing::Object {
                    object: file.clone(),
                    offset: segment.file_offset,
                    shared: false,
                },
                kind: Kind::Plain,
                max_access: Access::all(),
            })?;
        }
        let anonymous = file_pages.end..pages.end;
        if !anonymous.is_empty() {
            space.map(MapRequest {
                at: Placement::FixedNoReplace(anonymous.start),
                len: anonymous.len(),
                access: segment.access,
                backing: Backing::Anonymous,
                kind: Kind::Plain,
                max_access: Access::all(),
            })?;
        }
        // The rest of the last page with file contents belongs to memory that begins as zero.
        let tail = segment.file_end + base..file_pages.end.min(pages.end);
        if !file_pages.is_empty() && !tail.is_empty() && segment.access.contains(Access::WRITE) {
            memory::zero_user(space, tail.start, tail.len()).await?;
        }
    }
    let entry = shift(plan.entry, base)?;
    let end = plan.span.end + base;
    let headers = plan.headers.map_or(0, |headers| headers + base);
    Ok(Loaded {
        base,
        entry,
        end,
        headers,
        plan,
    })
}

/// A base at which the whole of a position-independent program finds room in the highest hole that a mapping would
/// get, aligned as it asks.
///
/// # Errors
/// [`Error::NoMemory`] when there is none.
pub fn free_base(space: &Space, plan: &Plan) -> Result<usize, Error> {
    let slack = plan.alignment - PAGE;
    let len = plan.span.end - (plan.span.start & !(plan.alignment - 1)) + slack;
    // Nobody else maps in a space that no thread runs in yet: what is free now stays free.
    let start = space.map(MapRequest {
        at: Placement::Anywhere { hint: 0 },
        len,
        access: Access::empty(),
        backing: Backing::Anonymous,
        kind: Kind::Plain,
        max_access: Access::empty(),
    })?;
    space.unmap(start..start + len)?;
    Ok(start)
}

/// The base that puts the program's first page at or above `wanted`, aligned as it asks.
fn place(plan: &Plan, wanted: usize) -> Result<usize, Error> {
    let aligned = wanted
        .checked_next_multiple_of(plan.alignment)
        .ok_or(Error::NotExecutable)?;
    let base = aligned.wrapping_sub(plan.span.start & !(plan.alignment - 1));
    let end = plan
        .span
        .end
        .checked_add(base)
        .ok_or(Error::NotExecutable)?;
    if end > STACK_TOP - STACK_SIZE {
        Err(Error::NotExecutable)
    } else {
        Ok(base)
    }
}

fn shift(address: usize, base: usize) -> Result<usize, Error> {
    address
        .checked_add(base)
        .filter(|&address| address <= USER_END)
        .ok_or(Error::NotExecutable)
}

/// What a stack has from the beginning: enough for most programs (Linux's `EXTRA_STACK_VM_PAGES` and one page).
const STACK_START: usize = 33 * PAGE;

/// Maps the stack that grows down from [`STACK_TOP`] to `size` bytes at most.
///
/// # Errors
/// As [`Space::map`].
pub fn map_stack(space: &Arc<Space>, size: usize, executable: bool) -> Result<usize, Error> {
    let mut access = Access::READ | Access::WRITE;
    access.set(Access::EXECUTE, executable);
    let start = STACK_START.min(size);
    space.map(MapRequest {
        at: Placement::FixedNoReplace(STACK_TOP - start),
        len: start,
        access,
        backing: Backing::Anonymous,
        kind: Kind::Stack {
            grows: size - start,
        },
        max_access: Access::all(),
    })?;
    Ok(STACK_TOP)
}
