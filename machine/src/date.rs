//! Dates, and what the registers of the real-time clock mean (MC146818 data sheet), both ways.
#![forbid(unsafe_code)]

const HOURS_24: u8 = 2;
const BINARY: u8 = 4;
const AFTERNOON: u8 = 0x80;
/// What is taken for the century where no register says.
const CENTURY: u64 = 20;
/// 1970-01-01 in days since 0000-03-01, where leap years are easiest to count.
const EPOCH: u64 = 719_468;

/// Second, minute, hour, day, month, year and century, as the clock has them. Where there is no register of the century,
/// nobody looks at the last.
pub type Fields = [u8; 7];

/// Seconds since 1970 from what the clock has and its register B. The clock is taken for UTC. Nonsense gives some time.
pub fn seconds(mut fields: Fields, status: u8, has_century: bool) -> u64 {
    let afternoon = fields[2] & AFTERNOON != 0 && status & HOURS_24 == 0;
    fields[2] &= !AFTERNOON;
    let mut fields = fields.map(u64::from);
    if status & BINARY == 0 {
        fields = fields.map(|bcd| (bcd >> 4) * 10 + (bcd & 15));
    }
    let [second, minute, mut hour, day, month, year, century] = fields;
    if status & HOURS_24 == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    // A register that holds nonsense is none.
    let known = has_century && (19..=99).contains(&century);
    let century = if known { century } else { CENTURY };
    ((days(century * 100 + year, month, day) * 24 + hour) * 60 + minute) * 60 + second
}

/// What the clock must have to show these seconds since 1970, and the day of the week from 1 (Sunday) on. `None`: it cannot.
pub fn fields(seconds: u64, status: u8, has_century: bool) -> Option<(Fields, u8)> {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let century = year / 100;
    if century > 99 || !has_century && century != CENTURY {
        return None;
    }
    let hour = time / 3600;
    let (hour, half) = match (status & HOURS_24, hour) {
        (0, 0) => (12, 0),
        (0, 1..12) => (hour, 0),
        (0, 12) => (12, AFTERNOON),
        (0, _) => (hour - 12, AFTERNOON),
        _ => (hour, 0),
    };
    let values = [
        time % 60,
        time / 60 % 60,
        hour,
        day,
        month,
        year % 100,
        century,
    ];
    let mut fields = values.map(|value| match status & BINARY {
        0 => (((value / 10) << 4) | (value % 10)) as u8,
        _ => value as u8,
    });
    fields[2] |= half;
    // 1970-01-01 was a Thursday.
    Some((fields, ((days + 4) % 7 + 1) as u8))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; 0 for one before that.
pub fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that start in March have their leap day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.saturating_sub(1), month + 9)
    };
    let leaps = year / 4 - year / 100 + year / 400;
    (365 * year + leaps + (153 * month + 2) / 5 + day.max(1) - 1).saturating_sub(EPOCH)
}

/// Year, month and day so many days after 1970-01-01.
pub fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + EPOCH;
    let (era, of_era) = (days / ERA, days % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_become_seconds() {
        // 2024-02-29 23:59:58, in all four ways of writing it.
        let want = 1_709_251_198;
        let seconds = |fields, status| seconds(fields, status, false);
        assert_eq!(seconds([58, 59, 23, 29, 2, 24, 0], HOURS_24 | BINARY), want);
        assert_eq!(
            seconds([0x58, 0x59, 0x23, 0x29, 0x02, 0x24, 0], HOURS_24),
            want
        );
        assert_eq!(
            seconds([58, 59, 11 | AFTERNOON, 29, 2, 24, 0], BINARY),
            want
        );
        assert_eq!(
            seconds([0x58, 0x59, 0x11 | AFTERNOON, 0x29, 0x02, 0x24, 0], 0),
            want
        );
        assert_eq!(seconds([0, 0, 12, 1, 1, 0, 0], BINARY), 946_684_800);
        assert_eq!(
            seconds([0, 0, 0, 1, 3, 26, 0], HOURS_24 | BINARY),
            1_772_323_200
        );
    }

    #[test]
    fn the_century_counts_if_it_is_one() {
        let with = |century| seconds([0, 0, 0, 1, 1, 0x99, century], HOURS_24, true);
        assert_eq!(with(0x19), 915_148_800);
        assert_eq!(with(0x20), 4_070_908_800);
        assert_eq!(with(0), with(0x20));
        assert_eq!(with(0xff), with(0x20));
    }

    #[test]
    fn the_day_of_the_week() {
        // 2024-02-29 was a Thursday, 2026-03-01 is a Sunday.
        assert_eq!(fields(1_709_251_198, 0, false).unwrap().1, 5);
        assert_eq!(fields(1_772_323_200, 0, false).unwrap().1, 1);
    }

    #[test]
    fn what_the_clock_cannot_show_is_refused() {
        assert_eq!(fields(4_102_444_800, 0, false), None, "2100");
        assert!(fields(4_102_444_800, 0, true).is_some());
        assert_eq!(fields(0, 0, false), None);
        assert_eq!(fields(u64::MAX / 2, 0, true), None);
    }

    #[test]
    fn any_registers_give_some_time() {
        for value in 0..=255 {
            for status in [0, 2, 4, 6] {
                seconds([value; 7], status, true);
            }
        }
    }

    proptest! {
        /// What is written is read again, in each of the four ways and with any century.
        #[test]
        fn both_ways_fit(time in 0u64..250_000_000_000, status in 0u8..4, has_century: bool) {
            let status = status << 1;
            match fields(time, status, has_century) {
                Some((fields, day)) => {
                    prop_assert_eq!(seconds(fields, status, has_century), time);
                    prop_assert!((1..=7).contains(&day));
                    if status & BINARY == 0 {
                        let decimal = |byte: u8| byte & 15 < 10 && byte >> 4 < 10;
                        prop_assert!(fields.iter().all(|byte| decimal(byte & 0x7f)));
                    }
                }
                None => prop_assert!(!(946_684_800..4_102_444_800).contains(&time)),
            }
        }
    }
}
