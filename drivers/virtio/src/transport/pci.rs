//! Virtio over PCI, the modern interface (section 4.1).
//!
//! The one idea: the device's registers are in up to four structures, which vendor capabilities place somewhere behind
//! its base address registers. Each is mapped by its own range, checked against the register it lies behind.

use super::{Kind, Transport};
use abi::Error;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use machine::irq;
use machine::mmio::Mmio;
use machine::sync::Spin;
use pci::capability;
use pci::header::{Function, Kind as Header};

/// The vendor of every virtio device.
const VENDOR: u16 = 0x1af4;
/// Modern devices: this plus what they are.
const MODERN: u16 = 0x1040;
/// Transitional devices say what they are in their subsystem.
const TRANSITIONAL: core::ops::Range<u16> = 0x1000..0x1040;
const LAST: u16 = 0x107f;

// struct virtio_pci_cap (section 4.1.4).
const CAP_LENGTH: u16 = 2;
const CAP_TYPE: u16 = 3;
const CAP_BAR: u16 = 4;
const CAP_OFFSET: u16 = 8;
const CAP_STRUCTURE_LENGTH: u16 = 12;
const CAP_NOTIFY_MULTIPLIER: u16 = 16;
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

// struct virtio_pci_common_cfg (section 4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const CONFIG_MSIX_VECTOR: usize = 0x10;
const NUM_QUEUES: usize = 0x12;
const DEVICE_STATUS: usize = 0x14;
const CONFIG_GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_PLACES: usize = 0x20;
const COMMON_LENGTH: usize = 0x38;
const NO_VECTOR: u16 = 0xffff;

/// Parts of a structure beyond this are not looked at.
const LONGEST: u64 = 1 << 16;
/// Queues beyond this are not offered.
const MOST_QUEUES: u16 = 1024;

/// What a PCI function is, if it is a virtio device.
pub fn kind_of(function: &Function) -> Option<Kind> {
    if function.vendor != VENDOR || function.device > LAST {
        return None;
    }
    if TRANSITIONAL.contains(&function.device) {
        return match function.kind {
            Header::Endpoint { subsystem, .. } => Some(Kind(subsystem.into())),
            _ => None,
        };
    }
    Some(Kind(function.device.checked_sub(MODERN)?.into()))
}

/// The transports of all devices of `kind` on `bus` that nobody has claimed and that have the modern interface.
pub fn find(bus: &Arc<pci::Bus>, kind: Kind) -> impl Iterator<Item = PciTransport> {
    bus.functions()
        .iter()
        .filter(move |function| kind_of(function) == Some(kind))
        .filter_map(move |function| PciTransport::new(bus.claim(function.address).ok()?).ok())
}

/// A device on the PCI bus.
pub struct PciTransport {
    kind: Kind,
    common: Spin<Mmio>,
    notify: Mmio,
    multiplier: u32,
    /// By queue: where in `notify` its notification goes.
    notify_offsets: Box<[AtomicU32]>,
    config: Option<(Mmio, usize)>,
    function: pci::Device,
}

/// One vendor capability.
struct Structure {
    at: u16,
    bar: u8,
    offset: u64,
    length: u64,
}

impl Structure {
    /// The first structure of type `wanted` that lies in mappable memory (section 4.1.4.1: the device prefers the first).
    fn find(function: &pci::Device, wanted: u8) -> Option<Structure> {
        let config = function.config();
        let of_vendor = |found: &&pci::Capability| {
            found.id == capability::id::VENDOR
                && config.byte(found.offset + CAP_LENGTH) >= 16
                && config.byte(found.offset + CAP_TYPE) == wanted
        };
        function
            .capabilities()
            .iter()
            .filter(of_vendor)
            .map(|found| Structure {
                at: found.offset,
                bar: config.byte(found.offset + CAP_BAR),
                offset: config.word(found.offset + CAP_OFFSET).into(),
                length: config.word(found.offset + CAP_STRUCTURE_LENGTH).into(),
            })
            .find(|found| matches!(function.bar(found.bar), Some(pci::Bar::Memory { .. })))
    }

    /// Maps what is there, which must be `least` bytes at least and begin where a register of four bytes may.
    fn map(&self, function: &pci::Device, least: usize) -> Result<(Mmio, usize), Error> {
        let length = self.length.min(LONGEST) as usize & !3;
        if length < least || !self.offset.is_multiple_of(4) {
            return Err(Error::Io);
        }
        Ok((function.map(self.bar, self.offset, length)?, length))
    }
}

impl PciTransport {
    /// Takes the claimed function, resets the device and lets it reach memory.
    ///
    /// [`Error::Unsupported`] if it is no virtio device or has only the legacy interface, [`Error::Io`] if a structure
    /// is too short or the device does not reset, [`Error::Range`] if one lies outside its register.
    pub fn new(function: pci::Device) -> Result<PciTransport, Error> {
        let kind = kind_of(function.function()).ok_or(Error::Unsupported)?;
        let common = Structure::find(&function, COMMON).ok_or(Error::Unsupported)?;
        let (common, _) = common.map(&function, COMMON_LENGTH)?;
        let notify = Structure::find(&function, NOTIFY).ok_or(Error::Unsupported)?;
        let multiplier = function.config().word(notify.at + CAP_NOTIFY_MULTIPLIER);
        let (notify, notify_length) = notify.map(&function, 4)?;
        let config = match Structure::find(&function, DEVICE) {
            Some(config) => Some(config.map(&function, 4)?),
            None => None,
        };
        let queues = common.read_u16(NUM_QUEUES).min(MOST_QUEUES);
        let transport = PciTransport {
            kind,
            common: Spin::new(common),
            notify,
            multiplier,
            notify_offsets: (0..queues).map(|_| AtomicU32::new(0)).collect(),
            config,
            function,
        };
        if !super::reset(&transport) {
            return Err(Error::Io);
        }
        transport.place_notifications(notify_length)?;
        transport.function.start_bus_master();
        Ok(transport)
    }

    /// Asks where each queue's notifications go, and refuses places outside the structure.
    fn place_notifications(&self, length: usize) -> Result<(), Error> {
        let common = self.common.lock();
        for (queue, place) in (0u16..).zip(&self.notify_offsets) {
            common.write_u16(QUEUE_SELECT, queue);
            let offset = u32::from(common.read_u16(QUEUE_NOTIFY_OFF))
                .checked_mul(self.multiplier)
                .ok_or(Error::Range)?;
            if offset % 2 != 0 || offset as usize > length - 2 {
                return Err(Error::Range);
            }
            place.store(offset, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Where the function is.
    pub fn address(&self) -> pci::Address {
        self.function.address()
    }
}

impl Transport for PciTransport {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn status(&self) -> u8 {
        self.common.lock().read_u8(DEVICE_STATUS)
    }

    fn set_status(&self, status: u8) {
        self.common.lock().write_u8(DEVICE_STATUS, status);
    }

    fn device_features(&self) -> u64 {
        let common = self.common.lock();
        common.write_u32(DEVICE_FEATURE_SELECT, 0);
        let low = common.read_u32(DEVICE_FEATURE);
        common.write_u32(DEVICE_FEATURE_SELECT, 1);
        u64::from(common.read_u32(DEVICE_FEATURE)) << 32 | u64::from(low)
    }

    fn set_driver_features(&self, features: u64) {
        let common = self.common.lock();
        common.write_u32(DRIVER_FEATURE_SELECT, 0);
        common.write_u32(DRIVER_FEATURE, features as u32);
        common.write_u32(DRIVER_FEATURE_SELECT, 1);
        common.write_u32(DRIVER_FEATURE, (features >> 32) as u32);
    }

    fn queue_limit(&self, queue: u16) -> u16 {
        if usize::from(queue) >= self.notify_offsets.len() {
            return 0;
        }
        let common = self.common.lock();
        common.write_u16(QUEUE_SELECT, queue);
        common.read_u16(QUEUE_SIZE)
    }

    fn start_queue(
        &self,
        queue: u16,
        size: u16,
        places: [u64; 3],
        vector: Option<u16>,
    ) -> Result<(), Error> {
        let common = self.common.lock();
        common.write_u16(QUEUE_SELECT, queue);
        common.write_u16(QUEUE_SIZE, size);
        let vector = vector.unwrap_or(NO_VECTOR);
        common.write_u16(QUEUE_MSIX_VECTOR, vector);
        if vector != NO_VECTOR && common.read_u16(QUEUE_MSIX_VECTOR) != vector {
            return Err(Error::Io);
        }
        for (at, place) in (QUEUE_PLACES..).step_by(8).zip(places) {
            common.write_u32(at, place as u32);
            common.write_u32(at + 4, (place >> 32) as u32);
        }
        common.write_u16(QUEUE_ENABLE, 1);
        Ok(())
    }

    fn notify(&self, queue: u16) {
        if let Some(place) = self.notify_offsets.get(usize::from(queue)) {
            self.notify
                .write_u16(place.load(Ordering::Relaxed) as usize, queue);
        }
    }

    fn read_config(&self, offset: usize, into: &mut [u8]) {
        into.fill(0);
        let Some((config, length)) = &self.config else {
            return;
        };
        for (at, byte) in (offset..*length).zip(into) {
            *byte = config.read_u8(at);
        }
    }

    fn config_generation(&self) -> u32 {
        self.common.lock().read_u8(CONFIG_GENERATION).into()
    }

    fn vectors(&self) -> u16 {
        // The interface has registers for MSI-X only (section 4.1.5.1).
        let has_msi_x = |found: &pci::Capability| found.id == capability::id::MSI_X;
        if self.function.capabilities().iter().any(has_msi_x) {
            self.function.vectors()
        } else {
            0
        }
    }

    fn connect(&self, vector: u16, name: &'static str, handler: irq::Handler) -> Result<(), Error> {
        self.function.connect(vector, name, handler)
    }

    fn set_config_vector(&self, vector: u16) -> Result<(), Error> {
        let common = self.common.lock();
        common.write_u16(CONFIG_MSIX_VECTOR, vector);
        if common.read_u16(CONFIG_MSIX_VECTOR) != vector {
            return Err(Error::Io);
        }
        Ok(())
    }
}
