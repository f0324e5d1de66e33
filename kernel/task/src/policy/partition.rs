//! On which CPU a reservation gets its seat.
//!
//! The one idea: every CPU schedules its own reservations by earliest deadline, which meets all of them as long as their
//! densities add up to no more than [`RESERVABLE`]. So a reservation gets a seat on one CPU, for as long as it lasts, and
//! what is left to do is to pack.
//!
//! Seats are given by first fit: the CPU with the lowest number that has room. It leaves whole CPUs free, where a large
//! reservation that comes later still fits, and spreading them out (worst fit) does not: on `m` CPUs, with no density
//! over `1 / b`, first fit admits everything up to `(b m + 1) / (b + 1)` of them, the most that any partitioning can
//! promise, and worst fit promises no more than `m - (m - 1) / b`. After J. M. López, J. L. Díaz and D. F. García,
//! "Utilization Bounds for EDF Scheduling on Real-Time Multiprocessor Systems" (2004). Deadlines are met in either case,
//! so nothing is gained by spreading but for whoever has a share, and CPUs with nothing to do fetch those.
//!
//! Pure. Cost: O(CPUs) a seat.

use super::RESERVABLE;
use core::cmp::Reverse;

/// How many CPUs there can be: a set of them is one word.
const CPUS: usize = u64::BITS as usize;

/// What of each CPU is reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    taken: [u64; CPUS],
}

/// A part of one CPU. Only the [`Partition`] that gave it makes one, and it takes it back.
#[must_use = "a seat that is forgotten stays taken"]
#[derive(Debug, PartialEq, Eq)]
pub struct Seat {
    cpu: usize,
    density: u64,
}

impl Seat {
    /// The number of the CPU.
    pub fn cpu(&self) -> usize {
        self.cpu
    }

    /// How much of it, of [`WHOLE`](super::WHOLE).
    pub fn density(&self) -> u64 {
        self.density
    }
}

impl Partition {
    /// Nothing is reserved.
    pub const fn new() -> Self {
        Partition { taken: [0; CPUS] }
    }

    /// What is reserved of this CPU, of [`WHOLE`](super::WHOLE).
    pub fn taken(&self, cpu: usize) -> u64 {
        self.taken.get(cpu).copied().unwrap_or(0)
    }

    /// A seat for this density ([`Reservation::density`](super::Reservation::density)) on one of the CPUs in `allowed`,
    /// one bit each. `None`: it does not fit on any.
    pub fn seat(&mut self, density: u64, allowed: u64) -> Option<Seat> {
        let cpu = self.first_fit(density, allowed)?;
        self.taken[cpu] += density;
        Some(Seat { cpu, density })
    }

    /// Takes a seat back.
    pub fn unseat(&mut self, seat: Seat) {
        self.taken[seat.cpu] -= seat.density;
    }

    /// Makes a seat one of another density, or on other CPUs: on the same CPU if that is possible. `false`: it does not
    /// fit, and the seat is what it was.
    pub fn change(&mut self, seat: &mut Seat, density: u64, allowed: u64) -> bool {
        self.taken[seat.cpu] -= seat.density;
        let stays = self.first_fit(density, allowed & 1 << seat.cpu);
        let found = stays.or_else(|| self.first_fit(density, allowed));
        if let Some(cpu) = found {
            *seat = Seat { cpu, density };
        }
        self.taken[seat.cpu] += seat.density;
        found.is_some()
    }

    /// Moves several seats, each to one of its CPUs if it is not on one already: all of them, or none (`false`). The
    /// largest are moved first, as they fit into the fewest places; O(n log n).
    pub fn move_all(&mut self, seats: &mut [(&mut Seat, u64)]) -> bool {
        let mut plan = self.clone();
        seats.sort_unstable_by_key(|(seat, _)| Reverse(seat.density));
        // First all of them stand up, then each looks for a place.
        for (seat, allowed) in seats.iter_mut() {
            if *allowed >> seat.cpu & 1 == 0 {
                plan.taken[seat.cpu] -= seat.density;
            } else {
                *allowed = 1 << seat.cpu;
            }
        }
        for (seat, allowed) in seats.iter_mut() {
            if *allowed == 1 << seat.cpu {
                continue;
            }
            let Some(cpu) = plan.first_fit(seat.density, *allowed) else {
                return false;
            };
            plan.taken[cpu] += seat.density;
            *allowed = 1 << cpu;
        }
        for (seat, place) in seats {
            seat.cpu = place.trailing_zeros() as usize;
        }
        *self = plan;
        true
    }

    fn first_fit(&self, density: u64, allowed: u64) -> Option<usize> {
        let room = RESERVABLE.checked_sub(density)?;
        (0..CPUS).find(|cpu| allowed >> cpu & 1 != 0 && self.taken[*cpu] <= room)
    }
}

impl Default for Partition {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reservation, WHOLE};
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const HALF: u64 = WHOLE / 2;
    const THIRD: u64 = WHOLE / 3;

    fn cpus(seats: &[Seat]) -> Vec<usize> {
        seats.iter().map(Seat::cpu).collect()
    }

    #[test]
    fn the_first_cpu_with_room_is_taken() {
        let mut partition = Partition::new();
        let mut seat = |density, allowed| partition.seat(density, allowed);
        let mut seats = Vec::new();
        for density in [THIRD, HALF, HALF] {
            seats.extend(seat(density, 0b11));
        }
        assert_eq!(cpus(&seats), [0, 0, 1]);
        assert_eq!(seat(HALF, 0b11), None);
        seats.extend(seat(THIRD, 0b11));
        assert_eq!(cpus(&seats), [0, 0, 1, 1]);
        assert_eq!(seat(1 << 20, 0b100), None, "nobody gets a CPU for itself");
        assert_eq!(seat(HALF, 0), None);
    }

    /// Three that fit on two CPUs by first fit, and by worst fit do not.
    #[test]
    fn what_comes_later_and_is_large_fits() {
        let mut partition = Partition::new();
        let densities = [THIRD, THIRD, RESERVABLE];
        let seats: Vec<_> = densities
            .iter()
            .filter_map(|density| partition.seat(*density, 0b11))
            .collect();
        assert_eq!(cpus(&seats), [0, 0, 1]);
    }

    #[test]
    fn who_can_stay_stays() {
        let mut partition = Partition::new();
        let mut seat = partition.seat(HALF, 0b10).expect("it fits");
        assert!(partition.change(&mut seat, THIRD, 0b11));
        assert_eq!((seat.cpu(), partition.taken(1)), (1, THIRD));
        let other = partition.seat(HALF, 0b01).expect("it fits");
        assert!(!partition.change(&mut seat, HALF, 0b01), "there is no room");
        assert_eq!((seat.cpu(), partition.taken(1)), (1, THIRD));
        partition.unseat(other);
        assert!(partition.change(&mut seat, HALF, 0b01));
        partition.unseat(seat);
        assert_eq!(partition, Partition::new());
    }

    /// Two that change places, which neither could alone.
    #[test]
    fn several_move_at_once_or_none() {
        let mut partition = Partition::new();
        let mut one = partition.seat(HALF, 0b01).expect("it fits");
        let mut two = partition.seat(HALF + 1, 0b10).expect("it fits");
        assert!(partition.move_all(&mut [(&mut one, 0b10), (&mut two, 0b01)]));
        assert_eq!((one.cpu(), two.cpu()), (1, 0));
        let before = partition.clone();
        assert!(!partition.move_all(&mut [(&mut one, 0b01), (&mut two, 0b01)]));
        assert_eq!((one.cpu(), two.cpu()), (1, 0));
        assert_eq!(partition, before);
    }

    /// What is done with a seat, or with one that is new.
    #[derive(Clone, Debug)]
    enum Step {
        Seat(Reservation, u64),
        Change(usize, Reservation, u64),
        Move(Vec<(usize, u64)>),
        Unseat(usize),
    }

    fn reservation() -> impl Strategy<Value = Reservation> {
        (1u64..=1000, 1u64..=1000, 1u64..=1000).prop_map(|(runtime, more, rest)| Reservation {
            runtime: runtime << 10,
            deadline: (runtime + more) << 10,
            period: (runtime + more + rest) << 10,
        })
    }

    fn step() -> impl Strategy<Value = Step> {
        let allowed = 0u64..16;
        prop_oneof![
            3 => (reservation(), allowed.clone()).prop_map(|(what, where_)| Step::Seat(what, where_)),
            2 => (0usize..20, reservation(), allowed.clone())
                .prop_map(|(who, what, where_)| Step::Change(who, what, where_)),
            1 => prop::collection::vec((0usize..20, allowed), 0..6).prop_map(Step::Move),
            1 => (0usize..20).prop_map(Step::Unseat),
        ]
    }

    proptest! {
        /// No CPU is ever reserved beyond the limit, what is counted is what the seats are, and each is where it may be.
        #[test]
        fn no_cpu_promises_more_than_it_has(steps in prop::collection::vec(step(), 0..200)) {
            let mut partition = Partition::new();
            let mut seats: Vec<(Seat, u64)> = Vec::new();
            for step in steps {
                match step {
                    Step::Seat(what, allowed) => {
                        let fits = (0..4).any(|cpu| {
                            allowed >> cpu & 1 != 0
                                && partition.taken(cpu) + what.density() <= RESERVABLE
                        });
                        let seat = partition.seat(what.density(), allowed);
                        prop_assert_eq!(seat.is_some(), fits);
                        seats.extend(seat.map(|seat| (seat, allowed)));
                    }
                    Step::Change(who, what, allowed) => {
                        if let Some((seat, may)) = seats.get_mut(who)
                            && partition.change(seat, what.density(), allowed)
                        {
                            *may = allowed;
                        }
                    }
                    Step::Move(wanted) => {
                        let before = partition.clone();
                        let mut moved: Vec<(&mut Seat, u64)> = Vec::new();
                        for (who, (seat, may)) in seats.iter_mut().enumerate() {
                            if let Some((_, allowed)) = wanted.iter().find(|(it, _)| *it == who) {
                                moved.push((seat, *allowed));
                                *may |= *allowed;
                            }
                        }
                        if !partition.move_all(&mut moved) {
                            prop_assert_eq!(&partition, &before);
                        }
                    }
                    Step::Unseat(who) if who < seats.len() => {
                        partition.unseat(seats.swap_remove(who).0);
                    }
                    Step::Unseat(_) => {}
                }
                for cpu in 0..CPUS {
                    let here = seats.iter().filter(|(seat, _)| seat.cpu() == cpu);
                    let taken: u64 = here.map(|(seat, _)| seat.density).sum();
                    prop_assert_eq!(taken, partition.taken(cpu));
                    prop_assert!(taken <= RESERVABLE);
                }
                for (seat, may) in &seats {
                    prop_assert!(*may >> seat.cpu() & 1 != 0);
                }
            }
            for (seat, _) in seats {
                partition.unseat(seat);
            }
            prop_assert_eq!(partition, Partition::new());
        }
    }
}
