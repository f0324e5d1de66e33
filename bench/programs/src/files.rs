//! Files in memory: opening, asking, listing, making, reading and writing.

use crate::Benchmark;
use crate::calls::{close, open};
use crate::measure::Report;
use std::ffi::{CStr, CString};
use std::hint::black_box;

pub const ALL: &[Benchmark] = &[
    ("open+close", open_close),
    ("stat", stat),
    ("fstat", fstat),
    ("getdents of 100 entries", list),
    ("create+unlink", create),
    ("file read 4 KiB", read_page),
    ("file write 4 KiB", write_page),
];

const DIRECTORY: &CStr = c"/tmp/bench/some/deeper/place";
const FILE: &CStr = c"/tmp/bench/some/deeper/place/file";

fn prepare() {
    for path in [c"/tmp", c"/tmp/bench", c"/tmp/bench/some", c"/tmp/bench/some/deeper", DIRECTORY] {
        // SAFETY: the path is a valid string. It fails where the directory is there already.
        unsafe { libc::mkdir(path.as_ptr(), 0o755) };
    }
    close(open(FILE, libc::O_CREAT | libc::O_RDWR));
}

fn open_close(report: &mut Report) {
    prepare();
    report.time(|| close(open(FILE, libc::O_RDONLY)));
}

fn stat(report: &mut Report) {
    prepare();
    report.time(|| {
        // SAFETY: all zeros is a valid stat, and the call fills it in.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            assert_eq!(libc::stat(FILE.as_ptr(), &raw mut stat), 0);
            black_box(stat);
        }
    });
}

fn fstat(report: &mut Report) {
    prepare();
    let file = open(FILE, libc::O_RDONLY);
    report.time(|| {
        // SAFETY: as above.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            assert_eq!(libc::fstat(file, &raw mut stat), 0);
            black_box(stat);
        }
    });
    close(file);
}

fn list(report: &mut Report) {
    prepare();
    // SAFETY: the path is a valid string.
    unsafe { libc::mkdir(c"/tmp/bench/list".as_ptr(), 0o755) };
    for number in 0..100 {
        let path = CString::new(format!("/tmp/bench/list/entry-{number}")).expect("no NUL in it");
        close(open(&path, libc::O_CREAT | libc::O_RDWR));
    }
    let directory = open(c"/tmp/bench/list", libc::O_RDONLY | libc::O_DIRECTORY);
    let mut buffer = vec![0u8; 32_768];
    report.time(|| {
        // SAFETY: the buffer is valid for its length.
        unsafe {
            libc::lseek(directory, 0, libc::SEEK_SET);
            let count = libc::syscall(libc::SYS_getdents64, directory, buffer.as_mut_ptr(), buffer.len());
            assert!(count > 2000);
        }
    });
    close(directory);
}

fn create(report: &mut Report) {
    prepare();
    let path = c"/tmp/bench/some/deeper/place/new";
    report.time(|| {
        close(open(path, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR));
        // SAFETY: the path is a valid string.
        assert_eq!(unsafe { libc::unlink(path.as_ptr()) }, 0);
    });
}

fn read_page(report: &mut Report) {
    prepare();
    let file = open(FILE, libc::O_RDWR);
    let mut buffer = vec![7u8; 4096];
    // SAFETY: the buffer is valid for its length.
    assert_eq!(unsafe { libc::pwrite(file, buffer.as_ptr().cast(), 4096, 0) }, 4096);
    report.time(|| {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pread(file, buffer.as_mut_ptr().cast(), 4096, 0) }, 4096);
    });
    close(file);
}

fn write_page(report: &mut Report) {
    prepare();
    let file = open(FILE, libc::O_RDWR);
    let buffer = vec![7u8; 4096];
    report.time(|| {
        // SAFETY: the buffer is valid for its length.
        assert_eq!(unsafe { libc::pwrite(file, buffer.as_ptr().cast(), 4096, 0) }, 4096);
    });
    close(file);
}
