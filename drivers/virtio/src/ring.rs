//! The memory of one split virtqueue (section 2.7): descriptor table, available ring, used ring.
//!
//! The one idea: this file only knows where things lie. It is memory that the device writes too, so whatever is read here
//! is a number from outside.

use abi::Error;
use machine::dma::Region;

/// Descriptor flag: the chain goes on.
const NEXT: u16 = 1;
/// Descriptor flag: the device writes this buffer.
const WRITE: u16 = 2;
/// Flag of the available ring: no interrupts, please.
const NO_INTERRUPT: u16 = 1;
/// Flag of the used ring: no notifications, please.
const NO_NOTIFY: u16 = 1;

const DESCRIPTOR: usize = 16;
const USED_ELEMENT: usize = 8;
const CACHE_LINE: usize = 64;

/// One entry of the descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Where the buffer is, as the device sees it.
    pub address: u64,
    /// Bytes in it.
    pub length: u32,
    /// Whether the device writes it.
    pub writable: bool,
    /// The next descriptor of the chain.
    pub next: Option<u16>,
}

/// The three parts of a queue, in one region.
pub struct Ring {
    region: Region,
    size: u16,
    available: usize,
    used: usize,
}

impl Ring {
    /// The most entries that a queue can have (section 2.7).
    pub const LARGEST: u16 = 1 << 15;

    /// An empty ring of `size` entries, a power of two.
    pub fn new(size: u16) -> Result<Ring, Error> {
        if !size.is_power_of_two() || size > Self::LARGEST {
            return Err(Error::Invalid);
        }
        let entries = usize::from(size);
        let available = entries * DESCRIPTOR;
        // Flags, index, entries, event. The device writes from here on: on cache lines of its own.
        let used = (available + 2 * (entries + 3)).next_multiple_of(CACHE_LINE);
        let length = used + USED_ELEMENT * entries + 6;
        let region = Region::new(length).map_err(|_| Error::NoMemory)?;
        Ok(Ring {
            region,
            size,
            available,
            used,
        })
    }

    /// Entries, a power of two.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Where the device finds descriptor table, available ring and used ring.
    pub fn places(&self) -> [u64; 3] {
        let start = self.region.bus_address();
        [
            start,
            start + self.available as u64,
            start + self.used as u64,
        ]
    }

    /// An index that grows for ever, as the place in a ring.
    fn slot(&self, index: u16) -> usize {
        usize::from(index & (self.size - 1))
    }

    /// Writes entry `index` of the descriptor table.
    pub fn set_descriptor(&self, index: u16, descriptor: Descriptor) {
        let at = self.slot(index) * DESCRIPTOR;
        let mut flags = 0;
        if descriptor.writable {
            flags |= WRITE;
        }
        if descriptor.next.is_some() {
            flags |= NEXT;
        }
        let next = descriptor.next.unwrap_or(0);
        self.region.write_u64(at, descriptor.address);
        let rest = u64::from(descriptor.length) | u64::from(flags) << 32 | u64::from(next) << 48;
        self.region.write_u64(at + 8, rest);
    }

    /// Writes entry `index` of the available ring: the first descriptor of a chain.
    pub fn set_available(&self, index: u16, head: u16) {
        let at = self.available + 4 + 2 * self.slot(index);
        self.region.write_u16(at, head);
    }

    /// Tells the device that everything before `index` of the available ring is valid.
    pub fn set_available_index(&self, index: u16) {
        self.region.write_u16(self.available + 2, index);
    }

    /// Asks for interrupts, or asks for none (without `EVENT_IDX`).
    pub fn set_interrupts(&self, wanted: bool) {
        let flags = if wanted { 0 } else { NO_INTERRUPT };
        self.region.write_u16(self.available, flags);
    }

    /// Asks for an interrupt when the used index moves beyond `index` (with `EVENT_IDX`).
    pub fn set_used_event(&self, index: u16) {
        let at = self.available + 4 + 2 * usize::from(self.size);
        self.region.write_u16(at, index);
    }

    /// How far the device says that it has used chains.
    pub fn used_index(&self) -> u16 {
        self.region.read_u16(self.used + 2)
    }

    /// Entry `index` of the used ring: the first descriptor of the chain, and how many bytes the device wrote.
    pub fn used(&self, index: u16) -> (u32, u32) {
        let at = self.used + 4 + USED_ELEMENT * self.slot(index);
        (self.region.read_u32(at), self.region.read_u32(at + 4))
    }

    /// Whether the device wants notifications (without `EVENT_IDX`).
    pub fn wants_notification(&self) -> bool {
        self.region.read_u16(self.used) & NO_NOTIFY == 0
    }

    /// The available index beyond which the device wants a notification (with `EVENT_IDX`).
    pub fn available_event(&self) -> u16 {
        let at = self.used + 4 + USED_ELEMENT * usize::from(self.size);
        self.region.read_u16(at)
    }
}

/// Whether moving an index from `old` to `new` passes `event` (section 2.7.10, `vring_need_event`).
pub fn passes(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::dma;

    #[test]
    fn parts_lie_where_the_specification_wants_them() {
        for size in [1u16, 2, 8, 128, 256, Ring::LARGEST] {
            let ring = Ring::new(size).unwrap();
            let [descriptors, available, used] = ring.places();
            let n = u64::from(size);
            assert_eq!((descriptors % 16, available % 2, used % 4), (0, 0, 0));
            assert!(available >= descriptors + 16 * n);
            assert!(used >= available + 6 + 2 * n);
            ring.set_used_event(7);
            ring.set_available(size.wrapping_mul(3).wrapping_sub(1), 5);
            let mut bytes = [0; 4];
            assert!(dma::peek(available + 4 + 2 * (n - 1), &mut bytes));
            assert_eq!(bytes, [5, 0, 7, 0]);
            assert!(dma::poke(used + 4 + 8 * n, &[9, 0]));
            assert_eq!(ring.available_event(), 9);
        }
        for size in [0, 3, 129, Ring::LARGEST + 1] {
            assert!(Ring::new(size).is_err());
        }
    }

    #[test]
    fn a_descriptor_is_sixteen_bytes() {
        let ring = Ring::new(4).unwrap();
        ring.set_descriptor(
            1,
            Descriptor {
                address: 0x1122_3344_5566_7788,
                length: 0x99aa_bbcc,
                writable: true,
                next: Some(3),
            },
        );
        let mut bytes = [0; 16];
        assert!(dma::peek(ring.places()[0] + 16, &mut bytes));
        assert_eq!(bytes[..8], 0x1122_3344_5566_7788u64.to_le_bytes());
        assert_eq!(bytes[8..], [0xcc, 0xbb, 0xaa, 0x99, 3, 0, 3, 0]);
    }

    #[test]
    fn passing_an_event_wraps() {
        assert!(passes(5, 6, 5));
        assert!(!passes(6, 6, 5));
        assert!(passes(65535, 0, 65535));
        assert!(passes(65534, 2, 65530));
        assert!(!passes(3, 2, 65530));
    }
}
