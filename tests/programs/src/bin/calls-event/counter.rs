//! eventfd.

use libc::{EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE, POLLIN, POLLOUT, pollfd};
use test_programs::child::spawn;
use test_programs::memory::Cliff;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    counts,
    as_semaphore,
    is_polled,
    waits,
    a_writer_waits_for_room,
    flags,
    bad_buffers,
    between_processes,
);

fn eventfd(start: u32, flags: i32) -> usize {
    ok!(SYS_eventfd2, start, flags)
}

fn take(fd: usize) -> u64 {
    let mut value = 0u64;
    gives!(8, SYS_read, fd, &mut value, 8);
    value
}

fn add(fd: usize, more: u64) {
    gives!(8, SYS_write, fd, &more, 8);
}

fn counts() {
    let fd = eventfd(3, EFD_NONBLOCK);
    let mut value = 0u64;
    assert_eq!(take(fd), 3);
    fails!(EAGAIN, SYS_read, fd, &mut value, 8);
    add(fd, 5);
    add(fd, 6);
    assert_eq!(take(fd), 11);
    fails!(EINVAL, SYS_read, fd, &mut value, 4);
    fails!(EINVAL, SYS_write, fd, &u64::MAX, 8);
    fails!(EINVAL, SYS_write, fd, &1u64, 7);
    add(fd, u64::MAX - 1);
    fails!(EAGAIN, SYS_write, fd, &1u64, 8);
    assert_eq!(take(fd), u64::MAX - 1);
    // Nothing is added, and that is no news.
    add(fd, 0);
    fails!(EAGAIN, SYS_read, fd, &mut value, 8);
}

fn as_semaphore() {
    let fd = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
    for _ in 0..2 {
        assert_eq!(take(fd), 1);
    }
    fails!(EAGAIN, SYS_read, fd, &mut 0u64, 8);
}

fn is_polled() {
    let fd = eventfd(0, 0);
    let mut list = [pollfd {
        fd: fd as i32,
        events: POLLIN | POLLOUT,
        revents: 0,
    }];
    gives!(1, SYS_poll, &mut list, 1, 0);
    assert_eq!(list[0].revents, POLLOUT);
    let child = spawn(|| add(fd, 1));
    list[0].events = POLLIN;
    gives!(1, SYS_poll, &mut list, 1, -1);
    child.passes();
    add(fd, u64::MAX - 2);
    list[0].events = POLLIN | POLLOUT;
    gives!(1, SYS_poll, &mut list, 1, 0);
    assert_eq!(list[0].revents, POLLIN);
}

fn waits() {
    let fd = eventfd(0, 0);
    for round in 1..20 {
        let child = spawn(|| {
            ok!(SYS_sched_yield);
            add(fd, round);
        });
        assert_eq!(take(fd), round);
        child.passes();
    }
}

fn a_writer_waits_for_room() {
    let fd = eventfd(7, 0);
    let child = spawn(|| add(fd, u64::MAX - 1));
    let mut sum = 0;
    while sum < u64::MAX - 1 {
        sum = take(fd);
        assert!(sum == 7 || sum == u64::MAX - 1);
    }
    child.passes();
}

fn flags() {
    let fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert!(close_on_exec(fd));
    assert!(status_flags(fd) & libc::O_NONBLOCK != 0);
    let plain = ok!(SYS_eventfd, 9);
    assert!(!close_on_exec(plain));
    assert_eq!(take(plain), 9);
    fails!(EINVAL, SYS_eventfd2, 0, 0x10);
    fails!(ESPIPE, SYS_pread64, fd, &mut 0u64, 8, 0);
}

/// A number that could not be read is lost on Linux, and is still there in Helve.
fn bad_buffers() {
    let fd = eventfd(4, 0);
    let cliff = Cliff::new();
    fails!(EFAULT, SYS_read, fd, cliff.ending(4), 8);
    fails!(EFAULT, SYS_write, fd, cliff.ending(4), 8);
    add(fd, 1);
    assert!([1, 5].contains(&take(fd)));
}

fn between_processes() {
    let (there, back) = (eventfd(0, 0), eventfd(0, 0));
    let child = spawn(|| {
        for round in 0..200 {
            assert_eq!(take(there), round + 1);
            add(back, round + 1);
        }
    });
    for round in 0..200 {
        add(there, round + 1);
        assert_eq!(take(back), round + 1);
    }
    child.passes();
}
