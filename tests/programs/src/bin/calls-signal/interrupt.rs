//! What a handler does to a call that blocks: EINTR, or a restart with SA_RESTART. signal(7) lists which.
//!
//! A timer raises SIGALRM again and again, so it does not matter whether the first came before the call blocked.

use libc::{
    CLOCK_MONOTONIC, EAGAIN, F_SETLK, F_SETLKW, F_WRLCK, FUTEX_WAIT, FUTEX_WAKE, LOCK_EX, LOCK_NB,
    LOCK_UN, O_RDONLY, O_RDWR, O_WRONLY, P_PID, POLLIN, S_IFIFO, SA_RESTART, SIG_IGN, SIGALRM,
    SIGCONT, SIGKILL, SIGSTOP, SIGURG, SIGUSR1, SIGWINCH, TIMER_ABSTIME, WCONTINUED, WEXITED,
    WUNTRACED, flock, pollfd,
};
use test_programs::child::{Gate, Status, fork, spawn, until};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, catch, catch_with, dispose, tick};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    read_of_a_pipe,
    read_of_a_pipe_restarted,
    write_to_a_pipe,
    write_to_a_pipe_restarted,
    a_partial_write_is_told,
    open_of_a_fifo,
    open_of_a_fifo_restarted,
    nanosleep_tells_what_is_left,
    nanosleep_is_never_restarted,
    sleep_to_a_point_in_time,
    poll_is_never_restarted,
    select_is_never_restarted,
    pause_is_never_restarted,
    futex_wait,
    futex_wait_restarted,
    record_lock_wait,
    flock_wait_restarted,
    ignored_signals_interrupt_nothing,
    default_ignored_signals_interrupt_nothing,
    stop_and_continue_interrupt_nothing,
    the_last_handler_decides,
    wait_of_a_process,
);

/// SIGALRM every two milliseconds, without SA_RESTART.
fn interrupting() {
    catch(SIGALRM);
    tick(2000);
}

/// The same with SA_RESTART; a child lets five signals pass, then does what ends the wait.
fn restarting<T>(then: impl FnOnce(), wait: impl FnOnce() -> T) -> T {
    let gate = Gate::new();
    let child = spawn(|| {
        gate.wait();
        then();
    });
    catch_with(SIGALRM, SA_RESTART);
    tick(2000);
    // The gate opens from the handler's count: another process cannot see it, so a timer of our own watches.
    std::thread::scope(|s| {
        test_programs::signal::block(SIGALRM);
        s.spawn(|| {
            until(|| RECORD.count() >= 5);
            gate.open();
        });
        test_programs::signal::unblock(SIGALRM);
        let result = wait();
        tick(0);
        child.passes();
        assert!(RECORD.count() >= 5);
        result
    })
}

fn read_of_a_pipe() {
    let (reader, _writer) = pipe();
    interrupting();
    fails!(EINTR, SYS_read, reader, &mut [0u8; 1], 1);
}

fn read_of_a_pipe_restarted() {
    let (reader, writer) = pipe();
    let got = restarting(
        || {
            write(writer, b"x");
        },
        || read(reader, 5),
    );
    assert_eq!(got, b"x");
}

fn full_pipe() -> (usize, usize) {
    let (reader, writer) = pipe();
    write(writer, &[0; 65536]);
    (reader, writer)
}

fn write_to_a_pipe() {
    let (_reader, writer) = full_pipe();
    interrupting();
    fails!(EINTR, SYS_write, writer, &[1u8; 1], 1);
}

fn write_to_a_pipe_restarted() {
    let (reader, writer) = full_pipe();
    let n = restarting(
        || {
            read(reader, 4096);
        },
        || write(writer, b"abc"),
    );
    assert_eq!(n, 3);
}

/// What went in before the signal is the result, with or without SA_RESTART.
fn a_partial_write_is_told() {
    let (reader, writer) = pipe();
    interrupting();
    gives!(
        65536,
        SYS_write,
        writer,
        vec![1u8; 100_000].as_ptr(),
        100_000
    );
    tick(0);
    assert_eq!(read(reader, 100_000).len(), 65536);
}

fn open_of_a_fifo() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    interrupting();
    fails!(EINTR, SYS_open, c"fifo", O_RDONLY, 0);
}

fn open_of_a_fifo_restarted() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let fd = restarting(
        || {
            write(open(c"fifo", O_WRONLY), b"x");
        },
        || open(c"fifo", O_RDONLY),
    );
    assert_eq!(read(fd, 1), b"x");
}

fn nanosleep_tells_what_is_left() {
    interrupting();
    let mut left = timespec(0);
    fails!(EINTR, SYS_nanosleep, &timespec(100_000_000_000), &mut left);
    assert!((50..100).contains(&left.tv_sec), "{} s left", left.tv_sec);
    let mut left = timespec(0);
    fails!(
        EINTR,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        0,
        &timespec(100_000_000_000),
        &mut left
    );
    assert!((50..100).contains(&left.tv_sec));
    fails!(EINTR, SYS_nanosleep, &timespec(100_000_000_000), 0);
}

fn nanosleep_is_never_restarted() {
    catch_with(SIGALRM, SA_RESTART);
    tick(2000);
    fails!(EINTR, SYS_nanosleep, &timespec(100_000_000_000), 0);
}

/// With an absolute time nothing is told, for the same call can be made again.
fn sleep_to_a_point_in_time() {
    interrupting();
    let goal = timespec(monotonic() + 100_000_000_000);
    let mut left = timespec(7);
    fails!(
        EINTR,
        SYS_clock_nanosleep,
        CLOCK_MONOTONIC,
        TIMER_ABSTIME,
        &goal,
        &mut left
    );
    assert_eq!((left.tv_sec, left.tv_nsec), (0, 7));
}

fn poll_is_never_restarted() {
    let (reader, _writer) = pipe();
    catch_with(SIGALRM, SA_RESTART);
    tick(2000);
    let mut list = [pollfd {
        fd: reader as i32,
        events: POLLIN,
        revents: 9,
    }];
    fails!(EINTR, SYS_poll, &mut list, 1, -1);
    fails!(EINTR, SYS_poll, &mut list, 1, 100_000);
    fails!(EINTR, SYS_ppoll, &mut list, 1, 0, 0, 8);
}

fn select_is_never_restarted() {
    let (reader, _writer) = pipe();
    catch_with(SIGALRM, SA_RESTART);
    tick(2000);
    let mut set = [0u64; 16];
    set[reader / 64] = 1 << (reader % 64);
    fails!(EINTR, SYS_select, reader + 1, &mut set, 0, 0, 0);
    fails!(EINTR, SYS_pselect6, reader + 1, &mut set, 0, 0, 0, 0);
    assert_eq!(set[reader / 64], 1 << (reader % 64));
}

fn pause_is_never_restarted() {
    catch_with(SIGALRM, SA_RESTART);
    tick(2000);
    fails!(EINTR, SYS_pause);
}

fn futex_wait() {
    let word = 5u32;
    interrupting();
    fails!(
        EINTR,
        SYS_futex,
        &word,
        FUTEX_WAIT,
        5,
        &timespec(100_000_000_000)
    );
    fails!(EINTR, SYS_futex, &word, FUTEX_WAIT, 5, 0);
}

fn futex_wait_restarted() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let word = test_programs::memory::Shared::<AtomicU32>::new();
    let result = restarting(
        || {
            until(|| {
                word.store(1, Ordering::SeqCst);
                ok!(SYS_futex, &*word, FUTEX_WAKE, 1) == 1 || word.load(Ordering::SeqCst) == 2
            });
        },
        || {
            let result = sys!(SYS_futex, &*word, FUTEX_WAIT, 0, 0);
            word.store(2, Ordering::SeqCst);
            result
        },
    );
    // A restart after the word has changed finds that out.
    assert!(matches!(result, Ok(0) | Err(EAGAIN)), "{result:?}");
}

fn record_lock_wait() {
    let fd = create(c"f");
    let lock = flock {
        l_type: F_WRLCK as i16,
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let (held, done) = (Gate::new(), Gate::new());
    let child = spawn(|| {
        ok!(SYS_fcntl, open(c"f", O_RDWR), F_SETLK, &lock);
        held.open();
        done.wait();
    });
    held.wait();
    interrupting();
    fails!(EINTR, SYS_fcntl, fd, F_SETLKW, &lock);
    tick(0);
    done.open();
    gives!(0, SYS_fcntl, fd, F_SETLKW, &lock);
    child.passes();
}

fn flock_wait_restarted() {
    let fd = create(c"f");
    let other = open(c"f", O_RDWR);
    ok!(SYS_flock, other, LOCK_EX);
    restarting(
        || {
            ok!(SYS_flock, other, LOCK_UN);
        },
        || ok!(SYS_flock, fd, LOCK_EX),
    );
    fails!(EAGAIN, SYS_flock, other, LOCK_EX | LOCK_NB);
}

/// A child that sends a signal often, then ends the wait.
fn pestered(signal: i32) {
    let (reader, writer) = pipe();
    let parent = pid();
    let child = spawn(|| {
        for _ in 0..30 {
            ok!(SYS_kill, parent, signal);
            ok!(SYS_sched_yield);
        }
        write(writer, b"x");
    });
    // Without a handler there is nothing to return early for.
    assert_eq!(read(reader, 1), b"x");
    child.passes();
}

fn ignored_signals_interrupt_nothing() {
    dispose(SIGUSR1, SIG_IGN);
    pestered(SIGUSR1);
}

fn default_ignored_signals_interrupt_nothing() {
    pestered(SIGURG);
    pestered(SIGWINCH);
    pestered(SIGCONT);
}

fn stop_and_continue_interrupt_nothing() {
    let (reader, writer) = pipe();
    let child = fork(|| if read(reader, 1) == b"x" { 0 } else { 1 });
    for _ in 0..5 {
        child.signal(SIGSTOP);
        assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
        child.signal(SIGCONT);
        assert_eq!(child.wait_with(WCONTINUED), Status::Continued);
    }
    write(writer, b"x");
    assert_eq!(child.wait(), Status::Exited(0));
    let child = spawn(|| {
        let start = monotonic();
        gives!(0, SYS_nanosleep, &timespec(30_000_000), 0);
        assert!(monotonic() - start >= 30_000_000);
    });
    child.signal(SIGSTOP);
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGSTOP));
    child.signal(SIGCONT);
    child.passes();
}

/// One handler without SA_RESTART is enough for EINTR.
fn the_last_handler_decides() {
    let (reader, _writer) = pipe();
    catch_with(SIGUSR1, SA_RESTART);
    catch(SIGALRM);
    tick(2000);
    fails!(EINTR, SYS_read, reader, &mut [0u8; 1], 1);
}

fn wait_of_a_process() {
    let child = fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    });
    interrupting();
    fails!(EINTR, SYS_wait4, child.pid, 0, 0, 0);
    fails!(EINTR, SYS_waitid, P_PID, child.pid, 0, WEXITED, 0);
    tick(0);
    child.signal(SIGKILL);
    child.wait();
}
