//! Time in user mode and in the kernel, told apart: getrusage, times, wait4, /proc. The bounds are wide: to a guest whose host is
//! busy, time that it does not get looks like its own, wherever it is just then.

use libc::{
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD,
    rusage, timeval, tms,
};
use std::ops::Sub;
use test_programs::child::spawn;
use test_programs::raw::short::*;
use test_programs::{gives, ok};

test_programs::tests!(
    computing_is_user_time,
    calls_that_work_are_system_time,
    short_calls_are_both,
    the_two_make_up_the_whole,
    neither_goes_back,
    those_of_a_child,
    of_one_thread,
    in_the_files_of_a_process,
    in_the_files_of_the_machine,
);

/// How long something is done here, in nanoseconds of CPU time: many ticks of a kernel that counts in those.
const LONG: u64 = 300_000_000;

/// Microseconds in user mode and in the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    user: i64,
    system: i64,
}

impl Times {
    fn sum(self) -> i64 {
        self.user + self.system
    }

    /// How much of it is user mode, in percent.
    fn user_percent(self) -> i64 {
        self.user * 100 / self.sum().max(1)
    }
}

impl Sub for Times {
    type Output = Times;

    fn sub(self, before: Times) -> Times {
        Times {
            user: self.user - before.user,
            system: self.system - before.system,
        }
    }
}

impl From<&rusage> for Times {
    fn from(usage: &rusage) -> Times {
        let micros = |time: timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        Times {
            user: micros(usage.ru_utime),
            system: micros(usage.ru_stime),
        }
    }
}

fn used_by(who: i32) -> Times {
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: rusage = unsafe { std::mem::zeroed() };
    ok!(SYS_getrusage, who, &mut usage);
    Times::from(&usage)
}

/// What a thread of the caller uses for `work`.
fn used_for(work: impl FnOnce()) -> Times {
    let before = used_by(RUSAGE_SELF);
    work();
    used_by(RUSAGE_SELF) - before
}

/// Computes so long, without a call most of the time.
fn compute(nanoseconds: u64) {
    let end = clock(CLOCK_THREAD_CPUTIME_ID) + nanoseconds;
    while clock(CLOCK_THREAD_CPUTIME_ID) < end {
        for i in 0..100_000u32 {
            std::hint::black_box(i);
        }
    }
}

/// Has the kernel clear memory so long.
fn clear(nanoseconds: u64) {
    let zero = open(c"/dev/zero", libc::O_RDONLY);
    let mut piece = vec![1u8; 1 << 20];
    let end = clock(CLOCK_THREAD_CPUTIME_ID) + nanoseconds;
    while clock(CLOCK_THREAD_CPUTIME_ID) < end {
        gives!(piece.len(), SYS_read, zero, piece.as_mut_ptr(), piece.len());
    }
    close(zero);
}

fn computing_is_user_time() {
    let used = used_for(|| compute(LONG));
    assert!(used.user_percent() >= 60, "{used:?}");
}

fn calls_that_work_are_system_time() {
    let used = used_for(|| clear(LONG));
    assert!(used.user_percent() <= 40, "{used:?}");
}

fn short_calls_are_both() {
    let used = used_for(|| {
        let end = clock(CLOCK_THREAD_CPUTIME_ID) + LONG;
        while clock(CLOCK_THREAD_CPUTIME_ID) < end {
            for _ in 0..100 {
                ok!(SYS_getppid);
            }
        }
    });
    assert!((2..=98).contains(&used.user_percent()), "{used:?}");
}

fn the_two_make_up_the_whole() {
    for _ in 0..50 {
        compute(1_000_000);
        clear(1_000_000);
        let before = clock(CLOCK_PROCESS_CPUTIME_ID) / 1000;
        let used = used_by(RUSAGE_SELF).sum() as u64;
        let after = clock(CLOCK_PROCESS_CPUTIME_ID) / 1000;
        // Each of the two is cut to a microsecond.
        assert!(
            (before.saturating_sub(2)..=after).contains(&used),
            "{before} {used} {after}"
        );
    }
}

fn neither_goes_back() {
    let mut last = used_by(RUSAGE_SELF);
    for round in 0..30_000 {
        if round % 1000 == 0 {
            compute(1_000_000);
        }
        let now = used_by(RUSAGE_SELF);
        assert!(
            now.user >= last.user && now.system >= last.system,
            "{last:?} {now:?}"
        );
        last = now;
    }
}

fn those_of_a_child() {
    let before = used_by(RUSAGE_CHILDREN);
    let ticks = |ticks: &tms| (ticks.tms_cutime, ticks.tms_cstime);
    // SAFETY: all-zero bytes are a valid `tms`.
    let mut counts: [tms; 2] = unsafe { std::mem::zeroed() };
    ok!(SYS_times, &mut counts[0]);
    let child = spawn(|| {
        compute(LONG);
        clear(LONG / 2);
    });
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: rusage = unsafe { std::mem::zeroed() };
    gives!(child.pid, SYS_wait4, child.pid, 0, 0, &mut usage);
    ok!(SYS_times, &mut counts[1]);
    let used = Times::from(&usage);
    assert!((45..=85).contains(&used.user_percent()), "{used:?}");
    let more = used_by(RUSAGE_CHILDREN) - before;
    assert!((more.user - used.user).abs() <= 1, "{more:?} {used:?}");
    assert!((more.system - used.system).abs() <= 1, "{more:?} {used:?}");
    let (first, last) = (ticks(&counts[0]), ticks(&counts[1]));
    assert!((last.0 - first.0 - used.user / 10_000).abs() <= 1);
    assert!((last.1 - first.1 - used.system / 10_000).abs() <= 1);
}

fn of_one_thread() {
    let before = used_by(RUSAGE_THREAD);
    let other = std::thread::spawn(|| {
        compute(LONG);
        used_by(RUSAGE_THREAD)
    });
    let used = other.join().unwrap();
    assert!(used.user_percent() >= 60, "{used:?}");
    let own = used_by(RUSAGE_THREAD) - before;
    assert!(own.sum() < 100_000, "{own:?}");
    let all = used_by(RUSAGE_SELF);
    assert!(all.user >= used.user, "{all:?} {used:?}");
}

/// Ticks of a hundredth of a second in fields 14 and 15 of a file like `/proc/PID/stat`.
fn ticks_in(path: &str) -> Times {
    let text = std::fs::read_to_string(path).unwrap();
    let fields = text.rsplit_once(") ").unwrap().1;
    let fields: Vec<i64> = fields
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(-1))
        .collect();
    Times {
        user: fields[10],
        system: fields[11],
    }
}

fn in_the_files_of_a_process() {
    let thread = format!("/proc/self/task/{}/stat", ok!(SYS_gettid));
    for path in ["/proc/self/stat", &thread] {
        let before = ticks_in(path);
        compute(LONG);
        let computed = ticks_in(path) - before;
        clear(LONG);
        let cleared = ticks_in(path) - before - computed;
        assert!(computed.user_percent() >= 60, "{path} {computed:?}");
        assert!(cleared.user_percent() <= 40, "{path} {cleared:?}");
    }
}

fn in_the_files_of_the_machine() {
    let ticks = || {
        let text = std::fs::read_to_string("/proc/stat").unwrap();
        let line = text.lines().next().unwrap();
        let fields: Vec<i64> = line
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse().unwrap())
            .collect();
        Times {
            // With that of nice programs; interrupts and what follows from them are the kernel's.
            user: fields[0] + fields[1],
            system: fields[2] + fields[5] + fields[6],
        }
    };
    let before = ticks();
    compute(LONG);
    let computed = ticks() - before;
    clear(LONG);
    let cleared = ticks() - before - computed;
    // Others may have run too.
    assert!(computed.user >= 18, "{computed:?}");
    assert!(cleared.system >= 18, "{cleared:?}");
}
