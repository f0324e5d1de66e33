//! The real-time clock (MC146818 data sheet): the date at boot.

use super::instructions::{in_u8, out_u8, rdtsc};

const INDEX: u16 = 0x70;
const VALUE: u16 = 0x71;
const UPDATING: u8 = 0x80;
const HOURS_24: u8 = 2;
const BINARY: u8 = 4;
const AFTERNOON: u8 = 0x80;

fn register(number: u8) -> u8 {
    // SAFETY: the clock's two ports; reading has no side effects on these registers. Bit 7 keeps
    // the NMI gate open.
    unsafe {
        out_u8(INDEX, number);
        in_u8(VALUE)
    }
}

/// Seconds, minutes, hours, day, month, year.
fn fields() -> [u8; 6] {
    [0, 2, 4, 7, 8, 9].map(register)
}

/// Seconds since 1970, taking the clock for UTC and the century for this one.
pub fn seconds() -> u64 {
    // Read twice the same without an update between: then the fields belong together.
    let mut now = fields();
    for _ in 0..1000 {
        if register(0x0a) & UPDATING == 0 {
            let again = fields();
            if again == now && register(0x0a) & UPDATING == 0 {
                break;
            }
            now = again;
        }
    }
    let status = register(0x0b);
    let afternoon = now[2] & AFTERNOON != 0 && status & HOURS_24 == 0;
    now[2] &= !AFTERNOON;
    if status & BINARY == 0 {
        now = now.map(|bcd| (bcd >> 4) * 10 + (bcd & 15));
    }
    let [second, minute, mut hour, day, month, year] = now.map(u64::from);
    if status & HOURS_24 == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    ((days(2000 + year, month, day) * 24 + hour) * 60 + minute) * 60 + second
}

/// How far the time stamp counter goes from one second to the next: for machines that have nothing
/// better. Takes up to two seconds; `None` when the clock stands still.
pub fn stamps_in_a_second() -> Option<u64> {
    const PATIENCE: u32 = 10_000_000;
    let next_second = || {
        let now = register(0);
        (0..PATIENCE).find(|_| register(0) != now).map(|_| rdtsc())
    };
    let first = next_second()?;
    Some(next_second()? - first)
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
