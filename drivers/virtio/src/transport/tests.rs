//! Both transports over simulated registers, with the simulated device behind them.

use super::mmio::{MmioTransport, Place};
use super::pci::{PciTransport, find};
use super::*;
use crate::console::Console;
use crate::model::Model;
use ::pci::{Access, Address, Bus};
use machine::mmio::{self as registers, Device as Registers};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const STRUCTURES: u64 = 0xfe00_0000;
const TABLE: u64 = 0xfe01_0000;
const MMIO: u64 = 0xd000_0000;
const LINE: u8 = 5;
const VECTORS: u16 = 4;
/// Where the only function is.
const PLACE: Address = match Address::new(0, 1, 0) {
    Some(place) => place,
    None => panic!(),
};

/// A console with two ports.
fn console_model() -> Model {
    let model = Model::new(Kind::CONSOLE, 0b11 | 1 << 29, 6, 64, VECTORS);
    model.set_config(&[80, 0, 25, 0, 2, 0, 0, 0]);
    model
}

/// Writable registers that a driver sets before it acts.
#[derive(Default)]
struct Selected {
    device_features: u64,
    driver_features: u64,
    driver_half: u64,
    queue: u16,
    size: u16,
    vector: u16,
    places: [u64; 3],
    config_vector: u16,
}

impl Selected {
    /// One half of one of the three places.
    fn set_place(&mut self, index: usize, high: bool, value: u64) {
        let shift = if high { 32 } else { 0 };
        let place = &mut self.places[index];
        *place = *place & !(0xffff_ffff << shift) | value << shift;
    }

    fn set_features(&mut self, model: &Model, half: u64) {
        let shift = 32 * self.driver_half;
        self.driver_features = self.driver_features & !(0xffff_ffff << shift) | half << shift;
        if self.driver_half == 1 {
            model.set_driver_features(self.driver_features);
        }
    }
}

fn config_byte(model: &Model, at: usize) -> u64 {
    model.config().get(at).copied().unwrap_or(0).into()
}

/// The structures of the PCI interface: common at 0, notify at 0x1000, ISR at 0x2000, device at 0x3000.
struct PciRegisters(Model, Mutex<Selected>);

impl Registers for PciRegisters {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let (model, selected) = (&self.0, self.1.lock().unwrap());
        match (offset, width) {
            (0x04, 4) => model.device_features() >> (32 * selected.device_features) & 0xffff_ffff,
            (0x10, 2) => selected.config_vector.into(),
            (0x12, 2) => model.queues().into(),
            (0x14, 1) => model.status().into(),
            (0x15, 1) => 0,
            (0x18, 2) => model.queue_limit(selected.queue).into(),
            (0x1a, 2) => selected.vector.into(),
            (0x1e, 2) => selected.queue.into(),
            (0x3000.., 1) => config_byte(model, offset - 0x3000),
            _ => panic!("read of {width} bytes at {offset:#x}"),
        }
    }

    fn write(&self, offset: usize, width: usize, value: u64) {
        let (model, mut selected) = (&self.0, self.1.lock().unwrap());
        match (offset, width) {
            (0x00, 4) => selected.device_features = value,
            (0x08, 4) => selected.driver_half = value,
            (0x0c, 4) => selected.set_features(model, value),
            (0x10, 2) => {
                selected.config_vector = value as u16;
                model.set_config_vector(value as u16).unwrap();
            }
            (0x14, 1) => model.set_status(value as u8),
            (0x16, 2) => selected.queue = value as u16,
            (0x18, 2) => selected.size = value as u16,
            (0x1a, 2) => selected.vector = value as u16,
            (0x20..0x38, 4) => {
                let at = offset - 0x20;
                selected.set_place(at / 8, at % 8 == 4, value);
            }
            (0x1c, 2) => {
                let vector = (selected.vector != 0xffff).then_some(selected.vector);
                model
                    .start_queue(selected.queue, selected.size, selected.places, vector)
                    .unwrap();
            }
            (0x1000..0x2000, 2) => {
                assert_eq!(offset as u64 - 0x1000, 4 * value);
                model.notify(value as u16);
            }
            _ => panic!("write of {width} bytes at {offset:#x}"),
        }
    }
}

/// Plain memory: the MSI-X table.
struct Memory(Mutex<[u8; 0x1000]>);

impl Registers for Memory {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.0.lock().unwrap()[offset..offset + width]);
        u64::from_le_bytes(bytes)
    }
    fn write(&self, offset: usize, width: usize, value: u64) {
        self.0.lock().unwrap()[offset..offset + width]
            .copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

/// One configuration space in which everything but identity and capabilities can be written as far as `masks` say.
#[derive(Clone)]
struct Space(Arc<Mutex<[u8; 256]>>, Arc<BTreeMap<u16, u32>>);

impl Access for Space {
    fn read(&self, address: Address, register: u16) -> u32 {
        if address != PLACE {
            return u32::MAX;
        }
        let at = usize::from(register & !3);
        u32::from_le_bytes(self.0.lock().unwrap()[at..at + 4].try_into().unwrap())
    }
    fn write(&self, address: Address, register: u16, value: u32) {
        let register = register & !3;
        let mask = self.1.get(&register).copied().unwrap_or(0);
        let new = self.read(address, register) & !mask | value & mask;
        let at = usize::from(register);
        self.0.lock().unwrap()[at..at + 4].copy_from_slice(&new.to_le_bytes());
    }
    fn write_half(&self, address: Address, register: u16, value: u16) {
        let old = self.read(address, register);
        let shift = 8 * (register & 2);
        let new = old & !(0xffff << shift) | u32::from(value) << shift;
        self.write(address, register, new);
    }
    fn write_byte(&self, _: Address, _: u16, _: u8) {
        unreachable!("nothing of virtio is written by the byte");
    }
    fn size(&self) -> u16 {
        256
    }
}

/// A vendor capability: type, BAR, offset, length.
type Structure = (u8, u8, u32, u32);

const WELL_MADE: [Structure; 4] = [
    (1, 0, 0x0000, 0x1000),
    (3, 0, 0x2000, 0x1000),
    (4, 0, 0x3000, 0x1000),
    (2, 0, 0x1000, 0x1000),
];

fn space(device: u16, structures: &[Structure]) -> Space {
    let mut bytes = [0; 256];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &0x1af4u16.to_le_bytes());
    put(2, &device.to_le_bytes());
    put(6, &[1 << 4]);
    put(0x10, &(STRUCTURES as u32).to_le_bytes());
    put(0x14, &(TABLE as u32).to_le_bytes());
    put(0x2e, &[3]);
    put(0x34, &[0x40]);
    // MSI-X first, then the structures, 20 bytes each.
    put(0x40, &[0x11, 0x50, VECTORS as u8 - 1, 0, 1, 0, 0, 0]);
    for (index, &(kind, bar, offset, length)) in structures.iter().enumerate() {
        let at = 0x50 + 20 * index;
        let last = index + 1 == structures.len();
        let next = if last { 0 } else { at as u8 + 20 };
        put(at, &[9, next, 20, kind, bar]);
        put(at + 8, &offset.to_le_bytes());
        put(at + 12, &length.to_le_bytes());
        put(at + 16, &4u32.to_le_bytes());
    }
    if structures.is_empty() {
        put(0x41, &[0]);
    }
    let masks = [
        (0x04, 0xffff),
        (0x10, 0xffff_c000),
        (0x14, 0xffff_f000),
        (0x40, 0xc000_0000),
    ];
    Space(Arc::new(Mutex::new(bytes)), Arc::new(masks.into()))
}

fn attach(model: &Model) -> Arc<Memory> {
    let device = PciRegisters(model.clone(), Mutex::default());
    registers::attach(STRUCTURES, 0x4000, Arc::new(device));
    let table = Arc::new(Memory(Mutex::new([0; 0x1000])));
    registers::attach(TABLE, 0x1000, table.clone());
    table
}

fn bus(space: &Space) -> Arc<Bus> {
    Bus::enumerate(Box::new(space.clone()), 0..0)
}

/// The device side of a greeting: port 1 is there.
fn announce(model: &Model) {
    let greeting = model.pop(3).unwrap();
    assert_eq!(greeting.bytes, [0, 0, 0, 0, 0, 0, 1, 0]);
    model.push(3, greeting.head, 0);
    for message in [&[1, 0, 0, 0, 1, 0, 0, 0][..], b"\x01\0\0\0\x07\0\x01\0name"] {
        let chain = model.pop(2).unwrap();
        let written = chain.fill(message);
        model.push(2, chain.head, written);
    }
}

#[test]
fn a_console_runs_over_pci() {
    for device in [0x1043, 0x1003] {
        let model = console_model();
        let table = attach(&model);
        let space = space(device, &WELL_MADE);
        let bus = bus(&space);
        let transport = find(&bus, Kind::CONSOLE).next().unwrap();
        assert!(find(&bus, Kind::CONSOLE).next().is_none(), "it is claimed");
        assert_eq!(transport.vectors(), VECTORS);
        assert_eq!(space.0.lock().unwrap()[4] & 4, 4, "it may reach memory");
        let console = Console::start(Arc::new(transport)).unwrap();
        assert_eq!(model.notified(), [2, 3]);
        announce(&model);
        for vector in model.take_pending() {
            let data = table.read(16 * usize::from(vector) + 8, 4);
            irq::send(data as u32);
        }
        assert_eq!(console.port("name").unwrap().id(), 1);
        drop(console);
        assert!(!model.is_running());
        assert_eq!(space.0.lock().unwrap()[4] & 4, 0);
        assert!(
            find(&bus, Kind::CONSOLE).next().is_some(),
            "it is free again"
        );
    }
}

#[test]
fn a_console_runs_over_mmio() {
    let model = console_model();
    registers::attach(
        MMIO,
        0x200,
        Arc::new(MmioRegisters(model.clone(), Mutex::default())),
    );
    let place = |size, line| Place {
        address: MMIO,
        size,
        line,
    };
    assert_eq!(
        MmioTransport::new(place(0x80, LINE)).err(),
        Some(Error::Range)
    );
    let transport = MmioTransport::new(place(0x200, 40)).unwrap();
    assert_eq!(transport.vectors(), 0);
    drop(transport);
    let transport = MmioTransport::new(place(0x200, LINE)).unwrap();
    let console = Console::start(Arc::new(transport)).unwrap();
    assert_eq!(model.notified(), [2, 3]);
    announce(&model);
    irq::raise(LINE);
    assert_eq!(console.port("name").unwrap().id(), 1);
    drop(console);
    assert!(!model.is_running());
}

/// The registers of the MMIO interface.
struct MmioRegisters(Model, Mutex<Selected>);

impl Registers for MmioRegisters {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let (model, selected) = (&self.0, self.1.lock().unwrap());
        match (offset, width) {
            (0x000, 4) => 0x7472_6976,
            (0x004, 4) => 2,
            (0x008, 4) => Kind::CONSOLE.0.into(),
            (0x010, 4) => model.device_features() >> (32 * selected.device_features) & 0xffff_ffff,
            (0x034, 4) => model.queue_limit(selected.queue).into(),
            (0x060, 4) => 1,
            (0x070, 4) => model.status().into(),
            (0x0fc, 4) => 0,
            (0x100.., 1) => config_byte(model, offset - 0x100),
            _ => panic!("read of {width} bytes at {offset:#x}"),
        }
    }

    fn write(&self, offset: usize, width: usize, value: u64) {
        let (model, mut selected) = (&self.0, self.1.lock().unwrap());
        assert_eq!(width, 4);
        match offset {
            0x014 => selected.device_features = value,
            0x020 => selected.set_features(model, value),
            0x024 => selected.driver_half = value,
            0x030 => selected.queue = value as u16,
            0x038 => selected.size = value as u16,
            0x044 => model
                .start_queue(selected.queue, selected.size, selected.places, Some(0))
                .unwrap(),
            0x050 => model.notify(value as u16),
            0x064 => assert_eq!(value, 1),
            0x070 => model.set_status(value as u8),
            0x080 | 0x090 | 0x0a0 => selected.set_place((offset - 0x80) / 16, false, value),
            0x084 | 0x094 | 0x0a4 => selected.set_place((offset - 0x84) / 16, true, value),
            _ => panic!("write at {offset:#x}"),
        }
    }
}

#[test]
fn structures_that_do_not_fit_are_refused() {
    let model = console_model();
    attach(&model);
    let refused = |structures: &[Structure]| {
        let bus = bus(&space(0x1043, structures));
        let device = bus.claim(PLACE).unwrap();
        PciTransport::new(device).err()
    };
    let [common, isr, device, notify] = WELL_MADE;
    assert_eq!(refused(&[common, isr, device, notify]), None);
    assert_eq!(refused(&[common, notify]), None);
    assert_eq!(refused(&[]), Some(Error::Unsupported), "a legacy device");
    assert_eq!(refused(&[common, isr, device]), Some(Error::Unsupported));
    assert_eq!(
        refused(&[(1, 0, 0, 0x37), notify]),
        Some(Error::Io),
        "common too short"
    );
    assert_eq!(
        refused(&[(1, 0, 2, 0x1000), notify]),
        Some(Error::Io),
        "common not aligned"
    );
    assert_eq!(
        refused(&[(1, 0, 0x3fe0, 0x1000), notify]),
        Some(Error::Range),
        "common beyond its register"
    );
    assert_eq!(
        refused(&[(1, 5, 0, 0x1000), notify]),
        Some(Error::Unsupported),
        "no such register"
    );
    assert_eq!(
        refused(&[common, (2, 0, 0x1000, 8)]),
        Some(Error::Range),
        "too few places for notifications"
    );
    // The first that is in memory counts, whatever stands before and behind it.
    let (odd, late) = ((1, 4, 0, 0x1000), (2, 0, 0, 4));
    assert_eq!(refused(&[odd, common, notify, late]), None);
}

proptest! {
    #[test]
    fn no_capability_hurts(
        structures in proptest::collection::vec(
            (0u8..6, 0u8..8, prop_oneof![0u32..0x5000, any::<u32>()], prop_oneof![0u32..0x5000, any::<u32>()]),
            0..8,
        )
    ) {
        // Wherever the structures lie, the registers behind them are plain memory.
        let memory = Arc::new(Memory(Mutex::new([0; 0x1000])));
        for page in 0..4 {
            registers::attach(STRUCTURES + 0x1000 * page, 0x1000, memory.clone());
        }
        registers::attach(TABLE, 0x1000, memory);
        let bus = bus(&space(0x1043, &structures));
        let device = bus.claim(PLACE).unwrap();
        if let Ok(transport) = PciTransport::new(device) {
            let _ = Console::start(Arc::new(transport)).map(|console| console.poll());
        }
    }
}
