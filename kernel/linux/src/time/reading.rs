//! Reading clocks.

use super::clock;
use super::{SECOND, Timespec, Timeval, real};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};

fn read(call: &Call<'_>, number: u64) -> Result<u64, Errno> {
    clock::find(call, number)?.now().ok_or(Errno::EINVAL)
}

pub fn clock_gettime(call: &mut Call<'_>, [number, to, ..]: Args) -> Answer {
    let time = read(call, number)?;
    call.store(to, &Timespec::from_nanoseconds(time))?;
    Ok(0)
}

pub fn clock_getres(call: &mut Call<'_>, [number, to, ..]: Args) -> Answer {
    read(call, number)?;
    call.store_if(
        to,
        &Timespec {
            seconds: 0,
            nanoseconds: 1,
        },
    )?;
    Ok(0)
}

pub fn gettimeofday(call: &mut Call<'_>, [to, zone, ..]: Args) -> Answer {
    call.store_if(to, &Timeval::from_nanoseconds(real()))?;
    call.store_if(zone, &[0i32; 2])?;
    Ok(0)
}

pub async fn time(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    let seconds = real() / SECOND;
    call.write_if(to, &seconds).await?;
    Ok(seconds as usize)
}
