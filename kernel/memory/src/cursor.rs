//! A user's buffers as a sink or source of bytes: what files, pipes and devices read into and write
//! from.
//!
//! The one idea: an address from a user is an allegation. A cursor tries the copy; where it faults,
//! the space says whether the page can come in, and the copy goes on at that byte. What cannot come
//! in ends the cursor: it accepts nothing more and [`UserSink::error`] says why.

use crate::space::{Patience, Space};
use abi::Error;
use machine::frame::Frame;
use machine::paging::{CopyFault, Root};
use object::{Sink, Source};

/// A run of user memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub address: usize,
    pub len: usize,
}

/// The place in a list of segments, and what is left of them.
struct Cursor<'a> {
    space: &'a Space,
    root: &'a Root,
    segment: Segment,
    rest: &'a [Segment],
    done: usize,
    left: usize,
    error: Option<Error>,
}

impl<'a> Cursor<'a> {
    fn new(space: &'a Space, segment: Segment, rest: &'a [Segment]) -> Self {
        let left = rest
            .iter()
            .fold(segment.len, |sum, segment| sum.saturating_add(segment.len));
        Cursor {
            space,
            root: space.root_ref(),
            segment,
            rest,
            done: 0,
            left,
            error: None,
        }
    }

    /// Moves on by up to `wanted` bytes; `copy(root, address, done so far, length)` does the work
    /// in each segment.
    #[inline]
    fn advance(
        &mut self,
        wanted: usize,
        mut copy: impl FnMut(&Root, usize, usize, usize) -> Result<(), CopyFault>,
    ) -> usize {
        // Nearly always one copy does it all, and nothing faults.
        if wanted <= self.segment.len
            && self.error.is_none()
            && copy(self.root, self.segment.address, 0, wanted).is_ok()
        {
            self.segment.address = self.segment.address.wrapping_add(wanted);
            self.segment.len -= wanted;
            self.done += wanted;
            self.left -= wanted;
            return wanted;
        }
        self.advance_in_steps(wanted, copy)
    }

    fn advance_in_steps(
        &mut self,
        wanted: usize,
        mut copy: impl FnMut(&Root, usize, usize, usize) -> Result<(), CopyFault>,
    ) -> usize {
        let mut moved = 0;
        let mut patience = Patience::default();
        while moved < wanted && self.error.is_none() {
            if self.segment.len == 0 {
                let Some((next, rest)) = self.rest.split_first() else {
                    break;
                };
                (self.segment, self.rest) = (*next, rest);
                continue;
            }
            let step = self.segment.len.min(wanted - moved);
            let result = copy(self.root, self.segment.address, moved, step);
            let copied = result.map_or_else(|fault| fault.done.min(step), |()| step);
            self.segment.address = self.segment.address.wrapping_add(copied);
            self.segment.len -= copied;
            moved += copied;
            if let Err(fault) = result {
                let resolved = patience
                    .check(fault.address)
                    .and_then(|()| self.space.resolve_fault(fault));
                self.error = resolved.err();
            }
        }
        self.done += moved;
        self.left -= moved;
        moved
    }

    fn room(&self) -> usize {
        if self.error.is_some() { 0 } else { self.left }
    }
}

/// Where read bytes go: memory of a user.
pub struct UserSink<'a>(Cursor<'a>);

/// Where written bytes come from: memory of a user.
pub struct UserSource<'a>(Cursor<'a>);

macro_rules! constructors {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// A cursor over `len` bytes at `address`. The address is not checked before it is
            /// used.
            pub fn new(space: &'a Space, address: usize, len: usize) -> Self {
                Self(Cursor::new(space, Segment { address, len }, &[]))
            }

            /// A cursor over several runs of memory, one after the other.
            pub fn vectored(space: &'a Space, segments: &'a [Segment]) -> Self {
                Self(Cursor::new(space, Segment::default(), segments))
            }

            /// Bytes copied so far.
            pub fn done(&self) -> usize {
                self.0.done
            }

            /// Why the cursor ended early: [`Error::Fault`] at a bad address, or
            /// [`Error::NoMemory`].
            pub fn error(&self) -> Option<Error> {
                self.0.error
            }
        }
    };
}

constructors!(UserSink);
constructors!(UserSource);

impl Sink for UserSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        self.0.advance(bytes.len(), |root, address, done, step| {
            root.copy_out(address, &bytes[done..done + step])
        })
    }

    fn room(&self) -> usize {
        self.0.room()
    }

    fn fill_zero(&mut self, count: usize) -> usize {
        self.0
            .advance(count, |root, address, _, step| root.zero_out(address, step))
    }

    fn put_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        self.0.advance(len, |root, address, done, step| {
            root.copy_out_frame(address, frame, offset + done, step)
        })
    }
}

impl Source for UserSource<'_> {
    fn take(&mut self, into: &mut [u8]) -> usize {
        self.0.advance(into.len(), |root, address, done, step| {
            root.copy_in(address, &mut into[done..done + step])
        })
    }

    fn left(&self) -> usize {
        self.0.room()
    }

    fn take_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        self.0.advance(len, |root, address, done, step| {
            root.copy_in_frame(address, frame, offset + done, step)
        })
    }
}
