//! A process's handles by number.
//!
//! The one idea: the number is meaningless outside its table, and a number that was closed is never valid again. The
//! table is locked for a few instructions at a time; handles are dropped outside the lock, because the last one of an
//! object may take a long time to end it.

use crate::slots::{PLACES, Slots};
use crate::{Handle, Rights};
use abi::{Error, Number};
use alloc::vec::Vec;
use core::fmt;
use machine::sync::{Spin, SpinGuard};

/// How many handles a table may hold at first.
pub const DEFAULT_LIMIT: usize = 4096;

/// A handle to be passed on; see [`Table::pass`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its number.
    pub number: Number,
    /// The rights that the receiver will have.
    pub rights: Rights,
    /// It stays here as well.
    pub copy: bool,
    /// It is to be the only one to its object.
    pub only: bool,
}

/// Handles by number. Shared by the threads of a process.
pub struct Table {
    inner: Spin<Inner>,
}

struct Inner {
    slots: Slots<Handle>,
    limit: usize,
}

impl Table {
    /// Nothing in it. Takes no memory until the first handle.
    pub const fn new() -> Self {
        Table {
            inner: Spin::new(Inner {
                slots: Slots::new(),
                limit: DEFAULT_LIMIT,
            }),
        }
    }

    /// How many handles there are.
    pub fn len(&self) -> usize {
        self.inner.lock().slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many handles there may be.
    pub fn limit(&self) -> usize {
        self.inner.lock().limit
    }

    /// Sets how many handles there may be, up to 1,048,576. Those beyond it stay.
    pub fn set_limit(&self, limit: usize) {
        self.inner.lock().limit = limit.min(PLACES);
    }

    /// Adds a handle. O(1).
    ///
    /// # Errors
    /// [`Error::TooMany`] at the limit, [`Error::NoMemory`]; the handle is dropped.
    pub fn insert(&self, handle: Handle) -> Result<Number, Error> {
        let mut inner = self.inner.lock();
        let result = if inner.slots.len() >= inner.limit {
            Err((Error::TooMany, handle))
        } else if inner.slots.must_grow() && !machine::frame::heap_room() {
            Err((Error::NoMemory, handle))
        } else {
            let inserted = inner.slots.insert(handle);
            inserted.map_err(|handle| (Error::NoMemory, handle))
        };
        drop(inner);
        result.map_err(|(error, handle)| {
            drop(handle);
            error
        })
    }

    /// A copy of a handle. O(1), counts a reference.
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    #[inline]
    pub fn get(&self, number: Number) -> Result<Handle, Error> {
        let inner = self.inner.lock();
        inner.slots.get(number).cloned().ok_or(Error::BadHandle)
    }

    /// Locks the table for a few looks that count no references. They must be short and not come back to it.
    pub fn look(&self) -> Look<'_> {
        Look(self.inner.lock())
    }

    /// Calls `f` with a handle, without counting a reference. The table is locked meanwhile: `f` must be short and not
    /// come back to it.
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    pub fn with<R>(&self, number: Number, f: impl FnOnce(&Handle) -> R) -> Result<R, Error> {
        let inner = self.inner.lock();
        inner.slots.get(number).map(f).ok_or(Error::BadHandle)
    }

    /// Takes a handle out; its number is void from now on. O(1).
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    pub fn remove(&self, number: Number) -> Result<Handle, Error> {
        let removed = self.inner.lock().slots.remove(number);
        removed.ok_or(Error::BadHandle)
    }

    /// Adds a second handle to the same object with `rights`, which must be among those of the first.
    ///
    /// # Errors
    /// [`Error::BadHandle`]; [`Error::Denied`] without [`Rights::DUPLICATE`] or when `rights` are more; as
    /// [`insert`](Self::insert).
    pub fn duplicate(&self, number: Number, rights: Rights) -> Result<Number, Error> {
        let handle = self.get(number)?;
        handle.check(rights | Rights::DUPLICATE)?;
        self.insert(handle.into_restricted(rights))
    }

    /// Takes handles out to be passed on with a message: all of them, or none. What is copied stays as well. `fits` may
    /// refuse a handle. The table is locked meanwhile. O(n²) in the length of the list, which is
    /// short.
    ///
    /// # Errors
    /// [`Error::BadHandle`], also for one that is to be moved twice; [`Error::Denied`] without [`Rights::TRANSFER`], for
    /// a copy without [`Rights::DUPLICATE`], and for more rights than it has; what `fits` says; [`Error::NoMemory`].
    pub fn pass(
        &self,
        list: &[Pass],
        fits: impl Fn(&Handle, &Pass) -> Result<(), Error>,
    ) -> Result<Vec<Handle>, Error> {
        let mut passed = Vec::new();
        passed
            .try_reserve_exact(list.len())
            .map_err(|_| Error::NoMemory)?;
        let mut inner = self.inner.lock();
        for (place, pass) in list.iter().enumerate() {
            let handle = inner.slots.get(pass.number).ok_or(Error::BadHandle)?;
            let mut needed = pass.rights | Rights::TRANSFER;
            needed.set(Rights::DUPLICATE, pass.copy);
            handle.check(needed)?;
            let before = list.get(..place).unwrap_or_default();
            if !pass.copy && before.iter().any(|it| !it.copy && it.number == pass.number) {
                return Err(Error::BadHandle);
            }
            fits(handle, pass)?;
        }
        // Copies first: one of them may be of a handle that is moved as well.
        for pass in list {
            if let Some(handle) = inner.slots.get(pass.number) {
                passed.push(handle.restrict(pass.rights));
            }
        }
        for pass in list.iter().filter(|pass| !pass.copy) {
            // Its object is in the list: this is not the last handle to it.
            drop(inner.slots.remove(pass.number));
        }
        Ok(passed)
    }

    /// Puts another handle where one was, under the same number; the one that was there comes back.
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    pub fn replace(&self, number: Number, handle: Handle) -> Result<Handle, Error> {
        let mut inner = self.inner.lock();
        let old = inner.slots.get_mut(number).ok_or(Error::BadHandle)?;
        Ok(core::mem::replace(old, handle))
    }

    /// A table with the same handles under the same numbers: what fork needs.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub fn clone_all(&self) -> Result<Table, Error> {
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let inner = self.inner.lock();
        let slots = inner.slots.try_clone().map_err(|_| Error::NoMemory)?;
        Ok(Table {
            inner: Spin::new(Inner {
                slots,
                limit: inner.limit,
            }),
        })
    }

    /// Calls `f` with every handle in order of place, until it returns `false`. The table is not locked meanwhile;
    /// handles that come and go are seen or not.
    pub fn for_each(&self, mut f: impl FnMut(Number, &Handle) -> bool) {
        let mut from = 0;
        loop {
            let inner = self.inner.lock();
            let Some((index, number, handle)) = inner.slots.at_or_after(from) else {
                return;
            };
            let handle = handle.clone();
            drop(inner);
            if !f(number, &handle) {
                return;
            }
            from = index + 1;
        }
    }

    /// All numbers and handles, in order of place.
    pub fn entries(&self) -> Vec<(Number, Handle)> {
        let mut entries = Vec::new();
        self.for_each(|number, handle| {
            entries.push((number, handle.clone()));
            true
        });
        entries
    }

    /// Drops all handles; their numbers are void from now on.
    pub fn clear(&self) {
        let mut from = 0;
        loop {
            let mut inner = self.inner.lock();
            let Some((index, number, _)) = inner.slots.at_or_after(from) else {
                return;
            };
            let handle = inner.slots.remove(number);
            drop(inner);
            drop(handle);
            from = index + 1;
        }
    }
}

/// A locked table, to look at.
pub struct Look<'a>(SpinGuard<'a, Inner>);

impl Look<'_> {
    /// A handle by its number.
    #[inline]
    pub fn get(&self, number: Number) -> Option<&Handle> {
        self.0.slots.get(number)
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Object};
    use alloc::sync::Arc;

    struct Thing;

    impl Object for Thing {
        fn kind(&self) -> Kind {
            Kind::Event
        }
    }

    #[test]
    fn a_closed_number_stays_void() {
        let table = Table::new();
        let thing = Arc::new(Thing);
        let first = table
            .insert(Handle::new(thing.clone(), Rights::all()))
            .unwrap();
        assert_eq!(table.with(first, Handle::kind), Ok(Kind::Event));
        assert_eq!(Arc::strong_count(&thing), 2);
        drop(table.remove(first).unwrap());
        assert_eq!(Arc::strong_count(&thing), 1);
        assert_eq!(table.get(first).unwrap_err(), Error::BadHandle);
        assert_eq!(table.remove(first).unwrap_err(), Error::BadHandle);
        let second = table
            .insert(Handle::new(thing.clone(), Rights::all()))
            .unwrap();
        assert_ne!(first, second);
        assert_eq!(table.get(first).unwrap_err(), Error::BadHandle);
    }

    #[test]
    fn the_limit_counts_open_handles() {
        let table = Table::new();
        table.set_limit(2);
        let thing = Arc::new(Thing);
        let handle = Handle::new(thing.clone(), Rights::all());
        let first = table.insert(handle.clone()).unwrap();
        table.insert(handle.clone()).unwrap();
        assert_eq!(table.insert(handle.clone()), Err(Error::TooMany));
        assert_eq!(Arc::strong_count(&thing), 4);
        drop(table.remove(first));
        table.insert(handle.clone()).unwrap();
        table.set_limit(usize::MAX);
        assert_eq!(table.limit(), 1 << 20);
        table.clear();
        assert!(table.is_empty());
        drop(handle);
        assert_eq!(Arc::strong_count(&thing), 1);
    }

    #[test]
    fn rights_only_shrink() {
        let table = Table::new();
        let few = Rights::READ | Rights::DUPLICATE;
        let number = table.insert(Handle::new(Arc::new(Thing), few)).unwrap();
        let more = table.duplicate(number, Rights::READ | Rights::WRITE);
        assert_eq!(more, Err(Error::Denied));
        let less = table.duplicate(number, Rights::READ).unwrap();
        assert_eq!(table.with(less, Handle::rights), Ok(Rights::READ));
        assert_eq!(table.duplicate(less, Rights::READ), Err(Error::Denied));
        let handle = table.get(less).unwrap();
        assert_eq!(handle.restrict(Rights::all()).rights(), Rights::READ);
        assert!(handle.check(Rights::WRITE).is_err());
        assert!(handle.check(Rights::empty()).is_ok());
    }

    #[test]
    fn a_copy_has_the_same_numbers() {
        let table = Table::new();
        let thing = Arc::new(Thing);
        let numbers: Vec<_> = (0..100)
            .map(|_| {
                table
                    .insert(Handle::new(thing.clone(), Rights::all()))
                    .unwrap()
            })
            .collect();
        for number in numbers.iter().step_by(2) {
            drop(table.remove(*number));
        }
        let copy = table.clone_all().unwrap();
        let listed = |table: &Table| -> Vec<_> {
            table
                .entries()
                .into_iter()
                .map(|(number, _)| number)
                .collect()
        };
        assert_eq!(listed(&table), listed(&copy));
        drop(copy.remove(numbers[1]));
        assert!(table.get(numbers[1]).is_ok());
        assert!(copy.get(numbers[1]).is_err());
        drop((table, copy));
        assert_eq!(Arc::strong_count(&thing), 1);
    }

    #[test]
    fn all_are_passed_on_or_none() {
        let table = Table::new();
        let thing = Arc::new(Thing);
        let add = |rights| table.insert(Handle::new(thing.clone(), rights)).unwrap();
        let (one, two) = (add(Rights::all()), add(Rights::READ | Rights::TRANSFER));
        let pass = |number, rights, copy| Pass {
            number,
            rights,
            copy,
            only: false,
        };
        let fine = |_: &Handle, _: &Pass| Ok(());
        let (read, write) = (Rights::READ, Rights::WRITE);
        for (list, error) in [
            (
                vec![pass(one, read, false), pass(two, read, true)],
                Error::Denied,
            ),
            (
                vec![pass(one, read, false), pass(two, write, false)],
                Error::Denied,
            ),
            (
                vec![pass(one, read, false), pass(Number::NONE, read, false)],
                Error::BadHandle,
            ),
            (
                vec![pass(one, read, false), pass(one, read, false)],
                Error::BadHandle,
            ),
        ] {
            assert_eq!(table.pass(&list, fine).unwrap_err(), error);
        }
        let refused = table.pass(&[pass(one, read, false)], |_, _| Err(Error::Busy));
        assert_eq!(refused.unwrap_err(), Error::Busy);
        assert_eq!((table.len(), Arc::strong_count(&thing)), (2, 3));
        let list = [
            pass(one, read, false),
            pass(one, write, true),
            pass(two, read, false),
        ];
        let passed = table.pass(&list, fine).unwrap();
        let rights: Vec<_> = passed.iter().map(Handle::rights).collect();
        assert_eq!(rights, [read, write, read]);
        assert_eq!((table.len(), Arc::strong_count(&thing)), (0, 4));
    }

    #[test]
    fn objects_are_found_by_type() {
        let handle = Handle::new(Arc::new(Thing), Rights::READ);
        assert!(handle.downcast::<Thing>().is_some());
        assert!(handle.downcast_ref::<crate::Registry>().is_none());
        assert!(handle.is_same_object(&handle.restrict(Rights::empty())));
    }
}
