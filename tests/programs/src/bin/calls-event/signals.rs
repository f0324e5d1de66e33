//! signalfd.

use crate::epoll::{IN, add, epoll, wait};
use libc::{
    EPOLLIN, POLLIN, SFD_CLOEXEC, SFD_NONBLOCK, SIGCHLD, SIGKILL, SIGRTMIN, SIGUSR1, SIGUSR2,
    pollfd, signalfd_siginfo,
};
use test_programs::child::{Status, fork, spawn};
use test_programs::raw::short::*;
use test_programs::signal::{bit, block, pending, raise, unblock};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    reads_what_is_pending,
    waits_for_a_signal,
    several_at_once,
    queued_values,
    ends_of_children,
    is_polled,
    in_an_epoll_set,
    the_mask_can_change,
    what_is_not_blocked_is_not_read,
    a_child_reads_its_own,
    of_one_thread,
    errors,
);

fn signalfd(signals: &[i32], flags: i32) -> usize {
    let mask = signals.iter().fold(0, |mask, signal| mask | bit(*signal));
    for signal in signals {
        block(*signal);
    }
    ok!(SYS_signalfd4, -1, &mask, 8, flags)
}

fn record() -> signalfd_siginfo {
    // SAFETY: plain numbers.
    unsafe { std::mem::zeroed() }
}

const SIZE: usize = 128;

fn next(fd: usize) -> signalfd_siginfo {
    let mut record = record();
    gives!(SIZE, SYS_read, fd, &mut record, SIZE);
    record
}

fn reads_what_is_pending() {
    let fd = signalfd(&[SIGUSR1], SFD_NONBLOCK);
    fails!(EAGAIN, SYS_read, fd, &mut record(), SIZE);
    raise(SIGUSR1);
    let info = next(fd);
    assert_eq!(info.ssi_signo, SIGUSR1 as u32);
    assert_eq!(info.ssi_pid, pid() as u32);
    assert_eq!(info.ssi_uid, 0);
    assert_eq!(pending(), 0);
    fails!(EAGAIN, SYS_read, fd, &mut record(), SIZE);
}

fn waits_for_a_signal() {
    let fd = signalfd(&[SIGUSR2], 0);
    let parent = pid();
    for _ in 0..20 {
        let child = spawn(|| {
            ok!(SYS_sched_yield);
            ok!(SYS_kill, parent, SIGUSR2);
        });
        let info = next(fd);
        assert_eq!(
            (info.ssi_signo, info.ssi_pid),
            (SIGUSR2 as u32, child.pid as u32)
        );
        child.passes();
    }
}

fn several_at_once() {
    let fd = signalfd(&[SIGUSR1, SIGUSR2, SIGRTMIN()], SFD_NONBLOCK);
    for signal in [SIGUSR2, SIGUSR1, SIGRTMIN(), SIGRTMIN()] {
        ok!(SYS_kill, pid(), signal);
    }
    let mut records = [record(); 3];
    gives!(3 * SIZE, SYS_read, fd, &mut records, 3 * SIZE + 5);
    let numbers = records.map(|record| record.ssi_signo as i32);
    assert_eq!(numbers, [SIGUSR1, SIGUSR2, SIGRTMIN()]);
    gives!(SIZE, SYS_read, fd, &mut records, 3 * SIZE);
    fails!(EAGAIN, SYS_read, fd, &mut records, 3 * SIZE);
}

fn queued_values() {
    let fd = signalfd(&[SIGRTMIN()], SFD_NONBLOCK);
    let mut info = [0u32; 32];
    info[0] = SIGRTMIN() as u32;
    info[2] = -1i32 as u32;
    for value in [11, 22] {
        info[6] = value;
        ok!(SYS_rt_sigqueueinfo, pid(), SIGRTMIN(), &info);
    }
    for value in [11, 22] {
        let info = next(fd);
        assert_eq!(
            (info.ssi_code, info.ssi_int, info.ssi_ptr),
            (-1, value, value as u64)
        );
    }
}

fn ends_of_children() {
    let fd = signalfd(&[SIGCHLD], 0);
    let child = fork(|| 7);
    let info = next(fd);
    assert_eq!(
        (info.ssi_signo, info.ssi_pid, info.ssi_status, info.ssi_code),
        (SIGCHLD as u32, child.pid as u32, 7, libc::CLD_EXITED)
    );
    assert_eq!(child.wait(), Status::Exited(7));
}

fn polled(fd: usize) -> i16 {
    let mut list = [pollfd {
        fd: fd as i32,
        events: POLLIN,
        revents: 0,
    }];
    ok!(SYS_poll, &mut list, 1, 0);
    list[0].revents
}

fn is_polled() {
    let fd = signalfd(&[SIGUSR1], 0);
    assert_eq!(polled(fd), 0);
    raise(SIGUSR1);
    assert_eq!(polled(fd), POLLIN);
    next(fd);
    assert_eq!(polled(fd), 0);
    // Taken by somebody else.
    raise(SIGUSR1);
    gives!(
        SIGUSR1,
        SYS_rt_sigtimedwait,
        &bit(SIGUSR1),
        0,
        &timespec(0),
        8
    );
    assert_eq!(polled(fd), 0);
    let parent = pid();
    let child = spawn(|| {
        ok!(SYS_sched_yield);
        ok!(SYS_kill, parent, SIGUSR1);
    });
    let mut list = [pollfd {
        fd: fd as i32,
        events: POLLIN,
        revents: 0,
    }];
    gives!(1, SYS_poll, &mut list, 1, -1);
    child.passes();
}

fn in_an_epoll_set() {
    let fd = signalfd(&[SIGUSR1], 0);
    let poll = epoll();
    add(poll, fd, EPOLLIN, 3);
    assert_eq!(wait(poll, 0), []);
    let parent = pid();
    let child = spawn(|| {
        ok!(SYS_sched_yield);
        ok!(SYS_kill, parent, SIGUSR1);
    });
    assert_eq!(wait(poll, -1), [(IN, 3)]);
    child.passes();
    next(fd);
    assert_eq!(wait(poll, 0), []);
}

fn the_mask_can_change() {
    let fd = signalfd(&[SIGUSR1], SFD_NONBLOCK);
    block(SIGUSR2);
    raise(SIGUSR2);
    assert_eq!(polled(fd), 0);
    gives!(fd, SYS_signalfd4, fd, &bit(SIGUSR2), 8, 0);
    assert_eq!(polled(fd), POLLIN);
    assert_eq!(next(fd).ssi_signo, SIGUSR2 as u32);
}

fn what_is_not_blocked_is_not_read() {
    let fd = signalfd(&[SIGUSR1], SFD_NONBLOCK);
    test_programs::signal::catch(SIGUSR1);
    unblock(SIGUSR1);
    raise(SIGUSR1);
    assert_eq!(test_programs::signal::RECORD.count(), 1);
    fails!(EAGAIN, SYS_read, fd, &mut record(), SIZE);
    assert_eq!(polled(fd), 0);
}

/// Whose signals are read is who reads, not who made it.
fn a_child_reads_its_own() {
    let fd = signalfd(&[SIGUSR1], SFD_NONBLOCK);
    raise(SIGUSR1);
    fork(|| {
        fails!(EAGAIN, SYS_read, fd, &mut record(), SIZE);
        assert_eq!(polled(fd), 0);
        raise(SIGUSR1);
        assert_eq!(polled(fd), POLLIN);
        assert_eq!(next(fd).ssi_pid, pid() as u32);
        0
    })
    .passes();
    assert_eq!(next(fd).ssi_pid, pid() as u32);
}

fn of_one_thread() {
    let fd = signalfd(&[SIGUSR1], SFD_NONBLOCK);
    let main = ok!(SYS_gettid);
    std::thread::spawn(move || {
        let me = ok!(SYS_gettid);
        ok!(SYS_tgkill, pid(), main, SIGUSR1);
        fails!(EAGAIN, SYS_read, fd, &mut record(), SIZE);
        ok!(SYS_tgkill, pid(), me, SIGUSR1);
        assert_eq!(next(fd).ssi_signo, SIGUSR1 as u32);
    })
    .join()
    .unwrap();
    assert_eq!(next(fd).ssi_signo, SIGUSR1 as u32);
}

fn errors() {
    let fd = signalfd(&[SIGUSR1, SIGKILL], SFD_CLOEXEC);
    assert!(close_on_exec(fd));
    let mask = bit(SIGUSR1);
    fails!(EINVAL, SYS_signalfd4, -1, &mask, 4, 0);
    fails!(EINVAL, SYS_signalfd4, -1, &mask, 8, 0x20);
    fails!(EBADF, SYS_signalfd4, 500, &mask, 8, 0);
    fails!(EINVAL, SYS_signalfd4, pipe().0, &mask, 8, 0);
    fails!(EFAULT, SYS_signalfd4, -1, bad::<u8>(), 8, 0);
    fails!(EINVAL, SYS_read, fd, &mut record(), SIZE - 1);
    fails!(EINVAL, SYS_write, fd, &record(), SIZE);
    let plain = ok!(SYS_signalfd, -1, &mask, 8);
    assert!(!close_on_exec(plain));
    raise(SIGUSR1);
    fails!(EFAULT, SYS_read, fd, bad::<u8>(), SIZE);
}
