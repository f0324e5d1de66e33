//! Forgetting translations, and only then freeing what they led to.
//!
//! The one idea: a change of a page table *gathers* the pages that processors must forget and the
//! frames that come free, and when the gathering is full or ends, it forgets first and frees then.
//! How other CPUs are made to forget is in `nmi.rs`.

use super::frame;
use super::instructions::{invlpg, read_cr3, write_cr3};
use super::paging::Root;
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering;

/// Up to this many pages are forgotten one by one; more cost less by loading CR3 again.
const ONE_BY_ONE: usize = 32;
const FRAMES: usize = 126;

pub struct Gather<'a> {
    root: &'a Root,
    /// The first `page_count` are set, as far as there is room.
    pages: [MaybeUninit<usize>; ONE_BY_ONE],
    page_count: usize,
    /// The first `frame_count` are set.
    frames: [MaybeUninit<u32>; FRAMES],
    frame_count: usize,
    /// Whether a table is among them.
    walks: Walks,
}

/// Marks a frame in the list as a table: kernel-owned and not counted like user frames.
const TABLE: u32 = 1 << 31;

impl<'a> Gather<'a> {
    #[inline]
    pub fn new(root: &'a Root) -> Self {
        Gather {
            root,
            pages: [const { MaybeUninit::uninit() }; ONE_BY_ONE],
            page_count: 0,
            frames: [const { MaybeUninit::uninit() }; FRAMES],
            frame_count: 0,
            walks: Walks::GoOn,
        }
    }

    /// The translation of `page` must be forgotten.
    #[inline]
    pub fn page(&mut self, page: usize) {
        if let Some(slot) = self.pages.get_mut(self.page_count) {
            slot.write(page);
        }
        self.page_count += 1;
    }

    /// A user frame's count goes, after that.
    #[inline]
    pub fn frame(&mut self, number: u32) {
        if self.frame_count == FRAMES {
            self.finish();
        }
        self.frames[self.frame_count].write(number);
        self.frame_count += 1;
    }

    /// A table's frame is free, after that. Forgetting any page forgets the way through tables too.
    pub fn table(&mut self, number: u32) {
        if self.page_count == 0 {
            self.page(0);
        }
        // Before `frame`, which may finish: the table was cut off already.
        self.walks = Walks::Ended;
        self.frame(number | TABLE);
    }

    fn finish(&mut self) {
        if self.page_count > 0 {
            if self.root.is_active() {
                match self.pages.get(..self.page_count) {
                    // SAFETY: the first `page_count` are set.
                    Some(pages) => pages
                        .iter()
                        .for_each(|page| invlpg(unsafe { page.assume_init() })),
                    // SAFETY: the same tables again.
                    None => unsafe { write_cr3(read_cr3()) },
                }
            }
            forget_elsewhere(self.root, self.walks);
            self.page_count = 0;
            self.walks = Walks::GoOn;
        }
        for number in &self.frames[..self.frame_count] {
            // SAFETY: the first `frame_count` are set.
            let number = unsafe { number.assume_init() };
            if number & TABLE != 0 {
                frame::count(number & !TABLE).store(0, Ordering::Relaxed);
                frame::give(number & !TABLE);
            } else {
                frame::release(number);
            }
        }
        self.frame_count = 0;
    }
}

impl Drop for Gather<'_> {
    #[inline]
    fn drop(&mut self) {
        self.finish();
    }
}

/// Forgets one page of a space.
#[inline]
pub fn forget_page(root: &Root, page: usize) {
    if root.is_active() {
        invlpg(page);
    }
    forget_elsewhere(root, Walks::GoOn);
}

/// Whether tables go, so that even a processor that does nothing must not walk through them any more:
/// it may look things up ahead of time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Walks {
    GoOn,
    Ended,
}

/// Makes the other CPUs that have `root` in use forget it, and waits until they did. The change of its
/// tables was made before.
#[inline]
pub fn forget_elsewhere(root: &Root, walks: Walks) {
    if super::cpu::count() > 1 {
        super::nmi::forget(root, walks);
    }
}
