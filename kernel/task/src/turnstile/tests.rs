//! Turnstiles of tasks on a simulated CPU.

use super::{BlockError, Turnstile, any_held, close, give_up};
use crate::executor_tests::compute;
use crate::policy::{Class, Reservation};
use crate::{Task, WaitQueue, clock, current, run_until_idle, sleep_until, spawn};
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::sync::Spin;

const MILLISECOND: u64 = 1_000_000;

fn fifo(priority: u8) -> Class {
    Class::Realtime {
        priority,
        rotates: false,
    }
}

/// A lock as a door makes one: a flag, and a turnstile while somebody waits.
#[derive(Default)]
struct Lock(Spin<(Option<Arc<Task>>, Option<Turnstile>)>);

impl Lock {
    async fn lock(&self) {
        let me = current().unwrap();
        {
            let mut state = self.0.lock();
            let (owner, turnstile) = &mut *state;
            let Some(holder) = owner else {
                *owner = Some(me);
                return;
            };
            let turnstile =
                turnstile.get_or_insert_with(|| Turnstile::new(holder, [1, 2]).unwrap());
            turnstile.block(&me, 0).unwrap();
        }
        let queue = WaitQueue::new();
        let granted = || (!me.is_blocked()).then_some(());
        queue.wait_until(granted).await.unwrap();
        self.0.lock().0 = Some(me);
    }

    fn unlock(&self) {
        let mut state = self.0.lock();
        if let Some(turnstile) = &state.1
            && turnstile.pass().is_some()
        {
            if turnstile.first().is_none() {
                state.1 = None;
            }
            return;
        }
        state.0 = None;
    }
}

/// What stopped the Mars Pathfinder in 1997: a low task holds the lock that a high one wants, and one between them has
/// much to do. With inheritance the high one waits for the critical section, and not for the one between.
#[test]
fn inheritance_bounds_inversion() {
    let lock = Arc::new(Lock::default());
    let ends = Arc::new(Spin::new(Vec::new()));
    let begin = clock::now();
    let meteorology = spawn("meteorology", {
        let (lock, ends) = (lock.clone(), ends.clone());
        async move {
            lock.lock().await;
            compute(2 * MILLISECOND).await;
            assert_eq!(current().unwrap().effective_class(), fifo(30));
            lock.unlock();
            assert_eq!(current().unwrap().inherited(), 0);
            // Who was lent the priority is not to keep it.
            compute(10_000).await;
            ends.lock().push(("meteorology", clock::now() - begin));
        }
    });
    meteorology.unwrap().set_class(fifo(10)).unwrap();
    let communication = spawn("communication", {
        let ends = ends.clone();
        async move {
            sleep_until(begin + MILLISECOND).await.unwrap();
            compute(500 * MILLISECOND).await;
            ends.lock().push(("communication", clock::now() - begin));
        }
    });
    communication.unwrap().set_class(fifo(20)).unwrap();
    let bus = spawn("bus", {
        let (lock, ends) = (lock.clone(), ends.clone());
        async move {
            sleep_until(begin + MILLISECOND).await.unwrap();
            lock.lock().await;
            compute(MILLISECOND).await;
            lock.unlock();
            ends.lock().push(("bus", clock::now() - begin));
        }
    });
    bus.unwrap().set_class(fifo(30)).unwrap();
    crate::block_on(async {
        while ends.lock().len() < 3 {
            sleep_until(clock::now() + MILLISECOND).await.unwrap();
        }
    });
    let ends = ends.lock();
    let (who, at) = ends[0];
    assert_eq!(who, "bus");
    assert!(at < 3 * MILLISECOND + 100_000, "{at}");
    assert_eq!(ends[1].0, "communication");
    assert!(lock.0.lock().1.is_none());
}

/// Tasks that never run: the graph does not care.
fn sleeper(class: Class) -> Arc<Task> {
    let task = spawn("sleeper", async {
        let _ = WaitQueue::new().wait_until(|| None::<()>).await;
    });
    let task = task.unwrap();
    task.set_class(class).unwrap();
    task
}

#[test]
fn another_class_of_a_waiter_is_inherited_at_once() {
    let (owner, between) = (sleeper(Class::NORMAL), sleeper(fifo(3)));
    let waiter = sleeper(fifo(5));
    let first = Turnstile::new(&owner, [1, 1]).unwrap();
    let second = Turnstile::new(&between, [2, 2]).unwrap();
    first.block(&between, 1).unwrap();
    second.block(&waiter, 2).unwrap();
    assert_eq!((owner.inherited(), between.inherited()), (5, 5));
    waiter.set_class(fifo(50)).unwrap();
    assert_eq!((owner.inherited(), between.inherited()), (50, 50));
    let reservation = Reservation {
        runtime: MILLISECOND,
        deadline: 10 * MILLISECOND,
        period: 10 * MILLISECOND,
    };
    waiter.set_class(Class::Deadline(reservation)).unwrap();
    assert_eq!(owner.inherited(), 100, "above all that can be asked for");
    waiter.set_class(Class::NORMAL).unwrap();
    assert_eq!((owner.inherited(), between.inherited()), (3, 0));
    assert_eq!(second.block(&owner, 3), Err(BlockError::Deadlock));
    assert_eq!(second.block(&waiter, 3), Err(BlockError::Blocked));
    assert_eq!(first.pass(), Some(1));
    assert_eq!((owner.inherited(), between.is_blocked()), (0, false));
    assert!(give_up(&waiter) && !give_up(&waiter));
    for task in [owner, between, waiter] {
        task.kill();
    }
    run_until_idle();
}

#[test]
fn who_is_closed_owns_nothing_more() {
    let (owner, waiter) = (sleeper(Class::NORMAL), sleeper(fifo(5)));
    let turnstile = Turnstile::new(&owner, [7, 8]).unwrap();
    turnstile.block(&waiter, 1).unwrap();
    assert!(!close(&owner));
    assert_eq!(any_held(&owner), Some([7, 8]));
    assert_eq!(turnstile.pass(), Some(1));
    assert!(close(&owner));
    assert_eq!(
        Turnstile::new(&owner, [7, 8]).unwrap_err(),
        BlockError::Gone
    );
    // The end of a task that still owns one leaves it to nobody.
    let second = sleeper(fifo(9));
    turnstile.block(&second, 2).unwrap();
    assert_eq!(waiter.inherited(), 9);
    waiter.kill();
    run_until_idle();
    assert!(waiter.is_done() && any_held(&waiter).is_none());
    assert_eq!(turnstile.block(&owner, 3), Ok(()));
    drop(turnstile);
    assert!(!second.is_blocked());
    for task in [owner, second] {
        task.kill();
    }
    run_until_idle();
}
