//! Instructions that are not for user mode, and the flags and traps that are.

use super::ending::{all_is_well, of};
use libc::{REG_EFL, SIGBUS, SIGILL, SIGKILL, SIGSEGV, SIGTRAP, c_void, siginfo_t, ucontext_t};
use std::arch::asm;
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::Status;
use test_programs::memory::Mapping;
use test_programs::sys;

test_programs::tests!(
    privileged_instructions,
    privileged_with_arguments,
    unknown_instructions,
    instructions_that_may_be_answered,
    every_software_interrupt,
    far_jumps_and_returns,
    io_ports,
    control_registers,
    model_specific_registers,
    single_steps_through_calls,
    flags_survive_no_call,
    direction_flag_in_a_call,
    alignment_check,
    nested_task_flag,
    random_instructions,
);

/// Runs bytes as code in a child; nothing behind them returns in order.
fn run(code: &[u8]) -> Status {
    of(|| {
        let page = Mapping::new(
            8192,
            libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            libc::MAP_PRIVATE,
        );
        // exit_group(0) behind the bytes, if they let it come to that.
        let tail = b"\x31\xff\xb8\xe7\0\0\0\x0f\x05";
        code.iter()
            .chain(tail)
            .enumerate()
            .for_each(|(i, b)| page.set(i, *b));
        // SAFETY: ends the child in one way or another.
        unsafe {
            asm!("xor eax, eax", "xor ecx, ecx", "xor edx, edx", "lea rbx, [rsp - 64]", "mov rdi, rbx", "mov rsi, rbx", "jmp r8", in("r8") page.address, options(noreturn))
        };
    })
}

fn all_give(signal: i32, list: &[(&str, &[u8])]) {
    for (name, code) in list {
        let status = run(code);
        assert!(
            status == Status::Killed(signal),
            "{name} ended with {status:?}, not by signal {signal}"
        );
    }
    all_is_well();
}

fn privileged_instructions() {
    all_give(
        SIGSEGV,
        &[
            ("hlt", b"\xf4"),
            ("cli", b"\xfa"),
            ("sti", b"\xfb"),
            ("clts", b"\x0f\x06"),
            ("invd", b"\x0f\x08"),
            ("wbinvd", b"\x0f\x09"),
            ("swapgs", b"\x0f\x01\xf8"),
            ("sysretq", b"\x48\x0f\x07"),
            ("sysret", b"\x0f\x07"),
            ("rdmsr", b"\x0f\x32"),
            ("wrmsr", b"\x0f\x30"),
            ("rdpmc", b"\x0f\x33"),
        ],
    );
}

/// Those with an operand: memory at rbx, or ax.
fn privileged_with_arguments() {
    all_give(
        SIGSEGV,
        &[
            ("lgdt [rbx]", b"\x0f\x01\x13"),
            ("lidt [rbx]", b"\x0f\x01\x1b"),
            ("lldt ax", b"\x0f\x00\xd0"),
            ("ltr ax", b"\x0f\x00\xd8"),
            ("lmsw ax", b"\x0f\x01\xf0"),
            ("invlpg [rbx]", b"\x0f\x01\x3b"),
            ("xsetbv", b"\x0f\x01\xd1"),
        ],
    );
}

fn unknown_instructions() {
    all_give(
        SIGILL,
        &[
            ("ud2", b"\x0f\x0b"),
            ("ud1", b"\x0f\xb9\xc0"),
            ("ud0", b"\x0f\xff\xc0"),
            ("push es", b"\x06"),
            ("into", b"\xce"),
            ("daa", b"\x27"),
            ("rsm", b"\x0f\xaa"),
            ("mov cs, ax", b"\x8e\xc8"),
            ("lock nop", b"\xf0\x90"),
            ("stac", b"\x0f\x01\xcb"),
            ("clac", b"\x0f\x01\xca"),
        ],
    );
}

/// A hypervisor, an emulation in the kernel or an old processor may answer these: only the system must live.
fn instructions_that_may_be_answered() {
    let list: [&[u8]; 14] = [
        b"\x0f\x01\x03", // sgdt [rbx]
        b"\x0f\x01\x0b", // sidt [rbx]
        b"\x0f\x00\xc0", // sldt eax
        b"\x0f\x00\xc8", // str eax
        b"\x0f\x01\xe0", // smsw eax
        b"\x0f\x01\xc1", // vmcall
        b"\x0f\x01\xd9", // vmmcall
        b"\x0f\x01\xc8", // monitor
        b"\x0f\x01\xc9", // mwait
        b"\x0f\x34",     // sysenter
        b"\x0f\x35",     // sysexit
        b"\xf1",         // int1
        b"\x0f\x01\xd0", // xgetbv
        b"\x0f\xc7\xf8", // rdseed eax
    ];
    for code in list {
        let status = run(code);
        assert!(
            matches!(
                status,
                Status::Exited(_) | Status::Killed(SIGSEGV | SIGILL | SIGTRAP | SIGBUS)
            ),
            "{code:02x?} ended with {status:?}"
        );
    }
    all_is_well();
}

fn every_software_interrupt() {
    for vector in 0..=255u8 {
        let status = run(&[0xcd, vector]);
        let good = match vector {
            3 => status == Status::Killed(SIGTRAP),
            // The 32-bit way into Linux, where it is built.
            0x80 => matches!(status, Status::Exited(_) | Status::Killed(SIGSEGV)),
            _ => status == Status::Killed(SIGSEGV),
        };
        assert!(good, "int {vector} ended with {status:?}");
    }
    all_is_well();
}

fn far_jumps_and_returns() {
    for selector in [
        0u16, 3, 8, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0xfff8, 0xffff,
    ] {
        let [low, high] = selector.to_le_bytes();
        // push selector; push rdi (any address); lretq. push twice more and iretq.
        let far_return = [0x68, low, high, 0, 0, 0x57, 0x48, 0xcb];
        let interrupt_return = [
            0x68, low, high, 0, 0, 0x54, 0x6a, 0xff, 0x68, low, high, 0, 0, 0x57, 0x48, 0xcf,
        ];
        for code in [&far_return[..], &interrupt_return[..]] {
            let status = run(code);
            // An emulated processor may get stuck in it; what is stuck can be killed.
            assert!(
                matches!(
                    status,
                    Status::Killed(SIGSEGV | SIGBUS | SIGILL | SIGTRAP | SIGKILL)
                ),
                "selector {selector:#x}: {status:?}"
            );
        }
    }
    all_is_well();
}

fn io_ports() {
    for port in [
        0x20u16, 0x21, 0x40, 0x43, 0x60, 0x64, 0x70, 0x71, 0x80, 0xcf8, 0xf4, 0x3f8, 0x604,
    ] {
        let [low, high] = port.to_le_bytes();
        for instruction in [0xecu8, 0xed, 0xee, 0xef] {
            let status = run(&[0x66, 0xba, low, high, instruction]);
            assert!(
                status == Status::Killed(SIGSEGV),
                "port {port:#x} by {instruction:#x}: {status:?}"
            );
        }
    }
    // The string forms.
    for code in [
        &b"\x6c"[..],
        b"\x6d",
        b"\x6e",
        b"\x6f",
        b"\xe4\x60",
        b"\xe6\xf4",
    ] {
        assert_eq!(run(code), Status::Killed(SIGSEGV));
    }
    all_is_well();
}

fn control_registers() {
    for register in [0u8, 2, 3, 4] {
        for direction in [0x20u8, 0x22] {
            assert_eq!(
                run(&[0x0f, direction, 0xc0 | register << 3]),
                Status::Killed(SIGSEGV),
                "cr{register}"
            );
        }
    }
    for register in [0u8, 1, 6, 7] {
        for direction in [0x21u8, 0x23] {
            assert_eq!(
                run(&[0x0f, direction, 0xc0 | register << 3]),
                Status::Killed(SIGSEGV),
                "dr{register}"
            );
        }
    }
    all_is_well();
}

fn model_specific_registers() {
    for register in [
        0x10u32,
        0x1b,
        0x8b,
        0x174,
        0x277,
        0xc000_0080,
        0xc000_0081,
        0xc000_0082,
        0xc000_0101,
        0xc000_0102,
        0xffff_ffff,
    ] {
        let [a, b, c, d] = register.to_le_bytes();
        for instruction in [0x32u8, 0x30] {
            assert_eq!(
                run(&[0xb9, a, b, c, d, 0x0f, instruction]),
                Status::Killed(SIGSEGV),
                "register {register:#x}"
            );
        }
    }
    all_is_well();
}

static STEPS: AtomicU32 = AtomicU32::new(0);

extern "C" fn step(_: i32, _: *mut siginfo_t, context: *mut c_void) {
    if STEPS.fetch_add(1, Ordering::SeqCst) > 60 {
        // SAFETY: the kernel's context: no more steps.
        unsafe { (*context.cast::<ucontext_t>()).uc_mcontext.gregs[REG_EFL as usize] &= !0x100 };
    }
}

/// The trap flag must neither leak into the kernel nor get lost by a call.
fn single_steps_through_calls() {
    test_programs::signal::handle(SIGTRAP, step, 0);
    // SAFETY: twenty calls of getpid with the trap flag on.
    unsafe {
        asm!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "mov r12d, 20", "2: mov eax, 39", "syscall", "dec r12d", "jnz 2b", "pushfq", "and dword ptr [rsp], 0xfffffeff", "popfq",
            out("rax") _, out("rcx") _, out("r11") _, out("r12") _);
    }
    assert!(STEPS.load(Ordering::SeqCst) > 40);
    all_is_well();
}

fn flags_survive_no_call() {
    // I/O privilege and interrupt flag asked for by popfq: ignored.
    let mut flags: u64;
    // SAFETY: the processor ignores what a user may not set.
    unsafe { asm!("push 0x3000", "popfq", "pushfq", "pop {}", out(reg) flags) };
    assert_eq!(flags & 0x3200, 0x200, "{flags:#x}");
    assert_eq!(of(out_with_privilege_asked), Status::Killed(SIGSEGV));
}

fn out_with_privilege_asked() {
    // SAFETY: ends the child.
    unsafe { asm!("push 0x3202", "popfq", "out 0x80, al", in("al") 0u8) };
}

fn direction_flag_in_a_call() {
    let fd = test_programs::raw::short::file_with(c"f", b"0123456789");
    let mut buffer = [0u8; 32];
    let mut result: isize;
    // SAFETY: read(fd, buffer, 32) with the direction flag set, cleared behind it.
    unsafe {
        asm!("std", "xor eax, eax", "syscall", "cld", in("rdi") fd, in("rsi") buffer.as_mut_ptr(), in("rdx") 32, lateout("rax") result, out("rcx") _, out("r11") _);
    }
    assert_eq!((result, &buffer[..10]), (10, &b"0123456789"[..]));
}

/// With AC set an unaligned access may be a fault, if the kernel has it so.
fn alignment_check() {
    let status = of(|| {
        let room = [0u64; 4];
        // SAFETY: an unaligned read of the array.
        unsafe {
            asm!("pushfq", "or dword ptr [rsp], 0x40000", "popfq", "mov rax, [{0} + 1]", "pushfq", "and dword ptr [rsp], 0xfffbffff", "popfq", in(reg) room.as_ptr(), out("rax") _);
        }
    });
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGBUS)),
        "{status:?}"
    );
    // Calls, children and signals with the flag on.
    let status = of(|| {
        // SAFETY: sets a flag that aligned code does not notice, calls getpid and leaves.
        unsafe {
            asm!(
                "pushfq",
                "or dword ptr [rsp], 0x40000",
                "popfq",
                "mov eax, 39",
                "syscall",
                "mov eax, 57",
                "syscall",
                "xor edi, edi",
                "mov eax, 231",
                "syscall",
                options(noreturn)
            )
        };
    });
    assert_eq!(status, Status::Exited(0));
    all_is_well();
}

/// An interrupt return with NT set would be a task switch: the kernel must not make one.
fn nested_task_flag() {
    let status = of(|| {
        for _ in 0..100 {
            // SAFETY: the flag does nothing to user code.
            unsafe {
                asm!("pushfq", "or dword ptr [rsp], 0x4000", "popfq", "mov eax, 39", "syscall", out("rax") _, out("rcx") _, out("r11") _)
            };
            let page = Mapping::private(4096);
            page.set(0, 1);
        }
        // SAFETY: a loop long enough for interrupts, with the flag set.
        unsafe {
            asm!("pushfq", "or dword ptr [rsp], 0x4000", "popfq", "2: dec {0}", "jnz 2b", inout(reg) 30_000_000u64 => _)
        };
    });
    assert_eq!(status, Status::Exited(0));
    all_is_well();
}

fn random_instructions() {
    let mut numbers = test_programs::pattern::Numbers::new(5);
    for _ in 0..400 {
        let code: Vec<u8> = (0..16).map(|_| numbers.word() as u8).collect();
        let child = test_programs::child::fork(|| {
            // Whatever calls the bytes happen to make, they are made as nobody, and with nothing open.
            let _ = sys!(SYS_close_range, 0, u32::MAX, 0);
            let _ = sys!(SYS_setresuid, 65534, 65534, 65534);
            let page = Mapping::new(
                8192,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
                libc::MAP_PRIVATE,
            );
            code.iter()
                .chain(b"\x0f\x0b")
                .enumerate()
                .for_each(|(i, b)| page.set(i, *b));
            // No call numbers that mean anything: rax is far out of range.
            // SAFETY: ends the child in one way or another.
            unsafe {
                asm!("mov rax, 0x7fffffff", "jmp r8", in("r8") page.address, options(noreturn))
            };
        });
        super::ending::within(child, 100);
    }
    all_is_well();
}
