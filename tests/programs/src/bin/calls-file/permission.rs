//! Permission bits, as a user who owns nothing meets them.

use libc::{
    AT_EACCESS, AT_FDCWD, EACCES, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, R_OK, X_OK,
    timespec,
};
use test_programs::child::{become_nobody, passes};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    read_and_write_bits,
    group_and_other_bits,
    the_owner_class_binds,
    search_permission,
    write_permission_of_the_directory,
    sticky_directory,
    only_the_owner_changes_the_mode,
    giving_files_away,
    access_asks_for_the_real_user,
    times_of_other_peoples_files,
    execute_permission,
    new_files_belong_to_the_maker,
    set_group_directory,
    root_passes,
    supplementary_groups,
);

/// As user and group 65534, in a directory where everybody may write.
fn as_nobody(test: impl FnOnce()) {
    ok!(SYS_umask, 0o022);
    ok!(SYS_chmod, c".", 0o777);
    passes(|| {
        become_nobody();
        test();
    });
}

fn read_and_write_bits() {
    ok!(SYS_fchmod, create(c"closed"), 0o600);
    ok!(SYS_fchmod, create(c"readable"), 0o644);
    ok!(SYS_fchmod, create(c"writable"), 0o622);
    as_nobody(|| {
        fails!(EACCES, SYS_open, c"closed", O_RDONLY, 0);
        fails!(EACCES, SYS_open, c"closed", O_WRONLY, 0);
        close(open(c"readable", O_RDONLY));
        fails!(EACCES, SYS_open, c"readable", O_RDWR, 0);
        fails!(EACCES, SYS_open, c"readable", O_RDONLY | O_TRUNC, 0);
        close(open(c"writable", O_WRONLY));
        fails!(EACCES, SYS_open, c"writable", O_RDWR, 0);
        fails!(EACCES, SYS_truncate, c"readable", 0);
        gives!(0, SYS_truncate, c"writable", 0);
    });
}

fn group_and_other_bits() {
    let fd = create(c"f");
    ok!(SYS_fchown, fd, 0, 65534);
    ok!(SYS_fchmod, fd, 0o604);
    as_nobody(|| {
        fails!(EACCES, SYS_open, c"f", O_RDONLY, 0);
    });
    ok!(SYS_fchmod, fd, 0o640);
    as_nobody(|| close(open(c"f", O_RDONLY)));
}

/// The owner without permission does not get the others'.
fn the_owner_class_binds() {
    let fd = create(c"f");
    ok!(SYS_fchown, fd, 65534, 65534);
    ok!(SYS_fchmod, fd, 0o066);
    as_nobody(|| {
        fails!(EACCES, SYS_open, c"f", O_RDONLY, 0);
        ok!(SYS_chmod, c"f", 0o400);
        close(open(c"f", O_RDONLY));
    });
}

fn search_permission() {
    ok!(SYS_mkdir, c"d", 0o755);
    close(create(c"d/f"));
    ok!(SYS_chmod, c"d", 0o744);
    as_nobody(|| {
        close(open(c"d", O_RDONLY));
        fails!(EACCES, SYS_open, c"d/f", O_RDONLY, 0);
        fails!(EACCES, SYS_chdir, c"d");
        assert_eq!(lstat(c"d/f").err(), Some(EACCES));
        fails!(EACCES, SYS_open, c"d/none", O_RDONLY, 0);
    });
    ok!(SYS_chmod, c"d", 0o711);
    as_nobody(|| {
        fails!(EACCES, SYS_open, c"d", O_RDONLY, 0);
        close(open(c"d/f", O_RDONLY));
        ok!(SYS_chdir, c"d");
    });
}

fn write_permission_of_the_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    close(create(c"d/f"));
    as_nobody(|| {
        fails!(EACCES, SYS_open, c"d/new", O_RDWR | O_CREAT, 0o600);
        fails!(EACCES, SYS_mkdir, c"d/new", 0o755);
        fails!(EACCES, SYS_unlink, c"d/f");
        fails!(EACCES, SYS_rename, c"d/f", c"g");
        fails!(EACCES, SYS_symlink, c"x", c"d/l");
        fails!(EEXIST, SYS_mkdir, c"d/f", 0o755);
    });
    as_nobody(|| {
        close(create(c"own"));
        fails!(EACCES, SYS_rename, c"own", c"d/own");
        ok!(SYS_rename, c"own", c"mine");
    });
}

fn sticky_directory() {
    ok!(SYS_mkdir, c"d", 0o755);
    close(create(c"d/roots"));
    ok!(SYS_chmod, c"d", 0o1777);
    as_nobody(|| {
        fails!(EPERM, SYS_unlink, c"d/roots");
        fails!(EPERM, SYS_rename, c"d/roots", c"d/x");
        close(create(c"d/own"));
        ok!(SYS_rename, c"d/own", c"d/mine");
        fails!(EPERM, SYS_rename, c"d/mine", c"d/roots");
        ok!(SYS_unlink, c"d/mine");
    });
}

fn only_the_owner_changes_the_mode() {
    ok!(SYS_fchmod, create(c"f"), 0o666);
    as_nobody(|| {
        fails!(EPERM, SYS_chmod, c"f", 0o777);
        fails!(EPERM, SYS_fchmod, open(c"f", O_RDWR), 0o777);
        let own = create(c"own");
        ok!(SYS_fchmod, own, 0o700);
        // The set-group bit goes silently if the group is not one's own.
        ok!(SYS_fchmod, own, 0o2700);
        assert_eq!(fstat(own).st_mode & 0o7777, 0o2700);
    });
}

fn giving_files_away() {
    as_nobody(|| {
        let fd = create(c"f");
        fails!(EPERM, SYS_fchown, fd, 0, -1);
        fails!(EPERM, SYS_fchown, fd, -1, 0);
        gives!(0, SYS_fchown, fd, 65534, 65534);
        gives!(0, SYS_fchown, fd, -1, -1);
    });
}

fn access_asks_for_the_real_user() {
    ok!(SYS_fchmod, create(c"f"), 0o600);
    ok!(SYS_chmod, c".", 0o777);
    passes(|| {
        // Real user nobody, effective user root.
        ok!(SYS_setresuid, 65534, 0, 0);
        close(open(c"f", O_RDONLY));
        fails!(EACCES, SYS_access, c"f", R_OK);
        gives!(0, SYS_faccessat2, AT_FDCWD, c"f", R_OK, AT_EACCESS);
    });
}

fn times_of_other_peoples_files() {
    ok!(SYS_fchmod, create(c"closed"), 0o644);
    ok!(SYS_fchmod, create(c"open"), 0o666);
    as_nobody(|| {
        fails!(EACCES, SYS_utimensat, AT_FDCWD, c"closed", 0, 0);
        gives!(0, SYS_utimensat, AT_FDCWD, c"open", 0, 0);
        let times = [timespec {
            tv_sec: 1,
            tv_nsec: 0,
        }; 2];
        fails!(EPERM, SYS_utimensat, AT_FDCWD, c"open", &times, 0);
    });
}

fn execute_permission() {
    close(file_with(c"f", b"#!/bin/none\n"));
    ok!(SYS_chmod, c"f", 0o644);
    fails!(EACCES, SYS_execve, c"f", 0, 0);
    ok!(SYS_chmod, c"f", 0o700);
    as_nobody(|| {
        fails!(EACCES, SYS_execve, c"f", 0, 0);
        fails!(EACCES, SYS_access, c"f", X_OK);
    });
}

fn new_files_belong_to_the_maker() {
    as_nobody(|| {
        let s = fstat(create(c"f"));
        assert_eq!((s.st_uid, s.st_gid), (65534, 65534));
        ok!(SYS_mkdir, c"d", 0o755);
        ok!(SYS_symlink, c"x", c"l");
        for path in [c"d", c"l"] {
            assert_eq!(lstat(path).unwrap().st_uid, 65534);
        }
    });
}

/// New entries take the group of a set-group directory, and directories take the bit too.
fn set_group_directory() {
    ok!(SYS_umask, 0);
    ok!(SYS_mkdir, c"d", 0o777);
    ok!(SYS_chown, c"d", 0, 1234);
    ok!(SYS_chmod, c"d", 0o2777);
    close(create(c"d/f"));
    ok!(SYS_mkdir, c"d/e", 0o755);
    assert_eq!(
        (lstat(c"d/f").unwrap().st_gid, lstat(c"d/e").unwrap().st_gid),
        (1234, 1234)
    );
    assert_eq!(lstat(c"d/e").unwrap().st_mode & 0o7777, 0o2755);
}

fn root_passes() {
    let fd = create(c"f");
    ok!(SYS_fchown, fd, 65534, 65534);
    ok!(SYS_fchmod, fd, 0);
    close(open(c"f", O_RDWR));
    ok!(SYS_mkdir, c"d", 0);
    close(create(c"d/f"));
    ok!(SYS_chdir, c"d");
}

fn supplementary_groups() {
    let fd = create(c"f");
    ok!(SYS_fchown, fd, 0, 777);
    ok!(SYS_fchmod, fd, 0o640);
    ok!(SYS_chmod, c".", 0o777);
    passes(|| {
        ok!(SYS_setgroups, 2, &[555u32, 777]);
        ok!(SYS_setresgid, 65534, 65534, 65534);
        ok!(SYS_setresuid, 65534, 65534, 65534);
        close(open(c"f", O_RDONLY));
        let mut groups = [0u32; 4];
        gives!(2, SYS_getgroups, 4, &mut groups);
        assert_eq!(groups[..2], [555, 777]);
        gives!(2, SYS_getgroups, 0, 0);
        fails!(EINVAL, SYS_getgroups, 1, &mut groups);
        fails!(EPERM, SYS_setgroups, 0, 0);
    });
}
