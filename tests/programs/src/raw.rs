//! Calls straight to the kernel. One idea: a call is a number and six words, its result a word or an error number; the
//! macros below add what was expected to that, so that a test reads like a transcript.
//!
//! `sys!(SYS_read, fd, buffer.as_mut_ptr(), 4)` gives `Result<usize, i32>`; `ok!` takes the value or fails the test;
//! `fails!(EBADF, SYS_read, ...)` expects that error. A call can do anything to this process, mappings under live Rust
//! values included: the tests are written with that in mind, and nothing here is meant for another use.

use std::arch::asm;
use std::ffi::CStr;

/// A value that can be passed to the kernel as one word.
pub trait Arg {
    fn arg(self) -> usize;
}

macro_rules! words {
    ($($kind:ty),*) => { $(impl Arg for $kind { fn arg(self) -> usize { self as usize } })* };
}
words!(i32, u32, i64, u64, isize, usize, u8, u16);

impl<T: ?Sized> Arg for *const T {
    fn arg(self) -> usize {
        self.cast::<()>() as usize
    }
}
impl<T: ?Sized> Arg for *mut T {
    fn arg(self) -> usize {
        self.cast::<()>() as usize
    }
}
impl<T: ?Sized> Arg for &T {
    fn arg(self) -> usize {
        std::ptr::from_ref(self).arg()
    }
}
impl<T: ?Sized> Arg for &mut T {
    fn arg(self) -> usize {
        std::ptr::from_mut(self).arg()
    }
}

/// One system call: up to six words in, the kernel's word out (an error number as `Err`).
pub fn call(number: i64, words: &[usize]) -> Result<usize, i32> {
    let mut a = [0usize; 6];
    a[..words.len()].copy_from_slice(words);
    let mut result = number as isize;
    // SAFETY: the registers are named as the x86-64 system call convention has them; what the kernel does with memory is the
    // calling test's business (see the head of this file).
    unsafe {
        asm!("syscall",
            inlateout("rax") result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    if (-4095..0).contains(&result) {
        Err(-result as i32)
    } else {
        Ok(result as usize)
    }
}

/// The name of an error number, as manual pages write it.
pub fn errno_name(errno: i32) -> String {
    macro_rules! names {
        ($($name:ident)*) => { match errno { 0 => "success".into(), $(libc::$name => stringify!($name).into(),)* other => format!("errno {other}") } };
    }
    names!(EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
        EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE
        EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ETIMEDOUT EOPNOTSUPP EOVERFLOW EAFNOSUPPORT ENOTSOCK EOWNERDEAD
        EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EADDRINUSE ECONNRESET ENOBUFS EISCONN ENOTCONN
        ETOOMANYREFS ECONNREFUSED)
}

/// What a result was, in words.
pub fn outcome(result: Result<usize, i32>) -> String {
    match result {
        Ok(value) => format!("gave {value:#x}"),
        Err(errno) => format!("failed with {}", errno_name(errno)),
    }
}

/// The text of a NUL-terminated buffer.
pub fn text(bytes: &[u8]) -> String {
    match CStr::from_bytes_until_nul(bytes) {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// `sys!(SYS_name, arguments...)`: one call; `Result<usize, i32>`.
#[macro_export]
macro_rules! sys {
    ($name:ident $(, $argument:expr)* $(,)?) => {
        $crate::raw::call($crate::libc::$name, &[$($crate::raw::Arg::arg($argument)),*])
    };
}

/// The value of a call that must succeed.
#[macro_export]
macro_rules! ok {
    ($name:ident $(, $argument:expr)* $(,)?) => {
        match $crate::sys!($name $(, $argument)*) {
            Ok(value) => value,
            Err(errno) => panic!("{} failed with {}", concat!(stringify!($name), "(" $(, stringify!($argument), " ")*, ")"), $crate::raw::errno_name(errno)),
        }
    };
}

/// A call that must fail with this error.
#[macro_export]
macro_rules! fails {
    ($errno:ident, $name:ident $(, $argument:expr)* $(,)?) => {
        {
        let result = $crate::sys!($name $(, $argument)*);
        assert!(result == Err($crate::libc::$errno), "{} {}, not {}",
            concat!(stringify!($name), "(" $(, stringify!($argument), " ")*, ")"), $crate::raw::outcome(result), stringify!($errno));
        }
    };
}

/// A call that must give exactly this value.
#[macro_export]
macro_rules! gives {
    ($value:expr, $name:ident $(, $argument:expr)* $(,)?) => {
        {
        let result = $crate::sys!($name $(, $argument)*);
        let value = $value;
        assert!(result == Ok(value as usize), "{} {}, not {:#x}",
            concat!(stringify!($name), "(" $(, stringify!($argument), " ")*, ")"), $crate::raw::outcome(result), value as usize);
        }
    };
}

/// Calls that a test makes many times, by a short name.
pub mod short {
    use super::Arg;
    use libc::{AT_FDCWD, O_CREAT, O_RDWR, O_TRUNC};
    use std::ffi::CStr;

    pub fn open(path: &CStr, flags: i32) -> usize {
        ok!(SYS_openat, AT_FDCWD, path, flags, 0o644)
    }
    /// A new empty file, open for reading and writing.
    pub fn create(path: &CStr) -> usize {
        open(path, O_RDWR | O_CREAT | O_TRUNC)
    }
    /// A new file with these bytes, open at its start.
    pub fn file_with(path: &CStr, bytes: &[u8]) -> usize {
        let fd = create(path);
        assert_eq!(write(fd, bytes), bytes.len());
        ok!(SYS_lseek, fd, 0, libc::SEEK_SET);
        fd
    }
    pub fn close(fd: usize) {
        ok!(SYS_close, fd);
    }
    pub fn write(fd: impl Arg, bytes: &[u8]) -> usize {
        ok!(SYS_write, fd.arg(), bytes.as_ptr(), bytes.len())
    }
    /// Up to `most` bytes in one read.
    pub fn read(fd: impl Arg, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let n = ok!(SYS_read, fd.arg(), bytes.as_mut_ptr(), most);
        bytes.truncate(n);
        bytes
    }
    /// The two ends of a new pipe: to read from, to write to.
    pub fn pipe() -> (usize, usize) {
        pipe_with(0)
    }
    pub fn pipe_with(flags: i32) -> (usize, usize) {
        let mut ends = [0i32; 2];
        ok!(SYS_pipe2, &mut ends, flags);
        (ends[0] as usize, ends[1] as usize)
    }
    pub fn pid() -> i32 {
        ok!(SYS_getpid) as i32
    }
    /// An address that no program can have mapped, for the calls that take a pointer.
    pub fn bad<T>() -> *mut T {
        0x10 as *mut T
    }
    pub fn exists(path: &CStr) -> bool {
        sys!(SYS_faccessat, AT_FDCWD, path, libc::F_OK).is_ok()
    }
    /// `fstat` of a path, links not followed.
    pub fn lstat(path: &CStr) -> Result<libc::stat, i32> {
        // SAFETY: all-zero bytes are a valid `stat`.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        sys!(
            SYS_newfstatat,
            AT_FDCWD,
            path,
            &mut stat,
            libc::AT_SYMLINK_NOFOLLOW
        )
        .map(|_| stat)
    }
    pub fn fstat(fd: usize) -> libc::stat {
        // SAFETY: all-zero bytes are a valid `stat`.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        ok!(SYS_fstat, fd, &mut stat);
        stat
    }
    /// The descriptor's `F_GETFD` and `F_GETFL` words.
    pub fn close_on_exec(fd: usize) -> bool {
        ok!(SYS_fcntl, fd, libc::F_GETFD) & libc::FD_CLOEXEC as usize != 0
    }
    pub fn status_flags(fd: usize) -> i32 {
        ok!(SYS_fcntl, fd, libc::F_GETFL) as i32
    }
    pub fn is_open(fd: usize) -> bool {
        sys!(SYS_fcntl, fd, libc::F_GETFD).is_ok()
    }
    pub fn monotonic() -> u64 {
        clock(libc::CLOCK_MONOTONIC)
    }
    /// A clock's time in nanoseconds.
    pub fn clock(clock: i32) -> u64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        ok!(SYS_clock_gettime, clock, &mut time);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
    /// When a timer goes off first, and then again and again, in nanoseconds.
    pub fn itimerspec(value: u64, interval: u64) -> libc::itimerspec {
        libc::itimerspec {
            it_interval: timespec(interval),
            it_value: timespec(value),
        }
    }
    pub fn timespec(ns: u64) -> libc::timespec {
        libc::timespec {
            tv_sec: (ns / 1_000_000_000) as i64,
            tv_nsec: (ns % 1_000_000_000) as i64,
        }
    }
}
