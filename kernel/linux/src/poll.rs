//! Waiting for several files: poll(2), select(2) and their p-forms.
//!
//! All of them become one list of files with what is wanted of each; one wait on all their readiness objects serves.

use crate::call::{Args, Call};
use crate::descriptors::{self, Held};
use crate::errno::{Answer, Errno};
use crate::event;
use crate::signal::Set;
use crate::thread::Restart;
use crate::time::{Timespec, Timeval};
use alloc::vec::Vec;
use task::{Readiness, Ready, WaitError};
use vfs::Description;
use zerocopy::IntoBytes;

const POLLIN: u16 = 1;
const POLLPRI: u16 = 2;
const POLLOUT: u16 = 4;
const POLLERR: u16 = 8;
const POLLHUP: u16 = 0x10;
const POLLNVAL: u16 = 0x20;
const POLLRDNORM: u16 = 0x40;
const POLLRDBAND: u16 = 0x80;
const POLLWRNORM: u16 = 0x100;
const POLLWRBAND: u16 = 0x200;
const POLLRDHUP: u16 = 0x2000;

const FD_SETSIZE_LIMIT: usize = 65_536;

/// One file to watch.
struct Watched {
    /// `None`: not open (poll) or not to be looked at (a negative number).
    file: Option<Held>,
    wanted: u16,
    /// What is reported without being asked for.
    always: u16,
    found: u16,
}

impl Watched {
    fn look(&self) -> u16 {
        match &self.file {
            // It was taken back.
            Some(file) if file.tenure().is_over() => POLLNVAL,
            Some(file) => {
                event::refresh(file);
                events(file, self.wanted, self.always)
            }
            None => self.found,
        }
    }

    fn interest(&self) -> Ready {
        interest_in(self.wanted, self.always)
    }
}

/// What is true of a file now, out of what is wanted, and errors and hang-ups.
pub fn state(file: &Description, wanted: u16) -> u16 {
    event::refresh(file);
    events(file, wanted, POLLERR | POLLHUP)
}

/// What a file must tell for [`state`] to change.
pub fn interest(wanted: u16) -> Ready {
    interest_in(wanted, POLLERR | POLLHUP)
}

/// What each set of readiness bits means to `poll`.
const TOLD: [u16; Ready::all().bits() as usize + 1] = {
    let mut table = [0; Ready::all().bits() as usize + 1];
    let mut bits = 0;
    while bits < table.len() {
        let ready = Ready::from_bits_truncate(bits as _);
        let mut events = 0;
        if ready.contains(Ready::READ) {
            events |= POLLIN | POLLRDNORM;
        }
        if ready.contains(Ready::WRITE) {
            events |= POLLOUT | POLLWRNORM;
        }
        if ready.contains(Ready::PRIORITY) {
            events |= POLLPRI | POLLRDBAND;
        }
        if ready.contains(Ready::HANGUP) {
            events |= POLLHUP;
        }
        if ready.contains(Ready::ERROR) {
            events |= POLLERR;
        }
        table[bits] = events;
        bits += 1;
    }
    table
};

/// What a file has told, out of what is wanted and what is always reported.
fn events(file: &Description, wanted: u16, always: u16) -> u16 {
    let Some(readiness) = file.readiness() else {
        return wanted & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    };
    let mut events = TOLD
        .get(readiness.get().bits() as usize)
        .copied()
        .unwrap_or(0);
    if wanted & POLLRDHUP != 0 && crate::socket::of(file).is_some_and(|socket| socket.has_ended()) {
        events |= POLLRDHUP;
    }
    events & (wanted | always)
}

fn interest_in(wanted: u16, always: u16) -> Ready {
    let mut interest = Ready::empty();
    interest.set(
        Ready::HANGUP,
        (wanted | always) & (POLLHUP | POLLRDHUP) != 0,
    );
    interest.set(Ready::ERROR, (wanted | always) & POLLERR != 0);
    interest.set(Ready::READ, wanted & (POLLIN | POLLRDNORM) != 0);
    interest.set(
        Ready::WRITE,
        wanted & (POLLOUT | POLLWRNORM | POLLWRBAND) != 0,
    );
    interest.set(Ready::PRIORITY, wanted & (POLLPRI | POLLRDBAND) != 0);
    interest
}

/// Waits until something is true of one of the files; gives how many. `until` is in nanoseconds since boot.
async fn watch(list: &mut [Watched], until: Option<u64>) -> Result<usize, Errno> {
    loop {
        let mut count = 0;
        for watched in list.iter_mut() {
            watched.found = watched.look();
            count += usize::from(watched.found != 0);
        }
        if count > 0 || until == Some(0) {
            return Ok(count);
        }
        let mut waits: Vec<(&Readiness, Ready)> = Vec::with_capacity(list.len());
        for watched in list.iter() {
            if let Some(file) = &watched.file {
                waits.extend(file.readiness().map(|ready| (ready, watched.interest())));
                waits.extend(file.tenure().ended().map(|ended| (ended, Ready::READ)));
            }
        }
        match task::wait_any(&waits, until).await {
            Ok(_) => {}
            Err(WaitError::TimedOut) => return Ok(0),
            Err(_) => return Err(Errno::EINTR),
        }
    }
}

/// `struct pollfd`.
#[derive(
    Clone,
    Copy,
    Default,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C)]
struct PollDescriptor {
    descriptor: i32,
    events: u16,
    found: u16,
}

/// The most files that [`poll_now`] looks at: one for each bit of a word.
const FEW: usize = u32::BITS as usize;

/// One look at a few files, without counting references to them. `None`: too many, or there is something to wait for.
pub fn poll_now(call: &mut Call<'_>, [descriptors, count, timeout, ..]: Args) -> Option<Answer> {
    let mut list = [PollDescriptor::default(); FEW];
    let list = list.get_mut(..usize::try_from(count).ok()?)?;
    look_at_few(call, descriptors, list, timeout as i32 == 0).transpose()
}

fn look_at_few(
    call: &Call<'_>,
    address: u64,
    list: &mut [PollDescriptor],
    is_last: bool,
) -> Result<Option<usize>, Errno> {
    let open = call.process().descriptors();
    if list.len() > open.limit() {
        return Err(Errno::EINVAL);
    }
    memory::load_bytes(call.space, address as usize, list.as_mut_bytes())?;
    // Bit n: the answer for entry n is not what is there already.
    let mut changed = 0u32;
    let Some(ready) = look(&open.look(), list, &mut changed) else {
        return Ok(None);
    };
    if ready == 0 && !is_last {
        return Ok(None);
    }
    // Only the answers are written: another thread may be changing the rest. Of those that say what is there already
    // the first and the last are enough: they lie on all the pages that the list lies on, so a bad one is found out.
    if let Some(last) = list.len().checked_sub(1) {
        changed |= 1 | 1 << last;
    }
    for (index, entry) in list.iter().enumerate() {
        if changed & 1 << index != 0 {
            call.store(address.wrapping_add(index as u64 * 8 + 6), &entry.found)?;
        }
    }
    Ok(Some(ready))
}

/// Looks at each file, and counts those of which something is true. `None`: one must look for itself first, or lock.
fn look(
    open: &descriptors::Look<'_>,
    list: &mut [PollDescriptor],
    changed: &mut u32,
) -> Option<usize> {
    let mut ready = 0;
    for (index, entry) in list.iter_mut().enumerate() {
        let found = match u32::try_from(entry.descriptor) {
            Ok(descriptor) => match open.file(descriptor) {
                Some(file) if event::refreshes(file) || entry.events & POLLRDHUP != 0 => {
                    return None;
                }
                Some(file) => events(file, entry.events, POLLERR | POLLHUP),
                None => POLLNVAL,
            },
            // A negative number stands for nothing.
            Err(_) => 0,
        };
        *changed |= u32::from(found != entry.found) << index;
        entry.found = found;
        ready += usize::from(found != 0);
    }
    Some(ready)
}

pub async fn poll(call: &mut Call<'_>, [descriptors, count, timeout, ..]: Args) -> Answer {
    let until = match timeout as i32 {
        0 => Some(0),
        milliseconds if milliseconds < 0 => None,
        milliseconds => Some(machine::time::now() + milliseconds as u64 * 1_000_000),
    };
    resume(call, descriptors as usize, count as usize, until).await
}

/// Polls, or goes on after a signal without a handler.
pub async fn resume(
    call: &mut Call<'_>,
    descriptors: usize,
    count: usize,
    until: Option<u64>,
) -> Answer {
    match poll_until(call, descriptors, count, until).await {
        Err(Errno::EINTR) => {
            call.thread.set_restart(Restart::Poll {
                descriptors,
                count,
                until,
            });
            Err(Errno::ERESTARTBLOCK)
        }
        answer => answer,
    }
}

pub async fn ppoll(
    call: &mut Call<'_>,
    [descriptors, count, timeout, mask, size, _]: Args,
) -> Answer {
    let until = deadline(call, timeout).await?;
    replace_mask(call, mask, size).await?;
    let answer = poll_until(call, descriptors as usize, count as usize, until).await;
    write_remaining(call, timeout, until).await;
    finish(call, answer)
}

async fn poll_until(
    call: &mut Call<'_>,
    descriptors: usize,
    count: usize,
    until: Option<u64>,
) -> Answer {
    let open = call.process().descriptors();
    if count > open.limit() {
        return Err(Errno::EINVAL);
    }
    let mut list = Vec::with_capacity(count);
    let address = |index: usize| (descriptors as u64).wrapping_add(index as u64 * 8);
    for index in 0..count {
        let entry: PollDescriptor = call.read(address(index)).await?;
        let file = open.get(entry.descriptor as u32, abi::Rights::empty());
        let found = if file.is_err() && entry.descriptor >= 0 {
            POLLNVAL
        } else {
            0
        };
        let wanted = entry.events;
        let file = if entry.descriptor < 0 {
            None
        } else {
            file.ok()
        };
        list.push(Watched {
            file,
            wanted,
            always: POLLERR | POLLHUP,
            found,
        });
    }
    let ready = watch(&mut list, until).await?;
    for (index, watched) in list.iter().enumerate() {
        call.write(address(index).wrapping_add(6), &watched.found)
            .await?;
    }
    Ok(ready)
}

async fn deadline(call: &Call<'_>, timeout: u64) -> Result<Option<u64>, Errno> {
    if timeout == 0 {
        return Ok(None);
    }
    let length = call.read::<Timespec>(timeout).await?.nanoseconds()?;
    Ok(Some(if length == 0 {
        0
    } else {
        machine::time::now().saturating_add(length)
    }))
}

/// Replaces the mask of blocked signals for one call, if it names one.
pub async fn replace_mask(call: &Call<'_>, mask: u64, size: u64) -> Result<(), Errno> {
    if mask != 0 {
        if size != 8 {
            return Err(Errno::EINVAL);
        }
        let mask = Set(call.read::<u64>(mask).await?);
        call.thread.replace_mask_for_call(mask);
    }
    Ok(())
}

/// Linux tells what was left of the time; a place that cannot be written is not an error.
async fn write_remaining(call: &Call<'_>, timeout: u64, until: Option<u64>) {
    if let (Some(until), true) = (until, timeout != 0) {
        let rest = until.saturating_sub(machine::time::now());
        let _ = call.write(timeout, &Timespec::from_nanoseconds(rest)).await;
    }
}

/// With a replaced mask the answer is settled only once it is known whether a handler runs.
fn finish(call: &Call<'_>, answer: Answer) -> Answer {
    match answer {
        Err(Errno::EINTR) => Err(Errno::ERESTARTNOHAND),
        answer => {
            call.thread.restore_saved_mask();
            answer
        }
    }
}

pub async fn select(call: &mut Call<'_>, [count, read, write, except, timeout, _]: Args) -> Answer {
    let until = match timeout {
        0 => None,
        address => {
            let length = call.read::<Timeval>(address).await?.nanoseconds()?;
            Some(if length == 0 {
                0
            } else {
                machine::time::now().saturating_add(length)
            })
        }
    };
    let answer = select_until(call, count, [read, write, except], until).await;
    if let (Some(until), true) = (until, timeout != 0) {
        let rest = until.saturating_sub(machine::time::now());
        let _ = call.write(timeout, &Timeval::from_nanoseconds(rest)).await;
    }
    finish(call, answer)
}

pub async fn pselect6(
    call: &mut Call<'_>,
    [count, read, write, except, timeout, mask]: Args,
) -> Answer {
    let until = deadline(call, timeout).await?;
    if mask != 0 {
        let [address, size]: [u64; 2] = call.read(mask).await?;
        replace_mask(call, address, size).await?;
    }
    let answer = select_until(call, count, [read, write, except], until).await;
    write_remaining(call, timeout, until).await;
    finish(call, answer)
}

const READ_EVENTS: u16 = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
const WRITE_EVENTS: u16 = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
const EXCEPT_EVENTS: u16 = POLLPRI;

async fn select_until(
    call: &mut Call<'_>,
    count: u64,
    sets: [u64; 3],
    until: Option<u64>,
) -> Answer {
    if (count as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let count = (count as usize).min(FD_SETSIZE_LIMIT);
    let words = count.div_ceil(64);
    let mut bits: [Vec<u64>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for (set, address) in bits.iter_mut().zip(sets) {
        for index in 0..words {
            let word = if address == 0 {
                0
            } else {
                call.read(address.wrapping_add(index as u64 * 8)).await?
            };
            set.push(word);
        }
    }
    let has = |set: &[u64], descriptor: usize| {
        set.get(descriptor / 64)
            .is_some_and(|word| word >> (descriptor % 64) & 1 != 0)
    };
    let open = call.process().descriptors();
    let mut list = Vec::new();
    let mut numbers = Vec::new();
    for descriptor in 0..count {
        let mut wanted = 0;
        for (set, events) in bits.iter().zip([READ_EVENTS, WRITE_EVENTS, EXCEPT_EVENTS]) {
            if has(set, descriptor) {
                wanted |= events;
            }
        }
        if wanted != 0 {
            let file = open.get(descriptor as u32, abi::Rights::empty())?;
            list.push(Watched {
                file: Some(file),
                wanted,
                always: 0,
                found: 0,
            });
            numbers.push(descriptor);
        }
    }
    watch(&mut list, until).await?;
    let total = mark(&mut bits, &list, &numbers, has);
    for (set, address) in bits.iter().zip(sets) {
        for (index, word) in set.iter().enumerate() {
            call.write_if(
                if address == 0 {
                    0
                } else {
                    address.wrapping_add(index as u64 * 8)
                },
                word,
            )
            .await?;
        }
    }
    Ok(total)
}

/// Leaves those bits set that are true of their files; gives how many.
fn mark(
    bits: &mut [Vec<u64>; 3],
    list: &[Watched],
    numbers: &[usize],
    has: impl Fn(&[u64], usize) -> bool,
) -> usize {
    let mut total = 0;
    let mut results: [Vec<u64>; 3] = [0, 1, 2].map(|set: usize| alloc::vec![0; bits[set].len()]);
    for (watched, &descriptor) in list.iter().zip(numbers) {
        for (index, events) in [READ_EVENTS, WRITE_EVENTS, EXCEPT_EVENTS]
            .into_iter()
            .enumerate()
        {
            if has(&bits[index], descriptor) && watched.found & events != 0 {
                results[index][descriptor / 64] |= 1 << (descriptor % 64);
                total += 1;
            }
        }
    }
    *bits = results;
    total
}
