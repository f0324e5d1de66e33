//! Single instructions that Rust has no name for, each behind one small function.

use core::arch::asm;

macro_rules! ports {
    ($read:ident, $write:ident, $word:ty, $register:tt) => {
        /// Reads an I/O port.
        ///
        /// # Safety
        /// Reading the port must not break what the rest of the kernel relies on.
        #[inline]
        pub unsafe fn $read(port: u16) -> $word {
            let value: $word;
            // SAFETY: the caller answers for the device's reaction; memory is not touched.
            unsafe {
                asm!(concat!("in ", $register, ", dx"), out($register) value, in("dx") port,
                    options(nomem, nostack, preserves_flags));
            }
            value
        }

        /// Writes an I/O port.
        ///
        /// # Safety
        /// Writing the port must not break what the rest of the kernel relies on.
        #[inline]
        pub unsafe fn $write(port: u16, value: $word) {
            // SAFETY: the caller answers for the device's reaction. Memory may be read by a
            // device that the write starts, so this is not `nomem`.
            unsafe {
                asm!(concat!("out dx, ", $register), in("dx") port, in($register) value,
                    options(nostack, preserves_flags));
            }
        }
    };
}

ports!(in_u8, out_u8, u8, "al");
ports!(in_u16, out_u16, u16, "ax");
ports!(in_u32, out_u32, u32, "eax");

/// Reads a model-specific register.
///
/// # Safety
/// The processor must have the register.
#[inline]
pub unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the register is there, says the caller.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The processor must have the register and take the value, and the kernel must survive its effect.
#[inline]
pub unsafe fn wrmsr(register: u32, value: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// The time stamp counter. Not serialising: good to some tens of cycles.
#[inline]
pub fn rdtsc() -> u64 {
    // SAFETY: every x86-64 processor has it, and the kernel never sets CR4.TSD.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// What the last page fault's address was.
#[inline]
pub fn read_cr2() -> u64 {
    let value: u64;
    // SAFETY: reading a control register in ring 0 has no effect.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

macro_rules! control_register {
    ($read:ident, $write:ident, $name:tt) => {
        #[inline]
        pub fn $read() -> u64 {
            let value: u64;
            // SAFETY: reading a control register in ring 0 has no effect.
            unsafe {
                asm!(concat!("mov {}, ", $name), out(reg) value,
                    options(nomem, nostack, preserves_flags));
            }
            value
        }

        /// # Safety
        /// The processor must know all bits, and the kernel must survive their effect.
        #[inline]
        pub unsafe fn $write(value: u64) {
            // SAFETY: as the caller promises.
            unsafe {
                asm!(concat!("mov ", $name, ", {}"), in(reg) value,
                    options(nostack, preserves_flags));
            }
        }
    };
}

control_register!(read_cr0, write_cr0, "cr0");
control_register!(read_cr3, write_cr3, "cr3");
control_register!(read_cr4, write_cr4, "cr4");

/// Forgets the translation of one page on this CPU.
#[inline]
pub fn invlpg(address: usize) {
    // SAFETY: forgetting a translation only costs time.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Stops this CPU for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off nothing but an NMI comes back, and the loop halts again.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
