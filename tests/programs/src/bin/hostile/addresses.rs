//! Reaching for memory that is not one's own.

use super::ending::{all_is_well, of};
use libc::{PROT_NONE, SIGBUS, SIGSEGV};
use std::arch::asm;
use test_programs::child::Status;
use test_programs::memory::{PAGE, peek, poke};
use test_programs::pattern::Numbers;
use test_programs::{ok, sys};

test_programs::tests!(
    reads_of_kernel_memory,
    writes_to_kernel_memory,
    jumps_into_kernel_memory,
    random_addresses,
    a_stack_pointer_to_nowhere,
    a_stack_pointer_to_nowhere_during_a_call,
    a_stack_pointer_to_nowhere_for_a_while,
    ones_own_code_unmapped,
    everything_unmapped,
    everything_closed,
    the_stack_unmapped,
    segment_registers,
    segment_bases,
    the_flag_that_lets_the_kernel_touch_user_memory,
    strings_that_run_into_the_kernel,
);

/// Where kernels of this kind have their things, and the edges between user, nobody and kernel.
const PLACES: [usize; 16] = [
    0x7fff_ffff_f000,
    0x7fff_ffff_ffff,
    0x8000_0000_0000,
    0x1234_5678_9abc_def0,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_7fff_ffff_ffff,
    0xffff_8000_0000_0000,
    0xffff_8000_0010_0000,
    0xffff_8880_0000_0000,
    0xffff_a000_0000_0000,
    0xffff_ff00_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_8010_0000,
    0xffff_ffff_fee0_0000,
    0xffff_ffff_ffff_ffff,
];

fn dies(status: Status, place: usize) {
    assert!(
        matches!(status, Status::Killed(SIGSEGV | SIGBUS)),
        "{place:#x}: {status:?}"
    );
}

fn reads_of_kernel_memory() {
    for place in PLACES {
        dies(of(|| assert_eq!(peek(place), peek(place))), place);
    }
    all_is_well();
}

fn writes_to_kernel_memory() {
    for place in PLACES {
        dies(of(|| poke(place, 0xcc)), place);
    }
    all_is_well();
}

fn jumps_into_kernel_memory() {
    for place in PLACES {
        // SAFETY: ends the child.
        dies(
            of(|| unsafe { asm!("jmp {}", in(reg) place, options(noreturn)) }),
            place,
        );
        // SAFETY: as above.
        dies(
            of(|| unsafe { asm!("push {}", "ret", in(reg) place, options(noreturn)) }),
            place,
        );
    }
    all_is_well();
}

fn random_addresses() {
    let mut numbers = Numbers::new(2);
    for _ in 0..100 {
        let place = numbers.word() as usize;
        let _ = of(|| poke(place, 1));
        // SAFETY: ends the child in some way.
        let _ = of(|| unsafe { asm!("call {}", in(reg) place, options(noreturn)) });
    }
    all_is_well();
}

fn a_stack_pointer_to_nowhere() {
    for place in PLACES {
        // SAFETY: ends the child.
        dies(
            of(|| unsafe {
                asm!("mov rsp, {}", "push rax", "push rax", options(noreturn), in(reg) place)
            }),
            place,
        );
    }
}

/// The call needs no user stack: it must return.
fn a_stack_pointer_to_nowhere_during_a_call() {
    for place in PLACES {
        let status = of(|| {
            // SAFETY: the stack pointer is put back.
            unsafe {
                asm!("mov {keep}, rsp", "mov rsp, {place}", "mov eax, 39", "syscall", "mov rsp, {keep}", keep = out(reg) _, place = in(reg) place, out("rax") _, out("rcx") _, out("r11") _)
            };
        });
        assert_eq!(status, Status::Exited(0), "{place:#x}");
    }
}

/// Interrupts come meanwhile.
fn a_stack_pointer_to_nowhere_for_a_while() {
    for place in PLACES {
        let status = of(|| {
            // SAFETY: the stack pointer is put back; the loop uses registers only.
            unsafe {
                asm!("mov {keep}, rsp", "mov rsp, {place}", "2: dec {count}", "jnz 2b", "mov rsp, {keep}", keep = out(reg) _, place = in(reg) place, count = inout(reg) 20_000_000u64 => _)
            };
        });
        assert_eq!(status, Status::Exited(0), "{place:#x}");
    }
}

fn ones_own_code_unmapped() {
    let status = of(|| {
        let page = ones_own_code_unmapped as *const () as usize & !(PAGE - 1);
        // Much around it too: wherever the call returns to.
        let _ = sys!(SYS_munmap, page - 32 * PAGE, 64 * PAGE);
    });
    dies(status, 0);
}

/// From the first page to the last, while running in it.
fn everything_unmapped() {
    let status = of(|| {
        let _ = sys!(SYS_munmap, 0, 0x7fff_ffff_f000usize);
    });
    dies(status, 0);
    all_is_well();
}

fn everything_closed() {
    let status = of(|| {
        let code = everything_closed as *const () as usize & !(PAGE - 1);
        let _ = sys!(SYS_mprotect, code - 32 * PAGE, 64 * PAGE, PROT_NONE);
    });
    dies(status, 0);
}

fn the_stack_unmapped() {
    let status = of(|| {
        let here = 0u8;
        let page = &raw const here as usize & !(PAGE - 1);
        // Not above this page: the stack may end there, at the end of all user addresses.
        let _ = sys!(SYS_munmap, page - 4 * PAGE, 5 * PAGE);
    });
    dies(status, 0);
}

fn segment_registers() {
    for selector in [
        1u16, 3, 4, 7, 8, 0x10, 0x18, 0x20, 0x2b, 0x33, 0x40, 0x48, 0xffff,
    ] {
        // SAFETY: a child only; most selectors fault at the load.
        let ends = [
            of(|| unsafe { asm!("mov ds, {0:x}", in(reg) selector) }),
            // SAFETY: as above.
            of(|| unsafe { asm!("mov es, {0:x}", in(reg) selector) }),
            // SAFETY: as above; thread-local storage is gone after it.
            of(|| unsafe { asm!("mov gs, {0:x}", in(reg) selector) }),
            // SAFETY: as above.
            of(|| unsafe {
                asm!("mov fs, {0:x}", "mov eax, 231", "xor edi, edi", "syscall", in(reg) selector, options(noreturn))
            }),
            // SAFETY: as above.
            of(|| unsafe { asm!("mov ss, {0:x}", in(reg) selector) }),
        ];
        for status in ends {
            assert!(
                matches!(status, Status::Exited(0) | Status::Killed(SIGSEGV | SIGBUS)),
                "selector {selector:#x}: {status:?}"
            );
        }
    }
    all_is_well();
}

fn segment_bases() {
    for place in PLACES {
        let _ = of(|| {
            let _ = sys!(SYS_arch_prctl, 0x1001, place);
            let _ = sys!(SYS_sched_yield);
        });
        let _ = of(|| {
            let _ = sys!(SYS_arch_prctl, 0x1002, place);
            let _ = sys!(SYS_sched_yield);
        });
    }
    all_is_well();
}

/// With AC set before the call, a kernel that forgets to clear it would read its own memory for us.
fn the_flag_that_lets_the_kernel_touch_user_memory() {
    let (reader, writer) = test_programs::raw::short::pipe();
    for place in PLACES {
        let mut result: isize;
        // SAFETY: write(pipe, place, 8) with AC set; no unaligned access in between.
        unsafe {
            asm!(
                "pushfq", "or dword ptr [rsp], 0x40000", "popfq", "mov eax, 1", "syscall", "pushfq", "and dword ptr [rsp], 0xfffbffff", "popfq",
                in("rdi") writer, in("rsi") place, in("rdx") 8, lateout("rax") result, out("rcx") _, out("r11") _);
        }
        assert_eq!(result, -14, "{place:#x}");
    }
    let mut waiting = -1i32;
    ok!(SYS_ioctl, reader, libc::FIONREAD, &mut waiting);
    assert_eq!(waiting, 0);
}

fn strings_that_run_into_the_kernel() {
    for place in PLACES {
        assert!(sys!(SYS_open, place, 0, 0).is_err());
        assert!(sys!(SYS_execve, place, place, place).is_err());
        assert!(sys!(SYS_symlink, place, place).is_err());
    }
}
