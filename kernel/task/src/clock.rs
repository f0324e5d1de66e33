//! What time it is.
//!
//! Two scales, both in nanoseconds: [`now`] counts from boot and never goes back (deadlines are on this scale);
//! [`wall`] counts from 1970 (UTC) and can be set. Logic takes time as an argument; only the doors and this crate read
//! it.

use core::sync::atomic::{AtomicU64, Ordering};
use machine::frame::{Frame, OutOfFrames};
use machine::vdso::Wall;

/// Nanoseconds since boot; never goes back.
#[inline]
pub fn now() -> u64 {
    machine::time::now()
}

/// What [`set_wall`] added to the real-time clock's word, modulo 2^64.
static CORRECTION: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since 1970-01-01 00:00:00 UTC at boot time 0: `wall() == wall_at_boot() + now()`.
pub fn wall_at_boot() -> u64 {
    machine::time::wall_at_boot().wrapping_add(CORRECTION.load(Ordering::Relaxed))
}

/// Nanoseconds since 1970-01-01 00:00:00 UTC.
pub fn wall() -> u64 {
    wall_at_boot().wrapping_add(now())
}

/// Sets the wall clock to `nanoseconds` since 1970 (UTC). Deadlines do not move: they are on the scale of [`now`].
pub fn set_wall(nanoseconds: u64) {
    let booted = nanoseconds.wrapping_sub(now());
    let correction = booted.wrapping_sub(machine::time::wall_at_boot());
    CORRECTION.store(correction, Ordering::Relaxed);
    machine::clock_page::set_wall(wall_base());
}

/// What the clocks of programs count from.
fn wall_base() -> Wall {
    Wall {
        at_boot: wall_at_boot(),
        tai: 0,
    }
}

/// The page from which programs read the clocks (see [`machine::vdso`]).
///
/// # Errors
/// The first time, when there is no frame.
pub fn page() -> Result<Frame, OutOfFrames> {
    machine::clock_page::frame(wall_base())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_can_be_set() {
        set_wall(5_000);
        assert_eq!(wall(), 5_000);
        CORRECTION.store(0, Ordering::Relaxed);
        assert_eq!(wall() - now(), machine::time::wall_at_boot());
    }
}
