//! Off, again, and the exit of a test run.

use super::boot::acpi;
use super::instructions::{halt, in_u8, out_u8, out_u16, out_u32};
use super::kernel_map;
use crate::PAGE;
use crate::firmware::acpi::Register;
use core::arch::asm;

/// What a kernel panic gives to [`test_exit`].
pub const PANIC_CODE: u8 = 99;

/// Switches the machine off (ACPI S5), or halts where that cannot be done.
pub fn off() -> ! {
    const SLEEP_ENABLE: u16 = 1 << 13;
    if let Some(acpi) = acpi()
        && let Some(types) = acpi.power_off
    {
        for (port, kind) in acpi.power_control.into_iter().zip(types) {
            if port != 0 {
                // SAFETY: the FADT names the port; the write ends everything.
                unsafe { out_u16(port, kind << 10 | SLEEP_ENABLE) };
            }
        }
        if let Some(register) = acpi.sleep_control {
            write(register, (types[0] as u8) << 2 | 1 << 5);
        }
        pause();
    }
    // The ports of QEMU's and Bochs's power management, where the tables did not tell.
    for port in [0x604, 0xb004] {
        // SAFETY: nothing else is left to break.
        unsafe { out_u16(port, SLEEP_ENABLE) };
    }
    halt()
}

/// Starts the machine again: by the way ACPI names, the chipset, the keyboard controller, and at
/// last a triple fault.
pub fn reset() -> ! {
    if let Some((register, value)) = acpi().and_then(|acpi| acpi.reset) {
        write(register, value);
        pause();
    }
    // SAFETY: nothing is left to break. Port 0xcf9 is the reset control register of the chipset,
    // 0x64 the command register of the keyboard controller (pulse the reset line).
    unsafe {
        out_u8(0xcf9, 0x02);
        out_u8(0xcf9, 0x06);
        pause();
        for _ in 0..1000 {
            if in_u8(0x64) & 2 == 0 {
                break;
            }
        }
        out_u8(0x64, 0xfe);
        pause();
        let nothing = super::gdt::Pointer { limit: 0, base: 0 };
        asm!("lidt [{}]", "ud2", in(reg) &nothing, options(noreturn));
    }
}

fn write(register: Register, value: u8) {
    if !register.in_memory {
        // SAFETY: the FADT names the port.
        unsafe { out_u8(register.address as u16, value) };
        return;
    }
    let (page, offset) = (
        register.address as usize & !(PAGE - 1),
        register.address as usize % PAGE,
    );
    if let Ok(window) = kernel_map::map_window(page, PAGE) {
        // SAFETY: the window was just mapped, and the FADT names the register.
        unsafe { ((window + offset) as *mut u8).write_volatile(value) };
    }
}

/// Gives the hardware a moment (about a tenth of a second) to do it.
fn pause() {
    super::time::spin(100_000_000);
}

/// Ends a test run: QEMU's debug exit device at 0xf4 ends the emulator with `code * 2 + 1`. Without
/// the device the machine is switched off.
pub fn test_exit(code: u8) -> ! {
    // SAFETY: the port belongs to that device or to nobody.
    unsafe { out_u32(0xf4, u32::from(code)) };
    off()
}
