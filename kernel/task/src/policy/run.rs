//! The runnable entities of one CPU, of every class.
//!
//! The first line that has somebody gives the next one to run: reservations, priorities, shares. So that no loop of
//! high priority can lock the machine out, what is above the shares gets at most [`THROTTLE_LIMIT`] of each
//! [`THROTTLE_PERIOD`] while somebody waits below: then the priorities pause. (Reservations never do; they were
//! admitted for less than that.)
//!
//! Time is an argument. [`RunQueue::next_decision`] says when to ask again if nothing happens until then.

use super::class::Line;
use super::realtime::{Lists, Place};
use super::reserved::Reserved;
use super::shares::{Joined, Shares};
use super::{Claim, Ticket};
use super::{Class, Entity, Group, Manner, Member, Migrant, QUANTUM, Server};
use alloc::collections::TryReserveError;
use alloc::sync::Arc;

/// No time.
pub const NEVER: u64 = u64::MAX;
/// Of each of these, in nanoseconds,
pub const THROTTLE_PERIOD: u64 = 1_000_000_000;
/// priorities and reservations get at most this while somebody else waits: 95 percent.
pub const THROTTLE_LIMIT: u64 = THROTTLE_PERIOD / 100 * 95;

/// Of what class the running one is.
#[derive(Clone, Copy, Debug)]
enum Running {
    Nobody,
    Deadline(Server),
    Realtime(Place),
    /// The fair queue knows the rest.
    Fair(Manner),
}

/// See the module.
#[derive(Debug)]
pub struct RunQueue<T> {
    reserved: Reserved<T>,
    lists: Lists<T>,
    fair: Shares<T>,
    running: Running,
    /// When the current throttling period began, and what was used in it above the shares.
    window: u64,
    used: u64,
}

impl<T: Member> RunQueue<T> {
    /// An empty one.
    pub const fn new() -> Self {
        RunQueue {
            reserved: Reserved::new(),
            lists: Lists::new(),
            fair: Shares::new(),
            running: Running::Nobody,
            window: 0,
            used: 0,
        }
    }

    /// How many wait and could run; the running one is not among them.
    pub fn waiting(&self) -> usize {
        self.fair.waiting() + self.lists.len() + self.reserved.ready()
    }

    /// Whether one runs.
    pub fn is_running(&self) -> bool {
        !matches!(self.running, Running::Nobody)
    }

    /// Makes room for one more entity, in this group, so that it needs no memory to wait if it has a share.
    ///
    /// # Errors
    /// The heap is exhausted; nothing has changed.
    pub fn admit(&mut self, group: Option<&Arc<Group>>) -> Result<(), TryReserveError> {
        self.fair.admit(group)
    }

    /// The reverse: an entity of this group, by its number, does not come any more.
    pub fn dismiss(&mut self, group: u32) {
        self.fair.dismiss(group);
    }

    /// The group with this number, if somebody of it lives here.
    pub fn group(&self, number: u32) -> Option<Arc<Group>> {
        self.fair.group(number)
    }

    /// The group of the running one, if it has a share.
    #[cfg(test)]
    pub fn running_group(&self) -> u32 {
        self.fair.running_group()
    }

    /// An entity becomes runnable. `true`: it should run instead of the running one, at once.
    ///
    /// For the first of a class above the shares this may allocate. Without memory it competes for a share instead,
    /// with the largest weight. `group` is the number of the one it is in, which has room for it; see
    /// [`admit`](Self::admit).
    pub fn join(&mut self, now: u64, claim: Claim, group: u32, item: T) -> bool {
        match claim {
            Claim::Fair(entity, manner) => self.join_fair(now, entity, group, manner, item),
            Claim::Realtime { priority, rotates } => {
                if self.lists.reserve().is_err() {
                    return self.join_without_memory(now, group, item);
                }
                let place = Place {
                    priority,
                    rotates,
                    left: QUANTUM,
                };
                self.line_up(place, false, item);
                match self.running {
                    Running::Nobody | Running::Deadline(_) => false,
                    Running::Realtime(running) => priority > running.priority,
                    Running::Fair(_) => !self.is_throttled(now),
                }
            }
            Claim::Deadline(server) => {
                if self.reserved.reserve().is_err() {
                    return self.join_without_memory(now, group, item);
                }
                let ready = self.reserved.join(now, server, item);
                match self.running {
                    Running::Nobody => false,
                    Running::Deadline(running) => {
                        ready
                            && self
                                .reserved
                                .earliest()
                                .is_some_and(|at| at < running.until)
                    }
                    Running::Realtime(_) | Running::Fair(_) => ready,
                }
            }
        }
    }

    fn join_fair(&mut self, now: u64, entity: Entity, group: u32, manner: Manner, item: T) -> bool {
        let joined = self.fair.join(now, entity, group, manner, item);
        match (self.running, manner) {
            _ if joined == Joined::Parked => false,
            (Running::Fair(Manner::Idle), Manner::Prompt | Manner::Batch) => true,
            (Running::Fair(_), Manner::Prompt) => joined == Joined::Earlier,
            _ => false,
        }
    }

    #[cold]
    fn join_without_memory(&mut self, now: u64, group: u32, item: T) -> bool {
        let entity = Entity::new(super::weight_of_nice(-20));
        self.join_fair(now, entity, group, Manner::Prompt, item)
    }

    fn line_up(&mut self, place: Place, front: bool, item: T) {
        let ticket = Ticket {
            line: Line::Realtime,
            deadline: 0,
            arrival: self.lists.next_node(),
        };
        item.waits(Some(ticket));
        self.lists.insert(place, front, item);
    }

    /// The entity that should run next becomes the running one. There must be no running one.
    pub fn pick(&mut self, now: u64) -> Option<T> {
        debug_assert!(!self.is_running(), "two entities would run");
        if self.reserved.len() > 0 {
            self.reserved.replenish(now);
            if let Some((server, item)) = self.reserved.take_first() {
                self.running = Running::Deadline(server);
                item.waits(None);
                return Some(item);
            }
        }
        if self.lists.len() > 0
            && !self.is_throttled(now)
            && let Some((place, item)) = self.lists.take_first()
        {
            self.running = Running::Realtime(place);
            item.waits(None);
            return Some(item);
        }
        let (manner, item) = self.fair.pick(now)?;
        self.running = Running::Fair(manner);
        item.waits(None);
        Some(item)
    }

    /// As [`pick`](Self::pick), but the one with this ticket, if it is in no group, nobody above the shares waits, and it is
    /// not ahead of its own. `None`: nobody was picked.
    pub fn pick_this(&mut self, ticket: Ticket) -> Option<T> {
        debug_assert!(!self.is_running(), "two entities would run");
        if ticket.line != Line::Fair || self.reserved.len() > 0 || self.lists.len() > 0 {
            return None;
        }
        let (manner, item) = self.fair.pick_this(ticket)?;
        self.running = Running::Fair(manner);
        item.waits(None);
        Some(item)
    }

    /// Whether the priorities must pause for those who have shares.
    fn is_throttled(&mut self, now: u64) -> bool {
        self.roll(now);
        self.used >= THROTTLE_LIMIT && self.fair.waiting() + usize::from(self.fair.is_running()) > 0
    }

    /// Begins a new period if the old one is over.
    fn roll(&mut self, now: u64) {
        let passed = now.saturating_sub(self.window);
        if passed >= THROTTLE_PERIOD {
            self.window = now - passed % THROTTLE_PERIOD;
            self.used = 0;
        }
    }

    /// The running entity ran for `nanoseconds` since it was picked or last charged, until `now`.
    pub fn charge(&mut self, now: u64, nanoseconds: u64) {
        match &mut self.running {
            Running::Nobody => return,
            Running::Fair(_) => return self.fair.charge(now, nanoseconds),
            Running::Realtime(place) => place.left = place.left.saturating_sub(nanoseconds),
            Running::Deadline(server) => {
                server.left = server.left.saturating_sub_unsigned(nanoseconds);
            }
        }
        self.roll(now);
        // Of a turn that began in the last period, only the part in this one.
        let elapsed = now.saturating_sub(self.window);
        self.used = self.used.saturating_add(nanoseconds).min(elapsed);
    }

    /// Whether the running entity should give way.
    pub fn should_switch(&mut self, now: u64) -> bool {
        if self.reserved.len() > 0 {
            self.reserved.replenish(now);
        }
        match self.running {
            Running::Nobody => false,
            Running::Deadline(server) => {
                server.left <= 0 || self.reserved.earliest().is_some_and(|at| at < server.until)
            }
            Running::Realtime(place) => {
                let highest = self.lists.highest();
                self.reserved.ready() > 0
                    || highest > place.priority
                    || highest == place.priority && place.rotates && place.left == 0
                    || self.is_throttled(now)
            }
            Running::Fair(_) => {
                self.reserved.ready() > 0
                    || self.lists.len() > 0 && !self.is_throttled(now)
                    || self.fair.should_switch(now)
            }
        }
    }

    /// When [`should_switch`](Self::should_switch), or with nobody running [`pick`](Self::pick), could give another
    /// answer if nothing else happens; [`NEVER`]: not by itself.
    pub fn next_decision(&self, now: u64) -> u64 {
        let mut next = NEVER;
        if self.reserved.len() > 0 {
            next = self.reserved.next_budget().unwrap_or(NEVER);
        }
        let own = match self.running {
            Running::Nobody => NEVER,
            Running::Deadline(server) => now.saturating_add(server.left.max(0) as u64),
            Running::Realtime(place) => {
                let turn = if place.rotates && self.lists.highest() == place.priority {
                    now.saturating_add(place.left)
                } else {
                    NEVER
                };
                if self.fair.waiting() > 0 {
                    turn.min(now.saturating_add(THROTTLE_LIMIT.saturating_sub(self.used)))
                } else {
                    turn
                }
            }
            Running::Fair(_) => {
                let slice = self.fair.next_decision(now);
                if self.lists.len() > 0 {
                    slice.min(self.window.saturating_add(THROTTLE_PERIOD))
                } else {
                    slice
                }
            }
        };
        next.min(own).min(self.fair.resumes())
    }

    /// The running entity waits again. `yields`: it gives up the rest of its turn.
    pub fn put_back(&mut self, now: u64, item: T, yields: bool) {
        match core::mem::replace(&mut self.running, Running::Nobody) {
            Running::Nobody => {}
            Running::Fair(manner) => self.fair.put_back(now, manner, item, yields),
            Running::Realtime(mut place) => {
                // Who is made to give way by somebody higher goes on before its equals.
                let over = place.rotates && place.left == 0;
                if over || yields {
                    place.left = QUANTUM;
                }
                self.line_up(place, !over && !yields, item);
            }
            Running::Deadline(server) => self.reserved.put_back(now, server, item, yields),
        }
    }

    /// The running entity is not runnable any more; what is to be remembered. `None`: there was none.
    pub fn leave(&mut self, now: u64) -> Option<Claim> {
        match core::mem::replace(&mut self.running, Running::Nobody) {
            Running::Nobody => None,
            Running::Fair(manner) => {
                let entity = self.fair.leave(now)?;
                Some(Claim::Fair(entity, manner))
            }
            Running::Realtime(Place {
                priority, rotates, ..
            }) => Some(Claim::Realtime { priority, rotates }),
            Running::Deadline(server) => Some(Claim::Deadline(server)),
        }
    }

    /// How the running entity competes.
    pub fn running_class(&self) -> Option<Class> {
        match self.running {
            Running::Nobody => None,
            Running::Deadline(server) => Some(Class::Deadline(server.reservation)),
            Running::Realtime(Place {
                priority, rotates, ..
            }) => Some(Class::Realtime { priority, rotates }),
            Running::Fair(manner) => {
                let weight = self.fair.running_weight()?;
                Some(Class::Fair { weight, manner })
            }
        }
    }

    /// Gives the running entity, if it has a share, another weight.
    pub fn reweigh(&mut self, weight: u32) {
        if let Running::Fair(_) = self.running {
            self.fair.reweigh(weight);
        }
    }

    /// Takes out an entity of this group that waits, with what is to be remembered of it.
    pub fn remove(&mut self, ticket: Ticket, group: u32) -> Option<(Claim, T)> {
        let (claim, item) = match ticket.line {
            Line::Fair => {
                let (entity, manner, item) = self.fair.take(group, ticket)?;
                (Claim::Fair(entity, manner), item)
            }
            Line::Realtime => {
                let (place, item) = self.lists.remove(ticket.arrival)?;
                let Place {
                    priority, rotates, ..
                } = place;
                (Claim::Realtime { priority, rotates }, item)
            }
            Line::Reserved | Line::Exhausted => {
                let (server, item) = self.reserved.remove(ticket)?;
                (Claim::Deadline(server), item)
            }
        };
        item.waits(None);
        Some((claim, item))
    }

    /// See [`Queue::depart`](super::Queue::depart); for one that has a share.
    pub fn depart(&mut self, group: u32, entity: Entity) -> Migrant {
        self.fair.depart(group, entity)
    }

    /// See [`Queue::adopt`](super::Queue::adopt).
    pub fn adopt(&mut self, group: u32, migrant: Migrant) -> Entity {
        self.fair.adopt(group, migrant)
    }

    /// See [`Queue::take_last`](super::Queue::take_last); the group it was in comes first. Only who has a share is
    /// taken: priorities go first where they are, and reservations were admitted there.
    pub fn take_last(
        &mut self,
        allowed: impl FnMut(&T) -> bool,
    ) -> Option<(u32, Migrant, Manner, T)> {
        let taken = self.fair.take_last(allowed)?;
        taken.3.waits(None);
        Some(taken)
    }
}

impl<T: Member> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}
