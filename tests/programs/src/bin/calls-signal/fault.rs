//! Signals that the processor's faults become: which signal, which code, which address.

use libc::{
    BUS_ADRERR, MAP_PRIVATE, MAP_SHARED, O_RDONLY, PROT_NONE, PROT_READ, PROT_WRITE, REG_EFL,
    REG_ERR, REG_RIP, REG_TRAPNO, SI_KERNEL, SI_USER, SIG_IGN, SIGBUS, SIGFPE, SIGILL, SIGSEGV,
    SIGTRAP, SIGUSR1, c_void, siginfo_t, ucontext_t,
};
use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};
use test_programs::child::{dies_of, passes, spawn};
use test_programs::memory::{Mapping, PAGE, peek, poke};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, block, dispose, handle};
use test_programs::{fails, ok, sys};

test_programs::tests!(
    unmapped_memory,
    address_zero,
    read_only_memory,
    closed_memory,
    kernel_memory,
    non_canonical_memory,
    code_that_is_no_code,
    code_in_kernel_memory,
    beyond_the_end_of_a_file,
    a_handler_can_repair,
    a_handler_can_step_over,
    division_by_zero,
    division_overflow,
    an_illegal_instruction,
    a_breakpoint,
    a_single_step,
    privileged_instructions,
    a_float_exception,
    the_error_code,
    the_default_ends_the_process,
    a_blocked_fault_ends_the_process,
    an_ignored_fault_ends_the_process,
    a_fault_in_the_handler,
    a_fault_without_stack,
    a_fault_in_a_call_is_an_error_not_a_signal,
    the_same_fault_again,
    sent_segv_is_just_a_signal,
    stack_grows_by_itself,
    overflow_is_caught_below_the_stack,
    unaligned_access_is_fine,
);

static SKIP: AtomicUsize = AtomicUsize::new(0);

/// Records, then goes on at `SKIP`.
extern "C" fn record_and_skip(signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's records; the new instruction pointer is a label of the test.
    unsafe {
        let context = &mut *context.cast::<ucontext_t>();
        let registers = &mut context.uc_mcontext.gregs;
        RECORD.signal.store(signal, Ordering::SeqCst);
        RECORD.code.store((*info).si_code, Ordering::SeqCst);
        RECORD
            .address
            .store((*info).si_addr() as usize, Ordering::SeqCst);
        RECORD
            .rip
            .store(registers[REG_RIP as usize] as usize, Ordering::SeqCst);
        RECORD
            .error
            .store(registers[REG_ERR as usize] as usize, Ordering::SeqCst);
        RECORD
            .trap
            .store(registers[REG_TRAPNO as usize] as usize, Ordering::SeqCst);
        registers[REG_RIP as usize] = SKIP.load(Ordering::SeqCst) as i64;
        // No further single steps.
        registers[REG_EFL as usize] &= !0x100;
    }
    RECORD.count.fetch_add(1, Ordering::SeqCst);
}

fn watch() {
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP] {
        handle(signal, record_and_skip, 0);
    }
}

/// Runs instructions that fault; the handler goes on behind them.
macro_rules! faulting {
    ($($text:literal),+ $(; $($operands:tt)*)?) => {{
        watch();
        // SAFETY: whatever the instructions do, the handler continues at the label.
        unsafe { asm!("lea {tmp}, [rip + 3f]", "mov [{skip}], {tmp}", $($text),+, "3:", tmp = out(reg) _, skip = in(reg) SKIP.as_ptr(), $($($operands)*)?) };
    }};
}

/// Signal, code and address of the last fault.
fn seen() -> (i32, i32, usize) {
    (
        RECORD.signal.load(Ordering::SeqCst),
        RECORD.code.load(Ordering::SeqCst),
        RECORD.address.load(Ordering::SeqCst),
    )
}

fn read_at(address: usize) {
    faulting!("mov al, [{a}]"; a = in(reg) address, out("al") _);
}

fn write_at(address: usize) {
    faulting!("mov byte ptr [{a}], 1"; a = in(reg) address);
}

fn jump_to(address: usize) {
    faulting!("mov {saved}, rsp", "jmp {a}"; a = in(reg) address, saved = out(reg) _);
}

const MAPERR: i32 = 1;
const ACCERR: i32 = 2;
const FPE_INTDIV: i32 = 1;

fn unmapped_memory() {
    let page = Mapping::private(PAGE);
    let address = page.address;
    drop(page);
    read_at(address + 123);
    assert_eq!(seen(), (SIGSEGV, MAPERR, address + 123));
    write_at(address);
    assert_eq!(seen(), (SIGSEGV, MAPERR, address));
    assert_eq!(RECORD.count(), 2);
}

fn address_zero() {
    read_at(0);
    assert_eq!(seen(), (SIGSEGV, MAPERR, 0));
    write_at(8);
    assert_eq!(seen(), (SIGSEGV, MAPERR, 8));
}

fn read_only_memory() {
    let page = Mapping::new(PAGE, PROT_READ, MAP_PRIVATE);
    write_at(page.address + 7);
    assert_eq!(seen(), (SIGSEGV, ACCERR, page.address + 7));
    let code = read_only_memory as *const () as usize;
    write_at(code);
    assert_eq!(seen(), (SIGSEGV, ACCERR, code));
}

fn closed_memory() {
    let page = Mapping::new(PAGE, PROT_NONE, MAP_PRIVATE);
    read_at(page.address);
    assert_eq!(seen(), (SIGSEGV, ACCERR, page.address));
    page.protect(0, PAGE, PROT_READ);
    assert_eq!(peek(page.address), 0);
}

fn kernel_memory() {
    for address in [
        0xffff_8000_0000_0000usize,
        0xffff_ffff_8000_0000,
        0xffff_ffff_ffff_f000,
    ] {
        read_at(address);
        assert_eq!((seen().0, seen().2), (SIGSEGV, address));
        write_at(address);
        assert_eq!((seen().0, seen().2), (SIGSEGV, address));
    }
}

/// No page fault but a general protection fault: the address is not told.
fn non_canonical_memory() {
    for address in [1usize << 57, 0x8000_0000_0000_0000, 0xfe00_0000_0000_0000] {
        read_at(address);
        assert_eq!(seen(), (SIGSEGV, SI_KERNEL, 0));
    }
}

fn code_that_is_no_code() {
    let page = Mapping::private(PAGE);
    page.set(0, 0xc3);
    jump_to(page.address);
    assert_eq!(seen(), (SIGSEGV, ACCERR, page.address));
    assert_eq!(RECORD.rip.load(Ordering::SeqCst), page.address);
    jump_to(0x10);
    assert_eq!(seen(), (SIGSEGV, MAPERR, 0x10));
}

fn code_in_kernel_memory() {
    jump_to(0xffff_ffff_8100_0000);
    assert_eq!((seen().0, seen().2), (SIGSEGV, 0xffff_ffff_8100_0000));
    jump_to(1 << 57);
    assert_eq!(seen().0, SIGSEGV);
}

fn beyond_the_end_of_a_file() {
    let fd = file_with(c"f", &[1; 100]);
    let address = ok!(
        SYS_mmap,
        0,
        2 * PAGE,
        PROT_READ | PROT_WRITE,
        MAP_SHARED,
        fd,
        0
    );
    assert_eq!(
        (
            peek(address + 99),
            peek(address + 100),
            peek(address + PAGE - 1)
        ),
        (1, 0, 0)
    );
    read_at(address + PAGE + 5);
    assert_eq!(seen(), (SIGBUS, BUS_ADRERR, address + PAGE + 5));
    write_at(address + PAGE);
    assert_eq!(seen(), (SIGBUS, BUS_ADRERR, address + PAGE));
    // The file grows, and the page is there.
    ok!(SYS_ftruncate, fd, 2 * PAGE);
    poke(address + PAGE, 3);
    ok!(SYS_ftruncate, fd, 10);
    read_at(address + PAGE);
    assert_eq!(seen().0, SIGBUS);
    ok!(SYS_munmap, address, 2 * PAGE);
}

fn a_handler_can_repair() {
    extern "C" fn open_page(_: i32, info: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: the kernel's record.
        let address = unsafe { (*info).si_addr() as usize };
        ok!(
            SYS_mprotect,
            address & !(PAGE - 1),
            PAGE,
            PROT_READ | PROT_WRITE
        );
        RECORD.count.fetch_add(1, Ordering::SeqCst);
    }
    let pages = Mapping::new(20 * PAGE, PROT_NONE, MAP_PRIVATE);
    handle(SIGSEGV, open_page, 0);
    (0..20).for_each(|p| pages.set(p * PAGE + 1, p as u8));
    (0..20).for_each(|p| assert_eq!(pages.get(p * PAGE + 1), p as u8));
    assert_eq!(RECORD.count(), 20);
}

fn a_handler_can_step_over() {
    for n in 1..=200 {
        faulting!("ud2");
        assert_eq!(RECORD.count(), n);
    }
}

fn division_by_zero() {
    faulting!("xor edx, edx", "mov eax, 1", "xor ecx, ecx", "2: div ecx"; out("eax") _, out("ecx") _, out("edx") _);
    assert_eq!((seen().0, seen().1), (SIGFPE, FPE_INTDIV));
    assert_eq!(seen().2, RECORD.rip.load(Ordering::SeqCst));
}

fn division_overflow() {
    faulting!("mov edx, -1", "mov eax, 0", "mov ecx, 1", "div ecx"; out("eax") _, out("ecx") _, out("edx") _);
    assert_eq!((seen().0, seen().1), (SIGFPE, FPE_INTDIV));
}

fn an_illegal_instruction() {
    faulting!("ud2");
    let (signal, code, address) = seen();
    assert_eq!((signal, code), (SIGILL, 2));
    assert_eq!(address, RECORD.rip.load(Ordering::SeqCst));
    // SAFETY: reads the two bytes of the instruction.
    assert_eq!(unsafe { *(address as *const u16) }, 0x0b0f);
}

fn a_breakpoint() {
    faulting!("int3");
    assert_eq!((seen().0, seen().1), (SIGTRAP, SI_KERNEL));
}

fn a_single_step() {
    faulting!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "nop", "nop");
    assert_eq!((seen().0, seen().1), (SIGTRAP, 2));
    assert_eq!(RECORD.trap.load(Ordering::SeqCst), 1);
}

fn privileged_instructions() {
    faulting!("hlt");
    assert_eq!(seen(), (SIGSEGV, SI_KERNEL, 0));
    faulting!("cli");
    assert_eq!(seen(), (SIGSEGV, SI_KERNEL, 0));
    faulting!("in al, 0x60"; out("al") _);
    assert_eq!(seen(), (SIGSEGV, SI_KERNEL, 0));
    assert_eq!(RECORD.trap.load(Ordering::SeqCst), 13);
}

/// With the divide-by-zero mask cleared, a division by the old floating-point unit traps at the next `fwait`.
fn a_float_exception() {
    let (unmasked, normal) = (0x037bu16, 0x037fu16);
    faulting!(
        "fninit", "fldcw [{word}]", "fld1", "fldz", "fdivp st(1), st", "fwait";
        word = in(reg) &unmasked, out("st(0)") _, out("st(1)") _);
    assert_eq!((seen().0, seen().1), (SIGFPE, 3));
    // SAFETY: the default control word again.
    unsafe { asm!("fninit", "fldcw [{}]", in(reg) &normal, out("st(0)") _) };
}

/// Present, write, user, fetch: bits 0, 1, 2, 4 of the page-fault error code; vector 14.
fn the_error_code() {
    let page = Mapping::new(PAGE, PROT_READ, MAP_PRIVATE);
    peek(page.address);
    let error = || {
        (
            RECORD.trap.load(Ordering::SeqCst),
            RECORD.error.load(Ordering::SeqCst),
        )
    };
    write_at(page.address);
    assert_eq!(error(), (14, 0b00111));
    read_at(0x10);
    assert_eq!(error(), (14, 0b00100));
    write_at(0x10);
    assert_eq!(error(), (14, 0b00110));
    let data = Mapping::private(PAGE);
    data.set(0, 1);
    jump_to(data.address);
    assert_eq!(error(), (14, 0b10101));
}

fn the_default_ends_the_process() {
    dies_of(SIGSEGV, || poke(0x10, 1));
    dies_of(SIGSEGV, || assert_eq!(peek(1 << 57), 0));
    // SAFETY: ends this child.
    dies_of(SIGILL, || unsafe { asm!("ud2") });
    // SAFETY: as above.
    dies_of(SIGTRAP, || unsafe { asm!("int3") });
    // SAFETY: as above.
    dies_of(SIGFPE, || unsafe {
        asm!("xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
    });
}

fn a_blocked_fault_ends_the_process() {
    dies_of(SIGSEGV, || {
        watch();
        block(SIGSEGV);
        poke(0x10, 1);
    });
}

fn an_ignored_fault_ends_the_process() {
    dies_of(SIGSEGV, || {
        dispose(SIGSEGV, SIG_IGN);
        poke(0x10, 1);
    });
}

fn a_fault_in_the_handler() {
    extern "C" fn faults(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        poke(0x20, 1);
    }
    dies_of(SIGSEGV, || {
        handle(SIGSEGV, faults, 0);
        poke(0x10, 1);
    });
}

/// No room for the frame: the handler cannot run.
fn a_fault_without_stack() {
    dies_of(SIGSEGV, || {
        watch();
        // SAFETY: ends this child.
        unsafe { asm!("mov rsp, 0x1000", "push rax", options(noreturn)) };
    });
    dies_of(SIGSEGV, || {
        handle(SIGUSR1, record_and_skip, 0);
        let mine = pid();
        // SAFETY: as above: kill(self, SIGUSR1) with a stack pointer into nothing.
        unsafe {
            asm!("mov rsp, 0x1000", "mov eax, 62", "mov esi, 10", "syscall", "2: jmp 2b", in("edi") mine, options(noreturn))
        };
    });
}

fn a_fault_in_a_call_is_an_error_not_a_signal() {
    watch();
    fails!(EFAULT, SYS_uname, 0x10);
    fails!(EFAULT, SYS_read, open(c"/dev/zero", O_RDONLY), 0x10, 5);
    assert_eq!(RECORD.count(), 0);
}

/// A handler that repairs nothing comes again and again; nothing piles up.
fn the_same_fault_again() {
    extern "C" fn counts(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        if RECORD.count.fetch_add(1, Ordering::SeqCst) == 2000 {
            test_programs::child::exit(0);
        }
    }
    passes(|| {
        handle(SIGSEGV, counts, 0);
        poke(0x10, 1);
        panic!("the write went through");
    });
}

fn sent_segv_is_just_a_signal() {
    test_programs::signal::catch(SIGSEGV);
    ok!(SYS_kill, pid(), SIGSEGV);
    assert_eq!(
        (RECORD.count(), RECORD.code.load(Ordering::SeqCst)),
        (1, SI_USER)
    );
}

fn stack_grows_by_itself() {
    fn deeper(start: usize) -> usize {
        let frame = std::hint::black_box([1usize; 512]);
        // Six megabytes of the eight that a stack may have.
        if start - (frame.as_ptr() as usize) > 6 << 20 {
            0
        } else {
            deeper(start) + frame[7]
        }
    }
    let here = 0u8;
    assert!(deeper(&raw const here as usize) > 100);
}

fn overflow_is_caught_below_the_stack() {
    let child = spawn(|| {
        fn deeper(n: u64) -> u64 {
            let frame = std::hint::black_box([n; 512]);
            if std::hint::black_box(n) == u64::MAX {
                0
            } else {
                deeper(n + 1) + frame[5]
            }
        }
        deeper(0);
    });
    assert_eq!(child.wait(), test_programs::child::Status::Killed(SIGSEGV));
    assert!(sys!(SYS_getpid).is_ok());
}

fn unaligned_access_is_fine() {
    let page = Mapping::private(2 * PAGE);
    for offset in [1, 3, PAGE - 1, PAGE - 5] {
        let place = page.at(offset).cast::<u64>();
        // SAFETY: within the mapping.
        unsafe {
            place.write_unaligned(0x0102_0304_0506_0708);
            assert_eq!(place.read_unaligned(), 0x0102_0304_0506_0708);
        }
    }
}
