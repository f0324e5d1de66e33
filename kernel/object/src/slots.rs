//! Places with generations, in chunks.
//!
//! The one idea: a number is a place and the generation that the place had when it was filled. Emptying a place
//! advances its generation, so an old number finds nothing, however often the place is filled again. A place whose
//! generations are used up is retired; when all places of a chunk are, the chunk's memory is given back.
//!
//! Numbers are not unlimited: after [`PLACES`] · [`LAST`] fillings, two thousand million, the places that were retired
//! longest ago begin again. Pure: no lock, no objects.

use abi::Number;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Bits of a number that hold the place.
const PLACE_BITS: u32 = 20;
/// How many places there can be.
pub(crate) const PLACES: usize = 1 << PLACE_BITS;
/// The last generation: bits 20 to 30. Generations begin with 1, so that no small number is ever a handle.
const LAST: u16 = (1 << (31 - PLACE_BITS)) - 1;
/// Places in a chunk.
const CHUNK: usize = 32;

const NONE: u32 = u32::MAX;

struct Place<T> {
    item: Option<T>,
    generation: u16,
    /// The next empty place, if this one is empty.
    next: u32,
}

struct Chunk<T> {
    places: [Place<T>; CHUNK],
    /// Places that can never be filled again.
    retired: u32,
}

/// Items by number.
pub(crate) struct Slots<T> {
    chunks: Vec<Option<Box<Chunk<T>>>>,
    /// Empty places that can be filled.
    free: u32,
    /// Where to look for a chunk that can begin again.
    revive: usize,
    len: usize,
}

/// There is no memory, or no place is left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<T> Slots<T> {
    pub const fn new() -> Self {
        Slots {
            chunks: Vec::new(),
            free: NONE,
            revive: 0,
            len: 0,
        }
    }

    /// How many places are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the next `insert` needs a new chunk.
    pub fn must_grow(&self) -> bool {
        self.free == NONE
    }

    /// Fills a place. O(1), apart from a new chunk for every 32 places. The item comes back when there is no place.
    pub fn insert(&mut self, item: T) -> Result<Number, T> {
        if self.must_grow() && self.grow().is_err() {
            return Err(item);
        }
        let index = self.free;
        let Some(place) = self.place_mut(index) else {
            return Err(item);
        };
        let next = place.next;
        let number = number(index, place.generation);
        place.item = Some(item);
        self.free = next;
        self.len += 1;
        Ok(number)
    }

    /// The item of a number. O(1).
    pub fn get(&self, number: Number) -> Option<&T> {
        let (index, generation) = split(number)?;
        let chunk = self.chunks.get(index as usize / CHUNK)?.as_ref()?;
        let place = chunk.places.get(index as usize % CHUNK)?;
        if place.generation == generation {
            place.item.as_ref()
        } else {
            None
        }
    }

    /// Changes the item of a number.
    pub fn get_mut(&mut self, number: Number) -> Option<&mut T> {
        let (index, generation) = split(number)?;
        let place = self.place_mut(index)?;
        if place.generation == generation {
            place.item.as_mut()
        } else {
            None
        }
    }

    /// Empties the place of a number, which is void from now on. O(1).
    pub fn remove(&mut self, number: Number) -> Option<T> {
        let (index, generation) = split(number)?;
        let free = self.free;
        let chunk = self.chunks.get_mut(index as usize / CHUNK)?;
        let inner = chunk.as_mut()?;
        let place = inner.places.get_mut(index as usize % CHUNK)?;
        if place.generation != generation {
            return None;
        }
        let item = place.item.take()?;
        self.len -= 1;
        place.generation += 1;
        if generation < LAST {
            place.next = free;
            self.free = index;
        } else {
            inner.retired += 1;
            if inner.retired as usize == CHUNK {
                *chunk = None;
            }
        }
        Some(item)
    }

    /// The first filled place at or after `from`, and its number: for walks that let go of the table in between.
    pub fn at_or_after(&self, from: usize) -> Option<(usize, Number, &T)> {
        let mut index = from;
        while let Some(chunk) = self.chunks.get(index / CHUNK) {
            let Some(chunk) = chunk else {
                index = (index / CHUNK + 1) * CHUNK;
                continue;
            };
            let place = &chunk.places[index % CHUNK];
            if let Some(item) = &place.item {
                return Some((index, number(index as u32, place.generation), item));
            }
            index += 1;
        }
        None
    }

    /// A copy with the same numbers.
    pub fn try_clone(&self) -> Result<Self, Full>
    where
        T: Clone,
    {
        let mut chunks = Vec::new();
        chunks
            .try_reserve_exact(self.chunks.len())
            .map_err(|_| Full)?;
        for chunk in &self.chunks {
            chunks.push(chunk.as_ref().map(|chunk| Box::new((**chunk).clone())));
        }
        Ok(Slots {
            chunks,
            free: self.free,
            revive: self.revive,
            len: self.len,
        })
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Place<T>> {
        let chunk = self.chunks.get_mut(index as usize / CHUNK)?.as_mut()?;
        chunk.places.get_mut(index as usize % CHUNK)
    }

    fn grow(&mut self) -> Result<(), Full> {
        let at = if self.chunks.len() < PLACES / CHUNK {
            self.chunks.try_reserve(1).map_err(|_| Full)?;
            self.chunks.push(None);
            self.chunks.len() - 1
        } else {
            let order = (self.revive..self.chunks.len()).chain(0..self.revive);
            let mut retired = order.filter(|&at| self.chunks[at].is_none());
            let at = retired.next().ok_or(Full)?;
            self.revive = at + 1;
            at
        };
        let first = (at * CHUNK) as u32;
        let places = core::array::from_fn(|offset| Place {
            item: None,
            generation: 1,
            next: if offset + 1 < CHUNK {
                first + offset as u32 + 1
            } else {
                NONE
            },
        });
        self.chunks[at] = Some(Box::new(Chunk { places, retired: 0 }));
        self.free = first;
        Ok(())
    }
}

impl<T: Clone> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Chunk {
            places: core::array::from_fn(|at| {
                let place = &self.places[at];
                Place {
                    item: place.item.clone(),
                    generation: place.generation,
                    next: place.next,
                }
            }),
            retired: self.retired,
        }
    }
}

fn number(index: u32, generation: u16) -> Number {
    Number(u32::from(generation) << PLACE_BITS | index)
}

/// Place and generation of a number that can exist.
fn split(number: Number) -> Option<(u32, u16)> {
    let generation = (number.0 >> PLACE_BITS) as u16;
    (1..=LAST)
        .contains(&generation)
        .then_some((number.0 & (PLACES as u32 - 1), generation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashSet};

    #[derive(Clone, Debug)]
    enum Step {
        Insert,
        Remove(usize),
        RemoveStale(usize),
        Get(u32),
        Fork,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Insert),
            5 => any::<usize>().prop_map(Step::Remove),
            2 => any::<usize>().prop_map(Step::RemoveStale),
            2 => any::<u32>().prop_map(Step::Get),
            1 => Just(Step::Fork),
        ]
    }

    proptest! {
        #[test]
        fn numbers_that_were_removed_never_come_back(
            steps in proptest::collection::vec(step(), 1..400),
        ) {
            let mut slots = Slots::new();
            let mut live: BTreeMap<u32, usize> = BTreeMap::new();
            let mut stale: Vec<u32> = Vec::new();
            for (serial, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert => {
                        let number = slots.insert(serial).unwrap();
                        prop_assert!(number.0 >> 31 == 0 && number.0 >= PLACES as u32);
                        prop_assert!(!stale.contains(&number.0), "a stale number came back");
                        prop_assert!(live.insert(number.0, serial).is_none());
                    }
                    Step::Remove(which) if !live.is_empty() => {
                        let number = *live.keys().nth(which % live.len()).unwrap();
                        prop_assert_eq!(slots.remove(Number(number)), live.remove(&number));
                        stale.push(number);
                    }
                    Step::RemoveStale(which) if !stale.is_empty() => {
                        let number = Number(stale[which % stale.len()]);
                        prop_assert_eq!(slots.remove(number), None);
                        prop_assert_eq!(slots.get(number), None);
                    }
                    Step::Get(number) => {
                        prop_assert_eq!(slots.get(Number(number)), live.get(&number));
                        prop_assert_eq!(slots.get_mut(Number(number)).copied(), live.get(&number).copied());
                    }
                    Step::Fork => slots = slots.try_clone().unwrap(),
                    Step::Remove(_) | Step::RemoveStale(_) => {}
                }
                prop_assert_eq!(slots.len(), live.len());
            }
            let mut walked = BTreeMap::new();
            let mut from = 0;
            while let Some((index, number, item)) = slots.at_or_after(from) {
                prop_assert!(walked.insert(number.0, *item).is_none());
                from = index + 1;
            }
            prop_assert_eq!(walked, live);
        }
    }

    #[test]
    fn a_place_is_retired_after_its_last_generation() {
        let mut slots = Slots::new();
        let mut seen = HashSet::new();
        for _ in 0..3 * usize::from(LAST) {
            let number = slots.insert(()).unwrap();
            assert!(seen.insert(number), "a number was given twice");
            assert_eq!(slots.remove(number), Some(()));
        }
        let retired = slots.chunks[0].as_ref().unwrap().retired;
        assert_eq!(retired, 3);
    }

    #[test]
    fn a_retired_chunk_gives_its_memory_back() {
        let mut slots = Slots::new();
        let kept = slots.insert(0).unwrap();
        for _ in 0..usize::from(LAST) * (2 * CHUNK - 1) {
            let number = slots.insert(1).unwrap();
            slots.remove(number);
        }
        assert!(slots.chunks[0].is_some() && slots.chunks[1].is_none());
        assert_eq!(slots.get(kept), Some(&0));
    }

    #[test]
    fn when_all_is_used_up_the_oldest_begin_again() {
        let mut slots: Slots<u8> = Slots::new();
        slots.chunks.resize_with(PLACES / CHUNK, || None);
        let first = slots.insert(7).unwrap();
        assert_eq!(first, number(0, 1));
        for _ in 1..CHUNK {
            slots.insert(7).unwrap();
        }
        assert_eq!(slots.insert(8).unwrap(), number(CHUNK as u32, 1));
        assert_eq!(slots.len(), CHUNK + 1);
    }

    #[test]
    fn nonsense_finds_nothing() {
        let mut slots = Slots::new();
        slots.insert(1).unwrap();
        for nonsense in [0, 1, u32::MAX, 1 << 31, Number::NONE.0, 2 << PLACE_BITS] {
            assert_eq!(slots.get(Number(nonsense)), None);
            assert_eq!(slots.remove(Number(nonsense)), None);
        }
    }
}
