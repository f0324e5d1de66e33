//! Spawning, running, yielding.
//!
//! The one idea: a turn is pick, poll, charge, settle; one reading of the clock and one visit of the run queue a turn.
//! The kernel runs with interrupts off, so a turn is never interrupted: interrupts come in while a task is in user
//! mode, while the CPU halts, and in a short window now and then when there is neither.

use crate::cpu::{Heir, LOCAL, Polled, this};
use crate::policy::Class;
use crate::seats::Seats;
use crate::{Cause, Group, Task, clock, placement};
use abi::Error;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll};

/// Starts a task in the ordinary class, on this CPU if no other has nothing to do. It runs when the executor gets to
/// it, and where its spawner may.
///
/// Costs two allocations: the task and its boxed future.
///
/// # Errors
/// [`Error::NoMemory`]; the future is dropped.
pub fn spawn(
    name: &str,
    future: impl Future<Output = ()> + Send + 'static,
) -> Result<Arc<Task>, Error> {
    spawn_with(name, Terms::ordinary(), future)
}

/// The same, but it competes on these terms from its first turn on.
///
/// # Errors
/// [`Error::NoMemory`]; [`Error::Invalid`] for a reservation, which is to be asked for afterwards, as it may be refused.
pub fn spawn_with(
    name: &str,
    terms: Terms,
    future: impl Future<Output = ()> + Send + 'static,
) -> Result<Arc<Task>, Error> {
    if matches!(terms.class, Class::Deadline(_)) {
        return Err(Error::Invalid);
    }
    if !machine::frame::heap_room() {
        return Err(Error::NoMemory);
    }
    let home = this();
    let group = terms.group.clone();
    home.admit(group.as_ref().map(|group| group.share()))?;
    let task = Task::new(name, home, terms, future);
    if let Some(group) = group {
        group.enter(&task);
        // The group's set may have changed since the task was made, before it could be told.
        if task.confined() != task.affinity() {
            task.confine(&mut Seats::lock());
        }
    }
    placement::queue(task.clone());
    Ok(task)
}

/// How a task competes, and where it may run.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The class; a share has the weight of its niceness.
    pub class: Class,
    /// See [`Task::nice`].
    pub nice: i8,
    /// See [`Task::set_affinity`].
    pub affinity: u64,
    /// See [`Task::group`].
    pub group: Option<Arc<Group>>,
}

impl Terms {
    /// The ordinary class, where the current task may run, and in its group. Without a current task: on the CPUs that
    /// are not isolated, in none.
    pub fn ordinary() -> Self {
        Terms {
            class: Class::NORMAL,
            nice: 0,
            affinity: with_current(Task::asked_affinity).unwrap_or_else(|| !placement::isolated()),
            group: with_current(Task::group).flatten(),
        }
    }

    /// The same, but in this group if there is one.
    pub fn within(group: Option<Arc<Group>>) -> Self {
        let ordinary = Terms::ordinary();
        Terms {
            group: group.or(ordinary.group),
            ..ordinary
        }
    }
}

/// This CPU's executor: runs tasks, and halts when there are none.
pub fn run() -> ! {
    let cpu = this();
    let mut now = clock::now();
    cpu.begin(now);
    let mut window = now;
    let mut next = cpu.switch(None, now);
    loop {
        next = match next {
            Some(task) => {
                let polled;
                (polled, now) = poll(task, now);
                if now >= window {
                    // Tasks that never go to user mode must not keep interrupts out. The alarm may have come in
                    // here, and does not come again: by this later time it is seen that it is due.
                    machine::irq::window();
                    now = clock::now();
                    cpu.stretch.restart(now);
                    window = now.saturating_add(WINDOW);
                }
                cpu.ring(now);
                cpu.switch(polled, now)
            }
            None => {
                now = cpu.idle(now);
                cpu.ring(now);
                cpu.switch(None, now)
            }
        };
    }
}

/// How long interrupts may be kept out by tasks that stay in the kernel, in nanoseconds.
const WINDOW: u64 = 50_000;

/// Polls one task, if one is ready; whether there was one. For tests on the host.
#[cfg(not(target_os = "none"))]
pub fn poll_once() -> bool {
    let cpu = this();
    let now = clock::now();
    cpu.ring(now);
    match cpu.switch(None, now) {
        Some(task) => {
            let (polled, now) = poll(task, now);
            if let Some(polled) = polled {
                cpu.settle(polled, now);
            }
            true
        }
        None => false,
    }
}

/// Polls `task` as the current one, from `now`; gives what it came to and the time after it.
fn poll(task: Arc<Task>, now: u64) -> (Option<Polled>, u64) {
    LOCAL.with(|local| {
        task.begin(now);
        local.cpu.stretch.begin_turn(now);
        local.cpu.tag.store(task.tag(), Ordering::Relaxed);
        local.cause.set(Cause::Turn);
        local.yields.set(false);
        *local.current.borrow_mut() = Some(task);
        let finished = match &*local.current.borrow() {
            Some(task) => {
                let finished = task.poll();
                if finished {
                    task.finish();
                }
                finished
            }
            None => true,
        };
        let task = local.current.borrow_mut().take();
        let after = clock::now();
        let spent = after.saturating_sub(now);
        let polled = task.map(|task| {
            task.charge(spent);
            local.cpu.count_poll(local.cause.get(), spent, after, &task);
            let yields = local.yields.get();
            Polled {
                task,
                finished,
                spent,
                yields,
            }
        });
        (polled, after)
    })
}

/// The task that this CPU polls now.
pub fn current() -> Option<Arc<Task>> {
    LOCAL.with(|local| local.current.borrow().clone())
}

/// Calls `f` with the task that this CPU polls now, without counting a reference. `None`: there is none.
#[inline]
pub fn with_current<R>(f: impl FnOnce(&Task) -> R) -> Option<R> {
    LOCAL.with(|local| local.current.borrow().as_deref().map(f))
}

/// Whether the current task should give way: its slice is over and somebody waits, or somebody with an earlier deadline
/// came. Cheap enough for every return to user mode: two loads when nothing happened.
///
/// This is also where timers ring while a task stays in user mode, so whoever goes to user mode in a loop must ask.
#[inline]
pub fn should_yield() -> bool {
    this().should_yield()
}

/// Whether somebody waits for the CPU that the current task has: without anybody, yielding would only come back.
pub fn others_wait() -> bool {
    this().others_wait()
}

/// Lets others run that are ready. After [`should_yield`] said so, the task keeps its deadline; otherwise it gives up
/// the rest of its slice.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        LOCAL.with(|local| local.yields.set(true));
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Calls `f`, and if that wakes a task which lives on this CPU, that one has the next turn here once the current task waits,
/// before others with a share that have waited longer: it does what the current one waits for. Who has a priority or a
/// reservation goes first all the same, and nobody gets more than its share by it: a task that is ahead of its own, or is
/// in a [`Group`], waits for its turn.
pub fn hand_over<R>(f: impl FnOnce() -> R) -> R {
    LOCAL.with(|local| local.heir.set(Heir::Wanted));
    let result = f();
    LOCAL.with(|local| {
        if let Heir::Wanted = local.heir.get() {
            local.heir.set(Heir::Nobody);
        }
    });
    result
}
