//! Where a function is: bus, device, function (the "geographical" address of section 3.2.2.3).

use core::fmt;

/// A function's address on the first segment group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// Devices on one bus.
    pub const DEVICES: u8 = 32;
    /// Functions of one device.
    pub const FUNCTIONS: u8 = 8;

    /// The address, or nothing when `device` is not below 32 or `function` not below 8.
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Address> {
        if device >= Self::DEVICES || function >= Self::FUNCTIONS {
            return None;
        }
        Some(Address {
            bus,
            device,
            function,
        })
    }

    /// The bus number.
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device number, below 32.
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function number, below 8.
    pub const fn function(self) -> u8 {
        self.function
    }

    /// Bits 8 to 23 of the configuration address port, and bits 12 to 27 of the memory-mapped way: bus, device, function.
    pub(crate) const fn packed(self) -> u32 {
        (self.bus as u32) << 8 | (self.device as u32) << 3 | self.function as u32
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
