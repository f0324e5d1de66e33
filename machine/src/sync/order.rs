//! In what order locks are taken, checked in debug builds.
//!
//! The one idea: locks that are made at one place of the program are one *class*, and what counts is which class is taken
//! while which other one is held. Each such pair is remembered for ever; one that closes a ring is a deadlock that some
//! day two CPUs will run into, and is reported at once (by a panic), even if nobody else is near. So one run of the tests
//! on one CPU finds what would take bad luck on many.
//!
//! A class must not be taken while it is held itself. Where two of a class are taken in an order of their own, by
//! address or number, [`Spin::lock_second`](super::Spin::lock_second) says so. Who only tries to take a lock waits for
//! nobody, so that makes no pair.
//!
//! Release builds have none of this.

use core::fmt;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU64, AtomicUsize, Ordering};

/// The most classes; locks beyond that are not checked.
const CLASSES: usize = 512;
const WORDS: usize = CLASSES / 64;
/// The most locks that one CPU holds at a time and that are looked at.
const DEPTH: usize = 16;

/// The class of a lock: where it was made.
pub(super) struct Class {
    place: &'static Location<'static>,
    /// Its number and one more; 0: not known yet.
    number: AtomicU16,
}

impl Class {
    #[track_caller]
    pub const fn here() -> Class {
        Class {
            place: Location::caller(),
            number: AtomicU16::new(0),
        }
    }

    /// Its number; `None`: there are too many classes.
    fn number(&self) -> Option<usize> {
        match self.number.load(Ordering::Relaxed) {
            0 => {
                let number = GRAPH.number_of(self.place)?;
                self.number.store(number as u16 + 1, Ordering::Relaxed);
                Some(number)
            }
            known => Some(usize::from(known) - 1),
        }
    }
}

/// What has been seen of all CPUs.
struct Graph {
    /// Where the locks of each class are made, in the order in which they were first taken.
    places: [AtomicPtr<Location<'static>>; CLASSES],
    /// For each class, one bit for each that was taken while it was held.
    after: [[AtomicU64; WORDS]; CLASSES],
}

static GRAPH: Graph = Graph {
    places: [const { AtomicPtr::new(ptr::null_mut()) }; CLASSES],
    after: [const { [const { AtomicU64::new(0) }; WORDS] }; CLASSES],
};

impl Graph {
    fn number_of(&self, place: &'static Location<'static>) -> Option<usize> {
        let own = ptr::from_ref(place).cast_mut();
        // Everybody goes through the slots in the same order, so a place never gets two.
        self.places.iter().position(|slot| {
            let taken =
                slot.compare_exchange(ptr::null_mut(), own, Ordering::AcqRel, Ordering::Acquire);
            match taken {
                Ok(_) => true,
                Err(other) => {
                    // SAFETY: what is put into a slot is a reference to something static, and it stays.
                    let other = unsafe { &*other };
                    // Not by address: a place may be there twice, compiled into two crates.
                    other == place
                }
            }
        })
    }

    fn place(&self, number: usize) -> Option<&'static Location<'static>> {
        let place = self.places.get(number)?.load(Ordering::Acquire);
        // SAFETY: as above, or null, which gives nothing.
        unsafe { place.as_ref() }
    }

    /// Remembers that `second` is taken while `first` is held. `true`: that is new.
    fn remember(&self, first: usize, second: usize) -> bool {
        let word = &self.after[first][second / 64];
        let bit = 1 << (second % 64);
        word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::AcqRel) & bit == 0
    }

    /// A way from `from` to `to` by pairs that were seen, both ends included, as the class before each one on it.
    fn way(&self, from: usize, to: usize) -> Option<[u16; CLASSES]> {
        let mut before = [u16::MAX; CLASSES];
        let mut todo = [0u64; WORDS];
        todo[from / 64] |= 1 << (from % 64);
        before[from] = from as u16;
        while let Some(index) = todo.iter().position(|word| *word != 0) {
            let here = index * 64 + todo[index].trailing_zeros() as usize;
            todo[index] &= todo[index] - 1;
            if here == to {
                return Some(before);
            }
            for (index, word) in self.after[here].iter().enumerate() {
                let mut bits = word.load(Ordering::Acquire);
                while bits != 0 {
                    let next = index * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    if before[next] == u16::MAX {
                        before[next] = here as u16;
                        todo[next / 64] |= 1 << (next % 64);
                    }
                }
            }
        }
        None
    }
}

/// What one CPU holds, in the order in which it was taken. Only that CPU uses it.
struct Held {
    count: AtomicUsize,
    classes: [AtomicU16; DEPTH],
}

impl Held {
    const fn new() -> Held {
        Held {
            count: AtomicUsize::new(0),
            classes: [const { AtomicU16::new(0) }; DEPTH],
        }
    }

    fn now(&self) -> &[AtomicU16] {
        let count = self.count.load(Ordering::Relaxed).min(DEPTH);
        &self.classes[..count]
    }
}

#[cfg(target_os = "none")]
fn with_held<R>(f: impl FnOnce(&Held) -> R) -> R {
    use crate::cpu::{MAX, index};
    static HELD: [Held; MAX] = [const { Held::new() }; MAX];
    f(&HELD[index()])
}

#[cfg(not(target_os = "none"))]
fn with_held<R>(f: impl FnOnce(&Held) -> R) -> R {
    std::thread_local! {
        static HELD: Held = const { Held::new() };
    }
    HELD.with(f)
}

/// Whether another lock of the class may be held when one is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Second,
}

/// Before this CPU waits for a lock of this class.
///
/// # Panics
/// Somebody else could wait for this CPU at the same time.
#[track_caller]
pub(super) fn before(class: &Class, turn: Turn) {
    let Some(second) = class.number() else {
        return;
    };
    // What panics, and takes locks for it, must not be under way.
    let ring = with_held(|held| {
        held.now().iter().find_map(|first| {
            let first = usize::from(first.load(Ordering::Relaxed));
            if first == second {
                return (turn == Turn::First).then_some(Ring {
                    first,
                    second,
                    before: [u16::MAX; CLASSES],
                });
            }
            if !GRAPH.remember(first, second) {
                return None;
            }
            // It is remembered first: of two CPUs that close a ring together at least one sees it.
            let before = GRAPH.way(second, first)?;
            Some(Ring {
                first,
                second,
                before,
            })
        })
    });
    if let Some(ring) = ring {
        panic!("{ring}");
    }
}

/// This CPU has taken a lock of this class.
pub(super) fn taken(class: &Class) {
    let Some(number) = class.number() else {
        return;
    };
    with_held(|held| {
        let count = held.count.load(Ordering::Relaxed);
        if let Some(slot) = held.classes.get(count) {
            slot.store(number as u16, Ordering::Relaxed);
            held.count.store(count + 1, Ordering::Relaxed);
        }
    });
}

/// It gave one back.
pub(super) fn released(class: &Class) {
    let Some(number) = class.number() else {
        return;
    };
    with_held(|held| {
        let now = held.now();
        let found = now
            .iter()
            .rposition(|slot| usize::from(slot.load(Ordering::Relaxed)) == number);
        if let Some(at) = found {
            for pair in now[at..].windows(2) {
                pair[0].store(pair[1].load(Ordering::Relaxed), Ordering::Relaxed);
            }
            held.count.store(now.len() - 1, Ordering::Relaxed);
        }
    });
}

/// What is wrong: `second` is taken while `first` is held, and there is a way from `second` to `first` already, or they are
/// of one class.
struct Ring {
    first: usize,
    second: usize,
    /// The way, as the class before each one on it.
    before: [u16; CLASSES],
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |f: &mut fmt::Formatter<'_>, number| match GRAPH.place(number) {
            Some(place) => write!(f, "{place}"),
            None => f.write_str("?"),
        };
        if self.first == self.second {
            f.write_str("lock order: two locks made at ")?;
            name(f, self.first)?;
            return f.write_str(" are taken, in no order that is declared");
        }
        f.write_str("lock order: the one made at ")?;
        name(f, self.second)?;
        f.write_str(" is taken while the one made at ")?;
        name(f, self.first)?;
        f.write_str(" is held; the other way round it was ")?;
        let mut at = self.first;
        while at != self.second {
            name(f, at)?;
            f.write_str(" while ")?;
            at = usize::from(self.before[at]);
        }
        name(f, self.second)
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::Spin;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// The complaint about what `f` does.
    fn complaint(f: impl FnOnce()) -> Option<String> {
        let panic = catch_unwind(AssertUnwindSafe(f)).err()?;
        Some(*panic.downcast::<String>().unwrap())
    }

    #[test]
    fn a_ring_is_found_when_it_is_closed() {
        let (a, b, c) = (Spin::new('a'), Spin::new('b'), Spin::new('c'));
        let both = |first: &Spin<char>, second: &Spin<char>| {
            let _first = first.lock();
            drop(second.lock());
        };
        both(&a, &b);
        both(&b, &c);
        both(&a, &c);
        let told = complaint(|| both(&c, &a)).unwrap();
        // The two, and the way back over the third.
        assert_eq!(told.matches("order.rs").count(), 4, "{told}");
        // Once is enough.
        assert_eq!(complaint(|| both(&c, &a)), None);
        assert_eq!(complaint(|| both(&a, &b)), None);
    }

    #[test]
    fn two_of_a_class_need_an_order() {
        let locks: Vec<_> = (0..2).map(Spin::new).collect();
        let first = locks[0].lock();
        assert!(complaint(|| drop(locks[1].lock())).is_some());
        let second = locks[1].lock_second(&first);
        assert_eq!(*first + *second, 1);
        drop((first, second));
        drop(locks[1].lock());
    }

    #[test]
    fn who_only_tries_makes_no_pair() {
        let (a, b) = (Spin::new('a'), Spin::new('b'));
        let held = a.lock();
        drop(b.try_lock());
        drop(held);
        let held = b.lock();
        assert_eq!(complaint(|| drop(a.lock())), None);
        drop(held);
        // But it is held then.
        let held = a.try_lock();
        assert!(complaint(|| drop(b.lock())).is_some());
        drop(held);
    }

    #[test]
    fn they_may_be_given_back_in_any_order() {
        let (a, b, c) = (Spin::new('a'), Spin::new('b'), Spin::new('c'));
        let (first, second) = (a.lock(), b.try_lock());
        drop(first);
        let third = c.lock();
        drop(second);
        drop(third);
        // The first was not held any more when the third was taken.
        let held = c.lock();
        assert_eq!(complaint(|| drop(a.lock())), None);
        assert!(complaint(|| drop(b.lock())).is_some());
        drop(held);
    }
}
