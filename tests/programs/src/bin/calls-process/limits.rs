//! getrlimit, setrlimit, prlimit, getrusage, times, priorities, sched_*.

use libc::{
    CLOCK_MONOTONIC, EINVAL, EPERM, MAP_ANONYMOUS, MAP_PRIVATE, PR_CAPBSET_READ, PRIO_PROCESS,
    PROT_READ, RLIM_INFINITY, RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_NOFILE,
    RLIMIT_NPROC, RLIMIT_STACK, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, SCHED_FIFO,
    SCHED_OTHER, SCHED_RR, SIGSEGV, SIGXCPU, rlimit, rusage, timeval, tms,
};
use test_programs::child::{Gate, become_nobody, dies_of, passes, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    every_limit_can_be_asked,
    old_and_new_calls_agree,
    lowering_is_allowed,
    raising_needs_root,
    limit_errors,
    limits_of_another_process,
    address_space_limit,
    stack_limit_bounds_growth,
    data_limit_bounds_brk,
    process_limit_of_a_user,
    cpu_limit_signals,
    usage_of_self,
    usage_grows_with_work,
    usage_errors,
    times_counts_ticks,
    nice_values,
    priority_of_others,
    scheduler_can_be_asked,
    yield_works,
    affinity_can_be_set,
);

fn limit(resource: u32) -> (u64, u64) {
    let mut limit = rlimit {
        rlim_cur: 1,
        rlim_max: 1,
    };
    ok!(SYS_prlimit64, 0, resource, 0, &mut limit);
    (limit.rlim_cur, limit.rlim_max)
}

fn set(resource: u32, soft: u64, hard: u64) -> Result<usize, i32> {
    sys!(
        SYS_prlimit64,
        0,
        resource,
        &rlimit {
            rlim_cur: soft,
            rlim_max: hard
        },
        0
    )
}

fn every_limit_can_be_asked() {
    for resource in 0..16 {
        let (soft, hard) = limit(resource);
        assert!(soft <= hard, "limit {resource}: {soft} of {hard}");
    }
    assert!(limit(RLIMIT_STACK).0 >= 1 << 20);
    assert!(limit(RLIMIT_NOFILE).0 >= 256);
}

fn old_and_new_calls_agree() {
    passes(|| {
        gives!(
            0,
            SYS_setrlimit,
            RLIMIT_NOFILE,
            &rlimit {
                rlim_cur: 100,
                rlim_max: 200
            }
        );
        assert_eq!(limit(RLIMIT_NOFILE), (100, 200));
        let mut old = rlimit {
            rlim_cur: 1,
            rlim_max: 1,
        };
        gives!(0, SYS_getrlimit, RLIMIT_NOFILE, &mut old);
        assert_eq!((old.rlim_cur, old.rlim_max), (100, 200));
        ok!(
            SYS_prlimit64,
            0,
            RLIMIT_NOFILE,
            &rlimit {
                rlim_cur: 50,
                rlim_max: 60
            },
            &mut old
        );
        assert_eq!((old.rlim_cur, old.rlim_max), (100, 200));
    });
}

fn lowering_is_allowed() {
    passes(|| {
        become_nobody();
        let (_, hard) = limit(RLIMIT_NOFILE);
        assert_eq!(set(RLIMIT_NOFILE, 10, hard), Ok(0));
        assert_eq!(set(RLIMIT_NOFILE, hard, hard), Ok(0));
        assert_eq!(set(RLIMIT_NOFILE, 10, 20), Ok(0));
        assert_eq!(set(RLIMIT_NOFILE, 20, 20), Ok(0));
    });
}

fn raising_needs_root() {
    passes(|| {
        ok!(
            SYS_prlimit64,
            0,
            RLIMIT_CORE,
            &rlimit {
                rlim_cur: 0,
                rlim_max: 100
            },
            0
        );
        // A root that was stripped of the capability (24) may not either.
        let stripped = sys!(SYS_prctl, PR_CAPBSET_READ, 24, 0, 0, 0) == Ok(0);
        assert_eq!(
            set(RLIMIT_CORE, 0, 200),
            if stripped { Err(EPERM) } else { Ok(0) }
        );
        become_nobody();
        assert_eq!(set(RLIMIT_CORE, 0, 300), Err(EPERM));
        assert_eq!(set(RLIMIT_CORE, 100, 100), Ok(0));
    });
}

fn limit_errors() {
    let mut old = rlimit {
        rlim_cur: 1,
        rlim_max: 1,
    };
    fails!(EINVAL, SYS_prlimit64, 0, 16, 0, &mut old);
    fails!(EINVAL, SYS_getrlimit, -1, &mut old);
    assert_eq!(set(RLIMIT_NOFILE, 11, 10), Err(EINVAL));
    fails!(EFAULT, SYS_prlimit64, 0, RLIMIT_NOFILE, bad::<rlimit>(), 0);
    fails!(EFAULT, SYS_prlimit64, 0, RLIMIT_NOFILE, 0, bad::<rlimit>());
    fails!(EFAULT, SYS_getrlimit, RLIMIT_NOFILE, bad::<rlimit>());
    fails!(
        ESRCH,
        SYS_prlimit64,
        999_999_999,
        RLIMIT_NOFILE,
        0,
        &mut old
    );
}

fn limits_of_another_process() {
    let gate = Gate::new();
    let child = spawn(|| {
        gate.wait();
        assert_eq!(limit(RLIMIT_NOFILE), (77, 88));
    });
    gives!(
        0,
        SYS_prlimit64,
        child.pid,
        RLIMIT_NOFILE,
        &rlimit {
            rlim_cur: 77,
            rlim_max: 88
        },
        0
    );
    gate.open();
    child.passes();
}

fn address_space_limit() {
    passes(|| {
        assert_eq!(set(RLIMIT_AS, 64 << 20, 64 << 20), Ok(0));
        let flags = MAP_PRIVATE | MAP_ANONYMOUS;
        fails!(ENOMEM, SYS_mmap, 0, 65 << 20, PROT_READ, flags, -1, 0);
        ok!(SYS_mmap, 0, 1 << 20, PROT_READ, flags, -1, 0);
    });
}

fn stack_limit_bounds_growth() {
    // The limit counts from the next touch on: a frame of a megabyte is too much for half of that.
    dies_of(SIGSEGV, || {
        assert_eq!(set(RLIMIT_STACK, 512 << 10, RLIM_INFINITY), Ok(0));
        let local = 0u8;
        let here = &raw const local as usize;
        test_programs::memory::poke(here - (1 << 20), 1);
    });
}

fn data_limit_bounds_brk() {
    passes(|| {
        let start = ok!(SYS_brk, 0);
        assert_eq!(set(RLIMIT_DATA, 1 << 20, 1 << 20), Ok(0));
        gives!(start, SYS_brk, start + (64 << 20));
    });
}

fn process_limit_of_a_user() {
    passes(|| {
        ok!(SYS_setresuid, 54_321, 54_321, 54_321);
        assert_eq!(set(RLIMIT_NPROC, 3, 3), Ok(0));
        let gate = Gate::new();
        let children: Vec<_> = (0..2).map(|_| spawn(|| gate.wait())).collect();
        fails!(EAGAIN, SYS_fork);
        gate.open();
        children.into_iter().for_each(|c| c.passes());
        passes(|| ());
    });
}

fn cpu_limit_signals() {
    dies_of(SIGXCPU, || {
        assert_eq!(set(RLIMIT_CPU, 1, 5), Ok(0));
        loop {
            std::hint::spin_loop();
        }
    });
}

fn usage(who: i32) -> rusage {
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: rusage = unsafe { std::mem::zeroed() };
    ok!(SYS_getrusage, who, &mut usage);
    usage
}

fn micros(t: timeval) -> i64 {
    t.tv_sec * 1_000_000 + t.tv_usec
}

fn usage_of_self() {
    let u = usage(RUSAGE_SELF);
    assert!(
        (0..1_000_000).contains(&u.ru_utime.tv_usec)
            && (0..1_000_000).contains(&u.ru_stime.tv_usec)
    );
    assert!(u.ru_maxrss > 0 && u.ru_minflt > 0);
    usage(RUSAGE_THREAD);
    usage(RUSAGE_CHILDREN);
}

fn usage_grows_with_work() {
    let before = usage(RUSAGE_SELF);
    let total = |u: &rusage| micros(u.ru_utime) + micros(u.ru_stime);
    while total(&usage(RUSAGE_SELF)) - total(&before) < 20_000 {}
    let page = test_programs::memory::Mapping::private(100 * 4096);
    (0..100).for_each(|p| page.set(p * 4096, 1));
    assert!(usage(RUSAGE_SELF).ru_minflt > before.ru_minflt);
}

fn usage_errors() {
    let mut space = [0u8; 256];
    fails!(EINVAL, SYS_getrusage, 5, &mut space);
    fails!(EINVAL, SYS_getrusage, -3, &mut space);
    fails!(EFAULT, SYS_getrusage, RUSAGE_SELF, bad::<rusage>());
}

fn times_counts_ticks() {
    let mut ticks = tms {
        tms_utime: -1,
        tms_stime: -1,
        tms_cutime: -1,
        tms_cstime: -1,
    };
    let first = ok!(SYS_times, &mut ticks);
    assert!(ticks.tms_utime >= 0 && ticks.tms_stime >= 0 && ticks.tms_cutime >= 0);
    let start = clock(CLOCK_MONOTONIC);
    while clock(CLOCK_MONOTONIC) - start < 50_000_000 {}
    let second = ok!(SYS_times, 0);
    assert!(
        (4..1000).contains(&(second - first)),
        "{} ticks in 50 ms",
        second - first
    );
    fails!(EFAULT, SYS_times, bad::<tms>());
}

fn nice_values() {
    passes(|| {
        // The call gives 20 minus the value.
        gives!(20, SYS_getpriority, PRIO_PROCESS, 0);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 5);
        gives!(15, SYS_getpriority, PRIO_PROCESS, 0);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 100);
        gives!(1, SYS_getpriority, PRIO_PROCESS, 0);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, -100);
        gives!(40, SYS_getpriority, PRIO_PROCESS, 0);
        passes(|| {
            gives!(40, SYS_getpriority, PRIO_PROCESS, 0);
        });
        ok!(SYS_setpriority, PRIO_PROCESS, 0, 3);
        become_nobody();
        fails!(EACCES, SYS_setpriority, PRIO_PROCESS, 0, 2);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 4);
    });
}

fn priority_of_others() {
    fails!(ESRCH, SYS_getpriority, PRIO_PROCESS, 999_999_999);
    fails!(EINVAL, SYS_getpriority, 77, 0);
    fails!(ESRCH, SYS_setpriority, PRIO_PROCESS, 999_999_999, 0);
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    gives!(0, SYS_setpriority, PRIO_PROCESS, child.pid, 7);
    gives!(13, SYS_getpriority, PRIO_PROCESS, child.pid);
    gate.open();
    child.passes();
}

fn scheduler_can_be_asked() {
    gives!(SCHED_OTHER, SYS_sched_getscheduler, 0);
    let mut priority = 9i32;
    gives!(0, SYS_sched_getparam, 0, &mut priority);
    assert_eq!(priority, 0);
    gives!(0, SYS_sched_get_priority_max, SCHED_OTHER);
    gives!(99, SYS_sched_get_priority_max, SCHED_FIFO);
    gives!(1, SYS_sched_get_priority_min, SCHED_RR);
    fails!(EINVAL, SYS_sched_get_priority_max, 77);
    fails!(ESRCH, SYS_sched_getscheduler, 999_999_999);
    fails!(EINVAL, SYS_sched_getscheduler, -1);
    gives!(0, SYS_sched_setscheduler, 0, SCHED_OTHER, &0i32);
    fails!(EINVAL, SYS_sched_setscheduler, 0, SCHED_OTHER, &5i32);
    fails!(EINVAL, SYS_sched_setscheduler, 0, 77, &0i32);
}

fn yield_works() {
    for _ in 0..1000 {
        gives!(0, SYS_sched_yield);
    }
}

fn affinity_can_be_set() {
    passes(|| {
        let mut set = [0u64; 16];
        ok!(SYS_sched_getaffinity, 0, 128, &mut set);
        gives!(0, SYS_sched_setaffinity, 0, 128, &set);
        let first = [set[0] & set[0].wrapping_neg(), 0];
        gives!(0, SYS_sched_setaffinity, 0, 8, &first);
        let mut now = [0u64; 16];
        ok!(SYS_sched_getaffinity, 0, 128, &mut now);
        assert_eq!(now[0], first[0]);
        fails!(EINVAL, SYS_sched_setaffinity, 0, 8, &[0u64]);
        fails!(EFAULT, SYS_sched_setaffinity, 0, 8, bad::<u64>());
        fails!(ESRCH, SYS_sched_setaffinity, 999_999_999, 8, &first);
    });
}
