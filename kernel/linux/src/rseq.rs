//! rseq(2): restartable sequences. A thread says where it has a record; the kernel keeps there which processor the thread is
//! on, and a critical section that the record names goes to its abort handler if the thread was taken off the processor
//! in it, moved, or given a signal.
//!
//! The one idea: all that can happen to a critical section happens between two turns of the thread's task, or when a
//! signal's frame is made. So nothing watches: before user mode the number of the turn is compared with the one seen last
//! ([`Rseq::turned`]). A thread that never registered pays for one look at a word, and that only when it comes from a wait,
//! a fault or an interrupt, never from a call that is answered at once.
//!
//! Source: rseq(2) of librseq; Linux `include/uapi/linux/rseq.h`, `kernel/rseq.c`.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::signal::queue::Info;
use crate::signal::send;
use crate::signal::set::SIGSEGV;
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use machine::USER_END;
use machine::sync::Spin;
use machine::user::UserContext;
use memory::Space;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What the kernel writes, in bytes from the record's beginning (`AT_RSEQ_FEATURE_SIZE`).
pub const FEATURES: u64 = 28;
/// How a record is aligned (`AT_RSEQ_ALIGN`); also the size of the oldest one, which is the least.
pub const ALIGN: u64 = 32;

/// Places in the record.
const CPU_ID_START: usize = 0;
const SECTION: usize = 8;
const NODE_ID: usize = 20;

const UNREGISTER: u64 = 1;
/// In place of the processor's number when the kernel does not keep it.
const UNINITIALIZED: u32 = u32::MAX;

/// What a thread registered. Only the thread itself looks at it, and who makes it.
#[derive(Default)]
pub struct Rseq {
    /// 0: nothing.
    record: AtomicU64,
    length: AtomicU32,
    signature: AtomicU32,
    /// The turn in which the record was right, plus one; 0: it must be looked at.
    seen: AtomicU64,
    /// The processor and the number among the process's threads that the record shows, plus one; 0: none.
    shown: AtomicU64,
}

/// A critical section (`struct rseq_cs`).
#[derive(FromBytes, IntoBytes, Immutable, Clone, Copy)]
#[repr(C)]
struct Section {
    version: u32,
    flags: u32,
    start: u64,
    length: u64,
    abort: u64,
}

pub async fn rseq(call: &mut Call<'_>, [record, length, flags, signature, ..]: Args) -> Answer {
    let own = &call.thread.rseq;
    // The call's own types are narrower than registers.
    let (length, flags, signature) = (length as u32, flags as u32 as u64, signature as u32);
    let registered = own.record.load(Relaxed);
    let same = registered == record && own.length.load(Relaxed) == length;
    let signed = own.signature.load(Relaxed) == signature;
    if flags & UNREGISTER != 0 {
        if flags != UNREGISTER || registered == 0 || !same {
            return Err(Errno::EINVAL);
        }
        if !signed {
            return Err(Errno::EPERM);
        }
        let forgotten = [0, UNINITIALIZED];
        call.write(record + CPU_ID_START as u64, &forgotten).await?;
        call.write(record + NODE_ID as u64, &[0u32; 2]).await?;
        own.forget();
        return Ok(0);
    }
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if registered != 0 {
        return Err(match (same, signed) {
            (false, _) => Errno::EINVAL,
            (true, false) => Errno::EPERM,
            (true, true) => Errno::EBUSY,
        });
    }
    if u64::from(length) < ALIGN || record % ALIGN != 0 {
        return Err(Errno::EINVAL);
    }
    let end = record.checked_add(length.into());
    if end.is_none_or(|end| end > USER_END as u64) {
        return Err(Errno::EFAULT);
    }
    // What an earlier owner of the memory left there is no section.
    call.write(record + SECTION as u64, &0u64).await?;
    own.length.store(length, Relaxed);
    own.signature.store(signature, Relaxed);
    own.look_again();
    // It is filled on the way back to the program.
    own.record.store(record, Relaxed);
    Ok(0)
}

impl Rseq {
    /// As a forked child has it: its memory is a copy, and so is the record in it.
    pub fn inherit(&self, parent: &Rseq) {
        self.length.store(parent.length.load(Relaxed), Relaxed);
        self.signature
            .store(parent.signature.load(Relaxed), Relaxed);
        self.record.store(parent.record.load(Relaxed), Relaxed);
    }

    /// The program that registered it is gone.
    pub fn forget(&self) {
        self.record.store(0, Relaxed);
    }

    /// The record may be wrong though the thread had no other turn.
    pub fn look_again(&self) {
        self.seen.store(0, Relaxed);
        self.shown.store(0, Relaxed);
    }

    /// Whether the record must be looked at in this turn.
    #[inline]
    pub fn turned(&self, turn: impl FnOnce() -> u64) -> bool {
        self.record.load(Relaxed) != 0 && {
            let turn = turn() + 1;
            self.seen.swap(turn, Relaxed) != turn
        }
    }

    /// Makes the record right for this turn. What does not make sense in it is a `SIGSEGV`.
    pub fn settle(&self, thread: &Thread, space: &Arc<Space>, user: &mut UserContext) {
        let outcome = self
            .show(thread, space)
            .and_then(|()| self.restart(space, user));
        if outcome.is_err() {
            send::force(thread, Info::kernel(SIGSEGV));
        }
    }

    /// A signal's handler is about to interrupt the thread.
    #[inline]
    pub fn interrupted(&self, thread: &Thread, space: &Arc<Space>, user: &mut UserContext) {
        if self.record.load(Relaxed) != 0 && self.restart(space, user).is_err() {
            send::force(thread, Info::kernel(SIGSEGV));
        }
    }

    fn show(&self, thread: &Thread, space: &Arc<Space>) -> Result<(), Errno> {
        let cpu = machine::cpu::index() as u32;
        let number = thread.process().concurrency.number(thread, cpu as usize);
        let shown = (u64::from(cpu) << 32 | u64::from(number)) + 1;
        if self.shown.load(Relaxed) == shown {
            return Ok(());
        }
        let record = self.record.load(Relaxed) as usize;
        memory::store_user(space, record + CPU_ID_START, &[cpu, cpu])?;
        memory::store_user(space, record + NODE_ID, &[0, number])?;
        self.shown.store(shown, Relaxed);
        Ok(())
    }

    /// Leaves the critical section, if the thread is in one.
    fn restart(&self, space: &Arc<Space>, user: &mut UserContext) -> Result<(), Errno> {
        let record = self.record.load(Relaxed) as usize;
        let place: u64 = memory::load_user(space, record + SECTION)?;
        if place == 0 {
            return Ok(());
        }
        if place >= USER_END as u64 {
            return Err(Errno::EINVAL);
        }
        let section: Section = memory::load_user(space, place as usize)?;
        section.check()?;
        let signed = section.abort.checked_sub(4).ok_or(Errno::EINVAL)?;
        let signature: u32 = memory::load_user(space, signed as usize)?;
        if signature != self.signature.load(Relaxed) {
            return Err(Errno::EINVAL);
        }
        let inside = section.holds(user.registers.rip);
        // The flags that once kept a section from restarting are refused by Linux, too; those of the record it ignores now.
        if inside && section.flags != 0 {
            return Err(Errno::EINVAL);
        }
        memory::store_user(space, record + SECTION, &0u64)?;
        if inside {
            user.registers.rip = section.abort;
        }
        Ok(())
    }
}

impl Section {
    fn check(&self) -> Result<(), Errno> {
        let end = self.start.checked_add(self.length);
        let ends = [Some(self.start), end, Some(self.abort)];
        let outside = |end: Option<u64>| end.is_none_or(|end| end >= USER_END as u64);
        if self.version != 0 || ends.into_iter().any(outside) || self.holds(self.abort) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.start) < self.length
    }
}

/// Which small numbers a process uses on which processors (`mm_cid`): those of threads that run at the same time differ,
/// and none is larger than the number of processors on which the process has run with several threads.
#[derive(Default)]
pub struct Concurrency(Spin<Numbers>);

struct Numbers {
    /// By processor: the number plus one, or 0.
    of: [u8; machine::cpu::MAX],
    given: u8,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers {
            of: [0; machine::cpu::MAX],
            given: 0,
        }
    }
}

impl Concurrency {
    /// The number of a thread that runs on this processor. Who is alone is 0.
    fn number(&self, thread: &Thread, cpu: usize) -> u32 {
        if thread.core().process().thread_count() == 1 {
            return 0;
        }
        self.0.lock().on(cpu)
    }
}

impl Numbers {
    fn on(&mut self, cpu: usize) -> u32 {
        let Some(number) = self.of.get_mut(cpu) else {
            return 0;
        };
        if *number == 0 {
            self.given += 1;
            *number = self.given;
        }
        u32::from(*number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_dense_and_stay() {
        let mut numbers = Numbers::default();
        assert_eq!([5, 9, 5, 0].map(|cpu| numbers.on(cpu)), [0, 1, 0, 2]);
    }

    proptest! {
        #[test]
        fn a_section_that_passes_has_its_handler_outside(start: u64, length: u64, abort: u64, near in any::<[bool; 3]>()) {
            let bound = |word: u64, near: bool| if near { word % 0x1000 } else { word % (USER_END as u64 * 2) };
            let section = Section {
                version: 0,
                flags: 0,
                start: bound(start, near[0]),
                length: bound(length, near[1]),
                abort: bound(abort, near[2]),
            };
            if section.check().is_ok() {
                let range = section.start..section.start + section.length;
                prop_assert!(range.end < USER_END as u64 && section.abort < USER_END as u64);
                prop_assert!(!range.contains(&section.abort));
                prop_assert!(range.is_empty() || section.holds(range.start) && section.holds(range.end - 1));
                prop_assert!(!section.holds(range.end));
            }
        }
    }
}
