//! Setting the wall clock.

use super::clock::{self, Clock};
use super::{CLOCK_REALTIME, Timespec, Timeval, adjust};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::system;

pub async fn clock_settime(call: &mut Call<'_>, [number, from, ..]: Args) -> Answer {
    if u64::from(number as u32) != CLOCK_REALTIME {
        // Time that was used cannot be set, by whoever it was; the other clocks have no such call.
        return match clock::find(call, number)? {
            Clock::Process(_) | Clock::Thread(_) if (number as i32) < 0 => Err(Errno::EPERM),
            _ => Err(Errno::EINVAL),
        };
    }
    let time = call.read::<Timespec>(from).await?.nanoseconds()?;
    check_authority(call)?;
    set_real(time)?;
    Ok(0)
}

/// settimeofday(2). The time zone, which is the library's business, is accepted and forgotten.
pub async fn settimeofday(call: &mut Call<'_>, [from, zone, ..]: Args) -> Answer {
    let time = match from {
        0 => None,
        from => Some(call.read::<Timeval>(from).await?.nanoseconds()?),
    };
    if zone != 0 {
        call.read::<[i32; 2]>(zone).await?;
    }
    check_authority(call)?;
    if let Some(time) = time {
        set_real(time)?;
    }
    Ok(0)
}

fn set_real(time: u64) -> Result<(), Errno> {
    task::clock::set_wall(time)?;
    adjust::clock_was_set();
    Ok(())
}

/// The clocks are the machine's: who may switch that off may set them.
///
/// # Errors
/// `EPERM`.
pub fn check_authority(call: &Call<'_>) -> Result<(), Errno> {
    match system::owns_machine(call) {
        true => Ok(()),
        false => Err(Errno::EPERM),
    }
}
