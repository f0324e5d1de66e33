//! Message signalled interrupts: MSI-X (section 6.8.2), and MSI (section 6.8.1) where there is no MSI-X.
//!
//! The one idea: an interrupt is a memory write that the device makes. The table that says which write lies in the device;
//! its size and place come from the device and are checked against the register that they lie behind.

use crate::{Config, Device, capability};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::irq::{self, Steering};
use machine::mmio::Mmio;

/// Offset of the control register of both kinds from their capability.
const CONTROL: u16 = 2;

const MSI_X_ENABLE: u16 = 1 << 15;
const MSI_X_FUNCTION_MASK: u16 = 1 << 14;
const MSI_X_TABLE_SIZE: u16 = 0x7ff;
const MSI_X_TABLE: u16 = 4;
/// The low bits of the table register: which BAR.
const TABLE_BAR: u32 = 7;
/// One table entry: address, upper address, data, control.
const ENTRY: usize = 16;
const ENTRY_ADDRESS: usize = 0;
const ENTRY_UPPER: usize = 4;
const ENTRY_DATA: usize = 8;
const ENTRY_CONTROL: usize = 12;
const ENTRY_MASKED: u32 = 1;

const MSI_ENABLE: u16 = 1 << 0;
const MSI_MULTIPLE_ENABLE: u16 = 7 << 4;
const MSI_64: u16 = 1 << 7;
const MSI_ADDRESS: u16 = 4;
const MSI_UPPER: u16 = 8;
const MSI_DATA: u16 = 8;
const MSI_DATA_64: u16 = 12;

enum Kind {
    MsiX { table: Arc<Mmio>, count: u16 },
    Msi,
}

/// The message interrupts of one claimed function.
pub(crate) struct Interrupts {
    kind: Kind,
    /// Where the capability is.
    offset: u16,
    connected: Vec<(u16, irq::Message)>,
}

impl Interrupts {
    /// Finds the function's message interrupts and masks them all.
    pub(crate) fn open(device: &Device) -> Result<Interrupts, Error> {
        let find = |id| {
            device
                .capabilities()
                .iter()
                .find(move |found| found.id == id)
        };
        if let Some(found) = find(capability::id::MSI_X) {
            return Self::open_msi_x(device, found.offset);
        }
        let found = find(capability::id::MSI).ok_or(Error::Unsupported)?;
        Ok(Interrupts {
            kind: Kind::Msi,
            offset: found.offset,
            connected: Vec::new(),
        })
    }

    fn open_msi_x(device: &Device, offset: u16) -> Result<Interrupts, Error> {
        let config = device.config();
        let control = config.half(offset + CONTROL);
        let count = (control & MSI_X_TABLE_SIZE) + 1;
        let place = config.word(offset + MSI_X_TABLE);
        let slot = (place & TABLE_BAR) as u8;
        let table = device.map(
            slot,
            u64::from(place & !TABLE_BAR),
            usize::from(count) * ENTRY,
        )?;
        for entry in 0..usize::from(count) {
            table.write_u32(entry * ENTRY + ENTRY_CONTROL, ENTRY_MASKED);
        }
        let control = (control | MSI_X_ENABLE) & !MSI_X_FUNCTION_MASK;
        config.set_half(offset + CONTROL, control);
        Ok(Interrupts {
            kind: Kind::MsiX {
                table: Arc::new(table),
                count,
            },
            offset,
            connected: Vec::new(),
        })
    }

    /// How many vectors there are.
    pub(crate) fn count(&self) -> u16 {
        match self.kind {
            Kind::MsiX { count, .. } => count,
            Kind::Msi => 1,
        }
    }

    /// Lets `vector` call `handler`.
    pub(crate) fn connect(
        &mut self,
        config: Config<'_>,
        vector: u16,
        name: &'static str,
        handler: irq::Handler,
    ) -> Result<(), Error> {
        if vector >= self.count() {
            return Err(Error::Range);
        }
        let message = irq::message(name, handler).map_err(|_| Error::NoMemory)?;
        let (address, data) = (message.address, message.data);
        match &self.kind {
            Kind::MsiX { table, .. } => {
                let entry = usize::from(vector) * ENTRY;
                steer(table, entry, Steering::To { address, data });
                let table = table.clone();
                let steer = move |steering| steer(&table, entry, steering);
                message.guard.steer_with(Arc::new(steer));
            }
            Kind::Msi => {
                let control = config.half(self.offset + CONTROL);
                config.set_half(self.offset + CONTROL, control & !MSI_ENABLE);
                config.set_word(self.offset + MSI_ADDRESS, address as u32);
                if control & MSI_64 != 0 {
                    config.set_word(self.offset + MSI_UPPER, (address >> 32) as u32);
                    config.set_half(self.offset + MSI_DATA_64, data as u16);
                } else if address >> 32 == 0 {
                    config.set_half(self.offset + MSI_DATA, data as u16);
                } else {
                    return Err(Error::Unsupported);
                }
                let control = control & !MSI_MULTIPLE_ENABLE | MSI_ENABLE;
                config.set_half(self.offset + CONTROL, control);
            }
        }
        self.connected.retain(|(connected, _)| *connected != vector);
        self.connected.push((vector, message));
        Ok(())
    }

    /// Silences the function.
    pub(crate) fn close(&mut self, config: Config<'_>) {
        let enable = match &self.kind {
            Kind::MsiX { .. } => MSI_X_ENABLE,
            Kind::Msi => MSI_ENABLE,
        };
        let control = config.half(self.offset + CONTROL);
        config.set_half(self.offset + CONTROL, control & !enable);
        self.connected.clear();
    }
}

/// Writes an entry of the table. While it changes it is masked, so that no message is half old and half new.
fn steer(table: &Mmio, entry: usize, steering: Steering) {
    table.write_u32(entry + ENTRY_CONTROL, ENTRY_MASKED);
    if let Steering::To { address, data } = steering {
        table.write_u32(entry + ENTRY_ADDRESS, address as u32);
        table.write_u32(entry + ENTRY_UPPER, (address >> 32) as u32);
        table.write_u32(entry + ENTRY_DATA, data);
        table.write_u32(entry + ENTRY_CONTROL, 0);
    }
}
