//! The kernel's symbols as text: lines of a hexadecimal address, a space and a name, sorted by
//! address. Found by halving the text, so that a panic needs no memory.

/// The last line whose address is not above `address`, by halving the text.
pub fn find(table: &[u8], address: u64) -> Option<(u64, &str)> {
    let (mut low, mut high) = (0, table.len());
    let mut best = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let start = table[..middle]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let end = table[middle..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(table.len(), |at| middle + at);
        let text = core::str::from_utf8(&table[start..end]).ok()?;
        let (hex, name) = text.split_once(' ')?;
        let at = u64::from_str_radix(hex, 16).ok()?;
        if at <= address {
            best = Some((at, name));
            low = end + 1;
        } else {
            high = start;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::find;
    use proptest::prelude::*;

    const TABLE: &[u8] = b"1000 start\n1010 <core::fmt as a b>::c\n20ff end\n";

    #[test]
    fn the_last_symbol_not_above_is_found() {
        assert_eq!(find(TABLE, 0xfff), None);
        assert_eq!(find(TABLE, 0x1000), Some((0x1000, "start")));
        assert_eq!(find(TABLE, 0x100f), Some((0x1000, "start")));
        assert_eq!(find(TABLE, 0x1010), Some((0x1010, "<core::fmt as a b>::c")));
        assert_eq!(find(TABLE, u64::MAX), Some((0x20ff, "end")));
        assert_eq!(find(b"", 1), None);
    }

    proptest! {
        #[test]
        fn halving_finds_what_a_scan_finds(
            mut addresses in prop::collection::vec(any::<u32>(), 0..40),
            wanted in any::<u32>(),
        ) {
            addresses.sort_unstable();
            addresses.dedup();
            let text: String = addresses.iter().map(|at| format!("{at:x} f{at}\n")).collect();
            let scan = addresses.iter().rev().find(|at| **at <= wanted).map(|at| u64::from(*at));
            prop_assert_eq!(find(text.as_bytes(), u64::from(wanted)).map(|(at, _)| at), scan);
        }

        #[test]
        fn any_bytes_are_survived(table in prop::collection::vec(any::<u8>(), 0..200), at in any::<u64>()) {
            find(&table, at);
        }
    }
}
