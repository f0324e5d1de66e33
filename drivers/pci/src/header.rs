//! What a function says about itself in the first 64 bytes of its configuration space (section 6.1).

use crate::{Address, Config};
use bitflags::bitflags;
use core::fmt;

pub(crate) const VENDOR: u16 = 0x00;
pub(crate) const COMMAND: u16 = 0x04;
pub(crate) const STATUS: u16 = 0x06;
const REVISION_AND_CLASS: u16 = 0x08;
const HEADER_TYPE: u16 = 0x0e;
const BUS_NUMBERS: u16 = 0x18;
const SUBSYSTEM: u16 = 0x2c;
const INTERRUPT_LINE: u16 = 0x3c;

/// What a read gives where no function answers.
pub(crate) const NOBODY: u16 = 0xffff;
const MULTIPLE_FUNCTIONS: u8 = 1 << 7;

bitflags! {
    /// The command register (section 6.2.2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Command: u16 {
        /// Answers port accesses.
        const PORTS = 1 << 0;
        /// Answers memory accesses.
        const MEMORY = 1 << 1;
        /// May read and write memory, and so may also send message interrupts.
        const BUS_MASTER = 1 << 2;
        /// Does not pull its interrupt pin.
        const NO_PIN_INTERRUPT = 1 << 10;
        const _ = !0;
    }
}

/// What kind of thing a function is (section 6.2.1 and appendix D).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Base class: 1 storage, 2 network, 3 display, 6 bridge, ...
    pub base: u8,
    /// Class within the base class.
    pub sub: u8,
    /// The register-level programming interface.
    pub interface: u8,
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.base, self.sub, self.interface)
    }
}

/// The part of the header that depends on its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary device.
    Endpoint {
        /// Vendor of the board or virtual device.
        subsystem_vendor: u16,
        /// The board or virtual device.
        subsystem: u16,
    },
    /// A bridge to another PCI bus (PCI-to-PCI Bridge Architecture 1.2, section 3.2).
    Bridge {
        /// The bus behind it; 0 until somebody gave it a number.
        secondary: u8,
        /// The highest bus number behind it.
        subordinate: u8,
    },
    /// CardBus, or a type that the specification does not define.
    Other(u8),
}

/// A function that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it is.
    pub address: Address,
    /// Who made it.
    pub vendor: u16,
    /// Which of the vendor's devices it is.
    pub device: u16,
    /// Its revision.
    pub revision: u8,
    /// What it is.
    pub class: Class,
    /// The rest of its header.
    pub kind: Kind,
    /// The line of the interrupt controller that the firmware noted; 0xff and 0 mean none.
    pub interrupt_line: u8,
    /// The bridge it lies behind; none on a root bus.
    pub parent: Option<Address>,
}

/// Whether the device of the function at `config` has more functions than number 0.
pub(crate) fn has_more_functions(config: Config<'_>) -> bool {
    config.byte(HEADER_TYPE) & MULTIPLE_FUNCTIONS != 0
}

impl Function {
    /// Reads the header at `address`; nothing if no function answers.
    pub(crate) fn read(
        config: Config<'_>,
        address: Address,
        parent: Option<Address>,
    ) -> Option<Function> {
        let identity = config.word(VENDOR);
        let vendor = identity as u16;
        if vendor == NOBODY {
            return None;
        }
        let class = config.word(REVISION_AND_CLASS);
        let kind = match config.byte(HEADER_TYPE) & !MULTIPLE_FUNCTIONS {
            0 => {
                let subsystem = config.word(SUBSYSTEM);
                Kind::Endpoint {
                    subsystem_vendor: subsystem as u16,
                    subsystem: (subsystem >> 16) as u16,
                }
            }
            1 => {
                let numbers = config.word(BUS_NUMBERS).to_le_bytes();
                Kind::Bridge {
                    secondary: numbers[1],
                    subordinate: numbers[2],
                }
            }
            other => Kind::Other(other),
        };
        Some(Function {
            address,
            vendor,
            device: (identity >> 16) as u16,
            revision: class as u8,
            class: Class {
                base: (class >> 24) as u8,
                sub: (class >> 16) as u8,
                interface: (class >> 8) as u8,
            },
            kind,
            interrupt_line: config.byte(INTERRUPT_LINE),
            parent,
        })
    }

    /// How many base address registers a header of this type has.
    pub fn bar_slots(&self) -> u8 {
        match self.kind {
            Kind::Endpoint { .. } => 6,
            Kind::Bridge { .. } => 2,
            Kind::Other(_) => 0,
        }
    }
}
