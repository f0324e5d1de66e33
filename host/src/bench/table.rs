//! Medians, ratios and spreads.

use super::run::{Run, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The unit of what several processors gain, in amounts of work that one does.
const GAIN: &str = "times";

/// Everything measured so far.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<String, Row>,
    order: Vec<String>,
    /// Pairs of runs that did not count.
    pub thrown: u32,
}

#[derive(Debug, Default)]
struct Row {
    unit: String,
    helve: Vec<f64>,
    linux: Vec<f64>,
}

impl Table {
    /// Adds a pair of runs.
    pub fn add(&mut self, helve: Run, linux: Run) {
        for name in helve.order.iter().chain(&linux.order) {
            if let Some(value) = helve.values.get(name).or_else(|| linux.values.get(name)) {
                self.row(name, &value.unit);
            }
        }
        for (name, value) in &helve.values {
            self.row(name, &value.unit).helve.push(value.number);
        }
        for (name, value) in &linux.values {
            self.row(name, &value.unit).linux.push(value.number);
        }
    }

    /// Adds a value that needs no rounds.
    pub fn add_fixed(&mut self, name: &str, helve: Value, linux: Value) {
        let row = self.row(name, &helve.unit);
        row.helve.push(helve.number);
        row.linux.push(linux.number);
    }

    fn row(&mut self, name: &str, unit: &str) -> &mut Row {
        if !self.rows.contains_key(name) {
            self.order.push(name.to_string());
        }
        let row = self.rows.entry(name.to_string()).or_default();
        row.unit = unit.to_string();
        row
    }

    /// The table as Markdown, which is also readable on a terminal.
    pub fn render(&self, only: Option<&str>) -> String {
        let head = [
            "",
            "Helve",
            "Linux",
            "unit",
            "ratio",
            "spread Helve",
            "spread Linux",
        ]
        .map(String::from);
        let mut cells = vec![head];
        let chosen = |name: &str| only.is_none_or(|only| name.contains(only));
        for name in self.order.iter().filter(|name| chosen(name)) {
            let row = &self.rows[name];
            cells.push([
                name.clone(),
                median(&row.helve).map_or("–".into(), number),
                median(&row.linux).map_or("–".into(), number),
                row.unit.clone(),
                row.ratio()
                    .map_or("–".into(), |ratio| format!("{ratio:.2}")),
                spread(&row.helve),
                spread(&row.linux),
            ]);
        }
        let widths: Vec<usize> = (0..7)
            .map(|column| {
                cells
                    .iter()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (index, row) in cells.iter().enumerate() {
            text.push('|');
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column] - cell.chars().count());
                // Names and units to the left, numbers to the right.
                let _ = if matches!(column, 0 | 3) {
                    write!(text, " {cell}{pad} |")
                } else {
                    write!(text, " {pad}{cell} |")
                };
            }
            text.push('\n');
            if index == 0 {
                text.push('|');
                for (column, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(width + 1);
                    text.push_str(&if matches!(column, 0 | 3) {
                        format!("{dashes}-|")
                    } else {
                        format!("{dashes}:|")
                    });
                }
                text.push('\n');
            }
        }
        let _ = writeln!(
            text,
            "\nRatio: below 1 Helve is better; Helve / Linux for times and sizes, Linux / Helve for rates (units per second) and gains. \
             Spread: (largest − smallest) / median. Pairs of runs thrown away: {}.",
            self.thrown
        );
        text
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let (helve, linux) = (median(&self.helve)?, median(&self.linux)?);
        let ratio = if self.unit.ends_with("/s") || self.unit == GAIN {
            linux / helve
        } else {
            helve / linux
        };
        ratio.is_finite().then_some(ratio)
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn spread(values: &[f64]) -> String {
    let Some(median) = median(values) else {
        return "–".into();
    };
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    let smallest = values.iter().copied().fold(f64::MAX, f64::min);
    if values.len() < 2 || median == 0.0 {
        "–".into()
    } else {
        format!("{:.1} %", (largest - smallest) / median * 100.0)
    }
}

/// Three or four digits that matter, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(values: &[(&str, f64, &str)]) -> Run {
        let mut run = Run::default();
        for (name, number, unit) in values {
            run.values.insert(
                name.to_string(),
                Value {
                    number: *number,
                    unit: unit.to_string(),
                },
            );
            run.order.push(name.to_string());
        }
        run
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(spread(&[90.0, 100.0, 110.0]), "20.0 %");
    }

    #[test]
    fn rates_are_turned_round() {
        let mut table = Table::default();
        table.add(
            run(&[("call", 50.0, "ns"), ("pipe", 400.0, "MB/s")]),
            run(&[("call", 200.0, "ns"), ("pipe", 100.0, "MB/s")]),
        );
        let text = table.render(None);
        assert!(
            text.lines()
                .any(|line| line.starts_with("| call") && line.contains("0.25")),
            "{text}"
        );
        assert!(
            text.lines()
                .any(|line| line.starts_with("| pipe") && line.contains("0.25")),
            "{text}"
        );
        assert!(!table.render(Some("call")).contains("pipe"));
    }

    #[test]
    fn a_value_that_one_side_lacks() {
        let mut table = Table::default();
        table.add(run(&[]), run(&[("only linux", 1.0, "ns")]));
        assert!(
            table
                .render(None)
                .contains("| only linux |     – |  1.00 |"),
            "{}",
            table.render(None)
        );
    }

    #[test]
    fn numbers() {
        assert_eq!(
            [1.234, 12.34, 123.4, 1234.5, 1234567.0].map(number),
            ["1.23", "12.3", "123", "1,234", "1,234,567"]
        );
    }
}
