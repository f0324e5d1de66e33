//! Simulated interrupts: a test raises a line or sends a message, and the handler runs in the
//! calling thread.

use super::{clock, cpu, current, lock};
use crate::interrupts::{Counts, LINES, MESSAGES as FIRST_MESSAGE, Steer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub use crate::interrupts::{Handling, NoRoute, Route, Source, Steering};

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

impl Line {
    fn vector(self) -> u8 {
        match self {
            Line::Legacy(line) => LINES + line,
            Line::Message(data) => FIRST_MESSAGE + data as u8,
        }
    }
}

#[derive(Default)]
struct Table {
    handlers: BTreeMap<Line, Vec<Connected>>,
    /// Where they go that do not go to CPU 0.
    routes: BTreeMap<Line, Route>,
    steers: BTreeMap<Line, Steer>,
    serial: u64,
}

#[derive(Clone)]
struct Connected {
    serial: u64,
    name: &'static str,
    handler: Handler,
}

/// Each CPU's counters.
pub(super) struct CountsOfAll([Counts; cpu::MAX]);

impl Default for CountsOfAll {
    fn default() -> Self {
        CountsOfAll([const { Counts::new() }; cpu::MAX])
    }
}

#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Table>>);

impl Lines {
    fn add(&self, line: Line, name: &'static str, handler: Handler) -> IrqGuard {
        let mut table = lock(&self.0);
        table.serial += 1;
        let serial = table.serial;
        table.handlers.entry(line).or_default().push(Connected {
            serial,
            name,
            handler,
        });
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
        let counts = &current().0.counts.0[cpu::index()];
        let began = clock::now();
        counts.begin(line.vector(), began);
        for connected in handlers {
            (connected.handler)();
        }
        counts.end(line.vector(), clock::now() - began);
    }
}

/// Keeps a handler connected; dropping it disconnects the handler.
pub struct IrqGuard {
    lines: Lines,
    line: Line,
    serial: u64,
}

impl IrqGuard {
    /// Says how the device of a message interrupt is told to send it elsewhere.
    pub fn steer_with(&self, steer: Steer) {
        lock(&self.lines.0).steers.insert(self.line, steer);
    }
}

impl Drop for IrqGuard {
    fn drop(&mut self) {
        let mut table = lock(&self.lines.0);
        if let Some(handlers) = table.handlers.get_mut(&self.line) {
            handlers.retain(|connected| connected.serial != self.serial);
            if handlers.is_empty() {
                table.handlers.remove(&self.line);
                table.routes.remove(&self.line);
                table.steers.remove(&self.line);
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

/// Connects a handler to an ISA interrupt line. Several may share one. `name` says whose it is.
pub fn legacy(line: u8, name: &'static str, handler: Handler) -> IrqGuard {
    current().0.lines.add(Line::Legacy(line), name, handler)
}

/// Connects a handler to a message interrupt of its own. `name` says whose it is.
pub fn message(name: &'static str, handler: Handler) -> Result<Message, NoVector> {
    let machine = current();
    let lines = &machine.0.lines;
    let free =
        (0..MESSAGES).find(|&data| !lock(&lines.0).handlers.contains_key(&Line::Message(data)));
    let data = free.ok_or(NoVector)?;
    Ok(Message {
        address: MESSAGE_ADDRESS,
        data,
        guard: lines.add(Line::Message(data), name, handler),
    })
}

/// Lets pending interrupts in. Here they run when they are raised.
pub fn window() {}

/// What may interrupt, and whose handlers run then.
pub fn sources() -> Vec<(Source, Vec<&'static str>)> {
    let machine = current();
    let table = lock(&machine.0.lines.0);
    let devices = table.handlers.iter().map(|(line, connected)| {
        let names = connected.iter().map(|connected| connected.name);
        (Source::of(line.vector()), names.collect())
    });
    let own = Source::OWN.into_iter().map(|source| (source, Vec::new()));
    devices.chain(own).collect()
}

impl Line {
    fn of(source: Source) -> Option<Line> {
        match source {
            Source::Line(line) => Some(Line::Legacy(line)),
            Source::Message(number) => Some(Line::Message(u32::from(number))),
            _ => None,
        }
    }
}

/// Where an interrupt of a device goes.
pub fn route(source: Source) -> Option<Route> {
    let machine = current();
    let table = lock(&machine.0.lines.0);
    let line = Line::of(source).filter(|line| table.handlers.contains_key(line))?;
    let first = Route {
        allowed: u64::MAX,
        cpu: 0,
    };
    Some(table.routes.get(&line).copied().unwrap_or(first))
}

/// Makes an interrupt go to one of these CPUs. A device that cannot be told keeps its messages where they are.
///
/// # Errors
/// [`NoRoute`].
pub fn set_route(source: Source, cpus: u64) -> Result<(), NoRoute> {
    let now = route(source).ok_or(NoRoute)?.cpu;
    let possible = cpus & (u64::MAX >> (cpu::MAX - cpu::count()));
    let cpu = match possible {
        0 => return Err(NoRoute),
        _ if possible >> now & 1 != 0 => now,
        _ => possible.trailing_zeros() as usize,
    };
    let machine = current();
    let line = Line::of(source).ok_or(NoRoute)?;
    let steer = lock(&machine.0.lines.0).steers.get(&line).cloned();
    if let Line::Message(data) = line {
        let address = MESSAGE_ADDRESS | (cpu as u64) << 12;
        steer.ok_or(NoRoute)?(Steering::To { address, data });
    }
    let route = Route { allowed: cpus, cpu };
    lock(&machine.0.lines.0).routes.insert(line, route);
    Ok(())
}

/// Where new interrupts may go. Here: always to CPU 0.
pub fn set_default_route(_cpus: u64) {}

/// The CPUs that were said last. Here: all.
pub fn default_route() -> u64 {
    u64::MAX
}

/// Who is told of a source that interrupts all the time. Here none does.
pub fn on_storm(_hook: fn(Source)) {}

/// Hears a silenced source again. Here none is.
pub fn resume(_source: Source) {}

/// How often a source had to be silenced.
pub fn storms(_source: Source) -> u32 {
    0
}

/// How often CPU number `cpu` was interrupted from there.
pub fn count(cpu: usize, source: Source) -> u64 {
    let machine = current();
    let counts = machine.0.counts.0.get(cpu);
    counts.map_or(0, |counts| counts.count(source))
}

/// What all interrupts of a CPU have come to.
pub fn handling(cpu: usize) -> Option<Handling> {
    let machine = current();
    let counts = machine.0.counts.0.get(cpu)?;
    let (longest, source) = counts.longest();
    Some(Handling {
        interrupts: counts.total(),
        total: counts.handling(),
        longest,
        source,
    })
}

/// A CPU's longest handler is the longest from now on.
pub fn forget_longest(cpu: usize) {
    if let Some(counts) = current().0.counts.0.get(cpu) {
        counts.forget_longest();
    }
}

/// When this CPU was interrupted last, and from where.
pub fn last() -> (u64, Source) {
    current().0.counts.0[cpu::index()].taken()
}

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
        let first = legacy(4, "one", handler(1));
        let second = legacy(4, "ten", handler(10));
        raise(4);
        let shared = (Source::Line(4), Vec::from(["one", "ten"]));
        assert!(sources().contains(&shared));
        drop(first);
        raise(4);
        drop(second);
        raise(4);
        assert_eq!(count.load(Ordering::SeqCst), 21);

        assert_eq!(route(Source::Line(4)), None);

        let one = message("hundred", handler(100)).unwrap();
        let two = message("thousand", handler(1000)).unwrap();
        assert_ne!(one.data, two.data);
        send(two.data);
        drop(two.guard);
        send(two.data);
        assert_eq!(count.load(Ordering::SeqCst), 1021);
        assert_eq!(super::count(0, Source::Line(4)), 3);
        assert_eq!(handling(0).map(|all| all.interrupts), Some(5));
        assert_eq!(last().1, Source::of(FIRST_MESSAGE + two.data as u8));
    }
}
