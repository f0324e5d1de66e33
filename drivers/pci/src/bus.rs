//! Enumeration, and who holds which function.
//!
//! The one idea: buses are visited once each, whatever numbers the bridges claim, so a bridge that points back at its
//! own bus ends nothing but its own branch.

use crate::access::{Access, Config, PortAccess};
use crate::bar::{self, Bar};
use crate::header::{Class, Function, Kind, has_more_functions};
use crate::{Address, Device, Window};
use abi::Error;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use machine::sync::Spin;

/// More functions than this are not looked at: no machine has them, but a broken bridge could pretend so.
const MOST_FUNCTIONS: usize = 1024;

/// Bridge registers (PCI-to-PCI Bridge Architecture 1.2, section 3.2.5): memory windows in units of 1 MiB.
const MEMORY_WINDOW: u16 = 0x20;
const PREFETCHABLE_WINDOW: u16 = 0x24;
const PREFETCHABLE_UPPER_BASE: u16 = 0x28;
const PREFETCHABLE_UPPER_LIMIT: u16 = 0x2c;
/// Low bits of a prefetchable window register: 1 means that the upper halves exist.
const WINDOW_64: u32 = 1;

/// The ranges that a claimed function answers.
type Bars = [Option<Bar>; 6];

/// All functions that answered, and which of them are claimed.
pub struct Bus {
    access: Box<dyn Access>,
    functions: Vec<Function>,
    held: Spin<Vec<(Address, Bars)>>,
    window: Range<u64>,
}

impl Bus {
    /// Visits bus 0 and every bus behind a bridge that has a number.
    ///
    /// `window` is address space below 4 GiB on bus 0 where memory registers may be placed if the firmware did not place
    /// them. Costs one read for each place where a device might be, and five for each function: under a millisecond.
    pub fn enumerate(access: Box<dyn Access>, window: Range<u64>) -> Arc<Bus> {
        let mut functions = Vec::new();
        let mut visited = [false; 256];
        let mut waiting = Vec::from([(0u8, None)]);
        while let Some((bus, parent)) = waiting.pop() {
            if core::mem::replace(&mut visited[usize::from(bus)], true) {
                continue;
            }
            let first = functions.len();
            enumerate_bus(&*access, bus, parent, &mut functions);
            for function in functions.get(first..).unwrap_or_default() {
                if let Kind::Bridge { secondary, .. } = function.kind
                    && secondary > bus
                {
                    waiting.push((secondary, Some(function.address)));
                }
            }
        }
        functions.sort_by_key(|function: &Function| function.address);
        Arc::new(Bus {
            access,
            functions,
            held: Spin::new(Vec::new()),
            window,
        })
    }

    /// Every function that answered, in the order of addresses.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The functions that `vendor` made.
    pub fn made_by(&self, vendor: u16) -> impl Iterator<Item = &Function> {
        self.functions
            .iter()
            .filter(move |function| function.vendor == vendor)
    }

    /// The functions of class `base` and `sub`.
    pub fn of_class(&self, base: u8, sub: u8) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |function| {
            let Class {
                base: its_base,
                sub: its_sub,
                ..
            } = function.class;
            (its_base, its_sub) == (base, sub)
        })
    }

    /// Claims the function at `address`: its capabilities are read and its memory registers decoded, placed and enabled.
    ///
    /// [`Error::NoDevice`] if none answered there, [`Error::Busy`] if somebody holds it, [`Error::Io`] if its capability
    /// list is broken, [`Error::NoSpace`] if a register needs a place and there is none.
    pub fn claim(self: &Arc<Self>, address: Address) -> Result<Device, Error> {
        let function = self
            .functions
            .iter()
            .find(|function| function.address == address)
            .ok_or(Error::NoDevice)?;
        Device::claim(self.clone(), function.clone())
    }

    /// The configuration space of `address`.
    pub(crate) fn config(&self, address: Address) -> Config<'_> {
        Config::new(&*self.access, address)
    }

    /// Marks the function as held and decodes its registers, giving a place to those that have none.
    pub(crate) fn hold(&self, function: &Function) -> Result<Bars, Error> {
        let mut held = self.held.lock();
        if held.iter().any(|(address, _)| *address == function.address) {
            return Err(Error::Busy);
        }
        let config = self.config(function.address);
        let mut bars = bar::decode(config, function.bar_slots());
        let mut window = None;
        for (slot, bar) in (0u8..).zip(bars.iter_mut()) {
            if let Some(Bar::Memory {
                address: address @ 0,
                size,
                wide,
                ..
            }) = bar
            {
                let window = window.get_or_insert_with(|| self.free_window(function, &held));
                *address = window.allocate(*size).ok_or(Error::NoSpace)?;
                bar::place(config, slot, *address, *wide);
            }
        }
        held.push((function.address, bars));
        Ok(bars)
    }

    /// Ends what [`Bus::hold`] began.
    pub(crate) fn release(&self, address: Address) {
        self.held.lock().retain(|(held, _)| *held != address);
    }

    /// The free address space on the bus of `function`: what its bridge passes on (or the window of bus 0) without
    /// everything that has a place already.
    fn free_window(&self, function: &Function, held: &[(Address, Bars)]) -> Window {
        let mut window = Window::new(match function.parent {
            None => self.window.clone(),
            Some(bridge) => memory_window(self.config(bridge)),
        });
        for other in &self.functions {
            let known = held.iter().find(|(address, _)| *address == other.address);
            let bars = match known {
                Some((_, bars)) => *bars,
                None => bar::decode(self.config(other.address), other.bar_slots()),
            };
            for bar in bars.into_iter().flatten() {
                if let Bar::Memory { address, size, .. } = bar {
                    window.reserve(address..address.saturating_add(size));
                }
            }
            if let Kind::Bridge { .. } = other.kind
                && Some(other.address) != function.parent
            {
                let config = self.config(other.address);
                window.reserve(memory_window(config));
                window.reserve(prefetchable_window(config));
            }
        }
        window
    }
}

fn enumerate_bus(
    access: &dyn Access,
    bus: u8,
    parent: Option<Address>,
    functions: &mut Vec<Function>,
) {
    for device in 0..Address::DEVICES {
        let mut last = 0;
        for number in 0..Address::FUNCTIONS {
            let Some(address) = Address::new(bus, device, number) else {
                continue;
            };
            if number > last || functions.len() >= MOST_FUNCTIONS {
                break;
            }
            let config = Config::new(access, address);
            let Some(function) = Function::read(config, address, parent) else {
                continue;
            };
            if number == 0 && has_more_functions(config) {
                last = Address::FUNCTIONS - 1;
            }
            functions.push(function);
        }
    }
}

/// The range that a bridge passes on; empty if it passes nothing.
fn memory_window(bridge: Config<'_>) -> Range<u64> {
    let (base, limit) = window_register(bridge.word(MEMORY_WINDOW));
    window_range(base, limit)
}

/// The prefetchable range that a bridge passes on; empty if it passes nothing.
fn prefetchable_window(bridge: Config<'_>) -> Range<u64> {
    let value = bridge.word(PREFETCHABLE_WINDOW);
    let (mut base, mut limit) = window_register(value);
    if value & WINDOW_64 != 0 {
        base |= u64::from(bridge.word(PREFETCHABLE_UPPER_BASE)) << 32;
        limit |= u64::from(bridge.word(PREFETCHABLE_UPPER_LIMIT)) << 32;
    }
    window_range(base, limit)
}

/// Base and limit of a window register: the first address, and the first address of the last MiB.
fn window_register(value: u32) -> (u64, u64) {
    (
        u64::from(value & 0xfff0) << 16,
        u64::from(value & 0xfff0_0000),
    )
}

fn window_range(base: u64, limit: u64) -> Range<u64> {
    if base == 0 || base > limit {
        return 0..0;
    }
    base..limit.saturating_add(1 << 20)
}

/// Where nothing but PCI registers lies on a PC, below the I/O APIC: QEMU's machines, Cloud Hypervisor and real chipsets
/// keep their memory and their configuration space below.
const HOLE: Range<u64> = 0xf000_0000..0xfec0_0000;

/// Enumerates this computer's PCI bus through the ports. [`Error::NoDevice`] if it has none.
///
/// `occupied` are ranges of physical memory that the boot loader's map describes (of whatever kind): registers without
/// a place are put into the hole below the I/O APIC, above all of these.
pub fn scan(occupied: impl Iterator<Item = Range<u64>>) -> Result<Arc<Bus>, Error> {
    let access = PortAccess::new()?;
    let start = occupied
        .filter(|range| range.start < HOLE.end && range.end > HOLE.start)
        .map(|range| range.end)
        .fold(HOLE.start, u64::max);
    let bus = Bus::enumerate(Box::new(access), start..HOLE.end);
    if bus.functions().is_empty() {
        return Err(Error::NoDevice);
    }
    Ok(bus)
}
