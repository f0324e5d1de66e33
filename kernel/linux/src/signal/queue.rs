//! Signals that wait to be delivered.
//!
//! A standard signal is pending at most once; real-time signals queue, each with what its sender said. A timer has one
//! place of its own, whatever its signal, and is asked what to say when its turn comes.

use super::set::{SIGRTMIN, Set, Signal};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
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
pub const SI_TIMER: i32 = -2;

impl Info {
    pub const fn kernel(signal: Signal) -> Info {
        Info {
            signal,
            code: SI_KERNEL,
            fields: Fields::None,
        }
    }

    /// What is known of a signal for which there was no room.
    const fn from_nobody(signal: Signal) -> Info {
        Info {
            signal,
            code: SI_USER,
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

/// A timer whose signal waits in a queue. Both are called with the queue locked.
pub trait Teller: Send + Sync {
    /// The signal is taken: what comes with it by now. `None`: nobody wants it any more.
    fn taken(self: Arc<Self>) -> Option<Info>;
    /// The signal is forgotten.
    fn forgotten(&self);
}

/// What a pending signal has its place in the queue by.
pub enum Behind {
    /// It is a standard signal, or its user's queue is full.
    Nothing,
    Place(Place),
    Timer(Arc<dyn Teller>),
}

impl From<Option<Place>> for Behind {
    fn from(place: Option<Place>) -> Behind {
        place.map_or(Behind::Nothing, Behind::Place)
    }
}

/// The pending signals of a thread or of a process.
#[derive(Default)]
pub struct Pending {
    set: Set,
    queue: Vec<(Info, Behind)>,
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
    pub fn push(&mut self, info: Info, behind: Behind) -> Result<(), QueueFull> {
        let is_of_timer = matches!(behind, Behind::Timer(_));
        if info.signal < SIGRTMIN && !is_of_timer {
            if self.set.contains(info.signal) {
                return Ok(());
            }
            self.queue.push((info, Behind::Nothing));
        } else if !matches!(behind, Behind::Nothing) {
            self.queue.push((info, behind));
        } else if info.code != SI_USER {
            return Err(QueueFull);
        }
        self.set = self.set.with(Set::of(info.signal));
        Ok(())
    }

    /// Takes the next signal of `wanted`.
    pub fn take(&mut self, wanted: Set) -> Option<Info> {
        loop {
            let signal = self.set.and(wanted).first()?;
            let of_signal = |(info, _): &(Info, Behind)| info.signal == signal;
            let (info, behind) = match self.queue.iter().position(of_signal) {
                Some(at) => self.queue.remove(at),
                // The queue was full when it came: it is known by its number only.
                None => (Info::from_nobody(signal), Behind::Nothing),
            };
            if !self.queue.iter().any(of_signal) {
                self.set = self.set.without(Set::of(signal));
            }
            match behind {
                Behind::Timer(timer) => {
                    if let Some(info) = timer.taken() {
                        return Some(info);
                    }
                }
                Behind::Nothing | Behind::Place(_) => return Some(info),
            }
        }
    }

    /// Forgets all pending signals of `which`.
    pub fn discard(&mut self, which: Set) {
        if self.set.and(which).is_empty() {
            return;
        }
        self.queue.retain(|(info, behind)| {
            let stays = !which.contains(info.signal);
            if let Behind::Timer(timer) = behind
                && !stays
            {
                timer.forgotten();
            }
            stays
        });
        self.set = self.set.without(which);
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::*;
    use super::*;

    const SI_QUEUE: i32 = -1;

    fn place() -> Behind {
        Place::take(4711, 1 << 20).into()
    }

    #[test]
    fn standard_signals_do_not_queue_and_real_time_ones_do() {
        let mut pending = Pending::default();
        for pid in 0..3 {
            let info = |signal, code| Info::from_process(signal, code, pid, 0);
            pending
                .push(info(SIGUSR1, SI_USER), Behind::Nothing)
                .unwrap();
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
            pending.push(Info::from_process(40, SI_QUEUE, 1, 0), Behind::Nothing),
            Err(QueueFull)
        );
        pending
            .push(Info::from_process(41, SI_USER, 1, 0), Behind::Nothing)
            .unwrap();
        pending
            .push(Info::from_process(SIGTERM, SI_USER, 1, 0), Behind::Nothing)
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
                .push(Info::from_process(40, SI_QUEUE, pid, 0), place.into())
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
        pending
            .push(Info::kernel(SIGTSTP), Behind::Nothing)
            .unwrap();
        pending
            .push(Info::kernel(SIGCONT), Behind::Nothing)
            .unwrap();
        pending.discard(Set::STOPS);
        assert_eq!(pending.set(), Set::of(SIGCONT));
    }

    /// Says how often it was asked before; nobody wants what it says the second time.
    #[derive(Default)]
    struct Clockwork(core::sync::atomic::AtomicU32);

    impl Teller for Clockwork {
        fn taken(self: Arc<Self>) -> Option<Info> {
            let before = self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            (before != 1).then(|| Info::from_process(SIGALRM, SI_TIMER, before, 0))
        }

        fn forgotten(&self) {
            self.0.store(100, core::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn timers_have_places_of_their_own_and_say_late_what_they_say() {
        let mut pending = Pending::default();
        let timer = Arc::new(Clockwork::default());
        let from_timer = || Behind::Timer(timer.clone());
        let ask = |pending: &mut Pending| match pending.take(Set(!0))?.fields {
            Fields::Sender { pid, .. } => Some(pid),
            _ => None,
        };
        let killed = Info::from_process(SIGALRM, SI_USER, 77, 0);
        pending.push(killed, Behind::Nothing).unwrap();
        pending.push(killed, Behind::Nothing).unwrap();
        pending.push(Info::kernel(SIGALRM), from_timer()).unwrap();
        assert_eq!(ask(&mut pending), Some(77));
        assert_eq!(pending.set(), Set::of(SIGALRM));
        assert_eq!(ask(&mut pending), Some(0));
        pending.push(Info::kernel(SIGALRM), from_timer()).unwrap();
        pending.push(killed, Behind::Nothing).unwrap();
        assert_eq!(
            ask(&mut pending),
            None,
            "the second came while the first was pending"
        );
        pending.push(Info::kernel(SIGALRM), from_timer()).unwrap();
        pending.discard(Set::of(SIGALRM));
        assert!(pending.set().is_empty());
        pending.push(Info::kernel(SIGALRM), from_timer()).unwrap();
        assert_eq!(ask(&mut pending), Some(100));
        assert_eq!(Arc::strong_count(&timer), 1);
    }
}
