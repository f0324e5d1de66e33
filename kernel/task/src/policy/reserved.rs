//! Reservations: earliest deadline first, each behind a constant-bandwidth server.
//!
//! The one idea: a server has a budget and a deadline. Running uses the budget up; with none left the entity waits for
//! its next period, so however long it wants to run, others lose no more to it than it was admitted for. After
//! L. Abeni and G. Buttazzo, "Integrating Multimedia Applications in Hard Real-Time Systems" (1998); where the deadline
//! is before the end of the period, with Linux's rule that who wakes between the two waits for the next period.

use super::class::{Line, Ticket};
use super::tree::{Key, Tree};
use super::{Member, Reservation};
use alloc::collections::TryReserveError;

/// Utilisations are fractions of this.
pub const WHOLE: u64 = 1 << 20;
/// What of a CPU can be reserved: 95 percent. The rest is for whoever has no reservation.
pub const RESERVABLE: u64 = (WHOLE * 95).div_ceil(100);

impl Reservation {
    /// Whether the numbers make sense: a budget that fits before the deadline, and periods that the arithmetic and the
    /// switching can bear (1 us of budget to 2 s of period).
    pub const fn is_valid(&self) -> bool {
        self.runtime >= 1 << 10
            && self.runtime <= self.deadline
            && self.deadline <= self.period
            && self.period <= 1 << 42
    }

    /// The part of a CPU that it takes, of [`WHOLE`]; rounded up.
    pub const fn utilisation(&self) -> u64 {
        share(self.runtime, self.period)
    }

    /// The part of a CPU that it takes until its deadline: this is what must fit, for deadlines before the end of
    /// the period (a sufficient test; exact ones take longer).
    pub const fn density(&self) -> u64 {
        share(self.runtime, self.deadline)
    }
}

const fn share(part: u64, of: u64) -> u64 {
    if of == 0 {
        return WHOLE;
    }
    ((part as u128 * WHOLE as u128).div_ceil(of as u128)) as u64
}

/// What is left of a reservation. Times are in nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// What it may use.
    pub reservation: Reservation,
    /// Of its budget; negative: overdrawn.
    pub left: i64,
    /// Its deadline.
    pub until: u64,
}

impl Server {
    /// One that has not run yet.
    pub const fn new(reservation: Reservation) -> Self {
        Server {
            reservation,
            left: 0,
            until: 0,
        }
    }

    /// When the period after the current one begins.
    const fn next_period(&self) -> u64 {
        let Reservation {
            deadline, period, ..
        } = self.reservation;
        self.until.saturating_sub(deadline).saturating_add(period)
    }

    fn begin(&mut self, at: u64) {
        self.left = self.reservation.runtime as i64;
        self.until = at.saturating_add(self.reservation.deadline);
    }

    /// It becomes runnable; from when on it may run.
    fn wake(&mut self, now: u64) -> u64 {
        let Reservation {
            runtime, deadline, ..
        } = self.reservation;
        if self.until == 0 {
            self.begin(now);
            return now;
        }
        if self.left <= 0 && now < self.next_period() {
            return self.replenish(now);
        }
        if now >= self.until {
            let next = self.next_period();
            if now < next {
                // It had its budget for this period, used or not.
                self.begin(next);
                return next;
            }
            self.begin(now);
            return now;
        }
        // Would the rest, used up by its deadline, be more than its share? Then it starts afresh.
        let rest = u128::from(self.until - now);
        if self.left as u128 * u128::from(deadline) > u128::from(runtime) * rest {
            self.begin(now);
        }
        now
    }

    /// The budget is used up: the next one that leaves something, and when it begins.
    fn replenish(&mut self, now: u64) -> u64 {
        let runtime = self.reservation.runtime.max(1) as i64;
        let mut start = self.next_period();
        self.left += runtime;
        if self.left <= 0 {
            // Overdrawn by more than a period.
            let periods = (-self.left / runtime + 1) as u64;
            self.left += periods as i64 * runtime;
            start = start.saturating_add(periods.saturating_mul(self.reservation.period));
        }
        if start.saturating_add(self.reservation.deadline) <= now {
            // It stood for long: what was due in the past is over.
            self.begin(now);
            return now;
        }
        self.until = start.saturating_add(self.reservation.deadline);
        start
    }
}

#[derive(Debug)]
struct Waiting<T> {
    server: Server,
    item: T,
}

/// Those that wait with a budget, by deadline, and those that wait for one, by its time.
#[derive(Debug)]
pub(super) struct Reserved<T> {
    ready: Tree<Waiting<T>>,
    exhausted: Tree<Waiting<T>>,
    arrivals: u64,
}

impl<T: Member> Reserved<T> {
    pub const fn new() -> Self {
        Reserved {
            ready: Tree::new(),
            exhausted: Tree::new(),
            arrivals: 0,
        }
    }

    /// Room for one more.
    pub fn reserve(&mut self) -> Result<(), TryReserveError> {
        let entities = self.ready.len() + self.exhausted.len() + 1;
        self.ready.reserve(entities)?;
        self.exhausted.reserve(entities)
    }

    /// How many there are, with a budget or without.
    pub fn len(&self) -> usize {
        self.ready.len() + self.exhausted.len()
    }

    /// How many could run.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The earliest deadline among those that could run.
    pub fn earliest(&self) -> Option<u64> {
        self.ready.first().map(|key| key.deadline as u64)
    }

    /// When the next one gets a budget.
    pub fn next_budget(&self) -> Option<u64> {
        self.exhausted.first().map(|key| key.deadline as u64)
    }

    /// One that was not runnable joins. Whether it could run now.
    pub fn join(&mut self, now: u64, mut server: Server, item: T) -> bool {
        let from = server.wake(now);
        self.insert(now, from, server, item)
    }

    /// One that ran waits again. `yields`: it has done what it had to do in this period.
    pub fn put_back(&mut self, now: u64, mut server: Server, item: T, yields: bool) {
        let mut from = now;
        if yields {
            server.left = server.left.min(0);
        }
        if server.left <= 0 {
            from = server.replenish(now);
        }
        self.insert(now, from, server, item);
    }

    fn insert(&mut self, now: u64, from: u64, server: Server, item: T) -> bool {
        self.arrivals += 1;
        let ready = from <= now;
        let key = Key {
            deadline: if ready { server.until } else { from } as i64,
            arrival: self.arrivals,
        };
        item.waits(Some(Ticket {
            line: if ready {
                Line::Reserved
            } else {
                Line::Exhausted
            },
            deadline: key.deadline,
            arrival: key.arrival,
        }));
        let tree = if ready {
            &mut self.ready
        } else {
            &mut self.exhausted
        };
        tree.insert(key, 0, 0, Waiting { server, item });
        ready
    }

    /// Those whose next period has begun may run.
    pub fn replenish(&mut self, now: u64) {
        while self.next_budget().is_some_and(|at| at <= now)
            && let Some((_, _, _, waiting)) = self.exhausted.take_first_not_after(0)
        {
            self.insert(now, now, waiting.server, waiting.item);
        }
    }

    /// Takes the one with the earliest deadline.
    pub fn take_first(&mut self) -> Option<(Server, T)> {
        let (_, _, _, waiting) = self.ready.take_first_not_after(0)?;
        Some((waiting.server, waiting.item))
    }

    /// Takes out the one with this ticket.
    pub fn remove(&mut self, ticket: Ticket) -> Option<(Server, T)> {
        let key = Key {
            deadline: ticket.deadline,
            arrival: ticket.arrival,
        };
        let tree = if ticket.line == Line::Reserved {
            &mut self.ready
        } else {
            &mut self.exhausted
        };
        let (_, _, waiting) = tree.remove(&key)?;
        Some((waiting.server, waiting.item))
    }
}
