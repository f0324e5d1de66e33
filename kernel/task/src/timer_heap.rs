//! Items by deadline: a binary heap with places that can be named.
//!
//! The one idea: each item keeps the position at which the heap holds it, so a timer that is not needed any more is
//! taken out at once, in O(log n), and the heap holds only timers that somebody waits for. Pure: no clock, no wakers.

use alloc::vec::Vec;

/// Names an item. Serial numbers are never reused, so a key of an item that is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    slot: u32,
    serial: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    deadline: u64,
    /// Equal deadlines: first come, first served.
    serial: u64,
}

#[derive(Debug)]
struct Slot<T> {
    serial: u64,
    /// Where `order` holds it; in a free slot: the next free one.
    position: u32,
    item: Option<T>,
}

const NONE: u32 = u32::MAX;
/// Room for this many items is kept when the heap is empty.
const KEPT: usize = 64;

#[derive(Debug)]
pub(crate) struct Heap<T> {
    order: Vec<(Order, u32)>,
    slots: Vec<Slot<T>>,
    free: u32,
    serial: u64,
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Heap::new()
    }
}

impl<T> Heap<T> {
    pub const fn new() -> Self {
        Heap {
            order: Vec::new(),
            slots: Vec::new(),
            free: NONE,
            serial: 0,
        }
    }

    /// The earliest deadline. O(1).
    pub fn next(&self) -> Option<u64> {
        self.order.first().map(|(order, _)| order.deadline)
    }

    /// How many items there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Adds an item. The item comes back when the heap memory is exhausted.
    pub fn insert(&mut self, deadline: u64, item: T) -> Result<Key, T> {
        if self.order.try_reserve(1).is_err()
            || (self.free == NONE && self.slots.try_reserve(1).is_err())
        {
            return Err(item);
        }
        self.serial += 1;
        let serial = self.serial;
        let slot = Slot {
            serial,
            position: 0,
            item: Some(item),
        };
        let index = if self.free == NONE {
            self.slots.push(slot);
            (self.slots.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.slots[index as usize].position;
            self.slots[index as usize] = slot;
            index
        };
        let position = self.order.len();
        self.order.push((Order { deadline, serial }, index));
        self.rise(position);
        Ok(Key {
            slot: index,
            serial,
        })
    }

    /// Takes an item out before its time; `None` if it is gone already.
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        self.get_mut(key)?;
        let position = self.slots[key.slot as usize].position;
        self.remove(position as usize)
    }

    /// The item, if it is still there.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        if slot.serial == key.serial {
            slot.item.as_mut()
        } else {
            None
        }
    }

    /// Takes out the earliest item if its deadline, which comes with it, is at or before `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, T)> {
        let deadline = self.next().filter(|deadline| *deadline <= now)?;
        Some((deadline, self.remove(0)?))
    }

    fn remove(&mut self, position: usize) -> Option<T> {
        let (_, index) = self.order.swap_remove(position);
        if position < self.order.len() {
            self.sink(position);
            self.rise(position);
        }
        let slot = &mut self.slots[index as usize];
        let item = slot.item.take();
        slot.position = self.free;
        self.free = index;
        if self.order.is_empty() && self.slots.capacity() > KEPT {
            self.slots = Vec::new();
            self.order = Vec::new();
            self.free = NONE;
        }
        item
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.order[parent].0 <= self.order[position].0 {
                break;
            }
            self.order.swap(parent, position);
            self.note(position);
            position = parent;
        }
        self.note(position);
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let left = 2 * position + 1;
            let Some(first) = self.order.get(left) else {
                break;
            };
            let child = match self.order.get(left + 1) {
                Some(second) if second.0 < first.0 => left + 1,
                _ => left,
            };
            if self.order[position].0 <= self.order[child].0 {
                break;
            }
            self.order.swap(position, child);
            self.note(position);
            position = child;
        }
        self.note(position);
    }

    fn note(&mut self, position: usize) {
        let index = self.order[position].1;
        self.slots[index as usize].position = position as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Cancel(usize),
        Pop(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u64..100).prop_map(Step::Insert),
            1 => (0usize..300).prop_map(Step::Cancel),
            2 => (0u64..100).prop_map(Step::Pop),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_list(steps in proptest::collection::vec(step(), 1..300)) {
            let mut heap = Heap::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut keys = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(deadline) => {
                        model.push((deadline, keys.len()));
                        keys.push(heap.insert(deadline, keys.len()).unwrap());
                    }
                    Step::Cancel(which) if which < keys.len() => {
                        let before = model.len();
                        model.retain(|entry| entry.1 != which);
                        let there = model.len() < before;
                        prop_assert_eq!(heap.get_mut(keys[which]).is_some(), there);
                        prop_assert_eq!(heap.cancel(keys[which]), there.then_some(which));
                    }
                    Step::Cancel(_) => {}
                    Step::Pop(now) => {
                        let due = model.iter().filter(|entry| entry.0 <= now).min().copied();
                        prop_assert_eq!(heap.pop_due(now), due.map(|entry| (entry.0, entry.1)));
                        model.retain(|entry| Some(*entry) != due);
                    }
                }
                prop_assert_eq!(heap.len(), model.len());
                prop_assert_eq!(heap.next(), model.iter().map(|entry| entry.0).min());
            }
        }
    }

    #[test]
    fn memory_is_given_back_and_old_keys_stay_dead() {
        let mut heap = Heap::new();
        let keys: Vec<_> = (0..1000).map(|i| heap.insert(i, i).unwrap()).collect();
        while heap.pop_due(u64::MAX).is_some() {}
        assert_eq!(heap.slots.capacity(), 0);
        let fresh = heap.insert(1, 1).unwrap();
        for key in keys {
            assert_eq!(heap.cancel(key), None);
        }
        assert!(heap.get_mut(fresh).is_some());
    }
}
