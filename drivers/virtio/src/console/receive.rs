//! From the host: buffers that the device fills.
//!
//! The one idea: a buffer goes back to the device as soon as its bytes are copied out, and not before. A reader that is slow
//! leaves the device without buffers, and the host waits; nothing is lost.

use super::piece::Piece;
use crate::queue::Queue;
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use machine::PAGE;
use machine::dma::Region;
use object::Sink;
use task::{Readiness, Ready};

/// Buffers of a port, a page each: QEMU passes on at most a page at a time.
const BUFFERS: usize = 8;
const BUFFER: usize = PAGE;

/// What came before the host closed the port, and that it did.
enum Arrived {
    Bytes(Piece, usize),
    End,
}

/// The receiving half of a port.
pub(super) struct Receive {
    queue: Queue<Piece>,
    posted: bool,
    /// Taken out of the queue when the host closed the port, so that what comes after a new opening stays apart.
    arrived: VecDeque<Arrived>,
    /// The bytes that the reader takes now: those from `start` to `end`.
    current: Box<[u8]>,
    start: usize,
    end: usize,
    /// The host has closed the port.
    gone: bool,
    /// The reader was told so.
    ended: bool,
}

/// What [`Receive::refill`] found.
enum Next {
    Bytes,
    End,
    Nothing,
}

impl Receive {
    pub(super) fn new(queue: Queue<Piece>) -> Receive {
        Receive {
            queue,
            posted: false,
            arrived: VecDeque::new(),
            current: Box::default(),
            start: 0,
            end: 0,
            gone: false,
            ended: false,
        }
    }

    /// Gives the device its buffers and asks for an interrupt, the first time.
    pub(super) fn post(&mut self) -> Result<(), Error> {
        if self.posted {
            return Ok(());
        }
        let count = BUFFERS.min(self.queue.size().into());
        let region = Region::new(count * BUFFER).map_err(|_| Error::NoMemory)?;
        let region = Arc::new(region);
        // Nothing is allocated when the host closes the port: between two ends there is at least one buffer.
        self.arrived.reserve(2 * count + 2);
        self.current = alloc::vec![0; BUFFER].into_boxed_slice();
        for index in 0..count {
            let at = index * BUFFER;
            let piece = Piece::written_by_device(&region, at..at + BUFFER).ok_or(Error::Invalid)?;
            self.queue.add(piece).map_err(|refused| refused.error)?;
        }
        self.posted = true;
        self.queue.submit();
        let _ = self.queue.listen(0);
        Ok(())
    }

    /// Copies what is there into `sink`. If nothing is left, `READ` is clear afterwards and the device will interrupt;
    /// otherwise [`Receive::check`] says so.
    pub(super) fn read(
        &mut self,
        sink: &mut dyn Sink,
        readiness: &Readiness,
    ) -> Result<usize, Error> {
        let mut done = 0;
        let outcome = self.copy(sink, &mut done);
        if !self.has_more() {
            readiness.clear(Ready::READ);
            // What comes before this is seen by `check`, what comes after it interrupts.
            let _ = self.queue.listen(0);
        }
        if done > 0 { Ok(done) } else { outcome }
    }

    /// The error or end that stopped it, which counts only if nothing was `done`.
    fn copy(&mut self, sink: &mut dyn Sink, done: &mut usize) -> Result<usize, Error> {
        loop {
            if sink.room() == 0 {
                return Ok(0);
            }
            let ready = self.current.get(self.start..self.end).unwrap_or_default();
            if !ready.is_empty() {
                let accepted = sink.put(ready).min(ready.len());
                let all = accepted == ready.len();
                self.start += accepted;
                *done += accepted;
                if !all {
                    // Full, or the memory behind it is not there.
                    return Err(Error::Fault);
                }
                continue;
            }
            match self.refill()? {
                Next::Bytes => {}
                Next::End if *done > 0 => {
                    self.arrived.push_front(Arrived::End);
                    return Ok(0);
                }
                Next::End => {
                    self.ended = self.gone;
                    return Ok(0);
                }
                Next::Nothing if self.ended => return Ok(0),
                Next::Nothing => return Err(Error::WouldBlock),
            }
        }
    }

    /// Copies the next buffer to `current` and gives it back to the device.
    fn refill(&mut self) -> Result<Next, Error> {
        let (piece, length) = match self.arrived.pop_front() {
            Some(Arrived::End) => return Ok(Next::End),
            Some(Arrived::Bytes(piece, length)) => (piece, length),
            None => match self.queue.take()? {
                Some(used) => (used.chain, used.written as usize),
                None => return Ok(Next::Nothing),
            },
        };
        let length = length.min(self.current.len());
        piece.read(self.current.get_mut(..length).unwrap_or_default());
        (self.start, self.end) = (0, length);
        self.queue.add(piece).map_err(|refused| refused.error)?;
        self.queue.submit();
        Ok(Next::Bytes)
    }

    /// Whether a read would give something else than [`Error::WouldBlock`].
    fn has_more(&self) -> bool {
        self.start < self.end || !self.arrived.is_empty() || self.ended || self.queue.has_used()
    }

    /// Whether there is something to read. The device is quiet then until somebody has read it.
    pub(super) fn check(&mut self) -> bool {
        let more = self.has_more();
        if more {
            self.queue.quiet();
        }
        more
    }

    /// The host has closed the port: what it sent before comes first, then the end. (The device keeps no order between
    /// this message and bytes that the next one on the host sends, should they arrive before it is handled.)
    pub(super) fn end(&mut self) {
        while let Ok(Some(used)) = self.queue.take() {
            let bytes = Arrived::Bytes(used.chain, used.written as usize);
            self.arrived.push_back(bytes);
        }
        self.gone = true;
        if !self.ended && !matches!(self.arrived.back(), Some(Arrived::End)) {
            self.arrived.push_back(Arrived::End);
        }
    }

    /// The host has opened the port (again).
    pub(super) fn begin(&mut self) {
        self.gone = false;
        self.ended = false;
    }
}
