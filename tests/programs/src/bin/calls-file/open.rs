//! open(2), openat, creat.

use libc::{
    AT_FDCWD, EINVAL, EMFILE, ENOSYS, F_DUPFD, O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT,
    O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
    RLIMIT_NOFILE, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, SEEK_CUR, SEEK_SET, rlimit,
};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    lowest_free_number,
    missing_file,
    create_makes_a_file,
    create_excl,
    create_excl_on_a_link,
    create_in_a_missing_directory,
    create_through_a_dangling_link,
    truncate,
    truncate_keeps_other_opens,
    access_modes,
    directory_for_writing,
    directory_flag_on_a_file,
    directory_flag_on_a_directory,
    create_on_a_directory,
    nofollow,
    path_only,
    append_ignores_the_position,
    append_from_two_opens,
    status_flags_are_kept,
    cloexec_flag,
    mode_and_umask,
    mode_bits_of_creat,
    read_only_create_can_still_write_nothing,
    mode_does_not_bind_the_creator,
    at_a_directory_descriptor,
    at_a_file_descriptor,
    at_a_bad_descriptor,
    absolute_path_ignores_the_descriptor,
    empty_path,
    trailing_slash,
    every_open_has_its_own_position,
    too_many_files,
    deleted_file_lives_on,
    large_mode_words_are_cut,
    openat2_or_enosys,
);

fn lowest_free_number() {
    let (a, b, c) = (create(c"a"), create(c"b"), create(c"c"));
    assert_eq!((b, c), (a + 1, a + 2));
    close(b);
    assert_eq!(open(c"a", O_RDONLY), b);
    close(a);
    assert_eq!(open(c"b", O_RDONLY), a);
    assert_eq!(open(c"b", O_RDONLY), c + 1);
}

fn missing_file() {
    fails!(ENOENT, SYS_open, c"nothing", O_RDONLY, 0);
    fails!(ENOENT, SYS_openat, AT_FDCWD, c"nothing", O_RDWR, 0);
    fails!(ENOENT, SYS_open, c"nothing/below", O_RDWR | O_CREAT, 0o600);
}

fn create_makes_a_file() {
    let fd = ok!(SYS_open, c"f", O_WRONLY | O_CREAT, 0o600);
    assert_eq!(fstat(fd).st_size, 0);
    assert_eq!(fstat(fd).st_mode, S_IFREG | 0o600);
    close(fd);
    write(open(c"f", O_WRONLY | O_CREAT), b"kept");
    assert_eq!(read(open(c"f", O_RDONLY | O_CREAT), 10), b"kept");
}

fn create_excl() {
    close(ok!(SYS_open, c"f", O_RDWR | O_CREAT | O_EXCL, 0o600));
    fails!(EEXIST, SYS_open, c"f", O_RDWR | O_CREAT | O_EXCL, 0o600);
    fails!(EEXIST, SYS_open, c".", O_RDWR | O_CREAT | O_EXCL, 0o600);
}

fn create_excl_on_a_link() {
    ok!(SYS_symlink, c"nowhere", c"link");
    fails!(EEXIST, SYS_open, c"link", O_RDWR | O_CREAT | O_EXCL, 0o600);
    assert!(!exists(c"nowhere"));
}

fn create_in_a_missing_directory() {
    fails!(ENOENT, SYS_open, c"d/f", O_RDWR | O_CREAT, 0o600);
    close(create(c"f"));
    fails!(ENOTDIR, SYS_open, c"f/g", O_RDWR | O_CREAT, 0o600);
}

fn create_through_a_dangling_link() {
    ok!(SYS_symlink, c"target", c"link");
    close(create(c"link"));
    assert_eq!(lstat(c"target").unwrap().st_mode & S_IFMT, S_IFREG);
    assert_eq!(lstat(c"link").unwrap().st_mode & S_IFMT, S_IFLNK);
}

fn truncate() {
    close(file_with(c"f", b"something"));
    close(open(c"f", O_WRONLY | O_TRUNC));
    assert_eq!(lstat(c"f").unwrap().st_size, 0);
}

fn truncate_keeps_other_opens() {
    let fd = file_with(c"f", b"something");
    assert_eq!(read(fd, 4), b"some");
    close(open(c"f", O_WRONLY | O_TRUNC));
    assert_eq!(read(fd, 4), b"");
    assert_eq!(write(fd, b"x"), 1);
    assert_eq!(fstat(fd).st_size, 5);
}

fn access_modes() {
    close(file_with(c"f", b"abc"));
    let (r, w, rw) = (
        open(c"f", O_RDONLY),
        open(c"f", O_WRONLY),
        open(c"f", O_RDWR),
    );
    let mut byte = [0u8];
    fails!(EBADF, SYS_write, r, &byte, 1);
    fails!(EBADF, SYS_read, w, &mut byte, 1);
    gives!(1, SYS_read, rw, &mut byte, 1);
    gives!(1, SYS_write, rw, &byte, 1);
    for (fd, mode) in [(r, O_RDONLY), (w, O_WRONLY), (rw, O_RDWR)] {
        assert_eq!(status_flags(fd) & O_ACCMODE, mode);
    }
}

fn directory_for_writing() {
    fails!(EISDIR, SYS_open, c".", O_WRONLY, 0);
    fails!(EISDIR, SYS_open, c".", O_RDWR, 0);
    let fd = open(c".", O_RDONLY);
    let mut byte = [0u8];
    fails!(EISDIR, SYS_read, fd, &mut byte, 1);
    fails!(EBADF, SYS_write, fd, &byte, 1);
}

fn directory_flag_on_a_file() {
    close(create(c"f"));
    fails!(ENOTDIR, SYS_open, c"f", O_RDONLY | O_DIRECTORY, 0);
    ok!(SYS_symlink, c"f", c"link");
    fails!(ENOTDIR, SYS_open, c"link", O_RDONLY | O_DIRECTORY, 0);
    fails!(ENOENT, SYS_open, c"nothing", O_RDONLY | O_DIRECTORY, 0);
}

fn directory_flag_on_a_directory() {
    assert_eq!(
        fstat(open(c".", O_RDONLY | O_DIRECTORY)).st_mode & S_IFMT,
        S_IFDIR
    );
}

fn create_on_a_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    fails!(EISDIR, SYS_open, c"d", O_RDWR | O_CREAT, 0o600);
    fails!(EISDIR, SYS_open, c"d", O_RDONLY | O_CREAT, 0o600);
    fails!(EISDIR, SYS_open, c"d/", O_RDWR | O_CREAT, 0o600);
    fails!(EISDIR, SYS_open, c"new/", O_RDWR | O_CREAT, 0o600);
}

fn nofollow() {
    close(create(c"f"));
    ok!(SYS_symlink, c"f", c"link");
    fails!(ELOOP, SYS_open, c"link", O_RDONLY | O_NOFOLLOW, 0);
    close(open(c"f", O_RDONLY | O_NOFOLLOW));
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_symlink, c"d", c"dlink");
    close(create(c"d/f"));
    close(open(c"dlink/f", O_RDONLY | O_NOFOLLOW));
    fails!(
        ENOTDIR,
        SYS_open,
        c"dlink",
        O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
        0
    );
}

fn path_only() {
    close(file_with(c"f", b"abc"));
    let fd = open(c"f", O_PATH);
    let mut byte = [0u8];
    fails!(EBADF, SYS_read, fd, &mut byte, 1);
    fails!(EBADF, SYS_write, fd, &byte, 1);
    fails!(EBADF, SYS_lseek, fd, 0, SEEK_SET);
    fails!(EBADF, SYS_fchmod, fd, 0o600);
    assert_eq!(fstat(fd).st_size, 3);
    ok!(SYS_symlink, c"f", c"link");
    let link = open(c"link", O_PATH | O_NOFOLLOW);
    assert_eq!(fstat(link).st_mode & S_IFMT, S_IFLNK);
    ok!(SYS_mkdir, c"d", 0o755);
    let d = open(c"d", O_PATH | O_DIRECTORY);
    close(ok!(SYS_openat, d, c"x", O_RDWR | O_CREAT, 0o600));
    assert!(exists(c"d/x"));
}

fn append_ignores_the_position() {
    close(file_with(c"f", b"0123"));
    let fd = open(c"f", O_RDWR | O_APPEND);
    assert_eq!(read(fd, 2), b"01");
    write(fd, b"45");
    gives!(6, SYS_lseek, fd, 0, SEEK_CUR);
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    write(fd, b"6");
    assert_eq!(read(open(c"f", O_RDONLY), 20), b"0123456");
}

fn append_from_two_opens() {
    close(create(c"f"));
    let (a, b) = (
        open(c"f", O_WRONLY | O_APPEND),
        open(c"f", O_WRONLY | O_APPEND),
    );
    for _ in 0..3 {
        write(a, b"a");
        write(b, b"b");
    }
    assert_eq!(read(open(c"f", O_RDONLY), 20), b"ababab");
}

fn status_flags_are_kept() {
    let fd = open(
        c"f",
        O_RDWR | O_CREAT | O_TRUNC | O_EXCL | O_APPEND | O_NONBLOCK,
    );
    let flags = status_flags(fd);
    assert_eq!(
        flags & (O_ACCMODE | O_APPEND | O_NONBLOCK),
        O_RDWR | O_APPEND | O_NONBLOCK
    );
    assert_eq!(flags & (O_CREAT | O_TRUNC | O_EXCL), 0);
}

fn cloexec_flag() {
    close(create(c"f"));
    assert!(!close_on_exec(open(c"f", O_RDONLY)));
    let fd = open(c"f", O_RDONLY | O_CLOEXEC);
    assert!(close_on_exec(fd));
    assert_eq!(status_flags(fd) & O_CLOEXEC, 0);
}

fn mode_and_umask() {
    ok!(SYS_umask, 0o027);
    let fd = ok!(SYS_open, c"f", O_RDWR | O_CREAT, 0o777);
    assert_eq!(fstat(fd).st_mode & 0o7777, 0o750);
    ok!(SYS_mkdir, c"d", 0o777);
    assert_eq!(lstat(c"d").unwrap().st_mode & 0o7777, 0o750);
    gives!(0o027, SYS_umask, 0);
    gives!(0, SYS_umask, 0o7777);
    gives!(0o777, SYS_umask, 0o022);
    let fd = ok!(SYS_open, c"g", O_RDWR | O_CREAT, 0o7666);
    assert_eq!(fstat(fd).st_mode & 0o7777, 0o7644);
}

fn mode_bits_of_creat() {
    let fd = ok!(SYS_creat, c"f", 0o640);
    assert_eq!(status_flags(fd) & O_ACCMODE, O_WRONLY);
    write(fd, b"abc");
    ok!(SYS_creat, c"f", 0o600);
    assert_eq!(lstat(c"f").unwrap().st_size, 0);
    assert_eq!(lstat(c"f").unwrap().st_mode & 0o777, 0o640);
}

fn read_only_create_can_still_write_nothing() {
    let fd = ok!(SYS_open, c"f", O_RDONLY | O_CREAT, 0o600);
    fails!(EBADF, SYS_write, fd, c"x", 1);
}

/// The mode of a new file rules later opens, not the one that made it.
fn mode_does_not_bind_the_creator() {
    test_programs::child::passes(|| {
        ok!(SYS_chmod, c".", 0o777);
        test_programs::child::become_nobody();
        let fd = ok!(SYS_open, c"f", O_RDWR | O_CREAT, 0);
        write(fd, b"ok");
        fails!(EACCES, SYS_open, c"f", O_RDONLY, 0);
    });
}

fn at_a_directory_descriptor() {
    ok!(SYS_mkdir, c"d", 0o755);
    let d = open(c"d", O_RDONLY | O_DIRECTORY);
    close(ok!(SYS_openat, d, c"f", O_RDWR | O_CREAT, 0o600));
    assert!(exists(c"d/f"));
    ok!(SYS_rename, c"d", c"e");
    close(ok!(SYS_openat, d, c"g", O_RDWR | O_CREAT, 0o600));
    assert!(exists(c"e/g"));
    close(ok!(SYS_openat, d, c"../top", O_RDWR | O_CREAT, 0o600));
    assert!(exists(c"top"));
}

fn at_a_file_descriptor() {
    let f = create(c"f");
    fails!(ENOTDIR, SYS_openat, f, c"x", O_RDONLY, 0);
}

fn at_a_bad_descriptor() {
    fails!(EBADF, SYS_openat, 999, c"x", O_RDONLY, 0);
    fails!(EBADF, SYS_openat, -1, c"x", O_RDONLY, 0);
}

fn absolute_path_ignores_the_descriptor() {
    close(ok!(SYS_openat, 999, c"/", O_RDONLY, 0));
    close(ok!(SYS_openat, -1, c"/", O_RDONLY, 0));
}

fn empty_path() {
    fails!(ENOENT, SYS_open, c"", O_RDONLY, 0);
    fails!(ENOENT, SYS_open, c"", O_RDWR | O_CREAT, 0o600);
}

fn trailing_slash() {
    close(create(c"f"));
    fails!(ENOTDIR, SYS_open, c"f/", O_RDONLY, 0);
    fails!(ENOENT, SYS_open, c"nothing/", O_RDONLY, 0);
    close(open(c"./", O_RDONLY));
    close(open(c"/", O_RDONLY));
    close(open(c"///", O_RDONLY));
}

fn every_open_has_its_own_position() {
    let a = file_with(c"f", b"abcd");
    let b = open(c"f", O_RDONLY);
    assert_eq!(read(a, 2), b"ab");
    assert_eq!(read(b, 4), b"abcd");
    assert_eq!(read(a, 2), b"cd");
}

fn too_many_files() {
    let limit = rlimit {
        rlim_cur: 20,
        rlim_max: 20,
    };
    ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    let mut last = 0;
    loop {
        match test_programs::sys!(SYS_open, c"/", O_RDONLY, 0) {
            Ok(fd) => last = fd,
            Err(errno) => break assert_eq!(errno, EMFILE),
        }
    }
    assert_eq!(last, 19);
    fails!(EMFILE, SYS_dup, 0);
    fails!(EBADF, SYS_dup2, 0, 20);
    fails!(EMFILE, SYS_pipe2, &mut [0i32; 2], 0);
    fails!(EINVAL, SYS_fcntl, 0, F_DUPFD, 20);
    fails!(EMFILE, SYS_fcntl, 0, F_DUPFD, 3);
    close(last);
    assert_eq!(open(c"/", O_RDONLY), 19);
}

fn deleted_file_lives_on() {
    let fd = file_with(c"f", b"text");
    ok!(SYS_unlink, c"f");
    assert_eq!(fstat(fd).st_nlink, 0);
    assert_eq!(read(fd, 9), b"text");
    write(fd, b"more");
    assert_eq!(fstat(fd).st_size, 8);
    assert!(!exists(c"f"));
}

fn large_mode_words_are_cut() {
    ok!(SYS_umask, 0);
    let fd = ok!(SYS_open, c"f", O_RDWR | O_CREAT, 0o170_640);
    assert_eq!(fstat(fd).st_mode, S_IFREG | 0o640);
}

/// openat2 may be absent; if it is there, it refuses unknown flags.
fn openat2_or_enosys() {
    let how = [O_RDONLY as u64 | 1 << 40, 0, 0];
    match test_programs::sys!(SYS_openat2, AT_FDCWD, c".", &how, 24) {
        Err(EINVAL | ENOSYS) => {}
        other => panic!(
            "openat2 with an unknown flag {}",
            test_programs::raw::outcome(other)
        ),
    }
}
