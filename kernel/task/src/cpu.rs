//! One CPU's run queue, timers and alarm.
//!
//! The one idea: others only push or take (a task, under the queue's lock) and kick; everything else, the alarm and the
//! decision to switch, is this CPU's own. The alarm follows one rule: it is never set later than the next thing that
//! must happen, a timer or the end of the running task's slice if somebody waits; an early ring only asks again. So
//! waking, blocking and switching at a high rate hardly ever touch the alarm, and an idle CPU has none (tickless).

use crate::placement;
use crate::policy::{Claim, Class, Group, Manner, NO_GROUP, RunQueue, SHORTEST_TURN, Ticket};
use crate::state::State;
use crate::stats::{Counters, Last, add, raise};
use crate::stretch::{Cause, Record, Stretch};
use crate::task::Task;
use crate::timers::{Key, Timers};
use crate::{Deadline, clock};
use alloc::collections::TryReserveError;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::ptr;
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::task::Waker;
use machine::cpu::PerCpu;
use machine::sync::{Spin, SpinGuard};

pub(crate) use crate::policy::NEVER;

/// What other CPUs may touch.
pub(crate) struct Cpu {
    pub(crate) index: usize,
    pub(crate) run: Spin<Run>,
    timers: Timers,
    /// [`SWITCH`] and [`LOOK`], or 0.
    attention: AtomicU8,
    /// For what time the alarm is set; [`NEVER`]: it is not. Written by the own CPU only.
    armed: AtomicU64,
    /// When the run queue wants to be asked again. Own CPU only.
    decision: AtomicU64,
    /// Tasks that live here. Written under the lock of `run`.
    tasks: AtomicUsize,
    /// How many wait in the run queue; a hint for whoever looks for work.
    pub(crate) waiting: AtomicUsize,
    pub(crate) counters: Counters,
    pub(crate) stretch: Stretch,
    /// The tag of the task that has or had the last turn.
    pub(crate) tag: AtomicU64,
    pub(crate) longest_poll: Record,
    pub(crate) longest_stretch: Record,
    /// When it began to run tasks; the first one has been busy since boot.
    pub(crate) started: AtomicU64,
}

/// What the lock of a run queue guards.
pub(crate) struct Run {
    pub(crate) queue: RunQueue<Arc<Task>>,
    /// Until when the running task has been charged.
    charged: u64,
    /// The CPU halts, or is about to.
    pub(crate) idle: bool,
    /// Since when somebody has waited without a break; [`NEVER`]: nobody does.
    crowded: u64,
    /// When it was decided that the running task should give way.
    asked: u64,
    /// The CPUs, one bit each, that may run nothing of what waits here: they looked, and nobody has come since.
    refused: u64,
}

/// What only this CPU's own code touches.
pub(crate) struct Local {
    pub cpu: &'static Cpu,
    pub current: RefCell<Option<Arc<Task>>>,
    /// The current task gives up the rest of its slice.
    pub yields: Cell<bool>,
    pub last: Last,
    /// What the stretch of kernel code that goes on began with.
    pub cause: Cell<Cause>,
    /// Who has the next turn.
    pub heir: Cell<Heir>,
}

/// Whether the current task says who has the next turn; see [`crate::hand_over`].
#[derive(Clone, Copy, Default)]
pub(crate) enum Heir {
    #[default]
    Nobody,
    /// The task that is woken next, if it lives here.
    Wanted,
    /// The one with this ticket, if it still waits.
    Is(Ticket),
}

pub(crate) static LOCAL: PerCpu<Local> = PerCpu::new(|| Local {
    cpu: placement::cpu(machine::cpu::index()),
    current: RefCell::new(None),
    yields: Cell::new(false),
    last: Last::default(),
    cause: Cell::new(Cause::Turn),
    heir: Cell::new(Heir::Nobody),
});

/// The CPU that runs this code.
#[inline]
pub(crate) fn this() -> &'static Cpu {
    LOCAL.with(|local| local.cpu)
}

impl Heir {
    fn is_wanted(self) -> bool {
        matches!(self, Heir::Wanted)
    }
}

/// What a poll came to.
pub(crate) struct Polled {
    pub task: Arc<Task>,
    pub finished: bool,
    /// How long the poll took, in nanoseconds.
    pub spent: u64,
    /// It gave up the rest of its slice.
    pub yields: bool,
}

/// In `attention`: the running task should give way at its next checkpoint.
const SWITCH: u8 = 1;
/// In `attention`: somebody new waits, and this CPU has to see about its alarm.
const LOOK: u8 = 2;

impl Cpu {
    pub fn new(index: usize) -> Self {
        Cpu {
            index,
            run: Spin::new(Run {
                queue: RunQueue::new(),
                charged: 0,
                idle: false,
                crowded: NEVER,
                asked: 0,
                refused: 0,
            }),
            timers: Timers::new(),
            attention: AtomicU8::new(0),
            armed: AtomicU64::new(NEVER),
            decision: AtomicU64::new(NEVER),
            tasks: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            counters: Counters::default(),
            stretch: Stretch::default(),
            tag: AtomicU64::new(0),
            longest_poll: Record::default(),
            longest_stretch: Record::default(),
            started: AtomicU64::new(0),
        }
    }

    /// Makes room for one more task that lives here, in this group.
    pub fn admit(&self, group: Option<&Arc<Group>>) -> Result<(), abi::Error> {
        let mut run = self.run.lock();
        self.admit_to(&mut run, group)
            .map_err(|_| abi::Error::NoMemory)
    }

    /// The same, with the lock held.
    pub fn admit_to(
        &self,
        run: &mut Run,
        group: Option<&Arc<Group>>,
    ) -> Result<(), TryReserveError> {
        run.queue.admit(group)?;
        let tasks = self.tasks.load(Ordering::Relaxed) + 1;
        self.tasks.store(tasks, Ordering::Relaxed);
        Ok(())
    }

    /// One task less lives here: one of the group with this number.
    pub fn dismiss(&self, run: &mut Run, group: u32) {
        let tasks = self.tasks.load(Ordering::Relaxed).saturating_sub(1);
        self.tasks.store(tasks, Ordering::Relaxed);
        run.queue.dismiss(group);
    }

    /// Queues a task that became runnable and lives here, and makes this CPU react if it must.
    pub fn enqueue(&self, mut run: SpinGuard<'_, Run>, task: Arc<Task>) {
        let waker = this();
        let own = ptr::eq(self, waker);
        add(&waker.counters.wakes, 1);
        add(&waker.counters.wakes_here, u64::from(own));
        let now = run.look();
        task.queued.wakes(now);
        let first = run.queue.waiting() == 0;
        // Who waits alone is next anyway.
        let wanted = own && !first && LOCAL.with(|local| local.heir.get().is_wanted());
        let heir = wanted.then(|| task.clone());
        let preempts = run.join(now, task);
        if let Some(heir) = heir {
            // Whoever is in a group is its group's business.
            if let (Some(ticket), NO_GROUP) = (heir.standing.ticket(), heir.standing.group()) {
                LOCAL.with(|local| local.heir.set(Heir::Is(ticket)));
            }
        }
        self.react(run, now, preempts, first, own);
    }

    /// After somebody joined: asks the running task to give way, if it must, and sees about the alarm.
    fn react(&self, mut run: SpinGuard<'_, Run>, now: u64, preempts: bool, first: bool, own: bool) {
        if preempts {
            self.ask(&mut run, now);
        }
        let idle = run.idle;
        let decision = self.next_decision(&mut run, now);
        drop(run);
        if own {
            self.arm(decision);
        } else if preempts || idle || first {
            // For the first one that waits an alarm is needed, and only that CPU can set it.
            self.attention.fetch_or(LOOK, Ordering::Release);
            machine::cpu::kick(self.index);
        }
    }

    /// When the queue must be looked at again if nothing happens until then. Called after each change of it.
    fn next_decision(&self, run: &mut Run, now: u64) -> u64 {
        let decision = run.queue.next_decision(now);
        if machine::cpu::count() == 1 {
            return decision;
        }
        let waiting = run.queue.waiting();
        // In this order with the flag of an idle CPU: it sets its flag and looks here, this looks there after this.
        self.waiting.store(waiting, Ordering::SeqCst);
        if waiting == 0 {
            run.crowded = NEVER;
            return decision;
        }
        run.crowded = run.crowded.min(now);
        if placement::somebody_idles(run.refused) {
            decision.min(run.crowded.saturating_add(placement::PATIENCE))
        } else {
            decision
        }
    }

    /// Changes how `task`, which lives here, competes. Gives it back if it waited here and may not any more: it is in no
    /// queue, and to be queued.
    #[must_use = "a task that is not queued is lost"]
    pub fn compete(
        &self,
        mut run: SpinGuard<'_, Run>,
        task: &Task,
        change: impl FnOnce(&Task),
    ) -> Option<Arc<Task>> {
        let own = ptr::eq(self, this());
        let now = run.look();
        let first = run.queue.waiting() == 0;
        let out = task
            .standing
            .ticket()
            .and_then(|ticket| run.queue.remove(ticket, task.standing.group()));
        if let Some((claim, item)) = out {
            task.standing.remember(claim);
            change(task);
            if !task.may_run_on(self.index) {
                self.react(run, now, false, false, own);
                return Some(item);
            }
            let joined = run.join(now, item);
            let preempts = joined || run.queue.should_switch(now);
            self.react(run, now, preempts, first, own);
            return None;
        }
        let before = task.standing.class();
        change(task);
        let after = task.standing.class();
        let both_fair = matches!(before, Class::Fair { .. }) && matches!(after, Class::Fair { .. });
        // The running one changes its line, or its CPU, at its next turn, which is to be soon. (Or it is about to be
        // queued, by somebody who sees the change.)
        let changes = !both_fair && before != after || !task.may_run_on(self.index);
        self.react(run, now, task.is_runnable() && changes, false, own);
        None
    }

    /// Asks the running task to give way.
    fn ask(&self, run: &mut Run, now: u64) {
        if self.attention.fetch_or(SWITCH, Ordering::Relaxed) & SWITCH == 0 {
            run.asked = now;
        }
    }

    /// After a poll: charges and settles the task, and picks the next one, in one visit.
    pub fn switch(&self, polled: Option<Polled>, now: u64) -> Option<Arc<Task>> {
        let mut run = self.run.lock();
        let over = match polled {
            Some(polled) => self.settle_in(&mut run, polled, now),
            None => Over::Nothing,
        };
        let mut next = match LOCAL.with(|local| local.heir.take()) {
            Heir::Is(ticket) => run.queue.pick_this(ticket),
            _ => None,
        };
        if next.is_none() {
            next = run.queue.pick(now);
        }
        if next.is_none() && machine::cpu::count() > 1 {
            // In this order: who queues something for another CPU first shows it and then looks who idles.
            placement::set_idle(self);
            drop(run);
            placement::steal(self, now);
            run = self.run.lock();
            next = run.queue.pick(now);
        }
        if next.is_some() && machine::cpu::count() > 1 {
            placement::clear_idle(self);
        }
        run.charged = now;
        run.idle = next.is_none();
        let decision = self.next_decision(&mut run, now);
        drop(run);
        over.settle();
        match &next {
            Some(task) => {
                self.counters.picked(task, now);
                self.arm(decision);
            }
            None => self.decision.store(decision, Ordering::Relaxed),
        }
        if LOCAL.with(|local| local.last.is_other(next.as_deref())) {
            add(&self.counters.switches, 1);
        }
        next
    }

    /// After a poll: charges and settles the task.
    #[cfg(not(target_os = "none"))]
    pub fn settle(&self, polled: Polled, now: u64) {
        let mut run = self.run.lock();
        let over = self.settle_in(&mut run, polled, now);
        drop(run);
        over.settle();
    }

    fn settle_in(&self, run: &mut Run, polled: Polled, now: u64) -> Over {
        run.charge(now);
        let asked = self.attention.load(Ordering::Relaxed) != 0
            && self.attention.swap(0, Ordering::Acquire) & SWITCH != 0;
        if asked {
            let delay = now.saturating_sub(run.asked);
            raise(&self.counters.longest_delay, delay);
        }
        let Polled {
            task,
            finished,
            spent,
            yields,
        } = polled;
        let yields = yields && !asked;
        add(&self.counters.yields, u64::from(yields));
        if spent < SHORTEST_TURN {
            run.queue.charge(now, SHORTEST_TURN - spent);
        }
        if finished {
            run.queue.leave(now);
            run.regroup(&task);
            self.dismiss(run, task.standing.group());
        } else if task.settle() {
            // It does not wait for anybody.
            LOCAL.with(|local| local.heir.set(Heir::Nobody));
            let class = task.standing.class();
            match (run.queue.running_class(), class) {
                _ if !task.may_run_on(self.index) => {
                    if let Some(claim) = run.queue.leave(now) {
                        task.standing.remember(claim);
                    }
                    task.queued.goes_back(now);
                    return Over::Moves(task);
                }
                _ if task.standing.group() != task.standing.wanted_group() => {
                    return run.again(now, task);
                }
                (Some(old), new) if old == new => {}
                (Some(Class::Fair { manner: old, .. }), Class::Fair { weight, manner })
                    if old == manner =>
                {
                    run.queue.reweigh(weight);
                }
                _ => return run.again(now, task),
            }
            // Who is made to give way keeps its deadline.
            task.queued.goes_back(now);
            run.offer(&task);
            run.queue.put_back(now, task, yields);
            return Over::Nothing;
        } else {
            if let Some(claim) = run.queue.leave(now) {
                task.standing.remember(claim);
            }
            run.regroup(&task);
        }
        Over::Gone(task)
    }

    /// Makes `task`, which lives here, a member of another group; as [`compete`](Self::compete) it may give it back.
    pub fn change_group(
        &self,
        mut run: SpinGuard<'_, Run>,
        task: &Task,
        group: Option<&Arc<Group>>,
    ) -> Result<Option<Arc<Task>>, abi::Error> {
        run.queue.admit(group).map_err(|_| abi::Error::NoMemory)?;
        let before = task.standing.wanted_group();
        let after = group.map_or(NO_GROUP, |group| group.number());
        if before != task.standing.group() {
            // It has not changed to that one yet.
            run.queue.dismiss(before);
        }
        if after == task.standing.group() {
            run.queue.dismiss(after);
        }
        task.standing.want_group(after);
        let asleep = task.state() == State::Idle;
        if asleep {
            // Whoever wakes it comes by here.
            run.regroup(task);
        } else if task.standing.ticket().is_some() {
            return Ok(self.compete(run, task, |_| ()));
        } else {
            // It runs, and changes at the end of its turn.
            let own = ptr::eq(self, this());
            let now = run.look();
            self.react(run, now, true, false, own);
        }
        Ok(None)
    }

    /// `task`, which lives here, may run on other CPUs than before: those that idle are called if it still waits in a while.
    pub fn offer(&self, mut run: SpinGuard<'_, Run>, task: &Task) {
        run.offer(task);
        let own = ptr::eq(self, this());
        let now = run.look();
        self.react(run, now, false, true, own);
    }

    /// Whether somebody waits for this CPU, or the running task would give up a budget.
    pub fn others_wait(&self) -> bool {
        let run = self.run.lock();
        run.queue.waiting() > 0 || matches!(run.queue.running_class(), Some(Class::Deadline(_)))
    }

    /// Whether the current task should give way. Two loads when nothing happened.
    #[inline]
    pub fn should_yield(&self) -> bool {
        let attention = self.attention.load(Ordering::Relaxed);
        if attention == 0 && self.armed.load(Ordering::Relaxed) == NEVER {
            return false;
        }
        attention & SWITCH != 0 || self.look(attention)
    }

    #[inline(never)]
    fn look(&self, attention: u8) -> bool {
        let now = clock::now();
        if attention & LOOK != 0 {
            self.attention.fetch_and(!LOOK, Ordering::Acquire);
            self.reconsider(now);
        } else {
            self.ring(now);
        }
        self.attention.load(Ordering::Relaxed) & SWITCH != 0
    }

    /// If the alarm's time has come, does what it was set for.
    pub fn ring(&self, now: u64) {
        if now >= self.armed.load(Ordering::Relaxed) {
            self.reconsider(now);
        }
    }

    /// Wakes what is due, asks the running task to give way if its slice is over, and sets the alarm again.
    fn reconsider(&self, now: u64) {
        self.armed.store(NEVER, Ordering::Relaxed);
        self.timers.expire(now, |late| self.counters.rang(late));
        let mut run = self.run.lock();
        run.charge(now);
        if run.queue.should_switch(now) {
            self.ask(&mut run, now);
        }
        if now >= run.crowded.saturating_add(placement::PATIENCE)
            && placement::call_idle(self, run.refused)
        {
            run.crowded = now;
        }
        let decision = self.next_decision(&mut run, now);
        drop(run);
        self.arm(decision.min(self.timers.next()));
    }

    /// Sets the alarm if it is not set for `deadline` or earlier.
    fn arm(&self, deadline: u64) {
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
            machine::time::set_alarm(Some(deadline));
        }
    }

    /// For what time the alarm is set; [`NEVER`]: it is not.
    pub fn alarm(&self) -> u64 {
        self.armed.load(Ordering::Relaxed)
    }

    /// Halts until an interrupt, with the alarm exactly at the next timer or budget. Returns the time.
    pub fn idle(&self, now: u64) -> u64 {
        let decision = self.decision.load(Ordering::Relaxed);
        let next = self.timers.next().min(decision);
        if next != self.armed.load(Ordering::Relaxed) {
            self.armed.store(next, Ordering::Relaxed);
            machine::time::set_alarm((next != NEVER).then_some(next));
        }
        add(&self.counters.halts, 1);
        self.counters.idle.start(now);
        machine::cpu::idle();
        let after = clock::now();
        self.counters.idle.stop(after.saturating_sub(now));
        self.stretch.restart(after);
        after
    }

    /// Whether a timer is set here.
    #[cfg(not(target_os = "none"))]
    pub fn has_alarm(&self) -> bool {
        self.timers.next() != NEVER || self.decision.load(Ordering::Relaxed) != NEVER
    }

    /// Adds a timer. Only on the own CPU, which sets its alarm.
    pub fn add_timer(&self, deadline: Deadline, waker: Waker) -> Result<Key, Waker> {
        let key = self.timers.add(deadline, waker)?;
        self.arm(self.timers.next());
        Ok(key)
    }

    /// Its timers, of which others may take some out. The alarm may ring for nothing once.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The wall clock was set: timers on it may be due earlier.
    pub fn wall_was_set(&self) {
        if !self.timers.wall_was_set() {
            return;
        }
        if ptr::eq(self, this()) {
            self.arm(self.timers.next());
        } else {
            self.attention.fetch_or(LOOK, Ordering::Release);
            machine::cpu::kick(self.index);
        }
    }

    /// This CPU runs tasks from now on.
    pub fn begin(&self, now: u64) {
        if self.index > 0 {
            self.started.store(now, Ordering::Relaxed);
        }
    }

    /// Counts one poll, of `task`, that ended now.
    #[inline]
    pub fn count_poll(&self, cause: Cause, spent: u64, now: u64, task: &Task) {
        add(&self.counters.polls, 1);
        self.stretch.note(now, cause, task, &self.longest_stretch);
        if self.stretch.stayed() {
            self.longest_poll.offer(spent, now, Cause::Turn, task);
        }
    }

    /// How many tasks live here.
    pub fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }
}

impl Run {
    /// Queues a task that became runnable. `true`: it should run at once.
    pub fn join(&mut self, now: u64, task: Arc<Task>) -> bool {
        self.offer(&task);
        self.regroup(&task);
        let (claim, group) = (task.standing.claim(), task.standing.group());
        self.queue.join(now, claim, group, task)
    }

    /// `task` waits here, or may run on other CPUs than before: those are to look again.
    pub fn offer(&mut self, task: &Task) {
        self.refused &= !task.place();
    }

    /// CPU `index` may run nothing of what waits here, so it is not called for it again.
    pub fn refuse(&mut self, index: usize) {
        self.refused |= 1 << index;
    }

    /// Takes the running task out, and queues it as it is to compete now.
    fn again(&mut self, now: u64, task: Arc<Task>) -> Over {
        if let Some(claim) = self.queue.leave(now) {
            task.standing.remember(claim);
        }
        task.queued.goes_back(now);
        self.join(now, task);
        Over::Nothing
    }

    /// Lets a task that neither waits nor runs change to the group that is wanted for it.
    #[inline]
    pub fn regroup(&mut self, task: &Task) {
        if task.standing.group() != task.standing.wanted_group() {
            self.change_group(task);
        }
    }

    #[cold]
    fn change_group(&mut self, task: &Task) {
        let (from, to) = (task.standing.group(), task.standing.wanted_group());
        let migrant = self.queue.depart(from, task.standing.entity());
        let entity = self.queue.adopt(to, migrant);
        task.standing.remember(Claim::Fair(entity, Manner::Prompt));
        task.standing.change_group();
        self.queue.dismiss(from);
    }

    fn charge(&mut self, now: u64) {
        if self.queue.is_running() {
            self.queue.charge(now, now.saturating_sub(self.charged));
            self.charged = now;
        }
    }

    /// Reads the clock, and charges the running task.
    fn look(&mut self) -> u64 {
        let now = clock::now();
        self.charge(now);
        now
    }
}

/// What is left of a task after its poll, to be seen to without the lock.
enum Over {
    Nothing,
    /// It is not queued: to be dropped.
    Gone(Arc<Task>),
    /// It is to be queued on another CPU.
    Moves(Arc<Task>),
}

impl Over {
    fn settle(self) {
        match self {
            Over::Nothing => {}
            Over::Gone(task) => drop(task),
            Over::Moves(task) => placement::queue(task),
        }
    }
}
