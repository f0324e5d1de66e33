//! pipe(7): pipes and FIFOs.

use libc::{
    EAGAIN, EFAULT, F_GETPIPE_SZ, F_SETFL, O_ACCMODE, O_APPEND, O_CLOEXEC, O_NONBLOCK, O_RDONLY,
    O_RDWR, O_WRONLY, S_IFIFO, S_IFMT, SEEK_SET, SIG_IGN, SIGPIPE,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use test_programs::child::{Gate, dies_of, passes, spawn};
use test_programs::memory::{Cliff, Shared};
use test_programs::raw::short::*;
use test_programs::signal;
use test_programs::{fails, gives, ok, pattern, sys};

test_programs::tests!(
    bytes_come_out_in_order,
    ends_have_one_direction,
    pipe2_flags,
    pipe_errors_leave_nothing_open,
    end_of_file_when_the_writers_are_gone,
    sigpipe_when_the_readers_are_gone,
    epipe_when_it_is_ignored,
    nonblocking_read_of_an_empty_pipe,
    nonblocking_write_to_a_full_pipe,
    capacity_is_64_kib,
    small_writes_are_atomic_when_full,
    big_writes_are_partial_when_nonblocking,
    room_comes_back_as_it_is_read,
    a_blocked_reader_is_woken,
    a_blocked_writer_is_woken,
    a_blocked_writer_gets_sigpipe,
    a_big_write_passes_in_pieces,
    writers_do_not_mix_small_messages,
    many_readers_share,
    short_reads,
    fault_in_the_middle,
    pipe_capacity_can_be_asked,
    stat_of_a_pipe,
    fifo_connects,
    fifo_open_blocks_for_the_other_end,
    fifo_nonblocking_open,
    fifo_read_write_open,
    fifo_reader_sees_the_end_and_new_writers,
    reopen_through_proc,
);

fn nonblocking() -> (usize, usize) {
    pipe_with(O_NONBLOCK)
}

/// Writes single pages until no more fits; the number of bytes.
fn fill_up(writer: usize) -> usize {
    let page = [1u8; 4096];
    let mut total = 0;
    loop {
        match sys!(SYS_write, writer, &page, 4096) {
            Ok(n) => total += n,
            Err(errno) => {
                assert_eq!(errno, EAGAIN);
                return total;
            }
        }
    }
}

fn bytes_come_out_in_order() {
    let (reader, writer) = pipe();
    write(writer, b"one ");
    write(writer, b"two");
    assert_eq!(read(reader, 5), b"one t");
    assert_eq!(read(reader, 50), b"wo");
}

fn ends_have_one_direction() {
    let (reader, writer) = pipe();
    fails!(EBADF, SYS_write, reader, c"x", 1);
    fails!(EBADF, SYS_read, writer, &mut [0u8; 1], 1);
    assert_eq!(status_flags(reader) & O_ACCMODE, O_RDONLY);
    assert_eq!(status_flags(writer) & O_ACCMODE, O_WRONLY);
}

fn pipe2_flags() {
    let (reader, writer) = pipe_with(O_CLOEXEC | O_NONBLOCK);
    assert!(close_on_exec(reader) && close_on_exec(writer));
    assert!(status_flags(reader) & status_flags(writer) & O_NONBLOCK != 0);
    fails!(EINVAL, SYS_pipe2, &mut [0i32; 2], O_APPEND);
    fails!(EINVAL, SYS_pipe2, &mut [0i32; 2], 0x4000_0000);
    let mut ends = [0i32; 2];
    gives!(0, SYS_pipe, &mut ends);
    assert!(!close_on_exec(ends[0] as usize));
}

fn pipe_errors_leave_nothing_open() {
    let next = create(c"f");
    close(next);
    fails!(EFAULT, SYS_pipe, bad::<i32>());
    fails!(EFAULT, SYS_pipe2, bad::<i32>(), 0);
    assert_eq!(create(c"f"), next);
}

fn end_of_file_when_the_writers_are_gone() {
    let (reader, writer) = pipe();
    let second = ok!(SYS_dup, writer);
    write(writer, b"last");
    close(writer);
    assert_eq!(read(reader, 9), b"last");
    close(second);
    assert_eq!(read(reader, 9), b"");
    assert_eq!(read(reader, 9), b"");
}

fn sigpipe_when_the_readers_are_gone() {
    dies_of(SIGPIPE, || {
        let (reader, writer) = pipe();
        close(reader);
        let _ = sys!(SYS_write, writer, c"x", 1);
    });
}

fn epipe_when_it_is_ignored() {
    signal::dispose(SIGPIPE, SIG_IGN);
    let (reader, writer) = pipe();
    write(writer, b"lost");
    close(reader);
    fails!(EPIPE, SYS_write, writer, c"x", 1);
    signal::catch(SIGPIPE);
    fails!(EPIPE, SYS_write, writer, c"x", 1);
    assert_eq!(signal::RECORD.count(), 1);
    gives!(0, SYS_write, writer, c"", 0);
}

fn nonblocking_read_of_an_empty_pipe() {
    let (reader, writer) = nonblocking();
    fails!(EAGAIN, SYS_read, reader, &mut [0u8; 4], 4);
    gives!(0, SYS_read, reader, &mut [0u8; 4], 0);
    write(writer, b"x");
    gives!(1, SYS_read, reader, &mut [0u8; 4], 4);
    fails!(EAGAIN, SYS_read, reader, &mut [0u8; 4], 4);
    close(writer);
    gives!(0, SYS_read, reader, &mut [0u8; 4], 4);
}

fn nonblocking_write_to_a_full_pipe() {
    let (_reader, writer) = nonblocking();
    fill_up(writer);
    fails!(EAGAIN, SYS_write, writer, c"x", 1);
    gives!(0, SYS_write, writer, c"", 0);
}

fn capacity_is_64_kib() {
    assert_eq!(fill_up(nonblocking().1), 65536);
}

/// Up to 4096 bytes go in whole or not at all.
fn small_writes_are_atomic_when_full() {
    let (reader, writer) = nonblocking();
    let page = [2u8; 4096];
    for _ in 0..15 {
        gives!(4096, SYS_write, writer, &page, 4096);
    }
    gives!(4000, SYS_write, writer, &page, 4000);
    fails!(EAGAIN, SYS_write, writer, &page, 4096);
    assert_eq!(read(reader, 70_000).len(), 15 * 4096 + 4000);
}

fn big_writes_are_partial_when_nonblocking() {
    let (reader, writer) = nonblocking();
    let bytes = vec![3u8; 100_000];
    gives!(65536, SYS_write, writer, bytes.as_ptr(), bytes.len());
    assert_eq!(read(reader, 100_000).len(), 65536);
}

fn room_comes_back_as_it_is_read() {
    let (reader, writer) = nonblocking();
    fill_up(writer);
    assert_eq!(read(reader, 8192).len(), 8192);
    gives!(4096, SYS_write, writer, &[0u8; 4096], 4096);
    gives!(4096, SYS_write, writer, &[0u8; 4096], 4096);
    fails!(EAGAIN, SYS_write, writer, &[0u8; 1], 1);
}

fn a_blocked_reader_is_woken() {
    for _ in 0..50 {
        let (reader, writer) = pipe();
        let child = spawn(|| assert_eq!(read(reader, 9), b"hey"));
        ok!(SYS_sched_yield);
        write(writer, b"hey");
        child.passes();
        let child = spawn(|| {
            close(writer);
            assert_eq!(read(reader, 9), b"");
        });
        ok!(SYS_sched_yield);
        close(writer);
        child.passes();
        close(reader);
    }
}

fn a_blocked_writer_is_woken() {
    let (reader, writer) = nonblocking();
    fill_up(writer);
    ok!(SYS_fcntl, writer, F_SETFL, 0);
    let child = spawn(|| assert_eq!(write(writer, &[9; 4096]), 4096));
    ok!(SYS_sched_yield);
    assert_eq!(read(reader, 65536).len(), 65536);
    child.passes();
    assert_eq!(read(reader, 5000), [9; 4096]);
}

fn a_blocked_writer_gets_sigpipe() {
    let (reader, writer) = nonblocking();
    fill_up(writer);
    ok!(SYS_fcntl, writer, F_SETFL, 0);
    let child = spawn(|| {
        close(reader);
        let _ = sys!(SYS_write, writer, &[9u8; 4096], 4096);
    });
    ok!(SYS_sched_yield);
    close(reader);
    assert_eq!(child.wait(), test_programs::child::Status::Killed(SIGPIPE));
}

fn a_big_write_passes_in_pieces() {
    let (reader, writer) = pipe();
    let child = spawn(|| {
        close(reader);
        let mut bytes = vec![0; 3_000_000];
        pattern::fill(8, 0, &mut bytes);
        assert_eq!(write(writer, &bytes), bytes.len());
    });
    close(writer);
    let mut offset = 0;
    loop {
        let bytes = read(reader, 50_001);
        if bytes.is_empty() {
            break;
        }
        assert_eq!(pattern::mismatch(8, offset, &bytes), None);
        offset += bytes.len() as u64;
    }
    assert_eq!(offset, 3_000_000);
    child.passes();
}

fn writers_do_not_mix_small_messages() {
    let (reader, writer) = pipe();
    let children: Vec<_> = (0..4u8)
        .map(|id| {
            spawn(move || {
                for _ in 0..100 {
                    write(writer, &[id; 1000]);
                }
            })
        })
        .collect();
    close(writer);
    let mut counts = [0; 4];
    for _ in 0..400 {
        let mut message = Vec::new();
        while message.len() < 1000 {
            message.extend(read(reader, 1000 - message.len()));
        }
        assert!(message.iter().all(|b| *b == message[0]));
        counts[usize::from(message[0])] += 1;
    }
    assert_eq!(counts, [100; 4]);
    children.into_iter().for_each(|c| c.passes());
}

fn many_readers_share() {
    let (reader, writer) = pipe();
    let total = Shared::<AtomicUsize>::new();
    let children: Vec<_> = (0..4)
        .map(|_| {
            spawn(|| {
                close(writer);
                loop {
                    let n = read(reader, 10).len();
                    if n == 0 {
                        break;
                    }
                    total.fetch_add(n, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..500 {
        write(writer, &[1; 30]);
    }
    close(writer);
    children.into_iter().for_each(|c| c.passes());
    assert_eq!(total.load(Ordering::SeqCst), 15_000);
}

fn short_reads() {
    let (reader, writer) = pipe();
    write(writer, &[5; 10_000]);
    assert_eq!(read(reader, 1).len(), 1);
    assert_eq!(read(reader, 5000).len(), 5000);
    assert_eq!(read(reader, 50_000).len(), 4999);
}

fn fault_in_the_middle() {
    let (reader, writer) = nonblocking();
    let cliff = Cliff::new();
    fails!(EFAULT, SYS_write, writer, cliff.edge(), 10);
    write(writer, b"0123456789");
    fails!(EFAULT, SYS_read, reader, cliff.edge(), 10);
    // What could not be delivered is still there, or the part before the fault was.
    let got = sys!(SYS_read, reader, cliff.ending(4), 10);
    assert!(matches!(got, Ok(4) | Err(EFAULT)), "{got:?}");
}

fn pipe_capacity_can_be_asked() {
    let (reader, _writer) = pipe();
    gives!(65536, SYS_fcntl, reader, F_GETPIPE_SZ);
    fails!(EBADF, SYS_fcntl, create(c"f"), F_GETPIPE_SZ);
}

fn stat_of_a_pipe() {
    let (reader, writer) = pipe();
    let (a, b) = (fstat(reader), fstat(writer));
    assert_eq!(
        (a.st_mode & S_IFMT, a.st_ino, a.st_dev),
        (S_IFIFO, b.st_ino, b.st_dev)
    );
    assert_eq!(a.st_nlink, 1);
}

fn fifo_connects() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let child = spawn(|| {
        write(open(c"fifo", O_WRONLY), b"through the name");
    });
    let reader = open(c"fifo", O_RDONLY);
    assert_eq!(read(reader, 99), b"through the name");
    assert_eq!(read(reader, 99), b"");
    child.passes();
    assert_eq!(lstat(c"fifo").unwrap().st_size, 0);
}

fn fifo_open_blocks_for_the_other_end() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let opened = Gate::new();
    let child = spawn(|| {
        let fd = open(c"fifo", O_WRONLY);
        opened.open();
        write(fd, b"x");
    });
    for _ in 0..100 {
        ok!(SYS_sched_yield);
    }
    assert!(!opened.is_open());
    let reader = open(c"fifo", O_RDONLY);
    opened.wait();
    assert_eq!(read(reader, 9), b"x");
    child.passes();
}

fn fifo_nonblocking_open() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    fails!(ENXIO, SYS_open, c"fifo", O_WRONLY | O_NONBLOCK, 0);
    let reader = open(c"fifo", O_RDONLY | O_NONBLOCK);
    gives!(0, SYS_read, reader, &mut [0u8; 4], 4);
    let writer = open(c"fifo", O_WRONLY | O_NONBLOCK);
    fails!(EAGAIN, SYS_read, reader, &mut [0u8; 4], 4);
    write(writer, b"ab");
    assert_eq!(read(reader, 4), b"ab");
}

fn fifo_read_write_open() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let fd = open(c"fifo", O_RDWR);
    write(fd, b"self");
    assert_eq!(read(fd, 9), b"self");
    fails!(ESPIPE, SYS_lseek, fd, 0, SEEK_SET);
}

fn fifo_reader_sees_the_end_and_new_writers() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    let reader = open(c"fifo", O_RDONLY | O_NONBLOCK);
    for text in [b"first ", b"second"] {
        let writer = open(c"fifo", O_WRONLY);
        write(writer, text);
        close(writer);
        assert_eq!(read(reader, 99), text);
        assert_eq!(read(reader, 99), b"");
    }
}

/// The same pipe, opened again by its link under /proc.
fn reopen_through_proc() {
    passes(|| {
        let (reader, writer) = pipe();
        let path = std::ffi::CString::new(format!("/proc/self/fd/{writer}")).unwrap();
        let again = open(&path, O_WRONLY);
        write(again, b"same");
        assert_eq!(read(reader, 9), b"same");
    });
}
