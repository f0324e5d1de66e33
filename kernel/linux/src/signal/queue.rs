//! Signals that wait to be delivered.
//!
//! A standard signal is pending at most once; real-time signals queue, each with what its sender said.

use super::set::{SIGRTMIN, Set, Signal};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use machine::sync::Spin;

/// What came with a signal: the interesting fields of `siginfo_t` (sigaction(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    pub signal: Signal,
    /// `si_code`: who sent it and why.
    pub code: i32,
    pub fields: Fields,
}

/// The union part of `siginfo_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Sent by a process (`SI_USER`, `SI_TKILL`), or with a value (`SI_QUEUE`).
    Sender { pid: u32, uid: u32, value: u64 },
    /// Caused by an instruction at this address (`si_addr`).
    Address(u64),
    /// A child changed state.
    Child { pid: u32, uid: u32, status: i32 },
    /// A timer went off.
    Timer { id: u32, overrun: u32, value: u64 },
    /// From the kernel, nothing to say.
    None,
}

pub const SI_USER: i32 = 0;
pub const SI_KERNEL: i32 = 0x80;
pub const SI_TKILL: i32 = -6;

impl Info {
    pub const fn kernel(signal: Signal) -> Info {
        Info {
            signal,
            code: SI_KERNEL,
            fields: Fields::None,
        }
    }

    pub const fn from_process(signal: Signal, code: i32, pid: u32, uid: u32) -> Info {
        Info {
            signal,
            code,
            fields: Fields::Sender { pid, uid, value: 0 },
        }
    }

    pub const fn fault(signal: Signal, code: i32, address: u64) -> Info {
        Info {
            signal,
            code,
            fields: Fields::Address(address),
        }
    }
}

/// How many real-time signals wait for the processes of each user, for `RLIMIT_SIGPENDING`.
static QUEUED: Spin<BTreeMap<u32, u64>> = Spin::new(BTreeMap::new());

/// A place in the queue of a user's real-time signals.
#[derive(Debug)]
pub struct Place(u32);

impl Place {
    /// Takes one of `limit` places; `None` if all are taken, or memory is short.
    pub fn take(user: u32, limit: u64) -> Option<Place> {
        if !machine::frame::heap_room() {
            return None;
        }
        let mut queued = QUEUED.lock();
        let count = queued.entry(user).or_insert(0);
        // Made above with 0 only if it was not there: a limit of 0 leaves no entry behind.
        let free = *count < limit;
        if free {
            *count += 1;
        } else if *count == 0 {
            queued.remove(&user);
        }
        free.then(|| Place(user))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queued = QUEUED.lock();
        if let Some(count) = queued.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                queued.remove(&self.0);
            }
        }
    }
}

/// The pending signals of a thread or of a process.
#[derive(Default)]
pub struct Pending {
    set: Set,
    queue: Vec<(Info, Option<Place>)>,
}

/// The queue of real-time signals is full.
#[derive(Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Pending {
    pub fn set(&self) -> Set {
        self.set
    }

    /// Adds a signal; a standard one that is pending already stays as it was. Real-time signals need a place: without
    /// one, a plain `kill` is still noted, as a number without anything else.
    pub fn push(&mut self, info: Info, place: Option<Place>) -> Result<(), QueueFull> {
        if info.signal < SIGRTMIN {
            if self.set.contains(info.signal) {
                return Ok(());
            }
            self.queue.push((info, None));
        } else if place.is_some() {
            self.queue.push((info, place));
        } else if info.code != SI_USER {
            return Err(QueueFull);
        }
        self.set = self.set.with(Set::of(info.signal));
        Ok(())
    }

    /// Takes the next signal of `wanted`.
    pub fn take(&mut self, wanted: Set) -> Option<Info> {
        let signal = self.set.and(wanted).first()?;
        let at = self
            .queue
            .iter()
            .position(|(info, _)| info.signal == signal);
        let info = match at {
            Some(at) => self.queue.remove(at).0,
            // The queue was full when it came: it is known by its number only.
            None => Info {
                signal,
                code: SI_USER,
                fields: Fields::None,
            },
        };
        if !self.queue.iter().any(|(other, _)| other.signal == signal) {
            self.set = self.set.without(Set::of(signal));
        }
        Some(info)
    }

    /// Forgets all pending signals of `which`.
    pub fn discard(&mut self, which: Set) {
        if !self.set.and(which).is_empty() {
            self.queue.retain(|(info, _)| !which.contains(info.signal));
            self.set = self.set.without(which);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::*;
    use super::*;

    const SI_QUEUE: i32 = -1;

    fn place() -> Option<Place> {
        Place::take(4711, 1 << 20)
    }

    #[test]
    fn standard_signals_do_not_queue_and_real_time_ones_do() {
        let mut pending = Pending::default();
        for pid in 0..3 {
            let info = |signal, code| Info::from_process(signal, code, pid, 0);
            pending.push(info(SIGUSR1, SI_USER), None).unwrap();
            pending.push(info(40, SI_QUEUE), place()).unwrap();
        }
        let all = Set(!0);
        let first = pending.take(all).unwrap();
        assert_eq!(first, Info::from_process(SIGUSR1, SI_USER, 0, 0));
        for pid in 0..3 {
            assert_eq!(
                pending.take(all).unwrap(),
                Info::from_process(40, SI_QUEUE, pid, 0)
            );
        }
        assert!(pending.take(all).is_none());
    }

    #[test]
    fn without_a_place_values_are_refused_but_not_kill() {
        let mut pending = Pending::default();
        assert_eq!(
            pending.push(Info::from_process(40, SI_QUEUE, 1, 0), None),
            Err(QueueFull)
        );
        pending
            .push(Info::from_process(41, SI_USER, 1, 0), None)
            .unwrap();
        pending
            .push(Info::from_process(SIGTERM, SI_USER, 1, 0), None)
            .unwrap();
        assert_eq!(pending.take(Set(!0)).map(|info| info.signal), Some(SIGTERM));
        assert_eq!(pending.take(Set(!0)).map(|info| info.signal), Some(41));
        assert!(pending.set().is_empty());
    }

    #[test]
    fn places_are_counted_by_user_and_come_back() {
        const USER: u32 = 4712;
        let mut pending = Pending::default();
        for pid in 0..2 {
            let place = Place::take(USER, 2);
            pending
                .push(Info::from_process(40, SI_QUEUE, pid, 0), place)
                .unwrap();
        }
        assert!(Place::take(USER, 2).is_none());
        assert!(Place::take(USER + 1, 2).is_some());
        pending.take(Set::of(40)).unwrap();
        assert!(Place::take(USER, 2).is_some());
        drop(pending);
        assert!(QUEUED.lock().get(&USER).is_none());
    }

    #[test]
    fn discarding_leaves_the_others() {
        let mut pending = Pending::default();
        pending.push(Info::kernel(SIGTSTP), None).unwrap();
        pending.push(Info::kernel(SIGCONT), None).unwrap();
        pending.discard(Set::STOPS);
        assert_eq!(pending.set(), Set::of(SIGCONT));
    }
}
