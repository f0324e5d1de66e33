//! The graph against what it should be, computed from the definition each time.

use super::graph::{Graph, LONGEST_CHAIN, Member, NOBODY, Refusal};
use proptest::prelude::*;
use std::cell::Cell;
use std::rc::Rc;

struct Someone {
    own: Cell<u8>,
    inherited: Cell<u8>,
    blocked: Cell<bool>,
    number: Cell<u32>,
}

fn someone(own: u8) -> Rc<Someone> {
    Rc::new(Someone {
        own: Cell::new(own),
        inherited: Cell::new(0),
        blocked: Cell::new(false),
        number: Cell::new(NOBODY),
    })
}

impl Member for Rc<Someone> {
    fn own(&self) -> u8 {
        self.own.get()
    }
    fn inherit(&self, priority: u8) {
        self.inherited.set(priority);
    }
    fn set_blocked(&self, blocked: bool) {
        self.blocked.set(blocked);
    }
    fn number(&self) -> u32 {
        self.number.get()
    }
    fn set_number(&self, number: u32) {
        self.number.set(number);
    }
}

const TASKS: usize = 8;
const LOCKS: usize = 6;

/// A lock of the model: its number in the graph, its owner, and those who wait, in the order in which they came or
/// changed their priority last.
struct Line {
    number: u32,
    owner: usize,
    waiters: Vec<usize>,
}

#[derive(Default)]
struct Model {
    own: [u8; TASKS],
    locks: [Option<Line>; LOCKS],
}

impl Model {
    fn waits_for(&self, task: usize) -> Option<usize> {
        let waits = |lock: &Option<Line>| {
            lock.as_ref()
                .is_some_and(|lock| lock.waiters.contains(&task))
        };
        self.locks.iter().position(waits)
    }

    fn inherited(&self, task: usize) -> u8 {
        let held = self
            .locks
            .iter()
            .flatten()
            .filter(|lock| lock.owner == task);
        let waiters = held.flat_map(|lock| &lock.waiters);
        waiters
            .map(|waiter| self.effective(*waiter))
            .max()
            .unwrap_or(0)
    }

    fn effective(&self, task: usize) -> u8 {
        self.own[task].max(self.inherited(task))
    }

    fn all(&self) -> [u8; TASKS] {
        std::array::from_fn(|task| self.effective(task))
    }

    /// Whoever has another priority than before stands behind its equals.
    fn reorder(&mut self, before: [u8; TASKS]) {
        let after = self.all();
        for lock in self.locks.iter_mut().flatten() {
            let (moved, stay) = lock
                .waiters
                .iter()
                .partition::<Vec<usize>, _>(|task| before[**task] != after[**task]);
            lock.waiters = [stay, moved].concat();
        }
    }

    fn first(&self, lock: &Line) -> Option<usize> {
        let mut best: Option<usize> = None;
        for &task in &lock.waiters {
            if best.is_none_or(|best| self.effective(task) > self.effective(best)) {
                best = Some(task);
            }
        }
        best
    }

    fn reaches(&self, lock: usize, task: usize) -> bool {
        let Some(owner) = self.locks[lock].as_ref().map(|lock| lock.owner) else {
            return false;
        };
        owner == task
            || self
                .waits_for(owner)
                .is_some_and(|next| self.reaches(next, task))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize, usize),
    Remove(usize),
    Block(usize, usize),
    Unblock(usize),
    Pass(usize),
    Change(usize, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (task, lock) = (0..TASKS, 0..LOCKS);
    let step = prop_oneof![
        2 => (lock.clone(), task.clone()).prop_map(|(lock, task)| Step::Add(lock, task)),
        1 => lock.clone().prop_map(Step::Remove),
        8 => (lock.clone(), task.clone()).prop_map(|(lock, task)| Step::Block(lock, task)),
        1 => task.clone().prop_map(Step::Unblock),
        3 => lock.prop_map(Step::Pass),
        3 => (task, 0u8..6).prop_map(|(task, own)| Step::Change(task, own)),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn everybody_has_the_priority_that_the_definition_says(steps in steps()) {
        let tasks: Vec<_> = (0..TASKS).map(|_| someone(0)).collect();
        let mut graph = Graph::new();
        let mut model = Model::default();
        for step in steps {
            let before = model.all();
            match step {
                Step::Add(lock, owner) if model.locks[lock].is_none() => {
                    let number = graph.add(&tasks[owner], lock).unwrap();
                    model.locks[lock] = Some(Line { number, owner, waiters: Vec::new() });
                }
                Step::Remove(lock) => {
                    if let Some(gone) = model.locks[lock].take() {
                        graph.remove(gone.number);
                    }
                }
                Step::Block(at, task) => {
                    let cycle = model.reaches(at, task);
                    let waits = model.waits_for(task).is_some();
                    let Some(lock) = &mut model.locks[at] else {
                        continue;
                    };
                    let expected = match (cycle, waits) {
                        (true, _) => Err(Refusal::Deadlock),
                        (false, true) => Err(Refusal::Blocked),
                        (false, false) => {
                            lock.waiters.push(task);
                            Ok(())
                        }
                    };
                    prop_assert_eq!(graph.block(lock.number, &tasks[task], task), expected);
                }
                Step::Unblock(task) => {
                    let lock = model.waits_for(task);
                    prop_assert_eq!(graph.unblock(&tasks[task]), lock.is_some());
                    if let Some(lock) = lock.and_then(|lock| model.locks[lock].as_mut()) {
                        lock.waiters.retain(|waiter| *waiter != task);
                    }
                }
                Step::Pass(at) => {
                    let Some(lock) = &model.locks[at] else {
                        continue;
                    };
                    let (number, next) = (lock.number, model.first(lock));
                    prop_assert_eq!(graph.pass(number).map(|(_, label)| label), next);
                    if let (Some(lock), Some(next)) = (&mut model.locks[at], next) {
                        lock.owner = next;
                        lock.waiters.retain(|waiter| *waiter != next);
                    }
                }
                Step::Change(task, own) => {
                    model.own[task] = own;
                    tasks[task].own.set(own);
                    graph.changed(tasks[task].number());
                }
                Step::Add(..) => {}
            }
            model.reorder(before);
            for (number, task) in tasks.iter().enumerate() {
                prop_assert_eq!(task.inherited.get(), model.inherited(number));
                prop_assert_eq!(task.blocked.get(), model.waits_for(number).is_some());
                let holds = |lock: &Line| lock.owner == number;
                let held = model.locks.iter().flatten().any(holds);
                prop_assert_eq!(graph.any_held(task).is_some(), held);
                prop_assert_eq!(task.number() != NOBODY, held || task.blocked.get());
            }
            for lock in model.locks.iter().flatten() {
                prop_assert_eq!(graph.first(lock.number), model.first(lock));
            }
        }
    }
}

/// Task `n` holds lock `n` and waits for lock `n - 1`: up to the limit, and what comes at the end reaches the front.
#[test]
fn a_chain_has_an_end() {
    let mut graph = Graph::new();
    let tasks: Vec<_> = (0..=LONGEST_CHAIN).map(|_| someone(1)).collect();
    let locks: Vec<_> = tasks
        .iter()
        .map(|task| graph.add(task, ()).unwrap())
        .collect();
    for number in 1..=LONGEST_CHAIN {
        assert_eq!(graph.block(locks[number - 1], &tasks[number], ()), Ok(()));
    }
    let end = someone(9);
    let (front, back) = (&tasks[0], &tasks[LONGEST_CHAIN]);
    let too_long = graph.block(locks[LONGEST_CHAIN], &end, ());
    assert_eq!(too_long, Err(Refusal::Deadlock));
    assert_eq!(graph.block(locks[LONGEST_CHAIN - 1], &end, ()), Ok(()));
    for task in &tasks[..LONGEST_CHAIN] {
        assert_eq!(task.inherited.get(), 9);
    }
    assert!(graph.unblock(&end));
    assert_eq!(front.inherited.get(), 1);
    let cycle = graph.block(locks[LONGEST_CHAIN], front, ());
    assert_eq!(cycle, Err(Refusal::Deadlock));
    back.own.set(7);
    graph.changed(back.number());
    assert_eq!(front.inherited.get(), 7);
}
