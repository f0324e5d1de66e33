//! What an entity may ask of the CPU.

use super::{Entity, NORMAL_WEIGHT, Server};

/// The highest real-time priority that can be asked for.
pub const HIGHEST_PRIORITY: u8 = 99;
/// Above them all: who is waited for by somebody with a reservation.
pub const INHERITED_PRIORITY: u8 = 100;
/// How long one of several of equal priority may run before the next one's turn, in nanoseconds.
pub const QUANTUM: u64 = 100_000_000;
/// The weight of what should run only when nobody else wants to: a three hundredth of the normal one.
pub const IDLE_WEIGHT: u32 = 3;

/// How an entity competes. The first one that has somebody runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// So much time in every period, by a deadline.
    Deadline(Reservation),
    /// The highest priority, 1 to 100, first. Among equals the first come runs until it sleeps or yields, or, with
    /// `rotates`, for a [`QUANTUM`].
    Realtime {
        /// 1 is the lowest.
        priority: u8,
        /// Equals take turns.
        rotates: bool,
    },
    /// A share by weight.
    Fair {
        /// [`NORMAL_WEIGHT`] is normal.
        weight: u32,
        /// How it wakes.
        manner: Manner,
    },
}

impl Class {
    /// An ordinary one.
    pub const NORMAL: Class = Class::Fair {
        weight: NORMAL_WEIGHT,
        manner: Manner::Prompt,
    };

    /// What it inherits to whoever it waits for; 0: nothing.
    pub const fn priority(&self) -> u8 {
        match self {
            Class::Deadline(_) => INHERITED_PRIORITY,
            Class::Realtime { priority, .. } => *priority,
            Class::Fair { .. } => 0,
        }
    }
}

/// How a fair entity behaves when it wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It runs at once if its deadline is earlier.
    Prompt,
    /// It interrupts nobody.
    Batch,
    /// It interrupts nobody, and everybody else interrupts it.
    Idle,
}

/// `runtime` nanoseconds in every `period`, within `deadline` of its start: `runtime <= deadline <= period`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The budget.
    pub runtime: u64,
    /// Relative.
    pub deadline: u64,
    /// Until there is a new budget.
    pub period: u64,
}

/// An entity with what is remembered of it while it is not runnable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Of a reservation.
    Deadline(Server),
    /// Of a priority.
    Realtime {
        /// 1 is the lowest.
        priority: u8,
        /// Equals take turns.
        rotates: bool,
    },
    /// Of a share.
    Fair(Entity, Manner),
}

/// Where an entity waits in a queue, for taking it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) line: Line,
    /// The deadline, in trees.
    pub(super) deadline: i64,
    /// When it came, in trees; which node, in lists.
    pub(super) arrival: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Fair = 1,
    Realtime,
    Reserved,
    Exhausted,
}

impl Ticket {
    /// As plain numbers, the first of them never 0.
    pub const fn into_parts(self) -> (u64, i64) {
        (self.arrival << 3 | self.line as u64, self.deadline)
    }

    /// The reverse of [`into_parts`](Self::into_parts); `None` for 0.
    pub const fn from_parts(first: u64, deadline: i64) -> Option<Ticket> {
        let line = match first & 7 {
            1 => Line::Fair,
            2 => Line::Realtime,
            3 => Line::Reserved,
            4 => Line::Exhausted,
            _ => return None,
        };
        Some(Ticket {
            line,
            deadline,
            arrival: first >> 3,
        })
    }
}

/// What can wait in a queue. It is told where, so that it can be taken out in O(log n).
pub trait Member {
    /// It waits there now; `None`: nowhere.
    fn waits(&self, at: Option<Ticket>);
}

#[cfg(test)]
mod numbers {
    /// Plain names, in tests: nobody takes them out.
    macro_rules! plain {
        ($($name:ty)*) => {
            $(impl super::Member for $name {
                fn waits(&self, _: Option<super::Ticket>) {}
            })*
        };
    }
    plain!(usize i32 char);

    impl super::Member for &str {
        fn waits(&self, _: Option<super::Ticket>) {}
    }
}
