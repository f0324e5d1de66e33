//! Simulated page tables: an ordered map from pages to frames, with the faults of the real thing.
//!
//! The one idea: everything that hardware would do wrongly or silently is visible here. The tables
//! of the four levels are counted as frames, so that running out of them fails where it would on
//! the bare machine; copies stop at the exact byte where the processor would fault; an atomic
//! change of user memory is one step under the frame's lock.

use super::frame::{Frame, KernelFrame};
use super::lock;
pub use crate::memory::{Access, CopyFault, OutOfFrames};
use crate::{PAGE, USER_END};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Address bits below the prefix of a level 1 (page table), 2 (directory) and 3 (directory pointer)
/// table.
const TABLE_SHIFTS: [u32; 3] = [21, 30, 39];

struct Entry {
    frame: Frame,
    access: Access,
}

/// A table below the top level: how many entries it has, and the frame it would fill.
struct Table {
    entries: usize,
    _frame: KernelFrame,
}

#[derive(Default)]
struct Pages {
    present: BTreeMap<usize, Entry>,
    tables: BTreeMap<(u32, usize), Table>,
    _top: Option<KernelFrame>,
}

impl Pages {
    /// Makes the tables that `page` needs, or none of them.
    fn add_tables(&mut self, page: usize) -> Result<(), OutOfFrames> {
        let mut made = Vec::new();
        for shift in TABLE_SHIFTS {
            if !self.tables.contains_key(&(shift, page >> shift)) {
                made.push((shift, KernelFrame::new()?));
            }
        }
        for &shift in &TABLE_SHIFTS {
            if let Some(table) = self.tables.get_mut(&(shift, page >> shift)) {
                table.entries += 1;
            }
        }
        for (shift, frame) in made {
            self.tables.insert(
                (shift, page >> shift),
                Table {
                    entries: 1,
                    _frame: frame,
                },
            );
        }
        Ok(())
    }

    fn drop_tables(&mut self, page: usize) {
        for shift in TABLE_SHIFTS {
            let key = (shift, page >> shift);
            if let Some(table) = self.tables.get_mut(&key) {
                table.entries -= 1;
                if table.entries == 0 {
                    self.tables.remove(&key);
                }
            }
        }
    }

    fn insert(
        &mut self,
        page: usize,
        frame: Frame,
        access: Access,
    ) -> Result<Option<Frame>, OutOfFrames> {
        if !self.present.contains_key(&page) {
            self.add_tables(page)?;
        }
        Ok(self
            .present
            .insert(page, Entry { frame, access })
            .map(|old| old.frame))
    }

    fn remove(&mut self, page: usize) -> Option<Entry> {
        let entry = self.present.remove(&page)?;
        self.drop_tables(page);
        Some(entry)
    }

    /// The frame behind `address`, if the access is allowed there.
    fn frame(&self, address: usize, write: bool) -> Option<&Frame> {
        if address >= USER_END {
            return None;
        }
        let entry = self.present.get(&(address & !(PAGE - 1)))?;
        let allowed = if write {
            entry.access.contains(Access::WRITE)
        } else {
            !entry.access.is_empty()
        };
        allowed.then_some(&entry.frame)
    }

    fn pages_in(&self, range: &Range<usize>) -> Vec<usize> {
        if range.is_empty() {
            return Vec::new();
        }
        self.present
            .range(range.clone())
            .map(|(&page, _)| page)
            .collect()
    }
}

/// The user half of one address space: which frame is at which page, and what may be done there.
pub struct PageTable {
    pages: Arc<Mutex<Pages>>,
}

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
        let pages = Pages {
            _top: Some(KernelFrame::new()?),
            ..Pages::default()
        };
        Ok(PageTable {
            pages: Arc::new(Mutex::new(pages)),
        })
    }

    /// The handle through which the kernel reaches this space's memory. Cheap to clone; keeps only
    /// the top level alive.
    pub fn root(&self) -> Root {
        Root(self.pages.clone())
    }

    /// Puts `frame` at `page`. Returns the frame that it replaced.
    pub fn map(
        &mut self,
        page: usize,
        frame: Frame,
        access: Access,
    ) -> Result<Option<Frame>, OutOfFrames> {
        check_page(page);
        lock(&self.pages).insert(page, frame, access)
    }

    /// Takes away all pages of `range` and frees their frames.
    pub fn unmap(&mut self, range: Range<usize>) {
        check_range(&range);
        let mut pages = lock(&self.pages);
        let removed: Vec<Entry> = pages
            .pages_in(&range)
            .into_iter()
            .filter_map(|page| pages.remove(page))
            .collect();
        drop(pages);
        drop(removed);
    }

    /// Changes what may be done with the pages of `range` that are there. Never adds `WRITE`: a
    /// page whose frame is shared copy-on-write must fault first.
    pub fn protect(&mut self, range: Range<usize>, access: Access) {
        check_range(&range);
        if range.is_empty() {
            return;
        }
        for (_, entry) in lock(&self.pages).present.range_mut(range) {
            let write = entry.access & access & Access::WRITE;
            entry.access = access.difference(Access::WRITE) | write;
        }
    }

    /// The frame at `page` (counted up) and what may be done with it.
    pub fn get(&self, page: usize) -> Option<(Frame, Access)> {
        lock(&self.pages)
            .present
            .get(&page)
            .map(|entry| (entry.frame.clone(), entry.access))
    }

    /// What may be done with the page, if it is there.
    pub fn access(&self, page: usize) -> Option<Access> {
        lock(&self.pages)
            .present
            .get(&page)
            .map(|entry| entry.access)
    }

    /// Takes away one page and hands its frame over.
    pub fn take(&mut self, page: usize) -> Option<(Frame, Access)> {
        lock(&self.pages)
            .remove(page)
            .map(|entry| (entry.frame, entry.access))
    }

    /// The fast path of copy-on-write: makes the page writable if its frame is used nowhere else.
    /// False when it is not (or there is no page).
    pub fn make_writable_if_unique(&mut self, page: usize) -> bool {
        match lock(&self.pages).present.get_mut(&page) {
            Some(entry) if entry.access.contains(Access::WRITE) => true,
            Some(entry) if entry.frame.is_unique() => {
                entry.access |= Access::WRITE;
                true
            }
            _ => false,
        }
    }

    /// Sets exactly what may be done with a page that is there.
    pub fn set_access(&mut self, page: usize, access: Access) {
        if let Some(entry) = lock(&self.pages).present.get_mut(&page) {
            entry.access = access;
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
        if range.is_empty() {
            return Ok(());
        }
        let mut parent = lock(&self.pages);
        let mut child = lock(&child.pages);
        for (&page, entry) in parent.present.range_mut(range) {
            if copy_on_write {
                entry.access -= Access::WRITE;
            }
            child.insert(page, entry.frame.clone(), entry.access)?;
        }
        Ok(())
    }

    /// Moves the pages of `from` to the empty range of the same length at `to`. On an error nothing
    /// has moved.
    pub fn move_pages(&mut self, from: Range<usize>, to: usize) -> Result<(), OutOfFrames> {
        check_range(&from);
        check_range(&(to..to + from.len()));
        let mut pages = lock(&self.pages);
        let moving = pages.pages_in(&from);
        let target = |page: usize| page - from.start + to;
        // All new tables first, so that an error finds every page where it was.
        for (made, &page) in moving.iter().enumerate() {
            assert!(
                !pages.present.contains_key(&target(page)),
                "pages move to an empty range"
            );
            if let Err(error) = pages.add_tables(target(page)) {
                for &page in &moving[..made] {
                    pages.drop_tables(target(page));
                }
                return Err(error);
            }
        }
        for page in moving {
            if let Some(entry) = pages.remove(page) {
                pages.present.insert(target(page), entry);
            }
        }
        Ok(())
    }

    /// How many pages are there.
    pub fn resident(&self) -> usize {
        lock(&self.pages).present.len()
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        // A `Root` may live on: it sees an empty space then.
        let mut pages = lock(&self.pages);
        let present = std::mem::take(&mut pages.present);
        pages.tables.clear();
        drop(pages);
        drop(present);
    }
}

/// User memory of one address space, from any kernel code.
#[derive(Clone)]
pub struct Root(Arc<Mutex<Pages>>);

impl Root {
    /// Calls `step(frame, offset in it, bytes done, bytes to do)` page by page. The table stays
    /// locked during each step: as on a real machine, no access goes to a frame that has already
    /// been taken away.
    fn walk(
        &self,
        address: usize,
        len: usize,
        write: bool,
        mut step: impl FnMut(&Frame, usize, usize, usize),
    ) -> Result<(), CopyFault> {
        let mut done = 0;
        while done < len {
            // A sum that wraps has met USER_END before.
            let at = address.wrapping_add(done);
            let pages = lock(&self.0);
            let frame = pages.frame(at, write).ok_or(CopyFault {
                done,
                address: at,
                write,
            })?;
            let offset = at % PAGE;
            let count = (PAGE - offset).min(len - done);
            step(frame, offset, done, count);
            done += count;
        }
        Ok(())
    }

    /// Copies from user memory.
    pub fn copy_in(&self, address: usize, into: &mut [u8]) -> Result<(), CopyFault> {
        self.walk(address, into.len(), false, |frame, offset, done, count| {
            frame.read(offset, &mut into[done..done + count]);
        })
    }

    /// Copies to user memory.
    pub fn copy_out(&self, address: usize, from: &[u8]) -> Result<(), CopyFault> {
        self.walk(address, from.len(), true, |frame, offset, done, count| {
            frame.write(offset, &from[done..done + count]);
        })
    }

    /// Clears user memory.
    pub fn zero_out(&self, address: usize, len: usize) -> Result<(), CopyFault> {
        self.walk(address, len, true, |frame, offset, _, count| {
            frame.fill_zero(offset..offset + count)
        })
    }

    /// Copies `len` bytes of `frame`, from `offset` on, to user memory. Panics when they pass the
    /// frame's end.
    pub fn copy_out_frame(
        &self,
        address: usize,
        frame: &Frame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        let mut page = [0; PAGE];
        frame.read(offset, &mut page[..len]);
        self.copy_out(address, &page[..len])
    }

    /// Copies `len` bytes of user memory into `frame`, from `offset` on. Panics when they pass the
    /// frame's end.
    pub fn copy_in_frame(
        &self,
        address: usize,
        frame: &Frame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        assert!(offset + len <= PAGE, "the bytes lie in one frame");
        let mut page = [0; PAGE];
        let result = self.copy_in(address, &mut page[..len]);
        let copied = result.map_or_else(|fault| fault.done, |()| len);
        frame.write(offset, &page[..copied]);
        result
    }

    /// Does `change` to the aligned word of `N` bytes at `address` in one step.
    fn atomic<const N: usize, R>(
        &self,
        address: usize,
        write: bool,
        change: impl FnOnce(&mut [u8; N]) -> R,
    ) -> Result<R, CopyFault> {
        let fault = CopyFault {
            done: 0,
            address,
            write,
        };
        if !address.is_multiple_of(N) {
            return Err(fault);
        }
        let pages = lock(&self.0);
        let frame = pages.frame(address, write).ok_or(fault)?;
        Ok(frame.atomic(address % PAGE, change))
    }

    /// Reads an aligned word in one step.
    pub fn load_u32(&self, address: usize) -> Result<u32, CopyFault> {
        self.atomic(address, false, |word| u32::from_le_bytes(*word))
    }

    /// Writes an aligned word in one step.
    pub fn store_u32(&self, address: usize, value: u32) -> Result<(), CopyFault> {
        self.atomic(address, true, |word| *word = value.to_le_bytes())
    }

    /// Reads an aligned double word in one step.
    pub fn load_u64(&self, address: usize) -> Result<u64, CopyFault> {
        self.atomic(address, false, |word| u64::from_le_bytes(*word))
    }

    /// Writes an aligned double word in one step.
    pub fn store_u64(&self, address: usize, value: u64) -> Result<(), CopyFault> {
        self.atomic(address, true, |word| *word = value.to_le_bytes())
    }

    /// Writes `new` if the word is `old`. `Ok(Ok(old))` when it did, `Ok(Err(seen))` when not.
    pub fn compare_exchange_u32(
        &self,
        address: usize,
        old: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, CopyFault> {
        self.atomic(address, true, |word| {
            let seen = u32::from_le_bytes(*word);
            if seen != old {
                return Err(seen);
            }
            *word = new.to_le_bytes();
            Ok(seen)
        })
    }

    /// Replaces the word by `f` of it in one step. Returns the old word.
    pub fn update_u32(&self, address: usize, f: impl Fn(u32) -> u32) -> Result<u32, CopyFault> {
        self.atomic(address, true, |word| {
            let old = u32::from_le_bytes(*word);
            *word = f(old).to_le_bytes();
            old
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    const READ_WRITE: Access = Access::READ.union(Access::WRITE);
    const BASE: usize = 0x40_0000;

    fn space(pages: usize) -> PageTable {
        let mut table = PageTable::new().unwrap();
        for page in 0..pages {
            table
                .map(BASE + page * PAGE, Frame::zeroed().unwrap(), READ_WRITE)
                .unwrap();
        }
        table
    }

    #[test]
    fn copies_stop_at_the_byte_that_faults() {
        let table = space(2);
        let root = table.root();
        let end = BASE + 2 * PAGE;
        let fault = root.copy_out(end - 10, &[1; 20]).unwrap_err();
        assert_eq!(
            fault,
            CopyFault {
                done: 10,
                address: end,
                write: true
            }
        );
        let mut back = [0; 11];
        let fault = root.copy_in(end - 10, &mut back).unwrap_err();
        assert_eq!(
            fault,
            CopyFault {
                done: 10,
                address: end,
                write: false
            }
        );
        assert_eq!(back, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(root.copy_in(USER_END, &mut back).unwrap_err().done, 0);
        assert_eq!(root.copy_in(usize::MAX - 2, &mut back).unwrap_err().done, 0);
        assert_eq!(root.copy_in(usize::MAX, &mut []), Ok(()));
    }

    #[test]
    fn protection_faults_and_never_adds_write() {
        let mut table = space(1);
        let root = table.root();
        table.protect(BASE..BASE + PAGE, Access::READ);
        assert!(root.copy_out(BASE, &[1]).is_err());
        table.protect(BASE..BASE + PAGE, READ_WRITE);
        assert!(root.copy_out(BASE, &[1]).is_err());
        assert!(table.make_writable_if_unique(BASE));
        root.copy_out(BASE, &[1]).unwrap();
        table.protect(BASE..BASE + PAGE, Access::empty());
        assert!(root.copy_in(BASE, &mut [0]).is_err());
        assert_eq!(table.resident(), 1);
    }

    #[test]
    fn shared_pages_are_copied_on_write() {
        let before = frame::stats();
        let mut parent = space(3);
        parent.root().copy_out(BASE, b"hello").unwrap();
        let mut child = PageTable::new().unwrap();
        parent
            .share_into(&mut child, BASE..BASE + 3 * PAGE, true)
            .unwrap();
        assert!(!parent.make_writable_if_unique(BASE));
        assert!(parent.root().copy_out(BASE, b"x").is_err());
        let mut seen = [0; 5];
        child.root().copy_in(BASE, &mut seen).unwrap();
        assert_eq!(&seen, b"hello");
        drop(parent);
        assert!(child.make_writable_if_unique(BASE));
        drop(child);
        assert_eq!(frame::stats(), before);
    }

    #[test]
    fn tables_are_counted_and_a_dead_root_faults() {
        let before = frame::stats();
        let mut table = space(1);
        assert_eq!(frame::stats().kernel, before.kernel + 4);
        table
            .map(0x7000_0000_0000, Frame::zeroed().unwrap(), READ_WRITE)
            .unwrap();
        assert_eq!(frame::stats().kernel, before.kernel + 7);
        frame::fail_after(2);
        assert!(
            table
                .move_pages(BASE..BASE + PAGE, 0x6000_0000_0000)
                .is_err()
        );
        assert!(table.access(BASE).is_some());
        frame::fail_never();
        table
            .move_pages(BASE..BASE + PAGE, 0x6000_0000_0000)
            .unwrap();
        assert!(table.access(BASE).is_none());
        table.unmap(0..USER_END);
        assert_eq!(frame::stats().kernel, before.kernel + 1);
        let root = table.root();
        drop(table);
        assert!(root.copy_in(0x6000_0000_0000, &mut [0]).is_err());
        assert_eq!(frame::stats().kernel, before.kernel + 1);
        drop(root);
        assert_eq!(frame::stats(), before);
    }

    #[test]
    fn words_change_in_one_step() {
        let table = space(1);
        let root = table.root();
        root.store_u32(BASE + 8, 5).unwrap();
        assert_eq!(root.compare_exchange_u32(BASE + 8, 5, 6), Ok(Ok(5)));
        assert_eq!(root.compare_exchange_u32(BASE + 8, 5, 7), Ok(Err(6)));
        assert_eq!(root.update_u32(BASE + 8, |word| word + 1), Ok(6));
        assert_eq!(root.load_u64(BASE + 8), Ok(7));
        assert!(root.load_u32(BASE + 2).is_err());
        assert!(root.load_u64(BASE + 4).is_err());
    }
}
