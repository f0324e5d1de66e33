//! The content of a file: a memory object, and what it counts for.
//!
//! The one idea: reads and writes, and whoever maps the file, meet in the same pages; nothing is copied in between. Writers
//! of one file take turns, so that appending never overwrites.

use crate::space::Space;
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::PAGE;
use machine::sync::Spin;
use memory::Object;
use object::{Sink, Source};

pub struct Content {
    object: Arc<Object>,
    /// Made from bytes that lie elsewhere: pages that were not written yet count for nothing, but are no holes.
    solid: bool,
    /// Held by the one who writes: how many pages were counted.
    counted: Spin<u64>,
    /// Changed since it was last read.
    unread: AtomicBool,
}

impl Content {
    pub fn new(bytes: &'static [u8]) -> Content {
        Content {
            object: if bytes.is_empty() {
                Object::new_anonymous(0)
            } else {
                Object::from_static(bytes)
            },
            solid: !bytes.is_empty(),
            counted: Spin::new(0),
            unread: AtomicBool::new(true),
        }
    }

    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }

    pub fn len(&self) -> u64 {
        self.object.len()
    }

    /// Storage in units of 512 bytes.
    pub fn blocks(&self) -> u64 {
        let pages = if self.solid {
            self.object.len().div_ceil(PAGE as u64)
        } else {
            self.object.resident() as u64
        };
        pages * (PAGE / 512) as u64
    }

    /// Reads; says whether this is the first read since a change.
    #[inline]
    pub fn read(&self, offset: u64, sink: &mut dyn Sink) -> (usize, bool) {
        let count = self.object.read(offset, sink);
        let first =
            self.unread.load(Ordering::Relaxed) && self.unread.swap(false, Ordering::Relaxed);
        (count, first)
    }

    /// Writes at `offset`, or at the end; returns how many bytes, and the position behind them. `NoSpace` if the file
    /// system has no page left for the first of them.
    pub fn write(
        &self,
        space: &Space,
        offset: u64,
        source: &mut dyn Source,
        append: bool,
    ) -> Result<(usize, u64), Error> {
        let mut counted = self.counted.lock();
        let offset = if append { self.object.len() } else { offset };
        let left = source.left();
        let spanned = ((offset % PAGE as u64) + left as u64).div_ceil(PAGE as u64);
        let result = if spanned <= space.free_pages() {
            self.object.write(offset, source)
        } else {
            match self.fitting(offset, left, space.free_pages()) {
                0 if left != 0 => Err(Error::NoSpace),
                fitting => self.object.write(
                    offset,
                    &mut Limited {
                        source,
                        left: fitting,
                    },
                ),
            }
        };
        self.recount(space, &mut counted);
        let count = result?;
        self.unread.store(true, Ordering::Relaxed);
        Ok((count, offset.saturating_add(count as u64)))
    }

    /// How many of `count` bytes from `offset` on fit into pages that are there and `free` others.
    fn fitting(&self, offset: u64, count: usize, mut free: u64) -> usize {
        let mut end = offset;
        let last = offset.saturating_add(count as u64);
        while end < last {
            let page = end / PAGE as u64;
            if self.object.page_if_present(page).is_none() {
                if free == 0 {
                    break;
                }
                free -= 1;
            }
            end = ((page + 1) * PAGE as u64).min(last);
        }
        (end - offset) as usize
    }

    pub fn set_len(&self, space: &Space, len: u64) -> Result<(), Error> {
        let mut counted = self.counted.lock();
        let result = self.object.set_len(len);
        self.recount(space, &mut counted);
        self.unread.store(true, Ordering::Relaxed);
        result
    }

    fn recount(&self, space: &Space, counted: &mut u64) {
        let now = self.object.resident() as u64;
        space.recount(*counted, now);
        *counted = now;
    }

    /// Counts out everything, for the end of the file.
    pub fn release(&mut self, space: &Space) {
        space.recount(*self.counted.get_mut(), 0);
    }
}

/// A source that ends early.
struct Limited<'a> {
    source: &'a mut dyn Source,
    left: usize,
}

impl Source for Limited<'_> {
    fn take(&mut self, into: &mut [u8]) -> usize {
        let step = into.len().min(self.left);
        let given = self.source.take(into.get_mut(..step).unwrap_or_default());
        self.left -= given;
        given
    }

    fn left(&self) -> usize {
        self.left.min(self.source.left())
    }
}
