//! Memory that this program has mapped and nobody else has: the one place where mapped addresses become slices.

use super::{map, unmap};
use abi::{Error, Mapping, Number};
use core::ptr::NonNull;

/// A mapping of memory that only its owner can reach. Dropping it takes it out of the address space.
#[derive(Debug)]
pub struct Region {
    space: Number,
    address: NonNull<u8>,
    length: usize,
}

impl Region {
    /// Maps `length` bytes of `memory`.
    ///
    /// # Safety
    /// Nobody else has the memory mapped, or maps it while the region is there; it has `length` bytes.
    pub unsafe fn new(memory: Number, length: usize) -> Result<Region, Error> {
        let space = crate::start::handle("space").ok_or(Error::NotFound)?;
        let mapping = Mapping::READ | Mapping::WRITE | Mapping::SHARED;
        let address = map(space, memory, length, mapping, 0)?;
        let address = NonNull::new(address as *mut u8).ok_or(Error::Fault)?;
        Ok(Region {
            space,
            address,
            length,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they are mapped as long as the region is there, initialised by the kernel, and nobody else has them.
        unsafe { core::slice::from_raw_parts(self.address.as_ptr(), self.length) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the region is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.address.as_ptr(), self.length) }
    }
}

// SAFETY: it owns its bytes, like a box.
unsafe impl Send for Region {}
// SAFETY: shared, it only gives them to be read.
unsafe impl Sync for Region {}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: nobody borrows the bytes any more. It cannot fail for what was mapped as a whole.
        let _ = unsafe { unmap(self.space, self.address.as_ptr().addr(), self.length) };
    }
}
