//! Observers: who is told each time that readiness bits are set (`epoll`, ports).
//!
//! The one idea: the list is shared with the guards, so that a guard takes its observer out by itself, whichever of
//! object and observer ends first; and observers are called without the list's lock, so they may do the same.

use crate::ready::{OBSERVED, Ready, mask};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use machine::sync::Spin;

/// Is told about bits that were set. Called without locks; must not block.
pub trait Observer: Send + Sync {
    /// `bits` were set (again, perhaps), and this observer is interested in at least one of them.
    fn ready(&self, bits: Ready);
}

/// The observers of one object.
#[derive(Default)]
pub(crate) struct Observers {
    slots: Spin<Vec<Option<Connection>>>,
}

struct Connection {
    mask: u32,
    observer: Arc<dyn Observer>,
}

impl Observers {
    pub fn add(
        self: &Arc<Self>,
        mask: u32,
        observer: Arc<dyn Observer>,
    ) -> Result<ObserverGuard, abi::Error> {
        let mut slots = self.slots.lock();
        let slot = match slots.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                slots.try_reserve(1).map_err(|_| abi::Error::NoMemory)?;
                slots.push(None);
                slots.len() - 1
            }
        };
        slots[slot] = Some(Connection { mask, observer });
        Ok(ObserverGuard {
            observers: self.clone(),
            slot,
        })
    }

    /// Observers are called without the lock: they take locks of their own, and may drop guards.
    pub fn tell(&self, bits: u32, word: &AtomicU32) {
        let mut next = 0;
        loop {
            let slots = self.slots.lock();
            if slots.is_empty() {
                // Under the lock: whoever adds one sets the flag after that.
                word.fetch_and(!OBSERVED, Ordering::AcqRel);
            }
            let found = slots
                .iter()
                .enumerate()
                .skip(next)
                .find_map(|(index, slot)| {
                    let connection = slot.as_ref()?;
                    (connection.mask & bits != 0).then(|| (index, connection.observer.clone()))
                });
            drop(slots);
            let Some((index, observer)) = found else {
                return;
            };
            observer.ready(Ready::from_bits_truncate(bits));
            next = index + 1;
        }
    }
}

/// Keeps an observer connected; dropping it disconnects.
pub struct ObserverGuard {
    observers: Arc<Observers>,
    slot: usize,
}

impl ObserverGuard {
    /// Changes what the observer is interested in.
    pub fn set_interest(&self, interest: Ready) {
        if let Some(Some(slot)) = self.observers.slots.lock().get_mut(self.slot) {
            slot.mask = mask(interest);
        }
    }
}

impl Drop for ObserverGuard {
    fn drop(&mut self) {
        let mut slots = self.observers.slots.lock();
        let observer = slots.get_mut(self.slot).and_then(Option::take);
        while slots.last().is_some_and(Option::is_none) {
            slots.pop();
        }
        drop(slots);
        // Last, and without the lock: it may be the last reference, with anything behind it.
        drop(observer);
    }
}

impl fmt::Debug for ObserverGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserverGuard")
            .field("slot", &self.slot)
            .finish()
    }
}
