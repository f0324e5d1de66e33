//! kill, tkill, tgkill: whom a signal reaches and who may send it.

use libc::{
    FIONREAD, SIG_DFL, SIG_IGN, SIG_SETMASK, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGUSR1, WNOHANG, WUNTRACED,
};
use std::sync::atomic::Ordering;
use test_programs::child::{Child, Gate, Status, become_nobody, fork, passes, spawn, until};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, block, catch, dispose};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    signal_zero_asks,
    nobody_there,
    wrong_numbers,
    own_group,
    another_group,
    permission_by_user,
    permission_by_saved_user,
    continue_within_the_session,
    permission_for_a_group_needs_one,
    a_blocked_process_is_reached,
    a_sleeping_process_is_woken,
    a_running_process_is_reached,
    stop_and_continue,
    a_stopped_process_keeps_signals,
    continue_discards_stops,
    kill_ends_a_stopped_process,
    kill_cannot_be_blocked,
    many_processes_at_once,
);

fn waiting() -> Child {
    fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    })
}

fn signal_zero_asks() {
    let child = waiting();
    gives!(0, SYS_kill, child.pid, 0);
    gives!(0, SYS_kill, pid(), 0);
    child.signal(SIGKILL);
    let number = child.pid;
    child.wait();
    fails!(ESRCH, SYS_kill, number, 0);
}

fn nobody_there() {
    fails!(ESRCH, SYS_kill, 999_999_999, SIGTERM);
    fails!(ESRCH, SYS_kill, -999_999_999, SIGTERM);
    fails!(ESRCH, SYS_kill, i32::MIN, SIGTERM);
}

fn wrong_numbers() {
    for signal in [-1, 65, 100, i32::MAX] {
        fails!(EINVAL, SYS_kill, pid(), signal);
        fails!(EINVAL, SYS_tgkill, pid(), pid(), signal);
    }
}

fn own_group() {
    passes(|| {
        ok!(SYS_setpgid, 0, 0);
        dispose(SIGTERM, SIG_IGN);
        let gate = Gate::new();
        let children: Vec<Child> = (0..3)
            .map(|_| {
                fork(|| {
                    dispose(SIGTERM, SIG_DFL);
                    gate.open();
                    loop {
                        let _ = sys!(SYS_pause);
                    }
                })
            })
            .collect();
        gate.wait();
        let mut left = children;
        until(|| {
            ok!(SYS_kill, 0, SIGTERM);
            left.retain(|c| {
                let mut word = 0i32;
                ok!(SYS_wait4, c.pid, &mut word, WNOHANG, 0) == 0
            });
            left.is_empty()
        });
    });
}

fn another_group() {
    let leader = waiting();
    ok!(SYS_setpgid, leader.pid, leader.pid);
    let member = waiting();
    ok!(SYS_setpgid, member.pid, leader.pid);
    let outside = waiting();
    ok!(SYS_kill, -leader.pid, SIGUSR1);
    assert_eq!(
        (leader.wait(), member.wait()),
        (Status::Killed(SIGUSR1), Status::Killed(SIGUSR1))
    );
    gives!(0, SYS_wait4, outside.pid, 0, WNOHANG, 0);
    outside.signal(SIGKILL);
    outside.wait();
}

fn permission_by_user() {
    let root = pid();
    let gate = Gate::new();
    let other = fork(|| {
        ok!(SYS_setresuid, 500, 500, 500);
        gate.open();
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    gate.wait();
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_kill, root, 0);
        fails!(EPERM, SYS_kill, root, SIGTERM);
        fails!(EPERM, SYS_kill, other.pid, SIGTERM);
        gives!(0, SYS_kill, pid(), 0);
    });
    passes(|| {
        ok!(SYS_setresuid, 500, 500, 500);
        gives!(0, SYS_kill, other.pid, SIGTERM);
    });
    assert_eq!(other.wait(), Status::Killed(SIGTERM));
}

/// The sender's real or effective user must be the target's real or saved one.
fn permission_by_saved_user() {
    let gate = Gate::new();
    let target = fork(|| {
        ok!(SYS_setresuid, 500, 501, 502);
        gate.open();
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    gate.wait();
    for (user, allowed) in [(500, true), (501, false), (502, true)] {
        passes(|| {
            ok!(SYS_setresuid, user, user, user);
            assert_eq!(
                sys!(SYS_kill, target.pid, 0).is_ok(),
                allowed,
                "user {user}"
            );
        });
    }
    target.signal(SIGKILL);
    target.wait();
}

fn continue_within_the_session() {
    let target = waiting();
    passes(|| {
        become_nobody();
        gives!(0, SYS_kill, target.pid, SIGCONT);
        fails!(EPERM, SYS_kill, target.pid, SIGTERM);
        ok!(SYS_setsid);
        fails!(EPERM, SYS_kill, target.pid, SIGCONT);
    });
    target.signal(SIGKILL);
    target.wait();
}

fn permission_for_a_group_needs_one() {
    let gate = Gate::new();
    let leader = waiting();
    ok!(SYS_setpgid, leader.pid, leader.pid);
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_kill, -leader.pid, SIGTERM);
    });
    let mine = fork(|| {
        ok!(SYS_setpgid, 0, leader.pid);
        become_nobody();
        gate.open();
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    gate.wait();
    passes(|| {
        become_nobody();
        gives!(0, SYS_kill, -leader.pid, SIGTERM);
    });
    assert_eq!(mine.wait(), Status::Killed(SIGTERM));
    gives!(0, SYS_wait4, leader.pid, 0, WNOHANG, 0);
    leader.signal(SIGKILL);
    leader.wait();
}

fn a_blocked_process_is_reached() {
    let (reader, _writer) = pipe();
    let child = fork(|| {
        let mut byte = 0u8;
        let _ = sys!(SYS_read, reader, &mut byte, 1);
        0
    });
    ok!(SYS_sched_yield);
    child.signal(SIGTERM);
    assert_eq!(child.wait(), Status::Killed(SIGTERM));
}

fn a_sleeping_process_is_woken() {
    let child = fork(|| {
        let _ = sys!(SYS_nanosleep, &timespec(1_000_000_000_000), 0);
        0
    });
    ok!(SYS_sched_yield);
    let start = monotonic();
    child.signal(SIGTERM);
    assert_eq!(child.wait(), Status::Killed(SIGTERM));
    assert!(monotonic() - start < 30_000_000_000);
}

fn a_running_process_is_reached() {
    let child = fork(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    child.signal(SIGTERM);
    assert_eq!(child.wait(), Status::Killed(SIGTERM));
}

fn stop_and_continue() {
    let (reader, writer) = pipe();
    let child = spawn(|| {
        for n in 0..3u8 {
            test_programs::signal::raise(SIGSTOP);
            write(writer, &[n]);
        }
    });
    for n in 0..3u8 {
        assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
        let mut bytes = 0i32;
        ok!(SYS_ioctl, reader, FIONREAD, &mut bytes);
        assert_eq!(bytes, 0, "it went on while stopped");
        child.signal(SIGCONT);
        assert_eq!(read(reader, 1), [n]);
    }
    child.passes();
}

fn a_stopped_process_keeps_signals() {
    let child = spawn(|| {
        catch(SIGUSR1);
        test_programs::signal::raise(SIGSTOP);
        assert_eq!(RECORD.count(), 1);
    });
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
    child.signal(SIGUSR1);
    gives!(0, SYS_wait4, child.pid, 0, WNOHANG | WUNTRACED, 0);
    child.signal(SIGCONT);
    child.passes();
}

fn continue_discards_stops() {
    passes(|| {
        for signal in [SIGTSTP, SIGTTIN, SIGTTOU] {
            block(signal);
            test_programs::signal::raise(signal);
        }
        assert_ne!(test_programs::signal::pending(), 0);
        test_programs::signal::raise(SIGCONT);
        assert_eq!(test_programs::signal::pending(), 0);
        block(SIGCONT);
        test_programs::signal::raise(SIGCONT);
        test_programs::signal::raise(SIGTSTP);
        assert_eq!(
            test_programs::signal::pending(),
            test_programs::signal::bit(SIGTSTP)
        );
    });
}

fn kill_ends_a_stopped_process() {
    let child = waiting();
    child.signal(SIGSTOP);
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
    child.signal(SIGTERM);
    gives!(0, SYS_wait4, child.pid, 0, WNOHANG, 0);
    child.signal(SIGKILL);
    assert_eq!(child.wait(), Status::Killed(SIGKILL));
}

fn kill_cannot_be_blocked() {
    let gate = Gate::new();
    let child = fork(|| {
        test_programs::signal::mask(SIG_SETMASK, u64::MAX);
        gate.open();
        loop {
            std::hint::spin_loop();
        }
    });
    gate.wait();
    child.signal(SIGTERM);
    child.signal(SIGKILL);
    assert_eq!(child.wait(), Status::Killed(SIGKILL));
}

fn many_processes_at_once() {
    let children: Vec<Child> = (0..50).map(|_| waiting()).collect();
    for child in &children {
        child.signal(SIGTERM);
    }
    assert!(
        children
            .into_iter()
            .all(|c| c.wait() == Status::Killed(SIGTERM))
    );
    assert_eq!(RECORD.count.load(Ordering::SeqCst), 0);
}
