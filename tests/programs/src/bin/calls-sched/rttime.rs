//! `RLIMIT_RTTIME`: what a thread with a priority may use without waiting (getrlimit(2)).

use super::policy::set;
use libc::{
    CLOCK_THREAD_CPUTIME_ID, RLIMIT_RTTIME, SCHED_FIFO, SCHED_OTHER, SCHED_RR, SIG_IGN, SIGKILL,
    SIGXCPU, rlimit,
};
use test_programs::child::{Status, dies_of, passes, spawn};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, catch, dispose};
use test_programs::{gives, ok};

test_programs::tests!(
    the_soft_limit_sends_a_signal,
    the_signal_comes_again_each_second,
    the_hard_limit_ends_the_process,
    waiting_begins_anew,
    giving_way_is_no_waiting,
    without_a_priority_there_is_no_limit,
    it_counts_from_the_priority_on,
    the_limit_may_come_afterwards,
    children_and_threads_have_it,
);

const MS: u64 = 1_000_000;

fn limit(soft_ms: u64, hard_ms: u64) {
    let limit = rlimit {
        rlim_cur: soft_ms * 1000,
        rlim_max: hard_ms * 1000,
    };
    gives!(0, SYS_setrlimit, RLIMIT_RTTIME, &limit);
}

fn soft_limit() -> u64 {
    let mut limit = rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    gives!(0, SYS_getrlimit, RLIMIT_RTTIME, &mut limit);
    limit.rlim_cur
}

/// Computes for so long.
fn work(ms: u64) {
    let end = clock(CLOCK_THREAD_CPUTIME_ID) + ms * MS;
    while clock(CLOCK_THREAD_CPUTIME_ID) < end {}
}

/// Computes until the signal has come so often; gives how long.
fn work_until(signals: u32) -> u64 {
    let begin = clock(CLOCK_THREAD_CPUTIME_ID);
    while RECORD.count() < signals {
        std::hint::spin_loop();
    }
    clock(CLOCK_THREAD_CPUTIME_ID) - begin
}

fn the_soft_limit_sends_a_signal() {
    passes(|| {
        catch(SIGXCPU);
        limit(100, 10_000);
        set(SCHED_FIFO, 1);
        let took = work_until(1);
        assert!((80 * MS..1000 * MS).contains(&took), "{took} ns");
        assert_eq!(soft_limit(), 1_100_000, "it moves on by a second");
    });
    dies_of(SIGXCPU, || {
        limit(50, 10_000);
        set(SCHED_RR, 1);
        work(5000);
    });
}

fn the_signal_comes_again_each_second() {
    passes(|| {
        catch(SIGXCPU);
        limit(50, 10_000);
        set(SCHED_FIFO, 1);
        work_until(1);
        let took = work_until(2);
        assert!((900 * MS..2000 * MS).contains(&took), "{took} ns");
    });
}

fn the_hard_limit_ends_the_process() {
    dies_of(SIGKILL, || {
        dispose(SIGXCPU, SIG_IGN);
        limit(50, 150);
        set(SCHED_FIFO, 1);
        work(5000);
    });
    dies_of(SIGKILL, || {
        limit(50, 50);
        set(SCHED_FIFO, 1);
        work(5000);
    });
}

fn waiting_begins_anew() {
    passes(|| {
        catch(SIGXCPU);
        limit(200, 10_000);
        set(SCHED_FIFO, 1);
        for _ in 0..5 {
            work(80);
            ok!(SYS_nanosleep, &timespec(MS), 0);
        }
        assert_eq!(RECORD.count(), 0);
        let took = work_until(1);
        assert!(took >= 150 * MS, "{took} ns");
    });
}

fn giving_way_is_no_waiting() {
    passes(|| {
        catch(SIGXCPU);
        limit(100, 10_000);
        set(SCHED_RR, 1);
        let begin = clock(CLOCK_THREAD_CPUTIME_ID);
        while RECORD.count() == 0 {
            ok!(SYS_sched_yield);
        }
        let took = clock(CLOCK_THREAD_CPUTIME_ID) - begin;
        assert!((80 * MS..1000 * MS).contains(&took), "{took} ns");
    });
}

fn without_a_priority_there_is_no_limit() {
    passes(|| {
        limit(20, 40);
        work(200);
    });
    passes(|| {
        limit(100, 200);
        set(SCHED_FIFO, 1);
        work(40);
        set(SCHED_OTHER, 0);
        work(400);
    });
}

fn it_counts_from_the_priority_on() {
    passes(|| {
        catch(SIGXCPU);
        limit(100, 10_000);
        work(200);
        set(SCHED_FIFO, 1);
        let took = work_until(1);
        assert!((80 * MS..1000 * MS).contains(&took), "{took} ns");
    });
}

fn the_limit_may_come_afterwards() {
    passes(|| {
        catch(SIGXCPU);
        set(SCHED_FIFO, 1);
        work(20);
        limit(100, 10_000);
        work_until(1);
    });
    passes(|| {
        limit(60, 10_000);
        set(SCHED_FIFO, 1);
        limit(10_000, 10_000);
        work(200);
    });
}

fn children_and_threads_have_it() {
    passes(|| {
        limit(50, 100);
        set(SCHED_FIFO, 1);
        let child = spawn(|| work(5000));
        let status = child.wait();
        assert_eq!(status, Status::Killed(SIGXCPU));
    });
    dies_of(SIGKILL, || {
        dispose(SIGXCPU, SIG_IGN);
        limit(50, 100);
        set(SCHED_FIFO, 1);
        let _ = std::thread::spawn(|| work(5000)).join();
    });
}
