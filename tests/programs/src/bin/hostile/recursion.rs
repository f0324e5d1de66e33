//! Depth without end: of calls, signals, processes, directories.

use super::ending::{all_is_well, of};
use libc::{O_RDONLY, SIGKILL, SIGSEGV, SIGUSR1, c_void, siginfo_t};
use std::hint::black_box;
use test_programs::child::{Status, fork};
use test_programs::memory::Mapping;
use test_programs::raw::short::*;
use test_programs::signal::{handle, raise};
use test_programs::{ok, sys};

test_programs::tests!(
    calls_until_the_stack_is_full,
    calls_until_a_threads_stack_is_full,
    signals_until_the_stack_is_full,
    signals_until_the_alternate_stack_is_full,
    a_fault_handler_that_faults,
    faults_of_faults,
    processes_within_processes,
    directories_within_directories,
    links_to_links,
    a_stack_without_a_limit,
);

fn deeper(n: u64) -> u64 {
    let frame = black_box([n; 64]);
    if black_box(n) == u64::MAX {
        0
    } else {
        deeper(n + 1) + frame[9]
    }
}

fn calls_until_the_stack_is_full() {
    for _ in 0..5 {
        let status = of(|| {
            deeper(0);
        });
        assert_eq!(status, Status::Killed(SIGSEGV));
    }
    all_is_well();
}

fn calls_until_a_threads_stack_is_full() {
    let status = of(|| {
        let _ = std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(|| deeper(0))
            .unwrap()
            .join();
    });
    assert!(matches!(status, Status::Killed(_)), "{status:?}");
}

extern "C" fn again(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
    raise(signal);
}

fn signals_until_the_stack_is_full() {
    let status = of(|| {
        handle(SIGUSR1, again, libc::SA_NODEFER);
        raise(SIGUSR1);
    });
    assert_eq!(status, Status::Killed(SIGSEGV));
    all_is_well();
}

fn signals_until_the_alternate_stack_is_full() {
    let status = of(|| {
        let room = Mapping::private(64 * 1024);
        room.protect(0, 4096, libc::PROT_NONE);
        let stack = libc::stack_t {
            ss_sp: room.at(4096).cast(),
            ss_flags: 0,
            ss_size: 60 * 1024,
        };
        ok!(SYS_sigaltstack, &stack, 0);
        handle(SIGUSR1, again, libc::SA_NODEFER | libc::SA_ONSTACK);
        raise(SIGUSR1);
    });
    // A pointer that has just left the stack looks like another stack: then it begins at the top again, for ever.
    assert!(
        matches!(status, Status::Killed(SIGSEGV | SIGKILL)),
        "{status:?}"
    );
    all_is_well();
}

extern "C" fn faults(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    test_programs::memory::poke(0x10, 1);
}

fn a_fault_handler_that_faults() {
    let status = of(|| {
        handle(SIGSEGV, faults, libc::SA_NODEFER);
        faults(0, std::ptr::null_mut(), std::ptr::null_mut());
    });
    assert_eq!(status, Status::Killed(SIGSEGV));
}

/// Every fault of every kind is handled by making another.
fn faults_of_faults() {
    extern "C" fn other(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: more faults.
        unsafe {
            match signal {
                libc::SIGSEGV => std::arch::asm!("ud2"),
                libc::SIGILL => std::arch::asm!("int3"),
                libc::SIGTRAP => {
                    std::arch::asm!("xor ecx, ecx", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
                }
                _ => test_programs::memory::poke(0x10, 1),
            }
        }
    }
    let status = of(|| {
        for signal in [libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP, libc::SIGFPE] {
            handle(signal, other, libc::SA_NODEFER);
        }
        test_programs::memory::poke(0x10, 1);
    });
    assert_eq!(status, Status::Killed(SIGSEGV));
    all_is_well();
}

fn processes_within_processes() {
    fn life(left: u32) -> i32 {
        if left == 0 {
            return 7;
        }
        match fork(|| life(left - 1)).wait() {
            Status::Exited(code) => code,
            _ => 1,
        }
    }
    assert_eq!(fork(|| life(200)).wait(), Status::Exited(7));
    all_is_well();
}

/// Deeper than any path can say; then all the way up again.
fn directories_within_directories() {
    const DEPTH: usize = 3000;
    for _ in 0..DEPTH {
        ok!(SYS_mkdir, c"d", 0o755);
        ok!(SYS_chdir, c"d");
    }
    close(create(c"bottom"));
    let mut path = vec![0u8; 4096];
    assert!(sys!(SYS_getcwd, path.as_mut_ptr(), 4096).is_err());
    close(open(c"../../../d/d/d/bottom", O_RDONLY));
    ok!(SYS_unlink, c"bottom");
    for _ in 0..DEPTH {
        ok!(SYS_chdir, c"..");
        ok!(SYS_rmdir, c"d");
    }
    all_is_well();
}

fn links_to_links() {
    for n in 0..200 {
        let (name, target) = (format!("l{n}\0"), format!("l{}/l{}\0", n + 1, n + 2));
        ok!(SYS_symlink, target.as_ptr(), name.as_ptr());
    }
    ok!(SYS_symlink, c"x/..", c"x");
    for path in [c"l0", c"x", c"x/x/x", c"l5/l6/l7/../l0"] {
        assert!(sys!(SYS_open, path, O_RDONLY, 0).is_err());
    }
    all_is_well();
}

fn a_stack_without_a_limit() {
    let status = of(|| {
        let limit = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        let _ = sys!(SYS_prlimit64, 0, libc::RLIMIT_STACK, &limit, 0);
        // Still bounded, so that a big machine shared with others is not filled.
        let bound = libc::rlimit {
            rlim_cur: 512 << 20,
            rlim_max: 512 << 20,
        };
        let _ = sys!(SYS_prlimit64, 0, libc::RLIMIT_AS, &bound, 0);
        deeper(0);
    });
    assert!(matches!(status, Status::Killed(_)), "{status:?}");
    all_is_well();
}
