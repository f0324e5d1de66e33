//! The state machine, tried in every order of steps of its actors. (Apart from `state.rs`, which
//! `tests/interleavings.rs` compiles a second time over a checker's atomics.)

use crate::atomic::AtomicU8;
use crate::state::{AtomicState, State};
use std::collections::HashSet;

const ALL: [State; 5] = [
    State::Idle,
    State::Queued,
    State::Running,
    State::Notified,
    State::Done,
];

fn atomic(state: State) -> AtomicState {
    AtomicState(AtomicU8::new(state.bits()))
}

#[test]
fn the_atomic_machine_is_the_drawn_one() {
    for state in ALL {
        assert_eq!(State::from_bits(state.bits()), state);
        let machine = atomic(state);
        let (after, push) = state.wake();
        assert_eq!((machine.wake(), machine.get()), (push, after));
        if let Some(after) = state.start() {
            let machine = atomic(state);
            machine.start();
            assert_eq!(machine.get(), after);
        }
        if let Some((after, push)) = state.settle() {
            let machine = atomic(state);
            assert_eq!((machine.settle(), machine.get()), (push, after));
        }
        if let Some(after) = state.finish() {
            let machine = atomic(state);
            machine.finish();
            assert_eq!(machine.get(), after);
        }
    }
}

/// Everything that matters of an executor with CPUs that pop from one queue, and of wakers that each bring one
/// item: every step below is one atomic action of one actor, and every order of steps is tried.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    state: State,
    queue: u8,
    /// Items that the wakers made available, and that the task has not consumed.
    items: u8,
    consumed: u8,
    cpus: Vec<Cpu>,
    wakers: Vec<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Cpu {
    Free,
    Popped,
    Polling,
    Pending,
    Ready,
    MustPush,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Waker {
    Fresh,
    Provided,
    MustPush,
    Over,
}

fn explore(world: World, goal: u8, seen: &mut HashSet<World>) {
    if !seen.insert(world.clone()) {
        return;
    }
    assert!(world.queue <= 1, "in the queue twice");
    let polling = world.cpus.iter().filter(|cpu| {
        matches!(
            cpu,
            Cpu::Popped | Cpu::Polling | Cpu::Pending | Cpu::Ready | Cpu::MustPush
        )
    });
    assert!(polling.count() as u8 + world.queue <= 1 || world.state == State::Queued);
    let mut stuck = true;
    let mut go = |next: World| {
        stuck = false;
        explore(next, goal, seen);
    };
    for (index, &waker) in world.wakers.iter().enumerate() {
        let mut next = world.clone();
        next.wakers[index] = match waker {
            Waker::Fresh => {
                next.items += 1;
                Waker::Provided
            }
            Waker::Provided => {
                let (after, push) = next.state.wake();
                next.state = after;
                if push { Waker::MustPush } else { Waker::Over }
            }
            Waker::MustPush => {
                next.queue += 1;
                Waker::Over
            }
            Waker::Over => continue,
        };
        go(next);
    }
    for (index, &cpu) in world.cpus.iter().enumerate() {
        let mut next = world.clone();
        next.cpus[index] = match cpu {
            Cpu::Free if next.queue > 0 => {
                next.queue -= 1;
                Cpu::Popped
            }
            Cpu::Free => continue,
            Cpu::Popped => {
                next.state = next.state.start().expect("popped, so it was queued");
                Cpu::Polling
            }
            Cpu::Polling => {
                next.consumed += next.items;
                next.items = 0;
                if next.consumed == goal {
                    Cpu::Ready
                } else {
                    Cpu::Pending
                }
            }
            Cpu::Pending => {
                let (after, push) = next.state.settle().expect("polled, so it ran");
                next.state = after;
                if push { Cpu::MustPush } else { Cpu::Free }
            }
            Cpu::Ready => {
                next.state = next.state.finish().expect("polled, so it ran");
                Cpu::Free
            }
            Cpu::MustPush => {
                next.queue += 1;
                Cpu::Free
            }
        };
        go(next);
    }
    if stuck {
        assert_eq!(world.consumed, goal, "a wake was lost");
        assert!(world.state == State::Done && world.queue == 0);
    }
}

#[test]
fn no_order_of_steps_loses_a_wake_or_runs_a_task_twice() {
    for cpus in 1..=2 {
        for wakers in 1..=3 {
            let mut seen = HashSet::new();
            let world = World {
                state: State::Queued,
                queue: 1,
                items: 0,
                consumed: 0,
                cpus: vec![Cpu::Free; cpus],
                wakers: vec![Waker::Fresh; wakers],
            };
            explore(world, wakers as u8, &mut seen);
            assert!(seen.len() > 20);
        }
    }
}
