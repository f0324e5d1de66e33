//! stat and its family, statx, access, chmod, chown, utimensat, statfs.

use libc::{
    AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, CLOCK_REALTIME,
    F_OK, O_RDONLY, R_OK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, SEEK_SET, STATX_ALL,
    STATX_BASIC_STATS, STATX_SIZE, STATX_TYPE, UTIME_NOW, UTIME_OMIT, W_OK, X_OK, makedev, stat,
    statfs, statx, timespec, timeval, utimbuf,
};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    the_four_stats_agree,
    fields_of_a_file,
    fields_of_a_directory,
    kinds,
    stat_follows_and_lstat_does_not,
    newfstatat_flags,
    stat_errors,
    device_and_inode_identify,
    statx_fields,
    statx_errors,
    access_of_root,
    access_errors,
    faccessat2_flags,
    chmod_changes_the_mode,
    chmod_follows_links,
    chmod_errors,
    chown_changes_the_owner,
    chown_minus_one_keeps,
    lchown_changes_the_link,
    chown_clears_set_id_bits,
    write_clears_set_id_bits,
    utimensat_sets_both,
    utimensat_now_and_omit,
    utimensat_on_links_and_descriptors,
    utimensat_errors,
    utimes_and_futimesat,
    modification_time_moves,
    change_time_moves,
    directory_time_moves,
    access_time_does_not_go_back,
    statfs_has_numbers,
    blocks_follow_the_data,
);

fn followed(path: &std::ffi::CStr) -> stat {
    // SAFETY: all-zero bytes are a valid `stat`.
    let mut stat: stat = unsafe { std::mem::zeroed() };
    ok!(SYS_stat, path, &mut stat);
    stat
}

fn the_four_stats_agree() {
    let fd = file_with(c"f", b"12345");
    let all = [followed(c"f"), lstat(c"f").unwrap(), fstat(fd), {
        let mut s = followed(c".");
        ok!(SYS_lstat, c"f", &mut s);
        s
    }];
    for s in &all[1..] {
        assert_eq!(
            (s.st_ino, s.st_dev, s.st_size, s.st_mode),
            (all[0].st_ino, all[0].st_dev, 5, all[0].st_mode)
        );
        assert_eq!(
            (s.st_mtime, s.st_mtime_nsec),
            (all[0].st_mtime, all[0].st_mtime_nsec)
        );
    }
}

fn fields_of_a_file() {
    ok!(SYS_umask, 0o022);
    let before = clock(CLOCK_REALTIME) / 1_000_000_000;
    let s = fstat(file_with(c"f", &[1; 5000]));
    assert_eq!(
        (s.st_mode, s.st_nlink, s.st_uid, s.st_gid, s.st_size),
        (S_IFREG | 0o644, 1, 0, 0, 5000)
    );
    assert!(s.st_blksize >= 512 && s.st_ino != 0);
    for time in [s.st_atime, s.st_mtime, s.st_ctime] {
        assert!(
            (before as i64 - 1..before as i64 + 60).contains(&time),
            "{time}, clock {before}"
        );
    }
    for ns in [s.st_atime_nsec, s.st_mtime_nsec, s.st_ctime_nsec] {
        assert!((0..1_000_000_000).contains(&ns));
    }
}

fn fields_of_a_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    let s = followed(c"d");
    assert_eq!((s.st_mode & S_IFMT, s.st_nlink), (S_IFDIR, 2));
}

fn kinds() {
    close(create(c"f"));
    ok!(SYS_mknod, c"p", S_IFIFO | 0o600, 0);
    ok!(SYS_symlink, c"f", c"l");
    let kind = |path| lstat(path).unwrap().st_mode & S_IFMT;
    assert_eq!(
        [kind(c"f"), kind(c"."), kind(c"p"), kind(c"l")],
        [S_IFREG, S_IFDIR, S_IFIFO, S_IFLNK]
    );
    assert_eq!(kind(c"/dev/null"), S_IFCHR);
    assert_eq!(fstat(pipe().0).st_mode & S_IFMT, S_IFIFO);
}

fn stat_follows_and_lstat_does_not() {
    close(file_with(c"f", b"123"));
    ok!(SYS_symlink, c"f", c"link");
    assert_eq!(
        (followed(c"link").st_size, lstat(c"link").unwrap().st_size),
        (3, 1)
    );
    ok!(SYS_symlink, c"none", c"dangling");
    let mut s = followed(c"f");
    fails!(ENOENT, SYS_stat, c"dangling", &mut s);
    ok!(SYS_lstat, c"dangling", &mut s);
}

fn newfstatat_flags() {
    let fd = file_with(c"f", b"123");
    let mut s = followed(c".");
    ok!(SYS_newfstatat, fd, c"", &mut s, AT_EMPTY_PATH);
    assert_eq!(s.st_size, 3);
    fails!(ENOENT, SYS_newfstatat, fd, c"", &mut s, 0);
    fails!(ENOTDIR, SYS_newfstatat, fd, c"x", &mut s, 0);
    fails!(EINVAL, SYS_newfstatat, AT_FDCWD, c"f", &mut s, 0x1);
    ok!(SYS_newfstatat, AT_FDCWD, c"f", &mut s, AT_NO_AUTOMOUNT);
    ok!(SYS_newfstatat, AT_FDCWD, c"", &mut s, AT_EMPTY_PATH);
    assert_eq!(s.st_mode & S_IFMT, S_IFDIR);
}

fn stat_errors() {
    let mut s = followed(c".");
    close(create(c"f"));
    fails!(ENOENT, SYS_stat, c"none", &mut s);
    fails!(ENOENT, SYS_stat, c"", &mut s);
    fails!(ENOTDIR, SYS_stat, c"f/x", &mut s);
    fails!(EFAULT, SYS_stat, bad::<u8>(), &mut s);
    fails!(EFAULT, SYS_stat, c"f", bad::<stat>());
    fails!(EFAULT, SYS_fstat, 0, bad::<stat>());
}

fn device_and_inode_identify() {
    close(create(c"a"));
    close(create(c"b"));
    ok!(SYS_link, c"a", c"c");
    assert_ne!(followed(c"a").st_ino, followed(c"b").st_ino);
    assert_eq!(
        (followed(c"a").st_ino, followed(c"a").st_dev),
        (followed(c"c").st_ino, followed(c"c").st_dev)
    );
}

fn statx_fields() {
    let fd = file_with(c"f", b"1234567");
    // SAFETY: all-zero bytes are a valid `statx`.
    let mut x: statx = unsafe { std::mem::zeroed() };
    ok!(SYS_statx, AT_FDCWD, c"f", 0, STATX_BASIC_STATS, &mut x);
    let s = fstat(fd);
    assert_eq!(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    assert_eq!(
        (
            x.stx_ino,
            x.stx_size,
            u32::from(x.stx_mode),
            u64::from(x.stx_nlink)
        ),
        (s.st_ino, 7, s.st_mode, 1)
    );
    assert_eq!(
        (x.stx_mtime.tv_sec, i64::from(x.stx_mtime.tv_nsec)),
        (s.st_mtime, s.st_mtime_nsec)
    );
    assert_eq!(makedev(x.stx_dev_major, x.stx_dev_minor), s.st_dev);
    ok!(SYS_statx, fd, c"", AT_EMPTY_PATH, STATX_SIZE, &mut x);
    assert_eq!(x.stx_size, 7);
    ok!(SYS_symlink, c"f", c"l");
    ok!(
        SYS_statx,
        AT_FDCWD,
        c"l",
        AT_SYMLINK_NOFOLLOW,
        STATX_TYPE,
        &mut x
    );
    assert_eq!(u32::from(x.stx_mode) & S_IFMT, S_IFLNK);
    ok!(
        SYS_statx,
        AT_FDCWD,
        c"/dev/null",
        0,
        STATX_BASIC_STATS,
        &mut x
    );
    assert_eq!((x.stx_rdev_major, x.stx_rdev_minor), (1, 3));
}

fn statx_errors() {
    // SAFETY: all-zero bytes are a valid `statx`.
    let mut x: statx = unsafe { std::mem::zeroed() };
    close(create(c"f"));
    fails!(ENOENT, SYS_statx, AT_FDCWD, c"none", 0, STATX_ALL, &mut x);
    fails!(ENOENT, SYS_statx, AT_FDCWD, c"", 0, STATX_ALL, &mut x);
    fails!(EINVAL, SYS_statx, AT_FDCWD, c"f", 0x1, STATX_ALL, &mut x);
    fails!(EINVAL, SYS_statx, AT_FDCWD, c"f", 0x6000, STATX_ALL, &mut x);
    fails!(EINVAL, SYS_statx, AT_FDCWD, c"f", 0, 0x8000_0000u32, &mut x);
    fails!(
        EFAULT,
        SYS_statx,
        AT_FDCWD,
        c"f",
        0,
        STATX_ALL,
        bad::<statx>()
    );
    fails!(EBADF, SYS_statx, 500, c"f", 0, STATX_ALL, &mut x);
}

fn access_of_root() {
    let fd = create(c"f");
    ok!(SYS_fchmod, fd, 0);
    gives!(0, SYS_access, c"f", R_OK | W_OK);
    fails!(EACCES, SYS_access, c"f", X_OK);
    ok!(SYS_fchmod, fd, 0o001);
    gives!(0, SYS_access, c"f", X_OK | R_OK | W_OK);
    gives!(0, SYS_access, c".", X_OK);
}

fn access_errors() {
    close(create(c"f"));
    fails!(ENOENT, SYS_access, c"none", F_OK);
    fails!(ENOTDIR, SYS_access, c"f/x", F_OK);
    fails!(EINVAL, SYS_access, c"f", 8);
    fails!(EINVAL, SYS_access, c"f", -1);
    fails!(EFAULT, SYS_access, bad::<u8>(), F_OK);
}

fn faccessat2_flags() {
    ok!(SYS_symlink, c"none", c"link");
    fails!(ENOENT, SYS_faccessat2, AT_FDCWD, c"link", F_OK, 0);
    gives!(
        0,
        SYS_faccessat2,
        AT_FDCWD,
        c"link",
        F_OK,
        AT_SYMLINK_NOFOLLOW
    );
    gives!(0, SYS_faccessat2, AT_FDCWD, c".", R_OK, AT_EACCESS);
    fails!(EINVAL, SYS_faccessat2, AT_FDCWD, c".", R_OK, 0x1);
    fails!(EINVAL, SYS_faccessat2, AT_FDCWD, c".", 0o10, 0);
}

fn chmod_changes_the_mode() {
    let fd = create(c"f");
    for mode in [0, 0o777, 0o4755, 0o2750, 0o1777, 0o644] {
        gives!(0, SYS_chmod, c"f", mode);
        assert_eq!(fstat(fd).st_mode, S_IFREG | mode);
        gives!(0, SYS_fchmod, fd, mode ^ 0o111);
        assert_eq!(fstat(fd).st_mode, S_IFREG | (mode ^ 0o111));
        gives!(0, SYS_fchmodat, AT_FDCWD, c"f", mode | 0o170_000);
        assert_eq!(fstat(fd).st_mode, S_IFREG | mode);
    }
}

fn chmod_follows_links() {
    close(create(c"f"));
    ok!(SYS_symlink, c"f", c"link");
    ok!(SYS_chmod, c"link", 0o600);
    assert_eq!(
        (
            followed(c"f").st_mode & 0o777,
            lstat(c"link").unwrap().st_mode & 0o777
        ),
        (0o600, 0o777)
    );
}

fn chmod_errors() {
    close(create(c"f"));
    fails!(ENOENT, SYS_chmod, c"none", 0);
    fails!(ENOENT, SYS_chmod, c"", 0);
    fails!(ENOTDIR, SYS_chmod, c"f/x", 0);
    fails!(EFAULT, SYS_chmod, bad::<u8>(), 0);
}

fn chown_changes_the_owner() {
    let fd = create(c"f");
    gives!(0, SYS_chown, c"f", 1000, 1001);
    assert_eq!((fstat(fd).st_uid, fstat(fd).st_gid), (1000, 1001));
    gives!(0, SYS_fchown, fd, 5, 6);
    assert_eq!((fstat(fd).st_uid, fstat(fd).st_gid), (5, 6));
    gives!(0, SYS_fchownat, AT_FDCWD, c"f", 7, 8, 0);
    assert_eq!((fstat(fd).st_uid, fstat(fd).st_gid), (7, 8));
    gives!(0, SYS_fchownat, fd, c"", 9, 9, AT_EMPTY_PATH);
    assert_eq!(fstat(fd).st_uid, 9);
    fails!(EINVAL, SYS_fchownat, AT_FDCWD, c"f", 7, 8, 0x1);
    fails!(ENOENT, SYS_chown, c"none", 0, 0);
    fails!(EFAULT, SYS_chown, bad::<u8>(), 0, 0);
}

fn chown_minus_one_keeps() {
    let fd = create(c"f");
    ok!(SYS_chown, c"f", 10, 20);
    ok!(SYS_chown, c"f", -1, 21);
    ok!(SYS_chown, c"f", 11, -1);
    assert_eq!((fstat(fd).st_uid, fstat(fd).st_gid), (11, 21));
}

fn lchown_changes_the_link() {
    close(create(c"f"));
    ok!(SYS_symlink, c"f", c"link");
    ok!(SYS_lchown, c"link", 3, 4);
    assert_eq!(
        (lstat(c"link").unwrap().st_uid, followed(c"f").st_uid),
        (3, 0)
    );
    ok!(SYS_fchownat, AT_FDCWD, c"link", 5, 5, AT_SYMLINK_NOFOLLOW);
    assert_eq!(
        (lstat(c"link").unwrap().st_uid, followed(c"f").st_uid),
        (5, 0)
    );
}

fn chown_clears_set_id_bits() {
    let fd = create(c"f");
    ok!(SYS_fchmod, fd, 0o6755);
    ok!(SYS_fchown, fd, 1, 1);
    assert_eq!(fstat(fd).st_mode & 0o7777, 0o755);
}

fn write_clears_set_id_bits() {
    ok!(SYS_chmod, c".", 0o777);
    test_programs::child::passes(|| {
        test_programs::child::become_nobody();
        let fd = create(c"f");
        ok!(SYS_fchmod, fd, 0o4755);
        write(fd, b"x");
        assert_eq!(fstat(fd).st_mode & 0o7777, 0o755);
    });
}

fn times(fd: usize) -> (i64, i64, i64, i64) {
    let s = fstat(fd);
    (s.st_atime, s.st_atime_nsec, s.st_mtime, s.st_mtime_nsec)
}

fn at(sec: i64, nsec: i64) -> timespec {
    timespec {
        tv_sec: sec,
        tv_nsec: nsec,
    }
}

fn utimensat_sets_both() {
    let fd = create(c"f");
    gives!(
        0,
        SYS_utimensat,
        AT_FDCWD,
        c"f",
        &[at(1, 2), at(3_000_000_000, 4)],
        0
    );
    assert_eq!(times(fd), (1, 2, 3_000_000_000, 4));
}

fn utimensat_now_and_omit() {
    let fd = create(c"f");
    ok!(SYS_utimensat, AT_FDCWD, c"f", &[at(1, 2), at(3, 4)], 0);
    ok!(
        SYS_utimensat,
        AT_FDCWD,
        c"f",
        &[at(0, UTIME_OMIT), at(9, 9)],
        0
    );
    assert_eq!(times(fd), (1, 2, 9, 9));
    let before = clock(CLOCK_REALTIME) as i64 / 1_000_000_000 - 1;
    ok!(
        SYS_utimensat,
        AT_FDCWD,
        c"f",
        &[at(0, UTIME_NOW), at(0, UTIME_OMIT)],
        0
    );
    assert!(times(fd).0 >= before && times(fd).2 == 9);
    ok!(SYS_utimensat, AT_FDCWD, c"f", 0, 0);
    assert!(times(fd).2 >= before);
}

fn utimensat_on_links_and_descriptors() {
    let fd = create(c"f");
    ok!(SYS_symlink, c"f", c"link");
    ok!(
        SYS_utimensat,
        AT_FDCWD,
        c"link",
        &[at(1, 0), at(1, 0)],
        AT_SYMLINK_NOFOLLOW
    );
    assert_eq!(lstat(c"link").unwrap().st_mtime, 1);
    assert_ne!(times(fd).2, 1);
    ok!(SYS_utimensat, AT_FDCWD, c"link", &[at(2, 0), at(2, 0)], 0);
    assert_eq!(times(fd).2, 2);
    ok!(SYS_utimensat, fd, 0, &[at(3, 0), at(3, 0)], 0);
    assert_eq!(times(fd).2, 3);
}

fn utimensat_errors() {
    close(create(c"f"));
    fails!(
        EINVAL,
        SYS_utimensat,
        AT_FDCWD,
        c"f",
        &[at(0, 1_000_000_000), at(0, 0)],
        0
    );
    fails!(
        EINVAL,
        SYS_utimensat,
        AT_FDCWD,
        c"f",
        &[at(0, -1), at(0, 0)],
        0
    );
    fails!(EINVAL, SYS_utimensat, AT_FDCWD, c"f", 0, 0x1);
    fails!(ENOENT, SYS_utimensat, AT_FDCWD, c"none", 0, 0);
    fails!(EFAULT, SYS_utimensat, AT_FDCWD, c"f", bad::<timespec>(), 0);
    fails!(EFAULT, SYS_utimensat, AT_FDCWD, bad::<u8>(), 0, 0);
}

fn utimes_and_futimesat() {
    let fd = create(c"f");
    let time = |s| timeval {
        tv_sec: s,
        tv_usec: 7,
    };
    ok!(SYS_utimes, c"f", &[time(5), time(6)]);
    assert_eq!(times(fd), (5, 7000, 6, 7000));
    ok!(
        SYS_utime,
        c"f",
        &utimbuf {
            actime: 8,
            modtime: 9
        }
    );
    assert_eq!(times(fd), (8, 0, 9, 0));
    ok!(SYS_futimesat, AT_FDCWD, c"f", &[time(1), time(2)]);
    assert_eq!(times(fd).2, 2);
}

fn old(path: &std::ffi::CStr) {
    ok!(
        SYS_utimensat,
        AT_FDCWD,
        path,
        &[at(1000, 0), at(1000, 0)],
        0
    );
}

fn modification_time_moves() {
    let fd = file_with(c"f", b"abc");
    for change in [
        |fd| write(fd, b"x"),
        |fd| ok!(SYS_ftruncate, fd, 1),
        |fd| ok!(SYS_pwrite64, fd, c"y", 1, 9),
    ] {
        old(c"f");
        change(fd);
        assert!(fstat(fd).st_mtime > 1000);
    }
    old(c"f");
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    read(fd, 1);
    ok!(SYS_fchmod, fd, 0o600);
    assert_eq!(fstat(fd).st_mtime, 1000);
}

fn change_time_moves() {
    let fd = create(c"f");
    let stamp = |fd| (fstat(fd).st_ctime, fstat(fd).st_ctime_nsec);
    for change in [
        |fd| ok!(SYS_fchmod, fd, 0o600),
        |fd| ok!(SYS_fchown, fd, 1, 1),
        |_| ok!(SYS_link, c"f", c"g"),
    ] {
        let before = stamp(fd);
        test_programs::child::until(|| {
            let _ = sys!(SYS_unlink, c"g");
            change(fd);
            stamp(fd) > before
        });
    }
}

fn directory_time_moves() {
    for change in [
        || close(create(c"f")),
        || assert_eq!(ok!(SYS_rename, c"f", c"g"), 0),
        || assert_eq!(ok!(SYS_unlink, c"g"), 0),
    ] {
        old(c".");
        change();
        assert!(followed(c".").st_mtime > 1000);
    }
}

fn access_time_does_not_go_back() {
    let fd = file_with(c"f", b"abc");
    let before = (fstat(fd).st_atime, fstat(fd).st_atime_nsec);
    read(fd, 1);
    assert!((fstat(fd).st_atime, fstat(fd).st_atime_nsec) >= before);
}

fn statfs_has_numbers() {
    // SAFETY: all-zero bytes are a valid `statfs`.
    let mut s: statfs = unsafe { std::mem::zeroed() };
    ok!(SYS_statfs, c".", &mut s);
    assert!(s.f_bsize >= 512 && s.f_blocks > 0 && s.f_bfree <= s.f_blocks && s.f_namelen == 255);
    let fd = open(c".", O_RDONLY);
    ok!(SYS_fstatfs, fd, &mut s);
    fails!(ENOENT, SYS_statfs, c"none", &mut s);
    fails!(EFAULT, SYS_statfs, c".", bad::<statfs>());
    fails!(EBADF, SYS_fstatfs, 500, &mut s);
}

fn blocks_follow_the_data() {
    let fd = create(c"f");
    assert_eq!(fstat(fd).st_blocks, 0);
    write(fd, &[1; 100_000]);
    ok!(SYS_fsync, fd);
    let full = fstat(fd).st_blocks;
    assert!((196..400).contains(&full), "{full} blocks");
    ok!(SYS_ftruncate, fd, 1i64 << 40);
    assert!(fstat(fd).st_blocks < 1000);
    ok!(SYS_ftruncate, fd, 0);
    assert_eq!(fstat(fd).st_blocks, 0);
}
