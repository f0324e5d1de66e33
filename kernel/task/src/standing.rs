//! How a task competes for its CPU: the class that was asked for, the priority that it inherits, and what the policy
//! remembers of it. Plain numbers in atomics: written under the lock of its run queue, and read by whoever asks.

use crate::policy::{
    Claim, Class, Entity, INHERITED_PRIORITY, Manner, NORMAL_WEIGHT, Reservation, Server, Ticket,
};
use crate::stats::Late;
use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

pub(crate) struct Standing {
    /// The class: its number, from bit 8 the priority, from bit 32 the weight.
    asked: AtomicU64,
    inherited: AtomicU8,
    /// Of a share; see [`Entity`].
    weighed: AtomicU32,
    lag: AtomicI64,
    left: AtomicI64,
    /// Of a reservation; see [`Server`].
    runtime: AtomicU64,
    deadline: AtomicU64,
    period: AtomicU64,
    budget: AtomicI64,
    until: AtomicU64,
    /// Where it waits; see [`Ticket`].
    line: AtomicU64,
    place: AtomicI64,
    /// The number of the group in whose queue it waits or runs, and of the one it is to be in next.
    group: AtomicU32,
    wanted: AtomicU32,
}

const PROMPT: u64 = 0;
const BATCH: u64 = 1;
const IDLE: u64 = 2;
const FIRST_COME: u64 = 3;
const ROTATES: u64 = 4;
const DEADLINE: u64 = 5;

impl Standing {
    /// An ordinary one, in the group with this number.
    pub fn new(group: u32) -> Self {
        Standing {
            asked: AtomicU64::new(u64::from(NORMAL_WEIGHT) << 32 | PROMPT),
            inherited: AtomicU8::new(0),
            weighed: AtomicU32::new(NORMAL_WEIGHT),
            lag: AtomicI64::new(0),
            left: AtomicI64::new(0),
            runtime: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            period: AtomicU64::new(0),
            budget: AtomicI64::new(0),
            until: AtomicU64::new(0),
            line: AtomicU64::new(0),
            place: AtomicI64::new(0),
            group: AtomicU32::new(group),
            wanted: AtomicU32::new(group),
        }
    }

    /// The number of its group, for the run queue.
    #[inline]
    pub fn group(&self) -> u32 {
        self.group.load(Relaxed)
    }

    /// The number of the group that it is to be in next; mostly the same.
    #[inline]
    pub fn wanted_group(&self) -> u32 {
        self.wanted.load(Relaxed)
    }

    /// Under the lock of the run queue.
    pub fn want_group(&self, group: u32) {
        self.wanted.store(group, Relaxed);
    }

    /// Under the lock of the run queue, where it neither waits nor runs: it is in the group that was wanted.
    pub fn change_group(&self) {
        self.group.store(self.wanted_group(), Relaxed);
    }

    /// The class that was asked for.
    pub fn asked(&self) -> Class {
        let asked = self.asked.load(Relaxed);
        let weight = (asked >> 32) as u32;
        let fair = |manner| Class::Fair { weight, manner };
        let realtime = |rotates| Class::Realtime {
            priority: (asked >> 8) as u8,
            rotates,
        };
        match asked & 0xff {
            BATCH => fair(Manner::Batch),
            IDLE => fair(Manner::Idle),
            FIRST_COME => realtime(false),
            ROTATES => realtime(true),
            DEADLINE => Class::Deadline(self.reservation()),
            _ => fair(Manner::Prompt),
        }
    }

    fn reservation(&self) -> Reservation {
        Reservation {
            runtime: self.runtime.load(Relaxed),
            deadline: self.deadline.load(Relaxed),
            period: self.period.load(Relaxed),
        }
    }

    /// Under the lock of the run queue.
    pub fn ask(&self, class: Class) {
        let packed = match class {
            Class::Fair { weight, manner } => {
                let number = match manner {
                    Manner::Prompt => PROMPT,
                    Manner::Batch => BATCH,
                    Manner::Idle => IDLE,
                };
                u64::from(weight.max(1)) << 32 | number
            }
            Class::Realtime { priority, rotates } => {
                u64::from(priority) << 8 | if rotates { ROTATES } else { FIRST_COME }
            }
            Class::Deadline(reservation) => {
                self.runtime.store(reservation.runtime, Relaxed);
                self.deadline.store(reservation.deadline, Relaxed);
                self.period.store(reservation.period, Relaxed);
                self.budget.store(0, Relaxed);
                self.until.store(0, Relaxed);
                DEADLINE
            }
        };
        self.asked.store(packed, Relaxed);
    }

    /// The class in which it competes: the one that was asked for, or what it inherits.
    #[inline]
    pub fn class(&self) -> Class {
        let asked = self.asked();
        let inherited = self.inherited.load(Relaxed);
        if inherited > asked.priority() {
            return Class::Realtime {
                priority: inherited,
                rotates: false,
            };
        }
        asked
    }

    /// As whom it is late: a short way to what matters of its class.
    #[inline]
    pub fn late(&self) -> Late {
        let inherits = self.inherited.load(Relaxed) != 0;
        match self.asked.load(Relaxed) & 0xff {
            DEADLINE => Late::Deadline,
            FIRST_COME | ROTATES => Late::Realtime,
            _ if inherits => Late::Realtime,
            IDLE => Late::Idle,
            _ => Late::Fair,
        }
    }

    /// The priority that it inherits; 0: none.
    pub fn inherited(&self) -> u8 {
        self.inherited.load(Relaxed)
    }

    /// Under the lock of the run queue. `false`: it was so already.
    pub fn inherit(&self, priority: u8) -> bool {
        let priority = priority.min(INHERITED_PRIORITY);
        self.inherited.swap(priority, Relaxed) != priority
    }

    /// What the line of shares remembers of it.
    #[inline]
    pub fn entity(&self) -> Entity {
        Entity::from_parts(
            self.weighed.load(Relaxed),
            self.lag.load(Relaxed),
            self.left.load(Relaxed),
        )
    }

    /// Its claim in its class; under the lock of the run queue.
    #[inline]
    pub fn claim(&self) -> Claim {
        match self.class() {
            Class::Fair { weight, manner } => {
                Claim::Fair(self.entity().with_weight(weight), manner)
            }
            Class::Realtime { priority, rotates } => Claim::Realtime { priority, rotates },
            Class::Deadline(reservation) => Claim::Deadline(Server {
                reservation,
                left: self.budget.load(Relaxed),
                until: self.until.load(Relaxed),
            }),
        }
    }

    /// The reverse.
    pub fn remember(&self, claim: Claim) {
        match claim {
            Claim::Fair(entity, _) => {
                let (weight, lag, left) = entity.into_parts();
                self.weighed.store(weight, Relaxed);
                self.lag.store(lag, Relaxed);
                self.left.store(left, Relaxed);
            }
            Claim::Realtime { .. } => {}
            Claim::Deadline(server) => {
                // Of a reservation that was given back meanwhile nothing is left to remember.
                if server.reservation == self.reservation() {
                    self.budget.store(server.left, Relaxed);
                    self.until.store(server.until, Relaxed);
                }
            }
        }
    }

    /// Where it waits.
    pub fn ticket(&self) -> Option<Ticket> {
        Ticket::from_parts(self.line.load(Relaxed), self.place.load(Relaxed))
    }

    /// Under the lock of the run queue.
    #[inline]
    pub fn waits(&self, at: Option<Ticket>) {
        match at.map(Ticket::into_parts) {
            Some((line, place)) => {
                self.line.store(line, Relaxed);
                self.place.store(place, Relaxed);
            }
            None => self.line.store(0, Relaxed),
        }
    }
}
