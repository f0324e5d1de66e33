//! Reservations on several simulated CPUs.

use crate::policy::{Class, RESERVABLE, Reservation, WHOLE};
use crate::{
    Group, Task, Terms, WaitQueue, poll_once, run_until_idle, spawn, spawn_with, stats_of,
    yield_now,
};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use machine::host;
use machine::sync::Spin;

const MILLISECOND: u64 = 1_000_000;

/// So much of a CPU, in percent.
fn percent(percent: u64) -> Class {
    Class::Deadline(Reservation {
        runtime: percent * MILLISECOND,
        deadline: 100 * MILLISECOND,
        period: 100 * MILLISECOND,
    })
}

fn machine_with(cpus: usize) {
    host::current().enter(cpus - 1);
    host::current().enter(0);
}

/// What is reserved of the first CPUs, in percent.
fn reserved<const CPUS: usize>() -> [u64; CPUS] {
    core::array::from_fn(|cpu| stats_of(cpu).reserved * 100 / WHOLE)
}

fn run_on(cpu: usize) {
    host::current().enter(cpu);
    run_until_idle();
    host::current().enter(0);
}

/// One that is there until it is told to go.
struct Sleeper {
    task: Arc<Task>,
    gate: Arc<(WaitQueue, AtomicBool)>,
}

impl Sleeper {
    fn new(group: Option<&Arc<Group>>) -> Sleeper {
        let gate = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
        let theirs = gate.clone();
        let terms = Terms::within(group.cloned());
        let task = spawn_with("sleeper", terms, async move {
            let open = || theirs.1.load(Ordering::Acquire).then_some(());
            let _killed = theirs.0.wait_until(open).await;
        })
        .unwrap();
        Sleeper { task, gate }
    }

    fn with(class: Class) -> Sleeper {
        let sleeper = Sleeper::new(None);
        sleeper.task.set_class(class).unwrap();
        sleeper
    }

    fn end(&self) {
        self.gate.1.store(true, Ordering::Release);
        self.gate.0.wake_all();
    }
}

#[test]
fn what_does_not_fit_one_cpu_fits_two() {
    machine_with(2);
    let one = Sleeper::with(percent(60));
    let two = Sleeper::with(percent(60));
    assert_eq!((one.task.seat(), two.task.seat()), (Some(0), Some(1)));
    let third = Sleeper::new(None);
    assert_eq!(third.task.set_class(percent(60)), Err(Error::Busy));
    assert_eq!(
        (third.task.class(), third.task.seat()),
        (Class::NORMAL, None)
    );
    third.task.set_class(percent(30)).unwrap();
    assert_eq!(reserved(), [90, 60]);
    // Asking again takes no second seat, and less always fits.
    one.task.set_class(percent(60)).unwrap();
    two.task.set_class(percent(90)).unwrap();
    one.task.set_class(percent(10)).unwrap();
    assert_eq!(reserved(), [40, 90]);
    assert_eq!(two.task.seat(), Some(1));
}

/// By its end, by being killed, by another class: each gives the seat back, once.
#[test]
fn who_leaves_gives_its_seat_back() {
    machine_with(2);
    let sleepers: Vec<_> = (0..4).map(|_| Sleeper::with(percent(40))).collect();
    (0..2).for_each(run_on);
    assert_eq!(reserved(), [80, 80]);
    sleepers[0].end();
    sleepers[1].task.kill();
    sleepers[2].task.set_class(Class::NORMAL).unwrap();
    sleepers[2].task.set_class(Class::NORMAL).unwrap();
    (0..2).for_each(run_on);
    assert!(sleepers[0].task.is_done() && sleepers[1].task.is_done());
    assert_eq!(reserved(), [0, 40]);
    assert_eq!(
        sleepers[0].task.set_class(percent(40)),
        Err(Error::Closed),
        "the dead take no seats"
    );
    let priority = Class::Realtime {
        priority: 1,
        rotates: false,
    };
    sleepers[3].task.set_class(priority).unwrap();
    assert_eq!(reserved(), [0, 0]);
}

/// It runs where its seat is: from its next turn on if it runs, at once if it waits, from its wake-up on if it sleeps.
#[test]
fn it_runs_where_its_seat_is() {
    machine_with(2);
    let _full = Sleeper::with(percent(90));
    let seen = Arc::new(Spin::new(Vec::new()));
    let gate = Arc::new(WaitQueue::new());
    let (mine, shut) = (seen.clone(), gate.clone());
    let task = spawn("reserved", async move {
        let me = crate::current().unwrap();
        let look = || mine.lock().push(machine::cpu::index());
        look();
        yield_now().await;
        look();
        me.set_class(Class::NORMAL).unwrap();
        me.set_affinity(0b01).unwrap();
        yield_now().await;
        look();
        me.set_affinity(0b11).unwrap();
        me.set_class(percent(20)).unwrap();
        yield_now().await;
        look();
        me.set_class(Class::NORMAL).unwrap();
        me.set_affinity(0b01).unwrap();
        let mut turns = 0;
        let twice = || {
            turns += 1;
            (turns > 2).then_some(())
        };
        shut.wait_until(twice).await.unwrap();
        look();
    })
    .unwrap();
    // While it waits on CPU 0.
    task.set_class(percent(20)).unwrap();
    assert_eq!(task.seat(), Some(1));
    run_on(0);
    assert!(seen.lock().is_empty());
    for _ in 0..4 {
        (0..2).for_each(run_on);
        machine::host::clock::advance(100 * MILLISECOND);
    }
    assert_eq!(*seen.lock(), [1, 1, 0, 1]);
    // While it sleeps on CPU 0.
    task.set_affinity(0b11).unwrap();
    task.set_class(percent(20)).unwrap();
    gate.wake_all();
    run_on(0);
    assert!(!task.is_done());
    run_on(1);
    assert_eq!(*seen.lock(), [1, 1, 0, 1, 1]);
    assert_eq!(reserved(), [90, 0]);
}

#[test]
fn a_set_of_cpus_moves_the_seat_or_is_refused() {
    machine_with(3);
    let task = Sleeper::with(percent(50)).task;
    let _other = Sleeper::with(percent(40));
    task.set_affinity(0b111).unwrap();
    assert_eq!(task.seat(), Some(0), "it need not move");
    task.set_affinity(0b110).unwrap();
    assert_eq!((task.seat(), task.affinity()), (Some(1), 0b110));
    let _full = Sleeper::with(percent(50));
    assert_eq!(reserved(), [90, 50, 0]);
    assert_eq!(task.set_affinity(0b001), Err(Error::Busy));
    assert_eq!((task.seat(), task.affinity()), (Some(1), 0b110));
    assert_eq!(task.asked_affinity(), 0b110);
    // On the CPU where it is, if that has room.
    assert_eq!(task.set_class(percent(95)), Ok(()));
    let narrow = Sleeper::new(None).task;
    narrow.set_affinity(0b010).unwrap();
    assert_eq!(narrow.set_class(percent(1)), Err(Error::Busy));
}

/// The set of a group, and another group's.
#[test]
fn a_group_moves_all_seats_or_none() {
    machine_with(4);
    let outer = Group::new(None).unwrap();
    let inner = Group::new(Some(outer.clone())).unwrap();
    let members = [&outer, &inner, &inner].map(|group| Sleeper::new(Some(group)).task);
    for member in &members {
        member.set_class(percent(60)).unwrap();
    }
    let seats = || members.each_ref().map(|member| member.seat().unwrap());
    assert_eq!(seats(), [0, 1, 2]);
    assert_eq!(outer.set_cpus(0b1001), Err(Error::Busy), "three on two");
    assert_eq!((seats(), outer.cpus()), ([0, 1, 2], u64::MAX));
    assert!(members.iter().all(|member| member.affinity() == u64::MAX));
    outer.set_cpus(0b1101).unwrap();
    assert_eq!(seats(), [0, 3, 2]);
    assert_eq!(inner.set_cpus(0b0001), Err(Error::Busy));
    assert_eq!(reserved(), [60, 0, 60, 60]);
    // One comes from elsewhere, and finds a seat, or none.
    let guest = Sleeper::with(percent(60)).task;
    assert_eq!(guest.seat(), Some(1));
    assert_eq!(guest.set_group(Some(inner.clone())), Err(Error::Busy));
    assert_eq!((guest.seat(), guest.affinity()), (Some(1), u64::MAX));
    assert!(guest.group().is_none());
    guest.set_class(percent(34)).unwrap();
    guest.set_group(Some(inner)).unwrap();
    assert_eq!(guest.seat(), Some(0));
    assert_eq!(reserved(), [94, 0, 60, 60]);
}

/// Many that take seats, are moved, and end, with a thread for each CPU: at the end nothing is reserved.
#[test]
fn no_seat_is_lost_with_a_thread_for_each_cpu() {
    const CPUS: usize = 4;
    const TASKS: usize = 200;
    let machine = host::current();
    machine_with(CPUS);
    let group = Group::new(None).unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<Arc<Task>> = (0..TASKS)
        .map(|who| {
            let done = done.clone();
            let terms = Terms::within((who % 3 == 0).then(|| group.clone()));
            spawn_with("comes and goes", terms, async move {
                let me = crate::current().unwrap();
                for round in 0..6 {
                    let class = percent(1 + (who + round) as u64 % 40);
                    if me.set_class(class).is_ok() {
                        yield_now().await;
                        let here = machine::cpu::index();
                        assert!(
                            me.seat().is_none_or(|seat| seat == here)
                                || me.place() >> here & 1 == 0
                        );
                    }
                    if round % 2 == 0 {
                        me.set_class(Class::NORMAL).unwrap();
                    }
                    yield_now().await;
                }
                done.fetch_add(1, Ordering::AcqRel);
            })
            .unwrap()
        })
        .collect();
    let threads: Vec<_> = (0..CPUS)
        .map(|cpu| {
            let (machine, done, tasks, group) =
                (machine.clone(), done.clone(), tasks.clone(), group.clone());
            std::thread::spawn(move || {
                machine.enter(cpu);
                let begin = std::time::Instant::now();
                let mut turn = cpu;
                while done.load(Ordering::Acquire) < TASKS {
                    turn = turn.wrapping_mul(25_214_903_917).wrapping_add(11);
                    let task = &tasks[(turn >> 16) % TASKS];
                    // Refused or not: what counts is that nothing is lost.
                    let _outcome = match turn >> 24 & 15 {
                        0 => task.set_class(percent((turn >> 32) as u64 % 50 + 1)),
                        1 => task.set_affinity((turn >> 32) as u64 & 15),
                        2 => task.set_affinity(15),
                        3 => group.set_cpus((turn >> 32) as u64 & 15),
                        4 => task.set_group(None),
                        5 => task.set_group(Some(group.clone())),
                        6 => task.set_class(Class::NORMAL),
                        _ => Ok(()),
                    };
                    for cpu in 0..CPUS {
                        assert!(stats_of(cpu).reserved <= RESERVABLE);
                    }
                    if !poll_once() {
                        machine::host::clock::advance(MILLISECOND);
                        std::thread::yield_now();
                    }
                    assert!(begin.elapsed().as_secs() < 60, "somebody does not run");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(
        tasks
            .iter()
            .all(|task| task.is_done() && task.seat().is_none())
    );
    assert_eq!(reserved::<CPUS>(), [0; CPUS]);
    assert_eq!((0..CPUS).map(|cpu| stats_of(cpu).tasks).sum::<usize>(), 0);
    assert!(group.is_empty());
}
