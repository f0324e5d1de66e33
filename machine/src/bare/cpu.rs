//! CPUs: which one this is, what it can do, and data that each has for itself.
//!
//! The one idea: GS points at this CPU's [`Block`] whenever kernel code runs, so its index is one
//! load away. CPUs are numbered in the order in which they come up (`processors.rs`), without gaps.

use super::instructions::wrmsr;
use super::nmi;
use crate::sync::Once;
use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use super::processors::{start_others, wait_for_others, warp};
pub use crate::features::{Features, brand, features};

/// The most CPUs that a machine can have.
pub const MAX: usize = 64;

unsafe extern "C" {
    /// See traps.s.
    fn machine_wait();
}

const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

/// What the assembly and the hottest paths need of one CPU.
#[repr(C, align(64))]
pub(super) struct Block {
    /// Its own address: `gs:[0]`.
    this: Cell<usize>,
    /// The kernel's stack pointer while user mode runs.
    pub kernel_rsp: Cell<usize>,
    /// A place for one user register on the way in.
    pub scratch: Cell<usize>,
    /// The registers of the thread that runs or ran last.
    pub context: Cell<usize>,
    /// The error code of the exception that ended user mode.
    pub error: Cell<u64>,
    pub index: Cell<u32>,
    /// Whether SMAP is on, so that entries clear AC.
    pub smap: Cell<u32>,
    /// The frame number of the top-level table in CR3, or about to be there; holds a count on it.
    /// Others may read it.
    pub root: AtomicU32,
    /// While CR3 changes: the table that is still there; else 0. Others may read it.
    pub leaving: AtomicU32,
    /// This CPU halts, or is about to. Others may read it.
    pub idle: AtomicBool,
    /// The vector state whose registers are loaded, or 0. Atomic because a non-maskable interrupt
    /// of this CPU may take it away.
    pub vector_owner: AtomicUsize,
    /// Which context ran last, by its identity; 0 for none.
    pub last_context: Cell<u64>,
    pub fs_base: Cell<u64>,
    pub gs_base: Cell<u64>,
}

/// All blocks; each is used by its own CPU alone.
struct Blocks([Block; MAX]);

// SAFETY: the cells of a block are used only through the GS register of its own CPU, and interrupts
// are off while kernel code runs, so no two flows of control share them (the handler of non-maskable
// interrupts, which may come at any time, uses none). What others read is atomic.
unsafe impl Sync for Blocks {}

static BLOCKS: Blocks = Blocks(
    [const {
        Block {
            this: Cell::new(0),
            kernel_rsp: Cell::new(0),
            scratch: Cell::new(0),
            context: Cell::new(0),
            error: Cell::new(0),
            index: Cell::new(0),
            smap: Cell::new(0),
            root: AtomicU32::new(0),
            leaving: AtomicU32::new(0),
            idle: AtomicBool::new(false),
            vector_owner: AtomicUsize::new(0),
            last_context: Cell::new(0),
            fs_base: Cell::new(0),
            gs_base: Cell::new(0),
        }
    }; MAX],
);

/// Points GS at the block of CPU `index`.
///
/// # Safety
/// Runs once on that CPU, before anything asks which CPU it is.
pub(super) unsafe fn init(index: usize) {
    let block = &BLOCKS.0[index];
    block.this.set(core::ptr::from_ref(block).addr());
    block.index.set(index as u32);
    // SAFETY: both registers are part of x86-64; the base is the address of a static.
    unsafe {
        wrmsr(GS_BASE, block.this.get() as u64);
        wrmsr(KERNEL_GS_BASE, 0);
    }
}

/// This CPU's block.
#[inline(always)]
pub(super) fn block() -> &'static Block {
    let address: usize;
    // SAFETY: GS points at this CPU's block since `init`, and its first word is its own address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) address, options(pure, readonly, nostack, preserves_flags));
        &*(address as *const Block)
    }
}

/// The number of the CPU that runs this code.
#[inline(always)]
pub fn index() -> usize {
    block().index.get() as usize
}

/// The block of any CPU, for what is atomic in it.
#[inline(always)]
pub(super) fn block_of(cpu: usize) -> &'static Block {
    &BLOCKS.0[cpu]
}

/// Which CPUs have come up, and how many of them have no gap below.
static READY: AtomicU64 = AtomicU64::new(1);
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// How many CPUs run: numbers 0 to one less. Grows while they start, and never shrinks.
#[inline]
pub fn count() -> usize {
    COUNT.load(Ordering::SeqCst)
}

/// This CPU can be asked for anything from now on.
pub(super) fn is_ready() {
    let bit = 1 << index();
    let ready = READY.fetch_or(bit, Ordering::SeqCst) | bit;
    COUNT.fetch_max(ready.trailing_ones() as usize, Ordering::SeqCst);
}

/// Waits for an interrupt; its handlers have run when this returns. An interrupt that is already
/// pending ends it at once.
pub fn idle() {
    nmi::begin_idle();
    // SAFETY: handlers run on this stack and give every register back, so it is a function that does nothing.
    unsafe { machine_wait() };
    nmi::end_idle();
}

/// Makes another CPU leave user mode or idle.
pub fn kick(cpu: usize) {
    super::apic::kick(cpu);
}

/// A value that all CPUs of the machine share, made on first use.
pub struct Shared<T> {
    init: fn() -> T,
    value: Once<T>,
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// `init` makes the value.
    pub const fn new(init: fn() -> T) -> Self {
        Shared {
            init,
            value: Once::new(),
        }
    }

    /// The value.
    #[inline]
    pub fn get(&'static self) -> &'static T {
        self.value.get_or_init(self.init)
    }
}

/// A value of which every CPU has its own, made on first use.
///
/// Only `&T` is handed out, and only on its own CPU, so `T` may be a `Cell`. `f` must not wait.
pub struct PerCpu<T> {
    init: fn() -> T,
    slots: [Slot<T>; MAX],
}

struct Slot<T> {
    made: Cell<bool>,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: each slot is used by one CPU alone, and the kernel is not interrupted there; `T: Send`
// because a value may be dropped or looked at by tests on another CPU later.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl<T: Send + 'static> PerCpu<T> {
    /// `init` makes each CPU's first value.
    pub const fn new(init: fn() -> T) -> Self {
        PerCpu {
            init,
            slots: [const {
                Slot {
                    made: Cell::new(false),
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                }
            }; MAX],
        }
    }

    /// Calls `f` with this CPU's value.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let slot = &self.slots[index()];
        if !slot.made.get() {
            self.make(slot);
        }
        // SAFETY: made, never moved, and only shared references exist.
        f(unsafe { (*slot.value.get()).assume_init_ref() })
    }

    #[cold]
    fn make(&self, slot: &Slot<T>) {
        let value = (self.init)();
        // `init` may have used this same value and made it already: then that one stays.
        if !slot.made.get() {
            // SAFETY: not made, so nobody has a reference into it.
            unsafe { (*slot.value.get()).write(value) };
            slot.made.set(true);
        }
    }
}
