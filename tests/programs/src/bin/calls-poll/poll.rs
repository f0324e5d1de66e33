//! poll and ppoll.

use libc::{
    O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI,
    POLLRDNORM, PROT_READ, PROT_WRITE, RLIMIT_NOFILE, S_IFIFO, SIGALRM, SIGUSR1, pollfd, rlimit,
};
use test_programs::child::spawn;
use test_programs::memory::{Cliff, Mapping, PAGE};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, bit, block, blocked, catch, pending, raise};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    an_empty_pipe_is_writable_only,
    a_filled_pipe_is_readable,
    a_full_pipe_is_not_writable,
    hangup_of_the_writer,
    error_when_the_readers_are_gone,
    files_are_always_ready,
    devices_are_always_ready,
    closed_descriptors,
    negative_descriptors_are_skipped,
    only_what_was_asked,
    several_at_once,
    the_same_twice,
    no_files_is_a_sleep,
    timeout_runs_out,
    zero_timeout_returns,
    wakes_when_bytes_come,
    wakes_when_room_comes,
    wakes_when_the_other_end_closes,
    many_files,
    errors,
    answers_that_change_nothing_are_written_too,
    result_words_are_cleared,
    ppoll_with_a_mask,
    ppoll_with_one_pending,
    ppoll_writes_back_what_is_left,
    ppoll_errors,
    fifo_states,
    ready_stays_ready,
    many_pollers_of_one_pipe,
);

fn entry(fd: usize, events: i16) -> pollfd {
    pollfd {
        fd: fd as i32,
        events,
        revents: 0x7fff,
    }
}

/// What one file is ready for, without waiting.
fn ready(fd: usize, events: i16) -> i16 {
    let mut list = [entry(fd, events)];
    let count = ok!(SYS_poll, &mut list, 1, 0);
    assert_eq!(count, usize::from(list[0].revents != 0));
    list[0].revents
}

const BOTH: i16 = POLLIN | POLLOUT;

fn an_empty_pipe_is_writable_only() {
    let (reader, writer) = pipe();
    assert_eq!((ready(reader, BOTH), ready(writer, BOTH)), (0, POLLOUT));
}

fn a_filled_pipe_is_readable() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    assert_eq!((ready(reader, BOTH), ready(reader, POLLOUT)), (POLLIN, 0));
    assert_eq!(ready(reader, POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
    read(reader, 1);
    assert_eq!(ready(reader, BOTH), 0);
}

fn a_full_pipe_is_not_writable() {
    let (reader, writer) = pipe();
    write(writer, &[0; 65536]);
    assert_eq!(ready(writer, BOTH), 0);
    read(reader, 4096);
    assert_eq!(ready(writer, BOTH), POLLOUT);
}

fn hangup_of_the_writer() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    close(writer);
    assert_eq!(ready(reader, BOTH), POLLIN | POLLHUP);
    read(reader, 1);
    assert_eq!(ready(reader, BOTH), POLLHUP);
    assert_eq!(ready(reader, 0), POLLHUP);
}

fn error_when_the_readers_are_gone() {
    let (reader, writer) = pipe();
    close(reader);
    assert_eq!(ready(writer, BOTH), POLLOUT | POLLERR);
    assert_eq!(ready(writer, 0), POLLERR);
}

fn files_are_always_ready() {
    let fd = create(c"f");
    assert_eq!(ready(fd, BOTH), BOTH);
    assert_eq!(ready(open(c"f", O_RDONLY), BOTH), BOTH);
    assert_eq!(ready(open(c".", O_RDONLY), BOTH), BOTH);
}

fn devices_are_always_ready() {
    for path in [c"/dev/null", c"/dev/zero", c"/dev/urandom"] {
        assert_eq!(ready(open(path, O_RDWR), BOTH), BOTH, "{path:?}");
    }
}

fn closed_descriptors() {
    assert_eq!(ready(500, BOTH), POLLNVAL);
    assert_eq!(ready(500, 0), POLLNVAL);
    let (reader, _writer) = pipe();
    let mut list = [entry(500, POLLIN), entry(reader, POLLIN)];
    gives!(1, SYS_poll, &mut list, 2, -1);
    assert_eq!((list[0].revents, list[1].revents), (POLLNVAL, 0));
}

fn negative_descriptors_are_skipped() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    let mut list = [
        pollfd {
            fd: -1,
            events: BOTH,
            revents: 99,
        },
        entry(reader, POLLIN),
        pollfd {
            fd: -7,
            events: 0,
            revents: 99,
        },
    ];
    gives!(1, SYS_poll, &mut list, 3, 0);
    assert_eq!(list.map(|e| e.revents), [0, POLLIN, 0]);
}

fn only_what_was_asked() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    assert_eq!(ready(reader, 0), 0);
    assert_eq!(ready(reader, POLLPRI), 0);
    assert_eq!(ready(writer, POLLIN), 0);
}

fn several_at_once() {
    let pipes: Vec<(usize, usize)> = (0..10).map(|_| pipe()).collect();
    for (n, (_, writer)) in pipes.iter().enumerate() {
        if n % 3 == 0 {
            write(*writer, b"x");
        }
    }
    let mut list: Vec<pollfd> = pipes
        .iter()
        .map(|(reader, _)| entry(*reader, POLLIN))
        .collect();
    gives!(4, SYS_poll, list.as_mut_ptr(), 10, -1);
    assert!(
        list.iter()
            .enumerate()
            .all(|(n, e)| e.revents == if n % 3 == 0 { POLLIN } else { 0 })
    );
}

fn the_same_twice() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    let mut list = [
        entry(reader, POLLIN),
        entry(reader, POLLOUT),
        entry(reader, POLLIN),
    ];
    gives!(2, SYS_poll, &mut list, 3, -1);
    assert_eq!(list.map(|e| e.revents), [POLLIN, 0, POLLIN]);
}

fn no_files_is_a_sleep() {
    let start = monotonic();
    gives!(0, SYS_poll, 0, 0, 20);
    assert!(monotonic() - start >= 20_000_000);
    gives!(0, SYS_poll, 0, 0, 0);
}

fn timeout_runs_out() {
    let (reader, _writer) = pipe();
    let start = monotonic();
    let mut list = [entry(reader, POLLIN)];
    gives!(0, SYS_poll, &mut list, 1, 30);
    assert!(monotonic() - start >= 30_000_000);
    assert_eq!(list[0].revents, 0);
}

fn zero_timeout_returns() {
    let (reader, _writer) = pipe();
    for _ in 0..1000 {
        assert_eq!(ready(reader, POLLIN), 0);
    }
}

/// Waits for one event in this process while a child does something.
fn woken(fd: usize, events: i16, act: impl FnOnce()) -> i16 {
    let child = spawn(|| {
        for _ in 0..20 {
            ok!(SYS_sched_yield);
        }
        act();
    });
    let mut list = [entry(fd, events)];
    gives!(1, SYS_poll, &mut list, 1, -1);
    child.passes();
    list[0].revents
}

fn wakes_when_bytes_come() {
    for _ in 0..50 {
        let (reader, writer) = pipe();
        assert_eq!(
            woken(reader, POLLIN, || {
                write(writer, b"x");
            }),
            POLLIN
        );
        close(reader);
        close(writer);
    }
}

fn wakes_when_room_comes() {
    let (reader, writer) = pipe();
    write(writer, &[0; 65536]);
    assert_eq!(
        woken(writer, POLLOUT, || {
            read(reader, 65536);
        }),
        POLLOUT
    );
}

fn wakes_when_the_other_end_closes() {
    let (reader, writer) = pipe();
    let child = spawn(|| {
        for _ in 0..20 {
            ok!(SYS_sched_yield);
        }
    });
    close(writer);
    let mut list = [entry(reader, POLLIN)];
    gives!(1, SYS_poll, &mut list, 1, -1);
    assert_eq!(list[0].revents, POLLHUP);
    child.passes();
}

fn many_files() {
    let limit = rlimit {
        rlim_cur: 2000,
        rlim_max: 2000,
    };
    let _ = test_programs::sys!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    let pipes: Vec<(usize, usize)> = (0..100).map(|_| pipe()).collect();
    let mut list: Vec<pollfd> = pipes
        .iter()
        .map(|(reader, _)| entry(*reader, POLLIN))
        .collect();
    for n in [0, 50, 99] {
        write(pipes[n].1, b"x");
        gives!(1, SYS_poll, list.as_mut_ptr(), 100, -1);
        assert_eq!(list[n].revents, POLLIN);
        read(pipes[n].0, 1);
        gives!(0, SYS_poll, list.as_mut_ptr(), 100, 0);
    }
}

fn errors() {
    fails!(EFAULT, SYS_poll, bad::<pollfd>(), 1, 0);
    let cliff = Cliff::new();
    fails!(EFAULT, SYS_poll, cliff.ending(8), 2, 0);
    let limit = rlimit {
        rlim_cur: 10,
        rlim_max: 10,
    };
    ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    fails!(EINVAL, SYS_poll, &[entry(0, 0); 20], 11, 0);
    fails!(EINVAL, SYS_poll, &[entry(0, 0); 1], u32::MAX, 0);
}

/// A list on two pages, one of which may not be written: also when every answer is what the list says already.
fn answers_that_change_nothing_are_written_too() {
    for before in [8, 12, 80] {
        let pages = Mapping::private(2 * PAGE);
        for byte in 0..160 {
            // Negative descriptors, no events, no answers.
            let value = if byte % 8 < 4 { 0xff } else { 0 };
            pages.set(PAGE - before + byte, value);
        }
        let list = pages.at(PAGE - before);
        gives!(0, SYS_poll, list, 20, 0);
        pages.protect(PAGE, PAGE, PROT_READ);
        fails!(EFAULT, SYS_poll, list, 20, 0);
        pages.protect(0, 2 * PAGE, PROT_READ | PROT_WRITE);
        gives!(0, SYS_poll, list, 20, 0);
        pages.protect(0, PAGE, PROT_READ);
        fails!(EFAULT, SYS_poll, list, 20, 0);
    }
}

fn result_words_are_cleared() {
    let (reader, _writer) = pipe();
    let mut list = [entry(reader, POLLIN)];
    gives!(0, SYS_poll, &mut list, 1, 0);
    assert_eq!(
        (list[0].fd, list[0].events, list[0].revents),
        (reader as i32, POLLIN, 0)
    );
}

fn ppoll_with_a_mask() {
    let (reader, _writer) = pipe();
    catch(SIGALRM);
    block(SIGALRM);
    test_programs::signal::tick(2000);
    let mut list = [entry(reader, POLLIN)];
    fails!(EINTR, SYS_ppoll, &mut list, 1, 0, &0u64, 8);
    test_programs::signal::tick(0);
    assert_eq!(blocked(), bit(SIGALRM));
    assert!(RECORD.count() >= 1);
    let count = RECORD.count();
    test_programs::signal::tick(1000);
    gives!(
        0,
        SYS_ppoll,
        &mut list,
        1,
        &timespec(20_000_000),
        &bit(SIGALRM),
        8
    );
    test_programs::signal::tick(0);
    assert_eq!(RECORD.count(), count);
}

fn ppoll_with_one_pending() {
    let (reader, writer) = pipe();
    catch(SIGUSR1);
    block(SIGUSR1);
    raise(SIGUSR1);
    let mut list = [entry(reader, POLLIN)];
    fails!(EINTR, SYS_ppoll, &mut list, 1, 0, &0u64, 8);
    assert_eq!((RECORD.count(), pending()), (1, 0));
    // With bytes there already the files win.
    write(writer, b"x");
    raise(SIGUSR1);
    gives!(1, SYS_ppoll, &mut list, 1, 0, &0u64, 8);
    assert_eq!(blocked(), bit(SIGUSR1));
}

/// The bare call writes back the time that is left; the library hides it.
fn ppoll_writes_back_what_is_left() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    let mut list = [entry(reader, POLLIN)];
    let mut time = timespec(100_000_000_000);
    gives!(1, SYS_ppoll, &mut list, 1, &mut time, 0, 8);
    assert!((90..=100).contains(&time.tv_sec));
    read(reader, 1);
    let mut time = timespec(5_000_000);
    gives!(0, SYS_ppoll, &mut list, 1, &mut time, 0, 8);
    assert_eq!((time.tv_sec, time.tv_nsec), (0, 0));
}

fn ppoll_errors() {
    let mut list = [entry(0, 0)];
    fails!(EINVAL, SYS_ppoll, &mut list, 1, &[0i64, -1], 0, 8);
    fails!(EINVAL, SYS_ppoll, &mut list, 1, &[-1i64, 0], 0, 8);
    fails!(EINVAL, SYS_ppoll, &mut list, 1, &timespec(0), &0u64, 4);
    fails!(EFAULT, SYS_ppoll, &mut list, 1, bad::<u8>(), 0, 8);
    fails!(
        EFAULT,
        SYS_ppoll,
        &mut list,
        1,
        &timespec(0),
        bad::<u8>(),
        8
    );
}

fn fifo_states() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let reader = open(c"fifo", O_RDONLY | O_NONBLOCK);
    // Nobody has written yet: no hangup.
    assert_eq!(ready(reader, BOTH), 0);
    let writer = open(c"fifo", O_WRONLY);
    assert_eq!((ready(reader, BOTH), ready(writer, BOTH)), (0, POLLOUT));
    write(writer, b"x");
    assert_eq!(ready(reader, BOTH), POLLIN);
    close(writer);
    assert_eq!(ready(reader, BOTH), POLLIN | POLLHUP);
    read(reader, 1);
    assert_eq!(ready(reader, BOTH), POLLHUP);
    let _writer = open(c"fifo", O_WRONLY);
    assert_eq!(ready(reader, BOTH), 0);
}

fn ready_stays_ready() {
    let (reader, writer) = pipe();
    write(writer, b"abc");
    for left in (0..3).rev() {
        assert_eq!(ready(reader, POLLIN), POLLIN);
        read(reader, 1);
        assert_eq!(ready(reader, POLLIN), if left == 0 { 0 } else { POLLIN });
    }
}

fn many_pollers_of_one_pipe() {
    let (reader, writer) = pipe();
    let children: Vec<_> = (0..10)
        .map(|_| {
            spawn(|| {
                let mut list = [entry(reader, POLLIN)];
                gives!(1, SYS_poll, &mut list, 1, -1);
            })
        })
        .collect();
    for _ in 0..20 {
        ok!(SYS_sched_yield);
    }
    // Nobody reads, so all see it.
    write(writer, b"x");
    children.into_iter().for_each(|c| c.passes());
}
