//! What a handler finds in its context, and that everything is as before when it returns.

use libc::{
    EINTR, REG_EFL, REG_R8, REG_R9, REG_R10, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RBP,
    REG_RBX, REG_RDX, REG_RIP, REG_RSI, SA_NODEFER, SA_RESTART, SIGALRM, SIGHUP, SIGKILL, SIGSEGV,
    SIGTERM, SIGUSR1, SIGUSR2, c_void, siginfo_t, stack_t, ucontext_t,
};
use std::arch::asm;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use test_programs::child::until;
use test_programs::raw::short::*;
use test_programs::signal::{bit, block, blocked, catch, handle, pending, raise, tick};
use test_programs::{ok, sys};

test_programs::tests!(
    general_registers_come_back,
    vector_registers_come_back,
    wide_vector_registers_come_back,
    float_control_comes_back,
    flags_come_back,
    the_red_zone_is_left_alone,
    the_stack_is_aligned,
    direction_flag_is_clear_in_the_handler,
    the_handler_sees_the_registers,
    changed_registers_take_effect,
    changed_mask_takes_effect,
    the_mask_in_the_context,
    the_link_and_stack_in_the_context,
    float_state_in_the_context,
    changed_vector_registers_take_effect,
    result_of_the_interrupted_call,
    registers_under_a_storm,
    vectors_under_a_storm_with_children,
    a_jump_out_of_the_handler,
    sigreturn_gives_back_what_the_frame_says,
    context_of_nested_handlers,
);

static GOOD: AtomicU64 = AtomicU64::new(0);

/// Changes every register it may.
extern "C" fn scribble(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: registers only.
    unsafe {
        asm!(
            "xor eax, eax", "mov ecx, 7", "mov edx, 7", "mov esi, 7", "mov edi, 7", "mov r8, 7", "mov r9, 7", "mov r10, 7",
            "mov r11, 7", "mov r12, 7", "mov r13, 7", "mov r14, 7", "mov r15, 7", "pcmpeqd xmm0, xmm0", "pcmpeqd xmm7, xmm7", "pcmpeqd xmm15, xmm15",
            "stc", out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _, out("xmm0") _, out("xmm7") _, out("xmm15") _);
    }
    GOOD.fetch_add(1, Ordering::SeqCst);
}

/// Sends this process SIGUSR1 between loading registers and adding them up. Only rcx and r11 belong to the call.
fn registers_over_a_signal() -> u64 {
    let mine = pid();
    let mut sum: u64;
    // SAFETY: kill(self); rbx and rbp are kept by hand.
    unsafe {
        asm!(
            "push rbx", "push rbp", "mov rbx, 1", "mov rbp, 2", "mov r8, 3", "mov r9, 4", "mov r10, 5", "mov r12, 6", "mov r13, 7", "mov r14, 8", "mov r15, 9",
            "mov rdx, 10", "mov esi, 10", "mov eax, 62", "syscall",
            "add rax, rbx", "add rax, rbp", "add rax, r8", "add rax, r9", "add rax, r10", "add rax, r12", "add rax, r13", "add rax, r14",
            "add rax, r15", "add rax, rdx", "add rax, rsi", "pop rbp", "pop rbx",
            inout("edi") mine => _, out("rax") sum, out("rcx") _, out("rdx") _, out("rsi") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _);
    }
    sum
}

fn general_registers_come_back() {
    handle(SIGUSR1, scribble, 0);
    for n in 1..=100 {
        assert_eq!(registers_over_a_signal(), 65);
        assert_eq!(GOOD.load(Ordering::SeqCst), n);
    }
}

/// Three vector registers over a signal to itself.
fn vectors_over_a_signal(value: u64) -> bool {
    let mine = pid();
    let (mut a, mut b, mut c) = (value, value ^ 1, value ^ 2);
    // SAFETY: kill(self) between loading and reading.
    unsafe {
        asm!(
            "movq xmm0, {a}", "movq xmm7, {b}", "movq xmm15, {c}", "mov esi, 10", "mov eax, 62", "syscall",
            "movq {a}, xmm0", "movq {b}, xmm7", "movq {c}, xmm15",
            a = inout(reg) a, b = inout(reg) b, c = inout(reg) c, in("edi") mine, out("rax") _, out("rcx") _, out("r11") _, out("rsi") _,
            out("xmm0") _, out("xmm7") _, out("xmm15") _);
    }
    (a, b, c) == (value, value ^ 1, value ^ 2)
}

fn vector_registers_come_back() {
    handle(SIGUSR1, scribble, 0);
    assert!((0..100).all(|n| vectors_over_a_signal(n * 0x0101_0101_0101)));
    assert_eq!(GOOD.load(Ordering::SeqCst), 100);
}

fn wide_vector_registers_come_back() {
    if !std::arch::is_x86_feature_detected!("avx") {
        return;
    }
    handle(SIGUSR1, scribble, 0);
    let mine = pid();
    for n in 0..100u8 {
        let before = [n; 32];
        let mut after = [0u8; 32];
        // SAFETY: the feature is there; kill(self) between loading and reading.
        unsafe {
            asm!(
                "vmovdqu ymm15, [{from}]", "mov esi, 10", "mov eax, 62", "syscall", "vmovdqu [{to}], ymm15", "vzeroupper",
                from = in(reg) before.as_ptr(), to = in(reg) after.as_mut_ptr(), in("edi") mine, out("rax") _, out("rcx") _, out("r11") _, out("rsi") _,
                out("ymm15") _);
        }
        assert_eq!(after, before);
    }
}

fn float_control_comes_back() {
    extern "C" fn changes(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        let (mxcsr, word) = (0x7f80u32, 0x0f7fu16);
        // SAFETY: rounding modes only.
        unsafe { asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &mxcsr, in(reg) &word) };
    }
    handle(SIGUSR1, changes, 0);
    let (mxcsr, word) = (0x3f80u32, 0x077fu16);
    let (mut mxcsr_after, mut word_after) = (0u32, 0u16);
    // SAFETY: rounding modes only; set back below.
    unsafe { asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &mxcsr, in(reg) &word) };
    raise(SIGUSR1);
    // SAFETY: as above.
    unsafe {
        asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &mut mxcsr_after, in(reg) &mut word_after);
        asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &0x1f80u32, in(reg) &0x037fu16);
    }
    assert_eq!((mxcsr_after, word_after), (mxcsr, word));
}

fn flags_come_back() {
    handle(SIGUSR1, scribble, 0);
    let mine = pid();
    for wanted in [0x8d5u64, 0x0, 0x400] {
        let mut flags: u64;
        // SAFETY: arithmetic and direction flags, cleared at the end.
        unsafe {
            asm!(
                "pushfq", "pop rdx", "and rdx, -0xcd6", "or rdx, {wanted}", "push rdx", "popfq", "mov esi, 10", "mov eax, 62", "syscall",
                "pushfq", "pop {flags}", "cld",
                wanted = in(reg) wanted, flags = out(reg) flags, in("edi") mine, out("rax") _, out("rcx") _, out("rdx") _, out("r11") _, out("rsi") _);
        }
        assert_eq!(flags & 0xcd5, wanted, "flags {flags:#x}");
    }
}

fn the_red_zone_is_left_alone() {
    handle(SIGUSR1, scribble, 0);
    let mine = pid();
    let mut sum: u64;
    // SAFETY: writes only the 128 bytes below the stack pointer that belong to this function, which calls nothing meanwhile.
    unsafe {
        asm!(
            "mov rdx, 16", "2: mov [rsp + rdx*8 - 136], rdx", "dec rdx", "jnz 2b",
            "mov esi, 10", "mov eax, 62", "syscall",
            "xor eax, eax", "mov rdx, 16", "3: add rax, [rsp + rdx*8 - 136]", "dec rdx", "jnz 3b",
            in("edi") mine, out("rax") sum, out("rcx") _, out("rdx") _, out("r11") _, out("rsi") _);
    }
    assert_eq!(sum, 136);
}

static FOUND: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

/// Written without a prologue: the stack pointer and the flags as the kernel left them.
#[unsafe(naked)]
extern "C" fn bare(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    std::arch::naked_asm!("pushfq", "pop rax", "lea rcx, [rip + {found}]", "mov [rcx], rsp", "mov [rcx + 8], rax", "mov [rcx + 16], rdi", "mov [rcx + 24], rsi", "mov [rcx + 32], rdx", "ret",
        found = sym FOUND)
}

fn the_stack_is_aligned() {
    handle(SIGUSR1, bare, 0);
    for offset in 0..16 {
        let room = std::hint::black_box(vec![0u8; 100 + offset]);
        let mine = pid();
        // SAFETY: moves the stack pointer a little down around the call.
        unsafe {
            asm!("mov {keep}, rsp", "sub rsp, 256", "sub rsp, {offset}", "mov esi, 10", "mov eax, 62", "syscall", "mov rsp, {keep}",
                keep = out(reg) _, offset = in(reg) offset, in("edi") mine, out("rax") _, out("rcx") _, out("r11") _, out("rsi") _);
        }
        drop(room);
        // As after a call: the return address makes it eight off.
        assert_eq!(FOUND[0].load(Ordering::SeqCst) % 16, 8);
    }
}

fn direction_flag_is_clear_in_the_handler() {
    handle(SIGUSR1, bare, 0);
    let mine = pid();
    // SAFETY: cleared again at once.
    unsafe {
        asm!("std", "mov esi, 10", "mov eax, 62", "syscall", "cld", in("edi") mine, out("rax") _, out("rcx") _, out("r11") _, out("rsi") _)
    };
    assert_eq!(FOUND[1].load(Ordering::SeqCst) & 0x400, 0);
    assert_eq!(FOUND[2].load(Ordering::SeqCst), SIGUSR1 as usize);
    assert!(FOUND[3].load(Ordering::SeqCst) != 0 && FOUND[4].load(Ordering::SeqCst) != 0);
}

fn with_context(change: fn(&mut ucontext_t)) -> u64 {
    static CHANGE: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn calls(_: i32, _: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the test's function, and the kernel's context.
        unsafe {
            let change: fn(&mut ucontext_t) = std::mem::transmute(CHANGE.load(Ordering::SeqCst));
            change(&mut *context.cast());
        }
    }
    CHANGE.store(change as usize, Ordering::SeqCst);
    handle(SIGUSR1, calls, 0);
    registers_over_a_signal()
}

fn the_handler_sees_the_registers() {
    with_context(|context| {
        let r = &context.uc_mcontext.gregs;
        let of = |name: i32| r[name as usize];
        assert_eq!(
            [
                of(REG_RBX),
                of(REG_RBP),
                of(REG_R8),
                of(REG_R9),
                of(REG_R10)
            ],
            [1, 2, 3, 4, 5]
        );
        assert_eq!(
            [
                of(REG_R12),
                of(REG_R13),
                of(REG_R14),
                of(REG_R15),
                of(REG_RDX)
            ],
            [6, 7, 8, 9, 10]
        );
        // The call's result is there already.
        assert_eq!((of(REG_RAX), of(REG_RSI)), (0, 10));
        assert_eq!(
            // SAFETY: the two bytes before the interrupted place.
            unsafe { *((of(REG_RIP) - 2) as *const u16) },
            0x050f,
            "not behind a syscall instruction"
        );
        assert_eq!(of(REG_EFL) & 0x202, 0x202);
    });
}

fn changed_registers_take_effect() {
    let sum = with_context(|context| {
        context.uc_mcontext.gregs[REG_RAX as usize] = 1000;
        context.uc_mcontext.gregs[REG_R15 as usize] = 0;
    });
    assert_eq!(sum, 65 - 9 + 1000);
}

fn changed_mask_takes_effect() {
    with_context(|context| {
        // SAFETY: the mask's first word.
        unsafe { *(&raw mut context.uc_sigmask).cast::<u64>() = bit(SIGHUP) | bit(SIGKILL) };
    });
    assert_eq!(blocked(), bit(SIGHUP));
}

fn the_mask_in_the_context() {
    block(SIGTERM);
    with_context(|context| {
        assert_eq!(
            // SAFETY: the mask's first word.
            unsafe { *(&raw const context.uc_sigmask).cast::<u64>() },
            bit(SIGTERM)
        );
        assert_eq!(blocked(), bit(SIGTERM) | bit(SIGUSR1));
    });
}

fn the_link_and_stack_in_the_context() {
    with_context(|context| {
        assert!(context.uc_link.is_null());
        let mut stack = stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: 0,
            ss_size: 0,
        };
        ok!(SYS_sigaltstack, 0, &mut stack);
        assert_eq!(
            (context.uc_stack.ss_sp, context.uc_stack.ss_size),
            (stack.ss_sp, stack.ss_size)
        );
    });
}

/// The old 512-byte area first; its reserved end says how much more there is.
fn float_state_in_the_context() {
    with_context(|context| {
        let state = context.uc_mcontext.fpregs;
        assert!(!state.is_null() && (state as usize).is_multiple_of(16));
        // SAFETY: the kernel's area.
        unsafe {
            assert_eq!((*state).mxcsr & 0xffc0, 0x1f80);
            assert_eq!((*state).cwd, 0x037f);
        }
    });
}

fn changed_vector_registers_take_effect() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    extern "C" fn changes(_: i32, _: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel's context and float area.
        unsafe {
            let register =
                &mut (*(*context.cast::<ucontext_t>()).uc_mcontext.fpregs)._xmm[7].element;
            SEEN.store(u64::from(register[0]), Ordering::SeqCst);
            register[0] = 0x1234;
        }
    }
    handle(SIGUSR1, changes, 0);
    let mine = pid();
    let mut value = 77u64;
    // SAFETY: kill(self) between loading and reading.
    unsafe {
        asm!("movq xmm7, {v}", "mov esi, 10", "mov eax, 62", "syscall", "movq {v}, xmm7",
            v = inout(reg) value, in("edi") mine, out("rax") _, out("rcx") _, out("r11") _, out("rsi") _, out("xmm7") _);
    }
    assert_eq!((SEEN.load(Ordering::SeqCst), value), (77, 0x1234));
}

fn result_of_the_interrupted_call() {
    catch(SIGALRM);
    tick(1000);
    let (reader, _writer) = pipe();
    for _ in 0..20 {
        assert_eq!(sys!(SYS_read, reader, &mut [0u8; 1], 1), Err(EINTR));
    }
}

fn registers_under_a_storm() {
    handle(SIGALRM, scribble, 0);
    handle(SIGUSR1, scribble, 0);
    tick(500);
    let mut sums = 0u64;
    while GOOD.load(Ordering::SeqCst) < 3000 {
        assert_eq!(registers_over_a_signal(), 65);
        let mut value = 0u64;
        for n in 0..1000u64 {
            value = std::hint::black_box(value + n);
        }
        assert_eq!(value, 499_500);
        sums += 1;
    }
    assert!(sums > 0);
}

fn vectors_under_a_storm_with_children() {
    handle(SIGALRM, scribble, SA_RESTART);
    handle(SIGUSR1, scribble, 0);
    tick(1000);
    for round in 0..10 {
        let child = test_programs::child::spawn(|| {
            handle(SIGUSR1, scribble, 0);
            assert!((0..50).all(|n| vectors_over_a_signal(n << 20)));
        });
        assert!((0..50).all(|n| vectors_over_a_signal(n + round)));
        child.passes();
    }
}

fn a_jump_out_of_the_handler() {
    // The C library's way: the mask is given back by hand, the frame is left behind.
    static TARGET: AtomicUsize = AtomicUsize::new(0);
    static STACK: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn leaves(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
        test_programs::signal::unblock(signal);
        // SAFETY: back into the function that is still on the stack.
        unsafe {
            asm!("mov rsp, {}", "jmp {}", in(reg) STACK.load(Ordering::SeqCst), in(reg) TARGET.load(Ordering::SeqCst), options(noreturn))
        };
    }
    handle(SIGSEGV, leaves, 0);
    for _ in 0..50 {
        // SAFETY: the faulting read never completes; everything may be changed by the handler's detour.
        unsafe {
            asm!(
                "push rbx", "push rbp", "mov [{s}], rsp", "lea rax, [rip + 2f]", "mov [{t}], rax", "mov rax, [0x10]", "2:", "pop rbp", "pop rbx",
                s = in(reg) STACK.as_ptr(), t = in(reg) TARGET.as_ptr(), out("rax") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _, clobber_abi("C"));
        }
    }
    assert_eq!((blocked(), pending()), (0, 0));
}

fn sigreturn_gives_back_what_the_frame_says() {
    // The handler moves the interrupted place forward over an endless loop.
    static LOOPED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn over(_: i32, _: *mut siginfo_t, context: *mut c_void) {
        LOOPED.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the loop is two bytes long and holds no state.
        unsafe {
            let place = &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs[REG_RIP as usize];
            if *(*place as *const u16) == 0xfeeb {
                *place += 2;
            }
        }
    }
    handle(SIGALRM, over, 0);
    tick(2000);
    // SAFETY: the handler leads out of it.
    unsafe { asm!(".byte 0xeb, 0xfe") };
    tick(0);
    assert!(LOOPED.load(Ordering::SeqCst) >= 1);
}

fn context_of_nested_handlers() {
    static DEPTHS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn nest(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
        if DEPTHS.fetch_add(1, Ordering::SeqCst) < 20 {
            assert!(vectors_over_a_signal(DEPTHS.load(Ordering::SeqCst)));
            raise(signal);
            assert!(vectors_over_a_signal(DEPTHS.load(Ordering::SeqCst)));
        }
    }
    handle(SIGUSR1, scribble, 0);
    handle(SIGUSR2, nest, SA_NODEFER);
    raise(SIGUSR2);
    until(|| DEPTHS.load(Ordering::SeqCst) == 21);
    assert_eq!(GOOD.load(Ordering::SeqCst), 40);
}
