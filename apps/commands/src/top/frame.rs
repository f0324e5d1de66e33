//! One frame of `top` as text.

use crate::table;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::process::{Listed, list};
use helve::system::{Cpu, Memory, cpus, memory};
use helve::{Error, time};

/// What the list is sorted by, the greatest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Cpu,
    Memory,
    Time,
    Number,
}

impl Order {
    /// By the names of the columns.
    pub fn of_name(name: &str) -> Option<Order> {
        match name {
            "cpu" => Some(Order::Cpu),
            "memory" => Some(Order::Memory),
            "time" => Some(Order::Time),
            "number" => Some(Order::Number),
            _ => None,
        }
    }

    /// By the letters of the columns; capital letters as other systems have them.
    pub fn of_key(key: u8) -> Option<Order> {
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
pub struct Look {
    /// Nanoseconds since boot.
    pub time: u64,
    memory: Memory,
    cpus: Vec<Cpu>,
    processes: Vec<Listed>,
}

impl Look {
    pub fn now() -> Result<Look, Error> {
        Ok(Look {
            time: time::now()?,
            memory: memory()?,
            cpus: cpus()?,
            processes: list()?,
        })
    }
}

/// The whole text: a head, the processors, and a line for each process. Times are those since `before`.
pub fn frame(before: &Look, now: &Look, order: Order) -> String {
    let passed = now.time.saturating_sub(before.time).max(1);
    let running = now.processes.iter().filter(|one| one.state == "running");
    let threads: u32 = now.processes.iter().map(|one| one.threads).sum();
    let memory = now.memory;
    let mut text = format!(
        "up {}, {} processes, {} running, {threads} threads   keys: q, sort by c m t n\nmemory {} used of {}, kernel {}\n\n",
        crate::uptime::length(now.time),
        now.processes.len(),
        running.count(),
        table::bytes(memory.total.saturating_sub(memory.free)),
        table::bytes(memory.total),
        table::bytes(memory.kernel),
    );
    text.push_str(&processors(before, now, passed));
    text.push('\n');
    text.push_str(&processes(before, now, order, passed));
    text
}

fn processors(before: &Look, now: &Look, passed: u64) -> String {
    let head = [
        "CPU",
        "BUSY%",
        "IRQ%",
        "SWITCH/s",
        "IRQ/s",
        "TASKS",
        "LONGEST",
        "BEGAN WITH",
    ];
    let mut rows: Vec<Vec<String>> = Vec::from([head.map(String::from).into()]);
    for cpu in &now.cpus {
        let earlier = before.cpus.iter().find(|one| one.number == cpu.number);
        let since =
            |counter: fn(&Cpu) -> u64| counter(cpu).saturating_sub(earlier.map_or(0, counter));
        let rate = |counter| {
            let count = u128::from(since(counter)) * u128::from(time::SECOND);
            format!("{}", count / u128::from(passed))
        };
        let longest = cpu.longest_stretch.as_ref();
        rows.push(Vec::from([
            format!("{}", cpu.number),
            percent(since(|cpu| cpu.busy), passed),
            percent(since(|cpu| cpu.handling), passed),
            rate(|cpu| cpu.switches),
            rate(|cpu| cpu.interrupts),
            format!("{}", cpu.tasks),
            longest.map_or_else(String::new, |longest| table::time(longest.nanoseconds)),
            longest.map_or_else(String::new, |longest| format!("{longest}")),
        ]));
    }
    table::align(&rows, &[0, 1, 2, 3, 4, 5, 6])
}

fn processes(before: &Look, now: &Look, order: Order, passed: u64) -> String {
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
    table::align(&rows, &[0, 3, 4, 5, 6])
}

/// Of one CPU, with a tenth.
fn percent(used: u64, passed: u64) -> String {
    let tenths = u128::from(used) * 1000 / u128::from(passed.max(1));
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use helve::system::Longest;

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
        // It was busy for a quarter of the time.
        let cpu = Cpu {
            tasks: 4,
            switches: time / 1_000_000,
            interrupts: time / 10_000_000,
            busy: time / 4,
            handling: time / 100,
            longest_stretch: Some(Longest {
                nanoseconds: 93_100,
                cause: "page fault".into(),
                task: "sh".into(),
                process: 2,
            }),
            ..Cpu::default()
        };
        Look {
            time,
            memory,
            cpus: Vec::from([cpu]),
            processes,
        }
    }

    fn order_of(text: &str) -> Vec<&str> {
        let lines = text.lines().skip(7);
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
        assert!(text.contains("memory 40M used of 100M"), "{text}");
        let cpu = "  0  25.0  1.0     1000   100     4 93.1 us page fault, sh[2]";
        assert_eq!(text.lines().nth(4), Some(cpu), "{text}");
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
}
