//! Time, read from the simulated clock (see [`super::clock`]).

use super::clock;

/// 2026-01-01 00:00:00 UTC: what the simulated real-time clock said at boot.
const BOOTED: u64 = 1_767_225_600_000_000_000;

/// Nanoseconds since boot; never goes back.
pub fn now() -> u64 {
    clock::now()
}

/// The clock that nobody adjusts: here nobody adjusts any.
pub fn raw() -> u64 {
    clock::now()
}

/// Makes the clock run faster or slower, which this one does not: a test moves it.
pub fn set_rate(_: i64) {}

/// What the clock counts with.
pub fn source() -> &'static str {
    "simulation"
}

/// Nanoseconds since 1970 (UTC) at boot.
pub fn wall_at_boot() -> u64 {
    BOOTED
}

/// Sets or clears this CPU's one-shot alarm, a time on the scale of [`now`].
pub fn set_alarm(deadline: Option<u64>) {
    clock::set_alarm(deadline);
}
