//! The timers that a process makes for itself: timer_create(2).
//!
//! The one idea: a timer is an alarm on its clock while it runs and an entry in a queue of signals when it has gone off,
//! never both. What happens when is the business of [`Course`]. Nothing here is shared with other processes, so nothing
//! costs more because others have timers.

use super::MOMENT;
use super::course::{Course, Next};
use super::schedule::{Schedule, Setting};
use crate::errno::Errno;
use crate::process::Process;
use crate::signal::queue::{Fields, Info, Place, SI_TIMER, Teller};
use crate::signal::send;
use crate::signal::set::Signal;
use crate::thread::Thread;
use crate::time::clock::{Alarm, Clock};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use core::task::Waker;
use machine::sync::{Spin, SpinGuard};

/// Whom a timer tells.
pub enum Notify {
    /// Nobody: one can ask how long it takes.
    Nobody,
    Process(Signal),
    /// The same; the C library makes a thread of it.
    ProcessForThread(Signal),
    Thread(Signal, u32, Weak<Thread>),
}

impl Notify {
    fn signal(&self) -> Option<Signal> {
        match self {
            Notify::Nobody => None,
            Notify::Process(signal)
            | Notify::ProcessForThread(signal)
            | Notify::Thread(signal, ..) => Some(*signal),
        }
    }
}

/// What timer_create(2) was told.
pub struct Order {
    /// The clock, and the number by which it was named.
    pub clock: Clock,
    pub number: i32,
    pub notify: Notify,
    /// `sigev_value`; `None`: the timer's own number.
    pub value: Option<u64>,
    /// Its place among the queued signals of the user.
    pub place: Place,
}

pub struct Timer {
    id: i32,
    order: Order,
    process: Weak<Process>,
    state: Spin<State>,
}

struct State {
    /// What the course counts on: the timer's clock, or for a length of time one that nobody sets.
    clock: Clock,
    course: Course,
    alarm: Option<Alarm>,
    /// Somebody has begun to listen since the signal was last sent.
    listened: bool,
}

impl State {
    /// A clock that is gone stands still.
    fn now(&self) -> u64 {
        self.clock.now().unwrap_or(0)
    }
}

impl Timer {
    fn is_silent(&self) -> bool {
        matches!(self.order.notify, Notify::Nobody)
    }

    /// Sets it, whatever it was; gives what it was.
    ///
    /// # Errors
    /// `ESRCH`: whose CPU time it counts is gone. `ENOMEM`: it is not set at all then.
    pub fn set(self: &Arc<Timer>, wanted: Setting, absolute: bool) -> Result<Setting, Errno> {
        let clock = match absolute {
            true => self.order.clock.clone(),
            false => self.order.clock.for_lengths(),
        };
        let now = clock.now().ok_or(Errno::ESRCH)?;
        let next = match (wanted.value, absolute) {
            (0, _) => None,
            (time, true) => Some(time),
            (length, false) => Some(now.saturating_add(length)),
        };
        let mut state = self.state.lock();
        let before = state.course.setting(state.now(), self.is_silent());
        let old = (
            state.alarm.take(),
            core::mem::replace(&mut state.clock, clock),
        );
        let interval = next.map_or(0, |_| wanted.interval);
        state.course.set(Schedule::new(next, interval));
        let armed = match next {
            Some(next) if !self.is_silent() => self.watch(&mut state, next),
            _ => Ok(()),
        };
        if armed.is_err() {
            state.course.set(Schedule::default());
        }
        drop(state);
        drop(old);
        armed?;
        Ok(before)
    }

    /// How long until it goes off, and the interval.
    pub fn get(&self) -> Setting {
        let state = self.state.lock();
        state.course.setting(state.now(), self.is_silent())
    }

    pub fn overrun(&self) -> i32 {
        self.state.lock().course.overrun()
    }

    /// It never goes off any more, and its signal, if it is queued, means nothing.
    fn stop(&self) {
        let mut state = self.state.lock();
        state.course.set(Schedule::default());
        let alarm = state.alarm.take();
        drop(state);
        drop(alarm);
    }

    fn watch(self: &Arc<Timer>, state: &mut State, next: u64) -> Result<(), Errno> {
        let waker = Waker::from(self.clone());
        state.alarm = Some(state.clock.alarm(next, waker)?);
        Ok(())
    }

    /// The same when it goes on. There is room: that of the alarm that rang before.
    fn go_on(self: &Arc<Timer>, state: &mut State, next: u64) {
        let pause = state.now().saturating_add(MOMENT);
        if self.watch(state, next.max(pause)).is_err() {
            state.alarm = None;
        }
    }

    fn info(&self, overrun: i32) -> Option<Info> {
        let value = self.order.value;
        Some(Info {
            signal: self.order.notify.signal()?,
            code: SI_TIMER,
            fields: Fields::Timer {
                id: self.id as u32,
                overrun: overrun as u32,
                value: value.unwrap_or(self.id as u64),
            },
        })
    }

    /// Whether the signal is in a queue now.
    fn post(self: &Arc<Timer>, info: Info) -> bool {
        let (process, me) = (self.process.upgrade(), self.clone());
        match (&self.order.notify, process) {
            (Notify::Thread(_, _, thread), _) => thread
                .upgrade()
                .is_some_and(|thread| send::of_timer_to_thread(&thread, info, me)),
            (_, Some(process)) => send::of_timer_to_process(&process, info, me),
            (_, None) => false,
        }
    }

    fn send(self: &Arc<Timer>) {
        let Some(info) = self.info(0) else { return };
        loop {
            self.state.lock().listened = false;
            if self.post(info) {
                return;
            }
            let mut state = self.state.lock();
            // Somebody may have begun to listen after the signal was found to be ignored.
            if !state.listened {
                state.course.not_heard();
                return;
            }
        }
    }

    /// Its signal is ignored no more.
    fn listen(self: &Arc<Timer>) {
        let mut state = self.state.lock();
        state.listened = true;
        let now = state.now();
        let next = state.course.heard_again(now);
        self.follow(state, next);
    }

    fn follow(self: &Arc<Timer>, mut state: SpinGuard<'_, State>, next: Next) {
        match next {
            Next::Rest => {}
            Next::Watch(next) => self.go_on(&mut state, next),
            Next::Send => {
                drop(state);
                self.send();
            }
        }
    }

    /// As `/proc/PID/timers` shows it.
    fn describe(&self, process: u32) -> String {
        let (how, whom, id) = match self.order.notify {
            Notify::Nobody => ("none", "pid", process),
            Notify::Process(_) => ("signal", "pid", process),
            Notify::ProcessForThread(_) => ("thread", "pid", process),
            Notify::Thread(_, id, _) => ("signal", "tid", id),
        };
        let signal = self.order.notify.signal().unwrap_or(0);
        let value = self.order.value.unwrap_or(self.id as u64);
        format!(
            "ID: {}\nsignal: {signal}/{value:016x}\nnotify: {how}/{whom}.{id}\nClockID: {}\n",
            self.id, self.order.number,
        )
    }
}

impl Wake for Timer {
    /// Its alarm rings.
    fn wake(self: Arc<Timer>) {
        let mut state = self.state.lock();
        let now = state.now();
        let next = state.course.look(now);
        self.follow(state, next);
    }
}

impl Teller for Timer {
    fn taken(self: Arc<Timer>) -> Option<Info> {
        let mut state = self.state.lock();
        let now = state.now();
        let overrun = state.course.taken(now);
        if let Next::Watch(next) = state.course.look(now) {
            self.go_on(&mut state, next);
        }
        self.info(overrun?)
    }

    fn forgotten(&self) {
        self.state.lock().course.not_heard();
    }
}

/// Those of a process.
#[derive(Default)]
pub struct PosixTimers {
    list: Spin<List>,
}

#[derive(Default)]
struct List {
    timers: BTreeMap<i32, Arc<Timer>>,
    next: i32,
}

impl PosixTimers {
    /// Makes one; gives its number.
    ///
    /// # Errors
    /// `EAGAIN`: there is no memory, or no number.
    pub fn create(&self, process: &Arc<Process>, order: Order) -> Result<i32, Errno> {
        if !machine::frame::heap_room() {
            return Err(Errno::EAGAIN);
        }
        let mut list = self.list.lock();
        if list.timers.len() == i32::MAX as usize {
            return Err(Errno::EAGAIN);
        }
        while list.timers.contains_key(&list.next) {
            list.next = list.following();
        }
        let id = list.next;
        list.next = list.following();
        let state = State {
            clock: order.clock.clone(),
            course: Course::default(),
            alarm: None,
            listened: false,
        };
        let timer = Timer {
            id,
            order,
            process: Arc::downgrade(process),
            state: Spin::new(state),
        };
        list.timers.insert(id, Arc::new(timer));
        Ok(id)
    }

    /// # Errors
    /// `EINVAL`: there is none with this number.
    pub fn find(&self, id: i32) -> Result<Arc<Timer>, Errno> {
        let found = self.list.lock().timers.get(&id).cloned();
        found.ok_or(Errno::EINVAL)
    }

    /// # Errors
    /// `EINVAL`: there is none with this number.
    pub fn delete(&self, id: i32) -> Result<(), Errno> {
        let timer = self.list.lock().timers.remove(&id);
        timer.ok_or(Errno::EINVAL)?.stop();
        Ok(())
    }

    /// Deletes all.
    pub fn clear(&self) {
        loop {
            let last = self.list.lock().timers.pop_last();
            match last {
                Some((_, timer)) => timer.stop(),
                None => return,
            }
        }
    }

    /// This signal is ignored no more.
    pub fn heard(&self, signal: Signal) {
        let list = self.list.lock();
        let concerned = |timer: &&Arc<Timer>| timer.order.notify.signal() == Some(signal);
        let concerned: Vec<_> = list.timers.values().filter(concerned).cloned().collect();
        drop(list);
        concerned.iter().for_each(Timer::listen);
    }

    /// As `/proc/PID/timers` shows them.
    pub fn describe(&self, process: u32) -> String {
        let list = self.list.lock();
        let texts = list.timers.values().map(|timer| timer.describe(process));
        texts.collect()
    }
}

impl List {
    fn following(&self) -> i32 {
        self.next.checked_add(1).unwrap_or(0)
    }
}
