//! read, write, pread, pwrite, lseek, truncate, fallocate, sendfile, copy_file_range.

use libc::{
    EFAULT, EFBIG, EINVAL, ENOSYS, EOPNOTSUPP, EOVERFLOW, EXDEV, FALLOC_FL_KEEP_SIZE, O_APPEND,
    O_RDONLY, O_RDWR, O_WRONLY, RLIM_INFINITY, RLIMIT_FSIZE, SEEK_CUR, SEEK_DATA, SEEK_END,
    SEEK_HOLE, SEEK_SET, SIG_DFL, SIG_IGN, SIGXFSZ, rlimit,
};
use test_programs::pattern;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    write_then_read,
    read_at_the_end_is_zero,
    read_beyond_the_end_is_zero,
    short_read_at_the_end,
    zero_bytes,
    zero_bytes_at_a_bad_address,
    position_moves,
    overwrite_in_the_middle,
    pread_leaves_the_position,
    pwrite_leaves_the_position,
    pwrite_to_an_append_file_appends,
    pread_negative_offset,
    pread_on_a_pipe,
    lseek_results,
    lseek_errors,
    lseek_on_a_pipe,
    lseek_hole_and_data,
    hole_before_written_data,
    ftruncate_both_ways,
    truncate_by_path,
    truncate_errors,
    truncated_bytes_do_not_come_back,
    file_size_limit,
    far_offsets,
    many_sizes_and_offsets,
    huge_counts_are_cut,
    data_survives_reopening,
    fsync_and_sync,
    fallocate_extends_or_not_supported,
    sendfile_moves_bytes,
    sendfile_with_an_offset,
    copy_file_range_copies,
    write_to_a_running_program,
);

fn write_then_read() {
    let fd = create(c"f");
    gives!(5, SYS_write, fd, c"hello", 5);
    gives!(0, SYS_lseek, fd, 0, SEEK_SET);
    assert_eq!(read(fd, 100), b"hello");
}

fn read_at_the_end_is_zero() {
    let fd = file_with(c"f", b"x");
    read(fd, 1);
    assert_eq!(read(fd, 1), b"");
    assert_eq!(read(fd, 1), b"");
}

fn read_beyond_the_end_is_zero() {
    let fd = file_with(c"f", b"x");
    ok!(SYS_lseek, fd, 1i64 << 40, SEEK_SET);
    assert_eq!(read(fd, 10), b"");
    gives!(1u64 << 40, SYS_lseek, fd, 0, SEEK_CUR);
}

fn short_read_at_the_end() {
    let fd = file_with(c"f", &[7; 5000]);
    assert_eq!(read(fd, 4096).len(), 4096);
    assert_eq!(read(fd, 4096).len(), 904);
}

fn zero_bytes() {
    let fd = file_with(c"f", b"abc");
    gives!(0, SYS_read, fd, &mut [0u8; 1], 0);
    gives!(0, SYS_write, fd, &[0u8; 1], 0);
    assert_eq!(fstat(fd).st_size, 3);
}

fn zero_bytes_at_a_bad_address() {
    let fd = file_with(c"f", b"abc");
    gives!(0, SYS_read, fd, bad::<u8>(), 0);
    gives!(0, SYS_write, fd, bad::<u8>(), 0);
}

fn position_moves() {
    let fd = create(c"f");
    write(fd, b"abc");
    gives!(3, SYS_lseek, fd, 0, SEEK_CUR);
    ok!(SYS_lseek, fd, 1, SEEK_SET);
    read(fd, 1);
    gives!(2, SYS_lseek, fd, 0, SEEK_CUR);
}

fn overwrite_in_the_middle() {
    let fd = file_with(c"f", b"0123456789");
    ok!(SYS_lseek, fd, 4, SEEK_SET);
    write(fd, b"xy");
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    assert_eq!(read(fd, 20), b"0123xy6789");
}

fn pread_leaves_the_position() {
    let fd = file_with(c"f", b"0123456789");
    let mut two = [0u8; 2];
    gives!(2, SYS_pread64, fd, &mut two, 2, 7);
    assert_eq!(&two, b"78");
    gives!(1, SYS_pread64, fd, &mut two, 2, 9);
    gives!(0, SYS_pread64, fd, &mut two, 2, 10);
    gives!(0, SYS_lseek, fd, 0, SEEK_CUR);
}

fn pwrite_leaves_the_position() {
    let fd = file_with(c"f", b"0123");
    gives!(2, SYS_pwrite64, fd, c"ab", 2, 6);
    gives!(0, SYS_lseek, fd, 0, SEEK_CUR);
    assert_eq!(read(fd, 20), b"0123\0\0ab");
}

/// A Linux peculiarity that the manual page lists under bugs.
fn pwrite_to_an_append_file_appends() {
    close(file_with(c"f", b"0123"));
    let fd = open(c"f", O_RDWR | O_APPEND);
    gives!(1, SYS_pwrite64, fd, c"x", 1, 0);
    assert_eq!(read(open(c"f", O_RDONLY), 20), b"0123x");
}

fn pread_negative_offset() {
    let fd = file_with(c"f", b"0123");
    let mut two = [0u8; 2];
    fails!(EINVAL, SYS_pread64, fd, &mut two, 2, -1);
    fails!(EINVAL, SYS_pwrite64, fd, &two, 2, -1);
}

fn pread_on_a_pipe() {
    let (reader, writer) = pipe();
    let mut two = [0u8; 2];
    fails!(ESPIPE, SYS_pread64, reader, &mut two, 2, 0);
    fails!(ESPIPE, SYS_pwrite64, writer, &two, 2, 0);
}

fn lseek_results() {
    let fd = file_with(c"f", b"0123456789");
    gives!(4, SYS_lseek, fd, 4, SEEK_SET);
    gives!(6, SYS_lseek, fd, 2, SEEK_CUR);
    gives!(3, SYS_lseek, fd, -3, SEEK_CUR);
    gives!(10, SYS_lseek, fd, 0, SEEK_END);
    gives!(8, SYS_lseek, fd, -2, SEEK_END);
    gives!(100, SYS_lseek, fd, 90, SEEK_END);
    assert_eq!(fstat(fd).st_size, 10);
}

fn lseek_errors() {
    let fd = file_with(c"f", b"0123456789");
    fails!(EINVAL, SYS_lseek, fd, -1, SEEK_SET);
    fails!(EINVAL, SYS_lseek, fd, -11, SEEK_END);
    fails!(EINVAL, SYS_lseek, fd, 0, 77);
    fails!(EINVAL, SYS_lseek, fd, 0, -1);
    gives!(0, SYS_lseek, fd, 0, SEEK_CUR);
    let far = sys!(SYS_lseek, fd, i64::MAX, SEEK_CUR);
    assert!(matches!(far, Err(EINVAL | EOVERFLOW)) || far == Ok(i64::MAX as usize));
}

fn lseek_on_a_pipe() {
    let (reader, writer) = pipe();
    fails!(ESPIPE, SYS_lseek, reader, 0, SEEK_SET);
    fails!(ESPIPE, SYS_lseek, writer, 0, SEEK_CUR);
}

fn lseek_hole_and_data() {
    const MIB: i64 = 1 << 20;
    let fd = create(c"f");
    gives!(1, SYS_pwrite64, fd, c"x", 1, MIB);
    ok!(SYS_ftruncate, fd, 2 * MIB);
    let data = ok!(SYS_lseek, fd, 0, SEEK_DATA) as i64;
    // A file system without holes may say that all is data.
    assert!(data == 0 || data == MIB);
    gives!(MIB, SYS_lseek, fd, MIB, SEEK_DATA);
    let hole = ok!(SYS_lseek, fd, MIB, SEEK_HOLE) as i64;
    assert!(hole > MIB && hole <= 2 * MIB);
    gives!(
        if data == 0 { hole } else { 0 },
        SYS_lseek,
        fd,
        0,
        SEEK_HOLE
    );
    fails!(ENXIO, SYS_lseek, fd, 2 * MIB, SEEK_DATA);
    fails!(ENXIO, SYS_lseek, fd, 2 * MIB, SEEK_HOLE);
    fails!(ENXIO, SYS_lseek, fd, -1, SEEK_DATA);
}

fn hole_before_written_data() {
    let fd = create(c"f");
    ok!(SYS_lseek, fd, 10_000, SEEK_SET);
    write(fd, b"end");
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    let bytes = read(fd, 20_000);
    assert_eq!(bytes.len(), 10_003);
    assert!(bytes[..10_000].iter().all(|b| *b == 0) && &bytes[10_000..] == b"end");
}

fn ftruncate_both_ways() {
    let fd = file_with(c"f", b"0123456789");
    gives!(0, SYS_ftruncate, fd, 4);
    gives!(0, SYS_ftruncate, fd, 8);
    assert_eq!(read(fd, 20), b"0123\0\0\0\0");
    gives!(8, SYS_lseek, fd, 0, SEEK_CUR);
    gives!(0, SYS_ftruncate, fd, 0);
    gives!(8, SYS_lseek, fd, 0, SEEK_CUR);
}

fn truncate_by_path() {
    close(file_with(c"f", b"0123456789"));
    gives!(0, SYS_truncate, c"f", 3);
    ok!(SYS_symlink, c"f", c"link");
    gives!(0, SYS_truncate, c"link", 2);
    assert_eq!(lstat(c"f").unwrap().st_size, 2);
}

fn truncate_errors() {
    close(create(c"f"));
    fails!(EINVAL, SYS_truncate, c"f", -1);
    fails!(ENOENT, SYS_truncate, c"none", 1);
    fails!(EISDIR, SYS_truncate, c".", 1);
    fails!(ENOTDIR, SYS_truncate, c"f/x", 1);
    fails!(EFAULT, SYS_truncate, bad::<u8>(), 1);
    fails!(EINVAL, SYS_ftruncate, open(c"f", O_RDONLY), 1);
    fails!(EINVAL, SYS_ftruncate, open(c"f", O_RDWR), -1);
    fails!(EINVAL, SYS_ftruncate, pipe().1, 1);
    fails!(EINVAL, SYS_ftruncate, open(c".", O_RDONLY), 1);
}

fn truncated_bytes_do_not_come_back() {
    let fd = file_with(c"f", &[0xaa; 10_000]);
    ok!(SYS_ftruncate, fd, 100);
    gives!(1, SYS_pwrite64, fd, c"z", 1, 9_999);
    let bytes = read(fd, 20_000);
    assert_eq!(bytes.len(), 10_000);
    assert!(bytes[..100].iter().all(|b| *b == 0xaa));
    assert!(bytes[100..9_999].iter().all(|b| *b == 0));
}

fn file_size_limit() {
    test_programs::signal::dispose(SIGXFSZ, SIG_IGN);
    let fd = create(c"f");
    let limit = rlimit {
        rlim_cur: 1000,
        rlim_max: RLIM_INFINITY,
    };
    ok!(SYS_prlimit64, 0, RLIMIT_FSIZE, &limit, 0);
    gives!(1000, SYS_write, fd, &[1u8; 1500], 1500);
    fails!(EFBIG, SYS_write, fd, &[1u8; 10], 10);
    fails!(EFBIG, SYS_ftruncate, fd, 1001);
    ok!(SYS_ftruncate, fd, 1000);
    test_programs::child::dies_of(SIGXFSZ, || {
        test_programs::signal::dispose(SIGXFSZ, SIG_DFL);
        let _ = sys!(SYS_pwrite64, fd, c"x", 1, 1000);
    });
}

fn far_offsets() {
    let fd = create(c"f");
    let far = (1i64 << 33) + 5;
    gives!(3, SYS_pwrite64, fd, c"far", 3, far);
    assert_eq!(fstat(fd).st_size, far + 3);
    let mut got = [0u8; 3];
    gives!(3, SYS_pread64, fd, &mut got, 3, far);
    assert_eq!(&got, b"far");
    let end = sys!(SYS_pwrite64, fd, c"x", 1, i64::MAX);
    assert!(matches!(end, Err(EFBIG | EINVAL)), "{end:?}");
}

fn many_sizes_and_offsets() {
    let fd = create(c"f");
    let mut model = vec![0u8; 200_000];
    let mut numbers = pattern::Numbers::new(11);
    let mut size = 0;
    for round in 0..400 {
        let offset = numbers.below(150_000) as usize;
        let len = numbers.below(if round % 3 == 0 { 40_000 } else { 300 }) as usize + 1;
        if round % 2 == 0 {
            let mut bytes = vec![0; len];
            pattern::fill(numbers.word(), 0, &mut bytes);
            gives!(len, SYS_pwrite64, fd, bytes.as_ptr(), len, offset);
            model[offset..offset + len].copy_from_slice(&bytes);
            size = size.max(offset + len);
        } else {
            let mut bytes = vec![0; len];
            let n = ok!(SYS_pread64, fd, bytes.as_mut_ptr(), len, offset);
            assert_eq!(n, len.min(size.saturating_sub(offset)));
            assert!(
                bytes[..n] == model[offset..offset + n],
                "round {round} at {offset}+{len}"
            );
        }
    }
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    assert!(read(fd, 300_000) == model[..size]);
}

fn huge_counts_are_cut() {
    let fd = file_with(c"f", b"abc");
    let room = test_programs::memory::Mapping::private(1 << 16);
    gives!(3, SYS_read, fd, room.at(0), 1 << 16);
    // A count that no buffer can have is EFAULT (it reaches out of user memory) or is cut; it never succeeds in full.
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    let result = sys!(SYS_read, fd, room.at(0), usize::MAX);
    assert!(
        matches!(result, Err(EFAULT | EINVAL)) || result == Ok(3),
        "{result:?}"
    );
}

fn data_survives_reopening() {
    let mut bytes = vec![0; 100_000];
    pattern::fill(2, 0, &mut bytes);
    close(file_with(c"f", &bytes));
    assert!(read(open(c"f", O_RDONLY), 100_001) == bytes);
}

fn fsync_and_sync() {
    let fd = file_with(c"f", b"abc");
    gives!(0, SYS_fsync, fd);
    gives!(0, SYS_fdatasync, fd);
    gives!(0, SYS_fsync, open(c".", O_RDONLY));
    fails!(EINVAL, SYS_fsync, pipe().0);
}

fn fallocate_extends_or_not_supported() {
    let fd = file_with(c"f", b"abc");
    match sys!(SYS_fallocate, fd, 0, 0, 10_000) {
        Ok(_) => assert_eq!(fstat(fd).st_size, 10_000),
        Err(EOPNOTSUPP | ENOSYS) => return,
        other => panic!("fallocate {}", test_programs::raw::outcome(other)),
    }
    ok!(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, 20_000);
    assert_eq!(fstat(fd).st_size, 10_000);
    assert_eq!(&read(fd, 5), b"abc\0\0");
    fails!(EINVAL, SYS_fallocate, fd, 0, -1, 10);
    fails!(EINVAL, SYS_fallocate, fd, 0, 0, 0);
    fails!(EBADF, SYS_fallocate, open(c"f", O_RDONLY), 0, 0, 10);
}

fn sendfile_moves_bytes() {
    let from = file_with(c"from", b"0123456789");
    let to = create(c"to");
    gives!(4, SYS_sendfile, to, from, 0, 4);
    gives!(6, SYS_sendfile, to, from, 0, 100);
    gives!(0, SYS_sendfile, to, from, 0, 100);
    assert_eq!(read(open(c"to", O_RDONLY), 20), b"0123456789");
    let (reader, writer) = pipe();
    ok!(SYS_lseek, from, 0, SEEK_SET);
    gives!(10, SYS_sendfile, writer, from, 0, 100);
    assert_eq!(read(reader, 20), b"0123456789");
}

fn sendfile_with_an_offset() {
    let from = file_with(c"from", b"0123456789");
    let to = create(c"to");
    let mut offset = 7i64;
    gives!(2, SYS_sendfile, to, from, &mut offset, 2);
    assert_eq!(offset, 9);
    gives!(0, SYS_lseek, from, 0, SEEK_CUR);
    fails!(EFAULT, SYS_sendfile, to, from, bad::<i64>(), 2);
    fails!(EBADF, SYS_sendfile, open(c"to", O_RDONLY), from, 0, 2);
    fails!(EBADF, SYS_sendfile, to, 500, 0, 2);
}

/// Absent is allowed: programs fall back to reading and writing.
fn copy_file_range_copies() {
    let from = file_with(c"from", b"0123456789");
    let to = create(c"to");
    match sys!(SYS_copy_file_range, from, 0, to, 0, 5, 0) {
        Err(ENOSYS | EXDEV | EINVAL) => {}
        result => {
            assert_eq!(result, Ok(5));
            let mut at = 8i64;
            gives!(2, SYS_copy_file_range, from, &mut at, to, 0, 100, 0);
            assert_eq!(at, 10);
            assert_eq!(read(open(c"to", O_RDONLY), 20), b"0123489");
            fails!(EINVAL, SYS_copy_file_range, from, 0, to, 0, 5, 1);
        }
    }
}

fn write_to_a_running_program() {
    let own = std::ffi::CString::new(test_programs::harness::own_path().to_str().unwrap()).unwrap();
    fails!(ETXTBSY, SYS_open, own.as_c_str(), O_WRONLY, 0);
    close(open(&own, O_RDONLY));
}
