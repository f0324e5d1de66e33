//! Signals for tests. One idea: the handler only records, in atomics, what the kernel handed it; the test reads the record
//! afterwards. One record per process: tests that catch signals run one at a time, each in its own process.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// What the last handled signal said.
#[derive(Debug)]
pub struct Record {
    pub count: AtomicU32,
    pub signal: AtomicI32,
    pub code: AtomicI32,
    pub sender: AtomicI32,
    pub uid: AtomicU32,
    /// `si_addr` of faults.
    pub address: AtomicUsize,
    /// `si_value` of queued signals.
    pub value: AtomicUsize,
    /// `si_status` of SIGCHLD.
    pub status: AtomicI32,
    /// An address on the handler's stack.
    pub stack: AtomicUsize,
    /// The interrupted instruction.
    pub rip: AtomicUsize,
    /// Page-fault error code and trap number of the interrupted context.
    pub error: AtomicUsize,
    pub trap: AtomicUsize,
}

pub static RECORD: Record = Record {
    count: AtomicU32::new(0),
    signal: AtomicI32::new(0),
    code: AtomicI32::new(0),
    sender: AtomicI32::new(0),
    uid: AtomicU32::new(0),
    address: AtomicUsize::new(0),
    value: AtomicUsize::new(0),
    status: AtomicI32::new(0),
    stack: AtomicUsize::new(0),
    rip: AtomicUsize::new(0),
    error: AtomicUsize::new(0),
    trap: AtomicUsize::new(0),
};

impl Record {
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}

/// The handler: fills [`RECORD`].
extern "C" fn record(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let here = 0u8;
    RECORD
        .stack
        .store(&raw const here as usize, Ordering::SeqCst);
    RECORD.signal.store(signal, Ordering::SeqCst);
    // SAFETY: with SA_SIGINFO the kernel hands valid pointers to both; the unions are read as plain integers.
    unsafe {
        RECORD.code.store((*info).si_code, Ordering::SeqCst);
        RECORD.sender.store((*info).si_pid(), Ordering::SeqCst);
        RECORD.uid.store((*info).si_uid(), Ordering::SeqCst);
        RECORD
            .address
            .store((*info).si_addr() as usize, Ordering::SeqCst);
        RECORD
            .value
            .store((*info).si_value().sival_ptr as usize, Ordering::SeqCst);
        RECORD.status.store((*info).si_status(), Ordering::SeqCst);
        let context = &*context.cast::<libc::ucontext_t>();
        let register = |r: i32| context.uc_mcontext.gregs[r as usize] as usize;
        RECORD.rip.store(register(libc::REG_RIP), Ordering::SeqCst);
        RECORD
            .error
            .store(register(libc::REG_ERR), Ordering::SeqCst);
        RECORD
            .trap
            .store(register(libc::REG_TRAPNO), Ordering::SeqCst);
    }
    RECORD.count.fetch_add(1, Ordering::SeqCst);
}

pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Sets a handler with the given `SA_*` flags (SA_SIGINFO is added).
pub fn handle(signal: i32, handler: Handler, flags: i32) {
    // SAFETY: zeros are a valid `sigaction`; the handler is a function for the life of the process.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags | libc::SA_SIGINFO;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    assert_eq!(result, 0, "sigaction({signal})");
}

/// Records a signal when it comes.
pub fn catch(signal: i32) {
    catch_with(signal, 0);
}

/// The same, with `SA_*` flags.
pub fn catch_with(signal: i32, flags: i32) {
    handle(signal, record, flags);
}

/// `SIG_IGN` or `SIG_DFL`.
pub fn dispose(signal: i32, disposition: usize) {
    // SAFETY: zeros are a valid `sigaction`.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = disposition;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    assert_eq!(result, 0, "sigaction({signal})");
}

/// The kernel's signal set: one bit per signal.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// `rt_sigprocmask`: changes the mask, gives the one before.
pub fn mask(how: i32, set: u64) -> u64 {
    let mut old = 0u64;
    ok!(SYS_rt_sigprocmask, how, &set, &mut old, 8);
    old
}

pub fn block(signal: i32) {
    mask(libc::SIG_BLOCK, bit(signal));
}

pub fn unblock(signal: i32) {
    mask(libc::SIG_UNBLOCK, bit(signal));
}

pub fn blocked() -> u64 {
    let mut old = 0u64;
    ok!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &mut old, 8);
    old
}

pub fn pending() -> u64 {
    let mut set = 0u64;
    ok!(SYS_rt_sigpending, &mut set, 8);
    set
}

/// Sends a signal to this thread; it is handled before this returns, unless blocked.
pub fn raise(signal: i32) {
    ok!(SYS_tgkill, ok!(SYS_getpid), ok!(SYS_gettid), signal);
}

/// Raises a signal every `microseconds` until stopped: the way to interrupt a call that is about to block, without a race.
pub fn tick(microseconds: i64) {
    let time = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: time,
        it_value: time,
    };
    ok!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
}
