//! timerfd_create, timerfd_settime, timerfd_gettime.

use libc::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_TAI, EPOLL_CTL_ADD,
    EPOLLET, EPOLLIN, O_NONBLOCK, O_RDWR, POLLIN, SIGALRM, TFD_CLOEXEC, TFD_NONBLOCK,
    TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET, epoll_event, pollfd,
};
use test_programs::child::{become_nobody, passes, spawn, until};
use test_programs::raw::short::*;
use test_programs::signal::{catch, tick};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    flags_of_the_file,
    which_clocks,
    alarms_are_for_root,
    it_goes_off_once,
    not_early,
    it_repeats,
    at_a_point_in_time,
    at_a_point_that_has_passed,
    missed_ticks_are_counted,
    a_tiny_interval,
    what_is_left,
    setting_it_again,
    stopping_it,
    asking_counts_too,
    reading_waits,
    reading_is_interrupted,
    poll_waits,
    epoll_level_and_edge,
    shared_by_fork,
    closed_while_armed,
    errors_of_set,
    errors_of_get,
    errors_of_read_and_write,
    ticks_by_ioctl,
);

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

fn create(clock: i32, flags: i32) -> usize {
    ok!(SYS_timerfd_create, clock, flags)
}

fn set(fd: usize, flags: i32, value: u64, interval: u64) {
    gives!(
        0,
        SYS_timerfd_settime,
        fd,
        flags,
        &itimerspec(value, interval),
        0
    );
}

fn nanoseconds(time: libc::timespec) -> u64 {
    assert!((0..1_000_000_000).contains(&time.tv_nsec));
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

/// What is left, and the interval.
fn left(fd: usize) -> (u64, u64) {
    let mut now = itimerspec(1, 1);
    gives!(0, SYS_timerfd_gettime, fd, &mut now);
    (nanoseconds(now.it_value), nanoseconds(now.it_interval))
}

fn count(fd: usize) -> u64 {
    let mut count = 0u64;
    gives!(8, SYS_read, fd, &mut count, 8);
    count
}

fn ready(fd: usize) -> bool {
    let mut entry = pollfd {
        fd: fd as i32,
        events: POLLIN,
        revents: 0,
    };
    let found = ok!(SYS_poll, &mut entry, 1, 0);
    assert_eq!(entry.revents, if found == 1 { POLLIN } else { 0 });
    found == 1
}

fn flags_of_the_file() {
    let plain = create(CLOCK_MONOTONIC, 0);
    assert!(!close_on_exec(plain) && status_flags(plain) & O_NONBLOCK == 0);
    assert_eq!(status_flags(plain) & libc::O_ACCMODE, O_RDWR);
    let both = create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    assert!(close_on_exec(both) && status_flags(both) & O_NONBLOCK != 0);
    fails!(EINVAL, SYS_timerfd_create, CLOCK_MONOTONIC, 1);
    let name = std::fs::read_link(format!("/proc/self/fd/{plain}")).unwrap();
    assert_eq!(name.to_str(), Some("anon_inode:[timerfd]"));
}

fn which_clocks() {
    for clock in [
        CLOCK_MONOTONIC,
        CLOCK_REALTIME,
        CLOCK_BOOTTIME,
        CLOCK_REALTIME_ALARM,
        CLOCK_BOOTTIME_ALARM,
    ] {
        let fd = create(clock, 0);
        set(fd, 0, MS, 0);
        assert_eq!(count(fd), 1, "{clock}");
        close(fd);
    }
    for clock in [
        CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_MONOTONIC_RAW,
        CLOCK_TAI,
        -1,
        77,
    ] {
        fails!(EINVAL, SYS_timerfd_create, clock, 0);
    }
}

fn alarms_are_for_root() {
    let fd = create(CLOCK_BOOTTIME_ALARM, 0);
    passes(|| {
        become_nobody();
        for clock in [CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM] {
            fails!(EPERM, SYS_timerfd_create, clock, 0);
            fails!(EINVAL, SYS_timerfd_create, clock, 1);
        }
        fails!(EPERM, SYS_timerfd_settime, fd, 0, &itimerspec(1, 0), 0);
        assert_eq!(left(fd), (0, 0));
        close(create(CLOCK_BOOTTIME, 0));
    });
}

fn it_goes_off_once() {
    let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    let mut bytes = 0u64;
    fails!(EAGAIN, SYS_read, fd, &mut bytes, 8);
    assert!(!ready(fd));
    set(fd, 0, 2 * MS, 0);
    until(|| ready(fd));
    assert_eq!(left(fd), (0, 0));
    assert!(ready(fd));
    assert_eq!(count(fd), 1);
    fails!(EAGAIN, SYS_read, fd, &mut bytes, 8);
    assert!(!ready(fd));
}

fn not_early() {
    for which in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME] {
        let fd = create(which, 0);
        for length in [1, 50_000, MS, 7_777_777] {
            let start = monotonic();
            set(fd, 0, length, 0);
            assert_eq!(count(fd), 1);
            let took = monotonic() - start;
            assert!(took >= length, "{took} ns for {length} ns");
        }
    }
}

fn it_repeats() {
    let fd = create(CLOCK_MONOTONIC, 0);
    let start = monotonic();
    set(fd, 0, 3 * MS, 2 * MS);
    let mut seen = 0;
    while seen < 10 {
        seen += count(fd);
        let passed = monotonic() - start;
        assert!(
            passed >= 3 * MS + (seen - 1) * 2 * MS,
            "{seen} in {passed} ns"
        );
    }
    assert_eq!(left(fd).1, 2 * MS);
}

fn at_a_point_in_time() {
    for which in [CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME] {
        let fd = create(which, 0);
        let goal = clock(which) + 10 * MS;
        set(fd, TFD_TIMER_ABSTIME, goal, 0);
        assert_eq!(count(fd), 1);
        assert!(clock(which) >= goal);
    }
}

fn at_a_point_that_has_passed() {
    for which in [CLOCK_MONOTONIC, CLOCK_REALTIME] {
        let fd = create(which, TFD_NONBLOCK);
        set(fd, TFD_TIMER_ABSTIME, 1, 0);
        until(|| ready(fd));
        assert_eq!(count(fd), 1);
        // All the ticks since then are counted.
        let now = clock(which);
        let interval = now / 1000;
        let start = now - 1000 * interval;
        set(fd, TFD_TIMER_ABSTIME, start.max(1), interval);
        until(|| ready(fd));
        let ticks = count(fd);
        let most = (clock(which) - start) / interval + 1;
        assert!((1001..=most).contains(&ticks), "{ticks}");
    }
}

fn missed_ticks_are_counted() {
    let fd = create(CLOCK_MONOTONIC, 0);
    let start = monotonic();
    set(fd, 0, MS, MS);
    let after = monotonic();
    ok!(SYS_nanosleep, &timespec(30 * MS), 0);
    let least = (monotonic() - after) / MS;
    let ticks = count(fd);
    let most = (monotonic() - start) / MS;
    assert!((least..=most).contains(&ticks), "{ticks}");
}

/// It costs no more than any other, and leaves the processor to others.
fn a_tiny_interval() {
    let fd = create(CLOCK_MONOTONIC, 0);
    let start = monotonic();
    set(fd, 0, 1, 1);
    let mut ticks = 0;
    for _ in 0..100 {
        ticks += count(fd);
        assert!(ticks <= monotonic() - start);
    }
    ok!(SYS_nanosleep, &timespec(5 * MS), 0);
    assert!(count(fd) >= 5 * MS);
    let used = clock(CLOCK_PROCESS_CPUTIME_ID);
    ok!(SYS_nanosleep, &timespec(100 * MS), 0);
    assert!(clock(CLOCK_PROCESS_CPUTIME_ID) - used < 80 * MS);
}

fn what_is_left() {
    let fd = create(CLOCK_MONOTONIC, 0);
    assert_eq!(left(fd), (0, 0));
    set(fd, 0, 1000 * SECOND, 3 * SECOND);
    let (value, interval) = left(fd);
    assert!((900 * SECOND..=1000 * SECOND).contains(&value), "{value}");
    assert_eq!(interval, 3 * SECOND);
    // What is told is the rest, however it was set.
    set(fd, TFD_TIMER_ABSTIME, monotonic() + 500 * SECOND, 0);
    let (value, interval) = left(fd);
    assert!((400 * SECOND..=500 * SECOND).contains(&value), "{value}");
    assert_eq!(interval, 0);
}

fn setting_it_again() {
    let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    set(fd, 0, 1000 * SECOND, 7 * SECOND);
    let mut old = itimerspec(0, 0);
    gives!(0, SYS_timerfd_settime, fd, 0, &itimerspec(MS, 0), &mut old);
    assert!((900 * SECOND..=1000 * SECOND).contains(&nanoseconds(old.it_value)));
    assert_eq!(nanoseconds(old.it_interval), 7 * SECOND);
    until(|| ready(fd));
    // What it counted is forgotten.
    set(fd, 0, 1000 * SECOND, 0);
    let mut bytes = 0u64;
    assert!(!ready(fd));
    fails!(EAGAIN, SYS_read, fd, &mut bytes, 8);
}

fn stopping_it() {
    let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    set(fd, 0, MS, MS);
    until(|| ready(fd));
    // Without a value the interval is of no use, but it is told.
    set(fd, 0, 0, 5 * MS);
    assert_eq!(left(fd), (0, 5 * MS));
    ok!(SYS_nanosleep, &timespec(20 * MS), 0);
    assert!(!ready(fd));
}

fn asking_counts_too() {
    let fd = create(CLOCK_MONOTONIC, 0);
    let start = monotonic();
    set(fd, 0, 10 * MS, 10 * MS);
    let after = monotonic();
    until(|| ready(fd));
    ok!(SYS_nanosleep, &timespec(35 * MS), 0);
    let (value, interval) = left(fd);
    assert!(value <= 10 * MS && interval == 10 * MS, "{value}");
    assert!(ready(fd));
    let least = (monotonic() - after) / (10 * MS);
    let ticks = count(fd);
    let most = (monotonic() - start) / (10 * MS);
    assert!((least..=most).contains(&ticks), "{ticks}");
}

fn reading_waits() {
    let fd = create(CLOCK_MONOTONIC, 0);
    // Set by another while one waits.
    let reader = spawn(|| assert_eq!(count(fd), 1));
    let setter = spawn(|| set(fd, 0, 5 * MS, 0));
    setter.passes();
    reader.passes();
}

fn reading_is_interrupted() {
    let fd = create(CLOCK_MONOTONIC, 0);
    set(fd, 0, 1000 * SECOND, 0);
    catch(SIGALRM);
    tick(2000);
    let mut bytes = 0u64;
    fails!(EINTR, SYS_read, fd, &mut bytes, 8);
    tick(0);
    assert!(left(fd).0 > 900 * SECOND);
}

fn poll_waits() {
    let fd = create(CLOCK_BOOTTIME, 0);
    set(fd, 0, 5 * MS, 0);
    let start = monotonic();
    let mut entry = pollfd {
        fd: fd as i32,
        events: POLLIN,
        revents: 0,
    };
    gives!(1, SYS_poll, &mut entry, 1, -1);
    assert!(entry.revents == POLLIN && monotonic() - start < 1000 * SECOND);
    let mut set = [0u64; 16];
    set[fd / 64] = 1 << (fd % 64);
    gives!(1, SYS_select, fd + 1, set.as_mut_ptr(), 0, 0, 0);
    assert_eq!(set[fd / 64], 1 << (fd % 64));
    assert_eq!(count(fd), 1);
}

fn epoll_level_and_edge() {
    for edge in [0, EPOLLET] {
        let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        let epoll = ok!(SYS_epoll_create1, 0);
        let mut event = epoll_event {
            events: (EPOLLIN | edge) as u32,
            u64: 77,
        };
        ok!(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &mut event);
        set(fd, 0, MS, 0);
        let mut found = [epoll_event { events: 0, u64: 0 }; 4];
        gives!(1, SYS_epoll_wait, epoll, found.as_mut_ptr(), 4, -1);
        let (events, data) = (found[0].events, found[0].u64);
        assert_eq!((events, data), (EPOLLIN as u32, 77));
        // Unread, it is told again, or not.
        let again = usize::from(edge == 0);
        gives!(again, SYS_epoll_wait, epoll, found.as_mut_ptr(), 4, 0);
        assert_eq!(count(fd), 1);
        gives!(0, SYS_epoll_wait, epoll, found.as_mut_ptr(), 4, 0);
        // Going off again is news.
        set(fd, 0, MS, 0);
        gives!(1, SYS_epoll_wait, epoll, found.as_mut_ptr(), 4, -1);
        close(epoll);
        close(fd);
    }
}

fn shared_by_fork() {
    let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    set(fd, 0, 1000 * SECOND, 0);
    passes(|| {
        assert!(left(fd).0 > 900 * SECOND);
        set(fd, 0, MS, 0);
        until(|| ready(fd));
    });
    assert!(ready(fd));
    let copy = ok!(SYS_dup, fd);
    close(fd);
    assert_eq!(count(copy), 1);
}

fn closed_while_armed() {
    for _ in 0..100 {
        let fd = create(CLOCK_MONOTONIC, 0);
        set(fd, 0, MS, MS);
        close(fd);
    }
    ok!(SYS_nanosleep, &timespec(5 * MS), 0);
}

fn errors_of_set() {
    let fd = create(CLOCK_REALTIME, 0);
    let good = itimerspec(1000 * SECOND, 0);
    fails!(EBADF, SYS_timerfd_settime, 999, 0, &good, 0);
    let (reader, _writer) = pipe();
    fails!(EINVAL, SYS_timerfd_settime, reader, 0, &good, 0);
    fails!(EINVAL, SYS_timerfd_settime, fd, 4, &good, 0);
    fails!(EFAULT, SYS_timerfd_settime, fd, 4, bad::<u8>(), 0);
    fails!(EFAULT, SYS_timerfd_settime, fd, 0, 0, 0);
    for wrong in [
        [0i64, 0, 0, -1],
        [0, 0, 0, 1_000_000_000],
        [0, 0, -1, 0],
        [0, -1, 1, 0],
        [-1, 0, 1, 0],
        [0, 1_000_000_000, 1, 0],
    ] {
        fails!(EINVAL, SYS_timerfd_settime, fd, 0, &wrong, 0);
        // The time comes before the file.
        fails!(EINVAL, SYS_timerfd_settime, 999, 0, &wrong, 0);
    }
    assert_eq!(left(fd), (0, 0));
    // These count only together, and only on the wall clock.
    set(fd, TFD_TIMER_CANCEL_ON_SET, 1000 * SECOND, 0);
    set(
        fd,
        TFD_TIMER_CANCEL_ON_SET | TFD_TIMER_ABSTIME,
        clock(CLOCK_REALTIME) + 1000 * SECOND,
        0,
    );
    // As far away as can be said.
    let never = [0i64, 0, i64::MAX, 999_999_999];
    gives!(0, SYS_timerfd_settime, fd, TFD_TIMER_ABSTIME, &never, 0);
    gives!(0, SYS_timerfd_settime, fd, 0, &never, 0);
    assert!(left(fd).0 > 1_000_000 * SECOND);
    // It is set although its old setting cannot be told.
    fails!(EFAULT, SYS_timerfd_settime, fd, 0, &good, bad::<u8>());
    assert!((900 * SECOND..=1000 * SECOND).contains(&left(fd).0));
}

fn errors_of_get() {
    let fd = create(CLOCK_MONOTONIC, 0);
    fails!(EFAULT, SYS_timerfd_gettime, fd, bad::<u8>());
    fails!(EFAULT, SYS_timerfd_gettime, fd, 0);
    let mut now = itimerspec(0, 0);
    fails!(EBADF, SYS_timerfd_gettime, 999, &mut now);
    let (reader, _writer) = pipe();
    fails!(EINVAL, SYS_timerfd_gettime, reader, &mut now);
}

fn errors_of_read_and_write() {
    let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    let mut bytes = [0u64; 4];
    fails!(EINVAL, SYS_read, fd, &mut bytes, 7);
    fails!(EINVAL, SYS_read, fd, &mut bytes, 0);
    fails!(EINVAL, SYS_write, fd, &bytes, 8);
    set(fd, 0, MS, 0);
    until(|| ready(fd));
    fails!(EINVAL, SYS_read, fd, &mut bytes, 7);
    // More room than needed is none too much.
    gives!(8, SYS_read, fd, &mut bytes, 32);
    assert_eq!(bytes, [1, 0, 0, 0]);
    set(fd, 0, MS, 0);
    until(|| ready(fd));
    fails!(EFAULT, SYS_read, fd, bad::<u8>(), 8);
}

fn ticks_by_ioctl() {
    const TFD_IOC_SET_TICKS: u64 = 0x4008_5400;
    let fd = create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    fails!(EFAULT, SYS_ioctl, fd, TFD_IOC_SET_TICKS, bad::<u8>());
    fails!(EINVAL, SYS_ioctl, fd, TFD_IOC_SET_TICKS, &0u64);
    gives!(0, SYS_ioctl, fd, TFD_IOC_SET_TICKS, &12345u64);
    assert!(ready(fd) && count(fd) == 12345);
    fails!(ENOTTY, SYS_ioctl, fd, 0x5401, &mut [0u64; 16]);
}
