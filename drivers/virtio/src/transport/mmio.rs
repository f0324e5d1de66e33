//! Virtio over MMIO (section 4.2), as QEMU's microvm and Firecracker have it.
//!
//! The one idea: there is no bus to look at; the kernel's command line says where the devices are, one
//! `virtio_mmio.device=SIZE@ADDRESS:IRQ` for each. What is there must say the magic word.

use super::{Kind, Transport};
use abi::Error;
use alloc::sync::Arc;
use machine::irq::{self, IrqGuard};
use machine::mmio::{self, Mmio};
use machine::sync::Spin;

// Registers (section 4.2.2).
const MAGIC: usize = 0x000;
const VERSION: usize = 0x004;
const DEVICE_ID: usize = 0x008;
const DEVICE_FEATURES: usize = 0x010;
const DEVICE_FEATURES_SELECT: usize = 0x014;
const DRIVER_FEATURES: usize = 0x020;
const DRIVER_FEATURES_SELECT: usize = 0x024;
const QUEUE_SELECT: usize = 0x030;
const QUEUE_SIZE_MAX: usize = 0x034;
const QUEUE_SIZE: usize = 0x038;
const QUEUE_READY: usize = 0x044;
const QUEUE_NOTIFY: usize = 0x050;
const INTERRUPT_STATUS: usize = 0x060;
const INTERRUPT_ACKNOWLEDGE: usize = 0x064;
const STATUS: usize = 0x070;
/// Descriptor table, available ring and used ring, each low and high.
const QUEUE_PLACES: usize = 0x080;
const QUEUE_PLACE_STEP: usize = 0x010;
const CONFIG_GENERATION: usize = 0x0fc;
const CONFIG: usize = 0x100;

/// "virt".
const MAGIC_VALUE: u32 = 0x7472_6976;
/// Version 1 is the legacy interface.
const MODERN: u32 = 2;
/// Registers beyond this are not looked at.
const LONGEST: usize = 0x1000;
/// Only these lines are connected; a device with another is polled.
const ISA_LINES: u8 = 16;

/// Where the command line says that a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Physical address of its registers.
    pub address: u64,
    /// Bytes of registers.
    pub size: u64,
    /// Its interrupt line.
    pub line: u8,
}

/// The places that a kernel command line names: every `virtio_mmio.device=SIZE@ADDRESS:IRQ[:ID]`, sizes with `K`, `M`
/// or `G` as on Linux. Words that are not quite that are left out.
pub fn places(command_line: &str) -> impl Iterator<Item = Place> {
    command_line
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("virtio_mmio.device="))
        .filter_map(place)
}

fn place(text: &str) -> Option<Place> {
    let (size, rest) = text.split_once('@')?;
    let mut parts = rest.split(':');
    let address = number(parts.next()?)?;
    let line = number(parts.next()?)?;
    let (digits, shift) = match size.strip_suffix(['K', 'k', 'M', 'm', 'G', 'g']) {
        Some(digits) => match size.as_bytes().last()?.to_ascii_uppercase() {
            b'K' => (digits, 10),
            b'M' => (digits, 20),
            _ => (digits, 30),
        },
        None => (size, 0),
    };
    let size = number(digits)?.checked_mul(1 << shift)?;
    Some(Place {
        address,
        size,
        line: line.try_into().ok()?,
    })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A device behind registers in memory.
pub struct MmioTransport {
    registers: Arc<Spin<Mmio>>,
    /// Notifications need no lock: a second window on the same registers.
    notify: Mmio,
    length: usize,
    kind: Kind,
    line: u8,
    connected: Spin<Option<IrqGuard>>,
}

impl MmioTransport {
    /// Maps the device at `place`. [`Error::NoDevice`] if none is there, [`Error::Unsupported`] if it has only the legacy
    /// interface, [`Error::Range`] if the place is too small or not aligned.
    pub fn new(place: Place) -> Result<MmioTransport, Error> {
        let length = usize::try_from(place.size).unwrap_or(LONGEST).min(LONGEST) & !3;
        if length < CONFIG || !place.address.is_multiple_of(4) {
            return Err(Error::Range);
        }
        let map = || mmio::map(place.address, length).map_err(|_| Error::NoDevice);
        let registers = map()?;
        let kind = Kind(registers.read_u32(DEVICE_ID));
        // A place without a device behind it has kind 0.
        if registers.read_u32(MAGIC) != MAGIC_VALUE || kind == Kind(0) {
            return Err(Error::NoDevice);
        }
        if registers.read_u32(VERSION) != MODERN {
            return Err(Error::Unsupported);
        }
        Ok(MmioTransport {
            registers: Arc::new(Spin::new(registers)),
            notify: map()?,
            length,
            kind,
            line: place.line,
            connected: Spin::new(None),
        })
    }
}

impl Transport for MmioTransport {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn status(&self) -> u8 {
        self.registers.lock().read_u32(STATUS) as u8
    }

    fn set_status(&self, status: u8) {
        self.registers.lock().write_u32(STATUS, status.into());
    }

    fn device_features(&self) -> u64 {
        let registers = self.registers.lock();
        registers.write_u32(DEVICE_FEATURES_SELECT, 0);
        let low = registers.read_u32(DEVICE_FEATURES);
        registers.write_u32(DEVICE_FEATURES_SELECT, 1);
        u64::from(registers.read_u32(DEVICE_FEATURES)) << 32 | u64::from(low)
    }

    fn set_driver_features(&self, features: u64) {
        let registers = self.registers.lock();
        registers.write_u32(DRIVER_FEATURES_SELECT, 0);
        registers.write_u32(DRIVER_FEATURES, features as u32);
        registers.write_u32(DRIVER_FEATURES_SELECT, 1);
        registers.write_u32(DRIVER_FEATURES, (features >> 32) as u32);
    }

    fn queue_limit(&self, queue: u16) -> u16 {
        let registers = self.registers.lock();
        registers.write_u32(QUEUE_SELECT, queue.into());
        registers.read_u32(QUEUE_SIZE_MAX).min(u16::MAX.into()) as u16
    }

    fn start_queue(
        &self,
        queue: u16,
        size: u16,
        places: [u64; 3],
        _vector: Option<u16>,
    ) -> Result<(), Error> {
        let registers = self.registers.lock();
        registers.write_u32(QUEUE_SELECT, queue.into());
        registers.write_u32(QUEUE_SIZE, size.into());
        for (at, place) in (QUEUE_PLACES..).step_by(QUEUE_PLACE_STEP).zip(places) {
            registers.write_u32(at, place as u32);
            registers.write_u32(at + 4, (place >> 32) as u32);
        }
        registers.write_u32(QUEUE_READY, 1);
        Ok(())
    }

    fn notify(&self, queue: u16) {
        self.notify.write_u32(QUEUE_NOTIFY, queue.into());
    }

    fn read_config(&self, offset: usize, into: &mut [u8]) {
        into.fill(0);
        let registers = self.registers.lock();
        for (at, byte) in (offset.saturating_add(CONFIG)..self.length).zip(into) {
            *byte = registers.read_u8(at);
        }
    }

    fn config_generation(&self) -> u32 {
        self.registers.lock().read_u32(CONFIG_GENERATION)
    }

    fn vectors(&self) -> u16 {
        u16::from(self.line < ISA_LINES)
    }

    fn connect(&self, vector: u16, name: &'static str, handler: irq::Handler) -> Result<(), Error> {
        if vector >= self.vectors() {
            return Err(Error::Range);
        }
        let registers = self.registers.clone();
        let guard = irq::legacy(
            self.line,
            name,
            Arc::new(move || {
                let pending = {
                    let registers = registers.lock();
                    let pending = registers.read_u32(INTERRUPT_STATUS);
                    registers.write_u32(INTERRUPT_ACKNOWLEDGE, pending);
                    pending
                };
                if pending != 0 {
                    handler();
                }
            }),
        );
        *self.connected.lock() = Some(guard);
        Ok(())
    }

    fn set_config_vector(&self, _vector: u16) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for MmioTransport {
    fn drop(&mut self) {
        super::reset(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_places() {
        let line = "quiet virtio_mmio.device=4K@0xd0000000:5 root=/dev/vda \
                    virtio_mmio.device=512@0xfeb00e00:12:3 virtio_mmio.device=4K virtio_mmio.device=1Q@1:2 \
                    virtio_mmio.device=4K@0xd0000000:300 virtio_mmio.device=99999999999G@0:1";
        let found: Vec<_> = places(line).collect();
        assert_eq!(
            found,
            [
                Place {
                    address: 0xd000_0000,
                    size: 4096,
                    line: 5
                },
                Place {
                    address: 0xfeb0_0e00,
                    size: 512,
                    line: 12
                }
            ]
        );
    }
}
