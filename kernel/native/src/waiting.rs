//! `wait` and `watch`.

use crate::call::Arguments;
use crate::caller::{Caller, number};
use crate::port::Port;
use abi::{Error, Event, Events, NEVER, Number, Rights};
use alloc::vec::Vec;
use task::{Ready, WaitError};

/// The most reports that one call gives.
const MOST_EVENTS: u64 = 256;

pub async fn wait(
    caller: &Caller<'_>,
    [register, deadline, address, capacity, interest, _]: Arguments,
) -> Result<u64, Error> {
    let deadline = (deadline != NEVER).then_some(deadline);
    if register == u64::from(Number::NONE.0) {
        return sleep(deadline).await;
    }
    let handle = caller.handle(register)?;
    if !handle.rights().intersects(Rights::SIGNAL | Rights::READ) {
        return Err(Error::Denied);
    }
    if capacity == 0 {
        return Err(Error::Invalid);
    }
    let events = match handle.downcast::<Port>() {
        Some(port) => match port
            .wait(capacity.min(MOST_EVENTS) as usize, deadline)
            .await
        {
            Err(WaitError::TimedOut) => return Ok(0),
            found => found?,
        },
        None => {
            let interest = Ready::from_bits_truncate(self::interest(interest)?.bits());
            let found = match handle.wait(interest, deadline).await {
                Err(WaitError::TimedOut) => return Ok(0),
                found => found?,
            };
            Vec::from([Event {
                key: 0,
                events: Events::from_bits_truncate(found.bits()),
                handle: number(register)?.0,
            }])
        }
    };
    handle.holds()?;
    let bytes: Vec<u8> = events.iter().flat_map(|event| event.to_bytes()).collect();
    memory::copy_out(caller.space, address as usize, &bytes).await?;
    Ok(events.len() as u64)
}

/// Waits for nothing but the time.
async fn sleep(deadline: Option<u64>) -> Result<u64, Error> {
    match task::wait_any(&[], deadline).await {
        Err(WaitError::Interrupted) => Err(Error::Interrupted),
        Ok(_) | Err(WaitError::TimedOut) => Ok(0),
    }
}

fn interest(register: u64) -> Result<Events, Error> {
    u32::try_from(register)
        .ok()
        .and_then(Events::from_bits)
        .ok_or(Error::Invalid)
}

pub fn watch(
    caller: &Caller<'_>,
    [port, register, events, key, ..]: Arguments,
) -> Result<u64, Error> {
    let port = caller.handle(port)?;
    port.check(Rights::WRITE)?;
    let port = port.downcast::<Port>().ok_or(Error::WrongKind)?;
    let handle = caller.handle(register)?;
    if !handle.rights().intersects(Rights::SIGNAL | Rights::READ) {
        return Err(Error::Denied);
    }
    port.watch(number(register)?, handle, interest(events)?, key)
        .map(|()| 0)
}
