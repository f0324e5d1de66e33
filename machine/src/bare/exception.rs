//! Exceptions and interrupts that arrive while kernel code runs.
//!
//! The one idea: only three things may do that: an instruction of the copy routines that faults (it
//! has a fixup), an interrupt that idling let in, and a bug, which is reported and ends the machine.

use super::instructions::read_cr2;
use super::{copy, idt, irq, layout, nmi, panic};
use core::fmt;

/// What the stubs push (traps.s), from the last to the first.
#[repr(C)]
#[derive(Default)]
pub struct KernelFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

const NAMES: [&str; 32] = [
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task state segment",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved (15)",
    "floating point",
    "alignment check",
    "machine check",
    "vector floating point",
    "virtualization",
    "control protection",
    "reserved (22)",
    "reserved (23)",
    "reserved (24)",
    "reserved (25)",
    "reserved (26)",
    "reserved (27)",
    "hypervisor injection",
    "VMM communication",
    "security",
    "reserved (31)",
];

#[unsafe(no_mangle)]
// SAFETY: called by the stubs alone (traps.s), with the frame that they pushed.
extern "C" fn machine_kernel_trap(frame: &mut KernelFrame) {
    let vector = frame.vector as u8;
    match vector {
        32.. => irq::dispatch(vector),
        idt::PAGE_FAULT | idt::GENERAL_PROTECTION => match copy::fixup(frame.rip as usize) {
            Some(rip) => frame.rip = rip as u64,
            None => die(frame),
        },
        idt::NMI if nmi::handle(frame) => {}
        idt::NMI if frame.cs & 3 != 0 || !panic::in_progress() => unknown_nmi(frame),
        _ => die(frame),
    }
}

/// A non-maskable interrupt without a known cause is reported and survived, as hardware watchdogs
/// and buttons send them.
fn unknown_nmi(frame: &KernelFrame) {
    panic::note(format_args!("non-maskable interrupt at {:#x}", frame.rip));
}

#[cold]
fn die(frame: &KernelFrame) -> ! {
    let address = read_cr2();
    let name = NAMES[usize::from(frame.vector as u8 & 31)];
    let dump = Dump { frame, address };
    let at = (frame.rip, frame.rbp);
    match frame.vector as u8 {
        idt::DOUBLE_FAULT if in_guard(frame.rsp) || in_guard(address) => {
            panic::fatal(format_args!("kernel stack overflow\n{dump}"), at)
        }
        idt::PAGE_FAULT => {
            let what = match frame.code {
                code if code & 16 != 0 => "executing",
                code if code & 2 != 0 => "writing",
                _ => "reading",
            };
            panic::fatal(
                format_args!("kernel page fault {what} {address:#x}\n{dump}"),
                at,
            )
        }
        _ => panic::fatal(format_args!("kernel exception: {name}\n{dump}"), at),
    }
}

/// Whether an address is just below a stack of this CPU.
fn in_guard(address: u64) -> bool {
    layout::in_guard(
        super::cpu::index(),
        (address & !7).saturating_sub(1) as usize,
    )
}

/// The registers, readable.
struct Dump<'a> {
    frame: &'a KernelFrame,
    address: u64,
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelFrame {
            r15,
            r14,
            r13,
            r12,
            r11,
            r10,
            r9,
            r8,
            rbp,
            rdi,
            rsi,
            rdx,
            rcx,
            rbx,
            rax,
            vector,
            code,
            rip,
            cs,
            rflags,
            rsp,
            ss,
        } = self.frame;
        let cr2 = self.address;
        let cr3 = super::instructions::read_cr3();
        writeln!(
            f,
            "  vector {vector}  error code {code:#x}  cpu {}",
            super::cpu::index()
        )?;
        writeln!(
            f,
            "  rip {cs:02x}:{rip:016x}  rsp {ss:02x}:{rsp:016x}  rflags {rflags:08x}"
        )?;
        writeln!(
            f,
            "  rax {rax:016x}  rbx {rbx:016x}  rcx {rcx:016x}  rdx {rdx:016x}"
        )?;
        writeln!(
            f,
            "  rsi {rsi:016x}  rdi {rdi:016x}  rbp {rbp:016x}  r8  {r8:016x}"
        )?;
        writeln!(
            f,
            "  r9  {r9:016x}  r10 {r10:016x}  r11 {r11:016x}  r12 {r12:016x}"
        )?;
        writeln!(f, "  r13 {r13:016x}  r14 {r14:016x}  r15 {r15:016x}")?;
        write!(f, "  cr2 {cr2:016x}  cr3 {cr3:016x}")
    }
}
