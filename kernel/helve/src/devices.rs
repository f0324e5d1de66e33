//! Finding devices: the PCI bus and the virtio console on it.

use alloc::sync::Arc;
use virtio::console::Console;
use virtio::transport::pci::PciTransport;

/// The virtio console, if the machine has one.
pub fn console() -> Option<Arc<Console>> {
    let regions = machine::boot::info().memory.iter();
    let bus = match pci::scan(regions.map(|region| region.start..region.start + region.len)) {
        Ok(bus) => bus,
        Err(error) => {
            ::log::warn!("pci: {error}");
            return None;
        }
    };
    ::log::info!("pci: {} functions", bus.functions().len());
    let transport: PciTransport =
        virtio::transport::pci::find(&bus, virtio::Kind::CONSOLE).next()?;
    match Console::start(Arc::new(transport)) {
        Ok(console) => Some(console),
        Err(error) => {
            ::log::error!("virtio console: {error}");
            None
        }
    }
}
