//! Sizes and durations as people type them: `256M`, `1.5G`, `90s`, `2m`.
//!
//! Size suffixes are powers of 1024; a bare number is bytes. A bare number of time is seconds, as for timeout(1).

use std::time::Duration;

/// Parses a size in bytes: digits (a decimal point is fine), then nothing, `B`, `K`, `M`, `G` or `T`, optionally with `B`/`iB`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, suffix) = split(text)?;
    let unit = match suffix.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1u64 << 40,
        _ => return Err(format!("unknown size suffix `{suffix}` (use K, M, G or T)")),
    };
    let bytes = number * unit as f64;
    if bytes >= 2f64.powi(63) {
        return Err("size is too large".into());
    }
    Ok(bytes as u64)
}

/// Parses a memory size for a virtual machine: at least 8 MiB, a whole number of MiB.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text)?;
    if bytes < 8 << 20 {
        return Err("a machine needs at least 8M of memory".into());
    }
    if bytes % (1 << 20) != 0 {
        return Err("memory must be a whole number of MiB".into());
    }
    Ok(bytes)
}

/// Parses a duration: a number (a decimal point is fine), then nothing or `s`, `ms`, `m`, `h` or `d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, suffix) = split(text)?;
    let unit = match suffix {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => {
            return Err(format!(
                "unknown time suffix `{suffix}` (use ms, s, m, h or d)"
            ));
        }
    };
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number = number
        .parse()
        .map_err(|_| format!("`{text}` does not start with a number"))?;
    Ok((number, suffix.trim()))
}

/// A size for people: `1.4 MiB`.
pub fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("256M"), Ok(256 << 20));
        assert_eq!(parse_size("1.5G"), Ok(3 << 29));
        assert_eq!(parse_size(" 2 GiB "), Ok(2 << 30));
        assert_eq!(parse_size("64kb"), Ok(64 << 10));
        for bad in ["", "M", "-1M", "1X", "1..2", "9999999999T", "1e9"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_is_whole_and_enough() {
        assert_eq!(parse_memory("256M"), Ok(256 << 20));
        assert!(parse_memory("4M").is_err());
        assert!(parse_memory("16777217").is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "s", "1w", "-1", "1 2"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(show_size(12), "12 B");
        assert_eq!(show_size(1536), "1.5 KiB");
        assert_eq!(show_size(2 << 20), "2.0 MiB");
    }
}
