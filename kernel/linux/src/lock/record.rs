//! Which bytes of one file are locked by whom.
//!
//! The records of one owner never overlap, and neighbours of the same kind are one record, as if each byte of the file
//! had a lock of its own.

use super::Owner;
use alloc::vec::Vec;

/// The last byte that there can be (`OFFSET_MAX`).
pub const LAST: u64 = i64::MAX as u64;

/// A locked range, its ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub owner: Owner,
    /// The process that locked it; `None`: the lock belongs to an open file description.
    pub process: Option<u32>,
    pub exclusive: bool,
    pub first: u64,
    pub last: u64,
}

#[derive(Debug, Default)]
pub struct Records(Vec<Record>);

impl Records {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first record of somebody else that hinders this one.
    pub fn conflict(&self, wanted: &Record) -> Option<&Record> {
        self.0.iter().find(|other| {
            other.owner != wanted.owner
                && (other.exclusive || wanted.exclusive)
                && other.first <= wanted.last
                && wanted.first <= other.last
        })
    }

    /// Makes this what its owner has of these bytes.
    pub fn set(&mut self, mut new: Record) {
        self.clear(new.owner, new.first, new.last);
        self.0.retain(|old| {
            let same = old.owner == new.owner && old.exclusive == new.exclusive;
            let before = same && old.last.checked_add(1) == Some(new.first);
            let behind = same && new.last.checked_add(1) == Some(old.first);
            if before {
                new.first = old.first;
            }
            if behind {
                new.last = old.last;
            }
            !before && !behind
        });
        let at = self.0.partition_point(|old| old.first < new.first);
        self.0.insert(at, new);
    }

    /// Takes the owner's locks away from these bytes.
    pub fn clear(&mut self, owner: Owner, first: u64, last: u64) {
        let mut tail = None;
        self.0.retain_mut(|old| {
            if old.owner != owner || old.last < first || last < old.first {
                return true;
            }
            let (keeps_front, keeps_back) = (old.first < first, last < old.last);
            match (keeps_front, keeps_back) {
                (true, true) => {
                    tail = Some(Record {
                        first: last + 1,
                        ..*old
                    });
                    old.last = first - 1;
                }
                (true, false) => old.last = first - 1,
                (false, true) => old.first = last + 1,
                (false, false) => return false,
            }
            true
        });
        if let Some(tail) = tail {
            let at = self.0.partition_point(|old| old.first < tail.first);
            self.0.insert(at, tail);
        }
    }

    pub fn clear_owner(&mut self, owner: Owner) {
        self.0.retain(|record| record.owner != owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    const BYTES: u64 = 24;

    proptest! {
        /// Beside a model in which each byte knows its locks.
        #[test]
        fn ranges_are_as_if_each_byte_had_its_lock(
            steps in prop::collection::vec((0..3u64, 0..3u8, 0..BYTES, 0..BYTES), 0..40)
        ) {
            let mut records = Records::default();
            let mut model: BTreeMap<(u64, u64), bool> = BTreeMap::new();
            for (owner, what, a, b) in steps {
                let (first, last) = (a.min(b), a.max(b));
                let wanted =
                    Record { owner: Owner(owner), process: None, exclusive: what == 1, first, last };
                if what == 2 {
                    records.clear(wanted.owner, first, last);
                    (first..=last).for_each(|byte| { model.remove(&(byte, owner)); });
                    continue;
                }
                let hindered = model.iter().any(|(&(byte, other), &exclusive)| {
                    other != owner && (first..=last).contains(&byte) && (exclusive || wanted.exclusive)
                });
                prop_assert_eq!(records.conflict(&wanted).is_some(), hindered);
                if !hindered {
                    records.set(wanted);
                    (first..=last).for_each(|byte| { model.insert((byte, owner), wanted.exclusive); });
                }
            }
            let mut seen = BTreeMap::new();
            for record in &records.0 {
                for byte in record.first..=record.last {
                    prop_assert_eq!(seen.insert((byte, record.owner.0), record.exclusive), None);
                }
            }
            prop_assert_eq!(seen, model);
            // No two that could be one.
            for a in &records.0 {
                for b in &records.0 {
                    let touch = a.owner == b.owner && a.exclusive == b.exclusive && a.last + 1 == b.first;
                    prop_assert!(!touch);
                }
            }
        }
    }

    #[test]
    fn the_last_byte_is_no_end_to_overflow_at() {
        let record = |first, last| Record {
            owner: Owner(1),
            process: None,
            exclusive: true,
            first,
            last,
        };
        let mut records = Records::default();
        records.set(record(5, LAST));
        records.set(record(0, 4));
        assert_eq!(records.0, [record(0, LAST)]);
        records.clear(Owner(1), LAST, LAST);
        assert_eq!(records.0, [record(0, LAST - 1)]);
    }
}
