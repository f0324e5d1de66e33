//! Two words in one call: FUTEX_REQUEUE, FUTEX_CMP_REQUEUE and FUTEX_WAKE_OP.

use super::ALL_BITS;
use super::attempt::{Trouble, attempts};
use super::place::Place;
use super::table::{Pair, bucket};
use crate::call::Call;
use crate::errno::{Answer, Errno};

/// What a call with two words says.
#[derive(Clone, Copy)]
pub struct Words {
    pub first: usize,
    pub second: usize,
    pub private: bool,
    /// How many to wake at the first word.
    pub wake: i32,
    /// How many to move to the second word, or to wake there.
    pub more: i32,
}

impl Words {
    pub fn places(&self, call: &Call<'_>) -> Result<(Place, Place), Errno> {
        Ok((
            Place::of(call.space, self.first, self.private)?,
            Place::of(call.space, self.second, self.private)?,
        ))
    }
}

pub async fn requeue(call: &mut Call<'_>, words: Words, expected: Option<u32>) -> Answer {
    if words.wake < 0 || words.more < 0 {
        return Err(Errno::EINVAL);
    }
    let (from, to) = words.places(call)?;
    let (wake, more) = (words.wake as usize, words.more as usize);
    attempts(call.space, || {
        let mut buckets = Pair::lock(&from, &to);
        if let Some(expected) = expected
            && call.space.root().load_u32(words.first)? != expected
        {
            return Err(Trouble::Refused(Errno::EAGAIN));
        }
        Ok(buckets.requeue(&from, wake, &to, more)?)
    })
    .await
}

pub async fn wake_op(call: &mut Call<'_>, words: Words, encoded: u32) -> Answer {
    let operation = encoded >> 28 & 0x7;
    let shifted = encoded >> 31 != 0;
    let sign_extend = |value: u32| ((value << 20) as i32 >> 20) as u32;
    let argument = sign_extend(encoded >> 12 & 0xfff);
    let argument = if shifted {
        1u32.checked_shl(argument & 31).unwrap_or(0)
    } else {
        argument
    };
    let compare = sign_extend(encoded & 0xfff) as i32;
    if operation > 4 {
        return Err(Errno::ENOSYS);
    }
    let (first, second) = words.places(call)?;
    let change = |old: u32| match operation {
        0 => argument,
        1 => old.wrapping_add(argument),
        2 => old | argument,
        3 => old & !argument,
        _ => old ^ argument,
    };
    let update = || Ok(call.space.root().update_u32(words.second, change)?);
    let before = attempts(call.space, update).await? as i32;
    let holds = match encoded >> 24 & 0xf {
        0 => before == compare,
        1 => before != compare,
        2 => before < compare,
        3 => before <= compare,
        4 => before > compare,
        5 => before >= compare,
        _ => return Err(Errno::ENOSYS),
    };
    let mut woken = bucket(first.key())
        .lock()
        .wake(&first, words.wake, ALL_BITS)?;
    if holds {
        woken += bucket(second.key())
            .lock()
            .wake(&second, words.more, ALL_BITS)?;
    }
    Ok(woken)
}
