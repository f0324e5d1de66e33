//! Extended attributes where there are none: a file system that does not know them.

use libc::O_RDONLY;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(a_file_without_any, files_that_are_not_there);

fn a_file_without_any() {
    let (file, name) = (c"/proc/version", c"user.x");
    let mut value = [0u8; 16];
    let fd = open(file, O_RDONLY);
    fails!(EOPNOTSUPP, SYS_getxattr, file, name, &mut value, 16);
    fails!(EOPNOTSUPP, SYS_lgetxattr, file, name, &mut value, 16);
    fails!(EOPNOTSUPP, SYS_fgetxattr, fd, name, &mut value, 16);
    gives!(0, SYS_listxattr, file, &mut value, 16);
    gives!(0, SYS_llistxattr, file, &mut value, 16);
    gives!(0, SYS_flistxattr, fd, &mut value, 16);
    for (call, set) in [
        (libc::SYS_setxattr, true),
        (libc::SYS_lsetxattr, true),
        (libc::SYS_removexattr, false),
        (libc::SYS_lremovexattr, false),
    ] {
        let mut words = vec![file.as_ptr() as usize, name.as_ptr() as usize];
        words.extend(
            set.then_some([value.as_ptr() as usize, 1, 0])
                .into_iter()
                .flatten(),
        );
        assert_eq!(
            test_programs::raw::call(call, &words),
            Err(libc::EOPNOTSUPP)
        );
    }
    fails!(EOPNOTSUPP, SYS_fsetxattr, fd, name, &value, 1, 0);
    fails!(EOPNOTSUPP, SYS_fremovexattr, fd, name);
    close(fd);
}

fn files_that_are_not_there() {
    let mut value = [0u8; 16];
    ok!(SYS_symlink, c"nowhere", c"link");
    fails!(ENOENT, SYS_getxattr, c"none", c"user.x", &mut value, 16);
    fails!(ENOENT, SYS_getxattr, c"link", c"user.x", &mut value, 16);
    fails!(ENOENT, SYS_listxattr, c"link", &mut value, 16);
    ok!(SYS_llistxattr, c"link", &mut value, 16);
    fails!(ENOTDIR, SYS_listxattr, c"/proc/version/x", &mut value, 16);
    fails!(EBADF, SYS_fgetxattr, -1, c"user.x", &mut value, 16);
    fails!(EBADF, SYS_flistxattr, -1, &mut value, 16);
    fails!(EFAULT, SYS_listxattr, bad::<u8>(), &mut value, 16);
}
