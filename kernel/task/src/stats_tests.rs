//! Counters, lateness and the longest stretches, on simulated CPUs.

use crate::cpu::this;
use crate::policy::{Class, Manner, NORMAL_WEIGHT};
use crate::{
    Cause, Exact, Late, clock, forget_longest, here, is_exact, lateness, longest_poll,
    longest_stretch, poll_once, run_until_idle, sleep_until, spawn, stats, stats_of, window,
    with_current, yield_now,
};
use core::sync::atomic::Ordering::Relaxed;
use machine::host;
use machine::host::clock::{advance, set};

fn call_name(number: u64) -> Option<&'static str> {
    (number == 7).then_some("poll")
}

fn leave() {
    with_current(|task| here().leave_kernel(task)).unwrap();
}

fn enter(cause: Cause) {
    with_current(|task| here().enter_kernel(task, cause)).unwrap();
}

const CALL: Cause = Cause::Call(7, call_name);

#[test]
fn how_late_each_class_comes_to_run() {
    let classes = [
        (
            Late::Realtime,
            Class::Realtime {
                priority: 5,
                rotates: true,
            },
        ),
        (Late::Fair, Class::NORMAL),
        (
            Late::Fair,
            Class::Fair {
                weight: NORMAL_WEIGHT,
                manner: Manner::Batch,
            },
        ),
        (
            Late::Idle,
            Class::Fair {
                weight: 3,
                manner: Manner::Idle,
            },
        ),
    ];
    let deadline = clock::now() + 1_000_000;
    for (_, class) in classes {
        let task = spawn("sleeper", async move {
            sleep_until(deadline).await.unwrap();
            advance(1 << 14);
        })
        .unwrap();
        task.set_class(class).unwrap();
        run_until_idle();
    }
    let before = Late::ALL.map(|who| lateness(0, who));
    // All of them are woken 5 µs late, and run one after the other.
    set(deadline + 5_000);
    run_until_idle();
    let counted = |who: Late| {
        let after = lateness(0, who);
        let steps = after.iter().zip(before[who as usize]).enumerate();
        steps
            .flat_map(|(step, (after, before))| {
                std::iter::repeat_n(step, (after - before) as usize)
            })
            .collect::<std::vec::Vec<_>>()
    };
    assert_eq!(counted(Late::Timer), [12; 4]);
    assert_eq!(counted(Late::Realtime), [0]);
    assert_eq!(counted(Late::Fair), [14, 15]);
    assert_eq!(counted(Late::Idle), [15]);
    assert_eq!(counted(Late::Deadline), [] as [usize; 0]);
}

#[test]
fn who_waits_again_after_a_turn_was_not_woken() {
    let spins = |turns: u32| async move {
        for _ in 0..turns {
            advance(1000);
            yield_now().await;
        }
    };
    let one = spawn("one", spins(3)).unwrap();
    let two = spawn("two", spins(3)).unwrap();
    run_until_idle();
    assert_eq!(lateness(0, Late::Fair).iter().sum::<u64>(), 2, "spawned");
    let (of_one, of_two) = (one.delays(), two.delays());
    assert_eq!((of_one.1, of_two.1), (4, 4));
    // Together they have waited for all that the other one ran, while both were there.
    assert_eq!(of_one.0 + of_two.0, stats().delay);
    assert_eq!(stats().delay, 6_000);
    assert_eq!((stats().yields, stats().polls), (6, 8));
}

#[test]
fn switches_are_between_tasks() {
    let alone = spawn("alone", async {
        for _ in 0..5 {
            yield_now().await;
        }
    });
    run_until_idle();
    assert!(alone.is_ok_and(|task| task.is_done()));
    assert_eq!(stats().polls, 6);
    // To it, and away from it.
    assert_eq!(stats().switches, 2);
    assert_eq!((stats().wakes, stats().wakes_here), (1, 1));
}

#[test]
fn the_longest_turn_in_the_kernel() {
    assert!(longest_poll(0).is_none());
    for (name, spent) in [("short", 10), ("long", 700), ("middle", 300)] {
        let task = spawn(name, async move {
            advance(spent);
        });
        task.unwrap().set_tag(spent);
        run_until_idle();
    }
    let ended = clock::now() - 300;
    let longest = longest_poll(0).unwrap();
    assert_eq!((longest.nanoseconds, longest.ended), (700, ended));
    assert_eq!((longest.task(), longest.tag), ("long", 700));
    assert!(longest.work.contains("the_longest_turn_in_the_kernel"));
    forget_longest();
    assert!(longest_poll(0).is_none());
    spawn("short", async { advance(5) }).unwrap();
    run_until_idle();
    assert_eq!(longest_poll(0).unwrap().task(), "short");
    assert!(longest_poll(1).is_none() && stats_of(1).polls == 0);
}

#[test]
fn user_mode_is_no_stretch() {
    spawn("user", async {
        advance(50);
        leave();
        advance(1_000_000);
        enter(CALL);
        advance(400);
        leave();
        advance(2_000_000);
        enter(Cause::Fault(14));
        advance(300);
    })
    .unwrap();
    run_until_idle();
    let longest = longest_stretch(0).unwrap();
    assert_eq!(longest.nanoseconds, 400);
    assert_eq!(std::format!("{}", longest.cause), "call poll");
    assert_eq!(longest.task(), "user");
    assert!(longest_poll(0).is_none(), "it was in user mode");
}

#[test]
fn a_call_that_is_not_announced_is_not_counted() {
    spawn("user", async {
        leave();
        advance(1_000);
        // A call that answers at once.
        advance(900);
        leave();
        assert!(longest_stretch(0).is_none());
        // One that lets interrupts in has a beginning from there on.
        advance(800);
        window();
        advance(600);
        leave();
    })
    .unwrap();
    run_until_idle();
    let longest = longest_stretch(0).unwrap();
    assert_eq!(longest.nanoseconds, 600);
    let place = std::format!("{}", longest.cause);
    assert!(place.contains("stats_tests.rs:"), "{place}");
}

#[test]
fn a_stretch_goes_on_through_turns_until_a_window() {
    for spent in [100, 200] {
        spawn("turn", async move { advance(spent) }).unwrap();
    }
    run_until_idle();
    assert_eq!(longest_stretch(0).unwrap().nanoseconds, 300);
    forget_longest();
    spawn("long", async {
        advance(1_000);
        window();
        advance(70);
        window();
        advance(80);
    })
    .unwrap();
    run_until_idle();
    // 300 from before: nothing has let interrupts in since then.
    assert_eq!(longest_stretch(0).unwrap().nanoseconds, 1_300);
}

#[test]
fn what_an_interrupt_in_user_mode_takes_counts_from_its_arrival() {
    let handler = host::irq::legacy(4, "slow", alloc::sync::Arc::new(|| advance(250)));
    spawn("user", async {
        leave();
        advance(5_000);
        host::irq::raise(4);
        enter(Cause::Interrupt(machine::irq::last().1));
        advance(30);
        leave();
    })
    .unwrap();
    run_until_idle();
    drop(handler);
    let longest = longest_stretch(0).unwrap();
    assert_eq!(longest.nanoseconds, 280);
    assert_eq!(std::format!("{}", longest.cause), "interrupt line 4");
}

#[test]
fn idle_time_and_busy_time_make_up_the_whole() {
    let deadline = clock::now() + 10_000;
    spawn("worker", async move {
        advance(300);
        sleep_until(deadline).await.unwrap();
        advance(200);
    })
    .unwrap();
    crate::block_on(sleep_until(deadline + 5_000)).unwrap();
    let stats = stats();
    assert_eq!(stats.busy + stats.idle, clock::now());
    assert!(stats.halts >= 2 && stats.idle >= 14_000, "{stats:?}");
}

#[test]
fn a_task_that_moves_keeps_waiting() {
    let machine = host::current();
    let task = spawn("mover", async { advance(1) }).unwrap();
    let began = clock::now();
    std::thread::scope(|scope| {
        let task = &task;
        scope
            .spawn(move || {
                machine.enter(1);
                advance(4_000);
                task.set_affinity(0b10).unwrap();
                assert!(poll_once());
                assert_eq!((stats().moved, stats_of(0).moved), (1, 0));
                assert_eq!(lateness(1, Late::Fair)[11], 1);
            })
            .join()
            .unwrap();
    });
    assert!(task.is_done());
    assert_eq!(task.delays(), (4_000, 1));
    assert_eq!(task.cpu(), 1);
    assert_eq!(clock::now(), began + 4_001);
}

#[test]
fn every_call_is_looked_at_while_somebody_wants_it() {
    const CALLS: u64 = 1000;
    let program = || async {
        leave();
        for _ in 0..CALLS {
            advance(200);
            with_current(|task| here().enter_kernel_often(task, || CALL));
            advance(400);
            leave();
        }
    };
    let looks = || {
        let before = this().counters.entries.load(Relaxed);
        spawn("user", program()).unwrap();
        run_until_idle();
        this().counters.entries.load(Relaxed) - before
    };
    assert!((CALLS / 128..CALLS / 16).contains(&looks()));
    let one = Exact::new();
    let two = Exact::new();
    drop(one);
    forget_longest();
    assert_eq!(looks(), CALLS);
    assert_eq!(longest_stretch(0).unwrap().nanoseconds, 400);
    drop(two);
    assert!(!is_exact());
    assert!(looks() < CALLS / 16);
}

#[test]
fn user_time_of_a_processor_is_known_while_it_goes_on() {
    let machine = host::current();
    let boot = stats().times.system;
    spawn("nice", async {
        with_current(|task| task.set_nice(5));
        advance(1_000);
        leave();
        advance(500_000);
        enter(Cause::Fault(14));
        with_current(|task| task.set_nice(0));
        advance(2_000);
        leave();
        advance(3_000_000);
    })
    .unwrap();
    let whole = |stats: crate::Stats| (stats.times.user, stats.nice, stats.times.system);
    std::thread::scope(|scope| {
        let seen = scope.spawn(move || {
            machine.enter(0);
            poll_once();
            // It is still in user mode, for all that is known.
            whole(stats())
        });
        let expected = (3_000_000, 500_000, boot + 3_000);
        assert_eq!(seen.join().unwrap(), expected);
    });
}
