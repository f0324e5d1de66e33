//! select and pselect6.

use libc::{O_RDWR, SIGALRM, timeval};
use test_programs::child::spawn;
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, block, catch, tick};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    readable_and_writable,
    sets_tell_only_the_ready,
    count_is_over_all_sets,
    end_of_file_is_readable,
    broken_pipe_is_writable,
    files_are_ready,
    high_numbers,
    only_below_the_limit,
    closed_descriptors,
    timeout_runs_out,
    timeout_is_written_back,
    zero_timeout,
    no_files_is_a_sleep,
    wakes,
    errors,
    sets_are_left_on_error,
    sets_are_cleared_on_timeout,
    pselect_leaves_the_timeout,
    pselect_mask,
    pselect_errors,
    a_set_shorter_than_its_word,
);

/// A descriptor set as the kernel takes it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Set([u64; 16]);

impl Set {
    fn of(list: &[usize]) -> Set {
        let mut set = Set([0; 16]);
        for fd in list {
            set.0[fd / 64] |= 1 << (fd % 64);
        }
        set
    }
}

const NONE: Set = Set([0; 16]);

fn time(us: i64) -> timeval {
    timeval {
        tv_sec: us / 1_000_000,
        tv_usec: us % 1_000_000,
    }
}

fn readable_and_writable() {
    let (reader, writer) = pipe();
    let (mut r, mut w) = (Set::of(&[reader]), Set::of(&[writer]));
    gives!(1, SYS_select, writer + 1, &mut r, &mut w, 0, &mut time(0));
    assert_eq!((r, w), (NONE, Set::of(&[writer])));
    write(writer, b"x");
    let (mut r, mut w) = (Set::of(&[reader]), Set::of(&[writer]));
    gives!(2, SYS_select, writer + 1, &mut r, &mut w, 0, 0);
    assert_eq!((r, w), (Set::of(&[reader]), Set::of(&[writer])));
}

fn sets_tell_only_the_ready() {
    let pipes: Vec<(usize, usize)> = (0..5).map(|_| pipe()).collect();
    write(pipes[3].1, b"x");
    let mut r = Set::of(&pipes.iter().map(|p| p.0).collect::<Vec<_>>());
    gives!(1, SYS_select, 64, &mut r, 0, 0, 0);
    assert_eq!(r, Set::of(&[pipes[3].0]));
}

fn count_is_over_all_sets() {
    let fd = create(c"f");
    let (mut r, mut w) = (Set::of(&[fd]), Set::of(&[fd]));
    gives!(2, SYS_select, fd + 1, &mut r, &mut w, 0, 0);
}

fn end_of_file_is_readable() {
    let (reader, writer) = pipe();
    close(writer);
    let mut r = Set::of(&[reader]);
    gives!(1, SYS_select, reader + 1, &mut r, 0, 0, 0);
    assert_eq!(r, Set::of(&[reader]));
}

fn broken_pipe_is_writable() {
    let (reader, writer) = pipe();
    close(reader);
    let (mut w, mut e) = (Set::of(&[writer]), Set::of(&[writer]));
    gives!(1, SYS_select, writer + 1, 0, &mut w, &mut e, 0);
    assert_eq!((w, e), (Set::of(&[writer]), NONE));
}

fn files_are_ready() {
    let (f, d) = (create(c"f"), open(c"/dev/zero", O_RDWR));
    let (mut r, mut w, mut e) = (Set::of(&[f, d]), Set::of(&[f, d]), Set::of(&[f, d]));
    gives!(4, SYS_select, d + 1, &mut r, &mut w, &mut e, 0);
    assert_eq!(e, NONE);
}

fn high_numbers() {
    let (reader, writer) = pipe();
    for fd in [63, 64, 65, 127, 128, 1000] {
        ok!(SYS_dup2, reader, fd);
        let mut r = Set::of(&[fd]);
        gives!(0, SYS_select, fd + 1, &mut r, 0, 0, &mut time(0));
        write(writer, b"x");
        let mut r = Set::of(&[fd]);
        gives!(1, SYS_select, fd + 1, &mut r, 0, 0, 0);
        assert_eq!(r, Set::of(&[fd]));
        read(reader, 1);
    }
}

/// Bits at and above the first argument are not looked at.
fn only_below_the_limit() {
    let fd = create(c"f");
    let mut r = Set::of(&[fd]);
    gives!(0, SYS_select, fd, &mut r, 0, 0, &mut time(0));
}

fn closed_descriptors() {
    let mut r = Set::of(&[40]);
    fails!(EBADF, SYS_select, 41, &mut r, 0, 0, 0);
    fails!(EBADF, SYS_select, 41, 0, &mut r, 0, &mut time(0));
}

fn timeout_runs_out() {
    let (reader, _writer) = pipe();
    let mut r = Set::of(&[reader]);
    let start = monotonic();
    gives!(0, SYS_select, reader + 1, &mut r, 0, 0, &mut time(25_000));
    assert!(monotonic() - start >= 25_000_000);
}

/// Linux writes the rest of the time back.
fn timeout_is_written_back() {
    let (reader, writer) = pipe();
    write(writer, b"x");
    let mut left = time(100_000_000);
    gives!(
        1,
        SYS_select,
        reader + 1,
        &mut Set::of(&[reader]),
        0,
        0,
        &mut left
    );
    assert!((90..=100).contains(&left.tv_sec));
    read(reader, 1);
    let mut left = time(3000);
    gives!(
        0,
        SYS_select,
        reader + 1,
        &mut Set::of(&[reader]),
        0,
        0,
        &mut left
    );
    assert_eq!((left.tv_sec, left.tv_usec), (0, 0));
}

fn zero_timeout() {
    for _ in 0..1000 {
        gives!(0, SYS_select, 0, 0, 0, 0, &mut time(0));
    }
}

fn no_files_is_a_sleep() {
    let start = monotonic();
    gives!(0, SYS_select, 0, 0, 0, 0, &mut time(20_000));
    assert!(monotonic() - start >= 20_000_000);
}

fn wakes() {
    for _ in 0..30 {
        let (reader, writer) = pipe();
        let child = spawn(|| {
            for _ in 0..10 {
                ok!(SYS_sched_yield);
            }
            write(writer, b"x");
        });
        let mut r = Set::of(&[reader]);
        gives!(1, SYS_select, reader + 1, &mut r, 0, 0, 0);
        child.passes();
        close(reader);
        close(writer);
    }
}

fn errors() {
    fails!(EINVAL, SYS_select, -1, 0, 0, 0, 0);
    fails!(
        EINVAL,
        SYS_select,
        0,
        0,
        0,
        0,
        &timeval {
            tv_sec: -1,
            tv_usec: 0
        }
    );
    fails!(EFAULT, SYS_select, 1, bad::<u8>(), 0, 0, 0);
    fails!(EFAULT, SYS_select, 0, 0, 0, 0, bad::<u8>());
}

fn sets_are_left_on_error() {
    let fd = create(c"f");
    let before = Set::of(&[fd, 40]);
    let mut r = before;
    fails!(EBADF, SYS_select, 41, &mut r, 0, 0, 0);
    assert_eq!(r, before);
}

fn sets_are_cleared_on_timeout() {
    let (reader, _writer) = pipe();
    let mut r = Set::of(&[reader]);
    gives!(0, SYS_select, reader + 1, &mut r, 0, 0, &mut time(1000));
    assert_eq!(r, NONE);
}

fn pselect_leaves_the_timeout() {
    let wait = timespec(2_000_000);
    gives!(0, SYS_pselect6, 0, 0, 0, 0, &wait, 0);
    fails!(EINVAL, SYS_pselect6, 0, 0, 0, 0, &[0i64, -1], 0);
}

fn pselect_mask() {
    catch(SIGALRM);
    block(SIGALRM);
    tick(2000);
    let empty = 0u64;
    let mask = [std::ptr::from_ref(&empty) as usize, 8];
    fails!(EINTR, SYS_pselect6, 0, 0, 0, 0, 0, &mask);
    tick(0);
    assert!(RECORD.count() >= 1);
}

fn pselect_errors() {
    fails!(
        EINVAL,
        SYS_pselect6,
        0,
        0,
        0,
        0,
        &timespec(0),
        &[0x1000usize, 4]
    );
    fails!(
        EFAULT,
        SYS_pselect6,
        0,
        0,
        0,
        0,
        &timespec(0),
        &[0x10usize, 8]
    );
    fails!(EFAULT, SYS_pselect6, 0, 0, 0, 0, &timespec(0), bad::<u8>());
}

/// A set for few files is read and written in whole words, not further.
fn a_set_shorter_than_its_word() {
    let cliff = test_programs::memory::Cliff::new();
    let fd = create(c"f");
    let set = cliff.put(&(1u64 << fd).to_le_bytes());
    gives!(1, SYS_select, fd + 1, set, 0, 0, 0);
}
