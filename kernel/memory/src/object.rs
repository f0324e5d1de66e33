//! Memory objects: pages that files, shared memory and address spaces have in common.
//!
//! The one idea: a page comes into being when somebody needs it, and there is one frame for it,
//! whoever looks: `read` and `write` of a file and every shared mapping use the same bytes; private
//! mappings share them until they write. Bytes beyond the length are always zero, so a longer file
//! never shows old data.

use crate::pages::Pages;
use crate::writers::Writers;
use abi::Error;
use alloc::sync::Arc;
use core::ops::Range;
use machine::PAGE;
use machine::frame::Frame;
use machine::sync::Spin;
use object::{Sink, Source};

/// The largest object, so that every offset fits an `i64`.
const MAX_LEN: u64 = i64::MAX as u64;

/// A memory object: a sparse, growable run of bytes in frames.
pub struct Object {
    /// What pages are made from: the front of these bytes, then zeros.
    origin: &'static [u8],
    state: Spin<State>,
    writers: Writers,
}

struct State {
    pages: Pages,
    len: u64,
    /// How much of the origin still counts; a truncated file does not get it back by growing.
    origin_len: u64,
}

/// What a page consists of at this moment.
enum Content {
    Frame(Frame),
    /// No frame: these bytes, then zeros.
    Origin(&'static [u8]),
}

impl Object {
    /// `len` bytes of zeros. Costs no frame until somebody needs a page.
    pub fn new_anonymous(len: u64) -> Arc<Object> {
        Object::make(&[], len.min(MAX_LEN))
    }

    /// An object with these bytes. Each page is copied from them when it is first mapped or
    /// written; reading copies nothing.
    pub fn from_static(bytes: &'static [u8]) -> Arc<Object> {
        Object::make(bytes, bytes.len() as u64)
    }

    /// An object that consists of these frames.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn of_frames(frames: impl IntoIterator<Item = Frame>) -> Result<Arc<Object>, Error> {
        let object = Object::make(&[], 0);
        let mut state = object.state.lock();
        for (index, frame) in (0..).zip(frames) {
            state.insert(index, frame)?;
            state.len += PAGE as u64;
        }
        drop(state);
        Ok(object)
    }

    fn make(origin: &'static [u8], len: u64) -> Arc<Object> {
        Arc::new(Object {
            origin,
            state: Spin::new(State {
                pages: Pages::new(),
                len,
                origin_len: origin.len() as u64,
            }),
            writers: Writers::default(),
        })
    }

    pub(crate) fn writers(&self) -> &Writers {
        &self.writers
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.state.lock().len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pages that have a frame.
    pub fn resident(&self) -> usize {
        self.state.lock().pages.count()
    }

    /// Makes the object shorter or longer. Shorter: pages beyond the end are given up (address
    /// spaces that have mapped them keep them until they drop them, new faults there fail) and the
    /// rest of the last one becomes zero.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond 2^63 - 1 bytes.
    pub fn set_len(&self, len: u64) -> Result<(), Error> {
        if len > MAX_LEN {
            return Err(Error::TooLarge);
        }
        let mut state = self.state.lock();
        let mut gone = alloc::vec::Vec::new();
        if len < state.len {
            gone = state.pages.cut(len.div_ceil(PAGE as u64));
            state.origin_len = state.origin_len.min(len);
            let tail = (len % PAGE as u64) as usize;
            if tail != 0
                && let Some(frame) = state.pages.get(len / PAGE as u64)
            {
                frame.fill_zero(tail..PAGE);
            }
        } else {
            state.clear_tail();
        }
        state.len = len;
        drop(state);
        // The frames go back outside of the lock.
        drop(gone);
        Ok(())
    }

    /// The frame of a page, made if need be.
    ///
    /// # Errors
    /// [`Error::Range`] when the page begins beyond the end, [`Error::NoMemory`].
    pub fn page(&self, index: u64) -> Result<Frame, Error> {
        let mut state = self.state.lock();
        state.check(index)?;
        if let Some(frame) = state.pages.get(index) {
            return Ok(frame.clone());
        }
        let frame = self.filled(&state, index)?;
        state.insert(index, frame.clone())?;
        Ok(frame)
    }

    /// The frame of a page that has one.
    pub fn page_if_present(&self, index: u64) -> Option<Frame> {
        self.state.lock().pages.get(index).cloned()
    }

    /// Calls `visit` with every page of the range that has a frame, until it returns false. The
    /// object is locked meanwhile.
    pub fn visit_present(&self, range: Range<u64>, mut visit: impl FnMut(u64, &Frame) -> bool) {
        let state = self.state.lock();
        for index in range {
            if let Some(frame) = state.pages.get(index)
                && !visit(index, frame)
            {
                return;
            }
        }
    }

    /// A private copy of a page, which gives the object no frame that it did not have.
    ///
    /// # Errors
    /// As [`Object::page`].
    pub fn copy_of_page(&self, index: u64) -> Result<Frame, Error> {
        let content = {
            let state = self.state.lock();
            state.check(index)?;
            self.content(&state, index)
        };
        match content {
            Content::Frame(original) => {
                let copy = Frame::dirty().map_err(|_| Error::NoMemory)?;
                copy.copy_from(&original);
                Ok(copy)
            }
            Content::Origin(bytes) => frame_of(bytes),
        }
    }

    /// Reads from `offset` on, until the sink accepts no more or the object ends. Returns how many
    /// bytes the sink accepted. Holes read as zeros and stay holes.
    pub fn read(&self, offset: u64, sink: &mut dyn Sink) -> usize {
        let mut done = 0;
        while sink.room() > 0 {
            let at = offset.saturating_add(done as u64);
            let (index, start) = split(at);
            let (content, wanted) = {
                let state = self.state.lock();
                let left = state.len.saturating_sub(at);
                if left == 0 {
                    break;
                }
                let wanted = (PAGE - start)
                    .min(sink.room())
                    .min(usize::try_from(left).unwrap_or(PAGE));
                (self.content(&state, index), wanted)
            };
            let accepted = match content {
                Content::Frame(frame) => sink.put_frame(&frame, start, wanted),
                Content::Origin(bytes) => put_bytes(sink, bytes, start, wanted),
            };
            done += accepted;
            if accepted < wanted {
                break;
            }
        }
        done
    }

    /// Writes at `offset`, making the object longer as needed. Returns how many bytes the source
    /// gave. Writers and [`Object::set_len`] take turns by a lock of their file; readers and
    /// mappings need none.
    ///
    /// # Errors
    /// When nothing could be written: [`Error::TooLarge`] beyond 2^63 - 1 bytes,
    /// [`Error::NoMemory`].
    pub fn write(&self, offset: u64, source: &mut dyn Source) -> Result<usize, Error> {
        let mut done = 0;
        while source.left() > 0 {
            let at = offset.saturating_add(done as u64);
            let (index, start) = split(at);
            let room = MAX_LEN.saturating_sub(at);
            if room == 0 {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Error::TooLarge)
                };
            }
            let wanted = (PAGE - start)
                .min(source.left())
                .min(usize::try_from(room).unwrap_or(PAGE));
            match self.write_page(index, start, wanted, source) {
                Ok(given) => {
                    done += given;
                    if given < wanted {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes within one page. The object is not locked while the source is read: a user's page may
    /// have to come in.
    fn write_page(
        &self,
        index: u64,
        start: usize,
        wanted: usize,
        source: &mut dyn Source,
    ) -> Result<usize, Error> {
        let whole = wanted == PAGE;
        let present = {
            let mut state = self.state.lock();
            let frame = match state.pages.get(index) {
                Some(frame) => Some(frame.clone()),
                None if whole => None,
                None => {
                    let frame = self.filled(&state, index)?;
                    state.insert(index, frame.clone())?;
                    Some(frame)
                }
            };
            if frame.is_some() && index * PAGE as u64 + (start + wanted) as u64 > state.len {
                state.clear_tail();
            }
            frame
        };
        let given = match present {
            Some(frame) => source.take_frame(&frame, start, wanted),
            None => return self.write_new_page(index, source),
        };
        if given > 0 {
            let mut state = self.state.lock();
            state.len = state.len.max(index * PAGE as u64 + (start + given) as u64);
        }
        Ok(given)
    }

    /// Writes a whole page that had no frame: nothing is filled only to be overwritten.
    fn write_new_page(&self, index: u64, source: &mut dyn Source) -> Result<usize, Error> {
        let frame = Frame::dirty().map_err(|_| Error::NoMemory)?;
        let given = source.take_frame(&frame, 0, PAGE);
        if given == 0 {
            return Ok(0);
        }
        let mut state = self.state.lock();
        if given < PAGE {
            // What the source did not give stays what it was.
            match self.content(&state, index) {
                Content::Frame(old) => {
                    let mut bytes = [0; 256];
                    for at in (given..PAGE).step_by(bytes.len()) {
                        let part = (PAGE - at).min(bytes.len());
                        old.read(at, &mut bytes[..part]);
                        frame.write(at, &bytes[..part]);
                    }
                }
                Content::Origin(bytes) => {
                    let rest = bytes.get(given..).unwrap_or(&[]);
                    frame.write(given, rest);
                    frame.fill_zero(given + rest.len()..PAGE);
                }
            }
        }
        // Somebody else may have made the page meanwhile, and mapped it: then that frame stays.
        match state.pages.get(index) {
            Some(made) => made.copy_from(&frame),
            None => state.insert(index, frame)?,
        }
        let end = index * PAGE as u64 + given as u64;
        if end > state.len {
            // The old end is in an earlier page, or in this one, whose bytes are all new.
            if split(state.len).0 != index {
                state.clear_tail();
            }
            state.len = end;
        }
        Ok(given)
    }

    fn content(&self, state: &State, index: u64) -> Content {
        match state.pages.get(index) {
            Some(frame) => Content::Frame(frame.clone()),
            None => {
                // Both ends fit a usize: they are within the origin's length.
                let start = index.saturating_mul(PAGE as u64).min(state.origin_len);
                let end = start.saturating_add(PAGE as u64).min(state.origin_len);
                Content::Origin(self.origin.get(start as usize..end as usize).unwrap_or(&[]))
            }
        }
    }

    /// A new frame with the first contents of a page that has none.
    fn filled(&self, state: &State, index: u64) -> Result<Frame, Error> {
        match self.content(state, index) {
            Content::Origin(bytes) => frame_of(bytes),
            Content::Frame(frame) => Ok(frame),
        }
    }
}

impl State {
    fn check(&self, index: u64) -> Result<(), Error> {
        if index < self.len.div_ceil(PAGE as u64) {
            Ok(())
        } else {
            Err(Error::Range)
        }
    }

    /// Before the object gets longer: a shared mapping may have written behind the end, in the last
    /// page.
    fn clear_tail(&self) {
        let (index, tail) = split(self.len);
        if tail != 0
            && let Some(frame) = self.pages.get(index)
        {
            frame.fill_zero(tail..PAGE);
        }
    }

    fn insert(&mut self, index: u64, frame: Frame) -> Result<(), Error> {
        self.pages.insert(index, frame).map_err(|_| Error::NoMemory)
    }
}

/// The page of an offset, and the place in it.
const fn split(offset: u64) -> (u64, usize) {
    (offset / PAGE as u64, (offset % PAGE as u64) as usize)
}

/// A new frame with these bytes (at most a page), then zeros.
fn frame_of(bytes: &[u8]) -> Result<Frame, Error> {
    if bytes.is_empty() {
        return Frame::zeroed().map_err(|_| Error::NoMemory);
    }
    let frame = Frame::dirty().map_err(|_| Error::NoMemory)?;
    frame.write(0, bytes);
    frame.fill_zero(bytes.len()..PAGE);
    Ok(frame)
}

/// Puts `wanted` bytes of a page that consists of `bytes` and zeros, from `start` on.
fn put_bytes(sink: &mut dyn Sink, bytes: &[u8], start: usize, wanted: usize) -> usize {
    let bytes = bytes.get(start..).unwrap_or(&[]);
    let bytes = bytes.get(..wanted).unwrap_or(bytes);
    let mut accepted = if bytes.is_empty() { 0 } else { sink.put(bytes) };
    if accepted == bytes.len() && wanted > accepted {
        accepted += sink.fill_zero(wanted - accepted);
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::frame;
    use object::SliceSink;

    fn bytes_of(object: &Object, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0xee; len];
        let mut sink = SliceSink::new(&mut bytes);
        let count = object.read(offset, &mut sink);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn static_bytes_cost_no_frame_until_written() {
        let before = frame::stats();
        let text: &'static [u8] = Box::leak((0..10_000u32).map(|i| i as u8).collect());
        let object = Object::from_static(text);
        assert_eq!(bytes_of(&object, 4000, 20_000), &text[4000..]);
        assert_eq!(object.resident(), 0);
        object.write(5000, &mut &b"hello"[..]).unwrap();
        assert_eq!(object.resident(), 1);
        assert_eq!(
            bytes_of(&object, 4998, 9),
            [&text[4998..5000], b"hello", &text[5005..5007]].concat()
        );
        object.page(2).unwrap();
        assert!(matches!(object.page(3), Err(Error::Range)));
        assert_eq!(bytes_of(&object, 9990, 100), &text[9990..]);
        drop(object);
        assert_eq!(frame::stats(), before);
    }

    #[test]
    fn a_truncated_object_never_shows_old_bytes() {
        let object = Object::from_static(&[7; 10_000]);
        object.page(1).unwrap();
        object.set_len(5000).unwrap();
        object.set_len(20_000).unwrap();
        assert_eq!(bytes_of(&object, 4998, 4), [7, 7, 0, 0]);
        assert_eq!(bytes_of(&object, 8192, 100), [0; 100]);
        object.write(0, &mut &[9; 20_000][..]).unwrap();
        object.set_len(100).unwrap();
        assert_eq!(object.resident(), 1);
        object.set_len(4096).unwrap();
        assert_eq!(bytes_of(&object, 99, 3), [9, 0, 0]);
        object.set_len(0).unwrap();
        assert_eq!(object.resident(), 0);
        assert_eq!(object.set_len(u64::MAX), Err(Error::TooLarge));
    }

    #[test]
    fn writes_extend_and_leave_holes() {
        let object = Object::new_anonymous(0);
        assert_eq!(object.write(1 << 40, &mut &b"far"[..]), Ok(3));
        assert_eq!(object.len(), (1 << 40) + 3);
        assert_eq!(object.resident(), 1);
        assert_eq!(bytes_of(&object, 12_345, 10), [0; 10]);
        assert_eq!(bytes_of(&object, (1 << 40) - 1, 10), b"\0far");
        assert_eq!(bytes_of(&object, 1 << 50, 10), b"");
        assert_eq!(bytes_of(&object, u64::MAX, 10), b"");
        assert_eq!(
            object.write(u64::MAX - 5, &mut &b"x"[..]),
            Err(Error::TooLarge)
        );
        assert_eq!(object.write(i64::MAX as u64 - 1, &mut &b"xy"[..]), Ok(1));
    }

    /// A source that ends early, as a user's buffer does at a bad address.
    struct Short(usize);

    impl Source for Short {
        fn take(&mut self, into: &mut [u8]) -> usize {
            let step = into.len().min(self.0);
            into[..step].fill(5);
            self.0 -= step;
            step
        }

        fn left(&self) -> usize {
            1 << 20
        }
    }

    #[test]
    fn a_source_that_ends_early_leaves_the_rest_of_the_page() {
        let object = Object::from_static(&[7; 3 * PAGE]);
        assert_eq!(object.write(0, &mut Short(PAGE + 10)), Ok(PAGE + 10));
        assert_eq!(bytes_of(&object, PAGE as u64 + 8, 4), [5, 5, 7, 7]);
        let fresh = Object::new_anonymous(0);
        assert_eq!(fresh.write(0, &mut Short(10)), Ok(10));
        assert_eq!(fresh.len(), 10);
        // A mapping sees the whole page: nothing of what the frame held before may show.
        let mut page = [9; PAGE];
        fresh.page(0).unwrap().read(0, &mut page);
        assert!(page[10..].iter().all(|&byte| byte == 0));
        fresh.set_len(20).unwrap();
        assert_eq!(bytes_of(&fresh, 9, 20), [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fresh.write(0, &mut Short(0)), Ok(0));
    }

    #[test]
    fn without_memory_a_write_stops_short() {
        let before = frame::stats();
        let object = Object::new_anonymous(0);
        machine::host::frame::fail_after(3);
        assert_eq!(object.write(0, &mut &[1; 5 * PAGE][..]), Ok(3 * PAGE));
        assert_eq!(
            object.write(3 * PAGE as u64, &mut &[1; 10][..]),
            Err(Error::NoMemory)
        );
        assert_eq!(object.len(), 3 * PAGE as u64);
        machine::host::frame::fail_never();
        drop(object);
        assert_eq!(frame::stats(), before);
    }

    #[test]
    fn a_private_copy_gives_the_object_no_frame() {
        let object = Object::from_static(b"abc");
        let copy = object.copy_of_page(0).unwrap();
        let mut bytes = [1; 4];
        copy.read(0, &mut bytes);
        assert_eq!(&bytes, b"abc\0");
        assert_eq!(object.resident(), 0);
        copy.write(0, b"x");
        assert_eq!(bytes_of(&object, 0, 3), b"abc");
    }
}
