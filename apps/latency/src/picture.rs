//! The result as text: a line for each processor, and a histogram of all of them.

use crate::plan::Plan;
use crate::tally::{STEPS, Tally};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use commands::table;
use helve::system::Cpu;

/// Columns of the narrowest terminal.
const WIDTH: usize = 80;

/// What is known at one moment.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    pub plan: &'a Plan,
    pub tallies: &'a [Tally],
    /// What the kernel says about itself; nothing where it may not be asked.
    pub cpus: &'a [Cpu],
    /// How long it has been measured, in nanoseconds.
    pub passed: u64,
    /// How long a look at the clock takes, in nanoseconds.
    pub clock: u64,
}

impl Outcome<'_> {
    /// The kernel's word about a processor.
    pub fn kernel(&self, cpu: usize) -> Option<&Cpu> {
        self.cpus.iter().find(|one| one.number as usize == cpu)
    }
}

/// The whole text; no line is longer than a terminal is wide.
pub fn picture(result: &Outcome<'_>) -> String {
    let mut text = format!(
        "{}, every {}, for {}; a look at the clock takes {}\n",
        result.plan.terms(),
        table::time(result.plan.interval),
        table::time(result.passed),
        table::time(result.clock),
    );
    text.push_str(&processors(result));
    let histogram = histogram(result.tallies);
    if !histogram.is_empty() {
        text.push('\n');
        text.push_str(&histogram);
    }
    text
}

fn processors(result: &Outcome<'_>) -> String {
    let head = [
        "CPU",
        "WAKES",
        "MIN",
        "AVERAGE",
        "MAX",
        "MISSED",
        "KERNEL",
        "BEGAN WITH",
    ];
    let mut rows = Vec::from([head.map(String::from).to_vec()]);
    for tally in result.tallies {
        let kernel = result.kernel(tally.cpu);
        let longest = kernel.and_then(|cpu| cpu.longest_stretch.as_ref());
        rows.push(Vec::from([
            format!("{}", tally.cpu),
            format!("{}", tally.count),
            table::time(tally.least),
            table::time(tally.average()),
            table::time(tally.most),
            format!("{}", tally.missed),
            longest.map_or_else(String::new, |longest| table::time(longest.nanoseconds)),
            longest.map_or_else(String::new, |longest| format!("{longest}")),
        ]));
    }
    let table = table::align(&rows, &[0, 1, 2, 3, 4, 5, 6]);
    let mut text = String::new();
    for line in table.lines() {
        text.extend(line.chars().take(WIDTH));
        text.push('\n');
    }
    text
}

/// A bar for each step between the first and the last that has any. Bars grow with the logarithm, so that one late
/// wake-up in a million is still seen.
fn histogram(tallies: &[Tally]) -> String {
    let all: [u64; STEPS] = core::array::from_fn(|step| {
        let counts = tallies.iter().filter_map(|tally| tally.steps.get(step));
        counts.sum()
    });
    let Some(first) = all.iter().position(|count| *count > 0) else {
        return String::new();
    };
    let last = STEPS - all.iter().rev().take_while(|count| **count == 0).count();
    let most = all.iter().copied().max().unwrap_or(0);
    let digits = format!("{most}").len();
    let label = |step: usize| table::time(if step == 0 { 0 } else { 1 << step });
    let widest = (first..last).map(|step| label(step).len()).max();
    let widest = widest.unwrap_or(0);
    let room = WIDTH - (widest + digits + 4);
    let mut text = String::new();
    for (step, count) in all.iter().enumerate().take(last).skip(first) {
        let bar = "#".repeat(bar(*count, most, room));
        let line = format!("{:>widest$}+ {count:>digits$} |{bar}\n", label(step));
        text.push_str(&line);
    }
    text
}

/// How long the bar of a count is: nothing for 0, `room` for the most, and in between as the logarithm.
fn bar(count: u64, most: u64, room: usize) -> usize {
    if count == 0 {
        return 0;
    }
    let room = room as u64;
    // One has a bar too; with 256 parts of a doubling the bars of like counts are alike.
    let (part, whole) = (1 + logarithm(count), 1 + logarithm(most));
    (part * room / whole).max(1) as usize
}

/// The logarithm to base 2 in parts of 256, linear between powers of two.
fn logarithm(number: u64) -> u64 {
    let whole = u64::from(number.max(1).ilog2());
    let rest = u128::from(number.max(1)) - (1 << whole);
    (whole << 8) + ((rest << 8) >> whole) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use helve::system::Longest;

    fn plan() -> Plan {
        let arguments = ["-l", "5"].map(String::from);
        Plan::read(&arguments).unwrap()
    }

    #[test]
    fn a_line_for_each_processor_and_bars_below() {
        let mut tallies = [Tally::new(0), Tally::new(1)];
        for _ in 0..1000 {
            tallies[0].add(5_000, 1_000_000);
        }
        tallies[1].add(3_000, 1_000_000);
        tallies[1].add(40_000_000, 1_000_000);
        let cpus = [Cpu {
            number: 1,
            longest_stretch: Some(Longest {
                nanoseconds: 93_100,
                cause: "kernel/memory/src/some/very/long/path/of/a/file.rs:1234".into(),
                task: "busybox".into(),
                process: 17,
            }),
            ..Cpu::default()
        }];
        let text = picture(&Outcome {
            plan: &plan(),
            tallies: &tallies,
            cpus: &cpus,
            passed: 2_000_000_000,
            clock: 900,
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "priority 80, every 1.00 ms, for 2.00 s; a look at the clock takes 900 ns"
        );
        assert_eq!(
            lines[1],
            "CPU WAKES     MIN AVERAGE     MAX MISSED  KERNEL BEGAN WITH"
        );
        assert_eq!(
            lines[2].trim_end(),
            "  0  1000 5.00 us 5.00 us 5.00 us      0"
        );
        assert!(
            lines[3].starts_with("  1     2 3.00 us 20.0 ms 40.0 ms     40 93.1 us kernel/mem")
        );
        assert_eq!(lines[4], "");
        assert!(lines[5].starts_with("2.04 us+    1 |#") && !lines[5].contains("##"));
        assert!(lines[6].starts_with("4.09 us+ 1000 |###"));
        assert_eq!(lines[6].len(), WIDTH);
        assert!(lines.last().unwrap().starts_with("33.5 ms+    1 |#"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn nothing_has_no_bars() {
        assert_eq!(histogram(&[Tally::new(0)]), "");
        assert_eq!(histogram(&[]), "");
    }

    #[test]
    fn bars_grow_with_the_logarithm() {
        let bars = [0, 1, 2, 16, 255, 256, 65_536].map(|count| bar(count, 65_536, 64));
        assert_eq!(bars, [0, 1, 4, 16, 31, 32, 64]);
        assert_eq!(bar(1, 1, 64), 64);
        assert_eq!(bar(u64::MAX, u64::MAX, 50), 50);
    }
}
