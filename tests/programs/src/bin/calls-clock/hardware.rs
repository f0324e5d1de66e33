//! The real-time clock, `/dev/rtc0`.

use crate::setting::SECOND;
use libc::{CLOCK_REALTIME, EAGAIN, EINVAL, O_NONBLOCK, O_RDONLY, POLLIN, pollfd};
use test_programs::child::{become_nobody, passes};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    it_shows_the_time,
    it_can_be_set,
    seconds_are_told,
    an_alarm,
    one_at_a_time,
    errors,
);

const RTC_AIE_OFF: u32 = 0x7002;
const RTC_UIE_ON: u32 = 0x7003;
const RTC_UIE_OFF: u32 = 0x7004;
const RTC_ALM_SET: u32 = 0x4024_7007;
const RTC_ALM_READ: u32 = 0x8024_7008;
const RTC_RD_TIME: u32 = 0x8024_7009;
const RTC_SET_TIME: u32 = 0x4024_700a;
const RTC_AIE_ON: u32 = 0x7001;
const RTC_WKALM_SET: u32 = 0x4028_700f;
const RTC_WKALM_RD: u32 = 0x8028_7010;

type Fields = [i32; 9];

fn clock_file() -> usize {
    open(c"/dev/rtc0", O_RDONLY)
}

fn get(fd: usize, request: u32) -> Fields {
    let mut fields = [-1; 9];
    gives!(0, SYS_ioctl, fd, request, &mut fields);
    fields
}

/// As seconds since 1970, by the C library.
fn seconds(fields: &Fields) -> i64 {
    // SAFETY: zeros are a valid `tm`.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    [
        time.tm_sec,
        time.tm_min,
        time.tm_hour,
        time.tm_mday,
        time.tm_mon,
        time.tm_year,
    ] = *fields.first_chunk().unwrap();
    // SAFETY: a valid `tm`.
    let seconds = unsafe { libc::timegm(&mut time) };
    assert_eq!([fields[6], fields[7]], [time.tm_wday, time.tm_yday]);
    seconds
}

/// The fields of a time, by the C library.
fn fields(seconds: i64) -> Fields {
    // SAFETY: zeros are a valid `tm`, and both pointers are good.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&seconds, &mut time);
        time
    };
    [
        time.tm_sec,
        time.tm_min,
        time.tm_hour,
        time.tm_mday,
        time.tm_mon,
        time.tm_year,
        time.tm_wday,
        time.tm_yday,
        0,
    ]
}

fn now(fd: usize) -> i64 {
    seconds(&get(fd, RTC_RD_TIME))
}

/// How often something came, and what.
fn take(fd: usize) -> (u64, u64) {
    let word = u64::from_le_bytes(read(fd, 8).try_into().unwrap());
    (word >> 8, word & 0xff)
}

fn it_shows_the_time() {
    let fd = clock_file();
    let wall = (clock(CLOCK_REALTIME) / SECOND) as i64;
    // The wall clock was read from it, in whole seconds.
    let shown = now(fd);
    assert!((shown - wall).abs() <= 2, "{shown}, not {wall}");
}

fn it_can_be_set() {
    let fd = clock_file();
    let (before, start) = (now(fd), monotonic());
    for time in [
        951_782_399,   // 2000-02-28 23:59:59
        1_709_251_198, // 2024-02-29 23:59:58
        4_102_444_799, // 2099-12-31 23:59:59
        4_133_980_800, // 2101-01-01 00:00:00
        before + 7200,
    ] {
        gives!(0, SYS_ioctl, fd, RTC_SET_TIME, &fields(time));
        let shown = now(fd);
        assert!((time..=time + 2).contains(&shown), "{shown}, not {time}");
    }
    // The wall clock is another one.
    assert!((clock(CLOCK_REALTIME) / SECOND) as i64 <= before + 3600);
    let passed = ((monotonic() - start) / SECOND) as i64;
    gives!(0, SYS_ioctl, fd, RTC_SET_TIME, &fields(before + passed));
}

fn seconds_are_told() {
    let fd = clock_file();
    gives!(0, SYS_ioctl, fd, RTC_UIE_ON, 0);
    let (count, what) = take(fd);
    assert_eq!((count, what), (1, 0x90));
    let before = now(fd);
    // A read waits for the next one.
    let start = monotonic();
    assert_eq!(take(fd).1, 0x90);
    assert!(now(fd) > before && monotonic() - start < 3 * SECOND);
    let mut entry = pollfd {
        fd: fd as i32,
        events: POLLIN,
        revents: 0,
    };
    gives!(1, SYS_poll, &mut entry, 1, 5000);
    gives!(0, SYS_ioctl, fd, RTC_UIE_OFF, 0);
    take(fd);
    gives!(0, SYS_poll, &mut entry, 1, 1500);
}

fn an_alarm() {
    let fd = clock_file();
    let goal = now(fd) + 2;
    let mut alarm = [0i32; 10];
    alarm[0] = 1;
    alarm[1..].copy_from_slice(&fields(goal));
    gives!(0, SYS_ioctl, fd, RTC_WKALM_SET, &alarm);
    let mut again = [0i32; 10];
    gives!(0, SYS_ioctl, fd, RTC_WKALM_RD, &mut again);
    assert_eq!(again, alarm);
    assert_eq!(take(fd), (1, 0xa0));
    assert!(now(fd) >= goal);
    gives!(0, SYS_ioctl, fd, RTC_WKALM_RD, &mut again);
    assert_eq!(again[0], 0);
    // By the older calls: a time of the day.
    let goal = now(fd) + 2;
    gives!(0, SYS_ioctl, fd, RTC_ALM_SET, &fields(goal));
    assert_eq!(seconds(&get(fd, RTC_ALM_READ)), goal);
    gives!(0, SYS_ioctl, fd, RTC_AIE_ON, 0);
    assert_eq!(take(fd), (1, 0xa0));
    gives!(0, SYS_ioctl, fd, RTC_AIE_OFF, 0);
}

fn one_at_a_time() {
    let fd = clock_file();
    fails!(EBUSY, SYS_openat, libc::AT_FDCWD, c"/dev/rtc0", O_RDONLY, 0);
    close(fd);
    close(clock_file());
    passes(|| {
        become_nobody();
        fails!(
            EACCES,
            SYS_openat,
            libc::AT_FDCWD,
            c"/dev/rtc0",
            O_RDONLY,
            0
        );
    });
}

fn errors() {
    let fd = open(c"/dev/rtc0", O_RDONLY | O_NONBLOCK);
    assert_eq!(sys!(SYS_read, fd, &mut [0u8; 8], 8), Err(EAGAIN));
    assert_eq!(sys!(SYS_read, fd, &mut [0u8; 8], 3), Err(EINVAL));
    fails!(EFAULT, SYS_ioctl, fd, RTC_RD_TIME, bad::<u8>());
    fails!(EFAULT, SYS_ioctl, fd, RTC_SET_TIME, bad::<u8>());
    fails!(ENOTTY, SYS_ioctl, fd, 0x7077, 0);
    for (place, wrong) in [(0, 60), (1, -1), (2, 24), (3, 0), (3, 32), (4, 12), (5, 69)] {
        let mut time = fields(1_709_251_198);
        time[place] = wrong;
        fails!(EINVAL, SYS_ioctl, fd, RTC_SET_TIME, &time);
    }
    passes(|| {
        become_nobody();
        let time: Fields = get(fd, RTC_RD_TIME);
        fails!(EPERM, SYS_ioctl, fd, RTC_SET_TIME, &time);
    });
    ok!(SYS_close, fd);
}
