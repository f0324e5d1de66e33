//! The names in one directory.
//!
//! The one idea: entries stand in the order in which they were made, each with a number that only grows, and a hash table
//! leads from a name to its place. A listing goes on from a number, so it shows every entry that stays exactly once,
//! whatever comes and goes meanwhile. Removed entries leave gaps, which are closed when they are the greater part.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// One name.
pub struct Slot<T> {
    /// Grows from slot to slot; never used twice.
    number: u64,
    hash: u32,
    name: Box<[u8]>,
    /// `None`: a gap.
    value: Option<Arc<T>>,
}

/// The names of a directory and what they lead to.
pub struct Entries<T> {
    hasher: FixedState,
    /// Places in `slots`.
    places: HashTable<u32>,
    slots: Vec<Slot<T>>,
    next: u64,
}

impl<T> Entries<T> {
    /// No names. `seed` makes collisions unpredictable.
    pub fn new(seed: u64) -> Entries<T> {
        Entries {
            hasher: FixedState::with_seed(seed),
            places: HashTable::new(),
            slots: Vec::new(),
            next: 1,
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    fn hash(&self, name: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        hasher.finish() as u32
    }

    /// The table wants the varying bits at both ends.
    fn spread(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        let hash = self.hash(name);
        self.places
            .find(Self::spread(hash), |&place| {
                self.slots
                    .get(place as usize)
                    .is_some_and(|slot| slot.hash == hash && *slot.name == *name)
            })
            .map(|&place| place as usize)
    }

    /// What a name leads to.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<T>> {
        self.slots.get(self.place(name)?)?.value.as_ref()
    }

    /// Makes an existing name lead elsewhere, in its place; returns what it led to.
    pub fn replace(&mut self, name: &[u8], value: Arc<T>) -> Option<Arc<T>> {
        let place = self.place(name)?;
        self.slots.get_mut(place)?.value.replace(value)
    }

    /// Adds a name, which must not be there, behind all others.
    pub fn insert(&mut self, name: &[u8], value: Arc<T>) {
        let hash = self.hash(name);
        let place = self.slots.len() as u32;
        self.slots.push(Slot {
            number: self.next,
            hash,
            name: Box::from(name),
            value: Some(value),
        });
        self.next += 1;
        let slots = &self.slots;
        self.places
            .insert_unique(Self::spread(hash), place, |&place| {
                Self::spread(slots.get(place as usize).map_or(0, |slot| slot.hash))
            });
    }

    /// Removes a name; returns what it led to.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<T>> {
        let place = self.place(name)?;
        let slot = self.slots.get_mut(place)?;
        let value = slot.value.take();
        slot.name = Box::default();
        let hash = Self::spread(slot.hash);
        if let Ok(entry) = self
            .places
            .find_entry(hash, |&other| other as usize == place)
        {
            entry.remove();
        }
        // Gaps at the end go at once, others when they are many.
        while self.slots.last().is_some_and(|slot| slot.value.is_none()) {
            self.slots.pop();
        }
        if self.slots.len() > 16 && self.places.len() < self.slots.len() / 2 {
            self.close_gaps();
        }
        value
    }

    fn close_gaps(&mut self) {
        self.slots.retain(|slot| slot.value.is_some());
        self.slots.shrink_to_fit();
        self.places.clear();
        self.places.shrink_to(self.slots.len(), |_| 0);
        for (place, slot) in self.slots.iter().enumerate() {
            let slots = &self.slots;
            self.places
                .insert_unique(Self::spread(slot.hash), place as u32, |&place| {
                    Self::spread(slots.get(place as usize).map_or(0, |slot| slot.hash))
                });
        }
    }

    /// The entries whose number is at least `number`, with the number to go on from behind each.
    pub fn from(&self, number: u64) -> impl Iterator<Item = (&[u8], &Arc<T>, u64)> {
        let start = self.slots.partition_point(|slot| slot.number < number);
        self.slots
            .get(start..)
            .unwrap_or_default()
            .iter()
            .filter_map(|slot| Some((&*slot.name, slot.value.as_ref()?, slot.number + 1)))
    }

    /// Takes out everything, for taking a tree apart.
    pub fn drain(&mut self) -> impl Iterator<Item = Arc<T>> + use<T> {
        self.places = HashTable::new();
        core::mem::take(&mut self.slots)
            .into_iter()
            .filter_map(|slot| slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0..3u8, 0..40u32), 1..400)) {
            let mut entries = Entries::new(7);
            let mut model = BTreeMap::new();
            for (index, (step, key)) in steps.into_iter().enumerate() {
                let name = format!("name{key}");
                let value = Arc::new(index);
                match step {
                    0 => {
                        let expected = model.remove(&name);
                        prop_assert_eq!(entries.remove(name.as_bytes()), expected);
                    }
                    _ if model.contains_key(&name) => {
                        let expected = model.insert(name.clone(), value.clone());
                        prop_assert_eq!(entries.replace(name.as_bytes(), value), expected);
                    }
                    _ => {
                        model.insert(name.clone(), value.clone());
                        entries.insert(name.as_bytes(), value);
                    }
                }
                prop_assert_eq!(entries.len(), model.len());
                prop_assert!(entries.slots.len() <= 2 * model.len() + 17);
                let mut all: Vec<_> = entries.from(0).map(|(name, value, _)| (name.to_vec(), value.clone())).collect();
                all.sort();
                let expected: Vec<_> = model.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect();
                prop_assert_eq!(all, expected);
            }
        }

        /// Whatever happens between two steps of a listing, what stays is shown once.
        #[test]
        fn a_listing_shows_what_stays_once(
            pauses in proptest::collection::vec((1..10usize, proptest::collection::vec((any::<bool>(), 0..60u32), 0..20)), 1..30),
        ) {
            let mut entries = Entries::new(7);
            for key in 0..30u32 {
                entries.insert(format!("stays{key}").as_bytes(), Arc::new(key));
                entries.insert(format!("goes{key}").as_bytes(), Arc::new(key));
            }
            let mut seen = Vec::new();
            let mut cookie = 0;
            for (count, changes) in pauses {
                for (name, _, next) in entries.from(cookie).take(count) {
                    seen.push(name.to_vec());
                    cookie = next;
                }
                for (add, key) in changes {
                    let name = format!("goes{key}");
                    let there = entries.get(name.as_bytes()).is_some();
                    match (add, there) {
                        (true, false) => entries.insert(name.as_bytes(), Arc::new(key)),
                        (false, true) => drop(entries.remove(name.as_bytes())),
                        _ => {}
                    }
                }
            }
            seen.extend(entries.from(cookie).map(|(name, _, _)| name.to_vec()));
            for key in 0..30 {
                let name = format!("stays{key}").into_bytes();
                prop_assert_eq!(seen.iter().filter(|&other| *other == name).count(), 1);
            }
        }
    }
}
