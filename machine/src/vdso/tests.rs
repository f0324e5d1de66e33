//! The code runs here on the page of a test, in a copy with the page at its place.

use super::*;
use core::ffi::c_int;

unsafe extern "C" {
    fn mmap(at: *mut u8, len: usize, access: c_int, flags: c_int, file: c_int, off: i64)
    -> *mut u8;
    fn mprotect(at: *mut u8, len: usize, access: c_int) -> c_int;
}

/// A clock page with the image's page behind it, for the rest of the test's life.
struct Mapped {
    start: *mut u8,
    page: ClockPage,
}

impl Mapped {
    fn new() -> Mapped {
        // SAFETY: fresh memory of this process alone, which is never given back; the code fits
        // behind its place, and is written before it becomes executable.
        unsafe {
            let start = mmap(core::ptr::null_mut(), 2 * crate::PAGE, 3, 0x22, -1, 0);
            assert!(start.addr() as isize > 0, "memory for the test");
            let image = start.add(BEFORE);
            core::ptr::copy_nonoverlapping(code().as_ptr(), image.add(CODE), code().len());
            assert_eq!(mprotect(image, crate::PAGE, 5), 0);
            let words: *const Words = start.cast();
            Mapped {
                start,
                page: ClockPage::new(&*words),
            }
        }
    }

    fn place(&self, name: &str) -> *mut u8 {
        let (_, at) = functions().find(|(other, _)| *other == name).unwrap();
        self.start.wrapping_add(BEFORE + CODE + at)
    }

    fn clock(&self, name: &str, clock: i32) -> (i32, [u64; 2]) {
        let mut time = [0u64; 2];
        // SAFETY: the function has this signature and writes 16 bytes.
        let result = unsafe {
            let function: extern "C" fn(i32, *mut [u64; 2]) -> i32 =
                core::mem::transmute(self.place(name));
            function(clock, &mut time)
        };
        (result, time)
    }

    fn get(&self, clock: i32) -> u64 {
        let (result, [seconds, rest]) = self.clock("__vdso_clock_gettime", clock);
        assert_eq!(result, 0);
        assert!(rest < 1_000_000_000);
        seconds * 1_000_000_000 + rest
    }

    fn time_of_day(&self) -> [u64; 2] {
        let mut time = [0u64; 2];
        // SAFETY: as in `clock`.
        let result = unsafe {
            let function: extern "C" fn(*mut [u64; 2], *mut u64) -> i32 =
                core::mem::transmute(self.place("__vdso_gettimeofday"));
            function(&mut time, core::ptr::null_mut())
        };
        assert_eq!(result, 0);
        time
    }

    fn seconds(&self) -> u64 {
        let mut stored = 0;
        // SAFETY: as in `clock`.
        let seconds = unsafe {
            let function: extern "C" fn(*mut u64) -> u64 =
                core::mem::transmute(self.place("__vdso_time"));
            function(&mut stored)
        };
        assert_eq!(seconds, stored);
        seconds
    }

    /// Stops the clock at `base`.
    fn stop_at(&self, base: u64, wall: Wall) {
        self.page.change(|contents| {
            contents.mode = MODE_COUNTER;
            contents.scale = Scale {
                base_stamp: 0,
                base,
                factor: 0,
                raw_base: base,
                raw_factor: 0,
            };
            contents.wall = wall;
        });
    }
}

#[test]
fn the_code_fits_and_knows_its_functions() {
    assert!(CODE + code().len() <= crate::PAGE);
    let places: Vec<usize> = functions().map(|(_, at)| at).collect();
    assert!(places.is_sorted() && places.iter().all(|at| *at < code().len()));
}

#[test]
fn each_clock_counts_from_its_own_beginning() {
    let mapped = Mapped::new();
    let wall = Wall {
        at_boot: 1_767_225_600_123_456_789,
        tai: 37_000_000_000,
    };
    for base in [
        0,
        1,
        999_999_999,
        1_000_000_000,
        86_400_999_999_999,
        1 << 60,
    ] {
        mapped.stop_at(base, wall);
        for clock in [1, 4, 6, 7] {
            assert_eq!(mapped.get(clock), base, "clock {clock}");
        }
        for clock in [0, 5] {
            assert_eq!(mapped.get(clock), base + wall.at_boot, "clock {clock}");
        }
        assert_eq!(mapped.get(11), base + wall.at_boot + wall.tai);
        let real = base + wall.at_boot;
        let day = [real / 1_000_000_000, real % 1_000_000_000 / 1000];
        assert_eq!(mapped.time_of_day(), day);
        assert_eq!(mapped.seconds(), day[0]);
    }
}

#[test]
fn the_counter_is_scaled_as_the_kernel_does() {
    let mapped = Mapped::new();
    let factor = (1 << 32) / 3;
    // SAFETY: every x86-64 processor has it.
    let stamp = || unsafe { core::arch::x86_64::_rdtsc() };
    let base_stamp = stamp() - 1_000_000;
    mapped.page.change(|contents| {
        contents.mode = MODE_COUNTER;
        contents.scale = Scale {
            base_stamp,
            base: 50,
            factor,
            raw_base: 70,
            raw_factor: factor / 2,
        };
    });
    let kernel =
        |stamp: u64| 50 + ((u128::from(stamp - base_stamp) * u128::from(factor)) >> 32) as u64;
    for _ in 0..1000 {
        let before = kernel(stamp());
        let now = mapped.get(1);
        // The counter may be read early; not by as much as this.
        assert!(before <= now + 10 && now <= kernel(stamp() + 1000));
    }
    // Nobody adjusts the raw clock: here it goes at half the speed.
    let (before, raw) = (mapped.get(1), mapped.get(4));
    let after = mapped.get(1);
    assert!((before / 2..=after / 2 + 50).contains(&raw));
    // A CPU that is behind where the scale begins stands still.
    mapped
        .page
        .change(|contents| contents.scale.base_stamp = u64::MAX / 2);
    assert_eq!(mapped.get(1), 50);
}

#[test]
fn without_a_counter_or_for_other_clocks_the_call_is_made() {
    let mapped = Mapped::new();
    // The host's kernel answers: its clock is not the page's.
    assert!(mapped.get(1) > 1_000_000);
    assert!(mapped.time_of_day()[0] > 1_000_000_000);
    assert!(mapped.seconds() > 1_000_000_000);
    mapped.stop_at(5, Wall::default());
    assert_eq!(mapped.get(1), 5);
    assert!(mapped.get(3) > 5, "used time");
    assert_eq!(mapped.clock("__vdso_clock_gettime", 99).0, -22);
    assert_eq!(mapped.clock("__vdso_clock_gettime", 10).0, -22);
    assert_eq!(mapped.clock("__vdso_clock_getres", 99).0, -22);
    assert_eq!(mapped.clock("__vdso_clock_getres", 7), (0, [0, 1]));
}

#[test]
fn the_cpu_is_told() {
    let mapped = Mapped::new();
    for mode in [0, MODE_CPU] {
        mapped.page.change(|contents| contents.mode = mode);
        let (mut cpu, mut node) = (u32::MAX, u32::MAX);
        // SAFETY: the function has this signature; the third argument is unused.
        let result = unsafe {
            let function: extern "C" fn(*mut u32, *mut u32, usize) -> i32 =
                core::mem::transmute(mapped.place("__vdso_getcpu"));
            function(&mut cpu, &mut node, 0)
        };
        assert_eq!(result, 0);
        // Linux keeps the node above the CPU, where `rdtscp` finds both.
        assert!(cpu != u32::MAX && node < 4096);
    }
}

/// Who writes changes all words together; who reads never sees half of a change.
#[test]
fn a_change_is_seen_whole_or_not_at_all() {
    let mapped = Mapped::new();
    let even = Wall::default();
    let odd = Wall {
        at_boot: 1_000_000_000_000,
        tai: 0,
    };
    mapped.stop_at(1_000, even);
    let page = &mapped.page;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..200_000u64 {
                // The sum of base and wall is always the same.
                let part = round % 2 * 600;
                page.change(|contents| {
                    contents.scale.base = 1_000 - part;
                    contents.wall.at_boot = even.at_boot + part;
                });
            }
            done.store(true, core::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(core::sync::atomic::Ordering::Relaxed) {
            assert_eq!(mapped.get(0), 1_000);
        }
    });
    mapped.stop_at(1, odd);
    assert_eq!(mapped.get(0), 1_000_000_000_001);
}
