//! Simulated interrupts: a test raises a line or sends a message, and the handler runs in the
//! calling thread.

use super::{current, lock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What an interrupt runs. It must not block.
pub type Handler = Arc<dyn Fn() + Send + Sync>;

/// There is no interrupt vector left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector;

/// How many message interrupts a machine has.
const MESSAGES: u32 = 128;
/// Where x86 devices send message interrupts (Intel SDM volume 3, 11.11.1).
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Legacy(u8),
    Message(u32),
}

#[derive(Default)]
struct Table {
    handlers: BTreeMap<Line, Vec<(u64, Handler)>>,
    serial: u64,
}

#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Table>>);

impl Lines {
    fn add(&self, line: Line, handler: Handler) -> IrqGuard {
        let mut table = lock(&self.0);
        table.serial += 1;
        let serial = table.serial;
        table
            .handlers
            .entry(line)
            .or_default()
            .push((serial, handler));
        IrqGuard {
            lines: self.clone(),
            line,
            serial,
        }
    }

    fn run(&self, line: Line) {
        let handlers = lock(&self.0)
            .handlers
            .get(&line)
            .cloned()
            .unwrap_or_default();
        for (_, handler) in handlers {
            handler();
        }
    }
}

/// Keeps a handler connected; dropping it disconnects the handler.
pub struct IrqGuard {
    lines: Lines,
    line: Line,
    serial: u64,
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        let mut table = lock(&self.lines.0);
        if let Some(handlers) = table.handlers.get_mut(&self.line) {
            handlers.retain(|(serial, _)| *serial != self.serial);
            if handlers.is_empty() {
                table.handlers.remove(&self.line);
            }
        }
    }
}

/// A message interrupt (MSI, MSI-X): a device that writes `data` to `address` runs the handler.
pub struct Message {
    pub address: u64,
    pub data: u32,
    pub guard: IrqGuard,
}

/// Connects a handler to an ISA interrupt line. Several may share one.
pub fn legacy(line: u8, handler: Handler) -> IrqGuard {
    current().0.lines.add(Line::Legacy(line), handler)
}

/// Connects a handler to a message interrupt of its own.
pub fn message(handler: Handler) -> Result<Message, NoVector> {
    let machine = current();
    let lines = &machine.0.lines;
    let free =
        (0..MESSAGES).find(|&data| !lock(&lines.0).handlers.contains_key(&Line::Message(data)));
    let data = free.ok_or(NoVector)?;
    Ok(Message {
        address: MESSAGE_ADDRESS,
        data,
        guard: lines.add(Line::Message(data), handler),
    })
}

/// Lets pending interrupts in. Here they run when they are raised.
pub fn window() {}

/// A device pulls an ISA interrupt line.
pub fn raise(line: u8) {
    current().0.lines.run(Line::Legacy(line));
}

/// A device sends the message interrupt with this data.
pub fn send(data: u32) {
    current().0.lines.run(Line::Message(data));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn handlers_run_until_their_guard_drops() {
        let count = Arc::new(AtomicU32::new(0));
        let handler = |step| {
            let count = count.clone();
            Arc::new(move || {
                count.fetch_add(step, Ordering::SeqCst);
            }) as Handler
        };
        let first = legacy(4, handler(1));
        let second = legacy(4, handler(10));
        raise(4);
        drop(first);
        raise(4);
        drop(second);
        raise(4);
        assert_eq!(count.load(Ordering::SeqCst), 21);

        let one = message(handler(100)).unwrap();
        let two = message(handler(1000)).unwrap();
        assert_ne!(one.data, two.data);
        send(two.data);
        drop(two.guard);
        send(two.data);
        assert_eq!(count.load(Ordering::SeqCst), 1021);
    }
}
