//! The local APIC of each CPU: its timer, interrupts between CPUs, the end of an interrupt.
//!
//! The one idea: registers are the same in both modes (Intel SDM volume 3, chapter 11); x2APIC
//! reaches them as model-specific registers, xAPIC in memory.

use super::boot::acpi;
use super::instructions::{rdmsr, wrmsr};
use super::kernel_map;
use super::{cpu, irq};
use crate::PAGE;
use crate::features::features;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

const APIC_BASE: u32 = 0x1b;
const ENABLED: u64 = 1 << 11;
const X2: u64 = 1 << 10;
const TSC_DEADLINE: u32 = 0x6e0;

// Register offsets.
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const END: u32 = 0xb0;
const SPURIOUS_VECTOR: u32 = 0xf0;
const ERROR_STATUS: u32 = 0x280;
const COMMAND: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const TIMER_ENTRY: u32 = 0x320;
const LINT0: u32 = 0x350;
const LINT1: u32 = 0x360;
const ERROR_ENTRY: u32 = 0x370;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;

const MASKED: u32 = 1 << 16;
const DEADLINE_MODE: u32 = 2 << 17;
const DELIVER_NMI: u32 = 4 << 8;
const DELIVER_INIT: u32 = 5 << 8;
const DELIVER_START: u32 = 6 << 8;
const DELIVER_EXTERNAL: u32 = 7 << 8;
const DIVIDE_BY_1: u32 = 0xb;
/// The level bit of the interrupt command, which must be set in all but one historic case.
const ASSERT: u32 = 1 << 14;
/// In xAPIC mode: the last command has not left yet.
const SENDING: u32 = 1 << 12;
/// How often that is looked at: far longer than it ever takes.
const PATIENCE: u32 = 1_000_000;

const NOT_THERE: usize = 0;
const BY_MSR: usize = 1;
/// [`NOT_THERE`], [`BY_MSR`], or the address of the register page.
static REGISTERS: AtomicUsize = AtomicUsize::new(NOT_THERE);
/// Each CPU's APIC number.
static IDS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; cpu::MAX];

#[inline(always)]
fn read(register: u32) -> u32 {
    match REGISTERS.load(Ordering::Relaxed) {
        NOT_THERE => 0,
        // SAFETY: the APIC is in x2 mode, so its registers are there.
        BY_MSR => (unsafe { rdmsr(0x800 + (register >> 4)) }) as u32,
        // SAFETY: the mapped register page.
        page => unsafe { ((page + register as usize) as *const u32).read_volatile() },
    }
}

#[inline(always)]
fn write(register: u32, value: u32) {
    match REGISTERS.load(Ordering::Relaxed) {
        NOT_THERE => {}
        // SAFETY: as in `read`; this file writes only what the registers take.
        BY_MSR => unsafe { wrmsr(0x800 + (register >> 4), u64::from(value)) },
        // SAFETY: the mapped register page.
        page => unsafe { ((page + register as usize) as *mut u32).write_volatile(value) },
    }
}

/// Whether there is one.
pub fn is_there() -> bool {
    REGISTERS.load(Ordering::Relaxed) != NOT_THERE
}

/// Finds out how this machine's APICs are reached, and enables the boot CPU's. `external` lets the
/// 8259s through it, where there is no I/O APIC.
pub fn init(external: bool) {
    if !features().apic {
        return;
    }
    if features().x2apic {
        REGISTERS.store(BY_MSR, Ordering::Relaxed);
    } else {
        // SAFETY: processors with an APIC have this register.
        let base = unsafe { rdmsr(APIC_BASE) } & 0x000f_ffff_ffff_f000;
        // Every CPU sees its own registers at the same address.
        let physical = acpi().map_or(base, |acpi| acpi.local_apic);
        match kernel_map::map_window(physical as usize & !(PAGE - 1), PAGE) {
            Ok(address) => REGISTERS.store(address, Ordering::Relaxed),
            Err(_) => return,
        }
    }
    init_cpu();
    write(LINT0, if external { DELIVER_EXTERNAL } else { MASKED });
    // The line of the machine's non-maskable interrupts.
    write(LINT1, DELIVER_NMI);
}

/// Enables this CPU's APIC.
pub fn init_cpu() {
    // SAFETY: processors with an APIC have this register; the address stays as it is. The mode is
    // the one of the boot CPU.
    unsafe {
        let x2 = if features().x2apic { X2 } else { 0 };
        wrmsr(APIC_BASE, rdmsr(APIC_BASE) | ENABLED | x2);
    }
    let id = read(ID);
    let id = if features().x2apic { id } else { id >> 24 };
    IDS[cpu::index()].store(id, Ordering::Relaxed);
    write(TASK_PRIORITY, 0);
    write(LINT0, MASKED);
    write(LINT1, MASKED);
    write(ERROR_ENTRY, MASKED);
    write(ERROR_STATUS, 0);
    write(DIVIDE, DIVIDE_BY_1);
    write(TIMER_ENTRY, MASKED);
    write(SPURIOUS_VECTOR, 0x100 | u32::from(irq::SPURIOUS));
}

/// The number of a CPU's APIC.
pub fn id(cpu: usize) -> u32 {
    IDS[cpu].load(Ordering::Relaxed)
}

/// Whether a command can name an APIC with this number.
pub fn can_reach(id: u32) -> bool {
    match REGISTERS.load(Ordering::Relaxed) {
        NOT_THERE => false,
        BY_MSR => true,
        _ => id < 0xff,
    }
}

/// Ends the interrupt that is in service.
#[inline]
pub fn end() {
    write(END, 0);
}

/// A CPU's number, if messages can reach it (8 bits in a message's address).
pub fn message_destination(cpu: usize) -> Option<u8> {
    if !is_there() {
        return None;
    }
    u8::try_from(id(cpu)).ok()
}

/// Interrupts another CPU, which leaves user mode or idle.
pub fn kick(cpu: usize) {
    if cpu < cpu::count() && is_there() {
        interrupt(cpu, irq::KICK);
    }
}

/// Interrupts a CPU with this vector, as a device could.
pub fn interrupt(cpu: usize, vector: u8) {
    send(id(cpu), u32::from(vector) | ASSERT);
}

/// Interrupts another CPU even where it keeps interrupts out.
pub fn send_nmi(cpu: usize) {
    send(id(cpu), DELIVER_NMI | ASSERT);
}

/// Resets a CPU, which then waits for [`send_start`] (Intel SDM volume 3, section 8.4.4).
pub fn send_init(id: u32) {
    send(id, DELIVER_INIT | ASSERT);
}

/// Makes a CPU that waits for it start at a page below 1 MiB, in real mode.
pub fn send_start(id: u32, page: usize) {
    send(id, DELIVER_START | ASSERT | (page / PAGE) as u32 & 0xff);
}

/// Gives a command to this CPU's APIC. Handlers of non-maskable interrupts must not: they may have
/// come between the two halves of a command.
fn send(id: u32, command: u32) {
    if REGISTERS.load(Ordering::Relaxed) == BY_MSR {
        // In x2 mode the write waits for nothing: what the other CPU shall see must be out before
        // (Intel SDM volume 3, section 11.12.3).
        // SAFETY: the interrupt command register; both fences are part of x86-64. The commands of
        // this file do to others only what their callers want.
        unsafe {
            core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
            wrmsr(
                0x800 + (COMMAND >> 4),
                u64::from(id) << 32 | u64::from(command),
            );
        }
        return;
    }
    for _ in 0..PATIENCE {
        if read(COMMAND) & SENDING == 0 {
            break;
        }
        core::hint::spin_loop();
    }
    write(COMMAND_HIGH, id << 24);
    write(COMMAND, command);
}

/// The timer counts down from here; read it with [`timer_count`]. For calibration.
pub fn start_counting() {
    write(INITIAL_COUNT, u32::MAX);
}

/// What is left of the count.
pub fn timer_count() -> u32 {
    read(CURRENT_COUNT)
}

/// Makes this CPU's timer interrupt at a time stamp (`deadline` mode) or after a count.
pub fn init_timer(deadline: bool) {
    let mode = if deadline { DEADLINE_MODE } else { 0 };
    write(INITIAL_COUNT, 0);
    write(TIMER_ENTRY, u32::from(irq::TIMER) | mode);
    if deadline {
        // In xAPIC mode the register write must be done before the deadline is set.
        core::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Interrupts after `count` ticks of the APIC's clock; 0 stops it.
#[inline]
pub fn set_count(count: u32) {
    write(INITIAL_COUNT, count);
}

/// Interrupts when the time stamp counter reaches `stamp`; 0 stops it.
#[inline]
pub fn set_deadline(stamp: u64) {
    // SAFETY: the processor has the deadline timer when this is used.
    unsafe { wrmsr(TSC_DEADLINE, stamp) };
}
