//! The watchdog of the Intel 6300ESB I/O controller ("6300ESB I/O Controller Hub Datasheet", order number 300641, chapter
//! 16), as QEMU has it (`-device i6300esb`).
//!
//! It counts down twice; after the first time it could interrupt, after the second it resets the machine. Both
//! counters get half of the timeout. A register is written only right after two magic words, so that a program that has
//! gone wild does not feed it.

use crate::Hardware;
use abi::Error;
use alloc::sync::Arc;
use machine::mmio::Mmio;
use machine::sync::Spin;
use pci::{Bus, Device};

const VENDOR: u16 = 0x8086;
const DEVICE: u16 = 0x25ab;

// In configuration space.
const CONFIG: u16 = 0x60;
const LOCK: u16 = 0x68;
/// In `CONFIG`: no interrupt after the first time. The other bits as 0: about 1 kHz, and a reset after the second time.
const NO_INTERRUPT: u16 = 3;
/// In `LOCK`: it runs.
const ENABLE: u8 = 1 << 1;

// In memory.
const FIRST_TIMER: usize = 0x0;
const SECOND_TIMER: usize = 0x4;
const RELOAD: usize = 0xc;
const LENGTH: usize = 0x10;
/// In `RELOAD`: the counters begin again; it was this watchdog that reset the machine (written: that is known now).
const BEGIN_AGAIN: u16 = 1 << 8;
const HAS_RESET: u16 = 1 << 9;
const MAGIC: [u16; 2] = [0x80, 0x86];

/// Of each counter's 20 bits, half a second.
const HALF_A_SECOND: u32 = 1 << 9;
/// As many whole seconds as both counters can hold.
const LONGEST: u32 = 2 * 1023;

/// The hardware, claimed.
pub struct I6300esb {
    device: Device,
    registers: Spin<Mmio>,
    has_reset: bool,
}

impl I6300esb {
    /// Finds one and makes it ready; it does not run. `None`: this machine has none.
    ///
    /// # Errors
    /// [`Error::Busy`] if somebody has claimed it; what keeps its registers from being mapped.
    pub fn find(bus: &Arc<Bus>) -> Option<Result<I6300esb, Error>> {
        let function = bus.made_by(VENDOR).find(|it| it.device == DEVICE)?;
        Some(bus.claim(function.address).and_then(I6300esb::start_with))
    }

    fn start_with(device: Device) -> Result<I6300esb, Error> {
        let registers = device.map(0, 0, LENGTH)?;
        device.config().set_byte(LOCK, 0);
        device.config().set_half(CONFIG, NO_INTERRUPT);
        let has_reset = registers.read_u16(RELOAD) & HAS_RESET != 0;
        let watchdog = I6300esb {
            device,
            registers: Spin::new(registers),
            has_reset,
        };
        watchdog.write_reload(HAS_RESET | BEGIN_AGAIN);
        Ok(watchdog)
    }

    fn write_reload(&self, value: u16) {
        let registers = self.registers.lock();
        unlock(&registers);
        registers.write_u16(RELOAD, value);
    }
}

/// The next write to a register counts.
fn unlock(registers: &Mmio) {
    for word in MAGIC {
        registers.write_u16(RELOAD, word);
    }
}

impl Hardware for I6300esb {
    fn name(&self) -> &'static str {
        "i6300ESB timer"
    }

    fn limits(&self) -> core::ops::RangeInclusive<u32> {
        1..=LONGEST
    }

    fn set_timeout(&self, seconds: u32) {
        let half = seconds.clamp(1, LONGEST) * HALF_A_SECOND;
        let registers = self.registers.lock();
        for timer in [FIRST_TIMER, SECOND_TIMER] {
            unlock(&registers);
            registers.write_u32(timer, half);
        }
        drop(registers);
        self.ping();
    }

    fn start(&self) {
        self.ping();
        self.device.config().set_byte(LOCK, ENABLE);
    }

    fn stop(&self) -> bool {
        self.ping();
        self.device.config().set_byte(LOCK, 0);
        // Firmware may have locked it.
        self.device.config().byte(LOCK) & ENABLE == 0
    }

    fn ping(&self) {
        self.write_reload(BEGIN_AGAIN);
    }

    fn has_reset(&self) -> bool {
        self.has_reset
    }
}
