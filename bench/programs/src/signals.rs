//! Signals to oneself.

use crate::measure::{Bench, ignore};
use libc::{SIG_BLOCK, SIG_UNBLOCK, SIGUSR1, c_void, siginfo_t};
use test_programs::{signal, sys};

extern "C" fn nothing(_: i32, _: *mut siginfo_t, _: *mut c_void) {}

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "signal install",
        run: |plan, name| {
            plan.each(name, |n| {
                (0..n).for_each(|_| signal::handle(SIGUSR1, nothing, 0))
            })
        },
    },
    Bench {
        name: "signal delivery",
        run: |plan, name| {
            signal::handle(SIGUSR1, nothing, 0);
            let pid = sys!(SYS_getpid).unwrap_or(0);
            plan.each(name, |n| {
                (0..n).for_each(|_| ignore(sys!(SYS_kill, pid, SIGUSR1)))
            });
        },
    },
    Bench {
        name: "sigprocmask",
        run: |plan, name| {
            let (set, mut old) = (signal::bit(SIGUSR1), 0u64);
            plan.each(name, |n| {
                for i in 0..n {
                    let how = if i % 2 == 0 { SIG_BLOCK } else { SIG_UNBLOCK };
                    let _ = sys!(SYS_rt_sigprocmask, how, &set, &mut old, 8);
                }
            });
        },
    },
    Bench {
        name: "fault to handler",
        run: |plan, name| {
            extern "C" fn over(_: i32, _: *mut siginfo_t, context: *mut c_void) {
                // SAFETY: the kernel's context; the instruction of the loop below is two bytes long.
                unsafe {
                    (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs
                        [libc::REG_RIP as usize] += 2
                };
            }
            signal::handle(libc::SIGILL, over, 0);
            plan.each(name, |n| {
                for _ in 0..n {
                    // SAFETY: the handler steps over it.
                    unsafe { std::arch::asm!("ud2") };
                }
            });
        },
    },
];
