//! futex(2): waiting until a word changes, and locks whose owner is named by a word.

mod attempt;
pub mod pi;
mod place;
mod requeue;
pub mod robust;
mod table;
mod wait;

pub use pi::Awaited;
pub use wait::{wait, wake_at};

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::time::Timespec;
use requeue::Words;
use task::Deadline;

const FUTEX_WAIT: u32 = 0;
const FUTEX_WAKE: u32 = 1;
const FUTEX_REQUEUE: u32 = 3;
const FUTEX_CMP_REQUEUE: u32 = 4;
const FUTEX_WAKE_OP: u32 = 5;
const FUTEX_LOCK_PI: u32 = 6;
const FUTEX_UNLOCK_PI: u32 = 7;
const FUTEX_TRYLOCK_PI: u32 = 8;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAKE_BITSET: u32 = 10;
const FUTEX_WAIT_REQUEUE_PI: u32 = 11;
const FUTEX_CMP_REQUEUE_PI: u32 = 12;
const FUTEX_LOCK_PI2: u32 = 13;
const FUTEX_PRIVATE_FLAG: u32 = 128;
const FUTEX_CLOCK_REALTIME: u32 = 256;
const ALL_BITS: u32 = u32::MAX;

/// Wakes, which never waits. `None`: another operation.
pub fn futex_now(
    call: &mut Call<'_>,
    [address, operation, value, _, _, bits]: Args,
) -> Option<Answer> {
    const PRIVATE_WAKE: u32 = FUTEX_WAKE | FUTEX_PRIVATE_FLAG;
    const PRIVATE_WAKE_BITSET: u32 = FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG;
    let (operation, bits) = (operation as u32, bits as u32);
    let bits = match operation {
        FUTEX_WAKE | PRIVATE_WAKE => ALL_BITS,
        FUTEX_WAKE_BITSET | PRIVATE_WAKE_BITSET if bits == 0 => return Some(Err(Errno::EINVAL)),
        FUTEX_WAKE_BITSET | PRIVATE_WAKE_BITSET => bits,
        _ => return None,
    };
    let private = operation & FUTEX_PRIVATE_FLAG != 0;
    Some(wait::wake(
        call.space,
        address as usize,
        value as i32,
        private,
        bits,
    ))
}

/// Everything but waking.
pub async fn futex(
    call: &mut Call<'_>,
    [address, operation, value, timeout, second, third]: Args,
) -> Answer {
    let operation = operation as u32;
    let flags = operation & (FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    let (address, value, third) = (address as usize, value as u32, third as u32);
    let private = flags & FUTEX_PRIVATE_FLAG != 0;
    let command = operation & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    let chooses_clock = matches!(
        command,
        FUTEX_WAIT_BITSET | FUTEX_WAIT_REQUEUE_PI | FUTEX_LOCK_PI2
    );
    if flags & FUTEX_CLOCK_REALTIME != 0 && !chooses_clock {
        return Err(Errno::ENOSYS);
    }
    let words = Words {
        first: address,
        second: second as usize,
        private,
        wake: value as i32,
        more: timeout as i32,
    };
    match command {
        FUTEX_WAIT => {
            let until = deadline(call, timeout, Clock::Relative).await?;
            wait(call, address, value, flags, until, ALL_BITS).await
        }
        FUTEX_WAIT_BITSET => {
            let until = deadline(call, timeout, Clock::of(flags)).await?;
            wait(call, address, value, flags, until, third).await
        }
        FUTEX_REQUEUE => requeue::requeue(call, words, None).await,
        FUTEX_CMP_REQUEUE => requeue::requeue(call, words, Some(third)).await,
        FUTEX_WAKE_OP => requeue::wake_op(call, words, third).await,
        FUTEX_LOCK_PI => {
            let until = deadline(call, timeout, Clock::Real).await?;
            pi::lock(call, address, private, until).await
        }
        FUTEX_LOCK_PI2 => {
            let until = deadline(call, timeout, Clock::of(flags)).await?;
            pi::lock(call, address, private, until).await
        }
        FUTEX_TRYLOCK_PI => pi::try_lock(call, address, private).await,
        FUTEX_UNLOCK_PI => pi::unlock(call, address, private).await,
        FUTEX_WAIT_REQUEUE_PI => {
            let until = deadline(call, timeout, Clock::of(flags)).await?;
            pi::wait(call, words, value, until).await
        }
        FUTEX_CMP_REQUEUE_PI => pi::requeue(call, words, third).await,
        _ => Err(Errno::ENOSYS),
    }
}

/// What a timeout is measured by.
enum Clock {
    /// From now on.
    Relative,
    Monotonic,
    Real,
}

impl Clock {
    fn of(flags: u32) -> Clock {
        if flags & FUTEX_CLOCK_REALTIME != 0 {
            Clock::Real
        } else {
            Clock::Monotonic
        }
    }
}

async fn deadline(call: &Call<'_>, timeout: u64, clock: Clock) -> Result<Option<Deadline>, Errno> {
    if timeout == 0 {
        return Ok(None);
    }
    let time = call.read::<Timespec>(timeout).await?.nanoseconds()?;
    Ok(Some(match clock {
        Clock::Relative => Deadline::Boot(machine::time::now().saturating_add(time)),
        Clock::Monotonic => Deadline::Boot(time),
        Clock::Real => Deadline::Wall(time),
    }))
}
