//! Where bytes go and where they come from.
//!
//! The one idea: whoever owns the bytes (a pipe, a file, a device) never learns whether the other side is a slice in
//! the kernel or a buffer of a user. It *puts* into a [`Sink`] or *takes* from a [`Source`], and either may accept fewer
//! bytes than offered: the buffer is full, or the user's memory ended there. What was accepted is committed; the caller
//! that made the cursor knows the reason and decides whether to resolve a fault and go on at its offset.

use machine::frame::Frame;

/// Bytes that a default method moves at a time.
const STEP: usize = 256;

/// The receiving end of a read.
///
/// A cursor: every call continues where the last one ended.
pub trait Sink {
    /// Copies the front of `bytes` to the cursor and advances it; returns how many bytes were accepted.
    ///
    /// Fewer than `bytes.len()` means that the sink is full or faulted; calling again is harmless and accepts nothing.
    fn put(&mut self, bytes: &[u8]) -> usize;

    /// How many more bytes the sink can accept, if nothing faults.
    fn room(&self) -> usize;

    /// Puts `count` zero bytes (a hole in a file, `/dev/zero`); returns how many were accepted.
    ///
    /// Cursors over memory override this to clear in place instead of copying zeros.
    fn fill_zero(&mut self, count: usize) -> usize {
        const ZEROS: [u8; STEP] = [0; STEP];
        let mut done = 0;
        while done < count {
            let step = (count - done).min(ZEROS.len());
            let accepted = self.put(&ZEROS[..step]);
            done += accepted;
            if accepted < step {
                break;
            }
        }
        done
    }

    /// Puts `len` bytes of a frame, from `offset` on; returns how many were accepted. The frame must have them.
    ///
    /// Cursors over memory override this to copy once.
    fn put_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        let mut bytes = [0; STEP];
        let mut done = 0;
        while done < len {
            let step = (len - done).min(bytes.len());
            frame.read(offset + done, &mut bytes[..step]);
            let accepted = self.put(&bytes[..step]);
            done += accepted;
            if accepted < step {
                break;
            }
        }
        done
    }
}

/// The giving end of a write.
///
/// A cursor: every call continues where the last one ended.
pub trait Source {
    /// Copies the next bytes into the front of `into` and advances; returns how many bytes were given.
    ///
    /// Fewer than `into.len()` means that the source is exhausted or faulted; calling again is harmless and gives
    /// nothing. Bytes of `into` beyond the returned count are unchanged.
    fn take(&mut self, into: &mut [u8]) -> usize;

    /// How many more bytes the source can give, if nothing faults.
    fn left(&self) -> usize;

    /// Takes the next `len` bytes into a frame, from `offset` on; returns how many were given. The frame must have room.
    ///
    /// Cursors over memory override this to copy once.
    fn take_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        let mut bytes = [0; STEP];
        let mut done = 0;
        while done < len {
            let step = (len - done).min(bytes.len());
            let given = self.take(&mut bytes[..step]);
            frame.write(offset + done, &bytes[..given]);
            done += given;
            if given < step {
                break;
            }
        }
        done
    }
}

/// A [`Sink`] over a slice of kernel memory.
#[derive(Debug)]
pub struct SliceSink<'a> {
    bytes: &'a mut [u8],
    done: usize,
}

impl<'a> SliceSink<'a> {
    /// A cursor at the front of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, done: 0 }
    }

    /// How many bytes were put so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// The bytes put so far.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.done]
    }
}

impl Sink for SliceSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let step = bytes.len().min(self.room());
        self.bytes[self.done..self.done + step].copy_from_slice(&bytes[..step]);
        self.done += step;
        step
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.done
    }

    fn fill_zero(&mut self, count: usize) -> usize {
        let step = count.min(self.room());
        self.bytes[self.done..self.done + step].fill(0);
        self.done += step;
        step
    }

    fn put_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        let step = len.min(self.room());
        frame.read(offset, &mut self.bytes[self.done..self.done + step]);
        self.done += step;
        step
    }
}

/// A [`Source`] over a slice of kernel memory.
#[derive(Clone, Debug)]
pub struct SliceSource<'a> {
    bytes: &'a [u8],
    done: usize,
}

impl<'a> SliceSource<'a> {
    /// A cursor at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, done: 0 }
    }

    /// How many bytes were taken so far.
    pub fn done(&self) -> usize {
        self.done
    }
}

impl Source for SliceSource<'_> {
    fn take(&mut self, into: &mut [u8]) -> usize {
        let step = into.len().min(self.left());
        into[..step].copy_from_slice(&self.bytes[self.done..self.done + step]);
        self.done += step;
        step
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.done
    }

    fn take_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        let step = len.min(self.left());
        frame.write(offset, &self.bytes[self.done..self.done + step]);
        self.done += step;
        step
    }
}

/// A shrinking slice is a source: what is taken leaves its front.
impl Source for &[u8] {
    fn take(&mut self, into: &mut [u8]) -> usize {
        let (front, rest) = self.split_at(into.len().min(self.len()));
        into[..front.len()].copy_from_slice(front);
        *self = rest;
        front.len()
    }

    fn left(&self) -> usize {
        self.len()
    }

    fn take_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> usize {
        let (front, rest) = self.split_at(len.min(self.len()));
        frame.write(offset, front);
        *self = rest;
        front.len()
    }
}

/// A growing vector is a sink without an end: `/proc` text and host tests.
///
/// It stops accepting, instead of aborting, when the heap is exhausted.
impl Sink for alloc::vec::Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        if self.try_reserve(bytes.len()).is_err() {
            return 0;
        }
        self.extend_from_slice(bytes);
        bytes.len()
    }

    fn room(&self) -> usize {
        isize::MAX as usize - self.len()
    }

    fn fill_zero(&mut self, count: usize) -> usize {
        if self.try_reserve(count).is_err() {
            return 0;
        }
        self.resize(self.len() + count, 0);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_sink_accepts_what_fits() {
        let mut buffer = [9; 5];
        let mut sink = SliceSink::new(&mut buffer);
        assert_eq!(sink.put(b"abc"), 3);
        assert_eq!(sink.room(), 2);
        assert_eq!(sink.put(b"def"), 2);
        assert_eq!(sink.put(b"g"), 0);
        assert_eq!(sink.filled(), b"abcde");
        assert_eq!(sink.fill_zero(1), 0);
    }

    #[test]
    fn zeros_fill_in_steps_and_stop_at_the_end() {
        struct Small(usize);
        impl Sink for Small {
            fn put(&mut self, bytes: &[u8]) -> usize {
                assert!(bytes.iter().all(|&byte| byte == 0));
                let step = bytes.len().min(self.0);
                self.0 -= step;
                step
            }
            fn room(&self) -> usize {
                self.0
            }
        }
        assert_eq!(Small(1000).fill_zero(700), 700);
        assert_eq!(Small(300).fill_zero(700), 300);
    }

    #[test]
    fn sources_give_what_is_left() {
        let mut into = [0; 4];
        let mut source = SliceSource::new(b"abcdef");
        assert_eq!(source.take(&mut into), 4);
        assert_eq!((source.left(), source.done()), (2, 4));
        assert_eq!(source.take(&mut into), 2);
        assert_eq!(&into, b"efcd");
        assert_eq!(source.take(&mut into), 0);

        let mut shrinking: &[u8] = b"xy";
        assert_eq!(Source::take(&mut shrinking, &mut into), 2);
        assert_eq!(shrinking.left(), 0);
    }

    #[test]
    fn frames_give_and_take() {
        let frame = Frame::zeroed().unwrap();
        let text: alloc::vec::Vec<u8> = (0..=255).cycle().take(1000).collect();
        assert_eq!(SliceSource::new(&text).take_frame(&frame, 10, 2000), 1000);
        let mut copy = alloc::vec::Vec::new();
        assert_eq!(copy.put_frame(&frame, 10, 1000), 1000);
        assert_eq!(copy, text);
        let mut buffer = [0; 300];
        let mut sink = SliceSink::new(&mut buffer);
        assert_eq!(sink.put_frame(&frame, 20, 400), 300);
        assert_eq!(buffer, text[10..310]);

        struct Slow<'a>(&'a [u8]);
        impl Source for Slow<'_> {
            fn take(&mut self, into: &mut [u8]) -> usize {
                Source::take(&mut self.0, into)
            }
            fn left(&self) -> usize {
                self.0.len()
            }
        }
        assert_eq!(Slow(&text[..700]).take_frame(&frame, 0, 800), 700);
        let mut shrinking = &text[..5];
        assert_eq!(shrinking.take_frame(&frame, 700, 3), 3);
        assert_eq!(shrinking, &text[3..5]);
        copy.clear();
        copy.put_frame(&frame, 0, 703);
        assert_eq!(copy, [&text[..700], &text[..3]].concat());
    }

    #[test]
    fn a_vector_grows() {
        let mut bytes = alloc::vec::Vec::new();
        assert_eq!(bytes.put(b"ab"), 2);
        assert_eq!(bytes.fill_zero(2), 2);
        assert_eq!(bytes, b"ab\0\0");
    }
}
