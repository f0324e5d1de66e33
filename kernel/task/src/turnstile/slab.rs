//! Values that are known by small numbers, which are used again.

use alloc::vec::Vec;

pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The slot that was emptied last; [`NONE`]: none.
    free: u32,
}

enum Slot<T> {
    Taken(T),
    /// And the one that was emptied before.
    Free(u32),
}

const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    pub const fn new() -> Self {
        Slab {
            slots: Vec::new(),
            free: NONE,
        }
    }

    /// The number of the new value. `None`: the heap is exhausted.
    pub fn insert(&mut self, value: T) -> Option<u32> {
        if let Some(slot) = self.slots.get_mut(self.free as usize)
            && let Slot::Free(next) = *slot
        {
            *slot = Slot::Taken(value);
            return Some(core::mem::replace(&mut self.free, next));
        }
        let number = u32::try_from(self.slots.len()).ok()?;
        if number == NONE {
            return None;
        }
        self.slots.try_reserve(1).ok()?;
        self.slots.push(Slot::Taken(value));
        Some(number)
    }

    pub fn remove(&mut self, number: u32) -> Option<T> {
        let slot = self.slots.get_mut(number as usize)?;
        if let Slot::Free(_) = slot {
            return None;
        }
        match core::mem::replace(slot, Slot::Free(self.free)) {
            Slot::Taken(value) => {
                self.free = number;
                Some(value)
            }
            Slot::Free(_) => None,
        }
    }

    pub fn get(&self, number: u32) -> Option<&T> {
        match self.slots.get(number as usize)? {
            Slot::Taken(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.slots.get_mut(number as usize)? {
            Slot::Taken(value) => Some(value),
            Slot::Free(_) => None,
        }
    }
}
