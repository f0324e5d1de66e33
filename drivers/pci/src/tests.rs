//! The bus as a whole, over the simulated one: what is found, what is refused, and that nothing a device says hurts.

use crate::access::{Access, Config};
use crate::bar::Bar;
use crate::capability::{self, Capability};
use crate::header::{Command, Kind};
use crate::model::{Model, Space};
use crate::{Address, Bus, PortAccess};
use abi::Error;
use machine::irq;
use machine::mmio::{self, Device as Registers};
use machine::port;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const COMMAND: u16 = 4;

fn at(bus: u8, device: u8, function: u8) -> Address {
    Address::new(bus, device, function).unwrap()
}

fn enumerate(model: &Model) -> Arc<Bus> {
    Bus::enumerate(Box::new(model.clone()), 0xf000_0000..0xf010_0000)
}

/// Registers in plain memory.
struct Memory(Mutex<Vec<u8>>);

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

fn memory_at(physical: u64, len: usize) -> Arc<Memory> {
    let memory = Arc::new(Memory(Mutex::new(vec![0; len])));
    mmio::attach(physical, len, memory.clone());
    memory
}

#[test]
fn bridges_are_followed_and_functions_counted() {
    let model = Model::default();
    model.add(0, 0, 0, &Space::new(0x8086, 0x29c0));
    let mut many = Space::new(0x8086, 0x2918);
    many.bytes[0x0e] = 0x80;
    model.add(0, 31, 0, &many);
    model.add(0, 31, 2, &Space::new(0x8086, 0x2922));
    // Function 1 of a device that says it has only one is not looked at.
    model.add(0, 1, 0, &Space::new(1, 1));
    model.add(0, 1, 1, &Space::new(1, 2));
    model.add(0, 2, 0, Space::new(0x1b36, 0xc).bridge(1, 2));
    model.add(1, 0, 0, Space::new(0x1b36, 0xc).bridge(2, 2));
    model.add(2, 0, 0, &Space::new(0x1af4, 0x1043));
    // Bridges that lead back, to themselves or nowhere.
    model.add(2, 1, 0, Space::new(9, 9).bridge(0, 255));
    model.add(2, 2, 0, Space::new(9, 9).bridge(2, 255));
    let bus = enumerate(&model);
    let found: Vec<_> = bus
        .functions()
        .iter()
        .map(|function| (function.address, function.parent))
        .collect();
    let below = |address| Some(address);
    assert_eq!(
        found,
        [
            (at(0, 0, 0), None),
            (at(0, 1, 0), None),
            (at(0, 2, 0), None),
            (at(0, 31, 0), None),
            (at(0, 31, 2), None),
            (at(1, 0, 0), below(at(0, 2, 0))),
            (at(2, 0, 0), below(at(1, 0, 0))),
            (at(2, 1, 0), below(at(1, 0, 0))),
            (at(2, 2, 0), below(at(1, 0, 0))),
        ]
    );
    assert_eq!(
        bus.made_by(0x1af4).next().unwrap().address.to_string(),
        "02:00.0"
    );
    assert_eq!(bus.of_class(6, 4).count(), 4);
}

#[test]
fn registers_are_decoded_and_the_missing_placed() {
    let model = Model::default();
    let mut space = Space::new(0x1af4, 0x1043);
    space
        .bar(0, 0xc001, 0xffff_ffc0)
        .bar(1, 0xfebd_1000, 0xffff_f000)
        .bar(2, 0, 0xffff_0000)
        .bar(4, 0xc, 0xffff_c000)
        .bar(5, 0, 0xffff_ffff);
    model.add(0, 3, 0, &space);
    // Somebody sits at the beginning of the window already.
    model.add(0, 4, 0, Space::new(1, 1).bar(0, 0xf000_0000, 0xffff_0000));
    let bus = enumerate(&model);
    let device = bus.claim(at(0, 3, 0)).unwrap();
    assert_eq!(
        device.bar(0),
        Some(Bar::Ports {
            base: 0xc000,
            size: 64
        })
    );
    assert_eq!(
        device.bar(1),
        Some(Bar::Memory {
            address: 0xfebd_1000,
            size: 0x1000,
            prefetchable: false,
            wide: false
        })
    );
    assert_eq!(
        device.bar(2),
        Some(Bar::Memory {
            address: 0xf001_0000,
            size: 0x10000,
            prefetchable: false,
            wide: false
        })
    );
    assert_eq!(device.bar(3), None);
    assert_eq!(
        device.bar(4),
        Some(Bar::Memory {
            address: 0xf002_0000,
            size: 0x4000,
            prefetchable: true,
            wide: true
        })
    );
    assert_eq!((device.bar(5), device.bar(6)), (None, None));
    assert_eq!(device.config().word(0x18), 0xf001_0000);
    assert_eq!(device.config().word(0x20), 0xf002_000c);
    // Somebody else's register is as it was.
    assert_eq!(model.read(at(0, 4, 0), 0x10), 0xf000_0000);

    memory_at(0xf002_0000, 0x4000);
    assert!(device.map(4, 0x3000, 0x1000).is_ok());
    for (offset, length) in [(0x3000, 0x1001), (u64::MAX, 1), (0, 0)] {
        assert_eq!(device.map(4, offset, length).err(), Some(Error::Range));
    }
    assert_eq!(device.map(0, 0, 4).err(), Some(Error::NoDevice));
    assert!(device.ports(0).is_ok());
    assert_eq!(device.ports(1).err(), Some(Error::NoDevice));
}

#[test]
fn implausible_registers_are_left_out() {
    let model = Model::default();
    let mut space = Space::new(1, 1);
    space
        // A mask with a hole, two reserved types, and 64 bits where there is no second register.
        .bar(0, 0xfebd_0000, 0xfff0_f000)
        .bar(1, 0xfebd_0002, 0xffff_f000)
        .bar(2, 0xfebd_0006, 0xffff_f000)
        .bar(5, 0xfebd_0004, 0xffff_f000);
    model.add(0, 3, 0, &space);
    let device = enumerate(&model).claim(at(0, 3, 0)).unwrap();
    assert!((0..6).all(|slot| device.bar(slot).is_none()));
}

#[test]
fn a_register_behind_a_bridge_is_placed_in_its_window() {
    let model = Model::default();
    let mut bridge = Space::new(9, 9);
    bridge.bridge(1, 1).word(0x20, 0xf080_f070);
    model.add(0, 1, 0, &bridge);
    model.add(1, 0, 0, Space::new(1, 1).bar(0, 0, 0xfff0_0000));
    model.add(1, 1, 0, Space::new(1, 2).bar(0, 0xf070_0000, 0xfff0_0000));
    model.add(1, 2, 0, Space::new(1, 3).bar(0, 0, 0xfff0_0000));
    let bus = enumerate(&model);
    let device = bus.claim(at(1, 0, 0)).unwrap();
    assert!(matches!(
        device.bar(0),
        Some(Bar::Memory {
            address: 0xf080_0000,
            ..
        })
    ));
    assert_eq!(bus.claim(at(1, 2, 0)).err(), Some(Error::NoSpace));
    // A refused claim leaves the function free and silent.
    assert_eq!(bus.claim(at(1, 2, 0)).err(), Some(Error::NoSpace));
    drop(device);
    assert!(bus.claim(at(1, 2, 0)).is_err());
}

#[test]
fn a_function_has_one_holder_and_masters_the_bus_only_while_held() {
    let model = Model::default();
    let mut space = Space::new(1, 1);
    space.half(4, Command::BUS_MASTER.bits());
    model.add(0, 1, 0, &space);
    let bus = enumerate(&model);
    let place = at(0, 1, 0);
    let command = || Command::from_bits_retain(model.half(place, COMMAND));
    let device = bus.claim(place).unwrap();
    assert_eq!(bus.claim(place).err(), Some(Error::Busy));
    assert_eq!(bus.claim(at(0, 2, 0)).err(), Some(Error::NoDevice));
    assert!(command().contains(Command::MEMORY) && !command().contains(Command::BUS_MASTER));
    device.start_bus_master();
    assert!(command().contains(Command::BUS_MASTER));
    drop(device);
    assert!(!command().contains(Command::BUS_MASTER));
    assert!(bus.claim(place).is_ok());
}

#[test]
fn capability_lists_that_loop_are_refused() {
    let model = Model::default();
    let mut space = Space::new(1, 1);
    space
        .list(0x40)
        .capability(0x40, 9, 0x50)
        .capability(0x50, 0x11, 0);
    model.add(0, 1, 0, &space);
    model.add(0, 2, 0, space.capability(0x50, 5, 0x40));
    model.add(0, 3, 0, space.capability(0x50, 5, 0x3c));
    space.bytes[6] = 0;
    model.add(0, 4, 0, &space);
    let list = |device| capability::list(Config::new(&model, at(0, device, 0)));
    assert_eq!(
        list(1),
        Ok(vec![
            Capability {
                id: 9,
                offset: 0x40
            },
            Capability {
                id: 0x11,
                offset: 0x50
            }
        ])
    );
    assert_eq!(list(2), Err(Error::Io));
    assert_eq!(list(3), Err(Error::Io));
    assert_eq!(list(4), Ok(vec![]));
    assert_eq!(enumerate(&model).claim(at(0, 2, 0)).err(), Some(Error::Io));
}

fn counter() -> (Arc<AtomicU32>, irq::Handler) {
    let count = Arc::new(AtomicU32::new(0));
    let seen = count.clone();
    let handler = Arc::new(move || {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    (count, handler)
}

#[test]
fn msi_x_vectors_are_connected_and_disconnected() {
    let model = Model::default();
    let mut space = Space::new(1, 1);
    space
        .bar(1, 0xfebd_0000, 0xffff_f000)
        .list(0x40)
        .capability(0x40, 0x11, 0)
        .half(0x42, 2)
        .word(0x44, 0x801)
        .writable(0x40, 0xc000_0000);
    model.add(0, 1, 0, &space);
    let table = memory_at(0xfebd_0000, 0x1000);
    let device = enumerate(&model).claim(at(0, 1, 0)).unwrap();
    assert_eq!(device.vectors(), 3);
    assert_eq!(device.config().half(0x42), 0x8002);
    let (count, handler) = counter();
    device.connect(2, "test", handler.clone()).unwrap();
    assert_eq!(device.connect(3, "test", handler).err(), Some(Error::Range));
    assert_eq!(table.read(0x80c, 4), 1);
    assert_eq!(table.read(0x820, 4), 0xfee0_0000);
    assert_eq!(table.read(0x82c, 4), 0);
    let data = table.read(0x828, 4) as u32;
    irq::send(data);
    // Elsewhere it goes with another address; the data and the mask are as before.
    let machine = machine::host::current();
    machine.enter(2);
    machine.enter(0);
    let source = irq::Source::Message(data as u8);
    irq::set_route(source, 0b110).unwrap();
    assert_eq!(table.read(0x820, 4), 0xfee0_1000);
    assert_eq!(
        (table.read(0x828, 4) as u32, table.read(0x82c, 4)),
        (data, 0)
    );
    assert_eq!(irq::route(source).map(|route| route.cpu), Some(1));
    drop(device);
    irq::send(data);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(model.half(at(0, 1, 0), 0x42), 2);
}

#[test]
fn an_msi_x_table_outside_its_register_is_refused() {
    let model = Model::default();
    let mut space = Space::new(1, 1);
    space
        .bar(1, 0xfebd_0000, 0xffff_f000)
        .list(0x40)
        .capability(0x40, 0x11, 0)
        .half(0x42, 0x7ff)
        .word(0x44, 0x001);
    model.add(0, 1, 0, &space);
    model.add(0, 2, 0, space.half(0x42, 0).word(0x44, 7));
    memory_at(0xfebd_0000, 0x1000);
    let bus = enumerate(&model);
    for (place, error) in [(at(0, 1, 0), Error::Range), (at(0, 2, 0), Error::NoDevice)] {
        let device = bus.claim(place).unwrap();
        assert_eq!(device.vectors(), 0);
        assert_eq!(device.connect(0, "test", counter().1).err(), Some(error));
    }
}

#[test]
fn msi_is_the_fallback() {
    let model = Model::default();
    let mut space = Space::new(1, 1);
    space
        .list(0x40)
        .capability(0x40, 5, 0)
        .half(0x42, 1 << 7 | 3 << 1)
        .writable(0x40, 0x0071_0000);
    for register in [0x44, 0x48, 0x4c] {
        space.writable(register, u32::MAX);
    }
    model.add(0, 1, 0, &space);
    let device = enumerate(&model).claim(at(0, 1, 0)).unwrap();
    assert_eq!(device.vectors(), 1);
    let (count, handler) = counter();
    device.connect(0, "test", handler).unwrap();
    assert_eq!(device.config().half(0x42), 1 << 7 | 3 << 1 | 1);
    assert_eq!(device.config().word(0x44), 0xfee0_0000);
    irq::send(u32::from(device.config().half(0x4c)));
    drop(device);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(model.half(at(0, 1, 0), 0x42) & 1, 0);
}

/// The two ports of mechanism #1 over a model.
struct Mechanism(Mutex<u32>, Model);

impl Registers for Mechanism {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let selected = *self.0.lock().unwrap();
        match (offset, width) {
            (0, 4) => u64::from(selected),
            (4, 4) => u64::from(self.1.read(decode(selected), selected as u16 & 0xfc)),
            _ => panic!("read of {width} bytes at {offset}"),
        }
    }
    fn write(&self, offset: usize, width: usize, value: u64) {
        let mut selected = self.0.lock().unwrap();
        let register = *selected as u16 & 0xfc;
        match (offset, width) {
            (0, 4) => *selected = value as u32,
            (4, 4) => self.1.write(decode(*selected), register, value as u32),
            (4 | 6, 2) => {
                let register = register + offset as u16 - 4;
                self.1.write_half(decode(*selected), register, value as u16);
            }
            (4..8, 1) => {
                let register = register + offset as u16 - 4;
                self.1.write_byte(decode(*selected), register, value as u8);
            }
            _ => panic!("write of {width} bytes at {offset}"),
        }
    }
}

fn decode(selected: u32) -> Address {
    let [_, low, bus, _] = selected.to_le_bytes();
    at(bus, low >> 3, low & 7)
}

#[test]
fn the_ports_reach_every_function() {
    assert_eq!(PortAccess::new().err(), Some(Error::NoDevice));
    let model = Model::default();
    model.add(5, 31, 7, &Space::new(0x1234, 0x5678));
    port::attach(0xcf8, 8, Arc::new(Mechanism(Mutex::new(0), model.clone())));
    let access = PortAccess::new().unwrap();
    assert_eq!(PortAccess::new().err(), Some(Error::Busy));
    let config = Config::new(&access, at(5, 31, 7));
    assert_eq!((config.half(0), config.half(2)), (0x1234, 0x5678));
    config.set_half(4, 0x0107);
    assert_eq!((config.byte(4), config.byte(5)), (7, 1));
    config.set_byte(5, 2);
    assert_eq!(config.half(4), 0x0207);
    assert_eq!(access.read(at(5, 31, 7), 256), u32::MAX);
    drop(access);
    assert_eq!(crate::scan(std::iter::empty()).err(), Some(Error::NoDevice));
    model.add(0, 0, 0, &Space::new(1, 1));
    let bus = crate::scan([0..1 << 20, 0xf800_0000..0xf900_0000].into_iter()).unwrap();
    assert_eq!(bus.functions().len(), 1);
}

/// A configuration space where everything answers, and everything is noise.
struct Noise(u64);

impl Access for Noise {
    fn read(&self, address: Address, register: u16) -> u32 {
        let place = u64::from(address.packed()) << 16 | u64::from(register & !3);
        let mixed = (place ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
    }
    fn write(&self, _: Address, _: u16, _: u32) {}
    fn write_half(&self, _: Address, _: u16, _: u16) {}
    fn write_byte(&self, _: Address, _: u16, _: u8) {}
    fn size(&self) -> u16 {
        256
    }
}

fn any_space() -> impl Strategy<Value = Space> {
    let bytes = proptest::array::uniform32(any::<[u8; 8]>());
    (
        bytes,
        proptest::array::uniform32(any::<[u8; 8]>()),
        0u8..3,
        any::<bool>(),
    )
        .prop_map(|(bytes, masks, kind, sane_identity)| {
            let flat = |parts: [[u8; 8]; 32]| -> [u8; 256] {
                std::array::from_fn(|index| parts[index / 8][index % 8])
            };
            let mut space = Space {
                bytes: flat(bytes),
                writable: flat(masks),
            };
            space.bytes[0x0e] = space.bytes[0x0e] & 0x80 | kind;
            if sane_identity {
                space.half(0, 0x1af4);
            }
            space
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_configuration_space_hurts(
        spaces in proptest::collection::vec((0u8..4, 0u8..32, 0u8..8, any_space()), 1..40)
    ) {
        let model = Model::default();
        for (bus, device, function, space) in &spaces {
            model.add(*bus, *device, *function, space);
        }
        let bus = enumerate(&model);
        for function in bus.functions() {
            let mut claimed = false;
            if let Ok(device) = bus.claim(function.address) {
                device.start_bus_master();
                claimed = true;
                for slot in 0..7 {
                    let _ = device.map(slot, 0, 16);
                    let _ = device.ports(slot);
                }
                let _ = device.connect(0, "test", counter().1);
                prop_assert!(matches!(device.vectors(), 0..=2048));
            }
            // What can be written is silent afterwards.
            let space = model.0.lock().unwrap()[&function.address].clone();
            prop_assert!(!claimed || space.bytes[4] & space.writable[4] & 4 == 0);
        }
    }

    #[test]
    fn noise_ends(seed in any::<u64>()) {
        let bus = Bus::enumerate(Box::new(Noise(seed)), 0xf000_0000..0xfec0_0000);
        prop_assert!(bus.functions().len() <= 1024);
        for function in bus.functions().iter().take(50) {
            if let Kind::Endpoint { .. } = function.kind {
                let _ = bus.claim(function.address).map(|device| device.vectors());
            }
        }
    }
}
