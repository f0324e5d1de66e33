//! Seats of tasks: reservations admitted on all CPUs.
//!
//! The one idea: who has a reservation has a seat ([`policy::Seat`](crate::policy::Seat)), and runs nowhere but on that
//! CPU. The seat is taken before the class changes, and given back when the class changes again or the task is done, so
//! what a CPU promised is always at least what runs there.
//!
//! One lock guards the partition and is held while anything changes on which a seat depends: the class, the set of CPUs
//! or the group of a task, and the set of a group. It comes after that of the groups' rules and before those of a task's
//! group, a task's seat and the run queues, in this order.

use crate::policy::{Class, Partition};
use crate::{Task, placement};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::cpu::Shared;
use machine::sync::{Spin, SpinGuard};

static SEATS: Shared<Spin<Partition>> = Shared::new(|| Spin::new(Partition::new()));

/// Nobody's class, set or group changes while this is held.
pub(crate) struct Seats(SpinGuard<'static, Partition>);

impl Seats {
    pub fn lock() -> Seats {
        Seats(SEATS.get().lock())
    }

    /// What is reserved of this CPU, of [`crate::policy::WHOLE`].
    pub fn taken(&self, cpu: usize) -> u64 {
        self.0.taken(cpu)
    }

    /// Makes `task` compete in this class, on a CPU where that fits.
    ///
    /// # Errors
    /// [`Error::Busy`]: it fits on none of its CPUs. [`Error::Closed`]: the task is done. Nothing has changed.
    pub fn set_class(&mut self, task: &Task, class: Class) -> Result<(), Error> {
        let mut seat = task.seat.lock();
        // Whoever is done has given its seat back, or waits for this lock to do it.
        if task.is_done() {
            return Err(Error::Closed);
        }
        let place = match class {
            Class::Deadline(reservation) => {
                let (density, allowed) = (reservation.density(), task.affinity());
                let allowed = allowed & placement::running();
                let taken = match &mut *seat {
                    Some(seat) => self.0.change(seat, density, allowed).then_some(seat),
                    none => {
                        let new = self.0.seat(density, allowed);
                        new.map(|new| none.insert(new))
                    }
                };
                1 << taken.ok_or(Error::Busy)?.cpu()
            }
            _ => {
                if let Some(old) = seat.take() {
                    self.0.unseat(old);
                }
                task.affinity()
            }
        };
        drop(seat);
        placement::compete(task, |task| {
            task.set_place(place);
            task.standing.ask(class);
        });
        Ok(())
    }

    /// Makes `task` run on these CPUs only, and moves its seat if it has one elsewhere. `store` keeps the set.
    ///
    /// # Errors
    /// [`Error::Invalid`]: none of them runs. [`Error::Busy`]: none of them has room for its reservation.
    pub fn set_affinity(
        &mut self,
        task: &Task,
        cpus: u64,
        store: impl FnOnce(u64),
    ) -> Result<(), Error> {
        let running = cpus & placement::running();
        if running == 0 {
            return Err(Error::Invalid);
        }
        let place = match &mut *task.seat.lock() {
            Some(seat) => {
                let density = seat.density();
                if !self.0.change(seat, density, running) {
                    return Err(Error::Busy);
                }
                1 << seat.cpu()
            }
            None => cpus,
        };
        placement::confine(task, place, || store(cpus));
        Ok(())
    }

    /// Moves the seats of these tasks to CPUs that `allowed` names: all of them, or none.
    ///
    /// # Errors
    /// [`Error::Busy`]: they do not fit there.
    pub fn move_all(
        &mut self,
        tasks: &[Arc<Task>],
        allowed: impl Fn(&Task) -> u64,
    ) -> Result<(), Error> {
        let mut seats = Vec::new();
        for task in tasks {
            if let Some(seat) = task.seat.lock().take() {
                seats.push((task, seat));
            }
        }
        let mut moves: Vec<_> = seats
            .iter_mut()
            .map(|(task, seat)| (seat, allowed(task) & placement::running()))
            .collect();
        let moved = self.0.move_all(&mut moves);
        for (task, seat) in seats {
            let mut place = task.seat.lock();
            if task.is_done() {
                self.0.unseat(seat);
            } else {
                *place = Some(seat);
            }
        }
        if moved { Ok(()) } else { Err(Error::Busy) }
    }
}

/// `task` is done, and needs no seat.
pub(crate) fn leave(task: &Task) {
    let seat = task.seat.lock().take();
    if let Some(seat) = seat {
        Seats::lock().0.unseat(seat);
    }
}
