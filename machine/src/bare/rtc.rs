//! The real-time clock (MC146818 data sheet): the date at boot.

use super::instructions::{in_u8, out_u8, rdtsc};
use crate::firmware::date;

const INDEX: u16 = 0x70;
const VALUE: u16 = 0x71;
const UPDATING: u8 = 0x80;

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
    date::seconds(now, register(0x0b))
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
