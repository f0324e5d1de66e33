//! Simulated device memory: regions with invented bus addresses, which a simulated device reaches
//! with [`peek`] and [`poke`].

use super::frame::KernelFrame;
use super::{current, lock};
use crate::PAGE;
pub use crate::memory::OutOfFrames;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

type Bytes = Arc<Mutex<Vec<u8>>>;

struct Map {
    by_address: BTreeMap<u64, Weak<Mutex<Vec<u8>>>>,
    next: u64,
}

pub(super) struct Regions(Mutex<Map>);

impl Default for Regions {
    fn default() -> Self {
        Regions(Mutex::new(Map {
            by_address: BTreeMap::new(),
            next: 0x1000_0000,
        }))
    }
}

/// Contiguous, zeroed kernel frames shared with a device. Accesses beyond the end panic: the driver
/// sized the region.
pub struct Region {
    bytes: Bytes,
    bus_address: u64,
    _frames: Vec<KernelFrame>,
}

macro_rules! words {
    ($read:ident, $write:ident, $word:ty) => {
        /// Reads a little-endian word.
        pub fn $read(&self, offset: usize) -> $word {
            let mut bytes = [0; size_of::<$word>()];
            self.read(offset, &mut bytes);
            <$word>::from_le_bytes(bytes)
        }

        /// Writes a little-endian word.
        pub fn $write(&self, offset: usize, value: $word) {
            self.write(offset, &value.to_le_bytes());
        }
    };
}

impl Region {
    /// At least `bytes` bytes, page-aligned and contiguous for the device.
    pub fn new(bytes: usize) -> Result<Region, OutOfFrames> {
        let pages = bytes.div_ceil(PAGE).max(1);
        let frames = (0..pages)
            .map(|_| KernelFrame::new())
            .collect::<Result<Vec<_>, _>>()?;
        let bytes = Arc::new(Mutex::new(vec![0; pages * PAGE]));
        let machine = current();
        let mut map = lock(&machine.0.memory.0);
        let bus_address = map.next;
        map.next += ((pages + 1) * PAGE) as u64;
        map.by_address.insert(bus_address, Arc::downgrade(&bytes));
        Ok(Region {
            bytes,
            bus_address,
            _frames: frames,
        })
    }

    /// Where the device sees the region.
    pub fn bus_address(&self) -> u64 {
        self.bus_address
    }

    /// Bytes in the region: whole pages.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        lock(&self.bytes).len()
    }

    words!(read_u16, write_u16, u16);
    words!(read_u32, write_u32, u32);
    words!(read_u64, write_u64, u64);

    /// Copies out of the region.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&lock(&self.bytes)[offset..offset + into.len()]);
    }

    /// Copies into the region.
    pub fn write(&self, offset: usize, from: &[u8]) {
        lock(&self.bytes)[offset..offset + from.len()].copy_from_slice(from);
    }
}

/// All writes before it are visible to the device before any write after it.
pub fn write_fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
}

/// All reads before it happen before any read after it.
pub fn read_fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
}

/// Nothing before it mixes with anything after it.
pub fn full_fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// Finds the live region that holds all of `len` bytes at a bus address.
fn find(bus_address: u64, len: usize) -> Option<(Bytes, usize)> {
    let machine = current();
    let map = lock(&machine.0.memory.0);
    let (start, bytes) = map.by_address.range(..=bus_address).next_back()?;
    let bytes = bytes.upgrade()?;
    let offset = usize::try_from(bus_address - start).ok()?;
    let fits = offset.checked_add(len)? <= lock(&bytes).len();
    fits.then_some((bytes, offset))
}

/// A device reads memory. False when no region holds all of it.
pub fn peek(bus_address: u64, into: &mut [u8]) -> bool {
    let Some((bytes, offset)) = find(bus_address, into.len()) else {
        return false;
    };
    into.copy_from_slice(&lock(&bytes)[offset..offset + into.len()]);
    true
}

/// A device writes memory. False when no region holds all of it.
pub fn poke(bus_address: u64, from: &[u8]) -> bool {
    let Some((bytes, offset)) = find(bus_address, from.len()) else {
        return false;
    };
    lock(&bytes)[offset..offset + from.len()].copy_from_slice(from);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_sees_the_region_while_it_lives() {
        let region = Region::new(5000).unwrap();
        assert_eq!(region.len(), 2 * PAGE);
        region.write_u32(4096, 0x1234_5678);
        let mut seen = [0; 2];
        assert!(peek(region.bus_address() + 4096, &mut seen));
        assert_eq!(seen, [0x78, 0x56]);
        assert!(poke(region.bus_address(), &[1, 2]));
        assert_eq!(region.read_u16(0), 0x201);
        assert!(!poke(region.bus_address() + 8190, &[0; 3]));
        let gone = region.bus_address();
        drop(region);
        assert!(!peek(gone, &mut seen));
    }
}
