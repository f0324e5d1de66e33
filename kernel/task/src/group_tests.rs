//! Groups of tasks on simulated CPUs.

use crate::executor_tests::compute;
use crate::policy::{Class, Quota, Reservation};
use crate::{
    Group, Task, Terms, WaitQueue, block_on, clock, run_until_idle, sleep_until, spawn, spawn_with,
};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;
const QUOTA: Option<Quota> = Some(Quota {
    runtime: 10 * MILLISECOND,
    period: 100 * MILLISECOND,
});
const FIFO: Class = Class::Realtime {
    priority: 1,
    rotates: false,
};

fn group() -> Arc<Group> {
    Group::new(None).expect("there is memory")
}

fn worker(group: &Arc<Group>, total: u64) -> Arc<Task> {
    let terms = Terms::within(Some(group.clone()));
    spawn_with("worker", terms, compute(total)).expect("there is memory")
}

#[test]
fn a_group_with_a_quota_takes_its_time() {
    let few = group();
    few.set_quota(QUOTA).expect("it is valid");
    let (one, two) = (
        worker(&few, 30 * MILLISECOND),
        worker(&few, 20 * MILLISECOND),
    );
    assert_eq!(few.members().len(), 2);
    // Five periods' time, of which the last one's comes at its beginning; turns themselves take some, too.
    let start = clock::now();
    block_on(sleep_until(start + 390 * MILLISECOND)).expect("nobody interrupts");
    assert!(!one.is_done() || !two.is_done());
    block_on(sleep_until(start + 510 * MILLISECOND)).expect("nobody interrupts");
    assert!(one.is_done() && two.is_done() && few.is_empty());
    assert_eq!(few.usage().used / MILLISECOND, 50);
}

/// Tasks are spawned into the group of who spawns them.
#[test]
fn children_are_in_the_group_too() {
    let family = group();
    let terms = Terms::within(Some(family.clone()));
    spawn_with("parent", terms, async {
        let child = spawn("child", async {}).expect("there is memory");
        let (own, its) = (crate::current().and_then(|me| me.group()), child.group());
        assert_eq!(own.map(|it| it.number()), its.map(|it| it.number()));
    })
    .expect("there is memory");
    run_until_idle();
    assert!(family.is_empty());
}

/// From one group to the next, waiting, sleeping and running: what each computed is charged where it was.
#[test]
fn members_change_groups() {
    let (old, new) = (group(), group());
    let gate = Arc::new(WaitQueue::new());
    let sleeper = {
        let (gate, new) = (gate.clone(), new.clone());
        let terms = Terms::within(Some(old.clone()));
        spawn_with("sleeper", terms, async move {
            compute(10 * MILLISECOND).await;
            let mut turns = 0;
            let twice = || {
                turns += 1;
                (turns > 2).then_some(())
            };
            gate.wait_until(twice).await.expect("nobody interrupts");
            compute(10 * MILLISECOND).await;
            // Running.
            let me = crate::current().expect("it runs");
            me.set_group(None).expect("it may");
            crate::yield_now().await;
            compute(10 * MILLISECOND).await;
            me.set_group(Some(new)).expect("it may");
            crate::yield_now().await;
            compute(10 * MILLISECOND).await;
        })
        .expect("there is memory")
    };
    run_until_idle();
    // Sleeping.
    sleeper.set_group(Some(new.clone())).expect("it may");
    assert!(old.is_empty());
    assert_eq!(old.usage().used / MILLISECOND, 10);
    gate.wake_all();
    // Waiting, there and back.
    sleeper.set_group(Some(old.clone())).expect("it may");
    sleeper.set_group(Some(new.clone())).expect("it may");
    run_until_idle();
    assert!(sleeper.is_done() && new.is_empty());
    assert_eq!(old.usage().used / MILLISECOND, 10);
    assert_eq!(new.usage().used / MILLISECOND, 20);
    assert_eq!(sleeper.set_group(Some(old)), Err(Error::Closed));
}

#[test]
fn priorities_and_quotas_exclude_each_other() {
    let few = group();
    let inner = Group::new(Some(few.clone())).expect("there is memory");
    let member = worker(&inner, MILLISECOND);
    member.set_class(FIFO).expect("there is no quota");
    assert_eq!(few.set_quota(QUOTA), Err(Error::Busy));
    member.set_class(Class::NORMAL).expect("it may");
    few.set_quota(QUOTA).expect("nobody has a priority");
    assert_eq!(member.set_class(FIFO), Err(Error::Forbidden));
    let reserved = spawn("reserved", compute(MILLISECOND)).expect("there is memory");
    let class = Class::Deadline(Reservation {
        runtime: MILLISECOND,
        deadline: SECOND,
        period: SECOND,
    });
    reserved.set_class(class).expect("there is room");
    assert_eq!(reserved.set_group(Some(inner)), Err(Error::Forbidden));
    assert_eq!(few.set_weight(0), Err(Error::Invalid));
    let short = Quota {
        runtime: 1,
        period: SECOND,
    };
    assert_eq!(few.set_quota(Some(short)), Err(Error::Invalid));
    run_until_idle();
}

/// A set of CPUs narrows what its members asked for, and what they asked for counts again afterwards.
#[test]
fn a_set_of_cpus_is_for_all() {
    machine::host::cpu::set_index(3);
    machine::host::cpu::set_index(0);
    let tight = group();
    let inner = Group::new(Some(tight.clone())).expect("there is memory");
    let member = worker(&inner, MILLISECOND);
    member.set_affinity(0b0111).expect("they run");
    tight.set_cpus(0b0011).expect("nobody has a seat");
    assert_eq!(member.affinity(), 0b0011);
    inner.set_cpus(0b0110).expect("nobody has a seat");
    assert_eq!((inner.allowed(), member.affinity()), (0b0010, 0b0010));
    assert_eq!(member.set_affinity(0b1000), Err(Error::Invalid));
    // A set that has nothing in common with the one around it means nothing.
    inner.set_cpus(0b1000).expect("nobody has a seat");
    assert_eq!((inner.allowed(), member.affinity()), (0b0011, 0b0011));
    member.set_group(None).expect("it may");
    assert_eq!(
        (member.affinity(), member.asked_affinity()),
        (0b0111, 0b0111)
    );
    let all: Vec<_> = (0..4).map(|_| worker(&tight, 0)).collect();
    assert!(all.iter().all(|task| task.affinity() == 0b0011));
}
