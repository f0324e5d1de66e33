//! Where locks are waited for: how often and how long.
//!
//! The one idea: only who waits counts anything, so a lock that is free costs nothing more, and this is never switched
//! off. What is counted is the place in the source that waits: it tells the lock, and who wants it so much. In debug
//! builds it is also known for how long a lock was held that was taken there.
//!
//! A table of fixed size without a lock of its own. Cost: of a wait, two looks at the clock and a search that mostly
//! ends at once.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

/// Places that can be told apart; all others are counted together. A power of two.
const PLACES: usize = 256;
/// How far from its own entry a place may be found.
const STEPS: usize = 16;

struct Entry {
    place: AtomicPtr<Location<'static>>,
    waits: AtomicU64,
    waited: AtomicU64,
    longest: AtomicU64,
    held: AtomicU64,
}

impl Entry {
    const fn new() -> Self {
        Entry {
            place: AtomicPtr::new(ptr::null_mut()),
            waits: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            held: AtomicU64::new(0),
        }
    }
}

/// The last one is that of all others.
struct Table([Entry; PLACES + 1]);

static TABLE: Table = Table::new();

/// What was counted of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contention {
    /// `None`: of all places that the table had no room for.
    pub place: Option<&'static Location<'static>>,
    /// How often a lock was waited for there,
    pub waits: u64,
    /// for how many nanoseconds in all,
    pub waited: u64,
    /// and at most.
    pub longest: u64,
    /// The longest time for which one was held that was taken there, in nanoseconds; known in debug builds only.
    pub held: u64,
}

/// All places where a lock was waited for (in debug builds: taken) so far, the one with most waiting first.
pub fn contention() -> Vec<Contention> {
    TABLE.all()
}

/// A moment, for [`since`]. By the processor's own counter: reading the clock may take a lock where it counts with
/// something else.
#[inline]
pub(super) fn moment() -> u64 {
    #[cfg(target_os = "none")]
    return crate::bare::time::stamp();
    // Time only moves when a test moves it.
    #[cfg(not(target_os = "none"))]
    0
}

/// Nanoseconds since then, on the same CPU.
#[inline]
pub(super) fn since(moment: u64) -> u64 {
    #[cfg(target_os = "none")]
    return crate::bare::time::since(moment);
    #[cfg(not(target_os = "none"))]
    moment
}

/// Somebody waited for a lock there.
pub(super) fn waited(place: &'static Location<'static>, nanoseconds: u64) {
    TABLE.waited(place, nanoseconds);
}

/// A lock that was taken there was held for so long.
#[cfg_attr(
    not(all(debug_assertions, target_os = "none")),
    expect(dead_code, reason = "told in debug builds of the kernel only")
)]
pub(super) fn held(place: &'static Location<'static>, nanoseconds: u64) {
    TABLE.held(place, nanoseconds);
}

impl Table {
    const fn new() -> Self {
        Table([const { Entry::new() }; PLACES + 1])
    }

    fn all(&self) -> Vec<Contention> {
        let counted = self.0.iter().filter_map(|entry| {
            let place = entry.place.load(Relaxed);
            let counted = Contention {
                // SAFETY: only addresses of locations that live for ever are stored.
                place: unsafe { place.as_ref() },
                waits: entry.waits.load(Relaxed),
                waited: entry.waited.load(Relaxed),
                longest: entry.longest.load(Relaxed),
                held: entry.held.load(Relaxed),
            };
            (counted.waits > 0 || counted.held > 0).then_some(counted)
        });
        let mut all: Vec<Contention> = counted.collect();
        all.sort_by_key(|counted| Reverse((counted.waited, counted.waits, counted.held)));
        all
    }

    fn waited(&self, place: &'static Location<'static>, nanoseconds: u64) {
        let entry = self.find(place);
        entry.waits.fetch_add(1, Relaxed);
        entry.waited.fetch_add(nanoseconds, Relaxed);
        entry.longest.fetch_max(nanoseconds, Relaxed);
    }

    fn held(&self, place: &'static Location<'static>, nanoseconds: u64) {
        let entry = self.find(place);
        if nanoseconds > entry.held.load(Relaxed) {
            entry.held.fetch_max(nanoseconds, Relaxed);
        }
    }

    /// The entry of a place, which is made its own if it is free.
    fn find(&self, place: &'static Location<'static>) -> &Entry {
        let address = ptr::from_ref(place).cast_mut();
        // Locations lie one after the other.
        let hash = (address.addr() as u64 / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let entries = (0..STEPS).map(|step| &self.0[(hash as usize + step) % PLACES]);
        for entry in entries {
            let here = entry.place.load(Relaxed);
            if here == address {
                return entry;
            }
            if here.is_null() {
                let taken =
                    entry
                        .place
                        .compare_exchange(ptr::null_mut(), address, Relaxed, Relaxed);
                if taken.is_ok() || taken == Err(address) {
                    return entry;
                }
            }
        }
        &self.0[PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_where_it_waits() {
        let table = Table::new();
        let place = Location::caller();
        table.waited(place, 5);
        table.waited(place, 7);
        table.held(place, 3);
        table.held(place, 2);
        let expected = Contention {
            place: Some(place),
            waits: 2,
            waited: 12,
            longest: 7,
            held: 3,
        };
        assert_eq!(table.all(), [expected]);
    }

    #[test]
    fn what_has_no_room_is_counted_together() {
        let table = Table::new();
        let places = (0..2 * PLACES as u64).map(|_| &*Box::leak(Box::new(*Location::caller())));
        places
            .zip(1..)
            .for_each(|(place, time)| table.waited(place, time));
        let all = table.all();
        assert_eq!(all.iter().map(|counted| counted.waits).sum::<u64>(), 512);
        let others = all.iter().find(|counted| counted.place.is_none());
        assert!(others.is_some_and(|others| others.waits >= 256));
        assert!(all.is_sorted_by_key(|counted| Reverse(counted.waited)));
    }
}
