//! getpriority, setpriority: of a process, a group, a user.

use super::policy::{limit, set};
use libc::{PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RLIMIT_NICE, SCHED_FIFO, SCHED_OTHER};
use test_programs::child::{Gate, become_nobody, passes, spawn};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    of_a_group,
    of_a_user,
    the_most_favoured_is_told,
    a_limit_allows_some,
    others_belong_to_others,
    it_outlasts_a_priority,
    wrong_ones,
);

fn of_a_group() {
    passes(|| {
        ok!(SYS_setpgid, 0, 0);
        let gate = Gate::new();
        let children = [spawn(|| gate.wait()), spawn(|| gate.wait())];
        gives!(0, SYS_setpriority, PRIO_PGRP, 0, 6);
        for child in &children {
            gives!(14, SYS_getpriority, PRIO_PROCESS, child.pid);
        }
        gives!(14, SYS_getpriority, PRIO_PROCESS, 0);
        let group = ok!(SYS_getpgrp);
        gives!(0, SYS_setpriority, PRIO_PGRP, group, 8);
        gives!(12, SYS_getpriority, PRIO_PGRP, group);
        gate.open();
        for child in children {
            child.passes();
        }
    });
}

fn of_a_user() {
    let gate = Gate::new();
    let inside = Gate::new();
    let child = spawn(|| {
        ok!(SYS_setresuid, 54_321, 54_321, 54_321);
        inside.open();
        gate.wait();
    });
    inside.wait();
    gives!(0, SYS_setpriority, PRIO_USER, 54_321, 3);
    gives!(17, SYS_getpriority, PRIO_USER, 54_321);
    gives!(17, SYS_getpriority, PRIO_PROCESS, child.pid);
    gives!(20, SYS_getpriority, PRIO_PROCESS, 0);
    fails!(ESRCH, SYS_getpriority, PRIO_USER, 54_322);
    fails!(ESRCH, SYS_setpriority, PRIO_USER, 54_322, 0);
    gate.open();
    child.passes();
}

fn the_most_favoured_is_told() {
    passes(|| {
        ok!(SYS_setpgid, 0, 0);
        let gate = Gate::new();
        let child = spawn(|| gate.wait());
        gives!(0, SYS_setpriority, PRIO_PROCESS, child.pid, -4);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 4);
        gives!(24, SYS_getpriority, PRIO_PGRP, 0);
        gate.open();
        child.passes();
    });
}

fn a_limit_allows_some() {
    passes(|| {
        if !limit(RLIMIT_NICE, 25) {
            return;
        }
        become_nobody();
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, -5);
        fails!(EACCES, SYS_setpriority, PRIO_PROCESS, 0, -6);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 19);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, -5);
    });
}

fn others_belong_to_others() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_setpriority, PRIO_PROCESS, child.pid, 10);
        gives!(20, SYS_getpriority, PRIO_PROCESS, child.pid);
    });
    gate.open();
    child.passes();
}

fn it_outlasts_a_priority() {
    passes(|| {
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 11);
        set(SCHED_FIFO, 5);
        gives!(9, SYS_getpriority, PRIO_PROCESS, 0);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 12);
        set(SCHED_OTHER, 0);
        gives!(8, SYS_getpriority, PRIO_PROCESS, 0);
    });
}

fn wrong_ones() {
    fails!(EINVAL, SYS_getpriority, 3, 0);
    fails!(EINVAL, SYS_setpriority, -1, 0, 0);
    fails!(ESRCH, SYS_setpriority, PRIO_PGRP, 999_999_999, 0);
    fails!(ESRCH, SYS_getpriority, PRIO_PGRP, 999_999_999);
}
