//! Finding devices: the PCI bus, and on it the virtio console and the watchdog.

use crate::command_line::CommandLine;
use abi::Error;
use alloc::boxed::Box;
use alloc::sync::Arc;
use devfs::Devfs;
use pci::Bus;
use vfs::device::{NewDevice, Registry};
use vfs::{DeviceKind, DeviceNumber};
use virtio::console::Console;
use virtio::transport::pci::PciTransport;
use watchdog::{DeviceFile, I6300esb, Watchdog};

/// The PCI bus, if the machine has one.
pub fn bus() -> Option<Arc<Bus>> {
    let regions = machine::boot::info().memory.iter();
    match pci::scan(regions.map(|region| region.start..region.start + region.len)) {
        Ok(bus) => {
            ::log::info!("pci: {} functions", bus.functions().len());
            Some(bus)
        }
        Err(error) => {
            ::log::warn!("pci: {error}");
            None
        }
    }
}

/// The virtio console, if there is one.
pub fn console(bus: &Arc<Bus>) -> Option<Arc<Console>> {
    let transport: PciTransport =
        virtio::transport::pci::find(bus, virtio::Kind::CONSOLE).next()?;
    match Console::start(Arc::new(transport)) {
        Ok(console) => Some(console),
        Err(error) => {
            ::log::error!("virtio console: {error}");
            None
        }
    }
}

/// The watchdog, if there is one.
pub fn watchdog(bus: &Arc<Bus>, line: CommandLine<'_>) -> Option<Arc<Watchdog>> {
    match I6300esb::find(bus)? {
        Ok(chip) => {
            let no_way_out = line.value("watchdog.nowayout") == Some("1");
            let watchdog = Watchdog::new(Box::new(chip), no_way_out);
            ::log::info!("watchdog: {}", watchdog.name());
            if watchdog.status().has_reset {
                ::log::warn!("watchdog: it has started the machine");
            }
            Some(watchdog)
        }
        Err(error) => {
            ::log::error!("watchdog: {error}");
            None
        }
    }
}

/// Shows the watchdog in `/dev`, under both of its names.
///
/// # Errors
/// [`Error::NoMemory`].
pub fn show_watchdog(devices: &Devfs, watchdog: &Arc<Watchdog>) -> Result<(), Error> {
    // The second number is among those that Linux gives out as drivers come.
    for (name, major, minor) in [("watchdog", 10, 130), ("watchdog0", 248, 0)] {
        let new = NewDevice {
            name,
            kind: DeviceKind::Character,
            number: DeviceNumber::new(major, minor),
            mode: 0o600,
        };
        devices.add(&new, Arc::new(DeviceFile(watchdog.clone())))?;
    }
    Ok(())
}
