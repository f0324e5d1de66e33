//! What policies do. Everything runs on one processor; order is seen through shared memory, never by waiting a while.

use super::attributes::{record, reservation};
use super::policy::set;
use super::processors::only_one;
use libc::{CLOCK_PROCESS_CPUTIME_ID, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RR, timespec};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use test_programs::child::{Child, passes, spawn};
use test_programs::gives;
use test_programs::memory::Shared;
use test_programs::ok;

test_programs::tests!(
    the_higher_priority_runs_first,
    equals_come_in_order,
    a_raised_one_runs_at_once,
    equals_take_turns,
    the_idle_one_comes_last,
    a_reservation_is_a_ceiling,
);

/// Where children write who runs.
struct Order {
    next: AtomicUsize,
    who: [AtomicU32; 64],
    go: AtomicU32,
}

impl Order {
    fn note(&self, who: u32) {
        let at = self.next.fetch_add(1, Ordering::SeqCst);
        if let Some(place) = self.who.get(at) {
            place.store(who, Ordering::SeqCst);
        }
    }

    fn seen(&self) -> Vec<u32> {
        let count = self.next.load(Ordering::SeqCst).min(64);
        self.who[..count]
            .iter()
            .map(|who| who.load(Ordering::SeqCst))
            .collect()
    }

    /// Sleeps until `go` is 1.
    fn wait(&self) {
        while self.go.load(Ordering::SeqCst) == 0 {
            let _ = test_programs::sys!(SYS_futex, &self.go, 0, 0, 0);
        }
    }

    /// Wakes all that sleep, in the order in which they went to sleep.
    fn release(&self, sleepers: usize) {
        self.go.store(1, Ordering::SeqCst);
        gives!(sleepers, SYS_futex, &self.go, 1, i32::MAX);
    }
}

/// Nanoseconds of CPU time of this process.
fn cpu_time() -> u64 {
    let mut time = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    gives!(0, SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &mut time);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Children of these priorities, all asleep, made in this order. The caller is above them.
fn sleepers(order: &Order, policy: i32, priorities: &[i32]) -> Vec<Child> {
    let children: Vec<Child> = priorities
        .iter()
        .zip(1..)
        .map(|(priority, who)| {
            let child = spawn(|| {
                order.wait();
                order.note(who);
            });
            gives!(0, SYS_sched_setscheduler, child.pid, policy, priority);
            // Below it, so that it goes to sleep: then above again.
            set(SCHED_IDLE, 0);
            while !asleep(child.pid) {
                ok!(SYS_sched_yield);
            }
            set(SCHED_FIFO, 90);
            child
        })
        .collect();
    children
}

fn asleep(pid: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    text.rsplit_once(')')
        .unwrap()
        .1
        .trim_start()
        .starts_with('S')
}

fn in_order(policy: i32, priorities: &[i32], expected: &[u32]) {
    let order = Shared::<Order>::new();
    passes(|| {
        only_one();
        set(SCHED_FIFO, 90);
        let children = sleepers(&order, policy, priorities);
        order.release(children.len());
        assert!(order.seen().is_empty(), "the highest goes on");
        for child in children {
            child.passes();
        }
    });
    assert_eq!(order.seen(), expected);
}

fn the_higher_priority_runs_first() {
    in_order(SCHED_FIFO, &[10, 30, 20, 40], &[4, 2, 3, 1]);
}

fn equals_come_in_order() {
    in_order(SCHED_FIFO, &[7, 7, 7, 7, 7], &[1, 2, 3, 4, 5]);
    in_order(SCHED_RR, &[7, 7, 7], &[1, 2, 3]);
}

/// One that waits for the processor is moved before those that came first.
fn a_raised_one_runs_at_once() {
    let order = Shared::<Order>::new();
    passes(|| {
        only_one();
        set(SCHED_FIFO, 90);
        let children = sleepers(&order, SCHED_FIFO, &[10, 10, 10]);
        order.release(3);
        gives!(0, SYS_sched_setparam, children[2].pid, &11i32);
        gives!(0, SYS_sched_setparam, children[0].pid, &9i32);
        assert!(order.seen().is_empty());
        // Above the caller: it runs before the call returns.
        gives!(0, SYS_sched_setparam, children[1].pid, &91i32);
        assert_eq!(order.seen(), [2]);
        for child in children {
            child.passes();
        }
    });
    assert_eq!(order.seen(), [2, 3, 1]);
}

/// Two that never sleep see each other run, though neither ever gives way.
fn equals_take_turns() {
    let order = Shared::<Order>::new();
    passes(|| {
        only_one();
        set(SCHED_FIFO, 90);
        let turn = |who: u32| {
            let order = &order;
            spawn(move || {
                // The word of whoever ran last; it changes when the other one has had a turn.
                let mut changes = 0;
                while changes < 3 {
                    if order.go.swap(who, Ordering::SeqCst) != who {
                        changes += 1;
                    }
                }
            })
        };
        let children = [turn(1), turn(2)];
        for child in &children {
            gives!(0, SYS_sched_setscheduler, child.pid, SCHED_RR, &5i32);
        }
        for child in children {
            child.passes();
        }
    });
}

/// It gets next to nothing while another one computes.
fn the_idle_one_comes_last() {
    let order = Shared::<Order>::new();
    passes(|| {
        only_one();
        let idle = spawn(|| {
            set(SCHED_IDLE, 0);
            while order.go.load(Ordering::SeqCst) == 0 {}
            order.who[0].store((cpu_time() / 1_000_000) as u32, Ordering::SeqCst);
        });
        let begin = cpu_time();
        while cpu_time() < begin + 300_000_000 {}
        order.go.store(1, Ordering::SeqCst);
        idle.passes();
    });
    let used = order.who[0].load(Ordering::SeqCst);
    assert!(used < 60, "{used} ms of 300");
}

/// It may compute as it likes: it gets no more than it reserved.
fn a_reservation_is_a_ceiling() {
    passes(|| {
        // A reservation may run anywhere, so the processor is not chosen here.
        gives!(
            0,
            SYS_sched_setattr,
            0,
            &reservation(10_000, 50_000, 50_000),
            0
        );
        let now = || {
            let mut time = timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            gives!(0, SYS_clock_gettime, 1, &mut time);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        };
        let (begin, used) = (now(), cpu_time());
        while now() < begin + 500_000_000 {}
        let (took, used) = (now() - begin, cpu_time() - used);
        assert!(used * 4 < took, "{used} ns of {took}");
        gives!(0, SYS_sched_setattr, 0, &record(SCHED_OTHER), 0);
    });
}
