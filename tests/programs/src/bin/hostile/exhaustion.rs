//! Taking all there is of something. The taker is refused or dies; afterwards there is as much as before.

use super::ending::{all_is_well, free_memory, of_patience, own_machine};
use libc::{
    EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, ENOSPC, ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL,
    MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY,
    PR_SET_CHILD_SUBREAPER, PROT_NONE, PROT_READ, PROT_WRITE, RLIMIT_AS, RLIMIT_NOFILE,
    RLIMIT_NPROC, SI_QUEUE, SIG_SETMASK, SIGALRM, SIGBUS, SIGKILL, SIGPROF, SIGSEGV, SIGVTALRM,
    WNOHANG, c_void, itimerval, rlimit, siginfo_t, timeval,
};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{Status, fork, until};
use test_programs::memory::{PAGE, Shared};
use test_programs::raw::short::*;
use test_programs::{fails, ok, sys};

test_programs::tests!(
    fork_bomb,
    thread_bomb,
    all_memory,
    all_memory_by_many,
    shared_memory,
    every_descriptor,
    every_pipe_full,
    every_mapping,
    every_file,
    the_whole_file_system,
    signals_in_the_queue,
    processes_that_never_end,
    a_storm_of_timers,
    a_listing_of_thousands,
);

/// What is free must come back, but for a little that caches keep.
fn comes_back(before: u64) {
    if own_machine() {
        until(|| free_memory() + (6 << 20) > before);
    }
    all_is_well();
}

/// Every process makes more until it is refused. The bound is the user's process limit, and a count in case there is none.
fn fork_bomb() {
    struct Counts {
        born: AtomicU32,
        refused: AtomicU32,
    }
    let before = free_memory();
    let counts = Shared::<Counts>::new();
    let _ = sys!(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    let bomb = fork(|| {
        let _ = sys!(SYS_setpgid, 0, 0);
        let limit = rlimit {
            rlim_cur: 150,
            rlim_max: 150,
        };
        let _ = sys!(SYS_prlimit64, 0, RLIMIT_NPROC, &limit, 0);
        let _ = sys!(SYS_setresuid, 45_678, 45_678, 45_678);
        loop {
            if counts.born.fetch_add(1, Ordering::SeqCst) > 600 || sys!(SYS_fork).is_err() {
                counts.refused.fetch_add(1, Ordering::SeqCst);
                loop {
                    let _ = sys!(SYS_pause);
                }
            }
        }
    });
    until(|| counts.refused.load(Ordering::SeqCst) >= 20);
    // While it lasts, others can still work.
    all_is_well();
    until(|| {
        let gone = sys!(SYS_kill, -bomb.pid, SIGKILL).is_err();
        while matches!(sys!(SYS_wait4, -1, 0, WNOHANG, 0), Ok(pid) if pid > 0) {}
        gone
    });
    fails!(ECHILD, SYS_wait4, -1, 0, 0, 0);
    comes_back(before);
}

fn thread_bomb() {
    let before = free_memory();
    let status = of_patience(40, || {
        let limit = rlimit {
            rlim_cur: 200,
            rlim_max: 200,
        };
        let _ = sys!(SYS_prlimit64, 0, RLIMIT_NPROC, &limit, 0);
        let _ = sys!(SYS_setresuid, 45_679, 45_679, 45_679);
        for _ in 0..400 {
            let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            if thread.is_err() {
                break;
            }
        }
    });
    assert_eq!(status, Status::Exited(0));
    comes_back(before);
}

/// Touches memory until there is none. On a shared machine a limit stands in for the end.
fn hog(shared: bool) -> Status {
    let own = own_machine();
    let child = fork(|| {
        // If somebody has to go, it is this one.
        if let Ok(fd) = sys!(SYS_open, c"/proc/self/oom_score_adj", O_WRONLY, 0) {
            let _ = sys!(SYS_write, fd, c"1000", 4);
        }
        if !own {
            let limit = rlimit {
                rlim_cur: 256 << 20,
                rlim_max: 256 << 20,
            };
            let _ = sys!(SYS_prlimit64, 0, RLIMIT_AS, &limit, 0);
        }
        let kind = if shared { MAP_SHARED } else { MAP_PRIVATE };
        loop {
            let Ok(address) = sys!(
                SYS_mmap,
                0,
                4 << 20,
                PROT_READ | PROT_WRITE,
                kind | MAP_ANONYMOUS,
                -1,
                0
            ) else {
                return 0;
            };
            (0..4 << 20)
                .step_by(PAGE)
                .for_each(|at| test_programs::memory::poke(address + at, 1));
        }
    });
    child.wait()
}

fn expected_of_a_hog(status: Status) {
    assert!(
        matches!(
            status,
            Status::Exited(0) | Status::Killed(SIGKILL | SIGBUS | SIGSEGV)
        ),
        "{status:?}"
    );
}

fn all_memory() {
    let before = free_memory();
    for _ in 0..2 {
        expected_of_a_hog(hog(false));
        comes_back(before);
    }
}

fn all_memory_by_many() {
    let before = free_memory();
    let children: Vec<_> = (0..4)
        .map(|_| {
            fork(|| {
                let status = hog(false);
                expected_of_a_hog(status);
                0
            })
        })
        .collect();
    for child in children {
        let status = child.wait();
        assert!(
            matches!(
                status,
                Status::Exited(0) | Status::Killed(SIGKILL | SIGBUS | SIGSEGV)
            ),
            "{status:?}"
        );
    }
    comes_back(before);
}

fn shared_memory() {
    let before = free_memory();
    expected_of_a_hog(hog(true));
    comes_back(before);
}

fn every_descriptor() {
    let before = free_memory();
    let status = of_patience(40, || {
        let limit = rlimit {
            rlim_cur: 20_000,
            rlim_max: 20_000,
        };
        let _ = sys!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
        let refused = loop {
            if let Err(errno) = sys!(SYS_open, c"/dev/null", O_RDONLY, 0) {
                break errno;
            }
        };
        assert!([EMFILE, ENFILE, ENOMEM].contains(&refused), "{refused}");
        assert!(sys!(SYS_pipe2, &mut [0i32; 2], 0).is_err());
        assert!(sys!(SYS_dup, 0).is_err());
        assert!(sys!(SYS_execve, c"/nowhere", 0, 0).is_err());
    });
    assert_eq!(status, Status::Exited(0));
    comes_back(before);
}

/// As many full pipes as there may be: 64 KiB each.
fn every_pipe_full() {
    let before = free_memory();
    let status = of_patience(40, || {
        let limit = rlimit {
            rlim_cur: 1500,
            rlim_max: 1500,
        };
        let _ = sys!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
        let block = vec![1u8; 65536];
        let mut ends = [0i32; 2];
        while sys!(SYS_pipe2, &mut ends, O_NONBLOCK).is_ok() {
            let _ = sys!(SYS_write, ends[1], block.as_ptr(), block.len());
        }
    });
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGKILL)),
        "{status:?}"
    );
    comes_back(before);
}

fn every_mapping() {
    let before = free_memory();
    let status = of_patience(40, || {
        let mut count = 0;
        // Neighbours of different protection cannot be one mapping.
        while count < 40_000 {
            let protection = if count % 2 == 0 { PROT_READ } else { PROT_NONE };
            if sys!(
                SYS_mmap,
                0,
                PAGE,
                protection,
                MAP_PRIVATE | MAP_ANONYMOUS,
                -1,
                0
            )
            .is_err()
            {
                break;
            }
            count += 1;
        }
        assert!(count > 1000, "only {count}");
    });
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGKILL)),
        "{status:?}"
    );
    comes_back(before);
}

fn every_file() {
    let before = free_memory();
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_chdir, c"d");
    let mut made = 0;
    while made < 5000 {
        let name = format!("file-number-{made}\0");
        match sys!(SYS_open, name.as_ptr(), O_RDWR | O_CREAT, 0o600) {
            Ok(fd) => close(fd),
            Err(errno) => {
                assert!([ENOSPC, ENOMEM].contains(&errno));
                break;
            }
        }
        made += 1;
    }
    for n in 0..made {
        let name = format!("file-number-{n}\0");
        ok!(SYS_unlink, name.as_ptr());
    }
    comes_back(before);
}

/// Only where the file system is ours alone.
fn the_whole_file_system() {
    if !own_machine() {
        return;
    }
    let before = free_memory();
    let status = fork(|| {
        let fd = create(c"big");
        let block = vec![1u8; 1 << 20];
        let refused = loop {
            match sys!(SYS_write, fd, block.as_ptr(), block.len()) {
                Ok(_) => {}
                Err(errno) => break errno,
            }
        };
        assert!(
            [ENOSPC, ENOMEM, EFBIG, EDQUOT].contains(&refused),
            "{refused}"
        );
        0
    })
    .wait();
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGKILL)),
        "{status:?}"
    );
    ok!(SYS_unlink, c"big");
    comes_back(before);
    close(file_with(c"small", b"there is room again"));
}

fn signals_in_the_queue() {
    let before = free_memory();
    let status = of_patience(40, || {
        test_programs::signal::mask(SIG_SETMASK, u64::MAX);
        let info = [
            40u64,
            u64::from(SI_QUEUE as u32),
            pid() as u64,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        let mut sent = 0;
        while sent < 200_000 && sys!(SYS_rt_sigqueueinfo, pid(), 40, &info).is_ok() {
            sent += 1;
        }
    });
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGKILL)),
        "{status:?}"
    );
    comes_back(before);
}

/// Zombies that nobody waits for, until their parent goes.
fn processes_that_never_end() {
    let before = free_memory();
    let status = of_patience(40, || {
        for _ in 0..300 {
            if sys!(SYS_fork) == Ok(0) {
                test_programs::child::exit(0);
            }
        }
    });
    assert!(
        matches!(status, Status::Exited(0) | Status::Killed(SIGKILL)),
        "{status:?}"
    );
    while matches!(sys!(SYS_wait4, -1, 0, WNOHANG, 0), Ok(pid) if pid > 0) {}
    comes_back(before);
}

fn a_storm_of_timers() {
    extern "C" fn nothing(_: i32, _: *mut siginfo_t, _: *mut c_void) {}
    let children: Vec<_> = (0..20)
        .map(|_| {
            fork(|| {
                for signal in [SIGALRM, SIGVTALRM, SIGPROF] {
                    test_programs::signal::handle(signal, nothing, 0);
                }
                let time = timeval {
                    tv_sec: 0,
                    tv_usec: 1,
                };
                let timer = itimerval {
                    it_interval: time,
                    it_value: time,
                };
                for which in [ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF] {
                    ok!(SYS_setitimer, which, &timer, 0);
                }
                loop {
                    let _ = sys!(SYS_pause);
                }
            })
        })
        .collect();
    let start = monotonic();
    while monotonic() - start < 200_000_000 {
        all_is_well();
    }
    for child in children {
        child.signal(SIGKILL);
        child.wait();
    }
    all_is_well();
}

fn a_listing_of_thousands() {
    let before = free_memory();
    let children: Vec<_> = (0..4)
        .map(|n| {
            fork(move || {
                for round in 0..400 {
                    let name = format!("x{n}-{round}\0");
                    close(ok!(SYS_open, name.as_ptr(), O_RDWR | O_CREAT, 0o600));
                    let _ = std::fs::read_dir(".").map(Iterator::count);
                    ok!(SYS_unlink, name.as_ptr());
                }
                0
            })
        })
        .collect();
    assert!(children.into_iter().all(|c| c.wait() == Status::Exited(0)));
    comes_back(before);
}
