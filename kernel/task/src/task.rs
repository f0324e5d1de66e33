//! A task: a future with its state, its flags and its accounts.
//!
//! The one idea: everything about a task is in one `Arc`, and that `Arc` is the waker. The future is boxed once, when
//! it is spawned; polling, waking and queueing allocate nothing and move only this pointer.

use crate::cpu::Cpu;
use crate::executor::Terms;
use crate::group::{self, Group};
use crate::placement;
use crate::policy::NO_GROUP;
use crate::policy::{Class, Manner, Member, Seat, Ticket, weight_of_nice};
use crate::seats::{self, Seats};
use crate::split::{Split, Times};
use crate::standing::Standing;
use crate::state::{AtomicState, State};
use crate::stats::Queued;
use crate::stopwatch::Stopwatch;
use crate::turnstile::{self, Holding};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicI8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Waker};
use machine::sync::Spin;

/// A future on its way through the executor. See [`crate::state`] for its life.
pub struct Task {
    state: AtomicState,
    flags: AtomicU32,
    /// The number of the CPU whose run queue it goes to. Written by who has the right to queue it, or took it out of
    /// a queue, under the lock of the old one and the new one.
    home: AtomicUsize,
    /// The CPUs on which it may run, one bit each: those that were asked for, as far as its group may use them.
    affinity: AtomicU64,
    asked_affinity: AtomicU64,
    /// The CPUs on which it may run now: the same ones, or with a reservation that of its seat. Written under the lock of
    /// its run queue.
    place: AtomicU64,
    /// Of a reservation; see [`crate::seats`].
    pub(crate) seat: Spin<Option<Seat>>,
    group: Spin<Option<Arc<Group>>>,
    /// Gone when the task is done.
    body: Spin<Option<Body>>,
    pub(crate) standing: Standing,
    pub(crate) holding: Holding,
    pub(crate) queued: Queued,
    /// Written by the CPU that polls it.
    polled: Stopwatch,
    pub(crate) split: Split,
    /// Its CPU time when it was woken last.
    waited: AtomicU64,
    /// How long its turns usually are of late, in nanoseconds; written by the CPU that polls it.
    turn: AtomicU32,
    tag: AtomicU64,
    nice: AtomicI8,
    /// Somebody is to be woken when its next turn begins, and who.
    is_awaited: AtomicBool,
    awaited_by: Spin<Vec<Waker>>,
    me: Weak<Task>,
    name: Name,
    work: &'static str,
}

/// The future and the one waker that all its polls share. The waker is a reference to the task itself: a task lives
/// until its future is finished, whoever else forgets it.
struct Body {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    waker: Waker,
}

/// What counts as a new task's usual turn, in nanoseconds: so long that it takes some short ones to show another habit.
const FIRST_TURN: u32 = 300_000;

const INTERRUPTED: u32 = 1;
const KILLED: u32 = 2;

impl Task {
    pub(crate) fn new(
        name: &str,
        home: &Cpu,
        terms: Terms,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Task> {
        let work = core::any::type_name_of_val(&future);
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        let number = terms.group.as_ref().map_or(NO_GROUP, |it| it.number());
        let affinity = narrowed(terms.group.as_deref(), terms.affinity);
        let task = Arc::new_cyclic(|me| Task {
            state: AtomicState::queued(),
            flags: AtomicU32::new(0),
            home: AtomicUsize::new(home.index),
            affinity: AtomicU64::new(affinity),
            asked_affinity: AtomicU64::new(terms.affinity),
            place: AtomicU64::new(affinity),
            seat: Spin::new(None),
            group: Spin::new(terms.group),
            body: Spin::new(None),
            standing: Standing::new(number),
            holding: Holding::new(),
            queued: Queued::default(),
            polled: Stopwatch::new(),
            split: Split::new(),
            waited: AtomicU64::new(0),
            turn: AtomicU32::new(FIRST_TURN),
            tag: AtomicU64::new(0),
            nice: AtomicI8::new(terms.nice),
            is_awaited: AtomicBool::new(false),
            awaited_by: Spin::new(Vec::new()),
            me: me.clone(),
            name: Name::new(name),
            work,
        });
        // Nobody else knows of it yet.
        task.standing.ask(terms.class);
        let waker = Waker::from(task.clone());
        // Not by waiting: whoever spawns it is being polled, which holds another body's lock.
        if let Some(mut body) = task.body.try_lock() {
            *body = Some(Body { future, waker });
        }
        task
    }

    /// The name it was spawned with, cut to 31 bytes.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(crate) fn short_name(&self) -> Name {
        self.name
    }

    /// The type of its future.
    pub fn work(&self) -> &'static str {
        self.work
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// Whether its future is finished.
    pub fn is_done(&self) -> bool {
        self.state.get() == State::Done
    }

    /// Interrupts it: every interruptible wait ends with [`crate::Interrupted`], and new ones do too, until
    /// [`clear_interrupt`](Self::clear_interrupt).
    pub fn interrupt(&self) {
        self.raise(INTERRUPTED);
    }

    /// Takes the interruption back, once whoever caused it has been served. A kill stays.
    pub fn clear_interrupt(&self) {
        self.flags.fetch_and(!INTERRUPTED, Ordering::AcqRel);
    }

    /// Whether waits end at once: it was interrupted or killed.
    #[inline]
    pub fn interrupted(&self) -> bool {
        self.flags.load(Ordering::Acquire) != 0
    }

    /// Interrupts it for good: it should finish as soon as it can.
    pub fn kill(&self) {
        self.raise(KILLED);
    }

    /// Whether it was killed.
    #[inline]
    pub fn killed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & KILLED != 0
    }

    /// Wakes it, whatever it waits for. Its future checks its condition and waits again.
    pub fn wake(&self) {
        if self.state.wake() {
            // The body keeps the task alive while it is not done, so there is a strong reference.
            if let Some(task) = self.me.upgrade() {
                placement::queue(task);
            }
        }
    }

    fn raise(&self, flag: u32) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
        self.wake();
        // If it runs, it is in a place that it does not leave while it runs. If it has not begun to run, its poll
        // sees the flag: it takes what `wake` wrote with the state.
        let home = self.home.load(Ordering::Relaxed);
        if home != machine::cpu::index() && self.is_running() {
            machine::cpu::kick(home);
        }
    }

    /// Whether it has a turn at this moment.
    pub fn is_running(&self) -> bool {
        matches!(self.state(), State::Running | State::Notified)
    }

    /// The CPU where it lives. It may have moved before this returns.
    pub(crate) fn home(&self) -> &'static Cpu {
        placement::cpu(self.home.load(Ordering::Acquire))
    }

    /// The number of the CPU where it runs or ran last.
    pub fn cpu(&self) -> usize {
        self.home.load(Ordering::Relaxed)
    }

    /// See `home`.
    pub(crate) fn set_home(&self, index: usize) {
        self.home.store(index, Ordering::Release);
    }

    pub(crate) fn may_run_on(&self, cpu: usize) -> bool {
        self.place() >> cpu & 1 != 0
    }

    /// The CPUs on which it may run now, one bit each.
    pub(crate) fn place(&self) -> u64 {
        self.place.load(Ordering::Relaxed)
    }

    /// Under the lock of its run queue.
    pub(crate) fn set_place(&self, cpus: u64) {
        self.place.store(cpus, Ordering::Relaxed);
    }

    /// The CPU on which it runs because of its reservation.
    pub fn seat(&self) -> Option<usize> {
        self.seat.lock().as_ref().map(Seat::cpu)
    }

    /// The CPUs on which it may run: bit 0 for number 0, and so on. At first those of whoever spawned it. Those that
    /// were asked for, as far as its group may use them; if it may use none of them, all that the group may use.
    pub fn affinity(&self) -> u64 {
        self.affinity.load(Ordering::Relaxed)
    }

    /// The CPUs that its group may use, one bit each; all if it is in none.
    pub fn allowed(&self) -> u64 {
        let group = self.group.lock();
        group.as_ref().map_or(u64::MAX, |group| group.allowed())
    }

    /// The CPUs that were asked for.
    pub fn asked_affinity(&self) -> u64 {
        self.asked_affinity.load(Ordering::Relaxed)
    }

    /// Makes it run on these CPUs only, from its next turn on; a turn that runs elsewhere is asked to end. A reservation
    /// stays on its CPU if that is one of them, and moves to another else.
    ///
    /// # Errors
    /// [`abi::Error::Invalid`]: none of them runs, or its group may use none of them. [`abi::Error::Busy`]: it has a
    /// reservation for which none of them has room.
    pub fn set_affinity(&self, cpus: u64) -> Result<(), abi::Error> {
        let mut seats = Seats::lock();
        let group = self.group.lock();
        let allowed = group.as_ref().map_or(u64::MAX, |group| group.allowed());
        seats.set_affinity(self, cpus & allowed, |narrowed| {
            self.asked_affinity.store(cpus, Ordering::Relaxed);
            self.affinity.store(narrowed, Ordering::Relaxed);
        })
    }

    /// The CPUs on which it is to run now that the set of its group changed.
    pub(crate) fn confined(&self) -> u64 {
        narrowed(self.group.lock().as_deref(), self.asked_affinity())
    }

    /// Makes it run there, with room for its reservation.
    pub(crate) fn confine(&self, seats: &mut Seats) {
        let group = self.group.lock();
        let confined = self.narrow(seats, group.as_deref());
        debug_assert!(confined.is_ok(), "a group may use a CPU, with room");
    }

    fn narrow(&self, seats: &mut Seats, group: Option<&Group>) -> Result<(), abi::Error> {
        let narrowed = narrowed(group, self.asked_affinity());
        seats.set_affinity(self, narrowed, |narrowed| {
            self.affinity.store(narrowed, Ordering::Relaxed)
        })
    }

    /// The group that it is in, with its quota and its weight.
    pub fn group(&self) -> Option<Arc<Group>> {
        self.group.lock().clone()
    }

    /// Makes it a member of another group, or of none. If it runs, it changes at the end of its turn, which is asked to
    /// end.
    ///
    /// # Errors
    /// [`abi::Error::Forbidden`]: it has a priority or a reservation, and there is a quota. [`abi::Error::Busy`]: it has a
    /// reservation for which the group's CPUs have no room. [`abi::Error::Closed`]: it is done.
    /// [`abi::Error::NoMemory`].
    pub fn set_group(&self, group: Option<Arc<Group>>) -> Result<(), abi::Error> {
        let me = self.me.upgrade().filter(|me| !me.is_done());
        group::gather(&[me.ok_or(abi::Error::Closed)?], group.as_ref())
    }

    /// Makes it a member of another group, in which it may be and whose CPUs have room for it; gives the old one. Whoever
    /// is done has left its group, or is about to, and stays out.
    pub(crate) fn change_group(
        self: &Arc<Self>,
        seats: &mut Seats,
        group: Option<&Arc<Group>>,
    ) -> Result<Option<Arc<Group>>, abi::Error> {
        let mut own = self.group.lock();
        let number = |group: Option<&Arc<Group>>| group.map_or(NO_GROUP, |it| it.number());
        if self.is_done() || number(own.as_ref()) == number(group) {
            return Ok(own.clone());
        }
        self.narrow(seats, group.map(|group| &**group))?;
        if let Err(error) = placement::regroup(self, group.map(|it| it.share())) {
            let _ = self.narrow(seats, own.as_deref());
            return Err(error);
        }
        if let Some(group) = group {
            group.enter(self);
        }
        let old = core::mem::replace(&mut *own, group.cloned());
        if let Some(old) = &old {
            old.leave(self);
        }
        Ok(old)
    }

    /// How it competes for its CPU: what was asked for, whatever it inherits.
    pub fn class(&self) -> Class {
        self.standing.asked()
    }

    /// How it competes now: with what it inherits.
    pub fn effective_class(&self) -> Class {
        self.standing.class()
    }

    /// Makes it compete in another way, from now on.
    ///
    /// # Errors
    /// [`abi::Error::Busy`]: none of its CPUs has room for the reservation. [`abi::Error::Forbidden`]: it is no share, and
    /// the task's group has a quota. [`abi::Error::Closed`]: it is done.
    pub fn set_class(&self, class: Class) -> Result<(), abi::Error> {
        let has_priority = |class: &Class| matches!(class, Class::Realtime { .. });
        let before = self.class();
        group::by_the_rules(
            || self.group(),
            || class,
            || Seats::lock().set_class(self, class),
        )?;
        if has_priority(&class) && !has_priority(&before) {
            self.waited.fetch_max(self.cpu_time(), Ordering::Relaxed);
        }
        turnstile::reclassed(self);
        Ok(())
    }

    /// It is about to end: gives its reservation back and leaves its group, so that whoever is told of its end finds both
    /// gone. Otherwise that happens when it is done, a moment later.
    pub fn retire(&self) {
        if matches!(self.class(), Class::Deadline(_)) {
            // A share needs no room.
            let _ = self.set_class(Class::NORMAL);
        }
        if self.standing.wanted_group() != NO_GROUP {
            let _ = self.set_group(None);
        }
    }

    /// It competes with at least this priority from now on; 0: with its own. Only for [`crate::turnstile`].
    pub(crate) fn inherit(&self, priority: u8) {
        if self.standing.inherited() != priority {
            placement::compete(self, |task| {
                task.standing.inherit(priority);
            });
        }
    }

    /// The priority that it inherits; 0: none.
    pub fn inherited(&self) -> u8 {
        self.standing.inherited()
    }

    /// Sets its share of the CPU by a niceness of −20 (much) to 19 (little). If it has another class, that counts when
    /// it has a share again.
    pub fn set_nice(&self, nice: i8) {
        self.nice.store(nice, Ordering::Relaxed);
        placement::compete(self, |task| {
            if let Class::Fair { manner, .. } = task.standing.asked()
                && manner != Manner::Idle
            {
                let weight = weight_of_nice(nice);
                task.standing.ask(Class::Fair { weight, manner });
            }
        });
    }

    /// The niceness that was set last.
    pub fn nice(&self) -> i8 {
        self.nice.load(Ordering::Relaxed)
    }

    /// A number that means something to whoever spawned it (the process it belongs to); 0 at first.
    pub fn tag(&self) -> u64 {
        self.tag.load(Ordering::Relaxed)
    }

    /// Sets that number.
    pub fn set_tag(&self, tag: u64) {
        self.tag.store(tag, Ordering::Relaxed);
    }

    /// Whether it has something to do: it runs, or waits for a CPU.
    pub fn is_runnable(&self) -> bool {
        !matches!(self.state(), State::Idle | State::Done)
    }

    /// Nanoseconds of CPU time: how long it was polled, user mode included. If it runs, up to now.
    pub fn cpu_time(&self) -> u64 {
        self.polled.read()
    }

    /// Nanoseconds that it has waited for its CPU while it could have run, and how many turns it had.
    pub fn delays(&self) -> (u64, u64) {
        self.queued.read()
    }

    /// The same time, divided between user mode and the kernel. Neither part ever goes back; how they divide is an estimate
    /// where the kernel is entered often (`split.rs`).
    pub fn times(&self) -> Times {
        self.split.read(|| self.polled.read())
    }

    /// How much CPU time it has used since it waited for something last, or got a priority; giving way to others is no
    /// waiting.
    pub fn since_wait(&self) -> u64 {
        let waited = self.waited.load(Ordering::Relaxed);
        self.cpu_time().saturating_sub(waited)
    }

    /// It was woken, and is about to have a turn.
    #[inline]
    pub(crate) fn has_waited(&self) {
        self.waited
            .store(self.polled.stopped_at(), Ordering::Relaxed);
    }

    /// Its CPU time at `now`. Only for who runs it.
    pub(crate) fn cpu_time_at(&self, now: u64) -> u64 {
        self.polled.read_at(|| now)
    }

    /// Its poll begins.
    pub(crate) fn begin(&self, now: u64) {
        self.polled.start(now);
    }

    /// Its poll is over.
    pub(crate) fn charge(&self, nanoseconds: u64) {
        self.polled.stop(nanoseconds);
        // A step up or down each time, so that it follows the median: one turn that something disturbed says little.
        let turn = self.turn.load(Ordering::Relaxed);
        let step = (turn / 8).max(1);
        let turn = if nanoseconds > turn.into() {
            turn.saturating_add(step)
        } else {
            turn.saturating_sub(step)
        };
        self.turn.store(turn, Ordering::Relaxed);
    }

    /// How long its turns are of late, in nanoseconds; long before it has had some.
    pub(crate) fn usual_turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed).into()
    }

    /// Wakes `waker` once, when the next turn of this task begins: in that turn, before anything else. A task that has a
    /// turn now goes on with that one. Costs a task nothing for which nobody waits.
    ///
    /// # Errors
    /// [`abi::Error::NoMemory`].
    pub fn wake_at_turn(&self, waker: &Waker) -> Result<(), abi::Error> {
        let mut wakers = self.awaited_by.lock();
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.try_reserve(1).map_err(|_| abi::Error::NoMemory)?;
            wakers.push(waker.clone());
        }
        self.is_awaited.store(true, Ordering::Release);
        Ok(())
    }

    #[cold]
    fn tell_of_turn(&self) {
        self.is_awaited.store(false, Ordering::Relaxed);
        let wakers = core::mem::take(&mut *self.awaited_by.lock());
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Polls the future once; whether it is finished. Only for the executor that popped the task.
    pub(crate) fn poll(&self) -> bool {
        self.state.start();
        if self.is_awaited.load(Ordering::Acquire) {
            self.tell_of_turn();
        }
        let mut body = self.body.lock();
        match &mut *body {
            Some(Body { future, waker }) => {
                let mut context = Context::from_waker(waker);
                future.as_mut().poll(&mut context).is_ready()
            }
            None => true,
        }
    }

    /// After a pending poll, under the lock of its run queue: whether it must be put back.
    pub(crate) fn settle(&self) -> bool {
        self.state.settle()
    }

    /// After the last poll: drops the future, then is done.
    pub(crate) fn finish(&self) {
        let body = self.body.lock().take();
        let wakers = core::mem::take(&mut *self.awaited_by.lock());
        drop((body, wakers));
        turnstile::ended(self);
        self.state.finish();
        seats::leave(self);
        let group = self.group.lock().take();
        if let Some(group) = group {
            group.leave(self);
        }
    }
}

/// The CPUs that a task of this group may use that asked for these.
pub(crate) fn narrowed(group: Option<&Group>, asked: u64) -> u64 {
    let allowed = group.map_or(u64::MAX, Group::allowed);
    placement::narrow(allowed, asked)
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if self.state.wake() {
            placement::queue(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.wake() {
            placement::queue(self.clone());
        }
    }
}

impl Member for Arc<Task> {
    #[inline]
    fn waits(&self, at: Option<Ticket>) {
        self.standing.waits(at);
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish()
    }
}

/// A short name, kept in place.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; 31],
    len: u8,
}

impl Name {
    fn new(name: &str) -> Name {
        let mut bytes = [0; 31];
        let len = name.floor_char_boundary(bytes.len());
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Name {
            bytes,
            len: len as u8,
        }
    }

    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
