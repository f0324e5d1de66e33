//! Readiness: who is woken for what, and that nobody sleeps through.

use crate::ready::{LISTENED, WAITED, mask};
use crate::{Observer, Readiness, Ready, Wait, WaitError, clock, wait_any};
use crate::{block_on, run_until_idle, spawn};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};
use machine::sync::Spin;
use proptest::prelude::*;

#[test]
fn ready_objects_need_no_wait() {
    let object = Readiness::new(Ready::WRITE);
    let bits = block_on(object.wait(Ready::READ | Ready::WRITE, None));
    assert_eq!(bits, Ok(Ready::WRITE));
    object.set(Ready::HANGUP);
    assert_eq!(block_on(object.wait(Ready::READ, None)), Ok(Ready::HANGUP));
    assert_eq!(
        block_on(object.wait(Ready::empty(), Some(0))),
        Ok(Ready::HANGUP)
    );
}

#[test]
fn only_the_interested_are_woken() {
    let object = Arc::new(Readiness::default());
    let start = |interest| {
        let object = object.clone();
        spawn("waiter", async move {
            object.wait(interest, None).await.unwrap();
        })
        .unwrap()
    };
    let (reader, writer) = (start(Ready::READ), start(Ready::WRITE));
    run_until_idle();
    object.set(Ready::WRITE);
    assert_eq!(run_until_idle(), 1);
    assert!(writer.is_done() && !reader.is_done());
    object.clear(Ready::WRITE);
    object.set(Ready::READ);
    object.clear(Ready::READ);
    assert_eq!(run_until_idle(), 1, "the bit is gone, so it waits again");
    assert!(!reader.is_done());
    object.replace(Ready::READ);
    run_until_idle();
    assert!(reader.is_done());
    assert_eq!(object.word.load(Ordering::Relaxed), Ready::READ.bits());
}

#[test]
fn a_wait_times_out_and_leaves_nothing_behind() {
    let objects = [Readiness::default(), Readiness::default()];
    let deadline = clock::now() + 1_000;
    let result = block_on(objects[0].wait(Ready::READ, Some(deadline)));
    assert_eq!(result, Err(WaitError::TimedOut));
    let pairs = objects.each_ref().map(|object| (object, Ready::READ));
    let result = block_on(wait_any(&pairs, Some(deadline + 1_000)));
    assert_eq!(result, Err(WaitError::TimedOut));
    assert_eq!(clock::now(), deadline + 1_000);
    for object in &objects {
        assert_eq!(object.waiters.lock().waiting(), 0);
        assert_eq!(object.word.load(Ordering::Relaxed), 0);
    }
    let result = block_on(wait_any(&[], Some(deadline + 3_000)));
    assert_eq!(
        (result, clock::now()),
        (Err(WaitError::TimedOut), deadline + 3_000)
    );
}

#[test]
fn any_of_many() {
    let objects = Arc::new([const { Readiness::new(Ready::empty()) }; 40]);
    let found = Arc::new(AtomicUsize::new(usize::MAX));
    let (theirs, result) = (objects.clone(), found.clone());
    spawn("waiter", async move {
        let pairs: Vec<_> = theirs.iter().map(|object| (object, Ready::READ)).collect();
        let index = wait_any(&pairs, None).await.unwrap();
        result.store(index, Ordering::Relaxed);
    })
    .unwrap();
    run_until_idle();
    objects[3].set(Ready::WRITE);
    assert_eq!(run_until_idle(), 0);
    objects[31].set(Ready::READ);
    objects[7].set(Ready::ERROR);
    run_until_idle();
    assert_eq!(found.load(Ordering::Relaxed), 7);
    assert!(
        objects
            .iter()
            .all(|object| object.waiters.lock().waiting() == 0)
    );
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Observer for Count {
    fn ready(&self, _: Ready) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn observers_hear_of_every_change_until_their_guard_drops() {
    let object = Readiness::default();
    let count = Arc::new(Count::default());
    let heard = || count.0.swap(0, Ordering::Relaxed);
    let guard = object.observe(Ready::READ, count.clone()).unwrap();
    object.set(Ready::WRITE);
    assert_eq!(heard(), 0);
    object.set(Ready::READ);
    object.set(Ready::READ);
    assert_eq!(heard(), 2, "again, though it was set already");
    object.replace(Ready::READ);
    assert_eq!(heard(), 0);
    let second = object.observe(Ready::READ, count.clone()).unwrap();
    guard.set_interest(Ready::WRITE);
    object.set(Ready::READ);
    assert_eq!(heard(), 1);
    drop(second);
    object.set(Ready::ERROR);
    assert_eq!(heard(), 1);
    drop(guard);
    object.set(Ready::READ);
    assert_eq!(heard(), 0);
    assert_eq!(Arc::strong_count(&count), 1);
    assert_eq!(object.word.load(Ordering::Relaxed) & LISTENED, 0);
}

#[test]
fn a_guard_outlives_its_object() {
    let object = Readiness::default();
    let guard = object.observe(Ready::READ, Arc::new(Count::default()));
    drop(object);
    drop(guard);
}

proptest! {
    /// Any order of setting, clearing, polling and dropping: whoever sleeps has nothing to be woken for, and the
    /// flag in the word says exactly whether somebody sleeps.
    #[test]
    fn nobody_sleeps_through(steps in proptest::collection::vec((0u8..6, 0usize..5, 0u32..32), 1..200)) {
        let object = Readiness::default();
        let mut waits: [Option<(Wait<'_>, u32)>; 5] = [const { None }; 5];
        let mut context = Context::from_waker(Waker::noop());
        let mut bits = 0;
        for (what, which, value) in steps {
            let ready = Ready::from_bits_truncate(value);
            let value = ready.bits();
            match what {
                0 => {
                    object.set(ready);
                    bits |= value;
                }
                1 => {
                    object.clear(ready);
                    bits &= !value;
                }
                2 => {
                    object.replace(ready);
                    bits = value;
                }
                3 => waits[which] = Some((object.wait(ready, None), mask(ready))),
                4 => waits[which] = None,
                _ => {
                    if let Some((wait, mask)) = &mut waits[which] {
                        match Pin::new(wait).poll(&mut context) {
                            Poll::Ready(found) => {
                                prop_assert_eq!(found.unwrap().bits(), bits & *mask);
                                waits[which] = None;
                            }
                            Poll::Pending => prop_assert_eq!(bits & *mask, 0),
                        }
                    }
                }
            }
            prop_assert_eq!(object.get().bits(), bits);
            let sleeping = object.waiters.lock().waiting();
            let flag = object.word.load(Ordering::Relaxed) & WAITED != 0;
            prop_assert_eq!(flag, sleeping != 0);
        }
        drop(waits);
        prop_assert_eq!(object.waiters.lock().waiting(), 0);
    }
}

/// Real threads: a pipe in small, with readiness kept under its lock, loses nothing and never hangs.
#[test]
fn nothing_is_lost_between_threads() {
    const ITEMS: usize = 3_000;
    let shared = Arc::new((Readiness::default(), Spin::new(0usize)));
    let theirs = shared.clone();
    let reader = std::thread::spawn(move || {
        let mut taken = 0;
        block_on(async {
            while taken < ITEMS {
                let fresh = {
                    let mut items = theirs.1.lock();
                    theirs.0.clear(Ready::READ);
                    core::mem::take(&mut *items)
                };
                taken += fresh;
                if fresh == 0 {
                    theirs.0.wait(Ready::READ, None).await.unwrap();
                }
            }
        });
        taken
    });
    for _ in 0..ITEMS {
        let mut items = shared.1.lock();
        *items += 1;
        shared.0.set(Ready::READ);
    }
    assert_eq!(reader.join().unwrap(), ITEMS);
}
