//! The kernel's half of the address space: what lies where.

use crate::memory::PAGE;

/// All RAM, writable and never executable, 2 MiB pages and larger where they fit.
pub const DIRECT: usize = 0xffff_8000_0000_0000;
/// Device registers and tables outside RAM, mapped when asked for.
pub const DEVICES: usize = 0xffff_c000_0000_0000;
/// The end of that range: one top-level slot, 512 GiB.
pub const DEVICES_END: usize = DEVICES + (1 << 39);
/// Physical address 0 as the kernel image is linked.
pub const KERNEL: usize = 0xffff_ffff_8000_0000;

/// The address in the direct map of a physical address.
#[inline(always)]
pub fn direct(physical: usize) -> *mut u8 {
    (DIRECT + physical) as *mut u8
}

/// The address in the direct map of a frame.
#[inline(always)]
pub fn frame(number: usize) -> *mut u8 {
    direct(number * PAGE)
}

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static image_end: u8;
    static boot_tables_start: u8;
    static boot_tables_end: u8;
    static boot_stack_guard: u8;
    static nmi_stack_guard: u8;
    static double_fault_stack_guard: u8;
    static machine_check_stack_guard: u8;
    static nmi_stack_top: u8;
    static double_fault_stack_top: u8;
    static machine_check_stack_top: u8;
}

macro_rules! symbols {
    ($($(#[$doc:meta])* $name:ident = $symbol:ident;)*) => {
        $($(#[$doc])* pub fn $name() -> usize {
            (&raw const $symbol) as usize
        })*
    };
}

symbols! {
    start_of_image = image_start;
    end_of_text = text_end;
    end_of_rodata = rodata_end;
    end_of_image = image_end;
    start_of_boot_tables = boot_tables_start;
    end_of_boot_tables = boot_tables_end;
    top_of_nmi_stack = nmi_stack_top;
    top_of_double_fault_stack = double_fault_stack_top;
    top_of_machine_check_stack = machine_check_stack_top;
}

/// The pages below the boot CPU's stacks, left unmapped.
pub fn guards() -> [usize; 4] {
    [
        (&raw const boot_stack_guard) as usize,
        (&raw const nmi_stack_guard) as usize,
        (&raw const double_fault_stack_guard) as usize,
        (&raw const machine_check_stack_guard) as usize,
    ]
}

/// The physical address of something in the kernel image.
pub fn physical(in_image: usize) -> usize {
    in_image - KERNEL
}

/// Whether a physical range overlaps the kernel image.
pub fn in_image(start: u64, end: u64) -> bool {
    start < physical(end_of_image()) as u64 && end > physical(start_of_image()) as u64
}
