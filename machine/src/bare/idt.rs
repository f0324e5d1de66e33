//! The interrupt descriptor table: 256 gates to 256 stubs.

use super::gdt::{self, Pointer};
use core::arch::asm;
use core::cell::UnsafeCell;

pub const NMI: u8 = 2;
pub const BREAKPOINT: u8 = 3;
pub const OVERFLOW: u8 = 4;
pub const DOUBLE_FAULT: u8 = 8;
pub const GENERAL_PROTECTION: u8 = 13;
pub const PAGE_FAULT: u8 = 14;
pub const MACHINE_CHECK: u8 = 18;

/// Intel SDM volume 3, figure 6-8.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate([u64; 2]);

struct Table(UnsafeCell<[Gate; 256]>);

// SAFETY: written once by the boot CPU before any is loaded; then only processors read it.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([Gate([0; 2]); 256]));

unsafe extern "C" {
    /// The stubs, 16 bytes each (traps.s).
    static machine_stubs: u8;
}

const STUB: usize = 16;

fn gate(vector: u8) -> Gate {
    const PRESENT_INTERRUPT_GATE: u64 = 0x8e;
    let stub = (&raw const machine_stubs).addr() + usize::from(vector) * STUB;
    let stack = match vector {
        NMI => gdt::NMI_STACK,
        DOUBLE_FAULT => gdt::DOUBLE_FAULT_STACK,
        MACHINE_CHECK => gdt::MACHINE_CHECK_STACK,
        _ => 0,
    };
    // `int3` and `into` are the only ones that users may call.
    let ring: u64 = if matches!(vector, BREAKPOINT | OVERFLOW) {
        3
    } else {
        0
    };
    let stub = stub as u64;
    Gate([
        stub & 0xffff
            | u64::from(gdt::KERNEL_CODE) << 16
            | u64::from(stack) << 32
            | (PRESENT_INTERRUPT_GATE | ring << 5) << 40
            | (stub >> 16 & 0xffff) << 48,
        stub >> 32,
    ])
}

/// Fills the table.
pub fn init() {
    // SAFETY: the boot CPU alone runs, and the table is not loaded yet.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, slot) in table.iter_mut().enumerate() {
        *slot = gate(vector as u8);
    }
}

/// Loads the table on this CPU.
pub fn load() {
    let pointer = Pointer {
        limit: size_of::<[Gate; 256]>() as u16 - 1,
        base: TABLE.0.get().addr(),
    };
    // SAFETY: the table is filled and lives for ever.
    unsafe { asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags)) };
}
