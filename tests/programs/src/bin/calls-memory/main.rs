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

fn main() -> ExitCode {
    test_programs::harness::main(
        &[
            ("mmap", mmap::TESTS),
            ("unmap", unmap::TESTS),
            ("protect", protect::TESTS),
            ("remap", remap::TESTS),
            ("files", files::TESTS),
            ("copying", copying::TESTS),
            ("brk", brk::TESTS),
            ("advice", advice::TESTS),
        ],
        &[],
        60,
    )
}
