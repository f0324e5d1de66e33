//! Ways back into user mode that lie: signal frames made by hand or spoilt, and non-canonical places to return to.

use super::ending::{all_is_well, of, within};
use libc::{
    REG_CSGSFS, REG_EFL, REG_RIP, REG_RSP, SIGBUS, SIGILL, SIGSEGV, SIGTRAP, SIGUSR1, c_void,
    siginfo_t, ucontext_t,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use test_programs::child::{Status, fork};
use test_programs::memory::Mapping;
use test_programs::pattern::Numbers;
use test_programs::signal::{handle, raise};
use test_programs::sys;

test_programs::tests!(
    a_frame_of_nothing,
    a_frame_of_garbage,
    a_frame_in_kernel_memory,
    return_to_a_strange_place,
    return_to_a_strange_stack,
    return_with_strange_segments,
    return_with_strange_flags,
    a_float_area_that_is_none,
    a_float_area_of_garbage,
    random_changes_of_the_context,
    return_at_the_end_of_user_memory,
    a_handler_at_a_strange_place,
    a_restorer_at_a_strange_place,
    vector_state_size_lies,
);

static CHANGE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn change(_: i32, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the test's function, and the kernel's context.
    unsafe {
        let change: fn(&mut ucontext_t) = std::mem::transmute(CHANGE.load(Ordering::SeqCst));
        change(&mut *context.cast());
    }
}

/// Returns from a handler that did this to its context.
fn returning(how: fn(&mut ucontext_t)) -> Status {
    of(|| {
        CHANGE.store(how as usize, Ordering::SeqCst);
        handle(SIGUSR1, change, 0);
        raise(SIGUSR1);
    })
}

/// Calls rt_sigreturn with the stack pointer here.
fn sigreturn(stack: usize) -> ! {
    // SAFETY: the child ends by it or goes where the frame says.
    unsafe {
        std::arch::asm!("mov rsp, {}", "mov eax, 15", "syscall", "ud2", in(reg) stack, options(noreturn))
    }
}

fn a_frame_of_nothing() {
    let status = of(|| {
        let page = Mapping::private(65536);
        sigreturn(page.address + 32768);
    });
    assert!(matches!(status, Status::Killed(SIGSEGV)), "{status:?}");
}

fn a_frame_of_garbage() {
    let mut numbers = Numbers::new(3);
    for _ in 0..200 {
        let seed = numbers.word();
        let child = fork(|| {
            let page = Mapping::private(65536);
            let mut inner = Numbers::new(seed);
            for at in (0..65536).step_by(8) {
                // SAFETY: within the mapping.
                unsafe { page.at(at).cast::<u64>().write(inner.word()) };
            }
            sigreturn(page.address + 32768);
        });
        assert!(!matches!(within(child, 500), Status::Exited(_)));
    }
    all_is_well();
}

fn a_frame_in_kernel_memory() {
    for stack in [
        0usize,
        8,
        0x1000,
        0x7fff_ffff_f000,
        0x7fff_ffff_e000,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        usize::MAX,
        usize::MAX - 7,
    ] {
        assert_eq!(
            of(|| sigreturn(stack)),
            Status::Killed(SIGSEGV),
            "{stack:#x}"
        );
    }
}

fn return_to_a_strange_place() {
    let places: [fn(&mut ucontext_t); 6] = [
        |c| c.uc_mcontext.gregs[REG_RIP as usize] = 0x7fff_ffff_ffff,
        |c| c.uc_mcontext.gregs[REG_RIP as usize] = 0x8000_0000_0000,
        |c| c.uc_mcontext.gregs[REG_RIP as usize] = 0x1234_5678_9abc_def0,
        |c| c.uc_mcontext.gregs[REG_RIP as usize] = i64::MIN,
        |c| c.uc_mcontext.gregs[REG_RIP as usize] = 0xffff_ffff_8000_0000u64 as i64,
        |c| c.uc_mcontext.gregs[REG_RIP as usize] = -1,
    ];
    for place in places {
        assert_eq!(returning(place), Status::Killed(SIGSEGV));
    }
    all_is_well();
}

fn return_to_a_strange_stack() {
    let places: [fn(&mut ucontext_t); 5] = [
        |c| c.uc_mcontext.gregs[REG_RSP as usize] = 0,
        |c| c.uc_mcontext.gregs[REG_RSP as usize] = 0x8000_0000_0000,
        |c| c.uc_mcontext.gregs[REG_RSP as usize] = i64::MIN,
        |c| c.uc_mcontext.gregs[REG_RSP as usize] = 0xffff_ffff_8000_0000u64 as i64,
        |c| c.uc_mcontext.gregs[REG_RSP as usize] = 1,
    ];
    for place in places {
        let status = returning(place);
        assert!(
            matches!(status, Status::Killed(SIGSEGV | SIGBUS)),
            "{status:?}"
        );
    }
    all_is_well();
}

fn return_with_strange_segments() {
    let selectors: [fn(&mut ucontext_t); 7] = [
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] = 0,
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] = -1,
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] = 0x10,
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] = 0x08,
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] = 0x0018_0000_0000_0010,
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] = 0x0033_0000_0000_002b,
        |c| c.uc_mcontext.gregs[REG_CSGSFS as usize] ^= 0xffff << 48,
    ];
    for selector in selectors {
        // A kernel may ignore what it did not write itself.
        let status = returning(selector);
        assert!(
            matches!(
                status,
                Status::Exited(0) | Status::Killed(SIGSEGV | SIGBUS | SIGILL)
            ),
            "{status:?}"
        );
    }
    all_is_well();
}

fn return_with_strange_flags() {
    let flags: [fn(&mut ucontext_t); 5] = [
        |c| c.uc_mcontext.gregs[REG_EFL as usize] = 0,
        |c| c.uc_mcontext.gregs[REG_EFL as usize] = -1,
        |c| c.uc_mcontext.gregs[REG_EFL as usize] |= 0x3000,
        |c| c.uc_mcontext.gregs[REG_EFL as usize] |= 0x2_0000,
        |c| c.uc_mcontext.gregs[REG_EFL as usize] |= 0x18_4000,
    ];
    for flag in flags {
        let status = returning(flag);
        assert!(
            matches!(
                status,
                Status::Exited(0) | Status::Killed(SIGTRAP | SIGBUS | SIGSEGV)
            ),
            "{status:?}"
        );
    }
    // Interrupts must be on afterwards whatever the frame said: a busy loop can still be ended.
    let child = fork(|| {
        CHANGE.store(
            (|c: &mut ucontext_t| c.uc_mcontext.gregs[REG_EFL as usize] &= !0x200)
                as fn(&mut ucontext_t) as usize,
            Ordering::SeqCst,
        );
        handle(SIGUSR1, change, 0);
        raise(SIGUSR1);
        loop {
            std::hint::spin_loop();
        }
    });
    assert_eq!(within(child, 100), Status::Killed(libc::SIGKILL));
    all_is_well();
}

fn a_float_area_that_is_none() {
    let areas: [fn(&mut ucontext_t); 6] = [
        |c| c.uc_mcontext.fpregs = std::ptr::null_mut(),
        |c| c.uc_mcontext.fpregs = 0x10 as *mut _,
        |c| c.uc_mcontext.fpregs = 0x8000_0000_0000usize as *mut _,
        |c| c.uc_mcontext.fpregs = 0xffff_ffff_8000_0000usize as *mut _,
        |c| c.uc_mcontext.fpregs = (c.uc_mcontext.fpregs as usize + 1) as *mut _,
        |c| c.uc_mcontext.fpregs = usize::MAX as *mut _,
    ];
    for area in areas {
        let status = returning(area);
        assert!(
            matches!(status, Status::Exited(0) | Status::Killed(SIGSEGV | SIGBUS)),
            "{status:?}"
        );
    }
    all_is_well();
}

/// Reserved bits everywhere: whatever the processor would fault on must be found before.
fn a_float_area_of_garbage() {
    let mut numbers = Numbers::new(8);
    for _ in 0..200 {
        static SEED: AtomicUsize = AtomicUsize::new(0);
        SEED.store(numbers.word() as usize, Ordering::SeqCst);
        let status = returning(|c| {
            let mut inner = Numbers::new(SEED.load(Ordering::SeqCst) as u64);
            let area = c.uc_mcontext.fpregs.cast::<u8>();
            // Some words of the 512 old bytes, and the header of the extended area behind them.
            for _ in 0..inner.below(40) + 1 {
                let at = inner.below(640) as usize;
                // SAFETY: the kernel's area is at least the old part and the header.
                unsafe { area.add(at).write(inner.word() as u8) };
            }
        });
        assert!(
            matches!(status, Status::Exited(0) | Status::Killed(_)),
            "{status:?}"
        );
    }
    all_is_well();
}

fn random_changes_of_the_context() {
    let mut numbers = Numbers::new(9);
    for _ in 0..300 {
        static SEED: AtomicUsize = AtomicUsize::new(0);
        SEED.store(numbers.word() as usize, Ordering::SeqCst);
        let child = fork(|| {
            // What runs by accident afterwards, runs as nobody and with nothing open.
            let _ = sys!(SYS_close_range, 0, u32::MAX, 0);
            let _ = sys!(SYS_setresuid, 65534, 65534, 65534);
            let how: fn(&mut ucontext_t) = |c| {
                let mut inner = Numbers::new(SEED.load(Ordering::SeqCst) as u64);
                for _ in 0..inner.below(4) + 1 {
                    let which = inner.below(23) as usize;
                    let value = inner.word();
                    let shift = inner.below(64);
                    c.uc_mcontext.gregs[which] = (value >> shift) as i64;
                }
            };
            CHANGE.store(how as usize, Ordering::SeqCst);
            handle(SIGUSR1, change, 0);
            raise(SIGUSR1);
            0
        });
        within(child, 300);
    }
    all_is_well();
}

/// A call in the last bytes of user memory would return to a non-canonical address.
fn return_at_the_end_of_user_memory() {
    const LAST: usize = 0x7fff_ffff_e000;
    let status = of(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let page = sys!(
            SYS_mmap,
            LAST,
            4096,
            libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            flags,
            -1,
            0
        );
        if page != Ok(LAST) {
            return;
        }
        test_programs::memory::poke(LAST + 4094, 0x0f);
        test_programs::memory::poke(LAST + 4095, 0x05);
        // SAFETY: ends the child behind the page.
        unsafe { std::arch::asm!("mov eax, 39", "jmp {}", in(reg) LAST + 4094, options(noreturn)) };
    });
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGSEGV | SIGBUS)),
        "{status:?}"
    );
    // The very last page is not given out, for just that reason.
    let beyond = sys!(
        SYS_mmap,
        LAST + 4096,
        4096,
        3,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
        -1,
        0
    );
    let _ = beyond;
    all_is_well();
}

/// The kernel's own form of an action: handler, flags, restorer, mask.
fn with_action(action: [usize; 4]) -> Status {
    of(|| {
        let _ = sys!(SYS_rt_sigaction, SIGUSR1, &action, 0, 8);
        raise(SIGUSR1);
    })
}

const RESTORER: usize = 0x0400_0000;

fn a_handler_at_a_strange_place() {
    for place in [
        2usize,
        0x1000,
        0x7fff_ffff_ffff,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        usize::MAX,
    ] {
        assert_eq!(
            with_action([place, RESTORER, 0x1000, 0]),
            Status::Killed(SIGSEGV),
            "{place:#x}"
        );
    }
    all_is_well();
}

fn a_restorer_at_a_strange_place() {
    extern "C" fn nothing(_: i32) {}
    for place in [
        0usize,
        2,
        0x8000_0000_0000,
        0xffff_ffff_8000_0000,
        usize::MAX,
    ] {
        let status = with_action([nothing as *const () as usize, RESTORER, place, 0]);
        assert_eq!(status, Status::Killed(SIGSEGV), "{place:#x}");
    }
    // Without a restorer there is no way back at all.
    let status = with_action([nothing as *const () as usize, 0, 0, 0]);
    assert_eq!(status, Status::Killed(SIGSEGV));
    all_is_well();
}

/// The reserved end of the old area says how long the whole is; a lie must not make the kernel read further.
fn vector_state_size_lies() {
    let lies: [fn(&mut ucontext_t); 4] = [
        |c| lie(c, 0),
        |c| lie(c, u32::MAX),
        |c| lie(c, 576),
        |c| lie(c, 4096),
    ];
    fn lie(context: &mut ucontext_t, size: u32) {
        // SAFETY: bytes 464 to 512 of the area are software's: magic, extended size, features, size.
        unsafe {
            let reserved = context
                .uc_mcontext
                .fpregs
                .cast::<u8>()
                .add(464)
                .cast::<u32>();
            reserved.add(1).write(size);
            reserved.add(4).write(size);
        }
    }
    for how in lies {
        let status = returning(how);
        assert!(
            matches!(status, Status::Exited(0) | Status::Killed(SIGSEGV)),
            "{status:?}"
        );
    }
    all_is_well();
}
