//! Page table entries and the walk over the four levels.
//!
//! The one idea: a table's entries in use are counted in its frame's counter, so that the last
//! entry to go takes the table along.

use super::frame::{self, Purpose};
use super::{copy, layout};
use crate::memory::{Access, OutOfFrames, PAGE};
use core::sync::atomic::{AtomicU64, Ordering};

pub const PRESENT: u64 = 1;
pub const WRITABLE: u64 = 1 << 1;
pub const USER: u64 = 1 << 2;
pub const WRITE_THROUGH: u64 = 1 << 3;
pub const NO_CACHE: u64 = 1 << 4;
pub const ACCESSED: u64 = 1 << 5;
pub const DIRTY: u64 = 1 << 6;
pub const LARGE: u64 = 1 << 7;
pub const GLOBAL: u64 = 1 << 8;
/// Software: an access with `READ` (the processor knows only present and not).
const READABLE: u64 = 1 << 9;
/// Software: a frame is held, present or not.
const HELD: u64 = 1 << 10;
pub const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Bit 63, or nothing on a processor without it.
static NO_EXECUTE_MASK: AtomicU64 = AtomicU64::new(0);

pub fn init() {
    if crate::features::features().nx {
        NO_EXECUTE_MASK.store(NO_EXECUTE, Ordering::Relaxed);
    }
}

/// [`NO_EXECUTE`] where the processor knows it.
pub fn no_execute() -> u64 {
    NO_EXECUTE_MASK.load(Ordering::Relaxed)
}

/// One entry of a table of any level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(pub u64);

impl Entry {
    pub const NONE: Entry = Entry(0);

    /// A user page. Accessed and dirty are set from the start: nobody asks for them, and the
    /// processor need not set them.
    #[inline]
    pub fn user(frame: u32, access: Access) -> Entry {
        Entry((u64::from(frame) << 12) | HELD | USER | ACCESSED | DIRTY).with_access(access)
    }

    /// A kernel page.
    pub fn kernel(physical: usize, flags: u64) -> Entry {
        Entry(physical as u64 | PRESENT | ACCESSED | DIRTY | GLOBAL | flags)
    }

    /// A table of the next level.
    #[inline]
    fn table(frame: u32, flags: u64) -> Entry {
        Entry((u64::from(frame) << 12) | PRESENT | WRITABLE | ACCESSED | flags)
    }

    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    #[inline(always)]
    pub fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    #[inline(always)]
    pub fn frame(self) -> u32 {
        ((self.0 & ADDRESS) >> 12) as u32
    }

    #[inline]
    pub fn access(self) -> Access {
        let mut access = Access::empty();
        access.set(Access::READ, self.0 & READABLE != 0);
        access.set(Access::WRITE, self.0 & WRITABLE != 0);
        // Where there is no NX bit everything that is present can be executed, but `EXECUTE` is
        // still only what was asked for: the bit is kept in the entry's unused bit 11.
        access.set(Access::EXECUTE, self.0 & EXECUTABLE != 0);
        access
    }

    #[inline]
    pub fn with_access(self, access: Access) -> Entry {
        let keep = self.0 & !(PRESENT | WRITABLE | READABLE | EXECUTABLE | NO_EXECUTE);
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        Entry(
            keep | flag(!access.is_empty(), PRESENT)
                | flag(access.contains(Access::WRITE), WRITABLE)
                | flag(access.contains(Access::READ), READABLE)
                | if access.contains(Access::EXECUTE) {
                    EXECUTABLE
                } else {
                    no_execute()
                },
        )
    }
}

/// Software: an access with `EXECUTE`.
const EXECUTABLE: u64 = 1 << 11;

/// Address bits below what one entry of a level (1 to 4) covers.
#[inline(always)]
pub const fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

#[inline(always)]
pub const fn index(address: usize, level: u32) -> usize {
    address >> shift(level) & 511
}

/// A table, by its frame. Copying it copies the number only.
#[derive(Clone, Copy)]
pub struct Table(pub u32);

impl Table {
    /// An empty table.
    pub fn new(purpose: Purpose) -> Result<Table, OutOfFrames> {
        let frame = frame::take(purpose)?;
        // SAFETY: the frame was just taken.
        unsafe { copy::zero_page(layout::frame(frame as usize)) };
        Ok(Table(frame))
    }

    /// An entry. The processor reads and (accessed, dirty) writes them at the same time.
    #[inline(always)]
    pub fn slot(self, index: usize) -> &'static AtomicU64 {
        debug_assert!(index < 512);
        let table = layout::frame(self.0 as usize).cast::<AtomicU64>();
        // SAFETY: a `Table` is a live table's frame, seen through the direct map, and the index
        // is below 512.
        unsafe { &*table.add(index & 511) }
    }

    #[inline(always)]
    pub fn get(self, index: usize) -> Entry {
        Entry(self.slot(index).load(Ordering::Relaxed))
    }

    /// How many entries are in use (not for top-level tables).
    #[inline(always)]
    pub fn used(self) -> u32 {
        frame::count(self.0).load(Ordering::Relaxed)
    }

    /// The first entry in use from `from` on.
    #[inline]
    pub fn first_used(self, from: usize, to: usize) -> Option<usize> {
        (from..to).find(|index| !self.get(*index).is_none())
    }

    /// Writes an entry that was in use, or of a top-level table, where they are not counted.
    #[inline(always)]
    pub fn set(self, index: usize, entry: Entry) {
        self.slot(index).store(entry.0, Ordering::Relaxed);
    }

    /// Writes an entry that was not in use, and counts it.
    #[inline(always)]
    pub fn fill(self, index: usize, entry: Entry) {
        self.set(index, entry);
        let counter = frame::count(self.0);
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Empties an entry that was in use. True when it was the last.
    #[inline(always)]
    pub fn clear(self, index: usize) -> bool {
        self.set(index, Entry::NONE);
        let counter = frame::count(self.0);
        let left = counter.load(Ordering::Relaxed) - 1;
        counter.store(left, Ordering::Relaxed);
        left == 0
    }

    /// The table of the next level behind an entry of this one.
    #[inline(always)]
    pub fn next(self, index: usize) -> Option<Table> {
        let entry = self.get(index);
        (entry.is_present() && entry.0 & LARGE == 0).then(|| Table(entry.frame()))
    }

    /// The same, made when it is not there. `top` tables do not count their entries.
    #[inline(always)]
    pub fn next_or_new(
        self,
        index: usize,
        flags: u64,
        purpose: Purpose,
        top: bool,
    ) -> Result<Table, OutOfFrames> {
        if let Some(table) = self.next(index) {
            return Ok(table);
        }
        let table = Table::new(purpose)?;
        let entry = Entry::table(table.0, flags);
        if top {
            self.set(index, entry);
        } else {
            self.fill(index, entry);
        }
        Ok(table)
    }
}

/// Bytes that one leaf table covers.
pub const LEAF_SPAN: usize = PAGE * 512;
