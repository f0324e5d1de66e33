//! sched_setscheduler, sched_getscheduler, sched_setparam, sched_getparam, priorities, intervals.

use libc::{
    PR_CAPBSET_READ, RLIMIT_NICE, RLIMIT_RTPRIO, SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER,
    SCHED_RESET_ON_FORK, SCHED_RR, rlimit, timespec,
};
use test_programs::child::{Gate, become_nobody, passes, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    every_policy_can_be_set,
    priorities_have_bounds,
    what_is_wrong_is_refused,
    another_process_can_be_set,
    parameters_alone,
    reset_on_fork_is_remembered,
    nobody_needs_a_limit,
    nobody_may_lower_itself,
    nobody_may_not_set_others,
    turns_have_a_length,
);

const NOBODY: i32 = 999_999_999;

pub fn set(policy: i32, priority: i32) {
    gives!(0, SYS_sched_setscheduler, 0, policy, &priority);
}

pub fn priority() -> i32 {
    let mut priority = -1i32;
    gives!(0, SYS_sched_getparam, 0, &mut priority);
    priority
}

/// Sets a limit. `false`: it would have to be raised, and this root was stripped of the capability (24).
pub fn limit(resource: u32, value: u64) -> bool {
    let limit = rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    let outcome = sys!(SYS_prlimit64, 0, resource, &limit, 0);
    let stripped = sys!(SYS_prctl, PR_CAPBSET_READ, 24, 0, 0, 0) == Ok(0);
    assert!(
        outcome == Ok(0) || stripped,
        "{}",
        test_programs::raw::outcome(outcome)
    );
    outcome == Ok(0)
}

fn every_policy_can_be_set() {
    passes(|| {
        for (policy, wanted) in [
            (SCHED_FIFO, 1),
            (SCHED_FIFO, 99),
            (SCHED_RR, 50),
            (SCHED_BATCH, 0),
            (SCHED_IDLE, 0),
            (SCHED_OTHER, 0),
        ] {
            set(policy, wanted);
            gives!(policy, SYS_sched_getscheduler, 0);
            assert_eq!(priority(), wanted);
        }
    });
}

fn priorities_have_bounds() {
    for (policy, least, most) in [
        (SCHED_OTHER, 0, 0),
        (SCHED_FIFO, 1, 99),
        (SCHED_RR, 1, 99),
        (SCHED_BATCH, 0, 0),
        (SCHED_IDLE, 0, 0),
        (6, 0, 0),
    ] {
        gives!(least, SYS_sched_get_priority_min, policy);
        gives!(most, SYS_sched_get_priority_max, policy);
    }
    for policy in [4, 77, -1] {
        fails!(EINVAL, SYS_sched_get_priority_min, policy);
        fails!(EINVAL, SYS_sched_get_priority_max, policy);
    }
}

fn what_is_wrong_is_refused() {
    passes(|| {
        for (policy, priority) in [
            (SCHED_FIFO, 0),
            (SCHED_FIFO, 100),
            (SCHED_RR, -1),
            (SCHED_OTHER, 1),
            (SCHED_IDLE, 1),
            (6, 0),
            (77, 0),
            (-1, 0),
            (SCHED_FIFO | 0x100, 1),
        ] {
            fails!(EINVAL, SYS_sched_setscheduler, 0, policy, &priority);
        }
        fails!(EINVAL, SYS_sched_setscheduler, -1, SCHED_OTHER, &0i32);
        fails!(EINVAL, SYS_sched_setscheduler, 0, SCHED_OTHER, 0);
        fails!(EFAULT, SYS_sched_setscheduler, 0, SCHED_OTHER, bad::<i32>());
        fails!(ESRCH, SYS_sched_setscheduler, NOBODY, SCHED_OTHER, &0i32);
        fails!(EINVAL, SYS_sched_getscheduler, -5);
        fails!(ESRCH, SYS_sched_getscheduler, NOBODY);
        fails!(EINVAL, SYS_sched_getparam, 0, 0);
        fails!(EFAULT, SYS_sched_getparam, 0, bad::<i32>());
        fails!(ESRCH, SYS_sched_getparam, NOBODY, &mut 0i32);
        fails!(ESRCH, SYS_sched_setparam, NOBODY, &0i32);
        fails!(EINVAL, SYS_sched_setparam, 0, 0);
        gives!(SCHED_OTHER, SYS_sched_getscheduler, 0);
    });
}

fn another_process_can_be_set() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    gives!(0, SYS_sched_setscheduler, child.pid, SCHED_RR, &7i32);
    gives!(SCHED_RR, SYS_sched_getscheduler, child.pid);
    let mut priority = 0i32;
    gives!(0, SYS_sched_getparam, child.pid, &mut priority);
    assert_eq!(priority, 7);
    gives!(SCHED_OTHER, SYS_sched_getscheduler, 0);
    gate.open();
    child.passes();
}

fn parameters_alone() {
    passes(|| {
        gives!(0, SYS_sched_setparam, 0, &0i32);
        fails!(EINVAL, SYS_sched_setparam, 0, &1i32);
        set(SCHED_FIFO, 3);
        gives!(0, SYS_sched_setparam, 0, &4i32);
        assert_eq!(priority(), 4);
        fails!(EINVAL, SYS_sched_setparam, 0, &0i32);
        gives!(SCHED_FIFO, SYS_sched_getscheduler, 0);
    });
}

fn reset_on_fork_is_remembered() {
    passes(|| {
        set(SCHED_RR | SCHED_RESET_ON_FORK, 5);
        gives!(SCHED_RR | SCHED_RESET_ON_FORK, SYS_sched_getscheduler, 0);
        gives!(0, SYS_sched_setparam, 0, &6i32);
        gives!(SCHED_RR | SCHED_RESET_ON_FORK, SYS_sched_getscheduler, 0);
        set(SCHED_RR, 6);
        gives!(SCHED_RR, SYS_sched_getscheduler, 0);
    });
}

fn nobody_needs_a_limit() {
    passes(|| {
        assert!(limit(RLIMIT_RTPRIO, 0));
        become_nobody();
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_FIFO, &1i32);
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_RR, &1i32);
    });
    passes(|| {
        if !limit(RLIMIT_RTPRIO, 10) {
            return;
        }
        become_nobody();
        set(SCHED_FIFO, 10);
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_FIFO, &11i32);
        set(SCHED_RR, 9);
        fails!(EPERM, SYS_sched_setparam, 0, &11i32);
        gives!(0, SYS_sched_setparam, 0, &2i32);
        set(SCHED_OTHER, 0);
        set(SCHED_FIFO, 10);
    });
    // What it has, it may keep and lower.
    passes(|| {
        assert!(limit(RLIMIT_RTPRIO, 0));
        set(SCHED_FIFO, 20);
        become_nobody();
        set(SCHED_FIFO, 15);
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_FIFO, &16i32);
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_RR, &1i32);
        set(SCHED_OTHER, 0);
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_FIFO, &1i32);
    });
}

fn nobody_may_lower_itself() {
    passes(|| {
        assert!(limit(RLIMIT_NICE, 0));
        become_nobody();
        set(SCHED_BATCH, 0);
        set(SCHED_OTHER, 0);
        set(SCHED_IDLE, 0);
        // Back would be up.
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_OTHER, &0i32);
    });
    passes(|| {
        if !limit(RLIMIT_NICE, 20) {
            return;
        }
        become_nobody();
        set(SCHED_IDLE, 0);
        set(SCHED_OTHER, 0);
    });
    passes(|| {
        set(SCHED_OTHER | SCHED_RESET_ON_FORK, 0);
        become_nobody();
        fails!(EPERM, SYS_sched_setscheduler, 0, SCHED_OTHER, &0i32);
        set(SCHED_BATCH | SCHED_RESET_ON_FORK, 0);
    });
}

fn nobody_may_not_set_others() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_sched_setscheduler, child.pid, SCHED_BATCH, &0i32);
        gives!(SCHED_OTHER, SYS_sched_getscheduler, child.pid);
    });
    gate.open();
    child.passes();
}

fn turns_have_a_length() {
    passes(|| {
        let interval = || {
            let mut time = timespec {
                tv_sec: -1,
                tv_nsec: -1,
            };
            gives!(0, SYS_sched_rr_get_interval, 0, &mut time);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        };
        let shared = interval();
        assert!(shared < 1_000_000_000, "{shared} ns");
        set(SCHED_RR, 1);
        let quantum = interval();
        assert!((1_000_000..=200_000_000).contains(&quantum), "{quantum} ns");
        set(SCHED_FIFO, 1);
        assert_eq!(interval(), 0);
        fails!(EINVAL, SYS_sched_rr_get_interval, -1, &mut [0u64; 2]);
        fails!(ESRCH, SYS_sched_rr_get_interval, NOBODY, &mut [0u64; 2]);
        fails!(EFAULT, SYS_sched_rr_get_interval, 0, bad::<u64>());
        ok!(SYS_sched_yield);
    });
}
