//! Signals that wait to be delivered.
//!
//! A standard signal is pending at most once; real-time signals queue, each with what its sender said.

use super::set::{SIGRTMIN, Set, Signal};
use alloc::vec::Vec;

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

/// At most this many signals queue for one process or thread (`RLIMIT_SIGPENDING` is a later matter).
const QUEUE_LIMIT: usize = 1024;

/// The pending signals of a thread or of a process.
#[derive(Default)]
pub struct Pending {
    set: Set,
    queue: Vec<Info>,
}

/// The queue of real-time signals is full.
#[derive(Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Pending {
    pub fn set(&self) -> Set {
        self.set
    }

    /// Adds a signal; a standard one that is pending already stays as it was.
    pub fn push(&mut self, info: Info) -> Result<(), QueueFull> {
        if info.signal < SIGRTMIN && self.set.contains(info.signal) {
            return Ok(());
        }
        if self.queue.len() >= QUEUE_LIMIT {
            if info.signal >= SIGRTMIN && info.code != SI_USER {
                return Err(QueueFull);
            }
        } else {
            self.queue.push(info);
        }
        self.set = self.set.with(Set::of(info.signal));
        Ok(())
    }

    /// Takes the next signal of `wanted`.
    pub fn take(&mut self, wanted: Set) -> Option<Info> {
        let signal = self.set.and(wanted).first()?;
        let at = self.queue.iter().position(|info| info.signal == signal);
        let info = match at {
            Some(at) => self.queue.remove(at),
            // The queue was full when it came: it is known by its number only.
            None => Info {
                signal,
                code: SI_USER,
                fields: Fields::None,
            },
        };
        if !self.queue.iter().any(|other| other.signal == signal) {
            self.set = self.set.without(Set::of(signal));
        }
        Some(info)
    }

    /// Forgets all pending signals of `which`.
    pub fn discard(&mut self, which: Set) {
        if !self.set.and(which).is_empty() {
            self.queue.retain(|info| !which.contains(info.signal));
            self.set = self.set.without(which);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::*;
    use super::*;

    const SI_QUEUE: i32 = -1;

    #[test]
    fn standard_signals_do_not_queue_and_real_time_ones_do() {
        let mut pending = Pending::default();
        for pid in 0..3 {
            pending
                .push(Info::from_process(SIGUSR1, SI_USER, pid, 0))
                .unwrap();
            pending
                .push(Info::from_process(40, SI_QUEUE, pid, 0))
                .unwrap();
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
    fn a_full_queue_refuses_values_but_not_kill() {
        let mut pending = Pending::default();
        for _ in 0..QUEUE_LIMIT {
            pending
                .push(Info::from_process(40, SI_QUEUE, 1, 0))
                .unwrap();
        }
        assert_eq!(
            pending.push(Info::from_process(40, SI_QUEUE, 1, 0)),
            Err(QueueFull)
        );
        pending
            .push(Info::from_process(SIGTERM, SI_USER, 1, 0))
            .unwrap();
        assert_eq!(
            pending.take(Set::of(SIGTERM)).map(|info| info.signal),
            Some(SIGTERM)
        );
    }

    #[test]
    fn discarding_leaves_the_others() {
        let mut pending = Pending::default();
        pending.push(Info::kernel(SIGTSTP)).unwrap();
        pending.push(Info::kernel(SIGCONT)).unwrap();
        pending.discard(Set::STOPS);
        assert_eq!(pending.set(), Set::of(SIGCONT));
    }
}
