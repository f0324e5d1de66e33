//! Values that are read without a lock, under a concurrency checker: every order of atomic instructions, with every
//! effect that the memory model allows.
//!
//! The file under test is compiled here a second time, over the checker's atomics.

mod atomic {
    pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../src/sync/grace.rs"]
mod grace;

use grace::Grace;
use loom::cell::Cell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Two values, of which one is the current one.
struct World {
    grace: Grace<2>,
    current: AtomicUsize,
    /// The checker sees to it that nobody looks at one while it is taken away.
    values: [Cell<usize>; 2],
}

impl World {
    fn read(&self) {
        let current = self.current.load(Ordering::Acquire);
        // What is read is still there.
        assert_eq!(self.values[current].get(), current + 1);
    }
}

/// One CPU reads and passes, the other replaces the value and takes the old one away when both have passed since.
#[test]
fn nobody_reads_what_is_gone() {
    loom::model(|| {
        let world = Arc::new(World {
            grace: Grace::new(),
            current: AtomicUsize::new(0),
            values: [Cell::new(1), Cell::new(2)],
        });
        let reader = {
            let world = world.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    world.read();
                    world.grace.passes(0);
                }
                world.read();
            })
        };
        world.current.swap(1, Ordering::AcqRel);
        let moment = world.grace.moment();
        world.grace.passes(1);
        if world.grace.passed(0..2) >= moment {
            world.values[0].set(0);
        }
        reader.join().unwrap();
        world.grace.passes(0);
        assert!(world.grace.passed(0..2) >= moment);
    });
}
