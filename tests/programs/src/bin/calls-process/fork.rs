//! fork(2), vfork, clone without sharing, _exit.

use libc::{
    __WCLONE, CLONE_CHILD_SETTID, CLONE_FS, CLONE_NEWNS, CLONE_PARENT, CLONE_PARENT_SETTID,
    CLONE_SIGHAND, CLONE_THREAD, ENOSYS, PR_SET_CHILD_SUBREAPER, SIGCHLD, SIGUSR1, posix_spawn,
};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use test_programs::child::{self, Child, Gate, Status, fork, passes, spawn};
use test_programs::memory::{Mapping, PAGE, Shared};
use test_programs::raw::short::*;
use test_programs::{fails, ok, sys};

test_programs::tests!(
    child_has_its_own_number,
    parent_number,
    exit_status_is_the_low_byte,
    memory_is_copied,
    copies_go_both_ways,
    many_pages_are_copied,
    shared_memory_is_shared,
    stack_is_copied,
    registers_survive,
    vector_registers_survive,
    grandchildren,
    chain_of_forks,
    hundred_children,
    fork_while_a_child_of_a_child,
    raw_fork_and_vfork_numbers,
    vfork_shares_memory_and_suspends,
    vfork_parent_waits_for_exec,
    clone_with_another_exit_signal,
    a_siblings_exit_signal_is_not_its_makers_choice,
    an_orphan_has_the_usual_exit_signal,
    clone_flag_errors,
    clone_sets_numbers,
    orphans_get_a_new_parent,
    children_survive_their_parent,
    exit_closes_descriptors,
    no_pending_signals_in_the_child,
    clone3_or_enosys,
);

fn child_has_its_own_number() {
    let (mine, number) = (pid(), Shared::<AtomicI32>::new());
    let child = spawn(|| {
        assert_ne!(pid(), mine);
        assert_eq!(ok!(SYS_gettid) as i32, pid());
        number.store(pid(), Ordering::SeqCst);
    });
    let pid = child.pid;
    child.passes();
    assert_eq!(number.load(Ordering::SeqCst), pid);
}

fn parent_number() {
    let mine = pid();
    passes(|| {
        assert_eq!(ok!(SYS_getppid) as i32, mine);
        let middle = pid();
        passes(|| assert_eq!(ok!(SYS_getppid) as i32, middle));
    });
}

fn exit_status_is_the_low_byte() {
    for (code, status) in [
        (0, 0),
        (1, 1),
        (255, 255),
        (256, 0),
        (257, 1),
        (-1, 255),
        (0x1234, 0x34),
    ] {
        assert_eq!(fork(|| code).wait(), Status::Exited(status));
        assert_eq!(
            fork(|| {
                let _ = sys!(SYS_exit, code);
                9
            })
            .wait(),
            Status::Exited(status)
        );
    }
}

fn memory_is_copied() {
    let page = Mapping::private(PAGE);
    page.set(5, 1);
    passes(|| {
        assert_eq!(page.get(5), 1);
        page.set(5, 2);
    });
    assert_eq!(page.get(5), 1);
}

fn copies_go_both_ways() {
    let page = Mapping::private(PAGE);
    page.set(0, 1);
    let (written, seen) = (Gate::new(), Gate::new());
    let child = spawn(|| {
        written.wait();
        assert_eq!(page.get(0), 1);
        page.set(1, 7);
        seen.open();
    });
    page.set(0, 2);
    written.open();
    seen.wait();
    assert_eq!((page.get(0), page.get(1)), (2, 0));
    child.passes();
}

fn many_pages_are_copied() {
    const PAGES: usize = 1000;
    let pages = Mapping::private(PAGES * PAGE);
    (0..PAGES).for_each(|p| pages.set(p * PAGE, p as u8));
    let children: Vec<Child> = (0..4u8)
        .map(|id| {
            let pages = &pages;
            spawn(move || {
                (0..PAGES).for_each(|p| assert_eq!(pages.get(p * PAGE), p as u8));
                (0..PAGES).step_by(2).for_each(|p| pages.set(p * PAGE, id));
                (0..PAGES).for_each(|p| {
                    assert_eq!(pages.get(p * PAGE), if p % 2 == 0 { id } else { p as u8 })
                });
            })
        })
        .collect();
    children.into_iter().for_each(Child::passes);
    (0..PAGES).for_each(|p| assert_eq!(pages.get(p * PAGE), p as u8));
}

fn shared_memory_is_shared() {
    let value = Shared::<AtomicU64>::new();
    let children: Vec<Child> = (0..8)
        .map(|_| {
            spawn(|| {
                for _ in 0..1000 {
                    value.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    children.into_iter().for_each(Child::passes);
    assert_eq!(value.load(Ordering::SeqCst), 8000);
}

fn stack_is_copied() {
    let mut local = [1u8; 10_000];
    passes(|| {
        local.fill(2);
        assert!(std::hint::black_box(&local).iter().all(|b| *b == 2));
    });
    assert!(std::hint::black_box(&local).iter().all(|b| *b == 1));
}

/// The callee-saved registers, flags and stack pointer are the same on both sides of the call.
fn registers_survive() {
    let (mut result, mut sum): (usize, usize);
    // SAFETY: a plain fork; both sides go on behind it. rbx and rbp are kept by hand.
    unsafe {
        std::arch::asm!(
            "push rbx", "push rbp", "mov rbx, 0x1111", "mov rbp, rsp", "mov r12, 0x2222", "mov r13, 0x3333", "mov r14, 0x4444",
            "mov r15, 0x5555", "mov r8, 0x6666", "mov r9, 0x7777", "mov r10, 0x8888", "mov rdi, 0x9999", "mov rsi, 0xaaaa", "mov rdx, 0xbbbb",
            "mov rax, 57", "syscall",
            "sub rbp, rsp", "lea r11, [rbx + rbp]", "add r11, r12", "add r11, r13", "add r11, r14", "add r11, r15",
            "add r11, r8", "add r11, r9", "add r11, r10", "add r11, rdi", "add r11, rsi", "add r11, rdx", "pop rbp", "pop rbx",
            out("rax") result, out("r11") sum, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _,
            out("r8") _, out("r9") _, out("r10") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _);
    }
    let good = sum
        == [
            0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777, 0x8888, 0x9999, 0xaaaa, 0xbbbb,
        ]
        .iter()
        .sum();
    if result == 0 {
        child::exit(if good { 0 } else { 1 });
    }
    assert!(good, "in the parent");
    Child { pid: result as i32 }.passes();
}

fn vector_registers_survive() {
    let (mut result, mut low, mut high): (usize, u64, u64);
    // SAFETY: a plain fork between loading and reading xmm registers.
    unsafe {
        std::arch::asm!(
            "movq xmm0, {a}", "movq xmm15, {b}", "mov eax, 57", "syscall", "movq {a}, xmm0", "movq {b}, xmm15",
            a = inout(reg) 0x0123_4567_89ab_cdefu64 => low, b = inout(reg) 0xfedc_ba98_7654_3210u64 => high,
            out("rax") result, out("rcx") _, out("r11") _, out("xmm0") _, out("xmm15") _);
    }
    let good = low == 0x0123_4567_89ab_cdef && high == 0xfedc_ba98_7654_3210;
    if result == 0 {
        child::exit(if good { 0 } else { 1 });
    }
    assert!(good, "in the parent");
    Child { pid: result as i32 }.passes();
}

fn grandchildren() {
    let status = fork(
        || match fork(|| fork(|| 5).wait_with(0).code() + 1).wait() {
            Status::Exited(code) => code + 1,
            _ => 99,
        },
    )
    .wait();
    assert_eq!(status, Status::Exited(7));
}

trait Code {
    fn code(self) -> i32;
}
impl Code for Status {
    fn code(self) -> i32 {
        match self {
            Status::Exited(code) => code,
            other => panic!("{other:?}"),
        }
    }
}

fn chain_of_forks() {
    fn deeper(left: i32) -> i32 {
        if left == 0 {
            1
        } else {
            fork(|| deeper(left - 1)).wait().code() + 1
        }
    }
    assert_eq!(deeper(40), 41);
}

fn hundred_children() {
    let gate = Gate::new();
    let children: Vec<Child> = (0..100)
        .map(|n| {
            fork({
                let gate = &gate;
                move || {
                    gate.wait();
                    n
                }
            })
        })
        .collect();
    let mut numbers: Vec<i32> = children.iter().map(|c| c.pid).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 100);
    gate.open();
    for (n, child) in children.into_iter().enumerate() {
        assert_eq!(child.wait(), Status::Exited(n as i32));
    }
}

fn fork_while_a_child_of_a_child() {
    passes(|| {
        let page = Mapping::private(PAGE);
        page.set(0, 1);
        passes(|| {
            page.set(0, 2);
            passes(|| {
                assert_eq!(page.get(0), 2);
                page.set(0, 3);
            });
            assert_eq!(page.get(0), 2);
        });
        assert_eq!(page.get(0), 1);
    });
}

fn raw_fork_and_vfork_numbers() {
    // The child of the raw call runs on a copy of this stack and leaves at once.
    let pid = ok!(SYS_fork);
    if pid == 0 {
        child::exit(3);
    }
    assert_eq!(Child { pid: pid as i32 }.wait(), Status::Exited(3));
}

/// `vfork` and then straight to `exit`, all in one piece of assembly: the child borrows this stack.
fn vfork_exit(store: &AtomicI32, status: i32) -> i32 {
    let mut result: usize;
    // SAFETY: between the two calls the child touches only registers and the atomic.
    unsafe {
        std::arch::asm!(
            "mov eax, 58", "syscall", "test rax, rax", "jnz 2f", "mov dword ptr [r12], 77", "mov eax, 231", "mov edi, r13d", "syscall", "ud2", "2:",
            in("r12") store.as_ptr(), in("r13d") status,
            out("rax") result, out("rcx") _, out("r11") _, out("rdi") _, out("rsi") _, out("rdx") _);
    }
    result as i32
}

fn vfork_shares_memory_and_suspends() {
    let value = AtomicI32::new(0);
    for status in [0, 9] {
        value.store(0, Ordering::SeqCst);
        let pid = vfork_exit(&value, status);
        assert_eq!(
            value.load(Ordering::SeqCst),
            77,
            "the parent went on first, or memory is not shared"
        );
        assert_eq!(Child { pid }.wait(), Status::Exited(status));
    }
}

fn vfork_parent_waits_for_exec() {
    for _ in 0..20 {
        // posix_spawn of the C library is vfork and exec.
        let path = child::own_path();
        let argv = child::Strings::new(&["tests", "--helper", "status", "12"]);
        let envp = child::Strings::new::<&str>(&[]);
        let mut pid = 0;
        // SAFETY: valid strings, null-terminated lists.
        let result = unsafe {
            posix_spawn(
                &mut pid,
                path.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                argv.as_ptr().cast(),
                envp.as_ptr().cast(),
            )
        };
        assert_eq!(result, 0);
        assert_eq!(Child { pid }.wait(), Status::Exited(12));
    }
}

/// Such a child tells its end by that signal, and only `__WALL` or `__WCLONE` waits for it.
fn clone_with_another_exit_signal() {
    test_programs::signal::catch(SIGUSR1);
    let pid = ok!(SYS_clone, SIGUSR1, 0, 0, 0, 0);
    if pid == 0 {
        child::exit(4);
    }
    child::until(|| test_programs::signal::RECORD.count() == 1);
    fails!(ECHILD, SYS_wait4, pid, 0, 0, 0);
    assert_eq!(
        Child { pid: pid as i32 }.wait_with(__WCLONE),
        Status::Exited(4)
    );
}

/// With `CLONE_PARENT` the new process is a sibling, and tells the parent its end as its maker will.
fn a_siblings_exit_signal_is_not_its_makers_choice() {
    test_programs::signal::catch(SIGUSR1);
    let sibling = Shared::<AtomicI32>::new();
    passes(|| {
        let pid = ok!(SYS_clone, CLONE_PARENT | SIGUSR1, 0, 0, 0, 0);
        if pid == 0 {
            child::exit(6);
        }
        sibling.store(pid as i32, Ordering::SeqCst);
    });
    let pid = sibling.load(Ordering::SeqCst);
    assert_eq!(Child { pid }.wait(), Status::Exited(6));
    assert_eq!(test_programs::signal::RECORD.count(), 0);
}

/// Whoever takes a child over hears of its end by `SIGCHLD`, whatever signal its maker chose.
fn an_orphan_has_the_usual_exit_signal() {
    test_programs::signal::catch(SIGUSR1);
    ok!(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    let gate = Gate::new();
    let orphan = Shared::<AtomicI32>::new();
    passes(|| {
        let pid = ok!(SYS_clone, SIGUSR1, 0, 0, 0, 0);
        if pid == 0 {
            gate.wait();
            child::exit(7);
        }
        orphan.store(pid as i32, Ordering::SeqCst);
    });
    gate.open();
    let pid = orphan.load(Ordering::SeqCst);
    assert_eq!(Child { pid }.wait(), Status::Exited(7));
    assert_eq!(test_programs::signal::RECORD.count(), 0);
}

fn clone_flag_errors() {
    fails!(EINVAL, SYS_clone, CLONE_THREAD, 0, 0, 0, 0);
    fails!(EINVAL, SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0);
    fails!(EINVAL, SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0);
    fails!(EINVAL, SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0);
}

fn clone_sets_numbers() {
    let parent = Shared::<AtomicI32>::new();
    let both = Shared::<AtomicI32>::new();
    let pid = ok!(
        SYS_clone,
        SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
        0,
        &*parent,
        &*both,
        0
    );
    if pid == 0 {
        let mine = sys!(SYS_getpid).unwrap_or(0) as i32;
        child::exit(if both.load(Ordering::SeqCst) == mine {
            0
        } else {
            1
        });
    }
    assert_eq!(parent.load(Ordering::SeqCst), pid as i32);
    Child { pid: pid as i32 }.passes();
}

fn orphans_get_a_new_parent() {
    let (gone, done) = (Gate::new(), Gate::new());
    let (reader, writer) = pipe();
    let middle = spawn(|| {
        let middle = pid();
        let _ = spawn(|| {
            gone.wait();
            child::until(|| ok!(SYS_getppid) as i32 != middle);
            write(writer, &(ok!(SYS_getppid) as i32).to_le_bytes());
            done.wait();
        });
    });
    let number = middle.pid;
    middle.passes();
    gone.open();
    let parent = i32::from_le_bytes(read(reader, 4).try_into().unwrap());
    // Process 1, or a nearer reaper where the starter is one.
    assert!(parent != number && parent > 0);
    fails!(ECHILD, SYS_wait4, -1, 0, 0, 0);
    done.open();
}

fn children_survive_their_parent() {
    let (reader, writer) = pipe();
    spawn(|| {
        let _ = spawn(|| {
            write(writer, b"after");
        });
    })
    .passes();
    close(writer);
    assert_eq!(read(reader, 9), b"after");
    assert_eq!(read(reader, 9), b"");
}

fn exit_closes_descriptors() {
    let (reader, writer) = pipe();
    passes(|| {
        write(writer, b"x");
    });
    close(writer);
    assert_eq!(read(reader, 9), b"x");
    assert_eq!(read(reader, 9), b"");
}

fn no_pending_signals_in_the_child() {
    use test_programs::signal;
    signal::block(SIGUSR1);
    signal::raise(SIGUSR1);
    assert_ne!(signal::pending(), 0);
    passes(|| {
        assert_eq!(signal::pending(), 0);
        assert_ne!(signal::blocked() & signal::bit(SIGUSR1), 0);
    });
    assert_ne!(signal::pending(), 0);
}

/// Absent is allowed: the C library then uses `clone`.
fn clone3_or_enosys() {
    let mut arguments = [0u64; 11];
    arguments[4] = SIGCHLD as u64;
    match sys!(SYS_clone3, &arguments, 88) {
        Ok(0) => child::exit(6),
        Ok(pid) => assert_eq!(Child { pid: pid as i32 }.wait(), Status::Exited(6)),
        Err(errno) => {
            assert_eq!(errno, ENOSYS);
            return;
        }
    }
    fails!(EINVAL, SYS_clone3, &arguments, 8);
    fails!(EFAULT, SYS_clone3, bad::<u64>(), 88);
}
