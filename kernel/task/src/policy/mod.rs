//! Who runs next.
//!
//! [`RunQueue`] has a line for each [`Class`]: reservations by earliest deadline (`reserved`; `partition`
//! says on which CPU), priorities (`realtime`), and below them everybody else by fair shares: [`Queue`], and in every
//! group (`group`) one of its own (`shares`):
//!
//! # Earliest eligible virtual deadline first
//!
//! Every runnable entity owns a share of the CPU, its weight over the sum of weights. *Virtual time* is real time
//! divided by weight: an entity that ran `t` ns has moved `t · 1024 / weight` virtual ns. The average of all virtual
//! times, weighted, is where everybody should be. The distance to it is the *lag*: positive for who got less than its
//! share. Who has no negative lag is *eligible*; among those, the one whose current request (one slice) must be done
//! first, the earliest virtual deadline, runs.
//!
//! The one idea: lag is kept over sleep. Who yields early comes back with the lag it left with, and so with an earlier
//! deadline; who overdrew waits until time has caught up with it.
//!
//! Pure: no clock, no locks, no tasks. Cost: O(log n) for `join`, `pick` and `put_back`, O(1) for the rest; with one
//! entity in the queue there is no search and no division. After I. Stoica and H. Abdel-Wahab, "Earliest Eligible
//! Virtual Deadline First" (1995).

mod class;
mod group;
mod partition;
mod realtime;
mod reserved;
mod run;
mod shares;
mod tree;
mod weight;

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod classes;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod simulation;

pub use class::{
    Claim, Class, HIGHEST_PRIORITY, IDLE_WEIGHT, INHERITED_PRIORITY, Manner, Member, QUANTUM,
    Reservation, Ticket,
};
pub use group::{DEPTH, Group, LARGEST_WEIGHT, NO_GROUP, Quota, Usage};
pub use partition::{Partition, Seat};
pub use reserved::{RESERVABLE, Server, WHOLE};
pub use run::{NEVER, RunQueue, THROTTLE_LIMIT, THROTTLE_PERIOD};
pub use weight::{NORMAL_WEIGHT, weight_of_nice};

use tree::{Key, Tree};

/// What a slice is for an entity of normal weight, in nanoseconds: how long it may run before somebody else's deadline
/// is earlier.
pub const SLICE: u64 = 3_000_000;

/// A single charge is at most this (ten seconds): no clock error can throw an entity out of the competition.
const LONGEST_CHARGE: u64 = 10_000_000_000;
/// A turn costs at least this many nanoseconds, so that a clock that stands still (in a test) starves nobody.
pub const SHORTEST_TURN: u64 = 250;

/// How many waiting entities are looked at, at most, for one that may be taken out.
pub const LOOKS: usize = 32;

/// What is remembered of an entity while it is not runnable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entity {
    weight: u32,
    /// Virtual nanoseconds that it was behind (positive) or ahead (negative) when it left.
    lag: i64,
    /// The queue's virtual time when it left: debts are forgiven as that time passes.
    left: i64,
}

impl Entity {
    /// A newcomer, with neither credit nor debt. Weights are at least 1; see [`weight_of_nice`].
    pub const fn new(weight: u32) -> Self {
        Entity {
            weight: if weight == 0 { 1 } else { weight },
            lag: 0,
            left: 0,
        }
    }

    /// The same entity with another weight, and the same claim in real time.
    #[must_use]
    pub const fn with_weight(self, weight: u32) -> Self {
        let weight = if weight == 0 { 1 } else { weight };
        if weight == self.weight {
            return self;
        }
        let lag = self.lag as i128 * self.weight as i128 / weight as i128;
        Entity {
            weight,
            lag: lag as i64,
            left: self.left,
        }
    }

    /// Its weight.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Virtual nanoseconds that it was behind (positive) or ahead (negative) when it last left.
    pub const fn lag(&self) -> i64 {
        self.lag
    }

    /// As three plain numbers, for whoever keeps it in atomics: weight, lag, leaving time.
    pub const fn into_parts(self) -> (u32, i64, i64) {
        (self.weight, self.lag, self.left)
    }

    /// The reverse of [`into_parts`](Self::into_parts).
    pub const fn from_parts(weight: u32, lag: i64, left: i64) -> Self {
        Entity {
            weight: if weight == 0 { 1 } else { weight },
            lag,
            left,
        }
    }
}

/// An entity between two queues: it sleeps and will wake elsewhere, or was taken out while it waited. Virtual times of
/// different queues have nothing to do with each other, so it carries none along.
#[must_use = "an entity that no queue adopts does not run"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrant {
    weight: u32,
    lag: i64,
}

/// An entity that competes: a place in virtual time, and the end of its current request.
#[derive(Clone, Copy, Debug)]
struct Place {
    weight: u32,
    /// How far it got.
    time: i64,
    /// When its current request must be done.
    deadline: i64,
}

/// The runnable entities of one CPU: at most one runs, the others wait.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: Tree<T>,
    running: Option<Place>,
    /// Virtual time near the average; exactly its floor after [`settle`](Self::settle).
    reference: i64,
    /// Σ weight · (time − reference), over waiting and running. One entity adds 1024 times the real nanoseconds that
    /// it is off, so this has room for a hundred thousand that are all off by ten seconds.
    sum: i64,
    /// Σ weight, over waiting and running.
    weight: i64,
    /// Breaks ties between equal deadlines: first come, first served.
    arrivals: u64,
    /// Where the next charge is rounded; see [`charge`](Self::charge).
    dither: u32,
}

impl<T: Member> Queue<T> {
    /// An empty queue.
    pub const fn new() -> Self {
        Queue {
            waiting: Tree::new(),
            running: None,
            reference: 0,
            sum: 0,
            weight: 0,
            arrivals: 0,
            dither: 1,
        }
    }

    /// How many wait for the CPU; the running one is not among them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether one runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Makes room for `entities` in total, so that `join` and `put_back` cannot fail.
    ///
    /// # Errors
    /// The heap is exhausted; nothing has changed.
    pub fn reserve(&mut self, entities: usize) -> Result<(), alloc::collections::TryReserveError> {
        self.waiting.reserve(entities)
    }

    /// Gives memory back if it could hold many more than `entities`.
    pub fn release(&mut self, entities: usize) {
        self.waiting.release(entities);
    }

    /// An entity becomes runnable. `true`: it should run instead of the running one, at once.
    pub fn join(&mut self, entity: Entity, item: T) -> bool {
        self.join_at(entity, item).0
    }

    /// The same, and where it waits.
    fn join_at(&mut self, entity: Entity, item: T) -> (bool, Ticket) {
        let weight = i64::from(entity.weight);
        let slice = to_virtual(SLICE, entity.weight);
        let mut lag = 0;
        if self.weight != 0 {
            self.settle();
            lag = self.claim(&entity);
        }
        let time = self.reference.wrapping_sub(lag);
        let place = Place {
            weight: entity.weight,
            time,
            deadline: time.wrapping_add(slice),
        };
        self.weight += weight;
        self.sum -= weight * lag;
        let preempts = match &self.running {
            Some(running) => {
                before(place.deadline, running.deadline) && {
                    self.settle();
                    self.is_eligible(place.time)
                }
            }
            None => false,
        };
        (preempts, self.insert(place, item))
    }

    /// How far before the average an entity must be placed so that it has, once it is counted, the lag it left with.
    fn claim(&self, entity: &Entity) -> i64 {
        let lag = self.forgive(entity);
        if lag == 0 {
            return 0;
        }
        // Joining moves the average towards the newcomer.
        let weight = i64::from(entity.weight);
        match lag.checked_mul(self.weight + weight) {
            Some(scaled) => divide(scaled, self.weight),
            None => lag,
        }
    }

    /// The lag that an entity which left this queue has now: a debt shrinks by the time that has passed since.
    fn forgive(&self, entity: &Entity) -> i64 {
        if entity.lag >= 0 {
            return entity.lag;
        }
        let passed = self.reference.wrapping_sub(entity.left).max(0);
        entity.lag.saturating_add(passed).min(0)
    }

    /// The entity that should run next becomes the running one. There must be no running one.
    pub fn pick(&mut self) -> Option<T> {
        debug_assert!(self.running.is_none(), "two entities would run");
        if self.waiting.len() > 1 {
            self.settle();
        }
        let (key, time, weight, item) = self.waiting.take_first_not_after(self.reference)?;
        self.running = Some(Place {
            weight,
            time,
            deadline: key.deadline,
        });
        Some(item)
    }

    /// The waiting entity with this ticket becomes the running one, if it is not ahead of its share. There must be no
    /// running one. O(log n).
    fn pick_this(&mut self, ticket: Ticket) -> Option<T> {
        debug_assert!(self.running.is_none(), "two entities would run");
        let key = Key {
            deadline: ticket.deadline,
            arrival: ticket.arrival,
        };
        self.settle();
        let (time, weight, item) = self.waiting.remove(&key)?;
        let place = Place {
            weight,
            time,
            deadline: key.deadline,
        };
        if !self.is_eligible(time) {
            self.insert(place, item);
            return None;
        }
        self.running = Some(place);
        Some(item)
    }

    /// The running entity ran for `nanoseconds` since it was picked or last charged.
    ///
    /// A turn of 250 ns is less than three virtual ns for the heaviest. So the fraction is rounded up as often as it
    /// is large, at random: what is regular could fall in step with the turns.
    pub fn charge(&mut self, nanoseconds: u64) {
        if let Some(running) = &mut self.running {
            let charged = nanoseconds.min(LONGEST_CHARGE);
            let step = if running.weight == NORMAL_WEIGHT {
                charged as i64
            } else {
                let weight = u64::from(running.weight);
                let carry = (u64::from(random(&mut self.dither)) * weight) >> 32;
                ((charged * u64::from(NORMAL_WEIGHT) + carry) / weight) as i64
            };
            running.time = running.time.wrapping_add(step);
            self.sum += i64::from(running.weight) * step;
        }
    }

    /// Gives the running entity another weight. What it is owed, or owes, and the rest of its slice stay the same in
    /// real time.
    pub fn reweigh(&mut self, weight: u32) {
        self.settle();
        let weight = weight.max(1);
        let Some(running) = &mut self.running else {
            return;
        };
        let (old, new) = (i128::from(running.weight), i128::from(weight));
        if old == new {
            return;
        }
        let scale = |virtual_time: i64| (i128::from(virtual_time) * old / new) as i64;
        let ahead = running.time.wrapping_sub(self.reference);
        let left = running.deadline.wrapping_sub(running.time);
        let scaled = scale(ahead);
        running.weight = weight;
        running.time = self.reference.wrapping_add(scaled);
        running.deadline = running.time.wrapping_add(scale(left));
        let (old, new) = (old as i64, new as i64);
        self.sum += new * scaled - old * ahead;
        self.weight += new - old;
    }

    /// The weight of the running entity.
    pub fn running_weight(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.weight)
    }

    /// Real nanoseconds that the running entity has left of its slice.
    pub fn slice_left(&self) -> u64 {
        match &self.running {
            Some(running) => {
                let left = running.deadline.wrapping_sub(running.time).max(0);
                (left as u64 * u64::from(running.weight)) / u64::from(NORMAL_WEIGHT)
            }
            None => 0,
        }
    }

    /// Whether the running entity should give way: somebody waits, and its slice is over.
    pub fn should_switch(&self) -> bool {
        self.waiting.len() > 0
            && self
                .running
                .as_ref()
                .is_some_and(|running| !before(running.time, running.deadline))
    }

    /// The running entity waits again. `yields`: it gave up the rest of its slice, so its next request comes later.
    pub fn put_back(&mut self, item: T, yields: bool) {
        self.put_back_at(item, yields);
    }

    /// The same; where it waits. `None`: there was none.
    fn put_back_at(&mut self, item: T, yields: bool) -> Option<Ticket> {
        self.running.take().map(|mut place| {
            if yields || !before(place.time, place.deadline) {
                let from = if before(place.time, place.deadline) {
                    place.deadline
                } else {
                    place.time
                };
                place.deadline = from.wrapping_add(to_virtual(SLICE, place.weight));
            }
            self.insert(place, item)
        })
    }

    /// The running entity is not runnable any more. `None`: there was none.
    pub fn leave(&mut self) -> Option<Entity> {
        self.settle();
        let place = self.running.take()?;
        let lag = self.remove(place);
        Some(Entity {
            weight: place.weight,
            lag,
            left: self.reference,
        })
    }

    /// What `entity`, which left this queue, takes along to another one: what it is owed, or what it still owes. To be
    /// followed by [`adopt`](Self::adopt) there; the two queues need not be locked together. O(1).
    pub fn depart(&mut self, entity: Entity) -> Migrant {
        let lag = if self.weight == 0 {
            // Nobody is here to be owed anything, as in `join`.
            0
        } else {
            self.settle();
            self.forgive(&entity)
        };
        Migrant {
            weight: entity.weight,
            lag,
        }
    }

    /// Makes an entity of another queue one that left this queue now: it may join, or go on sleeping. O(1).
    pub fn adopt(&mut self, migrant: Migrant) -> Entity {
        self.settle();
        Entity {
            weight: migrant.weight,
            lag: migrant.lag,
            left: self.reference,
        }
    }

    /// Takes out, for another CPU, the waiting entity with the latest deadline that `allowed` accepts: the one that
    /// would have to wait longest here. It is asked about at most [`LOOKS`] entities. O(log n) else.
    pub fn take_last(&mut self, allowed: impl FnMut(&T) -> bool) -> Option<(Migrant, T)> {
        let (time, weight, item) = self.waiting.take_last(LOOKS, allowed)?;
        self.settle();
        let lag = self.remove(Place {
            weight,
            time,
            deadline: time,
        });
        Some((Migrant { weight, lag }, item))
    }

    /// Takes out the waiting entity with this ticket.
    pub fn take(&mut self, ticket: Ticket) -> Option<(Entity, T)> {
        let key = Key {
            deadline: ticket.deadline,
            arrival: ticket.arrival,
        };
        let (time, weight, item) = self.waiting.remove(&key)?;
        self.settle();
        let lag = self.remove(Place {
            weight,
            time,
            deadline: time,
        });
        let left = self.reference;
        Some((Entity { weight, lag, left }, item))
    }

    /// Takes a place out of the sums; the lag that it had.
    fn remove(&mut self, place: Place) -> i64 {
        let weight = i64::from(place.weight);
        let ahead = place.time.wrapping_sub(self.reference);
        self.weight -= weight;
        self.sum -= weight * ahead;
        if self.weight == 0 {
            // Alone, it is the average: time goes on from where it stands.
            self.reference = place.time;
            self.sum = 0;
            return 0;
        }
        let limit = 2 * to_virtual(SLICE, place.weight);
        (-ahead).clamp(-limit, limit)
    }

    fn insert(&mut self, place: Place, item: T) -> Ticket {
        self.arrivals += 1;
        let key = Key {
            deadline: place.deadline,
            arrival: self.arrivals,
        };
        let ticket = Ticket {
            line: class::Line::Fair,
            deadline: key.deadline,
            arrival: key.arrival,
        };
        item.waits(Some(ticket));
        self.waiting.insert(key, place.time, place.weight, item);
        ticket
    }

    /// Moves the reference to the floor of the average.
    #[inline]
    fn settle(&mut self) {
        if self.sum as u64 >= self.weight as u64 && self.weight != 0 {
            let step = divide(self.sum, self.weight);
            self.reference = self.reference.wrapping_add(step);
            self.sum -= step * self.weight;
        }
    }

    /// Whether an entity at `time` has no negative lag. Exact right after `settle`.
    fn is_eligible(&self, time: i64) -> bool {
        !before(self.reference, time)
    }
}

impl<T: Member> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// `a` is before `b` on the circle of virtual time.
#[inline]
fn before(a: i64, b: i64) -> bool {
    a.wrapping_sub(b) < 0
}

/// G. Marsaglia's xorshift (2003); `state` is never 0.
#[inline]
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// Real to virtual nanoseconds.
#[inline]
fn to_virtual(nanoseconds: u64, weight: u32) -> i64 {
    if weight == NORMAL_WEIGHT {
        nanoseconds as i64
    } else {
        (nanoseconds * u64::from(NORMAL_WEIGHT) / u64::from(weight)) as i64
    }
}

/// Rounds down. Sums of normal weights are often powers of two, and a shift is many times cheaper than a division.
#[inline]
fn divide(value: i64, by: i64) -> i64 {
    if by & (by - 1) == 0 {
        value >> by.trailing_zeros()
    } else {
        value.div_euclid(by)
    }
}
