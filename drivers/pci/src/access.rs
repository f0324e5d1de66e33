//! The two ways to configuration space, and typed reads of one function's.
//!
//! The one idea: a register number is checked here once, so nothing above can reach outside the 256 (or 4096) bytes.

use crate::Address;
use abi::Error;
use machine::mmio::{self, Mmio};
use machine::port::{self, Ports};
use machine::sync::Spin;

/// Reads and writes configuration space. `register` is a byte offset; what lies outside reads as all ones and writes
/// go nowhere, as on a bus where nobody answers.
pub trait Access: Send + Sync {
    /// The 32 bits at `register`, whose two low bits are ignored.
    fn read(&self, address: Address, register: u16) -> u32;
    /// Writes 32 bits at `register`, whose two low bits are ignored.
    fn write(&self, address: Address, register: u16, value: u32);
    /// Writes 16 bits at `register`, whose low bit is ignored: the neighbour stays untouched, which matters where
    /// writing a one clears a bit (the status register beside the command register).
    fn write_half(&self, address: Address, register: u16, value: u16);
    /// Writes 8 bits at `register`, and nothing beside it.
    fn write_byte(&self, address: Address, register: u16, value: u8);
    /// Bytes of configuration space that each function has this way: 256 or 4096.
    fn size(&self) -> u16;
}

const CONFIG_ADDRESS: u16 = 0xcf8;
/// Offset of the data port from the address port.
const CONFIG_DATA: u16 = 4;
const ENABLE: u32 = 1 << 31;

/// Configuration mechanism #1 (section 3.2.2.3.2): an address port and a data port. Every PC has it.
pub struct PortAccess(Spin<Ports>);

impl PortAccess {
    /// Claims the two ports; [`Error::Busy`] if somebody has them, [`Error::NoDevice`] if no host bridge answers there.
    pub fn new() -> Result<PortAccess, Error> {
        let ports = port::claim(CONFIG_ADDRESS, 8).ok_or(Error::Busy)?;
        ports.out_u32(0, ENABLE);
        if ports.in_u32(0) != ENABLE {
            return Err(Error::NoDevice);
        }
        Ok(PortAccess(Spin::new(ports)))
    }

    fn select(ports: &Ports, address: Address, register: u16) {
        ports.out_u32(
            0,
            ENABLE | address.packed() << 8 | u32::from(register & 0xfc),
        );
    }
}

impl Access for PortAccess {
    fn read(&self, address: Address, register: u16) -> u32 {
        if register >= self.size() {
            return u32::MAX;
        }
        let ports = self.0.lock();
        Self::select(&ports, address, register);
        ports.in_u32(CONFIG_DATA)
    }

    fn write(&self, address: Address, register: u16, value: u32) {
        if register < self.size() {
            let ports = self.0.lock();
            Self::select(&ports, address, register);
            ports.out_u32(CONFIG_DATA, value);
        }
    }

    fn write_half(&self, address: Address, register: u16, value: u16) {
        if register < self.size() {
            let ports = self.0.lock();
            Self::select(&ports, address, register);
            ports.out_u16(CONFIG_DATA + (register & 2), value);
        }
    }

    fn write_byte(&self, address: Address, register: u16, value: u8) {
        if register < self.size() {
            let ports = self.0.lock();
            Self::select(&ports, address, register);
            ports.out_u8(CONFIG_DATA + (register & 3), value);
        }
    }

    fn size(&self) -> u16 {
        256
    }
}

/// The memory-mapped way (PCI Express 3.0, section 7.2.2): 4 KiB per function, found in the ACPI table `MCFG`.
pub struct MemoryAccess {
    space: Mmio,
    buses: core::ops::RangeInclusive<u8>,
}

impl MemoryAccess {
    /// Maps the space of `buses`, whose first bus begins at physical address `base`.
    pub fn new(base: u64, buses: core::ops::RangeInclusive<u8>) -> Result<MemoryAccess, Error> {
        if buses.is_empty() {
            return Err(Error::Invalid);
        }
        let length = (usize::from(buses.end() - buses.start()) + 1) << 20;
        let space = mmio::map(base, length).map_err(|_| Error::NoMemory)?;
        Ok(MemoryAccess { space, buses })
    }

    fn offset(&self, address: Address, register: u16) -> Option<usize> {
        if register >= self.size() || !self.buses.contains(&address.bus()) {
            return None;
        }
        let first = usize::from(*self.buses.start()) << 20;
        Some((((address.packed() as usize) << 12) - first) | usize::from(register))
    }
}

impl Access for MemoryAccess {
    fn read(&self, address: Address, register: u16) -> u32 {
        match self.offset(address, register & !3) {
            Some(offset) => self.space.read_u32(offset),
            None => u32::MAX,
        }
    }

    fn write(&self, address: Address, register: u16, value: u32) {
        if let Some(offset) = self.offset(address, register & !3) {
            self.space.write_u32(offset, value);
        }
    }

    fn write_half(&self, address: Address, register: u16, value: u16) {
        if let Some(offset) = self.offset(address, register & !1) {
            self.space.write_u16(offset, value);
        }
    }

    fn write_byte(&self, address: Address, register: u16, value: u8) {
        if let Some(offset) = self.offset(address, register) {
            self.space.write_u8(offset, value);
        }
    }

    fn size(&self) -> u16 {
        4096
    }
}

/// One function's configuration space.
#[derive(Clone, Copy)]
pub struct Config<'a> {
    access: &'a dyn Access,
    address: Address,
}

impl<'a> Config<'a> {
    /// The space of the function at `address`, whether or not one is there.
    pub fn new(access: &'a dyn Access, address: Address) -> Config<'a> {
        Config { access, address }
    }

    /// The byte at `register`.
    pub fn byte(self, register: u16) -> u8 {
        (self.access.read(self.address, register) >> (8 * (register & 3))) as u8
    }

    /// The 16 bits at `register`, which must be even.
    pub fn half(self, register: u16) -> u16 {
        (self.access.read(self.address, register) >> (8 * (register & 2))) as u16
    }

    /// The 32 bits at `register`, which must be a multiple of four.
    pub fn word(self, register: u16) -> u32 {
        self.access.read(self.address, register)
    }

    /// Writes the byte at `register`.
    pub fn set_byte(self, register: u16, value: u8) {
        self.access.write_byte(self.address, register, value);
    }

    /// Writes 16 bits at `register`, which must be even.
    pub fn set_half(self, register: u16, value: u16) {
        self.access.write_half(self.address, register, value);
    }

    /// Writes 32 bits at `register`, which must be a multiple of four.
    pub fn set_word(self, register: u16, value: u32) {
        self.access.write(self.address, register, value);
    }
}
