//! Windows onto the registers of devices.

use super::kernel_map;
use super::{boot, layout};
use crate::PAGE;

/// The registers cannot be mapped: memory is there, or no address is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMapped;

/// A window onto a device's registers. Accesses outside it panic: the driver knows its device.
pub struct Mmio {
    page: usize,
    mapped: usize,
    base: usize,
    len: usize,
}

/// Maps `len` bytes of device registers at `physical`, uncached. Memory of the machine is refused.
pub fn map(physical: u64, len: usize) -> Result<Mmio, NotMapped> {
    let end = physical.checked_add(len as u64).ok_or(NotMapped)?;
    let width = crate::features::features().physical_bits.clamp(32, 52);
    if len == 0 || end > 1 << width || layout::in_image(physical, end) {
        return Err(NotMapped);
    }
    let memory = boot::info().memory.iter().filter(|region| region.usable);
    for region in memory {
        if region.start < end && physical < region.end() {
            return Err(NotMapped);
        }
    }
    let start = physical as usize & !(PAGE - 1);
    let mapped = (end as usize - start).next_multiple_of(PAGE);
    let page = kernel_map::map_window(start, mapped).map_err(|_| NotMapped)?;
    Ok(Mmio {
        page,
        mapped,
        base: page + physical as usize % PAGE,
        len,
    })
}

macro_rules! registers {
    ($read:ident, $write:ident, $word:ty) => {
        /// Reads a register.
        #[inline]
        pub fn $read(&self, offset: usize) -> $word {
            let at = self.at(offset, size_of::<$word>()) as *const $word;
            // SAFETY: `at` checked offset and alignment within the mapped window.
            unsafe { at.read_volatile() }
        }

        /// Writes a register.
        #[inline]
        pub fn $write(&self, offset: usize, value: $word) {
            let at = self.at(offset, size_of::<$word>()) as *mut $word;
            // SAFETY: as for reading.
            unsafe { at.write_volatile(value) }
        }
    };
}

impl Mmio {
    #[inline]
    fn at(&self, offset: usize, width: usize) -> usize {
        assert!(
            offset.is_multiple_of(width) && offset < self.len && width <= self.len - offset,
            "register {offset:#x} is outside the window"
        );
        self.base + offset
    }

    /// Bytes in the window.
    #[expect(clippy::len_without_is_empty, reason = "a window is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    registers!(read_u8, write_u8, u8);
    registers!(read_u16, write_u16, u16);
    registers!(read_u32, write_u32, u32);
    registers!(read_u64, write_u64, u64);
}

impl Drop for Mmio {
    fn drop(&mut self) {
        kernel_map::unmap_window(self.page, self.mapped);
    }
}
