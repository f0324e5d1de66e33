//! The word of a lock: the number of the thread that owns it, or 0, and two bits.

use crate::errno::Errno;

/// Somebody waits, or did: the owner must ask the kernel to unlock it.
pub const FUTEX_WAITERS: u32 = 0x8000_0000;
/// The owner before has died while it owned the lock.
pub const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
pub const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// Whether the word of a lock that is waited for fits its owner.
///
/// # Errors
/// `EINVAL`.
pub fn check(word: u32, owner: u32) -> Result<(), Errno> {
    let number = word & FUTEX_TID_MASK;
    // An owner that is dying has let go of the word, and will hand the lock over in a moment.
    let dying = number == 0 && word & FUTEX_OWNER_DIED != 0;
    if number == owner || dying {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}
