//! futex(2): wait, wake, requeue, wake-op, bitsets.
//!
//! A futex is known by where its word lives: by memory object and offset if the memory is shared, by address space
//! and address if it is private. Waiters hang in a table of buckets; each waits for its own token to be taken out,
//! so a wake touches only those it wakes.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::thread::Restart;
use crate::time::Timespec;
use crate::user;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::sync::Spin;
use memory::{Object, Space};
use task::{Deadline, WaitError, WaitQueue};

const FUTEX_WAIT: u32 = 0;
const FUTEX_WAKE: u32 = 1;
const FUTEX_REQUEUE: u32 = 3;
const FUTEX_CMP_REQUEUE: u32 = 4;
const FUTEX_WAKE_OP: u32 = 5;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAKE_BITSET: u32 = 10;
const FUTEX_PRIVATE_FLAG: u32 = 128;
const FUTEX_CLOCK_REALTIME: u32 = 256;
const ALL_BITS: u32 = u32::MAX;

const BUCKETS: usize = 256;

/// Where a futex word lives.
#[derive(Clone)]
enum Place {
    /// In memory of one address space, named by where that is in the kernel: a waiter keeps it alive.
    Private { space: usize, address: usize },
    /// In an object that others may have mapped elsewhere.
    Shared { object: Arc<Object>, offset: u64 },
}

impl Place {
    fn private(space: &Arc<Space>, address: usize) -> Place {
        Place::Private {
            space: Arc::as_ptr(space).addr(),
            address,
        }
    }

    fn key(&self) -> (usize, u64) {
        match self {
            Place::Private { space, address } => (*space, *address as u64),
            Place::Shared { object, offset } => (Arc::as_ptr(object).addr(), *offset),
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        self.key() == other.key()
    }
}

struct Waiter {
    woken: AtomicBool,
    queue: WaitQueue,
    bits: u32,
    /// Where it waits now: requeueing changes it.
    place: Spin<Place>,
}

#[derive(Default)]
struct Bucket {
    waiters: VecDeque<Arc<Waiter>>,
}

static TABLE: [Spin<Bucket>; BUCKETS] = [const {
    Spin::new(Bucket {
        waiters: VecDeque::new(),
    })
}; BUCKETS];

fn bucket(place: &Place) -> &'static Spin<Bucket> {
    let (whose, offset) = place.key();
    // Fibonacci hashing: the upper bits of the product are well mixed.
    let hash = (whose as u64 ^ offset.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[(hash >> 56) as usize % BUCKETS]
}

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
    Some(wake(
        call.space,
        address as usize,
        value as u32,
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
    if flags & FUTEX_CLOCK_REALTIME != 0 && command != FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    match command {
        FUTEX_WAIT => {
            let until = deadline(call, timeout, flags, false).await?;
            wait(call, address, value, flags, until, ALL_BITS).await
        }
        FUTEX_WAIT_BITSET => {
            let until = deadline(call, timeout, flags, true).await?;
            wait(call, address, value, flags, until, third).await
        }
        FUTEX_REQUEUE => {
            requeue(
                call,
                address,
                value,
                timeout as u32,
                second as usize,
                None,
                private,
            )
            .await
        }
        FUTEX_CMP_REQUEUE => {
            requeue(
                call,
                address,
                value,
                timeout as u32,
                second as usize,
                Some(third),
                private,
            )
            .await
        }
        FUTEX_WAKE_OP => {
            wake_op(
                call,
                address,
                value,
                timeout as u32,
                second as usize,
                third,
                private,
            )
            .await
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The deadline: relative for `FUTEX_WAIT`, absolute for the bitset form.
async fn deadline(
    call: &Call<'_>,
    timeout: u64,
    flags: u32,
    absolute: bool,
) -> Result<Option<Deadline>, Errno> {
    if timeout == 0 {
        return Ok(None);
    }
    let time = call.read::<Timespec>(timeout).await?.nanoseconds()?;
    Ok(Some(match (absolute, flags & FUTEX_CLOCK_REALTIME != 0) {
        (false, _) => Deadline::Boot(machine::time::now().saturating_add(time)),
        (true, true) => Deadline::Wall(time),
        (true, false) => Deadline::Boot(time),
    }))
}

fn place(space: &Arc<Space>, address: usize, private: bool) -> Result<Place, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if address >= machine::USER_END {
        return Err(Errno::EFAULT);
    }
    if !private {
        if let Some((object, offset)) = space.shared_place(address) {
            return Ok(Place::Shared { object, offset });
        }
        // Which memory it is about must be known, even if nobody reads the word.
        if space.mapping_at(address).is_none() {
            return Err(Errno::EFAULT);
        }
    }
    Ok(Place::private(space, address))
}

/// Goes on with a wait that a signal without handler interrupted.
pub async fn resume(
    call: &mut Call<'_>,
    address: usize,
    value: u32,
    flags: u32,
    until: Option<Deadline>,
    bits: u32,
) -> Answer {
    wait(call, address, value, flags, until, bits).await
}

async fn wait(
    call: &mut Call<'_>,
    address: usize,
    value: u32,
    flags: u32,
    until: Option<Deadline>,
    bits: u32,
) -> Answer {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    // The page must be there first: below, the word is read with the bucket locked, and nothing may fault then.
    let place = {
        user::read::<u32>(call.space, address).await?;
        place(call.space, address, flags & FUTEX_PRIVATE_FLAG != 0)?
    };
    let waiter = Arc::new(Waiter {
        woken: AtomicBool::new(false),
        queue: WaitQueue::new(),
        bits,
        place: Spin::new(place.clone()),
    });
    {
        let mut bucket = bucket(&place).lock();
        match call.space.root().load_u32(address) {
            Ok(now) if now == value => bucket.waiters.push_back(waiter.clone()),
            Ok(_) => return Err(Errno::EAGAIN),
            Err(_) => return Err(Errno::EFAULT),
        }
    }
    let woken = || waiter.woken.load(Ordering::Acquire).then_some(());
    let outcome = waiter.queue.wait_until_by(until, woken).await;
    // A wake that came together with the interruption counts: it was given to this waiter and must not be lost.
    if outcome.is_ok() || !withdraw(&waiter) {
        return Ok(0);
    }
    match outcome {
        Err(WaitError::TimedOut) => Err(Errno::ETIMEDOUT),
        _ if until.is_none() => Err(Errno::ERESTARTSYS),
        _ => {
            call.thread.set_restart(Restart::Futex {
                address,
                value,
                flags,
                until,
                bits,
            });
            Err(Errno::ERESTARTBLOCK)
        }
    }
}

/// Takes a waiter out; false if it was woken before.
fn withdraw(waiter: &Arc<Waiter>) -> bool {
    loop {
        let place = waiter.place.lock().clone();
        let mut bucket = bucket(&place).lock();
        if waiter.woken.load(Ordering::Acquire) {
            return false;
        }
        let before = bucket.waiters.len();
        bucket.waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        if bucket.waiters.len() < before {
            return true;
        }
        // It was requeued between the two locks: look at its new place.
    }
}

fn wake(space: &Arc<Space>, address: usize, count: u32, private: bool, bits: u32) -> Answer {
    let place = place(space, address, private)?;
    Ok(wake_place(&place, count, bits))
}

fn wake_place(place: &Place, count: u32, bits: u32) -> usize {
    let mut woken = 0;
    let mut bucket = bucket(place).lock();
    let mut at = 0;
    while woken < count as usize
        && let Some(waiter) = bucket.waiters.get(at)
    {
        if waiter.bits & bits == 0 || *waiter.place.lock() != *place {
            at += 1;
            continue;
        }
        if let Some(waiter) = bucket.waiters.remove(at) {
            waiter.woken.store(true, Ordering::Release);
            waiter.queue.wake_all();
            woken += 1;
        }
    }
    woken
}

/// Wakes from inside the kernel: a thread's end. Both kinds of waiters are meant, since nobody said which.
pub fn wake_at(space: &Arc<Space>, address: usize, count: u32, shared_too: bool) {
    let woken = wake(space, address, count, true, ALL_BITS).unwrap_or(0);
    if shared_too && woken == 0 {
        // An address that is not mapped has no waiters.
        let _ = wake(space, address, count, false, ALL_BITS);
    }
}

async fn requeue(
    call: &mut Call<'_>,
    from: usize,
    wake: u32,
    move_count: u32,
    to: usize,
    expected: Option<u32>,
    private: bool,
) -> Answer {
    if (wake as i32) < 0 || (move_count as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let now = user::read::<u32>(call.space, from).await?;
    let source = place(call.space, from, private)?;
    let target = place(call.space, to, private)?;
    if expected.is_some_and(|expected| expected != now) {
        return Err(Errno::EAGAIN);
    }
    let woken = wake_place(&source, wake, ALL_BITS);
    let moved = transfer(&source, &target, move_count as usize);
    Ok(woken + moved)
}

fn transfer(source: &Place, target: &Place, limit: usize) -> usize {
    let mut moving = VecDeque::new();
    {
        let mut bucket = bucket(source).lock();
        let mut at = 0;
        while moving.len() < limit
            && let Some(waiter) = bucket.waiters.get(at)
        {
            if *waiter.place.lock() != *source {
                at += 1;
                continue;
            }
            if let Some(waiter) = bucket.waiters.remove(at) {
                *waiter.place.lock() = target.clone();
                moving.push_back(waiter);
            }
        }
    }
    let moved = moving.len();
    bucket(target).lock().waiters.append(&mut moving);
    moved
}

async fn wake_op(
    call: &mut Call<'_>,
    first: usize,
    wake_first: u32,
    wake_second: u32,
    second: usize,
    encoded: u32,
    private: bool,
) -> Answer {
    user::read::<u32>(call.space, second).await?;
    let (first, second_place) = (
        place(call.space, first, private)?,
        place(call.space, second, private)?,
    );
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
    let before = loop {
        let update = call.space.root().update_u32(second, |old| match operation {
            0 => argument,
            1 => old.wrapping_add(argument),
            2 => old | argument,
            3 => old & !argument,
            _ => old ^ argument,
        });
        match update {
            Ok(before) => break before as i32,
            Err(fault) => {
                call.space
                    .resolve(fault.address, memory::Need::Write)
                    .await?
            }
        }
    };
    let holds = match encoded >> 24 & 0xf {
        0 => before == compare,
        1 => before != compare,
        2 => before < compare,
        3 => before <= compare,
        4 => before > compare,
        5 => before >= compare,
        _ => return Err(Errno::ENOSYS),
    };
    let mut woken = wake_place(&first, wake_first, ALL_BITS);
    if holds {
        woken += wake_place(&second_place, wake_second, ALL_BITS);
    }
    Ok(woken)
}
