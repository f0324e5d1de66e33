//! The console device with named ports (section 5.3, feature `VIRTIO_CONSOLE_F_MULTIPORT`).
//!
//! The one idea: every port is a pair of queues that exist from the start; the control queues only say what it is called,
//! whether the other side is there, and how large a window it has. So a port needs nothing from its console to move bytes.
//!
//! - [`control`]: the messages and their two queues.
//! - [`port`]: one byte stream in each direction.
//! - `receive`, `transmit`: the two directions.
//! - `piece`: a range of a shared region as a chain.

pub mod control;
#[cfg(test)]
mod host;
mod piece;
pub mod port;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

use crate::device::{Device, Status};
use crate::transport::{Kind, Transport, read_config_stable};
use abi::Error;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use control::{Control, Event, Message, Received};
use machine::irq;
use machine::sync::Spin;
use task::{Deadline, WaitQueue};

pub use port::{Port, Size};

/// The device tells the size of its window in its configuration.
const F_SIZE: u64 = 1 << 0;
/// The device has several ports and control queues.
const F_MULTIPORT: u64 = 1 << 1;

// struct virtio_console_config (section 5.3.4).
const CONFIG_SIZE: usize = 0;
const CONFIG_MAX_PORTS: usize = 4;

/// More ports than this are left alone.
const MOST_PORTS: u32 = 32;
/// The queues of port 0; those of port n > 0 are 2n + 2 and 2n + 3 (section 5.3.2).
const CONTROL_RECEIVE: u16 = 2;
const CONTROL_TRANSMIT: u16 = 3;
/// The interrupt vector of the control queues and of configuration changes; port n has vector n + 1 if there are enough.
const CONTROL_VECTOR: u16 = 0;

/// A console device that runs.
pub struct Console {
    device: Device,
    /// None without the multiport feature.
    control: Option<Spin<Control>>,
    ports: Vec<Arc<Port>>,
    /// Woken when a port gets its name.
    arrivals: WaitQueue,
}

impl Console {
    /// Starts the device. Its ports appear when it has announced them: see [`Console::port_named`].
    ///
    /// [`Error::WrongKind`] if it is no console, [`Error::NoMemory`], or what [`Device::negotiate`] says.
    pub fn start(transport: Arc<dyn Transport>) -> Result<Arc<Console>, Error> {
        if transport.kind() != Kind::CONSOLE {
            return Err(Error::WrongKind);
        }
        let device = Device::negotiate(transport, F_SIZE | F_MULTIPORT)?;
        let ports = Self::ports(&device).inspect_err(|_| device.fail())?;
        let control = Self::control(&device).inspect_err(|_| device.fail())?;
        let console = Arc::new(Console {
            device,
            control,
            ports,
            arrivals: WaitQueue::new(),
        });
        console.connect().inspect_err(|_| console.device.fail())?;
        console.device.start();
        console.greet();
        Ok(console)
    }

    fn ports(device: &Device) -> Result<Vec<Arc<Port>>, Error> {
        let mut bytes = 1u32.to_le_bytes();
        if device.has(F_MULTIPORT) {
            device.transport().read_config(CONFIG_MAX_PORTS, &mut bytes);
        }
        let count = u32::from_le_bytes(bytes).clamp(1, MOST_PORTS) as u16;
        let vectors = device.transport().vectors();
        let port = |id: u16| {
            let first = if id == 0 { 0 } else { 2 * id + 2 };
            let vector = port_vector(id, count, vectors);
            let receive = device.queue(first, port::MOST_DESCRIPTORS, vector)?;
            let transmit = device.queue(first + 1, port::MOST_DESCRIPTORS, vector)?;
            Ok(Port::new(id.into(), receive, transmit))
        };
        (0..count).map(port).collect()
    }

    fn control(device: &Device) -> Result<Option<Spin<Control>>, Error> {
        if !device.has(F_MULTIPORT) {
            return Ok(None);
        }
        let vector = (device.transport().vectors() > 0).then_some(CONTROL_VECTOR);
        let receive = device.queue(CONTROL_RECEIVE, control::MOST_DESCRIPTORS, vector)?;
        let transmit = device.queue(CONTROL_TRANSMIT, control::MOST_DESCRIPTORS, vector)?;
        Ok(Some(Spin::new(Control::new(receive, transmit)?)))
    }

    /// Connects the interrupts: one for control and one for each port, or one for everything.
    fn connect(self: &Arc<Self>) -> Result<(), Error> {
        let transport = self.device.transport();
        let vectors = transport.vectors();
        if vectors == 0 {
            // It works when it is polled.
            return Ok(());
        }
        let console: Weak<Console> = Arc::downgrade(self);
        let shared = usize::from(vectors) <= self.ports.len();
        let handler: irq::Handler = if shared {
            Arc::new(move || {
                if let Some(console) = console.upgrade() {
                    console.interrupt_control();
                    console.ports.iter().for_each(|port| port.interrupt());
                }
            })
        } else {
            Arc::new(move || {
                if let Some(console) = console.upgrade() {
                    console.interrupt_control();
                }
            })
        };
        transport.connect(CONTROL_VECTOR, "virtio console", handler)?;
        transport.set_config_vector(CONTROL_VECTOR)?;
        if shared {
            return Ok(());
        }
        for (vector, port) in (CONTROL_VECTOR + 1..).zip(&self.ports) {
            let port = Arc::downgrade(port);
            transport.connect(
                vector,
                "virtio console port",
                Arc::new(move || {
                    if let Some(port) = port.upgrade() {
                        port.interrupt();
                    }
                }),
            )?;
        }
        Ok(())
    }

    /// Tells the device that the driver is there.
    fn greet(&self) {
        match &self.control {
            Some(control) => {
                let mut control = control.lock();
                control.post();
                control.send(Message {
                    id: 0,
                    event: Event::DeviceReady,
                    value: 1,
                });
            }
            None => {
                for port in &self.ports {
                    port.host_opened();
                }
                self.update_size();
            }
        }
    }

    /// Looks at everything that the device may have done. Interrupts do this by themselves; a caller that cannot have
    /// them (early boot, a panic) calls it instead. Skips what somebody else is just doing.
    pub fn poll(&self) {
        if self
            .control
            .as_ref()
            .is_none_or(|it| it.try_lock().is_some())
        {
            self.interrupt_control();
        }
        for port in &self.ports {
            port.poll();
        }
    }

    /// The device interrupted: messages came, its configuration changed, or it failed.
    fn interrupt_control(&self) {
        if self.device.status().contains(Status::NEEDS_RESET) {
            self.fail();
            return;
        }
        let Some(control) = &self.control else {
            self.update_size();
            return;
        };
        let result = control
            .lock()
            .poll(|id, received| self.dispatch(id, received));
        if result.is_err() {
            self.fail();
        }
    }

    /// What one message from the device changes, and what is to be answered.
    fn dispatch(&self, id: u32, received: Received<'_>) -> Option<Message> {
        let port = self.ports.get(usize::try_from(id).ok()?)?;
        match received {
            Received::Add => {
                return Some(Message {
                    id,
                    event: Event::PortReady,
                    value: 1,
                });
            }
            Received::Remove => port.host_closed(),
            Received::ConsolePort => port.mark_console(),
            Received::Open(true) => port.host_opened(),
            Received::Open(false) => port.host_closed(),
            Received::Resize(size) => port.resized(size),
            Received::Name(name) => {
                port.set_name(name);
                self.arrivals.wake_all();
            }
        }
        None
    }

    /// The only port's window, where the device has no control queues.
    fn update_size(&self) {
        if let (Some(port), true) = (self.ports.first(), self.device.has(F_SIZE)) {
            let mut bytes = [0; 4];
            read_config_stable(&**self.device.transport(), CONFIG_SIZE, &mut bytes);
            port.resized(Size::from_bytes(bytes));
        }
    }

    /// The device broke the rules, or says itself that it is broken.
    fn fail(&self) {
        self.device.fail();
        for port in &self.ports {
            port.fail();
        }
        self.arrivals.wake_all();
    }

    /// The port that the host calls `name`, if it has announced it; it is open for this side from now on.
    pub fn port(&self, name: &str) -> Option<Arc<Port>> {
        let port = self.ports.iter().find(|port| port.name() == Some(name))?;
        self.open(port);
        Some(port.clone())
    }

    /// As [`Console::port`], and waits until the host has announced it.
    ///
    /// [`Error::TimedOut`] when `deadline` (nanoseconds since boot) passes first, [`Error::Interrupted`],
    /// [`Error::Io`] if the device failed.
    pub async fn port_named(&self, name: &str, deadline: Option<u64>) -> Result<Arc<Port>, Error> {
        let found = || match self.port(name) {
            None if self.device.status().contains(Status::FAILED) => Some(Err(Error::Io)),
            found => found.map(Ok),
        };
        self.arrivals
            .wait_until_by(deadline.map(Deadline::Boot), found)
            .await
            .map_err(Error::from)?
    }

    /// The first port that the host uses as a terminal (QEMU: `virtconsole`), or the only one.
    pub fn terminal(&self) -> Option<Arc<Port>> {
        let alone = self.control.is_none();
        let port = self.ports.iter().find(|port| alone || port.is_console())?;
        self.open(port);
        Some(port.clone())
    }

    /// The names of all ports that the host has announced.
    pub fn names(&self) -> Vec<String> {
        let names = self.ports.iter().filter_map(|port| port.name());
        names.map(String::from).collect()
    }

    fn open(&self, port: &Port) {
        if port.open() {
            self.tell(port, Event::PortOpen, 1);
        }
    }

    /// Tells the host that nobody on this side uses the port any more.
    pub fn close(&self, port: &Port) {
        if port.close() {
            self.tell(port, Event::PortOpen, 0);
        }
    }

    fn tell(&self, port: &Port, event: Event, value: u16) {
        if let Some(control) = &self.control {
            let id = port.id();
            control.lock().send(Message { id, event, value });
        }
    }
}

/// The interrupt vector of a port's queues.
fn port_vector(id: u16, ports: u16, vectors: u16) -> Option<u16> {
    match vectors {
        0 => None,
        vectors if vectors > ports => Some(CONTROL_VECTOR + 1 + id),
        _ => Some(CONTROL_VECTOR),
    }
}
