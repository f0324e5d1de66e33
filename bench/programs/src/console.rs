//! Output without std's machinery: whole lines by one direct write, to a console that may have to be made first.

use libc::{AT_FDCWD, O_RDWR, S_IFCHR};
use test_programs::sys;

/// Process 1 of a bare kernel may have no open files at all.
pub fn open_if_missing() {
    if sys!(SYS_fcntl, 1, libc::F_GETFD).is_ok() {
        return;
    }
    let _ = sys!(SYS_mkdir, c"/dev", 0o755);
    // Character device 5:1.
    let _ = sys!(SYS_mknod, c"/dev/console", S_IFCHR | 0o600, 0x501);
    while matches!(sys!(SYS_openat, AT_FDCWD, c"/dev/console", O_RDWR, 0), Ok(fd) if fd < 2) {}
}

/// Whole lines, in one write if the console takes it.
pub fn line(text: &str) {
    let line = format!("{text}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match sys!(SYS_write, 1, rest.as_ptr(), rest.len()) {
            Ok(n) if n > 0 => rest = &rest[n..],
            _ => return,
        }
    }
}

/// One result. Numbers below a hundred keep one digit behind the point.
pub fn result(name: &str, value: f64, unit: &str) {
    if value < 10.0 {
        line(&format!("bench {name} {value:.3} {unit}"))
    } else if value < 100.0 {
        line(&format!("bench {name} {value:.1} {unit}"))
    } else {
        line(&format!("bench {name} {value:.0} {unit}"))
    }
}
