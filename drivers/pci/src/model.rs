//! A simulated bus for the tests: configuration spaces as bytes, each with a mask of the bits that a write changes.
//!
//! The one idea: a well-made function is built with a few calls; a badly made one is any bytes with any mask.

use crate::Address;
use crate::access::Access;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
pub struct Space {
    pub bytes: [u8; 256],
    pub writable: [u8; 256],
}

impl Space {
    /// A function with this vendor and device whose command register can be written.
    pub fn new(vendor: u16, device: u16) -> Space {
        let mut space = Space {
            bytes: [0; 256],
            writable: [0; 256],
        };
        space.half(0, vendor).half(2, device);
        space.writable[4] = 0xff;
        space.writable[5] = 0xff;
        space
    }

    pub fn half(&mut self, register: usize, value: u16) -> &mut Space {
        self.bytes[register..register + 2].copy_from_slice(&value.to_le_bytes());
        self
    }

    pub fn word(&mut self, register: usize, value: u32) -> &mut Space {
        self.bytes[register..register + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    pub fn writable(&mut self, register: usize, mask: u32) -> &mut Space {
        self.writable[register..register + 4].copy_from_slice(&mask.to_le_bytes());
        self
    }

    /// A base address register: its value, and the bits that can be written.
    pub fn bar(&mut self, slot: usize, value: u32, mask: u32) -> &mut Space {
        self.word(0x10 + 4 * slot, value)
            .writable(0x10 + 4 * slot, mask)
    }

    /// Says that there is a capability list, and that it begins at `first`.
    pub fn list(&mut self, first: u8) -> &mut Space {
        self.bytes[6] |= 1 << 4;
        self.bytes[0x34] = first;
        self
    }

    /// A capability's first two bytes.
    pub fn capability(&mut self, at: usize, id: u8, next: u8) -> &mut Space {
        self.bytes[at] = id;
        self.bytes[at + 1] = next;
        self
    }

    /// Makes it a bridge between two buses.
    pub fn bridge(&mut self, secondary: u8, subordinate: u8) -> &mut Space {
        self.bytes[0x0e] |= 1;
        self.word(0x08, 0x0604_0000);
        self.bytes[0x19] = secondary;
        self.bytes[0x1a] = subordinate;
        self
    }
}

/// All functions, shared with the test that looks at them afterwards.
#[derive(Clone, Default)]
pub struct Model(pub Arc<Mutex<BTreeMap<Address, Space>>>);

impl Model {
    pub fn add(&self, bus: u8, device: u8, function: u8, space: &Space) {
        let address = Address::new(bus, device, function).unwrap();
        self.0.lock().unwrap().insert(address, space.clone());
    }

    pub fn half(&self, address: Address, register: u16) -> u16 {
        (self.read(address, register) >> (8 * (register & 2))) as u16
    }

    fn store(&self, address: Address, register: usize, value: &[u8]) {
        if let Some(space) = self.0.lock().unwrap().get_mut(&address) {
            for (at, &new) in (register..256).zip(value) {
                let mask = space.writable[at];
                space.bytes[at] = space.bytes[at] & !mask | new & mask;
            }
        }
    }
}

impl Access for Model {
    fn read(&self, address: Address, register: u16) -> u32 {
        let at = usize::from(register & !3);
        match self.0.lock().unwrap().get(&address) {
            Some(space) if at < 256 => {
                u32::from_le_bytes(space.bytes[at..at + 4].try_into().unwrap())
            }
            _ => u32::MAX,
        }
    }

    fn write(&self, address: Address, register: u16, value: u32) {
        self.store(address, usize::from(register & !3), &value.to_le_bytes());
    }

    fn write_half(&self, address: Address, register: u16, value: u16) {
        self.store(address, usize::from(register & !1), &value.to_le_bytes());
    }

    fn write_byte(&self, address: Address, register: u16, value: u8) {
        self.store(address, usize::from(register), &[value]);
    }

    fn size(&self) -> u16 {
        256
    }
}
