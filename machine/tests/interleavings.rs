//! Values that are read without a lock, under a concurrency checker: every order of atomic instructions, with every
//! effect that the memory model allows.
//!
//! The file under test is compiled here a second time, over the checker's atomics.

mod atomic {
    pub use loom::hint::spin_loop;
    pub use loom::sync::atomic::{AtomicU64, Ordering};

    pub fn checker_fence() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

#[path = "../src/sync/readers.rs"]
mod readers;

use loom::cell::Cell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use readers::Readers;

/// Two values, of which one is the current one.
struct World {
    readers: Readers<2>,
    current: AtomicUsize,
    /// The checker sees to it that nobody looks at one while it is taken away.
    values: [Cell<usize>; 2],
}

impl World {
    fn look(&self) -> usize {
        let current = self.current.load(Ordering::SeqCst);
        // What is read is still there.
        assert_eq!(self.values[current].get(), current + 1);
        current
    }
}

/// One CPU reads, once and then deeper, the other replaces the value and takes the old one away when it has waited.
#[test]
fn nobody_reads_what_is_gone() {
    loom::model(|| {
        let world = Arc::new(World {
            readers: Readers::new(),
            current: AtomicUsize::new(0),
            values: [Cell::new(1), Cell::new(2)],
        });
        let reader = {
            let world = world.clone();
            thread::spawn(move || {
                world.readers.begin(0);
                let first = world.look();
                world.readers.end(0);
                world.readers.begin(0);
                world.readers.begin(0);
                let second = world.look();
                world.readers.end(0);
                world.look();
                world.readers.end(0);
                assert!(second >= first);
            })
        };
        world.current.swap(1, Ordering::SeqCst);
        world.readers.wait([0].into_iter());
        world.values[0].set(0);
        reader.join().unwrap();
    });
}
