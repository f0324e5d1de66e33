//! What each CPU has done: counters, how late tasks came to run, and the longest stretches of kernel code.
//!
//! The one idea: a CPU writes its own counters, without a lock; whoever asks reads them from anywhere, and what was
//! counted at the same moment may be missing. They count from boot and never go back, but for the longest of each, which
//! can be forgotten.

use crate::clock;
use crate::cpu::{Cpu, this};
use crate::histogram::{Histogram, STEPS};
use crate::placement;
use crate::seats::Seats;
use crate::split::{Times, Told};
use crate::stopwatch::Stopwatch;
use crate::stretch::Longest;
use crate::task::Task;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use machine::sync::Spin;

/// Who is late: a timer, or a task of a class between its wake-up and its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Late {
    /// A timer: from its deadline until what it wakes was woken.
    Timer,
    /// Tasks with a reservation.
    Deadline,
    /// Tasks with a priority.
    Realtime,
    /// Tasks with a share.
    Fair,
    /// Tasks that run when nobody else wants to.
    Idle,
}

impl Late {
    /// All of them, in the order of the classes.
    pub const ALL: [Late; 5] = [
        Late::Timer,
        Late::Deadline,
        Late::Realtime,
        Late::Fair,
        Late::Idle,
    ];

    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Late::Timer => "timer",
            Late::Deadline => "deadline",
            Late::Realtime => "realtime",
            Late::Fair => "fair",
            Late::Idle => "idle",
        }
    }
}

/// Of one CPU.
#[derive(Default)]
pub(crate) struct Counters {
    pub polls: AtomicU64,
    pub switches: AtomicU64,
    pub wakes: AtomicU64,
    pub wakes_here: AtomicU64,
    pub yields: AtomicU64,
    pub halts: AtomicU64,
    /// These two are written by the CPU that a task comes from, or by this one.
    pub moved: AtomicU64,
    pub stolen: AtomicU64,
    /// What tasks have waited here while they could have run.
    pub delay: AtomicU64,
    pub longest_delay: AtomicU64,
    /// Entries into the kernel that were looked at: all interrupts of user mode, at least.
    pub entries: AtomicU64,
    pub idle: Stopwatch,
    pub user: UserTime,
    late: [Histogram; Late::ALL.len()],
}

/// How long a CPU was in user mode, as far as that is known.
#[derive(Default)]
pub(crate) struct UserTime {
    /// Of tasks with a share of the usual size or more, and of those that are nice.
    sums: [AtomicU64; 2],
    /// Since when it is in user mode: twice the time, and 1 if somebody nice is; 0: it is not known to be.
    since: AtomicU64,
    told: Spin<[Told; 2]>,
}

impl UserTime {
    /// User mode begins, which will be timed.
    pub fn begin(&self, now: u64, nice: bool) {
        self.since.store(now << 1 | u64::from(nice), Relaxed);
    }

    /// The kernel was entered, and so many nanoseconds before that were user mode.
    pub fn end(&self, nanoseconds: u64, nice: bool) {
        self.since.store(0, Relaxed);
        add(&self.sums[usize::from(nice)], nanoseconds);
    }

    /// Divides what `busy` gives, the time that the CPU did something: the time of those who are nice, and that of the
    /// others.
    fn read(&self, busy: impl FnOnce() -> u64) -> (u64, Times) {
        let mut told = self.told.lock();
        let since = self.since.load(Relaxed);
        let mut sums = [0, 1].map(|nice| self.sums[nice].load(Relaxed));
        let busy = busy();
        if since != 0 {
            sums[(since & 1) as usize] += clock::now().saturating_sub(since >> 1);
        }
        let [usual, nice] = sums;
        // First what is nice and what is not, then the latter: each of three parts can only grow.
        let Times {
            user: nice,
            system: rest,
        } = told[1].tell(busy, nice);
        (nice, told[0].tell(rest, usual))
    }
}

/// Adds to a counter that has only one writer.
#[inline]
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    let sum = counter.load(Relaxed).wrapping_add(amount);
    counter.store(sum, Relaxed);
}

/// Keeps the largest value; for a counter that has only one writer.
pub(crate) fn raise(counter: &AtomicU64, value: u64) {
    if value > counter.load(Relaxed) {
        counter.store(value, Relaxed);
    }
}

impl Counters {
    /// A timer rings so late.
    pub fn rang(&self, late: u64) {
        self.late[Late::Timer as usize].add(late);
    }

    /// `task` was picked, after it had waited.
    #[inline]
    pub fn picked(&self, task: &Task, now: u64) {
        let (delay, was_woken) = task.queued.end(now);
        add(&self.delay, delay);
        if was_woken {
            task.has_waited();
            self.late[task.standing.late() as usize].add(delay);
        }
    }
}

/// Since when a task waits in a run queue. Written by who holds the queue's lock.
#[derive(Default)]
pub(crate) struct Queued {
    /// Twice the time, and 1 if it was woken then; 0: it does not wait.
    since: AtomicU64,
    delay: AtomicU64,
    turns: AtomicU64,
}

impl Queued {
    /// It was woken, and waits from now on; unless it waits already (somewhere else).
    #[inline]
    pub fn wakes(&self, now: u64) {
        if self.since.load(Relaxed) == 0 {
            self.since.store(now << 1 | 1, Relaxed);
        }
    }

    /// It had its turn, and waits for the next one from now on.
    #[inline]
    pub fn goes_back(&self, now: u64) {
        self.since.store(now << 1, Relaxed);
    }

    /// It waits no longer: how long it did, and whether it was woken before.
    #[inline]
    fn end(&self, now: u64) -> (u64, bool) {
        let since = self.since.load(Relaxed);
        self.since.store(0, Relaxed);
        let delay = now.saturating_sub(since >> 1);
        add(&self.delay, delay);
        add(&self.turns, 1);
        (delay, since & 1 != 0)
    }

    /// Nanoseconds that it has waited while it could have run, and how many turns it had.
    pub fn read(&self) -> (u64, u64) {
        (self.delay.load(Relaxed), self.turns.load(Relaxed))
    }
}

/// Which task a CPU had last, so that going on with the same one is no switch.
#[derive(Default)]
pub(crate) struct Last(Cell<usize>);

impl Last {
    /// Whether `next` is another one, or none after one.
    pub fn is_other(&self, next: Option<&Task>) -> bool {
        let next = next.map_or(0, |task| core::ptr::from_ref(task).addr());
        self.0.replace(next) != next
    }
}

/// What a CPU has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tasks that live on it and are not done.
    pub tasks: usize,
    /// Tasks that wait for it now; the running one is not among them.
    pub waiting: usize,
    /// One runs.
    pub runs: bool,
    /// How many turns it gave.
    pub polls: u64,
    /// How often somebody else, or nobody, had the next turn.
    pub switches: u64,
    /// How many tasks it woke, and how many of these run here too.
    pub wakes: u64,
    /// See `wakes`.
    pub wakes_here: u64,
    /// How often a task gave up the rest of its turn.
    pub yields: u64,
    /// How often it halted.
    pub halts: u64,
    /// Tasks that came from another CPU because this one had nothing to do, or they may run here only.
    pub moved: u64,
    /// Tasks that it fetched itself, from another CPU's queue.
    pub stolen: u64,
    /// Nanoseconds that it did something.
    pub busy: u64,
    /// How much of that was user mode, and how much the kernel, its interrupts included. These and `nice` make up `busy`;
    /// how they divide is an estimate.
    pub times: Times,
    /// How much of it was user mode of tasks with a niceness above 0, which is not in `times`.
    pub nice: u64,
    /// Nanoseconds that it halted.
    pub idle: u64,
    /// Nanoseconds that tasks have waited for it while they could have run.
    pub delay: u64,
    /// The longest time in nanoseconds between the decision that the running task should give way and the switch.
    pub longest_delay: u64,
    /// What is reserved of it, in parts of [`WHOLE`](crate::policy::WHOLE).
    pub reserved: u64,
}

impl Cpu {
    fn stats(&self) -> Stats {
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let idle = counters.idle.read();
        let started = read(&self.started);
        let (waiting, runs) = {
            let run = self.run.lock();
            (run.queue.waiting(), run.queue.is_running())
        };
        let busy = || clock::now().saturating_sub(started).saturating_sub(idle);
        let (nice, times) = counters.user.read(busy);
        Stats {
            tasks: self.tasks(),
            waiting,
            runs,
            polls: read(&counters.polls),
            switches: read(&counters.switches),
            wakes: read(&counters.wakes),
            wakes_here: read(&counters.wakes_here),
            yields: read(&counters.yields),
            halts: read(&counters.halts),
            moved: read(&counters.moved),
            stolen: read(&counters.stolen),
            busy: nice + times.sum(),
            times,
            nice,
            idle,
            delay: read(&counters.delay),
            longest_delay: read(&counters.longest_delay),
            reserved: Seats::lock().taken(self.index),
        }
    }
}

/// What this CPU has done so far.
pub fn stats() -> Stats {
    this().stats()
}

/// What CPU number `cpu` has done so far; nothing if it does not run.
pub fn stats_of(cpu: usize) -> Stats {
    running(cpu).map_or(Stats::default(), Cpu::stats)
}

/// How often somebody was how late on CPU number `cpu`. See [`STEPS`] for the steps.
pub fn lateness(cpu: usize, who: Late) -> [u64; STEPS] {
    let histogram = |cpu: &'static Cpu| cpu.counters.late[who as usize].read();
    running(cpu).map_or([0; STEPS], histogram)
}

/// The longest turn on CPU number `cpu` of a task that never went to user mode in it.
pub fn longest_poll(cpu: usize) -> Option<Longest> {
    running(cpu)?.longest_poll.read()
}

/// The longest time that interrupts were off on CPU number `cpu`. See [`crate::Exact`] for what may be missing.
pub fn longest_stretch(cpu: usize) -> Option<Longest> {
    running(cpu)?.longest_stretch.read()
}

/// On every CPU, what was the longest of its kind so far is forgotten.
pub fn forget_longest() {
    for cpu in (0..machine::cpu::count()).map(placement::cpu) {
        cpu.longest_poll.forget();
        cpu.longest_stretch.forget();
        cpu.counters.longest_delay.store(0, Relaxed);
        machine::irq::forget_longest(cpu.index);
    }
}

fn running(cpu: usize) -> Option<&'static Cpu> {
    (cpu < machine::cpu::count()).then(|| placement::cpu(cpu))
}
