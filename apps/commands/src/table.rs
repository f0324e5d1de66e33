//! Text in columns, and sizes as people read them.

use alloc::string::String;
use alloc::vec::Vec;

/// Lines whose cells stand below each other. Columns named in `right` are aligned to the right; the last column is
/// never padded.
pub fn align(rows: &[Vec<String>], right: &[usize]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = width.saturating_sub(cell.chars().count());
            let before = if right.contains(&column) { padding } else { 0 };
            let after = if column + 1 == row.len() {
                0
            } else {
                padding - before
            };
            if column > 0 {
                text.push(' ');
            }
            text.extend(core::iter::repeat_n(' ', before));
            text.push_str(cell);
            text.extend(core::iter::repeat_n(' ', after));
        }
        text.push('\n');
    }
    text
}

/// Names side by side, filled downwards, on a terminal of this width.
pub fn columns(names: &[String], width: usize) -> String {
    let widest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        + 2;
    let count = (width / widest).max(1);
    let height = names.len().div_ceil(count).max(1);
    let rows: Vec<Vec<String>> = (0..height)
        .map(|row| {
            names
                .iter()
                .skip(row)
                .step_by(height)
                .map(|name| alloc::format!("{name} "))
                .collect()
        })
        .collect();
    align(&rows, &[])
        .lines()
        .map(|line| alloc::format!("{}\n", line.trim_end()))
        .collect()
}

/// Bytes in the largest unit that leaves a number: `987`, `12K`, `3.4M`.
pub fn bytes(count: u64) -> String {
    const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    if count < 1024 {
        return alloc::format!("{count}");
    }
    let exponent = (63 - count.leading_zeros() as usize) / 10;
    let shift = 10 * exponent;
    let unit = UNITS.get(exponent - 1).copied().unwrap_or('?');
    let whole = count >> shift;
    if whole >= 10 {
        return alloc::format!("{whole}{unit}");
    }
    let tenth = ((count & ((1 << shift) - 1)) * 10) >> shift;
    alloc::format!("{whole}.{tenth}{unit}")
}

/// A length of time with three digits: `987 ns`, `93.1 us`, `1.02 ms`, `4.50 s`.
pub fn time(nanoseconds: u64) -> String {
    let (unit, name) = match nanoseconds {
        ..1_000 => return alloc::format!("{nanoseconds} ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, rest) = (nanoseconds / unit, nanoseconds % unit);
    match whole {
        ..10 => alloc::format!("{whole}.{:02} {name}", rest * 100 / unit),
        10..100 => alloc::format!("{whole}.{} {name}", rest * 10 / unit),
        _ => alloc::format!("{whole} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["1", "a", "x y"], ["100", "bcd", ""]].map(|row| row.map(String::from).into());
        assert_eq!(align(&rows, &[0]), "  1 a   x y\n100 bcd \n");
        assert_eq!(align(&[], &[]), "");
    }

    #[test]
    fn names_fill_columns() {
        let names = ["a", "bb", "c", "d"].map(String::from);
        assert_eq!(columns(&names, 8), "a   c\nbb  d\n");
        assert_eq!(columns(&names, 1), "a\nbb\nc\nd\n");
    }

    #[test]
    fn sizes() {
        for (count, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1536, "1.5K"),
            (10_240, "10K"),
            (1 << 20, "1.0M"),
            (u64::MAX, "15E"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn times() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_024, "1.02 us"),
            (93_199, "93.1 us"),
            (999_999, "999 us"),
            (1_048_576, "1.04 ms"),
            (4_500_000_000, "4.50 s"),
            (90_000_000_000, "90.0 s"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
    }
}
