//! epoll.

use libc::{
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP,
    EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, POLLIN, SIGALRM, SIGUSR1, epoll_event, pollfd,
    sigset_t,
};
use test_programs::child::{fork, spawn};
use test_programs::memory::Cliff;
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, bit, block, blocked, catch, pending, raise, tick};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    tells_the_ready,
    edge,
    edge_of_a_pipe_that_is_written_again,
    oneshot,
    changes,
    wakes,
    forgets_closed_files,
    a_copy_keeps_the_file,
    a_forgotten_file_comes_back_under_its_number,
    the_same_file_twice,
    a_few_at_a_time_in_turn,
    thousand_files,
    is_polled_itself,
    not_ready_any_more,
    shared_with_a_child,
    two_waiters,
    a_signal_ends_the_wait,
    with_a_mask,
    with_a_time_in_nanoseconds,
    what_cannot_be_written_is_not_lost,
    exclusive,
    half_closed,
    errors,
    many_rounds_leave_nothing,
);

pub fn epoll() -> usize {
    ok!(SYS_epoll_create1, EPOLL_CLOEXEC)
}

pub fn event(events: i32, data: u64) -> epoll_event {
    epoll_event {
        events: events as u32,
        u64: data,
    }
}

pub fn add(poll: usize, fd: usize, events: i32, data: u64) {
    ok!(SYS_epoll_ctl, poll, EPOLL_CTL_ADD, fd, &event(events, data));
}

/// The ready ones, as pairs of events and data.
pub fn wait(poll: usize, timeout: i32) -> Vec<(u32, u64)> {
    let mut list = [event(0, 0); 8];
    let count = ok!(SYS_epoll_wait, poll, &mut list, 8, timeout);
    list[..count].iter().map(|e| (e.events, e.u64)).collect()
}

pub const IN: u32 = EPOLLIN as u32;
pub const OUT: u32 = EPOLLOUT as u32;

fn tells_the_ready() {
    let poll = epoll();
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

fn edge() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLET, 1);
    write(writer, b"a");
    assert_eq!(wait(poll, 0), [(IN, 1)]);
    assert_eq!(wait(poll, 0), []);
    write(writer, b"b");
    assert_eq!(wait(poll, 0), [(IN, 1)]);
}

fn oneshot() {
    let poll = epoll();
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

fn changes() {
    let poll = epoll();
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

fn wakes() {
    let poll = epoll();
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

fn forgets_closed_files() {
    let poll = epoll();
    let (reader, writer) = pipe();
    write(writer, b"x");
    add(poll, reader, EPOLLIN, 1);
    close(reader);
    assert_eq!(wait(poll, 0), []);
}

fn errors() {
    let poll = epoll();
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
    let another = ok!(SYS_epoll_create, 1);
    assert!(!close_on_exec(another) && close_on_exec(poll));
    fails!(EINVAL, SYS_epoll_ctl, poll, 77, another, &event(EPOLLIN, 0));
    fails!(
        EFAULT,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        another,
        bad::<u8>()
    );
    let most = i32::MAX / 12;
    fails!(EINVAL, SYS_epoll_wait, poll, bad::<u8>(), most + 1, 0);
    fails!(EBADF, SYS_epoll_wait, 500, &mut [event(0, 0); 1], 1, 0);
    fails!(
        EINVAL,
        SYS_epoll_pwait,
        poll,
        &mut [event(0, 0); 1],
        1,
        0,
        &0u64,
        4
    );
    let nonsense = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    fails!(
        EINVAL,
        SYS_epoll_pwait2,
        poll,
        &mut [event(0, 0); 1],
        1,
        &nonsense,
        0,
        8
    );
    fails!(EINVAL, SYS_read, poll, &mut [0u8; 64], 64);
    fails!(EINVAL, SYS_write, poll, &[0u8; 64], 64);
}

fn edge_of_a_pipe_that_is_written_again() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLET, 1);
    add(poll, writer, EPOLLOUT | EPOLLET, 2);
    assert_eq!(wait(poll, 0), [(OUT, 2)]);
    write(writer, b"abc");
    assert_eq!(wait(poll, 0), [(IN, 1)]);
    // What is left is no news.
    read(reader, 1);
    assert!(!wait(poll, 0).contains(&(IN, 1)));
    write(writer, b"d");
    assert!(wait(poll, 0).contains(&(IN, 1)));
    assert_eq!(read(reader, 9), b"bcd");
    // A change of what is wanted is a new look.
    write(writer, b"e");
    let _ = wait(poll, 0);
    ok!(
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_MOD,
        reader,
        &event(EPOLLIN | EPOLLET, 3)
    );
    assert!(wait(poll, 0).contains(&(IN, 3)));
}

fn a_copy_keeps_the_file() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN, 1);
    let copy = ok!(SYS_dup, reader);
    close(reader);
    write(writer, b"x");
    // The number is gone, and the file is not: it cannot even be taken out by its number.
    assert_eq!(wait(poll, 0), [(IN, 1)]);
    fails!(EBADF, SYS_epoll_ctl, poll, EPOLL_CTL_DEL, reader, 0);
    fails!(ENOENT, SYS_epoll_ctl, poll, EPOLL_CTL_DEL, copy, 0);
    close(copy);
    assert_eq!(wait(poll, 0), []);
}

fn a_forgotten_file_comes_back_under_its_number() {
    let poll = epoll();
    for round in 0..50 {
        let (reader, writer) = pipe();
        write(writer, b"x");
        add(poll, reader, EPOLLIN, round);
        assert_eq!(wait(poll, 0), [(IN, round)]);
        close(reader);
        close(writer);
    }
    assert_eq!(wait(poll, 0), []);
}

fn the_same_file_twice() {
    let poll = epoll();
    let (reader, writer) = pipe();
    let copy = ok!(SYS_dup, reader);
    add(poll, reader, EPOLLIN, 1);
    add(poll, copy, EPOLLIN, 2);
    write(writer, b"x");
    let mut both = wait(poll, 0);
    both.sort_unstable();
    assert_eq!(both, [(IN, 1), (IN, 2)]);
    ok!(SYS_epoll_ctl, poll, EPOLL_CTL_DEL, reader, 0);
    assert_eq!(wait(poll, 0), [(IN, 2)]);
}

/// Who was reported goes to the end of the line.
fn a_few_at_a_time_in_turn() {
    let poll = epoll();
    let pipes: Vec<_> = (0..5).map(|_| pipe()).collect();
    for (number, (reader, writer)) in pipes.iter().enumerate() {
        write(*writer, b"x");
        add(poll, *reader, EPOLLIN, number as u64);
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut list = [event(0, 0); 2];
        gives!(2, SYS_epoll_wait, poll, &mut list, 2, 0);
        seen.extend(list.iter().map(|e| e.u64));
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

fn thousand_files() {
    let limit = libc::rlimit {
        rlim_cur: 4096,
        rlim_max: 4096,
    };
    ok!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &limit, 0);
    let poll = epoll();
    let pipes: Vec<_> = (0..1000).map(|_| pipe()).collect();
    for (number, (reader, _)) in pipes.iter().enumerate() {
        add(poll, *reader, EPOLLIN, number as u64);
    }
    for number in [999, 0, 500] {
        write(pipes[number].1, b"x");
        assert_eq!(wait(poll, -1), [(IN, number as u64)]);
        read(pipes[number].0, 1);
    }
    assert_eq!(wait(poll, 0), []);
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

fn is_polled_itself() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN, 1);
    assert_eq!(polled(poll), 0);
    write(writer, b"x");
    assert_eq!(polled(poll), POLLIN);
    assert_eq!(polled(poll), POLLIN);
    assert_eq!(wait(poll, 0), [(IN, 1)]);
    read(reader, 1);
    assert_eq!(polled(poll), 0);
}

fn not_ready_any_more() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN, 1);
    write(writer, b"x");
    read(reader, 1);
    assert_eq!(wait(poll, 0), []);
    let child = spawn(|| {
        ok!(SYS_sched_yield);
        write(writer, b"y");
    });
    assert_eq!(wait(poll, -1), [(IN, 1)]);
    child.passes();
}

fn shared_with_a_child() {
    let poll = epoll();
    let (reader, writer) = pipe();
    fork(|| {
        add(poll, reader, EPOLLIN, 7);
        0
    })
    .passes();
    write(writer, b"x");
    assert_eq!(wait(poll, -1), [(IN, 7)]);
}

/// A file that is always ready wakes both; one that is reported once wakes one at a time.
fn two_waiters() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLONESHOT, 1);
    let children = [0, 1].map(|_| {
        spawn(|| {
            assert_eq!(wait(poll, -1), [(IN, 1)]);
            assert_eq!(read(reader, 1), b"x");
            ok!(
                SYS_epoll_ctl,
                poll,
                EPOLL_CTL_MOD,
                reader,
                &event(EPOLLIN | EPOLLONESHOT, 1)
            );
        })
    });
    write(writer, b"xx");
    children.into_iter().for_each(|child| child.passes());
}

fn a_signal_ends_the_wait() {
    let poll = epoll();
    catch(SIGALRM);
    tick(3000);
    fails!(EINTR, SYS_epoll_wait, poll, &mut [event(0, 0); 1], 1, -1);
    assert!(RECORD.count() > 0);
}

fn with_a_mask() {
    let poll = epoll();
    catch(SIGUSR1);
    block(SIGUSR1);
    raise(SIGUSR1);
    let mut list = [event(0, 0); 1];
    let open: sigset_t = {
        // SAFETY: an empty set of signals is all zeros.
        unsafe { std::mem::zeroed() }
    };
    fails!(EINTR, SYS_epoll_pwait, poll, &mut list, 1, -1, &open, 8);
    assert_eq!(RECORD.count(), 1);
    assert_eq!(blocked() & bit(SIGUSR1), bit(SIGUSR1));
    raise(SIGUSR1);
    gives!(0, SYS_epoll_pwait, poll, &mut list, 1, 0, 0, 8);
    assert_eq!(pending(), bit(SIGUSR1));
}

fn with_a_time_in_nanoseconds() {
    let poll = epoll();
    let start = monotonic();
    let mut list = [event(0, 0); 1];
    gives!(
        0,
        SYS_epoll_pwait2,
        poll,
        &mut list,
        1,
        &timespec(2_500_000),
        0,
        8
    );
    assert!(monotonic() - start >= 2_500_000);
    let (_reader, writer) = pipe();
    add(poll, writer, EPOLLOUT, 4);
    gives!(1, SYS_epoll_pwait2, poll, &mut list, 1, 0, 0, 8);
}

fn what_cannot_be_written_is_not_lost() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLET, 5);
    write(writer, b"x");
    let cliff = Cliff::new();
    fails!(EFAULT, SYS_epoll_wait, poll, cliff.ending(4), 1, 0);
    assert_eq!(wait(poll, 0), [(IN, 5)]);
    assert_eq!(wait(poll, 0), []);
}

fn exclusive() {
    let poll = epoll();
    let (reader, writer) = pipe();
    add(poll, reader, EPOLLIN | EPOLLEXCLUSIVE, 1);
    write(writer, b"x");
    assert_eq!(wait(poll, 0), [(IN, 1)]);
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_MOD,
        reader,
        &event(EPOLLIN, 1)
    );
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        writer,
        &event(EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT, 1)
    );
    let inner = epoll();
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        inner,
        &event(EPOLLIN | EPOLLEXCLUSIVE, 1)
    );
}

fn half_closed() {
    let poll = epoll();
    let mut pair = [0u32; 2];
    ok!(
        SYS_socketpair,
        libc::AF_UNIX,
        libc::SOCK_STREAM,
        0,
        &mut pair
    );
    let [mine, other] = pair.map(|fd| fd as usize);
    add(poll, mine, EPOLLIN | EPOLLRDHUP, 1);
    assert_eq!(wait(poll, 0), []);
    ok!(SYS_shutdown, other, libc::SHUT_WR);
    assert_eq!(wait(poll, -1), [(IN | EPOLLRDHUP as u32, 1)]);
    close(other);
    assert_eq!(wait(poll, -1), [(IN | (EPOLLRDHUP | EPOLLHUP) as u32, 1)]);
}

fn many_rounds_leave_nothing() {
    for _ in 0..300 {
        let poll = epoll();
        let (reader, writer) = pipe();
        add(poll, reader, EPOLLIN, 1);
        add(poll, writer, EPOLLOUT | EPOLLET, 2);
        ok!(SYS_epoll_ctl, poll, EPOLL_CTL_DEL, writer, 0);
        write(writer, b"x");
        assert_eq!(wait(poll, -1), [(IN, 1)]);
        // In another order each time.
        let mut all = [poll, reader, writer];
        all.rotate_left(reader % 3);
        all.into_iter().for_each(close);
    }
}
