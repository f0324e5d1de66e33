//! How a device is reached.
//!
//! The one idea: a transport is registers and interrupts, nothing more. It is shared by the queues and the driver of one
//! device; every method may be called from any CPU.

pub mod mmio;
pub mod pci;
#[cfg(test)]
mod tests;

use abi::Error;
use machine::irq;

/// What a device is (section 5). Only those that somebody asks for have a name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u32);

impl Kind {
    /// Network card.
    pub const NET: Kind = Kind(1);
    /// Disk.
    pub const BLOCK: Kind = Kind(2);
    /// Console.
    pub const CONSOLE: Kind = Kind(3);
    /// Entropy source.
    pub const ENTROPY: Kind = Kind(4);
}

/// The registers and interrupts of one device.
pub trait Transport: Send + Sync {
    /// What the device is.
    fn kind(&self) -> Kind;
    /// The device status field.
    fn status(&self) -> u8;
    /// Writes the device status field; 0 resets the device.
    fn set_status(&self, status: u8);
    /// The features that the device offers.
    fn device_features(&self) -> u64;
    /// The features that the driver takes.
    fn set_driver_features(&self, features: u64);
    /// How many entries queue `queue` can have; 0 if there is no such queue.
    fn queue_limit(&self, queue: u16) -> u16;
    /// Tells the device where queue `queue` of `size` entries lies (descriptor table, available ring, used ring), which
    /// interrupt vector it uses, and that it may be used. [`Error::Io`] if the device does not take the vector.
    fn start_queue(
        &self,
        queue: u16,
        size: u16,
        places: [u64; 3],
        vector: Option<u16>,
    ) -> Result<(), Error>;
    /// Tells the device that `queue` has new chains.
    fn notify(&self, queue: u16);
    /// Copies `into.len()` bytes at `offset` of the device's own configuration; all zeros where it has none.
    fn read_config(&self, offset: usize, into: &mut [u8]);
    /// Changes whenever the device's own configuration does (section 2.5.1).
    fn config_generation(&self) -> u32;
    /// How many interrupt vectors the device has; 0 if it must be polled.
    fn vectors(&self) -> u16;
    /// Calls `handler` whenever the device interrupts through `vector`. `name` says whose interrupt it is.
    fn connect(&self, vector: u16, name: &'static str, handler: irq::Handler) -> Result<(), Error>;
    /// Tells the device which vector announces changes of its configuration.
    fn set_config_vector(&self, vector: u16) -> Result<(), Error>;
}

/// How often a reset is looked for: far longer than any device takes.
const RESET_POLLS: u32 = 1_000_000;

/// Resets the device and waits until it says that it did. False if it never does.
pub fn reset(transport: &dyn Transport) -> bool {
    transport.set_status(0);
    (0..RESET_POLLS).any(|_| {
        core::hint::spin_loop();
        transport.status() == 0
    })
}

/// Reads something that spans several registers of the device's configuration, consistently.
pub fn read_config_stable(transport: &dyn Transport, offset: usize, into: &mut [u8]) {
    /// A device that changes its configuration all the time gets what it deserves.
    const TRIES: u32 = 16;
    for _ in 0..TRIES {
        let before = transport.config_generation();
        transport.read_config(offset, into);
        if transport.config_generation() == before {
            return;
        }
    }
}
