//! path_resolution(7): long names, links, dots, slashes, chdir and getcwd.

use libc::{O_CREAT, O_RDONLY, O_RDWR, S_IFDIR, S_IFLNK, S_IFMT};
use std::ffi::CString;
use test_programs::raw::short::*;
use test_programs::raw::text;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    longest_name,
    longest_path,
    path_without_an_end,
    link_loop,
    forty_links_are_allowed,
    self_link,
    link_to_a_directory,
    link_in_the_middle_to_a_file,
    absolute_link,
    link_with_a_trailing_slash,
    dots_and_slashes,
    dot_dot_of_the_root,
    dot_dot_after_a_link,
    a_file_is_no_directory,
    chdir_and_getcwd,
    chdir_errors,
    fchdir_moves,
    getcwd_sizes,
    getcwd_follows_a_rename,
    working_directory_survives_fork_and_is_separate,
    unreachable_below_a_removed_directory,
    chroot_is_a_new_root,
);

fn name(len: usize) -> CString {
    CString::new("n".repeat(len)).unwrap()
}

fn longest_name() {
    let (good, long) = (name(255), name(256));
    close(create(&good));
    assert!(exists(&good));
    fails!(ENAMETOOLONG, SYS_open, long.as_c_str(), O_RDONLY, 0);
    fails!(
        ENAMETOOLONG,
        SYS_open,
        long.as_c_str(),
        O_RDWR | O_CREAT,
        0o600
    );
    fails!(ENAMETOOLONG, SYS_mkdir, long.as_c_str(), 0o755);
    fails!(ENAMETOOLONG, SYS_unlink, long.as_c_str());
    fails!(ENAMETOOLONG, SYS_rename, good.as_c_str(), long.as_c_str());
    let below = CString::new(format!("{}/x", "n".repeat(256))).unwrap();
    fails!(ENAMETOOLONG, SYS_open, below.as_c_str(), O_RDONLY, 0);
}

/// 4096 bytes with the final zero.
fn longest_path() {
    let path = |len: usize| CString::new("/".repeat(len)).unwrap();
    close(open(&path(4095), O_RDONLY));
    fails!(ENAMETOOLONG, SYS_open, path(4096).as_c_str(), O_RDONLY, 0);
    let dots = CString::new(format!("{}.", "./".repeat(2047))).unwrap();
    assert_eq!(dots.as_bytes().len(), 4095);
    close(open(&dots, O_RDONLY));
}

fn path_without_an_end() {
    let cliff = test_programs::memory::Cliff::new();
    fails!(EFAULT, SYS_open, cliff.put(b"file"), O_RDONLY, 0);
    close(create(c"file"));
    close(ok!(SYS_open, cliff.put(b"file\0"), O_RDONLY, 0));
    let many = vec![b'x'; 10_000];
    fails!(ENAMETOOLONG, SYS_open, many.as_ptr(), O_RDONLY, 0);
}

fn link_loop() {
    ok!(SYS_symlink, c"b", c"a");
    ok!(SYS_symlink, c"a", c"b");
    fails!(ELOOP, SYS_open, c"a", O_RDONLY, 0);
    fails!(ELOOP, SYS_open, c"a/x", O_RDONLY, 0);
    fails!(ELOOP, SYS_open, c"a", O_RDWR | O_CREAT, 0o600);
    fails!(ELOOP, SYS_chdir, c"a");
    fails!(ELOOP, SYS_truncate, c"a", 0);
    assert!(lstat(c"a").is_ok());
}

fn forty_links_are_allowed() {
    close(create(c"l0"));
    for n in 1..=41 {
        let (old, new) = (
            CString::new(format!("l{}", n - 1)).unwrap(),
            CString::new(format!("l{n}")).unwrap(),
        );
        ok!(SYS_symlink, old.as_c_str(), new.as_c_str());
    }
    close(open(c"l40", O_RDONLY));
    fails!(ELOOP, SYS_open, c"l41", O_RDONLY, 0);
}

fn self_link() {
    ok!(SYS_symlink, c"self", c"self");
    fails!(ELOOP, SYS_open, c"self", O_RDONLY, 0);
    ok!(SYS_unlink, c"self");
}

fn link_to_a_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_symlink, c"d", c"link");
    close(create(c"link/f"));
    assert!(exists(c"d/f"));
    assert_eq!(lstat(c"link").unwrap().st_mode & S_IFMT, S_IFLNK);
    assert_eq!(lstat(c"link/").unwrap().st_mode & S_IFMT, S_IFDIR);
    assert_eq!(lstat(c"link/.").unwrap().st_mode & S_IFMT, S_IFDIR);
}

fn link_in_the_middle_to_a_file() {
    close(create(c"f"));
    ok!(SYS_symlink, c"f", c"link");
    fails!(ENOTDIR, SYS_open, c"link/x", O_RDONLY, 0);
    fails!(ENOTDIR, SYS_open, c"link/", O_RDONLY, 0);
    ok!(SYS_symlink, c"none", c"dangling");
    fails!(ENOENT, SYS_open, c"dangling/x", O_RDONLY, 0);
}

fn absolute_link() {
    let mut here = [0u8; 4096];
    ok!(SYS_getcwd, &mut here, 4096);
    close(file_with(c"f", b"abc"));
    let target = CString::new(format!("{}/f", text(&here))).unwrap();
    ok!(SYS_symlink, target.as_c_str(), c"link");
    assert_eq!(read(open(c"link", O_RDONLY), 9), b"abc");
    ok!(SYS_symlink, c"/", c"root");
    assert_eq!(
        fstat(open(c"root", O_RDONLY)).st_ino,
        lstat(c"/").unwrap().st_ino
    );
}

fn link_with_a_trailing_slash() {
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_symlink, c"d/", c"link");
    close(open(c"link", O_RDONLY));
    close(create(c"f"));
    ok!(SYS_symlink, c"f/", c"wrong");
    fails!(ENOTDIR, SYS_open, c"wrong", O_RDONLY, 0);
}

fn dots_and_slashes() {
    ok!(SYS_mkdir, c"d", 0o755);
    close(create(c"d/f"));
    for path in [c"d/./f", c"./d//f", c"d/../d/f", c".//././d///./f"] {
        close(open(path, O_RDONLY));
    }
    fails!(ENOENT, SYS_open, c"none/../d/f", O_RDONLY, 0);
    fails!(ENOTDIR, SYS_open, c"d/f/..", O_RDONLY, 0);
    fails!(ENOTDIR, SYS_open, c"d/f/.", O_RDONLY, 0);
}

fn dot_dot_of_the_root() {
    let root = lstat(c"/").unwrap();
    for path in [c"/..", c"/../..", c"/../../."] {
        let stat = lstat(path).unwrap();
        assert_eq!((stat.st_ino, stat.st_dev), (root.st_ino, root.st_dev));
    }
}

/// `..` leaves the directory that the link leads to, not the one that holds the link.
fn dot_dot_after_a_link() {
    ok!(SYS_mkdir, c"a", 0o755);
    ok!(SYS_mkdir, c"a/b", 0o755);
    close(create(c"a/f"));
    ok!(SYS_symlink, c"a/b", c"link");
    close(open(c"link/../f", O_RDONLY));
}

fn a_file_is_no_directory() {
    close(create(c"f"));
    fails!(ENOTDIR, SYS_open, c"f/x", O_RDONLY, 0);
    fails!(ENOTDIR, SYS_open, c"f/..", O_RDONLY, 0);
    fails!(ENOTDIR, SYS_chdir, c"f");
    fails!(ENOTDIR, SYS_access, c"f/x", 0);
    fails!(ENOTDIR, SYS_readlink, c"f/x", &mut [0u8; 9], 9);
}

fn cwd() -> String {
    let mut here = [0u8; 4096];
    let len = ok!(SYS_getcwd, &mut here, 4096);
    assert_eq!(here[len - 1], 0);
    let path = text(&here);
    assert_eq!(path.len() + 1, len);
    path
}

fn chdir_and_getcwd() {
    let start = cwd();
    ok!(SYS_mkdir, c"d", 0o755);
    ok!(SYS_mkdir, c"d/e", 0o755);
    ok!(SYS_symlink, c"d/e", c"link");
    ok!(SYS_chdir, c"link");
    assert_eq!(cwd(), format!("{start}/d/e"));
    ok!(SYS_chdir, c"..");
    assert_eq!(cwd(), format!("{start}/d"));
    ok!(SYS_chdir, c"/");
    assert_eq!(cwd(), "/");
    ok!(SYS_chdir, c"..");
    assert_eq!(cwd(), "/");
}

fn chdir_errors() {
    fails!(ENOENT, SYS_chdir, c"none");
    fails!(ENOENT, SYS_chdir, c"");
    fails!(EFAULT, SYS_chdir, bad::<u8>());
    fails!(ENAMETOOLONG, SYS_chdir, name(300).as_c_str());
}

fn fchdir_moves() {
    let start = open(c".", O_RDONLY);
    let path = cwd();
    ok!(SYS_chdir, c"/");
    ok!(SYS_fchdir, start);
    assert_eq!(cwd(), path);
    fails!(ENOTDIR, SYS_fchdir, create(c"f"));
}

fn getcwd_sizes() {
    ok!(SYS_chdir, c"/");
    let mut two = [9u8; 3];
    gives!(2, SYS_getcwd, &mut two, 2);
    assert_eq!(&two, b"/\0\x09");
    fails!(ERANGE, SYS_getcwd, &mut two, 1);
    fails!(ERANGE, SYS_getcwd, &mut two, 0);
    fails!(EFAULT, SYS_getcwd, bad::<u8>(), 100);
}

fn getcwd_follows_a_rename() {
    let start = cwd();
    ok!(SYS_mkdir, c"a", 0o755);
    ok!(SYS_chdir, c"a");
    ok!(SYS_rename, c"../a", c"../b");
    assert_eq!(cwd(), format!("{start}/b"));
}

fn working_directory_survives_fork_and_is_separate() {
    let start = cwd();
    ok!(SYS_mkdir, c"d", 0o755);
    test_programs::child::passes(|| {
        assert_eq!(cwd(), start);
        ok!(SYS_chdir, c"d");
    });
    assert_eq!(cwd(), start);
}

fn unreachable_below_a_removed_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    let d = open(c"d", O_RDONLY);
    ok!(SYS_rmdir, c"d");
    ok!(SYS_mkdir, c"d", 0o755);
    fails!(ENOENT, SYS_openat, d, c"f", O_RDWR | O_CREAT, 0o600);
    assert_ne!(fstat(d).st_ino, lstat(c"d").unwrap().st_ino);
}

fn chroot_is_a_new_root() {
    ok!(SYS_mkdir, c"jail", 0o755);
    close(create(c"jail/inside"));
    ok!(SYS_symlink, c"/inside", c"jail/link");
    test_programs::child::passes(|| {
        ok!(SYS_chroot, c"jail");
        ok!(SYS_chdir, c"/");
        assert!(exists(c"/inside") && exists(c"/../../inside"));
        close(open(c"link", O_RDONLY));
        assert_eq!(cwd(), "/");
    });
    fails!(ENOTDIR, SYS_chroot, c"jail/inside");
    fails!(ENOENT, SYS_chroot, c"none");
}
