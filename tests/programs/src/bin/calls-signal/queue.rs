//! Queued signals and waiting for signals: rt_sigqueueinfo, rt_tgsigqueueinfo, rt_sigtimedwait, signalfd where it is there.

use libc::{
    ENOSYS, RLIMIT_SIGPENDING, SFD_NONBLOCK, SI_QUEUE, SI_USER, SIG_SETMASK, SIGALRM, SIGHUP,
    SIGTERM, SIGUSR1, c_void, rlimit, siginfo_t,
};
use std::sync::atomic::{AtomicU64, Ordering};
use test_programs::child::spawn;
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, bit, block, catch, handle, mask, pending, raise, tick};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    a_value_arrives,
    real_time_signals_queue_in_order,
    lower_numbers_come_first,
    plain_signals_do_not_queue,
    queue_errors,
    timedwait_takes_one,
    timedwait_runs_out,
    timedwait_zero_polls,
    timedwait_waits,
    timedwait_is_interrupted_by_others,
    timedwait_prefers_low_numbers,
    timedwait_errors,
    queue_to_a_thread,
    queue_limit,
    signalfd_or_enosys,
);

/// A `siginfo` as a sender makes it: signal, error, code, pid, uid, value.
fn info(signal: i32, value: u64) -> [u64; 16] {
    let mut info = [0u64; 16];
    info[0] = signal as u64;
    info[1] = u64::from(SI_QUEUE as u32);
    info[2] = u64::from(pid() as u32);
    info[3] = value;
    info
}

fn queue(signal: i32, value: u64) {
    ok!(SYS_rt_sigqueueinfo, pid(), signal, &info(signal, value));
}

fn a_value_arrives() {
    catch(SIGUSR1);
    queue(SIGUSR1, 0x1122_3344_5566_7788);
    assert_eq!(RECORD.value.load(Ordering::SeqCst), 0x1122_3344_5566_7788);
    assert_eq!(
        (
            RECORD.code.load(Ordering::SeqCst),
            RECORD.sender.load(Ordering::SeqCst)
        ),
        (SI_QUEUE, pid())
    );
}

static ORDER: AtomicU64 = AtomicU64::new(0);

extern "C" fn note_value(_: i32, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel's record of a queued signal.
    let value = unsafe { (*info).si_value().sival_ptr as u64 };
    ORDER.store(ORDER.load(Ordering::SeqCst) * 10 + value, Ordering::SeqCst);
}

fn real_time_signals_queue_in_order() {
    handle(40, note_value, 0);
    block(40);
    (1..=5).for_each(|n| queue(40, n));
    assert_eq!(pending(), bit(40));
    mask(SIG_SETMASK, 0);
    assert_eq!(ORDER.load(Ordering::SeqCst), 12345);
}

fn lower_numbers_come_first() {
    let set = bit(40) | bit(41) | bit(SIGUSR1);
    mask(SIG_SETMASK, set);
    queue(41, 1);
    queue(40, 2);
    queue(SIGUSR1, 3);
    queue(40, 4);
    let mut got = [0u64; 16];
    for (signal, value) in [(SIGUSR1, 3), (40, 2), (40, 4), (41, 1)] {
        gives!(signal, SYS_rt_sigtimedwait, &set, &mut got, &timespec(0), 8);
        assert_eq!(got[3], value);
    }
}

fn plain_signals_do_not_queue() {
    handle(SIGUSR1, note_value, 0);
    block(SIGUSR1);
    (1..=5).for_each(|n| queue(SIGUSR1, n));
    mask(SIG_SETMASK, 0);
    assert_eq!(ORDER.load(Ordering::SeqCst), 1);
}

fn queue_errors() {
    fails!(EINVAL, SYS_rt_sigqueueinfo, pid(), 65, &info(1, 0));
    fails!(
        ESRCH,
        SYS_rt_sigqueueinfo,
        999_999_999,
        SIGUSR1,
        &info(SIGUSR1, 0)
    );
    fails!(EFAULT, SYS_rt_sigqueueinfo, pid(), SIGUSR1, bad::<u64>());
    // Nobody may claim to be the kernel towards another process.
    let gate = test_programs::child::Gate::new();
    let child = spawn(|| gate.wait());
    let mut forged = info(SIGUSR1, 0);
    forged[1] = SI_USER as u64;
    fails!(EPERM, SYS_rt_sigqueueinfo, child.pid, SIGUSR1, &forged);
    gate.open();
    child.passes();
}

fn timedwait_takes_one() {
    let set = bit(SIGUSR1);
    block(SIGUSR1);
    ok!(SYS_kill, pid(), SIGUSR1);
    let mut got = [0u64; 16];
    gives!(SIGUSR1, SYS_rt_sigtimedwait, &set, &mut got, 0, 8);
    assert_eq!(
        (got[0] as i32, got[1] as i32, got[2] as i32),
        (SIGUSR1, SI_USER, pid())
    );
    assert_eq!(pending(), 0);
    raise(SIGUSR1);
    gives!(SIGUSR1, SYS_rt_sigtimedwait, &set, 0, 0, 8);
}

fn timedwait_runs_out() {
    let start = monotonic();
    fails!(
        EAGAIN,
        SYS_rt_sigtimedwait,
        &bit(SIGUSR1),
        0,
        &timespec(20_000_000),
        8
    );
    assert!(monotonic() - start >= 20_000_000);
}

fn timedwait_zero_polls() {
    fails!(
        EAGAIN,
        SYS_rt_sigtimedwait,
        &bit(SIGUSR1),
        0,
        &timespec(0),
        8
    );
    fails!(EAGAIN, SYS_rt_sigtimedwait, &0u64, 0, &timespec(0), 8);
}

fn timedwait_waits() {
    block(SIGUSR1);
    let parent = pid();
    for _ in 0..20 {
        let child = spawn(|| {
            ok!(SYS_sched_yield);
            ok!(SYS_kill, parent, SIGUSR1);
        });
        let mut got = [0u64; 16];
        gives!(
            SIGUSR1,
            SYS_rt_sigtimedwait,
            &bit(SIGUSR1),
            &mut got,
            &timespec(50_000_000_000),
            8
        );
        assert_eq!(got[2] as i32, child.pid);
        child.passes();
    }
}

fn timedwait_is_interrupted_by_others() {
    block(SIGUSR1);
    catch(SIGALRM);
    tick(2000);
    fails!(EINTR, SYS_rt_sigtimedwait, &bit(SIGUSR1), 0, 0, 8);
}

fn timedwait_prefers_low_numbers() {
    let set = bit(SIGUSR1) | bit(SIGTERM) | bit(SIGHUP);
    mask(SIG_SETMASK, set);
    [SIGTERM, SIGHUP, SIGUSR1].into_iter().for_each(raise);
    for signal in [SIGHUP, SIGUSR1, SIGTERM] {
        gives!(signal, SYS_rt_sigtimedwait, &set, 0, &timespec(0), 8);
    }
}

fn timedwait_errors() {
    fails!(EINVAL, SYS_rt_sigtimedwait, &0u64, 0, 0, 4);
    fails!(EFAULT, SYS_rt_sigtimedwait, bad::<u64>(), 0, 0, 8);
    fails!(EFAULT, SYS_rt_sigtimedwait, &0u64, 0, bad::<u64>(), 8);
    fails!(EINVAL, SYS_rt_sigtimedwait, &0u64, 0, &[0i64, -1], 8);
    fails!(
        EINVAL,
        SYS_rt_sigtimedwait,
        &0u64,
        0,
        &[0i64, 1_000_000_000],
        8
    );
}

fn queue_to_a_thread() {
    catch(SIGUSR1);
    ok!(
        SYS_rt_tgsigqueueinfo,
        pid(),
        pid(),
        SIGUSR1,
        &info(SIGUSR1, 55)
    );
    assert_eq!(RECORD.value.load(Ordering::SeqCst), 55);
    fails!(
        EINVAL,
        SYS_rt_tgsigqueueinfo,
        pid(),
        0,
        SIGUSR1,
        &info(SIGUSR1, 55)
    );
    fails!(
        ESRCH,
        SYS_rt_tgsigqueueinfo,
        pid(),
        999_999_999,
        SIGUSR1,
        &info(SIGUSR1, 55)
    );
}

/// The queue is bounded per user; plain signals get through all the same.
fn queue_limit() {
    test_programs::child::passes(|| {
        // Another user: what others have queued does not count.
        ok!(SYS_setresuid, 23_456, 23_456, 23_456);
        let limit = rlimit {
            rlim_cur: 10,
            rlim_max: 10,
        };
        ok!(SYS_prlimit64, 0, RLIMIT_SIGPENDING, &limit, 0);
        mask(SIG_SETMASK, u64::MAX);
        let sent = (0..100)
            .take_while(|n| sys!(SYS_rt_sigqueueinfo, pid(), 40, &info(40, *n)) == Ok(0))
            .count();
        assert!((9..=10).contains(&sent), "{sent} were queued");
        fails!(EAGAIN, SYS_rt_sigqueueinfo, pid(), 41, &info(41, 0));
        ok!(SYS_kill, pid(), SIGTERM);
        assert_ne!(pending() & bit(SIGTERM), 0);
    });
}

fn signalfd_or_enosys() {
    block(SIGUSR1);
    let fd = match sys!(SYS_signalfd4, -1, &bit(SIGUSR1), 8, SFD_NONBLOCK) {
        Err(errno) => return assert_eq!(errno, ENOSYS),
        Ok(fd) => fd,
    };
    let mut got = [0u32; 32];
    fails!(EAGAIN, SYS_read, fd, &mut got, 128);
    ok!(SYS_kill, pid(), SIGUSR1);
    gives!(128, SYS_read, fd, &mut got, 128);
    assert_eq!((got[0] as i32, got[3] as i32), (SIGUSR1, pid()));
    assert_eq!(pending(), 0);
}
