//! Memory that a device and the kernel share.

use super::{copy, frame, layout};
use crate::PAGE;
pub use crate::memory::OutOfFrames;
use core::sync::atomic::{Ordering, fence};

/// Contiguous, zeroed kernel frames shared with a device. Accesses beyond the end panic: the driver
/// sized the region.
pub struct Region {
    first: usize,
    frames: usize,
}

macro_rules! words {
    ($read:ident, $write:ident, $word:ty) => {
        /// Reads a little-endian word, in one access if it is aligned.
        #[inline]
        pub fn $read(&self, offset: usize) -> $word {
            let at = self.at(offset, size_of::<$word>()).cast::<$word>();
            if offset.is_multiple_of(size_of::<$word>()) {
                // SAFETY: checked and aligned; volatile, as the device may write it any time.
                return unsafe { at.read_volatile() };
            }
            // SAFETY: checked; x86 has no alignment for plain loads.
            unsafe { at.read_unaligned() }
        }

        /// Writes a little-endian word, in one access if it is aligned.
        #[inline]
        pub fn $write(&self, offset: usize, value: $word) {
            let at = self.at(offset, size_of::<$word>()).cast::<$word>();
            if offset.is_multiple_of(size_of::<$word>()) {
                // SAFETY: checked and aligned; volatile, as the device may read it any time.
                unsafe { at.write_volatile(value) };
                return;
            }
            // SAFETY: checked.
            unsafe { at.write_unaligned(value) };
        }
    };
}

impl Region {
    /// At least `bytes` bytes, page-aligned and contiguous for the device.
    pub fn new(bytes: usize) -> Result<Region, OutOfFrames> {
        let frames = bytes.div_ceil(PAGE).max(1);
        if !frame::heap_room() {
            return Err(OutOfFrames);
        }
        let first = frame::take_row(frames)?;
        // SAFETY: the row was just taken.
        unsafe { copy::zero(layout::frame(first), frames * PAGE) };
        Ok(Region { first, frames })
    }

    /// Where the device sees the region.
    pub fn bus_address(&self) -> u64 {
        (self.first * PAGE) as u64
    }

    /// Bytes in the region: whole pages.
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.frames * PAGE
    }

    #[inline]
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(
            offset <= self.len() && len <= self.len() - offset,
            "the bytes lie in the region"
        );
        layout::frame(self.first).wrapping_add(offset)
    }

    words!(read_u16, write_u16, u16);
    words!(read_u32, write_u32, u32);
    words!(read_u64, write_u64, u64);

    /// Copies out of the region.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        // SAFETY: `at` checked the range; a slice is never a part of a region.
        unsafe { copy::bytes(into.as_mut_ptr(), self.at(offset, into.len()), into.len()) };
    }

    /// Copies into the region.
    pub fn write(&self, offset: usize, from: &[u8]) {
        // SAFETY: as in `read`.
        unsafe { copy::bytes(self.at(offset, from.len()), from.as_ptr(), from.len()) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        frame::give_row(self.first, self.frames);
    }
}

/// All writes before it are visible to the device before any write after it.
#[inline]
pub fn write_fence() {
    fence(Ordering::Release);
}

/// All reads before it happen before any read after it.
#[inline]
pub fn read_fence() {
    fence(Ordering::Acquire);
}

/// Nothing before it mixes with anything after it.
#[inline]
pub fn full_fence() {
    fence(Ordering::SeqCst);
}
