//! The executor on a simulated CPU: tasks "compute" by moving the clock.

use crate::policy::{Class, Reservation, weight_of_nice};
use crate::state::State;
use crate::{
    Cause, Deadline, Task, Times, WaitQueue, block_on, clock, current, here, run_until_idle,
    should_yield, sleep_until, spawn, stats, with_current, yield_now,
};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use machine::host;
use machine::host::clock::{advance, alarm};
use machine::sync::Spin;

const SLICE: u64 = crate::policy::SLICE;

/// Computes in steps of 10 µs for `total` ns, and gives way when asked, as a user thread does.
pub async fn compute(total: u64) {
    for _ in 0..total / 10_000 {
        advance(10_000);
        if should_yield() {
            yield_now().await;
        }
    }
}

#[test]
fn a_task_runs_to_its_end_and_is_gone() {
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    assert!(current().is_none() && with_current(|_| ()).is_none());
    let task = spawn(
        "a name that is much too long for its place: ä",
        async move {
            let me = current().unwrap();
            assert_eq!(with_current(|task| task.state()), Some(State::Running));
            assert!(me.name().starts_with("a name") && me.name().len() <= 31);
            yield_now().await;
            flag.store(true, Ordering::Relaxed);
        },
    )
    .unwrap();
    assert_eq!((stats().tasks, stats().waiting), (1, 1));
    assert_eq!(run_until_idle(), 2);
    assert!(task.is_done() && ran.load(Ordering::Relaxed));
    assert_eq!(Arc::strong_count(&ran), 1, "the future is dropped");
    assert_eq!((stats().tasks, stats().polls), (0, 2));
    task.wake();
    task.kill();
    assert_eq!(run_until_idle(), 0);
    let weak: Weak<Task> = Arc::downgrade(&task);
    drop(task);
    assert!(weak.upgrade().is_none(), "the task does not keep itself");
}

#[test]
fn a_task_that_all_forget_still_runs() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = ran.clone();
    drop(spawn("forgotten", async move {
        sleep_until(clock::now() + 1000).await.unwrap();
        count.fetch_add(1, Ordering::Relaxed);
    }));
    block_on(sleep_until(clock::now() + 2000)).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&ran), 1);
}

#[test]
fn who_runs_alone_is_not_disturbed() {
    let task = spawn("hog", async {
        for _ in 0..1000 {
            advance(SLICE);
            assert!(!should_yield());
            assert_eq!(alarm(0), None);
        }
    });
    assert_eq!(run_until_idle(), 1);
    assert!(task.unwrap().is_done());
}

#[test]
fn a_slice_ends_when_somebody_waits() {
    let turns = Arc::new(Spin::new(alloc::vec::Vec::new()));
    for who in 0..2 {
        let turns = turns.clone();
        let hog = spawn("hog", async move {
            turns.lock().push((who, clock::now()));
            for _ in 0..4 {
                let begin = clock::now();
                assert!(!should_yield());
                assert!(
                    alarm(0).is_some_and(|at| at <= begin + SLICE),
                    "the alarm is set"
                );
                while !should_yield() {
                    advance(1_000);
                }
                assert_eq!(clock::now() - begin, SLICE);
                yield_now().await;
                turns.lock().push((who, clock::now()));
            }
        });
        assert!(hog.is_ok());
    }
    let begin = clock::now();
    // The last one is alone at the end, and would never be asked.
    while turns.lock().len() < 8 {
        assert!(crate::poll_once());
    }
    let seen: alloc::vec::Vec<_> = turns.lock().clone();
    for (index, (who, at)) in seen.iter().enumerate() {
        assert_eq!((*who, *at), (index % 2, begin + index as u64 * SLICE));
    }
    assert!(stats().longest_delay <= 1_000);
}

#[test]
fn cpu_time_is_shared_by_weight_and_accounted() {
    let nices = [-5, 0, 5];
    let tasks = nices.map(|nice| {
        let task = spawn("hog", compute(10_000_000_000)).unwrap();
        task.set_nice(nice);
        task
    });
    let begin = clock::now();
    while clock::now() < begin + 3_000_000_000 {
        crate::poll_once();
    }
    let total: u32 = nices.into_iter().map(weight_of_nice).sum();
    for (task, nice) in tasks.iter().zip(nices) {
        let fair = 3_000_000_000 * u64::from(weight_of_nice(nice)) / u64::from(total);
        let off = task.cpu_time().abs_diff(fair);
        assert!(off < 12 * SLICE, "{off} ns off");
    }
    let sum: u64 = tasks.iter().map(|task| task.cpu_time()).sum();
    assert_eq!(sum, clock::now() - begin);
}

#[test]
fn time_is_charged_up_to_now() {
    let task = spawn("worker", async {
        advance(700);
        assert_eq!(with_current(Task::cpu_time), Some(700));
        with_current(|task| here().leave_kernel(task));
        advance(500_000);
        with_current(|task| here().enter_kernel(task, Cause::Fault(14)));
        yield_now().await;
        advance(50);
    })
    .unwrap();
    run_until_idle();
    let (user, system) = (500_000, 750);
    assert_eq!(task.times(), Times { user, system });
    assert_eq!(task.cpu_time(), user + system);
}

#[test]
fn timers_ring_while_a_task_stays_in_user_mode() {
    let rang = Arc::new(AtomicU64::new(0));
    let time = rang.clone();
    spawn("sleeper", async move {
        let deadline = clock::now() + 500_000;
        sleep_until(deadline).await.unwrap();
        time.store(clock::now() - deadline, Ordering::Relaxed);
    })
    .unwrap();
    let hog = spawn("hog", async {
        for _ in 0..100 {
            advance(10_000);
            if should_yield() {
                yield_now().await;
            }
        }
        compute(2 * SLICE).await;
    })
    .unwrap();
    run_until_idle();
    assert!(hog.is_done());
    let late = rang.load(Ordering::Relaxed);
    assert!(late > 0 && late <= SLICE, "{late}");
}

#[test]
fn timers_ring_in_order_and_cancelled_ones_do_not() {
    struct Ring(Spin<alloc::vec::Vec<u64>>);
    impl alloc::task::Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.0.lock().push(clock::now());
        }
    }
    let ring = Arc::new(Ring(Spin::default()));
    let begin = clock::now();
    let set = |after: u64| crate::at(begin + after, ring.clone().into());
    let guards = [set(300), set(100), set(200), set(100)];
    let cancelled = set(50);
    assert_eq!(alarm(0), Some(begin + 50));
    assert!(cancelled.is_pending() && cancelled.deadline() == Deadline::Boot(begin + 50));
    drop(cancelled);
    block_on(sleep_until(begin + 250)).unwrap();
    let rings: alloc::vec::Vec<_> = ring.0.lock().iter().map(|at| at - begin).collect();
    assert_eq!(rings, [100, 100, 200]);
    let pending = guards.each_ref().map(|guard| guard.is_pending());
    assert_eq!(pending, [true, false, false, false]);
    drop(guards);
    assert_eq!(Arc::strong_count(&ring), 1);
}

#[test]
fn sleep_is_exact_and_can_be_interrupted() {
    let begin = clock::now();
    let task = spawn("sleeper", async move {
        assert!(sleep_until(begin + 1_000_000_000).await.is_err());
        assert_eq!(clock::now(), begin + 10);
        // Still interrupted: does not even begin.
        assert!(sleep_until(begin + 1_000_000_000).await.is_err());
        with_current(Task::clear_interrupt);
        assert!(sleep_until(begin + 500).await.is_ok());
        assert_eq!(clock::now(), begin + 500);
    })
    .unwrap();
    block_on(sleep_until(begin + 10)).unwrap();
    task.interrupt();
    block_on(sleep_until(begin + 500)).unwrap();
    assert!(task.is_done());
}

#[test]
fn a_wake_from_another_cpu_kicks_this_one() {
    let machine = host::current();
    let queue = crate::WaitQueue::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = ran.clone();
    let task = spawn("waiter", async move {
        let woken = || (count.fetch_add(1, Ordering::Relaxed) >= 4).then_some(());
        queue.wait_until(woken).await.unwrap();
    })
    .unwrap();
    run_until_idle();
    let before = ran.load(Ordering::Relaxed);
    let other = task.clone();
    std::thread::spawn(move || {
        machine.enter(1);
        other.wake();
        assert_eq!(machine::host::cpu::kicks(0), 1, "it is to run at home");
    })
    .join()
    .unwrap();
    assert!(crate::poll_once());
    assert!(ran.load(Ordering::Relaxed) > before);
}

#[test]
fn a_budget_yields_only_when_it_must() {
    let order = Arc::new(Spin::new(alloc::vec::Vec::new()));
    for who in 0..2 {
        let order = order.clone();
        spawn("worker", async move {
            let mut budget = crate::budget();
            for step in 0..1_000 {
                advance(10_000);
                if step % 100 == 0 {
                    order.lock().push(who);
                }
                budget.step(1).await;
            }
        })
        .unwrap();
    }
    run_until_idle();
    let order = order.lock();
    assert_eq!(order.len(), 20);
    let switches = order.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(switches > 3, "{switches}");
}

#[test]
fn many_tasks_come_and_go() {
    let live = Arc::new(AtomicUsize::new(0));
    for round in 0..20 {
        for index in 0..500u64 {
            let live = live.clone();
            live.fetch_add(1, Ordering::Relaxed);
            spawn("short", async move {
                for _ in 0..index % 5 {
                    yield_now().await;
                }
                sleep_until(clock::now() + index * 7 % 90).await.unwrap();
                live.fetch_sub(1, Ordering::Relaxed);
            })
            .unwrap();
        }
        block_on(sleep_until(clock::now() + 100)).unwrap();
        assert_eq!(live.load(Ordering::Relaxed), 0, "round {round}");
        assert_eq!((stats().tasks, stats().waiting), (0, 0));
    }
}

const FIRST_COME: fn(u8) -> Class = |priority| Class::Realtime {
    priority,
    rotates: false,
};

/// The task that waits, whatever its class, is moved at once; the running one when it is asked.
#[test]
fn another_class_counts_at_once() {
    let order = Arc::new(Spin::new(alloc::vec::Vec::new()));
    let tasks: alloc::vec::Vec<_> = (0..4)
        .map(|who| {
            let order = order.clone();
            let body = async move {
                order.lock().push(who);
                compute(100_000).await;
                yield_now().await;
                order.lock().push(who);
            };
            spawn("task", body).unwrap()
        })
        .collect();
    tasks[1].set_class(FIRST_COME(10)).unwrap();
    tasks[2].set_class(FIRST_COME(20)).unwrap();
    tasks[3].inherit(15);
    assert_eq!(tasks[3].class(), Class::NORMAL);
    assert_eq!(tasks[3].effective_class(), FIRST_COME(15));
    run_until_idle();
    assert_eq!(*order.lock(), [2, 2, 3, 3, 1, 1, 0, 0]);
    // The running one lowers itself below somebody who waits.
    let proud = spawn("proud", async {
        compute(50_000).await;
        with_current(|task| task.set_class(Class::NORMAL))
            .unwrap()
            .unwrap();
        assert!(should_yield(), "somebody higher waits");
    });
    let proud = proud.unwrap();
    proud.set_class(FIRST_COME(50)).unwrap();
    let other = spawn("other", compute(10_000)).unwrap();
    other.set_class(FIRST_COME(40)).unwrap();
    run_until_idle();
    assert!(proud.is_done() && other.is_done());
}

/// A reservation runs in its budget, the idle CPU wakes for the next one, and what is over is given back.
#[test]
fn a_reservation_is_admitted_kept_and_given_back() {
    let reservation = Reservation {
        runtime: 30_000_000,
        deadline: 50_000_000,
        period: 50_000_000,
    };
    let task = spawn("reserved", compute(89_000_000)).unwrap();
    task.set_class(Class::Deadline(reservation)).unwrap();
    let second = spawn("second", async {}).unwrap();
    let refused = second.set_class(Class::Deadline(reservation));
    assert_eq!(refused, Err(abi::Error::Busy));
    assert_eq!(second.class(), Class::NORMAL);
    let begin = clock::now();
    block_on(async {
        while !task.is_done() {
            sleep_until(clock::now() + 1_000_000).await.unwrap();
        }
    });
    let took = clock::now() - begin;
    assert!((129_000_000..131_000_000).contains(&took), "{took}");
    let third = spawn("third", async {}).unwrap();
    third.set_class(Class::Deadline(reservation)).unwrap();
    third.set_class(Class::NORMAL).unwrap();
    third.set_class(Class::Deadline(reservation)).unwrap();
    run_until_idle();
    assert!(third.is_done());
}

/// Two of equal priority that never sleep take turns.
#[test]
fn equals_take_turns() {
    let order = Arc::new(Spin::new(alloc::vec::Vec::new()));
    let class = Class::Realtime {
        priority: 5,
        rotates: true,
    };
    for who in 0..2 {
        let order = order.clone();
        let body = async move {
            for _ in 0..30_000 {
                order.lock().push(who);
                advance(10_000);
                // As a thread in user mode: it is asked when the alarm rings.
                if alarm(0).is_some_and(|at| at <= clock::now()) && should_yield() {
                    yield_now().await;
                }
            }
        };
        spawn("turn", body).unwrap().set_class(class).unwrap();
    }
    run_until_idle();
    order.lock().dedup();
    assert_eq!(*order.lock(), [0, 1, 0, 1, 0, 1]);
}

/// In which order three tasks run: one that wakes another one, one that waits for its turn, and the one that is woken.
fn order_of_a_wake(wake: impl Fn(&WaitQueue) + Send + 'static, goes_on: bool) -> Vec<&'static str> {
    let order = Arc::new(Spin::new(Vec::new()));
    let bell = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
    let (noted, waited) = (order.clone(), bell.clone());
    spawn("sleeper", async move {
        let rung = || waited.1.load(Ordering::Relaxed).then_some(());
        waited.0.wait_until(rung).await.unwrap();
        noted.lock().push("sleeper");
    })
    .unwrap();
    run_until_idle();
    let noted = order.clone();
    spawn("waker", async move {
        noted.lock().push("waker");
        bell.1.store(true, Ordering::Relaxed);
        wake(&bell.0);
        if goes_on {
            yield_now().await;
            noted.lock().push("waker again");
        }
    })
    .unwrap();
    for name in ["other", "third"] {
        let noted = order.clone();
        spawn(name, async move { noted.lock().push(name) }).unwrap();
    }
    run_until_idle();
    order.lock().clone()
}

#[test]
fn who_is_woken_by_a_hand_over_is_next() {
    let plain = |bell: &WaitQueue| assert!(bell.wake_one());
    let direct = |bell: &WaitQueue| assert!(crate::hand_over(|| bell.wake_one()));
    assert_eq!(
        order_of_a_wake(plain, false),
        ["waker", "other", "third", "sleeper"]
    );
    assert_eq!(
        order_of_a_wake(direct, false),
        ["waker", "sleeper", "other", "third"]
    );
    // Only if the waker waits.
    let order = order_of_a_wake(direct, true);
    assert_eq!(order[..3], ["waker", "other", "third"]);
    // A wake of nobody leaves no wish behind.
    crate::hand_over(|| ());
    assert_eq!(
        order_of_a_wake(plain, false),
        ["waker", "other", "third", "sleeper"]
    );
}
