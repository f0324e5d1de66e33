//! The machine under Helve, and the only crate with `unsafe`.
//!
//! Two back ends offer the same modules: *bare* drives an x86-64 computer (chosen by
//! `target_os = "none"`), *host* simulates one with std, so that everything above this crate runs
//! under `cargo test`. Whatever both need word for word stands beside them.
//!
//! The one idea: the kernel runs with interrupts off and user mode is a function that returns.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

#[cfg(target_os = "none")]
mod bare;
#[cfg(not(target_os = "none"))]
pub mod host;

#[cfg(any(target_os = "none", test))]
mod buddy;
pub mod date;
mod features;
#[cfg_attr(
    not(any(target_os = "none", test)),
    expect(dead_code, reason = "a simulated machine has no firmware")
)]
mod firmware;
mod interrupts;
mod memory;
#[cfg(any(target_os = "none", test))]
mod storm;
pub mod sync;
pub mod topology;
mod trap;
pub mod vdso;

#[cfg(target_os = "none")]
pub use bare::{
    boot, clock_page, cpu, dma, frame, heap, irq, mmio, node, paging, panic, port, power, random,
    rtc, selftest, serial, snapshot, start, time, user,
};
#[cfg(not(target_os = "none"))]
pub use host::{
    boot, clock_page, dma, frame, heap, irq, mmio, node, paging, panic, port, power, random, rtc,
    serial, snapshot, start, time, user,
};
pub use memory::{PAGE, USER_END};

/// Simulated CPUs, and what the real one can do.
#[cfg(not(target_os = "none"))]
pub mod cpu {
    pub use crate::features::{Features, brand, features};
    pub use crate::host::cpu::*;
}

/// On the host there is no machine to check.
#[cfg(not(target_os = "none"))]
pub mod selftest {
    use core::sync::atomic::AtomicBool;

    /// Does nothing.
    pub fn run() {}

    /// Does nothing.
    pub fn storm(_over: &'static AtomicBool) {}
}
