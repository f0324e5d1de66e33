//! Calls that do next to nothing: what entering the kernel costs.

use crate::Benchmark;
use crate::measure::{Report, now};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

pub const ALL: &[Benchmark] = &[
    ("null call (getppid)", null),
    ("clock_gettime", clock),
    ("read /dev/zero 1 B", |report| zero(report, 1)),
    ("read /dev/zero 4 KiB", |report| zero(report, 4096)),
    ("read /dev/zero 64 KiB", |report| zero(report, 65_536)),
    ("write /dev/null 1 B", |report| discard(report, 1)),
    ("write /dev/null 64 KiB", |report| discard(report, 65_536)),
    ("sigprocmask", mask),
    ("signal delivery", deliver),
];

fn null(report: &mut Report) {
    report.time(|| {
        // SAFETY: takes no argument and has no effect.
        black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    });
}

fn clock(report: &mut Report) {
    report.time(|| {
        black_box(now());
    });
}

pub fn open(path: &std::ffi::CStr, flags: i32) -> i32 {
    // SAFETY: the path is a valid string.
    let descriptor = unsafe { libc::open(path.as_ptr(), flags, 0o600) };
    assert!(descriptor >= 0, "open {path:?}: {}", std::io::Error::last_os_error());
    descriptor
}

pub fn close(descriptor: i32) {
    // SAFETY: the caller owns the descriptor.
    unsafe { libc::close(descriptor) };
}

pub fn read(descriptor: i32, buffer: &mut [u8]) -> usize {
    // SAFETY: the buffer is valid for its length.
    let count = unsafe { libc::read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) };
    assert!(count >= 0, "read: {}", std::io::Error::last_os_error());
    count as usize
}

pub fn write(descriptor: i32, buffer: &[u8]) -> usize {
    // SAFETY: the buffer is valid for its length.
    let count = unsafe { libc::write(descriptor, buffer.as_ptr().cast(), buffer.len()) };
    assert!(count >= 0, "write: {}", std::io::Error::last_os_error());
    count as usize
}

/// The initramfs of both systems may have no device nodes; they are made where they are missing.
fn device(path: &std::ffi::CStr, minor: u32) -> i32 {
    // SAFETY: the path is a valid string. It fails where the node is there already.
    unsafe {
        libc::mkdir(c"/dev".as_ptr(), 0o755);
        libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, minor));
    }
    open(path, libc::O_RDWR)
}

fn zero(report: &mut Report, length: usize) {
    let file = device(c"/dev/zero", 5);
    let mut buffer = vec![1; length];
    report.time(|| assert_eq!(read(file, &mut buffer), length));
    close(file);
}

fn discard(report: &mut Report, length: usize) {
    let file = device(c"/dev/null", 3);
    let buffer = vec![1; length];
    report.time(|| assert_eq!(write(file, &buffer), length));
    close(file);
}

fn mask(report: &mut Report) {
    // SAFETY: all zeros is a valid set, and the calls only read it.
    let set: libc::sigset_t = unsafe { std::mem::zeroed() };
    report.time(|| {
        // SAFETY: as above.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    });
}

static DELIVERED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: i32) {
    DELIVERED.fetch_add(1, Ordering::Relaxed);
}

fn deliver(report: &mut Report) {
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as usize) };
    // SAFETY: asks for the caller's own number.
    let me = unsafe { libc::getpid() };
    report.time(|| {
        // SAFETY: the signal has a handler.
        unsafe { libc::kill(me, libc::SIGUSR1) };
    });
    assert!(DELIVERED.load(Ordering::Relaxed) > 0);
}
