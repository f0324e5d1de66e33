//! Buffers to the device and back: a split virtqueue (section 2.7).
//!
//! The one idea: a [`Chain`] owns the memory that its segments describe, and the queue owns the chain from the moment the
//! device may know it until the device has given it back or confirmed a reset. So no safe code can free memory that a
//! device still writes. What the device says (which chain, how many bytes, how many chains) is compared with the
//! queue's own record; the descriptor table is never read.

use crate::ring::{Descriptor, Ring, passes};
use crate::transport::{Transport, reset};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use machine::dma::{self, Region};

/// A contiguous piece of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    address: u64,
    length: u32,
    writable: bool,
}

impl Segment {
    /// The bytes `range` of `region`, which the device reads. Nothing if the range is empty, too long or outside.
    pub fn read_by_device(region: &Region, range: Range<usize>) -> Option<Segment> {
        Self::new(region, range, false)
    }

    /// The bytes `range` of `region`, which the device writes. Nothing if the range is empty, too long or outside.
    pub fn written_by_device(region: &Region, range: Range<usize>) -> Option<Segment> {
        Self::new(region, range, true)
    }

    fn new(region: &Region, range: Range<usize>, writable: bool) -> Option<Segment> {
        if range.is_empty() || range.end > region.len() {
            return None;
        }
        Some(Segment {
            address: region.bus_address() + range.start as u64,
            length: u32::try_from(range.len()).ok()?,
            writable,
        })
    }
}

/// A request: the segments that the device reads, then those that it writes.
///
/// The value must own (or share) the regions of its segments: it is kept as long as the device may use them.
pub trait Chain: Send {
    /// The segments; those that the device reads come first (section 2.7.4.2). The answer must not change.
    fn segments(&self) -> &[Segment];
}

/// A chain that came back.
pub struct Used<C> {
    /// The chain.
    pub chain: C,
    /// How many bytes the device says that it wrote: at most what the chain's writable segments hold.
    pub written: u32,
}

/// A chain that was not taken.
pub struct Refused<C> {
    /// The chain, back again.
    pub chain: C,
    /// [`Error::WouldBlock`]: no descriptors are free. [`Error::Invalid`]: no segments, more than the queue has
    /// descriptors, or in the wrong order. [`Error::Io`]: the queue is broken.
    pub error: Error,
}

impl<C> fmt::Debug for Refused<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.error).finish()
    }
}

struct InFlight<C> {
    chain: C,
    descriptors: u16,
    writable: u32,
}

/// A virtqueue whose requests are `C`.
pub struct Queue<C: Chain> {
    transport: Arc<dyn Transport>,
    number: u16,
    ring: Option<Ring>,
    event_index: bool,
    /// By first descriptor.
    in_flight: Vec<Option<InFlight<C>>>,
    chains: u16,
    /// The free descriptors, linked: the record of this side, the device's copy is never read.
    next: Vec<u16>,
    free: u16,
    free_count: u16,
    /// The index after the last entry that was written into the available ring.
    available: u16,
    /// The available index that the device knows.
    published: u16,
    /// The used index up to which chains were taken back.
    used: u16,
    broken: bool,
}

impl<C: Chain> Queue<C> {
    /// Makes queue `number` of the device with at most `limit` entries, and tells the device.
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        number: u16,
        limit: u16,
        vector: Option<u16>,
        event_index: bool,
    ) -> Result<Queue<C>, Error> {
        let most = transport.queue_limit(number).min(Ring::LARGEST).min(limit);
        if most == 0 {
            return Err(Error::NoDevice);
        }
        // The device's limit may be any number; a queue's size is a power of two.
        let size = 1 << most.ilog2();
        let ring = Ring::new(size)?;
        let queue = Queue {
            number,
            event_index,
            in_flight: (0..size).map(|_| None).collect(),
            chains: 0,
            next: (1..=size).collect(),
            free: 0,
            free_count: size,
            available: 0,
            published: 0,
            used: 0,
            broken: false,
            transport,
            ring: Some(ring),
        };
        queue.quiet();
        if let Some(ring) = &queue.ring {
            queue
                .transport
                .start_queue(number, size, ring.places(), vector)?;
        }
        Ok(queue)
    }

    /// Descriptors in the queue.
    pub fn size(&self) -> u16 {
        self.ring.as_ref().map_or(0, Ring::size)
    }

    /// Descriptors that are free.
    pub fn room(&self) -> u16 {
        self.free_count
    }

    /// Chains that the device has.
    pub fn in_flight(&self) -> u16 {
        self.chains
    }

    /// Puts a chain into the queue. The device learns of it with [`Queue::submit`].
    pub fn add(&mut self, chain: C) -> Result<(), Refused<C>> {
        match self.check(chain.segments()) {
            Ok((descriptors, writable)) => {
                self.link(chain, descriptors, writable);
                Ok(())
            }
            Err(error) => Err(Refused { chain, error }),
        }
    }

    /// How many descriptors a chain takes, and how many bytes the device may write.
    fn check(&self, segments: &[Segment]) -> Result<(u16, u32), Error> {
        if self.broken || self.ring.is_none() {
            return Err(Error::Io);
        }
        let ordered = segments.is_sorted_by_key(|segment| segment.writable);
        if segments.is_empty() || !ordered || segments.len() > usize::from(self.size()) {
            return Err(Error::Invalid);
        }
        // A chain of more than 4 GiB is not allowed (section 2.7.4.2).
        let total: u64 = segments
            .iter()
            .map(|segment| u64::from(segment.length))
            .sum();
        if total > u64::from(u32::MAX) {
            return Err(Error::Invalid);
        }
        if segments.len() > usize::from(self.free_count) {
            return Err(Error::WouldBlock);
        }
        let writable = segments.iter().filter(|segment| segment.writable);
        let bytes = writable.map(|segment| segment.length).sum();
        Ok((segments.len() as u16, bytes))
    }

    fn link(&mut self, chain: C, descriptors: u16, writable: u32) {
        let Some(ring) = &self.ring else { return };
        let head = self.free;
        let mut at = head;
        let mut last = chain.segments().len();
        for segment in chain.segments() {
            last -= 1;
            let next = self.next[usize::from(at)];
            ring.set_descriptor(
                at,
                Descriptor {
                    address: segment.address,
                    length: segment.length,
                    writable: segment.writable,
                    next: (last > 0).then_some(next),
                },
            );
            at = next;
        }
        self.free = at;
        self.free_count -= descriptors;
        ring.set_available(self.available, head);
        self.available = self.available.wrapping_add(1);
        self.chains += 1;
        self.in_flight[usize::from(head)] = Some(InFlight {
            chain,
            descriptors,
            writable,
        });
    }

    /// Makes added chains visible to the device, and notifies it if it asked for that.
    pub fn submit(&mut self) {
        let Some(ring) = &self.ring else { return };
        if self.broken || self.available == self.published {
            return;
        }
        // The entries before the index.
        dma::write_fence();
        ring.set_available_index(self.available);
        // The index before the question whether the device sleeps.
        dma::full_fence();
        let wanted = if self.event_index {
            passes(ring.available_event(), self.available, self.published)
        } else {
            ring.wants_notification()
        };
        self.published = self.available;
        if wanted {
            self.transport.notify(self.number);
        }
    }

    /// Whether the device has given something back (or broken the queue) that [`Queue::take`] would tell.
    pub fn has_used(&self) -> bool {
        self.broken
            || self
                .ring
                .as_ref()
                .is_some_and(|ring| ring.used_index() != self.used)
    }

    /// Takes back the next chain that the device is done with.
    ///
    /// [`Error::Io`] if the device says something impossible: the queue is broken then, and gives nothing more.
    pub fn take(&mut self) -> Result<Option<Used<C>>, Error> {
        let Some(ring) = &self.ring else {
            return Err(Error::Io);
        };
        if self.broken {
            return Err(Error::Io);
        }
        let waiting = ring.used_index().wrapping_sub(self.used);
        if waiting == 0 {
            return Ok(None);
        }
        // The index before the entry, and the entry before the buffer.
        dma::read_fence();
        let (head, written) = ring.used(self.used);
        let slot = usize::try_from(head)
            .ok()
            .and_then(|head| self.in_flight.get_mut(head));
        let plausible = waiting <= self.chains;
        let Some(slot) = slot.filter(|_| plausible) else {
            self.broken = true;
            return Err(Error::Io);
        };
        match slot.take_if(|in_flight| written <= in_flight.writable) {
            Some(in_flight) => {
                self.used = self.used.wrapping_add(1);
                self.chains -= 1;
                self.unlink(head as u16, in_flight.descriptors);
                Ok(Some(Used {
                    chain: in_flight.chain,
                    written,
                }))
            }
            None => {
                self.broken = true;
                Err(Error::Io)
            }
        }
    }

    /// Gives the descriptors of a chain back to the free list.
    fn unlink(&mut self, head: u16, descriptors: u16) {
        let mut tail = head;
        for _ in 1..descriptors {
            tail = self.next[usize::from(tail)];
        }
        self.next[usize::from(tail)] = self.free;
        self.free = head;
        self.free_count += descriptors;
    }

    /// Asks the device for no interrupts. It may send some nevertheless.
    pub fn quiet(&self) {
        let Some(ring) = &self.ring else { return };
        if self.event_index {
            // As far away as the index can be.
            ring.set_used_event(self.used.wrapping_add(1 << 15));
        } else {
            ring.set_interrupts(false);
        }
    }

    /// Asks the device for an interrupt when it has given back more than `after` chains beyond those taken already
    /// (without `EVENT_IDX`: when it has given back any). True if it has done so by now: no interrupt need come then.
    #[must_use]
    pub fn listen(&self, after: u16) -> bool {
        let Some(ring) = &self.ring else { return true };
        let after = if self.event_index {
            ring.set_used_event(self.used.wrapping_add(after));
            after
        } else {
            ring.set_interrupts(true);
            0
        };
        // The wish before the look.
        dma::full_fence();
        self.broken || ring.used_index().wrapping_sub(self.used) > after
    }
}

impl<C: Chain> Drop for Queue<C> {
    /// A queue that goes takes its device with it: nothing else stops the device from using the memory.
    fn drop(&mut self) {
        if !reset(&*self.transport) {
            // The device does not answer; it keeps what it has.
            core::mem::forget(self.ring.take());
            core::mem::forget(core::mem::take(&mut self.in_flight));
        }
    }
}

#[cfg(test)]
mod tests;
