//! Reading the clocks without entering the kernel: the code that a Linux program calls for it, and
//! the page that this code reads.
//!
//! The one idea: the page holds what the kernel itself multiplies the time stamp counter with, for each
//! clock, under a sequence number that is odd while it changes. The image around the code, and who maps it, are
//! the Linux door's business.

mod page;

pub use page::{ClockPage, Contents, MODE_COUNTER, MODE_CPU, Scale, Wall, Words};

use core::arch::global_asm;
use page::{CLOCK_WORDS, CLOCKS, Word};

/// Where the code must lie: so many bytes after the beginning of its image.
pub const CODE: usize = 0x800;
/// Where the clock page must lie: so many bytes before the beginning of the image.
pub const BEFORE: usize = crate::PAGE;

global_asm!(
    include_str!("code.s"),
    page_distance = const CODE + BEFORE,
    code = const CODE,
    sequence = const Word::Sequence.offset(),
    base_stamp = const Word::BaseStamp.offset(),
    mode = const Word::Mode.offset(),
    base = const Word::Base.offset(),
    factor = const Word::Factor.offset(),
    refused = const Word::Refused.offset(),
    clock_shift = const (CLOCK_WORDS * size_of::<u64>()).ilog2(),
    last_clock = const CLOCKS - 1,
    mode_cpu = const MODE_CPU,
);

macro_rules! functions {
    ($($symbol:ident $name:literal,)*) => {
        unsafe extern "C" {
            static machine_vdso_start: u8;
            static machine_vdso_end: u8;
            $(static $symbol: u8;)*
        }

        /// Name of each function, and where it begins in [`code`]. They lie in this order.
        pub fn functions() -> impl Iterator<Item = (&'static str, usize)> {
            let start = (&raw const machine_vdso_start).addr();
            [$(($name, (&raw const $symbol).addr() - start),)*].into_iter()
        }
    };
}

functions!(
    machine_vdso_clock_gettime "__vdso_clock_gettime",
    machine_vdso_gettimeofday "__vdso_gettimeofday",
    machine_vdso_time "__vdso_time",
    machine_vdso_clock_getres "__vdso_clock_getres",
    machine_vdso_getcpu "__vdso_getcpu",
);

/// The code. It may be copied anywhere, with the page at its place before it.
pub fn code() -> &'static [u8] {
    let start = &raw const machine_vdso_start;
    let len = (&raw const machine_vdso_end).addr() - start.addr();
    // SAFETY: the two labels stand around the code, in a section that is only read.
    unsafe { core::slice::from_raw_parts(start, len) }
}

#[cfg(test)]
mod tests;
