//! Address spaces of users: which frame is at which page, and what may be done there.
//!
//! The one idea: only the user half can be reached through this interface, and a frame that leaves
//! it is given back only after every CPU has forgotten where it was.

use super::cpu::{block, block_of};
use super::frame::{self, Frame, Purpose};
use super::instructions::write_cr3;
use super::kernel_map;
use super::table::{Entry, LEAF_SPAN, PRESENT, Table, USER, index, shift};
use super::tlb::{self, Gather, Walks};
pub use crate::memory::{Access, CopyFault, OutOfFrames};
use crate::memory::{PAGE, USER_END};
use core::ops::Range;
use core::sync::atomic::{Ordering, fence};

/// A top-level table, counted: what makes an address space current. Keeps only that one frame
/// alive; when its [`PageTable`] is gone, the space is empty and every copy faults.
pub struct Root(u32);

impl Root {
    /// Makes this space current on this CPU. Costs one comparison when it is already.
    #[inline(always)]
    pub(super) fn activate(&self) {
        if block().root.load(Ordering::Relaxed) != self.0 {
            switch(self.0);
        }
    }

    #[inline(always)]
    pub(super) fn is_active(&self) -> bool {
        block().root.load(Ordering::Relaxed) == self.0
    }

    /// Whether the table may be in use on another CPU, or is about to be.
    pub(super) fn may_be_active_on(&self, cpu: usize) -> bool {
        let block = block_of(cpu);
        // In this order: see `switch`.
        block.root.load(Ordering::SeqCst) == self.0
            || block.leaving.load(Ordering::SeqCst) == self.0
    }
}

/// Loads another top-level table. This CPU holds a count on the one that is loaded.
#[cold]
fn switch(to: u32) {
    frame::count(to).fetch_add(1, Ordering::Relaxed);
    let block = block();
    let from = block.root.load(Ordering::Relaxed);
    // Whoever changes a table reads `root` and then `leaving`, after the change. If it finds the table
    // in neither, then either the old one is out of CR3 and all of its translations with it, or `root`
    // was written later than that, and the walks from the new CR3 on see the change.
    block.leaving.store(from, Ordering::SeqCst);
    block.root.store(to, Ordering::SeqCst);
    // SAFETY: a counted top-level table: its kernel half maps all that runs.
    unsafe { write_cr3(u64::from(to) << 12) };
    block.leaving.store(0, Ordering::Release);
    release(from);
}

fn release(top: u32) {
    if frame::count(top).fetch_sub(1, Ordering::Release) == 1 {
        fence(Ordering::Acquire);
        frame::give(top);
    }
}

impl Clone for Root {
    #[inline]
    fn clone(&self) -> Root {
        frame::count(self.0).fetch_add(1, Ordering::Relaxed);
        Root(self.0)
    }
}

impl Drop for Root {
    #[inline]
    fn drop(&mut self) {
        release(self.0);
    }
}

/// The user half of one address space.
pub struct PageTable {
    root: Root,
    resident: usize,
    /// Which of the 256 top-level entries were ever used: what dropping has to look at.
    slots: [u64; 4],
}

#[inline]
fn check_page(page: usize) {
    assert!(
        page.is_multiple_of(PAGE) && page < USER_END,
        "not a user page: {page:#x}"
    );
}

fn check_range(range: &Range<usize>) {
    assert!(
        range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE) && range.end <= USER_END,
        "not a user range: {range:#x?}"
    );
}

impl PageTable {
    /// An empty address space.
    pub fn new() -> Result<Self, OutOfFrames> {
        let top = Table::new(Purpose::User)?;
        frame::count(top.0).store(1, Ordering::Relaxed);
        kernel_map::copy_kernel_half(top);
        Ok(PageTable {
            root: Root(top.0),
            resident: 0,
            slots: [0; 4],
        })
    }

    /// The handle through which the kernel reaches this space's memory. Cheap to clone; keeps only
    /// the top level alive.
    pub fn root(&self) -> Root {
        self.root.clone()
    }

    #[inline(always)]
    fn top(&self) -> Table {
        Table(self.root.0)
    }

    /// The leaf table that covers `page`, if there is one.
    #[inline]
    fn leaf(&self, page: usize) -> Option<Table> {
        self.top()
            .next(index(page, 4))?
            .next(index(page, 3))?
            .next(index(page, 2))
    }

    /// The same, made when it is not there.
    #[inline]
    fn leaf_or_new(&mut self, page: usize) -> Result<Table, OutOfFrames> {
        match self.leaf(page) {
            Some(leaf) => Ok(leaf),
            None => self.new_leaf(page),
        }
    }

    #[cold]
    fn new_leaf(&mut self, page: usize) -> Result<Table, OutOfFrames> {
        self.slots[index(page, 4) / 64] |= 1 << (index(page, 4) % 64);
        let make = || {
            let level3 = self
                .top()
                .next_or_new(index(page, 4), USER, Purpose::User, true)?;
            let level2 = level3.next_or_new(index(page, 3), USER, Purpose::User, false)?;
            level2.next_or_new(index(page, 2), USER, Purpose::User, false)
        };
        let made = make();
        if made.is_err() {
            self.drop_empty_tables(page);
        }
        made
    }

    /// Frees the tables above `page` that have no entry: left by an allocation that failed halfway.
    #[cold]
    fn drop_empty_tables(&mut self, page: usize) {
        let Some(level3) = self.top().next(index(page, 4)) else {
            return;
        };
        let mut gather = Gather::new(&self.root);
        if let Some(level2) = level3.next(index(page, 3))
            && level2.used() == 0
        {
            level3.clear(index(page, 3));
            gather.table(level2.0);
        }
        if level3.used() == 0 {
            self.top().set(index(page, 4), Entry::NONE);
            gather.table(level3.0);
        }
    }

    /// The entry of `page`, if a frame is there.
    #[inline]
    fn entry(&self, page: usize) -> Option<(Table, usize, Entry)> {
        check_page(page);
        let leaf = self.leaf(page)?;
        let at = index(page, 1);
        let entry = leaf.get(at);
        (!entry.is_none()).then_some((leaf, at, entry))
    }

    /// Puts `frame` at `page`. Returns the frame that it replaced.
    #[inline]
    pub fn map(
        &mut self,
        page: usize,
        frame: Frame,
        access: Access,
    ) -> Result<Option<Frame>, OutOfFrames> {
        check_page(page);
        let leaf = self.leaf_or_new(page)?;
        let at = index(page, 1);
        let old = leaf.get(at);
        let new = Entry::user(frame.into_number(), access);
        if old.is_none() {
            leaf.fill(at, new);
            self.resident += 1;
            return Ok(None);
        }
        leaf.set(at, new);
        self.forget(page, old);
        // SAFETY: the entry that held this count is overwritten, and forgotten by the processor.
        Ok(Some(unsafe { Frame::from_number(old.frame()) }))
    }

    /// Makes CPUs forget one page's translation.
    #[inline]
    fn forget(&self, page: usize, old: Entry) {
        if old.is_present() {
            tlb::forget_page(&self.root, page);
        }
    }

    /// Takes away all pages of `range` and frees their frames, and tables that become empty.
    /// Costs a step for each table and each page that is there.
    pub fn unmap(&mut self, range: Range<usize>) {
        check_range(&range);
        let mut gather = Gather::new(&self.root);
        let mut page = range.start;
        while let Some((leaf, start)) = self.next_leaf(page..range.end) {
            let end = range.end.min((start | (LEAF_SPAN - 1)) + 1);
            page = start;
            while let Some(found) = used_page(leaf, page..end) {
                let at = index(found, 1);
                let entry = leaf.get(at);
                let emptied = leaf.clear(at);
                self.resident -= 1;
                if entry.is_present() {
                    gather.page(found);
                }
                gather.frame(entry.frame());
                if emptied {
                    Self::cut(self.root.0, start, &mut gather);
                    break;
                }
                page = found + PAGE;
            }
            page = end;
        }
    }

    /// Takes the empty leaf table of `page` out, and what becomes empty above it.
    fn cut(top: u32, page: usize, gather: &mut Gather<'_>) {
        let top = Table(top);
        let Some(level3) = top.next(index(page, 4)) else {
            return;
        };
        let Some(level2) = level3.next(index(page, 3)) else {
            return;
        };
        let Some(leaf) = level2.next(index(page, 2)) else {
            return;
        };
        let last = level2.clear(index(page, 2));
        gather.table(leaf.0);
        if last {
            let last = level3.clear(index(page, 3));
            gather.table(level2.0);
            if last {
                top.set(index(page, 4), Entry::NONE);
                gather.table(level3.0);
            }
        }
    }

    /// The first leaf table that covers a part of `range`, and the first page of that part. Skips
    /// what is not there a table at a time.
    fn next_leaf(&self, range: Range<usize>) -> Option<(Table, usize)> {
        let mut page = range.start;
        'search: while page < range.end {
            let mut table = self.top();
            for level in [4, 3, 2] {
                let from = index(page, level);
                match table.first_used(from, 512) {
                    // In the top level, entries from 256 on are the kernel's.
                    Some(found) if level < 4 || found < 256 => {
                        if found != from {
                            page = (page >> shift(level) & !511 | found) << shift(level);
                        }
                        table = table.next(found)?;
                    }
                    Some(_) => return None,
                    None => {
                        page = (page | ((1 << shift(level + 1)) - 1)) + 1;
                        continue 'search;
                    }
                }
            }
            return (page < range.end).then_some((table, page));
        }
        None
    }

    /// Calls `f(table, index, page, entry)` for each page of `range` that is there. `f` does not
    /// change which are.
    fn each(&self, range: Range<usize>, mut f: impl FnMut(Table, usize, usize, Entry)) {
        let mut page = range.start;
        while let Some((leaf, start)) = self.next_leaf(page..range.end) {
            let end = range.end.min((start | (LEAF_SPAN - 1)) + 1);
            let mut left = leaf.used();
            page = start;
            while left > 0
                && let Some(found) = used_page(leaf, page..end)
            {
                let at = index(found, 1);
                f(leaf, at, found, leaf.get(at));
                left -= 1;
                page = found + PAGE;
            }
            page = end;
        }
    }

    /// Changes what may be done with the pages of `range` that are there. Never adds `WRITE`: a
    /// page whose frame is shared copy-on-write must fault first.
    pub fn protect(&mut self, range: Range<usize>, access: Access) {
        check_range(&range);
        let mut gather = Gather::new(&self.root);
        self.each(range, |leaf, at, page, entry| {
            let write = entry.access() & access & Access::WRITE;
            let new = entry.with_access(access.difference(Access::WRITE) | write);
            if new != entry {
                leaf.set(at, new);
                if entry.is_present() {
                    gather.page(page);
                }
            }
        });
    }

    /// The frame at `page` (counted up) and what may be done with it.
    pub fn get(&self, page: usize) -> Option<(Frame, Access)> {
        let (_, _, entry) = self.entry(page)?;
        frame::hold(entry.frame());
        // SAFETY: this is the count just added.
        Some((unsafe { Frame::from_number(entry.frame()) }, entry.access()))
    }

    /// What may be done with the page, if it is there.
    #[inline]
    pub fn access(&self, page: usize) -> Option<Access> {
        self.entry(page).map(|(_, _, entry)| entry.access())
    }

    /// Takes away one page and hands its frame over.
    pub fn take(&mut self, page: usize) -> Option<(Frame, Access)> {
        let (leaf, at, entry) = self.entry(page)?;
        let emptied = leaf.clear(at);
        self.resident -= 1;
        self.forget(page, entry);
        if emptied {
            Self::cut(self.root.0, page, &mut Gather::new(&self.root));
        }
        // SAFETY: the entry that held this count is gone, and forgotten by the processor.
        Some((unsafe { Frame::from_number(entry.frame()) }, entry.access()))
    }

    /// The fast path of copy-on-write: makes the page writable if its frame is used nowhere else.
    /// False when it is not (or there is no page).
    #[inline]
    pub fn make_writable_if_unique(&mut self, page: usize) -> bool {
        let Some((leaf, at, entry)) = self.entry(page) else {
            return false;
        };
        if entry.is_writable() {
            return true;
        }
        if frame::count(entry.frame()).load(Ordering::Acquire) != 1 {
            return false;
        }
        // Only adds a right: a CPU that remembers less faults once more at most.
        leaf.set(at, entry.with_access(entry.access() | Access::WRITE));
        true
    }

    /// Sets exactly what may be done with a page that is there.
    pub fn set_access(&mut self, page: usize, access: Access) {
        if let Some((leaf, at, entry)) = self.entry(page) {
            leaf.set(at, entry.with_access(access));
            if !access.contains(entry.access()) {
                self.forget(page, entry);
            }
        }
    }

    /// Shares the pages of `range` with `child`, at the same addresses. With `copy_on_write`
    /// neither may write until it faults. On an error the child may hold some of them.
    pub fn share_into(
        &mut self,
        child: &mut PageTable,
        range: Range<usize>,
        copy_on_write: bool,
    ) -> Result<(), OutOfFrames> {
        check_range(&range);
        let mut gather = Gather::new(&self.root);
        let mut page = range.start;
        while let Some((leaf, start)) = self.next_leaf(page..range.end) {
            let end = range.end.min((start | (LEAF_SPAN - 1)) + 1);
            let into = child.leaf_or_new(start)?;
            let mut left = leaf.used();
            page = start;
            while left > 0
                && let Some(found) = used_page(leaf, page..end)
            {
                let at = index(found, 1);
                let mut entry = leaf.get(at);
                left -= 1;
                page = found + PAGE;
                if copy_on_write && entry.is_writable() {
                    entry = entry.with_access(entry.access() - Access::WRITE);
                    leaf.set(at, entry);
                    gather.page(found);
                }
                frame::hold(entry.frame());
                let old = into.get(at);
                if old.is_none() {
                    into.fill(at, entry);
                    child.resident += 1;
                } else {
                    into.set(at, entry);
                    child.forget(found, old);
                    frame::release(old.frame());
                }
            }
            if into.used() == 0 {
                // The parent's leaf had pages outside the range only.
                let mut unused = Gather::new(&child.root);
                Self::cut(child.root.0, start, &mut unused);
            }
            page = end;
        }
        Ok(())
    }

    /// Moves the pages of `from` to the empty range of the same length at `to`. On an error the
    /// rest stay where they were.
    pub fn move_pages(&mut self, from: Range<usize>, to: usize) -> Result<(), OutOfFrames> {
        check_range(&from);
        check_range(&(to..to + from.len()));
        let mut page = from.start;
        while let Some((leaf, start)) = self.next_leaf(page..from.end) {
            let end = from.end.min((start | (LEAF_SPAN - 1)) + 1);
            for page in (start..end).step_by(PAGE) {
                if !leaf.get(index(page, 1)).is_none() {
                    let target = page - from.start + to;
                    // The new tables first: on an error the page has not moved.
                    let into = self.leaf_or_new(target)?;
                    let at = index(target, 1);
                    assert!(into.get(at).is_none(), "pages move to an empty range");
                    if let Some((frame, access)) = self.take(page) {
                        into.fill(at, Entry::user(frame.into_number(), access));
                        self.resident += 1;
                    }
                    if self.leaf(page).is_none_or(|now| now.0 != leaf.0) {
                        // That was the leaf's last page, and the table went with it.
                        break;
                    }
                }
            }
            page = end;
        }
        Ok(())
    }

    /// Calls `f` for each top-level entry that was ever used.
    fn each_slot(&self, f: impl Fn(Table, usize)) {
        for (word, mut slots) in self.slots.into_iter().enumerate() {
            while slots != 0 {
                f(self.top(), word * 64 + slots.trailing_zeros() as usize);
                slots &= slots - 1;
            }
        }
    }

    /// How many pages are there.
    pub fn resident(&self) -> usize {
        self.resident
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        // Cut off first: a processor that still has the top level in use walks from it any time.
        self.each_slot(|top, at| {
            let slot = top.slot(at);
            slot.fetch_and(!PRESENT, Ordering::SeqCst);
        });
        // The other space is needed next anyway, and loading it forgets this one: the only flush.
        if self.root.is_active() {
            switch(kernel_map::top().0);
        }
        tlb::forget_elsewhere(&self.root, Walks::Ended);
        self.each_slot(|top, at| {
            let entry = top.get(at);
            if !entry.is_none() {
                top.set(at, Entry::NONE);
                free_tables(Table(entry.frame()), 3);
            }
        });
    }
}

/// The first page in use of a part of what `leaf` covers.
#[inline]
fn used_page(leaf: Table, pages: Range<usize>) -> Option<usize> {
    if pages.is_empty() {
        return None;
    }
    let from = index(pages.start, 1);
    let found = leaf.first_used(from, from + pages.len() / PAGE)?;
    Some(pages.start + (found - from) * PAGE)
}

/// Frees a table and all below it. No CPU may still use it.
fn free_tables(table: Table, level: u32) {
    let counter = frame::count(table.0);
    let mut left = counter.load(Ordering::Relaxed);
    let mut at = 0;
    while left > 0
        && let Some(found) = table.first_used(at, 512)
    {
        let entry = table.get(found);
        at = found + 1;
        left -= 1;
        if level == 1 {
            frame::release(entry.frame());
        } else {
            free_tables(Table(entry.frame()), level - 1);
        }
    }
    counter.store(0, Ordering::Relaxed);
    frame::give(table.0);
}
