//! signal(7): what each signal does to a process that says nothing.

use libc::{
    RLIMIT_CORE, SIG_DFL, SIG_IGN, SIGABRT, SIGALRM, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP,
    SIGILL, SIGINT, SIGIO, SIGKILL, SIGPIPE, SIGPROF, SIGPWR, SIGQUIT, SIGSEGV, SIGSTKFLT, SIGSTOP,
    SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM,
    SIGWINCH, SIGXCPU, SIGXFSZ, WUNTRACED, rlimit,
};
use test_programs::child::{Status, dies_of, fork};
use test_programs::raw::short::*;
use test_programs::signal::{dispose, raise};
use test_programs::{gives, ok};

test_programs::tests!(
    these_end_it,
    these_dump_core_or_would,
    these_do_nothing,
    these_stop_it,
    continue_alone_does_nothing,
    real_time_signals_end_it,
    the_core_bit_follows_the_limit,
    abort_ends_it_even_if_blocked,
);

fn status_after(signal: i32) -> Status {
    fork(|| {
        dispose(signal, SIG_DFL);
        raise(signal);
        42
    })
    .wait()
}

fn these_end_it() {
    for signal in [
        SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGSTKFLT, SIGVTALRM, SIGPROF,
        SIGIO, SIGPWR,
    ] {
        assert_eq!(status_after(signal), Status::Killed(signal));
    }
    dies_of(SIGKILL, || raise(SIGKILL));
}

fn these_dump_core_or_would() {
    for signal in [
        SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS,
    ] {
        assert_eq!(status_after(signal), Status::Killed(signal));
    }
}

fn these_do_nothing() {
    for signal in [SIGCHLD, SIGURG, SIGWINCH, SIGCONT] {
        assert_eq!(status_after(signal), Status::Exited(42));
    }
}

fn these_stop_it() {
    for signal in [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU] {
        // In a group without ties to the session, only the first of them stops.
        if signal != SIGSTOP && ok!(SYS_getppid) == 1 {
            continue;
        }
        let child = fork(|| {
            raise(signal);
            42
        });
        assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(signal));
        child.signal(SIGCONT);
        assert_eq!(child.wait(), Status::Exited(42));
    }
}

fn continue_alone_does_nothing() {
    raise(SIGCONT);
    gives!(0, SYS_kill, pid(), SIGCONT);
}

fn real_time_signals_end_it() {
    for signal in 34..=64 {
        assert_eq!(status_after(signal), Status::Killed(signal));
    }
}

fn the_core_bit_follows_the_limit() {
    let child = fork(|| {
        let none = rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        ok!(SYS_prlimit64, 0, RLIMIT_CORE, &none, 0);
        raise(SIGQUIT);
        0
    });
    let mut word = 0i32;
    ok!(SYS_wait4, child.pid, &mut word, 0, 0);
    assert_eq!(word & 0x7f, SIGQUIT);
}

/// The C library's abort unblocks it and tries again with the default.
fn abort_ends_it_even_if_blocked() {
    dies_of(SIGABRT, || {
        test_programs::signal::block(SIGABRT);
        dispose(SIGABRT, SIG_IGN);
        std::process::abort();
    });
}
