//! The linked list of capabilities (section 6.7).
//!
//! The one idea: the list lives in the device, so it may loop, point into the header or never end. It has room for 48
//! entries at most; a list that visits the same place twice is refused as a whole.

use crate::Config;
use crate::header::STATUS;
use abi::Error;
use alloc::vec::Vec;

/// Status bit: there is a capability list.
const HAS_LIST: u16 = 1 << 4;
const POINTER: u16 = 0x34;
/// Where the header ends and capabilities may begin.
const FIRST: u8 = 0x40;

/// Capability identifiers (appendix H).
pub mod id {
    /// Message signalled interrupts.
    pub const MSI: u8 = 0x05;
    /// Whatever the vendor says it is; virtio uses it.
    pub const VENDOR: u8 = 0x09;
    /// PCI Express.
    pub const EXPRESS: u8 = 0x10;
    /// Message signalled interrupts, table in a BAR.
    pub const MSI_X: u8 = 0x11;
}

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is: see [`id`].
    pub id: u8,
    /// Where it begins in configuration space: a multiple of four, at least 0x40.
    pub offset: u16,
}

/// The capabilities in the order of the list; [`Error::Io`] if the list loops or points into the header.
pub fn list(config: Config<'_>) -> Result<Vec<Capability>, Error> {
    let mut found = Vec::new();
    if config.half(STATUS) & HAS_LIST == 0 {
        return Ok(found);
    }
    // One bit for each of the 64 aligned places.
    let mut visited = 0u64;
    let mut next = config.byte(POINTER) & !3;
    while next != 0 {
        let bit = 1u64 << (next / 4);
        if next < FIRST || visited & bit != 0 {
            return Err(Error::Io);
        }
        visited |= bit;
        let header = config.half(next.into());
        found.push(Capability {
            id: header as u8,
            offset: next.into(),
        });
        next = (header >> 8) as u8 & !3;
    }
    Ok(found)
}
