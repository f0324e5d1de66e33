//! Process groups and sessions: setpgid, getpgid, setsid, getsid.

use libc::{EACCES, P_PID, SIGHUP, SIGKILL, SIGSTOP, SIGTERM, WEXITED, WNOWAIT, WUNTRACED};
use test_programs::child::{Gate, exec_helper, fork, passes, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    a_child_is_in_its_parents_group,
    setpgid_makes_a_group,
    setpgid_joins_a_group,
    setpgid_of_a_child,
    setpgid_after_exec_is_refused,
    setpgid_errors,
    setpgid_across_sessions,
    setsid_makes_a_session,
    setsid_of_a_group_leader,
    a_session_leader_stays_in_its_group,
    asking_about_others,
    asking_about_nobody,
    kill_reaches_the_group,
    kill_of_an_empty_group,
    a_group_outlives_its_leader,
    orphaned_stopped_group_gets_hangup,
);

fn group(of: i32) -> i32 {
    ok!(SYS_getpgid, of) as i32
}

fn session(of: i32) -> i32 {
    ok!(SYS_getsid, of) as i32
}

fn a_child_is_in_its_parents_group() {
    let (g, s) = (group(0), session(0));
    passes(|| {
        assert_eq!((group(0), session(0), ok!(SYS_getpgrp) as i32), (g, s, g));
        assert_ne!(g, pid());
    });
}

fn setpgid_makes_a_group() {
    passes(|| {
        gives!(0, SYS_setpgid, 0, 0);
        assert_eq!(group(0), pid());
        gives!(0, SYS_setpgid, pid(), pid());
    });
}

fn setpgid_joins_a_group() {
    let gate = Gate::new();
    let leader = spawn(|| {
        ok!(SYS_setpgid, 0, 0);
        gate.wait();
    });
    test_programs::child::until(|| group(leader.pid) == leader.pid);
    passes(|| {
        gives!(0, SYS_setpgid, 0, leader.pid);
        assert_eq!(group(0), leader.pid);
    });
    gate.open();
    leader.passes();
}

fn setpgid_of_a_child() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    gives!(0, SYS_setpgid, child.pid, child.pid);
    assert_eq!(group(child.pid), child.pid);
    gives!(0, SYS_setpgid, child.pid, group(0));
    gives!(0, SYS_setpgid, child.pid, 0);
    gate.open();
    child.passes();
}

fn setpgid_after_exec_is_refused() {
    let (reader, writer) = pipe();
    let (input, feed) = pipe();
    let child = fork(|| {
        ok!(SYS_dup2, writer, 1);
        ok!(SYS_dup2, input, 0);
        close(feed);
        exec_helper(&["numbers"], &[])
    });
    // Its line shows that it is another program now.
    assert!(!read(reader, 100).is_empty());
    let result = sys!(SYS_setpgid, child.pid, child.pid);
    assert_eq!(result, Err(EACCES));
    child.passes();
}

fn setpgid_errors() {
    fails!(EINVAL, SYS_setpgid, 0, -1);
    fails!(ESRCH, SYS_setpgid, 999_999_999, 0);
    fails!(ESRCH, SYS_setpgid, -5, 5);
    // Not a child of ours.
    fails!(ESRCH, SYS_setpgid, ok!(SYS_getppid), 0);
    passes(|| {
        fails!(EPERM, SYS_setpgid, 0, 999_999_999);
        fails!(EPERM, SYS_setpgid, 0, 2_000_000);
    });
}

fn setpgid_across_sessions() {
    let (ready, done) = (Gate::new(), Gate::new());
    let child = spawn(|| {
        ok!(SYS_setsid);
        ready.open();
        done.wait();
    });
    ready.wait();
    fails!(EPERM, SYS_setpgid, child.pid, group(0));
    fails!(EPERM, SYS_setpgid, child.pid, child.pid);
    passes(|| {
        fails!(EPERM, SYS_setpgid, 0, child.pid);
    });
    done.open();
    child.passes();
}

fn setsid_makes_a_session() {
    passes(|| {
        gives!(pid(), SYS_setsid);
        assert_eq!((session(0), group(0)), (pid(), pid()));
        let leader = pid();
        passes(|| assert_eq!((session(0), group(0)), (leader, leader)));
    });
}

fn setsid_of_a_group_leader() {
    passes(|| {
        ok!(SYS_setpgid, 0, 0);
        fails!(EPERM, SYS_setsid);
    });
    passes(|| {
        ok!(SYS_setsid);
        fails!(EPERM, SYS_setsid);
    });
}

fn a_session_leader_stays_in_its_group() {
    passes(|| {
        ok!(SYS_setsid);
        let child = spawn(|| {
            ok!(SYS_setpgid, 0, 0);
            loop {
                let _ = sys!(SYS_pause);
            }
        });
        test_programs::child::until(|| group(child.pid) == child.pid);
        fails!(EPERM, SYS_setpgid, 0, child.pid);
        child.signal(SIGKILL);
        child.wait();
    });
}

fn asking_about_others() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    assert_eq!(
        (group(child.pid), session(child.pid)),
        (group(0), session(0))
    );
    assert_eq!(group(pid()), group(0));
    gate.open();
    child.passes();
}

fn asking_about_nobody() {
    fails!(ESRCH, SYS_getpgid, 999_999_999);
    fails!(ESRCH, SYS_getsid, 999_999_999);
    fails!(ESRCH, SYS_getpgid, -1);
    fails!(ESRCH, SYS_getsid, -1);
}

fn kill_reaches_the_group() {
    let leader = fork(|| {
        ok!(SYS_setpgid, 0, 0);
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    test_programs::child::until(|| group(leader.pid) == leader.pid);
    let members: Vec<_> = (0..3)
        .map(|_| {
            let member = fork(|| {
                loop {
                    let _ = sys!(SYS_pause);
                }
            });
            ok!(SYS_setpgid, member.pid, leader.pid);
            member
        })
        .collect();
    ok!(SYS_kill, -leader.pid, SIGTERM);
    for child in members.into_iter().chain([leader]) {
        assert_eq!(child.wait(), test_programs::child::Status::Killed(SIGTERM));
    }
}

fn kill_of_an_empty_group() {
    let child = spawn(|| {
        ok!(SYS_setpgid, 0, 0);
    });
    let number = child.pid;
    child.passes();
    fails!(ESRCH, SYS_kill, -number, 0);
}

fn a_group_outlives_its_leader() {
    let gate = Gate::new();
    let leader = spawn(|| {
        ok!(SYS_setpgid, 0, 0);
    });
    let number = leader.pid;
    let mut info = [0i32; 32];
    ok!(SYS_waitid, P_PID, number, &mut info, WEXITED | WNOWAIT, 0);
    let member = spawn(|| gate.wait());
    ok!(SYS_setpgid, member.pid, number);
    leader.passes();
    assert_eq!(group(member.pid), number);
    gives!(0, SYS_kill, -number, 0);
    passes(|| {
        gives!(0, SYS_setpgid, 0, number);
    });
    gate.open();
    member.passes();
    fails!(ESRCH, SYS_kill, -number, 0);
}

/// A stopped group whose last tie to the session goes gets SIGHUP and SIGCONT, so that nobody sleeps for ever.
fn orphaned_stopped_group_gets_hangup() {
    let (reader, writer) = pipe();
    let middle = spawn(|| {
        ok!(SYS_setsid);
        let worker = fork(|| {
            ok!(SYS_setpgid, 0, 0);
            test_programs::signal::catch(SIGHUP);
            write(writer, b"ready");
            while test_programs::signal::RECORD.count() == 0 {
                let _ = sys!(SYS_nanosleep, &timespec(1_000_000), 0);
            }
            write(writer, b"hangup");
            0
        });
        assert_eq!(read(reader, 5), b"ready");
        worker.signal(SIGSTOP);
        assert_eq!(
            worker.wait_with(WUNTRACED),
            test_programs::child::Status::Stopped(SIGSTOP)
        );
    });
    middle.passes();
    close(writer);
    assert_eq!(read(reader, 6), b"hangup");
}
