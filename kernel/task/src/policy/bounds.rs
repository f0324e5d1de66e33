//! A million steps of random load, against what the theory of the algorithm promises.
//!
//! The measure is an ideal fluid CPU that serves everybody at once by weight, computed here without any of the queue's
//! own arithmetic. I. Stoica and H. Abdel-Wahab (1995), theorem 1: where clients join and leave with no lag, with
//! requests of at most `r` and turns of at most `q`, every lag lies between `-r` and `max(r, q)`, and every request is
//! done at most `q` after its deadline.

use super::*;
use std::eprintln;

/// Steele, Lea and Flood's SplitMix64: the same load for the same seed, on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn weight(&mut self) -> u32 {
        weight_of_nice(self.below(40) as i8 - 20)
    }
}

/// How much longer than its slice a turn lasts, at most: the kernel switches when it gets to it.
const OVERRUN: u64 = 64_000;
/// The longest turn, and so the largest request: `q` and `r` of the theory.
const TURN: f64 = (SLICE + OVERRUN) as f64;

/// A client as the fluid CPU sees it.
#[derive(Clone, Copy)]
struct Client {
    weight: u32,
    active: bool,
    /// Fluid virtual time when it joined, and what it got since, in nanoseconds.
    joined: f64,
    served: f64,
    /// What it will have got when its current request is done, and the virtual time by which it must be.
    request: f64,
    deadline: f64,
    /// When the fluid CPU would have done that request.
    due: Option<f64>,
}

struct Load {
    random: Random,
    queue: Queue<usize>,
    clients: Vec<Client>,
    running: Option<usize>,
    now: f64,
    /// Σ weight of the active ones.
    weight: f64,
    /// Virtual time of the fluid CPU, as nanoseconds for weight 1024.
    fluid: f64,
    lowest: f64,
    highest: f64,
    latest: f64,
    requests: u64,
    joins: u64,
}

impl Load {
    fn new(seed: u64, clients: usize) -> Self {
        let mut random = Random::new(seed);
        let clients = (0..clients)
            .map(|_| Client {
                weight: random.weight(),
                active: false,
                joined: 0.0,
                served: 0.0,
                request: 0.0,
                deadline: 0.0,
                due: None,
            })
            .collect();
        Load {
            random,
            queue: Queue::new(),
            clients,
            running: None,
            now: 0.0,
            weight: 0.0,
            fluid: 0.0,
            lowest: 0.0,
            highest: 0.0,
            latest: 0.0,
            requests: 0,
            joins: 0,
        }
    }

    /// Real nanoseconds that `who` is behind the fluid CPU.
    fn lag(&self, who: usize) -> f64 {
        let client = &self.clients[who];
        (self.fluid - client.joined) * f64::from(client.weight) / 1024.0 - client.served
    }

    /// The next request of `who` begins, where the last one ended.
    fn ask(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.request = client.served + SLICE as f64;
        client.deadline = client.joined + client.request * 1024.0 / f64::from(client.weight);
        client.due = (client.deadline <= self.fluid).then_some(self.now);
    }

    fn join(&mut self, who: usize) {
        self.joins += 1;
        let client = &mut self.clients[who];
        client.active = true;
        client.joined = self.fluid;
        client.served = 0.0;
        self.weight += f64::from(client.weight);
        let entity = Entity::new(client.weight);
        self.ask(who);
        if self.queue.join(entity, who)
            && let Some(running) = self.running.take()
        {
            self.queue.put_back(running, false);
        }
    }

    /// The running one runs for `time`, and the fluid CPU serves everybody meanwhile.
    fn pass(&mut self, who: usize, time: u64) {
        let before = self.fluid;
        let rate = 1024.0 / self.weight;
        self.queue.charge(time);
        self.fluid += time as f64 * rate;
        self.clients[who].served += time as f64;
        for client in &mut self.clients {
            if client.active && client.due.is_none() && client.deadline <= self.fluid {
                client.due = Some(self.now + (client.deadline - before).max(0.0) / rate);
            }
        }
        self.now += time as f64;
        if self.clients[who].served >= self.clients[who].request {
            // It was done at the end of the slice; what came after is the start of the next one.
            let over = self.clients[who].served - self.clients[who].request;
            if let Some(due) = self.clients[who].due {
                self.latest = self.latest.max(self.now - over - due);
            }
            self.requests += 1;
        }
        for who in 0..self.clients.len() {
            if self.clients[who].active {
                let lag = self.lag(who);
                self.lowest = self.lowest.min(lag);
                self.highest = self.highest.max(lag);
            }
        }
    }

    fn step(&mut self) {
        let who = self.random.below(self.clients.len() as u64) as usize;
        if !self.clients[who].active && self.random.below(8) == 0 {
            self.join(who);
        }
        if self.running.is_none() {
            self.running = self.queue.pick();
        }
        let Some(who) = self.running else {
            return self.join(who);
        };
        let left = self.queue.slice_left();
        // The theory is about clients that leave with no lag: this is when it has none left.
        let share = f64::from(self.clients[who].weight) / self.weight;
        let until = (self.lag(who) / (1.0 - share)).round();
        if self.random.below(4) == 0 && until >= 1.0 && until < left as f64 {
            self.pass(who, until as u64);
            self.queue.leave();
            self.running = None;
            self.clients[who].active = false;
            self.weight -= f64::from(self.clients[who].weight);
            return;
        }
        let mut time = 1 + self.random.below(SLICE / 2);
        if time >= left {
            time = left + 1 + self.random.below(OVERRUN);
        }
        self.pass(who, time);
        if self.queue.should_switch() {
            self.queue.put_back(who, false);
            self.running = None;
            self.ask(who);
        } else if self.clients[who].served >= self.clients[who].request {
            self.ask(who);
        }
    }
}

/// How far the clocks of fluid and queue may be apart: both round.
const ROUNDING: f64 = 50.0;

#[test]
fn a_million_steps_stay_within_the_theory() {
    for (seed, clients) in [(1, 3), (2, 8), (3, 24), (4, 60)] {
        let mut load = Load::new(seed, clients);
        for _ in 0..250_000 {
            load.step();
        }
        eprintln!(
            "{clients} clients, {:.1} s, {} requests, {} joins: lag {:.0} to {:.0} us of -{:.0} to {:.0}, late {:.0} us of {:.0}",
            load.now / 1e9,
            load.requests,
            load.joins,
            load.lowest / 1e3,
            load.highest / 1e3,
            TURN / 1e3,
            TURN / 1e3,
            load.latest / 1e3,
            TURN / 1e3,
        );
        assert!(load.lowest > -TURN - ROUNDING, "{}", load.lowest);
        assert!(load.highest < TURN + ROUNDING, "{}", load.highest);
        assert!(load.latest < TURN + ROUNDING, "{}", load.latest);
        assert!(load.requests > 10_000 && load.joins > 1_000);
    }
}

/// Virtual time is whole numbers, and a turn may be shorter than one: rounding must favour nobody.
#[test]
fn short_turns_are_charged_in_full() {
    for nice in [-20, -15, -7, 0, 3, 18] {
        for turn in [250, 300, 999] {
            let weights = [weight_of_nice(nice), weight_of_nice(nice + 1)];
            let mut queue = Queue::new();
            queue.join(Entity::new(weights[0]), 0);
            queue.join(Entity::new(weights[1]), 1);
            let mut served = [0u64; 2];
            while served[0].min(served[1]) < 100 * SLICE {
                let who: usize = queue.pick().unwrap();
                served[who] += turn;
                queue.charge(turn);
                queue.put_back(who, false);
            }
            let seen = served[0] as f64 / served[1] as f64;
            let share = f64::from(weights[0]) / f64::from(weights[1]);
            // One may be two slices ahead in the end.
            assert!(
                (seen / share - 1.0).abs() < 0.02,
                "nice {nice}, {turn} ns: {seen} for {share}"
            );
        }
    }
}
