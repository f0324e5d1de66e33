//! What the Linux door keeps for an open file beyond what all doors know: who owns its locks, and which epoll sets it is
//! in. It ends with the last copy of the open file, and then the locks are let go and the sets forget the file.

use crate::event::epoll::{Key, Set};
use crate::lock;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use machine::sync::{Once, Spin};
use vfs::Description;

#[derive(Default)]
pub struct Extras {
    locks: Once<lock::Held>,
    sets: Spin<Vec<(Weak<Set>, Key)>>,
}

impl Extras {
    /// Those of an open file, made when they are first asked for.
    pub fn of(file: &Description) -> Option<&Extras> {
        let kept = file.keep(|| Arc::new(Extras::default()));
        (&**kept as &dyn Any).downcast_ref()
    }

    /// In whose name locks are taken through it.
    pub fn lock_owner(&self, file: &Description) -> lock::Owner {
        self.locks.get_or_init(|| lock::Held::new(file)).owner()
    }

    /// It is in this set.
    pub fn watched_by(&self, set: Weak<Set>, key: Key) {
        self.sets.lock().push((set, key));
    }

    /// It is in this set no longer.
    pub fn not_watched_by(&self, set: &Arc<Set>, key: Key) {
        let is_it = |(other, its): &(Weak<Set>, Key)| {
            core::ptr::eq(other.as_ptr(), Arc::as_ptr(set)) && *its == key
        };
        self.sets.lock().retain(|entry| !is_it(entry));
    }

    /// Forgets sets that have ended.
    pub fn forget_ended(&self) {
        self.sets.lock().retain(|(set, _)| set.strong_count() > 0);
    }
}

impl Drop for Extras {
    fn drop(&mut self) {
        for (set, key) in core::mem::take(self.sets.get_mut()) {
            if let Some(set) = set.upgrade() {
                set.remove(key);
            }
        }
    }
}
