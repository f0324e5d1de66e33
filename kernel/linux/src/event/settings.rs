//! The timers that end when the wall clock is set (`TFD_TIMER_CANCEL_ON_SET`).
//!
//! The one idea: they are told one after another, each without a lock held, so a timer may come or go meanwhile.

use super::timer::Timer;
use crate::errno::Errno;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU64, Ordering};
use machine::cpu::Shared;
use machine::sync::Spin;
use task::{Observer, ObserverGuard, Ready, clock};

#[derive(Default)]
struct Settings {
    /// By the order in which they came.
    timers: Spin<BTreeMap<u64, Weak<Timer>>>,
    came: AtomicU64,
    /// Hears of the clock from the first timer on.
    ear: Spin<Option<ObserverGuard>>,
}

static SETTINGS: Shared<Arc<Settings>> = Shared::new(Arc::default);

impl Observer for Settings {
    fn ready(&self, _: Ready) {
        let mut from = 0;
        loop {
            let timers = self.timers.lock();
            let next = timers.range(from..).next();
            let Some((place, timer)) = next.map(|(place, timer)| (*place, timer.upgrade())) else {
                return;
            };
            drop(timers);
            if let Some(timer) = timer {
                timer.cancel();
            }
            from = place + 1;
        }
    }
}

/// A place among those that are told; given back when dropped.
pub struct Told(u64);

impl Told {
    /// # Errors
    /// `ENOMEM`.
    pub fn new(timer: &Arc<Timer>) -> Result<Told, Errno> {
        let settings = SETTINGS.get();
        if !machine::frame::heap_room() {
            return Err(Errno::ENOMEM);
        }
        let mut ear = settings.ear.lock();
        if ear.is_none() {
            *ear = Some(clock::changes().observe(Ready::READ, settings.clone())?);
        }
        drop(ear);
        let place = settings.came.fetch_add(1, Ordering::Relaxed);
        settings.timers.lock().insert(place, Arc::downgrade(timer));
        Ok(Told(place))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let gone = SETTINGS.get().timers.lock().remove(&self.0);
        drop(gone);
    }
}
