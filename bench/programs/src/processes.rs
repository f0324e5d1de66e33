//! Processes: fork, exec, exit, wait. The program to start is this one, which then ends at once, and a tiny one of a few
//! instructions, where nearly all the work is the kernel's.

use crate::measure::{Bench, Plan, ignore};
use libc::{AT_EXECFN, AT_FDCWD, O_CREAT, O_RDWR, O_TRUNC};
use std::ffi::CStr;
use test_programs::child::{Strings, exit};
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "fork+exit+wait",
        run: |plan, name| plan.each(name, |n| (0..n).for_each(|_| with_child(|| exit(0)))),
    },
    Bench {
        name: "fork+exit+wait with 32 MiB",
        run: |plan, name| {
            let big = vec![1u8; 32 << 20];
            plan.each(name, |n| (0..n).for_each(|_| with_child(|| exit(0))));
            drop(std::hint::black_box(big));
        },
    },
    Bench {
        name: "fork+exec+wait",
        run: |plan, name| {
            let (argv, none) = (
                Strings::new(&["bench", EXIT_NOW]),
                Strings::new::<&str>(&[]),
            );
            plan.each(name, |n| {
                (0..n).for_each(|_| with_child(|| exec(own_path(), &argv, &none)))
            });
        },
    },
    Bench {
        name: "fork+exec+wait, tiny program",
        run: |plan, name| {
            let (argv, none) = (Strings::new(&["tiny"]), Strings::new::<&str>(&[]));
            let path = tiny();
            plan.each(name, |n| {
                (0..n).for_each(|_| with_child(|| exec(path, &argv, &none)))
            });
        },
    },
    Bench {
        name: "vfork+exec+wait, tiny program",
        run: vfork,
    },
    Bench {
        name: "exec",
        run: chain,
    },
];

const EXIT_NOW: &str = "--exit-now";
const EXEC_AGAIN: &str = "--exec-again";

/// What this program does when a benchmark starts it again; `None` for the first start.
pub fn second_life(arguments: &[&str]) -> Option<i32> {
    match arguments {
        [EXIT_NOW] => exit(0),
        [EXEC_AGAIN, left] => {
            let left: u64 = left.parse().unwrap_or(0);
            if left > 0 {
                let argv = Strings::new(&["bench", EXEC_AGAIN, &(left - 1).to_string()]);
                exec(own_path(), &argv, &Strings::new::<&str>(&[]));
            }
            Some(0)
        }
        _ => None,
    }
}

/// The path this program was started by.
fn own_path() -> &'static CStr {
    // SAFETY: the kernel puts the string there for the life of the program.
    unsafe { CStr::from_ptr(libc::getauxval(AT_EXECFN) as *const _) }
}

fn exec(path: &CStr, argv: &Strings, envp: &Strings) {
    let _ = sys!(SYS_execve, path, argv.as_ptr(), envp.as_ptr());
    exit(126);
}

fn with_child(life: impl FnOnce()) {
    match sys!(SYS_fork) {
        Ok(0) => {
            life();
            exit(0);
        }
        Ok(pid) => ignore(sys!(SYS_wait4, pid, 0, 0, 0)),
        Err(_) => {}
    }
}

/// A program of 132 bytes that exits.
fn tiny() -> &'static CStr {
    let base = 0x40_0000u64;
    // xor edi, edi; mov eax, 231; syscall
    let code = b"\x31\xff\xb8\xe7\0\0\0\x0f\x05\x90\x90\x90";
    let mut elf = Vec::with_capacity(132);
    elf.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2u16, 62] {
        elf.extend_from_slice(&half.to_le_bytes());
    }
    elf.extend_from_slice(&1u32.to_le_bytes());
    for word in [base + 120, 64, 0] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    elf.extend_from_slice(&0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        elf.extend_from_slice(&half.to_le_bytes());
    }
    // One segment: load, read and execute, the whole file.
    for word in [1u32, 5] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    for word in [0, base, base, 132, 132, 0x1000] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    elf.extend_from_slice(code);
    let path = c"/tmp/bench-tiny";
    let fd = sys!(
        SYS_openat,
        AT_FDCWD,
        path,
        O_RDWR | O_CREAT | O_TRUNC,
        0o755
    )
    .unwrap_or(0);
    let _ = sys!(SYS_write, fd, elf.as_ptr(), elf.len());
    let _ = sys!(SYS_close, fd);
    path
}

fn vfork(plan: &Plan, name: &str) {
    let (argv, none) = (Strings::new(&["tiny"]), Strings::new::<&str>(&[]));
    let path = tiny();
    plan.each(name, |n| {
        for _ in 0..n {
            let mut result: usize;
            // SAFETY: vfork, and in the child exec or exit at once: nothing of the stack is touched in between.
            unsafe {
                std::arch::asm!(
                    "mov eax, 58", "syscall", "test rax, rax", "jnz 2f",
                    "mov eax, 59", "mov rdi, {path}", "mov rsi, {argv}", "mov rdx, {envp}", "syscall", "mov eax, 231", "mov edi, 126", "syscall", "2:",
                    path = in(reg) path.as_ptr(), argv = in(reg) argv.as_ptr(), envp = in(reg) none.as_ptr(),
                    out("rax") result, out("rcx") _, out("r11") _, out("rdi") _, out("rsi") _, out("rdx") _);
            }
            let _ = sys!(SYS_wait4, result, 0, 0, 0);
        }
    });
}

/// One process that becomes this program again and again.
fn chain(plan: &Plan, name: &str) {
    plan.each(name, |n| {
        let argv = Strings::new(&["bench", EXEC_AGAIN, &n.to_string()]);
        with_child(|| exec(own_path(), &argv, &Strings::new::<&str>(&[])));
    });
}
