//! A moment that somebody waits for.
//!
//! The one idea: a deadline names its scale. One since boot never moves; one on the wall clock or in atomic time comes
//! earlier or later when that clock is set, without anybody who waits for it having to be told.

use crate::clock;

/// In nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Since boot, as [`clock::now`] counts.
    Boot(u64),
    /// Since 1970 (UTC), as [`clock::wall`] counts.
    Wall(u64),
    /// Atomic time, as [`clock::tai`] counts.
    Tai(u64),
}

impl Deadline {
    /// What its own clock shows now.
    pub fn now(self) -> u64 {
        match self {
            Deadline::Boot(_) => clock::now(),
            Deadline::Wall(_) => clock::wall(),
            Deadline::Tai(_) => clock::tai(),
        }
    }

    /// What its own clock shows then.
    pub fn time(self) -> u64 {
        let (Deadline::Boot(time) | Deadline::Wall(time) | Deadline::Tai(time)) = self;
        time
    }

    /// On the same clock, at another time.
    pub fn at(self, time: u64) -> Deadline {
        match self {
            Deadline::Boot(_) => Deadline::Boot(time),
            Deadline::Wall(_) => Deadline::Wall(time),
            Deadline::Tai(_) => Deadline::Tai(time),
        }
    }

    /// Whether it is now, or was before.
    pub fn has_passed(self) -> bool {
        self.now() >= self.time()
    }

    /// The time since boot at which it comes, unless its clock is set before; 0 if it came before boot.
    pub(crate) fn since_boot(self) -> u64 {
        match self {
            Deadline::Boot(time) => time,
            Deadline::Wall(time) => clock::boot_time(time),
            Deadline::Tai(time) => clock::boot_time_of_tai(time),
        }
    }
}

impl From<u64> for Deadline {
    /// Nanoseconds since boot.
    fn from(since_boot: u64) -> Deadline {
        Deadline::Boot(since_boot)
    }
}
