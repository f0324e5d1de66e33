//! What another CPU is doing, even if it keeps interrupts out.
//!
//! The one idea: it is asked by a non-maskable interrupt (`nmi.rs`), whose handler follows the calls on its own stack
//! and leaves their addresses here, in atomics. So it works whatever locks that CPU holds.

use super::exception::KernelFrame;
use super::{cpu, nmi, time, trace};
use crate::sync::Spin;
use core::arch::asm;
use core::fmt;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The registers and calls of a CPU at one moment.
pub struct Snapshot {
    rflags: u64,
    cs: u64,
    calls: [u64; MOST],
    count: usize,
}

/// The instruction, and the calls that led to it.
const MOST: usize = trace::DEEPEST + 1;

/// Where a handler leaves what it finds.
struct Slot {
    rflags: AtomicU64,
    cs: AtomicU64,
    calls: [AtomicU64; MOST],
    count: AtomicUsize,
}

static SLOT: Slot = Slot {
    rflags: AtomicU64::new(0),
    cs: AtomicU64::new(0),
    calls: [const { AtomicU64::new(0) }; MOST],
    count: AtomicUsize::new(0),
};
static TAKING: Spin<()> = Spin::new(());

/// How long a CPU may take to answer, in nanoseconds. One that does not is stopped by something deeper than the kernel.
const PATIENCE: u64 = 100_000_000;

/// Looks at CPU number `cpu`, another one than this. `None`: it does not answer, or somebody else is just looking.
pub fn take(cpu: usize) -> Option<Snapshot> {
    let _one_at_a_time = TAKING.try_lock()?;
    if cpu == cpu::index() || cpu >= cpu::count() {
        return None;
    }
    nmi::ask_for_snapshot(cpu);
    let end = time::now().saturating_add(PATIENCE);
    while !nmi::has_snapshot(cpu) {
        if time::now() > end {
            return None;
        }
        spin_loop();
    }
    let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
    Some(Snapshot {
        rflags: load(&SLOT.rflags),
        cs: load(&SLOT.cs),
        calls: core::array::from_fn(|place| load(&SLOT.calls[place])),
        count: SLOT.count.load(Ordering::Relaxed).min(MOST),
    })
}

/// What this CPU does: the calls that led here.
pub fn own() -> Snapshot {
    let rbp: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack, preserves_flags)) };
    let mut snapshot = Snapshot {
        rflags: 0,
        cs: 0,
        calls: [0; MOST],
        count: 0,
    };
    trace::walk((0, rbp), |rip| {
        if let Some(call) = snapshot.calls.get_mut(snapshot.count) {
            *call = rip;
            snapshot.count += 1;
        }
    });
    snapshot
}

/// Leaves what this CPU was doing. In the handler of non-maskable interrupts.
pub(super) fn fill(frame: &KernelFrame) {
    SLOT.rflags.store(frame.rflags, Ordering::Relaxed);
    SLOT.cs.store(frame.cs, Ordering::Relaxed);
    let mut count = 0;
    let is_kernel = frame.cs & 3 == 0;
    let at = (frame.rip, if is_kernel { frame.rbp } else { 0 });
    trace::walk(at, |rip| {
        if let Some(call) = SLOT.calls.get(count) {
            call.store(rip, Ordering::Relaxed);
            count += 1;
        }
    });
    SLOT.count.store(count, Ordering::Relaxed);
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INTERRUPTS: u64 = 1 << 9;
        let mode = match self.cs & 3 {
            0 => "in the kernel",
            _ => "in user mode",
        };
        let interrupts = match self.rflags & INTERRUPTS {
            0 => "off",
            _ => "on",
        };
        write!(f, "  {mode}, interrupts {interrupts}; trace:")?;
        for rip in &self.calls[..self.count] {
            write!(f, "\n{}", trace::Place(*rip))?;
        }
        Ok(())
    }
}
