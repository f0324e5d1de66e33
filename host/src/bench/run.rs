//! One boot of one system with the benchmark program: its lines, and when they came.
//!
//! The program prints `bench NAME VALUE UNIT`. Two lines mean something here: `clock`, the guest's monotonic clock in
//! nanoseconds, printed at the start and at the end, is compared with this machine's clock; and `bench boot-marker`, the
//! first of all, ends the time that booting took: from the start of QEMU to the arrival of that line's first byte.

use crate::qemu::Machine;
use crate::qemu::serial::SerialGuest;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Start of every line that counts.
const PREFIX: &str = "bench ";

/// The first thing that the program writes.
const MARKER: &str = "bench boot-marker";

/// The guest's own clock.
const CLOCK: &str = "clock";

/// What the guest says of its memory, in KiB.
const TOTAL: &str = "memory total after boot";
const FREE: &str = "memory free after boot";

/// Name of the memory that is not free, of all that the machine was given.
const USED: &str = "memory used after boot";

/// Name of the measured time from QEMU's start to the first line.
pub const BOOT: &str = "boot to first user instruction";

/// A measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub number: f64,
    pub unit: String,
}

/// What one run gave.
#[derive(Debug, Default)]
pub struct Run {
    /// By name.
    pub values: BTreeMap<String, Value>,
    /// Names in the order of printing.
    pub order: Vec<String>,
    /// How much faster the guest's clock ran than ours, if it told.
    pub clock_error: Option<f64>,
}

/// Boots and measures.
pub fn measure(machine: &Machine, limit: Duration) -> Result<Run> {
    let mut guest = SerialGuest::start(machine)?;
    let finished = guest.finish(limit);
    let output = guest.ascii();
    let status = finished.with_context(|| format!("the console showed:\n{output}"))?;
    ensure!(
        status.success(),
        "QEMU ended with {status}; the console showed:\n{output}"
    );
    let marker = output.find(MARKER);
    let marker = marker.with_context(|| format!("no benchmark; the console showed:\n{output}"))?;
    let boot = guest.arrival(marker).duration_since(guest.started());
    let mut run = Run::default();
    run.insert(
        BOOT,
        Value {
            number: boot.as_secs_f64() * 1e3,
            unit: "ms".into(),
        },
    );
    let mut clocks: Vec<(Instant, f64)> = Vec::new();
    for line in parse(&output) {
        if line.name == CLOCK {
            clocks.push((guest.arrival(line.position), line.value.number));
        } else {
            run.insert(line.name, line.value);
        }
    }
    run.count_memory(machine.memory);
    if let (Some(first), Some(last)) = (clocks.first(), clocks.last())
        && clocks.len() > 1
    {
        let ours = last.0.duration_since(first.0).as_secs_f64() * 1e9;
        run.clock_error = Some((last.1 - first.1) / ours - 1.0);
    }
    Ok(run)
}

impl Run {
    /// Memory after boot is what the machine was given less what is free: a system that hides what it took at the very start
    /// gains nothing by it.
    fn count_memory(&mut self, given: u64) {
        self.order.retain(|name| name != TOTAL && name != FREE);
        self.values.remove(TOTAL);
        if let Some(free) = self.values.remove(FREE) {
            let used = given as f64 / 1024.0 - free.number;
            self.insert(
                USED,
                Value {
                    number: used,
                    unit: free.unit,
                },
            );
        }
    }

    fn insert(&mut self, name: &str, value: Value) {
        if self.values.insert(name.to_string(), value).is_none() {
            self.order.push(name.to_string());
        }
    }
}

/// A benchmark line of the output.
#[derive(Debug)]
struct Line<'a> {
    /// Byte offset of its start.
    position: usize,
    name: &'a str,
    value: Value,
}

fn parse(output: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut position = 0;
    for text in output.split_inclusive('\n') {
        if let Some(line) = parse_line(text, position) {
            lines.push(line);
        }
        position += text.len();
    }
    lines
}

fn parse_line(text: &str, position: usize) -> Option<Line<'_>> {
    // The firmware leaves terminal controls in front of the first line.
    let start = text.find(PREFIX)?;
    let rest = text[start + PREFIX.len()..].trim();
    let (rest, unit) = rest.rsplit_once(' ')?;
    let (name, number) = rest.rsplit_once(' ')?;
    let number: f64 = number
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    Some(Line {
        position: position + start,
        name: name.trim(),
        value: Value {
            number,
            unit: unit.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_from_what_was_given() {
        let kib = |number| Value {
            number,
            unit: "KiB".into(),
        };
        let mut run = Run::default();
        run.insert(TOTAL, kib(900.0));
        run.insert(FREE, kib(800.0));
        run.count_memory(1 << 20);
        assert_eq!((run.values.len(), &run.values[USED]), (1, &kib(224.0)));
        assert_eq!(run.order, [USED]);
    }

    #[test]
    fn lines() {
        let output = "SeaBIOS\r\n\x1b[2Jbench clock 1000 ns\r\nnoise\r\nbench null call 55.5 ns\r\nbench broken x ns\r\n";
        let lines = parse(output);
        let brief: Vec<_> = lines
            .iter()
            .map(|line| (line.name, line.value.number, line.value.unit.as_str()))
            .collect();
        assert_eq!(brief, [("clock", 1000.0, "ns"), ("null call", 55.5, "ns")]);
        assert_eq!(&output[lines[0].position..][..5], "bench");
    }
}
