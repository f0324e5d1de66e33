//! Hardware watchdogs: what starts the machine again if nobody says in time that all is well.
//!
//! - [`i6300esb`]: the watchdog of the Intel 6300ESB, which QEMU offers
//! - [`Watchdog`]: what programs and the kernel's own watch do with one, whatever it is
//! - `file`: it as a device file; `object`: its verbs for native programs
//!
//! The one idea: a watchdog has at most one user at a time and, if the command line says so, the kernel as well. Then it
//! is the kernel that feeds it, as long as both are content.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod dog;
mod file;
pub mod i6300esb;
#[cfg(test)]
mod model;
mod object;
#[cfg(test)]
mod tests;

pub use dog::{Status, Watchdog};
pub use file::{DeviceFile, Opened};
pub use i6300esb::I6300esb;

/// One kind of hardware. Times are in seconds.
pub trait Hardware: Send + Sync {
    /// What it calls itself: 31 bytes at most.
    fn name(&self) -> &'static str;

    /// The shortest and the longest timeout.
    fn limits(&self) -> core::ops::RangeInclusive<u32>;

    /// From now on it waits so long for a [`Hardware::ping`].
    fn set_timeout(&self, seconds: u32);

    /// Begins to wait.
    fn start(&self);

    /// Does not wait any more. `false`: it cannot be stopped.
    fn stop(&self) -> bool;

    /// All is well: it waits from the beginning.
    fn ping(&self);

    /// Whether it was this watchdog that started the machine the last time.
    fn has_reset(&self) -> bool;
}
