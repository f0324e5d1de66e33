//! `top`: the processes that use most, looked at again and again.
//!
//! A look is a list of processes with their CPU time so far; what is shown is the difference of two looks. On a
//! terminal it fills the screen and listens to keys; elsewhere it prints one look below the other.

use crate::options::Options;
use crate::sleep::duration;
use crate::{Misuse, failed, table};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::console::{Console, Mode};
use helve::process::{Listed, list};
use helve::system::{Memory, memory};
use helve::{Error, Events, Handle, environment, io, time};

/// Between two looks, if nothing else is said.
const DELAY: u64 = 2 * time::SECOND;
/// The first look is compared with one this much earlier.
const FIRST: u64 = time::SECOND / 5;

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "b")?;
    let (delay, count) = match options.operands.as_slice() {
        [] => (DELAY, None),
        [delay] => (interval(delay)?, None),
        [delay, count] => (interval(delay)?, Some(number(count)?)),
        [_, _, extra, ..] => return Err(Misuse(format!("unexpected argument {extra}"))),
    };
    let input = environment::handle("in").ok();
    let input = input
        .as_deref()
        .filter(|_| !options.has('b') && Console::of(&io::output()).is_ok());
    let screen = input.and_then(|input| Screen::new(input).ok());
    let ended = match &screen {
        Some(screen) => interact(screen, delay, count),
        None => print(delay, count),
    };
    drop(screen);
    Ok(ended.map_or_else(|error| failed("top", "process:", error), |()| 0))
}

fn interval(text: &str) -> Result<u64, Misuse> {
    match duration(text) {
        Some(0) | None => Err(Misuse(format!("{text}: not a time"))),
        Some(delay) => Ok(delay),
    }
}

fn number(text: &str) -> Result<u64, Misuse> {
    match text.parse() {
        Ok(0) | Err(_) => Err(Misuse(format!("{text}: not a number of looks"))),
        Ok(count) => Ok(count),
    }
}

/// One look below the other, each with all processes.
fn print(delay: u64, count: Option<u64>) -> Result<(), Error> {
    let mut before = Look::now()?;
    time::sleep(FIRST)?;
    let mut shown = 0;
    loop {
        let now = Look::now()?;
        let mut text = frame(&before, &now, Order::Cpu);
        if shown > 0 {
            text.insert(0, '\n');
        }
        io::output().write_all(text.as_bytes())?;
        shown += 1;
        if Some(shown) == count {
            return Ok(());
        }
        before = now;
        time::sleep(delay)?;
    }
}

/// A screenful at a time, until `q`.
fn interact(screen: &Screen<'_>, delay: u64, count: Option<u64>) -> Result<(), Error> {
    let mut order = Order::Cpu;
    let mut before = Look::now()?;
    time::sleep(FIRST)?;
    let mut now = Look::now()?;
    let mut shown = 1;
    loop {
        screen.show(&frame(&before, &now, order))?;
        let next = now.time.saturating_add(delay);
        match screen.key(next)? {
            Some(b'q' | b'Q' | 3 | 4) => return Ok(()),
            Some(key) => match Order::of_key(key) {
                // The same look in another order.
                Some(other) => {
                    order = other;
                    continue;
                }
                None if key == b' ' => {}
                None => continue,
            },
            None => {}
        }
        if Some(shown) == count {
            return Ok(());
        }
        shown += 1;
        let look = Look::now()?;
        before = core::mem::replace(&mut now, look);
    }
}

/// A terminal that gives keys and is given back as it was.
struct Screen<'h> {
    input: &'h Handle,
    console: Console<'h>,
    mode: Mode,
}

impl<'h> Screen<'h> {
    fn new(input: &'h Handle) -> Result<Screen<'h>, Error> {
        let console = Console::of(input)?;
        let mode = console.mode()?;
        console.set_mode(Mode::KEYS)?;
        Ok(Screen {
            input,
            console,
            mode,
        })
    }

    /// Shows as much of the text as there is room for.
    fn show(&self, text: &str) -> Result<(), Error> {
        let (columns, rows) = self.console.size()?;
        io::output().write_all(fitted(text, columns, rows).as_bytes())
    }

    /// A key that is pressed before the deadline.
    fn key(&self, deadline: u64) -> Result<Option<u8>, Error> {
        let mut key = [0];
        match self.input.wait_until(Events::READ, deadline) {
            Err(Error::TimedOut) => return Ok(None),
            other => other?,
        };
        match self.input.read(&mut key)? {
            // Nobody types any more: as if it were the key that leaves.
            0 => Ok(Some(b'q')),
            _ => Ok(key.first().copied()),
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to give back.
        let _ = self.console.set_mode(self.mode);
        helve::println!();
    }
}

/// What the list is sorted by, the greatest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Cpu,
    Memory,
    Time,
    Number,
}

impl Order {
    /// By the letters of the columns; capital letters as other systems have them.
    fn of_key(key: u8) -> Option<Order> {
        match key {
            b'c' | b'C' | b'p' | b'P' => Some(Order::Cpu),
            b'm' | b'M' => Some(Order::Memory),
            b't' | b'T' => Some(Order::Time),
            b'n' | b'N' => Some(Order::Number),
            _ => None,
        }
    }
}

/// All that is known at one moment.
#[derive(Clone, Debug)]
struct Look {
    /// Nanoseconds since boot.
    time: u64,
    memory: Memory,
    processes: Vec<Listed>,
}

impl Look {
    fn now() -> Result<Look, Error> {
        Ok(Look {
            time: time::now()?,
            memory: memory()?,
            processes: list()?,
        })
    }
}

/// The whole text: a head, and a line for each process. Times are those since `before`.
fn frame(before: &Look, now: &Look, order: Order) -> String {
    let passed = now.time.saturating_sub(before.time).max(1);
    let earlier: BTreeMap<u32, u64> = before
        .processes
        .iter()
        .map(|process| (process.id, process.time))
        .collect();
    // A number may have been given to another process meanwhile, which has used less.
    let used = |process: &Listed| match earlier.get(&process.id) {
        Some(earlier) if *earlier <= process.time => process.time - earlier,
        _ => process.time,
    };
    let mut all: Vec<(u64, &Listed)> = now.processes.iter().map(|one| (used(one), one)).collect();
    all.sort_by_key(|(used, process)| {
        let first = match order {
            Order::Cpu => *used,
            Order::Memory => process.memory,
            Order::Time => process.time,
            Order::Number => u64::from(u32::MAX - process.id),
        };
        core::cmp::Reverse((first, u32::MAX - process.id))
    });
    let busy: u64 = all.iter().map(|(used, _)| used).sum();
    let running = now.processes.iter().filter(|one| one.state == "running");
    let threads: u32 = now.processes.iter().map(|one| one.threads).sum();
    let memory = now.memory;
    let mut text = format!(
        "up {}, {} processes, {} running, {threads} threads\nCPU {}%   memory {} used of {}, kernel {}   keys: q c m t n\n\n",
        crate::uptime::length(now.time),
        now.processes.len(),
        running.count(),
        percent(busy, passed),
        table::bytes(memory.total.saturating_sub(memory.free)),
        table::bytes(memory.total),
        table::bytes(memory.kernel),
    );
    let head = [
        "ID", "KIND", "STATE", "THREADS", "MEMORY", "CPU%", "TIME", "COMMAND",
    ];
    let mut rows: Vec<Vec<String>> = Vec::from([head.map(String::from).into()]);
    rows.extend(all.iter().map(|(used, process)| {
        Vec::from([
            format!("{}", process.id),
            process.personality.clone(),
            process.state.clone(),
            format!("{}", process.threads),
            table::bytes(process.memory),
            percent(*used, passed),
            crate::ps::clock(process.time),
            crate::ps::command(process),
        ])
    }));
    text.push_str(&table::align(&rows, &[0, 3, 4, 5, 6]));
    text
}

/// Of one CPU, with a tenth.
fn percent(used: u64, passed: u64) -> String {
    let tenths = u128::from(used) * 1000 / u128::from(passed.max(1));
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The upper left of a text, with the sequences that put it on a terminal over what was there before.
fn fitted(text: &str, columns: usize, rows: usize) -> String {
    // A terminal that does not know its size.
    let columns = if columns == 0 { 80 } else { columns };
    let rows = if rows == 0 { 24 } else { rows };
    let mut screen = String::from("\x1b[H");
    for (row, line) in text.lines().take(rows).enumerate() {
        if row > 0 {
            screen.push_str("\r\n");
        }
        screen.extend(line.chars().take(columns));
        // What is left of the line before.
        screen.push_str("\x1b[K");
    }
    screen.push_str("\x1b[J");
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: u32, memory: u64, time: u64) -> Listed {
        Listed {
            id,
            parent: 1,
            name: format!("p{id}"),
            command: String::new(),
            state: "running".into(),
            personality: "linux".into(),
            threads: 2,
            memory,
            time,
        }
    }

    fn look(time: u64, processes: Vec<Listed>) -> Look {
        let memory = Memory {
            total: 100 << 20,
            free: 60 << 20,
            kernel: 5 << 20,
            user: 35 << 20,
        };
        Look {
            time,
            memory,
            processes,
        }
    }

    fn order_of(text: &str) -> Vec<&str> {
        let lines = text.lines().skip(4);
        lines
            .filter_map(|line| line.split(' ').next_back())
            .collect()
    }

    #[test]
    fn what_was_used_since_the_look_before() {
        let before = look(0, [process(1, 10, 500_000_000), process(3, 0, 900)].into());
        let second = time::SECOND;
        let now = look(
            second,
            [
                process(1, 10, 600_000_000),
                process(2, 5000, 250_000_000),
                // Another one with an old number.
                process(3, 20, 800),
            ]
            .into(),
        );
        let text = frame(&before, &now, Order::Cpu);
        assert_eq!(order_of(&text), ["p2", "p1", "p3"]);
        assert!(text.contains("3 processes, 3 running, 6 threads"), "{text}");
        assert!(
            text.contains("CPU 35.0%   memory 40M used of 100M"),
            "{text}"
        );
        assert!(
            text.contains("2 linux running       2   4.8K 25.0"),
            "{text}"
        );
        assert_eq!(
            order_of(&frame(&before, &now, Order::Memory)),
            ["p2", "p3", "p1"]
        );
        assert_eq!(
            order_of(&frame(&before, &now, Order::Time)),
            ["p1", "p2", "p3"]
        );
        assert_eq!(
            order_of(&frame(&before, &now, Order::Number)),
            ["p1", "p2", "p3"]
        );
    }

    #[test]
    fn no_more_than_the_terminal_has_room_for() {
        assert_eq!(
            fitted("abc\nd\nef", 2, 2),
            "\x1b[Hab\x1b[K\r\nd\x1b[K\x1b[J"
        );
        assert_eq!(fitted("a", 0, 0), "\x1b[Ha\x1b[K\x1b[J");
    }

    #[test]
    fn arguments_that_make_no_sense() {
        for wrong in ["0", "x", "-1"] {
            assert!(interval(wrong).is_err() && number(wrong).is_err());
        }
        assert_eq!(interval("0.5"), Ok(time::SECOND / 2));
        assert_eq!(number("3"), Ok(3));
    }
}
