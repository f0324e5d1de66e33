//! Memory: faults, mapping, protecting.

use crate::Benchmark;
use crate::measure::Report;

pub const ALL: &[Benchmark] = &[
    ("page fault", fault),
    ("mmap+munmap", map),
    ("mprotect", protect),
];

const PAGE: usize = 4096;

fn anonymous(length: usize) -> *mut u8 {
    // SAFETY: a new private mapping, wherever there is room.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(start, libc::MAP_FAILED);
    start.cast()
}

fn unmap(start: *mut u8, length: usize) {
    // SAFETY: the mapping was made by `anonymous` and nobody uses it any more.
    assert_eq!(unsafe { libc::munmap(start.cast(), length) }, 0);
}

/// Touching new memory page by page, mapping and unmapping included.
fn fault(report: &mut Report) {
    const PAGES: u32 = 1024;
    report.time_many(|count| {
        let mut left = count;
        while left > 0 {
            let pages = left.min(PAGES);
            let length = PAGES as usize * PAGE;
            let start = anonymous(length);
            for page in 0..pages {
                // SAFETY: inside the mapping.
                unsafe { start.add(page as usize * PAGE).write_volatile(1) };
            }
            unmap(start, length);
            left -= pages;
        }
    });
}

fn map(report: &mut Report) {
    report.time(|| unmap(anonymous(16 * PAGE), 16 * PAGE));
}

fn protect(report: &mut Report) {
    let start = anonymous(16 * PAGE);
    for page in 0..16 {
        // SAFETY: inside the mapping.
        unsafe { start.add(page * PAGE).write_volatile(1) };
    }
    report.time(|| {
        // SAFETY: the mapping is ours and nobody touches it meanwhile.
        unsafe {
            libc::mprotect(start.cast(), 16 * PAGE, libc::PROT_READ);
            libc::mprotect(start.cast(), 16 * PAGE, libc::PROT_READ | libc::PROT_WRITE);
        }
    });
    unmap(start, 16 * PAGE);
}
