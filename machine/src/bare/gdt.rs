//! Segments and the task state segment: what little of them long mode still needs.
//!
//! The one idea: the selectors are the ones that Linux programs expect to see, in the order that
//! `syscall` and `sysret` demand (Intel SDM volume 3, section 6.8.8).

use super::{cpu, layout};
use core::arch::asm;
use core::cell::UnsafeCell;

pub const KERNEL_CODE: u16 = 0x10;
pub const USER_DATA: u16 = 0x28 | 3;
pub const USER_CODE: u16 = 0x30 | 3;
/// STAR: `syscall` loads 0x10 and 0x18, `sysret` 0x23 + 16 and 0x23 + 8.
pub const STAR: u64 = 0x23 << 48 | 0x10 << 32;
const TASK: u16 = 0x40;

/// Interrupt stack table entries, from 1.
pub const NMI_STACK: u8 = 1;
pub const DOUBLE_FAULT_STACK: u8 = 2;
pub const MACHINE_CHECK_STACK: u8 = 3;

/// The stack that an interrupt of user mode starts on: room for its frame alone, because the entry
/// code moves on to the kernel stack at once.
#[repr(C, align(16))]
struct EntryStack([u8; 256]);

/// Intel SDM volume 3, figure 8-11.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    rsp: [usize; 3],
    reserved1: u64,
    ist: [usize; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

#[repr(C)]
struct Tables {
    gdt: UnsafeCell<[u64; 10]>,
    task: UnsafeCell<TaskState>,
    entry_stack: UnsafeCell<EntryStack>,
}

// SAFETY: each element is written once by its own CPU before it takes interrupts; after that only
// the processor uses it.
unsafe impl Sync for Tables {}

/// The descriptors before the task state's two.
const SEGMENTS: [u64; 7] = [
    0,
    0,
    0x00af_9b00_0000_ffff, // 0x10 kernel code
    0x00cf_9300_0000_ffff, // 0x18 kernel data
    0x00cf_fb00_0000_ffff, // 0x20 user code, 32 bits
    0x00cf_f300_0000_ffff, // 0x28 user data
    0x00af_fb00_0000_ffff, // 0x30 user code
];

static TABLES: [Tables; cpu::MAX] = [const {
    Tables {
        gdt: UnsafeCell::new([0; 10]),
        task: UnsafeCell::new(TaskState {
            reserved0: 0,
            rsp: [0; 3],
            reserved1: 0,
            ist: [0; 7],
            reserved2: 0,
            reserved3: 0,
            io_map: 0,
        }),
        entry_stack: UnsafeCell::new(EntryStack([0; 256])),
    }
}; cpu::MAX];

#[repr(C, packed)]
pub struct Pointer {
    pub limit: u16,
    pub base: usize,
}

/// Loads this CPU's tables.
pub fn init() {
    let tables = &TABLES[cpu::index()];
    // SAFETY: see `Sync` above: this CPU alone, before anything uses them.
    let (gdt, task) = unsafe { (&mut *tables.gdt.get(), &mut *tables.task.get()) };
    gdt[..7].copy_from_slice(&SEGMENTS);
    // Beyond the limit: users reach no port.
    task.io_map = size_of::<TaskState>() as u16;
    task.rsp[0] = tables.entry_stack.get().addr() + size_of::<EntryStack>();
    let [nmi, double_fault, machine_check] = layout::stacks(cpu::index()).small;
    task.ist[usize::from(NMI_STACK) - 1] = nmi;
    task.ist[usize::from(DOUBLE_FAULT_STACK) - 1] = double_fault;
    task.ist[usize::from(MACHINE_CHECK_STACK) - 1] = machine_check;
    let base = core::ptr::from_mut(task).addr() as u64;
    const AVAILABLE_TASK: u64 = 0x89;
    gdt[8] = (size_of::<TaskState>() as u64 - 1)
        | (base & 0xff_ffff) << 16
        | AVAILABLE_TASK << 40
        | (base >> 24 & 0xff) << 56;
    gdt[9] = base >> 32;
    let pointer = Pointer {
        limit: size_of_val(gdt) as u16 - 1,
        base: gdt.as_ptr().addr(),
    };
    // SAFETY: the table holds the descriptors that are loaded; the far return goes on at the next
    // instruction with the new code segment. FS and GS are left alone: their bases are in use.
    unsafe {
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov {scratch:e}, 0x18",
            "mov ss, {scratch:e}",
            "ltr {task:x}",
            pointer = in(reg) &pointer,
            code = const KERNEL_CODE,
            scratch = out(reg) _,
            task = in(reg) TASK,
        );
    }
}
