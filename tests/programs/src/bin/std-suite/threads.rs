//! `std::thread`.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

test_programs::tests!(
    spawn_and_join,
    values_move_in_and_out,
    hundred_threads_at_once,
    thousand_threads_one_after_another,
    a_panic_is_the_join_error,
    names,
    stack_size,
    deep_recursion_on_a_big_stack,
    scoped_threads_borrow,
    nested_scopes,
    scope_waits_for_all,
    a_panic_in_a_scope_comes_out,
    thread_locals_are_separate,
    thread_locals_are_destroyed_at_the_end,
    ids_differ,
    park_and_unpark,
    unpark_before_park_is_kept,
    park_timeout_ends,
    yield_now_lets_others_run,
    is_finished_tells,
    available_parallelism_is_known,
    detached_threads_go_on,
    counters_add_up,
    compare_exchange_loop,
    release_acquire_publishes,
    float_state_is_per_thread,
);

fn spawn_and_join() {
    assert_eq!(thread::spawn(|| 6 * 7).join().unwrap(), 42);
}

fn values_move_in_and_out() {
    let words = vec!["to".to_string(), "and".to_string(), "fro".to_string()];
    let joined = thread::spawn(move || (words.join("-"), words))
        .join()
        .unwrap();
    assert_eq!(joined.0, "to-and-fro");
    assert_eq!(joined.1.len(), 3);
}

fn hundred_threads_at_once() {
    let barrier = Arc::new(std::sync::Barrier::new(100));
    let threads: Vec<_> = (0..100u64)
        .map(|i| {
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.wait();
                i * i
            })
        })
        .collect();
    let sum: u64 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert_eq!(sum, (0..100).map(|i| i * i).sum());
}

fn thousand_threads_one_after_another() {
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..1000 {
        let count = count.clone();
        thread::spawn(move || count.fetch_add(1, Ordering::Relaxed))
            .join()
            .unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 1000);
}

fn a_panic_is_the_join_error() {
    let error = thread::spawn(|| panic!("on purpose")).join().unwrap_err();
    assert_eq!(*error.downcast_ref::<&str>().unwrap(), "on purpose");
}

fn names() {
    assert_eq!(thread::current().name(), Some("main"));
    let thread = thread::Builder::new()
        .name("worker".into())
        .spawn(|| thread::current().name().map(str::to_string));
    assert_eq!(thread.unwrap().join().unwrap().as_deref(), Some("worker"));
}

fn stack_size() {
    let thread = thread::Builder::new().stack_size(64 * 1024).spawn(|| {
        let bytes = std::hint::black_box([7u8; 16 * 1024]);
        bytes.iter().map(|b| u32::from(*b)).sum::<u32>()
    });
    assert_eq!(thread.unwrap().join().unwrap(), 7 * 16 * 1024);
}

fn deep_recursion_on_a_big_stack() {
    fn depth(n: usize) -> usize {
        let frame = std::hint::black_box([n; 64]);
        if n == 0 {
            0
        } else {
            depth(n - 1) + frame[63] / n
        }
    }
    let thread = thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(|| depth(100_000));
    assert_eq!(thread.unwrap().join().unwrap(), 100_000);
}

fn scoped_threads_borrow() {
    let mut numbers = vec![1, 2, 3, 4];
    let (left, right) = numbers.split_at_mut(2);
    thread::scope(|s| {
        s.spawn(|| left.iter_mut().for_each(|n| *n *= 10));
        s.spawn(|| right.iter_mut().for_each(|n| *n *= 100));
    });
    assert_eq!(numbers, [10, 20, 300, 400]);
}

fn nested_scopes() {
    let count = AtomicUsize::new(0);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                thread::scope(|inner| {
                    for _ in 0..4 {
                        inner.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                    }
                });
            });
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 16);
}

fn scope_waits_for_all() {
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..100 {
                thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
        });
    });
    assert!(done.load(Ordering::SeqCst));
}

fn a_panic_in_a_scope_comes_out() {
    let result = panic::catch_unwind(|| {
        thread::scope(|s| {
            s.spawn(|| panic!("inside"));
        });
    });
    assert!(result.is_err());
}

thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(5) };
    static LATE: RefCell<Option<Announcer>> = const { RefCell::new(None) };
}

fn thread_locals_are_separate() {
    NUMBER.set(1);
    thread::spawn(|| {
        assert_eq!(NUMBER.get(), 5);
        NUMBER.set(2);
        assert_eq!(NUMBER.get(), 2);
    })
    .join()
    .unwrap();
    assert_eq!(NUMBER.get(), 1);
}

struct Announcer(Arc<AtomicUsize>);
impl Drop for Announcer {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn thread_locals_are_destroyed_at_the_end() {
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let count = count.clone();
        thread::spawn(move || LATE.set(Some(Announcer(count))))
            .join()
            .unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 10);
}

fn ids_differ() {
    let threads: Vec<_> = (0..20)
        .map(|_| thread::spawn(|| thread::current().id()))
        .collect();
    let ids: HashSet<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(ids.len(), 20);
    assert!(!ids.contains(&thread::current().id()));
}

fn park_and_unpark() {
    let go = Arc::new(AtomicBool::new(false));
    let seen = go.clone();
    let thread = thread::spawn(move || {
        while !seen.load(Ordering::SeqCst) {
            thread::park();
        }
    });
    go.store(true, Ordering::SeqCst);
    thread.thread().unpark();
    thread.join().unwrap();
}

fn unpark_before_park_is_kept() {
    thread::current().unpark();
    thread::park();
}

fn park_timeout_ends() {
    let start = Instant::now();
    // A park may end early without a reason, so it is repeated until the time has come.
    while start.elapsed() < Duration::from_millis(20) {
        thread::park_timeout(Duration::from_millis(20));
    }
}

fn yield_now_lets_others_run() {
    let turn = Arc::new(AtomicU64::new(0));
    let other = turn.clone();
    let thread = thread::spawn(move || {
        for round in 0..1000 {
            while other.load(Ordering::SeqCst) != 2 * round + 1 {
                thread::yield_now();
            }
            other.store(2 * round + 2, Ordering::SeqCst);
        }
    });
    for round in 0..1000 {
        turn.store(2 * round + 1, Ordering::SeqCst);
        while turn.load(Ordering::SeqCst) != 2 * round + 2 {
            thread::yield_now();
        }
    }
    thread.join().unwrap();
}

fn is_finished_tells() {
    let (send, receive) = mpsc::channel::<()>();
    let thread = thread::spawn(move || receive.recv());
    assert!(!thread.is_finished());
    drop(send);
    while !thread.is_finished() {
        thread::yield_now();
    }
    assert!(thread.join().unwrap().is_err());
}

fn available_parallelism_is_known() {
    assert!(thread::available_parallelism().unwrap().get() >= 1);
}

fn detached_threads_go_on() {
    let (send, receive) = mpsc::channel();
    drop(thread::spawn(move || send.send("still here").unwrap()));
    assert_eq!(receive.recv().unwrap(), "still here");
}

fn counters_add_up() {
    let count = AtomicU64::new(0);
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| {
                for _ in 0..50_000 {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(count.load(Ordering::Relaxed), 400_000);
}

fn compare_exchange_loop() {
    let value = AtomicU64::new(1);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..10_000 {
                    value
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |v| Some(v + 2))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(value.load(Ordering::SeqCst), 80_001);
}

fn release_acquire_publishes() {
    for round in 0..200u64 {
        let (data, ready) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|s| {
            s.spawn(|| {
                data.store(round + 1, Ordering::Relaxed);
                ready.store(true, Ordering::Release);
            });
            while !ready.load(Ordering::Acquire) {
                thread::yield_now();
            }
            assert_eq!(data.load(Ordering::Relaxed), round + 1);
        });
    }
}

/// Threads that keep values in vector registers while others run must find them again.
fn float_state_is_per_thread() {
    let total = Mutex::new(0.0f64);
    thread::scope(|s| {
        for t in 0..6 {
            let total = &total;
            s.spawn(move || {
                let mut lanes = [f64::from(t); 8];
                for round in 0..2000 {
                    for lane in &mut lanes {
                        *lane = *lane * 0.5 + f64::from(t) * 0.5;
                    }
                    if round % 50 == 0 {
                        thread::yield_now();
                    }
                }
                assert_eq!(lanes, [f64::from(t); 8]);
                *total.lock().unwrap() += lanes[0];
            });
        }
    });
    assert_eq!(*total.lock().unwrap(), 15.0);
}
