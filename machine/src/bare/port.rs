//! I/O ports, claimed range by range.

use super::instructions::{in_u8, in_u16, in_u32, out_u8, out_u16, out_u32};
use crate::sync::Spin;
use alloc::collections::BTreeMap;

/// First port to last port of each claimed range.
static CLAIMED: Spin<BTreeMap<u16, u16>> = Spin::new(BTreeMap::new());

/// What the machine itself drives: interrupt controllers, interval timer, real-time clock, COM1.
const OWN: [(u16, u16); 6] = [
    (0x20, 0x21),
    (0x40, 0x43),
    (0x61, 0x61),
    (0x70, 0x71),
    (0xa0, 0xa1),
    (0x3f8, 0x3ff),
];

/// A range of ports that one driver owns until it drops it.
pub struct Ports {
    base: u16,
    len: u16,
}

/// Claims `len` ports from `base` on; `None` when somebody has one of them, or the range is empty
/// or too long.
pub fn claim(base: u16, len: u16) -> Option<Ports> {
    let last = base.checked_add(len.checked_sub(1)?)?;
    let mut claimed = CLAIMED.lock();
    let overlaps = |(start, end): (u16, u16)| start <= last && base <= end;
    let taken = claimed.iter().any(|(&start, &end)| overlaps((start, end)));
    if taken || OWN.into_iter().any(overlaps) {
        return None;
    }
    claimed.insert(base, last);
    drop(claimed);
    Some(Ports { base, len })
}

impl Drop for Ports {
    fn drop(&mut self) {
        CLAIMED.lock().remove(&self.base);
    }
}

macro_rules! ports {
    ($read:ident, $write:ident, $in:ident, $out:ident, $word:ty) => {
        /// Reads a port.
        #[inline]
        pub fn $read(&self, offset: u16) -> $word {
            let port = self.at(offset, size_of::<$word>());
            // SAFETY: the ports are claimed, so no part of the kernel depends on them.
            unsafe { $in(port) }
        }

        /// Writes a port.
        #[inline]
        pub fn $write(&self, offset: u16, value: $word) {
            let port = self.at(offset, size_of::<$word>());
            // SAFETY: as for reading.
            unsafe { $out(port, value) }
        }
    };
}

impl Ports {
    #[inline]
    fn at(&self, offset: u16, width: usize) -> u16 {
        assert!(
            usize::from(offset) + width <= usize::from(self.len),
            "port {offset} is outside the range"
        );
        self.base + offset
    }

    ports!(in_u8, out_u8, in_u8, out_u8, u8);
    ports!(in_u16, out_u16, in_u16, out_u16, u16);
    ports!(in_u32, out_u32, in_u32, out_u32, u32);
}
