//! The terminals that the machine itself has: on the serial port, or on the host's ports of `helve exec`.

use crate::ports::PortFile;
use abi::{Error, Rights};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::sync::{Once, Spin};
use object::{Handle, SliceSink, SliceSource};
use task::{HANDLER_PRIORITY, Ready, WaitQueue};
use tty::{Line, Terminal, Tty, WindowSize};
use vfs::device::{NewDevice, Registry};
use vfs::{
    Access, Credentials, Description, DeviceKind, DeviceNumber, Location, OpenFlags, OpenRequest,
    View,
};
use virtio::console::Port;

/// `/dev/ttyS0`.
const SERIAL: DeviceNumber = DeviceNumber::new(4, 64);
/// `/dev/console`.
const CONSOLE: DeviceNumber = DeviceNumber::new(5, 1);
/// `/dev/hvc0`.
const HOST: DeviceNumber = DeviceNumber::new(229, 0);

/// The serial port as a terminal's line.
struct SerialLine;

static SERIAL_TERMINAL: Once<Arc<Tty>> = Once::new();

impl Line for SerialLine {
    fn write(&self, bytes: &[u8]) -> usize {
        machine::serial::write(bytes);
        bytes.len()
    }

    fn input_wanted(&self) {
        receive();
    }
}

/// The terminal on COM1.
pub fn on_serial() -> Arc<Tty> {
    let terminal = SERIAL_TERMINAL.get_or_init(|| {
        let terminal = Tty::new("ttyS0", SERIAL, Arc::new(SerialLine));
        terminal.set_jobs(Arc::new(native::Jobs(linux::Jobs)));
        terminal.set_window_size(WindowSize {
            rows: 24,
            columns: 80,
            ..WindowSize::default()
        });
        terminal
    });
    // What typing comes to (echo, signals) is the work of a task, and keeps no interrupt out.
    match task::threaded("irq/serial", HANDLER_PRIORITY, receive) {
        Ok(handler) => machine::serial::on_receive(handler),
        Err(_) => machine::serial::on_receive(Arc::new(receive)),
    }
    terminal.clone()
}

/// Moves what has come in to the terminal, until it takes no more.
fn receive() {
    static WAITING: Spin<Option<u8>> = Spin::new(None);
    let Some(terminal) = SERIAL_TERMINAL.get() else {
        return;
    };
    loop {
        let next = WAITING.lock().take().or_else(machine::serial::read);
        let Some(byte) = next else { return };
        if terminal.input(&[byte]) == 0 {
            *WAITING.lock() = Some(byte);
            return;
        }
    }
}

/// Two of the host's ports as a terminal's line.
struct PortLine {
    output: Arc<Port>,
    /// The terminal refused output, or has room for input again: the task that moves bytes looks.
    changed: WaitQueue,
    wants_input: AtomicBool,
    was_full: AtomicBool,
}

impl Line for PortLine {
    fn write(&self, bytes: &[u8]) -> usize {
        let count = self
            .output
            .try_write(&mut SliceSource::new(bytes))
            .unwrap_or(0);
        if count < bytes.len() {
            self.was_full.store(true, Ordering::Release);
            self.changed.wake_all();
        }
        count
    }

    fn is_idle(&self) -> bool {
        self.output.is_drained()
    }

    fn input_wanted(&self) {
        self.wants_input.store(true, Ordering::Release);
        self.changed.wake_all();
    }
}

/// A terminal whose other side is the host's: bytes through two ports, its size through the control port.
///
/// # Errors
/// [`Error::NoMemory`] when there is no room for the tasks that move the bytes.
pub fn on_ports(
    input: &Arc<Port>,
    output: &Arc<Port>,
    control: &Arc<Port>,
) -> Result<Arc<Tty>, Error> {
    let line = Arc::new(PortLine {
        output: output.clone(),
        changed: WaitQueue::new(),
        wants_input: AtomicBool::new(false),
        was_full: AtomicBool::new(false),
    });
    let terminal = Tty::new("hvc0", HOST, line.clone());
    terminal.set_jobs(Arc::new(native::Jobs(linux::Jobs)));
    task::spawn(
        "terminal input",
        move_input(terminal.clone(), line.clone(), input.clone()),
    )?;
    task::spawn("terminal output", move_output(terminal.clone(), line))?;
    task::spawn(
        "terminal size",
        follow_size(terminal.clone(), control.clone()),
    )?;
    Ok(terminal)
}

async fn move_input(terminal: Arc<Tty>, line: Arc<PortLine>, port: Arc<Port>) {
    let mut buffer = [0u8; 256];
    loop {
        let count = match port.try_read(&mut SliceSink::new(&mut buffer)) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Error::WouldBlock) => {
                let _ = port
                    .readiness()
                    .wait(Ready::READ | Ready::HANGUP, None)
                    .await;
                continue;
            }
            Err(_) => break,
        };
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            line.wants_input.store(false, Ordering::Release);
            let taken = terminal.input(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if !rest.is_empty() {
                let wanted = || line.wants_input.load(Ordering::Acquire).then_some(());
                let _ = line.changed.wait_until(wanted).await;
            }
        }
    }
    terminal.hang_up();
}

async fn move_output(terminal: Arc<Tty>, line: Arc<PortLine>) {
    loop {
        let full = || line.was_full.swap(false, Ordering::AcqRel).then_some(());
        let _ = line.changed.wait_until(full).await;
        if line
            .output
            .readiness()
            .wait(Ready::WRITE | Ready::HANGUP, None)
            .await
            .is_ok()
        {
            terminal.output_ready();
        }
        if line.output.readiness().get().contains(Ready::HANGUP) {
            return;
        }
    }
}

/// Reads the control port's lines `size COLUMNS ROWS`.
async fn follow_size(terminal: Arc<Tty>, control: Arc<Port>) {
    const LINE_LIMIT: usize = 256;
    let mut line: Vec<u8> = Vec::new();
    loop {
        let mut byte = [0u8; 1];
        match control.try_read(&mut SliceSink::new(&mut byte)) {
            Ok(0) => return,
            Ok(_) if byte[0] == b'\n' => {
                if let Some(size) = size_of_line(&String::from_utf8_lossy(&line)) {
                    terminal.set_window_size(size);
                }
                line.clear();
            }
            Ok(_) if line.len() < LINE_LIMIT => line.push(byte[0]),
            Ok(_) => {}
            Err(Error::WouldBlock) => {
                let _ = control
                    .readiness()
                    .wait(Ready::READ | Ready::HANGUP, None)
                    .await;
            }
            Err(_) => return,
        }
    }
}

fn size_of_line(line: &str) -> Option<WindowSize> {
    let mut words = line.strip_prefix("size ")?.split(' ');
    let columns = words.next()?.parse().ok()?;
    let rows = words.next()?.parse().ok()?;
    Some(WindowSize {
        rows,
        columns,
        ..WindowSize::default()
    })
}

/// Shows the terminal in `/dev` under its own name, and as the console.
///
/// # Errors
/// [`Error::Exists`] when the machine has another console already.
pub fn show(devices: &dyn Registry, terminal: &Arc<Tty>) -> Result<(), Error> {
    for (name, number) in [(terminal.name(), terminal.number()), ("console", CONSOLE)] {
        let node = NewDevice {
            name,
            kind: DeviceKind::Character,
            number,
            mode: 0o620,
        };
        devices.add(&node, Arc::new(Terminal(terminal.clone())))?;
    }
    Ok(())
}

/// The terminal as an open file, for reading and writing: its node in `/dev`, so that its path can be asked for.
///
/// # Errors
/// What keeps the node from being opened.
pub fn handle(root: &Location, terminal: &Arc<Tty>) -> Result<Handle, Error> {
    let path = alloc::format!("/dev/{}", terminal.name());
    let owner = Credentials::root();
    let view = View {
        root,
        start: root,
        credentials: &owner,
    };
    let access = Access::READ | Access::WRITE;
    let file = view.open(
        path.as_bytes(),
        &OpenRequest {
            access,
            ..OpenRequest::default()
        },
    )?;
    Ok(Handle::new(file, Rights::all()))
}

/// A port as an open file.
pub fn stream(port: &Arc<Port>, access: Access) -> Handle {
    let file = Arc::new(PortFile(port.clone()));
    Handle::new(
        Description::nameless(file, None, access, OpenFlags::empty()),
        Rights::all(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_nonsense_is_not() {
        let size = WindowSize {
            rows: 24,
            columns: 80,
            ..WindowSize::default()
        };
        assert_eq!(size_of_line("size 80 24"), Some(size));
        for wrong in ["size 80", "size", "size x y", "size 80 99999", ""] {
            assert_eq!(size_of_line(wrong), None);
        }
    }
}
