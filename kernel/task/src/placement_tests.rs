//! Several simulated CPUs: one test thread that takes turns at being each of them, and then a thread for each.

use crate::placement::PATIENCE;
use crate::{Task, WaitQueue, clock, poll_once, run_until_idle, should_yield, spawn, yield_now};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use machine::host;
use machine::host::clock::advance;
use machine::host::cpu::kicks;
use machine::sync::Spin;

/// Lets CPU `cpu` run until it idles.
fn run_on(cpu: usize) -> usize {
    host::current().enter(cpu);
    run_until_idle()
}

/// What a task saw of the CPUs that it ran on, one entry a turn.
type Seen = Arc<Spin<Vec<usize>>>;

fn wanderer(seen: &Seen, turns: usize) -> Arc<Task> {
    let seen = seen.clone();
    spawn("wanderer", async move {
        for _ in 0..turns {
            seen.lock().push(machine::cpu::index());
            yield_now().await;
        }
    })
    .unwrap()
}

#[test]
fn an_idle_cpu_takes_what_waits_elsewhere() {
    run_on(1);
    host::current().enter(0);
    let seen = Seen::default();
    let tasks = [wanderer(&seen, 1), wanderer(&seen, 1)];
    assert_eq!(run_on(1), 4);
    assert_eq!(run_on(0), 0, "nothing is left");
    assert!(tasks.iter().all(|task| task.is_done()));
    assert_eq!(*seen.lock(), [1, 1]);
}

#[test]
fn who_is_woken_at_home_is_offered_when_it_has_waited() {
    run_on(1);
    host::current().enter(0);
    let seen = Seen::default();
    let task = wanderer(&seen, 1);
    let hog = spawn("hog", async {
        let mut asked = 0;
        while asked < 2 * PATIENCE {
            advance(1_000);
            asked += 1_000;
            assert!(!should_yield(), "the slice is not over");
            assert_eq!(kicks(1), u64::from(asked >= PATIENCE));
        }
    })
    .unwrap();
    // The hog first.
    task.set_nice(19);
    assert!(poll_once());
    assert!(hog.is_done() && !task.is_done());
    assert_eq!(run_on(1), 2);
    assert_eq!(*seen.lock(), [1]);
}

#[test]
fn a_wake_by_another_cpu_goes_to_one_that_idles() {
    run_on(0);
    let task = wanderer(&Seen::default(), 1);
    run_on(0);
    assert!(task.is_done());
    let queue = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
    let theirs = queue.clone();
    let seen = Seen::default();
    let mine = seen.clone();
    let waiter = spawn("waiter", async move {
        mine.lock().push(machine::cpu::index());
        let ready = || theirs.1.load(Ordering::Relaxed).then_some(());
        theirs.0.wait_until(ready).await.unwrap();
        mine.lock().push(machine::cpu::index());
    })
    .unwrap();
    assert_eq!(run_on(0), 1);
    run_on(2);
    let machine = host::current();
    machine.enter(0);
    let hog = spawn("hog", async move {
        // As if this CPU computed, while CPU 1 wakes what lives here.
        machine.enter(1);
        queue.1.store(true, Ordering::Relaxed);
        queue.0.wake_one();
        machine.enter(0);
        assert_eq!((kicks(0), kicks(2)), (0, 1));
    })
    .unwrap();
    assert!(poll_once());
    assert!(hog.is_done() && !waiter.is_done());
    assert_eq!(run_on(2), 1);
    assert_eq!(*seen.lock(), [0, 2]);
}

/// A task on CPU 1 has had turns of `turn` nanoseconds, and wakes one that lives on CPU 0: where is that one queued?
fn fetched_by_turns_of(turn: u64) -> usize {
    run_on(0);
    run_on(1);
    let machine = host::current();
    machine.enter(0);
    let woken = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
    let theirs = woken.clone();
    let sleeper = spawn("sleeper", async move {
        let ready = || theirs.1.load(Ordering::Relaxed).then_some(());
        theirs.0.wait_until(ready).await.unwrap();
    })
    .unwrap();
    run_on(0);
    let home = Arc::new(AtomicUsize::new(usize::MAX));
    let seen = home.clone();
    machine.enter(1);
    spawn("waker", async move {
        for _ in 0..30 {
            advance(turn);
            yield_now().await;
        }
        woken.1.store(true, Ordering::Relaxed);
        woken.0.wake_one();
        seen.store(sleeper.home().index, Ordering::Relaxed);
    })
    .unwrap();
    run_on(1);
    run_on(0);
    home.load(Ordering::Relaxed)
}

#[test]
fn who_waits_often_fetches_whom_it_wakes() {
    assert_eq!(fetched_by_turns_of(PATIENCE / 10), 1);
}

#[test]
fn who_computes_leaves_whom_it_wakes_at_home() {
    assert_eq!(fetched_by_turns_of(PATIENCE * 10), 0);
}

#[test]
fn a_task_runs_where_it_may() {
    run_on(1);
    host::current().enter(0);
    let seen = Seen::default();
    let task = wanderer(&seen, 6);
    assert_eq!(task.set_affinity(0), Err(abi::Error::Invalid));
    assert_eq!(
        task.set_affinity(1 << 7),
        Err(abi::Error::Invalid),
        "it does not run"
    );
    task.set_affinity(1).unwrap();
    assert_eq!(run_on(1), 0, "it may not be taken");
    host::current().enter(0);
    assert!(poll_once());
    // While it waits: it moves at once.
    task.set_affinity(2).unwrap();
    assert!(!poll_once());
    host::current().enter(1);
    assert!(poll_once() && poll_once());
    task.set_affinity(3).unwrap();
    assert!(poll_once(), "it stays where it is");
    assert_eq!(*seen.lock(), [0, 1, 1, 1]);
    // While it runs: it moves after the turn, which is asked to end. Children inherit the set.
    let moved = seen.clone();
    let mover = spawn("mover", async move {
        let me = crate::current().unwrap();
        me.set_affinity(1).unwrap();
        assert!(should_yield(), "it is asked to give way");
        wanderer(&moved, 1);
        yield_now().await;
        moved.lock().push(machine::cpu::index() + 10);
    })
    .unwrap();
    run_on(1);
    assert!(task.is_done() && !mover.is_done());
    run_on(0);
    assert!(mover.is_done());
    let seen = seen.lock();
    assert_eq!(seen[4..6], [1, 1]);
    assert_eq!(seen.len(), 8);
    assert!(seen[6..].contains(&0) && seen[6..].contains(&10));
}

#[test]
fn who_is_set_aside_gets_only_what_is_told_to_run_there() {
    crate::isolate(0b10);
    run_on(1);
    host::current().enter(0);
    let seen = Seen::default();
    let general = [wanderer(&seen, 1), wanderer(&seen, 1)];
    assert!(general.iter().all(|task| task.affinity() & 0b10 == 0));
    assert_eq!(run_on(1), 0, "it does not fetch");
    assert_eq!(kicks(1), 0, "it is not called");
    general[0].set_affinity(0b10).unwrap();
    assert_eq!((run_on(1), run_on(0)), (2, 2));
    assert_eq!(*seen.lock(), [1, 0]);
}

#[test]
fn who_may_run_nothing_of_what_waits_is_not_called_again() {
    run_on(1);
    host::current().enter(0);
    let seen = Seen::default();
    let bound = wanderer(&seen, 1);
    bound.set_affinity(1).unwrap();
    // The hog first.
    bound.set_nice(19);
    let task = bound.clone();
    let hog = spawn("hog", async move {
        let wait = |patience: u64| {
            for _ in 0..2 * patience / 1_000 {
                advance(1_000);
                assert!(!should_yield(), "the slice is not over");
            }
        };
        wait(PATIENCE);
        assert_eq!(kicks(1), 1);
        let machine = host::current();
        machine.enter(1);
        assert_eq!(run_until_idle(), 0, "it may run nothing");
        machine.enter(0);
        wait(3 * PATIENCE);
        assert_eq!(kicks(1), 1, "it has looked");
        task.set_affinity(3).unwrap();
        wait(PATIENCE);
        assert_eq!(kicks(1), 2, "now it may");
    })
    .unwrap();
    hog.set_affinity(1).unwrap();
    while !hog.is_done() {
        assert!(poll_once());
    }
    assert_eq!(run_on(1), 2);
    assert_eq!(*seen.lock(), [1]);
}

#[test]
fn who_finds_nothing_in_the_longest_queue_asks_the_next() {
    run_on(2);
    host::current().enter(0);
    let seen = Seen::default();
    for _ in 0..3 {
        wanderer(&seen, 1).set_affinity(1).unwrap();
    }
    host::current().enter(1);
    let found = wanderer(&seen, 1);
    assert_eq!(run_on(2), 2);
    assert!(found.is_done());
    assert_eq!(*seen.lock(), [2]);
}

#[test]
fn the_end_of_a_task_that_runs_elsewhere_is_told_by_a_kick() {
    let machine = host::current();
    let hog = spawn("hog", async move {
        let me = crate::current().unwrap();
        machine.enter(1);
        me.interrupt();
        machine.enter(0);
        assert_eq!(kicks(0), 1);
        me.interrupt();
        assert_eq!(kicks(0), 1, "its own CPU needs none");
        machine.enter(1);
        advance(500);
        assert_eq!(me.cpu_time(), 500, "up to now, seen from anywhere");
        machine.enter(0);
    })
    .unwrap();
    run_on(0);
    assert!(hog.is_done());
    assert_eq!(hog.cpu_time(), 500);
}

/// Tasks that wake each other in a ring, moved about by thieves, wakers and changes of their sets, while they are
/// interrupted. Each has to be polled by one thread at a time, get every wake, and end once.
#[test]
fn nothing_is_lost_with_a_thread_for_each_cpu() {
    const CPUS: usize = 4;
    const TASKS: usize = 24;
    const ROUNDS: usize = 300;

    struct Post {
        queue: WaitQueue,
        tokens: AtomicUsize,
        polled: AtomicBool,
    }
    let posts: Arc<[Post]> = (0..TASKS)
        .map(|_| Post {
            queue: WaitQueue::new(),
            tokens: AtomicUsize::new(1),
            polled: AtomicBool::new(false),
        })
        .collect();
    let done = Arc::new(AtomicUsize::new(0));
    let machine = host::current();
    machine.enter(CPUS - 1);
    machine.enter(0);
    let tasks: Vec<Arc<Task>> = (0..TASKS)
        .map(|who| {
            let (posts, done) = (posts.clone(), done.clone());
            spawn("ring", async move {
                let mine = &posts[who];
                let next = &posts[(who + 1) % TASKS];
                let me = crate::current().unwrap();
                for round in 0..ROUNDS {
                    let token = || {
                        assert!(!mine.polled.swap(true, Ordering::AcqRel), "polled twice");
                        let taken =
                            mine.tokens
                                .try_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                                    n.checked_sub(1)
                                });
                        mine.polled.store(false, Ordering::Release);
                        taken.ok()
                    };
                    while mine.queue.wait_until(token).await.is_err() {
                        me.clear_interrupt();
                    }
                    next.tokens.fetch_add(1, Ordering::AcqRel);
                    next.queue.wake_one();
                    if round % 16 == who % 16 {
                        me.set_affinity(1 << ((round + who) % CPUS) | 1 << (round % CPUS))
                            .unwrap();
                    }
                    if round % 7 == 0 {
                        yield_now().await;
                    }
                }
                done.fetch_add(1, Ordering::AcqRel);
            })
            .unwrap()
        })
        .collect();
    let cpus: Vec<_> = (0..CPUS)
        .map(|cpu| {
            let (machine, done, tasks) = (machine.clone(), done.clone(), tasks.clone());
            std::thread::spawn(move || {
                machine.enter(cpu);
                let begin = std::time::Instant::now();
                let mut turn = cpu;
                while done.load(Ordering::Acquire) < TASKS {
                    turn = turn.wrapping_mul(25_214_903_917).wrapping_add(11);
                    let task = &tasks[(turn >> 16) % TASKS];
                    match turn >> 24 & 15 {
                        0 => task.interrupt(),
                        1 => task.set_nice((turn >> 32 & 15) as i8),
                        2 => task.set_affinity(u64::MAX).unwrap(),
                        _ => {}
                    }
                    if !poll_once() {
                        std::thread::yield_now();
                    }
                    assert!(begin.elapsed().as_secs() < 60, "a wake was lost");
                }
            })
        })
        .collect();
    for cpu in cpus {
        cpu.join().unwrap();
    }
    assert!(tasks.iter().all(|task| task.is_done()));
    assert!(clock::now() < u64::MAX);
}

/// Four CPUs: 0 and 2 share a core, 1 and 3 another one.
fn two_cores() -> machine::topology::Topology {
    use machine::topology::{Levels, Processor, Topology};
    let mut levels = Levels::default();
    (levels.thread_bits, levels.package_bits) = (1, 2);
    let processors = [0, 2, 1, 3].map(|apic| Processor {
        apic,
        node: 0,
        levels,
    });
    Topology::new(processors.into(), machine::node::all())
}

#[test]
fn who_is_near_does_the_work() {
    run_on(3);
    run_on(2);
    run_on(1);
    let machine = host::current();
    machine.enter(0);
    crate::arrange(two_cores());
    let seen = Seen::default();
    let task = wanderer(&seen, 1);
    let hog = spawn("hog", async {
        let mut asked = 0;
        while asked < 3 * PATIENCE {
            advance(1_000);
            asked += 1_000;
            should_yield();
        }
    })
    .unwrap();
    task.set_nice(19);
    assert!(poll_once());
    assert!(hog.is_done());
    // The nearest was called first, although it has not the lowest number.
    assert!(kicks(2) >= 1, "{:?}", [1, 2, 3].map(kicks));
    assert!(kicks(2) >= kicks(1) && kicks(2) >= kicks(3));
}

#[test]
fn work_is_fetched_from_nearby_first() {
    run_on(3);
    let machine = host::current();
    crate::arrange(two_cores());
    let seen = [Seen::default(), Seen::default()];
    // More wait far away.
    machine.enter(1);
    let _far: Vec<_> = (0..3).map(|_| wanderer(&seen[1], 1)).collect();
    machine.enter(0);
    let _near = [wanderer(&seen[0], 1), wanderer(&seen[0], 1)];
    machine.enter(2);
    assert!(poll_once());
    assert_eq!(*seen[0].lock(), [2]);
    assert!(seen[1].lock().is_empty());
    // With nothing left there, from afar.
    run_on(2);
    assert_eq!(seen[0].lock().len(), 2);
    assert_eq!(seen[1].lock().len(), 3);
}

#[test]
fn who_may_not_move_is_no_reason_to_idle() {
    run_on(3);
    let machine = host::current();
    crate::arrange(two_cores());
    machine.enter(0);
    let stays = wanderer(&Seen::default(), 1);
    stays.set_affinity(1).unwrap();
    machine.enter(1);
    let seen = Seen::default();
    let moves = wanderer(&seen, 1);
    run_on(2);
    assert!(moves.is_done() && !stays.is_done());
    assert_eq!(*seen.lock(), [2]);
}
