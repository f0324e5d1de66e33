//! Simulated device registers in memory: a test attaches a [`Device`] at a physical address.

use super::{current, lock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A simulated device's registers. `width` is 1, 2, 4 or 8 bytes.
pub trait Device: Send + Sync {
    /// The device answers a read.
    fn read(&self, offset: usize, width: usize) -> u64;
    /// The device takes a write.
    fn write(&self, offset: usize, width: usize, value: u64);
}

type Window = (usize, Arc<dyn Device>);

/// By physical address: how long, and whose.
#[derive(Default)]
pub(super) struct Windows(Mutex<BTreeMap<u64, Window>>);

/// Attaches a device's registers, `len` bytes at `physical`.
pub fn attach(physical: u64, len: usize, device: Arc<dyn Device>) {
    lock(&current().0.windows.0).insert(physical, (len, device));
}

/// The registers cannot be mapped: nothing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMapped;

/// A window onto a device's registers. Accesses outside it panic: the driver knows its device.
pub struct Mmio {
    device: Arc<dyn Device>,
    base: usize,
    len: usize,
}

/// Maps `len` bytes of device registers at `physical`.
pub fn map(physical: u64, len: usize) -> Result<Mmio, NotMapped> {
    let machine = current();
    let windows = lock(&machine.0.windows.0);
    let (start, (size, device)) = windows.range(..=physical).next_back().ok_or(NotMapped)?;
    let base = usize::try_from(physical - start).map_err(|_| NotMapped)?;
    match base.checked_add(len) {
        Some(end) if end <= *size => Ok(Mmio {
            device: device.clone(),
            base,
            len,
        }),
        _ => Err(NotMapped),
    }
}

macro_rules! registers {
    ($read:ident, $write:ident, $word:ty) => {
        /// Reads a register.
        pub fn $read(&self, offset: usize) -> $word {
            const WIDTH: usize = size_of::<$word>();
            self.device.read(self.at(offset, WIDTH), WIDTH) as $word
        }

        /// Writes a register.
        pub fn $write(&self, offset: usize, value: $word) {
            const WIDTH: usize = size_of::<$word>();
            self.device
                .write(self.at(offset, WIDTH), WIDTH, u64::from(value));
        }
    };
}

impl Mmio {
    fn at(&self, offset: usize, width: usize) -> usize {
        assert!(
            offset.is_multiple_of(width) && offset + width <= self.len,
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
