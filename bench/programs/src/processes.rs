//! Processes: making them, replacing them, waiting for them.

use crate::Benchmark;
use crate::measure::Report;
use std::ffi::CString;

pub const ALL: &[Benchmark] = &[
    ("fork+exit+wait", fork_exit),
    ("vfork+exec+wait", vfork_exec),
    ("fork+exec+wait", fork_exec),
];

/// The argument with which this program ends at once.
pub const NOTHING: &str = "--nothing";

/// Runs `child` in a new process, which then ends.
pub fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: this program has one thread wherever it forks.
    match unsafe { libc::fork() } {
        0 => {
            child();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
        pid => {
            assert!(pid > 0, "fork: {}", std::io::Error::last_os_error());
            pid
        }
    }
}

pub fn wait(pid: i32) {
    let mut status = 0;
    // SAFETY: the call writes one status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}

fn fork_exit(report: &mut Report) {
    report.time(|| wait(fork(|| {})));
}

fn own_path() -> CString {
    for path in [c"/init", c"/proc/self/exe"] {
        // SAFETY: the path is a valid string.
        if unsafe { libc::access(path.as_ptr(), libc::X_OK) } == 0 {
            return path.into();
        }
    }
    panic!("this program does not find itself");
}

fn fork_exec(report: &mut Report) {
    let path = own_path();
    let nothing = CString::new(NOTHING).expect("no NUL in it");
    let arguments = [path.as_ptr(), nothing.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null()];
    report.time(|| {
        wait(fork(|| {
            // SAFETY: path, arguments and environment are valid, and end as they must.
            unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        }));
    });
}

fn vfork_exec(report: &mut Report) {
    let path = own_path();
    let nothing = CString::new(NOTHING).expect("no NUL in it");
    let arguments = [path.as_ptr().cast_mut(), nothing.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment = [std::ptr::null_mut()];
    report.time(|| {
        let mut pid = 0;
        // SAFETY: path, arguments and environment are valid, and end as they must; the call writes one number.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        };
        assert_eq!(error, 0);
        wait(pid);
    });
}
