//! Where a futex word lives: by memory object and offset if the memory is shared, by address space and address if it is
//! private.

use crate::errno::Errno;
use alloc::sync::Arc;
use memory::{Object, Space};
use task::turnstile::Label;

#[derive(Clone)]
pub enum Place {
    /// In memory of one address space, named by where that is in the kernel: a waiter keeps it alive.
    Private { space: usize, address: usize },
    /// In an object that others may have mapped elsewhere.
    Shared { object: Arc<Object>, offset: u64 },
}

impl Place {
    /// Of the word at an address.
    ///
    /// # Errors
    /// `EINVAL`: not aligned. `EFAULT`: no user's address, or, for a shared one, nothing is mapped there.
    pub fn of(space: &Arc<Space>, address: usize, private: bool) -> Result<Place, Errno> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if address >= machine::USER_END {
            return Err(Errno::EFAULT);
        }
        if !private {
            if let Some((object, offset)) = space.shared_place(address) {
                return Ok(Place::Shared { object, offset });
            }
            // Which memory it is about must be known, even if nobody reads the word.
            if space.mapping_at(address).is_none() {
                return Err(Errno::EFAULT);
            }
        }
        Ok(Place::Private {
            space: Arc::as_ptr(space).addr(),
            address,
        })
    }

    /// Names it as long as somebody waits there.
    pub fn key(&self) -> Label {
        match self {
            Place::Private { space, address } => [*space as u64, *address as u64],
            Place::Shared { object, offset } => [Arc::as_ptr(object).addr() as u64, *offset],
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        self.key() == other.key()
    }
}
