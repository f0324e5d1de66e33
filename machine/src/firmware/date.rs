//! What the registers of the real-time clock mean (MC146818 data sheet).

const HOURS_24: u8 = 2;
const BINARY: u8 = 4;
const AFTERNOON: u8 = 0x80;

/// Seconds since 1970 from second, minute, hour, day, month and year as the clock has them, and its
/// register B. The clock is taken for UTC, and the century for this one. Nonsense gives some time.
pub fn seconds(mut fields: [u8; 6], status: u8) -> u64 {
    let afternoon = fields[2] & AFTERNOON != 0 && status & HOURS_24 == 0;
    fields[2] &= !AFTERNOON;
    let mut fields = fields.map(u64::from);
    if status & BINARY == 0 {
        fields = fields.map(|bcd| (bcd >> 4) * 10 + (bcd & 15));
    }
    let [second, minute, mut hour, day, month, year] = fields;
    if status & HOURS_24 == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    ((days(2000 + year, month, day) * 24 + hour) * 60 + minute) * 60 + second
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that start in March have their leap day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year / 4 - year / 100 + year / 400;
    (365 * year + leaps + (153 * month + 2) / 5 + day.max(1) - 1).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        // 2024-02-29 23:59:58, in all four ways of writing it.
        let want = 1_709_251_198;
        assert_eq!(seconds([58, 59, 23, 29, 2, 24], HOURS_24 | BINARY), want);
        assert_eq!(
            seconds([0x58, 0x59, 0x23, 0x29, 0x02, 0x24], HOURS_24),
            want
        );
        assert_eq!(seconds([58, 59, 11 | AFTERNOON, 29, 2, 24], BINARY), want);
        assert_eq!(
            seconds([0x58, 0x59, 0x11 | AFTERNOON, 0x29, 0x02, 0x24], 0),
            want
        );
        assert_eq!(seconds([0, 0, 12, 1, 1, 0], BINARY), 946_684_800);
        assert_eq!(
            seconds([0, 0, 0, 1, 3, 26], HOURS_24 | BINARY),
            1_772_323_200
        );
    }

    #[test]
    fn any_registers_give_some_time() {
        for value in 0..=255 {
            for status in [0, 2, 4, 6] {
                seconds([value; 6], status);
            }
        }
    }
}
