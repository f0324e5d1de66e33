//! A CPU in a few lines, to see what the policy does with tasks of all sorts.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What a simulated task does, over and over: compute for `burst` ns, then sleep for `pause` ns.
#[derive(Clone, Copy, Debug)]
struct Habit {
    weight: u32,
    burst: u64,
    pause: u64,
}

/// One that never sleeps.
fn hog(weight: u32) -> Habit {
    Habit {
        weight,
        burst: u64::MAX,
        pause: 0,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// CPU time it got.
    served: u64,
    /// The longest time from waking to running.
    delay: u64,
    woken: u64,
    bursts: u64,
}

struct Simulation {
    queue: Queue<usize>,
    habits: Vec<Habit>,
    /// What each has left of its burst.
    left: Vec<u64>,
    asleep: Vec<Entity>,
    wakes: BTreeSet<(u64, usize)>,
    seen: Vec<Seen>,
    now: u64,
    running: Option<usize>,
    switches: u64,
}

impl Simulation {
    fn new(habits: &[Habit]) -> Self {
        Simulation {
            queue: Queue::new(),
            habits: habits.to_vec(),
            left: habits.iter().map(|habit| habit.burst).collect(),
            asleep: habits.iter().map(|h| Entity::new(h.weight)).collect(),
            wakes: (0..habits.len()).map(|who| (0, who)).collect(),
            seen: vec![Seen::default(); habits.len()],
            now: 0,
            running: None,
            switches: 0,
        }
    }

    fn wake_due(&mut self) {
        while let Some(&(at, who)) = self.wakes.first()
            && at <= self.now
        {
            self.wakes.pop_first();
            self.seen[who].woken = self.now;
            if self.queue.join(self.asleep[who], who)
                && let Some(running) = self.running.take()
            {
                self.queue.put_back(running, false);
            }
        }
    }

    /// Runs until `end`, and calls `check` after each step.
    fn run(&mut self, end: u64, mut check: impl FnMut(&Simulation)) {
        while self.now < end {
            self.wake_due();
            if self.running.is_none() {
                self.running = self.queue.pick();
                self.switches += 1;
                if let Some(who) = self.running {
                    let seen = &mut self.seen[who];
                    seen.delay = seen.delay.max(self.now - seen.woken);
                }
            }
            let next_wake = self.wakes.first().map_or(end, |&(at, _)| at.min(end));
            let Some(who) = self.running else {
                self.now = next_wake;
                continue;
            };
            let mut step = self.left[who].min(next_wake - self.now);
            if self.queue.waiting() > 0 {
                step = step.min(self.queue.slice_left());
            }
            let step = step.max(SHORTEST_TURN);
            self.now += step;
            self.seen[who].served += step;
            self.queue.charge(step);
            let habit = self.habits[who];
            if habit.burst != u64::MAX {
                self.left[who] = self.left[who].saturating_sub(step);
            }
            if self.left[who] == 0 {
                self.asleep[who] = self.queue.leave().expect("it ran");
                self.running = None;
                self.left[who] = habit.burst;
                self.seen[who].bursts += 1;
                self.wakes.insert((self.now + habit.pause, who));
            } else if self.queue.should_switch() {
                self.queue.put_back(who, false);
                self.running = None;
                self.seen[who].woken = self.now;
            }
            check(self);
        }
    }
}

const SECOND: u64 = 1_000_000_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Who always wants the CPU gets its share at any time, to within two slices.
    #[test]
    fn hogs_share_by_weight(nices in proptest::collection::vec(-20i8..=19, 2..12)) {
        let habits: Vec<_> = nices.iter().map(|&nice| hog(weight_of_nice(nice))).collect();
        let total: u64 = habits.iter().map(|habit| u64::from(habit.weight)).sum();
        let mut simulation = Simulation::new(&habits);
        simulation.run(5 * SECOND, |simulation| {
            for (habit, seen) in habits.iter().zip(&simulation.seen) {
                let fair = u64::from(habit.weight) as f64 / total as f64 * simulation.now as f64;
                let off = (seen.served as f64 - fair).abs();
                assert!(off <= 2.0 * SLICE as f64, "{off} ns from its fair share");
            }
        });
    }

    /// With sleepers of every sort, nobody is starved, nobody gets more than it asks for, the CPU is never left idle
    /// while somebody wants it, and the sums stay exact.
    #[test]
    fn anything_goes(
        tasks in proptest::collection::vec(
            (-20i8..=19, 1_000u64..20_000_000, 0u64..50_000_000),
            1..20,
        ),
    ) {
        let mut habits: Vec<_> = tasks
            .iter()
            .map(|&(nice, burst, pause)| Habit { weight: weight_of_nice(nice), burst, pause })
            .collect();
        habits.push(hog(NORMAL_WEIGHT));
        let total: u64 = habits.iter().map(|habit| u64::from(habit.weight)).sum();
        let mut simulation = Simulation::new(&habits);
        simulation.run(2 * SECOND, |simulation| {
            if simulation.running.is_none() && simulation.queue.waiting() == 0 {
                assert_eq!(simulation.queue.weight, 0);
                assert_eq!(simulation.queue.sum, 0);
            }
        });
        let served: u64 = simulation.seen.iter().map(|seen| seen.served).sum();
        prop_assert_eq!(served, simulation.now);
        // The hog competes all the time, so it gets at least the share it would have if nobody ever slept.
        let hog = simulation.seen.last().unwrap();
        let fair = f64::from(NORMAL_WEIGHT) / total as f64 * simulation.now as f64;
        let slack = (habits.len() as f64 + 2.0) * SLICE as f64;
        prop_assert!(hog.served as f64 >= fair - slack, "{} of {fair}", hog.served);
        for (habit, seen) in habits.iter().zip(&simulation.seen) {
            let fair = f64::from(habit.weight) / total as f64 * simulation.now as f64;
            prop_assert!(seen.served > 0 || fair < 2.0 * SLICE as f64);
        }
    }
}

/// One that sleeps most of the time waits at most for the slices of those before it.
#[test]
fn a_sleeper_among_hogs_waits_a_bounded_time() {
    let mut habits = vec![hog(NORMAL_WEIGHT); 3];
    habits.push(Habit {
        weight: NORMAL_WEIGHT,
        burst: 100_000,
        pause: 20_000_000,
    });
    let mut simulation = Simulation::new(&habits);
    simulation.run(10 * SECOND, |_| {});
    let seen = simulation.seen[3];
    assert!(seen.bursts > 300, "{} bursts", seen.bursts);
    assert!(seen.delay <= 4 * SLICE, "waited {} ns", seen.delay);
}

/// One that never gets to its share comes first, and does not lose its claim by sleeping.
#[test]
fn lag_is_kept_over_sleep() {
    let mut queue = Queue::new();
    queue.join(Entity::new(NORMAL_WEIGHT), "hog");
    queue.join(Entity::new(NORMAL_WEIGHT), "meek");
    assert_eq!(queue.pick(), Some("hog"));
    queue.charge(2_000_000);
    queue.put_back("hog", true);
    assert_eq!(queue.pick(), Some("meek"));
    queue.charge(500_000);
    let meek = queue.leave().unwrap();
    assert_eq!(meek.lag(), 750_000);
    assert_eq!(queue.pick(), Some("hog"));
    queue.charge(100_000);
    assert!(queue.join(meek, "meek"), "its deadline is earlier");
    let hog = queue.leave().unwrap();
    assert!(hog.lag() < 0);
}

/// A debt is forgiven as time passes for the others.
#[test]
fn who_overdrew_waits_until_time_has_caught_up() {
    let mut queue = Queue::new();
    queue.join(Entity::new(NORMAL_WEIGHT), 'a');
    queue.join(Entity::new(NORMAL_WEIGHT), 'b');
    assert_eq!(queue.pick(), Some('a'));
    queue.charge(2_000_000);
    let a = queue.leave().unwrap();
    assert_eq!(a.lag(), -1_000_000);
    assert_eq!(queue.pick(), Some('b'));
    queue.charge(400_000);
    let mut early = queue;
    assert!(!early.join(a, 'a'));
    assert_eq!(early.slice_left(), 2_600_000);
    early.put_back('b', false);
    assert_eq!(
        early.pick(),
        Some('b'),
        "the one that overdrew is not eligible"
    );
}

/// Two entities run on it in turn until its virtual time is `age`.
fn queue_of_age(age: u64) -> Queue<char> {
    let mut queue = Queue::new();
    queue.join(Entity::new(NORMAL_WEIGHT), 'x');
    queue.join(Entity::new(NORMAL_WEIGHT), 'y');
    pass(&mut queue, age);
    queue
}

/// Virtual time passes in a queue of two entities.
fn pass(queue: &mut Queue<char>, time: u64) {
    for _ in 0..time / 1_000_000 {
        for _ in 0..2 {
            let who = queue.pick().unwrap();
            queue.charge(1_000_000);
            queue.put_back(who, true);
        }
    }
    queue.settle();
}

/// A debt means the same in whatever queue it is paid: virtual times of two queues do not compare.
#[test]
fn a_debt_moves_between_queues_of_different_age() {
    for ages in [(0, 100 * SECOND), (100 * SECOND, 0)] {
        let (mut from, mut to) = (queue_of_age(ages.0), queue_of_age(ages.1));
        let left = from.reference;
        let debtor = Entity::from_parts(NORMAL_WEIGHT, -5_000_000, left);
        pass(&mut from, 2_000_000);
        let migrant = from.depart(debtor);
        assert_eq!(migrant.lag, -3_000_000, "what has passed is forgiven");
        let entity = to.adopt(migrant);
        assert_eq!(to.forgive(&entity), -3_000_000, "nothing has passed here");
        pass(&mut to, 1_000_000);
        assert_eq!(to.forgive(&entity), -2_000_000);
        // It may go to and fro without ever running.
        let migrant = to.depart(entity);
        let entity = from.adopt(migrant);
        pass(&mut from, 1_000_000);
        assert_eq!(from.forgive(&entity), -1_000_000);
        let before = from.reference;
        assert!(!from.join(entity, 'm'));
        from.settle();
        assert!(from.reference.abs_diff(before) <= 1_000_000);
        pass(&mut from, 1_000_000);
        assert_eq!(from.forgive(&entity), 0);
    }
}

/// Where nobody is, nobody is owed anything.
#[test]
fn an_empty_queue_forgives_everything() {
    let mut queue = Queue::<char>::new();
    let debtor = Entity::from_parts(NORMAL_WEIGHT, -3_000_000, 0);
    assert_eq!(queue.depart(debtor).lag, 0);
    let creditor = Entity::from_parts(NORMAL_WEIGHT, 3_000_000, 0);
    assert_eq!(queue.depart(creditor).lag, 0);
}

/// Who is taken out takes what it is owed along, and leaves the sums of both queues exact.
#[test]
fn a_waiting_entity_is_taken_out_with_its_claim() {
    let mut queue = Queue::new();
    for who in 0..4 {
        queue.join(Entity::new(NORMAL_WEIGHT), who);
    }
    assert_eq!(queue.pick(), Some(0));
    queue.charge(2_000_000);
    assert!(queue.take_last(|_| false).is_none());
    let (migrant, who) = queue.take_last(|who| who % 2 == 0).unwrap();
    assert_eq!((who, migrant.lag), (2, 500_000));
    assert_eq!(queue.waiting(), 2);
    let mut other = Queue::new();
    other.join(Entity::new(512), 9);
    assert_eq!(other.pick(), Some(9));
    other.charge(7_000_000);
    let entity = other.adopt(migrant);
    other.join(entity, who);
    assert!(other.should_switch(), "it is owed something, and waits");
    assert_eq!(other.weight, i64::from(NORMAL_WEIGHT + 512));
    for queue in [&mut queue, &mut other] {
        queue.leave();
        while queue.pick().is_some() {
            queue.leave();
        }
        assert_eq!((queue.weight, queue.sum), (0, 0));
    }
    // The last one is the average itself.
    other.join(Entity::new(NORMAL_WEIGHT), 1);
    let (migrant, _) = other.take_last(|_| true).unwrap();
    assert_eq!((migrant.lag, other.weight, other.sum), (0, 0, 0));
}

#[test]
fn a_lone_entity_is_never_asked_to_give_way() {
    let mut simulation = Simulation::new(&[hog(15)]);
    simulation.run(SECOND, |simulation| {
        assert!(!simulation.queue.should_switch())
    });
    assert_eq!(simulation.switches, 1);
}

/// A yield lets everybody else go first, even when no time passes.
#[test]
fn yielding_goes_around() {
    let mut queue = Queue::new();
    for who in 0..4 {
        queue.join(Entity::new(NORMAL_WEIGHT), who);
    }
    for turn in 0..40 {
        let who = queue.pick().unwrap();
        assert_eq!(who, turn % 4);
        queue.put_back(who, true);
    }
}

/// A change of weight counts from now on, and moves nobody's claim.
#[test]
fn another_weight_changes_the_share_and_not_the_claim() {
    let mut queue = Queue::new();
    queue.join(Entity::new(NORMAL_WEIGHT), 0);
    queue.join(Entity::new(NORMAL_WEIGHT), 1);
    let mut served = [0u64; 2];
    let mut run = |queue: &mut Queue<usize>, turns: u64, weight: u32| {
        let before = served;
        for _ in 0..turns {
            let who = queue.pick().unwrap();
            queue.charge(100_000);
            served[who] += 100_000;
            if who == 0 {
                queue.reweigh(weight);
            }
            queue.put_back(who, false);
        }
        (served[0] - before[0], served[1] - before[1])
    };
    for (weight, share) in [
        (NORMAL_WEIGHT, 1.0),
        (3072, 3.0),
        (256, 0.25),
        (15, 15.0 / 1024.0),
    ] {
        let (mine, other) = run(&mut queue, 400_000, weight);
        let seen = mine as f64 / other as f64;
        assert!((seen / share - 1.0).abs() < 0.01, "{seen} for {share}");
        assert_eq!(queue.weight, i64::from(NORMAL_WEIGHT + weight));
    }
}
