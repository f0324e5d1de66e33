//! A simulated 6300ESB watchdog, with a clock that the tests move.

use machine::host::mmio;
use pci::{Access, Address, Bus};
use std::sync::{Arc, Mutex, MutexGuard};

/// Where its registers are.
const BASE: u32 = 0xf000_0000;

#[derive(Debug, Default)]
pub struct Chip {
    /// How far the magic words have come.
    unlocked: usize,
    pub timers: [u32; 2],
    /// What is left of both, in counts of about a millisecond.
    pub left: u32,
    /// The two registers in configuration space.
    pub config: u16,
    pub lock: u8,
    /// The lock register does not take writes any more.
    pub is_locked: bool,
    pub has_reset: bool,
    /// Every one that came through.
    pub reloads: u32,
    command: u16,
    /// Its base address register.
    place: u32,
}

impl Chip {
    pub fn runs(&self) -> bool {
        self.lock & 2 != 0
    }

    /// Time passes; whether the machine was reset.
    pub fn pass(&mut self, counts: u32) -> bool {
        if self.runs() {
            self.has_reset |= counts > self.left;
            self.left = self.left.saturating_sub(counts);
        }
        self.has_reset
    }

    fn write(&mut self, offset: usize, value: u64) {
        let magic = [(0xc, 0x80), (0xc, 0x86)];
        if self.unlocked < 2 {
            let fits = magic[self.unlocked] == (offset, value);
            self.unlocked = if fits { self.unlocked + 1 } else { 0 };
            return;
        }
        self.unlocked = 0;
        match offset {
            0 | 4 => self.timers[offset / 4] = value as u32 & 0xf_ffff,
            0xc => {
                if value & 0x100 != 0 {
                    self.left = self.timers[0] + self.timers[1];
                    self.reloads += 1;
                }
                self.has_reset &= value & 0x200 == 0;
            }
            _ => {}
        }
    }
}

#[derive(Clone, Default)]
pub struct Model(Arc<Mutex<Chip>>);

impl Model {
    /// On a bus of its own, in this thread's machine.
    pub fn attach() -> (Model, Arc<Bus>) {
        let model = Model::default();
        model.chip().place = BASE;
        mmio::attach(BASE.into(), 16, Arc::new(model.clone()));
        let bus = Bus::enumerate(Box::new(model.clone()), 0..0);
        (model, bus)
    }

    pub fn chip(&self) -> MutexGuard<'_, Chip> {
        self.0.lock().unwrap()
    }
}

impl mmio::Device for Model {
    fn read(&self, offset: usize, _: usize) -> u64 {
        match offset {
            0xc => u64::from(self.chip().has_reset) << 9,
            _ => 0,
        }
    }

    fn write(&self, offset: usize, _: usize, value: u64) {
        self.chip().write(offset, value);
    }
}

impl Access for Model {
    fn read(&self, address: Address, register: u16) -> u32 {
        if (address.bus(), address.device(), address.function()) != (0, 3, 0) {
            return u32::MAX;
        }
        let chip = self.chip();
        match register & !3 {
            0 => 0x25ab_8086,
            4 => u32::from(chip.command),
            8 => 0x0880_0000,
            0x10 => chip.place,
            0x60 => u32::from(chip.config),
            0x68 => u32::from(chip.lock),
            _ => 0,
        }
    }

    fn write(&self, _: Address, register: u16, value: u32) {
        if register == 0x10 {
            self.chip().place = value & !0xf;
        }
    }

    fn write_half(&self, _: Address, register: u16, value: u16) {
        match register {
            4 => self.chip().command = value,
            0x60 => self.chip().config = value,
            _ => {}
        }
    }

    fn write_byte(&self, _: Address, register: u16, value: u8) {
        let mut chip = self.chip();
        if register == 0x68 && !chip.is_locked {
            chip.lock = value;
        }
    }

    fn size(&self) -> u16 {
        256
    }
}
