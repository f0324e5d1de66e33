//! The list of wakers that the wait primitives share.
//!
//! The one idea: an entry belongs to the waiting future from [`Waiters::add`] until that future takes it out with
//! [`Waiters::remove`]; a wake only moves its waker out and marks it. So a ticket can never name somebody else's entry,
//! and a future that is dropped after it was woken knows that it owes the wake to the next one.
//!
//! Entries are in the order of their last registration. The first one lives inside the list; more are in a vector that
//! grows once and is reused. Everything is O(1) but the walks over masks.

use alloc::vec::Vec;
use core::task::Waker;

/// Names the entry of one waiting future.
#[derive(Debug)]
pub(crate) struct Ticket(u32);

/// How an entry was found when its owner came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody woke it.
    Waiting,
    /// It was chosen alone: whoever does not use the wake hands it on.
    Chosen,
    /// It was woken together with all others that waited.
    WithAll,
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Entry {
    /// There exactly while it waits.
    waker: Option<Waker>,
    phase: Phase,
    /// What it waits for; any bit in common wakes it.
    mask: u32,
    round: u32,
    previous: u32,
    /// In a free entry: the next free one.
    next: u32,
}

impl Entry {
    const EMPTY: Entry = Entry {
        waker: None,
        phase: Phase::Waiting,
        mask: 0,
        round: 0,
        previous: NONE,
        next: NONE,
    };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Waiters {
    first: Entry,
    rest: Vec<Entry>,
    head: u32,
    tail: u32,
    /// Free entries of `rest`.
    free: u32,
    first_used: bool,
    waiting: u32,
    entries: u32,
    round: u32,
}

impl Waiters {
    pub const fn new() -> Self {
        Waiters {
            first: Entry::EMPTY,
            rest: Vec::new(),
            head: NONE,
            tail: NONE,
            free: NONE,
            first_used: false,
            waiting: 0,
            entries: 0,
            round: 0,
        }
    }

    /// How many wait, woken ones not counted.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Adds an entry at the end. `None`: the heap is exhausted.
    pub fn add(&mut self, waker: &Waker, mask: u32) -> Option<Ticket> {
        let index = self.allocate()?;
        self.entries += 1;
        let entry = self.entry(index);
        entry.waker = Some(waker.clone());
        entry.phase = Phase::Waiting;
        entry.mask = mask;
        self.link(index);
        Some(Ticket(index))
    }

    /// The owner waits again. A woken entry goes to the end; one that still waits keeps its turn.
    pub fn renew(&mut self, ticket: &Ticket, waker: &Waker) {
        let entry = self.entry(ticket.0);
        match &mut entry.waker {
            Some(old) => old.clone_from(waker),
            None => {
                entry.waker = Some(waker.clone());
                entry.phase = Phase::Waiting;
                self.link(ticket.0);
            }
        }
    }

    /// The owner is done with its entry.
    pub fn remove(&mut self, ticket: Ticket) -> Phase {
        let index = ticket.0;
        let entry = self.entry(index);
        let phase = entry.phase;
        if entry.waker.take().is_some() {
            self.unlink(index);
        }
        self.entries -= 1;
        if index == 0 {
            self.first_used = false;
        } else {
            let free = self.free;
            self.entry(index).next = free;
            self.free = index;
        }
        if self.entries == 0 && self.rest.capacity() > KEPT {
            self.rest = Vec::new();
            self.free = NONE;
        }
        phase
    }

    /// How an entry stands now.
    pub fn phase(&mut self, ticket: &Ticket) -> Phase {
        self.entry(ticket.0).phase
    }

    /// Wakes the one that waits longest: its waker, to be used after the lock is released.
    pub fn choose(&mut self) -> Option<Waker> {
        (self.head != NONE).then(|| self.wake(self.head, Phase::Chosen))?
    }

    /// If just one waits, and for a bit of `mask`: its waker. What waking all comes to in most cases.
    pub fn only(&mut self, mask: u32) -> Option<Waker> {
        if self.waiting != 1 || self.entry(self.head).mask & mask == 0 {
            return None;
        }
        self.wake(self.head, Phase::WithAll)
    }

    /// Starts waking all that wait now; see [`Waiters::woken`].
    pub fn begin(&mut self) -> Round {
        self.round = self.round.wrapping_add(1);
        Round(self.round)
    }

    /// Moves wakers of entries that wait since before `round` and share a bit with `mask` into `batch`, until it is
    /// full. `false`: there are no more.
    pub fn woken(&mut self, round: &Round, mask: u32, batch: &mut Batch) -> bool {
        let mut index = self.head;
        while index != NONE {
            let entry = self.entry(index);
            if entry.round == round.0 {
                break;
            }
            let next = entry.next;
            if entry.mask & mask != 0 {
                if batch.is_full() {
                    return true;
                }
                if let Some(waker) = self.wake(index, Phase::WithAll) {
                    batch.push(waker);
                }
            }
            index = next;
        }
        false
    }

    fn wake(&mut self, index: u32, phase: Phase) -> Option<Waker> {
        self.unlink(index);
        let entry = self.entry(index);
        entry.phase = phase;
        entry.waker.take()
    }

    fn entry(&mut self, index: u32) -> &mut Entry {
        match index {
            0 => &mut self.first,
            _ => &mut self.rest[index as usize - 1],
        }
    }

    fn allocate(&mut self) -> Option<u32> {
        if !self.first_used {
            self.first_used = true;
            return Some(0);
        }
        if self.free != NONE {
            let index = self.free;
            self.free = self.entry(index).next;
            return Some(index);
        }
        self.rest.try_reserve(1).ok()?;
        self.rest.push(Entry::EMPTY);
        Some(self.rest.len() as u32)
    }

    fn link(&mut self, index: u32) {
        let (tail, round) = (self.tail, self.round);
        let entry = self.entry(index);
        entry.round = round;
        entry.previous = tail;
        entry.next = NONE;
        match tail {
            NONE => self.head = index,
            _ => self.entry(tail).next = index,
        }
        self.tail = index;
        self.waiting += 1;
    }

    fn unlink(&mut self, index: u32) {
        let entry = self.entry(index);
        let (previous, next) = (entry.previous, entry.next);
        match previous {
            NONE => self.head = next,
            _ => self.entry(previous).next = next,
        }
        match next {
            NONE => self.tail = previous,
            _ => self.entry(next).previous = previous,
        }
        self.waiting -= 1;
    }
}

/// A vector larger than this is given back when its last entry goes.
const KEPT: usize = 16;

/// One act of waking all: those that register later are not part of it, so it ends.
#[derive(Debug)]
pub(crate) struct Round(u32);

/// A few wakers on their way out of a lock.
#[derive(Debug)]
pub(crate) struct Batch {
    wakers: [Option<Waker>; Batch::SIZE],
    len: usize,
}

impl Batch {
    const SIZE: usize = 4;

    pub fn new() -> Self {
        Batch {
            wakers: [const { None }; Batch::SIZE],
            len: 0,
        }
    }

    pub fn is_full(&self) -> bool {
        self.len == Batch::SIZE
    }

    pub fn push(&mut self, waker: Waker) {
        if let Some(place) = self.wakers.get_mut(self.len) {
            *place = Some(waker);
            self.len += 1;
        }
    }

    /// Wakes them, and is empty again.
    pub fn wake(&mut self) {
        for place in &mut self.wakers[..self.len] {
            if let Some(waker) = place.take() {
                waker.wake();
            }
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(waiters: &mut Waiters, mask: u32) -> Ticket {
        waiters.add(Waker::noop(), mask).unwrap()
    }

    #[test]
    fn the_longest_waiting_is_chosen_first() {
        let mut waiters = Waiters::new();
        let tickets: Vec<_> = (0..3).map(|_| add(&mut waiters, 1)).collect();
        assert!(waiters.choose().is_some());
        assert_eq!(waiters.phase(&tickets[0]), Phase::Chosen);
        waiters.renew(&tickets[0], Waker::noop());
        assert!(waiters.choose().is_some());
        assert_eq!(waiters.phase(&tickets[1]), Phase::Chosen);
        let phases: Vec<_> = tickets
            .into_iter()
            .map(|ticket| waiters.remove(ticket))
            .collect();
        assert_eq!(phases, [Phase::Waiting, Phase::Chosen, Phase::Waiting]);
        assert!(waiters.choose().is_none());
        assert_eq!(waiters.waiting(), 0);
    }

    #[test]
    fn waking_by_mask_leaves_the_others_and_ends() {
        let mut waiters = Waiters::new();
        let tickets: Vec<_> = (0..30).map(|i| add(&mut waiters, 1 << (i % 3))).collect();
        let round = waiters.begin();
        let mut batch = Batch::new();
        let mut batches = 0;
        loop {
            let more = waiters.woken(&round, 0b101, &mut batch);
            batches += 1;
            batch.wake();
            // Whoever waits again does not keep the round going.
            if waiters.phase(&tickets[0]) == Phase::WithAll {
                waiters.renew(&tickets[0], Waker::noop());
            }
            if !more {
                break;
            }
        }
        assert_eq!(batches, 5);
        assert_eq!(waiters.waiting(), 11);
        for ticket in tickets {
            waiters.remove(ticket);
        }
        assert_eq!(waiters.waiting(), 0);
        assert_eq!(waiters.rest.capacity(), 0);
        let again = add(&mut waiters, 1);
        assert_eq!(again.0, 0);
    }
}
