//! A claimed function.
//!
//! The one idea: the guard is the permission. While it lives, nobody else can claim the function, and only through it may
//! the function master the bus; dropping it stops interrupts and memory access before anything else is given back.

use crate::bar::Bar;
use crate::bus::Bus;
use crate::capability::{self, Capability};
use crate::header::{COMMAND, Command, Function};
use crate::interrupt::Interrupts;
use crate::{Address, Config};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::mmio::Mmio;
use machine::port::Ports;
use machine::sync::Spin;
use machine::{irq, mmio, port};

/// The guard of one function. See [`Bus::claim`].
pub struct Device {
    // Dropped first, after `Drop::drop` has silenced the function.
    interrupts: Spin<Option<Interrupts>>,
    bus: Arc<Bus>,
    function: Function,
    capabilities: Vec<Capability>,
    bars: [Option<Bar>; 6],
    before: Command,
}

impl Device {
    pub(crate) fn claim(bus: Arc<Bus>, function: Function) -> Result<Device, Error> {
        let capabilities = capability::list(bus.config(function.address))?;
        let before = Command::from_bits_retain(bus.config(function.address).half(COMMAND));
        let bars = bus.hold(&function)?;
        let device = Device {
            interrupts: Spin::new(None),
            bus,
            function,
            capabilities,
            bars,
            before: before - Command::BUS_MASTER,
        };
        let command = device.before | Command::MEMORY | Command::PORTS | Command::NO_PIN_INTERRUPT;
        device.config().set_half(COMMAND, command.bits());
        Ok(device)
    }

    /// What it is.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Its configuration space.
    pub fn config(&self) -> Config<'_> {
        self.bus.config(self.function.address)
    }

    /// Its capabilities, in the order of its list.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// The range behind base address register `slot`, if it is a plausible one.
    pub fn bar(&self, slot: u8) -> Option<Bar> {
        self.bars.get(usize::from(slot)).copied().flatten()
    }

    /// Maps `length` bytes at `offset` of the memory behind register `slot`.
    ///
    /// [`Error::NoDevice`] if there is no memory behind it, [`Error::Range`] if the range is empty or leaves it.
    pub fn map(&self, slot: u8, offset: u64, length: usize) -> Result<Mmio, Error> {
        let Some(Bar::Memory { address, size, .. }) = self.bar(slot) else {
            return Err(Error::NoDevice);
        };
        let end = offset.checked_add(length as u64).ok_or(Error::Range)?;
        if length == 0 || end > size {
            return Err(Error::Range);
        }
        let start = address.checked_add(offset).ok_or(Error::Range)?;
        mmio::map(start, length).map_err(|_| Error::NoMemory)
    }

    /// Claims the ports behind register `slot`.
    pub fn ports(&self, slot: u8) -> Result<Ports, Error> {
        match self.bar(slot) {
            Some(Bar::Ports { base, size }) if base != 0 => {
                port::claim(base, size).ok_or(Error::Busy)
            }
            _ => Err(Error::NoDevice),
        }
    }

    /// Lets the function read and write memory and send interrupts, until the guard is dropped. Call it when the
    /// function has been reset, so that nothing which the firmware started goes on.
    pub fn start_bus_master(&self) {
        let command = Command::from_bits_retain(self.config().half(COMMAND));
        self.config()
            .set_half(COMMAND, (command | Command::BUS_MASTER).bits());
    }

    /// How many interrupt vectors the function has: up to 2048 with MSI-X, one with MSI, none with neither.
    pub fn vectors(&self) -> u16 {
        let mut interrupts = self.interrupts.lock();
        match self.open_interrupts(&mut interrupts) {
            Ok(interrupts) => interrupts.count(),
            Err(_) => 0,
        }
    }

    /// Calls `handler` whenever the function sends interrupt `vector`. A second call for the same vector replaces it.
    /// `name` says whose interrupt it is.
    ///
    /// [`Error::Unsupported`] if the function has no message interrupts, [`Error::Range`] if it has not that many.
    pub fn connect(
        &self,
        vector: u16,
        name: &'static str,
        handler: irq::Handler,
    ) -> Result<(), Error> {
        let mut interrupts = self.interrupts.lock();
        self.open_interrupts(&mut interrupts)?
            .connect(self.config(), vector, name, handler)
    }

    fn open_interrupts<'a>(
        &self,
        interrupts: &'a mut Option<Interrupts>,
    ) -> Result<&'a mut Interrupts, Error> {
        if interrupts.is_none() {
            *interrupts = Some(Interrupts::open(self)?);
        }
        interrupts.as_mut().ok_or(Error::Unsupported)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let config = self.bus.config(self.function.address);
        config.set_half(COMMAND, self.before.bits());
        if let Some(interrupts) = self.interrupts.get_mut() {
            interrupts.close(config);
        }
        self.bus.release(self.function.address);
    }
}

impl core::fmt::Debug for Device {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Device").field(&self.address()).finish()
    }
}

impl Device {
    /// Where it is.
    pub fn address(&self) -> Address {
        self.function.address
    }
}
