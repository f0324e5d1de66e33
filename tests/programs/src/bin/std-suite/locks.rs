//! `std::sync`: locks, conditions, barriers, things set once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{
    Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, TryLockError, Weak,
};
use std::thread;
use std::time::{Duration, Instant};

test_programs::tests!(
    mutex_excludes,
    mutex_try_lock,
    mutex_poisoning,
    mutex_hands_over_between_many,
    condvar_wakes_one,
    condvar_wakes_all,
    condvar_timeout,
    bounded_buffer,
    rwlock_readers_share,
    rwlock_writer_excludes,
    rwlock_no_lost_updates,
    barrier_rounds,
    once_runs_once,
    once_lock_and_lazy_lock,
    arc_counts,
    dining_philosophers,
);

fn mutex_excludes() {
    let count = Mutex::new(0u64);
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| {
                for _ in 0..20_000 {
                    *count.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(count.into_inner().unwrap(), 160_000);
}

fn mutex_try_lock() {
    let mutex = Mutex::new(1);
    let guard = mutex.lock().unwrap();
    thread::scope(|s| {
        s.spawn(|| assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock))));
    });
    drop(guard);
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

fn mutex_poisoning() {
    let mutex = Arc::new(Mutex::new(3));
    let held = mutex.clone();
    let result = thread::spawn(move || {
        let _guard = held.lock().unwrap();
        panic!("while holding the lock");
    })
    .join();
    assert!(result.is_err() && mutex.is_poisoned());
    assert_eq!(*mutex.lock().unwrap_err().into_inner(), 3);
    mutex.clear_poison();
    assert_eq!(*mutex.lock().unwrap(), 3);
}

/// Every waiter sleeps in the kernel at least once, and all get through.
fn mutex_hands_over_between_many() {
    let mutex = Mutex::new(Vec::new());
    let start = mutex.lock().unwrap();
    thread::scope(|s| {
        for t in 0..50 {
            let mutex = &mutex;
            s.spawn(move || {
                let mut list = mutex.lock().unwrap();
                thread::yield_now();
                list.push(t);
            });
        }
        thread::yield_now();
        drop(start);
    });
    let mut list = mutex.into_inner().unwrap();
    list.sort_unstable();
    assert!(list.into_iter().eq(0..50));
}

fn condvar_wakes_one() {
    let (state, changed) = (Mutex::new(0), Condvar::new());
    thread::scope(|s| {
        s.spawn(|| {
            for round in 0..500 {
                let mut value = changed
                    .wait_while(state.lock().unwrap(), |v| *v != 2 * round + 1)
                    .unwrap();
                *value += 1;
                changed.notify_one();
            }
        });
        for round in 0..500 {
            *state.lock().unwrap() += 1;
            changed.notify_one();
            drop(
                changed
                    .wait_while(state.lock().unwrap(), |v| *v != 2 * round + 2)
                    .unwrap(),
            );
        }
    });
    assert_eq!(state.into_inner().unwrap(), 1000);
}

fn condvar_wakes_all() {
    let (open, changed, through) = (Mutex::new(false), Condvar::new(), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..30 {
            s.spawn(|| {
                drop(
                    changed
                        .wait_while(open.lock().unwrap(), |open| !*open)
                        .unwrap(),
                );
                through.fetch_add(1, Ordering::SeqCst);
            });
        }
        thread::yield_now();
        *open.lock().unwrap() = true;
        changed.notify_all();
    });
    assert_eq!(through.load(Ordering::SeqCst), 30);
}

fn condvar_timeout() {
    let (state, changed) = (Mutex::new(()), Condvar::new());
    let start = Instant::now();
    let (_guard, result) = changed
        .wait_timeout_while(state.lock().unwrap(), Duration::from_millis(30), |_| true)
        .unwrap();
    assert!(result.timed_out());
    assert!(start.elapsed() >= Duration::from_millis(30));
}

fn bounded_buffer() {
    let (queue, not_full, not_empty) = (Mutex::new(Vec::new()), Condvar::new(), Condvar::new());
    let total = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for item in 1..=1000usize {
                    let mut items = not_full
                        .wait_while(queue.lock().unwrap(), |q| q.len() >= 8)
                        .unwrap();
                    items.push(item);
                    not_empty.notify_one();
                }
            });
            s.spawn(|| {
                for _ in 0..1000 {
                    let mut items = not_empty
                        .wait_while(queue.lock().unwrap(), |q| q.is_empty())
                        .unwrap();
                    total.fetch_add(items.pop().unwrap(), Ordering::Relaxed);
                    not_full.notify_one();
                }
            });
        }
    });
    assert_eq!(total.load(Ordering::Relaxed), 4 * 500_500);
}

fn rwlock_readers_share() {
    let lock = RwLock::new(5);
    let both = Barrier::new(2);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                let value = lock.read().unwrap();
                both.wait();
                assert_eq!(*value, 5);
            });
        }
    });
}

fn rwlock_writer_excludes() {
    let lock = RwLock::new(1);
    let writer = lock.write().unwrap();
    thread::scope(|s| {
        s.spawn(|| {
            assert!(lock.try_read().is_err());
            assert!(lock.try_write().is_err());
        });
    });
    drop(writer);
    let reader = lock.try_read().unwrap();
    assert!(lock.try_write().is_err());
    assert!(lock.try_read().is_ok());
    assert_eq!(*reader, 1);
}

fn rwlock_no_lost_updates() {
    let lock = RwLock::new((0u64, 0u64));
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for _ in 0..2000 {
                    let mut pair = lock.write().unwrap();
                    pair.0 += 1;
                    pair.1 += 1;
                }
            });
            s.spawn(|| {
                for _ in 0..2000 {
                    let pair = lock.read().unwrap();
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
    });
    assert_eq!(*lock.read().unwrap(), (6000, 6000));
}

fn barrier_rounds() {
    let (barrier, arrived, leaders) = (Barrier::new(5), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..5 {
            s.spawn(|| {
                for round in 1..=50 {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, Ordering::SeqCst);
                    }
                    assert!(arrived.load(Ordering::SeqCst) >= round * 5);
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(leaders.load(Ordering::SeqCst), 50);
}

fn once_runs_once() {
    let (once, count) = (Once::new(), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..20 {
            s.spawn(|| {
                once.call_once(|| {
                    thread::yield_now();
                    count.fetch_add(1, Ordering::SeqCst);
                });
                assert_eq!(count.load(Ordering::SeqCst), 1);
            });
        }
    });
    assert!(once.is_completed());
}

fn once_lock_and_lazy_lock() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<String> = LazyLock::new(|| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        "made late".to_string()
    });
    let cell = OnceLock::new();
    thread::scope(|s| {
        for t in 0..20 {
            let cell = &cell;
            s.spawn(move || {
                cell.get_or_init(|| t);
                assert_eq!(*LAZY, "made late");
            });
        }
    });
    assert!(*cell.get().unwrap() < 20);
    assert_eq!(cell.set(99), Err(99));
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

fn arc_counts() {
    let value = Arc::new(vec![1, 2, 3]);
    let weak: Weak<_> = Arc::downgrade(&value);
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let value = value.clone();
            thread::spawn(move || value.iter().sum::<i32>())
        })
        .collect();
    assert!(threads.into_iter().all(|t| t.join().unwrap() == 6));
    assert_eq!(Arc::strong_count(&value), 1);
    drop(value);
    assert!(weak.upgrade().is_none());
}

fn dining_philosophers() {
    let forks: Vec<Mutex<u32>> = (0..5).map(|_| Mutex::new(0)).collect();
    thread::scope(|s| {
        for seat in 0..5usize {
            let forks = &forks;
            s.spawn(move || {
                let (a, b) = (seat.min((seat + 1) % 5), seat.max((seat + 1) % 5));
                for _ in 0..300 {
                    let mut first = forks[a].lock().unwrap();
                    let mut second = forks[b].lock().unwrap();
                    *first += 1;
                    *second += 1;
                }
            });
        }
    });
    assert!(forks.into_iter().all(|f| f.into_inner().unwrap() == 600));
}
