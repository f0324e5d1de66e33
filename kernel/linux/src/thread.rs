//! A Linux thread: what the door knows about it beyond a native one.

use crate::errno::Errno;
use crate::futex::Awaited;
use crate::process::Process;
use crate::rseq::Rseq;
use crate::signal::frame::{SS_AUTODISARM, SS_DISABLE, Stack};
use crate::signal::queue::Pending;
use crate::signal::set::{Set, Signal};
use crate::timer::realtime::RealtimeLimit;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use machine::sync::Spin;
use machine::user::Fault;
use task::Deadline;

pub struct Thread {
    core: Arc<process::Thread>,
    process: Arc<Process>,
    /// Blocked signals. Only the thread itself changes them; senders look.
    mask: AtomicU64,
    /// What sigtimedwait waits for, though blocked.
    awaited: AtomicU64,
    /// Signals of this thread alone.
    pub pending: Spin<Pending>,
    /// What only the thread itself touches.
    own: Spin<Own>,
    /// The number of the call that was interrupted, and with which code: `code << 32 | number + 1`, or 0.
    interrupted_call: AtomicU64,
    /// `set_tid_address`: cleared, and its futex woken, when the thread ends. 0: none.
    pub clear_child_tid: AtomicU64,
    /// `set_robust_list`: head and length.
    pub robust_list: AtomicU64,
    pub rseq: Rseq,
    /// The lock that it waits for.
    pub awaited_lock: Spin<Option<Awaited>>,
    /// `PR_SET_PDEATHSIG`.
    pub parent_death_signal: AtomicU32,
    /// `SCHED_RESET_ON_FORK`: children do not inherit what is better than normal.
    pub reset_on_fork: AtomicBool,
    pub realtime_limit: RealtimeLimit,
}

#[derive(Default)]
struct Own {
    /// The mask to go back to when the call that replaced it (sigsuspend, ppoll) is over.
    saved_mask: Option<Set>,
    alternate: Stack,
    restart: Option<Restart>,
    last_fault: Option<Fault>,
}

/// How `restart_syscall` goes on with an interrupted wait.
#[derive(Clone, Copy, Debug)]
pub enum Restart {
    /// Sleep on until this time (nanoseconds since boot); where to write what remained if interrupted by a handler.
    Sleep { until: u64, remaining: usize },
    /// Sleep on until a clock of CPU time shows this.
    SleepWhileUsed {
        clock: i32,
        until: u64,
        remaining: usize,
    },
    /// Poll on.
    Poll {
        descriptors: usize,
        count: usize,
        until: Option<u64>,
    },
    /// Wait on a futex on.
    Futex {
        address: usize,
        value: u32,
        flags: u32,
        until: Option<Deadline>,
        bits: u32,
    },
}

impl Thread {
    pub fn new(core: Arc<process::Thread>, process: Arc<Process>, mask: Set) -> Arc<Thread> {
        let thread = Arc::new(Thread {
            core,
            process,
            mask: AtomicU64::new(mask.0),
            awaited: AtomicU64::new(0),
            pending: Spin::new(Pending::default()),
            own: Spin::new(Own {
                alternate: Stack {
                    flags: SS_DISABLE,
                    ..Stack::default()
                },
                ..Own::default()
            }),
            interrupted_call: AtomicU64::new(0),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            rseq: Rseq::default(),
            awaited_lock: Spin::new(None),
            parent_death_signal: AtomicU32::new(0),
            reset_on_fork: AtomicBool::new(false),
            realtime_limit: RealtimeLimit::default(),
        });
        thread.core.set_side(&thread);
        thread
    }

    /// What this door knows of `core`, if it is one of its threads.
    pub fn of(core: &process::Thread) -> Option<Arc<Thread>> {
        core.side()
    }

    pub fn id(&self) -> u32 {
        self.core.id()
    }

    pub fn core(&self) -> &Arc<process::Thread> {
        &self.core
    }

    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    pub fn mask(&self) -> Set {
        Set(self.mask.load(Ordering::Acquire))
    }

    /// Sets the blocked signals; what became deliverable is noticed before the return to user mode.
    pub fn set_mask(&self, mask: Set) {
        self.mask
            .store(mask.without(Set::UNBLOCKABLE).0, Ordering::Release);
        if self.has_deliverable() {
            self.interrupt();
        }
    }

    /// Replaces the mask for the length of one call; the checkpoint puts the old one back.
    pub fn replace_mask_for_call(&self, mask: Set) {
        let before = self.mask();
        self.own.lock().saved_mask.get_or_insert(before);
        self.set_mask(mask);
    }

    /// Puts the mask back that a call replaced.
    pub fn restore_saved_mask(&self) {
        let saved = self.own.lock().saved_mask.take();
        if let Some(mask) = saved {
            self.set_mask(mask);
        }
    }

    /// The mask that a handler's frame shall restore.
    pub fn take_saved_mask(&self) -> Set {
        let saved = self.own.lock().saved_mask.take();
        saved.unwrap_or_else(|| self.mask())
    }

    pub fn set_awaited(&self, set: Set) {
        self.awaited.store(set.0, Ordering::Release);
    }

    /// Whether this signal would make the thread act now.
    pub fn wants(&self, signal: Signal) -> bool {
        let open = !self.mask.load(Ordering::Acquire) | self.awaited.load(Ordering::Acquire);
        Set(open).contains(signal)
    }

    pub fn has_deliverable(&self) -> bool {
        let open = Set(!self.mask().0);
        !self.pending.lock().set().and(open).is_empty()
            || !self.process.pending.lock().set().and(open).is_empty()
    }

    pub fn interrupt(&self) {
        self.core.interrupt();
    }

    pub fn clear_interrupt(&self) {
        if let Some(task) = self.core.task() {
            task.clear_interrupt();
        }
    }

    /// Notes that a call ended with a restart code, and makes sure that the checkpoint looks at it.
    pub fn note_interrupted_call(&self, number: u64, errno: Errno) {
        let packed = u64::from(errno.number()) << 32 | (number as u32 as u64 + 1);
        self.interrupted_call.store(packed, Ordering::Relaxed);
        self.interrupt();
    }

    pub fn take_interrupted_call(&self) -> Option<(u64, Errno)> {
        if self.interrupted_call.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let packed = self.interrupted_call.swap(0, Ordering::Relaxed);
        let errno = match (packed >> 32) as u16 {
            code if code == Errno::ERESTARTNOINTR.number() => Errno::ERESTARTNOINTR,
            code if code == Errno::ERESTARTNOHAND.number() => Errno::ERESTARTNOHAND,
            code if code == Errno::ERESTARTBLOCK.number() => Errno::ERESTARTBLOCK,
            _ => Errno::ERESTARTSYS,
        };
        Some(((packed & 0xffff_ffff) - 1, errno))
    }

    pub fn set_restart(&self, restart: Restart) {
        self.own.lock().restart = Some(restart);
    }

    pub fn take_restart(&self) -> Option<Restart> {
        self.own.lock().restart.take()
    }

    pub fn alternate_stack(&self) -> Stack {
        self.own.lock().alternate
    }

    pub fn set_alternate_stack(&self, stack: Stack) {
        self.own.lock().alternate = stack;
    }

    /// sigreturn brings back the alternate stack that the frame recorded.
    pub fn restore_alternate_stack(&self, stack: &Stack) {
        let flags = if stack.size == 0 {
            SS_DISABLE | stack.flags & SS_AUTODISARM
        } else {
            stack.flags & (SS_DISABLE | SS_AUTODISARM)
        };
        self.set_alternate_stack(Stack { flags, ..*stack });
    }

    pub fn note_fault(&self, fault: Fault) {
        self.own.lock().last_fault = Some(fault);
    }

    pub fn last_fault(&self) -> Fault {
        self.own.lock().last_fault.unwrap_or(Fault {
            vector: 0,
            code: 0,
            address: 0,
        })
    }
}
