//! The kernel's half of the address space: what lies where.

use crate::memory::PAGE;

/// All RAM, writable and never executable, 2 MiB pages and larger where they fit.
pub const DIRECT: usize = 0xffff_8000_0000_0000;
/// Device registers and tables outside RAM, mapped when asked for.
pub const DEVICES: usize = 0xffff_c000_0000_0000;
/// The end of that range. It shares its top-level slot of 512 GiB with the stacks.
pub const DEVICES_END: usize = STACKS;
/// The stacks of all CPUs but the first, [`STACKS_OF_CPU`] for each.
pub const STACKS: usize = DEVICES + (1 << 39) - (1 << 30);
/// A guard page and the kernel stack, and the same for each of the three stacks of what must not fail.
pub const STACKS_OF_CPU: usize = 256 << 10;
/// The stack that kernel code runs on.
pub const KERNEL_STACK: usize = 128 << 10;
/// The stacks of non-maskable interrupt, double fault and machine check.
pub const SMALL_STACK: usize = 16 << 10;
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
    static boot_stack_top: u8;
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
}

/// The tops of one CPU's stacks.
#[derive(Clone, Copy)]
pub struct Stacks {
    pub kernel: usize,
    /// Non-maskable interrupt, double fault, machine check.
    pub small: [usize; 3],
}

/// Where the stacks of CPU `cpu` end; for the first one they are in the image.
pub fn stacks(cpu: usize) -> Stacks {
    if cpu == 0 {
        return Stacks {
            kernel: (&raw const boot_stack_top) as usize,
            small: [
                (&raw const nmi_stack_top) as usize,
                (&raw const double_fault_stack_top) as usize,
                (&raw const machine_check_stack_top) as usize,
            ],
        };
    }
    let kernel = STACKS + cpu * STACKS_OF_CPU + PAGE + KERNEL_STACK;
    let small = |number: usize| kernel + number * (PAGE + SMALL_STACK);
    Stacks {
        kernel,
        small: [small(1), small(2), small(3)],
    }
}

const _: () = assert!(KERNEL_STACK + 3 * SMALL_STACK + 4 * PAGE <= STACKS_OF_CPU);

/// Whether an address lies in the page below one of the stacks of CPU `cpu`.
pub fn in_guard(cpu: usize, address: usize) -> bool {
    let Stacks { kernel, small } = stacks(cpu);
    let bottoms = [
        kernel - KERNEL_STACK,
        small[0] - SMALL_STACK,
        small[1] - SMALL_STACK,
        small[2] - SMALL_STACK,
    ];
    bottoms
        .into_iter()
        .any(|bottom| (bottom - PAGE..bottom).contains(&address))
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
