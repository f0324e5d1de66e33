//! User mode, as a function that returns.
//!
//! The one idea: [`UserContext::enter`] loads a thread's registers and goes to ring 3; whatever
//! brings it back saves them into the context and returns. Nothing of a thread is on the kernel
//! stack. What a thread's registers say can hurt the thread, never the kernel.

use super::cpu::{self, Block, block};
use super::gdt;
use super::instructions::{read_cr2, wrmsr};
use super::paging::Root;
use super::vector::{self, VectorState};
use super::{idt, irq, node};
use crate::features::features;
pub use crate::memory::OutOfFrames;
pub use crate::trap::{Fault, Invalid, Registers, Trap};
use core::arch::{asm, global_asm};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! traps {
    ($($register:ident)*) => {
        global_asm!(
            include_str!("traps.s"),
            $($register = const offset_of!(Registers, $register),)*
            kernel_rsp = const offset_of!(Block, kernel_rsp),
            scratch = const offset_of!(Block, scratch),
            context = const offset_of!(Block, context),
            error = const offset_of!(Block, error),
            smap = const offset_of!(Block, smap),
            user_data = const gdt::USER_DATA,
            user_code = const gdt::USER_CODE,
        );
    };
}

traps!(rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags);

unsafe extern "C" {
    fn machine_enter(context: *mut Registers, by_sysret: u32) -> u32;
    fn machine_syscall();
}

/// What `machine_enter` returns for a system call; less is an interrupt vector.
const CALL: u32 = 256;

const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const FLAG_MASK: u32 = 0xc000_0084;
const FS_BASE: u32 = 0xc000_0100;
/// The user's GS base while the kernel runs.
const KERNEL_GS_BASE: u32 = 0xc000_0102;
const TSC_AUX: u32 = 0xc000_0103;

/// The flags that a thread may have: the arithmetic ones, TF, DF, AC, ID.
const USER_FLAGS: u64 = 0x24_0dd5;
/// IF, and the bit that is always one.
const FIXED_FLAGS: u64 = 0x202;
const TRAP_FLAG: u64 = 0x100;
/// The end of the lower canonical half.
const CANONICAL: u64 = 1 << 47;

static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// Sets up the `syscall` instruction on this CPU.
pub(super) fn init() {
    const SYSCALL_ENABLE: u64 = 1;
    // SAFETY: x86-64 processors have these registers. The flags that `syscall` clears are all that
    // could trouble the kernel: TF, IF, DF, NT, AC and the rest.
    unsafe {
        wrmsr(EFER, super::instructions::rdmsr(EFER) | SYSCALL_ENABLE);
        wrmsr(STAR, gdt::STAR);
        wrmsr(LSTAR, (machine_syscall as *const ()).addr() as u64);
        wrmsr(FLAG_MASK, 0x25_7fd5);
        wrmsr(FS_BASE, 0);
        wrmsr(KERNEL_GS_BASE, 0);
        // What `rdtscp` tells programs beside the time: on which CPU they are, and above that on which node, as on Linux.
        if features().rdtscp {
            let node = node::of_cpu(cpu::index());
            wrmsr(TSC_AUX, (node << 12 | cpu::index()) as u64);
        }
    }
}

/// The state of one user thread.
pub struct UserContext {
    pub registers: Registers,
    pub fs_base: u64,
    pub gs_base: u64,
    identity: u64,
    vector: VectorState,
}

impl UserContext {
    /// A thread that starts at `entry` with its stack pointer at `stack`; everything else is zero.
    pub fn new(entry: usize, stack: usize) -> Result<Self, OutOfFrames> {
        let mut context = UserContext {
            registers: Registers::default(),
            fs_base: 0,
            gs_base: 0,
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            vector: VectorState::new()?,
        };
        context.start_registers(entry, stack);
        Ok(context)
    }

    fn start_registers(&mut self, entry: usize, stack: usize) {
        self.registers = Registers {
            rip: entry as u64,
            rsp: stack as u64,
            rflags: FIXED_FLAGS,
            ..Registers::default()
        };
        self.fs_base = 0;
        self.gs_base = 0;
    }

    /// A copy, vector state included.
    pub fn fork(&mut self) -> Result<Self, OutOfFrames> {
        Ok(UserContext {
            registers: self.registers,
            fs_base: self.fs_base,
            gs_base: self.gs_base,
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            vector: self.vector.duplicate()?,
        })
    }

    /// Back to the state of a new thread, for exec.
    pub fn reset(&mut self, entry: usize, stack: usize) {
        self.start_registers(entry, stack);
        self.vector.reset();
    }

    /// Runs in user mode until something brings it back.
    ///
    /// A program counter beyond the lower half is a general protection fault without running.
    /// After a system call `rcx` and `r11` hold the program counter and the flags, as the
    /// instruction leaves them.
    #[inline(always)]
    pub fn enter(&mut self, root: &Root) -> Trap {
        let block = block();
        root.activate();
        if block.last_context.get() != self.identity {
            self.switch_to(block);
        } else {
            if block.fs_base.get() != self.fs_base {
                set_base(FS_BASE, &block.fs_base, &mut self.fs_base);
            }
            if block.gs_base.get() != self.gs_base {
                set_base(KERNEL_GS_BASE, &block.gs_base, &mut self.gs_base);
            }
        }
        self.vector.load();
        let registers = &mut self.registers;
        let flags = registers.rflags & USER_FLAGS | FIXED_FLAGS;
        registers.rflags = flags;
        if registers.rip >= CANONICAL {
            return Trap::Fault(Fault {
                vector: idt::GENERAL_PROTECTION,
                code: 0,
                address: 0,
            });
        }
        // `sysret` takes rip from rcx and the flags from r11, so it will do if they are there.
        let by_sysret =
            registers.rcx == registers.rip && registers.r11 == flags && flags & TRAP_FLAG == 0;
        // SAFETY: the registers are such that neither `sysret` nor `iretq` faults in the kernel:
        // rip is canonical, the flags are a user's, selectors are constants. The user half of the
        // address space is all that ring 3 reaches.
        let reason = unsafe { machine_enter(registers, u32::from(by_sysret)) };
        match reason {
            CALL => Trap::Call,
            32.. => {
                irq::dispatch(reason as u8);
                Trap::Interrupt
            }
            vector => Trap::Fault(Fault {
                vector: vector as u8,
                code: block.error.get(),
                address: if vector as u8 == idt::PAGE_FAULT {
                    read_cr2()
                } else {
                    0
                },
            }),
        }
    }

    /// Another context ran last on this CPU. It may have loaded segment registers, which changes
    /// the bases behind the kernel's back, so nothing that is remembered of them counts.
    #[cold]
    fn switch_to(&mut self, block: &Block) {
        block.last_context.set(self.identity);
        // SAFETY: null selectors are always valid in long mode for DS, ES and FS. GS is loaded
        // between two `swapgs`, so that it is the user's base that it clears.
        unsafe {
            asm!(
                "mov {0:e}, ds",
                "mov {1:e}, es",
                "or {0:e}, {1:e}",
                "mov {1:e}, fs",
                "or {0:e}, {1:e}",
                "mov {1:e}, gs",
                "or {0:e}, {1:e}",
                "jz 2f",
                "xor {0:e}, {0:e}",
                "mov ds, {0:e}",
                "mov es, {0:e}",
                "mov fs, {0:e}",
                "swapgs",
                "mov gs, {0:e}",
                "swapgs",
                "2:",
                out(reg) _,
                out(reg) _,
                options(nostack),
            );
        }
        set_base(FS_BASE, &block.fs_base, &mut self.fs_base);
        set_base(KERNEL_GS_BASE, &block.gs_base, &mut self.gs_base);
    }

    /// The vector state as an XSAVE image (FXSAVE where there is no XSAVE).
    pub fn vector_image(&mut self) -> &[u8] {
        self.vector.image()
    }

    /// Replaces the vector state by the image that `fill` writes. If `fill` answers false, or the processor would not
    /// take the image, it becomes that of a new thread.
    pub fn replace_vector_state(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> Result<(), Invalid> {
        self.vector.replace(fill)
    }

    /// Bytes of a vector state image.
    pub fn vector_size() -> usize {
        vector::size()
    }
}

/// Loads a segment base. One outside the user half becomes 0: the processor would refuse it, or
/// it would be the kernel's.
fn set_base(register: u32, remembered: &core::cell::Cell<u64>, wanted: &mut u64) {
    if *wanted >= CANONICAL {
        *wanted = 0;
    }
    // SAFETY: a canonical base of a register that only user mode uses.
    unsafe { wrmsr(register, *wanted) };
    remembered.set(*wanted);
}
