//! A CPU in a few lines, with entities of every class.

use super::bounds::Random;
use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// What a simulated task does: every `period` it wants `work`; with a period of 0, always.
#[derive(Clone, Copy)]
pub(super) struct Job {
    pub(super) claim: Claim,
    pub(super) group: u32,
    pub(super) work: u64,
    pub(super) period: u64,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) served: u64,
    /// Jobs done, and those of them that were done after the next one was due.
    done: u64,
    late: u64,
    left: u64,
    due: u64,
}

pub(super) struct Machine {
    pub(super) queue: RunQueue<usize>,
    pub(super) jobs: Vec<Job>,
    pub(super) seen: Vec<Seen>,
    releases: BTreeSet<(u64, usize)>,
    running: Option<usize>,
    pub(super) now: u64,
    switches: u64,
}

fn realtime(priority: u8, rotates: bool) -> Claim {
    Claim::Realtime { priority, rotates }
}

pub(super) fn fair(nice: i8) -> Claim {
    Claim::Fair(Entity::new(weight_of_nice(nice)), Manner::Prompt)
}

fn reservation(runtime: u64, period: u64) -> Reservation {
    Reservation {
        runtime,
        deadline: period,
        period,
    }
}

pub(super) fn hog(claim: Claim) -> Job {
    Job {
        claim,
        group: NO_GROUP,
        work: u64::MAX,
        period: 0,
    }
}

impl Machine {
    pub(super) fn new(jobs: &[Job]) -> Self {
        Machine {
            queue: RunQueue::new(),
            jobs: jobs.to_vec(),
            seen: vec![Seen::default(); jobs.len()],
            releases: (0..jobs.len()).map(|who| (0, who)).collect(),
            running: None,
            now: 0,
            switches: 0,
        }
    }

    fn release(&mut self) {
        while let Some(&(at, who)) = self.releases.first()
            && at <= self.now
        {
            self.releases.pop_first();
            let job = self.jobs[who];
            let seen = &mut self.seen[who];
            seen.left = job.work;
            seen.due = at + job.period;
            if self.queue.join(self.now, job.claim, job.group, who)
                && let Some(running) = self.running.take()
            {
                self.queue.put_back(self.now, running, false);
            }
        }
    }

    pub(super) fn run(&mut self, end: u64) {
        while self.now < end {
            self.release();
            if self.running.is_none() {
                self.running = self.queue.pick(self.now);
                self.switches += 1;
            }
            let next = self.releases.first().map_or(end, |&(at, _)| at);
            let next = next.min(self.queue.next_decision(self.now)).min(end);
            let Some(who) = self.running else {
                assert!(next > self.now, "the CPU is idle, and somebody could run");
                self.now = next;
                continue;
            };
            let step = self.seen[who].left.min((next - self.now).max(1));
            self.now += step;
            self.queue.charge(self.now, step);
            let (job, seen) = (&mut self.jobs[who], &mut self.seen[who]);
            seen.served += step;
            seen.left -= step;
            if seen.left == 0 {
                seen.done += 1;
                seen.late += u64::from(self.now > seen.due);
                job.claim = self.queue.leave(self.now).expect("it ran");
                self.running = None;
                self.releases.insert((seen.due.max(self.now), who));
            } else if self.queue.should_switch(self.now) {
                self.queue.put_back(self.now, who, false);
                self.running = None;
            }
        }
    }
}

/// Reservations at random until no more is admitted.
fn admitted(random: &mut Random) -> Vec<Reservation> {
    let mut all: Vec<Reservation> = Vec::new();
    let mut used = 0;
    loop {
        let period = MILLISECOND + random.below(100 * MILLISECOND);
        let mut wanted = reservation(period / (2 + random.below(20)), period);
        if used + wanted.utilisation() > RESERVABLE {
            // One that takes exactly what is left.
            wanted.runtime =
                (u128::from(RESERVABLE - used) * u128::from(period) / u128::from(WHOLE)) as u64;
            if !wanted.is_valid() || used + wanted.utilisation() > RESERVABLE {
                return all;
            }
        }
        used += wanted.utilisation();
        all.push(wanted);
    }
}

/// Up to the admission limit every deadline is met, whatever else wants to run.
#[test]
fn reservations_meet_every_deadline_up_to_the_limit() {
    let mut random = Random::new(7);
    let mut done = 0;
    for _ in 0..60 {
        let admitted = admitted(&mut random);
        let mut jobs: Vec<Job> = admitted
            .iter()
            .map(|&wanted| Job {
                claim: Claim::Deadline(Server::new(wanted)),
                group: NO_GROUP,
                work: wanted.runtime,
                period: wanted.period,
            })
            .collect();
        jobs.push(hog(realtime(99, false)));
        jobs.push(hog(fair(-20)));
        let mut machine = Machine::new(&jobs);
        machine.run(5 * SECOND);
        let total: u64 = admitted.iter().map(Reservation::utilisation).sum();
        assert!(total > RESERVABLE / 100 * 98, "the test is about full ones");
        for (seen, wanted) in machine.seen.iter().zip(&admitted) {
            assert_eq!(seen.late, 0, "{wanted:?} of {admitted:?}");
            assert!(seen.done >= 5 * SECOND / wanted.period - 1);
            done += seen.done;
        }
    }
    assert!(done > 50_000, "{done}");
}

/// Who wants more than it reserved gets what it reserved, and takes nothing from the others.
#[test]
fn a_greedy_reservation_gets_its_budget_and_no_more() {
    let greedy = reservation(30 * MILLISECOND, 100 * MILLISECOND);
    let modest = reservation(6 * MILLISECOND, 10 * MILLISECOND);
    let mut machine = Machine::new(&[
        hog(Claim::Deadline(Server::new(greedy))),
        Job {
            claim: Claim::Deadline(Server::new(modest)),
            group: NO_GROUP,
            work: modest.runtime,
            period: modest.period,
        },
    ]);
    machine.run(10 * SECOND);
    assert_eq!(machine.seen[0].served, 3 * SECOND);
    assert_eq!(machine.seen[1].late, 0);
    assert_eq!(machine.seen[1].done, 1000);
    // Ten percent of the CPU are not reserved: nobody has them.
    assert_eq!(machine.seen[1].served, 6 * SECOND);
}

/// Sleeping and waking again within the period is no way to a larger budget.
#[test]
fn waking_often_gives_no_new_budget() {
    let wanted = reservation(20 * MILLISECOND, 100 * MILLISECOND);
    let mut machine = Machine::new(&[
        Job {
            claim: Claim::Deadline(Server::new(wanted)),
            group: NO_GROUP,
            work: 3 * MILLISECOND,
            period: 4 * MILLISECOND,
        },
        hog(fair(0)),
    ]);
    machine.run(10 * SECOND);
    let got = machine.seen[0].served;
    assert!((1_950..=2_040).contains(&(got / MILLISECOND)), "{got}");
    assert_eq!(machine.seen[1].served, 10 * SECOND - got);
}

/// An overdrawn budget is paid back in the next periods.
#[test]
fn a_long_turn_is_paid_back() {
    let mut queue = RunQueue::new();
    let wanted = reservation(10 * MILLISECOND, 100 * MILLISECOND);
    queue.join(0, Claim::Deadline(Server::new(wanted)), NO_GROUP, 0);
    assert_eq!(queue.pick(0), Some(0));
    assert_eq!(queue.next_decision(0), 10 * MILLISECOND);
    queue.charge(25 * MILLISECOND, 25 * MILLISECOND);
    assert!(queue.should_switch(25 * MILLISECOND));
    queue.put_back(25 * MILLISECOND, 0, false);
    assert_eq!(queue.pick(25 * MILLISECOND), None);
    assert_eq!(
        queue.next_decision(25 * MILLISECOND),
        200 * MILLISECOND,
        "the budget of the second period is spent already"
    );
    assert_eq!(queue.pick(200 * MILLISECOND - 1), None);
    assert_eq!(queue.pick(200 * MILLISECOND), Some(0));
    let until = 205 * MILLISECOND;
    assert_eq!(queue.next_decision(200 * MILLISECOND), until);
    // Yielding says that the work of this period is done.
    queue.charge(201 * MILLISECOND, MILLISECOND);
    queue.put_back(201 * MILLISECOND, 0, true);
    assert_eq!(queue.next_decision(201 * MILLISECOND), 300 * MILLISECOND);
}

/// A deadline before the end of the period: waking between the two waits for the next period.
#[test]
fn a_short_deadline_gives_one_budget_a_period() {
    let wanted = Reservation {
        runtime: 2 * MILLISECOND,
        deadline: 5 * MILLISECOND,
        period: 100 * MILLISECOND,
    };
    let mut machine = Machine::new(&[
        Job {
            claim: Claim::Deadline(Server::new(wanted)),
            group: NO_GROUP,
            work: 2 * MILLISECOND,
            period: 6 * MILLISECOND,
        },
        hog(fair(0)),
    ]);
    machine.run(10 * SECOND);
    assert_eq!(machine.seen[0].served, 200 * MILLISECOND);
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    assert!(reservation(MILLISECOND, SECOND).is_valid());
    assert!(!reservation(2, 1).is_valid());
    assert!(!reservation(1000, SECOND).is_valid());
    assert!(!reservation(0, 0).is_valid());
    assert!(!reservation(MILLISECOND, u64::MAX).is_valid());
    assert_eq!(reservation(SECOND / 2, SECOND).utilisation(), WHOLE / 2);
    assert_eq!(reservation(0, 0).density(), WHOLE);
}

/// The higher priority at once; equals in the order in which they came; who was made to give way goes on first.
#[test]
fn first_come_first_served() {
    let mut queue = RunQueue::new();
    for who in ['a', 'b'] {
        assert!(!queue.join(0, realtime(10, false), NO_GROUP, who));
    }
    assert_eq!(queue.pick(0), Some('a'));
    queue.charge(SECOND / 2, SECOND / 2);
    assert!(!queue.should_switch(SECOND / 2), "no slices here");
    assert_eq!(queue.next_decision(SECOND / 2), NEVER);
    assert!(!queue.join(0, fair(-20), NO_GROUP, 'n'));
    assert!(!queue.join(0, realtime(10, false), NO_GROUP, 'c'));
    assert!(queue.join(0, realtime(11, false), NO_GROUP, 'h'));
    queue.put_back(0, 'a', false);
    assert_eq!(queue.pick(0), Some('h'));
    queue.leave(0);
    assert_eq!(queue.pick(0), Some('a'), "it did not want to stop");
    queue.put_back(0, 'a', true);
    for who in ['b', 'c', 'a', 'n'] {
        assert_eq!(queue.pick(0), Some(who));
        queue.leave(0);
    }
    assert_eq!(queue.pick(0), None);
}

/// Equals take turns of a quantum, and nobody lower gets in between.
#[test]
fn equals_rotate_by_the_quantum() {
    let mut jobs = vec![hog(realtime(5, true)); 3];
    jobs.push(hog(realtime(4, true)));
    let mut machine = Machine::new(&jobs);
    machine.run(3 * SECOND);
    for seen in &machine.seen[..3] {
        assert_eq!(seen.served, SECOND);
    }
    assert_eq!(machine.seen[3].served, 0);
    assert_eq!(machine.switches, 3 * SECOND / QUANTUM);
}

/// A loop of the highest priority leaves five percent; alone it has everything.
#[test]
fn no_priority_locks_the_machine_out() {
    let mut machine = Machine::new(&[hog(realtime(99, false)), hog(fair(0)), hog(fair(0))]);
    machine.run(20 * SECOND);
    let [high, low, other] = [0, 1, 2].map(|who| machine.seen[who].served);
    assert_eq!(high, 19 * SECOND);
    assert!(low.abs_diff(other) < 2 * SLICE);
    let mut machine = Machine::new(&[hog(realtime(99, false))]);
    machine.run(5 * SECOND);
    assert_eq!(machine.seen[0].served, 5 * SECOND);
    assert_eq!(machine.switches, 1);
}

/// What runs only when nobody else wants to gets what is left, and a little.
#[test]
fn the_idle_class_gets_out_of_the_way() {
    let idle = Claim::Fair(Entity::new(IDLE_WEIGHT), Manner::Idle);
    let mut machine = Machine::new(&[
        hog(idle),
        Job {
            claim: fair(0),
            group: NO_GROUP,
            work: 5 * MILLISECOND,
            period: 10 * MILLISECOND,
        },
    ]);
    machine.run(10 * SECOND);
    assert_eq!(machine.seen[1].late, 0);
    assert_eq!(machine.seen[1].done, 1000);
    assert_eq!(machine.seen[0].served, 5 * SECOND);
    let mut queue = RunQueue::new();
    queue.join(0, idle, NO_GROUP, 'i');
    assert_eq!(queue.pick(0), Some('i'));
    let batch = Claim::Fair(Entity::new(NORMAL_WEIGHT), Manner::Batch);
    assert!(queue.join(0, batch, NO_GROUP, 'b'));
    queue.put_back(0, 'i', false);
    assert_eq!(queue.pick(0), Some('b'));
    queue.charge(2 * MILLISECOND, 2 * MILLISECOND);
    assert!(
        !queue.join(2 * MILLISECOND, batch, NO_GROUP, 'c'),
        "batch interrupts nobody"
    );
}

/// Remembers where it waits.
#[derive(Clone)]
struct Traveller(usize, std::rc::Rc<Cell<Option<Ticket>>>);

impl Member for Traveller {
    fn waits(&self, at: Option<Ticket>) {
        let plain = at.map(Ticket::into_parts);
        let again = plain.and_then(|(first, deadline)| Ticket::from_parts(first, deadline));
        assert_eq!(at, again);
        self.1.set(at);
    }
}

/// A unit of virtual time, in nanoseconds for the heaviest.
const ROUNDING: u64 = 100;

fn any_claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        (-20i8..=19).prop_map(fair),
        Just(Claim::Fair(Entity::new(IDLE_WEIGHT), Manner::Idle)),
        (1u8..=100, any::<bool>()).prop_map(|(priority, rotates)| realtime(priority, rotates)),
        (2u64..20, 20u64..60).prop_map(|(runtime, period)| {
            Claim::Deadline(Server::new(reservation(
                runtime * MILLISECOND / 4,
                period * MILLISECOND,
            )))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// If nothing happens, no decision changes before the time that was given for it; nobody is lost; everybody can be
    /// taken out where it says it waits.
    #[test]
    fn the_next_decision_is_no_later_than_it_says(
        claims in proptest::collection::vec((any_claim(), 0usize..6), 1..12),
        quotas in proptest::collection::vec(proptest::option::of((2u64..10, 8u64..40)), 5),
        steps in proptest::collection::vec((0u8..5, any::<u16>(), 1u64..40), 1..200),
    ) {
        let mut queue = RunQueue::new();
        let all: Vec<Traveller> = (0..claims.len()).map(|who| Traveller(who, Default::default())).collect();
        // Two topmost groups, two in the first, and one in one of these.
        let mut groups = Vec::new();
        for (parent, quota) in [None, None, Some(0), Some(0), Some(2)].into_iter().zip(quotas) {
            let group = sharing::group(parent.map(|parent: usize| &groups[parent]));
            group.set_quota(quota.map(|(runtime, period)| Quota {
                runtime: runtime * MILLISECOND / 2,
                period: period * MILLISECOND,
            }));
            groups.push(group);
        }
        let (mut claims, groups): (Vec<Claim>, Vec<_>) = claims
            .into_iter()
            .map(|(claim, group)| (claim, groups.get(group).cloned()))
            .unzip();
        for group in &groups {
            queue.admit(group.as_ref()).expect("there is memory");
        }
        let number = |who: usize| groups[who].as_ref().map_or(NO_GROUP, |group| group.number());
        let mut runnable = vec![false; all.len()];
        let mut running: Option<usize> = None;
        let mut now = SECOND;
        for (step, which, wait) in steps {
            let who = usize::from(which) % all.len();
            match step {
                0 if !runnable[who] => {
                    runnable[who] = true;
                    if queue.join(now, claims[who], number(who), all[who].clone()) {
                        let old = running.take().expect("somebody is preempted");
                        queue.put_back(now, all[old].clone(), false);
                    }
                }
                1 if running.is_some() => {
                    let old = running.take().unwrap();
                    claims[old] = queue.leave(now).unwrap();
                    runnable[old] = false;
                }
                2 if running.is_some() => {
                    let old = running.take().unwrap();
                    queue.put_back(now, all[old].clone(), which % 2 == 0);
                }
                3 if runnable[who] && running != Some(who) => {
                    let ticket = all[who].1.get().expect("it waits somewhere");
                    let (claim, item) = queue.remove(ticket, number(who)).unwrap();
                    prop_assert_eq!(item.0, who);
                    prop_assert_eq!(all[who].1.get(), None);
                    claims[who] = claim;
                    runnable[who] = false;
                }
                _ => {}
            }
            if running.is_none() {
                running = queue.pick(now).map(|item| item.0);
                prop_assert_eq!(queue.is_running(), running.is_some());
                if let Some(who) = running {
                    prop_assert!(all[who].1.get().is_none());
                }
            }
            if queue.should_switch(now) {
                // Only the clock decides this: the deadline of a budget that is spent.
                let old = running.take().unwrap();
                queue.put_back(now, all[old].clone(), false);
                running = queue.pick(now).map(|item| item.0);
            }
            let next = queue.next_decision(now);
            if next > now + ROUNDING {
                let quiet = (wait * MILLISECOND / 2).min(next - now - ROUNDING);
                now += quiet;
                if running.is_some() {
                    queue.charge(now, quiet);
                    prop_assert!(!queue.should_switch(now), "{} before {next}", now);
                } else {
                    prop_assert!(queue.pick(now).is_none());
                }
            } else {
                now += ROUNDING;
                queue.charge(now, ROUNDING);
            }
        }
        // All come out in the end.
        if let Some(who) = running {
            queue.leave(now);
            runnable[who] = false;
        }
        let mut turns = 0;
        while runnable.contains(&true) {
            match queue.pick(now) {
                Some(item) => {
                    runnable[item.0] = false;
                    queue.leave(now);
                }
                None => now = queue.next_decision(now),
            }
            turns += 1;
            prop_assert!(turns < 100, "somebody was lost");
        }
        prop_assert_eq!(queue.waiting(), 0);
        for who in 0..all.len() {
            queue.dismiss(number(who));
        }
        for group in groups.iter().flatten() {
            prop_assert!(queue.group(group.number()).is_none());
        }
    }
}
