//! wait4, waitid, SIGCHLD.

use libc::{
    CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLOCK_PROCESS_CPUTIME_ID, P_ALL, P_PGID,
    P_PID, PR_SET_CHILD_SUBREAPER, RUSAGE_CHILDREN, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_RESTART,
    SIG_IGN, SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM,
    SIGTSTP, SIGTTIN, SIGUSR1, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED, rusage,
    timeval,
};
use std::sync::atomic::Ordering;
use test_programs::child::{Child, Gate, Status, fork, spawn, until};
use test_programs::raw::short::*;
use test_programs::signal::{self, RECORD};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    no_children,
    a_particular_child,
    any_child,
    children_come_once,
    by_process_group,
    wnohang,
    killed_children,
    stopped_and_continued,
    stop_without_wuntraced_is_not_told,
    wait_blocks_until_the_end,
    interrupted_by_a_signal,
    restarted_after_a_signal,
    status_pointer_is_optional,
    bad_pointers,
    bad_options,
    resource_usage_of_the_child,
    waitid_fields,
    waitid_nowait_leaves_it,
    waitid_errors,
    waitid_by_group_and_all,
    waitid_wnohang_clears_the_record,
    sigchld_is_sent,
    sigchld_says_how,
    sigchld_for_a_stop,
    nocldstop,
    ignored_sigchld_reaps_by_itself,
    nocldwait,
    zombies_stay_until_waited_for,
    kill_of_a_zombie_succeeds,
    another_thread_may_wait,
    grandchildren_are_not_ours,
    subreaper_adopts,
);

fn no_children() {
    let mut word = 7i32;
    fails!(ECHILD, SYS_wait4, -1, &mut word, 0, 0);
    fails!(ECHILD, SYS_wait4, 1, &mut word, 0, 0);
    fails!(ECHILD, SYS_wait4, pid(), &mut word, WNOHANG, 0);
    fails!(ECHILD, SYS_wait4, 999_999_999, &mut word, 0, 0);
    fails!(ECHILD, SYS_wait4, -999_999, &mut word, 0, 0);
    fails!(ESRCH, SYS_wait4, i32::MIN, &mut word, 0, 0);
    assert_eq!(word, 7);
}

fn a_particular_child() {
    let (a, b) = (fork(|| 1), fork(|| 2));
    assert_eq!(b.wait(), Status::Exited(2));
    assert_eq!(a.wait(), Status::Exited(1));
}

fn any_child() {
    let mut left: Vec<i32> = (0..5).map(|n| fork(move || n).pid).collect();
    for _ in 0..5 {
        let mut word = 0i32;
        let pid = ok!(SYS_wait4, -1, &mut word, 0, 0) as i32;
        let which = left
            .iter()
            .position(|p| *p == pid)
            .expect("one of ours, and only once");
        left[which] = 0;
        assert_eq!(Status::from_word(word), Status::Exited(which as i32));
    }
    fails!(ECHILD, SYS_wait4, -1, 0, 0, 0);
}

fn children_come_once() {
    let child = fork(|| 0);
    let pid = child.pid;
    assert_eq!(child.wait(), Status::Exited(0));
    fails!(ECHILD, SYS_wait4, pid, 0, 0, 0);
}

fn by_process_group() {
    let gate = Gate::new();
    let in_group = fork(|| {
        ok!(SYS_setpgid, 0, 0);
        gate.open();
        1
    });
    let other = fork(|| 2);
    gate.wait();
    let mut word = 0i32;
    gives!(in_group.pid, SYS_wait4, -in_group.pid, &mut word, 0, 0);
    assert_eq!(Status::from_word(word), Status::Exited(1));
    fails!(ECHILD, SYS_wait4, -in_group.pid, &mut word, 0, 0);
    // Zero is the caller's own group.
    gives!(other.pid, SYS_wait4, 0, &mut word, 0, 0);
}

fn wnohang() {
    let gate = Gate::new();
    let child = fork(|| {
        gate.wait();
        3
    });
    let mut word = 7i32;
    gives!(0, SYS_wait4, child.pid, &mut word, WNOHANG, 0);
    gives!(0, SYS_wait4, -1, &mut word, WNOHANG, 0);
    assert_eq!(word, 7);
    gate.open();
    until(|| ok!(SYS_wait4, child.pid, &mut word, WNOHANG, 0) != 0);
    assert_eq!(Status::from_word(word), Status::Exited(3));
}

fn killed_children() {
    for number in [
        SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE, 34, 64,
    ] {
        let child = fork(|| {
            loop {
                let _ = sys!(SYS_pause);
            }
        });
        child.signal(number);
        let mut word = 0i32;
        gives!(child.pid, SYS_wait4, child.pid, &mut word, 0, 0);
        assert_eq!(word, number, "the status word");
    }
}

fn stopped_and_continued() {
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    for stop in [SIGSTOP, SIGTSTP, SIGTTIN] {
        if stop != SIGSTOP && orphaned() {
            continue;
        }
        child.signal(stop);
        assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(stop));
        gives!(0, SYS_wait4, child.pid, 0, WUNTRACED | WNOHANG, 0);
        child.signal(SIGCONT);
        assert_eq!(child.wait_with(WCONTINUED), Status::Continued);
        gives!(0, SYS_wait4, child.pid, 0, WCONTINUED | WNOHANG, 0);
    }
    child.signal(SIGSTOP);
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
    // A stopped process can be killed.
    child.signal(SIGKILL);
    assert_eq!(child.wait(), Status::Killed(SIGKILL));
}

/// Below process 1 the group counts as orphaned, and the terminal's stop signals do nothing.
fn orphaned() -> bool {
    ok!(SYS_getppid) == 1
}

fn stop_without_wuntraced_is_not_told() {
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    child.signal(SIGSTOP);
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
    gives!(0, SYS_wait4, child.pid, 0, WNOHANG, 0);
    child.signal(SIGCONT);
    gives!(0, SYS_wait4, child.pid, 0, WNOHANG, 0);
    child.signal(SIGTERM);
    assert_eq!(child.wait(), Status::Killed(SIGTERM));
}

fn wait_blocks_until_the_end() {
    let gate = Gate::new();
    let slow = fork(|| {
        gate.wait();
        for _ in 0..200 {
            ok!(SYS_sched_yield);
        }
        8
    });
    gate.open();
    assert_eq!(slow.wait(), Status::Exited(8));
}

fn interrupted_by_a_signal() {
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    signal::catch(SIGALRM);
    signal::tick(2000);
    fails!(EINTR, SYS_wait4, child.pid, 0, 0, 0);
    signal::tick(0);
    child.signal(SIGKILL);
    assert_eq!(child.wait(), Status::Killed(SIGKILL));
}

fn restarted_after_a_signal() {
    let gate = Gate::new();
    let child = fork(|| {
        gate.wait();
        5
    });
    let parent = pid();
    signal::catch_with(SIGUSR1, SA_RESTART);
    let helper = spawn(|| {
        for _ in 0..50 {
            ok!(SYS_kill, parent, SIGUSR1);
            ok!(SYS_sched_yield);
        }
        gate.open();
    });
    let mut word = 0i32;
    gives!(child.pid, SYS_wait4, child.pid, &mut word, 0, 0);
    assert_eq!(Status::from_word(word), Status::Exited(5));
    helper.passes();
    assert!(RECORD.count() > 0);
}

fn status_pointer_is_optional() {
    let child = fork(|| 1);
    gives!(child.pid, SYS_wait4, child.pid, 0, 0, 0);
}

fn bad_pointers() {
    let child = fork(|| 1);
    until(|| {
        let mut info = [0i32; 32];
        ok!(
            SYS_waitid,
            P_PID,
            child.pid,
            &mut info,
            WEXITED | WNOHANG | WNOWAIT,
            0
        );
        info[0] != 0
    });
    fails!(EFAULT, SYS_wait4, child.pid, bad::<i32>(), 0, 0);
    // Whether the child is still there after the fault is the kernel's choice.
    let _ = sys!(SYS_wait4, child.pid, 0, 0, 0);
    let child = fork(|| 1);
    fails!(EFAULT, SYS_wait4, child.pid, 0, 0, bad::<rusage>());
}

fn bad_options() {
    let child = fork(|| 0);
    fails!(EINVAL, SYS_wait4, child.pid, 0, 0x100, 0);
    fails!(EINVAL, SYS_wait4, child.pid, 0, WNOWAIT, 0);
    fails!(EINVAL, SYS_wait4, child.pid, 0, WEXITED, 0);
    child.passes();
}

fn resource_usage_of_the_child() {
    let child = spawn(|| {
        let start = clock(CLOCK_PROCESS_CPUTIME_ID);
        while clock(CLOCK_PROCESS_CPUTIME_ID) - start < 30_000_000 {}
    });
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: rusage = unsafe { std::mem::zeroed() };
    let mut word = 0i32;
    gives!(child.pid, SYS_wait4, child.pid, &mut word, 0, &mut usage);
    assert_eq!(Status::from_word(word), Status::Exited(0));
    let micros = |t: timeval| t.tv_sec * 1_000_000 + t.tv_usec;
    let used = micros(usage.ru_utime) + micros(usage.ru_stime);
    assert!((20_000..10_000_000).contains(&used), "{used} us");
    // SAFETY: as above.
    let mut all: rusage = unsafe { std::mem::zeroed() };
    ok!(SYS_getrusage, RUSAGE_CHILDREN, &mut all);
    assert!(micros(all.ru_utime) + micros(all.ru_stime) >= used);
}

/// The fields of a SIGCHLD record: signal, errno, code, pad, pid, uid, status.
type Info = [i32; 32];

fn waitid_fields() {
    let mut info: Info = [0; 32];
    let child = fork(|| 42);
    gives!(0, SYS_waitid, P_PID, child.pid, &mut info, WEXITED, 0);
    assert_eq!(
        (info[0], info[2], info[4], info[5], info[6]),
        (SIGCHLD, CLD_EXITED, child.pid, 0, 42)
    );
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    child.signal(SIGSTOP);
    gives!(0, SYS_waitid, P_PID, child.pid, &mut info, WSTOPPED, 0);
    assert_eq!((info[2], info[6]), (CLD_STOPPED, SIGSTOP));
    child.signal(SIGCONT);
    gives!(0, SYS_waitid, P_PID, child.pid, &mut info, WCONTINUED, 0);
    assert_eq!((info[2], info[6]), (CLD_CONTINUED, SIGCONT));
    child.signal(SIGKILL);
    gives!(0, SYS_waitid, P_PID, child.pid, &mut info, WEXITED, 0);
    assert_eq!((info[2], info[6]), (CLD_KILLED, SIGKILL));
}

fn waitid_nowait_leaves_it() {
    let child = fork(|| 7);
    let mut info: Info = [0; 32];
    for _ in 0..3 {
        gives!(
            0,
            SYS_waitid,
            P_PID,
            child.pid,
            &mut info,
            WEXITED | WNOWAIT,
            0
        );
        assert_eq!(info[6], 7);
    }
    assert_eq!(child.wait(), Status::Exited(7));
}

fn waitid_errors() {
    let mut info: Info = [0; 32];
    fails!(ECHILD, SYS_waitid, P_ALL, 0, &mut info, WEXITED, 0);
    let child = fork(|| 0);
    fails!(EINVAL, SYS_waitid, P_PID, child.pid, &mut info, 0, 0);
    fails!(EINVAL, SYS_waitid, P_PID, child.pid, &mut info, WNOHANG, 0);
    fails!(
        EINVAL,
        SYS_waitid,
        P_PID,
        child.pid,
        &mut info,
        WEXITED | 0x100,
        0
    );
    fails!(EINVAL, SYS_waitid, 77, child.pid, &mut info, WEXITED, 0);
    fails!(EINVAL, SYS_waitid, P_PID, 0, &mut info, WEXITED, 0);
    gives!(0, SYS_waitid, P_PID, child.pid, 0, WEXITED, 0);
}

fn waitid_by_group_and_all() {
    let child = fork(|| 0);
    let mut info: Info = [0; 32];
    gives!(0, SYS_waitid, P_PGID, 0, &mut info, WEXITED, 0);
    assert_eq!(info[4], child.pid);
    let child = fork(|| 0);
    gives!(0, SYS_waitid, P_ALL, 0, &mut info, WEXITED, 0);
    assert_eq!(info[4], child.pid);
}

fn waitid_wnohang_clears_the_record() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    let mut info: Info = [9; 32];
    gives!(
        0,
        SYS_waitid,
        P_PID,
        child.pid,
        &mut info,
        WEXITED | WNOHANG,
        0
    );
    assert_eq!((info[0], info[4]), (0, 0));
    gate.open();
    child.passes();
}

fn sigchld_is_sent() {
    signal::catch(SIGCHLD);
    let child = fork(|| 0);
    until(|| RECORD.count() == 1);
    child.passes();
    assert_eq!(RECORD.count(), 1);
}

fn sigchld_says_how() {
    signal::catch(SIGCHLD);
    let child = fork(|| 21);
    until(|| RECORD.count() == 1);
    let seen = || {
        (
            RECORD.code.load(Ordering::SeqCst),
            RECORD.sender.load(Ordering::SeqCst),
            RECORD.status.load(Ordering::SeqCst),
        )
    };
    assert_eq!(seen(), (CLD_EXITED, child.pid, 21));
    child.wait();
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    child.signal(SIGTERM);
    until(|| RECORD.count() == 2);
    assert_eq!(seen(), (CLD_KILLED, child.pid, SIGTERM));
    child.wait();
}

fn sigchld_for_a_stop() {
    signal::catch(SIGCHLD);
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    child.signal(SIGSTOP);
    until(|| RECORD.count() == 1);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), CLD_STOPPED);
    child.signal(SIGCONT);
    until(|| RECORD.count() == 2);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), CLD_CONTINUED);
    child.signal(SIGKILL);
    child.wait();
}

fn nocldstop() {
    signal::catch_with(SIGCHLD, SA_NOCLDSTOP);
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    child.signal(SIGSTOP);
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
    child.signal(SIGCONT);
    assert_eq!(child.wait_with(WCONTINUED), Status::Continued);
    assert_eq!(RECORD.count(), 0);
    child.signal(SIGKILL);
    child.wait();
    assert_eq!(RECORD.count(), 1);
}

fn ignored_sigchld_reaps_by_itself() {
    signal::dispose(SIGCHLD, SIG_IGN);
    let children: Vec<Child> = (0..5).map(|n| fork(move || n)).collect();
    // The wait blocks until all are gone, then says that there are none.
    fails!(ECHILD, SYS_wait4, -1, 0, 0, 0);
    for child in children {
        fails!(ESRCH, SYS_kill, child.pid, 0);
    }
}

fn nocldwait() {
    signal::catch_with(SIGCHLD, SA_NOCLDWAIT);
    let child = fork(|| 0);
    fails!(ECHILD, SYS_wait4, child.pid, 0, 0, 0);
    until(|| RECORD.count() == 1);
}

fn zombies_stay_until_waited_for() {
    let child = fork(|| 4);
    let mut info: Info = [0; 32];
    gives!(
        0,
        SYS_waitid,
        P_PID,
        child.pid,
        &mut info,
        WEXITED | WNOWAIT,
        0
    );
    gives!(0, SYS_kill, child.pid, 0);
    assert_eq!(ok!(SYS_getpgid, child.pid), ok!(SYS_getpgid, 0));
    assert_eq!(child.wait_with(0), Status::Exited(4));
    fails!(ESRCH, SYS_kill, child.pid, 0);
}

fn kill_of_a_zombie_succeeds() {
    let child = fork(|| 4);
    let mut info: Info = [0; 32];
    gives!(
        0,
        SYS_waitid,
        P_PID,
        child.pid,
        &mut info,
        WEXITED | WNOWAIT,
        0
    );
    gives!(0, SYS_kill, child.pid, SIGKILL);
    assert_eq!(child.wait(), Status::Exited(4));
}

fn another_thread_may_wait() {
    let child = fork(|| 6);
    let status = std::thread::spawn(|| child.wait()).join().unwrap();
    assert_eq!(status, Status::Exited(6));
    let gate = Gate::new();
    let number = std::thread::scope(|s| s.spawn(|| spawn(|| gate.wait()).pid).join().unwrap());
    gate.open();
    Child { pid: number }.passes();
}

fn grandchildren_are_not_ours() {
    let (reader, writer) = pipe();
    let (done, seen) = (Gate::new(), Gate::new());
    let child = spawn(|| {
        let inner = spawn(|| done.wait());
        write(writer, &inner.pid.to_le_bytes());
        seen.wait();
        done.open();
        inner.passes();
    });
    let inner = i32::from_le_bytes(read(reader, 4).try_into().unwrap());
    fails!(ECHILD, SYS_wait4, inner, 0, 0, 0);
    seen.open();
    child.passes();
}

fn subreaper_adopts() {
    gives!(0, SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    let gate = Gate::new();
    let middle = spawn(|| {
        let _ = fork(|| {
            gate.wait();
            9
        });
    });
    middle.passes();
    gate.open();
    let mut word = 0i32;
    ok!(SYS_wait4, -1, &mut word, 0, 0);
    assert_eq!(Status::from_word(word), Status::Exited(9));
}
