//! Calls that do next to nothing: what is measured is the way in and out.

use crate::measure::{Bench, ignore};
use libc::{AT_FDCWD, CLOCK_MONOTONIC, O_RDWR};
use test_programs::raw::short::timespec;
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "null call (getppid)",
        run: |plan, name| plan.each(name, |n| (0..n).for_each(|_| ignore(sys!(SYS_getppid)))),
    },
    Bench {
        name: "clock_gettime",
        run: |plan, name| {
            let mut time = timespec(0);
            plan.each(name, |n| {
                for _ in 0..n {
                    // SAFETY: a valid place for the time. The library may do it without a call.
                    unsafe { libc::clock_gettime(CLOCK_MONOTONIC, &mut time) };
                }
            });
        },
    },
    Bench {
        name: "clock_gettime as a call",
        run: |plan, name| {
            let mut time = timespec(0);
            plan.each(name, |n| {
                (0..n).for_each(|_| ignore(sys!(SYS_clock_gettime, CLOCK_MONOTONIC, &mut time)))
            });
        },
    },
    Bench {
        name: "read /dev/zero 1 B",
        run: |plan, name| plan.each(name, |n| device(c"/dev/zero", 1, n)),
    },
    Bench {
        name: "read /dev/zero 4 KiB",
        run: |plan, name| plan.each(name, |n| device(c"/dev/zero", 4096, n)),
    },
    Bench {
        name: "read /dev/zero 64 KiB",
        run: |plan, name| plan.each(name, |n| device(c"/dev/zero", 65536, n)),
    },
    Bench {
        name: "write /dev/null 1 B",
        run: |plan, name| plan.each(name, |n| device(c"/dev/null", 1, n)),
    },
    Bench {
        name: "write /dev/null 4 KiB",
        run: |plan, name| plan.each(name, |n| device(c"/dev/null", 4096, n)),
    },
    Bench {
        name: "write /dev/null 64 KiB",
        run: |plan, name| plan.each(name, |n| device(c"/dev/null", 65536, n)),
    },
];

/// Reads or writes a device `count` times; where a bare kernel has no such node yet, it is made.
fn device(path: &std::ffi::CStr, size: usize, count: u64) {
    let null = path == c"/dev/null";
    let fd = sys!(SYS_openat, AT_FDCWD, path, O_RDWR, 0).unwrap_or_else(|_| {
        let _ = sys!(SYS_mkdir, c"/dev", 0o755);
        let _ = sys!(
            SYS_mknod,
            path,
            libc::S_IFCHR | 0o666,
            if null { 0x103 } else { 0x105 }
        );
        sys!(SYS_openat, AT_FDCWD, path, O_RDWR, 0).unwrap_or(usize::MAX)
    });
    // One buffer for good: its pages must not fault in the middle of a batch.
    let mut buffer = vec![1u8; size];
    for _ in 0..count {
        if null {
            let _ = sys!(SYS_write, fd, buffer.as_ptr(), size);
        } else {
            let _ = sys!(SYS_read, fd, buffer.as_mut_ptr(), size);
        }
    }
    let _ = sys!(SYS_close, fd);
}
