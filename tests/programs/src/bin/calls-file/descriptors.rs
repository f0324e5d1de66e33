//! close, dup, dup2, dup3, fcntl, close_range, ioctl on what is no terminal.

use libc::{
    CLOSE_RANGE_CLOEXEC, EACCES, EAGAIN, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_GETLK,
    F_RDLCK, F_SETFD, F_SETFL, F_SETLK, F_UNLCK, F_WRLCK, FD_CLOEXEC, FIOCLEX, FIONBIO, FIONCLEX,
    FIONREAD, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, MAP_PRIVATE, O_APPEND, O_CLOEXEC, O_CREAT,
    O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, PROT_READ, SEEK_SET, TCGETS,
    TIOCGWINSZ, flock,
};
use test_programs::child::passes;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    close_twice,
    close_nonsense,
    every_call_refuses_a_bad_descriptor,
    dup_takes_the_lowest,
    dup_shares_the_position,
    dup_drops_close_on_exec,
    dup_keeps_the_file_open,
    dup2_takes_that_number,
    dup2_closes_what_was_there,
    dup2_onto_itself,
    dup2_from_a_bad_one_closes_nothing,
    dup2_out_of_range,
    dup3_flags,
    dup3_onto_itself,
    fcntl_dupfd,
    fcntl_dupfd_cloexec,
    fcntl_descriptor_flags,
    fcntl_status_flags,
    fcntl_append_can_be_set,
    fcntl_unknown_command,
    status_flags_are_shared_by_duplicates,
    close_range_closes_a_range,
    close_range_can_mark_instead,
    record_locks_between_processes,
    record_lock_is_dropped_on_close,
    getlk_names_the_owner,
    flock_between_opens,
    ioctl_on_a_file,
    fionread_on_a_file_and_a_pipe,
    fionbio_and_fioclex,
    descriptor_table_is_copied_by_fork,
    position_is_shared_over_fork,
    descriptor_of_upper_half_bits,
);

fn close_twice() {
    let fd = create(c"f");
    close(fd);
    fails!(EBADF, SYS_close, fd);
    fails!(EBADF, SYS_close, fd);
}

fn close_nonsense() {
    for fd in [-1, -100, 500, 1 << 20, i32::MAX, i32::MIN] {
        fails!(EBADF, SYS_close, fd);
    }
}

fn every_call_refuses_a_bad_descriptor() {
    let mut buffer = [0u8; 256];
    for fd in [-1, 500, i32::MAX] {
        fails!(EBADF, SYS_read, fd, &mut buffer, 1);
        fails!(EBADF, SYS_write, fd, &buffer, 1);
        fails!(EBADF, SYS_read, fd, &mut buffer, 0);
        fails!(EBADF, SYS_write, fd, &buffer, 0);
        fails!(EBADF, SYS_pread64, fd, &mut buffer, 1, 0);
        fails!(EBADF, SYS_pwrite64, fd, &buffer, 1, 0);
        fails!(EBADF, SYS_readv, fd, &mut buffer, 0);
        fails!(EBADF, SYS_writev, fd, &buffer, 0);
        fails!(EBADF, SYS_lseek, fd, 0, SEEK_SET);
        fails!(EBADF, SYS_fstat, fd, &mut buffer);
        fails!(EBADF, SYS_ftruncate, fd, 0);
        fails!(EBADF, SYS_fchmod, fd, 0);
        fails!(EBADF, SYS_fchown, fd, 0, 0);
        fails!(EBADF, SYS_fchdir, fd);
        fails!(EBADF, SYS_fsync, fd);
        fails!(EBADF, SYS_fdatasync, fd);
        fails!(EBADF, SYS_getdents64, fd, &mut buffer, 256);
        fails!(EBADF, SYS_fcntl, fd, F_GETFL);
        fails!(EBADF, SYS_ioctl, fd, FIONREAD, &mut buffer);
        fails!(EBADF, SYS_dup, fd);
        fails!(EBADF, SYS_dup2, fd, 5);
        fails!(EBADF, SYS_dup3, fd, 5, 0);
        fails!(EBADF, SYS_openat, fd, c"x", O_RDONLY, 0);
        fails!(EBADF, SYS_mkdirat, fd, c"x", 0);
        fails!(EBADF, SYS_unlinkat, fd, c"x", 0);
        fails!(EBADF, SYS_newfstatat, fd, c"x", &mut buffer, 0);
        fails!(EBADF, SYS_readlinkat, fd, c"x", &mut buffer, 8);
        fails!(EBADF, SYS_symlinkat, c"t", fd, c"x");
        fails!(EBADF, SYS_faccessat, fd, c"x", 0);
        fails!(EBADF, SYS_fchmodat, fd, c"x", 0);
        fails!(EBADF, SYS_fchownat, fd, c"x", 0, 0, 0);
        fails!(EBADF, SYS_utimensat, fd, c"x", 0, 0);
        fails!(EBADF, SYS_flock, fd, LOCK_SH);
        fails!(EBADF, SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    }
}

fn dup_takes_the_lowest() {
    let fd = create(c"f");
    assert_eq!(ok!(SYS_dup, fd), fd + 1);
    close(fd);
    assert_eq!(ok!(SYS_dup, fd + 1), fd);
}

fn dup_shares_the_position() {
    let fd = file_with(c"f", b"abcdef");
    let other = ok!(SYS_dup, fd);
    assert_eq!(read(fd, 2), b"ab");
    assert_eq!(read(other, 2), b"cd");
    ok!(SYS_lseek, other, 1, SEEK_SET);
    assert_eq!(read(fd, 2), b"bc");
}

fn dup_drops_close_on_exec() {
    let fd = open(c"f", O_RDWR | O_CREAT | O_CLOEXEC);
    assert!(!close_on_exec(ok!(SYS_dup, fd)));
    assert!(!close_on_exec(ok!(SYS_dup2, fd, 50)));
    assert!(close_on_exec(fd));
}

fn dup_keeps_the_file_open() {
    let (reader, writer) = pipe();
    let other = ok!(SYS_dup, writer);
    close(writer);
    write(other, b"x");
    assert_eq!(read(reader, 5), b"x");
    close(other);
    assert_eq!(read(reader, 5), b"");
}

fn dup2_takes_that_number() {
    let fd = file_with(c"f", b"abc");
    gives!(77, SYS_dup2, fd, 77);
    assert_eq!(read(77usize, 3), b"abc");
}

fn dup2_closes_what_was_there() {
    let (reader, writer) = pipe();
    let fd = create(c"f");
    ok!(SYS_dup2, fd, writer);
    assert_eq!(read(reader, 1), b"");
    write(writer, b"to the file");
    assert_eq!(fstat(fd).st_size, 11);
}

fn dup2_onto_itself() {
    let fd = open(c"f", O_RDWR | O_CREAT | O_CLOEXEC);
    gives!(fd, SYS_dup2, fd, fd);
    assert!(close_on_exec(fd));
    fails!(EBADF, SYS_dup2, 400, 400);
}

fn dup2_from_a_bad_one_closes_nothing() {
    let fd = create(c"f");
    fails!(EBADF, SYS_dup2, 400, fd);
    assert!(is_open(fd));
}

fn dup2_out_of_range() {
    fails!(EBADF, SYS_dup2, 0, -1);
    fails!(EBADF, SYS_dup2, 0, i32::MAX);
    fails!(EBADF, SYS_dup3, 0, i32::MAX, 0);
}

fn dup3_flags() {
    let fd = create(c"f");
    gives!(60, SYS_dup3, fd, 60, O_CLOEXEC);
    assert!(close_on_exec(60));
    gives!(60, SYS_dup3, fd, 60, 0);
    assert!(!close_on_exec(60));
    fails!(EINVAL, SYS_dup3, fd, 61, O_APPEND);
    fails!(EINVAL, SYS_dup3, fd, 61, 1);
    assert!(!is_open(61));
}

fn dup3_onto_itself() {
    let fd = create(c"f");
    fails!(EINVAL, SYS_dup3, fd, fd, 0);
    fails!(EINVAL, SYS_dup3, 400, 400, 0);
}

fn fcntl_dupfd() {
    let fd = create(c"f");
    gives!(100, SYS_fcntl, fd, F_DUPFD, 100);
    gives!(101, SYS_fcntl, fd, F_DUPFD, 100);
    assert!(!close_on_exec(100));
    fails!(EINVAL, SYS_fcntl, fd, F_DUPFD, -1);
    fails!(EINVAL, SYS_fcntl, fd, F_DUPFD, i32::MAX);
}

fn fcntl_dupfd_cloexec() {
    let fd = create(c"f");
    gives!(100, SYS_fcntl, fd, F_DUPFD_CLOEXEC, 100);
    assert!(close_on_exec(100) && !close_on_exec(fd));
}

fn fcntl_descriptor_flags() {
    let fd = create(c"f");
    gives!(0, SYS_fcntl, fd, F_GETFD);
    gives!(0, SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
    gives!(1, SYS_fcntl, fd, F_GETFD);
    // Bits that mean nothing are dropped.
    gives!(0, SYS_fcntl, fd, F_SETFD, 0xfe);
    gives!(0, SYS_fcntl, fd, F_GETFD);
}

fn fcntl_status_flags() {
    let fd = create(c"f");
    let before = status_flags(fd);
    gives!(0, SYS_fcntl, fd, F_SETFL, O_NONBLOCK | O_APPEND);
    assert_eq!(status_flags(fd), before | O_NONBLOCK | O_APPEND);
    // Access mode and creation flags cannot be changed.
    gives!(
        0,
        SYS_fcntl,
        fd,
        F_SETFL,
        O_WRONLY | O_CREAT | O_TRUNC | O_EXCL
    );
    assert_eq!(status_flags(fd), before);
}

fn fcntl_append_can_be_set() {
    let fd = file_with(c"f", b"abc");
    ok!(SYS_fcntl, fd, F_SETFL, O_APPEND);
    write(fd, b"d");
    ok!(SYS_fcntl, fd, F_SETFL, 0);
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    write(fd, b"A");
    assert_eq!(read(open(c"f", O_RDONLY), 9), b"Abcd");
}

fn fcntl_unknown_command() {
    fails!(EINVAL, SYS_fcntl, create(c"f"), 9999, 0);
    fails!(EINVAL, SYS_fcntl, create(c"g"), -1, 0);
}

fn status_flags_are_shared_by_duplicates() {
    let fd = create(c"f");
    let (copy, again) = (ok!(SYS_dup, fd), open(c"f", O_RDWR));
    ok!(SYS_fcntl, fd, F_SETFL, O_NONBLOCK);
    assert!(status_flags(copy) & O_NONBLOCK != 0);
    assert!(status_flags(again) & O_NONBLOCK == 0);
}

fn close_range_closes_a_range() {
    let fd = create(c"f");
    for n in 40..60 {
        ok!(SYS_dup2, fd, n);
    }
    gives!(0, SYS_close_range, 45, 54, 0);
    assert!((40..60).all(|n| is_open(n) != (45..=54).contains(&n)));
    gives!(0, SYS_close_range, 50, u32::MAX, 0);
    assert!((40..45).all(is_open) && (45..60).all(|n| !is_open(n)));
    fails!(EINVAL, SYS_close_range, 9, 8, 0);
    fails!(EINVAL, SYS_close_range, 8, 9, 1 << 20);
}

fn close_range_can_mark_instead() {
    let fd = create(c"f");
    gives!(0, SYS_close_range, fd, fd, CLOSE_RANGE_CLOEXEC);
    assert!(is_open(fd) && close_on_exec(fd));
}

fn lock(kind: i32, start: i64, len: i64) -> flock {
    flock {
        l_type: kind as i16,
        l_whence: SEEK_SET as i16,
        l_start: start,
        l_len: len,
        l_pid: 0,
    }
}

fn record_locks_between_processes() {
    let fd = create(c"f");
    ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 10, 10));
    ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 15, 2));
    passes(|| {
        let fd = open(c"f", O_RDWR);
        for (start, len) in [(10, 1), (19, 1), (0, 0), (5, 6)] {
            let result = sys!(SYS_fcntl, fd, F_SETLK, &lock(F_RDLCK, start, len));
            assert!(
                matches!(result, Err(EAGAIN | EACCES)),
                "{start} {len} {result:?}"
            );
        }
        ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 0, 10));
        ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 20, 0));
    });
    ok!(SYS_fcntl, fd, F_SETLK, &lock(F_UNLCK, 12, 2));
    passes(|| {
        let fd = open(c"f", O_RDWR);
        ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 12, 2));
        assert!(sys!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 14, 1)).is_err());
    });
    fails!(EINVAL, SYS_fcntl, fd, F_SETLK, &lock(77, 0, 1));
    fails!(
        EBADF,
        SYS_fcntl,
        open(c"f", O_RDONLY),
        F_SETLK,
        &lock(F_WRLCK, 0, 1)
    );
}

fn record_lock_is_dropped_on_close() {
    let fd = create(c"f");
    ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 0, 0));
    close(open(c"f", O_RDONLY));
    passes(|| {
        ok!(SYS_fcntl, open(c"f", O_RDWR), F_SETLK, &lock(F_WRLCK, 0, 0));
    });
}

fn getlk_names_the_owner() {
    let fd = create(c"f");
    ok!(SYS_fcntl, fd, F_SETLK, &lock(F_WRLCK, 5, 5));
    let owner = pid();
    passes(|| {
        let mut ask = lock(F_RDLCK, 0, 0);
        ok!(SYS_fcntl, fd, F_GETLK, &mut ask);
        assert_eq!(
            (i32::from(ask.l_type), ask.l_start, ask.l_len, ask.l_pid),
            (F_WRLCK, 5, 5, owner)
        );
        let mut ask = lock(F_RDLCK, 0, 5);
        ok!(SYS_fcntl, fd, F_GETLK, &mut ask);
        assert_eq!(i32::from(ask.l_type), F_UNLCK);
    });
}

fn flock_between_opens() {
    let (a, b) = (create(c"f"), open(c"f", O_RDONLY));
    ok!(SYS_flock, a, LOCK_EX);
    fails!(EAGAIN, SYS_flock, b, LOCK_SH | LOCK_NB);
    ok!(SYS_flock, ok!(SYS_dup, a), LOCK_SH);
    ok!(SYS_flock, b, LOCK_SH | LOCK_NB);
    fails!(EAGAIN, SYS_flock, a, LOCK_EX | LOCK_NB);
    close(b);
    ok!(SYS_flock, a, LOCK_EX | LOCK_NB);
    ok!(SYS_flock, a, LOCK_UN);
    fails!(EINVAL, SYS_flock, a, 0);
}

fn ioctl_on_a_file() {
    let fd = create(c"f");
    let mut buffer = [0u8; 64];
    fails!(ENOTTY, SYS_ioctl, fd, TCGETS, &mut buffer);
    fails!(ENOTTY, SYS_ioctl, fd, TIOCGWINSZ, &mut buffer);
    fails!(ENOTTY, SYS_ioctl, fd, 0x1234_5678, &mut buffer);
    let (reader, _writer) = pipe();
    fails!(ENOTTY, SYS_ioctl, reader, TCGETS, &mut buffer);
}

fn fionread_on_a_file_and_a_pipe() {
    let (reader, writer) = pipe();
    let mut count = -1i32;
    ok!(SYS_ioctl, reader, FIONREAD, &mut count);
    assert_eq!(count, 0);
    write(writer, b"abcde");
    ok!(SYS_ioctl, reader, FIONREAD, &mut count);
    assert_eq!(count, 5);
    let fd = file_with(c"f", b"0123456789");
    read(fd, 3);
    ok!(SYS_ioctl, fd, FIONREAD, &mut count);
    assert_eq!(count, 7);
}

fn fionbio_and_fioclex() {
    let (reader, _writer) = pipe();
    ok!(SYS_ioctl, reader, FIONBIO, &1i32);
    assert!(status_flags(reader) & O_NONBLOCK != 0);
    ok!(SYS_ioctl, reader, FIONBIO, &0i32);
    assert!(status_flags(reader) & O_NONBLOCK == 0);
    ok!(SYS_ioctl, reader, FIOCLEX, 0);
    assert!(close_on_exec(reader));
    ok!(SYS_ioctl, reader, FIONCLEX, 0);
    assert!(!close_on_exec(reader));
}

fn descriptor_table_is_copied_by_fork() {
    let fd = create(c"f");
    passes(|| {
        close(fd);
        ok!(SYS_dup2, 0, 80);
    });
    assert!(is_open(fd) && !is_open(80));
}

fn position_is_shared_over_fork() {
    let fd = file_with(c"f", b"abcdef");
    passes(|| assert_eq!(read(fd, 2), b"ab"));
    assert_eq!(read(fd, 2), b"cd");
}

/// A descriptor is an int: the upper half of the register does not count.
fn descriptor_of_upper_half_bits() {
    let fd = file_with(c"f", b"abc");
    assert_eq!(read(fd | 0xdead_beef << 32, 3), b"abc");
}
