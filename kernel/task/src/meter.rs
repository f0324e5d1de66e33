//! Waiting until so much CPU time has been used.
//!
//! The one idea: what is measured cannot use more than the clock shows times the CPUs, so a meter looks when its next
//! alarm could be due, and no sooner. While nobody runs whom it measures it does not look at all: the next turn of one of
//! them says so ([`Task::wake_at_turn`]). Who has no alarm pays nothing, and nobody pays for the alarms of others.

use crate::{Task, TimerGuard, clock, try_at, with_current};
use abi::Error;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use machine::sync::Spin;

/// Whose CPU time a [`Meter`] watches: one task, or several together.
pub trait Metered: Send + Sync {
    /// What they have used, in nanoseconds; never less than before. `None`: they are gone.
    fn used(&self) -> Option<u64>;
    /// Whether one of them has a turn at this moment.
    fn run(&self) -> bool;
    /// How many can have one at the same time.
    fn at_once(&self) -> usize;
    /// Wakes `waker` when the next turn of any of them begins ([`Task::wake_at_turn`]).
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    fn wake_at_turn(&self, waker: &Waker) -> Result<(), Error>;
}

/// The least time between two looks, in nanoseconds: a look costs something, and so does what it leads to.
const MOMENT: u64 = 200_000;

/// Rings when those whom it measures have used so much CPU time.
pub struct Meter {
    who: Box<dyn Metered>,
    state: Spin<State>,
}

#[derive(Default)]
struct State {
    /// By used time, then in the order in which they came.
    alarms: BTreeMap<(u64, u64), Waker>,
    came: u64,
    /// When it looks next; `None`: there is nothing to look for, or a turn will tell.
    look: Option<TimerGuard>,
    /// What had been used at the last look.
    seen: u64,
    /// A turn will tell.
    told: bool,
}

impl Meter {
    /// A meter without alarms.
    pub fn new(who: impl Metered + 'static) -> Arc<Meter> {
        Arc::new(Meter {
            who: Box::new(who),
            state: Spin::default(),
        })
    }

    /// What has been used, in nanoseconds; `None`: whom it measures is gone.
    pub fn used(&self) -> Option<u64> {
        self.who.used()
    }

    /// Wakes `waker` once when `used` nanoseconds have been used, or a little later, or when those who are measured are
    /// gone, unless the guard is dropped before. `waker` is called without locks held, from a timer or a turn:
    /// see [`crate::at`]. O(log n) for the alarms of this meter, and as much as [`Metered::used`] costs.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::NoProcess`]: they are gone.
    pub fn at(self: &Arc<Meter>, used: u64, waker: Waker) -> Result<MeterGuard, Error> {
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        if self.used().is_none() {
            return Err(Error::NoProcess);
        }
        let mut state = self.state.lock();
        state.came += 1;
        let key = (used, state.came);
        state.alarms.insert(key, waker);
        let planned = self.plan(&mut state, false);
        drop(state);
        let guard = MeterGuard {
            meter: self.clone(),
            key,
        };
        planned.map(|()| guard)
    }

    /// Sleeps until `used` nanoseconds have been used. Ends early when the current task is interrupted.
    pub fn sleep_until(self: &Arc<Meter>, used: u64) -> MeterSleep {
        MeterSleep {
            meter: self.clone(),
            until: used,
            guard: None,
        }
    }

    /// Those whom it measures are gone: whoever waits is woken, and finds that out.
    pub fn end(&self) {
        let mut state = self.state.lock();
        let gone = (core::mem::take(&mut state.alarms), state.look.take());
        drop(state);
        gone.0.into_values().for_each(Waker::wake);
    }

    /// Decides when to look next. `rested`: there was a pause since the last time.
    fn plan(self: &Arc<Meter>, state: &mut State, rested: bool) -> Result<(), Error> {
        let next = state.alarms.keys().next().map(|(used, _)| *used);
        let (Some(next), Some(used)) = (next, self.used()) else {
            state.look = None;
            return Ok(());
        };
        let idle = !self.who.run();
        // After the request a turn may have begun without seeing it: then it shows by the next look.
        if idle && state.told && rested && used == state.seen {
            state.look = None;
            return Ok(());
        }
        let waker = Waker::from(self.clone());
        state.told = idle && (state.told || self.who.wake_at_turn(&waker).is_ok());
        state.seen = used;
        let left = next.saturating_sub(used) / self.who.at_once().max(1) as u64;
        let until = clock::now().saturating_add(left.max(MOMENT));
        state.look = Some(try_at(until, waker)?);
        Ok(())
    }
}

impl State {
    fn take_due(&mut self, used: u64) -> Option<Waker> {
        let first = self.alarms.first_entry()?;
        (first.key().0 <= used).then(|| first.remove())
    }
}

impl Wake for Meter {
    /// Looks.
    fn wake(self: Arc<Meter>) {
        let used = self.used().unwrap_or(0);
        loop {
            let due = self.state.lock().take_due(used);
            match due {
                Some(waker) => waker.wake(),
                None => break,
            }
        }
        let mut state = self.state.lock();
        if self.plan(&mut state, true).is_err() {
            // Without memory for a timer the next turn is waited for.
            let asked = self.who.wake_at_turn(&Waker::from(self.clone()));
            state.told = asked.is_ok();
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

/// Keeps an alarm of a [`Meter`]; dropping it takes the alarm back.
#[must_use = "an alarm that is dropped does not ring"]
#[derive(Debug)]
pub struct MeterGuard {
    meter: Arc<Meter>,
    key: (u64, u64),
}

impl Drop for MeterGuard {
    fn drop(&mut self) {
        let waker = self.meter.state.lock().alarms.remove(&self.key);
        drop(waker);
    }
}

/// The future of [`Meter::sleep_until`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct MeterSleep {
    meter: Arc<Meter>,
    until: u64,
    guard: Option<MeterGuard>,
}

impl Future for MeterSleep {
    /// [`Error::Interrupted`], [`Error::NoMemory`]; [`Error::NoProcess`]: those who are measured are gone.
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.guard = None;
        if self.meter.used().is_some_and(|used| used >= self.until) {
            return Poll::Ready(Ok(()));
        }
        if with_current(|task| task.interrupted()).unwrap_or(false) {
            return Poll::Ready(Err(Error::Interrupted));
        }
        match self.meter.at(self.until, context.waker().clone()) {
            Ok(guard) => {
                self.guard = Some(guard);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// One task.
impl Metered for alloc::sync::Weak<Task> {
    fn used(&self) -> Option<u64> {
        Some(self.upgrade()?.cpu_time())
    }

    fn run(&self) -> bool {
        self.upgrade().is_some_and(|task| task.is_running())
    }

    fn at_once(&self) -> usize {
        1
    }

    fn wake_at_turn(&self, waker: &Waker) -> Result<(), Error> {
        self.upgrade()
            .map_or(Ok(()), |task| task.wake_at_turn(waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, run_until_idle, sleep_until, spawn, yield_now};
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicU64, Ordering};
    use machine::host::clock::advance;
    use proptest::prelude::*;

    /// Notes what had been used when it rang; 0: it has not.
    struct Bell(Arc<Meter>, AtomicU64);

    impl Wake for Bell {
        fn wake(self: Arc<Bell>) {
            let before = self.1.swap(self.0.used().unwrap(), Ordering::Relaxed);
            assert_eq!(before, 0, "it rings once");
        }
    }

    fn bell(meter: &Arc<Meter>, used: u64) -> (Arc<Bell>, MeterGuard) {
        let bell = Arc::new(Bell(meter.clone(), AtomicU64::new(0)));
        let guard = meter.at(used, Waker::from(bell.clone())).unwrap();
        (bell, guard)
    }

    /// Works in steps of 50 µs for these times, and sleeps for those between.
    async fn work_and_sleep(times: Vec<(u64, u64)>) {
        for (work, sleep) in times {
            for _ in 0..work / 50_000 {
                advance(50_000);
                yield_now().await;
            }
            sleep_until(clock::now() + sleep).await.unwrap();
        }
    }

    #[test]
    fn who_sleeps_is_not_looked_at() {
        let task = spawn(
            "worker",
            work_and_sleep([(1_000_000, 3_600_000_000_000), (1_000_000, 0)].into()),
        )
        .unwrap();
        let meter = Meter::new(Arc::downgrade(&task));
        let (bell, _guard) = bell(&meter, 1_500_000);
        block_on(sleep_until(clock::now() + 10_000_000_000)).unwrap();
        assert_eq!(task.cpu_time(), 1_000_000);
        let state = meter.state.lock();
        assert!(state.look.is_none() && state.told && bell.1.load(Ordering::Relaxed) == 0);
        drop(state);
        block_on(sleep_until(clock::now() + 3_600_000_000_000)).unwrap();
        let rang = bell.1.load(Ordering::Relaxed);
        assert!(
            (1_500_000..=1_500_000 + MOMENT + 50_000).contains(&rang),
            "{rang}"
        );
    }

    #[test]
    fn who_waits_for_what_is_gone_is_told() {
        let killed = async { assert!(sleep_until(clock::now() + 7_000_000).await.is_err()) };
        let task = spawn("worker", killed).unwrap();
        let meter = Meter::new(Arc::downgrade(&task));
        let waits = meter.clone();
        let sleeper = spawn("sleeper", async move {
            let sleep = waits.sleep_until(5_000_000);
            assert_eq!(sleep.await, Err(Error::NoProcess));
        });
        run_until_idle();
        task.kill();
        drop(task);
        run_until_idle();
        meter.end();
        run_until_idle();
        assert!(sleeper.unwrap().is_done());
    }

    #[test]
    fn an_alarm_can_be_taken_back() {
        let task = spawn("worker", work_and_sleep([(1_000_000, 0)].into())).unwrap();
        let meter = Meter::new(Arc::downgrade(&task));
        let (first, guard) = bell(&meter, 300_000);
        drop(guard);
        run_until_idle();
        assert_eq!(first.1.load(Ordering::Relaxed), 0);
        // Nothing keeps it but the task's own request, which is gone with the task.
        drop((task, first));
        assert_eq!(Arc::strong_count(&meter), 1);
    }

    #[test]
    fn who_sleeps_until_others_have_worked() {
        let work = [(1_000_000, 7_000_000), (1_000_000, 0)];
        let task = spawn("worker", work_and_sleep(work.into())).unwrap();
        let meter = Meter::new(Arc::downgrade(&task));
        block_on(meter.sleep_until(1_200_000)).unwrap();
        assert!(meter.used().is_some_and(|used| used >= 1_200_000));
        let sleeper = spawn("sleeper", async move {
            let sleep = meter.sleep_until(5_000_000);
            assert_eq!(sleep.await, Err(Error::Interrupted));
        });
        run_until_idle();
        sleeper.as_ref().unwrap().interrupt();
        run_until_idle();
        assert!(sleeper.unwrap().is_done());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Every alarm rings in its time, neither early nor late by more than a look and a step, whatever the task does.
        #[test]
        fn every_alarm_rings(
            times in prop::collection::vec((0u64..40, 0u64..5_000_000), 1..12),
            alarms in prop::collection::vec(0u64..12_000_000, 1..12),
        ) {
            let times: Vec<_> = times.into_iter().map(|(work, sleep)| (work * 50_000, sleep)).collect();
            let total = times.iter().map(|(work, _)| work).sum::<u64>();
            let task = spawn("worker", work_and_sleep(times)).unwrap();
            let meter = Meter::new(Arc::downgrade(&task));
            let bells: Vec<_> = alarms.iter().map(|used| bell(&meter, *used)).collect();
            block_on(sleep_until(clock::now() + 100_000_000)).unwrap();
            prop_assert!(task.is_done());
            for (used, (bell, _guard)) in alarms.iter().zip(&bells) {
                let rang = bell.1.load(Ordering::Relaxed);
                let latest = used + MOMENT + 50_000;
                if rang != 0 {
                    prop_assert!((*used..=latest).contains(&rang), "{} rang at {}", used, rang);
                } else {
                    // It had no turn any more in which to notice.
                    prop_assert!(latest > total, "{} of {} did not ring", used, total);
                }
            }
        }
    }
}
