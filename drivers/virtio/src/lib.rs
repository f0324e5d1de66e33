//! Virtio: queues, transports, and the console device.
//!
//! The one idea: the device is outside. Nothing that it writes is believed before it is checked, the driver's own record
//! of what is in flight is the only one, and a device that lies is stopped, not followed.
//!
//! - [`ring`]: the memory of one split virtqueue.
//! - [`queue`]: buffers to the device and back.
//! - [`transport`]: how a device is reached: [`transport::pci`], [`transport::mmio`].
//! - [`device`]: reset, features, start.
//! - [`console`]: byte streams with names between guest and host.
//!
//! Sections in comments are those of the Virtual I/O Device (VIRTIO) specification, version 1.2.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod console;
pub mod device;
#[cfg(test)]
mod model;
pub mod queue;
pub mod ring;
pub mod transport;

pub use device::{Device, Features};
pub use queue::{Chain, Queue, Segment};
pub use transport::{Kind, Transport};
