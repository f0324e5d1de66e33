//! Setting the wall clock.

use super::{CLOCK_REALTIME, Timespec, Timeval};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};

pub async fn clock_settime(call: &mut Call<'_>, [clock, from, ..]: Args) -> Answer {
    if clock != CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    let time = call.read::<Timespec>(from).await?.nanoseconds()?;
    if call.process().identity().effective.uid != 0 {
        return Err(Errno::EPERM);
    }
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
    if call.process().identity().effective.uid != 0 {
        return Err(Errno::EPERM);
    }
    if let Some(time) = time {
        set_real(time)?;
    }
    Ok(0)
}

fn set_real(time: u64) -> Result<(), Errno> {
    Ok(task::clock::set_wall(time)?)
}
