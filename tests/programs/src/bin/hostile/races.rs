//! Many at once at the same thing, each doing what disturbs the others most.

use super::ending::{all_is_well, within};
use libc::{
    AT_FDCWD, EAGAIN, EFAULT, F_DUPFD, FUTEX_REQUEUE, FUTEX_WAIT, FUTEX_WAKE, GRND_NONBLOCK,
    MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_NONBLOCK,
    O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE, RENAME_EXCHANGE, S_IFIFO, SEEK_SET, SIG_IGN, SIGBUS,
    SIGCONT, SIGKILL, SIGPIPE, SIGSEGV, SIGSTOP, SIGUSR1,
};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use test_programs::child::{Status, fork};
use test_programs::memory::{PAGE, Shared};
use test_programs::pattern::Numbers;
use test_programs::raw::short::*;
use test_programs::{ok, sys};

test_programs::tests!(
    one_address_space,
    one_descriptor_table,
    one_directory,
    one_file_growing_and_shrinking,
    signals_and_exits,
    everybody_execs,
    everybody_exits,
    forks_under_memory_changes,
    futexes_and_unmapping,
    buffers_that_vanish_during_a_call,
    killed_in_every_state,
    stop_and_kill,
);

const THREADS: u64 = 6;

/// How long, in milliseconds, something may take that must come to an end, however busy the machine is.
const PATIENCE: u64 = 60_000;

/// Pages of the ground that the threads of [`chaos`] fight over.
const GROUND: usize = 64;

/// Threads that do random things until the time is over; they may die of it together.
///
/// None begins before all are there: starting a thread maps memory for it, and what is unmapped of the ground
/// meanwhile is just where that memory would come to lie.
fn chaos(milliseconds: u64, act: fn(&mut Numbers, usize)) {
    let child = fork(|| {
        test_programs::signal::dispose(SIGPIPE, SIG_IGN);
        let ground = ok!(
            SYS_mmap,
            0,
            GROUND * PAGE,
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS,
            -1,
            0
        );
        let end = monotonic() + milliseconds * 1_000_000;
        let all = &Barrier::new(THREADS as usize);
        std::thread::scope(|s| {
            for t in 0..THREADS {
                s.spawn(move || {
                    all.wait();
                    let mut numbers = Numbers::new(t);
                    while monotonic() < end {
                        act(&mut numbers, ground);
                    }
                });
            }
        });
        0
    });
    let status = within(child, milliseconds * 20 + PATIENCE);
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGSEGV | SIGBUS)),
        "{status:?}"
    );
    all_is_well();
}

fn one_address_space() {
    // The children of chaos never touch the ground themselves: only calls do.
    chaos(300, |numbers, ground| {
        // Never past its end: what lies behind it is not ours to unmap.
        let first = numbers.below(GROUND as u64) as usize;
        let pages = numbers.below(8) as usize + 1;
        let (at, len) = (ground + first * PAGE, pages.min(GROUND - first) * PAGE);
        let _ = match numbers.below(8) {
            0 | 1 => sys!(
                SYS_mmap,
                at,
                len,
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1,
                0
            ),
            2 => sys!(SYS_munmap, at, len),
            3 => sys!(SYS_mprotect, at, len, numbers.below(4)),
            4 => sys!(SYS_madvise, at, len, MADV_DONTNEED),
            5 => sys!(SYS_getrandom, at, len, GRND_NONBLOCK),
            6 => sys!(
                SYS_mremap,
                at,
                len,
                (numbers.below(8) as usize + 1) * PAGE,
                0
            ),
            _ => sys!(SYS_mincore, at, len, at),
        };
    });
}

fn one_descriptor_table() {
    chaos(300, |numbers, ground| {
        let fd = numbers.below(30) + 10;
        let _ = match numbers.below(8) {
            0 => sys!(SYS_close, fd),
            1 => sys!(SYS_dup2, numbers.below(30) + 10, fd),
            2 => sys!(SYS_open, c"/dev/zero", O_RDWR, 0),
            3 => sys!(SYS_pipe2, ground, O_NONBLOCK),
            4 => sys!(SYS_read, fd, ground, 4096),
            5 => sys!(SYS_write, fd, ground, 4096),
            6 => sys!(SYS_fcntl, fd, F_DUPFD, 10),
            _ => sys!(SYS_lseek, fd, numbers.below(1000), SEEK_SET),
        };
    });
}

fn one_directory() {
    chaos(300, |numbers, ground| {
        let names = [c"a", c"b", c"c", c"d/x", c"d", c"e", c"e/y"];
        let (one, two) = (
            names[numbers.below(7) as usize],
            names[numbers.below(7) as usize],
        );
        let _ = match numbers.below(10) {
            0 => sys!(SYS_mkdir, one, 0o755),
            1 => sys!(SYS_rmdir, one),
            2 => sys!(SYS_unlink, one),
            3 | 4 => sys!(SYS_rename, one, two),
            5 => sys!(SYS_link, one, two),
            6 => sys!(SYS_symlink, one, two),
            7 => sys!(SYS_newfstatat, AT_FDCWD, one, ground, 0),
            8 => sys!(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE),
            _ => sys!(SYS_openat, AT_FDCWD, one, O_RDWR | O_CREAT, 0o644)
                .and_then(|fd| sys!(SYS_close, fd)),
        };
    });
    // Whatever is left is still a tree.
    std::fs::remove_dir_all("d")
        .or_else(|_| std::fs::remove_file("d"))
        .ok();
    assert!(std::fs::read_dir(".").unwrap().all(|e| e.is_ok()));
}

fn one_file_growing_and_shrinking() {
    close(file_with(c"f", &[1; 100_000]));
    chaos(300, |numbers, ground| {
        let Ok(fd) = sys!(SYS_open, c"f", O_RDWR, 0) else {
            return;
        };
        let _ = match numbers.below(5) {
            0 => sys!(SYS_ftruncate, fd, numbers.below(200_000)),
            1 => sys!(SYS_pwrite64, fd, ground, 9000, numbers.below(200_000)),
            2 => sys!(SYS_pread64, fd, ground, 9000, numbers.below(200_000)),
            3 => sys!(
                SYS_mmap,
                ground + 32 * PAGE,
                8 * PAGE,
                PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED,
                fd,
                0
            ),
            // A call's buffer in a mapping of the file that another one is cutting.
            _ => sys!(SYS_getrandom, ground + 32 * PAGE, 8 * PAGE, GRND_NONBLOCK),
        };
        let _ = sys!(SYS_close, fd);
    });
}

fn signals_and_exits() {
    for round in 0..60u64 {
        let children: Vec<_> = (0..4)
            .map(|n| {
                fork(move || {
                    test_programs::signal::catch(SIGUSR1);
                    let mut numbers = Numbers::new(round * 10 + n);
                    for _ in 0..numbers.below(50) {
                        test_programs::signal::raise(SIGUSR1);
                    }
                    0
                })
            })
            .collect();
        for child in &children {
            for signal in [SIGUSR1, SIGSTOP, SIGCONT, SIGUSR1] {
                let _ = sys!(SYS_kill, child.pid, signal);
            }
        }
        for child in children {
            let _ = sys!(SYS_kill, child.pid, SIGCONT);
            let status = within(child, PATIENCE);
            assert!(
                matches!(status, Status::Exited(0) | Status::Killed(SIGUSR1)),
                "{status:?}"
            );
        }
    }
    all_is_well();
}

fn everybody_execs() {
    for _ in 0..15 {
        let child = fork(|| {
            std::thread::scope(|s| {
                for _ in 0..THREADS {
                    s.spawn(|| test_programs::child::exec_helper(&["nothing"], &[]));
                }
            });
            1
        });
        assert_eq!(within(child, PATIENCE), Status::Exited(23));
    }
    all_is_well();
}

fn everybody_exits() {
    for _ in 0..60 {
        let child = fork(|| {
            std::thread::scope(|s| {
                for n in 0..THREADS {
                    s.spawn(move || test_programs::child::exit(n as i32));
                }
            });
            99
        });
        let status = within(child, PATIENCE);
        assert!(
            matches!(status, Status::Exited(code) if code < THREADS as i32),
            "{status:?}"
        );
    }
    all_is_well();
}

fn forks_under_memory_changes() {
    chaos(300, |numbers, ground| {
        if numbers.below(20) == 0 {
            if let Ok(pid) = sys!(SYS_fork) {
                if pid == 0 {
                    test_programs::child::exit(0);
                }
                let _ = sys!(SYS_wait4, pid, 0, 0, 0);
            }
            return;
        }
        let at = ground + numbers.below(32) as usize * PAGE;
        let _ = match numbers.below(3) {
            0 => sys!(
                SYS_mmap,
                at,
                2 * PAGE,
                PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1,
                0
            ),
            1 => sys!(SYS_getrandom, at, 2 * PAGE, GRND_NONBLOCK),
            _ => sys!(SYS_mprotect, at, PAGE, numbers.below(4)),
        };
    });
}

fn futexes_and_unmapping() {
    chaos(200, |numbers, ground| {
        let at = ground + numbers.below(8) as usize * PAGE;
        let _ = match numbers.below(5) {
            0 => sys!(SYS_futex, at, FUTEX_WAIT, 0, &timespec(1_000_000)),
            1 => sys!(SYS_futex, at, FUTEX_WAKE, 10),
            2 => sys!(SYS_futex, at, FUTEX_REQUEUE, 1, 5, at ^ PAGE),
            3 => sys!(SYS_munmap, at, PAGE),
            _ => sys!(
                SYS_mmap,
                at,
                PAGE,
                PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
                -1,
                0
            ),
        };
    });
}

/// One thread reads and writes pipes through memory that another takes away and gives back.
fn buffers_that_vanish_during_a_call() {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let child = fork(|| {
        let (reader, writer) = pipe_with(O_NONBLOCK);
        let ground = ok!(
            SYS_mmap,
            0,
            32 * PAGE,
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS,
            -1,
            0
        );
        let end = monotonic() + 300_000_000;
        std::thread::scope(|s| {
            s.spawn(|| {
                while monotonic() < end {
                    let n = TURN.fetch_add(1, Ordering::Relaxed) % 32;
                    let _ = sys!(SYS_munmap, ground + n * PAGE, PAGE);
                    let _ = sys!(
                        SYS_mmap,
                        ground + n * PAGE,
                        PAGE,
                        PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                        -1,
                        0
                    );
                }
            });
            while monotonic() < end {
                for result in [
                    sys!(SYS_write, writer, ground, 32 * PAGE),
                    sys!(SYS_read, reader, ground, 32 * PAGE),
                ] {
                    assert!(matches!(result, Ok(_) | Err(EFAULT | EAGAIN)), "{result:?}");
                }
            }
        });
        0
    });
    assert_eq!(within(child, PATIENCE), Status::Exited(0));
    all_is_well();
}

/// A process in any kind of wait dies of SIGKILL, and what it waited for goes on.
fn killed_in_every_state() {
    let (reader, writer) = pipe();
    let full = pipe();
    write(full.1, &[0; 65536]);
    let word = Shared::<AtomicU32>::new();
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let states: [&dyn Fn(); 11] = [
        &|| {
            let _ = sys!(SYS_pause);
        },
        &|| {
            let _ = sys!(SYS_read, reader, &mut [0u8; 1], 1);
        },
        &|| {
            let _ = sys!(SYS_write, full.1, &[0u8; 1], 1);
        },
        &|| {
            let _ = sys!(SYS_nanosleep, &timespec(1_000_000_000_000), 0);
        },
        &|| {
            let _ = sys!(SYS_futex, &*word, FUTEX_WAIT, 0, 0);
        },
        &|| {
            let _ = sys!(SYS_open, c"fifo", O_RDONLY, 0);
        },
        &|| {
            let _ = sys!(SYS_poll, 0, 0, -1);
        },
        &|| {
            let _ = sys!(SYS_rt_sigsuspend, &0u64, 8);
        },
        &|| {
            let _ = sys!(SYS_rt_sigtimedwait, &1u64, 0, 0, 8);
        },
        &|| {
            let _ = fork(|| {
                let _ = sys!(SYS_nanosleep, &timespec(50_000_000), 0);
                0
            });
            let _ = sys!(SYS_wait4, -1, 0, 0, 0);
            let _ = sys!(SYS_pause);
        },
        &|| {
            loop {
                std::hint::spin_loop();
            }
        },
    ];
    for state in states {
        for pause in [0u32, 3, 30] {
            let child = fork(|| {
                state();
                0
            });
            for _ in 0..pause {
                ok!(SYS_sched_yield);
            }
            child.signal(SIGKILL);
            assert_eq!(within(child, PATIENCE), Status::Killed(SIGKILL));
        }
    }
    write(writer, b"x");
    assert_eq!(read(reader, 5), b"x");
    all_is_well();
}

fn stop_and_kill() {
    for round in 0..100 {
        let child = fork(|| {
            loop {
                let _ = sys!(SYS_sched_yield);
            }
        });
        for n in 0..round % 7 {
            child.signal(if n % 2 == 0 { SIGSTOP } else { SIGCONT });
        }
        child.signal(SIGKILL);
        assert_eq!(within(child, PATIENCE), Status::Killed(SIGKILL));
    }
    all_is_well();
}
