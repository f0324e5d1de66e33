//! eventfd and epoll. A kernel without them says ENOSYS, and programs do without; one that has them must do them right.

use libc::{
    EFD_NONBLOCK, EFD_SEMAPHORE, ENOSYS, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL,
    EPOLL_CTL_MOD, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, POLLIN, POLLOUT,
    epoll_event, pollfd,
};
use test_programs::child::spawn;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    eventfd_counts,
    eventfd_as_semaphore,
    eventfd_is_polled,
    epoll_tells_the_ready,
    epoll_edge,
    epoll_oneshot,
    epoll_changes,
    epoll_wakes,
    epoll_forgets_closed_files,
    epoll_errors,
);

fn eventfd(initial: u32, flags: i32) -> Option<usize> {
    match sys!(SYS_eventfd2, initial, flags) {
        Err(errno) => {
            assert_eq!(errno, ENOSYS);
            None
        }
        Ok(fd) => Some(fd),
    }
}

fn eventfd_counts() {
    let Some(fd) = eventfd(3, EFD_NONBLOCK) else {
        return;
    };
    let mut value = 0u64;
    gives!(8, SYS_read, fd, &mut value, 8);
    assert_eq!(value, 3);
    fails!(EAGAIN, SYS_read, fd, &mut value, 8);
    gives!(8, SYS_write, fd, &5u64, 8);
    gives!(8, SYS_write, fd, &6u64, 8);
    gives!(8, SYS_read, fd, &mut value, 8);
    assert_eq!(value, 11);
    fails!(EINVAL, SYS_read, fd, &mut value, 4);
    fails!(EINVAL, SYS_write, fd, &u64::MAX, 8);
    gives!(8, SYS_write, fd, &(u64::MAX - 1), 8);
    fails!(EAGAIN, SYS_write, fd, &1u64, 8);
}

fn eventfd_as_semaphore() {
    let Some(fd) = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE) else {
        return;
    };
    let mut value = 0u64;
    for _ in 0..2 {
        gives!(8, SYS_read, fd, &mut value, 8);
        assert_eq!(value, 1);
    }
    fails!(EAGAIN, SYS_read, fd, &mut value, 8);
}

fn eventfd_is_polled() {
    let Some(fd) = eventfd(0, 0) else { return };
    let mut list = [pollfd {
        fd: fd as i32,
        events: POLLIN | POLLOUT,
        revents: 0,
    }];
    gives!(1, SYS_poll, &mut list, 1, 0);
    assert_eq!(list[0].revents, POLLOUT);
    let child = spawn(|| {
        gives!(8, SYS_write, fd, &1u64, 8);
    });
    list[0].events = POLLIN;
    gives!(1, SYS_poll, &mut list, 1, -1);
    child.passes();
}

fn epoll() -> Option<usize> {
    match sys!(SYS_epoll_create1, EPOLL_CLOEXEC) {
        Err(errno) => {
            assert_eq!(errno, ENOSYS);
            None
        }
        Ok(fd) => Some(fd),
    }
}

fn event(events: i32, data: u64) -> epoll_event {
    epoll_event {
        events: events as u32,
        u64: data,
    }
}

fn add(poll: usize, fd: usize, events: i32, data: u64) {
    ok!(SYS_epoll_ctl, poll, EPOLL_CTL_ADD, fd, &event(events, data));
}

/// The ready ones, as pairs of events and data.
fn wait(poll: usize, timeout: i32) -> Vec<(u32, u64)> {
    let mut list = [event(0, 0); 8];
    let count = ok!(SYS_epoll_wait, poll, &mut list, 8, timeout);
    list[..count].iter().map(|e| (e.events, e.u64)).collect()
}

const IN: u32 = EPOLLIN as u32;
const OUT: u32 = EPOLLOUT as u32;

fn epoll_tells_the_ready() {
    let Some(poll) = epoll() else { return };
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN, 111);
    add(poll, writer, EPOLLOUT, 222);
    assert_eq!(wait(poll, 0), [(OUT, 222)]);
    write(writer, b"x");
    let mut both = wait(poll, -1);
    both.sort_unstable();
    assert_eq!(both, [(IN, 111), (OUT, 222)]);
    close(writer);
    assert_eq!(wait(poll, -1), [(IN | EPOLLHUP as u32, 111)]);
}

fn epoll_edge() {
    let Some(poll) = epoll() else { return };
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLET, 1);
    write(writer, b"a");
    assert_eq!(wait(poll, 0), [(IN, 1)]);
    assert_eq!(wait(poll, 0), []);
    write(writer, b"b");
    assert_eq!(wait(poll, 0), [(IN, 1)]);
}

fn epoll_oneshot() {
    let Some(poll) = epoll() else { return };
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLONESHOT, 1);
    write(writer, b"a");
    assert_eq!((wait(poll, 0).len(), wait(poll, 0).len()), (1, 0));
    ok!(
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_MOD,
        reader,
        &event(EPOLLIN, 2)
    );
    assert_eq!(wait(poll, 0), [(IN, 2)]);
}

fn epoll_changes() {
    let Some(poll) = epoll() else { return };
    let (_reader, writer) = pipe();
    add(poll, writer, EPOLLOUT, 1);
    fails!(
        EEXIST,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        writer,
        &event(EPOLLOUT, 1)
    );
    ok!(
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_MOD,
        writer,
        &event(EPOLLIN, 5)
    );
    assert_eq!(wait(poll, 0), []);
    ok!(SYS_epoll_ctl, poll, EPOLL_CTL_DEL, writer, 0);
    fails!(ENOENT, SYS_epoll_ctl, poll, EPOLL_CTL_DEL, writer, 0);
    fails!(
        ENOENT,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_MOD,
        writer,
        &event(EPOLLIN, 5)
    );
}

fn epoll_wakes() {
    let Some(poll) = epoll() else { return };
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN, 9);
    let start = monotonic();
    assert_eq!(wait(poll, 15), []);
    assert!(monotonic() - start >= 15_000_000);
    for _ in 0..20 {
        let child = spawn(|| {
            ok!(SYS_sched_yield);
            write(writer, b"x");
        });
        assert_eq!(wait(poll, -1), [(IN, 9)]);
        read(reader, 1);
        child.passes();
    }
}

fn epoll_forgets_closed_files() {
    let Some(poll) = epoll() else { return };
    let (reader, writer) = pipe();
    write(writer, b"x");
    add(poll, reader, EPOLLIN, 1);
    close(reader);
    assert_eq!(wait(poll, 0), []);
}

fn epoll_errors() {
    let Some(poll) = epoll() else { return };
    let fd = create(c"f");
    fails!(
        EPERM,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        fd,
        &event(EPOLLIN, 0)
    );
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        poll,
        &event(EPOLLIN, 0)
    );
    fails!(
        EBADF,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        500,
        &event(EPOLLIN, 0)
    );
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        fd,
        EPOLL_CTL_ADD,
        pipe().0,
        &event(EPOLLIN, 0)
    );
    fails!(EINVAL, SYS_epoll_wait, poll, &mut [event(0, 0); 1], 0, 0);
    fails!(EINVAL, SYS_epoll_wait, fd, &mut [event(0, 0); 1], 1, 0);
    fails!(EINVAL, SYS_epoll_create1, 0x40);
    fails!(EINVAL, SYS_epoll_create, 0);
}
