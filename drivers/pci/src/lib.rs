//! The PCI bus: find functions, claim one, map what it offers, let it interrupt.
//!
//! The one idea: whatever a configuration space says is an allegation by a device. It is read through [`Access`], every
//! number is checked before it is used, and only a driver that holds the [`Device`] guard lets the function reach memory.
//!
//! - [`address`]: bus, device, function.
//! - [`access`]: the two ways to configuration space, and typed reads of it.
//! - [`header`]: what every function says about itself.
//! - [`capability`]: the linked list of capabilities.
//! - [`bar`]: base address registers, decoded and sized.
//! - [`window`]: address space for registers that the firmware left without.
//! - [`bus`]: enumeration, and who holds which function.
//! - [`device`]: a claimed function.
//! - [`interrupt`]: MSI-X, and MSI where there is no MSI-X.
//!
//! Sections in comments are those of the PCI Local Bus Specification 3.0 unless they say otherwise. The types of the
//! crate `pci_types` are not used: its access trait cannot be implemented under this crate's rules, and its BAR decoder
//! panics on a reserved type.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
pub mod address;
pub mod bar;
pub mod bus;
pub mod capability;
pub mod device;
pub mod header;
pub mod interrupt;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
pub mod window;

pub use access::{Access, Config, MemoryAccess, PortAccess};
pub use address::Address;
pub use bar::Bar;
pub use bus::{Bus, scan};
pub use capability::Capability;
pub use device::Device;
pub use header::{Class, Function};
pub use window::Window;
