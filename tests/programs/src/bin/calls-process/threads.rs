//! Threads by clone(2): numbers, ends, and what they share.

use libc::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID,
    CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM, EOWNERDEAD, FUTEX_WAIT, PROT_READ,
    PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED, SI_TKILL, SIG_BLOCK, SIG_UNBLOCK, SIGHUP,
    SIGKILL, SIGSEGV, SIGTERM, SIGUSR1, SIGUSR2, WNOHANG, c_void, clone, pthread_mutex_consistent,
    pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_trylock,
    pthread_mutex_unlock, pthread_mutexattr_init, pthread_mutexattr_setpshared,
    pthread_mutexattr_setrobust, pthread_mutexattr_t,
};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use test_programs::child::{self, Status, dies_of, fork, passes, until};
use test_programs::memory::{Mapping, PAGE};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, signal, sys};

test_programs::tests!(
    child_cleartid_wakes_the_joiner,
    thread_numbers,
    parent_and_child_settid,
    tls_is_its_own,
    descriptors_are_shared,
    directory_is_shared,
    memory_is_shared,
    umask_is_shared_with_clone_fs,
    exit_ends_one_thread,
    exit_group_ends_all,
    exit_group_while_others_block,
    the_leader_may_leave_first,
    the_status_is_the_groups,
    a_fatal_signal_ends_all,
    a_fault_in_a_thread_ends_all,
    signals_go_to_one_thread,
    masks_are_per_thread,
    tgkill_picks_the_thread,
    tgkill_errors,
    set_tid_address_gives_the_number,
    two_hundred_threads,
    threads_in_a_row,
    fork_from_a_thread_has_one_thread,
    robust_list_is_kept,
    robust_mutex_of_a_dead_thread,
    robust_mutex_of_a_dead_process,
    stack_of_a_thread_can_be_unmapped,
    busy_threads_take_turns,
);

const THREAD: i32 =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

/// A raw thread: its body may use only direct calls and atomics, for it borrows the maker's thread-local storage.
struct Raw {
    _stack: Mapping,
    gone: Box<AtomicI32>,
    number: i32,
}

extern "C" fn enter(body: *mut c_void) -> i32 {
    // SAFETY: `body` is the leaked box that `start` made.
    let body = unsafe { Box::from_raw(body.cast::<Box<dyn Fn() + Send>>()) };
    body();
    // The box is left alone: freeing it would need this thread's own storage.
    std::mem::forget(body);
    let _ = sys!(SYS_exit, 0);
    0
}

fn start(flags: i32, body: impl Fn() + Send + 'static) -> Raw {
    let stack = Mapping::private(64 * PAGE);
    let gone = Box::new(AtomicI32::new(-1));
    let body: Box<Box<dyn Fn() + Send>> = Box::new(Box::new(body));
    // SAFETY: the stack, the word and the body outlive the thread: `join` waits for it, or the process ends.
    let number = unsafe {
        clone(
            enter,
            stack.at(stack.len).cast(),
            flags | CLONE_CHILD_CLEARTID,
            Box::into_raw(body).cast(),
            std::ptr::null_mut::<i32>(),
            std::ptr::null_mut::<c_void>(),
            gone.as_ptr(),
        )
    };
    assert!(number > 0, "clone: {}", std::io::Error::last_os_error());
    Raw {
        _stack: stack,
        gone,
        number,
    }
}

impl Raw {
    /// The kernel writes zero and wakes one waiter when the thread is gone.
    fn join(self) {
        while self.gone.load(Ordering::SeqCst) != 0 {
            let _ = sys!(SYS_futex, self.gone.as_ptr(), FUTEX_WAIT, -1, 0);
        }
    }
}

static A: AtomicI32 = AtomicI32::new(0);
static B: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);

fn child_cleartid_wakes_the_joiner() {
    for _ in 0..200 {
        start(THREAD, || ()).join();
    }
}

fn thread_numbers() {
    let thread = start(THREAD, || {
        A.store(sys!(SYS_gettid).unwrap_or(0) as i32, Ordering::SeqCst);
        B.store(sys!(SYS_getpid).unwrap_or(0) as i32, Ordering::SeqCst);
    });
    let number = thread.number;
    thread.join();
    assert_eq!(
        (A.load(Ordering::SeqCst), B.load(Ordering::SeqCst)),
        (number, pid())
    );
    assert_ne!(number, pid());
    // A thread is no child.
    fails!(ECHILD, SYS_wait4, number, 0, 0, 0);
}

fn parent_and_child_settid() {
    let stack = Mapping::private(64 * PAGE);
    let words = Box::new([const { AtomicI32::new(-1) }; 2]);
    extern "C" fn body(_: *mut c_void) -> i32 {
        B.store(7, Ordering::SeqCst);
        let _ = sys!(SYS_exit, 0);
        0
    }
    // SAFETY: all outlives the thread; the word is cleared at its end.
    let number = unsafe {
        clone(
            body,
            stack.at(stack.len).cast(),
            THREAD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
            std::ptr::null_mut(),
            words[0].as_ptr(),
            std::ptr::null_mut::<c_void>(),
            words[1].as_ptr(),
        )
    };
    assert_eq!(words[0].load(Ordering::SeqCst), number);
    until(|| words[1].load(Ordering::SeqCst) == 0);
    assert_eq!(B.load(Ordering::SeqCst), 7);
}

fn tls_is_its_own() {
    thread_local!(static LOCAL: std::cell::Cell<usize> = const { std::cell::Cell::new(1) });
    let addresses: Vec<usize> = (0..4)
        .map(|n| {
            std::thread::spawn(move || {
                LOCAL.set(n);
                for _ in 0..100 {
                    ok!(SYS_sched_yield);
                    assert_eq!(LOCAL.get(), n);
                }
                LOCAL.with(|l| std::ptr::from_ref(l) as usize)
            })
            .join()
            .unwrap()
        })
        .collect();
    assert!(!addresses.contains(&LOCAL.with(|l| std::ptr::from_ref(l) as usize)));
}

fn descriptors_are_shared() {
    let fd = create(c"f");
    start(THREAD, move || {
        let _ = sys!(SYS_dup2, fd, 90);
        let _ = sys!(SYS_close, fd);
    })
    .join();
    assert!(is_open(90) && !is_open(fd));
}

fn directory_is_shared() {
    ok!(SYS_mkdir, c"d", 0o755);
    close(create(c"d/f"));
    start(THREAD, || {
        let _ = sys!(SYS_chdir, c"d");
    })
    .join();
    assert!(exists(c"f"));
}

fn memory_is_shared() {
    let page = Mapping::private(PAGE);
    let address = page.address;
    start(THREAD, move || test_programs::memory::poke(address, 9)).join();
    assert_eq!(page.get(0), 9);
    start(THREAD, move || {
        let _ = sys!(SYS_mprotect, address, PAGE, PROT_READ);
    })
    .join();
    dies_of(SIGSEGV, || page.set(0, 1));
}

fn umask_is_shared_with_clone_fs() {
    ok!(SYS_umask, 0o022);
    start(THREAD, || {
        let _ = sys!(SYS_umask, 0o077);
    })
    .join();
    gives!(0o077, SYS_umask, 0);
}

fn exit_ends_one_thread() {
    start(THREAD, || {
        let _ = sys!(SYS_exit, 5);
    })
    .join();
}

fn exit_group_ends_all() {
    let status = fork(|| {
        std::mem::forget(start(THREAD, || child::exit(23)));
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    assert_eq!(status.wait(), Status::Exited(23));
}

fn exit_group_while_others_block() {
    for _ in 0..20 {
        let child = fork(|| {
            let (reader, _writer) = pipe();
            for _ in 0..5 {
                std::mem::forget(start(THREAD, move || {
                    COUNT.fetch_add(1, Ordering::SeqCst);
                    let mut byte = 0u8;
                    let _ = sys!(SYS_read, reader, &mut byte, 1);
                }));
            }
            until(|| COUNT.load(Ordering::SeqCst) == 5);
            8
        });
        assert_eq!(child.wait(), Status::Exited(8));
    }
}

/// The process is a zombie only when its last thread is gone.
fn the_leader_may_leave_first() {
    let (reader, writer) = pipe();
    let child = fork(|| {
        std::mem::forget(start(THREAD, move || {
            let mut byte = [0u8];
            let _ = sys!(SYS_read, reader, &mut byte, 1);
            child::exit(40 + i32::from(byte[0]));
        }));
        let _ = sys!(SYS_exit, 1);
        0
    });
    gives!(0, SYS_wait4, child.pid, 0, WNOHANG, 0);
    for _ in 0..50 {
        ok!(SYS_sched_yield);
    }
    gives!(0, SYS_wait4, child.pid, 0, WNOHANG, 0);
    gives!(0, SYS_kill, child.pid, 0);
    write(writer, &[2]);
    assert_eq!(child.wait(), Status::Exited(42));
}

/// If every thread leaves by plain `exit`, the last one's status counts.
fn the_status_is_the_groups() {
    let child = fork(|| {
        start(THREAD, || {
            let _ = sys!(SYS_exit, 9);
        })
        .join();
        let _ = sys!(SYS_exit, 3);
        0
    });
    assert_eq!(child.wait(), Status::Exited(3));
}

fn a_fatal_signal_ends_all() {
    let child = fork(|| {
        for _ in 0..3 {
            std::mem::forget(start(THREAD, || {
                loop {
                    let _ = sys!(SYS_sched_yield);
                }
            }));
        }
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    child.signal(SIGTERM);
    assert_eq!(child.wait(), Status::Killed(SIGTERM));
}

fn a_fault_in_a_thread_ends_all() {
    dies_of(SIGSEGV, || {
        let _thread = start(THREAD, || test_programs::memory::poke(0x10, 1));
        loop {
            let _ = sys!(SYS_pause);
        }
    });
}

/// A signal for the process is handled once, by a thread that does not block it.
fn signals_go_to_one_thread() {
    signal::catch(SIGUSR1);
    signal::block(SIGUSR1);
    let thread = start(THREAD, || {
        let set = signal::bit(SIGUSR1);
        let _ = sys!(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, 0, 8);
        A.store(1, Ordering::SeqCst);
        while B.load(Ordering::SeqCst) == 0 {
            let _ = sys!(SYS_sched_yield);
        }
    });
    until(|| A.load(Ordering::SeqCst) == 1);
    for n in 1..=10 {
        ok!(SYS_kill, pid(), SIGUSR1);
        until(|| signal::RECORD.count() == n);
    }
    assert_eq!(signal::pending(), 0);
    B.store(1, Ordering::SeqCst);
    thread.join();
}

fn masks_are_per_thread() {
    signal::block(SIGUSR2);
    let thread = start(THREAD, || {
        let mut old = 0u64;
        let set = signal::bit(SIGHUP);
        let _ = sys!(SYS_rt_sigprocmask, SIG_BLOCK, &set, &mut old, 8);
        A.store(old as i32, Ordering::SeqCst);
    });
    thread.join();
    assert_ne!(
        A.load(Ordering::SeqCst) & signal::bit(SIGUSR2) as i32,
        0,
        "the mask is not inherited"
    );
    assert_eq!(signal::blocked() & signal::bit(SIGHUP), 0);
}

fn tgkill_picks_the_thread() {
    static STACK: AtomicUsize = AtomicUsize::new(0);
    signal::catch(SIGUSR1);
    let thread = start(THREAD, || {
        let here = 0u8;
        STACK.store(&raw const here as usize, Ordering::SeqCst);
        A.store(1, Ordering::SeqCst);
        while B.load(Ordering::SeqCst) == 0 {
            let _ = sys!(SYS_sched_yield);
        }
    });
    until(|| A.load(Ordering::SeqCst) == 1);
    let near = |a: usize| a.abs_diff(STACK.load(Ordering::SeqCst)) < 64 * PAGE;
    ok!(SYS_tgkill, pid(), thread.number, SIGUSR1);
    until(|| signal::RECORD.count() == 1);
    assert!(near(signal::RECORD.stack.load(Ordering::SeqCst)));
    assert_eq!(signal::RECORD.code.load(Ordering::SeqCst), SI_TKILL);
    ok!(SYS_tgkill, pid(), pid(), SIGUSR1);
    until(|| signal::RECORD.count() == 2);
    assert!(!near(signal::RECORD.stack.load(Ordering::SeqCst)));
    B.store(1, Ordering::SeqCst);
    thread.join();
}

fn tgkill_errors() {
    fails!(EINVAL, SYS_tgkill, pid(), 0, 0);
    fails!(EINVAL, SYS_tgkill, -1, pid(), 0);
    fails!(EINVAL, SYS_tgkill, pid(), pid(), 65);
    fails!(ESRCH, SYS_tgkill, pid(), 999_999_999, 0);
    fails!(ESRCH, SYS_tgkill, 999_999_999, pid(), 0);
    fails!(ESRCH, SYS_tgkill, ok!(SYS_getppid), pid(), 0);
    fails!(EINVAL, SYS_tkill, 0, 0);
    gives!(0, SYS_tgkill, pid(), pid(), 0);
    gives!(0, SYS_tkill, pid(), 0);
}

fn set_tid_address_gives_the_number() {
    let mut word = 0i32;
    gives!(ok!(SYS_gettid), SYS_set_tid_address, &mut word);
}

fn two_hundred_threads() {
    let threads: Vec<Raw> = (0..200)
        .map(|_| {
            start(THREAD, || {
                COUNT.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    threads.into_iter().for_each(Raw::join);
    assert_eq!(COUNT.load(Ordering::SeqCst), 200);
}

fn threads_in_a_row() {
    for n in 1..=1000 {
        start(THREAD, || {
            COUNT.fetch_add(1, Ordering::SeqCst);
        })
        .join();
        assert_eq!(COUNT.load(Ordering::SeqCst), n);
    }
}

fn fork_from_a_thread_has_one_thread() {
    std::thread::scope(|s| {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        s.spawn(move || receive.recv());
        s.spawn(|| {
            passes(|| {
                assert_eq!(ok!(SYS_gettid) as i32, pid());
                // Nobody else is here: the group ends with this thread.
                let _ = sys!(SYS_exit, 0);
            });
        });
        drop(send);
    });
}

fn robust_list_is_kept() {
    let (mut head, mut len) = (0usize, 0usize);
    ok!(SYS_get_robust_list, 0, &mut head, &mut len);
    assert_eq!(len, 24);
    let own = [0usize; 3];
    fails!(EINVAL, SYS_set_robust_list, &own, 23);
    gives!(0, SYS_set_robust_list, &own, 24);
    ok!(SYS_get_robust_list, 0, &mut head, &mut len);
    assert_eq!(head, own.as_ptr() as usize);
    fails!(ESRCH, SYS_get_robust_list, 999_999_999, &mut head, &mut len);
    fails!(EFAULT, SYS_get_robust_list, 0, bad::<usize>(), &mut len);
}

/// A process-shared robust mutex of the C library, on shared memory.
fn robust_mutex() -> *mut pthread_mutex_t {
    let page = Mapping::shared(PAGE);
    let mutex: *mut pthread_mutex_t = page.at(0).cast();
    std::mem::forget(page);
    // SAFETY: the page is big enough and stays mapped.
    unsafe {
        let mut attributes: pthread_mutexattr_t = std::mem::zeroed();
        assert_eq!(pthread_mutexattr_init(&mut attributes), 0);
        assert_eq!(
            pthread_mutexattr_setpshared(&mut attributes, PTHREAD_PROCESS_SHARED),
            0
        );
        assert_eq!(
            pthread_mutexattr_setrobust(&mut attributes, PTHREAD_MUTEX_ROBUST),
            0
        );
        assert_eq!(pthread_mutex_init(mutex, &attributes), 0);
    }
    mutex
}

fn lock_after_death(mutex: *mut pthread_mutex_t) {
    // SAFETY: the mutex of `robust_mutex`.
    unsafe {
        assert_eq!(pthread_mutex_lock(mutex), EOWNERDEAD);
        assert_eq!(pthread_mutex_consistent(mutex), 0);
        assert_eq!(pthread_mutex_unlock(mutex), 0);
        assert_eq!(pthread_mutex_lock(mutex), 0);
    }
}

fn robust_mutex_of_a_dead_thread() {
    let mutex = robust_mutex();
    let address = mutex as usize;
    // SAFETY: as above.
    std::thread::spawn(move || unsafe { assert_eq!(pthread_mutex_lock(address as *mut _), 0) })
        .join()
        .unwrap();
    lock_after_death(mutex);
}

fn robust_mutex_of_a_dead_process() {
    let mutex = robust_mutex();
    let child = fork(|| {
        // SAFETY: as above.
        unsafe { assert_eq!(pthread_mutex_lock(mutex), 0) };
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    // SAFETY: as above.
    until(|| unsafe {
        let free = pthread_mutex_trylock(mutex) == 0;
        if free {
            pthread_mutex_unlock(mutex);
        }
        !free
    });
    child.signal(SIGKILL);
    // Blocks until the kernel has gone through the dead process's list.
    lock_after_death(mutex);
    assert_eq!(child.wait(), Status::Killed(SIGKILL));
}

fn stack_of_a_thread_can_be_unmapped() {
    let threads: Vec<_> = (0..20).map(|_| std::thread::spawn(|| ())).collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
}

/// Threads that never call the kernel must still let each other run.
fn busy_threads_take_turns() {
    let thread = start(THREAD, || {
        while A.load(Ordering::SeqCst) < 3 {
            if A.load(Ordering::SeqCst) % 2 == 1 {
                A.fetch_add(1, Ordering::SeqCst);
            }
            std::hint::spin_loop();
        }
    });
    A.store(1, Ordering::SeqCst);
    while A.load(Ordering::SeqCst) == 1 {
        std::hint::spin_loop();
    }
    A.store(3, Ordering::SeqCst);
    thread.join();
}
