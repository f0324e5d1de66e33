//! mkdir, rmdir, unlink, link, symlink, readlink, rename, mknod and their *at forms.

use libc::{
    AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, EBUSY, EXDEV, O_CREAT, O_EXCL, O_NOFOLLOW, O_PATH,
    O_RDONLY, O_RDWR, RENAME_EXCHANGE, RENAME_NOREPLACE, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK,
    S_IFMT, S_IFREG,
};
use std::ffi::CStr;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    mkdir_errors,
    mkdir_mode_and_trailing_slash,
    mkdirat_at_a_directory,
    rmdir_errors,
    rmdir_of_dots,
    rmdir_of_the_working_directory,
    unlink_errors,
    unlinkat_flags,
    link_counts,
    link_errors,
    linkat_and_symbolic_links,
    symlink_and_readlink,
    symlink_errors,
    readlink_cuts_silently,
    readlink_errors,
    rename_moves,
    rename_keeps_the_inode,
    rename_onto_the_same_file,
    rename_onto_another_link_of_the_same_file,
    rename_replaces_a_file,
    rename_replaces_an_empty_directory,
    rename_errors,
    rename_into_itself,
    rename_of_a_link_moves_the_link,
    rename_changes_dot_dot,
    renameat2_noreplace,
    renameat2_exchange,
    renameat2_flags,
    mknod_makes_files_and_fifos,
    mknod_errors,
    names_are_bytes,
    same_name_again_after_unlink,
);

fn kind(path: &CStr) -> u32 {
    lstat(path).unwrap().st_mode & S_IFMT
}

fn touch(path: &CStr) {
    close(create(path));
}

fn mkdir_errors() {
    ok!(SYS_mkdir, c"d", 0o755);
    touch(c"f");
    ok!(SYS_symlink, c"nowhere", c"link");
    fails!(EEXIST, SYS_mkdir, c"d", 0o755);
    fails!(EEXIST, SYS_mkdir, c"f", 0o755);
    fails!(EEXIST, SYS_mkdir, c"link", 0o755);
    fails!(EEXIST, SYS_mkdir, c"/", 0o755);
    fails!(EEXIST, SYS_mkdir, c".", 0o755);
    fails!(EEXIST, SYS_mkdir, c"d/..", 0o755);
    fails!(ENOENT, SYS_mkdir, c"none/d", 0o755);
    fails!(ENOENT, SYS_mkdir, c"", 0o755);
    fails!(ENOTDIR, SYS_mkdir, c"f/d", 0o755);
    fails!(EFAULT, SYS_mkdir, bad::<u8>(), 0o755);
}

fn mkdir_mode_and_trailing_slash() {
    ok!(SYS_umask, 0);
    ok!(SYS_mkdir, c"d/", 0o1750);
    assert_eq!(lstat(c"d").unwrap().st_mode, S_IFDIR | 0o1750);
    assert_eq!(lstat(c"d").unwrap().st_nlink, 2);
}

fn mkdirat_at_a_directory() {
    ok!(SYS_mkdirat, AT_FDCWD, c"d", 0o755);
    let d = open(c"d", O_RDONLY);
    ok!(SYS_mkdirat, d, c"e", 0o755);
    assert_eq!(kind(c"d/e"), S_IFDIR);
    touch(c"f");
    fails!(ENOTDIR, SYS_mkdirat, open(c"f", O_RDONLY), c"e", 0o755);
}

fn rmdir_errors() {
    ok!(SYS_mkdir, c"d", 0o755);
    touch(c"d/f");
    fails!(ENOTEMPTY, SYS_rmdir, c"d");
    fails!(ENOTDIR, SYS_rmdir, c"d/f");
    fails!(ENOENT, SYS_rmdir, c"none");
    fails!(ENOENT, SYS_rmdir, c"");
    ok!(SYS_symlink, c"d", c"link");
    fails!(ENOTDIR, SYS_rmdir, c"link");
    fails!(ENOTDIR, SYS_rmdir, c"link/");
    fails!(EBUSY, SYS_rmdir, c"/");
    fails!(EFAULT, SYS_rmdir, bad::<u8>());
    ok!(SYS_unlink, c"d/f");
    ok!(SYS_rmdir, c"d/");
    assert!(!exists(c"d"));
}

fn rmdir_of_dots() {
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_mkdir, c"d/e", 0o755);
    fails!(EINVAL, SYS_rmdir, c"d/.");
    fails!(ENOTEMPTY, SYS_rmdir, c"d/e/..");
}

/// It may be removed; afterwards nothing can be made in it and it has no path.
fn rmdir_of_the_working_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_chdir, c"d");
    ok!(SYS_rmdir, c"../d");
    fails!(ENOENT, SYS_open, c"f", O_RDWR | O_CREAT, 0o600);
    fails!(ENOENT, SYS_mkdir, c"e", 0o755);
    fails!(ENOENT, SYS_getcwd, &mut [0u8; 256], 256);
    assert_eq!(fstat(open(c".", O_RDONLY)).st_nlink, 0);
    close(open(c"..", O_RDONLY));
}

fn unlink_errors() {
    ok!(SYS_mkdir, c"d", 0o755);
    touch(c"f");
    fails!(EISDIR, SYS_unlink, c"d");
    fails!(ENOENT, SYS_unlink, c"none");
    fails!(ENOENT, SYS_unlink, c"");
    fails!(ENOTDIR, SYS_unlink, c"f/x");
    fails!(ENOTDIR, SYS_unlink, c"f/");
    fails!(EFAULT, SYS_unlink, bad::<u8>());
    ok!(SYS_symlink, c"f", c"link");
    ok!(SYS_unlink, c"link");
    assert!(exists(c"f"));
    ok!(SYS_unlink, c"f");
    fails!(ENOENT, SYS_unlink, c"f");
}

fn unlinkat_flags() {
    ok!(SYS_mkdir, c"d", 0o755);
    touch(c"d/f");
    let d = open(c"d", O_RDONLY);
    fails!(EINVAL, SYS_unlinkat, d, c"f", 0x1);
    fails!(ENOTDIR, SYS_unlinkat, d, c"f", AT_REMOVEDIR);
    fails!(EISDIR, SYS_unlinkat, AT_FDCWD, c"d", 0);
    ok!(SYS_unlinkat, d, c"f", 0);
    ok!(SYS_unlinkat, AT_FDCWD, c"d", AT_REMOVEDIR);
    fails!(ENOENT, SYS_openat, d, c"x", O_RDWR | O_CREAT, 0o600);
}

fn link_counts() {
    touch(c"a");
    for (n, name) in [c"b", c"c", c"d"].into_iter().enumerate() {
        ok!(SYS_link, c"a", name);
        assert_eq!(lstat(c"a").unwrap().st_nlink, n as u64 + 2);
    }
    assert_eq!(lstat(c"d").unwrap().st_ino, lstat(c"a").unwrap().st_ino);
    ok!(SYS_unlink, c"a");
    assert_eq!(lstat(c"b").unwrap().st_nlink, 3);
}

fn link_errors() {
    touch(c"f");
    ok!(SYS_mkdir, c"d", 0o755);
    fails!(EPERM, SYS_link, c"d", c"e");
    fails!(ENOENT, SYS_link, c"none", c"e");
    fails!(EEXIST, SYS_link, c"f", c"f");
    fails!(EEXIST, SYS_link, c"f", c"d");
    fails!(ENOENT, SYS_link, c"f", c"none/e");
    fails!(ENOTDIR, SYS_link, c"f", c"f/e");
    fails!(EFAULT, SYS_link, bad::<u8>(), c"e");
    fails!(EFAULT, SYS_link, c"f", bad::<u8>());
    fails!(EINVAL, SYS_linkat, AT_FDCWD, c"f", AT_FDCWD, c"e", 0x1);
}

fn linkat_and_symbolic_links() {
    touch(c"f");
    ok!(SYS_symlink, c"f", c"link");
    ok!(SYS_linkat, AT_FDCWD, c"link", AT_FDCWD, c"hard", 0);
    assert_eq!(kind(c"hard"), S_IFLNK);
    ok!(
        SYS_linkat,
        AT_FDCWD,
        c"link",
        AT_FDCWD,
        c"followed",
        AT_SYMLINK_FOLLOW
    );
    assert_eq!(
        lstat(c"followed").unwrap().st_ino,
        lstat(c"f").unwrap().st_ino
    );
}

fn symlink_and_readlink() {
    let mut text = [0u8; 64];
    for target in [c"f", c"/absolute/nowhere", c"../up", c"a b\xff"] {
        ok!(SYS_symlink, target, c"link");
        gives!(target.count_bytes(), SYS_readlink, c"link", &mut text, 64);
        assert_eq!(&text[..target.count_bytes()], target.to_bytes());
        assert_eq!(lstat(c"link").unwrap().st_size, target.count_bytes() as i64);
        assert_eq!(lstat(c"link").unwrap().st_mode, S_IFLNK | 0o777);
        ok!(SYS_unlink, c"link");
    }
    ok!(SYS_mkdir, c"d", 0o755);
    let d = open(c"d", O_RDONLY);
    ok!(SYS_symlinkat, c"target", d, c"l");
    gives!(6, SYS_readlinkat, d, c"l", &mut text, 64);
    let l = open(c"d/l", O_PATH | O_NOFOLLOW);
    gives!(6, SYS_readlinkat, l, c"", &mut text, 64);
}

fn symlink_errors() {
    touch(c"f");
    fails!(EEXIST, SYS_symlink, c"x", c"f");
    fails!(ENOENT, SYS_symlink, c"", c"link");
    fails!(ENOENT, SYS_symlink, c"x", c"");
    fails!(ENOENT, SYS_symlink, c"x", c"none/link");
    fails!(ENOTDIR, SYS_symlink, c"x", c"f/link");
    fails!(EFAULT, SYS_symlink, bad::<u8>(), c"link");
    fails!(EFAULT, SYS_symlink, c"x", bad::<u8>());
    let long = vec![b'x'; 5000];
    fails!(ENAMETOOLONG, SYS_symlink, long.as_ptr(), c"link");
}

fn readlink_cuts_silently() {
    ok!(SYS_symlink, c"0123456789", c"link");
    let mut text = [b'-'; 8];
    gives!(4, SYS_readlink, c"link", &mut text, 4);
    assert_eq!(&text, b"0123----");
}

fn readlink_errors() {
    touch(c"f");
    ok!(SYS_symlink, c"f", c"link");
    let mut text = [0u8; 8];
    fails!(EINVAL, SYS_readlink, c"f", &mut text, 8);
    fails!(EINVAL, SYS_readlink, c".", &mut text, 8);
    fails!(ENOENT, SYS_readlink, c"none", &mut text, 8);
    fails!(EINVAL, SYS_readlink, c"link", &mut text, 0);
    fails!(EINVAL, SYS_readlink, c"link", &mut text, -1);
    fails!(EFAULT, SYS_readlink, c"link", bad::<u8>(), 8);
    fails!(EFAULT, SYS_readlink, bad::<u8>(), &mut text, 8);
}

fn rename_moves() {
    close(file_with(c"a", b"text"));
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_rename, c"a", c"d/b");
    assert!(!exists(c"a"));
    assert_eq!(read(open(c"d/b", O_RDONLY), 9), b"text");
    let d = open(c"d", O_RDONLY);
    ok!(SYS_renameat, d, c"b", AT_FDCWD, c"c");
    assert!(exists(c"c") && !exists(c"d/b"));
}

fn rename_keeps_the_inode() {
    let fd = create(c"a");
    ok!(SYS_rename, c"a", c"b");
    assert_eq!(lstat(c"b").unwrap().st_ino, fstat(fd).st_ino);
    assert_eq!(fstat(fd).st_nlink, 1);
}

fn rename_onto_the_same_file() {
    touch(c"a");
    ok!(SYS_rename, c"a", c"a");
    assert!(exists(c"a"));
}

/// The standard wants that nothing happens.
fn rename_onto_another_link_of_the_same_file() {
    touch(c"a");
    ok!(SYS_link, c"a", c"b");
    ok!(SYS_rename, c"a", c"b");
    assert!(exists(c"a") && exists(c"b"));
}

fn rename_replaces_a_file() {
    close(file_with(c"a", b"new"));
    let old = file_with(c"b", b"old");
    ok!(SYS_rename, c"a", c"b");
    assert_eq!(fstat(old).st_nlink, 0);
    assert_eq!(read(old, 9), b"old");
    assert_eq!(read(open(c"b", O_RDONLY), 9), b"new");
}

fn rename_replaces_an_empty_directory() {
    ok!(SYS_mkdir, c"a", 0o755);
    touch(c"a/f");
    ok!(SYS_mkdir, c"b", 0o755);
    ok!(SYS_rename, c"a", c"b");
    assert!(exists(c"b/f") && !exists(c"a"));
    ok!(SYS_mkdir, c"c", 0o755);
    fails!(ENOTEMPTY, SYS_rename, c"c", c"b");
}

fn rename_errors() {
    touch(c"f");
    ok!(SYS_mkdir, c"d", 0o755);
    fails!(ENOENT, SYS_rename, c"none", c"x");
    fails!(ENOENT, SYS_rename, c"f", c"none/x");
    fails!(ENOENT, SYS_rename, c"f", c"");
    fails!(ENOENT, SYS_rename, c"", c"x");
    fails!(EISDIR, SYS_rename, c"f", c"d");
    fails!(ENOTDIR, SYS_rename, c"d", c"f");
    fails!(ENOTDIR, SYS_rename, c"f", c"f/x");
    fails!(ENOTDIR, SYS_rename, c"f", c"x/");
    fails!(EBUSY, SYS_rename, c".", c"x");
    fails!(EBUSY, SYS_rename, c"d", c"..");
    // The other error is for a root that is another file system than the working directory's.
    let root = test_programs::sys!(SYS_rename, c"/", c"x");
    assert!(matches!(root, Err(EBUSY | EXDEV)), "{root:?}");
    fails!(EFAULT, SYS_rename, bad::<u8>(), c"x");
    fails!(EFAULT, SYS_rename, c"f", bad::<u8>());
    ok!(SYS_rename, c"d", c"e/");
    assert!(exists(c"e"));
}

fn rename_into_itself() {
    ok!(SYS_mkdir, c"a", 0o755);
    ok!(SYS_mkdir, c"a/b", 0o755);
    fails!(EINVAL, SYS_rename, c"a", c"a/c");
    fails!(EINVAL, SYS_rename, c"a", c"a/b/c");
    fails!(ENOTEMPTY, SYS_rename, c"a/b", c"a");
    assert!(exists(c"a/b"));
}

fn rename_of_a_link_moves_the_link() {
    touch(c"f");
    ok!(SYS_symlink, c"f", c"link");
    ok!(SYS_rename, c"link", c"other");
    assert_eq!(kind(c"other"), S_IFLNK);
    touch(c"g");
    ok!(SYS_rename, c"g", c"other");
    assert_eq!(kind(c"other"), S_IFREG);
    assert!(exists(c"f"));
}

fn rename_changes_dot_dot() {
    for d in [c"a", c"a/in", c"b"] {
        ok!(SYS_mkdir, d, 0o755);
    }
    ok!(SYS_rename, c"a/in", c"b/in");
    assert_eq!(
        lstat(c"b/in/..").unwrap().st_ino,
        lstat(c"b").unwrap().st_ino
    );
    assert_eq!(
        (lstat(c"a").unwrap().st_nlink, lstat(c"b").unwrap().st_nlink),
        (2, 3)
    );
}

fn renameat2_noreplace() {
    touch(c"a");
    touch(c"b");
    fails!(
        EEXIST,
        SYS_renameat2,
        AT_FDCWD,
        c"a",
        AT_FDCWD,
        c"b",
        RENAME_NOREPLACE
    );
    ok!(
        SYS_renameat2,
        AT_FDCWD,
        c"a",
        AT_FDCWD,
        c"c",
        RENAME_NOREPLACE
    );
    assert!(exists(c"c") && !exists(c"a"));
}

fn renameat2_exchange() {
    close(file_with(c"a", b"A"));
    ok!(SYS_mkdir, c"d", 0o755);
    touch(c"d/f");
    ok!(
        SYS_renameat2,
        AT_FDCWD,
        c"a",
        AT_FDCWD,
        c"d",
        RENAME_EXCHANGE
    );
    assert_eq!(read(open(c"d", O_RDONLY), 9), b"A");
    assert!(exists(c"a/f"));
    fails!(
        ENOENT,
        SYS_renameat2,
        AT_FDCWD,
        c"a",
        AT_FDCWD,
        c"none",
        RENAME_EXCHANGE
    );
}

fn renameat2_flags() {
    touch(c"a");
    fails!(EINVAL, SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"b", 0x80);
    fails!(
        EINVAL,
        SYS_renameat2,
        AT_FDCWD,
        c"a",
        AT_FDCWD,
        c"b",
        RENAME_NOREPLACE | RENAME_EXCHANGE
    );
}

fn mknod_makes_files_and_fifos() {
    ok!(SYS_umask, 0o022);
    ok!(SYS_mknod, c"plain", S_IFREG | 0o666, 0);
    ok!(SYS_mknod, c"zero", 0o600, 0);
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    ok!(SYS_mknodat, AT_FDCWD, c"null", S_IFCHR | 0o666, 0x103);
    assert_eq!(
        (kind(c"plain"), kind(c"zero"), kind(c"fifo"), kind(c"null")),
        (S_IFREG, S_IFREG, S_IFIFO, S_IFCHR)
    );
    assert_eq!(lstat(c"plain").unwrap().st_mode & 0o777, 0o644);
    assert_eq!(lstat(c"null").unwrap().st_rdev, 0x103);
}

fn mknod_errors() {
    touch(c"f");
    fails!(EEXIST, SYS_mknod, c"f", S_IFREG | 0o600, 0);
    fails!(ENOENT, SYS_mknod, c"none/f", S_IFREG | 0o600, 0);
    fails!(EPERM, SYS_mknod, c"d", S_IFDIR | 0o700, 0);
    fails!(EINVAL, SYS_mknod, c"l", S_IFLNK | 0o700, 0);
    fails!(EFAULT, SYS_mknod, bad::<u8>(), S_IFREG | 0o600, 0);
}

/// Any bytes but the slash and the zero, and the case counts.
fn names_are_bytes() {
    for name in [c"\xff\xfe", c"a\nb", c" ", c"...", c"A", c"a"] {
        close(ok!(SYS_open, name, O_RDWR | O_CREAT | O_EXCL, 0o600));
    }
    ok!(SYS_unlink, c"A");
    assert!(exists(c"a") && exists(c"..."));
}

fn same_name_again_after_unlink() {
    let first = file_with(c"f", b"first");
    ok!(SYS_unlink, c"f");
    let second = file_with(c"f", b"second one");
    assert_ne!(fstat(first).st_ino, fstat(second).st_ino);
    assert_eq!((fstat(first).st_size, fstat(second).st_size), (5, 10));
}
