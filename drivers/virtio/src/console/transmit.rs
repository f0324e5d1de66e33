//! To the host: a ring of bytes whose parts the device takes.
//!
//! The one idea: the writer copies into the ring and goes on; the device takes the parts in its own time. It is asked to
//! interrupt only when somebody waits, and then only when half of what it has is taken.

use super::piece::Piece;
use crate::queue::{Chain, Queue, Segment};
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use machine::PAGE;
use machine::dma::Region;
use object::Source;

/// Bytes under way at most: a power of two.
const CAPACITY: usize = 64 << 10;
/// Bytes in one part at most: the device begins with the first while the writer copies the second.
const PART: usize = 32 << 10;

/// Whether somebody on the host uses the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Not yet.
    Absent,
    /// Yes.
    Open,
    /// Not any more.
    Gone,
}

/// A part of the ring that the device has.
pub(super) struct Part {
    piece: Piece,
    /// Which of all parts it is.
    number: u32,
}

impl Chain for Part {
    fn segments(&self) -> &[Segment] {
        self.piece.segments()
    }
}

/// A part that was given to the device.
struct Given {
    length: usize,
    taken: bool,
}

/// The sending half of a port.
pub(super) struct Transmit {
    queue: Queue<Part>,
    ring: Option<Arc<Region>>,
    /// Where bytes of a source are collected before they go to the ring.
    collected: Box<[u8]>,
    /// Where the next part begins.
    head: usize,
    /// Bytes in use before `head`.
    used: usize,
    /// The parts in use, oldest first: a device may take them in any order, the ring gives them back in this one.
    given: VecDeque<Given>,
    /// The number of the oldest part in use.
    first: u32,
    host: Host,
}

impl Transmit {
    pub(super) fn new(queue: Queue<Part>) -> Transmit {
        Transmit {
            queue,
            ring: None,
            collected: Box::default(),
            head: 0,
            used: 0,
            given: VecDeque::new(),
            first: 0,
            host: Host::Absent,
        }
    }

    pub(super) fn host(&self) -> Host {
        self.host
    }

    pub(super) fn set_host(&mut self, host: Host) {
        self.host = host;
    }

    /// Takes bytes from `source` as long as there is room.
    pub(super) fn write(&mut self, source: &mut dyn Source) -> Result<usize, Error> {
        match self.host {
            Host::Absent => return Err(Error::WouldBlock),
            Host::Gone => return Err(Error::Closed),
            Host::Open => {}
        }
        self.reap()?;
        let ring = self.ring()?;
        let mut done = 0;
        while source.left() > 0 {
            let room = PART
                .min(CAPACITY - self.used)
                .min(CAPACITY - self.head)
                .min(source.left());
            if room == 0 || self.queue.room() == 0 {
                if done == 0 {
                    return Err(Error::WouldBlock);
                }
                break;
            }
            let length = self.fill(&ring, room, source);
            if length == 0 {
                if done == 0 {
                    return Err(Error::Fault);
                }
                break;
            }
            self.give(&ring, length)?;
            done += length;
        }
        Ok(done)
    }

    /// Copies up to `room` bytes to `head`.
    fn fill(&mut self, ring: &Region, room: usize, source: &mut dyn Source) -> usize {
        let mut length = 0;
        while length < room {
            let want = (room - length).min(self.collected.len());
            let space = self.collected.get_mut(..want).unwrap_or_default();
            let got = source.take(space).min(want);
            ring.write(self.head + length, space.get(..got).unwrap_or_default());
            length += got;
            if got < want || want == 0 {
                break;
            }
        }
        length
    }

    /// Gives the `length` bytes at `head` to the device.
    fn give(&mut self, ring: &Arc<Region>, length: usize) -> Result<(), Error> {
        let piece = Piece::read_by_device(ring, self.head..self.head + length);
        let number = self.first.wrapping_add(self.given.len() as u32);
        self.queue
            .add(Part {
                piece: piece.ok_or(Error::Invalid)?,
                number,
            })
            .map_err(|refused| refused.error)?;
        self.given.push_back(Given {
            length,
            taken: false,
        });
        self.head = (self.head + length) % CAPACITY;
        self.used += length;
        self.queue.submit();
        Ok(())
    }

    /// The ring, made for the first write.
    fn ring(&mut self) -> Result<Arc<Region>, Error> {
        if let Some(ring) = &self.ring {
            return Ok(ring.clone());
        }
        let ring = Arc::new(Region::new(CAPACITY).map_err(|_| Error::NoMemory)?);
        self.collected = alloc::vec![0; PAGE].into_boxed_slice();
        self.given.reserve(self.queue.size().into());
        self.ring = Some(ring.clone());
        Ok(ring)
    }

    /// Takes back what the device is done with. [`Error::Io`] if it broke the rules.
    pub(super) fn reap(&mut self) -> Result<(), Error> {
        while let Some(used) = self.queue.take()? {
            let index = used.chain.number.wrapping_sub(self.first) as usize;
            if let Some(given) = self.given.get_mut(index) {
                given.taken = true;
            }
            while let Some(given) = self.given.pop_front_if(|given| given.taken) {
                self.used -= given.length;
                self.first = self.first.wrapping_add(1);
            }
        }
        Ok(())
    }

    /// Whether a write would take at least one byte, or fail for another reason than room.
    pub(super) fn has_room(&self) -> bool {
        match self.host {
            Host::Absent => false,
            Host::Open => self.used < CAPACITY && self.queue.room() > 0,
            Host::Gone => true,
        }
    }

    /// Whether there is so much room that it pays to wake a writer.
    pub(super) fn has_much_room(&self) -> bool {
        self.has_room()
            && (self.host == Host::Gone
                || self.used <= CAPACITY / 2 && self.queue.room() >= self.queue.size() / 2)
    }

    /// Whether the device has taken everything (or nobody is there who could).
    pub(super) fn is_drained(&self) -> bool {
        self.host == Host::Gone || self.given.is_empty()
    }

    /// Asks for an interrupt when half of the parts under way (for a writer) or all of them are taken. True if that has
    /// happened by now.
    pub(super) fn listen(&self, all: bool) -> bool {
        let parts = self.queue.in_flight();
        let enough = if all { parts } else { parts.div_ceil(2) };
        self.queue.listen(enough.saturating_sub(1))
    }

    /// Asks for no interrupts.
    pub(super) fn quiet(&self) {
        self.queue.quiet();
    }
}
