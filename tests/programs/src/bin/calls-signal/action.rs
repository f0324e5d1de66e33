//! rt_sigaction: handlers and their flags.

use libc::{
    EINTR, REG_RIP, SA_NODEFER, SA_RESETHAND, SA_RESTART, SA_SIGINFO, SI_KERNEL, SI_TKILL, SI_USER,
    SIG_DFL, SIG_IGN, SIG_SETMASK, SIGALRM, SIGCHLD, SIGHUP, SIGILL, SIGKILL, SIGPIPE, SIGSTOP,
    SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, c_void, siginfo_t, ucontext_t,
};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use test_programs::child::dies_of;
use test_programs::raw::short::*;
use test_programs::signal::{
    RECORD, bit, block, blocked, catch, catch_with, dispose, handle, raise, unblock,
};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    a_handler_runs,
    information_of_a_sender,
    information_of_a_timer,
    one_argument_handler,
    action_is_told_back,
    errors,
    kill_and_stop_cannot_be_handled,
    ignored_signals_do_nothing,
    ignoring_discards_what_is_pending,
    default_again,
    the_signal_is_blocked_meanwhile,
    nodefer_lets_it_nest,
    other_signals_nest,
    the_action_mask_is_blocked_meanwhile,
    resethand_is_once,
    pending_ones_are_all_handled,
    deep_nesting,
    handler_set_in_a_handler,
    handler_may_call_the_kernel,
    handler_may_fork,
    handler_may_exit,
    thousand_signals,
    restorer_is_kept,
    synchronous_first,
);

/// The kernel's own form: handler, flags, restorer, mask.
fn told(signal: i32) -> [usize; 4] {
    let mut action = [9usize; 4];
    ok!(SYS_rt_sigaction, signal, 0, &mut action, 8);
    action
}

fn a_handler_runs() {
    catch(SIGUSR1);
    for n in 1..=100 {
        raise(SIGUSR1);
        assert_eq!(RECORD.count(), n);
    }
    assert_eq!(RECORD.signal.load(Ordering::SeqCst), SIGUSR1);
}

fn information_of_a_sender() {
    catch(SIGUSR1);
    catch(SIGUSR2);
    ok!(SYS_kill, pid(), SIGUSR1);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), SI_USER);
    assert_eq!(RECORD.sender.load(Ordering::SeqCst), pid());
    raise(SIGUSR2);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), SI_TKILL);
    let parent = pid();
    let child = test_programs::child::spawn(|| {
        ok!(SYS_setresuid, 1234, 0, 0);
        ok!(SYS_kill, parent, SIGUSR1);
    });
    let number = child.pid;
    child.passes();
    assert_eq!(
        (
            RECORD.sender.load(Ordering::SeqCst),
            RECORD.uid.load(Ordering::SeqCst)
        ),
        (number, 1234)
    );
}

fn information_of_a_timer() {
    catch(SIGALRM);
    test_programs::signal::tick(1000);
    test_programs::child::until(|| RECORD.count() > 0);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), SI_KERNEL);
}

fn one_argument_handler() {
    static SEEN: AtomicI32 = AtomicI32::new(0);
    extern "C" fn seen(signal: i32) {
        SEEN.store(signal, Ordering::SeqCst);
    }
    // SAFETY: a plain handler that stores a number.
    unsafe { libc::signal(SIGHUP, seen as *const () as usize) };
    raise(SIGHUP);
    assert_eq!(SEEN.load(Ordering::SeqCst), SIGHUP);
}

fn action_is_told_back() {
    assert_eq!(told(SIGUSR1)[0], SIG_DFL);
    catch_with(SIGUSR1, SA_RESTART | SA_NODEFER);
    let [handler, flags, _, mask] = told(SIGUSR1);
    assert!(handler > 1 && mask == 0);
    let wanted = (SA_RESTART | SA_NODEFER | SA_SIGINFO) as usize;
    assert_eq!(flags & wanted, wanted);
    let old = [7usize; 4];
    ok!(SYS_rt_sigaction, SIGUSR1, &[SIG_IGN, 0, 0, 0], &old, 8);
    assert_eq!(told(SIGUSR1)[0], SIG_IGN);
    dispose(SIGUSR1, SIG_DFL);
    assert_eq!(told(SIGUSR1)[0], SIG_DFL);
}

fn errors() {
    let action = [0usize; 4];
    for signal in [0, -1, 65, 1000] {
        fails!(EINVAL, SYS_rt_sigaction, signal, &action, 0, 8);
    }
    fails!(EINVAL, SYS_rt_sigaction, SIGUSR1, &action, 0, 4);
    fails!(EINVAL, SYS_rt_sigaction, SIGUSR1, &action, 0, 16);
    fails!(EFAULT, SYS_rt_sigaction, SIGUSR1, bad::<u8>(), 0, 8);
    fails!(EFAULT, SYS_rt_sigaction, SIGUSR1, 0, bad::<u8>(), 8);
    gives!(0, SYS_rt_sigaction, 64, &action, 0, 8);
}

fn kill_and_stop_cannot_be_handled() {
    for signal in [SIGKILL, SIGSTOP] {
        fails!(EINVAL, SYS_rt_sigaction, signal, &[SIG_IGN, 0, 0, 0], 0, 8);
        fails!(EINVAL, SYS_rt_sigaction, signal, &[SIG_DFL, 0, 0, 0], 0, 8);
        assert_eq!(told(signal)[0], SIG_DFL);
    }
}

fn ignored_signals_do_nothing() {
    for signal in [SIGTERM, SIGHUP, SIGUSR1, SIGPIPE, SIGTSTP, 40] {
        dispose(signal, SIG_IGN);
        raise(signal);
        ok!(SYS_kill, pid(), signal);
    }
    assert_eq!(test_programs::signal::pending(), 0);
}

fn ignoring_discards_what_is_pending() {
    for (signal, disposition) in [(SIGUSR1, SIG_IGN), (SIGCHLD, SIG_DFL)] {
        catch(signal);
        block(signal);
        raise(signal);
        assert_eq!(test_programs::signal::pending(), bit(signal));
        dispose(signal, disposition);
        assert_eq!(test_programs::signal::pending(), 0);
        catch(signal);
        unblock(signal);
    }
    assert_eq!(RECORD.count(), 0);
}

fn default_again() {
    catch(SIGTERM);
    raise(SIGTERM);
    dies_of(SIGTERM, || {
        dispose(SIGTERM, SIG_DFL);
        raise(SIGTERM);
    });
}

static DEPTH: AtomicI32 = AtomicI32::new(0);
static DEEPEST: AtomicI32 = AtomicI32::new(0);
static CALLS: AtomicI32 = AtomicI32::new(0);
static MASK: AtomicU64 = AtomicU64::new(0);

/// Raises its own signal again, up to five calls in all.
extern "C" fn again(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    DEEPEST.fetch_max(depth, Ordering::SeqCst);
    if CALLS.fetch_add(1, Ordering::SeqCst) < 4 {
        raise(signal);
    }
    DEPTH.fetch_sub(1, Ordering::SeqCst);
}

fn the_signal_is_blocked_meanwhile() {
    handle(SIGUSR1, again, 0);
    raise(SIGUSR1);
    assert_eq!(
        (CALLS.load(Ordering::SeqCst), DEEPEST.load(Ordering::SeqCst)),
        (5, 1)
    );
    assert_eq!(blocked(), 0);
}

fn nodefer_lets_it_nest() {
    handle(SIGUSR1, again, SA_NODEFER);
    raise(SIGUSR1);
    assert_eq!(
        (CALLS.load(Ordering::SeqCst), DEEPEST.load(Ordering::SeqCst)),
        (5, 5)
    );
    assert_eq!(blocked(), 0);
}

extern "C" fn chain(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    DEEPEST.fetch_max(depth, Ordering::SeqCst);
    MASK.store(blocked(), Ordering::SeqCst);
    if signal < 60 {
        raise(signal + 1);
    }
    DEPTH.fetch_sub(1, Ordering::SeqCst);
}

fn other_signals_nest() {
    (40..=60).for_each(|s| handle(s, chain, 0));
    raise(40);
    assert_eq!(DEEPEST.load(Ordering::SeqCst), 21);
    assert_eq!(MASK.load(Ordering::SeqCst), (40..=60).map(bit).sum());
    assert_eq!(blocked(), 0);
}

extern "C" fn note_mask(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    MASK.store(blocked(), Ordering::SeqCst);
}

fn the_action_mask_is_blocked_meanwhile() {
    handle(SIGUSR1, note_mask, 0);
    let mut action = told(SIGUSR1);
    action[3] = (bit(SIGUSR2) | bit(SIGHUP) | bit(SIGKILL)) as usize;
    ok!(SYS_rt_sigaction, SIGUSR1, &action, 0, 8);
    block(SIGTERM);
    raise(SIGUSR1);
    assert_eq!(
        MASK.load(Ordering::SeqCst),
        bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGHUP) | bit(SIGTERM)
    );
    assert_eq!(blocked(), bit(SIGTERM));
    // Neither kill nor stop is ever kept in a mask.
    assert_eq!(told(SIGUSR1)[3], (bit(SIGUSR2) | bit(SIGHUP)) as usize);
}

fn resethand_is_once() {
    catch_with(SIGUSR1, SA_RESETHAND);
    dies_of(SIGUSR1, || {
        raise(SIGUSR1);
        assert_eq!((RECORD.count(), told(SIGUSR1)[0]), (1, SIG_DFL));
        raise(SIGUSR1);
    });
}

fn pending_ones_are_all_handled() {
    for signal in [SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, 35, 50] {
        catch(signal);
        block(signal);
        raise(signal);
    }
    test_programs::signal::mask(SIG_SETMASK, 0);
    assert_eq!(RECORD.count(), 6);
}

fn deep_nesting() {
    static LEFT: AtomicI32 = AtomicI32::new(500);
    extern "C" fn deeper(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
        if LEFT.fetch_sub(1, Ordering::SeqCst) > 0 {
            raise(signal);
        }
    }
    handle(SIGUSR1, deeper, SA_NODEFER);
    raise(SIGUSR1);
    assert_eq!(LEFT.load(Ordering::SeqCst), -1);
}

fn handler_set_in_a_handler() {
    extern "C" fn first(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
        catch(signal);
    }
    handle(SIGUSR1, first, 0);
    raise(SIGUSR1);
    assert_eq!(RECORD.count(), 0);
    raise(SIGUSR1);
    assert_eq!(RECORD.count(), 1);
}

fn handler_may_call_the_kernel() {
    extern "C" fn busy(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        let (reader, writer) = pipe();
        write(writer, b"x");
        CALLS.fetch_add(read(reader, 9).len() as i32, Ordering::SeqCst);
        close(reader);
        close(writer);
    }
    handle(SIGUSR1, busy, 0);
    let (reader, writer) = pipe();
    write(writer, b"outer");
    raise(SIGUSR1);
    assert_eq!(
        (read(reader, 9).as_slice(), CALLS.load(Ordering::SeqCst)),
        (&b"outer"[..], 1)
    );
}

fn handler_may_fork() {
    extern "C" fn forks(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        test_programs::child::passes(|| assert_eq!(blocked(), bit(SIGUSR1)));
        CALLS.fetch_add(1, Ordering::SeqCst);
    }
    handle(SIGUSR1, forks, 0);
    raise(SIGUSR1);
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

fn handler_may_exit() {
    extern "C" fn leaves(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        test_programs::child::exit(77);
    }
    let child = test_programs::child::fork(|| {
        handle(SIGUSR1, leaves, 0);
        raise(SIGUSR1);
        0
    });
    assert_eq!(child.wait(), test_programs::child::Status::Exited(77));
}

fn thousand_signals() {
    catch(SIGUSR1);
    let parent = pid();
    let child = test_programs::child::spawn(|| {
        for n in 0..1000 {
            ok!(SYS_kill, parent, SIGUSR1);
            if n % 10 == 0 {
                ok!(SYS_sched_yield);
            }
        }
    });
    let mut word = 0i32;
    while sys!(SYS_wait4, child.pid, &mut word, 0, 0) == Err(EINTR) {}
    assert_eq!(word, 0);
    assert!((1..=1000).contains(&RECORD.count()));
}

/// On this machine the C library supplies the way back from a handler.
fn restorer_is_kept() {
    catch(SIGUSR1);
    let [_, flags, restorer, _] = told(SIGUSR1);
    assert!(flags & 0x0400_0000 != 0 && restorer != 0);
}

/// A fault of the running instruction comes before what was sent.
fn synchronous_first() {
    static ORDER: AtomicU64 = AtomicU64::new(0);
    extern "C" fn order(signal: i32, _: *mut siginfo_t, context: *mut c_void) {
        ORDER.store(
            ORDER.load(Ordering::SeqCst) << 8 | signal as u64,
            Ordering::SeqCst,
        );
        if signal == SIGILL {
            // SAFETY: the kernel's context; the two bytes of `ud2` are skipped.
            unsafe { (*context.cast::<ucontext_t>()).uc_mcontext.gregs[REG_RIP as usize] += 2 };
        }
    }
    handle(SIGILL, order, 0);
    handle(SIGHUP, order, 0);
    // SAFETY: the handler steps over the instruction.
    unsafe { std::arch::asm!("ud2") };
    raise(SIGHUP);
    assert_eq!(
        ORDER.load(Ordering::SeqCst),
        (SIGILL as u64) << 8 | SIGHUP as u64
    );
}
