//! All of a thread's scheduling in one record: sched_setattr(2), sched_getattr(2).

use super::find;
use super::policy::{Wanted, positive, priorities, set};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use abi::Rights;
use alloc::vec::Vec;
use task::policy::Reservation;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct sched_attr`, without the bounds of utilisation (which there are none of here).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const SIZE: usize = size_of::<Attributes>();
const LARGEST: usize = 4096;
const RESET_ON_FORK: u64 = 0x01;
const KEEP_POLICY: u64 = 0x08;
const KEEP_PARAMETERS: u64 = 0x10;
const UTILISATION: u64 = 0x60;

pub async fn sched_setattr(call: &mut Call<'_>, [pid, from, flags, ..]: Args) -> Answer {
    if from == 0 || flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    positive(pid)?;
    let given = read(call, from).await?;
    if given.policy as i32 > -1 || given.flags & KEEP_POLICY != 0 {
        let thread = find(call, pid, Rights::SIGNAL)?;
        let wanted = wanted(&given, &Wanted::of(&thread))?;
        set(call, &thread, &wanted)?;
        Ok(0)
    } else {
        Err(Errno::EINVAL)
    }
}

fn wanted(given: &Attributes, now: &Wanted) -> Result<Wanted, Errno> {
    if given.flags & UTILISATION != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if given.flags & !(RESET_ON_FORK | KEEP_POLICY | KEEP_PARAMETERS) != 0 {
        return Err(Errno::EINVAL);
    }
    let keeps = given.flags & KEEP_POLICY != 0;
    let mut wanted = Wanted {
        policy: (!keeps).then_some(u64::from(given.policy)),
        resets: given.flags & RESET_ON_FORK != 0,
        nice: given.nice.clamp(-20, 19) as i8,
        priority: given.priority,
        reservation: Reservation {
            runtime: given.runtime,
            deadline: given.deadline,
            period: given.period,
        },
    };
    if given.flags & KEEP_PARAMETERS != 0 {
        // Linux counts the policy among them, though it wants a valid one.
        if let Some(policy) = wanted.policy.take() {
            priorities(policy)?;
        }
        wanted.nice = now.nice;
        wanted.priority = now.priority;
        wanted.reservation = now.reservation;
    }
    Ok(wanted)
}

/// A record of any size: what is missing is 0, what is more than we know must be 0.
async fn read(call: &Call<'_>, from: u64) -> Result<Attributes, Errno> {
    let size = call.read::<u32>(from).await? as usize;
    let size = if size == 0 { SIZE } else { size };
    if !(SIZE..=LARGEST).contains(&size) {
        return too_big(call, from).await;
    }
    let mut bytes: Vec<u8> = alloc::vec![0; size];
    crate::user::read_bytes(call.space, from as usize, &mut bytes).await?;
    let mut known = Attributes::default();
    known.as_mut_bytes().copy_from_slice(&bytes[..SIZE]);
    // The bounds of utilisation count only with their flags.
    let rest = bytes.get(SIZE + 8..).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        return too_big(call, from).await;
    }
    Ok(known)
}

/// Says how large a record may be.
async fn too_big(call: &Call<'_>, from: u64) -> Result<Attributes, Errno> {
    call.write(from, &(SIZE as u32 + 8)).await?;
    Err(Errno::E2BIG)
}

pub async fn sched_getattr(call: &mut Call<'_>, [pid, to, size, flags, ..]: Args) -> Answer {
    let size = size as u32 as usize;
    if to == 0 || !(SIZE..=LARGEST).contains(&size) || flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    positive(pid)?;
    let now = Wanted::of(&*find(call, pid, Rights::LIST)?);
    let policy = now.policy.unwrap_or_default();
    let mut record = [0; SIZE + 8];
    let written = size.min(record.len());
    let fair = policy == 0 || policy == 3 || policy == 5;
    let known = Attributes {
        size: written as u32,
        policy: policy as u32,
        flags: if now.resets { RESET_ON_FORK } else { 0 },
        nice: if fair { i32::from(now.nice) } else { 0 },
        priority: now.priority,
        runtime: now.reservation.runtime,
        deadline: now.reservation.deadline,
        period: now.reservation.period,
    };
    record[..SIZE].copy_from_slice(known.as_bytes());
    crate::user::write_bytes(call.space, to as usize, &record[..written]).await?;
    Ok(0)
}
