//! The bytes in a pipe: a queue that owns memory only while it holds something.
//!
//! The one idea: small messages live in a few bytes inside the queue itself; more goes into pages, which come from a
//! small pool shared by all pipes and go back there as soon as they are read. So an idle pipe holds nothing, and a busy
//! one neither clears pages nor asks the heap.

use abi::Error;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use machine::PAGE;
use machine::sync::Spin;
use object::{Sink, Source};

/// Bytes that need no page.
const SMALL: usize = 120;
/// Pages that wait for the next pipe.
const POOLED: usize = 32;
/// Page slots that an empty queue keeps.
const SLOTS: usize = 16;

static POOL: Spin<Vec<Box<[u8]>>> = Spin::new(Vec::new());

/// A queue of bytes. Whatever is in `small` came before whatever is in `pages`.
pub struct Bytes {
    small: [u8; SMALL],
    small_start: usize,
    small_end: usize,
    pages: VecDeque<Box<[u8]>>,
    /// Where the content of the first page begins.
    start: usize,
    /// Where the content of the last page ends.
    end: usize,
}

impl Bytes {
    /// Nothing, in no memory.
    pub const fn new() -> Bytes {
        Bytes {
            small: [0; SMALL],
            small_start: 0,
            small_end: 0,
            pages: VecDeque::new(),
            start: 0,
            end: 0,
        }
    }

    /// How many bytes it holds.
    #[inline]
    pub fn len(&self) -> usize {
        let small = self.small_end - self.small_start;
        match self.pages.len() {
            0 => small,
            pages => small + pages * PAGE - self.start - (PAGE - self.end),
        }
    }

    /// Whether it holds nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes up to `count` bytes from `source`; returns how many it got. `NoMemory` if it could take none.
    pub fn push(&mut self, source: &mut dyn Source, count: usize) -> Result<usize, Error> {
        if self.pages.is_empty() && count <= SMALL - self.small_end {
            let space = &mut self.small[self.small_end..self.small_end + count];
            let got = source.take(space);
            self.small_end += got;
            return Ok(got);
        }
        let mut done = 0;
        while done < count {
            if self.pages.is_empty() || self.end == PAGE {
                match take_page() {
                    Some(page) => self.pages.push_back(page),
                    None if done == 0 => return Err(Error::NoMemory),
                    None => break,
                }
                if self.pages.len() == 1 {
                    self.start = 0;
                }
                self.end = 0;
            }
            let step = (count - done).min(PAGE - self.end);
            let Some(page) = self.pages.back_mut() else {
                break;
            };
            let got = source.take(&mut page[self.end..self.end + step]);
            self.end += got;
            done += got;
            if got < step {
                break;
            }
        }
        if self.end == 0 {
            // The source gave nothing for a page that was just added.
            self.pages.pop_back().into_iter().for_each(give_page);
            self.end = PAGE;
        }
        Ok(done)
    }

    /// Puts bytes into `sink` until one of them is exhausted; returns how many.
    pub fn pop(&mut self, sink: &mut dyn Sink) -> usize {
        let mut done = 0;
        if self.small_start != self.small_end {
            done = sink.put(&self.small[self.small_start..self.small_end]);
            self.small_start += done;
            if self.small_start != self.small_end {
                return done;
            }
            (self.small_start, self.small_end) = (0, 0);
        }
        while let Some(page) = self.pages.front() {
            if sink.room() == 0 {
                break;
            }
            let end = if self.pages.len() == 1 {
                self.end
            } else {
                PAGE
            };
            let step = end - self.start;
            let put = sink.put(&page[self.start..end]);
            self.start += put;
            done += put;
            if put < step {
                break;
            }
            self.pages.pop_front().into_iter().for_each(give_page);
            self.start = 0;
        }
        if self.pages.is_empty() && self.pages.capacity() > SLOTS {
            self.pages = VecDeque::new();
        }
        done
    }

    /// Puts bytes into `sink`, from the one at `skip` on, until one of them is exhausted; they all stay. Returns how
    /// many.
    pub fn peek(&self, mut skip: usize, sink: &mut dyn Sink) -> usize {
        let mut done = 0;
        let small = &self.small[self.small_start..self.small_end];
        let last = self.pages.len().wrapping_sub(1);
        let pages = self.pages.iter().enumerate().map(|(index, page)| {
            let start = if index == 0 { self.start } else { 0 };
            let end = if index == last { self.end } else { PAGE };
            &page[start..end]
        });
        for part in core::iter::once(small).chain(pages) {
            let Some(rest) = part.get(skip..) else {
                skip -= part.len();
                continue;
            };
            skip = 0;
            let put = sink.put(rest);
            done += put;
            if put < rest.len() {
                break;
            }
        }
        done
    }

    /// Takes back the last `count` bytes that were pushed; at most as many as it holds.
    pub fn retract(&mut self, mut count: usize) {
        while count > 0 && !self.pages.is_empty() {
            let start = if self.pages.len() == 1 { self.start } else { 0 };
            let step = count.min(self.end - start);
            self.end -= step;
            count -= step;
            if self.end == start {
                self.pages.pop_back().into_iter().for_each(give_page);
                self.end = PAGE;
            }
        }
        self.small_end -= count.min(self.small_end - self.small_start);
        if self.small_start == self.small_end {
            (self.small_start, self.small_end) = (0, 0);
        }
    }

    /// Drops everything it holds.
    pub fn clear(&mut self) {
        core::mem::take(&mut self.pages)
            .into_iter()
            .for_each(give_page);
        (self.small_start, self.small_end) = (0, 0);
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::new()
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.clear();
    }
}

fn take_page() -> Option<Box<[u8]>> {
    let pooled = POOL.lock().pop();
    pooled.or_else(|| machine::frame::heap_room().then(|| vec![0; PAGE].into_boxed_slice()))
}

fn give_page(page: Box<[u8]>) {
    let mut pool = POOL.lock();
    if pool.len() < POOLED {
        pool.push(page);
    }
}

/// Gives the pooled pages back to the heap; returns how many. For when memory is short.
pub fn shrink() -> usize {
    let pages = core::mem::take(&mut *POOL.lock());
    pages.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A source that gives at most so many bytes of its slice, as a buffer that faults in the middle does.
    struct Faulting<'a>(&'a [u8], usize);

    impl Source for Faulting<'_> {
        fn take(&mut self, into: &mut [u8]) -> usize {
            let step = into.len().min(self.1);
            self.1 -= step;
            self.0.take(&mut into[..step])
        }

        fn left(&self) -> usize {
            self.0.len()
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { count: usize, faults_after: usize },
        Pop { count: usize },
        Peek { skip: usize, count: usize },
        Retract { count: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![0..200usize, 3900..4300usize, 0..20_000usize];
        let fault = prop_oneof![Just(usize::MAX), 0..5000usize];
        prop_oneof![
            (size.clone(), fault).prop_map(|(count, faults_after)| Step::Push {
                count,
                faults_after
            }),
            size.clone().prop_map(|count| Step::Pop { count }),
            (size.clone(), size.clone()).prop_map(|(skip, count)| Step::Peek { skip, count }),
            size.prop_map(|count| Step::Retract { count }),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec(step(), 1..60)) {
            let mut bytes = Bytes::new();
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut next = 0u8;
            for step in steps {
                match step {
                    Step::Push { count, faults_after } => {
                        let data: Vec<u8> = (0..count).map(|index| next.wrapping_add((index % 251) as u8)).collect();
                        let got = bytes.push(&mut Faulting(&data, faults_after), count).unwrap();
                        prop_assert_eq!(got, count.min(faults_after));
                        model.extend(&data[..got]);
                        next = next.wrapping_add(17);
                    }
                    Step::Pop { count } => {
                        let mut buffer = vec![0; count];
                        let mut sink = object::SliceSink::new(&mut buffer);
                        let got = bytes.pop(&mut sink);
                        prop_assert_eq!(got, count.min(model.len()));
                        let expected: Vec<u8> = model.drain(..got).collect();
                        prop_assert_eq!(&buffer[..got], &expected[..]);
                    }
                    Step::Peek { skip, count } => {
                        let mut buffer = vec![0; count];
                        let got = bytes.peek(skip, &mut object::SliceSink::new(&mut buffer));
                        let expected: Vec<u8> = model.iter().skip(skip).take(count).copied().collect();
                        prop_assert_eq!(&buffer[..got], &expected[..]);
                    }
                    Step::Retract { count } => {
                        bytes.retract(count);
                        model.truncate(model.len().saturating_sub(count));
                    }
                }
                prop_assert_eq!(bytes.len(), model.len());
                prop_assert!(bytes.pages.len() <= model.len() / PAGE + 2);
                prop_assert!(!model.is_empty() || bytes.pages.is_empty());
            }
        }
    }
}
