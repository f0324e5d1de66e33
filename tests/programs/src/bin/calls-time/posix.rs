//! timer_create and its kin.

use libc::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID, EAGAIN, EOPNOTSUPP, EPERM,
    RLIMIT_SIGPENDING, SI_TIMER, SIGALRM, SIGCHLD, SIGKILL, SIGUSR1, SIGUSR2, TIMER_ABSTIME,
    timespec as Timespec,
};
use std::sync::atomic::Ordering;
use test_programs::child::{Gate, become_nobody, dies_of, passes, spawn, until};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, block, catch, dispose, pending, unblock};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    without_an_event_it_is_an_alarm,
    it_repeats_and_says_its_value,
    nobody_is_told,
    one_thread_is_told,
    until_a_time_on_each_clock,
    a_time_that_was_is_at_once,
    what_is_left,
    set_again_while_its_signal_waits,
    deleted_while_its_signal_waits,
    overruns_are_counted,
    one_signal_for_each_timer,
    ignored_and_then_heard,
    used_time_of_the_process,
    used_time_of_a_thread,
    used_time_of_another_process,
    who_ends_cannot_be_waited_for,
    children_have_none,
    a_new_program_has_none,
    they_count_as_queued_signals,
    the_end_of_a_process,
    as_proc_shows_them,
    numbers_are_not_given_again_soon,
    errors,
    waking_the_machine_is_not_for_everybody,
);

const SECOND: u64 = 1_000_000_000;
const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD_ID: i32 = 4;

/// `struct sigevent`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Event {
    value: usize,
    signal: i32,
    notify: i32,
    thread: i32,
    unused: [i32; 11],
}

fn event(signal: i32, value: usize) -> Event {
    Event {
        value,
        signal,
        notify: SIGEV_SIGNAL,
        ..Event::default()
    }
}

fn create(which: i32, event: &Event) -> i32 {
    let mut id = -1i32;
    gives!(0, SYS_timer_create, which, event, &mut id);
    assert!(id >= 0);
    id
}

fn set(id: i32, flags: i32, value: u64, interval: u64) {
    gives!(
        0,
        SYS_timer_settime,
        id,
        flags,
        &itimerspec(value, interval),
        0
    );
}

/// What is left, and the interval.
fn get(id: i32) -> (u64, u64) {
    let mut now = itimerspec(77, 77);
    gives!(0, SYS_timer_gettime, id, &mut now);
    let ns = |time: Timespec| time.tv_sec as u64 * SECOND + time.tv_nsec as u64;
    (ns(now.it_value), ns(now.it_interval))
}

fn rest(ns: u64) {
    ok!(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &timespec(ns), 0);
}

/// Works until this thread has used so much.
fn work(ns: u64) {
    let goal = clock(CLOCK_THREAD_CPUTIME_ID) + ns;
    while clock(CLOCK_THREAD_CPUTIME_ID) < goal {
        std::hint::spin_loop();
    }
}

/// Takes this pending signal, waiting for it: `si_code`, the timer's number, how often it went off besides, its value.
fn take(signal: i32) -> (i32, i32, i32, usize) {
    let mut info = [0u32; 32];
    let set = test_programs::signal::bit(signal);
    gives!(signal, SYS_rt_sigtimedwait, &set, &mut info, 0, 8);
    let value = u64::from(info[6]) | u64::from(info[7]) << 32;
    (
        info[2] as i32,
        info[4] as i32,
        info[5] as i32,
        value as usize,
    )
}

fn without_an_event_it_is_an_alarm() {
    catch(SIGALRM);
    let mut id = -1i32;
    gives!(0, SYS_timer_create, CLOCK_MONOTONIC, 0, &mut id);
    let begin = monotonic();
    set(id, 0, 20_000_000, 0);
    until(|| RECORD.count() == 1);
    assert!(monotonic() - begin >= 20_000_000);
    assert_eq!(RECORD.signal.load(Ordering::SeqCst), SIGALRM);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), SI_TIMER);
    assert_eq!(RECORD.value.load(Ordering::SeqCst) as i32, id);
    assert_eq!(get(id), (0, 0));
    gives!(0, SYS_timer_getoverrun, id);
    gives!(0, SYS_timer_delete, id);
    fails!(EINVAL, SYS_timer_delete, id);
}

fn it_repeats_and_says_its_value() {
    catch(SIGUSR1);
    let id = create(CLOCK_MONOTONIC, &event(SIGUSR1, 0x1234_5678_9abc));
    let begin = monotonic();
    set(id, 0, 5_000_000, 3_000_000);
    until(|| RECORD.count() >= 5);
    assert!(monotonic() - begin >= 17_000_000);
    assert_eq!(RECORD.value.load(Ordering::SeqCst), 0x1234_5678_9abc);
    assert_eq!(RECORD.sender.load(Ordering::SeqCst), id);
    assert_eq!(get(id).1, 3_000_000);
    set(id, 0, 0, 3_000_000);
    let count = RECORD.count();
    rest(20_000_000);
    assert_eq!((RECORD.count(), get(id).0), (count, 0));
}

fn nobody_is_told() {
    catch(SIGALRM);
    let event = Event {
        notify: SIGEV_NONE,
        ..Event::default()
    };
    let id = create(CLOCK_MONOTONIC, &event);
    set(id, 0, 10_000_000, 0);
    assert!((1..=10_000_000).contains(&get(id).0));
    rest(10_000_000);
    assert_eq!(get(id), (0, 0));
    set(id, 0, 1_000_000, 7_000_000);
    rest(20_000_000);
    let (left, interval) = get(id);
    assert!((1..=7_000_000).contains(&left) && interval == 7_000_000);
    gives!(0, SYS_timer_getoverrun, id);
    assert_eq!((RECORD.count(), pending()), (0, 0));
}

fn one_thread_is_told() {
    block(SIGUSR1);
    let ids = std::sync::Mutex::new((0, 0));
    let gate = Gate::new();
    std::thread::scope(|scope| {
        let own = ok!(SYS_gettid) as i32;
        let other = scope.spawn(|| {
            let me = ok!(SYS_gettid) as i32;
            let event = Event {
                notify: SIGEV_THREAD_ID,
                thread: me,
                ..event(SIGUSR1, 5)
            };
            let id = create(CLOCK_MONOTONIC, &event);
            set(id, 0, 1_000_000, 0);
            *ids.lock().unwrap() = (id, me);
            gate.open();
            take(SIGUSR1)
        });
        gate.wait();
        let (id, thread) = *ids.lock().unwrap();
        assert_ne!(own, thread);
        let said = other.join().unwrap();
        assert_eq!(said, (SI_TIMER, id, 0, 5));
        // The thread is gone; nobody hears of it any more.
        set(id, 0, 1, 0);
        rest(5_000_000);
        assert_eq!(pending(), 0);
    });
    let stranger = Event {
        notify: SIGEV_THREAD_ID,
        thread: 1,
        ..event(SIGUSR1, 5)
    };
    if pid() != 1 {
        fails!(
            EINVAL,
            SYS_timer_create,
            CLOCK_MONOTONIC,
            &stranger,
            &mut 0i32
        );
    }
}

fn until_a_time_on_each_clock() {
    block(SIGUSR1);
    for which in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI] {
        let id = create(which, &event(SIGUSR1, 1));
        let goal = clock(which) + 10_000_000;
        set(id, TIMER_ABSTIME, goal, 2_000_000);
        assert!((1..=10_000_000).contains(&get(id).0));
        assert_eq!(take(SIGUSR1).0, SI_TIMER);
        assert!(clock(which) >= goal);
        take(SIGUSR1);
        assert!(clock(which) >= goal + 2_000_000);
        gives!(0, SYS_timer_delete, id);
    }
}

fn a_time_that_was_is_at_once() {
    block(SIGUSR1);
    for which in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_PROCESS_CPUTIME_ID] {
        let id = create(which, &event(SIGUSR1, 1));
        set(id, TIMER_ABSTIME, 1, 0);
        work(1_000_000);
        assert_eq!(take(SIGUSR1), (SI_TIMER, id, 0, 1));
    }
}

fn what_is_left() {
    let id = create(CLOCK_REALTIME, &event(SIGUSR1, 1));
    assert_eq!(get(id), (0, 0));
    set(id, 0, 100 * SECOND, 7 * SECOND);
    let (left, interval) = get(id);
    assert!((90 * SECOND..=100 * SECOND).contains(&left) && interval == 7 * SECOND);
    let mut old = itimerspec(0, 0);
    let none = itimerspec(0, 5 * SECOND);
    gives!(0, SYS_timer_settime, id, 0, &none, &mut old);
    assert!((90..=100).contains(&old.it_value.tv_sec));
    assert_eq!(old.it_interval.tv_sec, 7);
    assert_eq!(get(id).0, 0);
}

fn set_again_while_its_signal_waits() {
    block(SIGUSR1);
    let id = create(CLOCK_MONOTONIC, &event(SIGUSR1, 1));
    set(id, 0, 1_000_000, 0);
    until(|| pending() != 0);
    let begin = monotonic();
    set(id, 0, 30_000_000, 0);
    assert_eq!(take(SIGUSR1), (SI_TIMER, id, 0, 1));
    assert!(monotonic() - begin >= 30_000_000, "that was the old one");
}

fn deleted_while_its_signal_waits() {
    catch(SIGUSR1);
    block(SIGUSR1);
    let id = create(CLOCK_MONOTONIC, &event(SIGUSR1, 1));
    set(id, 0, 1_000_000, 1_000_000);
    until(|| pending() != 0);
    gives!(0, SYS_timer_delete, id);
    unblock(SIGUSR1);
    assert_eq!((RECORD.count(), pending()), (0, 0));
}

fn overruns_are_counted() {
    block(SIGUSR1);
    let id = create(CLOCK_MONOTONIC, &event(SIGUSR1, 1));
    let begin = monotonic();
    set(id, 0, 1_000_000, 1_000_000);
    let mut times = 0;
    for pause in [20_000_000, 7_000_000, 1] {
        rest(pause);
        let (_, _, besides, _) = take(SIGUSR1);
        gives!(besides, SYS_timer_getoverrun, id);
        times += 1 + besides as u64;
        let passed = (monotonic() - begin) / 1_000_000;
        // Some more may come between the two.
        assert!(
            times <= passed && times + 100 > passed,
            "{times} of {passed}"
        );
    }
    assert!(times >= 27, "{times}");
    // So short that most of them are never seen by themselves.
    set(id, 0, 1, 100);
    rest(5_000_000);
    let (_, _, besides, _) = take(SIGUSR1);
    assert!(besides >= 49_000, "{besides}");
    gives!(0, SYS_timer_delete, id);
}

fn one_signal_for_each_timer() {
    block(SIGALRM);
    let mut ids = [0, 1, 2].map(|value| create(CLOCK_MONOTONIC, &event(SIGALRM, value)));
    for id in ids {
        set(id, 0, 1_000_000, 500_000);
    }
    rest(10_000_000);
    ok!(SYS_kill, pid(), SIGALRM);
    let mut seen = ids.map(|_| {
        let (code, id, besides, value) = take(SIGALRM);
        assert_eq!((code, ids[value]), (SI_TIMER, id));
        assert!(besides >= 10);
        set(id, 0, 0, 0);
        id
    });
    ids.sort_unstable();
    seen.sort_unstable();
    assert_eq!((ids, pending()), (seen, 0));
}

fn ignored_and_then_heard() {
    for signal in [SIGUSR1, SIGCHLD] {
        dispose(signal, libc::SIG_IGN);
        let id = create(CLOCK_MONOTONIC, &event(signal, 1));
        let once = create(CLOCK_MONOTONIC, &event(signal, 2));
        set(id, 0, 1_000_000, 1_000_000);
        set(once, 0, 1_000_000, 0);
        rest(10_000_000);
        assert!((1..=1_000_000).contains(&get(id).0));
        let before = RECORD.count();
        catch(signal);
        until(|| RECORD.count() > before + 3);
        assert_eq!(RECORD.value.load(Ordering::SeqCst), 1);
        // Ignored again while it waits, and once more heard.
        block(signal);
        until(|| pending() != 0);
        dispose(signal, libc::SIG_IGN);
        assert_eq!(pending(), 0);
        let before = RECORD.count();
        catch(signal);
        unblock(signal);
        until(|| RECORD.count() > before + 3);
        gives!(0, SYS_timer_delete, id);
    }
}

fn used_time_of_the_process() {
    catch(SIGUSR1);
    let id = create(CLOCK_PROCESS_CPUTIME_ID, &event(SIGUSR1, 1));
    let goal = clock(CLOCK_PROCESS_CPUTIME_ID) + 20_000_000;
    set(id, TIMER_ABSTIME, goal, 10_000_000);
    rest(40_000_000);
    assert_eq!(RECORD.count(), 0, "it counted sleep");
    // What other threads use counts as well.
    std::thread::scope(|scope| {
        scope.spawn(|| work(15_000_000));
        work(15_000_000);
    });
    until(|| RECORD.count() >= 1);
    while RECORD.count() < 4 {
        work(1_000_000);
    }
    assert!(clock(CLOCK_PROCESS_CPUTIME_ID) >= goal + 30_000_000);
    let (left, interval) = get(id);
    assert!(left <= 10_000_000 && interval == 10_000_000);
}

fn used_time_of_a_thread() {
    catch(SIGUSR1);
    let id = create(CLOCK_THREAD_CPUTIME_ID, &event(SIGUSR1, 1));
    let goal = clock(CLOCK_THREAD_CPUTIME_ID) + 10_000_000;
    set(id, TIMER_ABSTIME, goal, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| work(30_000_000));
    });
    let rang = RECORD.count() > 0;
    assert!(
        !rang || clock(CLOCK_THREAD_CPUTIME_ID) >= goal,
        "it counted another thread"
    );
    work(30_000_000);
    assert_eq!(RECORD.count(), 1);
    // By the thread's number, from another one.
    let own = ok!(SYS_gettid) as i32;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let id = create((!own << 3) | 6, &event(SIGUSR1, 1));
            set(id, 0, 5_000_000, 0);
        });
    });
    work(30_000_000);
    assert_eq!(RECORD.count(), 2);
}

fn used_time_of_another_process() {
    catch(SIGUSR1);
    let (start, end) = (Gate::new(), Gate::new());
    let child = spawn(|| {
        start.wait();
        work(20_000_000);
        end.wait();
    });
    let id = create((!child.pid << 3) | 2, &event(SIGUSR1, 1));
    let used = clock((!child.pid << 3) | 2);
    set(id, 0, 15_000_000, 0);
    rest(20_000_000);
    assert_eq!(RECORD.count(), 0);
    start.open();
    until(|| RECORD.count() == 1);
    assert!(clock((!child.pid << 3) | 2) >= used + 15_000_000);
    end.open();
    child.passes();
}

fn who_ends_cannot_be_waited_for() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    let id = create((!child.pid << 3) | 2, &event(SIGUSR1, 1));
    set(id, 0, SECOND, 0);
    gate.open();
    child.passes();
    fails!(ESRCH, SYS_timer_settime, id, 0, &itimerspec(1, 0), 0);
    gives!(0, SYS_timer_delete, id);
    // A thread of another process is none of the caller's business.
    let parent = ok!(SYS_getppid) as i32;
    fails!(EINVAL, SYS_timer_create, (!parent << 3) | 6, 0, &mut 0i32);
}

fn children_have_none() {
    let id = create(CLOCK_MONOTONIC, &event(SIGKILL, 1));
    passes(|| {
        fails!(EINVAL, SYS_timer_gettime, id, &mut itimerspec(0, 0));
        let text = std::fs::read_to_string("/proc/self/timers").unwrap_or_default();
        assert_eq!(text, "");
    });
    gives!(0, SYS_timer_gettime, id, &mut itimerspec(0, 0));
}

fn a_new_program_has_none() {
    passes(|| {
        let id = create(CLOCK_MONOTONIC, &event(SIGKILL, 1));
        set(id, 0, 300_000_000, 0);
        block(SIGUSR2);
        let waits = create(CLOCK_MONOTONIC, &event(SIGUSR2, 1));
        set(waits, 0, 1, 0);
        until(|| pending() != 0);
        test_programs::child::exit(test_programs::child::exec_helper(&["no-timers"], &[]));
    });
}

/// The second life of that process.
pub fn no_timers(_: &[String]) -> i32 {
    for id in 0..4 {
        fails!(EINVAL, SYS_timer_gettime, id, &mut itimerspec(0, 0));
    }
    unblock(SIGUSR2);
    rest(400_000_000);
    0
}

fn they_count_as_queued_signals() {
    let most = |soft: u64| gives!(0, SYS_prlimit64, 0, RLIMIT_SIGPENDING, &[soft, 1000], 0);
    let try_one = || {
        let mut id = 0i32;
        sys!(SYS_timer_create, CLOCK_MONOTONIC, 0, &mut id).map(|_| id)
    };
    most(0);
    assert_eq!(try_one(), Err(EAGAIN));
    passes(|| {
        // Nobody else has this user.
        ok!(SYS_setresuid, 4_711_000, 4_711_000, 4_711_000);
        most(2);
        let ids = [try_one().unwrap(), try_one().unwrap()];
        assert_eq!(try_one(), Err(EAGAIN));
        gives!(0, SYS_timer_delete, ids[0]);
        assert!(try_one().is_ok());
    });
}

fn the_end_of_a_process() {
    dies_of(SIGKILL, || {
        let id = create(CLOCK_MONOTONIC, &event(SIGKILL, 1));
        set(id, 0, 1_000_000, 0);
        loop {
            std::hint::spin_loop();
        }
    });
    // A timer that is running when its process ends harms nobody.
    for _ in 0..20 {
        passes(|| {
            catch(SIGALRM);
            for _ in 0..10 {
                let id = create(CLOCK_MONOTONIC, &event(SIGALRM, 1));
                set(id, 0, 400_000, 1_000_000);
            }
            let _ = sys!(SYS_nanosleep, &timespec(350_000), 0);
        });
    }
}

fn as_proc_shows_them() {
    let Ok(before) = std::fs::read_to_string("/proc/self/timers") else {
        // A Linux without checkpointing.
        return;
    };
    assert_eq!(before, "");
    let first = create(CLOCK_MONOTONIC, &event(SIGUSR1, 0xabc));
    let none = Event {
        notify: SIGEV_NONE,
        ..Event::default()
    };
    let second = create(CLOCK_PROCESS_CPUTIME_ID, &none);
    let thread = ok!(SYS_gettid) as i32;
    let directed = Event {
        notify: SIGEV_THREAD_ID,
        thread,
        ..event(34, 1)
    };
    let third = create(CLOCK_BOOTTIME, &directed);
    let text = std::fs::read_to_string("/proc/self/timers").unwrap();
    let pid = pid();
    let of = |id, signal, value, notify: &str, clock| {
        format!("ID: {id}\nsignal: {signal}/{value:016x}\nnotify: {notify}\nClockID: {clock}\n")
    };
    let expected = [
        of(first, SIGUSR1, 0xabc, &format!("signal/pid.{pid}"), 1),
        of(second, 0, 0, &format!("none/pid.{pid}"), -6),
        of(third, 34, 1, &format!("signal/tid.{thread}"), 7),
    ];
    for one in expected {
        assert!(text.contains(&one), "{text:?} lacks {one:?}");
    }
}

fn numbers_are_not_given_again_soon() {
    let mut last = -1;
    for _ in 0..100 {
        let id = create(CLOCK_MONOTONIC, &event(SIGUSR1, 0));
        assert!(id > last);
        last = id;
        gives!(0, SYS_timer_delete, id);
    }
}

fn errors() {
    let mut id = 0i32;
    let good = event(SIGUSR1, 0);
    for which in [77, i32::MAX, (!9_999_999 << 3) | 2] {
        fails!(EINVAL, SYS_timer_create, which, &good, &mut id);
    }
    for which in [
        CLOCK_MONOTONIC_RAW,
        CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE,
        (!5 << 3) | 3,
    ] {
        fails!(EOPNOTSUPP, SYS_timer_create, which, &good, &mut id);
    }
    for (signal, notify) in [
        (0, 0),
        (65, 0),
        (-1, 0),
        (SIGUSR1, 3),
        (SIGUSR1, -1),
        (0, 2),
    ] {
        let wrong = Event {
            notify,
            ..event(signal, 0)
        };
        fails!(EINVAL, SYS_timer_create, CLOCK_MONOTONIC, &wrong, &mut id);
    }
    fails!(
        EFAULT,
        SYS_timer_create,
        CLOCK_MONOTONIC,
        bad::<u8>(),
        &mut id
    );
    fails!(
        EFAULT,
        SYS_timer_create,
        CLOCK_MONOTONIC,
        &good,
        bad::<u8>()
    );
    let id = create(CLOCK_MONOTONIC, &good);
    fails!(EINVAL, SYS_timer_settime, id, 0, 0, 0);
    fails!(EFAULT, SYS_timer_settime, id, 0, bad::<u8>(), 0);
    fails!(
        EFAULT,
        SYS_timer_settime,
        id,
        0,
        &itimerspec(0, 0),
        bad::<u8>()
    );
    fails!(EFAULT, SYS_timer_gettime, id, bad::<u8>());
    for (seconds, nanoseconds) in [(0i64, -1i64), (0, 1_000_000_000), (-1, 0)] {
        let wrong = [0, 0, seconds, nanoseconds];
        fails!(EINVAL, SYS_timer_settime, id, 0, &wrong, 0);
        let wrong = [seconds, nanoseconds, 1, 0];
        fails!(EINVAL, SYS_timer_settime, id, 0, &wrong, 0);
    }
    for id in [id + 1, -1] {
        fails!(EINVAL, SYS_timer_settime, id, 0, &itimerspec(1, 0), 0);
        fails!(EINVAL, SYS_timer_gettime, id, &mut itimerspec(0, 0));
        fails!(EINVAL, SYS_timer_getoverrun, id);
        fails!(EINVAL, SYS_timer_delete, id);
    }
}

fn waking_the_machine_is_not_for_everybody() {
    for which in [CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM] {
        let create = || {
            let mut id = 0i32;
            sys!(SYS_timer_create, which, &event(SIGUSR1, 1), &mut id).map(|_| id)
        };
        block(SIGUSR1);
        match create() {
            // Linux says so on a machine whose clock cannot wake it.
            Err(errno) => assert_eq!(errno, EOPNOTSUPP),
            Ok(id) => {
                set(id, 0, 5_000_000, 0);
                assert_eq!(take(SIGUSR1).1, id);
            }
        }
        passes(|| {
            become_nobody();
            assert!(matches!(create(), Err(EPERM | EOPNOTSUPP)));
        });
    }
}
