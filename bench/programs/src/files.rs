//! Files of the work directory, which is memory under both kernels.

use crate::measure::{Bench, Plan, ignore};
use libc::{AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC, SEEK_SET};
use std::ffi::{CStr, CString};
use test_programs::sys;

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "open+close",
        run: |plan, name| {
            let path = sample();
            plan.each(name, |n| {
                for _ in 0..n {
                    let fd = sys!(SYS_openat, AT_FDCWD, path, O_RDONLY, 0).unwrap_or(0);
                    let _ = sys!(SYS_close, fd);
                }
            });
        },
    },
    Bench {
        name: "stat",
        run: |plan, name| {
            let (path, mut stat) = (sample(), [0u64; 18]);
            plan.each(name, |n| {
                (0..n).for_each(|_| ignore(sys!(SYS_newfstatat, AT_FDCWD, path, &mut stat, 0)))
            });
        },
    },
    Bench {
        name: "stat of a deep path",
        run: |plan, name| {
            for path in [c"d1", c"d1/d2", c"d1/d2/d3", c"d1/d2/d3/d4"] {
                let _ = sys!(SYS_mkdir, path, 0o755);
            }
            let mut stat = [0u64; 18];
            let path = c"/tmp/d1/d2/d3/d4/../../d3/./d4";
            plan.each(name, |n| {
                (0..n).for_each(|_| ignore(sys!(SYS_newfstatat, AT_FDCWD, path, &mut stat, 0)))
            });
        },
    },
    Bench {
        name: "fstat",
        run: |plan, name| {
            let (fd, mut stat) = (open(sample()), [0u64; 18]);
            plan.each(name, |n| {
                (0..n).for_each(|_| ignore(sys!(SYS_fstat, fd, &mut stat)))
            });
            let _ = sys!(SYS_close, fd);
        },
    },
    Bench {
        name: "file read 4 KiB",
        run: |plan, name| transfer(plan, name, false),
    },
    Bench {
        name: "file write 4 KiB",
        run: |plan, name| transfer(plan, name, true),
    },
    Bench {
        name: "create+unlink",
        run: |plan, name| {
            plan.each(name, |n| {
                for _ in 0..n {
                    let fd = sys!(SYS_openat, AT_FDCWD, c"bench-new", O_RDWR | O_CREAT, 0o600)
                        .unwrap_or(0);
                    let _ = sys!(SYS_close, fd);
                    let _ = sys!(SYS_unlink, c"bench-new");
                }
            });
        },
    },
    Bench {
        name: "getdents of 100 entries",
        run: listing,
    },
];

/// A file of 64 KiB.
fn sample() -> &'static CStr {
    let path = c"bench-sample";
    let fd = sys!(
        SYS_openat,
        AT_FDCWD,
        path,
        O_RDWR | O_CREAT | O_TRUNC,
        0o600
    )
    .unwrap_or(0);
    let _ = sys!(SYS_write, fd, vec![7u8; 65536].as_ptr(), 65536);
    let _ = sys!(SYS_close, fd);
    path
}

fn open(path: &CStr) -> usize {
    sys!(SYS_openat, AT_FDCWD, path, O_RDWR, 0).unwrap_or(0)
}

/// 4 KiB at offsets that walk through the sample.
fn transfer(plan: &Plan, name: &str, write: bool) {
    let fd = open(sample());
    let mut buffer = [1u8; 4096];
    plan.each(name, |n| {
        for i in 0..n {
            let offset = i % 16 * 4096;
            if write {
                let _ = sys!(SYS_pwrite64, fd, &buffer, 4096, offset);
            } else {
                let _ = sys!(SYS_pread64, fd, &mut buffer, 4096, offset);
            }
        }
    });
    let _ = sys!(SYS_close, fd);
}

/// A directory of a hundred files, listed from beginning to end.
fn listing(plan: &Plan, name: &str) {
    let _ = sys!(SYS_mkdir, c"bench-list", 0o755);
    for n in 0..100 {
        let path = CString::new(format!("bench-list/file-{n:04}")).unwrap_or_default();
        let fd = sys!(
            SYS_openat,
            AT_FDCWD,
            path.as_c_str(),
            O_RDWR | O_CREAT,
            0o600
        )
        .unwrap_or(0);
        let _ = sys!(SYS_close, fd);
    }
    let fd = sys!(
        SYS_openat,
        AT_FDCWD,
        c"bench-list",
        O_RDONLY | O_DIRECTORY,
        0
    )
    .unwrap_or(0);
    let mut buffer = vec![0u8; 32768];
    plan.each(name, |n| {
        for _ in 0..n {
            let _ = sys!(SYS_lseek, fd, 0, SEEK_SET);
            while matches!(sys!(SYS_getdents64, fd, buffer.as_mut_ptr(), 32768), Ok(len) if len > 0)
            {
            }
        }
    });
    let _ = sys!(SYS_close, fd);
}
