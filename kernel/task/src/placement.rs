//! Which CPU a task runs on, and how it moves to another.
//!
//! The one idea: a task stays where it ran last, and CPUs with nothing to do fetch work. Who wakes a task queues it at
//! its *home*; if that CPU is busy and another one idles, it is moved there at once when the waker is a third CPU. When
//! the waker is the home itself, it is about to wait in most cases (a pipe, a lock), so the task is offered to idle
//! CPUs only after it has waited for [`PATIENCE`]. For the same reason a task that waits often fetches the one that it wakes
//! to its own CPU, if nobody waits there: two that talk to each other come together. A CPU that runs out of tasks takes from the longest queue the one
//! that would have to wait longest. Who is near is asked first, whether for work or to do it: who shares the core or a cache, then
//! the node, then by the distance of the nodes ([`arrange`]).
//!
//! A task moves in two cases only: somebody has the right to queue it (see [`crate::state`]) and it is in no queue, or it
//! is taken out of one. Both queues are locked, the one with the lower number first; [`lock_home`] is for whoever wants
//! that a task does not move. Who has a reservation has one CPU to be on: that of its seat ([`crate::seats`]).

use crate::cpu::{Cpu, Run, this};
use crate::policy::{Claim, Class, Group, Manner};
use crate::task::Task;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::cpu::{MAX, Shared};
use machine::sync::{Once, Spin, SpinGuard};
use machine::topology::Topology;

/// How long a task waits for its home while another CPU idles, in nanoseconds: longer than two tasks take that talk to
/// each other, much shorter than a slice.
pub(crate) const PATIENCE: u64 = 100_000;

/// Who has turns shorter than this, in nanoseconds, has waited again before a task that is queued behind it is offered to
/// others.
const SHORT_TURN: u64 = PATIENCE;

/// The CPUs of the machine.
struct Table {
    cpus: [Once<&'static Cpu>; MAX],
    /// Those that have nothing to do, and that nobody has called yet.
    idle: AtomicU64,
    /// Those that run only what is told to run there.
    isolated: AtomicU64,
    /// How near they are to each other; without it all are equally near.
    near: Once<Topology>,
}

static TABLE: Shared<Table> = Shared::new(|| Table {
    cpus: [const { Once::new() }; MAX],
    idle: AtomicU64::new(0),
    isolated: AtomicU64::new(0),
    near: Once::new(),
});

/// CPU number `index`; it need not run yet.
#[inline]
pub(crate) fn cpu(index: usize) -> &'static Cpu {
    TABLE.get().cpus[index].get_or_init(|| Box::leak(Box::new(Cpu::new(index))))
}

/// The CPUs that have been asked for so far.
pub(crate) fn cpus() -> impl Iterator<Item = &'static Cpu> {
    let cpus = &TABLE.get().cpus;
    cpus.iter().filter_map(|cpu| cpu.get().copied())
}

/// Whether any CPU but those of `refused` has nothing to do.
pub(crate) fn somebody_idles(refused: u64) -> bool {
    TABLE.get().idle.load(Ordering::SeqCst) & !refused != 0
}

/// Keeps everything off these CPUs, one bit each, that was not told to run there ([`Task::set_affinity`]). To be said
/// before the first task is spawned, whose set leaves them out, as do then the sets of all that it spawns.
pub fn isolate(cpus: u64) {
    TABLE.get().isolated.store(cpus, Ordering::Relaxed);
}

/// The CPUs that [`isolate`] was told.
pub fn isolated() -> u64 {
    TABLE.get().isolated.load(Ordering::Relaxed)
}

/// Says how near the CPUs are to each other. To be said once, when all have come up.
pub fn arrange(topology: Topology) {
    // Who says it again says the same.
    let _ = TABLE.get().near.set(topology);
}

/// The others around a CPU, nearest first, in sets of those that are equally near.
fn rings(cpu: usize) -> impl Iterator<Item = u64> {
    let known = TABLE.get().near.get();
    let rings = known.map_or(&[][..], |topology| topology.rings(cpu));
    let all = rings.iter().fold(1 << cpu, |all, ring| all | ring);
    // Those of whom nothing is known come last.
    rings.iter().copied().chain([!all])
}

/// `cpu` has nothing to do from now on. One that is isolated does not look for work, so it is not called for it.
pub(crate) fn set_idle(cpu: &Cpu) {
    if isolated() >> cpu.index & 1 != 0 {
        return;
    }
    TABLE.get().idle.fetch_or(1 << cpu.index, Ordering::SeqCst);
}

/// It has.
pub(crate) fn clear_idle(cpu: &Cpu) {
    let idle = &TABLE.get().idle;
    let bit = 1 << cpu.index;
    if idle.load(Ordering::Relaxed) & bit != 0 {
        idle.fetch_and(!bit, Ordering::SeqCst);
    }
}

/// Takes one of `allowed` that idles, and is nearest to CPU `from`, out of the list: the caller gives it something to do, and
/// kicks it.
fn claim_idle(from: usize, allowed: u64) -> Option<usize> {
    let idle = &TABLE.get().idle;
    loop {
        let found = idle.load(Ordering::SeqCst) & allowed;
        if found == 0 {
            return None;
        }
        let found = rings(from)
            .map(|ring| found & ring)
            .find(|near| *near != 0)
            .unwrap_or(found);
        let bit = found & found.wrapping_neg();
        if idle.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
            return Some(bit.trailing_zeros() as usize);
        }
    }
}

/// Wakes a CPU that idles, and is none of `refused`, so that it looks for work; whether there was one.
pub(crate) fn call_idle(me: &Cpu, refused: u64) -> bool {
    match claim_idle(me.index, !(1 << me.index | refused)) {
        Some(other) => {
            machine::cpu::kick(other);
            true
        }
        None => false,
    }
}

/// Locks the run queue of the CPU where `task` lives; it does not move until the lock is released.
pub(crate) fn lock_home(task: &Task) -> (&'static Cpu, SpinGuard<'static, Run>) {
    loop {
        let home = task.home();
        let run = home.run.lock();
        if task.home().index == home.index {
            return (home, run);
        }
    }
}

/// Queues a task that became runnable, where it shall run. Only for who moved it into that state.
pub(crate) fn queue(task: Arc<Task>) {
    // Nobody else moves it: it is in no queue, and the right to queue it is here.
    let home = task.home();
    if machine::cpu::count() == 1 {
        return home.enqueue(home.run.lock(), task);
    }
    loop {
        let Some(to) = better(home, &task) else {
            let run = home.run.lock();
            // The set may have changed, under this lock.
            if task.may_run_on(home.index) {
                return home.enqueue(run, task);
            }
            continue;
        };
        let (mut from, mut run) = lock_both(home, to);
        if !task.may_run_on(to.index) {
            continue;
        }
        if migrate(home, &mut from, to, &mut run, &task) {
            drop(from);
            return to.enqueue(run, task);
        }
        drop(run);
        return home.enqueue(from, task);
    }
}

/// Where `task` should be queued instead of its home, if anywhere.
fn better(home: &Cpu, task: &Task) -> Option<&'static Cpu> {
    let class = task.standing.class();
    let allowed = task.place() & running();
    if allowed >> home.index & 1 == 0 {
        let any = || (allowed != 0).then(|| allowed.trailing_zeros() as usize);
        return claim_idle(home.index, allowed).or_else(any).map(cpu);
    }
    let me = this();
    if matches!(class, Class::Fair { .. }) {
        if home.index == me.index {
            return None;
        }
        if allowed >> me.index & 1 != 0 && waits_soon(me) {
            return Some(me);
        }
    }
    if home.run.lock().idle {
        return None;
    }
    claim_idle(home.index, allowed & !(1 << home.index)).map(cpu)
}

/// Whether `me` will be free for a task that is queued here: nobody else waits, and what runs has short turns, so it is
/// likely to wait in a moment, perhaps for the very task that it wakes.
fn waits_soon(me: &Cpu) -> bool {
    me.waiting.load(Ordering::Relaxed) == 0
        && crate::with_current(|task| {
            task.usual_turn() < SHORT_TURN && matches!(task.standing.class(), Class::Fair { .. })
        })
        .unwrap_or(false)
}

/// Makes `task` a member of another group; see [`Cpu::change_group`].
pub(crate) fn regroup(task: &Task, group: Option<&Arc<Group>>) -> Result<(), abi::Error> {
    let (home, run) = lock_home(task);
    if let Some(task) = home.change_group(run, task, group)? {
        queue(task);
    }
    Ok(())
}

/// Those of `asked` that are in `allowed`, or all of `allowed` if none of them runs.
pub(crate) fn narrow(allowed: u64, asked: u64) -> u64 {
    match allowed & asked {
        none if none & running() == 0 => allowed,
        some => some,
    }
}

/// The CPUs that run, one bit each.
pub(crate) fn running() -> u64 {
    abi::CpuSet::first(machine::cpu::count()).0
}

/// Locks two run queues, the one with the lower number first; they come back in the order of the arguments.
fn lock_both<'a>(one: &'a Cpu, two: &'a Cpu) -> (SpinGuard<'a, Run>, SpinGuard<'a, Run>) {
    let run = |cpu: &'a Cpu| -> &'a Spin<Run> { &cpu.run };
    if one.index < two.index {
        let first = run(one).lock();
        let second = run(two).lock_second(&first);
        (first, second)
    } else {
        let first = run(two).lock();
        let second = run(one).lock_second(&first);
        (second, first)
    }
}

/// Makes a task that is in no queue live on another CPU. `false`: there is no memory for one more there, it stays.
fn migrate(from: &Cpu, source: &mut Run, to: &Cpu, target: &mut Run, task: &Task) -> bool {
    source.regroup(task);
    let number = task.standing.group();
    let group = source.queue.group(number);
    if to.admit_to(target, group.as_ref()).is_err() {
        return false;
    }
    let migrant = source.queue.depart(number, task.standing.entity());
    let entity = target.queue.adopt(number, migrant);
    from.dismiss(source, number);
    // What is remembered beside the entity stays; a manner is not.
    task.standing.remember(Claim::Fair(entity, Manner::Prompt));
    task.set_home(to.index);
    to.counters.moved.fetch_add(1, Ordering::Relaxed);
    true
}

/// Fetches a task for `thief`, which has none: from the CPU where most wait of those that are nearest and have one that it
/// may run, and if there is none, of those that are farther.
pub(crate) fn steal(thief: &Cpu, now: u64) {
    if isolated() >> thief.index & 1 != 0 {
        return;
    }
    for ring in rings(thief.index) {
        let mut ring = ring & running();
        while let Some(victim) = longest(ring) {
            if steal_from(victim, thief, now) {
                return;
            }
            ring &= !(1 << victim.index);
        }
    }
}

/// Of these CPUs, one bit each, the one where most wait, if any do.
fn longest(mut cpus: u64) -> Option<&'static Cpu> {
    let mut most = 0;
    let mut found = None;
    while cpus != 0 {
        let cpu = cpu(cpus.trailing_zeros() as usize);
        let waiting = cpu.waiting.load(Ordering::SeqCst);
        if waiting > most {
            most = waiting;
            found = Some(cpu);
        }
        cpus &= cpus - 1;
    }
    found
}

/// Fetches the task that would have to wait longest from `victim` for `thief`; whether there is one that may run there.
fn steal_from(victim: &Cpu, thief: &Cpu, now: u64) -> bool {
    let (mut source, mut target) = lock_both(victim, thief);
    let may_move = |task: &Arc<Task>| task.may_run_on(thief.index);
    let Some((number, migrant, manner, task)) = source.queue.take_last(may_move) else {
        source.refuse(thief.index);
        return false;
    };
    let group = source.queue.group(number);
    if thief.admit_to(&mut target, group.as_ref()).is_err() {
        let entity = source.queue.adopt(number, migrant);
        task.standing.remember(Claim::Fair(entity, manner));
        source.join(now, task);
        return true;
    }
    let entity = target.queue.adopt(number, migrant);
    victim.dismiss(&mut source, number);
    task.standing.remember(Claim::Fair(entity, manner));
    task.set_home(thief.index);
    thief.counters.stolen.fetch_add(1, Ordering::Relaxed);
    target.join(now, task);
    true
}

/// Makes `task` compete as `change` makes it. If it runs where it may not any more it moves after its turn, which is
/// asked to end; if it waits there, at once.
pub(crate) fn compete(task: &Task, change: impl FnOnce(&Task)) {
    let (home, run) = lock_home(task);
    if let Some(task) = home.compete(run, task, change) {
        queue(task);
    }
}

/// Makes `task` run on the CPUs of `place` only, one bit each. `store` keeps what follows from it.
pub(crate) fn confine(task: &Task, place: u64, store: impl FnOnce()) {
    let (home, run) = lock_home(task);
    let change = |task: &Task| {
        task.set_place(place);
        store();
    };
    if place >> home.index & 1 != 0 {
        // It keeps its place in the line.
        change(task);
        home.offer(run, task);
    } else if let Some(task) = home.compete(run, task, change) {
        queue(task);
    }
}
