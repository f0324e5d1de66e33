//! What children, threads and new programs take over.

use super::policy::{priority, set};
use libc::{
    PRIO_PROCESS, SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RESET_ON_FORK, SCHED_RR,
};
use test_programs::child::passes;
use test_programs::gives;

test_programs::tests!(
    children_inherit,
    threads_inherit,
    children_may_begin_afresh,
    niceness_below_normal_is_reset,
);

fn children_inherit() {
    for (policy, value) in [
        (SCHED_FIFO, 3),
        (SCHED_RR, 99),
        (SCHED_BATCH, 0),
        (SCHED_IDLE, 0),
    ] {
        passes(|| {
            set(policy, value);
            passes(|| {
                gives!(policy, SYS_sched_getscheduler, 0);
                assert_eq!(priority(), value);
            });
        });
    }
}

fn threads_inherit() {
    passes(|| {
        set(SCHED_RR, 4);
        let seen = std::thread::spawn(|| {
            gives!(SCHED_RR, SYS_sched_getscheduler, 0);
            let seen = priority();
            set(SCHED_FIFO, 8);
            seen
        });
        assert_eq!(seen.join().unwrap(), 4);
        // Each thread has its own.
        gives!(SCHED_RR, SYS_sched_getscheduler, 0);
        assert_eq!(priority(), 4);
    });
}

fn children_may_begin_afresh() {
    passes(|| {
        set(SCHED_FIFO | SCHED_RESET_ON_FORK, 30);
        passes(|| {
            gives!(SCHED_OTHER, SYS_sched_getscheduler, 0);
            gives!(20, SYS_getpriority, PRIO_PROCESS, 0);
        });
        gives!(SCHED_FIFO | SCHED_RESET_ON_FORK, SYS_sched_getscheduler, 0);
    });
}

fn niceness_below_normal_is_reset() {
    for (nice, inherited) in [(-7, 0), (7, 7)] {
        passes(|| {
            set(SCHED_BATCH | SCHED_RESET_ON_FORK, 0);
            gives!(0, SYS_setpriority, PRIO_PROCESS, 0, nice);
            passes(|| {
                gives!(SCHED_BATCH, SYS_sched_getscheduler, 0);
                gives!(20 - inherited, SYS_getpriority, PRIO_PROCESS, 0);
            });
        });
    }
}
