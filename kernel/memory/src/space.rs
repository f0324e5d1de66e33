//! Address spaces: what a process sees at which address, and the calls that change it.
//!
//! The one idea: the map of mappings says what *should* be there; the page table holds what is
//! there already. Changes of the map only take pages away (or access from them); the next fault
//! brings back what is still right. One lock covers both.
//!
//! Long work goes in steps of at most [`STEP`] bytes with the lock released between them: other
//! threads of the process can go on, and the `_yielding` forms let other programs run as well.

use crate::fault::{Ahead, Need};
use crate::heap::Heap;
use crate::mappings::{AtFork, Content, Kind, MIN_ADDRESS, Mapping, Mappings};
use crate::object::Object;
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use machine::frame;
use machine::paging::{Access, CopyFault, PageTable, Root};
use machine::sync::{Spin, SpinGuard};
use machine::{PAGE, USER_END};

/// How much of an address space is worked on in one go, in bytes, if it is full of pages.
const STEP: usize = 512 * PAGE;

/// Where the step that begins at `start` ends. Ranges too large to be full take larger steps, so
/// that there are never too many.
pub(crate) fn step_end(table: &PageTable, start: usize, end: usize) -> usize {
    if table.resident() * PAGE <= STEP {
        return end;
    }
    let step = ((end - start) / 256).next_multiple_of(PAGE).max(STEP);
    end.min(start + step)
}

/// Where a mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// At the hint if that is free and not 0, else anywhere below the base.
    Anywhere { hint: usize },
    /// Exactly here, in place of what is there.
    Fixed(usize),
    /// Exactly here if nothing is there.
    FixedNoReplace(usize),
}

/// What the pages of a new mapping come from.
#[derive(Clone)]
pub enum Backing {
    /// Zeros, copied on write when the space is forked.
    Anonymous,
    /// Zeros that forked spaces share.
    SharedAnonymous,
    /// An object from the byte `offset` on. Writes reach it only if `shared`.
    Object {
        object: Arc<Object>,
        offset: u64,
        shared: bool,
    },
}

/// A mapping to be made. `len` is in bytes and is rounded up to pages.
#[derive(Clone)]
pub struct MapRequest {
    pub at: Placement,
    pub len: usize,
    pub access: Access,
    pub backing: Backing,
    pub kind: Kind,
    /// The most that `protect` may grant later.
    pub max_access: Access,
}

/// What a program says about how it uses a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The pages are not needed: private ones become zeros (or the file's bytes) again.
    DontNeed,
    /// The pages are needed soon.
    WillNeed,
}

/// What an address space may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes mapped (`RLIMIT_AS`).
    pub bytes: usize,
    /// Mappings (Linux's `vm.max_map_count`).
    pub mappings: usize,
    /// Bytes of the heap (`RLIMIT_DATA`).
    pub heap: usize,
    /// Bytes up to which a stack grows (`RLIMIT_STACK`).
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: usize::MAX,
            mappings: 65_530,
            heap: usize::MAX,
            stack: usize::MAX,
        }
    }
}

/// An address space.
pub struct Space {
    inner: Spin<Inner>,
    root: Root,
}

/// What the lock of a space covers.
pub(crate) struct Inner {
    pub mappings: Mappings,
    pub table: PageTable,
    pub limits: Limits,
    pub heap: Heap,
    /// Faults that asked for a page.
    pub faults: u64,
    pub ahead: Ahead,
    /// Requests for memory that is writable and executable at once.
    pub writable_code: u64,
}

/// A page-aligned, non-empty range inside user space, from an aligned start and a length in bytes.
pub(crate) fn page_range(start: usize, len: usize) -> Option<Range<usize>> {
    let len = len.checked_next_multiple_of(PAGE)?;
    let end = start.checked_add(len)?;
    (start.is_multiple_of(PAGE) && len > 0 && end <= USER_END).then_some(start..end)
}

/// The same from a range whose end may lie inside a page.
pub(crate) fn pages_of(range: Range<usize>) -> Result<Range<usize>, Error> {
    let len = range.end.checked_sub(range.start).ok_or(Error::Invalid)?;
    page_range(range.start, len).ok_or(Error::Invalid)
}

/// Whether the kernel may make one more object of its own.
pub(crate) fn heap_room() -> Result<(), Error> {
    if frame::heap_room() {
        Ok(())
    } else {
        Err(Error::NoMemory)
    }
}

impl Space {
    /// An empty address space.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn new() -> Result<Arc<Space>, Error> {
        heap_room()?;
        let table = PageTable::new().map_err(|_| Error::NoMemory)?;
        let root = table.root();
        let inner = Inner {
            mappings: Mappings::new(),
            table,
            limits: Limits::default(),
            heap: Heap::default(),
            faults: 0,
            ahead: Ahead::default(),
            writable_code: 0,
        };
        Ok(Arc::new(Space {
            inner: Spin::new(inner),
            root,
        }))
    }

    /// The handle through which the kernel enters and copies. Keeps no page alive.
    pub fn root(&self) -> Root {
        self.root.clone()
    }

    #[inline]
    pub(crate) fn root_ref(&self) -> &Root {
        &self.root
    }

    pub(crate) fn lock(&self) -> SpinGuard<'_, Inner> {
        self.inner.lock()
    }

    /// As [`lock`](Self::lock), for a child while its parent is locked.
    pub(crate) fn lock_second(&self, parent: &SpinGuard<'_, Inner>) -> SpinGuard<'_, Inner> {
        self.inner.lock_second(parent)
    }

    /// Makes a mapping; returns where it starts.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no length or a start or offset inside a page; [`Error::Forbidden`]
    /// below [`MIN_ADDRESS`]; [`Error::Exists`] where [`Placement::FixedNoReplace`] finds
    /// something; [`Error::Denied`] for more access than `max_access`; [`Error::Overflow`] for an
    /// offset too large; [`Error::NoMemory`] when there is no place, a limit is reached or memory
    /// is short.
    pub fn map(&self, request: MapRequest) -> Result<usize, Error> {
        let MapRequest {
            at,
            len,
            access,
            backing,
            kind,
            max_access,
        } = request;
        if len == 0 {
            return Err(Error::Invalid);
        }
        if !max_access.contains(access) {
            return Err(Error::Denied);
        }
        let len = len
            .checked_next_multiple_of(PAGE)
            .filter(|&len| len <= USER_END)
            .ok_or(Error::NoMemory)?;
        heap_room()?;
        let content = match backing {
            Backing::Anonymous => Content::Anonymous,
            Backing::SharedAnonymous => Content::Object {
                object: Object::new_anonymous(len as u64),
                offset: 0,
                shared: true,
            },
            Backing::Object {
                object,
                offset,
                shared,
            } => {
                if !offset.is_multiple_of(PAGE as u64) {
                    return Err(Error::Invalid);
                }
                // Growing it later by `remap` cannot overflow either: addresses have 47 bits.
                offset
                    .checked_add(1 << 48)
                    .filter(|&end| end <= i64::MAX as u64)
                    .ok_or(Error::Overflow)?;
                Content::Object {
                    object,
                    offset,
                    shared,
                }
            }
        };
        let mut inner = self.lock();
        let start = inner.place(at, len)?;
        let range = start..start + len;
        inner.check_limits(&range, len)?;
        let replaced = inner.take_out(range.clone());
        if access.contains(Access::WRITE | Access::EXECUTE) {
            inner.writable_code += 1;
        }
        inner.mappings.insert(
            start,
            Mapping {
                end: range.end,
                access,
                max_access,
                kind,
                content,
                at_fork: AtFork::Copied,
            },
        );
        drop(inner);
        drop(replaced);
        Ok(start)
    }

    /// Takes everything out of a range. Holes in it do not matter. Other threads may see it half
    /// done.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or misaligned range or one outside user space;
    /// [`Error::NoMemory`] when cutting a mapping in two passes the limit.
    pub fn unmap(&self, range: Range<usize>) -> Result<(), Error> {
        let mut rest = pages_of(range)?;
        while self.unmap_step(&mut rest)? {
            task::window();
        }
        Ok(())
    }

    /// As [`Space::unmap`], letting other programs run between steps.
    ///
    /// # Errors
    /// As [`Space::unmap`].
    pub async fn unmap_yielding(&self, range: Range<usize>) -> Result<(), Error> {
        let mut rest = pages_of(range)?;
        while self.unmap_step(&mut rest)? {
            task::rest().await;
        }
        Ok(())
    }

    /// Unmaps the next part of `rest`; false when all is done.
    fn unmap_step(&self, rest: &mut Range<usize>) -> Result<bool, Error> {
        let mut inner = self.lock();
        let Some((start, _)) = inner.mappings.find_from(rest.start) else {
            return Ok(false);
        };
        let start = start.max(rest.start);
        if start >= rest.end {
            return Ok(false);
        }
        let end = step_end(&inner.table, start, rest.end);
        // The first step may cut a mapping in two; the others continue at its edge.
        if inner.mappings.len() + inner.mappings.splits(rest) > inner.limits.mappings {
            return Err(Error::NoMemory);
        }
        let removed = inner.take_out(start..end);
        drop(inner);
        drop(removed);
        rest.start = end;
        Ok(rest.start < rest.end)
    }

    /// Changes what may be done with a range.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a misaligned range; [`Error::NoMemory`] when part of it is not mapped
    /// or cutting mappings passes the limit; [`Error::Denied`] beyond what the mappings allow. On
    /// an error nothing has changed.
    pub fn protect(&self, range: Range<usize>, access: Access) -> Result<(), Error> {
        if range.is_empty() && range.start.is_multiple_of(PAGE) {
            return Ok(());
        }
        if !range.start.is_multiple_of(PAGE) || range.start > range.end {
            return Err(Error::Invalid);
        }
        // What lies outside user space is not mapped.
        let range = pages_of(range).map_err(|_| Error::NoMemory)?;
        heap_room()?;
        let mut inner = self.lock();
        // As on Linux, what comes before the first obstacle is changed.
        let (end, outcome) = inner.mappings.reach(range.clone(), access);
        let range = range.start..end;
        if inner
            .mappings
            .within(range.clone())
            .all(|(_, mapping)| mapping.access == access)
        {
            return outcome;
        }
        if inner.mappings.len() + 2 > inner.limits.mappings {
            return Err(Error::NoMemory);
        }
        for (start, mapping) in inner.mappings.remove(range.clone()) {
            inner.mappings.insert(start, Mapping { access, ..mapping });
        }
        if access.contains(Access::WRITE | Access::EXECUTE) {
            inner.writable_code += 1;
        }
        // Never adds WRITE in the page table: a page that is shared copy-on-write must fault first.
        inner.table.protect(range, access);
        outcome
    }

    /// Takes a program's word for how it uses a range.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a misaligned range; [`Error::NoMemory`] when part of it is not mapped
    /// (the rest is done).
    pub fn advise(&self, range: Range<usize>, advice: Advice) -> Result<(), Error> {
        if range.is_empty() && range.start.is_multiple_of(PAGE) {
            return Ok(());
        }
        let range = pages_of(range)?;
        let mapped = self.lock().mappings.mapped_in(range.clone());
        match advice {
            Advice::DontNeed => {
                let mut at = range.start;
                while at < range.end {
                    let mut inner = self.lock();
                    let end = step_end(&inner.table, at, range.end);
                    inner.table.unmap(at..end);
                    drop(inner);
                    at = end;
                    task::window();
                }
            }
            // Files are in memory already, and zeros cost nothing to wait for.
            Advice::WillNeed => {}
        }
        if mapped == range.len() {
            Ok(())
        } else {
            Err(Error::NoMemory)
        }
    }

    /// Brings the pages of a range in before they are touched, ready to be written where writes
    /// stay private. Stops at the first that cannot come in. Whoever populates several ranges spends
    /// one budget for all.
    pub async fn populate(&self, range: Range<usize>, budget: &mut task::Budget) {
        /// In microseconds: a frame, a copy of a page, and its entries.
        const PAGE_COST: u32 = 4;
        let Ok(range) = pages_of(range) else { return };
        for page in range.step_by(PAGE) {
            // The lock's guard must be gone before the await below.
            let outcome = self.lock().populate(page);
            if outcome.is_err() {
                return;
            }
            budget.step(PAGE_COST).await;
        }
    }

    /// Brings in what a fault asks for, without waiting.
    ///
    /// # Errors
    /// [`Error::Fault`] where nothing is mapped; [`Error::Denied`] where the mapping forbids it;
    /// [`Error::Range`] beyond the end of a mapped object (Linux: `SIGBUS`); [`Error::NoMemory`].
    pub fn try_resolve(&self, address: usize, need: Need) -> Result<(), Error> {
        self.lock().resolve(address, need)
    }

    /// Brings in what a fault asks for. Nothing waits yet: all pages come from memory.
    ///
    /// # Errors
    /// As [`Space::try_resolve`].
    pub async fn resolve(&self, address: usize, need: Need) -> Result<(), Error> {
        self.try_resolve(address, need)
    }

    /// Brings in what a copy to or from this space missed.
    ///
    /// # Errors
    /// [`Error::Fault`] for any address that the program may not use so; [`Error::NoMemory`].
    pub fn resolve_fault(&self, fault: CopyFault) -> Result<(), Error> {
        let need = if fault.write { Need::Write } else { Need::Read };
        self.try_resolve(fault.address, need)
            .map_err(|error| match error {
                Error::NoMemory => error,
                _ => Error::Fault,
            })
    }

    /// Does something with user memory, bringing pages in as it faults. `f` is called again from
    /// its start after each fault.
    ///
    /// # Errors
    /// As [`Space::resolve_fault`]; also [`Error::Fault`] when a resolved fault keeps coming back
    /// (a misaligned atomic access).
    pub fn with_resolve<T>(
        &self,
        mut f: impl FnMut(&Root) -> Result<T, CopyFault>,
    ) -> Result<T, Error> {
        let mut patience = Patience::default();
        loop {
            match f(&self.root) {
                Ok(value) => return Ok(value),
                Err(fault) => patience
                    .check(fault.address)
                    .and_then(|()| self.resolve_fault(fault))?,
            }
        }
    }

    /// Empties the space (a program replacing itself): no mapping, no page, no heap. Limits stay.
    pub fn clear(&self) {
        while self.clear_step() {
            task::window();
        }
    }

    /// As [`Space::clear`], letting other programs run between steps.
    pub async fn clear_yielding(&self) {
        while self.clear_step() {
            task::rest().await;
        }
    }

    fn clear_step(&self) -> bool {
        let mut inner = self.lock();
        if step_end(&inner.table, 0, USER_END) == USER_END {
            inner.table.unmap(0..USER_END);
            inner.heap = Heap::default();
            let mappings = inner.mappings.take_all();
            drop(inner);
            drop(mappings);
            return false;
        }
        let Some((start, mapping)) = inner.mappings.find_from(0) else {
            return false;
        };
        let end = step_end(&inner.table, start, mapping.end);
        let removed = inner.take_out(start..end);
        drop(inner);
        drop(removed);
        true
    }

    /// Below it new mappings are placed. Rounded down to a page and kept inside user space.
    pub fn set_mmap_base(&self, base: usize) {
        let base = (base & !(PAGE - 1)).clamp(MIN_ADDRESS, USER_END);
        self.lock().mappings.set_base(base);
    }

    /// What the space may use.
    pub fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// Sets what the space may use from now on; what it has it keeps.
    pub fn set_limits(&self, limits: Limits) {
        self.lock().limits = limits;
    }
}

impl Inner {
    /// Finds the start of a new mapping of `len` bytes (whole pages).
    fn place(&mut self, at: Placement, len: usize) -> Result<usize, Error> {
        let fixed = match at {
            Placement::Anywhere { hint } => {
                let wanted =
                    page_range(hint & !(PAGE - 1), len).filter(|range| range.start >= MIN_ADDRESS);
                if let Some(range) = wanted
                    && self.mappings.is_free(range.clone())
                {
                    return Ok(range.start);
                }
                return self.mappings.find_free(len).ok_or(Error::NoMemory);
            }
            Placement::Fixed(start) | Placement::FixedNoReplace(start) => start,
        };
        if !fixed.is_multiple_of(PAGE) {
            return Err(Error::Invalid);
        }
        let range = page_range(fixed, len).ok_or(Error::NoMemory)?;
        if fixed < MIN_ADDRESS {
            return Err(Error::Forbidden);
        }
        if matches!(at, Placement::FixedNoReplace(_)) && !self.mappings.is_free(range) {
            return Err(Error::Exists);
        }
        Ok(fixed)
    }

    /// Whether `more` bytes may be mapped, in one mapping in place of what is in `range`.
    pub(crate) fn check_limits(&self, range: &Range<usize>, more: usize) -> Result<(), Error> {
        let kept = self.mappings.size() - self.mappings.mapped_in(range.clone());
        let bytes = kept.checked_add(more).ok_or(Error::NoMemory)?;
        let count = self.mappings.len() + self.mappings.splits(range) + 1;
        if bytes > self.limits.bytes || count > self.limits.mappings {
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// Takes mappings and pages out of a range. The caller drops what it gets outside of the lock:
    /// objects may end with it.
    #[must_use]
    pub(crate) fn take_out(&mut self, range: Range<usize>) -> Vec<(usize, Mapping)> {
        let removed = self.mappings.remove(range.clone());
        if !removed.is_empty() {
            self.table.unmap(range);
        }
        removed
    }
}

/// How often one address may fault again before it counts as a bad address.
#[derive(Default)]
pub(crate) struct Patience {
    address: usize,
    times: u32,
}

impl Patience {
    const LIMIT: u32 = 16;

    pub fn check(&mut self, address: usize) -> Result<(), Error> {
        if self.address != address {
            *self = Patience { address, times: 0 };
        }
        self.times += 1;
        if self.times > Self::LIMIT {
            Err(Error::Fault)
        } else {
            Ok(())
        }
    }
}
