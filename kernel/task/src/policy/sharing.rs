//! Groups on a simulated CPU.

use super::classes::{Job, Machine, fair, hog};
use super::*;
use crate::group::Number;
use alloc::sync::Arc;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

pub(super) fn group(parent: Option<&Arc<Group>>) -> Arc<Group> {
    Arc::new(Group::new(Number::take(), parent.cloned()).expect("not too deep"))
}

fn limited(runtime: u64, period: u64) -> Arc<Group> {
    let group = group(None);
    group.set_quota(Some(Quota { runtime, period }));
    group
}

/// Jobs that always want the CPU, each in a group or in none, all with the same weight.
fn machine(groups: &[Option<&Arc<Group>>]) -> Machine {
    let jobs: Vec<Job> = groups
        .iter()
        .map(|group| Job {
            group: group.map_or(NO_GROUP, |group| group.number()),
            ..hog(fair(0))
        })
        .collect();
    let mut machine = Machine::new(&jobs);
    for group in groups {
        machine.queue.admit(*group).expect("there is memory");
    }
    machine
}

/// How much of the time each got, in percent.
fn percent(machine: &Machine) -> Vec<u64> {
    let share = |served: u64| (served * 100 + machine.now / 2) / machine.now;
    machine.seen.iter().map(|seen| share(seen.served)).collect()
}

#[test]
fn groups_share_by_weight_whatever_they_contain() {
    let (light, heavy) = (group(None), group(None));
    heavy.set_weight(3 * NORMAL_WEIGHT);
    let (l, h) = (Some(&light), Some(&heavy));
    let mut machine = machine(&[None, l, l, l, l, l, h]);
    machine.run(10 * SECOND);
    assert_eq!(percent(&machine), [20, 4, 4, 4, 4, 4, 60]);
    let used: u64 = (1..6).map(|who| machine.seen[who].served).sum();
    assert_eq!(light.usage().used, used);
}

#[test]
fn groups_lie_in_each_other() {
    let outer = group(None);
    let inner = group(Some(&outer));
    let (o, i) = (Some(&outer), Some(&inner));
    let mut machine = machine(&[None, o, i, i]);
    machine.run(10 * SECOND);
    assert_eq!(percent(&machine), [50, 25, 13, 12]);
    let mut deepest = group(None);
    for _ in 1..DEPTH {
        deepest = group(Some(&deepest));
    }
    assert!(Group::new(Number::take(), Some(deepest)).is_none());
}

/// Its members get no more, whether or not somebody else wants the CPU, and no less.
#[test]
fn a_quota_is_kept_and_given() {
    for others in [0, 3] {
        let few = limited(20 * MILLISECOND, 100 * MILLISECOND);
        let mut groups = vec![None; others];
        groups.extend([Some(&few), Some(&few)]);
        let mut machine = machine(&groups);
        machine.run(10 * SECOND);
        let usage = few.usage();
        assert_eq!(usage.used / MILLISECOND, 2000);
        assert_eq!(usage.exhausted, 100);
        assert!((100..=101).contains(&usage.periods));
        let paused = usage.paused / MILLISECOND;
        // With others it takes longer to use the quota up.
        assert!(
            (if others == 0 { 7900 } else { 1900 }..8000).contains(&paused),
            "{paused}"
        );
    }
}

#[test]
fn what_is_overdrawn_is_paid_back() {
    let few = limited(10 * MILLISECOND, 100 * MILLISECOND);
    let mut machine = machine(&[Some(&few)]);
    let queue = &mut machine.queue;
    queue.join(SECOND, fair(0), few.number(), 0);
    assert_eq!(queue.pick(SECOND), Some(0));
    // A turn that nothing interrupts.
    let mut now = SECOND + 35 * MILLISECOND;
    queue.charge(now, 35 * MILLISECOND);
    assert!(queue.should_switch(now));
    queue.put_back(now, 0, false);
    assert_eq!((queue.pick(now), queue.waiting()), (None, 0));
    for period in 1..=3 {
        assert_eq!(
            queue.next_decision(now),
            SECOND + period * 100 * MILLISECOND
        );
        now = SECOND + period * 100 * MILLISECOND;
        let picked = queue.pick(now);
        assert_eq!(picked.is_some(), period == 3, "in period {period}");
    }
    assert_eq!(queue.next_decision(now), now + 5 * MILLISECOND);
    // Without a quota it runs on.
    few.set_quota(None);
    assert_eq!(queue.next_decision(now), NEVER);
}

/// Whoever joins a group that pauses waits with it, also in a group within.
#[test]
fn nobody_joins_out_of_a_pause() {
    let outer = limited(MILLISECOND, 100 * MILLISECOND);
    let inner = group(Some(&outer));
    let (o, i) = (Some(&outer), Some(&inner));
    let mut machine = machine(&[o, i, None]);
    let queue = &mut machine.queue;
    let mut now = SECOND;
    queue.join(now, fair(0), outer.number(), 0);
    assert_eq!(queue.pick(now), Some(0));
    now += MILLISECOND;
    queue.charge(now, MILLISECOND);
    let left = queue.leave(now).expect("it ran");
    queue.join(now, fair(0), NO_GROUP, 2);
    assert_eq!(queue.pick(now), Some(2));
    assert!(!queue.join(now, fair(-20), inner.number(), 1));
    assert!(!queue.join(now, left, outer.number(), 0));
    assert_eq!(queue.waiting(), 0);
    assert_eq!(queue.next_decision(now), SECOND + 100 * MILLISECOND);
    now = SECOND + 100 * MILLISECOND;
    queue.charge(now, 99 * MILLISECOND);
    // Their next period has come, and the other one has had its slice.
    assert!(queue.should_switch(now));
    assert_eq!(queue.waiting(), 2);
    queue.put_back(now, 2, false);
    assert!(queue.pick(now) < Some(2));
}

/// On several CPUs a group has its weight once: where more of it wants to run it has more.
#[test]
fn the_weight_is_divided_by_where_the_members_are() {
    let wide = group(None);
    let (mut one, mut two) = (
        machine(&[None, Some(&wide)]),
        machine(&[None, Some(&wide), Some(&wide), Some(&wide)]),
    );
    for step in 1..=1000 {
        one.run(step * 10 * MILLISECOND);
        two.run(step * 10 * MILLISECOND);
    }
    // A quarter of the weight against one, and three quarters.
    assert_eq!(percent(&one), [80, 20]);
    assert_eq!(percent(&two), [57, 14, 14, 14]);
}

/// The last member that is taken out takes its group out; the CPU forgets groups that nobody lives in.
#[test]
fn empty_groups_are_nowhere() {
    let outer = group(None);
    let inner = group(Some(&outer));
    let mut machine = machine(&[Some(&inner), None]);
    let queue = &mut machine.queue;
    queue.join(0, fair(0), inner.number(), 0);
    queue.join(0, fair(0), NO_GROUP, 1);
    let (number, migrant, _, who) = queue.take_last(|who| *who == 0).expect("it may");
    assert_eq!((number, who, queue.waiting()), (inner.number(), 0, 1));
    assert_eq!(queue.pick(0), Some(1));
    queue.charge(10 * MILLISECOND, 10 * MILLISECOND);
    assert!(!queue.should_switch(10 * MILLISECOND), "nobody else waits");
    let mut other = self::machine(&[Some(&inner)]).queue;
    let entity = other.adopt(number, migrant);
    queue.dismiss(inner.number());
    assert!(queue.group(inner.number()).is_none() && queue.group(outer.number()).is_none());
    other.join(0, Claim::Fair(entity, Manner::Prompt), number, 0);
    assert_eq!(other.pick(0), Some(0));
    assert_eq!(other.running_group(), inner.number());
}
