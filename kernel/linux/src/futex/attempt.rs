//! Things done to a word with its bucket locked. Nothing may fault there; so who misses a page gives up, lets go, has
//! the page brought in, and begins again.

use crate::errno::Errno;
use alloc::sync::Arc;
use machine::paging::CopyFault;
use memory::Space;
use task::Task;

/// Why an attempt came to nothing.
pub enum Trouble {
    /// A page was missed.
    Fault(CopyFault),
    /// The word changed meanwhile.
    Changed,
    /// For good.
    Refused(Errno),
}

impl From<CopyFault> for Trouble {
    fn from(fault: CopyFault) -> Self {
        Trouble::Fault(fault)
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Trouble::Refused(errno)
    }
}

/// Attempts it until it comes to something.
pub async fn attempts<T>(
    space: &Arc<Space>,
    mut attempt: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, Errno> {
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Trouble::Refused(errno)) => return Err(errno),
            Err(Trouble::Fault(fault)) => space.resolve_fault(fault)?,
            Err(Trouble::Changed) => pause().await?,
        }
    }
}

/// Before another attempt. The word may change forever, which is no reason to be here forever.
pub async fn pause() -> Result<(), Errno> {
    if task::with_current(Task::interrupted) == Some(true) {
        return Err(Errno::ERESTARTNOINTR);
    }
    if task::should_yield() {
        task::yield_now().await;
    }
    Ok(())
}
