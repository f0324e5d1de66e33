//! Forked children of a test. One idea: a child runs a closure and leaves by its result, and a panic in it fails the whole
//! test with its own words, through the page that harness and children share.

use crate::memory::Shared;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

/// The exit status of a child whose closure panicked.
pub const PANICKED: i32 = 101;

/// How a process changed state, as `wait4` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Exited(i32),
    Killed(i32),
    Stopped(i32),
    Continued,
}

impl Status {
    /// Reads a status word. The core-dumped bit is ignored: whether a core is written is the system's choice.
    pub fn from_word(word: i32) -> Status {
        if word == 0xffff {
            Status::Continued
        } else if word & 0xff == 0x7f {
            Status::Stopped(word >> 8 & 0xff)
        } else if word & 0x7f == 0 {
            Status::Exited(word >> 8 & 0xff)
        } else {
            Status::Killed(word & 0x7f)
        }
    }
}

/// A child process that has not been waited for.
#[must_use]
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
}

impl Child {
    /// Waits for its end (or stop, if `options` say so) and takes the status.
    pub fn wait_with(&self, options: i32) -> Status {
        let mut word = 0i32;
        loop {
            match sys!(SYS_wait4, self.pid, &mut word, options, 0) {
                Err(libc::EINTR) => {}
                result => {
                    assert!(
                        result == Ok(self.pid as usize),
                        "wait4({}, options {options}) {}",
                        self.pid,
                        crate::raw::outcome(result)
                    );
                    return Status::from_word(word);
                }
            }
        }
    }

    pub fn wait(self) -> Status {
        self.wait_with(0)
    }

    /// Waits, and fails the test unless the child ended well.
    pub fn passes(self) {
        let status = self.wait();
        assert!(
            status == Status::Exited(0),
            "the child ended with {status:?}"
        );
    }

    pub fn signal(&self, signal: i32) {
        ok!(SYS_kill, self.pid, signal);
    }
}

/// Leaves at once, without the C library's or Rust's farewells.
pub fn exit(status: i32) -> ! {
    loop {
        let _ = sys!(SYS_exit_group, status);
    }
}

/// Runs a closure as the whole life of a process: its result is the exit status.
pub fn live(life: impl FnOnce() -> i32) -> ! {
    exit(catch_unwind(AssertUnwindSafe(life)).unwrap_or(PANICKED))
}

/// `fork(2)` by the C library (whose own locks must survive it), the child running the closure.
pub fn fork(life: impl FnOnce() -> i32) -> Child {
    // SAFETY: the child only runs the closure and leaves by `exit_group`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork failed: {}", std::io::Error::last_os_error()),
        0 => live(life),
        pid => Child { pid },
    }
}

/// A child that must end well; the closure's checks are the test.
pub fn spawn(life: impl FnOnce()) -> Child {
    fork(|| {
        life();
        0
    })
}

/// Runs the closure in a child and expects that it ends well.
pub fn passes(life: impl FnOnce()) {
    spawn(life).passes();
}

/// Runs the closure in a child and expects that this signal ends it.
pub fn dies_of(signal: i32, life: impl FnOnce()) {
    let status = spawn(life).wait();
    assert!(
        status == Status::Killed(signal),
        "the child ended with {status:?}, not by signal {signal}"
    );
}

/// Runs the closure in a child whose standard output is collected, as text.
pub fn output(life: impl FnOnce() -> i32) -> (Status, String) {
    let (status, bytes) = output_bytes(life);
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs the closure in a child whose standard output is collected.
pub fn output_bytes(life: impl FnOnce() -> i32) -> (Status, Vec<u8>) {
    use crate::raw::short;
    let (reader, writer) = short::pipe();
    let child = fork(|| {
        ok!(SYS_dup2, writer, 1);
        short::close(reader);
        short::close(writer);
        life()
    });
    short::close(writer);
    let mut bytes = Vec::new();
    loop {
        let part = short::read(reader, 4096);
        if part.is_empty() {
            break;
        }
        bytes.extend(part);
    }
    short::close(reader);
    (child.wait(), bytes)
}

/// A list of C strings with the final null, as `execve` takes it.
#[derive(Debug)]
pub struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const u8>,
}

impl Strings {
    pub fn new<S: AsRef<[u8]>>(list: &[S]) -> Strings {
        let owned: Vec<CString> = list
            .iter()
            .map(|s| CString::new(s.as_ref()).expect("no zero inside"))
            .collect();
        let pointers = owned
            .iter()
            .map(|s| s.as_ptr().cast())
            .chain([std::ptr::null()])
            .collect();
        Strings {
            _owned: owned,
            pointers,
        }
    }
    pub fn as_ptr(&self) -> *const *const u8 {
        self.pointers.as_ptr()
    }
}

/// The running program's path, for `execve`.
pub fn own_path() -> CString {
    CString::new(
        crate::harness::own_path()
            .into_os_string()
            .into_encoded_bytes(),
    )
    .expect("no zero inside")
}

/// Becomes this program's helper with these arguments and environment.
pub fn exec_helper(arguments: &[&str], environment: &[&str]) -> i32 {
    let argv: Vec<&str> = ["tests", "--helper"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let (argv, envp) = (Strings::new(&argv), Strings::new(environment));
    let _ = sys!(
        SYS_execve,
        own_path().as_c_str(),
        argv.as_ptr(),
        envp.as_ptr()
    );
    126
}

/// A one-shot gate between processes: whoever waits blocks until somebody opens it. It is a futex on a shared page.
#[derive(Debug)]
pub struct Gate(Shared<AtomicU32>);

impl Gate {
    /// Made before the fork that separates its two sides.
    #[expect(clippy::new_without_default, reason = "a gate maps a page")]
    pub fn new() -> Gate {
        Gate(Shared::new())
    }
    pub fn open(&self) {
        self.0.store(1, Ordering::SeqCst);
        ok!(SYS_futex, &*self.0, libc::FUTEX_WAKE, i32::MAX);
    }
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 1
    }
    pub fn wait(&self) {
        while !self.is_open() {
            let _ = sys!(SYS_futex, &*self.0, libc::FUTEX_WAIT, 0, 0);
        }
    }
}

/// Gives the processor away until the condition holds. For what has no event to wait for; the time limit is the harness's.
pub fn until(mut condition: impl FnMut() -> bool) {
    let mut turns = 0u32;
    while !condition() {
        turns += 1;
        if turns.is_multiple_of(64) {
            let pause = crate::raw::short::timespec(200_000);
            let _ = sys!(SYS_nanosleep, &pause, 0);
        } else {
            let _ = sys!(SYS_sched_yield);
        }
    }
}

/// Writes each byte on as it comes, until nothing comes any more: what a child of a pipe test does.
pub fn relay(from: usize, to: usize) {
    let mut byte = 0u8;
    while sys!(SYS_read, from, &mut byte, 1) == Ok(1) {
        let _ = sys!(SYS_write, to, &byte, 1);
    }
}

/// Becomes user and group 65534, who own nothing.
pub fn become_nobody() {
    ok!(SYS_setgroups, 0, 0);
    ok!(SYS_setresgid, 65534, 65534, 65534);
    ok!(SYS_setresuid, 65534, 65534, 65534);
}
