//! rt_sigprocmask, rt_sigpending, rt_sigsuspend.

use libc::{
    SIG_BLOCK, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK, SIGALRM, SIGCHLD, SIGHUP, SIGKILL, SIGSTOP,
    SIGTERM, SIGUSR1, SIGUSR2, c_void, siginfo_t,
};
use std::sync::atomic::{AtomicU64, Ordering};
use test_programs::child::passes;
use test_programs::raw::short::*;
use test_programs::signal::{
    RECORD, bit, block, blocked, catch, handle, mask, pending, raise, unblock,
};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    block_and_unblock,
    setmask,
    only_asking,
    errors,
    kill_and_stop_stay_open,
    the_new_set_is_read_before_the_old_is_written,
    pending_is_told,
    pending_errors,
    a_signal_is_pending_once,
    unblocking_delivers_before_the_call_returns,
    suspend_waits_with_another_mask,
    suspend_errors,
    suspend_with_one_pending,
    pause_waits_for_a_handler,
    mask_is_restored_after_a_handler,
    low_numbers_first,
    thread_and_process_signals_are_both_pending,
    all_sixty_four,
);

fn block_and_unblock() {
    assert_eq!(mask(SIG_BLOCK, bit(SIGUSR1)), 0);
    assert_eq!(mask(SIG_BLOCK, bit(SIGUSR2)), bit(SIGUSR1));
    assert_eq!(mask(SIG_UNBLOCK, bit(SIGUSR1)), bit(SIGUSR1) | bit(SIGUSR2));
    assert_eq!(blocked(), bit(SIGUSR2));
}

fn setmask() {
    mask(SIG_SETMASK, bit(SIGHUP) | bit(64));
    assert_eq!(mask(SIG_SETMASK, 0), bit(SIGHUP) | bit(64));
    assert_eq!(blocked(), 0);
}

fn only_asking() {
    block(SIGUSR1);
    let mut old = 0u64;
    // The first argument does not matter then.
    gives!(0, SYS_rt_sigprocmask, 77, 0, &mut old, 8);
    assert_eq!(old, bit(SIGUSR1));
    gives!(0, SYS_rt_sigprocmask, SIG_BLOCK, 0, 0, 8);
}

fn errors() {
    let set = 0u64;
    fails!(EINVAL, SYS_rt_sigprocmask, 77, &set, 0, 8);
    fails!(EINVAL, SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 4);
    fails!(EFAULT, SYS_rt_sigprocmask, SIG_BLOCK, bad::<u64>(), 0, 8);
    fails!(EFAULT, SYS_rt_sigprocmask, SIG_BLOCK, 0, bad::<u64>(), 8);
}

fn kill_and_stop_stay_open() {
    mask(SIG_SETMASK, u64::MAX);
    assert_eq!(blocked(), !(bit(SIGKILL) | bit(SIGSTOP)));
    test_programs::child::dies_of(SIGKILL, || raise(SIGKILL));
}

fn the_new_set_is_read_before_the_old_is_written() {
    let mut both = bit(SIGUSR1);
    ok!(
        SYS_rt_sigprocmask,
        SIG_SETMASK,
        std::ptr::from_mut(&mut both),
        std::ptr::from_mut(&mut both),
        8
    );
    assert_eq!((std::hint::black_box(both), blocked()), (0, bit(SIGUSR1)));
}

fn pending_is_told() {
    for signal in [SIGUSR1, SIGCHLD, 34, 64] {
        catch(signal);
        block(signal);
    }
    assert_eq!(pending(), 0);
    raise(SIGUSR1);
    ok!(SYS_kill, pid(), 64);
    assert_eq!(pending(), bit(SIGUSR1) | bit(64));
    unblock(SIGUSR1);
    assert_eq!((pending(), RECORD.count()), (bit(64), 1));
}

fn pending_errors() {
    fails!(EFAULT, SYS_rt_sigpending, bad::<u64>(), 8);
    fails!(EINVAL, SYS_rt_sigpending, &mut [0u64; 2], 16);
}

fn a_signal_is_pending_once() {
    catch(SIGUSR1);
    block(SIGUSR1);
    (0..10).for_each(|_| raise(SIGUSR1));
    unblock(SIGUSR1);
    assert_eq!(RECORD.count(), 1);
}

fn unblocking_delivers_before_the_call_returns() {
    catch(SIGUSR1);
    for n in 1..=50 {
        block(SIGUSR1);
        ok!(SYS_kill, pid(), SIGUSR1);
        unblock(SIGUSR1);
        assert_eq!(RECORD.count(), n);
    }
}

fn suspend_waits_with_another_mask() {
    catch(SIGUSR1);
    catch(SIGALRM);
    block(SIGALRM);
    block(SIGUSR1);
    test_programs::signal::tick(2000);
    fails!(EINTR, SYS_rt_sigsuspend, &bit(SIGUSR1), 8);
    test_programs::signal::tick(0);
    assert_eq!(RECORD.signal.load(Ordering::SeqCst), SIGALRM);
    assert_eq!(blocked(), bit(SIGALRM) | bit(SIGUSR1));
}

fn suspend_errors() {
    fails!(EINVAL, SYS_rt_sigsuspend, &0u64, 4);
    fails!(EFAULT, SYS_rt_sigsuspend, bad::<u64>(), 8);
}

fn suspend_with_one_pending() {
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    extern "C" fn note(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        INSIDE.store(blocked(), Ordering::SeqCst);
    }
    handle(SIGUSR1, note, 0);
    block(SIGUSR1);
    raise(SIGUSR1);
    fails!(EINTR, SYS_rt_sigsuspend, &bit(SIGHUP), 8);
    // During the handler the temporary mask holds, with the signal itself.
    assert_eq!(INSIDE.load(Ordering::SeqCst), bit(SIGHUP) | bit(SIGUSR1));
    assert_eq!(blocked(), bit(SIGUSR1));
}

fn pause_waits_for_a_handler() {
    catch(SIGALRM);
    test_programs::signal::tick(2000);
    fails!(EINTR, SYS_pause);
    assert!(RECORD.count() >= 1);
}

fn mask_is_restored_after_a_handler() {
    extern "C" fn meddles(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        mask(SIG_SETMASK, bit(SIGTERM) | bit(SIGHUP));
    }
    block(SIGUSR2);
    handle(SIGUSR1, meddles, 0);
    raise(SIGUSR1);
    assert_eq!(blocked(), bit(SIGUSR2));
}

/// Of several that become free at once, the handlers nest so that the lowest number is set up first and runs last.
fn low_numbers_first() {
    static ORDER: AtomicU64 = AtomicU64::new(0);
    extern "C" fn note(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
        ORDER.store(
            ORDER.load(Ordering::SeqCst) << 8 | signal as u64,
            Ordering::SeqCst,
        );
    }
    for signal in [SIGUSR2, SIGHUP, SIGUSR1] {
        handle(signal, note, 0);
        block(signal);
    }
    for signal in [SIGUSR2, SIGHUP, SIGUSR1] {
        ok!(SYS_kill, pid(), signal);
    }
    mask(SIG_SETMASK, 0);
    assert_eq!(
        ORDER.load(Ordering::SeqCst),
        (SIGUSR2 as u64) << 16 | (SIGUSR1 as u64) << 8 | SIGHUP as u64
    );
}

fn thread_and_process_signals_are_both_pending() {
    catch(SIGUSR1);
    block(SIGUSR1);
    raise(SIGUSR1);
    ok!(SYS_kill, pid(), SIGUSR1);
    assert_eq!(pending(), bit(SIGUSR1));
    unblock(SIGUSR1);
    // One was for the thread and one for the process.
    assert_eq!(RECORD.count(), 2);
    passes(|| assert_eq!(pending(), 0));
}

fn all_sixty_four() {
    for signal in 1..=64 {
        if [SIGKILL, SIGSTOP].contains(&signal) {
            continue;
        }
        // The C library keeps 32 and 33 for itself; the kernel does not care.
        let action = [SIG_IGN, 0, 0, 0];
        gives!(0, SYS_rt_sigaction, signal, &action, 0, 8);
        raise(signal);
    }
}
