//! Calls that are not there: the error Linux would give, logged once each, and counted.

use crate::errno::Errno;
use core::sync::atomic::{AtomicU32, Ordering};

/// Numbers below this are counted each on its own, all others together.
const NUMBERS: usize = 512;

static COUNTS: [AtomicU32; NUMBERS] = [const { AtomicU32::new(0) }; NUMBERS];
static OTHERS: AtomicU32 = AtomicU32::new(0);

/// Counts an unsupported call and answers `ENOSYS`.
pub fn note(number: u64) -> Errno {
    let count = usize::try_from(number)
        .ok()
        .and_then(|number| COUNTS.get(number))
        .unwrap_or(&OTHERS);
    if count.fetch_add(1, Ordering::Relaxed) == 0 {
        log::warn!("linux: call {number} is not supported");
    }
    Errno::ENOSYS
}

/// The numbers that were asked for in vain since boot, and how often. `None` stands for all numbers that no Linux has.
pub fn counts() -> impl Iterator<Item = (Option<usize>, u32)> {
    let numbers = COUNTS.iter().enumerate();
    numbers
        .map(|(number, count)| (Some(number), count))
        .chain([(None, &OTHERS)])
        .map(|(number, count)| (number, count.load(Ordering::Relaxed)))
        .filter(|&(_, count)| count > 0)
}
