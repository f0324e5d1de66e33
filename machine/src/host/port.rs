//! Simulated I/O ports: a test attaches a device at a port range; elsewhere reads give ones, as on
//! an empty bus.

use super::{current, lock, mmio::Device};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Bus {
    claimed: BTreeMap<u16, u16>,
    devices: BTreeMap<u16, (u16, Arc<dyn Device>)>,
}

#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<Bus>>);

/// Attaches a device to `len` ports from `base` on.
pub fn attach(base: u16, len: u16, device: Arc<dyn Device>) {
    lock(&current().0.ports.0)
        .devices
        .insert(base, (len, device));
}

/// A range of ports that one driver owns until it drops it.
pub struct Ports {
    bus: Claims,
    base: u16,
    len: u16,
}

/// Claims `len` ports from `base` on; `None` when somebody has one of them, or the range is empty
/// or too long.
pub fn claim(base: u16, len: u16) -> Option<Ports> {
    let last = base.checked_add(len.checked_sub(1)?)?;
    let bus = current().0.ports.clone();
    let mut table = lock(&bus.0);
    let taken = table
        .claimed
        .iter()
        .any(|(&start, &end)| start <= last && base <= end);
    if taken {
        return None;
    }
    table.claimed.insert(base, last);
    drop(table);
    Some(Ports { bus, base, len })
}

impl Drop for Ports {
    fn drop(&mut self) {
        lock(&self.bus.0).claimed.remove(&self.base);
    }
}

macro_rules! ports {
    ($read:ident, $write:ident, $word:ty) => {
        /// Reads a port.
        pub fn $read(&self, offset: u16) -> $word {
            const WIDTH: usize = size_of::<$word>();
            match self.device(offset, WIDTH) {
                Some((device, offset)) => device.read(offset, WIDTH) as $word,
                None => <$word>::MAX,
            }
        }

        /// Writes a port.
        pub fn $write(&self, offset: u16, value: $word) {
            const WIDTH: usize = size_of::<$word>();
            if let Some((device, offset)) = self.device(offset, WIDTH) {
                device.write(offset, WIDTH, u64::from(value));
            }
        }
    };
}

impl Ports {
    /// The device behind a port of this range. Panics outside the range: the driver knows its
    /// device.
    fn device(&self, offset: u16, width: usize) -> Option<(Arc<dyn Device>, usize)> {
        assert!(
            usize::from(offset) + width <= usize::from(self.len),
            "port {offset} is outside the range"
        );
        let port = self.base + offset;
        let bus = lock(&self.bus.0);
        let (start, (len, device)) = bus.devices.range(..=port).next_back()?;
        (port - start < *len).then(|| (device.clone(), usize::from(port - start)))
    }

    ports!(in_u8, out_u8, u8);
    ports!(in_u16, out_u16, u16);
    ports!(in_u32, out_u32, u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_one_owner() {
        let ports = claim(0x60, 5).unwrap();
        assert!(claim(0x64, 1).is_none());
        assert!(claim(0x5f, 2).is_none());
        assert!(claim(0x65, 1).is_some());
        assert_eq!(ports.in_u8(0), 0xff);
        drop(ports);
        assert!(claim(0x64, 1).is_some());
        assert!(claim(0, 0).is_none());
        assert!(claim(0xffff, 2).is_none());
    }
}
