//! Memory by direct calls: mappings, protection, sharing, copying on write, the heap's end.

mod advice;
mod brk;
mod copying;
mod files;
mod mmap;
mod protect;
mod remap;
mod unmap;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("mmap", mmap::TESTS),
        ("unmap", unmap::TESTS),
        ("protect", protect::TESTS),
        ("remap", remap::TESTS),
        ("files", files::TESTS),
        ("copying", copying::TESTS),
        ("brk", brk::TESTS),
        ("advice", advice::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
