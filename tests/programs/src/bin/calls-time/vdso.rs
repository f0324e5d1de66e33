//! Clocks without calls: the shared object that the kernel maps (vdso(7)), found by the library.

use libc::{
    AT_SYSINFO_EHDR, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME,
    CLOCK_TAI, SIGSEGV,
};
use std::thread;
use test_programs::child::{dies_of, passes};
use test_programs::raw::short::*;

test_programs::tests!(
    the_object_is_mapped,
    it_is_read_only,
    all_clocks_agree_with_the_calls,
    the_other_functions_agree_with_the_calls,
    children_have_it,
    time_never_goes_back_between_threads,
);

/// Where the object begins.
fn object() -> usize {
    // SAFETY: the library looks into what it was started with.
    let at = unsafe { libc::getauxval(AT_SYSINFO_EHDR) } as usize;
    assert!(at != 0 && at.is_multiple_of(4096), "{at:#x}");
    at
}

/// The lines of `maps` with this label: start, end, and what may be done there.
fn mapped(label: &str) -> Vec<(usize, usize, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let lines = maps.lines().filter(|line| line.ends_with(label));
    lines
        .map(|line| {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            (number(start), number(end), rest[..4].to_string())
        })
        .collect()
}

fn the_object_is_mapped() {
    let at = object();
    let lines = mapped("[vdso]");
    assert!(lines.len() == 1, "{lines:?}");
    let (start, end, may) = &lines[0];
    assert!(*start == at && *end > at && may == "r-xp", "{lines:?}");
    // SAFETY: the object is mapped there, to be read.
    let magic = unsafe { *(at as *const [u8; 4]) };
    assert_eq!(&magic, b"\x7fELF");
    let pages = mapped("[vvar]");
    assert!(pages.iter().any(|(_, _, may)| may == "r--p"), "{pages:?}");
}

fn it_is_read_only() {
    let page = mapped("[vvar]")[0].0;
    for at in [object(), page] {
        dies_of(SIGSEGV, || {
            // SAFETY: nothing else depends on what is there, and the write must fail.
            unsafe { (at as *mut u8).write_volatile(0) };
        });
    }
}

/// What the library says, in nanoseconds.
fn by_library(which: i32) -> u64 {
    let mut time = timespec(0);
    // SAFETY: a valid place for the time.
    assert_eq!(unsafe { libc::clock_gettime(which, &mut time) }, 0);
    assert!((0..1_000_000_000).contains(&time.tv_nsec));
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn all_clocks_agree_with_the_calls() {
    for which in [
        CLOCK_REALTIME,
        CLOCK_MONOTONIC,
        CLOCK_MONOTONIC_RAW,
        CLOCK_BOOTTIME,
        CLOCK_TAI,
    ] {
        for _ in 0..2000 {
            let before = clock(which);
            let inside = by_library(which);
            let after = clock(which);
            assert!(
                before <= inside && inside <= after,
                "clock {which}: {before} {inside} {after}"
            );
        }
    }
}

fn the_other_functions_agree_with_the_calls() {
    for _ in 0..200 {
        let before = clock(CLOCK_REALTIME);
        let mut now = libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        // SAFETY: a valid place for the time, or none.
        unsafe {
            assert_eq!(libc::gettimeofday(&mut now, std::ptr::null_mut()), 0);
            let seconds = libc::time(std::ptr::null_mut());
            let mut stored = 0;
            assert!(libc::time(&mut stored) == stored && stored >= seconds);
            let after = clock(CLOCK_REALTIME);
            let micros = now.tv_sec as u64 * 1_000_000 + now.tv_usec as u64;
            assert!((before / 1000..=after / 1000).contains(&micros));
            // The whole seconds may come from a coarse clock.
            let range = before / 1_000_000_000 - 1..=after / 1_000_000_000;
            assert!(range.contains(&(seconds as u64)));
        }
    }
    let mut step = timespec(0);
    // SAFETY: a valid place for the time.
    assert_eq!(unsafe { libc::clock_getres(CLOCK_MONOTONIC, &mut step) }, 0);
    assert!(step.tv_sec == 0 && (1..=10_000_000).contains(&step.tv_nsec));
    // SAFETY: no arguments.
    let cpu = unsafe { libc::sched_getcpu() };
    assert!((0..4096).contains(&cpu), "{cpu}");
}

fn children_have_it() {
    let at = object();
    passes(|| {
        assert!(object() == at && mapped("[vdso]")[0].0 == at);
        let before = monotonic();
        let inside = by_library(CLOCK_MONOTONIC);
        assert!(before <= inside && inside <= monotonic());
    });
}

fn time_never_goes_back_between_threads() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let latest = AtomicU64::new(0);
    let latest = &latest;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for round in 0..2000 {
                    let seen = latest.load(Ordering::SeqCst);
                    let now = match round % 2 {
                        0 => by_library(CLOCK_MONOTONIC),
                        _ => monotonic(),
                    };
                    assert!(now >= seen, "{now} after {seen}");
                    latest.fetch_max(now, Ordering::SeqCst);
                }
            });
        }
    });
}
